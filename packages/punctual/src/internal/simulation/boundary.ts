/**
 * The store as one process sees it: behind a network on which everything that can go wrong does, when the script says so.
 *
 *     process ──travel──▶ fault? ──▶ store, recorded ──▶ fault? ──travel──▶ process
 *
 * What the store did is recorded in the same step in which it did it, whether or not its caller ever hears of it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type RunRef, TaskStore, TaskStoreError, type TaskWithRuns, type Wake } from "../../TaskStore.ts"
import type { What } from "./ledger.ts"
import type { Draw } from "./random.ts"
import type { Fault, Point } from "./script.ts"
import type { Process, World } from "./world.ts"

type Store = TaskStore["Service"]

/** A fault that waits for its call. */
export type Armed = Extract<Fault, { readonly point: Point | null }> & { readonly point: Point; left: number }

/** What stands between a node and the store, over all its incarnations. */
export interface Link {
  readonly node: number
  readonly armed: Array<Armed>
  /** Partitions in force. */
  readonly partitions: Set<{ readonly hangs: boolean; readonly healed: Set<() => void> }>
  /** How many reasons there are for it not to hear wake-ups. */
  deaf: number
}

export const makeLink = (node: number): Link => ({ node, armed: [], partitions: new Set(), deaf: 0 })

/** The one store, and what is recorded of it. */
export interface Shared {
  readonly world: World
  readonly store: Store
  readonly draw: Draw
  readonly latency: number
  /** So much of a length as is left before everything heals. */
  readonly rest: (millis: number) => number
  readonly record: (node: number, what: What) => void
  /** Ids of generations, as far as they were seen. */
  readonly ids: Map<number, string>
  /** Carries out a call whose caller is told nothing of it. */
  readonly aside: (call: Effect.Effect<unknown, TaskStoreError>) => void
}

export interface Connection {
  readonly store: Store
  /** Tells the process of a change. */
  readonly wake: (wake: Wake) => void
}

