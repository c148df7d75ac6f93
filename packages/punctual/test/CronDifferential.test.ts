/**
 * The cron engine against a clock that is read minute by minute, and against other libraries where those agree.
 */
import { assert, describe, it } from "@effect/vitest"
import { CronExpressionParser } from "cron-parser"
import { Cron as Croner } from "croner"
import * as Arbitrary from "effect/Arbitrary"
import * as Cron from "effect/Cron"
import * as Schema from "effect/Schema"
import * as Trigger from "../src/Trigger.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
const pick = <const A>(values: ReadonlyArray<A>) => Arbitrary.map(int(0, values.length - 1), (i) => values[i]!)
const oneOf = <A>(arbitraries: ReadonlyArray<Arbitrary.Arbitrary<A>>) =>
  Arbitrary.flatMap(int(0, arbitraries.length - 1), (i) => arbitraries[i]!)

// ---------------------------------------------------------------------------------------------------------------------
// an oracle that owes nothing to the parser or the engine
// ---------------------------------------------------------------------------------------------------------------------

/** A field: its text, whether it begins with a star, and the values it means, known from how it was generated. */
interface Field {
  readonly text: string
  readonly star: boolean
  readonly has: (value: number) => boolean
}

/** `values` is the number of distinct ones, starting at `min`. */
const field = (min: number, values: number, near: readonly [number, number]): Arbitrary.Arbitrary<Field> => {
  const max = min + values - 1
  const value = oneOf([int(min, max), int(near[0], near[1])])
  const within = (a: number, b: number, step: number) => (v: number) => {
    const distance = (v - a + values) % values
    return distance <= (b - a + values) % values && distance % step === 0
  }
  return oneOf<Field>([
    Arbitrary.Constant({ text: "*", star: true, has: () => true }),
    Arbitrary.map(pick([2, 3, 5]), (n) => ({ text: `*/${n}`, star: true, has: within(min, max, n) })),
    Arbitrary.map(value, (a) => ({ text: `${a}`, star: false, has: (v) => v === a })),
    Arbitrary.map(Arbitrary.all([value, value]), ([a, b]) => ({
      text: `${a},${b}`,
      star: false,
      has: (v) => v === a || v === b
    })),
    Arbitrary.map(
      Arbitrary.all([value, value]),
      ([a, b]) => ({ text: `${a}-${b}`, star: false, has: within(a, b, 1) })
    ),
    Arbitrary.map(Arbitrary.all([value, value, pick([2, 3])]), ([a, b, n]) => ({
      text: `${a}-${b}/${n}`,
      star: false,
      has: within(a, b, n)
    }))
  ])
}

const anything = Arbitrary.Constant<Field>({ text: "*", star: true, has: () => true })

const expression = Arbitrary.all([
  field(0, 60, [0, 30]),
  oneOf([field(0, 24, [0, 4]), field(0, 24, [22, 23])]),
  oneOf([anything, anything, field(1, 31, [1, 28])]),
  oneOf([anything, anything, field(1, 12, [3, 4])]),
  oneOf([anything, anything, field(0, 7, [0, 6])])
])

/** Minutes of a stretch of time, what the clock on the wall shows at each (civil minutes since 1970), and how often. */
interface Clock {
  readonly start: number
  readonly local: ReadonlyArray<number>
  readonly pass: ReadonlyArray<"only" | "first" | "second">
}

const readClock = (timeZone: string, center: number, minutes: number): Clock => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric"
  })
  const start = center - minutes / 2 * 60_000
  const local = Array.from({ length: minutes }, (_, i) => {
    const [month, day, year, hour, minute] = format.format(start + i * 60_000).split(/\D+/).map(Number)
    return Date.UTC(year!, month! - 1, day, hour, minute) / 60_000
  })
  const last = new Map(local.map((time, i) => [time, i]))
  const seen = new Set<number>()
  const pass = local.map((time, i) => {
    const second = seen.has(time)
    seen.add(time)
    return second ? "second" : last.get(time)! > i ? "first" : "only"
  })
  return { start, local, pass }
}

type Policy = {
  readonly gap?: "skip" | "shift" | undefined
  readonly overlap?: "first" | "second" | "both" | undefined
}

