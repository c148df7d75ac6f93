/**
 * Named locks: of everybody who shares one, one at a time works; a task that finds it taken does without.
 */
import { NodeRuntime } from "@effect/platform-node"
import { FileLock } from "@punctual/node"
import { Console, Effect, Layer, Option } from "effect"
import { Lock, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

// Writes for three seconds, every five, and waits for its turn, though not for long.
const Export = Task.make("Export")

const ExportLive = Export.toLayer(
  Effect.fn("Export")(function*() {
    const lock = yield* Lock.Lock
    const write = Effect.andThen(Console.log("export: begins"), Effect.sleep("3 seconds"))
    yield* lock.withLock("report", { timeout: "2 seconds" })(write).pipe(
      Effect.andThen(Console.log("export: ends")),
      Effect.catchTag("LockTimeout", (error) => Console.log(`export: ${error.timeout} ms were not enough`))
    )
  }, Effect.orDie) // a lock that is lost, or a full disk, fails the run
)

// Every three seconds, but never while somebody writes: it comes again soon.
const Tidy = Task.make("Tidy")

const TidyLive = Tidy.toLayer(
  Effect.fn("Tidy")(function*() {
    const lock = yield* Lock.Lock
    const done = yield* lock.withLockIfAvailable("report")(Console.log("tidy: done"))
    if (Option.isSome(done)) return
    const holder = yield* lock.holder("report")
    yield* Console.log(
      `tidy: not now, ${Option.match(holder, { onNone: () => "nobody", onSome: (it) => it.identity })} writes`
    )
  }, Effect.orDie)
)

export const App = Layer.mergeAll(
  ExportLive,
  TidyLive,
  Task.layerScheduled(Export, { id: "export", trigger: Trigger.every("5 seconds") }),
  Task.layerScheduled(Tidy, { id: "tidy", trigger: Trigger.every("3 seconds") })
)

// Start it twice: two processes, one lock. Kill one with -9: its lock is free at once.
const Main = TaskScheduler.layer(App).pipe(
  Layer.provide(MemoryTaskStore.layer),
  Layer.provide(FileLock.layer({ path: "/tmp/punctual-example-{name}.lock" }))
)
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