export const connect = (
  shared: Shared,
  link: Link,
  process: Process,
  /** The process is gone after so many more of its steps, and its node for so long. */
  crash: (steps: number, down: number) => void
): Connection => {
  const { draw, latency, rest, store, world } = shared
  const listeners = new Set<(wake: Wake) => void>()

  const unavailable = (operation: string) =>
    Effect.fail(
      new TaskStoreError({
        store: store.name,
        operation,
        reason: "Unavailable",
        message: "The simulation took the store away."
      })
    )

  const travel: Effect.Effect<void> = latency === 0
    ? Effect.yieldNow
    : Effect.suspend(() => process.clock.sleep(Duration.millis(draw.int(0, latency))))

  const take = (operation: string): Armed | undefined => {
    for (let i = 0; i < link.armed.length; i++) {
      const armed = link.armed[i]!
      if (armed.point.operation !== null && armed.point.operation !== operation) continue
      if (armed.left-- > 0) continue
      link.armed.splice(i, 1)
      shared.record(link.node, { _tag: "Fault", text: `${armed.fault} ${armed.point.when} ${operation}` })
      return armed
    }
    return undefined
  }

  /** Stops the process before its next step. */
  const crashes = (down: number) =>
    Effect.suspend(() => {
      crash(0, down)
      return Effect.yieldNow
    })

  const stands = (millis: number, suspended: boolean) =>
    Effect.suspend(() => {
      process.freeze(millis, suspended)
      return Effect.yieldNow
    })

  const call = <A>(operation: string, carryOut: Effect.Effect<A, TaskStoreError>): Effect.Effect<A, TaskStoreError> =>
    Effect.suspend(() => {
      const [partition] = link.partitions
      if (partition !== undefined) {
        return Effect.andThen(
          partition.hangs
            ? Effect.callback<void>((resume) => {
              const healed = () => process.enqueue(() => resume(Effect.void), 0)
              partition.healed.add(healed)
              return Effect.sync(() => partition.healed.delete(healed))
            })
            : travel,
          unavailable(operation)
        )
      }
      const there = Effect.andThen(travel, carryOut)
      const back = (arrived: Effect.Effect<A, TaskStoreError>) =>
        Effect.matchEffect(arrived, {
          onFailure: (error) => Effect.andThen(travel, Effect.fail(error)),
          onSuccess: (answer) => Effect.as(travel, answer)
        })
      const armed = take(operation)
      if (armed === undefined) return back(there)
      const { when } = armed.point
      const around = (stop: Effect.Effect<void>) =>
        when === "before" ? Effect.andThen(stop, back(there)) : back(Effect.tap(there, () => stop))
      switch (armed.fault) {
        case "crash":
          return when === "during"
            ? Effect.andThen(Effect.sync(() => crash(draw.int(1, 4), armed.for)), back(there))
            : around(crashes(armed.for))
        case "freeze":
          return around(stands(rest(armed.for), false))
        case "suspend":
          return around(stands(rest(armed.for), true))
        case "delay":
          return around(Effect.suspend(() => process.clock.sleep(Duration.millis(rest(armed.for)))))
        case "loseReply":
          return back(Effect.andThen(there, unavailable(operation)))
        case "fail":
          return back(Effect.andThen(travel, unavailable(operation)))
        case "late":
          return Effect.andThen(
            Effect.sync(() => world.after(rest(armed.for), () => shared.aside(carryOut))),
            back(Effect.andThen(travel, unavailable(operation)))
          )
        case "duplicate":
          return back(
            Effect.flatMap(
              there,
              (first) => Effect.map(carryOut, (second) => armed.answer === "first" ? first : second)
            )
          )
      }
    })

  // -- recording

  const record = (what: What) => shared.record(link.node, what)

  const named = <Ref extends RunRef>(ref: Ref) => ({ ...ref, taskId: shared.ids.get(ref.generation) })

  /** Carries out and records in one step. */
  const recorded = <A>(
    carryOut: Effect.Effect<A, TaskStoreError>,
    tell: (answer: A) => void
  ): Effect.Effect<A, TaskStoreError> =>
    Effect.suspend(() => {
      world.held = true
      return Effect.onExitPrimitive(carryOut, (exit) => {
        if (exit._tag === "Success") tell(exit.value)
        world.held = false
        return undefined
      })
    })

  const look = (ids: ReadonlyArray<string>): ReadonlyMap<string, TaskWithRuns> => {
    const tasks = new Map<string, TaskWithRuns>()
    if (ids.length === 0) return tasks
    for (const task of Effect.runSync(store.get(ids))) {
      shared.ids.set(task.row.generation, task.row.id)
      tasks.set(task.row.id, task)
    }
    return tasks
  }

  const through: Store = {
    name: store.name,
    capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true },
    insert: (tasks) =>
      call(
        "insert",
        recorded(store.insert(tasks), (answers) => {
          const added = answers.flatMap((answer) => answer._tag === "Inserted" ? [answer.row.id] : [])
          const after = look(added)
          if (added.length > 0) record({ _tag: "Stored", tasks: [...after.values()] })
        })
      ),
    get: (ids) => call("get", store.get(ids)),
    due: (options) => call("due", store.due(options)),
    outdated: (options) => call("outdated", store.outdated(options)),
    commit: (changes) =>
      call(
        "commit",
        recorded(store.commit(changes), (answers) => {
          const after = look(changes.map((change) => change.id))
          for (let i = 0; i < changes.length; i++) {
            const change = changes[i]!
            const now = after.get(change.id)
            const same = now?.row.generation === change.generation
            record({ _tag: "Changed", change, answer: answers[i]!, after: same ? now : undefined })
            if (now !== undefined && !same) record({ _tag: "Stored", tasks: [now] })
          }
        })
      ),
    claim: (options) =>
      call(
        "claim",
        recorded(store.claim(options), ({ runs }) => {
          for (const { run } of runs) record({ _tag: "Claimed", run, lease: options.lease })
        })
      ),
    start: (options) =>
      call(
        "start",
        recorded(store.start(options), (answers) => {
          for (let i = 0; i < answers.length; i++) {
            record({ _tag: "Marked", ref: named(options.runs[i]!), answer: answers[i]! })
          }
        })
      ),
    settle: (settlements, options) =>
      call(
        "settle",
        recorded(store.settle(settlements, options), (answers) => {
          const ids = settlements.map(({ generation }) => shared.ids.get(generation))
          const after = look(ids.filter((id) => id !== undefined))
          for (let i = 0; i < answers.length; i++) {
            const settlement = settlements[i]!
            const id = ids[i]
            // The row shows what all settlements of the batch made of it: it goes with the last of them.
            const now = id === undefined || ids.indexOf(id, i + 1) !== -1 ? undefined : after.get(id)
            record({
              _tag: "Settled",
              settlement: named(settlement),
              answer: answers[i]!,
              after: now?.row.generation === settlement.generation ? now : undefined
            })
          }
        })
      ),
    heartbeat: (options) =>
      call(
        "heartbeat",
        recorded(store.heartbeat(options), (answers) => {
          for (let i = 0; i < answers.length; i++) {
            record({ _tag: "Extended", ref: named(options.runs[i]!), until: options.lease.until, answer: answers[i]! })
          }
        })
      ),
    cancel: (runs) => call("cancel", store.cancel(runs)),
    takeover: (options) =>
      call(
        "takeover",
        recorded(store.takeover(options), ({ runs }) => {
          for (const taken of runs) record({ _tag: "TakenOver", taken, now: options.now })
        })
      ),
    list: (query) => call("list", store.list(query)),
    runs: (query) => call("runs", store.runs(query)),
    prune: (options) => call("prune", store.prune(options)),
    quarantine: (verdicts) => call("quarantine", store.quarantine(verdicts)),
    verdicts: (options) => call("verdicts", store.verdicts(options)),
    clear: (generations) => call("clear", store.clear(generations)),
    beat: (instance) => call("beat", store.beat(instance)),
    instances: (options) => call("instances", store.instances(options)),
    leave: (ids) => call("leave", store.leave(ids)),
    time: store.time && call("time", Effect.sync(() => world.start + world.now)),
    listen: (onWake) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => listeners.add(onWake)),
        () => Effect.sync(() => listeners.delete(onWake))
      ))
  }

  return {
    store: TaskStore.of(through),
    wake: (wake) => {
      if (link.deaf > 0 || link.partitions.size > 0) return
      for (const listener of listeners) process.enqueue(() => listener(wake), 0)
    }
  }
}
