/**
 * Generators of triggers, bindings and instants for property tests.
 *
 * They sit on the boundaries and one step beside them: changes of clocks, ends of months, leap days, 1970 and 2100.
 *
 * **Example**
 *
 * ```ts
 * import { assert, it } from "@effect/vitest"
 * import * as Trigger from "punctual/Trigger"
 * import * as TriggerArbitrary from "punctual/testing/TriggerArbitrary"
 *
 * it.prop("next is later", [TriggerArbitrary.trigger, TriggerArbitrary.instant], ([trigger, after]) => {
 *   const next = Trigger.bind(trigger, { anchor: 0, seed: "a" }).next(after)
 *   assert.isTrue(next === undefined || next.due > after)
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Calendar from "../Calendar.ts"
import * as CronExpression from "../CronExpression.ts"
import * as Trigger from "../Trigger.ts"

const int = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const pick = <const A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(int(0, values.length - 1), (i) => values[i]!)

const oneOf = <A>(arbitraries: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(int(0, arbitraries.length - 1), (i) => arbitraries[i]!)

/**
 * Forty zones: every usual rule and the odd ones (half an hour, a whole day, midnight, a moved standard time).
 *
 * @category generators
 * @since 0.1.0
 */
export const timeZones: ReadonlyArray<string> = [
  "UTC",
  "+05:45",
  "-03:30",
  "Africa/Cairo",
  "Africa/Casablanca",
  "Africa/Johannesburg",
  "America/Anchorage",
  "America/Argentina/San_Luis",
  "America/Asuncion",
  "America/Caracas",
  "America/Chicago",
  "America/Havana",
  "America/Los_Angeles",
  "America/New_York",
  "America/Nuuk",
  "America/Santiago",
  "America/Sao_Paulo",
  "America/St_Johns",
  "Antarctica/Casey",
  "Antarctica/Troll",
  "Asia/Amman",
  "Asia/Beirut",
  "Asia/Gaza",
  "Asia/Jerusalem",
  "Asia/Kathmandu",
  "Asia/Kolkata",
  "Asia/Pyongyang",
  "Asia/Tehran",
  "Asia/Tokyo",
  "Atlantic/Azores",
  "Australia/Adelaide",
  "Australia/Lord_Howe",
  "Europe/Berlin",
  "Europe/Dublin",
  "Europe/London",
  "Europe/Moscow",
  "Pacific/Apia",
  "Pacific/Auckland",
  "Pacific/Chatham",
  "Pacific/Kiritimati"
]

/**
 * One of {@link timeZones}.
 *
 * @category generators
 * @since 0.1.0
 */
export const timeZone: Arbitrary.Arbitrary<string> = pick(timeZones)

/** Epoch milliseconds of instants at which something changes. */
const boundaries: ReadonlyArray<number> = [
  0, // 1970
  951_782_400_000, // 2000-02-29
  1_325_239_200_000, // 2011-12-30T10:00Z, Apia leaves a day out
  1_541_300_400_000, // 2018-11-04T03:00Z, São Paulo loses its midnight
  1_550_368_800_000, // 2019-02-17T02:00Z, São Paulo repeats 23:00
  1_678_291_200_000, // 2023-03-08T16:00Z, Casey
  1_709_164_800_000, // 2024-02-29
  1_772_236_800_000, // 2026-02-28
  1_772_946_000_000, // 2026-03-08T05:00Z, Havana
  1_772_953_200_000, // 2026-03-08T07:00Z, New York
  1_774_735_200_000, // 2026-03-28T22:00Z, Beirut
  1_774_746_000_000, // 2026-03-29T01:00Z, Europe
  1_775_314_800_000, // 2026-04-04T15:00Z, Lord Howe
  1_791_041_400_000, // 2026-10-03T15:30Z, Lord Howe
  1_792_890_000_000, // 2026-10-25T01:00Z, Europe
  1_793_509_200_000, // 2026-11-01T05:00Z, Havana
  1_793_512_800_000, // 2026-11-01T06:00Z, New York
  1_798_761_600_000, // 2027-01-01
  3_981_312_000_000, // 2096-02-29
  4_107_456_000_000, // 2100-02-28
  4_107_542_400_000 // 2100-03-01
]

