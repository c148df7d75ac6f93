/**
 * Several processes, one schedule: each sets up and cleans up for itself, and each tick comes to one of them.
 *
 * Start it in three terminals. What they share is a folder.
 */
import { NodeRuntime } from "@effect/platform-node"
import { FileTaskStore } from "@punctual/node"
import { Console, Effect, Layer, Schema } from "effect"
import { MemoryTaskStore, Task, TaskScheduler, TaskStores, Trigger } from "punctual"

const say = (what: string) => Console.log(`${process.pid} ${what}`)

// Stored, so it is a definition: whichever process is free runs it, on what that process has set up.
const Tick = Task.make("Tick", { payload: { what: Schema.String } })

const TickLive = Tick.toLayer(Effect.gen(function*() {
  yield* Effect.acquireRelease(say("setup"), () => say("cleanup"))
  return ({ what }, run) => say(`tick ${run.dueAt.epochMilliseconds} ${what}`)
}))

// Each of them declares it, and there is one.
const Ticks = Task.layerScheduled(Tick, {
  id: "tick",
  payload: { what: "refresh" },
  trigger: Trigger.every("1 second"),
  onConflict: "update"
})

// Of this process, like what it says good-bye to: each process has one.
const Goodbye = Task.make("Goodbye")

const Goodbyes = Layer.mergeAll(
  Goodbye.toLayer(() => say("goodbye")),
  Task.layerScheduled(Goodbye, { id: "goodbye", trigger: Trigger.shutdown, store: "memory" })
)

export const App = Layer.mergeAll(TickLive, Ticks, Goodbyes)

export const stores = (directory: string) =>
  TaskStores.layer({ default: FileTaskStore.layer({ directory }), memory: MemoryTaskStore.layer })

const Main = TaskScheduler.layer(App).pipe(Layer.provide(stores(process.argv[2] ?? "24-tasks")))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
