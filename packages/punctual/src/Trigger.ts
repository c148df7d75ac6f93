/**
 * Pure descriptions of when a task is due.
 *
 * A `Trigger` answers one question: after a given instant, which is the next one? It reads no clock, no random numbers
 * and no zone of the host, holds no state and never sleeps, so it can be compared, stored, previewed and tested alone.
 *
 *     after ──▶ next ──▶ next ──▶ ∎          (∎ = Option.none: exhausted)
 *
 * What a trigger needs besides itself is its **binding**: the instant of the first add, and the id of the task. An answer
 * is an **occurrence**: the instant it is `due`, and the `nominal` instant the rule names (they differ by jitter, and for
 * an instant that had passed when the task was added).
 *
 * Laws, for every fixed binding, in due instants and up to the horizon (100 years or 100,000 candidates, beyond which
 * there is no next):
 *
 * | law | |
 * |---|---|
 * | progress | `next(t) > t` |
 * | stability | u in [t, next(t)) implies `next(u) = next(t)` |
 * | mirror | `previous(next(t)) ≤ t < next(t)`, and `previous` of the one after `next(t)` is `next(t)` |
 * | union | associative, commutative, idempotent, identity `never` |
 * | intersect | every occurrence is one of each member |
 * | except | `except(a, b)` and b share nothing; with what a and b share it is a |
 * | rolled | on open days only, and there is one for each of the inner trigger, at most 366 days away |
 * | delayed | keeps distances and number |
 * | jittered | keeps order and number |
 * | Schema | decode ∘ encode = identity |
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as EffectCron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Equal from "effect/Equal"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Calendar from "./Calendar.ts"
import type { CronExpression, DayMatch, Fields as CronFields } from "./CronExpression.ts"
import * as effectCron from "./internal/cronEffect.ts"
import * as codec from "./internal/triggerCodec.ts"
import * as days from "./internal/triggerDaysInput.ts"
import * as defined from "./internal/triggerDefined.ts"
import type { TriggerDefinitions } from "./internal/triggerDefinitions.ts"
import * as internalDiff from "./internal/triggerDiff.ts"
import * as internalExplain from "./internal/triggerExplain.ts"
import * as internalFormat from "./internal/triggerFormat.ts"
import * as input from "./internal/triggerInput.ts"
import * as model from "./internal/triggerModel.ts"
import * as internalParse from "./internal/triggerParse.ts"
import type { TriggerParseError } from "./internal/triggerReader.ts"
import * as recurrence from "./internal/triggerRecurrence.ts"
import { MAX_CANDIDATES } from "./internal/triggerSearch.ts"
import * as source from "./internal/triggerSource.ts"
import type * as RecurrenceRule from "./RecurrenceRule.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What all triggers share.
 *
 * @category models
 * @since 0.1.0
 */
export interface Proto extends Pipeable, Equal.Equal {
  readonly [model.TypeId]: typeof model.TypeId
}

/**
 * Never due.
 *
 * @category models
 * @since 0.1.0
 */
export interface Never extends Proto {
  readonly _tag: "Never"
}

/**
 * Due once, when the task is added.
 *
 * @category models
 * @since 0.1.0
 */
export interface Now extends Proto {
  readonly _tag: "Now"
}

/**
 * An event, not an instant: the scheduler starts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Startup extends Proto {
  readonly _tag: "Startup"
}

/**
 * An event, not an instant: the scheduler shuts down.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shutdown extends Proto {
  readonly _tag: "Shutdown"
}

/**
 * Due once, at an instant in epoch milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface At extends Proto {
  readonly _tag: "At"
  readonly instant: number
}

/**
 * Due on a grid of `period` milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Every extends Proto {
  readonly _tag: "Every"
  readonly period: number
  readonly start: number | undefined
  readonly immediately: boolean
}

/**
 * Due when a cron expression matches the local time of a zone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cron extends Proto {
  readonly _tag: "Cron"
  readonly expression: CronExpression
  readonly timeZone: string
  readonly gap: "skip" | "shift" | undefined
  readonly overlap: "first" | "second" | "both" | undefined
}

/**
 * Due when a definition of the program says so.
 *
 * **Details**
 *
 * `parameters` are encoded. Two are equal when their names and parameters are; the definition itself is not compared.
 *
 * @see {@link define}
 * @category models
 * @since 0.1.0
 */
export interface Defined extends Proto {
  readonly _tag: "Defined"
  readonly name: string
  readonly parameters: Schema.Json
  readonly definition: AnyDefinition
}

/**
 * Due at a local time, every few days, weeks, months or years of the calendar.
 *
 * @category models
 * @since 0.1.0
 */
export interface CalendarEvery extends Proto {
  readonly _tag: "CalendarEvery"
  readonly unit: "days" | "weeks" | "months" | "years"
  readonly count: number
  /** `09:00` or `09:00:30`. */
  readonly at: string
  readonly timeZone: string
  /** `2026-01-31`; the local date of the anchor when it is absent. */
  readonly start: string | undefined
  readonly shortMonths: "clamp" | "skip"
  readonly gap: "skip" | "shift" | undefined
  readonly overlap: "second" | "both" | undefined
}

/**
 * Due when a recurrence rule of iCalendar says so.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rrule extends Proto {
  readonly _tag: "Rrule"
  readonly rule: RecurrenceRule.RecurrenceRule
  /** Where times that name no zone are read. */
  readonly timeZone: string
}

/**
 * Due when any member is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Union extends Proto {
  readonly _tag: "Union"
  readonly triggers: ReadonlyArray<Trigger>
}

/**
 * Due when all members are, at the same instant.
 *
 * @category models
 * @since 0.1.0
 */
export interface Intersect extends Proto {
  readonly _tag: "Intersect"
  readonly triggers: ReadonlyArray<Trigger>
}

/**
 * Due when the inner trigger is and the local time is inside a window.
 *
 * @category models
 * @since 0.1.0
 */
export interface During extends Proto {
  readonly _tag: "During"
  readonly trigger: Trigger
  readonly window: Window
}

/**
 * Due when the inner trigger is, from `start` to `end`, both included.
 *
 * @category models
 * @since 0.1.0
 */
export interface Between extends Proto {
  readonly _tag: "Between"
  readonly trigger: Trigger
  readonly start: number | undefined
  readonly end: number | undefined
}

/**
 * The first `count` occurrences of the inner trigger that are not before the anchor.
 *
 * @category models
 * @since 0.1.0
 */
export interface UpTo extends Proto {
  readonly _tag: "UpTo"
  readonly trigger: Trigger
  readonly count: number
}

/**
 * Due when the inner trigger is and `that` is not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Except extends Proto {
  readonly _tag: "Except"
  readonly trigger: Trigger
  readonly that: Trigger
}

/**
 * Due when the inner trigger is, on the open days of a calendar.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExceptDays extends Proto {
  readonly _tag: "ExceptDays"
  readonly trigger: Trigger
  readonly calendar: Calendar.Calendar
}

/**
 * The inner trigger, with what falls on a day off moved to an open day.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rolled extends Proto {
  readonly _tag: "Rolled"
  readonly trigger: Trigger
  readonly calendar: Calendar.Calendar
  readonly direction: RollDirection
}

/**
 * The inner trigger, each occurrence later by `delay` milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delayed extends Proto {
  readonly _tag: "Delayed"
  readonly trigger: Trigger
  readonly delay: number
}

/**
 * The inner trigger, each occurrence later by less than `width` milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Jittered extends Proto {
  readonly _tag: "Jittered"
  readonly trigger: Trigger
  readonly width: number
}

/**
 * A pure, comparable, JSON-encodable rule for when something is due: a closed union of data.
 *
 * **Details**
 *
 * Triggers are frozen and equal by value (`Equal.equals`, `Hash.hash`); cron expressions are equal when they allow the
 * same times, however they are spelled. `JSON.stringify` writes the stored form.
 *
 * @category models
 * @since 0.1.0
 */
