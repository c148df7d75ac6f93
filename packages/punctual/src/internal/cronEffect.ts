/**
 * To and from Effect's own `Cron`.
 *
 * Both read the same calendar, so in UTC the times are the same. Where clocks change, Effect has a policy for repeated times
 * only, the same for fixed and wild expressions, and moves a skipped time by the length of the gap:
 *
 *     onDstOverlap  "earlier" "later" "both"      =   overlap  "first" "second" "both"
 *     (always)                                    =   gap      "shift"
 */
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { CronOptions, Trigger } from "../Trigger.ts"
import { compress, type Parsed } from "./cronModel.ts"
import { InvalidTrigger, show } from "./triggerModel.ts"

const overlaps = { earlier: "first", later: "second", both: "both" } as const

const policies = { first: "earlier", second: "later", both: "both" } as const

/** The text of a field; no values stand for all of them. */
const field = (values: Iterable<number>): string => compress(Array.from(values)) || "*"

/** How the days combine is not in the type, only in what a `Cron` shows of itself. */
const and = (cron: Cron.Cron): boolean => (cron.toJSON() as { readonly and: boolean }).and

/** An expression and the options that go with it. */
export const read = (cron: Cron.Cron): { readonly expression: string; readonly options: CronOptions } => ({
  expression: [
    // Without them the text has five fields.
    ...(cron.seconds.size === 1 && cron.seconds.has(0) ? [] : [field(cron.seconds)]),
    field(cron.minutes),
    field(cron.hours),
    field(cron.days),
    field(cron.months),
    field(cron.weekdays)
  ].join(" "),
  options: {
    timeZone: Option.match(cron.tz, { onNone: () => "UTC", onSome: DateTime.zoneToString }),
    gap: "shift",
    overlap: overlaps[cron.onDstOverlap],
    dayMatch: and(cron) ? "and" : "or"
  }
})

const restricted = (values: ReadonlyArray<number>, size: number): ReadonlyArray<number> =>
  values.length === size ? [] : values

/** Why Effect's `Cron` cannot say it. */
const beyond = (self: Parsed): string | undefined =>
  self.dayRules.length > 0 || self.weekdayRules.length > 0
    ? "days such as L, 15W or MON#2"
    : self.years !== undefined
    ? "years"
    : self.weeks !== undefined
    ? "weeks"
    : self.hashes.length > 0
    ? "H"
    : undefined

export const write = (trigger: Trigger): Result.Result<Cron.Cron, InvalidTrigger> => {
  const fail = (problem: string) => Result.fail(new InvalidTrigger({ reason: "cron", input: show(trigger), problem }))
  if (trigger._tag !== "Cron") return fail("only a trigger made by `cron` can be a Cron of Effect")
  const { expression, overlap } = trigger
  const reason = beyond(expression)
  if (reason !== undefined) return fail(`a Cron of Effect has no ${reason}: \`${expression.text}\` stays a trigger`)
  const days = restricted(expression.days, 31)
  const weekdays = restricted(expression.weekdays, 7)
  const both = days.length > 0 && weekdays.length > 0
  return Result.succeed(Cron.make({
    seconds: restricted(expression.seconds, 60),
    minutes: restricted(expression.minutes, 60),
    hours: restricted(expression.hours, 24),
    // Where either is enough and one has every day, neither is a restriction.
    days: both || !expression.either ? days : [],
    months: restricted(expression.months, 12),
    weekdays: both || !expression.either ? weekdays : [],
    and: both && !expression.either,
    tz: Option.getOrUndefined(DateTime.zoneFromString(trigger.timeZone)),
    onDstOverlap: policies[overlap ?? (expression.wild ? "both" : "first")]
  }))
}
