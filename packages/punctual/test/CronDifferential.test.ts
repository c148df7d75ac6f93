/**
 * The cron engine against a clock that is read minute by minute, and against other libraries where those agree.
 */
import { assert, describe, it } from "@effect/vitest"
import { CronExpressionParser } from "cron-parser"
import { Cron as Croner } from "croner"
import * as Arbitrary from "effect/Arbitrary"
import * as Cron from "effect/Cron"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  anyDay,
  anything,
  anyWeekday,
  bruteForce,
  type Clock,
  type DayFields,
  type Field,
  field,
  int,
  matchesDay,
  month,
  oneOf,
  pick,
  plainDay,
  plainWeekday,
  readClock,
  type TimeFields,
  week,
  year
} from "./support/cronOracle.ts"

/** How often each property is drawn, times what is said beside it: `CRON_CASES=20` looks longer. */
const cases = Number(process.env["CRON_CASES"] ?? 1)

const runs = (n: number, seed: string) => ({ timeout: 30_000 * cases, arbitrary: { runs: n * cases, seed } })

const zero: Field = { text: "0", star: false, has: (value) => value === 0 }

const minute = field(0, 60, [0, 30])
const hour = oneOf([field(0, 24, [0, 4]), field(0, 24, [22, 23])])

/** The text of fields, with as many of them as they need. */
const textOf = ({ day, hour, minute, month, second, week, weekday, year }: TimeFields & DayFields): string =>
  [
    ...(second === zero && year.text === "*" ? [] : [second.text]),
    minute.text,
    hour.text,
    day.text,
    month.text,
    weekday.text,
    ...(year.text === "*" ? [] : [year.text]),
    ...(week.text === "*" ? [] : [`week=${week.text}`])
  ].join(" ")

const policies = Arbitrary.all({
  gap: pick([undefined, undefined, "skip", "shift"]),
  overlap: pick([undefined, undefined, "first", "second", "both"]),
  dayMatch: pick([undefined, "or", "and"])
})

/** The trigger, or `undefined` when it was refused because none of its days ever comes; then none may. */
const triggerOf = (
  fields: TimeFields & DayFields,
  options: Trigger.CronOptions
): Trigger.Trigger | undefined => {
  try {
    return Trigger.cron(textOf(fields), options)
  } catch (error) {
    if (!(error instanceof Trigger.InvalidTrigger)) throw error
    const matches = matchesDay(fields, options.dayMatch === "and")
    for (let date = Date.UTC(2000, 0, 1); date < Date.UTC(2045, 0, 1); date += 86_400_000) {
      if (matches(new Date(date))) assert.fail(`${error.message}, but ${new Date(date).toISOString()} matches`)
    }
    return undefined
  }
}

/** As `deepStrictEqual` of long lists, which is slow. */
const same = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>): void => {
  const i = expected.findIndex((instant, i) => actual[i] !== instant)
  const show = (instant: number | undefined) => instant === undefined ? "nothing" : new Date(instant).toISOString()
  if (i !== -1) assert.fail(`${show(actual[i])} instead of ${show(expected[i])}`)
  assert.strictEqual(actual.length, expected.length)
}

/** Forwards, backwards and counted, all instants in (from, until] are the expected ones. */
const compare = (trigger: Trigger.Trigger, expected: ReadonlyArray<number>, from: number, until: number): void => {
  const bound = Trigger.bind(trigger, { anchor: 0, seed: "" })
  const forward: Array<number> = []
  for (let p = bound.next(from); p !== undefined && p.due <= until; p = bound.next(p.due)) forward.push(p.due)
  same(forward, expected)
  const backward: Array<number> = []
  for (let p = bound.previous(until + 1); p !== undefined && p.due > from; p = bound.previous(p.due)) {
    backward.push(p.due)
  }
  same(backward.reverse(), expected)
  assert.deepStrictEqual(bound.countBetween(from, until, 0), { count: expected.length, exact: true })
}

describe("cron, day by day", () => {
  const from = Date.UTC(2015, 11, 31)
  const until = Date.UTC(2044, 0, 1)
  const dates = Array.from({ length: (until - from) / 86_400_000 }, (_, i) => new Date(from + (i + 1) * 86_400_000))

  it.prop("every day of 28 years, in all forms of the day fields, with years and ISO weeks", [
    Arbitrary.all({ day: anyDay, month, weekday: anyWeekday, year, week }),
    pick([undefined, "or", "and"])
  ], ([days, dayMatch]) => {
    const fields = { second: zero, minute: zero, hour: zero, ...days }
    const trigger = triggerOf(fields, { dayMatch })
    if (trigger === undefined) return
    const expected = dates.filter(matchesDay(fields, dayMatch === "and")).map((date) => date.getTime())
    compare(trigger, expected, from, until)
  }, runs(120, "day by day"))
})

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
    const [timeZone, change] = places[place]!
    clock = readClock(timeZone, Date.parse(change) - 4 * 86_400_000, 8 * 1440)
    clocks.set(place, clock)
  }
  return clock
}

