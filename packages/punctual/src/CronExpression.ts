/**
 * Cron expressions as values: read once, compared by meaning, printed back as written.
 *
 *     ┌──────────── second (optional)       0-59
 *     │ ┌────────── minute                  0-59
 *     │ │ ┌──────── hour                    0-23
 *     │ │ │ ┌────── day of month            1-31, L, L-3, LW, 15W, last, 2nd-mon
 *     │ │ │ │ ┌──── month                   1-12 or JAN-DEC
 *     │ │ │ │ │ ┌── day of week             0-7 or SUN-SAT (0 and 7 are Sunday), MON#2, FRI#L
 *     │ │ │ │ │ │ ┌ year (optional, after seconds)   1970-9999
 *     * * * * * * *
 *
 * Every field takes `*`, a value, a range `a-b`, a step `*\/n`, `a/n`, `a-b/n`, and lists of them. A range may go around
 * the end: `FRI-MON`, `22-2`. `H` is a value that the id of the task decides. Macros: `@yearly`, `@annually`, `@monthly`,
 * `@weekly`, `@daily`, `@midnight`, `@hourly`.
 *
 * An expression says nothing about time zones; `Trigger.cron` adds one.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { NodeInspectSymbol } from "effect/Inspectable"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import type { CronParseError } from "./internal/cronField.ts"
import { type DayRule, type HashRange, meaning, type Parsed } from "./internal/cronModel.ts"
import * as named from "./internal/cronObject.ts"
import * as internal from "./internal/cronParse.ts"

export {
  /**
   * A cron expression that cannot be read, or can never fire.
   *
   * @category errors
   * @since 0.1.0
   */
  CronParseError
} from "./internal/cronField.ts"

export type {
  /**
   * A day that has a different number in each month: `L`, `15W`, `MON#2`.
   *
   * @category models
   * @since 0.1.0
   */
  DayRule,
  /**
   * `H`: a value that the id of the task decides.
   *
   * @category models
   * @since 0.1.0
   */
  HashRange
} from "./internal/cronModel.ts"

const TypeId = "~punctual/CronExpression"

/**
 * A cron expression that was read and can fire.
 *
 * **Details**
 *
 * The lists are sorted and complete: `*` is written out, except for `years` and `weeks`, where `undefined` is all of them.
 * Days that have another number in each month are in `dayRules` and `weekdayRules`, and what the id of a task decides is in
 * `hashes`. `either` is the combination of the two day fields that applies: `true` when one of them is enough. `wild` tells
 * that the minute or the hour begins with `*`, in which case the expression follows real time through a change of clocks.
 *
 * `text` says all of it: it is the expression as it was written, in capitals and with single blanks; a macro stays one.
 *
 * @category models
 * @since 0.1.0
 */
export interface CronExpression extends Pipeable, Equal.Equal {
  readonly [TypeId]: typeof TypeId
  readonly text: string
  readonly dayMatch: DayMatch
  readonly seconds: ReadonlyArray<number>
  readonly minutes: ReadonlyArray<number>
  readonly hours: ReadonlyArray<number>
  readonly days: ReadonlyArray<number>
  readonly dayRules: ReadonlyArray<DayRule>
  readonly months: ReadonlyArray<number>
  readonly weekdays: ReadonlyArray<number>
  readonly weekdayRules: ReadonlyArray<DayRule>
  readonly weeks: ReadonlyArray<number> | undefined
  readonly years: ReadonlyArray<number> | undefined
  readonly hashes: ReadonlyArray<HashRange>
  readonly either: boolean
  readonly wild: boolean
}

/**
 * How the day of month and the day of week combine.
 *
 * **Details**
 *
 * - `"or"` (default) is Vixie's rule: when both fields are restricted one of them is enough, so `0 0 13 * FRI` runs on
 *   every 13th and on every Friday. A field that begins with `*` is no restriction, so a step such as `*\/2` there must
 *   hold together with the other field.
 * - `"and"`: both must hold, so `0 0 13 * FRI` runs on Friday the 13th. The text says so with a plus: `0 0 13 * +FRI`.
 *
 * An option decides; without one the text does.
 *
 * @category models
 * @since 0.1.0
 */
export type DayMatch = "or" | "and"

