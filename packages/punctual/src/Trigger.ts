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
 * | jittered | keeps order and number |
 * | Schema | decode ∘ encode = identity |
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
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
import type { CronExpression, DayMatch } from "./CronExpression.ts"
import * as codec from "./internal/triggerCodec.ts"
import * as internalFormat from "./internal/triggerFormat.ts"
import * as input from "./internal/triggerInput.ts"
import * as model from "./internal/triggerModel.ts"
import * as source from "./internal/triggerSource.ts"

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
  | Union
  | Intersect
  | During
  | Between
  | UpTo
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

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

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
  /** How day of month and day of week combine. */
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
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const cron = (expression: string | CronExpression, options?: CronOptions): Trigger =>
  input.cron(expression, options)

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

const boundOf = (self: Trigger, binding: Partial<Binding> | undefined): Bound => {
  const anchor = binding?.anchor ?? 0
  const seed = binding?.seed ?? ""
  const known = bounds.get(self)
  if (known !== undefined && known.anchor === anchor && known.seed === seed) return known.bound
  const bound = source.bind(self, { anchor, seed })
  bounds.set(self, { anchor, seed, bound })
  return bound
}

const toOccurrence = (point: Point): Occurrence => {
  const due = DateTime.makeUnsafe(point.due)
  return { due, nominal: point.nominal === point.due ? due : DateTime.makeUnsafe(point.nominal) }
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
    case "Cron":
    case "Union":
      return true
    case "Intersect":
      return self.triggers.every(isRecurring)
    case "UpTo":
      return self.count > 1 && isRecurring(self.trigger)
    case "During":
    case "Between":
    case "Jittered":
      return isRecurring(self.trigger)
  }
}

/**
 * Whether the answers depend on the rules of a time zone, which governments change.
 *
 * @category destructors
 * @since 0.1.0
 */
export const usesTimeZone = (self: Trigger): boolean => {
  let uses = false
  model.visit(self, (node) => {
    const zone = node._tag === "Cron" ? node.timeZone : node._tag === "During" ? node.window.timeZone : undefined
    if (zone !== undefined && input.zone(zone).fixed === undefined) uses = true
  })
  return uses
}