/** Compares with a clock, less a margin in which the oracle may miss one pass of what is repeated. */
const compareWithClock = (
  clock: Clock,
  margin: number,
  fields: TimeFields & DayFields,
  options: Trigger.CronOptions
): void => {
  const trigger = triggerOf(fields, options)
  if (trigger === undefined) return
  const from = clock.start + margin * 60_000
  const until = clock.start + (clock.local.length - margin) * 60_000
  const all = bruteForce(clock, fields, options, options.dayMatch === "and")
  compare(trigger, all.filter((instant) => instant > from && instant <= until), from, until)
}

describe("cron, minute by minute", () => {
  it.prop("every instant of the days around a change, forwards, backwards and counted", [
    Arbitrary.all({ minute, hour, day: anyDay, month, weekday: anyWeekday }),
    int(0, places.length - 1),
    policies
  ], ([fields, place, options]) => {
    compareWithClock(clockOf(place), 2_160, { second: zero, year: anything, week: anything, ...fields }, {
      timeZone: places[place]![0],
      ...options
    })
  }, runs(500, "brute force"))

  // In eight days a day of month is rare, and a time of day is not.
  const rare = Arbitrary.all({
    minute: field(0, 60, [0, 30]),
    hour,
    day: oneOf([plainDay, anyDay]),
    month,
    weekday: oneOf([plainWeekday, anyWeekday])
  })

  describe("all of a year", () => {
    for (const timeZone of TriggerArbitrary.timeZones) {
      it.prop(timeZone, [pick([2006, 2011, 2016, 2018, 2019, 2023, 2026, 2028]), rare, rare, policies], (
        [year, a, b, options]
      ) => {
        const clock = readClock(timeZone, Date.UTC(year - 1, 11, 30), 369 * 1440)
        for (const fields of [a, b]) {
          compareWithClock(clock, 1_440, { second: zero, year: anything, week: anything, ...fields }, {
            timeZone,
            ...options
          })
        }
      }, runs(1, `year in ${timeZone}`))
    }
  })
})

