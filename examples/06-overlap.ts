/**
 * A run takes longer than the time to the next one: five answers.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Schema } from "effect"
import { CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

// Due every 2 seconds, and takes 5.
const Slow = Task.make("Slow", {
  payload: { policy: Schema.String },
  trigger: Trigger.every("2 seconds").pipe(Trigger.upTo(5))
})

const SlowLive = Slow.toLayer(
  Effect.fn("Slow")(function*({ policy }) {
    const run = yield* CurrentRun
    const say = (what: string) =>
      Effect.flatMap(DateTime.now, (now) => {
        const second = DateTime.getPartUtc(now, "second")
        return Console.log(`at ${second}: ${policy} ${what} ${DateTime.getPartUtc(run.scheduledAt, "second")}`)
      })
    yield* say("begins")
    yield* Effect.sleep("5 seconds").pipe(Effect.onInterrupt(() => say("is cancelled in")))
    yield* say("ends")
  })
)

const Policies = Layer.mergeAll(
  // The default: one at a time, and what comes meanwhile is left out.
  Task.layerScheduled(Slow, { id: "skip", payload: { policy: "skip" }, whenBusy: "skip" }),
  // One waits, the latest: nothing piles up.
  Task.layerScheduled(Slow, { id: "queue", payload: { policy: "queue" }, whenBusy: "queue" }),
  // All wait their turn, up to `queueLimit`.
  Task.layerScheduled(Slow, { id: "queueAll", payload: { policy: "queueAll" }, whenBusy: "queueAll" }),
  // Only the newest matters: the older run is interrupted.
  Task.layerScheduled(Slow, { id: "newest", payload: { policy: "cancelPrevious" }, whenBusy: "cancelPrevious" }),
  // Two at once, a third is left out. `whenBusy: "allow"` has no bound at all.
  Task.layerScheduled(Slow, { id: "two", payload: { policy: "two" }, maxInstances: 2 })
)

export const App = Layer.mergeAll(SlowLive, Policies)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
