/**
 * A lifecycle as one generator: setup, a `yield` for each tick, cleanup.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Lifecycle, MemoryTaskStore, TaskScheduler, Trigger } from "punctual"

// A bare `yield` waits for the next tick, and answers whether to go on.
const Plain = Lifecycle.fromGenerator("plain", function*() {
  let ticks = 0
  let running = yield
  while (running) {
    ticks++
    running = yield
  }
  yield* Console.log(`plain: ${ticks} ticks`)
}, { trigger: Trigger.every("2 seconds") })

// `yield*` carries out an effect. What must be cleaned up whatever happens belongs in `finally`, as everywhere.
const WithEffects = Lifecycle.fromGenerator("effects", function*() {
  yield* Console.log("effects: setup")
  try {
    while (yield) {
      yield* Effect.sleep("1 second")
      yield* Console.log("effects: tick")
    }
  } finally {
    yield* Console.log("effects: cleanup")
  }
}, { trigger: Trigger.every("2 seconds"), after: ["plain"] })

export const App = Layer.mergeAll(Plain, WithEffects)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
