/**
 * The smallest program: a task, who handles it, and when.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Layer } from "effect"
import { MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

// What there is to do. A task is a value: it can be shared, and scheduled any number of times.
const Hello = Task.make("Hello")

// Who does it.
const HelloLive = Hello.toLayer(() => Console.log("Hello!"))

// When: this copy of the task is known by its id.
const EverySecond = Task.layerScheduled(Hello, { id: "hello", trigger: Trigger.every("1 second") })

export const App = Layer.mergeAll(HelloLive, EverySecond)

// The scheduler takes the application, and a store that remembers what is scheduled. Ctrl-C ends it.
const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