const Proto = {
  [TypeId]: TypeId,
  [Equal.symbol](this: CronExpression, that: unknown): boolean {
    return isCronExpression(that) && meaning(this) === meaning(that)
  },
  [Hash.symbol](this: CronExpression): number {
    return Hash.string(meaning(this))
  },
  toString(this: CronExpression): string {
    return this.text
  },
  toJSON(this: CronExpression): unknown {
    return { _id: "CronExpression", text: this.text, dayMatch: this.dayMatch }
  },
  [NodeInspectSymbol](this: CronExpression): unknown {
    return { _id: "CronExpression", text: this.text, dayMatch: this.dayMatch }
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

/**
 * Returns `true` if a value is a `CronExpression`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCronExpression = (u: unknown): u is CronExpression => hasProperty(u, TypeId)

const fromParsed = (parsed: Parsed): CronExpression => Object.freeze(Object.assign(Object.create(Proto), parsed))

/**
 * Reads a cron expression: five fields, six with seconds first, seven with the year last, or a macro.
 *
 * **When to use**
 *
 * Use it for text that comes from outside. It never throws, and the error names the field, the character and what may
 * stand there.
 *
 * **Details**
 *
 * An expression that can never fire, such as `0 0 30 2 *`, is refused here. `@every 5m` and `@reboot` are no times of a
 * calendar; the error says what they are.
 *
 * **Example**
 *
 * ```ts
 * import * as CronExpression from "punctual/CronExpression"
 * import * as Result from "effect/Result"
 *
 * const bad = CronExpression.parse("0 9 * * MOM")
 * if (Result.isFailure(bad)) {
 *   console.log(bad.failure.message)
 *   // `MOM` is not a day of week (field 5, character 9): use 0-7 or SUN-SAT; did you mean `MON`?
 * }
 * ```
 *
 * @see {@link parseUnsafe} for literals
 * @see {@link make} for the form with names of fields
 * @category constructors
 * @since 0.1.0
 */
export const parse = (
  text: string,
  options?: { readonly dayMatch?: DayMatch | undefined }
): Result.Result<CronExpression, CronParseError> => Result.map(internal.parse(text, options?.dayMatch), fromParsed)

/**
 * Reads a cron expression and throws the `CronParseError` of a bad one.
 *
 * @see {@link parse} for text that comes from outside
 * @category constructors
 * @since 0.1.0
 */
export const parseUnsafe = (
  text: string,
  options?: { readonly dayMatch?: DayMatch | undefined }
): CronExpression => Result.getOrThrowWith(parse(text, options), (error) => error)

/**
 * A field of the form with names: a number, text as in the field of an expression, or a list of them.
 *
 * @category models
 * @since 0.1.0
 */
export type FieldInput = number | string | ReadonlyArray<number | string>

/**
 * A cron expression with names of fields.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fields {
  /** 1970-9999 */
  readonly year?: FieldInput | undefined
  /** 1-12 or jan-dec */
  readonly month?: FieldInput | undefined
  /** 1-31, `last`, `2nd mon`, `last fri`, and the forms of the text: `L`, `L-3`, `LW`, `15W` */
  readonly day?: FieldInput | undefined
  /** ISO weeks, 1-53 */
  readonly week?: FieldInput | undefined
  /** 0-7 or sun-sat: **0 and 7 are Sunday**, as everywhere in cron */
  readonly dayOfWeek?: FieldInput | undefined
  /** 0-23 */
  readonly hour?: FieldInput | undefined
  /** 0-59 */
  readonly minute?: FieldInput | undefined
  /** 0-59 */
  readonly second?: FieldInput | undefined
}

/**
 * Makes a cron expression from named fields.
 *
 * **Details**
 *
 * Fields are ordered by significance: year, month, day, week, dayOfWeek, hour, minute, second. Those that are less
 * significant than all the given ones take their least value, except week and dayOfWeek; the others are `*`. So
 * `{ hour: 8 }` is 08:00:00 on every day, and `{ month: 6 }` is midnight on the first of June.
 *
 * `day` and `dayOfWeek` must both hold, unless `dayMatch` is `"or"`.
 *
 * **Gotchas**
 *
 * Sunday is 0. APScheduler, which has this form too, counts from Monday: use names of days.
 *
 * **Example**
 *
 * ```ts
 * import * as CronExpression from "punctual/CronExpression"
 *
 * const mornings = CronExpression.makeUnsafe({ dayOfWeek: "mon,tue", hour: 8, minute: 1 })
 * CronExpression.format(mornings) // 1 8 * * MON,TUE
 * ```
 *
 * @see {@link makeUnsafe} for literals
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  fields: Fields,
  options?: { readonly dayMatch?: DayMatch | undefined }
): Result.Result<CronExpression, CronParseError> =>
  Result.map(named.make(fields, options?.dayMatch ?? "and"), fromParsed)

/**
 * Makes a cron expression from named fields and throws the `CronParseError` of bad ones.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (
  fields: Fields,
  options?: { readonly dayMatch?: DayMatch | undefined }
): CronExpression => Result.getOrThrowWith(make(fields, options), (error) => error)

/**
 * Prints an expression: the text that was read, with names in capitals and single blanks. Reading it gives an equal one.
 *
 * @category destructors
 * @since 0.1.0
 */
export const format = (self: CronExpression): string => self.text
