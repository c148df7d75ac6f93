/**
 * Recurrence rules: what is read, what is refused and how, what is printed, and the choices of the engine one by one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Result from "effect/Result"
import { makeRecurrence, makeRecurrenceDays } from "../src/internal/recurrenceEngine.ts"
import { format as words } from "../src/internal/recurrenceFormat.ts"
import { lookup } from "../src/internal/timeZone.ts"
import * as RecurrenceRule from "../src/RecurrenceRule.ts"
import * as Trigger from "../src/Trigger.ts"
import { dateText, frequencies, int, iso, pick, specOf, starts, textOf } from "./support/recurrenceSpecs.ts"

const DAY = 86_400

const fails = (text: string): RecurrenceRule.RecurrenceParseError => {
  const result = RecurrenceRule.parse(text)
  if (Result.isSuccess(result)) return assert.fail(`\`${text}\` was accepted as ${result.success.text}`)
  return result.failure
}

const format = (text: string): string => RecurrenceRule.format(RecurrenceRule.parseUnsafe(text))

const at = (text: string): number => Date.parse(text) / 1000

const engineOf = (text: string, timeZone = "UTC", start = "2026-01-01T00:00Z") =>
  makeRecurrence(RecurrenceRule.parseUnsafe(text), lookup(timeZone)!, at(start))

/** The first occurrences, as instants to the second. */
const first = (n: number, text: string, timeZone?: string, start?: string): ReadonlyArray<string> => {
  const engine = engineOf(text, timeZone, start)
  const found: Array<string> = []
  for (let t = engine.next(-1e11); t < Infinity && found.length < n; t = engine.next(t + 1)) found.push(iso(t))
  return found
}

