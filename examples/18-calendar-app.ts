/**
 * A recurrence as a calendar program exports it (iCalendar, RFC 5545): the lines of the event, as they are.
 *
 * The text comes from outside, so it is read to a `Result`: a bad one fails the start, with the part that is wrong.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Schema } from "effect"
import { CurrentRun, MemoryTaskStore, RecurrenceRule, Task, TaskScheduler, Trigger } from "punctual"

export const event = `DTSTART;TZID=Europe/Berlin:20260106T183000
RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=TU
RDATE;TZID=Europe/Berlin:20260221T100000
EXDATE;TZID=Europe/Berlin:20260203T183000`

const Remind = Task.make("Remind", { payload: { what: Schema.String } })

const RemindLive = Remind.toLayer(
  Effect.fn("Remind")(function*({ what }) {
    const { dueAt } = yield* CurrentRun
    const local = DateTime.setZoneNamedUnsafe(dueAt, "Europe/Berlin")
    yield* Console.log(`${DateTime.formatIsoOffset(local).slice(0, 16)} in an hour: ${what}`)
  })
)

/** An hour before each rehearsal is the same rule, begun an hour earlier: triggers only move forward. */
const anHourBefore = (text: string) => text.replaceAll("T183000", "T173000").replaceAll("T100000", "T090000")

export const reminders = (text: string) =>
  Layer.unwrap(Effect.gen(function*() {
    const rule = yield* Effect.fromResult(RecurrenceRule.parse(anHourBefore(text)))
    const trigger = Trigger.rrule(rule)
    yield* Console.log(Trigger.format(trigger))
    return Task.layerScheduled(Remind, { id: "rehearsal", payload: { what: "rehearsal" }, trigger })
  }))

export const App = Layer.mergeAll(RemindLive, reminders(event))

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
