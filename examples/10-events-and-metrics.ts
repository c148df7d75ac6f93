/**
 * What the scheduler does, as a stream of events, and what it counts, as Effect metrics.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Metric, Schema, Stream } from "effect"
import { MemoryTaskStore, type SchedulerEvent, Task, TaskScheduler, Trigger } from "punctual"

const Toss = Task.make("Toss", { error: Schema.String })

const Tosses = Layer.mergeAll(
  // Heads in even seconds.
  Toss.toLayer((_, run) =>
    DateTime.getPartUtc(run.scheduledAt, "second") % 2 === 0 ? Effect.void : Effect.fail("tails")
  ),
  Task.layerScheduled(Toss, { id: "toss", trigger: Trigger.every("1 second") })
)

// Events are told at most once, and a slow listener never slows the scheduler. The store is the truth.
const describe = (event: SchedulerEvent.SchedulerEvent): string => {
  switch (event._tag) {
    case "RunStarted":
      return `${event.run.taskId} started, ${event.lag} ms late`
    case "RunEnded":
      return `${event.run.taskId} ${event.run.state}`
    default:
      return event._tag
  }
}

const Journal = Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
  scheduler.events.pipe(
    Stream.runForEach((event) => Console.log(describe(event))),
    Effect.forkScoped({ startImmediately: true })
  )
))

// The same names reach Prometheus or OpenTelemetry through Effect's exporters.
const Totals = Layer.effectDiscard(
  Effect.gen(function*() {
    const metrics = yield* Metric.snapshot
    for (const metric of metrics) {
      if (metric.id !== "punctual_runs_total" || metric.type !== "Counter") continue
      yield* Console.log(`${metric.attributes?.["state"]} so far: ${metric.state.count}`)
    }
  }).pipe(Effect.delay("5500 millis"), Effect.forever, Effect.forkScoped)
)

export const App = Layer.mergeAll(Tosses, Journal, Totals)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
