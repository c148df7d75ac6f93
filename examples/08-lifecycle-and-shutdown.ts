/**
 * Set up once, tick now and then, clean up once. And: the order in which a program ends.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Ref } from "effect"
import { Lifecycle, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

// Setup before the first tick, cleanup after the last one: acquire and release, as everywhere in Effect.
const Cache = Lifecycle.layer("cache", {
  acquire: Effect.acquireRelease(
    Console.log("cache: opened").pipe(Effect.andThen(Ref.make(0))),
    (size) => Effect.flatMap(Ref.get(size), (n) => Console.log(`cache: closed with ${n} entries`))
  ),
  tick: (size) => Effect.flatMap(Ref.updateAndGet(size, (n) => n + 1), (n) => Console.log(`cache: ${n} entries`)),
  trigger: Trigger.every("2 seconds")
})

// Events of this scheduler, as triggers.
const Announce = Task.make("Announce")

const Announcements = Layer.mergeAll(
  Announce.toLayer((_, run) => Console.log(`announce: ${run.taskId}`)),
  Task.layerScheduled(Announce, { id: "good morning", trigger: Trigger.startup }),
  Task.layerScheduled(Announce, { id: "good night", trigger: Trigger.shutdown })
)

// Still at work when Ctrl-C comes, it is waited for: `drainTimeout` long.
const Work = Task.make("Work")

const Working = Layer.mergeAll(
  Work.toLayer(
    Effect.fn("Work")(function*() {
      yield* Console.log("work: begins")
      yield* Effect.sleep("3 seconds")
      yield* Console.log("work: ends")
    })
  ),
  Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("5 seconds") })
)

export const App = Layer.mergeAll(Cache, Announcements, Working)

const Main = TaskScheduler.layer(App, { drainTimeout: "10 seconds" }).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