describe("RecurrenceRule", () => {
  it("reads a rule with and without its name, in any letter case and order", () => {
    const rule = RecurrenceRule.parseUnsafe("FREQ=MONTHLY;INTERVAL=2;BYDAY=1MO,-1FR;BYHOUR=9;WKST=SU")
    assert.strictEqual(rule.frequency, "MONTHLY")
    assert.strictEqual(rule.interval, 2)
    assert.deepStrictEqual(rule.byDay, [{ ordinal: 1, weekday: 1 }, { ordinal: -1, weekday: 5 }])
    assert.deepStrictEqual(rule.byHour, [9])
    assert.strictEqual(rule.weekStart, 0)
    assert.isUndefined(rule.start)
    for (
      const text of [
        "RRULE:FREQ=MONTHLY;INTERVAL=2;BYDAY=1MO,-1FR;BYHOUR=9;WKST=SU",
        " rrule:wkst=su;byhour=09;byday=-1fr,+1mo;interval=2;freq=monthly; \n",
        "\n\nRRULE:FREQ=MONTHLY;INTERV\n AL=2;BYDAY=1MO,\r\n\t-1FR;BYHOUR=9;WKST=SU\r\n"
      ]
    ) {
      assert.isTrue(Equal.equals(RecurrenceRule.parseUnsafe(text), rule), text)
    }
  })

  it("reads a block of lines", () => {
    const rule = RecurrenceRule.parseUnsafe(
      "exdate;value=date:20260119\r\nDTSTART;TZID=\"europe/berlin\":20260105T090000\r\nRRULE:FREQ=WEEKLY\r\n" +
        "RDATE;TZID=America/New_York:20260210T090000,\r\n 20260211T090000\r\nRDATE:20260301T080000Z\r\n"
    )
    assert.deepStrictEqual(rule.start, { date: false, local: at("2026-01-05T09:00Z"), timeZone: "Europe/Berlin" })
    assert.deepStrictEqual(rule.included, [
      { date: false, local: at("2026-02-10T09:00Z"), timeZone: "America/New_York" },
      { date: false, local: at("2026-02-11T09:00Z"), timeZone: "America/New_York" },
      { date: false, local: at("2026-03-01T08:00Z"), timeZone: "UTC" }
    ])
    assert.deepStrictEqual(rule.excluded, [{ date: true, local: at("2026-01-19T00:00Z"), timeZone: undefined }])
  })

  it("prints parts in a fixed order, lists sorted, defaults left out", () => {
    assert.strictEqual(
      format(
        "BYDAY=FR,-1SU,2SU,MO,FR;BYMONTHDAY=-1,15,1,-2;freq=yearly;interval=1;WKST=MO;BYSETPOS=-1,1;bysecond=60,0"
      ),
      "FREQ=YEARLY;BYMONTHDAY=1,15,-2,-1;BYDAY=MO,FR,2SU,-1SU;BYSECOND=0,59;BYSETPOS=1,-1"
    )
    assert.strictEqual(
      format(
        "RDATE:20260102T090000Z\nEXDATE:20260103T090000Z\nRRULE:FREQ=DAILY;UNTIL=20260201T090000Z\nDTSTART;TZID=\"+05:30\":20260101T090000"
      )
        .replace("\n", " | "),
      "DTSTART;TZID=\"+05:30\":20260101T090000 | RRULE:FREQ=DAILY;UNTIL=20260201T090000Z\nRDATE:20260102T090000Z\nEXDATE:20260103T090000Z"
    )
  })

  it.prop("reading what was printed gives an equal rule that prints the same", [
    specOf(frequencies),
    starts,
    pick(["", "Z", ";TZID=Europe/Berlin", ";VALUE=DATE"]),
    Arbitrary.array(int(-5, 5), { maxLength: 3 }),
    pick([undefined, 1, 7])
  ], ([spec, start, zone, dates, count]) => {
    const isDate = zone === ";VALUE=DATE"
    const value = (t: number) =>
      isDate ? `${zone}:${dateText(t).slice(0, 8)}` : zone === "Z" ? `:${dateText(t)}Z` : `${zone}:${dateText(t)}`
    const lines = [
      `RRULE:${textOf(spec)}${count === undefined ? "" : `;COUNT=${count}`}`,
      ...dates.flatMap((n) => [`RDATE${value(start + n * DAY)}`, `EXDATE${value(start - n * DAY)}`])
    ]
    for (const text of [lines[0]!, lines.join("\n"), [`DTSTART${value(start)}`, ...lines].join("\r\n")]) {
      const rule = RecurrenceRule.parse(text)
      if (Result.isFailure(rule)) continue
      const again = RecurrenceRule.parse(rule.success.text)
      if (Result.isFailure(again)) return assert.fail(`${rule.success.text}\n${again.failure.message}`)
      assert.isTrue(Equal.equals(again.success, rule.success))
      assert.strictEqual(Hash.hash(again.success), Hash.hash(rule.success))
      assert.strictEqual(again.success.text, rule.success.text)
      assert.deepStrictEqual({ ...again.success }, { ...rule.success })
    }
  })

  it("compares by meaning", () => {
    const equal = (a: string, b: string) => Equal.equals(RecurrenceRule.parseUnsafe(a), RecurrenceRule.parseUnsafe(b))
    assert.isTrue(equal("FREQ=DAILY", "FREQ=DAILY;INTERVAL=1"))
    assert.isFalse(equal("FREQ=DAILY", "FREQ=DAILY;INTERVAL=2"))
    assert.isFalse(equal("FREQ=DAILY", "DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY"))
    assert.isFalse(equal("FREQ=DAILY;BYHOUR=9", "FREQ=DAILY;BYMINUTE=9"))
    // The first day of the week matters only to some rules.
    assert.isTrue(equal("FREQ=WEEKLY;BYDAY=MO,SU;WKST=SU", "FREQ=WEEKLY;BYDAY=MO,SU"))
    assert.isTrue(equal("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "FREQ=WEEKLY;INTERVAL=2"))
    assert.isFalse(equal("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU"))
    assert.isFalse(
      equal("FREQ=WEEKLY;BYDAY=MO,SU;BYSETPOS=1;WKST=SU", "FREQ=WEEKLY;BYDAY=MO,SU;BYSETPOS=1")
    )
    assert.isFalse(equal("FREQ=YEARLY;BYWEEKNO=1;WKST=SU", "FREQ=YEARLY;BYWEEKNO=1"))
    assert.isFalse(Equal.equals(RecurrenceRule.parseUnsafe("FREQ=DAILY"), "FREQ=DAILY"))
  })

  it("is a frozen value that shows its text", () => {
    const rule = RecurrenceRule.parseUnsafe("freq=daily")
    assert.isTrue(Object.isFrozen(rule))
    assert.isTrue(RecurrenceRule.isRecurrenceRule(rule))
    assert.isFalse(RecurrenceRule.isRecurrenceRule({ text: "FREQ=DAILY" }))
    assert.strictEqual(String(rule), "FREQ=DAILY")
    assert.deepStrictEqual(JSON.parse(JSON.stringify(rule)), { _id: "RecurrenceRule", text: "FREQ=DAILY" })
    assert.strictEqual(rule.pipe(RecurrenceRule.format), "FREQ=DAILY")
    assert.throws(() => RecurrenceRule.parseUnsafe("FREQ=DALY"), RecurrenceRule.RecurrenceParseError)
  })
})

describe("a text that is refused", () => {
  const refused: ReadonlyArray<readonly [text: string, part: string, position: number, value: string, hint?: string]> =
    [
      // the text as a whole
      ["", "", 1, ""],
      ["DTSTART:20260101T090000Z", "", 1, "DTSTART:20260101T090000Z"],
      ["every day", "EVERY DAY", 1, "every day"],
      // lines
      ["RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "RRULE", 18, "RRULE"],
      ["FREQ=DAILY\nFREQ=WEEKLY", "RRULE", 12, "FREQ=WEEKLY"],
      ["DTSTART:20260101T090000\nDTSTART:20260102T090000\nRRULE:FREQ=DAILY", "DTSTART", 25, "DTSTART"],
      ["RRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY", "EXRULE", 18, "EXRULE"],
      ["DTSTRT:20260101T090000\nRRULE:FREQ=DAILY", "DTSTRT", 1, "DTSTRT", "DTSTART"],
      ["RRULE:FREQ=DAILY\nSUMMARY:Lunch", "SUMMARY", 18, "SUMMARY"],
      ["BEGIN:VEVENT\nRRULE:FREQ=DAILY", "BEGIN", 1, "BEGIN"],
      ["RRULE;X-A=1:FREQ=DAILY", "RRULE", 7, "X-A=1"],
      // dates
      ["DTSTART:20260230T090000\nRRULE:FREQ=DAILY", "DTSTART", 9, "20260230T090000"],
      ["DTSTART:20260101T250000\nRRULE:FREQ=DAILY", "DTSTART", 9, "20260101T250000"],
      ["DTSTART:20260101T096000\nRRULE:FREQ=DAILY", "DTSTART", 9, "20260101T096000"],
      ["DTSTART:20260101T090061\nRRULE:FREQ=DAILY", "DTSTART", 9, "20260101T090061"],
      ["DTSTART:2026-01-01T09:00:00Z\nRRULE:FREQ=DAILY", "DTSTART", 9, "2026-01-01T09:00:00Z", "20260101T090000Z"],
      ["DTSTART:2026-01-01T09:00\nRRULE:FREQ=DAILY", "DTSTART", 9, "2026-01-01T09:00", "20260101T090000"],
      ["DTSTART:20260101\nRRULE:FREQ=DAILY", "DTSTART", 9, "20260101", "DTSTART;VALUE=DATE:20260101"],
      ["DTSTART;VALUE=DATE:20260101T090000\nRRULE:FREQ=DAILY", "DTSTART", 20, "20260101T090000", "20260101"],
      ["DTSTART;VALUE=TIME:090000\nRRULE:FREQ=DAILY", "DTSTART", 9, "VALUE=TIME"],
      ["DTSTART;TZID=Europe/Berln:20260101T090000\nRRULE:FREQ=DAILY", "DTSTART", 14, "Europe/Berln", "Europe/Berlin"],
      ["DTSTART;TZID=Europe/Berlin:20260101T090000Z\nRRULE:FREQ=DAILY", "DTSTART", 28, "20260101T090000Z"],
      ["DTSTART;TZID=Europe/Berlin;VALUE=DATE:20260101\nRRULE:FREQ=DAILY", "DTSTART", 39, "20260101"],
      ["DTSTART;TZIP=Europe/Berlin:20260101T090000\nRRULE:FREQ=DAILY", "DTSTART", 9, "TZIP=Europe/Berlin", "TZID"],
      ["DTSTART:20260101T090000,20260102T090000\nRRULE:FREQ=DAILY", "DTSTART", 9, "20260101T090000,20260102T090000"],
      ["RRULE:FREQ=DAILY\nRDATE;VALUE=PERIOD:20260101T090000Z/PT1H", "RDATE", 24, "VALUE=PERIOD"],
      ["RRULE:FREQ=DAILY\nRDATE:20260101T090000,\n 2026", "RDATE", 42, "2026"],
      ["RRULE:FREQ=DAILY\nRDATE;VALUE=DATE:20260101", "RDATE", 35, "20260101"],
      ["DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY\nEXDATE:20260101T000000", "EXDATE", 53, "20260101T000000"],
      // parts
      ["RRULE:", "", 7, ""],
      ["RRULE:BYHOUR=9", "FREQ", 7, "BYHOUR=9"],
      ["FREQ=DALY", "FREQ", 6, "DALY", "DAILY"],
      ["FREQ=DAY", "FREQ", 6, "DAY", "DAILY"],
      ["FREQ=weeks", "FREQ", 6, "weeks", "WEEKLY"],
      ["FREQ=DAILY;BYHOURS=9", "BYHOURS", 12, "BYHOURS=9", "BYHOUR"],
      ["FREQ=DAILY;X-PART=9", "X-PART", 12, "X-PART=9"],
      ["FREQ=DAILY;BYHOUR", "BYHOUR", 12, "BYHOUR"],
      ["FREQ=DAILY;BYHOUR=", "BYHOUR", 12, "BYHOUR="],
      ["FREQ=DAILY;;BYHOUR=9", "", 12, ""],
      ["FREQ=DAILY;BYHOUR=9;BYHOUR=17", "BYHOUR", 21, "BYHOUR=17"],
      ["FREQ=YEARLY;RSCALE=HEBREW", "RSCALE", 13, "RSCALE=HEBREW"],
      ["FREQ=MONTHLY;SKIP=BACKWARD", "SKIP", 14, "SKIP=BACKWARD"],
      // values
      ["FREQ=DAILY;INTERVAL=0", "INTERVAL", 21, "0"],
      ["FREQ=DAILY;INTERVAL=-1", "INTERVAL", 21, "-1"],
      ["FREQ=DAILY;INTERVAL=2147483648", "INTERVAL", 21, "2147483648"],
      ["FREQ=DAILY;COUNT=0", "COUNT", 18, "0"],
      ["FREQ=DAILY;COUNT=many", "COUNT", 18, "many"],
      ["FREQ=DAILY;UNTIL=20261301", "UNTIL", 18, "20261301"],
      ["FREQ=DAILY;UNTIL=2026-12-01", "UNTIL", 18, "2026-12-01", "20261201"],
      ["FREQ=DAILY;BYMONTH=13", "BYMONTH", 20, "13"],
      ["FREQ=DAILY;BYMONTH=0", "BYMONTH", 20, "0"],
      ["FREQ=DAILY;BYMONTH=-1", "BYMONTH", 20, "-1"],
      ["FREQ=DAILY;BYMONTH=1,sept", "BYMONTH", 22, "sept", "9"],
      ["FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO", 22, "54"],
      ["FREQ=YEARLY;BYYEARDAY=367", "BYYEARDAY", 23, "367"],
      ["FREQ=YEARLY;BYYEARDAY=0", "BYYEARDAY", 23, "0"],
      ["FREQ=MONTHLY;BYMONTHDAY=1,-32", "BYMONTHDAY", 27, "-32"],
      ["FREQ=MONTHLY;BYMONTHDAY=1,,2", "BYMONTHDAY", 27, ""],
      ["FREQ=DAILY;BYHOUR=24", "BYHOUR", 19, "24", "0"],
      ["FREQ=DAILY;BYMINUTE=60", "BYMINUTE", 21, "60", "0"],
      ["FREQ=DAILY;BYSECOND=61", "BYSECOND", 21, "61"],
      ["FREQ=DAILY;BYHOUR=9;BYSETPOS=367", "BYSETPOS", 30, "367"],
      ["FREQ=DAILY;BYHOUR=9;BYSETPOS=0", "BYSETPOS", 30, "0"],
      ["FREQ=WEEKLY;BYDAY=MO,TUE", "BYDAY", 22, "TUE", "TU"],
      ["FREQ=MONTHLY;BYDAY=0MO", "BYDAY", 20, "0MO", "MO"],
      ["FREQ=YEARLY;BYDAY=54MO", "BYDAY", 19, "54MO"],
      ["FREQ=WEEKLY;WKST=1", "WKST", 18, "1"],
      // parts that do not go together
      ["FREQ=DAILY;COUNT=3;UNTIL=20261201", "UNTIL", 26, "20261201"],
      ["FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO", 23, "1"],
      ["FREQ=HOURLY;BYWEEKNO=1", "BYWEEKNO", 22, "1"],
      ["FREQ=DAILY;BYYEARDAY=1", "BYYEARDAY", 22, "1"],
      ["FREQ=WEEKLY;BYYEARDAY=1", "BYYEARDAY", 23, "1"],
      ["FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY", 24, "1"],
      ["FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY", 24, "1"],
      ["FREQ=WEEKLY;BYDAY=1MO", "BYDAY", 19, "1MO"],
      ["FREQ=DAILY;BYDAY=-1MO", "BYDAY", 18, "-1MO"],
      ["FREQ=HOURLY;BYDAY=MO,2TU", "BYDAY", 19, "MO,2TU"],
      ["FREQ=YEARLY;BYWEEKNO=1;BYDAY=1MO", "BYDAY", 30, "1MO"],
      ["FREQ=MONTHLY;BYDAY=6MO", "BYDAY", 20, "6MO"],
      ["FREQ=YEARLY;BYMONTH=1;BYDAY=-6MO", "BYDAY", 29, "-6MO"],
      ["FREQ=DAILY;BYSETPOS=1", "BYSETPOS", 21, "1"],
      ["FREQ=MONTHLY;BYMONTH=2,4;BYMONTHDAY=31,-31", "BYMONTHDAY", 37, "31,-31"],
      ["DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;BYHOUR=9", "BYHOUR", 53, "9"],
      ["DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=HOURLY", "FREQ", 40, "HOURLY"],
      // UNTIL follows DTSTART
      [
        "DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;UNTIL=20260201T000000Z",
        "UNTIL",
        52,
        "20260201T000000Z",
        "20260201"
      ],
      [
        "DTSTART:20260101T090000\nRRULE:FREQ=DAILY;UNTIL=20260201T000000Z",
        "UNTIL",
        48,
        "20260201T000000Z",
        "20260201T000000"
      ],
      ["DTSTART:20260101T090000\nRRULE:FREQ=DAILY;UNTIL=20260201", "UNTIL", 48, "20260201", "20260201T235959"],
      ["DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;UNTIL=20260201", "UNTIL", 49, "20260201", "20260201T235959Z"],
      [
        "DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;UNTIL=20260201T100000",
        "UNTIL",
        49,
        "20260201T100000",
        "20260201T100000Z"
      ],
      [
        "DTSTART;TZID=America/New_York:20260101T090000\nRRULE:FREQ=DAILY;UNTIL=20260201T100000",
        "UNTIL",
        70,
        "20260201T100000",
        "20260201T150000Z"
      ],
      ["DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;UNTIL=20260101T085959Z", "UNTIL", 49, "20260101T085959Z"]
    ]

  for (const [text, part, position, value, suggestion] of refused) {
    it(JSON.stringify(text), () => {
      const error = fails(text)
      assert.deepStrictEqual(
        { part: error.part, position: error.position, value: error.value, suggestion: error.suggestion },
        { part, position, value, suggestion }
      )
      assert.notStrictEqual(error.allowed, "")
      assert.strictEqual(error.input, text)
      if (suggestion !== undefined) assert.include(error.message, `did you mean \`${suggestion}\`?`)
    })
  }

  it("says what is wrong, where, and what to write", () => {
    assert.strictEqual(
      fails("FREQ=WEEKLY;BYDAY=MON,WED").message,
      "`MON` is not a day of the week (BYDAY, character 19): use SU, MO, TU, WE, TH, FR, SA, with 1-53 or -53 to -1 before it; did you mean `MO`?"
    )
    assert.strictEqual(
      fails("RRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY").message,
      "`RRULE` is a second rule (RRULE, character 18): use one RRULE, and Trigger.union for two"
    )
    assert.strictEqual(
      fails("FREQ=MONTHLY;BYYEARDAY=1").message,
      "`1` does not go with FREQ=MONTHLY (BYYEARDAY, character 24): use BYYEARDAY with YEARLY, HOURLY, MINUTELY, SECONDLY"
    )
  })

  it("the position is that in the text as it was written, folded lines and all", () => {
    const text = "DTSTART:20260101T090000Z\r\nRRULE:FREQ=DAILY;BYHO\r\n UR=9,2\r\n\t5"
    const error = fails(text)
    assert.strictEqual(error.value, "25")
    assert.strictEqual(text[error.position - 1], "2")
  })

  it.prop("whatever it is, it is read or refused, and never thrown", [
    Arbitrary.array(
      pick([
        "FREQ",
        "=",
        "DAILY",
        ";",
        ":",
        ",",
        "\n",
        "\r\n ",
        "DTSTART",
        "TZID",
        "\"",
        "2026",
        "0101",
        "T",
        "Z",
        "-",
        "MO",
        " "
      ]),
      { maxLength: 12 }
    )
  ], ([pieces]) => {
    const result = RecurrenceRule.parse(pieces.join(""))
    if (Result.isFailure(result)) assert.isAtLeast(result.failure.position, 1)
  })
})

describe("what a recurrence means", () => {
  it("what is not said comes from the start", () => {
    assert.deepStrictEqual(first(2, "FREQ=MONTHLY", "UTC", "2026-01-31T09:30:15Z"), [
      "2026-01-31T09:30:15",
      "2026-03-31T09:30:15"
    ])
    assert.deepStrictEqual(first(2, "FREQ=YEARLY", "UTC", "2024-02-29T12:00Z"), [
      "2024-02-29T12:00:00",
      "2028-02-29T12:00:00"
    ])
    assert.deepStrictEqual(first(2, "FREQ=YEARLY;BYWEEKNO=20", "UTC", "2026-01-01T12:00Z"), [
      "2026-05-14T12:00:00",
      "2027-05-20T12:00:00"
    ])
  })

  it("a start that does not fit is no occurrence, and is not counted", () => {
    assert.deepStrictEqual(first(9, "DTSTART:20260101T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=2"), [
      "2026-01-05T09:00:00",
      "2026-01-12T09:00:00"
    ])
  })

  it("BYSETPOS counts from the beginning of the period, also in the first one", () => {
    // Wednesday. The first of its week was Monday.
    assert.deepStrictEqual(first(2, "DTSTART:20260107T090000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1"), [
      "2026-01-12T09:00:00",
      "2026-01-19T09:00:00"
    ])
  })

  it("two positions of one occurrence are one", () => {
    assert.deepStrictEqual(first(9, "DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY;BYHOUR=9;BYSETPOS=1,-1;COUNT=2"), [
      "2026-01-01T09:00:00",
      "2026-01-02T09:00:00"
    ])
  })

  it("a week of the year is all of it, and every other year is every other year of weeks", () => {
    assert.deepStrictEqual(first(3, "DTSTART:20251229T000000Z\nRRULE:FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=MO"), [
      "2025-12-29T00:00:00",
      "2028-01-03T00:00:00",
      "2029-12-31T00:00:00"
    ])
  })

  it("UNTIL is inclusive, and a date is all of its day in the zone", () => {
    assert.strictEqual(first(9, "FREQ=HOURLY;UNTIL=20260101T020000Z").length, 3)
    assert.strictEqual(first(9, "FREQ=HOURLY;UNTIL=20260101T015959Z").length, 2)
    const days = first(99, "FREQ=HOURLY;UNTIL=20260101", "America/New_York", "2026-01-02T02:00Z")
    assert.deepStrictEqual(days, ["2026-01-02T02:00:00", "2026-01-02T03:00:00", "2026-01-02T04:00:00"])
    assert.strictEqual(first(99, "DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;UNTIL=20260103").length, 3)
  })

  it("floating times are read in the zone that is given, others in their own", () => {
    assert.deepStrictEqual(first(1, "DTSTART:20260701T090000\nRRULE:FREQ=DAILY", "Asia/Tokyo"), ["2026-07-01T00:00:00"])
    assert.deepStrictEqual(
      first(1, "DTSTART;TZID=Europe/Berlin:20260701T090000\nRRULE:FREQ=DAILY", "Asia/Tokyo"),
      ["2026-07-01T07:00:00"]
    )
    assert.deepStrictEqual(first(1, "DTSTART:20260701T090000Z\nRRULE:FREQ=DAILY", "Asia/Tokyo"), [
      "2026-07-01T09:00:00"
    ])
    assert.deepStrictEqual(
      first(
        9,
        "DTSTART;TZID=Europe/Berlin:20260701T090000\nRRULE:FREQ=DAILY;COUNT=2\nEXDATE:20260701T090000\nRDATE:20260705T100000",
        "Asia/Tokyo"
      ),
      ["2026-07-02T07:00:00", "2026-07-05T08:00:00"]
    )
  })

  it("RDATE may come before the start, is there once, and EXDATE beats it", () => {
    assert.deepStrictEqual(
      first(
        9,
        "DTSTART:20260102T090000Z\nRRULE:FREQ=DAILY;COUNT=2\nRDATE:20260101T090000Z,20260102T090000Z,20260105T090000Z\nEXDATE:20260105T090000Z"
      ),
      ["2026-01-01T09:00:00", "2026-01-02T09:00:00", "2026-01-03T09:00:00"]
    )
  })

  it("a leap second is the second before it", () => {
    assert.deepStrictEqual(first(1, "DTSTART:20260101T000060Z\nRRULE:FREQ=DAILY;BYSECOND=60"), ["2026-01-01T00:00:59"])
  })
})

describe("where clocks change", () => {
  const newYork = (rule: string, start: string, n = 9) => first(n, rule, "America/New_York", start)

  it("a skipped time moves by the length of the gap, and counts", () => {
    assert.deepStrictEqual(newYork("FREQ=DAILY;COUNT=3", "2026-03-07T07:30Z"), [
      "2026-03-07T07:30:00",
      "2026-03-08T07:30:00",
      "2026-03-09T06:30:00"
    ])
  })

  it("a start inside the gap too", () => {
    assert.deepStrictEqual(
      first(2, "DTSTART;TZID=America/New_York:20260308T023000\nRRULE:FREQ=DAILY"),
      ["2026-03-08T07:30:00", "2026-03-09T06:30:00"]
    )
  })

  it("a repeated time is its first pass", () => {
    assert.deepStrictEqual(newYork("FREQ=DAILY;COUNT=3", "2026-10-31T05:30Z"), [
      "2026-10-31T05:30:00",
      "2026-11-01T05:30:00",
      "2026-11-02T06:30:00"
    ])
  })

  it("two times that come to one instant are one occurrence", () => {
    assert.deepStrictEqual(newYork("FREQ=DAILY;BYHOUR=2,3;COUNT=3", "2026-03-08T05:30Z"), [
      "2026-03-08T07:30:00",
      "2026-03-09T06:30:00",
      "2026-03-09T07:30:00"
    ])
  })

  it("every hour is every real hour: none doubled in spring, none missing in autumn", () => {
    const hours = (from: string) => Array.from({ length: 6 }, (_, i) => iso(at(from) + i * 3600))
    assert.deepStrictEqual(newYork("FREQ=HOURLY", "2026-03-08T04:30Z", 6), hours("2026-03-08T04:30Z"))
    assert.deepStrictEqual(newYork("FREQ=HOURLY", "2026-11-01T04:30Z", 6), hours("2026-11-01T04:30Z"))
    assert.strictEqual(
      newYork("FREQ=MINUTELY;INTERVAL=15;COUNT=12", "2026-11-01T04:30Z", 12)[11],
      "2026-11-01T07:15:00"
    )
  })

  it("a step of more than an hour, or an hour that is named, keeps to the clock", () => {
    assert.deepStrictEqual(newYork("FREQ=HOURLY;INTERVAL=3", "2026-11-01T02:00Z", 4), [
      "2026-11-01T02:00:00",
      "2026-11-01T05:00:00",
      "2026-11-01T09:00:00",
      "2026-11-01T12:00:00"
    ])
    assert.deepStrictEqual(newYork("FREQ=HOURLY;BYHOUR=1", "2026-10-31T05:00Z", 3), [
      "2026-10-31T05:00:00",
      "2026-11-01T05:00:00",
      "2026-11-02T06:00:00"
    ])
    assert.deepStrictEqual(newYork("FREQ=HOURLY;BYHOUR=2", "2026-03-07T07:00Z", 3), [
      "2026-03-07T07:00:00",
      "2026-03-08T07:00:00",
      "2026-03-09T06:00:00"
    ])
  })

  it("a start in the second pass of a repeated hour has nothing of the first", () => {
    // 01:30 again, at UTC-5.
    assert.deepStrictEqual(newYork("FREQ=HOURLY;COUNT=2", "2026-11-01T06:30Z"), [
      "2026-11-01T06:30:00",
      "2026-11-01T07:30:00"
    ])
  })
})

describe("limits", () => {
  it("what never occurs is found out by days, not by seconds", () => {
    for (
      const text of [
        "FREQ=SECONDLY;BYMONTHDAY=30;BYYEARDAY=60",
        "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1,3,59",
        "FREQ=SECONDLY;INTERVAL=86399;BYHOUR=3;BYMONTH=2;BYMONTHDAY=29;BYDAY=SA;BYYEARDAY=1",
        "FREQ=MINUTELY;INTERVAL=1439;BYMONTH=1;BYYEARDAY=200",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
        "FREQ=YEARLY;BYDAY=MO;BYSETPOS=60"
      ]
    ) {
      const engine = engineOf(text)
      assert.strictEqual(engine.next(0), Infinity, text)
      assert.strictEqual(engine.previous(4e9), -Infinity, text)
      assert.strictEqual(engine.count(at("2026-01-01T00:00Z"), at("2096-01-01T00:00Z")), 0, text)
    }
  })

  it("a step of years in seconds is a leap", () => {
    assert.deepStrictEqual(first(3, "FREQ=SECONDLY;INTERVAL=100000000"), [
      "2026-01-01T00:00:00",
      "2029-03-03T09:46:40",
      "2032-05-03T19:33:20"
    ])
    const engine = engineOf("FREQ=SECONDLY;INTERVAL=2147483647")
    assert.strictEqual(engine.next(at("2026-01-01T00:00:01Z")), at("2026-01-01T00:00Z") + 2_147_483_647)
    assert.strictEqual(engine.previous(3.9e9), at("2026-01-01T00:00Z"))
  })

  it("COUNT is found by arithmetic, however large", () => {
    const engine = engineOf("FREQ=SECONDLY;COUNT=1000000000")
    const last = at("2026-01-01T00:00Z") + 999_999_999
    assert.strictEqual(engine.previous(1e11), last)
    assert.strictEqual(engine.next(last), last)
    assert.strictEqual(engine.next(last + 1), Infinity)
    assert.strictEqual(engine.count(last - 4, last + 4), 5)
    assert.strictEqual(iso(engineOf("FREQ=YEARLY;COUNT=300").previous(1e11)), "2325-01-01T00:00:00")
  })

  it("the COUNT of a rule that is rarer than four hundred years can hold ends nothing", () => {
    assert.strictEqual(iso(engineOf("FREQ=YEARLY;COUNT=500").next(at("2600-01-01T00:00Z"))), "2600-01-01T00:00:00")
  })

  it("nobody looks further than a hundred years", () => {
    assert.strictEqual(engineOf("FREQ=YEARLY;INTERVAL=90").next(at("2026-01-02T00:00Z")), at("2116-01-01T00:00Z"))
    assert.strictEqual(engineOf("FREQ=YEARLY;INTERVAL=120").next(at("2026-01-02T00:00Z")), Infinity)
    assert.isUndefined(engineOf("FREQ=DAILY").count(at("2026-01-01T00:00Z"), at("2127-01-01T00:00Z")))
  })

  it("the days of a recurrence are those of its own zone", () => {
    const days = makeRecurrenceDays(
      RecurrenceRule.parseUnsafe(
        "DTSTART;TZID=America/New_York:20260105T220000\nRRULE:FREQ=WEEKLY;UNTIL=20260120T030000Z\nEXDATE:20260113T030000Z"
      ),
      0
    )
    const listed = Array.from({ length: 40 }, (_, i) => at("2026-01-01T00:00Z") / DAY + i).filter(days.contains)
    assert.deepStrictEqual(listed.map((day) => iso(day * DAY).slice(0, 10)), ["2026-01-05", "2026-01-19"])
  })
})

describe("Trigger.rrule", () => {
  const berlin = { timeZone: "Europe/Berlin", start: "2026-01-05T09:00" }

  const dues = (trigger: Trigger.Trigger, anchor: string, n = 3): ReadonlyArray<string> => {
    const bound = Trigger.bind(trigger, { anchor: Date.parse(anchor), seed: "a" })
    const found: Array<string> = []
    for (let point = bound.next(-1e13); point !== undefined && found.length < n; point = bound.next(point.due)) {
      found.push(iso(point.due / 1000))
    }
    return found
  }

  it("without a start, the anchor is it, at the next full second", () => {
    assert.deepStrictEqual(dues(Trigger.rrule("FREQ=DAILY;COUNT=2"), "2026-01-01T10:00:00.500Z"), [
      "2026-01-01T10:00:01",
      "2026-01-02T10:00:01"
    ])
  })

  it("the `start` option takes UNTIL in every form, and the stored text is one that iCalendar allows", () => {
    const rule = (until: string, options: Trigger.RruleOptions) => {
      const trigger = Trigger.rrule(`FREQ=WEEKLY;UNTIL=${until}`, options)
      return trigger._tag === "Rrule" ? trigger.rule.text : assert.fail(trigger._tag)
    }
    const text = (until: string) => `DTSTART;TZID=Europe/Berlin:20260105T090000\nRRULE:FREQ=WEEKLY;UNTIL=${until}`
    assert.strictEqual(rule("20260302T080000Z", berlin), text("20260302T080000Z"))
    assert.strictEqual(rule("20260302T090000", berlin), text("20260302T080000Z"))
    assert.strictEqual(rule("20260302", berlin), text("20260302T225959Z"))
    const days = { ...berlin, start: "2026-01-05" }
    const dates = (until: string) => `DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;UNTIL=${until}`
    assert.strictEqual(rule("20260302", days), dates("20260302"))
    assert.strictEqual(rule("20260301T225959Z", days), dates("20260301"))
    assert.strictEqual(rule("20260301T230000Z", days), dates("20260302"))
    assert.strictEqual(rule("20260302T090000", days), dates("20260302"))
  })

  it("a start that is no date, a second start, and two zones are refused", () => {
    assert.throws(() => Trigger.rrule("FREQ=DAILY", { start: "2026-02-30" }), /not a local date/)
    assert.throws(() => Trigger.rrule("DTSTART:20260101T090000\nRRULE:FREQ=DAILY", berlin), /DTSTART/)
    assert.throws(
      () => Trigger.rrule("DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY", { timeZone: "Europe/Berlin" }),
      /leave one of them out/
    )
  })
})

describe("a recurrence in words", () => {
  const said: ReadonlyArray<readonly [text: string, words: string]> = [
    ["FREQ=DAILY", "every day"],
    [
      "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;BYHOUR=9;BYMINUTE=0;COUNT=10",
      "every 2 weeks on Monday and Wednesday at 09:00, 10 times"
    ],
    ["FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17;BYMINUTE=0;BYSECOND=0", "every month on the last Friday at 17:00"],
    [
      "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
      "every month on Monday to Friday, only the 2nd to last of each month"
    ],
    ["FREQ=MONTHLY;BYMONTHDAY=1,15,-1", "every month on days 1 and 15 and the last day"],
    ["FREQ=YEARLY;BYDAY=20MO", "every year on the 20th Monday of the year"],
    ["FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "every year in week 20 of the year on Monday"],
    ["FREQ=YEARLY;BYYEARDAY=1,-1", "every year on day 1 and the last day of the year"],
    [
      "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYMONTHDAY=2,3,4,5,6,7,8;BYDAY=TU",
      "every 4 years in November on days 2 to 8 of the month when that is Tuesday"
    ],
    ["FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12", "every 20 minutes at hours 9 to 12"],
    ["FREQ=DAILY;BYHOUR=0,6,12,18;BYMINUTE=0,30", "every day at minutes 0 and 30 of hours 0, 6, 12 and 18"],
    ["FREQ=DAILY;BYHOUR=9", "every day at hour 9"],
    [
      "DTSTART:19970902T090000Z\nRRULE:FREQ=YEARLY;COUNT=1",
      "every year in September on day 2 at 09:00, from 1997-09-02 09:00 UTC, once"
    ],
    [
      "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;UNTIL=20260301\nRDATE;VALUE=DATE:20260106",
      "every week on Monday, from 2026-01-05, until 2026-03-01, also on 2026-01-06"
    ],
    [
      "DTSTART;TZID=Europe/Berlin:20260105T093015\nRRULE:FREQ=MONTHLY\nEXDATE:20260201T000000Z,20260202T000000Z,20260203T000000Z,20260204T000000Z",
      "every month on day 5 at 09:30:15, from 2026-01-05 09:30:15, but not on 4 dates"
    ]
  ]
  for (const [text, expected] of said) {
    it(expected, () => assert.strictEqual(words(RecurrenceRule.parseUnsafe(text)), expected))
  }
})
