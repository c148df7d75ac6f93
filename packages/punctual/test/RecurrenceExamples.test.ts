/**
 * The examples of RFC 5545 §3.8.5.3 and §3.3.10, in its order and with its lists, and what its errata correct.
 */
import { assert, describe, it } from "@effect/vitest"
import { makeRecurrence } from "../src/internal/recurrenceEngine.ts"
import { lookup } from "../src/internal/timeZone.ts"
import * as RecurrenceRule from "../src/RecurrenceRule.ts"

const zone = lookup("America/New_York")!

const months = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
]

const offsets: { readonly [name: string]: number } = { EDT: -4, EST: -5 }

/** `1997 EDT: September 2-11; October 1,3` at 09:00, or at other times with `September 2 09:00,12:00`. */
const instants = (line: string): ReadonlyArray<string> => {
  const [, year, zone, list] = /^(\d+) (E.T): (.+)$/.exec(line)!
  return list!.split(/; ?/).flatMap((part) => {
    const [month, days, times = "9:00"] = part.split(" ")
    return days!.split(",").flatMap((range) => {
      const [from, to = from] = range.split("-").map(Number)
      return Array.from({ length: to! - from! + 1 }, (_, i) => from! + i).flatMap((day) =>
        times.split(",").map((time) => {
          const [hour, minute] = time.split(":").map(Number)
          const utc = Date.UTC(Number(year), months.indexOf(month!), day, hour! - offsets[zone!]!, minute)
          return new Date(utc).toISOString()
        })
      )
    })
  })
}

const occurrences = (text: string, limit: number): ReadonlyArray<string> => {
  const engine = makeRecurrence(RecurrenceRule.parseUnsafe(text), zone, 0)
  const found: Array<string> = []
  let from = -1e10
  while (found.length < limit) {
    const next = engine.next(from)
    if (next === Infinity) break
    found.push(new Date(next * 1000).toISOString())
    from = next + 1
  }
  return found
}

interface Example {
  readonly name: string
  /** Alternatives of the RFC are all here. */
  readonly rules: ReadonlyArray<string>
  readonly start: string
  readonly expected: ReadonlyArray<string>
  /** The list ends with `...`: more follow. */
  readonly more?: boolean
}

const every20Minutes = "9:00,9:20,9:40,10:00,10:20,10:40,11:00,11:20,11:40,12:00,12:20,12:40,13:00,13:20,13:40," +
  "14:00,14:20,14:40,15:00,15:20,15:40,16:00,16:20,16:40"

