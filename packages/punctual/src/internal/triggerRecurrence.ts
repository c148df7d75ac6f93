/**
 * From what people write to a trigger of a recurrence rule.
 */
import * as Result from "effect/Result"
import * as RecurrenceRule from "../RecurrenceRule.ts"
import type { RruleOptions, Trigger } from "../Trigger.ts"
import { readDate } from "./recurrenceLines.ts"
import { startingAt as withStart } from "./recurrenceParse.ts"
import { format } from "./recurrenceText.ts"
import { checkKeys, zone } from "./triggerInput.ts"
import * as model from "./triggerModel.ts"

const read = (text: string): RecurrenceRule.RecurrenceRule => {
  const parsed = RecurrenceRule.parse(text)
  if (Result.isSuccess(parsed)) return parsed.success
  const error = parsed.failure
  throw new model.InvalidTrigger({ reason: "rrule", input: model.show(text), problem: error.message, rrule: error })
}

const startPattern = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?)?$/i

/** The rule with a start of its own, in local time of a zone. */
const startingAt = (
  rule: RecurrenceRule.RecurrenceRule,
  start: string,
  timeZone: string
): RecurrenceRule.RecurrenceRule => {
  if (rule.start !== undefined) {
    return model.refuse(
      "rrule",
      start,
      "the text has a DTSTART, so `start` cannot be given as well: leave one of them out"
    )
  }
  const match = typeof start === "string" ? startPattern.exec(start.trim()) : null
  const [, year, month, day, hour, minute, second = "00"] = match ?? []
  const date = match === null
    ? undefined
    : readDate(`${year}${month}${day}${hour === undefined ? "" : `T${hour}${minute}${second}`}`)
  if (date === undefined) {
    return model.refuse(
      "rrule",
      start,
      `\`${
        model.show(start)
      }\` is not a local date or time: write \`start\` as 2026-01-05T09:00 or 2026-01-05, and its zone as \`timeZone\``
    )
  }
  return read(format(withStart(rule, date, timeZone)))
}

export const rrule = (rule: string | RecurrenceRule.RecurrenceRule, options: RruleOptions | undefined): Trigger => {
  checkKeys(options, ["timeZone", "start"], "rrule")
  let value = RecurrenceRule.isRecurrenceRule(rule)
    ? rule
    : typeof rule === "string"
    ? read(rule)
    : model.refuse(
      "rrule",
      rule,
      "a recurrence rule is text, such as \"FREQ=MONTHLY;BYDAY=-1FR\", or a `RecurrenceRule`"
    )
  if (options?.start !== undefined) value = startingAt(value, options.start, zone(options.timeZone ?? "UTC").id)
  const own = value.start?.timeZone
  const timeZone = zone(options?.timeZone ?? own ?? "UTC").id
  if (own !== undefined && options?.timeZone !== undefined && timeZone !== own) {
    model.refuse(
      "rrule",
      timeZone,
      `DTSTART is in ${own}, so \`timeZone: "${timeZone}"\` says something else: leave one of them out`
    )
  }
  return model.rrule(value, timeZone)
}
