/**
 * One process that runs tasks of every second, for a long time: node measure.ts <store> <where> <tasks> <minutes> [virtual]
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as Trigger from "punctual/Trigger"
import { report } from "../harness.ts"
import { fresh, stores, tidy } from "../places.ts"

const [name = "", where = "", tasks = "", minutes = "", virtual] = process.argv.slice(2)
const count = Number(tasks)
const seconds = Math.max(3, Math.round(Number(minutes) * 60))
const { open, place } = stores[name as keyof typeof stores]
const prefix = fresh()

const heap = (): number => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 2 ** 20
}

interface Sample {
  readonly heap: number
  readonly handles: number
}

const sample = (): Sample => ({ heap: heap(), handles: process.getActiveResourcesInfo().length })

let runs = 0
const Work = Task.make("Work", { payload: { n: Schema.Int } })
const WorkLive = Work.toLayer(() =>
  Effect.sync(() => {
    runs++
  })
)

/** Virtual seconds take no time: each ends when its runs have. */
const second = (k: number) =>
  virtual === undefined
    ? Effect.sleep(1_000)
    : Effect.gen(function*() {
      yield* TestClock.adjust(1_000)
      const patience = performance.now() + 10_000
      while (runs < k * count) {
        if (performance.now() > patience) throw new Error(`after ${k} s there were ${runs} runs`)
        yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))
      }
    })

const program = Effect.gen(function*() {
  const store = yield* Effect.promise(() => open(where, prefix))
  const context = yield* Layer.build(
    TaskScheduler.layer(WorkLive, { start: "manual", drainTimeout: 0, retention: { runs: 10 } }).pipe(
      Layer.provide(store),
      Layer.provide(Logger.layer([]))
    )
  )
  const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
  // spread over the second that begins after all are there; under virtual time all of a second are run by its end
  const now = yield* Clock.currentTimeMillis
  const start = Math.ceil(now / 1_000 + (virtual === undefined ? 2 : 0)) * 1_000
  const entries = Array.from({ length: count }, (_, n) =>
    Task.scheduled(Work, {
      id: `task-${n}`,
      payload: { n },
      trigger: Trigger.every("1 second", { start: start + 1 + Math.floor(n * 998 / count) })
    }))
  yield* Effect.provideContext(scheduler.addAll(entries), context)
  yield* scheduler.start
  if (virtual === undefined) yield* Effect.sleep(start - (yield* Clock.currentTimeMillis))
  runs = 0
  const [cpu, begin] = [process.cpuUsage(), performance.now()]
  const tenth = Math.max(1, Math.floor(seconds / 10))
  const samples: Record<string, Sample> = {}
  for (let k = 1; k <= seconds; k++) {
    yield* second(k)
    if (k === tenth) samples["early"] = sample()
    if (k === Math.floor(seconds / 2)) samples["middle"] = sample()
  }
  const took = (performance.now() - begin) / 1_000
  const used = process.cpuUsage(cpu)
  const { early, middle } = samples as { readonly early: Sample; readonly middle: Sample }
  // the last runs of a busy machine are a little late; what is lost never comes
  const total = runs
  if (virtual === undefined) yield* Effect.sleep(1_000)
  const late = sample()
  return {
    runs: total,
    rate: total / took,
    early: early.heap,
    middle: middle.heap,
    late: late.heap,
    growth: late.heap / early.heap * 100,
    handlesEarly: early.handles,
    handlesLate: late.handles,
    client: (used.user + used.system) / 1_000 / took,
    lost: Math.max(0, seconds * count - runs)
  }
})

const figures = await Effect.runPromise(
  Effect.scoped(virtual === undefined ? program : Effect.provide(program, TestClock.layer()))
)
await tidy(place, where, prefix)
report(figures)
process.exit(0)
