/**
 * Days off: weekends and holidays, as a value.
 *
 * A `Calendar` answers one question: is this date open? It is pure, compares by value, is stored as JSON, and says its own
 * days, so it can be looked at before anything depends on it.
 *
 *     Thu 24 Dec   Fri 25 Dec   Sat 26 Dec   Sun 27 Dec   Mon 28 Dec
 *       open        holiday      weekend      weekend       open
 *
 * Triggers read it: `Trigger.except(calendar)` leaves out what is due on a day off, and `Trigger.rolled(calendar, "next")`
 * moves it to an open day. A day is the day of the calendar's time zone.
 *
 * A holiday is a text:
 *
 * | text | days |
 * |---|---|
 * | `2026-12-24`, `2026-12-24/2027-01-01` | that date; those dates, both ends included |
 * | `12-25`, `12-24/01-06` | of every year; a range may go around its end |
 * | `easter`, `easter-2`, `easter+39` | days from Easter Sunday (Gregorian): Good Friday, Ascension Day |
 * | `3rd mon jan`, `last mon may`, `4th thu nov+1` | a weekday of a month, and days from it |
 * | `wed before 11-23`, `sat after 06-19` | the closest such weekday, never the date itself |
 * | `07-04 observed` | and, when it falls on the weekend, the nearest day that is no weekend (United States) |
 * | `12-26 substitute` | and, when it falls on the weekend, the next day that is neither weekend nor holiday (United Kingdom) |
 * | `06-19 since 2021`, `… until 2030` | only from, only up to that year |
 *
 * Laws: `union` is associative, commutative and idempotent, and closed when either is; decode ∘ encode = identity.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Equal from "effect/Equal"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import type { Pipeable } from "effect/Pipeable"
import type * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as codec from "./internal/calendarCodec.ts"
import * as internal from "./internal/calendarDates.ts"
import * as icalendar from "./internal/calendarICalendar.ts"
import * as model from "./internal/calendarModel.ts"
import type { Weekday } from "./Trigger.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The days off of one time zone.
 *
 * **Details**
 *
 * Calendars are frozen and equal by value; the order in which holidays are given is nothing. A calendar of one part says
 * what `make` was told; a union has the parts of its members.
 *
 * @category models
 * @since 0.1.0
 */
export interface Calendar extends Pipeable, Equal.Equal {
  readonly [model.TypeId]: typeof model.TypeId
  readonly timeZone: string
  /** A day is closed when any part closes it. */
  readonly parts: ReadonlyArray<CalendarPart>
}

/**
 * One set of rules: a day is closed when it is a weekend or a holiday, unless it is open in spite of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface CalendarPart {
  readonly weekend: ReadonlyArray<Weekday>
  readonly holidays: ReadonlyArray<Holiday>
  readonly open: ReadonlyArray<string>
}

/**
 * The rule of a holiday, and what it is called.
 *
 * @category models
 * @since 0.1.0
 */
export interface Holiday {
  readonly date: string
  readonly name: string | undefined
}

/**
 * A spelling of a holiday: its rule, or its rule with a name.
 *
 * @category models
 * @since 0.1.0
 */
export type HolidayInput = string | { readonly date: string; readonly name?: string | undefined }

/**
 * A spelling of a date: `2026-12-24`, or an instant, which stands for its date in the time zone of the calendar.
 *
 * @category models
 * @since 0.1.0
 */
export type DateInput = string | DateTime.DateTime

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

export {
  /**
   * A calendar that cannot be: thrown by constructors, answered by `fromICalendar`.
   *
   * @category errors
   * @since 0.1.0
   */
  CalendarError
} from "./internal/calendarModel.ts"

// ---------------------------------------------------------------------------------------------------------------------
// guards
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Returns `true` if a value is a `Calendar`.
 *
 * @category guards
 * @since 0.1.0
 */
export const isCalendar: (u: unknown) => u is Calendar = model.isCalendar

// ---------------------------------------------------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The stored form of one set of rules.
 *
 * @category schemas
 * @since 0.1.0
 */
export interface EncodedPart {
  readonly weekend?: ReadonlyArray<Weekday>
  readonly holidays?: ReadonlyArray<string | { readonly date: string; readonly name: string }>
  readonly open?: ReadonlyArray<string>
}

/**
 * The stored form of a calendar: what `make` takes, or a union of that.
 *
 * @category schemas
 * @since 0.1.0
 */
export interface Encoded extends EncodedPart {
  readonly timeZone: string
  readonly union?: ReadonlyArray<EncodedPart>
}

/**
 * Schema of calendars, for those that are kept in a file or a database.
 *
 * **Details**
 *
 * Decoding checks what `make` checks, and refuses unknown keys.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Calendar: Schema.Codec<Calendar, Encoded> = codec.make()

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The zone whose days are meant; "UTC" by default, never the zone of the host. */
  readonly timeZone?: string | DateTime.TimeZone | undefined
  /** Days of the week that are off: `"sat,sun"`, `["fri", "sat"]`. None by default. */
  readonly weekend?: string | ReadonlyArray<Weekday> | undefined
  /** Days off, as rules; `{ date, name }` gives one a name. */
  readonly holidays?: HolidayInput | ReadonlyArray<HolidayInput> | undefined
  /** Days that are open although they are a weekend or a holiday, as rules. */
  readonly open?: string | ReadonlyArray<string> | undefined
}