const nudges: ReadonlyArray<number> = [0, -1, 1, -1_000, 1_000, -60_000, 60_000, -1_800_000, 3_600_000, -86_400_000]

/**
 * Epoch milliseconds on a boundary, beside it, or anywhere from 1960 to 2110.
 *
 * @category generators
 * @since 0.1.0
 */
export const instant: Arbitrary.Arbitrary<number> = oneOf([
  Arbitrary.map(Arbitrary.all([pick(boundaries), pick(nudges)]), ([at, by]) => at + by),
  Arbitrary.map(Arbitrary.all([pick(boundaries), int(-200_000_000, 200_000_000)]), ([at, by]) => at + by),
  int(-315_619_200_000, 4_418_064_000_000)
])

/**
 * @category generators
 * @since 0.1.0
 */
export const binding: Arbitrary.Arbitrary<Trigger.Binding> = Arbitrary.map(
  Arbitrary.all([instant, pick(["", "a", "digest-acme", "digest-zenith"])]),
  ([anchor, seed]) => ({ anchor, seed })
)

/** A field of a cron expression: wildcards, steps, values, ranges (also around the end) and lists. */
const field = (min: number, max: number, size: number): Arbitrary.Arbitrary<string> => {
  const value = int(min, max)
  const step = pick([2, 3, 5].filter((n) => n < size))
  return oneOf([
    Arbitrary.Constant("*"),
    Arbitrary.map(step, (n) => `*/${n}`),
    Arbitrary.map(value, String),
    Arbitrary.map(Arbitrary.all([value, value]), ([a, b]) => `${a},${b}`),
    Arbitrary.map(Arbitrary.all([value, value]), ([a, b]) => `${a}-${b}`),
    Arbitrary.map(Arbitrary.all([value, value, step]), ([a, b, n]) => `${a}-${b}/${n}`)
  ])
}

const star = Arbitrary.Constant("*")

/** Days that each month decides, and values that the id of the task decides. */
const dayForms = pick([
  "L",
  "L-1",
  "L-3",
  "L-29",
  "LW",
  "1W",
  "15W",
  "28W",
  "31W",
  "L-3W",
  "1,15,L",
  "last",
  "2nd-mon",
  "last-fri,5th-sun",
  "H",
  "H(10-20)",
  "H/7",
  "?",
  "29",
  "30",
  "31",
  "28-31"
])

const weekdayForms = pick([
  "MON#1",
  "1#2",
  "THU#5",
  "5L",
  "FRI#L",
  "MON#1,FRI#L",
  "sat,SUN#3",
  "L",
  "H",
  "H(1-5)",
  "+FRI",
  "+MON#2",
  "?",
  "mon-fri",
  "sat,sun",
  "fri-mon"
])

const years = pick(["*", "2026", "2026-2030", "*/4", "1999-2101/7", "2024,2028,2096", "1970", "2099-2101"])

const weeks = pick(["week=1", "week=52,53", "week=10-20/3", "week=53"])

const fires = (text: string, dayMatch?: CronExpression.DayMatch): boolean =>
  Result.isSuccess(CronExpression.parse(text, { dayMatch }))

/**
 * A cron expression that can fire: all kinds of fields, five to seven of them, macros and ISO weeks.
 *
 * @category generators
 * @since 0.1.0
 */