export type Trigger =
  | At
  | Now
  | Every
  | Cron
  | Never
  | Startup
  | Shutdown
  | Defined
  | Union
  | Intersect
  | During
  | Between
  | UpTo
  | CalendarEvery
  | Rrule
  | Except
  | ExceptDays
  | Rolled
  | Delayed
  | Jittered

/**
 * One time a trigger is due.
 *
 * @category models
 * @since 0.1.0
 */
export interface Occurrence {
  /** The instant it fires. */
  readonly due: DateTime.Utc
  /** The instant the rule names. */
  readonly nominal: DateTime.Utc
}

/**
 * What a trigger needs besides itself; a store keeps it beside the trigger, never in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Binding {
  /** The instant of the first add, in epoch milliseconds. */
  readonly anchor: number
  /** The id of the task: jitter differs from task to task, and is the same on every node. */
  readonly seed: string
}

/**
 * An occurrence in epoch milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Point {
  readonly due: number
  readonly nominal: number
}

/**
 * A trigger prepared for loops: plain integers, nothing allocated beyond the answer.
 *
 * **Gotchas**
 *
 * A `Bound` remembers where it looked last. It is cheap to use again and again in one place, and need not be kept: it
 * holds no position, every answer depends on the arguments alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bound {
  /** The occurrence with the smallest due instant after `after`. */
  readonly next: (after: number) => Point | undefined
  /** The occurrence with the largest due instant before `before`. */
  readonly previous: (before: number) => Point | undefined
  /**
   * The number of due instants in (after, until]. By arithmetic for `at`, `every` and `cron`, and for `between`, `upTo`
   * and `jittered` over them; otherwise it walks, and stops at `limit` with `exact: false`: a lower bound.
   */
  readonly countBetween: (after: number, until: number, limit: number) => {
    readonly count: number
    readonly exact: boolean
  }
}

/**
 * A spelling of an instant: text must be ISO 8601 with `Z` or an offset.
 *
 * @category models
 * @since 0.1.0
 */
export type InstantInput = DateTime.DateTime | Date | string | number

/**
 * A day of the week.
 *
 * @category models
 * @since 0.1.0
 */
export type Weekday = "sun" | "mon" | "tue" | "wed" | "thu" | "fri" | "sat"

/**
 * Dates from one to another, both included: `2026-12-24`, or `12-24` for every year, which may go around its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface DateRange {
  readonly from: string
  readonly to: string
}

/**
 * Times of day from one up to another, which is not included: `09:00` to `17:00`. One that ends before it starts closes
 * on the following day.
 *
 * @category models
 * @since 0.1.0
 */
export interface TimeRange {
  readonly from: string
  readonly to: string
}

/**
 * The windows of `during`, as they are kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Window {
  readonly timeZone: string
  readonly weekdays: ReadonlyArray<Weekday> | undefined
  readonly dates: ReadonlyArray<DateRange> | undefined
  readonly times: ReadonlyArray<TimeRange> | undefined
}

/**
 * A trigger that a program defines itself, made by {@link define}: a name, a schema of parameters, and when it is due.
 *
 * @category models
 * @since 0.1.0
 */
export interface Definition<P extends Schema.Top> {
  readonly [defined.TypeId]: typeof defined.TypeId
  /** Stored triggers find their definition by it. */
  readonly name: string
  readonly parameters: P
  readonly next: (parameters: P["Type"], after: number, binding: Binding) => number | undefined
  readonly previous: ((parameters: P["Type"], before: number, binding: Binding) => number | undefined) | undefined
  readonly format: ((parameters: P["Type"]) => string) | undefined
  /** The trigger with these parameters; throws `InvalidTrigger` when they do not fit. */
  make(...parameters: void extends P["~type.make.in"] ? [] : [parameters: P["~type.make.in"]]): Trigger
}

/**
 * Any definition, whatever its parameters: for lists of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyDefinition {
  readonly [defined.TypeId]: typeof defined.TypeId
  readonly name: string
  readonly parameters: Schema.Top
  readonly next: (parameters: never, after: number, binding: Binding) => number | undefined
  readonly previous: ((parameters: never, before: number, binding: Binding) => number | undefined) | undefined
  readonly format: ((parameters: never) => string) | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

export {
  /**
   * A user-defined trigger answered what no trigger may answer, or threw: a defect.
   *
   * @category errors
   * @since 0.1.0
   */
  TriggerMisbehaves
} from "./internal/triggerDefined.ts"
export {
  /**
   * A text that is not a trigger: answered by `parse`, with the position, what was expected and perhaps what was meant.
   *
   * @category errors
   * @since 0.1.0
   */
  TriggerParseError
} from "./internal/triggerReader.ts"

export {
  /**
   * A trigger that cannot exist: thrown by constructors and combinators, answered by `validate`.
   *
   * @category errors
   * @since 0.1.0
   */
  InvalidTrigger
} from "./internal/triggerModel.ts"

// ---------------------------------------------------------------------------------------------------------------------
// guards
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Returns `true` if a value is a `Trigger`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTrigger: (u: unknown) => u is Trigger = model.isTrigger

// ---------------------------------------------------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The stored form of a trigger inside another one.
 *
 * @category schemas
 * @since 0.1.0
 */
export type EncodedTrigger =
  | { readonly _tag: "Never" | "Now" | "Startup" | "Shutdown" }
  | { readonly _tag: "At"; readonly instant: string }
  | { readonly _tag: "Every"; readonly millis: number; readonly start?: string; readonly immediately?: true }
  | {
    readonly _tag: "Cron"
    readonly expression: string
    readonly timeZone: string
    readonly gap?: "skip" | "shift"
    readonly overlap?: "first" | "second" | "both"
    readonly dayMatch?: "and"
  }
  | { readonly _tag: "Defined"; readonly name: string; readonly parameters: Schema.Json }
  | { readonly _tag: "Union" | "Intersect"; readonly triggers: ReadonlyArray<EncodedTrigger> }
  | {
    readonly _tag: "During"
    readonly trigger: EncodedTrigger
    readonly timeZone: string
    readonly weekdays?: ReadonlyArray<Weekday>
    readonly dates?: ReadonlyArray<DateRange>
    readonly times?: ReadonlyArray<TimeRange>
  }
  | { readonly _tag: "Between"; readonly trigger: EncodedTrigger; readonly start?: string; readonly end?: string }
  | { readonly _tag: "UpTo"; readonly trigger: EncodedTrigger; readonly count: number }
  | {
    readonly _tag: "CalendarEvery"
    readonly days?: number
    readonly weeks?: number
    readonly months?: number
    readonly years?: number
    readonly at: string
    readonly timeZone: string
    readonly start?: string
    readonly shortMonths?: "skip"
    readonly gap?: "skip" | "shift"
    readonly overlap?: "second" | "both"
  }
  | { readonly _tag: "Rrule"; readonly rule: string; readonly timeZone: string }
  | { readonly _tag: "Except"; readonly trigger: EncodedTrigger; readonly that: EncodedTrigger }
  | { readonly _tag: "ExceptDays"; readonly trigger: EncodedTrigger; readonly calendar: Calendar.Encoded }
  | {
    readonly _tag: "Rolled"
    readonly trigger: EncodedTrigger
    readonly calendar: Calendar.Encoded
    readonly direction: RollDirection
  }
  | { readonly _tag: "Delayed"; readonly trigger: EncodedTrigger; readonly millis: number }
  | { readonly _tag: "Jittered"; readonly trigger: EncodedTrigger; readonly millis: number }

