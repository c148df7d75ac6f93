/**
 * Triggers in one line of text: every form of the grammar, every kind of refusal, and that nothing is guessed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"
import * as TriggerDefinitions from "../src/TriggerDefinitions.ts"

const berlin = { timeZone: "Europe/Berlin" }

const parsed = (text: string, options?: Trigger.ParseOptions): Trigger.Trigger => {
  const result = Trigger.parse(text, options)
  return Result.isSuccess(result) ? result.success : assert.fail(`${text}: ${result.failure.message}`)
}

const refused = (text: string, options?: Trigger.ParseOptions): Trigger.TriggerParseError => {
  const result = Trigger.parse(text, options)
  if (Result.isSuccess(result)) return assert.fail(`${text} is ${Trigger.format(result.success)}`)
  assert.instanceOf(result.failure, Trigger.TriggerParseError)
  return result.failure
}

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

describe("parse", () => {
  const forms: ReadonlyArray<readonly [text: string, trigger: Trigger.Trigger]> = [
    ["never", Trigger.never],
    ["now", Trigger.now],
    ["startup", Trigger.startup],
    ["@reboot", Trigger.startup],
    ["Shutdown", Trigger.shutdown],

    ["every 5 minutes", Trigger.every("5 minutes")],
    ["  Every\t5   MINUTES ", Trigger.every("5 minutes")],
    ["every 90s", Trigger.every("90 seconds")],
    ["@every 5m", Trigger.every("5 minutes")],
    ["@every 1h30m", Trigger.every(1.5 * hour)],
    ["every 1h 30m", Trigger.every(1.5 * hour)],
    ["every 1 hour 30 min", Trigger.every(1.5 * hour)],
    ["every 1.5 hours", Trigger.every(1.5 * hour)],
    ["every 0.25s", Trigger.every(250)],
    ["every 1.005s", Trigger.every(1_005)],
    ["every 500ms", Trigger.every(500)],
    ["every 2w 3d 4h 5m 6s 7ms", Trigger.every(14 * 24 * hour + 76 * hour + 5 * minute + 6 * second + 7)],
    ["every 7 days", Trigger.every("7 days")],
    ["every PT5M", Trigger.every("5 minutes")],
    ["every P1DT2H3M4.5S", Trigger.every(26 * hour + 3 * minute + 4_500)],
    ["every P2W", Trigger.every("14 days")],
    ["every second", Trigger.every("1 second")],
    ["every minute", Trigger.every("1 minute")],
    ["@every hour", Trigger.every("1 hour")],

    ["0 9 * * 1-5", Trigger.cron("0 9 * * 1-5")],
    ["*/5 * * * *", Trigger.cron("*/5 * * * *")],
    ["30 0 9 * * MON-FRI", Trigger.cron("30 0 9 * * MON-FRI")],
    ["0 9 * * 1-5 Europe/Berlin", Trigger.cron("0 9 * * 1-5", berlin)],
    [
      "0 9 * * MON/2 America/Argentina/San_Luis",
      Trigger.cron("0 9 * * MON/2", { timeZone: "America/Argentina/San_Luis" })
    ],
    ["0 9 * * 1-5 +05:30", Trigger.cron("0 9 * * 1-5", { timeZone: "+05:30" })],
    ["0 9 * * 1-5 UTC", Trigger.cron("0 9 * * 1-5")],
    ["0 9 * * 1-5 Japan", Trigger.cron("0 9 * * 1-5", { timeZone: "Japan" })],
    ["CRON_TZ=Europe/Berlin 0 9 * * *", Trigger.cron("0 9 * * *", berlin)],
    ["TZ=europe/berlin 0 9 * * *", Trigger.cron("0 9 * * *", berlin)],
    ["@daily", Trigger.cron("0 0 * * *")],
    ["@daily Europe/Berlin", Trigger.cron("0 0 * * *", berlin)],
    ["CRON_TZ=Europe/Berlin @weekly", Trigger.cron("0 0 * * 0", berlin)],
    ["@monthly", Trigger.cron("0 0 1 * *")],
    ["@yearly", Trigger.cron("0 0 1 1 *")],
    ["@hourly", Trigger.cron("0 * * * *")],
    ["hourly", Trigger.cron("0 * * * *")],
    ["hourly Asia/Kathmandu", Trigger.cron("0 * * * *", { timeZone: "Asia/Kathmandu" })],

    ["RRULE:FREQ=WEEKLY;BYDAY=MO;BYHOUR=9", Trigger.rrule("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9")],
    ["FREQ=WEEKLY;BYDAY=MO Europe/Berlin", Trigger.rrule("FREQ=WEEKLY;BYDAY=MO", berlin)],
    ["TZ=Europe/Berlin RRULE:FREQ=WEEKLY", Trigger.rrule("FREQ=WEEKLY", berlin)],
    [
      "DTSTART;TZID=Asia/Tokyo:20260105T090000\nRRULE:FREQ=WEEKLY",
      Trigger.rrule("DTSTART;TZID=Asia/Tokyo:20260105T090000\nRRULE:FREQ=WEEKLY")
    ],

    ["2026-12-24T18:00:00Z", Trigger.at("2026-12-24T18:00:00Z")],
    ["2026-12-24T18:00:00.5+01:00", Trigger.at("2026-12-24T17:00:00.500Z")],
    ["2026-12-24 18:00+01:00", Trigger.at("2026-12-24T17:00:00Z")],
    ["2026-12-24T18:00 Europe/Berlin", Trigger.at("2026-12-24T17:00:00Z")],
    ["2026-12-24 18:00 Europe/Berlin", Trigger.at("2026-12-24T17:00:00Z")],
    ["2026-12-24 +05:30", Trigger.at("2026-12-23T18:30:00Z")],
    ["TZ=Europe/Berlin 2026-12-24T18:00", Trigger.at("2026-12-24T17:00:00Z")],

    ["daily at 09:00", Trigger.cron("0 9 * * *")],
    ["every day at 9:00", Trigger.cron("0 9 * * *")],
    ["Daily AT 9AM Europe/Berlin", Trigger.cron("0 9 * * *", berlin)],
    ["daily at noon and midnight", Trigger.cron("0 0,12 * * *")],
    ["daily at 12am, 12pm", Trigger.cron("0 0,12 * * *")],
    ["daily at 23:59:30", Trigger.cron("30 59 23 * * *")],
    ["daily at 9:00 and 17:30", Trigger.union(Trigger.cron("0 9 * * *"), Trigger.cron("30 17 * * *"))],
    ["daily at 9:00 and 9:00", Trigger.cron("0 9 * * *")],
    ["weekdays at 9:00 and 17:00 Europe/Berlin", Trigger.cron("0 9,17 * * MON-FRI", berlin)],
    ["every weekday at 9:00", Trigger.cron("0 9 * * MON-FRI")],
    ["weekends at 11:15", Trigger.cron("15 11 * * SAT,SUN")],
    ["every weekend at 11:15", Trigger.cron("15 11 * * SAT,SUN")],
    ["every monday at 8am", Trigger.cron("0 8 * * MON")],
    ["every tue, thu and sat at 8:30pm +02:00", Trigger.cron("30 20 * * TUE,THU,SAT", { timeZone: "+02:00" })],
    ["every tue,thu at 1:05am, 2:05am, and 3:05am", Trigger.cron("5 1-3 * * TUE,THU")],
    ["every wednesday , friday at noon", Trigger.cron("0 12 * * WED,FRI")],
    ["CRON_TZ=Europe/Berlin every sunday at 8am", Trigger.cron("0 8 * * SUN", berlin)],
    ["first monday of the month at 10:00", Trigger.cron("0 10 1-7 * MON", { dayMatch: "and" })],
    ["second tuesday of the month at 10:00", Trigger.cron("0 10 8-14 * TUE", { dayMatch: "and" })],
    ["third wed of the month at 10:00", Trigger.cron("0 10 15-21 * WED", { dayMatch: "and" })],
    ["fourth sunday of the month at 10:00 UTC", Trigger.cron("0 10 22-28 * SUN", { dayMatch: "and" })],
    ["last friday of the month at 17:00", Trigger.cron("0 17 * * FRIL")],
    ["first day of the month at 00:00", Trigger.cron("0 0 1 * *")],
    ["last day of the month at 17:00", Trigger.cron("0 17 L * *")]
  ]

  for (const [text, trigger] of forms) {
    it(`reads ${text}`, () => {
      const read = parsed(text)
      // The same rule may be written in several ways: then it is the same times.
      if (!Equal.equals(read, trigger)) {
        const dues = (of: Trigger.Trigger) =>
          Array.from(
            Trigger.occurrences(of, { after: "2026-01-01T00:00:00Z", limit: 50 }),
            ({ due }) => due.epochMilliseconds
          )
        assert.match(text, / of the month /)
        assert.deepStrictEqual(dues(read), dues(trigger))
      }
    })
  }

  it("reads words in any letter case", () => {
    const words = forms.filter(([text]) => !/Japan|Kathmandu|\d[a-z]*$|^TZ|P\d|PT|\d[smhdw]/.test(text))
    assert.isAbove(words.length, 30)
    for (const [text] of words) {
      const folded = [text.toUpperCase(), text.toLowerCase().replace(/^cron_tz/, "CRON_TZ")]
      for (const other of folded) assert.isTrue(Equal.equals(parsed(other), parsed(text)), other)
    }
  })

  it("takes the zone from the text, then from the options, then UTC", () => {
    const cron = (timeZone: string) => Trigger.cron("0 9 * * *", { timeZone })
    assert.isTrue(Equal.equals(parsed("0 9 * * *", berlin), cron("Europe/Berlin")))
    assert.isTrue(Equal.equals(parsed("daily at 9am", berlin), cron("Europe/Berlin")))
    assert.isTrue(Equal.equals(parsed("0 9 * * * Asia/Tokyo", berlin), cron("Asia/Tokyo")))
    assert.isTrue(Equal.equals(parsed("TZ=Asia/Tokyo 0 9 * * *", berlin), cron("Asia/Tokyo")))
    const tokyo = "DTSTART;TZID=Asia/Tokyo:20260105T090000\nRRULE:FREQ=WEEKLY"
    assert.isTrue(Equal.equals(parsed(tokyo, berlin), Trigger.rrule(tokyo)))
    assert.isTrue(Equal.equals(parsed("FREQ=WEEKLY", berlin), Trigger.rrule("FREQ=WEEKLY", berlin)))
    assert.isTrue(Equal.equals(parsed("2026-12-24T18:00", berlin), Trigger.at("2026-12-24T17:00:00Z")))
    assert.isTrue(Equal.equals(parsed("2026-12-24T18:00Z", berlin), Trigger.at("2026-12-24T18:00:00Z")))
  })

  it.prop("reads back what JSON.stringify writes, of every trigger", [TriggerArbitrary.any], ([trigger]) => {
    assert.isTrue(Equal.equals(parsed(JSON.stringify(trigger)), trigger))
    assert.isTrue(Equal.equals(parsed(` ${JSON.stringify(trigger, null, 2)}\n`), trigger))
  }, { arbitrary: { runs: 400, seed: "punctual" } })

  it("finds triggers of the program's own in the definitions it is given", () => {
    const Own = Trigger.define("Own", { parameters: { n: Schema.Int }, next: ({ n }, after) => after + n })
    const trigger = Own.make({ n: 3 })
    const definitions = Result.getOrThrow(TriggerDefinitions.make(Own))
    assert.isTrue(Equal.equals(parsed(JSON.stringify(trigger), { definitions }), trigger))
    assert.match(refused(JSON.stringify(trigger)).message, /no definition named `Own`/)
  })
})