/** All matching instants of a clock, by the definition in the documentation of `Trigger.cron`. */
const bruteForce = (
  clock: Clock,
  [minute, hour, day, month, weekday]: readonly [Field, Field, Field, Field, Field],
  policy: Policy,
  and: boolean
): Set<number> => {
  const wild = minute.star || hour.star
  const days = new Map<number, boolean>()
  const matchesDay = (civilDay: number): boolean => {
    let result = days.get(civilDay)
    if (result === undefined) {
      const date = new Date(civilDay * 86_400_000)
      const inDays = day.has(date.getUTCDate())
      const inWeek = weekday.has(date.getUTCDay())
      result = month.has(date.getUTCMonth() + 1) &&
        (and || day.star || weekday.star ? inDays && inWeek : inDays || inWeek)
      days.set(civilDay, result)
    }
    return result
  }
  const matches = (local: number): boolean =>
    minute.has(local % 60) && hour.has(Math.floor(local / 60) % 24) && matchesDay(Math.floor(local / 1440))
  const gap = policy.gap ?? (wild ? "skip" : "end")
  const overlap = policy.overlap ?? (wild ? "both" : "first")
  const out = new Set<number>()
  clock.local.forEach((local, i) => {
    const pass = clock.pass[i]!
    if (matches(local) && (pass === "only" || overlap === "both" || overlap === pass)) out.add(clock.start + i * 60_000)
    const before = clock.local[i - 1]
    if (before === undefined) return
    for (let skipped = before + 1; skipped < local; skipped++) {
      if (!matches(skipped)) continue
      if (gap === "end") out.add(clock.start + i * 60_000)
      if (gap === "shift") out.add(clock.start + (i - 1 + skipped - before) * 60_000)
    }
  })
  return out
}

const places: ReadonlyArray<readonly [timeZone: string, change: string]> = [
  ["UTC", "2028-02-29T00:00Z"],
  ["Europe/Berlin", "2026-03-29T01:00Z"],
  ["Europe/Berlin", "2026-10-25T01:00Z"],
  ["America/New_York", "2026-03-08T07:00Z"],
  ["America/New_York", "2026-11-01T06:00Z"],
  ["Australia/Lord_Howe", "2026-04-04T15:00Z"],
  ["Australia/Lord_Howe", "2026-10-03T15:30Z"],
  ["Pacific/Apia", "2011-12-30T10:00Z"],
  ["Pacific/Chatham", "2026-09-26T14:00Z"],
  ["America/Havana", "2026-03-08T05:00Z"],
  ["America/Havana", "2026-11-01T05:00Z"],
  ["Asia/Beirut", "2026-03-28T22:00Z"],
  ["Asia/Beirut", "2026-10-24T21:00Z"],
  ["America/Sao_Paulo", "2018-11-04T03:00Z"],
  ["America/Sao_Paulo", "2019-02-17T02:00Z"],
  ["Antarctica/Casey", "2023-03-08T16:00Z"],
  ["Antarctica/Troll", "2026-03-29T01:00Z"],
  ["America/St_Johns", "2006-10-29T02:31Z"],
  ["Africa/Casablanca", "2026-02-15T02:00Z"],
  ["America/Caracas", "2016-05-01T07:00Z"],
  ["Asia/Pyongyang", "2018-05-04T15:00Z"]
]

const clocks = new Map<number, Clock>()

/** Eight days around a change, read once. */
const clockOf = (place: number): Clock => {
  let clock = clocks.get(place)
  if (clock === undefined) {
    clock = readClock(places[place]![0], Date.parse(places[place]![1]), 8 * 1440)
    clocks.set(place, clock)
  }
  return clock
}

const policies = Arbitrary.all({
  gap: pick([undefined, undefined, "skip", "shift"]),
  overlap: pick([undefined, undefined, "first", "second", "both"]),
  dayMatch: pick([undefined, "or", "and"])
})