/**
 * The stored form of a trigger: JSON, with the version of the form at the top.
 *
 * @category schemas
 * @since 0.1.0
 */
export type Encoded = { readonly v: 1 } & EncodedTrigger

/**
 * Schema of triggers.
 *
 * **Details**
 *
 * Decoding checks what the constructors check. It refuses unknown keys and unknown kinds, so a trigger of a newer program
 * is never half understood, and says of a newer version that it is one.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 * import * as Schema from "effect/Schema"
 *
 * const json = Schema.encodeSync(Schema.fromJsonString(Trigger.Trigger))(Trigger.every("5 minutes"))
 * // {"v":1,"_tag":"Every","millis":300000}
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const Trigger: Schema.Codec<Trigger, Encoded> = codec.make()

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Due once, at an instant.
 *
 * **Details**
 *
 * Text is ISO 8601 with `Z` or an offset. Text without either needs `timeZone`: a local time that is repeated there means
 * its first pass, and one that is skipped keeps the offset from before the change.
 *
 * **Gotchas**
 *
 * An instant before the anchor is due at the anchor, with its own instant as the nominal one: it is late, not lost.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * Trigger.at("2026-12-24T18:00:00+01:00")
 * Trigger.at("2026-12-24T18:00", { timeZone: "Europe/Berlin" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const at = (
  instant: InstantInput,
  options?: { readonly timeZone?: string | DateTime.TimeZone | undefined }
): Trigger => {
  input.checkAt(options)
  return model.at(input.instant(instant, options?.timeZone))
}

/**
 * Due once, at the anchor.
 *
 * @category constructors
 * @since 0.1.0
 */
export const now: Trigger = model.now

/**
 * @category options
 * @since 0.1.0
 */
export interface EveryOptions {
  /** The grid is start + k·period, k ≥ 0, instead of following the anchor. */
  readonly start?: InstantInput | undefined
  /** The first occurrence is the anchor itself. */
  readonly immediately?: boolean | undefined
}

/**
 * Due at regular intervals: anchor + k·period, k ≥ 1.
 *
 * **Details**
 *
 * The interval is elapsed time. It is measured from the anchor and never from a run, so a slow run moves nothing, and a
 * change of clocks neither: use `cron` for a time of day.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * Trigger.every("5 minutes")
 * Trigger.every("1 hour", { immediately: true })
 * Trigger.every("6 hours", { start: "2026-01-01T00:00:00Z" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const every = (period: Duration.Input, options?: EveryOptions): Trigger => {
  input.checkEvery(options)
  return input.every(period, options)
}

/**
 * @category options
 * @since 0.1.0
 */
export interface CronOptions {
  /** The zone whose clock is read; "UTC" by default, never the zone of the host. */
  readonly timeZone?: string | DateTime.TimeZone | undefined
  /** What happens to local times that are skipped. */
  readonly gap?: "skip" | "shift" | undefined
  /** Which pass of a repeated local time counts. */
  readonly overlap?: "first" | "second" | "both" | undefined
  /** How day of month and day of week combine: "or" for text, "and" for an object of fields, unless you say. */
  readonly dayMatch?: DayMatch | undefined
}

/**
 * Due when a cron expression matches the clock of a zone.
 *
 * **Details**
 *
 * Where clocks change, the default is Vixie's rule, which tells two kinds of expressions apart. An expression is
 * *wild* when its minute or its hour begins with `*`, else it is a *fixed* time.
 *
 * | | skipped local time (gap) | repeated local time (overlap) |
 * |---|---|---|
 * | fixed, `30 2 * * *` | once, at the first instant after the gap | once, the first pass |
 * | wild, `*\/15 * * * *` | does not exist, so nothing | both passes: every real quarter of an hour |
 * | `gap: "skip"` | nothing | |
 * | `gap: "shift"` | later by the length of the gap: 02:30 runs at 03:30 | |
 * | `overlap: "first"`, `"second"` | | only that pass |
 * | `overlap: "both"` | | both passes |
 *
 * A given option applies to both kinds. Two times that fall on one instant are one occurrence.
 *
 * **Gotchas**
 *
 * The zone is UTC unless you say otherwise. For text that comes from outside use `CronExpression.parse`, which answers a
 * `Result`.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * Trigger.cron("0 9 * * MON-FRI", { timeZone: "Europe/Berlin" })
 * Trigger.cron("0 17 LW * *") // the last weekday of the month
 * Trigger.cron("H H(1-4) * * *") // once a night, spread by the ids of the tasks
 * Trigger.cron({ dayOfWeek: "mon,tue", hour: 8, minute: 1 })
 * ```
 *
 * @see {@link CronExpression} for all forms of an expression
 *
 * @category constructors
 * @since 0.1.0
 */
export const cron = (expression: string | CronExpression | CronFields, options?: CronOptions): Trigger =>
  input.cron(expression, options)

/**
 * The trigger of one of Effect's own cron schedules, with its zone; options decide over what the schedule says.
 *
 * **Details**
 *
 * Times are the same as those of `effect/Cron`, which treats all expressions alike where clocks change: a skipped time runs
 * later by the length of the gap, and `onDstOverlap` says which pass of a repeated time counts. That becomes `gap: "shift"`
 * and `overlap` here. Without a zone it is UTC.
 *
 * **Gotchas**
 *
 * Inside of a gap Effect may pass over some of the times that a list of minutes names; here all of them run.
 *
 * **Example**
 *
 * ```ts
 * import * as Cron from "effect/Cron"
 * import * as Trigger from "punctual/Trigger"
 *
 * Trigger.fromCron(Cron.parseUnsafe("0 9 * * 1-5", "Europe/Berlin"))
 * ```
 *
 * @see {@link toCron} for the way back
 * @category constructors
 * @since 0.1.0
 */
export const fromCron = (schedule: EffectCron.Cron, options?: Omit<CronOptions, "dayMatch">): Trigger => {
  input.checkFromCron(options)
  const read = effectCron.read(schedule)
  return input.cron(read.expression, { ...read.options, ...options })
}

/**
 * One of Effect's own cron schedules for a trigger, or why there is none.
 *
 * **Details**
 *
 * Fails for triggers that are not made by `cron`, and for expressions with `L`, `W`, `#`, `H`, years or weeks, which
 * `effect/Cron` does not have. The times of the two are equal, but for those that fall into a gap: Effect knows `"shift"`
 * only.
 *
 * @see {@link fromCron} for the way back
 * @category destructors
 * @since 0.1.0
 */
export const toCron = (self: Trigger): Result.Result<EffectCron.Cron, model.InvalidTrigger> => effectCron.write(self)

/**
 * A period of the calendar: one of days, weeks, months and years, a whole number of them, at least 1.
 *
 * @category models
 * @since 0.1.0
 */
