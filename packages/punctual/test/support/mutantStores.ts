/**
 * Memory stores that are wrong in one way each: what a simulation must notice.
 */
import * as Effect from "effect/Effect"
import * as MemoryTaskStore from "../../src/MemoryTaskStore.ts"
import type { Change, NewTask, TaskStore } from "../../src/TaskStore.ts"

type Store = TaskStore["Service"]

const mutant = (change: (store: Store) => Partial<Store>): Effect.Effect<Store> =>
  Effect.map(MemoryTaskStore.make, (store) => ({ ...store, ...change(store) }))

/** Commits whatever revision the row has. */
const anyRevision = (store: Store, change: Change): Effect.Effect<Change> =>
  Effect.map(
    Effect.orDie(store.get([change.id])),
    ([task]) => task === undefined ? change : { ...change, revision: task.row.revision }
  )

/** An advance is no compare-and-set: the last one wins. */
export const noCompareAndSet = mutant((store) => ({
  commit: (changes) => Effect.flatMap(Effect.forEach(changes, (change) => anyRevision(store, change)), store.commit)
}))

/** The end of a run leaves the revision as it is: a plan made before it commits after it. */
export const noBumpOnSettle = mutant((store) => {
  /** Revisions that a settlement brought, by generation: they are told from the one before by nobody. */
  const settled = new Map<number, Set<number>>()
  const before = (generation: number, revision: number): number => {
    let seen = revision
    while (settled.get(generation)?.has(seen) === true) seen--
    return seen
  }
  return {
    settle: (settlements, options) =>
      Effect.gen(function*() {
        const rows = Effect.map(
          store.list({ sort: "id", descending: false, limit: 1_000 }),
          ({ items }) => new Map(items.map(({ generation, revision }) => [generation, revision]))
        )
        const revisions = yield* rows
        const answers = yield* store.settle(settlements, options)
        for (const [generation, revision] of yield* rows) {
          for (let bumped = (revisions.get(generation) ?? revision) + 1; bumped <= revision; bumped++) {
            const known = settled.get(generation)
            if (known === undefined) settled.set(generation, new Set([bumped]))
            else known.add(bumped)
          }
        }
        return answers
      }),
    commit: (changes) =>
      Effect.flatMap(
        Effect.forEach(changes, (change) =>
          Effect.map(anyRevision(store, change), (current) =>
            before(change.generation, current.revision) === before(change.generation, change.revision)
              ? current
              : change)),
        store.commit
      )
  }
})

/** Whoever settles a run settles it, with whatever token. */
export const noTokenCheck = mutant((store) => ({
  settle: (settlements, options) =>
    Effect.flatMap(
      Effect.forEach(settlements, (settlement) =>
        Effect.map(
          store.runs({ generation: settlement.generation, key: settlement.key, limit: 1 }),
          ({ items: [run] }) =>
            run?.state === "running" && run.token !== null && run.owner !== null
              ? { ...settlement, token: run.token, owner: run.owner }
              : settlement
        )),
      (settlements) => store.settle(settlements, options)
    )
}))

/** The row advances in one transaction, and its runs come in the next. */
export const advanceBeforeInsert = mutant((store) => ({
  commit: (changes) =>
    Effect.flatMap(
      store.commit(changes.map((change) => change.set === "remove" ? change : { ...change, runs: [] })),
      (answers) =>
        Effect.forEach(changes, (change, i) => {
          const answer = answers[i]!
          return answer._tag === "Conflict" || change.set === "remove" || change.runs.length === 0
            ? Effect.succeed(answer)
            : Effect.yieldNow.pipe(
              Effect.andThen(anyRevision(store, { ...change, set: {} })),
              Effect.flatMap((rest) => store.commit([rest])),
              Effect.map(([second]) => second!)
            )
        })
    )
}))

/** A process sees only the open runs that it owns itself, and counts those. */
export const overlapPerProcess = mutant((store) => ({
  due: (options) =>
    Effect.map(store.due(options), ({ next, tasks }) => ({
      next,
      tasks: tasks.map(({ open, row }) => ({ row, open: open.filter((run) => run.owner === options.reader) }))
    }))
}))

/** What a process leaves behind stays behind. */
export const noReclaim = mutant(() => ({ takeover: () => Effect.succeed({ runs: [], next: null }) }))

/** Nothing forbids a repeat but that the run is still known. */
export const historyAsTheOnlyGuard = mutant((store) => ({
  commit: (changes) =>
    Effect.flatMap(
      Effect.forEach(changes, (change) =>
        Effect.gen(function*() {
          const known = new Set(
            (yield* store.runs({ generation: change.generation, limit: 1_000 })).items.map((run) => run.key)
          )
          const current = yield* anyRevision(store, change)
          return { ...current, runs: current.runs.filter((run) => run._tag !== "Create" || !known.has(run.run.key)) }
        })),
      store.commit
    )
}))

/** An attempt that may begin once is not marked. */
export const noMark = mutant(() => ({ start: ({ runs }) => Effect.succeed(runs.map(() => true)) }))

/** A heartbeat is answered, and extends nothing. */
export const heartbeatExtendsNothing = mutant(() => ({
  heartbeat: ({ runs }) => Effect.succeed(runs.map(() => ({ alive: true, cancel: null })))
}))

/** The same token is given twice. */
export const tokensRepeat = mutant((store) => ({
  claim: (options) =>
    Effect.map(store.claim(options), ({ next, runs }) => ({
      next,
      runs: runs.map((claimed) => ({ ...claimed, run: { ...claimed.run, token: 1 } }))
    }))
}))

/** A claim looks at no key; what it answers says that there was one. */
export const keysIgnored = Effect.map(MemoryTaskStore.make, (store): Store => {
  const limits = new Map<string, Pick<NewTask, "concurrencyKey" | "concurrencyLimit">>()
  const without = <A extends Partial<NewTask>>(row: A, id: string): A => {
    if (row.concurrencyKey !== undefined) {
      limits.set(id, { concurrencyKey: row.concurrencyKey, concurrencyLimit: row.concurrencyLimit ?? 1 })
    }
    return { ...row, concurrencyKey: null, concurrencyLimit: 1 }
  }
  return {
    ...store,
    insert: (tasks) => store.insert(tasks.map((task) => without(task, task.id))),
    commit: (changes) =>
      store.commit(changes.map((change) =>
        change.set === "remove" || change.set.concurrencyKey === undefined
          ? change
          : { ...change, set: without(change.set, change.id) }
      )),
    claim: (options) =>
      Effect.map(store.claim(options), ({ next, runs }) => ({
        next,
        runs: runs.map(({ run, task }) => ({ task, run: { ...run, ...limits.get(run.taskId) } }))
      }))
  }
})