describe("cron, second by second", () => {
  it.prop("six fields, for hours around a change", [
    Arbitrary.all({ second: field(0, 60, [0, 59]), minute, hour }),
    int(0, places.length - 1),
    policies
  ], ([fields, place, options]) => {
    const days = { day: anything, month: anything, weekday: anything, year: anything, week: anything }
    const [timeZone, change] = places[place]!
    // A whole day is left out in Apia, and the oracle must see what comes before a change and after it.
    const clock = readClock(timeZone, Date.parse(change) - 5 * 3_600_000, 10 * 60)
    compareWithClock(clock, 120, { ...fields, ...days }, { timeZone, ...options })
  }, runs(150, "second by second"))
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
  }, runs(60, "libraries"))

  it("and they agree nearly always", () => {
    assert.isAtLeast(agreed / compared, 0.9)
  })

  const months = pick(["*", "*", "2", "4,6", "10-12"])

  it.prop("L and # are what croner and cron-parser say", [
    oneOf([
      Arbitrary.map(
        Arbitrary.all([pick(["L", "1,15,L", "L,31", "28,L"]), months]),
        ([day, month]) => `${day} ${month} *`
      ),
      Arbitrary.map(Arbitrary.all([months, int(0, 7), int(1, 5)]), ([month, day, n]) => `* ${month} ${day}#${n}`),
      Arbitrary.map(Arbitrary.all([months, int(0, 7)]), ([month, day]) => `* ${month} ${day}L`),
      Arbitrary.map(Arbitrary.all([int(0, 6), int(0, 7)]), ([a, b]) => `L * ${a},${b}L`)
    ])
  ], ([days]) => {
    const text = `0 12 ${days}`
    const answer = ours(text, "UTC").join()
    assert.strictEqual(croner(text, "UTC").join(), answer)
    assert.strictEqual(parser(text, "UTC").join(), answer)
  }, runs(60, "L and #"))

  it.prop("W, #L, + and years are what croner says", [
    oneOf([
      Arbitrary.map(Arbitrary.all([int(1, 28), months]), ([day, month]) => `${day}W ${month} *`),
      Arbitrary.map(pick([29, 30, 31]), (day) => `${day}W * *`),
      Arbitrary.map(Arbitrary.all([int(1, 28), int(1, 31)]), ([a, b]) => `${a}W,${b}W,L * *`),
      Arbitrary.map(months, (month) => `LW ${month} *`),
      Arbitrary.map(
        Arbitrary.all([months, int(0, 7), int(1, 5)]),
        ([month, day, n]) => `* ${month} ${day}#L,${day}#${n}`
      ),
      Arbitrary.map(Arbitrary.all([int(1, 31), int(0, 6)]), ([day, weekday]) => `${day} * +${weekday}`),
      Arbitrary.map(Arbitrary.all([int(1, 15), int(0, 6)]), ([day, weekday]) => `${day}W * ${weekday}#1`)
    ]),
    pick(["", "", " 2027-2099", " */2", " 2030,2040-2060/4"])
  ], ([days, year]) => {
    const text = `${year === "" ? "" : "0 "}0 12 ${days}${year}`
    assert.strictEqual(croner(text, "UTC").join(), ours(text, "UTC").join())
  }, runs(80, "W"))

  const effectAt = (text: string, timeZone: string, from: string): string =>
    Cron.next(Cron.parseUnsafe(text, timeZone), new Date(from)).toISOString()

  const oursAt = (text: string, timeZone: string, from: string): string =>
    new Date(Trigger.bind(Trigger.cron(text, { timeZone }), { anchor: 0, seed: "" }).next(Date.parse(from))!.due)
      .toISOString()

  const first = (times: () => Array<number>): string => {
    try {
      const [time] = times()
      return time === undefined ? "never" : new Date(time).toISOString().slice(0, 10)
    } catch {
      return "refused"
    }
  }

  // Where they do not say what we say, on purpose.
  const divergences: ReadonlyArray<
    readonly [text: string, here: string, there: { readonly croner: string; readonly parser: string }, reason: string]
  > = [
    [
      "0 0 */2 * FRI",
      "2026-02-13",
      { croner: "2026-01-31", parser: "2026-01-31" },
      "Vixie's rule: a star is no restriction, so both hold"
    ],
    ["0 0 1 * */2", "2026-02-01", { croner: "2026-01-31", parser: "2026-01-31" }, "the same for the day of week"],
    [
      "0 0 * * FRI-MON",
      "2026-01-31",
      { croner: "refused", parser: "refused" },
      "ranges go around the end of a field"
    ],
    [
      "5/10 * * * *",
      "2026-01-30",
      { croner: "refused", parser: "2026-01-30" },
      "a step without a range goes to the end"
    ],
    ["0 0 L-3 * *", "2026-02-25", { croner: "refused", parser: "refused" }, "Quartz's offset from the end"],
    ["0 0 LW * *", "2026-02-27", { croner: "2026-02-27", parser: "refused" }, "cron-parser has no W"],
    ["0 0 * * 5#L", "2026-02-27", { croner: "2026-02-27", parser: "refused" }, "cron-parser has 5L only"],
    [
      "0 0 * * MON#1,FRI#L",
      "2026-02-02",
      { croner: "2026-02-02", parser: "refused" },
      "cron-parser has one # in a field"
    ],
    ["0 0 * * L", "2026-01-31", { croner: "refused", parser: "refused" }, "Quartz: by itself it is Saturday"],
    [
      "0 0 13 * +FRI",
      "2026-02-13",
      { croner: "2026-02-13", parser: "refused" },
      "the plus is newer than cron-parser"
    ],
    ["0 0 0 1 1 * 2027", "2027-01-01", { croner: "2027-01-01", parser: "refused" }, "cron-parser has no years"],
    [
      "0 0 0 1 1 * */3",
      "2027-01-01",
      { croner: "2028-01-01", parser: "refused" },
      "years count from 1970, croner's from 0"
    ],
    [
      "0 0 30 2 *",
      "refused",
      { croner: "never", parser: "refused" },
      "what never comes is refused where it is written"
    ],
    ["@reboot", "refused", { croner: "refused", parser: "refused" }, "not a time: `Trigger.startup`"]
  ]
  it.each(divergences)("%s: %s here, there %j, since %s", (text, here, there) => {
    assert.strictEqual(first(() => ours(text, "UTC")), here)
    assert.deepStrictEqual(
      { croner: first(() => croner(text, "UTC")), parser: first(() => parser(text, "UTC")) },
      there
    )
  })

  it("H is decided by the id of the task, not by the text", () => {
    assert.notStrictEqual(first(() => parser("0 H * * *", "UTC")), "refused")
    assert.strictEqual(first(() => croner("0 H * * *", "UTC")), "refused")
    const at = (seed: string) => Trigger.bind(Trigger.cron("0 H * * *"), { anchor: 0, seed }).next(0)?.due
    assert.notStrictEqual(at("a"), at("b"))
  })

  it.each([
    [
      "30 2 * * *",
      "America/New_York",
      "2026-03-08T06:00:00Z",
      "2026-03-08T07:00:00.000Z",
      "2026-03-08T07:30:00.000Z",
      "Effect moves a skipped time by the length of the gap; ours runs at its end"
    ],
    [
      "*/15 * * * *",
      "America/New_York",
      "2026-11-01T05:45:00Z",
      "2026-11-01T06:00:00.000Z",
      "2026-11-01T07:00:00.000Z",
      "Effect takes the first pass of a repeated hour only, so an hour is silent; ours runs on every real quarter"
    ]
  ])("where clocks change: %s in %s after %s is %s, and %s there, since %s", (text, timeZone, from, here, there) => {
    assert.strictEqual(oursAt(text, timeZone, from), here)
    assert.strictEqual(effectAt(text, timeZone, from), there)
  })
})
