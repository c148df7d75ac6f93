/**
 * What an operator does to a task that is scheduled: look, pause, resume, run now, reschedule, remove.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Option, Schema } from "effect"
import { MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

const Count = Task.make("Count", { payload: { from: Schema.Int }, success: Schema.Int })

const CountLive = Count.toLayer(({ from }) => Effect.as(Console.log(`counting from ${from}`), from + 1))

const operator = Effect.gen(function*() {
  const scheduler = yield* TaskScheduler.TaskScheduler
  const count = yield* scheduler.add(Count, { id: "count", payload: { from: 1 }, trigger: Trigger.every("2 seconds") })
  yield* Effect.sleep("5 seconds")

  // A paused task is kept and does not fire. What it leaves out is counted.
  yield* count.pause("the counter is being repaired")
  yield* Effect.sleep("4 seconds")
  const paused = yield* count.snapshot
  yield* Console.log(`${paused.state}: ${Option.getOrElse(paused.pauseNote, () => "")}`)

  // One run now, whatever the schedule says. Its result is typed, wherever it runs.
  const run = yield* count.runNow({ whenBusy: "queue" })
  yield* Console.log(`result: ${yield* run.await}`)

  const resumed = yield* count.resume
  const next = Option.map(resumed.nextRunTime, DateTime.formatIso)
  yield* Console.log(`${resumed.counters.paused} left out, next at ${Option.getOrElse(next, () => "no time")}`)

  // All of a change is checked, then all of it is applied.
  yield* count.update({ payload: { from: 10 }, misfireGrace: "1 minute" })
  yield* count.reschedule(Trigger.every("1 second"))
  yield* Effect.sleep("2500 millis")

  // From an id alone, as a command line would.
  yield* scheduler.handle("count").remove()
  yield* Console.log(`${(yield* scheduler.list()).items.length} tasks left`)
})

export const App = Layer.mergeAll(CountLive, Layer.effectDiscard(Effect.forkScoped(operator)))

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
