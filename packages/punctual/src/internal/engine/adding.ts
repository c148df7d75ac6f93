/**
 * Adding tasks, one or many, and making an owner's tasks what it lists.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import { DuplicateTask, TooMuchContention } from "../../SchedulerError.ts"
import type * as Task from "../../Task.ts"
import type { AddError, CommandError, Scheduled } from "../../TaskHandle.ts"
import type { TaskRow } from "../../TaskRecord.ts"
import { type Change, type TaskStore, TaskStoreError } from "../../TaskStore.ts"
import type { Reconciled } from "../schedulerTag.ts"
import { type EncodedPayload, encodePayload } from "../taskCodec.ts"
import { change, type Commanding, maxConflicts, nowIn, tellChange } from "./changes.ts"
import * as Checks from "./checks.ts"
import { standAside } from "./contention.ts"
import * as Decide from "./decide.ts"
import { batchSize, instant } from "./host.ts"
import * as Prepare from "./prepare.ts"
import { encodeParent } from "./trace.ts"

/** What became of one entry. */
export interface Added {
  readonly id: string
  readonly what: "added" | "updated" | "unchanged"
}

export interface Adding {
  /** Validates all, then stores all that is new in one call for each store, then resolves the conflicts one by one. */
  readonly addAll: (
    entries: ReadonlyArray<Scheduled<Task.Any>>,
    owner: string | null
  ) => Effect.Effect<ReadonlyArray<Added>, AddError>
  readonly reconcile: (
    owner: string,
    entries: ReadonlyArray<Scheduled<Task.Any>>,
    alias: string
  ) => Effect.Effect<Reconciled, AddError | CommandError>
}

