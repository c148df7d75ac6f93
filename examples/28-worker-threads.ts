/**
 * Code that computes runs in threads: it holds up nothing else, and stops when its time is up, whatever it is at.
 */
import { NodeRuntime } from "@effect/platform-node"
import { WorkerExecutor } from "@punctual/node"
import { Console, Effect, Layer, Option, Stream } from "effect"
import { Executor, Executors, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"
import { Largest, Primes } from "./workers/primes.ts"

// Tasks whose handlers are elsewhere: that an executor handles them is what makes this program complete.
const Sums = Layer.mergeAll(
  Task.layerScheduled(Largest, { id: "largest", trigger: Trigger.now }),
  ...[10_000, 200_000, 1_000_000].map((below) =>
    Task.layerScheduled(Primes, { id: `below ${below}`, payload: { below }, trigger: Trigger.now })
  )
)

// Meanwhile this thread is on time.
const Tick = Task.make("Tick")
const Ticks = Layer.mergeAll(
  Tick.toLayer((_, { dueAt }) => Effect.log(`tick ${dueAt.epochMilliseconds}`)),
  Task.layerScheduled(Tick, { id: "tick", trigger: Trigger.every("1 second") })
)

const Journal = Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
  scheduler.events.pipe(
    Stream.runForEach(Effect.fnUntraced(function*(event) {
      if (event._tag !== "RunEnded" || event.run.taskId === "tick") return
      const exit = event.run.taskId === "largest" ? Option.none() : yield* Task.decodeExit(Primes, event.run)
      const result = Option.isSome(exit) && exit.value._tag === "Success" ? `: ${exit.value.value}` : ""
      yield* Console.log(`${event.run.taskId} ${event.run.state}${result}`)
    })),
    Effect.forkScoped({ startImmediately: true })
  )
))

export const App = Layer.mergeAll(Sums, Ticks, Journal)

export const executors = Executors.layer({
  default: Executor.layerFibers(),
  threads: WorkerExecutor.layer({
    module: new URL("./workers/primes.ts", import.meta.url),
    handles: [Primes, Largest],
    max: 2,
    grace: "500 millis" // a handler that has not ended by then is ended with its thread
  })
})

const Main = TaskScheduler.layer(App, { executors }).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
