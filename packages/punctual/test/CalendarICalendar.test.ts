/**
 * Holidays from iCalendar files, as programs and publishers write them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Calendar from "../src/Calendar.ts"

const file = (...events: ReadonlyArray<string>): string =>
  [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    ...events.map((event) => `BEGIN:VEVENT\n${event}\nEND:VEVENT`),
    "END:VCALENDAR",
    ""
  ]
    .join("\n")
    .replaceAll("\n", "\r\n")

const read = (text: string, options?: Calendar.ICalendarOptions): Calendar.Calendar =>
  Result.getOrThrowWith(Calendar.fromICalendar(text, options ?? { timeZone: "Europe/Berlin" }), (error) => error)

const refused = (text: string): Calendar.CalendarError => {
  const result = Calendar.fromICalendar(text, { timeZone: "Europe/Berlin" })
  return Result.isFailure(result) ? result.failure : assert.fail("it was accepted")
}

/** The rules of the holidays. */
const rules = (text: string) => read(text).parts[0]!.holidays.map(({ date }) => date)

/** The days off from one year to another. */
const days = (text: string, from = 2020, to = 2032) =>
  Calendar.holidays(read(text), { from: `${from}-01-01`, to: `${to}-12-31` }).map(({ date }) => date)

describe("events", () => {
  it("all-day events close their days, and the end is not included", () => {
    const text = file(
      "DTSTART;VALUE=DATE:20261224\nSUMMARY:Heiligabend",
      "DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227\nSUMMARY:Weihnachten\\, beide Tage",
      "DTSTART;VALUE=DATE:20261231\nDURATION:P1D",
      "DTSTART;VALUE=DATE:20270106\nDTEND;VALUE=DATE:20270106"
    )
    assert.deepStrictEqual(read(text).parts[0]?.holidays, [
      { date: "2026-12-24", name: "Heiligabend" },
      { date: "2026-12-25/2026-12-26", name: "Weihnachten, beide Tage" },
      { date: "2026-12-31", name: undefined },
      { date: "2027-01-06", name: undefined }
    ])
  })

  it("folded lines, other line ends, blank lines, a mark at the beginning, alarms and other components", () => {
    const text = "\uFEFFBEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:X\nBEGIN:STANDARD\nDTSTART:19701025T030000\n" +
      "END:STANDARD\nEND:VTIMEZONE\n\nBEGIN:VEVENT\nSUMMARY;LANGUAGE=de:Tag der Deut\n schen Einheit\n" +
      "DTSTART;VALUE=DATE:2026\n\t1003\nBEGIN:VALARM\nTRIGGER:-PT15M\nSUMMARY:Alarm\nEND:VALARM\nEND:VEVENT\n" +
      "BEGIN:VTODO\nDTSTART;VALUE=DATE:20260101\nEND:VTODO\nEND:VCALENDAR"
    assert.deepStrictEqual(read(text).parts[0]?.holidays, [{ date: "2026-10-03", name: "Tag der Deutschen Einheit" }])
  })

  it("cancelled events close nothing, and what is marked as free does", () => {
    const text = file(
      "DTSTART;VALUE=DATE:20260501\nSTATUS:CANCELLED",
      "DTSTART;VALUE=DATE:20260502\nSTATUS:CONFIRMED\nTRANSP:TRANSPARENT"
    )
    assert.deepStrictEqual(rules(text), ["2026-05-02"])
  })

  it("events with times close the days they cover from midnight to midnight", () => {
    const text = file(
      "DTSTART:20260105T000000\nDTEND:20260106T000000",
      "DTSTART:20260112T090000\nDTEND:20260114T120000",
      "DTSTART:20260119T090000\nDTEND:20260120T000000",
      "DTSTART:20260126T090000",
      "DTSTART;TZID=Europe/Berlin:20260202T000000\nDURATION:P1DT12H",
      // Midnight in Berlin, in summer and in winter, and a day in Tokyo, which is none in Berlin.
      "DTSTART:20260601T220000Z\nDTEND:20260602T220000Z",
      "DTSTART:20261201T220000Z\nDTEND:20261203T220000Z",
      "DTSTART;TZID=Asia/Tokyo:20260615T000000\nDTEND;TZID=Asia/Tokyo:20260616T000000"
    )
    // From 23:00 on the first evening to 23:00 on the last, in winter.
    assert.deepStrictEqual(rules(text), ["2026-01-05", "2026-01-13", "2026-02-02", "2026-06-02", "2026-12-02"])
  })

  it("weekends and exceptions are said beside the file", () => {
    const text = file("DTSTART;VALUE=DATE:20261225")
    const calendar = read(text, { timeZone: "Europe/Berlin", weekend: "sat,sun", open: "2026-12-26" })
    assert.isFalse(Calendar.isOpen(calendar, "2026-12-25"))
    assert.isTrue(Calendar.isOpen(calendar, "2026-12-26"))
    assert.isFalse(Calendar.isOpen(calendar, "2026-12-27"))
    const bad = Calendar.fromICalendar(text, { timeZone: "Mars/Base" })
    assert.isTrue(Result.isFailure(bad) && bad.failure.reason === "timeZone" && bad.failure.line === undefined)
    assert.deepStrictEqual(read(file(), {}), Calendar.make({}))
  })
})