export type CalendarPeriod =
  | { readonly days: number }
  | { readonly weeks: number }
  | { readonly months: number }
  | { readonly years: number }

/**
 * @category options
 * @since 0.1.0
 */
export interface CalendarEveryOptions {
  /** The local time: `"09:00"` or `"09:00:30"`; midnight by default. */
  readonly at?: string | undefined
  /** The zone whose clock is read; "UTC" by default, never the zone of the host. */
  readonly timeZone?: string | DateTime.TimeZone | undefined
  /** The base date, `"2026-01-31"`, that periods are counted from, and the first occurrence; by default that of the anchor. */
  readonly start?: string | undefined
  /** A month without the day of the base date has it on its last day, or not at all. Default: `"clamp"`. */
  readonly shortMonths?: "clamp" | "skip" | undefined
  /** What happens to local times that are skipped: nothing, or later by the gap. Default: once, when the gap ends. */
  readonly gap?: "skip" | "shift" | undefined
  /** Which pass of a repeated local time counts. Default: the first. */
  readonly overlap?: "first" | "second" | "both" | undefined
}

/**
 * Due at a local time, every few days, weeks, months or years: on the base date and each whole number of periods after it.
 *
 * **When to use**
 *
 * Use it for "every second Monday" or "every three months", which a cron expression cannot say. For a day of each month or
 * week `cron` is shorter, and elapsed time is `every`.
 *
 * **Details**
 *
 * Periods are counted from the base date and never from the occurrence before, so a short month changes nothing after it:
 * 31 January, 28 February, 31 March. A base date of 29 February falls on the 28th in other years.
 *
 * Without `start` the base date is the local date of the anchor, and nothing is due before the anchor: added at noon, a
 * daily 09:00 begins tomorrow.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * Trigger.calendarEvery({ weeks: 2 }, { at: "09:00", timeZone: "Europe/Berlin", start: "2026-01-05" })
 * Trigger.calendarEvery({ months: 1 }, { at: "09:00", start: "2026-01-31", shortMonths: "skip" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const calendarEvery = (period: CalendarPeriod, options?: CalendarEveryOptions): Trigger =>
  days.calendarEvery(period, options)

/**
 * @category options
 * @since 0.1.0
 */
export interface RruleOptions {
  /** Where times that name no zone are read; "UTC" by default, never the zone of the host. */
  readonly timeZone?: string | DateTime.TimeZone | undefined
  /** DTSTART, where the text has none: a local date or time, `2026-01-05T09:00`. */
  readonly start?: string | undefined
}

/**
 * Due when a recurrence rule of iCalendar (RFC 5545) says so: what calendar programs export and understand.
 *
 * **Details**
 *
 * The rule is the value of an `RRULE`, or a block of `DTSTART`, `RRULE`, `RDATE` and `EXDATE` lines. What it does not say
 * comes from its start: `FREQ=WEEKLY` is the start's weekday and time. Without a start that is the anchor, to the second.
 *
 * Where clocks change, RFC 5545 §3.3.5 decides: a skipped time happens later by the gap, a repeated one at its first pass.
 * An hourly or faster rule that names no hours follows real time.
 *
 * **Gotchas**
 *
 * A start that does not fit the rule is not an occurrence. For text that comes from outside use `RecurrenceRule.parse`,
 * which answers a `Result`.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * Trigger.rrule("FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0;BYSECOND=0", { timeZone: "Europe/Berlin" })
 * Trigger.rrule("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE", { start: "2026-01-05T09:00", timeZone: "Europe/Berlin" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const rrule = (rule: string | RecurrenceRule.RecurrenceRule, options?: RruleOptions): Trigger =>
  recurrence.rrule(rule, options)

/**
 * An event of one scheduler, not an instant: it starts.
 *
 * **Gotchas**
 *
 * Allowed alone or as a member of a union at the top.
 *
 * @category constructors
 * @since 0.1.0
 */
export const startup: Trigger = model.startup

/**
 * An event of one scheduler, not an instant: it shuts down.
 *
 * **Gotchas**
 *
 * Allowed alone or as a member of a union at the top.
 *
 * @category constructors
 * @since 0.1.0
 */
export const shutdown: Trigger = model.shutdown

/**
 * Never due: the identity of `union`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const never: Trigger = model.never

/**
 * @category options
 * @since 0.1.0
 */
export interface ParseOptions {
  /** The zone of rules whose text names none; "UTC" by default, never the zone of the host. */
  readonly timeZone?: string | DateTime.TimeZone | undefined
  /** What triggers of the program's own are found in, in the stored form: see `TriggerDefinitions.make`. */
  readonly definitions?: TriggerDefinitions | undefined
}

/**
 * Reads a trigger from one line of text: of a configuration file, a command line, a form.
 *
 * **Details**
 *
 * | text | the same as |
 * |---|---|
 * | `every 5 minutes`, `every 90s`, `@every 1h30m`, `every PT5M` | `every("5 minutes")` … |
 * | `every second`, `every minute`, `every hour` | `every("1 second")` … |
 * | `0 9 * * 1-5 Europe/Berlin`, `CRON_TZ=Europe/Berlin 0 9 * * 1-5` | `cron("0 9 * * 1-5", { timeZone: "Europe/Berlin" })` |
 * | `@yearly`, `@monthly`, `@weekly`, `@daily`, `@hourly`, `hourly` | `cron("0 0 * * *")` … |
 * | `daily at 09:00`, `weekdays at 9:00 and 17:00 Europe/Berlin`, `weekends at noon` | `cron` |
 * | `every day at 9am`, `every monday and thursday at 8:30pm` | `cron` |
 * | `first monday of the month at 10:00`, `last day of the month at 17:00` | `cron("0 10 * * MON#1")` … |
 * | `RRULE:FREQ=WEEKLY;BYDAY=MO;BYHOUR=9 Europe/Berlin` | `rrule("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9", { timeZone: "Europe/Berlin" })` |
 * | `2026-12-24T18:00:00+01:00`, `2026-12-24T18:00 Europe/Berlin` | `at` |
 * | `now`, `never`, `startup` or `@reboot`, `shutdown` | themselves |
 * | `{"v":1,"_tag":"Every","millis":300000}` | what `JSON.stringify` writes of a trigger |
 *
 * Words may have any letter case. Any other text is refused and nothing is guessed; it never throws. The stored form is
 * the one that round-trips every trigger, zones and policies included: `parse(JSON.stringify(trigger))` is equal to the
 * trigger. What `format` writes is for people and is not read back.
 *
 * The failure is a `TriggerParseError`, or the `InvalidTrigger` of a wrong option.
 *
 * **Gotchas**
 *
 * `every 1 day` is 24 hours of elapsed time; a time of day is `daily at 09:00`. `every day` alone is refused.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 * import * as Result from "effect/Result"
 *
 * const bad = Trigger.parse("every munday at 8am")
 * if (Result.isFailure(bad)) {
 *   console.log(bad.failure.message)
 *   // `munday` is not a duration, nor a day (character 7): expected `every 5 minutes`, `every hour`,
 *   // `every day at 09:00` or `every monday at 09:00`; did you mean `monday`?
 * }
 * ```
 *
 * @see {@link parseUnsafe} for literals
 * @category constructors
 * @since 0.1.0
 */