export const make = (commanding: Commanding): Adding => {
  const { executors, stores } = commanding
  const policies = new Prepare.Policies(commanding.defaults)

  const prepareAll = (
    entries: ReadonlyArray<Scheduled<Task.Any>>,
    owner: string | null
  ): Effect.Effect<ReadonlyArray<Prepare.Prepared>, AddError> =>
    Effect.gen(function*() {
      const random = yield* Random.Random
      const parent = Context.getOption(yield* Effect.context<never>(), Tracer.ParentSpan)
      const preparing = new Map<string, Prepare.Preparing>()
      const prepared: Array<Prepare.Prepared> = []
      const taken = new Set<string>()
      for (const entry of entries) {
        const { options, task } = entry
        const refused = Prepare.check(entry, commanding.definitions)
        if (refused !== undefined) return yield* refused
        const alias = options.store ?? "default"
        const store = stores.aliases.get(alias) ?? (yield* stores.get(alias))
        const executor = options.executor ?? task.executor ?? "default"
        if (executors !== undefined && !executors.aliases.has(executor)) yield* executors.get(executor)
        const id = options.id ?? randomId(random)
        const encoding = encodePayload(task, options.payload)
        // Most payloads are encoded at once, and need no interpreter.
        const encoded: EncodedPayload = Exit.isExit(encoding) && encoding._tag === "Success"
          ? encoding.value as EncodedPayload
          : yield* encoding
        let here = preparing.get(alias)
        if (here === undefined) {
          const now = yield* nowIn(commanding, alias)
          here = { now, timeZone: commanding.timeZone, trace: encodeParent(parent), owner, policies }
          preparing.set(alias, here)
        }
        const one = Prepare.prepare(entry, id, store, encoded, here)
        if (Result.isFailure(one)) return yield* Effect.fail(one.failure)
        if (entries.length > 1) {
          const key = `${alias}/${id}`
          if (taken.has(key)) return yield* new DuplicateTask({ id, store: alias })
          taken.add(key)
        }
        prepared.push(one.success)
      }
      return prepared
    })

  const addAll: Adding["addAll"] = (entries, owner) =>
    Effect.gen(function*() {
      const prepared = yield* prepareAll(entries, owner)
      const byStore = new Map<string, Array<number>>()
      prepared.forEach(({ store }, i) => {
        const group = byStore.get(store)
        if (group === undefined) byStore.set(store, [i])
        else group.push(i)
      })
      if (prepared.length > 1) yield* refuseExisting(prepared, byStore)
      const answers = new Array<Added>(prepared.length)
      let stored = 0
      for (const [alias, group] of byStore) {
        const store = stores.aliases.get(alias)!
        const atOnce = batchSize * (store.concurrency ?? 1)
        for (let from = 0; from < group.length; from += atOnce) {
          const slice = group.slice(from, from + atOnce)
          const inserted = yield* Effect.mapError(
            store.insert(slice.map((i) => prepared[i]!.row)),
            (error) => stored === 0 ? error : stoppedAfter(error, stored, prepared.length)
          )
          stored += slice.length
          for (let k = 0; k < slice.length; k++) {
            const one = prepared[slice[k]!]!
            const answer = inserted[k]!
            if (answer._tag === "Inserted") {
              tellAdded(one)
              answers[slice[k]!] = { id: one.row.id, what: "added" }
            } else {
              answers[slice[k]!] = yield* resolveConflict(store, one)
            }
          }
        }
      }
      return answers
    })

  /** Nothing half done: where an id that exists is an error, look before anything is stored. */
  const refuseExisting = (
    prepared: ReadonlyArray<Prepare.Prepared>,
    byStore: ReadonlyMap<string, ReadonlyArray<number>>
  ): Effect.Effect<void, DuplicateTask | TaskStoreError> =>
    Effect.gen(function*() {
      for (const [alias, group] of byStore) {
        const store = stores.aliases.get(alias)!
        const strict = group.filter((i) => prepared[i]!.conflict === "fail")
        const atOnce = batchSize * (store.concurrency ?? 1)
        for (let from = 0; from < strict.length; from += atOnce) {
          const slice = strict.slice(from, from + atOnce)
          const [existing] = yield* store.get(slice.map((i) => prepared[i]!.row.id))
          if (existing !== undefined) return yield* new DuplicateTask({ id: existing.row.id, store: alias })
        }
      }
    })

  const tellAdded = ({ row, store }: Prepare.Prepared): void => {
    if (commanding.heard()) commanding.emit({ _tag: "TaskAdded", at: instant(row.createdAt), store, id: row.id })
  }

  const resolveConflict = (
    store: TaskStore["Service"],
    prepared: Prepare.Prepared
  ): Effect.Effect<Added, AddError> => {
    const { conflict, row: { createdAt, id }, store: alias } = prepared
    switch (conflict) {
      case "fail":
        return Effect.fail(new DuplicateTask({ id, store: alias }))
      case "keep":
        return Effect.succeed({ id, what: "unchanged" })
      case "replace":
        return replace(store, prepared)
      case "update":
        return change(
          commanding,
          alias,
          store,
          id,
          (task, now) => Decide.redeclare(task, prepared, commanding.definitions, now)
        ).pipe(
          Effect.map((what): Added => {
            if (what === "updated" && commanding.heard()) {
              commanding.emit({ _tag: "TaskUpdated", at: instant(createdAt), store: alias, id })
            }
            return { id, what }
          }),
          // Removed meanwhile: then it is new.
          Effect.catchTag("TaskNotFound", () => replace(store, prepared))
        )
    }
  }

  const replace = (
    store: TaskStore["Service"],
    prepared: Prepare.Prepared
  ): Effect.Effect<Added, TooMuchContention | TaskStoreError> =>
    Effect.gen(function*() {
      const { row: { createdAt, id }, store: alias } = prepared
      for (let i = 0; i < maxConflicts; i++) {
        const [existing] = yield* store.get([id])
        if (existing === undefined) {
          const [answer] = yield* store.insert([prepared.row])
          if (answer?._tag !== "Inserted") {
            yield* standAside(store, i + 1)
            continue
          }
        } else {
          const change: Change = { ...Decide.removal(existing, createdAt, false), replacement: prepared.row }
          const [answer] = yield* store.commit([change])
          if (answer?._tag !== "Committed") {
            yield* standAside(store, i + 1)
            continue
          }
          yield* tellChange(commanding, alias, store, existing, change)
        }
        tellAdded(prepared)
        return { id, what: "added" as const }
      }
      return yield* new TooMuchContention({ id })
    })

  const reconcile: Adding["reconcile"] = (owner, entries, alias) =>
    Effect.gen(function*() {
      if (owner.trim() === "") {
        return yield* Checks.invalid("owner", owner, "An owner must be a text that is not empty.")
      }
      const store = yield* stores.get(alias)
      for (const { options: given } of entries) {
        if (given.id === undefined) {
          return yield* Checks.invalid(
            "id",
            undefined,
            "reconcile compares by id: every task it is given must have one."
          )
        }
        if (given.onConflict !== undefined) {
          return yield* Checks.invalid(
            "onConflict",
            given.onConflict,
            "reconcile always updates: leave onConflict out."
          )
        }
        if (given.store !== undefined && given.store !== alias) {
          return yield* Checks.invalid(
            "store",
            given.store,
            `reconcile works on one store, here \`${alias}\`: name another with reconcile(owner, entries, { store }).`
          )
        }
      }
      const placed = entries.map(({ options: given, task }) => ({ task, options: { ...given, store: alias } }))
      // Another owner's task is not ours to change, whatever its id.
      for (let from = 0; from < placed.length; from += batchSize) {
        const ids = placed.slice(from, from + batchSize).map((entry) => entry.options.id!)
        for (const { row } of yield* store.get(ids)) {
          if (row.owner !== null && row.owner !== owner) return yield* new DuplicateTask({ id: row.id, store: alias })
        }
      }
      const answers = yield* addAll(placed, owner)
      const wanted = new Set(answers.map((answer) => answer.id))
      const removed: Array<string> = []
      let after: string | undefined
      const stale: Array<TaskRow> = []
      do {
        const page = yield* store.list({ owner, sort: "id", descending: false, limit: batchSize, after })
        for (const row of page.items) if (!wanted.has(row.id)) stale.push(row)
        after = page.next ?? undefined
      } while (after !== undefined)
      for (const row of stale) {
        const gone = yield* change(commanding, alias, store, row.id, (task, at) => {
          if (task.row.owner !== owner) return Result.succeed({ value: false })
          const { runs, set } = Decide.removal(task, at, false)
          return Result.succeed({ value: true, set, runs })
        }).pipe(Effect.catchTag("TaskNotFound", () => Effect.succeed(false)))
        if (gone) {
          removed.push(row.id)
          if (commanding.heard()) {
            commanding.emit({
              _tag: "TaskRemoved",
              at: instant(yield* nowIn(commanding, alias)),
              store: alias,
              id: row.id
            })
          }
        }
      }
      const pick = (what: Added["what"]) => answers.filter((a) => a.what === what).map((a) => a.id)
      return {
        added: pick("added"),
        updated: pick("updated"),
        unchanged: pick("unchanged"),
        removed
      } satisfies Reconciled
    })

  return { addAll, reconcile }
}

/** A store that failed in the middle of many: what it has stored until then stays. */
const stoppedAfter = (error: TaskStoreError, stored: number, all: number): TaskStoreError =>
  new TaskStoreError({
    store: error.store,
    operation: error.operation,
    reason: error.reason,
    message: `${error.message}. At least the first ${stored} of ${all} tasks are stored: add all again with ` +
      "`onConflict: \"keep\"` or `\"update\"`, or within a transaction of the store's own client, where all or none are.",
    ...error.cause !== undefined && { cause: error.cause }
  })

/** 96 random bits, in letters that need no quoting anywhere. */
export const randomId = (random: { readonly nextDoubleUnsafe: () => number }): string => {
  let text = ""
  for (let i = 0; i < 20; i++) text += "0123456789abcdefghjkmnpqrstvwxyz"[Math.floor(random.nextDoubleUnsafe() * 32)]
  return text
}