describe("rules of repetition", () => {
  it("without an end become rules of every year", () => {
    const yearly = (event: string) => rules(file(`${event}\nSUMMARY:x`))
    assert.deepStrictEqual(yearly("DTSTART;VALUE=DATE:20201225\nRRULE:FREQ=YEARLY"), ["12-25 since 2020"])
    assert.deepStrictEqual(
      yearly("DTSTART;VALUE=DATE:20201224\nDTEND;VALUE=DATE:20210102\nRRULE:FREQ=YEARLY;INTERVAL=1"),
      ["12-24/01-01 since 2020"]
    )
    assert.deepStrictEqual(
      yearly("DTSTART;VALUE=DATE:20200120\nRRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=3MO"),
      ["3rd mon jan since 2020"]
    )
    assert.deepStrictEqual(
      yearly("DTSTART;VALUE=DATE:20200525\nRRULE:FREQ=YEARLY;BYDAY=-1MO;BYMONTH=5"),
      ["last mon may since 2020"]
    )
    assert.deepStrictEqual(
      yearly("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=1"),
      ["05-01 since 2020"]
    )
    assert.deepStrictEqual(yearly("DTSTART;VALUE=DATE:20200229\nRRULE:FREQ=YEARLY"), ["02-29 since 2020"])
  })

  it("say the same as the rule where no rule of every year does", () => {
    const text = (rule: string, start = "20200225", end = "20200302") =>
      file(`DTSTART;VALUE=DATE:${start}\nDTEND;VALUE=DATE:${end}\nRRULE:${rule}`)
    // Six days from 25 February end on 1 March in leap years, and on 2 March in others.
    assert.include(days(text("FREQ=YEARLY")), "2021-03-02")
    assert.notInclude(days(text("FREQ=YEARLY")), "2024-03-02")
    assert.deepStrictEqual(days(text("FREQ=YEARLY;INTERVAL=4", "20200101", "20200102")), [
      "2020-01-01",
      "2024-01-01",
      "2028-01-01",
      "2032-01-01"
    ])
    // The start is beside the rule, and an occurrence all the same.
    assert.deepStrictEqual(days(text("FREQ=YEARLY;BYMONTH=1;BYDAY=3MO", "20200101", "20200102"), 2020, 2021), [
      "2020-01-01",
      "2020-01-20",
      "2021-01-18"
    ])
  })

  it("with an end become dates", () => {
    const of = (rule: string) => rules(file(`DTSTART;VALUE=DATE:20200501\n${rule}`))
    const first = ["2020-05-01", "2021-05-01", "2022-05-01"]
    assert.deepStrictEqual(of("RRULE:FREQ=YEARLY;COUNT=3"), first)
    assert.deepStrictEqual(of("RRULE:FREQ=YEARLY;UNTIL=20220501"), first)
    assert.deepStrictEqual(of("RRULE:FREQ=YEARLY;UNTIL=20220501T000000Z"), first)
    assert.deepStrictEqual(of("RRULE:FREQ=YEARLY;UNTIL=20220430"), first.slice(0, 2))
  })

  it("dates are added and left out", () => {
    const text = file(
      "DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY;COUNT=3\nEXDATE;VALUE=DATE:20210501\nRDATE;VALUE=DATE:20210503,20210504"
    )
    assert.deepStrictEqual(rules(text), ["2020-05-01", "2021-05-03", "2021-05-04", "2022-05-01"])
    const endless = file("DTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20210501")
    assert.deepStrictEqual(days(endless, 2020, 2022), ["2020-05-01", "2022-05-01"])
    assert.deepStrictEqual(days(endless, 2118, 2130), ["2118-05-01", "2119-05-01", "2120-05-01"])
    assert.deepStrictEqual(rules(file("DTSTART;VALUE=DATE:20200501\nRDATE;VALUE=DATE:20200505")), [
      "2020-05-01",
      "2020-05-05"
    ])
  })

  it("single occurrences are moved or cancelled", () => {
    const text = file(
      "UID:a\nDTSTART;VALUE=DATE:20200501\nRRULE:FREQ=YEARLY;COUNT=4",
      "UID:a\nRECURRENCE-ID;VALUE=DATE:20210501\nDTSTART;VALUE=DATE:20210503",
      "UID:a\nRECURRENCE-ID;VALUE=DATE:20220501\nDTSTART;VALUE=DATE:20220501\nSTATUS:CANCELLED",
      "UID:b\nRECURRENCE-ID;VALUE=DATE:20230501\nDTSTART;VALUE=DATE:20230601"
    )
    assert.deepStrictEqual(rules(text), ["2020-05-01", "2021-05-03", "2023-05-01", "2023-06-01"])
  })

  it("with times follow the clock they are told in", () => {
    const daily = (start: string, end: string, rule: string) => rules(file(`${start}\n${end}\nRRULE:${rule}`))
    // Through the night in which the clock goes forward.
    assert.deepStrictEqual(
      daily(
        "DTSTART;TZID=Europe/Berlin:20260328T000000",
        "DTEND;TZID=Europe/Berlin:20260329T000000",
        "FREQ=DAILY;COUNT=3"
      ),
      ["2026-03-28", "2026-03-29", "2026-03-30"]
    )
    // The end is told in UTC: midnight of 3 May in Berlin.
    assert.deepStrictEqual(
      daily(
        "DTSTART;TZID=Europe/Berlin:20260501T000000",
        "DTEND;TZID=Europe/Berlin:20260502T000000",
        "FREQ=DAILY;UNTIL=20260502T220000Z"
      ),
      ["2026-05-01", "2026-05-02", "2026-05-03"]
    )
    // Midnight in London is one o'clock in Berlin: no day is covered.
    assert.deepStrictEqual(
      daily(
        "DTSTART;TZID=Europe/London:20260328T000000",
        "DTEND;TZID=Europe/London:20260329T000000",
        "FREQ=DAILY;COUNT=3"
      ),
      []
    )
    // Told in UTC: midnight to midnight in winter, from one o'clock on in summer.
    assert.deepStrictEqual(
      daily("DTSTART:20260320T230000Z", "DTEND:20260322T230000Z", "FREQ=WEEKLY;UNTIL=20260410T000000Z"),
      ["2026-03-21/2026-03-22", "2026-03-28/2026-03-29", "2026-04-05"]
    )
  })
})

