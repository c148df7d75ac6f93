/**
 * What may crash runs in processes of its own: the program goes on, the run is begun again in a new one, and what ends
 * every process is abandoned.
 */
import { NodeRuntime } from "@effect/platform-node"
import { ProcessExecutor } from "@punctual/node"
import { Console, Effect, Layer, Option, Stream } from "effect"
import { Executor, Executors, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"
import { Convert } from "./workers/fragile.ts"

const Pictures = Layer.mergeAll(
  Task.layerScheduled(Convert, { id: "cat", payload: { picture: "cat.bmp", crashes: 0 }, trigger: Trigger.now }),
  Task.layerScheduled(Convert, { id: "dog", payload: { picture: "dog.bmp", crashes: 1 }, trigger: Trigger.now }),
  Task.layerScheduled(Convert, { id: "bug", payload: { picture: "bug.bmp", crashes: 99 }, trigger: Trigger.now }),
  // Nobody knows how far it came: what must not be done twice is not begun again.
  Task.layerScheduled(Convert, {
    id: "owl",
    payload: { picture: "owl.bmp", crashes: 1 },
    trigger: Trigger.now,
    delivery: "atMostOnce"
  })
)

const Journal = Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
  scheduler.events.pipe(
    Stream.runForEach(Effect.fnUntraced(function*(event) {
      if (event._tag !== "RunEnded") return
      const exit = yield* Task.decodeExit(Convert, event.run)
      const result = Option.isSome(exit) && exit.value._tag === "Success" ? `: ${exit.value.value.picture}` : ""
      yield* Console.log(`${event.run.taskId} ${event.run.state} in attempt ${event.run.attempt}${result}`)
    })),
    Effect.forkScoped({ startImmediately: true })
  )
))

export const App = Layer.mergeAll(Pictures, Journal)

export const executors = Executors.layer({
  default: Executor.layerFibers(),
  isolated: ProcessExecutor.layer({
    module: new URL("./workers/fragile.ts", import.meta.url),
    handles: [Convert],
    max: 2
  })
})

const Main = TaskScheduler.layer(App, { executors }).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