describe("parse refuses", () => {
  const texts: ReadonlyArray<
    readonly [text: string, position: number, value: string, message: RegExp, suggestion?: string]
  > = [
    ["", 1, "", /is empty.*expected a cron expression/],
    ["  ", 1, "", /is empty/],
    ["nevr", 1, "nevr", /does not begin a trigger/, "never"],
    ["weekday at 9:00", 1, "weekday", /does not begin/, "weekdays"],
    ["constructor", 1, "constructor", /does not begin/],
    ["tomorrow at 9:00", 1, "tomorrow", /does not begin/],
    ["now please", 5, "please", /is too much.*the end/],

    ["every", 6, "", /ends here.*a duration/],
    ["every munday at 8am", 7, "munday", /is not a duration, nor a day/, "monday"],
    ["every constructor", 7, "constructor", /is not a duration/],
    ["every week", 7, "week", /does not say when/, "@weekly"],
    ["every month", 7, "month", /does not say when/, "@monthly"],
    ["every 5", 7, "5", /has no unit/],
    ["every 5 5", 7, "5 ", /has no unit/],
    ["every 5M", 8, "M", /is not a unit of time/, "m"],
    ["every 5 mintes", 9, "mintes", /is not a unit/, "minutes"],
    ["every 1 month", 9, "month", /has no fixed length/],
    ["every 5m 1h", 10, "1h", /comes after a smaller unit/],
    ["every 5m5m", 9, "5m", /comes after a smaller unit, or twice/],
    ["every 5m or so", 10, "or", /is not a number/],
    ["every 0.0001s", 7, "0.0001s", /is not a whole number of milliseconds/],
    ["every 0s", 7, "0s", /a period of 0 is impossible/],
    ["every 99999999999 weeks", 7, "99999999999 weeks", /is impossible/],
    ["every PT", 7, "PT", /is not an ISO 8601 duration/],
    ["every P1M", 7, "P1M", /has months or years/],
    ["every P1YT1M", 7, "P1YT1M", /is not an ISO|months or years/],
    ["every -5m", 7, "-5m", /is not a duration/],
    ["every 5m Europe/Berlin", 10, "Europe/Berlin", /is too much.*a period has no time zone/],
    ["every second monday of the month at 9:00", 14, "monday", /is too much/],

    ["5 minutes", 1, "5 minutes", /`every` before a duration/, "every 5 minutes"],
    ["90s", 1, "90s", /`every` before/, "every 90s"],
    ["0 9 * *", 1, "0 9 * *", /has 4 fields/],
    ["  0 9 * * MOM", 11, "MOM", /is not a day of week/, "MON"],
    ["CRON_TZ=UTC 0 25 * * *", 15, "25", /is not an hour/],
    ["0 9 * * 1-5 Europe/Berlim", 13, "Europe/Berlim", /is not a time zone/, "Europe/Berlin"],
    ["CRON_TZ=Europe/Berlim 0 9 * * *", 9, "Europe/Berlim", /is not a time zone/, "Europe/Berlin"],
    ["CRON_TZ= 0 9 * * *", 9, "", /is not a time zone/],
    ["TZ=UTC", 7, "", /ends here.*a rule after the zone/],
    ["TZ=UTC 0 9 * * * UTC", 18, "UTC", /the zone stands at its beginning/],
    ["TZ=UTC every 5m", 8, "every", /begins a period, which has no time zone/],
    ["TZ=UTC now", 8, "now", /does not begin a rule/],
    ["TZ=UTC {}", 8, "{}", /does not begin a rule/],
    ["monday at 9:00", 1, "monday", /does not begin/, "every monday"],
    ["0 0 30 2 *", 5, "30", /is a day that FEB never has/],

    ["RRULE:FREQ=WEEKLY;BYDAY=MON", 25, "MON", /is not a day of the week/, "MO"],
    ["TZ=UTC  RRULE:FREQ=WEAKLY", 20, "WEAKLY", /.*/, "WEEKLY"],
    [
      "DTSTART;TZID=Asia/Tokyo:20260105T090000\nRRULE:FREQ=WEEKLY UTC",
      1,
      "DTSTART;TZID=Asia/Tokyo:20260105T090000\nRRULE:FREQ=WEEKLY",
      /DTSTART is in Asia\/Tokyo/
    ],

    ["2026-02-30T00:00:00Z", 1, "2026-02-30T00:00:00Z", /does not exist/],
    ["2026-12-24T18:00", 1, "2026-12-24T18:00", /has no time zone/],
    ["2026-12-24T18:00Z Europe/Berlin", 1, "2026-12-24T18:00Z", /has an offset and a zone/],
    ["2026-12-24T18:00Z soon", 1, "2026-12-24T18:00Z soon", /is not an instant/],

    ["daily", 6, "", /ends here.*`at`/],
    ["every day", 10, "", /ends here.*`at`/],
    ["daily 9:00", 7, "9:00", /is not `at`/],
    ["daily at", 9, "", /ends here.*a time/],
    ["daily at 9", 10, "9", /may be morning or evening/, "9:00"],
    ["daily at 24:00", 10, "24:00", /is not a time of day/, "00:00"],
    ["daily at 9:60", 10, "9:60", /is not a time of day/],
    ["daily at 9:5", 10, "9:5", /is not a time/],
    ["daily at 13pm", 10, "13pm", /is not a time of day/],
    ["daily at 0am", 10, "0am", /is not a time of day/],
    ["daily at 9:00:00am", 10, "9:00:00am", /is not a time of day/],
    ["daily at 9:00 17:00", 15, "17:00", /`and` before another time/],
    ["daily at 9:00, , 10:00", 16, ",", /stands where an item should/],
    ["daily at 9:00 and", 18, "", /ends here.*a time/],
    ["daily at 9:00 UTC please", 19, "please", /is too much/],
    ["every monday and at 9:00", 18, "at", /is not a weekday/],
    ["first monday at 9:00", 14, "at", /is not `of`.*`of the month`/],
    ["first monday of the", 20, "", /ends here/],
    ["first of the month at 9:00", 7, "of", /is not a weekday/],
    ["third day of the month at 9:00", 7, "day", /cannot be the third/],
    ["fifth monday of the month at 9:00", 1, "fifth", /does not begin/],

    ["{", 2, "", /is not JSON/],
    ["{\"v\":1,}", 8, "}", /is not JSON/],
    ["{}", 1, "{}", /is no stored trigger.*version/],
    ["{\"v\":1,\"_tag\":\"Evry\"}", 1, "{\"v\":1,\"_tag\":\"Evry\"}", /did you mean `Every`/],
    ["{\"v\":1,\"_tag\":\"Every\",\"millis\":0}", 1, "{\"v\":1,\"_tag\":\"Every\",\"millis\":0}", /a period of 0/]
  ]

  for (const [text, position, value, message, suggestion] of texts) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = refused(text)
      assert.deepStrictEqual([error.position, error.value], [position, value], error.message)
      assert.match(error.message, message)
      assert.strictEqual(error.suggestion, suggestion, error.message)
      assert.strictEqual(error.input, text)
      assert.throws(() => Trigger.parseUnsafe(text), Trigger.TriggerParseError)
      // What is suggested can be read where the whole text is the problem.
      if (suggestion !== undefined && value === text.trim() && suggestion !== "weekdays") parsed(suggestion)
    })
  }

  it("a stored form that is nested too deeply", () => {
    const deep = (n: number) =>
      "{\"v\":1," + "\"_tag\":\"UpTo\",\"count\":1,\"trigger\":{".repeat(n) + "\"_tag\":\"Now\"" + "}".repeat(n + 1)
    parsed(deep(20))
    const error = refused(deep(50_000))
    assert.match(error.message, /is nested too deeply \(character 1\)/)
  })

  it("wrong options", () => {
    for (const options of [{ timezone: "UTC" }, { timeZone: "Mars" }, [] as unknown]) {
      const result = Trigger.parse("now", options as Trigger.ParseOptions)
      assert.isTrue(Result.isFailure(result) && result.failure instanceof Trigger.InvalidTrigger)
    }
    assert.isTrue(Result.isFailure(Trigger.parse(5 as unknown as string)))
  })

  const pieces = [
    "every",
    "@every",
    "daily",
    "at",
    "and",
    ",",
    "9:00",
    "9am",
    "5",
    "minutes",
    "5m",
    "PT5M",
    "monday",
    "first",
    "last",
    "day",
    "of",
    "the",
    "month",
    "*",
    "0",
    "9",
    "1-5",
    "MON",
    "UTC",
    "Europe/Berlin",
    "TZ=UTC",
    "CRON_TZ=",
    "@daily",
    "now",
    "{",
    "}",
    "{\"v\":1,\"_tag\":\"Now\"}",
    "2026-12-24",
    "T18:00",
    "Z",
    "+01:00",
    "RRULE:",
    "FREQ=DAILY",
    "L",
    "#",
    "?",
    "H",
    "\n",
    "é",
    "\u0000",
    "__proto__",
    "P",
    ".",
    "-",
    "/",
    "0 9 * * *",
    "weekdays",
    "noon",
    "hourly",
    "never"
  ]
  const garbage = Arbitrary.map(
    Arbitrary.schema(Schema.Array(Schema.Int).check(Schema.isMaxLength(9))),
    (picks) => picks.map((n) => pieces[Math.abs(n) % pieces.length]! + (n % 5 === 0 ? "" : " ")).join("")
  )

  /** Either a trigger that its stored form reads back, or an error whose position is in the text. */
  const holds = (text: string) => {
    const result = Trigger.parse(text)
    if (Result.isSuccess(result)) {
      assert.isTrue(Equal.equals(parsed(JSON.stringify(result.success)), result.success))
      return
    }
    const error = result.failure
    assert.instanceOf(error, Trigger.TriggerParseError)
    assert.isTrue(error.position >= 1 && error.position <= text.length + 1, `${error.position} in ${text}`)
    assert.isTrue(error.message.includes(`(character ${error.position})`))
    assert.notMatch(error.message, /undefined|NaN|\[object/)
  }

  it.prop("what is put together from its own words at random", [garbage], ([text]) => holds(text), {
    timeout: 60_000,
    arbitrary: { runs: 4_000, seed: "punctual" }
  })

  it.prop("any text", [Arbitrary.schema(Schema.String)], ([text]) => holds(text), {
    timeout: 60_000,
    arbitrary: { runs: 1_000, seed: "punctual" }
  })
})