export const parse = (
  text: string,
  options?: ParseOptions
): Result.Result<Trigger, TriggerParseError | model.InvalidTrigger> => internalParse.parse(text, options)

/**
 * Reads a trigger from one line of text, and throws what `parse` answers of a bad one.
 *
 * @see {@link parse} for text that comes from outside
 * @category constructors
 * @since 0.1.0
 */
export const parseUnsafe = (text: string, options?: ParseOptions): Trigger =>
  Result.getOrThrowWith(parse(text, options), (error) => error)

/**
 * @category options
 * @since 0.1.0
 */
export interface DefineOptions<P extends Schema.Top | Schema.Struct.Fields> {
  /** Fields, or any schema that needs no services; none by default. Stored as JSON. */
  readonly parameters?: P | undefined
  /** The first instant after `after`, in epoch milliseconds; `undefined` when there is none. */
  readonly next: (
    parameters: ParametersSchema<P>["Type"],
    after: number,
    binding: Binding
  ) => number | undefined
  /** The last instant before `before`. Without it, answers are found by asking `next`, up to 100 years back. */
  readonly previous?:
    | ((parameters: ParametersSchema<P>["Type"], before: number, binding: Binding) => number | undefined)
    | undefined
  /** The trigger in words. Default: its name and its parameters. */
  readonly format?: ((parameters: ParametersSchema<P>["Type"]) => string) | undefined
}

/**
 * The schema of parameters given as fields or as a schema.
 *
 * @category utility types
 * @since 0.1.0
 */
export type ParametersSchema<P extends Schema.Top | Schema.Struct.Fields> = P extends Schema.Top ? P
  : P extends Schema.Struct.Fields ? Schema.Struct<P>
  : never

/** Parameters are encoded and decoded where a trigger is made or read, and nobody is there to provide services. */
type WithoutServices = { readonly DecodingServices: never; readonly EncodingServices: never }

/**
 * Defines a kind of trigger of your own: sunrise, the tides, the trading days of an exchange.
 *
 * **Details**
 *
 * Its triggers are stored as their name and parameters, compared by them, and combined like any other. To read them back,
 * a program provides the definition: `TriggerDefinitions.layer(Sunrise)`. A scheduler without it leaves their rows alone:
 * they are listed as unreadable, with a reason that names the definition, and another process may run them.
 *
 * `next` must be a pure function of its arguments and keep the laws of triggers: the answer is later than `after`, and
 * the same for every instant between `after` and the answer. `TriggerLaws` in `@punctual/testing` tries them.
 *
 * **Gotchas**
 *
 * An answer that is not a whole number of milliseconds, or not later, and a function that throws are mistakes in the
 * definition and never an end of the trigger: they are the defect `TriggerMisbehaves`. A scheduler sets the task aside
 * with that reason and goes on. What a stored name means must not change: give a new rule a new name.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 * import * as Schema from "effect/Schema"
 *
 * const NewMoon = Trigger.define("NewMoon", {
 *   parameters: { daysBefore: Schema.Int },
 *   next: ({ daysBefore }, after) => {
 *     const [first, month] = [947_182_440_000 - daysBefore * 86_400_000, 2_551_442_877]
 *     return Math.ceil(first + (Math.floor((after - first) / month) + 1) * month)
 *   },
 *   format: ({ daysBefore }) => `${daysBefore} days before the mean new moon`
 * })
 *
 * NewMoon.make({ daysBefore: 2 }).pipe(Trigger.jittered("1 minute"))
 * ```
 *
 * @see {@link TriggerMisbehaves}
 * @category constructors
 * @since 0.1.0
 */
export const define = <P extends (Schema.Top & WithoutServices) | Schema.Struct.Fields = Schema.Void>(
  name: string,
  options: DefineOptions<P>
): Definition<ParametersSchema<P>> =>
  defined.define(name, options as unknown as DefineOptions<Schema.Top>) as unknown as Definition<ParametersSchema<P>>

// ---------------------------------------------------------------------------------------------------------------------
// combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Due when either trigger is; once where both are.
 *
 * @category combinators
 * @since 0.1.0
 */
export const union: {
  (that: Trigger): (self: Trigger) => Trigger
  (self: Trigger, that: Trigger): Trigger
} = dual(2, (self: Trigger, that: Trigger): Trigger => model.union([self, that]))

/**
 * Due when both triggers are, at the same instant.
 *
 * **Gotchas**
 *
 * Instants are equal to the millisecond: an `every` that follows its anchor meets a `cron` only by accident. To keep
 * occurrences inside certain hours or days, use `during`.
 *
 * @see {@link during}
 * @category combinators
 * @since 0.1.0
 */
export const intersect: {
  (that: Trigger): (self: Trigger) => Trigger
  (self: Trigger, that: Trigger): Trigger
} = dual(2, (self: Trigger, that: Trigger): Trigger => model.intersect([self, that]))

/**
 * @category options
 * @since 0.1.0
 */
export interface DuringOptions {
  /** The zone whose clock is read; "UTC" by default. */
  readonly timeZone?: string | DateTime.TimeZone | undefined
  /** Days on which a window opens: `"mon-fri"`, `["sat", "sun"]`. */
  readonly weekdays?: string | ReadonlyArray<Weekday> | undefined
  /** Dates on which a window opens: `"2026-12-24"`, `"12-24/01-06"`, `{ from, to }`, or a list of them. */
  readonly dates?: string | DateRange | ReadonlyArray<string | DateRange> | undefined
  /** Hours of the window: `"09:00-17:00"`, `{ from, to }`, or a list of them; the end is not included. */
  readonly times?: string | TimeRange | ReadonlyArray<string | TimeRange> | undefined
}

/**
 * Lets through what is due inside windows of local time.
 *
 * **Details**
 *
 * A window opens on a day that both `weekdays` and `dates` allow. `22:00-06:00` closes on the following day, and
 * belongs to the day it opens on: with `weekdays: "fri"` it lasts until Saturday morning. Windows follow the clock on the
 * wall, so a repeated hour is inside twice.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * Trigger.every("10 minutes").pipe(
 *   Trigger.during({ timeZone: "Europe/Berlin", weekdays: "mon-fri", times: "08:00-18:00" })
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const during: {
  (options: DuringOptions): (self: Trigger) => Trigger
  (self: Trigger, options: DuringOptions): Trigger
} = dual(2, (self: Trigger, options: DuringOptions): Trigger => model.during(self, input.window(options)))

/**
 * @category options
 * @since 0.1.0
 */
export interface BetweenOptions {
  readonly start?: InstantInput | undefined
  readonly end?: InstantInput | undefined
}

/**
 * Lets through what is due from `start` to `end`, both included.
 *
 * @category combinators
 * @since 0.1.0
 */
export const between: {
  (options: BetweenOptions): (self: Trigger) => Trigger
  (self: Trigger, options: BetweenOptions): Trigger
} = dual(2, (self: Trigger, options: BetweenOptions): Trigger => input.between(self, options))

/**
 * The first `n` occurrences that are not before the anchor.
 *
 * **Gotchas**
 *
 * It counts occurrences, not runs: one that is missed or skipped counts. "At most n runs" is a policy of the task.
 *
 * @category combinators
 * @since 0.1.0
 */
export const upTo: {
  (n: number): (self: Trigger) => Trigger
  (self: Trigger, n: number): Trigger
} = dual(2, (self: Trigger, n: number): Trigger => input.upTo(self, n))