const examples: ReadonlyArray<Example> = [
  {
    name: "Daily for 10 occurrences",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=DAILY;COUNT=10"],
    expected: ["1997 EDT: September 2-11"]
  },
  {
    name: "Daily until December 24, 1997",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=DAILY;UNTIL=19971224T000000Z"],
    expected: ["1997 EDT: September 2-30;October 1-25", "1997 EST: October 26-31;November 1-30;December 1-23"]
  },
  {
    name: "Every other day - forever",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=DAILY;INTERVAL=2"],
    expected: [
      "1997 EDT: September 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30;October 2,4,6,8,10,12,14,16,18,20,22,24",
      "1997 EST: October 26,28,30;November 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29;December 1,3"
    ],
    more: true
  },
  {
    name: "Every 10 days, 5 occurrences",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=DAILY;INTERVAL=10;COUNT=5"],
    expected: ["1997 EDT: September 2,12,22;October 2,12"]
  },
  {
    name: "Every day in January, for 3 years",
    start: "19980101T090000",
    rules: [
      "RRULE:FREQ=YEARLY;UNTIL=20000131T140000Z;\r\n BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
      "RRULE:FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1"
    ],
    expected: ["1998 EST: January 1-31", "1999 EST: January 1-31", "2000 EST: January 1-31"]
  },
  {
    name: "Weekly for 10 occurrences",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=WEEKLY;COUNT=10"],
    expected: ["1997 EDT: September 2,9,16,23,30;October 7,14,21", "1997 EST: October 28;November 4"]
  },
  {
    name: "Weekly until December 24, 1997",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=WEEKLY;UNTIL=19971224T000000Z"],
    expected: [
      "1997 EDT: September 2,9,16,23,30;October 7,14,21",
      "1997 EST: October 28;November 4,11,18,25;December 2,9,16,23"
    ]
  },
  {
    name: "Every other week - forever",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=WEEKLY;INTERVAL=2;WKST=SU"],
    expected: [
      "1997 EDT: September 2,16,30;October 14",
      "1997 EST: October 28;November 11,25;December 9,23",
      "1998 EST: January 6,20;February 3,17"
    ],
    more: true
  },
  {
    name: "Weekly on Tuesday and Thursday for five weeks",
    start: "19970902T090000",
    rules: [
      "RRULE:FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
      "RRULE:FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH"
    ],
    expected: ["1997 EDT: September 2,4,9,11,16,18,23,25,30;October 2"]
  },
  {
    name: "Every other week on Monday, Wednesday, and Friday until December 24, 1997",
    start: "19970901T090000",
    rules: ["RRULE:FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;\r\n BYDAY=MO,WE,FR"],
    expected: [
      "1997 EDT: September 1,3,5,15,17,19,29;October 1,3,13,15,17",
      "1997 EST: October 27,29,31;November 10,12,14,24,26,28;December 8,10,12,22"
    ]
  },
  {
    name: "Every other week on Tuesday and Thursday, for 8 occurrences",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH"],
    expected: ["1997 EDT: September 2,4,16,18,30;October 2,14,16"]
  },
  {
    name: "Monthly on the first Friday for 10 occurrences",
    start: "19970905T090000",
    rules: ["RRULE:FREQ=MONTHLY;COUNT=10;BYDAY=1FR"],
    expected: [
      "1997 EDT: September 5;October 3",
      "1997 EST: November 7;December 5",
      "1998 EST: January 2;February 6;March 6;April 3",
      "1998 EDT: May 1;June 5"
    ]
  },
  {
    name: "Monthly on the first Friday until December 24, 1997",
    start: "19970905T090000",
    rules: ["RRULE:FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR"],
    expected: ["1997 EDT: September 5;October 3", "1997 EST: November 7;December 5"]
  },
  {
    name: "Every other month on the first and last Sunday of the month for 10 occurrences",
    start: "19970907T090000",
    rules: ["RRULE:FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU"],
    expected: [
      "1997 EDT: September 7,28",
      "1997 EST: November 2,30",
      "1998 EST: January 4,25;March 1,29",
      "1998 EDT: May 3,31"
    ]
  },
  {
    name: "Monthly on the second-to-last Monday of the month for 6 months",
    start: "19970922T090000",
    rules: ["RRULE:FREQ=MONTHLY;COUNT=6;BYDAY=-2MO"],
    expected: [
      "1997 EDT: September 22;October 20",
      "1997 EST: November 17;December 22",
      "1998 EST: January 19;February 16"
    ]
  },
  {
    name: "Monthly on the third-to-the-last day of the month, forever",
    start: "19970928T090000",
    rules: ["RRULE:FREQ=MONTHLY;BYMONTHDAY=-3"],
    expected: [
      "1997 EDT: September 28",
      "1997 EST: October 29;November 28;December 29",
      "1998 EST: January 29;February 26"
    ],
    more: true
  },
  {
    name: "Monthly on the 2nd and 15th of the month for 10 occurrences",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15"],
    expected: [
      "1997 EDT: September 2,15;October 2,15",
      "1997 EST: November 2,15;December 2,15",
      "1998 EST: January 2,15"
    ]
  },
  {
    name: "Monthly on the first and last day of the month for 10 occurrences",
    start: "19970930T090000",
    rules: ["RRULE:FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1"],
    expected: [
      "1997 EDT: September 30;October 1",
      "1997 EST: October 31;November 1,30;December 1,31",
      "1998 EST: January 1,31;February 1"
    ]
  },
  {
    name: "Every 18 months on the 10th thru 15th of the month for 10 occurrences",
    start: "19970910T090000",
    rules: ["RRULE:FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,\r\n 13,14,15"],
    expected: ["1997 EDT: September 10,11,12,13,14,15", "1999 EST: March 10,11,12,13"]
  },
  {
    name: "Every Tuesday, every other month",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=MONTHLY;INTERVAL=2;BYDAY=TU"],
    expected: [
      "1997 EDT: September 2,9,16,23,30",
      "1997 EST: November 4,11,18,25",
      "1998 EST: January 6,13,20,27;March 3,10,17,24,31"
    ],
    more: true
  },
  {
    name: "Yearly in June and July for 10 occurrences",
    start: "19970610T090000",
    rules: ["RRULE:FREQ=YEARLY;COUNT=10;BYMONTH=6,7"],
    expected: [1997, 1998, 1999, 2000, 2001].map((year) => `${year} EDT: June 10;July 10`)
  },
  {
    name: "Every other year on January, February, and March for 10 occurrences",
    start: "19970310T090000",
    rules: ["RRULE:FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3"],
    expected: [
      "1997 EST: March 10",
      "1999 EST: January 10;February 10;March 10",
      "2001 EST: January 10;February 10;March 10",
      "2003 EST: January 10;February 10;March 10"
    ]
  },
  {
    name: "Every third year on the 1st, 100th, and 200th day for 10 occurrences",
    start: "19970101T090000",
    rules: ["RRULE:FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200"],
    expected: [
      "1997 EST: January 1",
      "1997 EDT: April 10;July 19",
      "2000 EST: January 1",
      "2000 EDT: April 9;July 18",
      "2003 EST: January 1",
      "2003 EDT: April 10;July 19",
      "2006 EST: January 1"
    ]
  },
  {
    name: "Every 20th Monday of the year, forever",
    start: "19970519T090000",
    rules: ["RRULE:FREQ=YEARLY;BYDAY=20MO"],
    expected: ["1997 EDT: May 19", "1998 EDT: May 18", "1999 EDT: May 17"],
    more: true
  },
  {
    name: "Monday of week number 20 (where the default start of the week is Monday), forever",
    start: "19970512T090000",
    rules: ["RRULE:FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO"],
    expected: ["1997 EDT: May 12", "1998 EDT: May 11", "1999 EDT: May 17"],
    more: true
  },
  {
    name: "Every Thursday in March, forever",
    start: "19970313T090000",
    rules: ["RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=TH"],
    expected: ["1997 EST: March 13,20,27", "1998 EST: March 5,12,19,26", "1999 EST: March 4,11,18,25"],
    more: true
  },
  {
    name: "Every Thursday, but only during June, July, and August, forever",
    start: "19970605T090000",
    rules: ["RRULE:FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8"],
    expected: [
      "1997 EDT: June 5,12,19,26;July 3,10,17,24,31;August 7,14,21,28",
      "1998 EDT: June 4,11,18,25;July 2,9,16,23,30;August 6,13,20,27",
      "1999 EDT: June 3,10,17,24;July 1,8,15,22,29;August 5,12,19,26"
    ],
    more: true
  },
  {
    name: "Every Friday the 13th, forever",
    start: "19970902T090000",
    rules: ["EXDATE;TZID=America/New_York:19970902T090000\r\nRRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13"],
    expected: ["1998 EST: February 13;March 13;November 13", "1999 EDT: August 13", "2000 EDT: October 13"],
    more: true
  },
  {
    name: "The first Saturday that follows the first Sunday of the month, forever",
    start: "19970913T090000",
    rules: ["RRULE:FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13"],
    expected: [
      "1997 EDT: September 13;October 11",
      "1997 EST: November 8;December 13",
      "1998 EST: January 10;February 7;March 7",
      "1998 EDT: April 11;May 9;June 13"
    ],
    more: true
  },
  {
    name: "Every 4 years, the first Tuesday after a Monday in November, forever (U.S. Presidential Election day)",
    start: "19961105T090000",
    rules: ["RRULE:FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;\r\n BYMONTHDAY=2,3,4,5,6,7,8"],
    expected: ["1996 EST: November 5", "2000 EST: November 7", "2004 EST: November 2"],
    more: true
  },
  {
    name: "The third instance into the month of one of Tuesday, Wednesday, or Thursday, for the next 3 months",
    start: "19970904T090000",
    rules: ["RRULE:FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3"],
    expected: ["1997 EDT: September 4;October 7", "1997 EST: November 6"]
  },
  {
    name: "The second-to-last weekday of the month",
    start: "19970929T090000",
    rules: ["RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2"],
    expected: [
      "1997 EDT: September 29",
      "1997 EST: October 30;November 27;December 30",
      "1998 EST: January 29;February 26;March 30"
    ],
    more: true
  },
  {
    name: "Every 3 hours from 9:00 AM to 5:00 PM on a specific day (erratum 3883: UNTIL is 21:00 UTC)",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z"],
    expected: ["1997 EDT: September 2 9:00,12:00,15:00"]
  },
  {
    name: "Every 15 minutes for 6 occurrences",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=MINUTELY;INTERVAL=15;COUNT=6"],
    expected: ["1997 EDT: September 2 9:00,9:15,9:30,9:45,10:00,10:15"]
  },
  {
    name: "Every hour and a half for 4 occurrences",
    start: "19970902T090000",
    rules: ["RRULE:FREQ=MINUTELY;INTERVAL=90;COUNT=4"],
    expected: ["1997 EDT: September 2 9:00,10:30,12:00,13:30"]
  },
  {
    name: "Every 20 minutes from 9:00 AM to 4:40 PM every day",
    start: "19970902T090000",
    rules: [
      "RRULE:FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
      "RRULE:FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16"
    ],
    expected: [`1997 EDT: September 2 ${every20Minutes};September 3 ${every20Minutes}`],
    more: true
  },
  {
    name: "An example where the days generated makes a difference because of WKST",
    start: "19970805T090000",
    rules: ["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO"],
    expected: ["1997 EDT: August 5,10,19,24"]
  },
  {
    name: "changing only WKST from MO to SU, yields different results...",
    start: "19970805T090000",
    rules: ["RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU"],
    expected: ["1997 EDT: August 5,17,19,31"]
  },
  {
    name: "An example where an invalid date (i.e., February 30) is ignored",
    start: "20070115T090000",
    rules: ["RRULE:FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5"],
    expected: ["2007 EST: January 15,30;February 15", "2007 EDT: March 15,30"]
  }
]