describe("bad files", () => {
  it("name the line, and what is wrong with it", () => {
    const event = (lines: string) => `BEGIN:VCALENDAR\nBEGIN:VEVENT\n${lines}\nEND:VEVENT\nEND:VCALENDAR`
    const date = "DTSTART;VALUE=DATE:20260501"
    const cases: ReadonlyArray<readonly [text: string, line: number, problem: RegExp]> = [
      ["", 1, /begins with BEGIN:VCALENDAR/],
      ["{ \"date\": \"2026-05-01\" }", 1, /is not a line of an iCalendar file/],
      ["VERSION:2.0", 1, /begins with BEGIN:VCALENDAR/],
      ["BEGIN:VEVENT\nEND:VEVENT", 1, /begins with BEGIN:VCALENDAR/],
      ["BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260501\n", 2, /VEVENT begins here and never ends/],
      ["BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR", 3, /began as VEVENT in line 2/],
      ["BEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VEVENT", 3, /ends what never began/],
      [event("SUMMARY:no date"), 2, /has no DTSTART/],
      [event("DTSTART;VALUE=DATE:20260230"), 3, /`20260230` is not a date/],
      [event("SUMMARY:folded\n over\n three lines\nDTSTART:yesterday"), 6, /`yesterday` is not a date/],
      [event(`${date}\n${date}`), 4, /an event has one DTSTART/],
      [event(`${date}\nDTEND;VALUE=DATE:20260430`), 4, /ends before it begins/],
      [event(`${date}\nDTEND:20260502T000000`), 4, /both dates, or both have times/],
      [event(`${date}\nDURATION:1 day`), 4, /is not a duration/],
      [event(`${date}\nRRULE:FREQ=YEARLI`), 4, /did you mean `YEARLY`/],
      [event(`${date}\nRRULE:FREQ=DAILY`), 4, /more than 10000 days/],
      [event(`${date}\nEXDATE;VALUE=DATE:2026`), 4, /`2026` is not a date/],
      [event(`${date}\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260501`), 4, /RANGE=THISANDFUTURE/],
      [event("DTSTART;TZID=W. Europe Standard Time:20260501T000000"), 3, /is not a time zone this runtime knows/]
    ]
    for (const [text, line, problem] of cases) {
      const error = refused(text)
      assert.match(error.problem, problem)
      assert.strictEqual(error.line, line, text)
      assert.strictEqual(error.reason, "icalendar")
      assert.isTrue(error.message.startsWith(`line ${line}: `))
    }
  })
})
