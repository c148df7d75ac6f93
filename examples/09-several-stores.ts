/**
 * Some tasks in a file and some in memory; some in a lane of their own.
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqliteTaskStore } from "@punctual/sql/sqlite"
import { Console, Effect, Layer, Schema } from "effect"
import { Executor, Executors, MemoryTaskStore, Task, TaskScheduler, TaskStores, Trigger } from "punctual"

// A durable store keeps definitions, payloads and times: a restart finds its handler by the tag.
const Invoice = Task.make("Invoice", { payload: { customer: Schema.String } })

const Invoices = Layer.mergeAll(
  Invoice.toLayer(({ customer }) => Console.log(`invoice for ${customer}`)),
  Task.layerScheduled(Invoice, {
    id: "invoice-acme",
    payload: { customer: "acme" },
    trigger: Trigger.every("3 seconds"),
    onConflict: "update"
  })
)

// Two at once, however many are due: an executor has a bound of its own, and is named by its alias.
const Thumbnail = Task.make("Thumbnail", { payload: { picture: Schema.Int }, executor: "pictures" })

const Thumbnails = Layer.mergeAll(
  Thumbnail.toLayer(({ picture }) => Effect.andThen(Console.log(`picture ${picture}`), Effect.sleep("1 second"))),
  ...[1, 2, 3, 4, 5].map((picture) =>
    Task.layerScheduled(Thumbnail, { id: `picture-${picture}`, payload: { picture }, store: "scratch" })
  )
)

// An effect of this process needs no definition. It ends with the process, so only a store that does the same takes it.
const Heartbeat = Layer.effectDiscard(
  TaskScheduler.TaskScheduler.use((scheduler) =>
    scheduler.addEffect(Console.log("still here"), {
      id: "heartbeat",
      trigger: Trigger.every("2 seconds"),
      store: "scratch"
    })
  )
)

export const App = Layer.mergeAll(Invoices, Thumbnails, Heartbeat)

export const executors = Executors.layer({
  default: Executor.layerFibers(),
  pictures: Executor.layerFibers({ name: "pictures", concurrency: 2 })
})

export const stores = (filename: string) =>
  TaskStores.layer({ default: SqliteTaskStore.layer({ filename }), scratch: MemoryTaskStore.layer })

const Main = TaskScheduler.layer(App, { executors }).pipe(Layer.provide(stores("several-stores.db")))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