/**
 * @category options
 * @since 0.1.0
 */
export interface ExceptOptions {
  /** The zone whose dates are meant; "UTC" by default. */
  readonly timeZone?: string | DateTime.TimeZone | undefined
}

/**
 * Leaves out what is due when another trigger is, on certain dates, or on the days off of a calendar.
 *
 * **Details**
 *
 * - A trigger takes away its own instants, to the millisecond. `except(a, a)` is `never`, `except(a, never)` is `a`.
 * - Dates are written as the holidays of a `Calendar`: `"2026-12-24"`, `"2026-07-01/2026-08-31"`, `"12-25"` of every year,
 *   `"easter-2"`, `"3rd mon jan"`, or a list of them.
 * - A `Calendar` takes away its weekends and holidays. With one that has a weekend, what is left are working days.
 *
 * **Gotchas**
 *
 * To leave out hours or days of the week, say the ones that are wanted, with `during`. A trigger that is taken away 100,000
 * times in a row is the end of the search.
 *
 * **Example**
 *
 * ```ts
 * import * as Calendar from "punctual/Calendar"
 * import * as Trigger from "punctual/Trigger"
 *
 * const berlin = Calendar.make({ timeZone: "Europe/Berlin", weekend: "sat,sun", holidays: ["easter+1", "12-25"] })
 * const daily = Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlin" })
 *
 * daily.pipe(Trigger.except(berlin))
 * daily.pipe(Trigger.except(["2026-12-24", "07-01/08-31"], { timeZone: "Europe/Berlin" }))
 * daily.pipe(Trigger.except(Trigger.cron("0 9 1 * *", { timeZone: "Europe/Berlin" })))
 * ```
 *
 * @see {@link rolled} to move them instead
 * @category combinators
 * @since 0.1.0
 */
export const except: {
  (that: Trigger | Calendar.Calendar): (self: Trigger) => Trigger
  (dates: Calendar.HolidayInput | ReadonlyArray<Calendar.HolidayInput>, options?: ExceptOptions): (
    self: Trigger
  ) => Trigger
  (self: Trigger, that: Trigger | Calendar.Calendar): Trigger
  (
    self: Trigger,
    dates: Calendar.HolidayInput | ReadonlyArray<Calendar.HolidayInput>,
    options?: ExceptOptions
  ): Trigger
} = dual(
  (args) => args.length >= 2 && isTrigger(args[0]),
  (self: Trigger, that: days.Excluded, options?: ExceptOptions): Trigger => days.except(self, that, options)
)

/**
 * Where an occurrence on a day off is moved to.
 *
 * **Details**
 *
 * | direction | moved to | in finance |
 * |---|---|---|
 * | `"next"` | the next open day | following |
 * | `"previous"` | the open day before | preceding |
 * | `"nextInMonth"` | the next open day, but the one before when that is in another month | modified following |
 * | `"previousInMonth"` | the open day before, but the next one when that is in another month | modified preceding |
 * | `"nearest"` | the nearer of both; halfway between, the next | nearest |
 *
 * @category models
 * @since 0.1.0
 */
export type RollDirection = "next" | "previous" | "nextInMonth" | "previousInMonth" | "nearest"

/**
 * Moves what is due on a day off of a calendar to an open day, at the same local time.
 *
 * **Details**
 *
 * `nominal` keeps the instant of the rule. What lands on one instant is one occurrence, of the earliest nominal instant.
 * Local times that the other day leaves out are due when the gap ends, and those it repeats at the first pass.
 *
 * **Gotchas**
 *
 * An occurrence whose open day is more than 366 days away is not due at all. Moved to an earlier day, one can come to lie
 * before the anchor, when nobody was asking yet.
 *
 * **Example**
 *
 * ```ts
 * import * as Calendar from "punctual/Calendar"
 * import * as Trigger from "punctual/Trigger"
 *
 * const workdays = Calendar.make({ timeZone: "Europe/Berlin", weekend: "sat,sun", holidays: ["12-25", "12-26"] })
 *
 * // The 15th, or the next working day.
 * Trigger.cron("0 17 15 * *", { timeZone: "Europe/Berlin" }).pipe(Trigger.rolled(workdays, "next"))
 * ```
 *
 * @see {@link except} to leave them out instead
 * @category combinators
 * @since 0.1.0
 */
export const rolled: {
  (calendar: Calendar.Calendar, direction: RollDirection): (self: Trigger) => Trigger
  (self: Trigger, calendar: Calendar.Calendar, direction: RollDirection): Trigger
} = dual(
  3,
  (self: Trigger, calendar: Calendar.Calendar, direction: RollDirection): Trigger =>
    days.rolled(self, calendar, direction)
)

/**
 * Makes each occurrence later by the same elapsed time. `nominal` keeps the instant of the rule.
 *
 * @category combinators
 * @since 0.1.0
 */
export const delayed: {
  (delay: Duration.Input): (self: Trigger) => Trigger
  (self: Trigger, delay: Duration.Input): Trigger
} = dual(2, (self: Trigger, delay: Duration.Input): Trigger => input.delayed(self, delay))

/**
 * Makes each occurrence later by a part of `width` that depends on the seed and its nominal instant.
 *
 * **When to use**
 *
 * Use it to spread tasks that would all be due at one instant.
 *
 * **Details**
 *
 * The delay is in [0, min(width, gap to the next occurrence)), so occurrences keep their order and their number. It is
 * not random: every node and every restart computes the same one, and nothing drifts. `nominal` keeps the instant of the
 * rule.
 *
 * **Gotchas**
 *
 * It must be the last step.
 *
 * @category combinators
 * @since 0.1.0
 */
export const jittered: {
  (width: Duration.Input): (self: Trigger) => Trigger
  (self: Trigger, width: Duration.Input): Trigger
} = dual(2, (self: Trigger, width: Duration.Input): Trigger => input.jittered(self, width))

// ---------------------------------------------------------------------------------------------------------------------
// destructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Checks the rules of structure: events stand alone or in a union at the top, and `jittered` is the last step.
 *
 * **Details**
 *
 * Constructors, combinators and the Schema keep these rules already; this is for those who take triggers from elsewhere.
 *
 * @category destructors
 * @since 0.1.0
 */
export const validate = (self: Trigger): Result.Result<Trigger, model.InvalidTrigger> => {
  try {
    model.checkStructure(self)
    return Result.succeed(self)
  } catch (error) {
    if (error instanceof model.InvalidTrigger) return Result.fail(error)
    throw error
  }
}

/**
 * Prepares a trigger for loops.
 *
 * @see {@link next} for a single question
 * @category destructors
 * @since 0.1.0
 */
export const bind = (self: Trigger, binding: Binding): Bound => source.bind(self, binding)

// The latest binding of each trigger, so that a loop over `next` does not prepare it again and again.
const bounds = new WeakMap<Trigger, { readonly anchor: number; readonly seed: string; readonly bound: Bound }>()

const bindingOf = (binding: Partial<Binding> | undefined): Binding => ({
  anchor: binding?.anchor ?? 0,
  seed: binding?.seed ?? ""
})

const boundOf = (self: Trigger, binding: Partial<Binding> | undefined): Bound => {
  const { anchor, seed } = bindingOf(binding)
  const known = bounds.get(self)
  if (known !== undefined && known.anchor === anchor && known.seed === seed) return known.bound
  const bound = source.bind(self, { anchor, seed })
  bounds.set(self, { anchor, seed, bound })
  return bound
}

