/**
 * Local times that stay local, also on the nights when clocks change.
 *
 * In Berlin the clock jumps from 02:00 to 03:00 on 29 March 2026, and falls back from 03:00 to 02:00 on 25 October.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Schema } from "effect"
import { CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

const timeZone = "Europe/Berlin"

const Ring = Task.make("Ring", { payload: { bell: Schema.String } })

const RingLive = Ring.toLayer(
  Effect.fn("Ring")(function*({ bell }) {
    const run = yield* CurrentRun
    const local = DateTime.setZoneNamedUnsafe(run.scheduledAt, timeZone)
    yield* Console.log(`${DateTime.formatIsoOffset(local)} ${bell}`)
  })
)

// Nine o'clock is nine o'clock, in summer and in winter.
const Standup = Task.layerScheduled(Ring, {
  id: "standup",
  payload: { bell: "standup" },
  trigger: Trigger.cron("0 9 * * MON-FRI", { timeZone })
})

// 02:30 does not exist in one night and exists twice in another. A fixed time runs once each night, all the same.
const Backup = Task.layerScheduled(Ring, {
  id: "backup",
  payload: { bell: "backup" },
  trigger: Trigger.cron("30 2 * * *", { timeZone })
})

// Said otherwise, it does otherwise: no chime in a night without 02:30, two in the night with two.
const Chime = Task.layerScheduled(Ring, {
  id: "chime",
  payload: { bell: "chime" },
  trigger: Trigger.cron("30 2 * * SUN", { timeZone, gap: "skip", overlap: "both" })
})

export const App = Layer.mergeAll(RingLive, Standup, Backup, Chime)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
