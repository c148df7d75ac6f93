/**
 * One scheduler of a chaos run: `node worker.ts <store> <where> <file for its lines> <seed>`. It runs tasks until SIGTERM,
 * and adds some until SIGUSR2.
 */
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { openSync, writeSync } from "node:fs"
import { CurrentRun } from "punctual/CurrentRun"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as Trigger from "punctual/Trigger"
import { stores } from "./stores.ts"
import { lease, type Line, Mark, Once, Pair, Queue, recurring, Skip, storeTimeout, takes } from "./tasks.ts"

const [store, where, lines, seed] = process.argv.slice(2) as [string, string, string, string]

// written at once: a killed process takes what it has only buffered with it
const file = openSync(lines, "a")
const tell = (line: Line) => writeSync(file, `${JSON.stringify(line)}\n`)

const work = Effect.gen(function*() {
  const { fencingToken: token, id: run, tag, taskId: task } = yield* CurrentRun
  tell({ at: Date.now(), what: "begin", task, run, token })
  const share = yield* Random.next
  yield* Effect.sleep(Math.ceil(share * takes[tag]!)).pipe(
    Effect.onInterrupt(() => Effect.sync(() => tell({ at: Date.now(), what: "stop", task, run, token })))
  )
  tell({ at: Date.now(), what: "end", task, run, token })
})

let enough = false
process.on("SIGUSR2", () => {
  enough = true
})

/** One-off tasks, until a signal ends that; one whose answer did not come may be there or not, and is not told. */
const adding = Effect.gen(function*() {
  const scheduler = yield* TaskScheduler.TaskScheduler
  let n = 0
  yield* Effect.suspend(() => {
    const id = `once-${seed}-${n++}`
    return scheduler.add(Once, { id, payload: { text: id }, trigger: Trigger.now }).pipe(
      Effect.tap(() => Effect.sync(() => tell({ at: Date.now(), what: "added", task: id }))),
      Effect.ignore
    )
  }).pipe(
    Effect.repeat({ schedule: Schedule.spaced("100 millis"), while: () => !enough }),
    Effect.tapDefect((defect) => Effect.sync(() => process.stderr.write(`adding died: ${String(defect)}\n`)))
  )
})

const watching = Effect.gen(function*() {
  const scheduler = yield* TaskScheduler.TaskScheduler
  yield* Stream.runForEach(scheduler.events, (event) =>
    Effect.sync(() => {
      if (event._tag === "StoreUnavailable") tell({ at: Date.now(), what: "away", message: event.message })
      if (event._tag === "StoreRecovered") tell({ at: Date.now(), what: "recovered" })
    }))
})

const App = Layer.mergeAll(
  Skip.toLayer(() => work),
  Queue.toLayer(() => work),
  Pair.toLayer(() => work),
  Mark.toLayer(() => work),
  Once.toLayer(() => work),
  Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) => scheduler.addAll(recurring))),
  Layer.effectDiscard(Effect.forkScoped(watching, { startImmediately: true })),
  Layer.effectDiscard(Effect.forkScoped(adding))
)

const Scheduler = TaskScheduler.layer(App, {
  name: `worker-${seed}`,
  lease,
  storeTimeout,
  maxTakeovers: 1_000,
  drainTimeout: "5 seconds",
  pollInterval: "200 millis",
  retention: { runs: 10_000 }
}).pipe(
  Layer.provide(stores[store]!(where)),
  Layer.provide(Logger.layer([]))
)

const Started = Layer.effectDiscard(Effect.sync(() => tell({ at: Date.now(), what: "started" })))

// a server that is away now is back soon
const launch = Effect.retry(Layer.launch(Layer.provide(Started, Scheduler)), Schedule.spaced("200 millis"))

NodeRuntime.runMain(launch)