export const cronText: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.all([
    oneOf([Arbitrary.Constant(""), Arbitrary.Constant(""), field(0, 59, 60), pick(["H", "H/20"])]),
    oneOf([field(0, 59, 60), field(0, 59, 60), pick(["H", "H(0-29)/10", "H/15,45"])]),
    oneOf([field(0, 23, 24), field(0, 4, 5), pick(["H", "H(1-4)"])]),
    oneOf([star, star, field(1, 31, 31), dayForms]),
    oneOf([star, star, field(1, 12, 12), pick(["2", "H", "H(2-4)/2"])]),
    oneOf([star, star, field(0, 7, 7), weekdayForms]),
    oneOf([Arbitrary.Constant(""), Arbitrary.Constant(""), years]),
    oneOf([Arbitrary.Constant(""), Arbitrary.Constant(""), Arbitrary.Constant(""), weeks]),
    int(0, 30)
  ]),
  ([second, minute, hour, day, month, weekday, year, week, macro]) => {
    const full = `${year === "" ? second : second || "0"} ${minute} ${hour} ${day} ${month} ${weekday} ${year} ${week}`
    const candidates = [full.trim(), `${second} ${minute} ${hour} ${day} * ${weekday}`, `${minute} ${hour} ${day} * *`]
    return macro < macros.length ? macros[macro]! : candidates.find((text) => fires(text))?.trim() ?? "* * * * *"
  }
)

const macros = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]

/** Fields by name, with days both of which must hold. */
const cronFields: Arbitrary.Arbitrary<CronExpression.Fields> = Arbitrary.map(
  Arbitrary.all([
    pick([undefined, undefined, "2026-2030", 2028]),
    pick([undefined, undefined, 2, "mar-may", [6, 12]]),
    pick([undefined, undefined, "last", "2nd mon", "1-7", [1, 15, "last fri"]]),
    pick([undefined, undefined, 1, "52-53", "*/4"]),
    pick([undefined, undefined, "mon,tue", "fri", 0, "MON#1"]),
    pick([undefined, 0, "2", "22-2", "*/6"]),
    pick([undefined, 30, "*/15"]),
    pick([undefined, undefined, 0, 59])
  ]),
  ([year, month, day, week, dayOfWeek, hour, minute, second]) => {
    const fields = { year, month, day, week, dayOfWeek, hour, minute, second }
    return Result.isSuccess(CronExpression.make(fields)) ? fields : { dayOfWeek, hour: 2, minute, second }
  }
)

const policies = Arbitrary.all({
  timeZone,
  gap: pick([undefined, undefined, "skip", "shift"]),
  overlap: pick([undefined, undefined, "first", "second", "both"])
})

const cronOfText: Arbitrary.Arbitrary<Trigger.Trigger> = Arbitrary.map(
  Arbitrary.all([cronText, policies, pick([undefined, "or", "and"])]),
  ([text, options, dayMatch]) =>
    Trigger.cron(text, { ...options, dayMatch: fires(text, dayMatch) ? dayMatch : undefined })
)

/**
 * A cron trigger in any zone, with any policy.
 *
 * @category generators
 * @since 0.1.0
 */
export const cron: Arbitrary.Arbitrary<Trigger.Trigger> = oneOf([
  cronOfText,
  cronOfText,
  Arbitrary.map(Arbitrary.all([cronFields, policies]), ([fields, options]) => Trigger.cron(fields, options))
])

const period = oneOf([
  pick([1, 999, 1_000, 60_000, 300_000, 3_600_000, 86_400_000, 604_800_000]),
  int(1, 100_000_000)
])

/**
 * An `every` on its anchor, at once, or on a grid of its own.
 *
 * @category generators
 * @since 0.1.0
 */
export const every: Arbitrary.Arbitrary<Trigger.Trigger> = oneOf([
  Arbitrary.map(period, (millis) => Trigger.every(millis)),
  Arbitrary.map(period, (millis) => Trigger.every(millis, { immediately: true })),
  Arbitrary.map(Arbitrary.all([period, instant]), ([millis, start]) => Trigger.every(millis, { start }))
])

/**
 * A `calendarEvery` from a date of its own, often the end of a month, or from its anchor.
 *
 * @category generators
 * @since 0.1.0
 */
