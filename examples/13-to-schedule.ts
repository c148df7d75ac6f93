/**
 * A trigger without a scheduler: any Effect can be repeated by one, in this process, for as long as it lives.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Option } from "effect"
import { Trigger } from "punctual"

// A trigger is a value: asked, printed and compared without any clock.
const office = Trigger.cron("*/20 * * * *", { timeZone: "Europe/Berlin" }).pipe(
  Trigger.during({ timeZone: "Europe/Berlin", weekdays: "mon-fri", times: "09:00-17:00" })
)

export const sooner = Trigger.every("1 second").pipe(Trigger.upTo(3))

export const program = Effect.gen(function*() {
  yield* Console.log(Trigger.format(office))
  const now = yield* DateTime.now
  const next = Trigger.next(office, now)
  yield* Console.log(
    `next ${Option.match(next, { onNone: () => "never", onSome: ({ due }) => DateTime.formatIso(due) })}`
  )

  // `repeat` runs the effect once, then at each occurrence: measured from the first, so that nothing drifts.
  const tick = Effect.flatMap(DateTime.now, (time) => Console.log(`tick ${DateTime.formatIso(time)}`))
  yield* Effect.repeat(tick, Trigger.toSchedule(sooner))
  yield* Console.log("done")
})

if (import.meta.main) NodeRuntime.runMain(program)
