/**
 * Recurrence rules of iCalendar (RFC 5545) as values: read once, compared by meaning, printed in one way.
 *
 *     FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17          a rule, or
 *
 *     DTSTART;TZID=Europe/Berlin:20260105T090000 a block of lines: where it starts,
 *     RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE   the rule,
 *     RDATE;TZID=Europe/Berlin:20260210T090000   what is added
 *     EXDATE;TZID=Europe/Berlin:20260202T090000  and what is left out
 *
 * What a rule does not say comes from its start: `FREQ=MONTHLY` is the start's day and time of every month.
 *
 * `Trigger.rrule` makes a trigger of one.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import type { RecurrenceParseError } from "./internal/recurrenceError.ts"
import type * as model from "./internal/recurrenceModel.ts"
import * as internal from "./internal/recurrenceParse.ts"
import * as recurrenceText from "./internal/recurrenceText.ts"

export {
  /**
   * A recurrence that cannot be read, or can never occur.
   *
   * @category errors
   * @since 0.1.0
   */
  RecurrenceParseError
} from "./internal/recurrenceError.ts"

const TypeId = "~punctual/RecurrenceRule"

/**
 * A recurrence that was read.
 *
 * **Details**
 *
 * The fields are the parts of RFC 5545 §3.3.10, sorted, with an empty list for a part that is absent. `start` is DTSTART,
 * `included` RDATE and `excluded` EXDATE; `text` is the canonical text.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecurrenceRule extends Pipeable, Equal.Equal {
  readonly [TypeId]: typeof TypeId
  readonly text: string
  readonly frequency: Frequency
  readonly interval: number
  readonly count: number | undefined
  readonly until: RecurrenceDate | undefined
  readonly byMonth: ReadonlyArray<number>
  readonly byWeekNo: ReadonlyArray<number>
  readonly byYearDay: ReadonlyArray<number>
  readonly byMonthDay: ReadonlyArray<number>
  readonly byDay: ReadonlyArray<OrdinalWeekday>
  readonly byHour: ReadonlyArray<number>
  readonly byMinute: ReadonlyArray<number>
  readonly bySecond: ReadonlyArray<number>
  readonly bySetPos: ReadonlyArray<number>
  /** WKST; 0 = Sunday, and Monday unless the text says otherwise. */
  readonly weekStart: number
  readonly start: RecurrenceDate | undefined
  readonly included: ReadonlyArray<RecurrenceDate>
  readonly excluded: ReadonlyArray<RecurrenceDate>
}

/**
 * What a rule steps by.
 *
 * @category models
 * @since 0.1.0
 */
export type Frequency = "YEARLY" | "MONTHLY" | "WEEKLY" | "DAILY" | "HOURLY" | "MINUTELY" | "SECONDLY"

/**
 * A day of the week, 0 = Sunday. `ordinal` 0 means every one, 2 the second of the month or year, -1 the last.
 *
 * @category models
 * @since 0.1.0
 */
export interface OrdinalWeekday {
  readonly ordinal: number
  readonly weekday: number
}

/**
 * A date (`date: true`), or a date with a time.
 *
 * **Details**
 *
 * `local` is what the clock shows, in seconds since 1970-01-01 on that clock. Without a time zone it floats: it is read in
 * the zone of `DTSTART`, or in that of the trigger.
 *
 * @category models
 * @since 0.1.0
 */
export interface RecurrenceDate {
  readonly date: boolean
  readonly local: number
  readonly timeZone: string | undefined
}

const Proto = {
  [TypeId]: TypeId,
  [Equal.symbol](this: RecurrenceRule, that: unknown): boolean {
    return isRecurrenceRule(that) && recurrenceText.meaning(this) === recurrenceText.meaning(that)
  },
  [Hash.symbol](this: RecurrenceRule): number {
    return Hash.string(recurrenceText.meaning(this))
  },
  toString(this: RecurrenceRule): string {
    return this.text
  },
  toJSON(this: RecurrenceRule): unknown {
    return { _id: "RecurrenceRule", text: this.text }
  },
  [NodeInspectSymbol](this: RecurrenceRule): unknown {
    return { _id: "RecurrenceRule", text: this.text }
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

/**
 * Returns `true` if a value is a `RecurrenceRule`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRecurrenceRule = (u: unknown): u is RecurrenceRule => hasProperty(u, TypeId)

const make = (parsed: model.Recurrence): RecurrenceRule =>
  Object.freeze(Object.assign(Object.create(Proto), { ...parsed, text: recurrenceText.format(parsed) }))

/**
 * Reads a rule, with or without `RRULE:`, or a block of `DTSTART`, `RRULE`, `RDATE` and `EXDATE` lines.
 *
 * **When to use**
 *
 * Use it for text that comes from outside. It never throws, and the error names the part, the character and what may
 * stand there.
 *
 * **Details**
 *
 * Letter case, the order of parts and lines, line folding and the kind of line ends do not matter. What RFC 5545 §3.3.10
 * does not allow is refused, and so are a second `RRULE`, `EXRULE` and the `RSCALE` of RFC 7529.
 *
 * **Example**
 *
 * ```ts
 * import * as RecurrenceRule from "punctual/RecurrenceRule"
 * import * as Result from "effect/Result"
 *
 * const bad = RecurrenceRule.parse("FREQ=WEEKLY;BYDAY=MON,WED")
 * if (Result.isFailure(bad)) {
 *   console.log(bad.failure.message)
 *   // `MON` is not a day of the week (BYDAY, character 19): use SU, MO, TU, WE, TH, FR, SA, with 1-53 or -53 to -1 before it; did you mean `MO`?
 * }
 * ```
 *
 * @see {@link parseUnsafe} for literals
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<RecurrenceRule, RecurrenceParseError> =>
  Result.map(internal.parse(text), make)

/**
 * Reads a recurrence and throws the `RecurrenceParseError` of a bad one.
 *
 * @see {@link parse} for text that comes from outside
 * @category constructors
 * @since 0.1.0
 */
export const parseUnsafe = (text: string): RecurrenceRule => Result.getOrThrowWith(parse(text), (error) => error)

/**
 * Prints a recurrence as iCalendar text: parts in a fixed order, lists sorted, defaults left out, one line for each
 * property.
 *
 * **Details**
 *
 * A rule without start and dates is printed without `RRULE:`. What is printed is read back as an equal value.
 *
 * @category destructors
 * @since 0.1.0
 */
export const format = (self: RecurrenceRule): string => self.text