describe("RFC 5545 §3.8.5.3", () => {
  for (const { expected, more = false, name, rules, start } of examples) {
    it(name, () => {
      const list = expected.flatMap(instants)
      for (const rule of rules) {
        const text = `DTSTART;TZID=America/New_York:${start}\r\n${rule}\r\n`
        const found = occurrences(text, list.length + 1)
        assert.deepStrictEqual(found.slice(0, list.length), list)
        assert.strictEqual(found.length > list.length, more)
      }
    })
  }
})

describe("RFC 5545 §3.3.10", () => {
  it("evaluates several BYxxx parts in one rule", () => {
    const text =
      "DTSTART;TZID=America/New_York:19970105T083000\nRRULE:FREQ=YEARLY;INTERVAL=2;BYMONTH=1;BYDAY=SU;BYHOUR=8,9;\n BYMINUTE=30"
    assert.deepStrictEqual(
      occurrences(text, 12),
      ["1997 EST: January 5 8:30,9:30;January 12 8:30,9:30;January 19 8:30,9:30;January 26 8:30,9:30"]
        .concat("1999 EST: January 3 8:30,9:30;January 10 8:30,9:30")
        .flatMap(instants)
    )
  })

  it("10 occurrences that occur every other day", () => {
    assert.deepStrictEqual(
      occurrences("DTSTART;TZID=America/New_York:19970902T090000\nRRULE:FREQ=DAILY;COUNT=10;INTERVAL=2", 11),
      instants("1997 EDT: September 2,4,6,8,10,12,14,16,18,20")
    )
  })

  it("the last work day of the month", () => {
    assert.deepStrictEqual(
      occurrences(
        "DTSTART;TZID=America/New_York:19970902T090000\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        3
      ),
      [...instants("1997 EDT: September 30"), ...instants("1997 EST: October 31;November 28")]
    )
  })

  it("the 306th to the last day of the year is 1 March", () => {
    const found = occurrences("DTSTART:19970101T000000Z\nRRULE:FREQ=YEARLY;BYYEARDAY=-306,-1", 4)
    assert.deepStrictEqual(found.map((text) => text.slice(0, 10)), [
      "1997-03-01",
      "1997-12-31",
      "1998-03-01",
      "1998-12-31"
    ])
  })
})

