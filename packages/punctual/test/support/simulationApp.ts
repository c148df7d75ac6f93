/**
 * What the simulation is run on here: tasks of every policy, handlers that do everything a handler can do, and people
 * who change their minds.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { CurrentRun } from "../../src/CurrentRun.ts"
import * as MemoryTaskStore from "../../src/MemoryTaskStore.ts"
import type * as Policy from "../../src/Policy.ts"
import * as Task from "../../src/Task.ts"
import * as Simulation from "../../src/testing/Simulation.ts"
import * as Trigger from "../../src/Trigger.ts"

const payload = { seed: Schema.Int }
const error = Schema.String

const Work = Task.make("Work", { payload, error, retry: { times: 2, schedule: Schedule.spaced("2 seconds") } })
const Plain = Task.make("Plain", { payload, error })
const Once = Task.make("Once", { payload, error, delivery: "atMostOnce" })
const Busy = Task.make("Busy", { payload })
const Keyed = Task.make("Keyed", {
  payload: { ...payload, key: Schema.Int },
  error,
  retry: { times: 1, schedule: Schedule.spaced("1 second") },
  concurrencyKey: ({ key }) => key === 0 ? undefined : `key ${key}`,
  concurrencyLimit: 2
})

/** When it begins. */
const start = Date.parse("2026-01-01T00:00:00Z")

/** What an attempt does, drawn from its name alone: another process that repeats it does the same. */
const behave = ({ seed }: { readonly seed: number }) =>
  Effect.gen(function*() {
    const run = yield* CurrentRun
    const random = Simulation.random(seed, run.id, run.attempt)
    const kind = random.next()
    const some = (most: number) => Duration.millis(random.int(1, most))
    if (kind < 0.25) return
    if (kind < 0.55) return yield* Effect.sleep(some(6_000))
    if (kind < 0.65) return yield* Effect.sleep(some(20_000))
    if (kind < 0.78) return yield* Effect.andThen(Effect.sleep(some(3_000)), Effect.fail("no"))
    if (kind < 0.84) return yield* Effect.andThen(Effect.sleep(some(1_000)), Effect.die(new Error("boom")))
    if (kind < 0.9) return yield* Simulation.block(some(9_000))
    return yield* Effect.uninterruptible(Effect.sleep(some(10_000)))
  })

export const App = Layer.mergeAll(
  Work.toLayer(behave),
  Plain.toLayer(behave),
  Once.toLayer(behave),
  Keyed.toLayer(behave),
  Busy.toLayer(({ seed }) =>
    Effect.flatMap(CurrentRun, ({ id }) => Effect.sleep(Duration.millis(Simulation.random(seed, id).int(100, 1_500))))
  )
)

// -----------------------------------------------------------------------------
// what people do
// -----------------------------------------------------------------------------

/** Most are over when faults are. */
const trigger = (random: Simulation.Random, minutes: number): Trigger.Trigger => {
  const base = random.pick([
    () => Trigger.every({ milliseconds: random.int(900, 20_000) }),
    () => Trigger.every({ seconds: random.int(1, 10) }, { immediately: true }),
    () => Trigger.cron(`*/${random.int(2, 20)} * * * * *`),
    () => Trigger.at(start + random.int(0, minutes * 50_000)),
    () => Trigger.upTo(Trigger.every({ seconds: random.int(1, 5) }), random.int(1, 10)),
    () => Trigger.now
  ])()
  const bounded = random.chance(0.3) ? base : Trigger.between(base, { end: start + minutes * 60_000 })
  return random.chance(0.2) ? Trigger.jittered(bounded, { milliseconds: random.int(100, 800) }) : bounded
}

const policy = (random: Simulation.Random): Policy.Options => ({
  whenBusy: random.pick(["skip", "queue", "queueAll", "cancelPrevious", "allow"]),
  maxInstances: random.int(1, 3),
  coalesce: random.pick(["latest", "earliest", "none"]),
  misfireGrace: random.pick(["unlimited", "3 seconds", "20 seconds"]),
  lateAfter: random.pick(["5 seconds", "500 millis"]),
  queueLimit: random.int(1, 5),
  catchUpLimit: random.int(1, 5),
  timeout: random.pick(["unlimited", "2 seconds", "8 seconds"]),
  maxRuns: random.pick(["unlimited", "unlimited", random.int(1, 8)]),
  pauseOnFailure: random.pick([false, false, 2])
})

