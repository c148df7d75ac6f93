/**
 * Cron expressions as values: read once, compared by meaning, printed back as written.
 *
 *     ┌──────────── second (optional)  0-59
 *     │ ┌────────── minute             0-59
 *     │ │ ┌──────── hour               0-23
 *     │ │ │ ┌────── day of month       1-31
 *     │ │ │ │ ┌──── month              1-12 or JAN-DEC
 *     │ │ │ │ │ ┌── day of week        0-7 or SUN-SAT (0 and 7 are Sunday)
 *     * * * * * *
 *
 * Every field takes `*`, a value, a range `a-b`, a step `*\/n`, `a/n`, `a-b/n`, and lists of them. A range may go around
 * the end: `FRI-MON`, `22-2`.
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
import * as internal from "./internal/cronParse.ts"

export {
  /**
   * A cron expression that cannot be read, or can never fire.
   *
   * @category errors
   * @since 0.1.0
   */
  CronParseError
} from "./internal/cronParse.ts"

const TypeId = "~punctual/CronExpression"

/**
 * A cron expression that was read and can fire.
 *
 * **Details**
 *
 * The lists are sorted and complete: `*` is written out. `either` is the combination of the two day fields that applies:
 * `true` when one of them is enough. `wild` tells that the minute or the hour begins with `*`, in which case the
 * expression follows real time through a change of clocks.
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
  readonly months: ReadonlyArray<number>
  readonly weekdays: ReadonlyArray<number>
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
 * - `"and"`: both must hold, so `0 0 13 * FRI` runs on Friday the 13th.
 *
 * @category models
 * @since 0.1.0
 */
export type DayMatch = "or" | "and"

const Proto = {
  [TypeId]: TypeId,
  [Equal.symbol](this: CronExpression, that: unknown): boolean {
    return isCronExpression(that) && internal.meaning(this) === internal.meaning(that)
  },
  [Hash.symbol](this: CronExpression): number {
    return Hash.string(internal.meaning(this))
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

/**
 * Reads a cron expression of five fields, or of six with seconds first.
 *
 * **When to use**
 *
 * Use it for text that comes from outside. It never throws, and the error names the field, the character and what may
 * stand there.
 *
 * **Details**
 *
 * An expression that can never fire, such as `0 0 30 2 *`, is refused here.
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
 * @category constructors
 * @since 0.1.0
 */
export const parse = (
  text: string,
  options?: { readonly dayMatch?: DayMatch | undefined }
): Result.Result<CronExpression, internal.CronParseError> => {
  const dayMatch = options?.dayMatch ?? "or"
  return Result.map(
    internal.parse(text, dayMatch === "and"),
    (parsed) => Object.freeze(Object.assign(Object.create(Proto), { ...parsed, dayMatch })) as CronExpression
  )
}

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
 * Prints an expression: the text that was read, with names in capitals and single spaces.
 *
 * @category destructors
 * @since 0.1.0
 */
export const format = (self: CronExpression): string => self.text
