/**
 * Days off: a calendar that is part data of the program, part a file from outside.
 *
 * At Easter 2026 nothing is sent from Good Friday to Easter Monday, and nothing on the day the office moves.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Result } from "effect"
import { Calendar, CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

const timeZone = "Europe/Berlin"

const germany = Calendar.make({
  timeZone,
  weekend: "sat,sun",
  holidays: [
    { date: "01-01", name: "Neujahr" },
    { date: "easter-2", name: "Karfreitag" },
    { date: "easter+1", name: "Ostermontag" },
    { date: "05-01", name: "Tag der Arbeit" },
    { date: "12-25/12-26", name: "Weihnachten" }
  ]
})

// What a calendar program exports; it may just as well come from a file or an address.
const office = Calendar.fromICalendar(
  `BEGIN:VCALENDAR
BEGIN:VEVENT
SUMMARY:We move
DTSTART;VALUE=DATE:20260408
END:VEVENT
END:VCALENDAR`,
  { timeZone }
)

export const calendar = Result.match(office, {
  onFailure: () => germany,
  onSuccess: (days) => Calendar.union(germany, days)
})

const Digest = Task.make("Digest")

const DigestLive = Digest.toLayer(
  Effect.fn("Digest")(function*() {
    const { scheduledAt } = yield* CurrentRun
    yield* Console.log(`digest of ${DateTime.formatIsoDate(scheduledAt)}`)
  })
)

const Daily = Task.layerScheduled(Digest, {
  id: "digest",
  trigger: Trigger.cron("0 9 * * *", { timeZone }).pipe(Trigger.except(calendar))
})

export const App = Layer.mergeAll(DigestLive, Daily)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