const add = (minutes: number) =>
  Simulation.operation("add", (scheduler, random) => {
    const id = `task-${random.int(0, 5)}`
    const task = random.pick([Work, Work, Plain, Once])
    return Effect.as(
      scheduler.add(task, {
        id,
        payload: { seed: random.int(0, 1_000_000) },
        trigger: trigger(random, minutes),
        onConflict: random.pick(["keep", "update", "replace"]),
        ...policy(random)
      }),
      id
    )
  }, { weight: 2, atStart: 4 })

const update = Simulation.onSomeTask("update", (handle, random) =>
  handle.update(
    random.pick([
      () => policy(random),
      () => ({ priority: random.int(0, 5) }),
      () => ({ nextRunTime: start + random.int(0, 55_000) })
    ])()
  ))

const reschedule = (minutes: number) =>
  Simulation.onSomeTask("reschedule", (handle, random) => handle.reschedule(trigger(random, minutes)))

const runNow = Simulation.onSomeTask("runNow", (handle, random) =>
  handle.runNow({
    whenBusy: random.pick([undefined, "allow", "queue", "cancelPrevious"]),
    key: random.pick([undefined, "a", "b"])
  }), { weight: 2 })

const during = (minutes: number): Simulation.Options => ({
  duration: { minutes },
  operations: [
    add(minutes),
    update,
    reschedule(minutes),
    runNow,
    Simulation.pause,
    Simulation.resume,
    Simulation.cancel,
    Simulation.remove
  ],
  scheduler: { retention: { runs: 3 } }
})

export const options: Simulation.Options = during(1)

/** Long enough for what schedulers do each minute. */
export const long: Simulation.Options = during(5)

/** A store on a server, which has a clock of its own. */
export const clocked: Simulation.Options = {
  ...options,
  store: Effect.map(MemoryTaskStore.make, (store) => ({ ...store, time: Effect.succeed(start) }))
}

/** Tasks that are nearly always busy, and queue: an end and the next occurrence come close together. */
export const queueing: Simulation.Options = {
  ...options,
  faults: ["delay", "crash"],
  operations: [
    Simulation.operation("add", (scheduler, random) =>
      scheduler.add(Busy, {
        id: `task-${random.int(0, 5)}`,
        payload: { seed: random.int(0, 1_000_000) },
        trigger: Trigger.between(Trigger.every({ milliseconds: random.int(400, 1_500) }), { end: start + 60_000 }),
        onConflict: "keep",
        whenBusy: "queue"
      }), { weight: 0, atStart: 4 })
  ]
}

/** Tasks that share two keys, and are nearly always more than these have room for. */
export const keyed: Simulation.Options = {
  ...options,
  operations: [
    Simulation.operation("add", (scheduler, random) => {
      const id = `task-${random.int(0, 5)}`
      return Effect.as(
        scheduler.add(Keyed, {
          id,
          payload: { seed: random.int(0, 1_000_000), key: random.int(0, 2) },
          trigger: Trigger.between(Trigger.every({ milliseconds: random.int(900, 9_000) }), { end: start + 60_000 }),
          onConflict: random.pick(["keep", "update", "replace"]),
          priority: random.int(0, 2),
          ...policy(random)
        }),
        id
      )
    }, { weight: 2, atStart: 5 }),
    Simulation.operation("move", (scheduler, random) => {
      const id = `task-${random.int(0, 5)}`
      const payload = { seed: random.int(0, 1_000_000), key: random.int(0, 2) }
      return Effect.as(scheduler.handle(id, { task: Keyed }).update({ payload }), id)
    }),
    runNow,
    Simulation.pause,
    Simulation.resume,
    Simulation.cancel,
    Simulation.remove
  ]
}