// The answer is most of what `next` costs. `fromDateUnsafe` only reads its argument, so one `Date` serves all of them.
const scratch = new Date(0)

const toUtc = (instant: number): DateTime.Utc => {
  scratch.setTime(instant)
  return DateTime.fromDateUnsafe(scratch)
}

const toOccurrence = (point: Point): Occurrence => {
  const due = toUtc(point.due)
  return { due, nominal: point.nominal === point.due ? due : toUtc(point.nominal) }
}

/**
 * The first occurrence after an instant.
 *
 * **Details**
 *
 * Without a binding the anchor is 1970-01-01T00:00:00Z and the seed is empty.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * const daily = Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlin" })
 * Trigger.next(daily, "2026-03-28T12:00:00Z") // due 2026-03-29T07:00:00Z
 * ```
 *
 * @category destructors
 * @since 0.1.0
 */
export const next: {
  (after: InstantInput, binding?: Partial<Binding>): (self: Trigger) => Option.Option<Occurrence>
  (self: Trigger, after: InstantInput, binding?: Partial<Binding>): Option.Option<Occurrence>
} = dual(
  (args) => isTrigger(args[0]),
  (self: Trigger, after: InstantInput, binding?: Partial<Binding>): Option.Option<Occurrence> => {
    const point = boundOf(self, binding).next(input.reference(after))
    return point === undefined ? Option.none() : Option.some(toOccurrence(point))
  }
)

/**
 * The last occurrence before an instant.
 *
 * **Details**
 *
 * It mirrors `next`: `previous` of what comes after an occurrence is that occurrence.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * const daily = Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlin" })
 * Trigger.previous(daily, "2026-03-29T12:00:00Z") // due 2026-03-29T07:00:00Z
 * ```
 *
 * @see {@link next}
 * @category destructors
 * @since 0.1.0
 */
export const previous: {
  (before: InstantInput, binding?: Partial<Binding>): (self: Trigger) => Option.Option<Occurrence>
  (self: Trigger, before: InstantInput, binding?: Partial<Binding>): Option.Option<Occurrence>
} = dual(
  (args) => isTrigger(args[0]),
  (self: Trigger, before: InstantInput, binding?: Partial<Binding>): Option.Option<Occurrence> => {
    const point = boundOf(self, binding).previous(input.reference(before))
    return point === undefined ? Option.none() : Option.some(toOccurrence(point))
  }
)

/**
 * @category options
 * @since 0.1.0
 */
export interface OccurrencesOptions {
  /** Only what is due after this instant. */
  readonly after: InstantInput
  /** Only what is due up to this instant, itself included. */
  readonly until?: InstantInput | undefined
  /** At most so many. */
  readonly limit?: number | undefined
  readonly binding?: Partial<Binding> | undefined
}

/**
 * The occurrences in a stretch of time, computed as they are asked for.
 *
 * **Gotchas**
 *
 * Without `until` and `limit` most triggers never end.
 *
 * @category destructors
 * @since 0.1.0
 */
export const occurrences: {
  (options: OccurrencesOptions): (self: Trigger) => Iterable<Occurrence>
  (self: Trigger, options: OccurrencesOptions): Iterable<Occurrence>
} = dual(2, (self: Trigger, options: OccurrencesOptions): Iterable<Occurrence> => {
  input.checkOccurrences(options)
  const bound = boundOf(self, options.binding)
  const after = input.reference(options.after)
  const until = options.until === undefined ? Infinity : input.reference(options.until)
  const limit = options.limit ?? Infinity
  return {
    *[Symbol.iterator]() {
      let cursor = after
      for (let n = 0; n < limit; n++) {
        const point = bound.next(cursor)
        if (point === undefined || point.due > until) return
        yield toOccurrence(point)
        cursor = point.due
      }
    }
  }
})

/**
 * @category options
 * @since 0.1.0
 */
export interface CountBetweenOptions {
  /** Only what is due after this instant. */
  readonly after: InstantInput
  /** Only what is due up to this instant, itself included. */
  readonly until: InstantInput
  /** Where counting takes a walk, it stops at so many. Default: 100,000. */
  readonly limit?: number | undefined
  readonly binding?: Partial<Binding> | undefined
}

/**
 * How many occurrences are due after one instant and up to another.
 *
 * **Details**
 *
 * By arithmetic for `at`, `every` and `cron`, and for `between`, `upTo` and `jittered` over them. Otherwise it walks and
 * stops at `limit`: then `exact` is `false` and the count is a lower bound.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * const hourly = Trigger.cron("0 * * * *", { timeZone: "Europe/Berlin" })
 * Trigger.countBetween(hourly, { after: "2026-10-24T21:59:59Z", until: "2026-10-25T22:59:59Z" })
 * // { count: 25, exact: true }: the clock goes back
 * ```
 *
 * @category destructors
 * @since 0.1.0
 */
export const countBetween: {
  (options: CountBetweenOptions): (self: Trigger) => { readonly count: number; readonly exact: boolean }
  (self: Trigger, options: CountBetweenOptions): { readonly count: number; readonly exact: boolean }
} = dual(2, (self: Trigger, options: CountBetweenOptions): { readonly count: number; readonly exact: boolean } => {
  input.checkKeys(options, ["after", "until", "limit", "binding"], "countBetween")
  const limit = input.limit(options.limit, MAX_CANDIDATES, "countBetween")
  return boundOf(self, options.binding)
    .countBetween(input.reference(options.after), input.reference(options.until), limit)
})

/**
 * A `Schedule` that steps from occurrence to occurrence and ends with the trigger.
 *
 * **When to use**
 *
 * Use it to repeat an effect in one process, without a scheduler: `Effect.repeat(effect, Trigger.toSchedule(trigger))`.
 *
 * **Details**
 *
 * The first step looks for the first occurrence after the current time, and each later one continues from the occurrence
 * before it, so nothing drifts; what became due while the effect ran follows at once. The anchor is the time of the first
 * step unless the binding has one.
 *
 * **Gotchas**
 *
 * The output of a schedule that ends at its first step is an occurrence at that time.
 *
 * @category destructors
 * @since 0.1.0
 */
export const toSchedule = (self: Trigger, binding?: Partial<Binding>): Schedule.Schedule<Occurrence> =>
  Schedule.fromStep(Effect.sync(() => {
    let bound: Bound | undefined
    let last: Point | undefined
    return (time: number, _input: unknown) => {
      bound ??= source.bind(self, { anchor: binding?.anchor ?? time, seed: binding?.seed ?? "" })
      const point = bound.next(last?.due ?? time)
      if (point === undefined) return Cause.done(toOccurrence(last ?? { due: time, nominal: time }))
      last = point
      return Effect.succeed<[Occurrence, Duration.Duration]>([
        toOccurrence(point),
        Duration.millis(Math.max(0, point.due - time))
      ])
    }
  }))

/**
 * Says a trigger in words: "at 09:00 on Monday to Friday (Europe/Berlin), up to 2 minutes late by jitter".
 *
 * @category destructors
 * @since 0.1.0
 */
export const format = (self: Trigger): string => internalFormat.format(self)

/**
 * @category options
 * @since 0.1.0
 */
export interface ExplainOptions {
  /** Only what is after this instant: a trigger has no clock of its own. */
  readonly after: InstantInput
  /** Only notes up to this instant, and a hundred years at most. Default: 366 days later. */
  readonly until?: InstantInput | undefined
  readonly binding?: Partial<Binding> | undefined
}

