/**
 * From a trigger to its stored form.
 */
import * as DateTime from "effect/DateTime"
import type { CronExpression } from "../CronExpression.ts"
import type { RecurrenceRule } from "../RecurrenceRule.ts"
import type { EncodedTrigger, Trigger } from "../Trigger.ts"
import { encodeCalendar } from "./calendarEncode.ts"

export const weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const

const iso = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

const optional = <K extends string, A>(key: K, value: A | undefined): { readonly [P in K]?: A } =>
  value === undefined ? {} : { [key]: value } as { readonly [P in K]: A }

/** Encodes a trigger; `textOf` decides how a cron expression or a recurrence rule is shown. */
export const encode = (
  trigger: Trigger,
  textOf: (self: CronExpression | RecurrenceRule) => string = (self) => self.text
): EncodedTrigger => {
  switch (trigger._tag) {
    case "Never":
    case "Now":
    case "Startup":
    case "Shutdown":
      return { _tag: trigger._tag }
    case "At":
      return { _tag: "At", instant: iso(trigger.instant) }
    case "Every":
      return {
        _tag: "Every",
        millis: trigger.period,
        ...optional("start", trigger.start === undefined ? undefined : iso(trigger.start)),
        ...optional("immediately", trigger.immediately ? true as const : undefined)
      }
    case "Cron":
      return {
        _tag: "Cron",
        expression: textOf(trigger.expression),
        timeZone: trigger.timeZone,
        ...optional("gap", trigger.gap),
        ...optional("overlap", trigger.overlap)
      }
    case "Defined":
      return { _tag: "Defined", name: trigger.name, parameters: trigger.parameters }
    case "Union":
    case "Intersect":
      return { _tag: trigger._tag, triggers: trigger.triggers.map((member) => encode(member, textOf)) }
    case "During":
      return {
        _tag: "During",
        trigger: encode(trigger.trigger, textOf),
        timeZone: trigger.window.timeZone,
        ...optional("weekdays", trigger.window.weekdays),
        ...optional("dates", trigger.window.dates),
        ...optional("times", trigger.window.times)
      }
    case "Between":
      return {
        _tag: "Between",
        trigger: encode(trigger.trigger, textOf),
        ...optional("start", trigger.start === undefined ? undefined : iso(trigger.start)),
        ...optional("end", trigger.end === undefined ? undefined : iso(trigger.end))
      }
    case "UpTo":
      return { _tag: "UpTo", trigger: encode(trigger.trigger, textOf), count: trigger.count }
    case "CalendarEvery":
      return {
        _tag: "CalendarEvery",
        [trigger.unit]: trigger.count,
        at: trigger.at,
        timeZone: trigger.timeZone,
        ...optional("start", trigger.start),
        ...optional("shortMonths", trigger.shortMonths === "skip" ? "skip" as const : undefined),
        ...optional("gap", trigger.gap),
        ...optional("overlap", trigger.overlap)
      }
    case "Rrule":
      return { _tag: "Rrule", rule: textOf(trigger.rule), timeZone: trigger.timeZone }
    case "Except":
      return {
        _tag: "Except",
        trigger: encode(trigger.trigger, textOf),
        that: encode(trigger.that, textOf)
      }
    case "ExceptDays":
      return {
        _tag: "ExceptDays",
        trigger: encode(trigger.trigger, textOf),
        calendar: encodeCalendar(trigger.calendar)
      }
    case "Rolled":
      return {
        _tag: "Rolled",
        trigger: encode(trigger.trigger, textOf),
        calendar: encodeCalendar(trigger.calendar),
        direction: trigger.direction
      }
    case "Delayed":
      return { _tag: "Delayed", trigger: encode(trigger.trigger, textOf), millis: trigger.delay }
    case "Jittered":
      return { _tag: "Jittered", trigger: encode(trigger.trigger, textOf), millis: trigger.width }
  }
}
