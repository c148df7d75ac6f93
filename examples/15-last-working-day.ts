/**
 * The last working day of each month, 17:00: the last day, or the open day before it when it is a day off.
 *
 * `scheduledAt` stays the day the rule names, so a report of January is one of January, whenever it is written.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer } from "effect"
import { Calendar, CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

const timeZone = "Europe/London"

const workdays = Calendar.make({
  timeZone,
  weekend: "sat,sun",
  holidays: ["01-01 substitute", "easter-2", "easter+1", "12-25 substitute", "12-26 substitute"]
})

const lastWorkingDay = Trigger.cron("0 17 L * *", { timeZone }).pipe(Trigger.rolled(workdays, "previous"))

const Report = Task.make("Report")

const ReportLive = Report.toLayer(
  Effect.fn("Report")(function*() {
    const { dueAt, scheduledAt } = yield* CurrentRun
    yield* Console.log(
      `${DateTime.formatIsoDate(dueAt)}: report of the month to ${DateTime.formatIsoDate(scheduledAt)}`
    )
  })
)

const Monthly = Task.layerScheduled(Report, { id: "report", trigger: lastWorkingDay })

// A quarter of an hour later, so that the report is there.
const Check = Task.make("Check")
const CheckLive = Check.toLayer(() => Console.log("is it there?"))
const Checked = Task.layerScheduled(Check, {
  id: "check",
  trigger: lastWorkingDay.pipe(Trigger.delayed("15 minutes"))
})

export const App = Layer.mergeAll(ReportLive, Monthly, CheckLive, Checked)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
