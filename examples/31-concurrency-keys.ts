/**
 * One customer's flood is not everybody's: two reports of each at once, over all processes, and the others go on.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect, Layer, Schema } from "effect"
import { MemoryTaskStore, Task, TaskScheduler } from "punctual"

const Report = Task.make("Report", {
  payload: { customer: Schema.String, page: Schema.Int },
  concurrencyKey: ({ customer }) => customer === "us" ? undefined : customer, // what we ask for ourselves waits for nobody
  concurrencyLimit: 2
})

const ReportLive = Report.toLayer(
  Effect.fn("Report")(function*({ customer, page }) {
    yield* Effect.sleep("1 second")
    const second = Math.round((yield* Clock.currentTimeMillis) / 1000) % 60
    yield* Console.log(`${second} s: page ${page} for ${customer}`)
  })
)

const ask = (customer: string, pages: number, options: { readonly priority?: number } = {}) =>
  Array.from({ length: pages }, (_, page) => Task.scheduled(Report, { payload: { customer, page }, ...options }))

const Orders = Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
  scheduler.addAll([
    ...ask("acme", 5),
    ...ask("beta", 1),
    ...ask("us", 3),
    // In the line of its key what is urgent comes first; what began goes on.
    ...ask("acme", 1, { priority: 10 })
  ])
))

export const App = Layer.mergeAll(ReportLive, Orders)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