describe("cron, minute by minute", () => {
  it.prop("every instant of the days around a change, forwards, backwards and counted", [
    expression,
    int(0, places.length - 1),
    policies
  ], ([fields, place, { dayMatch, gap, overlap }]) => {
    const text = fields.map((field) => field.text).join(" ")
    const and = dayMatch === "and"
    let trigger: Trigger.Trigger
    try {
      trigger = Trigger.cron(text, { timeZone: places[place]![0], gap, overlap, dayMatch })
    } catch (error) {
      // Refused as impossible: then no day of a leap year may match.
      if (!(error instanceof Trigger.InvalidTrigger)) throw error
      for (let i = 0; i < 366; i++) {
        const date = new Date(Date.UTC(2028, 0, 1 + i))
        assert.isFalse(fields[2].has(date.getUTCDate()) && fields[3].has(date.getUTCMonth() + 1))
      }
      return
    }
    const clock = clockOf(place)
    // A day and a half of margin, so that the oracle sees both passes of whatever is repeated.
    const from = clock.start + 2_160 * 60_000
    const until = clock.start + (clock.local.length - 2_160) * 60_000
    const expected = Array.from(bruteForce(clock, fields, { gap, overlap }, and))
      .filter((instant) => instant > from && instant <= until)
      .sort((a, b) => a - b)
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "" })
    const forward: Array<number> = []
    for (let p = bound.next(from); p !== undefined && p.due <= until; p = bound.next(p.due)) forward.push(p.due)
    assert.deepStrictEqual(forward, expected)
    const backward: Array<number> = []
    for (let p = bound.previous(until + 1); p !== undefined && p.due > from; p = bound.previous(p.due)) {
      backward.push(p.due)
    }
    assert.deepStrictEqual(backward.reverse(), expected)
    assert.deepStrictEqual(bound.countBetween(from, until, 0), { count: expected.length, exact: true })
  }, { timeout: 30_000, arbitrary: { runs: 800, seed: "brute force" } })
})

// ---------------------------------------------------------------------------------------------------------------------
// other libraries
// ---------------------------------------------------------------------------------------------------------------------

describe("cron, beside other libraries", () => {
  const simple = (min: number, max: number): Arbitrary.Arbitrary<string> => {
    const value = int(min, max)
    return oneOf([
      Arbitrary.Constant("*"),
      Arbitrary.map(value, String),
      Arbitrary.map(
        Arbitrary.all([value, value]),
        ([a, b]) => a === b ? `${a}` : `${Math.min(a, b)}-${Math.max(a, b)}`
      ),
      Arbitrary.map(Arbitrary.all([value, value]), ([a, b]) => a === b ? `${a}` : `${a},${b}`)
    ])
  }

  // No steps in the day fields: libraries differ on whether `*/2` there is a restriction (Vixie's rule says it is not).
  const common = Arbitrary.map(
    Arbitrary.all([
      oneOf([simple(0, 59), pick(["*/5", "*/15", "*/7"])]),
      oneOf([simple(0, 23), pick(["*/2", "*/6"])]),
      oneOf([Arbitrary.Constant("*"), simple(1, 28)]),
      oneOf([Arbitrary.Constant("*"), simple(1, 12)]),
      oneOf([Arbitrary.Constant("*"), simple(0, 6)])
    ]),
    (fields) => fields.join(" ")
  )

  const start = Date.parse("2026-01-30T11:59:30Z")
  const count = 12

  const ours = (text: string, timeZone: string): Array<number> =>
    Array.from(
      Trigger.occurrences(Trigger.cron(text, { timeZone }), { after: start, limit: count }),
      (occurrence) => occurrence.due.epochMilliseconds
    )

  const effect = (text: string, timeZone: string): Array<number> => {
    const cron = Cron.parseUnsafe(text, timeZone)
    const out: Array<number> = []
    let last: Date = new Date(start)
    while (out.length < count) out.push((last = Cron.next(cron, last)).getTime())
    return out
  }

  const croner = (text: string, timezone: string): Array<number> =>
    new Croner(text, { timezone, paused: true }).nextRuns(count, new Date(start)).map((date) => date.getTime())

  const parser = (text: string, tz: string): Array<number> => {
    const iterator = CronExpressionParser.parse(text, { tz, currentDate: new Date(start) })
    return Array.from({ length: count }, () => iterator.next().getTime())
  }

  let compared = 0
  let agreed = 0

  it.prop("what three libraries agree on is what we say", [
    common,
    pick(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
  ], ([text, timeZone]) => {
    const answers = [effect(text, timeZone), croner(text, timeZone), parser(text, timeZone)].map((times) =>
      times.join()
    )
    compared++
    if (answers.every((answer) => answer === answers[0])) {
      agreed++
      assert.strictEqual(ours(text, timeZone).join(), answers[0])
    }
  }, { timeout: 30_000, arbitrary: { runs: 60, seed: "libraries" } })

  it("and they agree nearly always", () => {
    assert.isAtLeast(agreed / compared, 0.9)
  })
})
