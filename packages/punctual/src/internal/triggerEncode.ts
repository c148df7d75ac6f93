/**
 * From a trigger to its stored form.
 */
import * as DateTime from "effect/DateTime"
import type { CronExpression } from "../CronExpression.ts"
import type { EncodedTrigger, Trigger } from "../Trigger.ts"

export const weekdayNames = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const

const iso = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

const optional = <K extends string, A>(key: K, value: A | undefined): { readonly [P in K]?: A } =>
  value === undefined ? {} : { [key]: value } as { readonly [P in K]: A }

/** The part of a stored cron trigger that stands for its expression. */
export interface EncodedExpression {
  readonly expression: string
  readonly dayMatch?: "and"
}

const asWritten = (self: CronExpression): EncodedExpression => ({
  expression: self.text,
  ...optional("dayMatch", self.dayMatch === "and" ? "and" as const : undefined)
})

/** Encodes a trigger; `expression` decides how a cron expression is shown. */
export const encode = (
  trigger: Trigger,
  expression: (self: CronExpression) => EncodedExpression = asWritten
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
        ...expression(trigger.expression),
        timeZone: trigger.timeZone,
        ...optional("gap", trigger.gap),
        ...optional("overlap", trigger.overlap)
      }
    case "Union":
    case "Intersect":
      return { _tag: trigger._tag, triggers: trigger.triggers.map((member) => encode(member, expression)) }
    case "During":
      return {
        _tag: "During",
        trigger: encode(trigger.trigger, expression),
        timeZone: trigger.window.timeZone,
        ...optional("weekdays", trigger.window.weekdays),
        ...optional("dates", trigger.window.dates),
        ...optional("times", trigger.window.times)
      }
    case "Between":
      return {
        _tag: "Between",
        trigger: encode(trigger.trigger, expression),
        ...optional("start", trigger.start === undefined ? undefined : iso(trigger.start)),
        ...optional("end", trigger.end === undefined ? undefined : iso(trigger.end))
      }
    case "UpTo":
      return { _tag: "UpTo", trigger: encode(trigger.trigger, expression), count: trigger.count }
    case "Jittered":
      return { _tag: "Jittered", trigger: encode(trigger.trigger, expression), millis: trigger.width }
  }
}
