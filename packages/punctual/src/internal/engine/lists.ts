/**
 * Lists of tasks and runs, page by page.
 */
import * as Effect from "effect/Effect"
import type { InvalidOption } from "../../SchedulerError.ts"
import type { RunListOptions, TaskListOptions } from "../../TaskHandle.ts"
import { fromRow, fromRun, type RunInfo, type TaskInfo } from "../../TaskInfo.ts"
import type { StoredState } from "../../TaskRecord.ts"
import type { Page, TaskStoreError, Verdict } from "../../TaskStore.ts"
import type { UnknownStore } from "../../TaskStores.ts"
import { type Commanding, nowIn } from "./changes.ts"
import * as Checks from "./checks.ts"
import { unroutable as unroutableIn } from "./presence.ts"

/** Enough for any program whose rows are not mostly unreadable. */
export const verdictLimit = 1_000

const listNames: ReadonlyArray<string> = [
  "store",
  "task",
  "state",
  "owner",
  "labels",
  "search",
  "sort",
  "descending",
  "limit",
  "after"
]

export const runs = (
  commanding: Commanding,
  alias: string | undefined,
  given: RunListOptions | undefined,
  query: { readonly taskId?: string; readonly generation?: number; readonly tag?: string | undefined }
): Effect.Effect<Page<RunInfo>, InvalidOption | UnknownStore | TaskStoreError> =>
  Effect.gen(function*() {
    const refused = Checks.names(given ?? {}, ["state", "limit", "after", "store", "task"], "runs")
    if (refused !== undefined) return yield* refused
    const store = yield* commanding.stores.get(alias ?? "default")
    const limit = yield* Effect.fromResult(Checks.pageSize(given?.limit))
    const state = given?.state === "held" ? undefined : given?.state
    const page = yield* store.runs({ ...query, state, limit, after: given?.after })
    const items = page.items.map(fromRun)
    return {
      items: given?.state === "held" ? items.filter((run) => run.state === "held") : items,
      next: page.next
    }
  })

export const tasks = (
  commanding: Commanding,
  given: TaskListOptions = {}
): Effect.Effect<Page<TaskInfo>, InvalidOption | UnknownStore | TaskStoreError> =>
  Effect.gen(function*() {
    const refused = Checks.names(given, listNames, "list")
    if (refused !== undefined) return yield* refused
    const store = yield* commanding.stores.get(given.store ?? "default")
    const limit = yield* Effect.fromResult(Checks.pageSize(given.limit))
    if (given.sort !== undefined && !["id", "due", "created"].includes(given.sort)) {
      return yield* Checks.invalid("sort", given.sort, "Tasks are sorted by \"id\", \"due\" or \"created\".")
    }
    const state: StoredState | undefined = given.state === "pending" ? "scheduled" : given.state
    const page = yield* store.list({
      tag: given.task?.tag,
      state,
      owner: given.owner,
      labels: given.labels,
      search: given.search,
      sort: given.sort ?? "id",
      descending: given.descending ?? false,
      limit,
      after: given.after
    })
    const verdicts = new Map<number, Verdict>(
      (yield* store.verdicts({ limit: verdictLimit })).map((verdict) => [verdict.generation, verdict])
    )
    const unroutable = yield* unroutableIn(store, yield* nowIn(commanding, given.store ?? "default"))
    const items = page.items.map((row) =>
      fromRow(row, {
        store: given.store ?? "default",
        seen: commanding.seen(),
        unroutable: unroutable(row),
        verdict: verdicts.get(row.generation),
        definitions: commanding.definitions
      })
    )
    return {
      // `pending` and `scheduled` are one stored state.
      items: given.state === undefined ? items : items.filter((info) => info.state === given.state),
      next: page.next
    }
  })
