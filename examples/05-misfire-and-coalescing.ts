/**
 * What becomes of the times at which nobody was there.
 *
 * The scheduler runs for 10 seconds, is away for 30, and comes back to the same store. Nothing is forgotten, and each
 * task says itself what it wants to make up for.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Schema } from "effect"
import { CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

const Report = Task.make("Report", { payload: { wants: Schema.String }, trigger: Trigger.every("5 seconds") })

const ReportLive = Report.toLayer(
  Effect.fn("Report")(function*({ wants }) {
    const run = yield* CurrentRun
    yield* Console.log(`${DateTime.formatIso(run.scheduledAt).slice(14, 19)} ${wants}`)
  })
)

const Reports = Layer.mergeAll(
  // The default: several late ones are one, for the latest of the times.
  Task.layerScheduled(Report, { id: "latest", payload: { wants: "the latest" }, onConflict: "update" }),
  // All of them, one after another; of a long outage the newest 4.
  Task.layerScheduled(Report, {
    id: "all",
    payload: { wants: "the last 4" },
    coalesce: "none",
    catchUpLimit: 4,
    onConflict: "update"
  }),
  // Only what is at most 2 seconds late: the rest is missed.
  Task.layerScheduled(Report, {
    id: "fresh",
    payload: { wants: "the present" },
    misfireGrace: "2 seconds",
    onConflict: "update"
  })
)

export const App = Layer.mergeAll(ReportLive, Reports)

const session = Effect.provide(Effect.sleep("11 seconds"), TaskScheduler.layer(App))

export const program = Effect.gen(function*() {
  yield* session
  yield* Console.log("away for 30 seconds")
  yield* Effect.sleep("30 seconds")
  yield* Console.log("back again")
  yield* session
})

const Main = Effect.provide(program, MemoryTaskStore.layer)
if (import.meta.main) NodeRuntime.runMain(Main)