export const calendarEvery: Arbitrary.Arbitrary<Trigger.Trigger> = Arbitrary.map(
  Arbitrary.all([
    pick(["days", "weeks", "months", "years"]),
    oneOf([int(1, 3), int(1, 40)]),
    policies,
    pick([undefined, "00:00", "02:30", "09:00", "23:59:59"]),
    pick([undefined, "2026-01-31", "2024-02-29", "2011-12-30", "1999-12-01", "2026-03-29", "1965-08-30"]),
    pick([undefined, "clamp", "skip"])
  ]),
  ([unit, count, options, at, start, shortMonths]) =>
    Trigger.calendarEvery({ [unit]: count } as unknown as Trigger.CalendarPeriod, {
      ...options,
      at,
      start,
      shortMonths: unit === "months" || unit === "years" ? shortMonths : undefined
    })
)

const rruleRules = pick([
  "FREQ=YEARLY;BYMONTH=2,3;BYMONTHDAY=29,-1",
  "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO,SU",
  "FREQ=YEARLY;BYDAY=20MO,-1SU;BYHOUR=2;BYMINUTE=30",
  "FREQ=MONTHLY",
  "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;BYHOUR=17,23",
  "FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=31",
  "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
  "FREQ=DAILY;INTERVAL=3;BYHOUR=0,1,2,3;BYMINUTE=0,30",
  "FREQ=HOURLY",
  "FREQ=HOURLY;INTERVAL=7;BYDAY=SA,SU",
  "FREQ=MINUTELY;INTERVAL=45;BYMONTH=3,10,11",
  "FREQ=SECONDLY;INTERVAL=4001"
])

/**
 * A recurrence rule in any zone, from a start of its own or from its anchor, endless or not, with dates added and left out.
 *
 * @category generators
 * @since 0.1.0
 */
export const rrule: Arbitrary.Arbitrary<Trigger.Trigger> = Arbitrary.map(
  Arbitrary.all([
    rruleRules,
    timeZone,
    pick([undefined, "2026-01-31T02:30", "2024-02-29T00:00", "2011-12-29T23:59:59", "1965-08-30T12:00"]),
    pick(["", "", ";COUNT=1", ";COUNT=30", ";UNTIL=20260329T010000Z"]),
    pick(["", "", "\nRDATE:20260329T010000Z\nEXDATE;VALUE=DATE:20261025", "\nEXDATE:20260301T020000"])
  ]),
  ([rule, zone, start, end, dates]) => Trigger.rrule(`RRULE:${rule}${end}${dates}`, { timeZone: zone, start })
)

/**
 * A calendar in any zone: no days off or many, long closures, and dates beside changes of clocks.
 *
 * @category generators
 * @since 0.1.0
 */
export const calendar: Arbitrary.Arbitrary<Calendar.Calendar> = Arbitrary.map(
  Arbitrary.all([
    timeZone,
    pick([undefined, "sat,sun", "sat,sun", "fri,sat", "mon-sat"]),
    Arbitrary.all([
      pick(["12-25", "12-24/01-06", "02-29", "07-04 observed", "06-01/08-31", "01-01/12-30 since 2030"]),
      pick(["easter", "easter-2", "3rd mon jan", "last mon may", "sat after 06-19", "12-26 substitute"]),
      pick(["2026-03-29", "2026-10-24/2026-11-02", "2011-12-29", "2011-12-31/2012-01-02", "2026-01-01/2027-02-28"])
    ]),
    int(0, 3),
    pick([undefined, undefined, "2026-10-25", "12-25", "1st sun nov"])
  ]),
  ([zone, weekend, holidays, n, open]) =>
    Calendar.make({ timeZone: zone, weekend, holidays: holidays.slice(3 - n), open })
)

/**
 * @category generators
 * @since 0.1.0
 */
export const rollDirection: Arbitrary.Arbitrary<Trigger.RollDirection> = pick([
  "next",
  "previous",
  "nextInMonth",
  "previousInMonth",
  "nearest"
])