/**
 * A day on which a trigger does something that its rule does not tell.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExplanationNote {
  /**
   * - `gap`: the rule names local times that are skipped
   * - `overlap`: the rule names local times that are repeated
   * - `end`: the last occurrence
   */
  readonly kind: "gap" | "overlap" | "end"
  /** The local date: `2026-03-29`. */
  readonly date: string
  readonly timeZone: string
  /** The instant at which the clocks change, or of the last occurrence. */
  readonly at: DateTime.Utc
  /** "on 2026-03-29 02:30 does not exist in Europe/Berlin: runs at 03:00" */
  readonly text: string
}

/**
 * What a trigger does, for people.
 *
 * @category models
 * @since 0.1.0
 */
export interface Explanation {
  /** The trigger in words, as `format` says it. */
  readonly text: string
  /** The next three occurrences; `local` is `due` on the clock of the trigger's first time zone, with its offset. */
  readonly next: ReadonlyArray<Occurrence & { readonly local: string; readonly timeZone: string }>
  /** What is special, in order of time; at most 100. */
  readonly notes: ReadonlyArray<ExplanationNote>
}

/**
 * Says what a trigger does: in words, its next occurrences, and what happens where clocks change.
 *
 * **When to use**
 *
 * Use it to show a trigger to whoever has to agree with it: before a schedule is saved, in a review, in a dashboard.
 *
 * **Details**
 *
 * A note is about the whole trigger: a rule whose skipped times `during` leaves out anyway has none. Rules of a zone are
 * told about, and neither `every` nor triggers of the program's own, which follow instants.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * const backup = Trigger.cron("30 2 * * *", { timeZone: "Europe/Berlin" })
 * const { next, notes, text } = Trigger.explain(backup, { after: "2026-03-27T12:00:00Z" })
 * // text            at 02:30 (Europe/Berlin)
 * // next[0].local   2026-03-28T02:30:00+01:00
 * // notes[0].text   on 2026-03-29 02:30 does not exist in Europe/Berlin: runs at 03:00
 * // notes[1].text   on 2026-10-25 02:30 comes twice in Europe/Berlin: runs the first time (+02:00)
 * ```
 *
 * @category destructors
 * @since 0.1.0
 */
export const explain: {
  (options: ExplainOptions): (self: Trigger) => Explanation
  (self: Trigger, options: ExplainOptions): Explanation
} = dual(2, (self: Trigger, options: ExplainOptions): Explanation => {
  input.checkKeys(options, ["after", "until", "binding"], "explain")
  const after = input.reference(options.after)
  const until = options.until === undefined ? after + 366 * 86_400_000 : input.reference(options.until)
  const binding = bindingOf(options.binding)
  return internalExplain.explain(self, { after, until, binding, recurring: isRecurring(self), toOccurrence })
})

/**
 * @category options
 * @since 0.1.0
 */
export interface DiffOptions {
  /** Only what is due after this instant. */
  readonly after: InstantInput
  /** Only what is due up to this instant, itself included. */
  readonly until: InstantInput
  /** How many occurrences are listed on each side; all are counted. Default: 100. */
  readonly limit?: number | undefined
  readonly binding?: Partial<Binding> | undefined
}

/**
 * What a change of a trigger changes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Difference {
  /** What only the first trigger has. */
  readonly removed: { readonly count: number; readonly occurrences: ReadonlyArray<Occurrence> }
  /** What only the second trigger has. */
  readonly added: { readonly count: number; readonly occurrences: ReadonlyArray<Occurrence> }
  /** How many both have. */
  readonly kept: number
  /** Whether everything was compared. Otherwise counts end at `comparedUntil`. */
  readonly exact: boolean
  readonly comparedUntil: DateTime.Utc
}

/**
 * What changes when one trigger takes the place of another.
 *
 * **When to use**
 *
 * Use it in the review of a deploy: what does this change of a cron expression change?
 *
 * **Details**
 *
 * Occurrences are the same when they are due at the same instant. At most 100,000 are compared.
 *
 * **Example**
 *
 * ```ts
 * import * as Trigger from "punctual/Trigger"
 *
 * const before = Trigger.cron("0 9 * * MON-FRI", { timeZone: "Europe/Berlin" })
 * const after = Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlin" })
 * Trigger.diff(before, after, { after: "2026-01-01T00:00:00Z", until: "2026-02-01T00:00:00Z" })
 * // removed.count 0, added.count 9 (the weekends), kept 22
 * ```
 *
 * @category destructors
 * @since 0.1.0
 */
export const diff: {
  (that: Trigger, options: DiffOptions): (self: Trigger) => Difference
  (self: Trigger, that: Trigger, options: DiffOptions): Difference
} = dual(3, (self: Trigger, that: Trigger, options: DiffOptions): Difference => {
  input.checkKeys(options, ["after", "until", "limit", "binding"], "diff")
  return internalDiff.diff(
    boundOf(self, options.binding),
    boundOf(that, options.binding),
    input.reference(options.after),
    input.reference(options.until),
    input.limit(options.limit, 100, "diff"),
    toOccurrence
  )
})

/**
 * The events of a scheduler that a trigger asks for.
 *
 * @category destructors
 * @since 0.1.0
 */
export const events = (self: Trigger): { readonly startup: boolean; readonly shutdown: boolean } => {
  const members = self._tag === "Union" ? self.triggers : [self]
  return {
    startup: members.some((member) => member._tag === "Startup"),
    shutdown: members.some((member) => member._tag === "Shutdown")
  }
}

/**
 * Whether a trigger can be due more than once, as far as its form tells.
 *
 * @category destructors
 * @since 0.1.0
 */
export const isRecurring = (self: Trigger): boolean => {
  switch (self._tag) {
    case "Never":
    case "Now":
    case "At":
    case "Startup":
    case "Shutdown":
      return false
    case "Every":
    case "CalendarEvery":
    case "Cron":
    case "Rrule":
    case "Defined":
    case "Union":
      return true
    case "Intersect":
      return self.triggers.every(isRecurring)
    case "UpTo":
      return self.count > 1 && isRecurring(self.trigger)
    case "During":
    case "Between":
    case "Except":
    case "ExceptDays":
    case "Rolled":
    case "Delayed":
    case "Jittered":
      return isRecurring(self.trigger)
  }
}

const zonesOf = (node: Trigger): ReadonlyArray<string> => {
  switch (node._tag) {
    case "Rrule": {
      const { excluded, included, start } = node.rule
      return [start, ...included, ...excluded].map((date) => date?.timeZone ?? node.timeZone)
    }
    case "Cron":
    case "CalendarEvery":
      return [node.timeZone]
    case "During":
      return [node.window.timeZone]
    case "ExceptDays":
    case "Rolled":
      return [node.calendar.timeZone]
    default:
      return []
  }
}

/**
 * Whether the answers depend on the rules of a time zone, which governments change.
 *
 * **Details**
 *
 * Triggers of the program's own are taken to follow instants: what they compute is not known.
 *
 * @category destructors
 * @since 0.1.0
 */
export const usesTimeZone = (self: Trigger): boolean => {
  let uses = false
  model.visit(self, (node) => {
    if (!uses) uses = zonesOf(node).some((zone) => input.zone(zone).fixed === undefined)
  })
  return uses
}
