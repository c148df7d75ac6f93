/**
 * Recurrence rules as generated data, and their text.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type { Frequency } from "../../src/RecurrenceRule.ts"

export const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
export const pick = <const A>(values: ReadonlyArray<A>) => Arbitrary.map(int(0, values.length - 1), (i) => values[i]!)
const oneOf = <A>(arbitraries: ReadonlyArray<Arbitrary.Arbitrary<A>>) =>
  Arbitrary.flatMap(int(0, arbitraries.length - 1), (i) => arbitraries[i]!)

const codes = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"] as const

export interface Day {
  readonly n: number
  readonly day: number
}

export interface Spec {
  readonly freq: Frequency
  readonly interval: number
  readonly month: ReadonlyArray<number>
  readonly weekNo: ReadonlyArray<number>
  readonly yearDay: ReadonlyArray<number>
  readonly monthDay: ReadonlyArray<number>
  readonly day: ReadonlyArray<Day>
  readonly hour: ReadonlyArray<number>
  readonly minute: ReadonlyArray<number>
  readonly second: ReadonlyArray<number>
  readonly setPos: ReadonlyArray<number>
  readonly weekStart: number
}

export const textOf = (spec: Spec): string => {
  const parts: ReadonlyArray<readonly [string, ReadonlyArray<number | string>]> = [
    ["FREQ", [spec.freq]],
    ["BYSETPOS", spec.setPos],
    ["BYSECOND", spec.second],
    ["INTERVAL", [spec.interval]],
    ["BYMINUTE", spec.minute],
    ["BYHOUR", spec.hour],
    ["BYDAY", spec.day.map(({ day, n }) => `${n === 0 ? "" : n > 0 && n % 2 === 0 ? `+${n}` : n}${codes[day]}`)],
    ["BYMONTHDAY", spec.monthDay],
    ["BYYEARDAY", spec.yearDay],
    ["BYWEEKNO", spec.weekNo],
    ["BYMONTH", spec.month],
    ["WKST", [codes[spec.weekStart]!]]
  ]
  return parts.filter(([, values]) => values.length > 0).map(([name, values]) => `${name}=${values.join(",")}`).join(
    ";"
  )
}

/** Mostly absent, else one to three values. */
const some = (value: Arbitrary.Arbitrary<number>, oneIn = 3): Arbitrary.Arbitrary<ReadonlyArray<number>> =>
  Arbitrary.flatMap(int(1, oneIn), (n) =>
    n > 1
      ? Arbitrary.Constant<ReadonlyArray<number>>([])
      : Arbitrary.map(Arbitrary.array(value, { minLength: 1, maxLength: 3 }), (list) => Array.from(new Set(list))))

const signed = (max: number, near: ReadonlyArray<number>) => oneOf([int(1, max), int(-max, -1), pick(near)])

const days = (ordinals: Arbitrary.Arbitrary<number>): Arbitrary.Arbitrary<ReadonlyArray<Day>> =>
  Arbitrary.flatMap(int(0, 2), (n) =>
    n === 0
      ? Arbitrary.Constant<ReadonlyArray<Day>>([])
      : Arbitrary.array(Arbitrary.all({ n: ordinals, day: int(0, 6) }), { minLength: 1, maxLength: 4 }))

export const frequencies = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"] as const

export const specOf = (among: ReadonlyArray<Frequency>): Arbitrary.Arbitrary<Spec> =>
  Arbitrary.flatMap(pick(among), (freq) => {
    const none = Arbitrary.Constant<ReadonlyArray<number>>([])
    const yearly = freq === "YEARLY"
    const subDaily = frequencies.indexOf(freq) > 3
    const ordinal = yearly ? oneOf([int(-53, 53), pick([0, 0, 1, -1, 5, 53])]) : pick([0, 0, 1, 2, 4, 5, -1, -2, -5])
    return Arbitrary.map(
      Arbitrary.all({
        interval: oneOf([
          Arbitrary.Constant(1),
          pick(freq === "SECONDLY" ? [7, 60, 3600, 86_399, 100_000] : subDaily ? [2, 5, 7, 24, 90, 1441] : [2, 3, 4])
        ]),
        month: some(int(1, 12)),
        weekNo: yearly ? some(signed(53, [1, 52, 53, -1]), 2) : none,
        yearDay: yearly || subDaily ? some(signed(366, [1, 59, 60, 366, -1, -366]), 4) : none,
        monthDay: freq === "WEEKLY" ? none : some(signed(31, [1, 13, 28, 29, 30, 31, -1])),
        day: days(freq === "MONTHLY" || yearly ? ordinal : Arbitrary.Constant(0)),
        hour: some(int(0, 23)),
        minute: some(int(0, 59)),
        second: some(int(0, 59)),
        setPos: some(oneOf([pick([1, 2, -1]), signed(366, [1, -1])]), 4),
        weekStart: pick([1, 1, 0, 3, 6])
      }),
      (spec) => {
        const day = spec.weekNo.length > 0 ? spec.day.map(({ day }) => ({ n: 0, day })) : spec.day
        const alone = [spec.month, spec.weekNo, spec.yearDay, spec.monthDay, day, spec.hour, spec.minute, spec.second]
          .every(
            (list) => list.length === 0
          )
        return { ...spec, freq, day, setPos: alone ? [] : spec.setPos }
      }
    )
  })

export const iso = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 19)

export const dateText = (local: number): string => iso(local).replace(/[-:]/g, "")

/** Days on the boundaries of months, years and weeks, and times on those of a day. */
export const starts = Arbitrary.map(
  Arbitrary.all({
    day: oneOf([
      pick([
        "2023-12-30",
        "2023-12-31",
        "2024-01-01",
        "2024-02-28",
        "2024-02-29",
        "2024-12-30",
        "2025-12-29",
        "2026-01-01",
        "2026-08-31",
        "2027-01-03",
        "2099-12-31"
      ]),
      Arbitrary.map(int(0, 3000), (n) => iso((18_262 + n) * 86_400).slice(0, 10))
    ]),
    time: oneOf([pick([0, 1, 3599, 3600, 43_200, 86_399]), int(0, 86_399)])
  }),
  ({ day, time }) => Date.parse(`${day}T00:00:00Z`) / 1000 + time
)