/**
 * Makes a calendar, and throws a `CalendarError` for what is no holiday.
 *
 * **Details**
 *
 * Nothing is a day off that is not said: without `weekend`, Saturdays and Sundays are open. `open` wins over both others.
 * With `observed` and `substitute` a weekend is what `weekend` says.
 *
 * **Example**
 *
 * ```ts
 * import * as Calendar from "punctual/Calendar"
 *
 * const berlin = Calendar.make({
 *   timeZone: "Europe/Berlin",
 *   weekend: "sat,sun",
 *   holidays: [
 *     { date: "01-01", name: "Neujahr" },
 *     { date: "easter-2", name: "Karfreitag" },
 *     "easter+1",
 *     "12-24/12-26",
 *     "2026-12-31"
 *   ],
 *   open: ["2026-10-31"]
 * })
 *
 * Calendar.isOpen(berlin, "2026-04-03") // false: Good Friday
 * ```
 *
 * @see {@link Calendar} for calendars that come from outside
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Calendar => model.make(options)

/**
 * @category options
 * @since 0.1.0
 */
export type ICalendarOptions = Omit<Options, "holidays">

/**
 * Reads the holidays of an iCalendar file (RFC 5545, `.ics`).
 *
 * **Details**
 *
 * Every `VEVENT` closes the days it covers: all-day events, with an end that is not included, and of events with times the
 * days they cover from midnight to midnight. Events may repeat: `RRULE`, `RDATE`, `EXDATE`, and single ones that were moved.
 * `SUMMARY` is the name.
 *
 * - Cancelled events close nothing.
 * - `TRANSP:TRANSPARENT` closes too: most published holiday calendars mark all their days as "free".
 * - A rule that never ends and is not yearly is spelled out for a hundred years.
 *
 * The file says nothing of weekends: give `weekend` and `open` as for `make`.
 *
 * **Gotchas**
 *
 * The names of time zones must be IANA names, or events with times in them are refused. All-day events have none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromICalendar = (
  text: string,
  options?: ICalendarOptions
): Result.Result<Calendar, model.CalendarError> => icalendar.read(text, options ?? {})

// ---------------------------------------------------------------------------------------------------------------------
// combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Closed when either is. Both must be in one time zone.
 *
 * **Details**
 *
 * What one calendar opens in spite of its own rules, the other may still close.
 *
 * @category combinators
 * @since 0.1.0
 */
export const union: {
  (that: Calendar): (self: Calendar) => Calendar
  (self: Calendar, that: Calendar): Calendar
} = dual(2, (self: Calendar, that: Calendar): Calendar => model.merge([self, that]))

// ---------------------------------------------------------------------------------------------------------------------
// destructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether a date is no day off.
 *
 * @category destructors
 * @since 0.1.0
 */
export const isOpen: {
  (date: DateInput): (self: Calendar) => boolean
  (self: Calendar, date: DateInput): boolean
} = dual(2, (self: Calendar, date: DateInput): boolean => internal.isOpen(self, date))

/**
 * The first open date after a date; none when there is none within a hundred years.
 *
 * @category destructors
 * @since 0.1.0
 */
export const next: {
  (date: DateInput): (self: Calendar) => Option.Option<string>
  (self: Calendar, date: DateInput): Option.Option<string>
} = dual(2, (self: Calendar, date: DateInput) => Option.fromUndefinedOr(internal.next(self, date)))

/**
 * The last open date before a date; none when there is none within a hundred years.
 *
 * @category destructors
 * @since 0.1.0
 */
export const previous: {
  (date: DateInput): (self: Calendar) => Option.Option<string>
  (self: Calendar, date: DateInput): Option.Option<string>
} = dual(2, (self: Calendar, date: DateInput) => Option.fromUndefinedOr(internal.previous(self, date)))

/**
 * The holidays from one date to another, both included, with their names where they have one.
 *
 * **When to use**
 *
 * Use it to look at a calendar before something depends on it, or to show it.
 *
 * **Details**
 *
 * In order, one for each date. Days that are off only because they are a weekend are not among them, nor those that are
 * open in spite of being a holiday.
 *
 * @category destructors
 * @since 0.1.0
 */
export const holidays: {
  (range: { readonly from: DateInput; readonly to: DateInput }): (self: Calendar) => ReadonlyArray<Holiday>
  (self: Calendar, range: { readonly from: DateInput; readonly to: DateInput }): ReadonlyArray<Holiday>
} = dual(
  2,
  (self: Calendar, range: { readonly from: DateInput; readonly to: DateInput }): ReadonlyArray<Holiday> =>
    internal.holidays(self, range.from, range.to)
)
