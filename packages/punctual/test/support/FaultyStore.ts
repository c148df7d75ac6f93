/**
 * A memory store that tests can slow down, take away or cut off from one of its users.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MemoryTaskStore from "../../src/MemoryTaskStore.ts"
import { TaskStore, TaskStoreError } from "../../src/TaskStore.ts"

export interface Faults {
  /** Every call fails; with this reason, where it is one. */
  down: boolean | TaskStoreError["reason"]
  /** Calls of this operation fail. */
  fail: string | undefined
  /** Calls of this operation fail after they were carried out: the reply is lost. */
  loseReplies: string | undefined
  /** Settlements and changes of this task are refused, with the batch they are in. */
  refuse: string | undefined
  /** Every call takes so many milliseconds of the clock it is called on; a function draws one for each. */
  delay: (() => number) | undefined
  /** Calls so far, by operation. */
  readonly calls: Map<string, number>
}

export const makeFaults = (): Faults => ({
  down: false,
  fail: undefined,
  loseReplies: undefined,
  refuse: undefined,
  delay: undefined,
  calls: new Map()
})

export const unavailable = (
  operation: string,
  reason: TaskStoreError["reason"] = "Unavailable"
): TaskStoreError => new TaskStoreError({ store: "faulty", operation, reason, message: "it is down" })

/** The same store, seen through its faults. */
export const through = (store: TaskStore["Service"], faults: Faults): TaskStore["Service"] => {
  const wrap = <A>(operation: string, effect: Effect.Effect<A, TaskStoreError>): Effect.Effect<A, TaskStoreError> =>
    Effect.suspend(() => {
      faults.calls.set(operation, (faults.calls.get(operation) ?? 0) + 1)
      const error = unavailable(operation, typeof faults.down === "string" ? faults.down : undefined)
      if (faults.down !== false || faults.fail === operation) return Effect.fail(error)
      const call = faults.delay === undefined
        ? effect
        : Effect.andThen(Effect.sleep(Duration.millis(faults.delay())), effect)
      return faults.loseReplies === operation ? Effect.andThen(call, Effect.fail(error)) : call
    })
  return {
    name: store.name,
    capabilities: { ...store.capabilities, durable: true, shared: true },
    insert: (tasks) => wrap("insert", store.insert(tasks)),
    get: (ids) => wrap("get", store.get(ids)),
    due: (options) => wrap("due", store.due(options)),
    outdated: (options) => wrap("outdated", store.outdated(options)),
    commit: (changes) =>
      wrap(
        "commit",
        changes.some((change) => change.id === faults.refuse) ? refused(store, "commit") : store.commit(changes)
      ),
    claim: (options) => wrap("claim", store.claim(options)),
    start: (options) => wrap("start", store.start(options)),
    settle: (settlements, options) =>
      wrap(
        "settle",
        Effect.gen(function*() {
          const refuse = faults.refuse === undefined ? [] : yield* store.get([faults.refuse])
          return yield* refuse.some(({ row }) =>
              settlements.some((settlement) => settlement.generation === row.generation)
            )
            ? refused(store, "settle")
            : store.settle(settlements, options)
        })
      ),
    heartbeat: (options) => wrap("heartbeat", store.heartbeat(options)),
    cancel: (runs) => wrap("cancel", store.cancel(runs)),
    takeover: (options) => wrap("takeover", store.takeover(options)),
    list: (query) => wrap("list", store.list(query)),
    runs: (query) => wrap("runs", store.runs(query)),
    prune: (options) => wrap("prune", store.prune(options)),
    quarantine: (verdicts) => wrap("quarantine", store.quarantine(verdicts)),
    verdicts: (options) => wrap("verdicts", store.verdicts(options)),
    clear: (generations) => wrap("clear", store.clear(generations)),
    beat: (instance) => wrap("beat", store.beat(instance)),
    instances: (options) => wrap("instances", store.instances(options)),
    leave: (ids) => wrap("leave", store.leave(ids)),
    listen: (onWake) =>
      store.listen((wake) => {
        if (!faults.down) onWake(wake)
      })
  }
}

const refused = (store: TaskStore["Service"], operation: string) =>
  Effect.fail(new TaskStoreError({ store: store.name, operation, reason: "Unknown", message: "it does not fit" }))

/** A memory store behind faults; several layers made from one `shared` store are several processes' views of it. */
export const layer = (faults: Faults, shared?: TaskStore["Service"]): Layer.Layer<TaskStore> =>
  Layer.effect(TaskStore)(
    shared === undefined
      ? Effect.map(Layer.build(MemoryTaskStore.layer), (context) => through(Context.get(context, TaskStore), faults))
      : Effect.succeed(through(shared, faults))
  )