describe("errata of RFC 5545", () => {
  it("3883: with the UNTIL that was printed, the list ends at noon", () => {
    assert.deepStrictEqual(
      occurrences(
        "DTSTART;TZID=America/New_York:19970902T090000\nRRULE:FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T170000Z",
        9
      ),
      instants("1997 EDT: September 2 9:00,12:00")
    )
  })

  it("4271: a time that is skipped is kept, by the offset before the gap (§3.3.5), and counts", () => {
    assert.deepStrictEqual(
      occurrences("DTSTART;TZID=America/New_York:20070310T023000\nRRULE:FREQ=DAILY;COUNT=3", 9),
      [...instants("2007 EST: March 10 2:30"), ...instants("2007 EDT: March 11 3:30;March 12 2:30")]
    )
  })

  it("1913, 3779: a number before a day counts within the month when there is BYMONTH, else within the year", () => {
    const at = "DTSTART;TZID=America/New_York:19970101T090000\nRRULE:FREQ=YEARLY"
    assert.deepStrictEqual(occurrences(`${at};BYDAY=2MO;BYMONTH=3`, 1), instants("1997 EST: March 10"))
    assert.deepStrictEqual(occurrences(`${at};BYDAY=10MO`, 1), instants("1997 EST: March 10"))
    assert.deepStrictEqual(occurrences(`${at};BYDAY=-1MO`, 1), instants("1997 EST: December 29"))
  })

  it("6316: EXDATE with a date leaves out the whole day of a recurrence with times", () => {
    assert.deepStrictEqual(
      occurrences(
        "DTSTART;TZID=America/New_York:19970902T090000\nRRULE:FREQ=DAILY;BYHOUR=9,21;COUNT=6\nEXDATE;VALUE=DATE:19970903",
        9
      ),
      instants("1997 EDT: September 2 9:00,21:00;September 4 9:00,21:00")
    )
  })
})
