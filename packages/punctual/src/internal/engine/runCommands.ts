/**
 * Runs that are asked for: made, waited for, cancelled.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Policy from "../../Policy.ts"
import {
  type InvalidOption,
  RunNotFound,
  type TaskBusy,
  TaskNotFound,
  type TaskUnreadable
} from "../../SchedulerError.ts"
import type * as Task from "../../Task.ts"
import type { CommandError, RunHandle } from "../../TaskHandle.ts"
import { RunNotCompleted } from "../../TaskHandle.ts"
import { fromRun, runId } from "../../TaskInfo.ts"
import { isOpen, type RunRow } from "../../TaskRecord.ts"
import type { RunChange, TaskStore, TaskStoreError } from "../../TaskStore.ts"
import { decodeExit } from "../taskCodec.ts"
import { randomId } from "./adding.ts"
import { rulesOf } from "./advance.ts"
import { change, type Commanding } from "./changes.ts"
import * as Checks from "./checks.ts"
import * as Decide from "./decide.ts"
import { waiterKey } from "./telling.ts"

export const storeOfTask = (
  commanding: Commanding,
  alias: string,
  id: string
): Effect.Effect<TaskStore["Service"], TaskNotFound> =>
  Effect.mapError(commanding.stores.get(alias), () => new TaskNotFound({ id, store: alias }))

export const runNow = <T extends Task.Any>(
  commanding: Commanding,
  id: string,
  alias: string,
  definition: T | undefined,
  given: { readonly key?: string | undefined; readonly whenBusy?: Policy.Policy["whenBusy"] | undefined } = {}
): Effect.Effect<RunHandle<T>, CommandError | TaskBusy | InvalidOption> =>
  Effect.gen(function*() {
    const refused = Checks.names(given, ["key", "whenBusy"], "runNow")
    if (refused !== undefined) return yield* refused
    if (given.key === "") return yield* Checks.invalid("key", "", "An idempotency key must not be empty.")
    const key = `x:${given.key ?? randomId(yield* Random.Random)}`
    yield* Effect.mapError(
      Effect.fromResult(Policy.make({ whenBusy: given.whenBusy })),
      (error) => Checks.invalid(error.option, error.value, error.message)
    )
    const store = yield* storeOfTask(commanding, alias, id)
    const created = yield* change<Decide.RunRef, TaskBusy | TaskUnreadable>(
      commanding,
      alias,
      store,
      id,
      (task, now) => {
        const create = () => Decide.extraRun(task, key, given.whenBusy, commanding.definitions, now)
        if (given.key === undefined) return create()
        const known = task.open.find((run) => run.key === key)
        if (known !== undefined) return Result.succeed({ value: known })
        // Looked for after the row was read: one that is created meanwhile makes the commit conflict.
        return Effect.flatMap(
          store.runs({ taskId: id, generation: task.row.generation, key, limit: 1 }),
          ({ items: [ended] }) =>
            ended === undefined
              ? Effect.fromResult(create())
              : Effect.succeed<Decide.Decision<Decide.RunRef>>({ value: ended })
        )
      }
    )
    return runHandle(commanding, store, alias, definition, created, created.state === "waiting" ? "queued" : "started")
  })

const findRun = (
  store: TaskStore["Service"],
  run: { readonly taskId: string; readonly generation: number; readonly key: string }
): Effect.Effect<RunRow, RunNotFound | TaskStoreError> =>
  Effect.flatMap(
    store.runs({ taskId: run.taskId, generation: run.generation, key: run.key, limit: 1 }),
    ({ items }) =>
      items[0] === undefined
        ? Effect.fail(new RunNotFound({ taskId: run.taskId, run: runId(run) }))
        : Effect.succeed(items[0])
  )

const runHandle = <T extends Task.Any>(
  commanding: Commanding,
  store: TaskStore["Service"],
  alias: string,
  definition: T | undefined,
  run: { readonly taskId: string; readonly generation: number; readonly key: string },
  status: "started" | "queued"
): RunHandle<T> => {
  const { waiters } = commanding
  const ended = Effect.gen(function*() {
    const latch = Latch.makeUnsafe(false)
    let row: RunRow | undefined
    const key = waiterKey(alias, run)
    const waiter = (ended: RunRow) => {
      row = ended
      latch.openUnsafe()
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const set = waiters.get(key)
        if (set === undefined) waiters.set(key, new Set([waiter]))
        else set.add(waiter)
      }),
      () =>
        Effect.sync(() => {
          const set = waiters.get(key)
          if (set?.delete(waiter) === true && set.size === 0) waiters.delete(key)
        })
    )
    while (row === undefined) {
      const stored = yield* findRun(store, run)
      if (!isOpen(stored.state)) return stored
      // An end that this scheduler records is told at once; one that another records is found by looking.
      yield* Effect.raceFirst(latch.await, Effect.sleep(Duration.millis(commanding.pollInterval)))
    }
    return row
  }).pipe(Effect.scoped)
  return {
    id: runId(run),
    taskId: run.taskId,
    status,
    info: Effect.map(findRun(store, run), fromRun),
    await: Effect.flatMap(ended, (row) => {
      if (row.exit === null || definition === undefined || (row.state !== "succeeded" && row.state !== "failed")) {
        return row.state === "succeeded" && definition === undefined
          ? Effect.void
          : Effect.fail(
            new RunNotCompleted({
              run: runId(run),
              state: row.state === "succeeded" || row.state === "failed" || isOpen(row.state) ? "unknown" : row.state
            })
          )
      }
      return Effect.matchEffect(decodeExit(definition, row.exit), {
        onFailure: () => Effect.fail(new RunNotCompleted({ run: runId(run), state: "unknown" })),
        onSuccess: (exit) => Exit.isSuccess(exit) ? Effect.succeed(exit.value) : Effect.failCause(exit.cause)
      })
    }) as RunHandle<T>["await"],
    cancel: cancelRun(commanding, alias, run.taskId, runId(run))
  }
}

export const cancelRun = (
  commanding: Commanding,
  alias: string,
  taskId: string,
  run: string
): Effect.Effect<void, CommandError | RunNotFound> =>
  Effect.gen(function*() {
    const store = yield* storeOfTask(commanding, alias, taskId)
    const separator = run.indexOf(":")
    const generation = Number(run.slice(0, separator))
    const key = run.slice(separator + 1)
    if (separator < 1 || !Number.isSafeInteger(generation)) return yield* new RunNotFound({ taskId, run })
    const reason = "cancelled by a person"
    // One that has ended needs no cancelling; one that goes on although its task was removed or replaced has no row.
    const outside = Effect.flatMap(
      findRun(store, { taskId, generation, key }),
      ({ state }) => state === "running" ? Effect.asVoid(store.cancel([{ generation, key, reason }])) : Effect.void
    )
    yield* change<void, RunNotFound>(commanding, alias, store, taskId, (task) => {
      if (task.row.generation !== generation || !task.open.some((open) => open.key === key)) {
        return Effect.as(outside, { value: undefined })
      }
      const cancel: RunChange = { _tag: "Cancel", key, reason }
      const rules = rulesOf(task.row, commanding.definitions)
      // It may have held the slot that another one waits for.
      const promoted = Result.isSuccess(rules) ? Decide.promotions(rules.success.policy, task.open, [cancel]) : []
      return Result.succeed({ value: undefined, runs: [cancel, ...promoted] })
    }).pipe(
      Effect.catchTag("TaskNotFound", (gone) => Effect.catchTag(outside, "RunNotFound", () => Effect.fail(gone)))
    )
  })