/**
 * A trigger without combinators.
 *
 * @category generators
 * @since 0.1.0
 */
export const leaf: Arbitrary.Arbitrary<Trigger.Trigger> = oneOf([
  every,
  calendarEvery,
  rrule,
  cron,
  cron,
  Arbitrary.map(instant, (at) => Trigger.at(at)),
  Arbitrary.Constant(Trigger.now),
  Arbitrary.Constant(Trigger.never)
])

/**
 * Options of `during`.
 *
 * @category generators
 * @since 0.1.0
 */
export const window: Arbitrary.Arbitrary<Trigger.DuringOptions> = Arbitrary.map(
  Arbitrary.all([
    timeZone,
    pick([undefined, "mon-fri", "sat,sun", "fri"]),
    pick([undefined, undefined, "12-24/01-06", "02-29", "2026-03-01/2026-11-30"]),
    pick(["09:00-17:00", "22:00-06:00", "02:00-02:30", "00:00-24:00", "23:59:30-00:00"])
  ]),
  ([zone, weekdays, dates, times]) => ({ timeZone: zone, weekdays, dates, times: [times] })
)

const combined = (inner: Arbitrary.Arbitrary<Trigger.Trigger>): Arbitrary.Arbitrary<Trigger.Trigger> =>
  oneOf([
    inner,
    Arbitrary.map(Arbitrary.all([inner, inner]), ([a, b]) => Trigger.union(a, b)),
    Arbitrary.map(Arbitrary.all([inner, inner]), ([a, b]) => Trigger.intersect(a, b)),
    Arbitrary.map(Arbitrary.all([inner, inner]), ([a, b]) => Trigger.except(a, b)),
    Arbitrary.map(Arbitrary.all([inner, calendar]), ([trigger, days]) => Trigger.except(trigger, days)),
    Arbitrary.map(
      Arbitrary.all([inner, calendar, rollDirection]),
      ([trigger, days, direction]) => Trigger.rolled(trigger, days, direction)
    ),
    Arbitrary.map(Arbitrary.all([inner, period]), ([trigger, delay]) => Trigger.delayed(trigger, delay)),
    Arbitrary.map(Arbitrary.all([inner, window]), ([trigger, options]) => Trigger.during(trigger, options)),
    Arbitrary.map(Arbitrary.all([inner, instant, instant]), ([trigger, a, b]) =>
      Trigger.between(trigger, { start: Math.min(a, b), end: Math.max(a, b) })),
    Arbitrary.map(Arbitrary.all([inner, int(1, 50)]), ([trigger, n]) =>
      Trigger.upTo(trigger, n))
  ])

/**
 * Any trigger that is not an event and has no jitter, so it may stand inside any combinator.
 *
 * @category generators
 * @since 0.1.0
 */
export const inner: Arbitrary.Arbitrary<Trigger.Trigger> = oneOf([
  leaf,
  leaf,
  combined(leaf),
  combined(leaf),
  combined(combined(leaf))
])

/**
 * Any trigger with instants, also with jitter.
 *
 * @category generators
 * @since 0.1.0
 */
export const trigger: Arbitrary.Arbitrary<Trigger.Trigger> = oneOf([
  inner,
  inner,
  Arbitrary.map(Arbitrary.all([inner, period]), ([trigger, width]) => Trigger.jittered(trigger, width))
])

/**
 * Any trigger at all, also with the events of a scheduler.
 *
 * @category generators
 * @since 0.1.0
 */
export const any: Arbitrary.Arbitrary<Trigger.Trigger> = oneOf([
  trigger,
  trigger,
  Arbitrary.map(Arbitrary.all([trigger, pick([Trigger.startup, Trigger.shutdown])]), ([a, b]) => Trigger.union(a, b)),
  Arbitrary.Constant(Trigger.startup),
  Arbitrary.Constant(Trigger.shutdown)
])
