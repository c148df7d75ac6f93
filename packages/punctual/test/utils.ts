/**
 * A small application and short words for tests of the scheduler.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Task from "../src/Task.ts"
import type { RunInfo, TaskInfo } from "../src/TaskInfo.ts"
import type { Counters } from "../src/TaskRecord.ts"
import type * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"

/** Thursday, midnight. */
export const start = "2026-01-01T00:00:00Z"

/** Milliseconds of an instant of the first day: `at("09:30")`, `at("09:30:05")`; of another with a date before it. */
export const at = (text: string): number =>
  Date.parse(text.includes("T") ? text : `2026-01-01T${text.length === 5 ? `${text}:00` : text}Z`)

/** `09:30`, with the date where it is not the first day, and with seconds where there are some. */
export const clock = (instant: DateTime.Utc): string => {
  const [day, time] = DateTime.formatIso(instant).slice(0, -1).split("T")
  const short = time!.replace(/\.000$/, "").replace(/(?<=\d\d:\d\d):00$/, "")
  return day === "2026-01-01" ? short : `${day} ${short}`
}

export const times = (runs: ReadonlyArray<RunInfo>): ReadonlyArray<string> => runs.map((run) => clock(run.scheduledAt))

export const nextTime = (info: TaskInfo): string | undefined =>
  Option.getOrUndefined(Option.map(info.nextRunTime, clock))

/** The counters that are not zero. */
export const counts = (counters: Counters): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(counters).filter(([name, count]) => name !== "exact" && count !== 0))

export class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

/** Answers at once. */
export const Echo = Task.make("Echo", { payload: { text: Schema.String }, success: Schema.String })

/** Takes as many minutes as it is told. */
export const Slow = Task.make("Slow", { payload: { minutes: Schema.Int }, success: Schema.Int })

/** Fails with what it is told. */
export const Fail = Task.make("Fail", { payload: { why: Schema.String }, error: Refused })

/** Needs nothing. */
export const Tick = Task.make("Tick")

/** Handlers of the four. */
export const Handlers = Layer.mergeAll(
  Echo.toLayer(({ text }) => Effect.succeed(text.toUpperCase())),
  Slow.toLayer(({ minutes }) => Effect.as(Effect.sleep(Duration.minutes(minutes)), minutes)),
  Fail.toLayer(({ why }) => Effect.fail(new Refused({ why }))),
  Tick.toLayer(() => Effect.void)
)

type Services = Layer.Success<typeof Handlers> | TaskScheduler.TaskScheduler | TestScheduler.TestScheduler

/** Runs a test beside the handlers, from `start` on. */
export const scheduled = <A, E>(
  test: Effect.Effect<A, E, Services>,
  options: Parameters<typeof TestScheduler.layer>[1] = {}
): Effect.Effect<A, unknown> =>
  Effect.provide(test, TestScheduler.layer(Handlers, { now: start, ...options } as { readonly now: string }))

export const hourly = Trigger.every("1 hour")
