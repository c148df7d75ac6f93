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
import * as Schema from "effect/Schema"
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

/**
 * A cron expression of five fields, or six, that can fire.
 *
 * @category generators
 * @since 0.1.0
 */
export const cronText: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.all([
    oneOf([Arbitrary.Constant(""), Arbitrary.Constant(""), field(0, 59, 60)]),
    field(0, 59, 60),
    oneOf([field(0, 23, 24), field(0, 4, 5)]),
    oneOf([star, star, field(1, 28, 31), pick(["29", "30", "31", "28-31"])]),
    oneOf([star, star, field(1, 12, 12)]),
    oneOf([star, star, field(0, 7, 7), pick(["mon-fri", "sat,sun", "fri-mon"])])
  ]),
  ([second, minute, hour, day, month, weekday]) =>
    `${second} ${minute} ${hour} ${day} ${/^(29|30|31)$/.test(day) ? "*" : month} ${weekday}`.trim()
)

/**
 * A cron trigger in any zone, with any policy.
 *
 * @category generators
 * @since 0.1.0
 */
export const cron: Arbitrary.Arbitrary<Trigger.Trigger> = Arbitrary.map(
  Arbitrary.all([
    cronText,
    timeZone,
    pick([undefined, undefined, "skip", "shift"]),
    pick([undefined, undefined, "first", "second", "both"]),
    pick([undefined, "or", "and"])
  ]),
  ([text, zone, gap, overlap, dayMatch]) => Trigger.cron(text, { timeZone: zone, gap, overlap, dayMatch })
)

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
 * A trigger without combinators.
 *
 * @category generators
 * @since 0.1.0
 */
export const leaf: Arbitrary.Arbitrary<Trigger.Trigger> = oneOf([
  every,
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
