/**
 * What is asked of a trigger beside its next occurrence: the one before, how many, what a change changes, and what it
 * does in words.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Calendar from "../src/Calendar.ts"
import { emptySegment, locate, lookup } from "../src/internal/timeZone.ts"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"

const { any, binding, instant, trigger } = TriggerArbitrary

const berlin = { timeZone: "Europe/Berlin" }
const day = 86_400_000

const runs = (n: number) => ({ timeout: 60_000, arbitrary: { runs: n, seed: "punctual" } })

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const dues = (self: Trigger.Trigger, options: Trigger.OccurrencesOptions): Array<number> =>
  Array.from(Trigger.occurrences(self, options), ({ due }) => due.epochMilliseconds)

const listed = (occurrences: ReadonlyArray<Trigger.Occurrence>) => occurrences.map(({ due }) => due.epochMilliseconds)

describe("previous", () => {
  it("is the last occurrence before an instant", () => {
    const daily = Trigger.cron("0 9 * * *", berlin)
    const iso = (occurrence: Option.Option<Trigger.Occurrence>) =>
      Option.getOrUndefined(Option.map(occurrence, ({ due }) => DateTime.formatIso(due)))
    assert.strictEqual(iso(Trigger.previous(daily, "2026-03-29T12:00:00Z")), "2026-03-29T07:00:00.000Z")
    assert.strictEqual(iso(Trigger.previous(daily, "2026-03-29T07:00:00Z")), "2026-03-28T08:00:00.000Z")
    assert.strictEqual(iso(daily.pipe(Trigger.previous("2026-03-29T07:00:00Z"))), "2026-03-28T08:00:00.000Z")
    assert.isTrue(Option.isNone(Trigger.previous(Trigger.at(5), 5, { anchor: 0 })))
    assert.isTrue(Option.isNone(Trigger.previous(Trigger.every(5), 6, { anchor: 1 })))
    assert.isTrue(Option.isSome(Trigger.previous(Trigger.every(5), 7, { anchor: 1 })))
  })

  it.prop("mirrors what `occurrences` walks", [trigger, binding, instant], ([trigger, binding, after]) => {
    const walked = Array.from(Trigger.occurrences(trigger, { after, limit: 6, binding }))
    walked.forEach((occurrence, i) => {
      const following = walked[i + 1]
      if (following === undefined) return
      assert.deepStrictEqual(Trigger.previous(trigger, following.due, binding), Option.some(occurrence))
      assert.deepStrictEqual(
        Trigger.previous(trigger, occurrence.due.epochMilliseconds + 1, binding),
        Option.some(occurrence)
      )
    })
  }, runs(200))
})

describe("countBetween", () => {
  it("counts what is due after one instant and up to another", () => {
    const hourly = Trigger.cron("0 * * * *", berlin)
    const options = { after: "2026-10-24T21:59:59Z", until: "2026-10-25T22:59:59Z" }
    assert.deepStrictEqual(Trigger.countBetween(hourly, options), { count: 25, exact: true })
    assert.deepStrictEqual(hourly.pipe(Trigger.countBetween(options)), { count: 25, exact: true })
    assert.deepStrictEqual(Trigger.countBetween(Trigger.at(5), { after: 4, until: 5 }), { count: 1, exact: true })
    assert.deepStrictEqual(Trigger.countBetween(Trigger.at(5), { after: 5, until: 9 }), { count: 0, exact: true })
    assert.deepStrictEqual(Trigger.countBetween(hourly, { after: 9, until: 5 }), { count: 0, exact: true })
  })

  it("stops a walk at its limit, and says so", () => {
    const walked = Trigger.union(Trigger.every("1 second"), Trigger.every("7 seconds", { start: 1 }))
    assert.deepStrictEqual(Trigger.countBetween(walked, { after: 0, until: day, limit: 10 }), {
      count: 10,
      exact: false
    })
    assert.deepStrictEqual(Trigger.countBetween(walked, { after: 0, until: 5_000, limit: 6 }), {
      count: 6,
      exact: true
    })
    assert.deepStrictEqual(Trigger.countBetween(walked, { after: 0, until: 365 * day }), {
      count: 100_000,
      exact: false
    })
  })

  it("refuses options that nobody knows, and limits that are none", () => {
    const wrong = [{ after: 0, until: 1, limt: 2 }, { after: 0, until: 1, limit: -1 }, {
      after: 0,
      until: 1,
      limit: 0.5
    }]
    for (const options of wrong) {
      assert.throws(() => Trigger.countBetween(Trigger.now, options), Trigger.InvalidTrigger)
      assert.throws(() => Trigger.diff(Trigger.now, Trigger.now, options), Trigger.InvalidTrigger)
    }
    assert.throws(() => Trigger.explain(Trigger.now, { after: 0, at: 1 } as never), Trigger.InvalidTrigger)
  })

  it.prop("agrees with what `occurrences` walks", [trigger, binding, instant, int(0, 12)], (
    [trigger, binding, after, n]
  ) => {
    const walked = dues(trigger, { after, limit: 12, binding })
    const until = walked[n] ?? after + day
    const expected = dues(trigger, { after, until, limit: 1_000, binding }).length
    assert.deepStrictEqual(Trigger.countBetween(trigger, { after, until, limit: 1_000, binding }), {
      count: expected,
      exact: true
    })
  }, runs(200))
})

describe("diff", () => {
  const january = { after: "2025-12-31T23:00:00Z", until: "2026-01-31T23:00:00Z" }

  it("tells what a change of a cron expression changes", () => {
    const before = Trigger.cron("0 9 * * MON-FRI", berlin)
    const after = Trigger.cron("0 9 * * *", berlin)
    const { added, comparedUntil, exact, kept, removed } = Trigger.diff(before, after, { ...january, limit: 2 })
    assert.deepStrictEqual([removed.count, added.count, kept, exact], [0, 9, 22, true])
    assert.deepStrictEqual(added.occurrences.map(({ due }) => DateTime.formatIso(due).slice(0, 10)), [
      "2026-01-03",
      "2026-01-04"
    ])
    assert.strictEqual(DateTime.formatIso(comparedUntil), "2026-01-31T23:00:00.000Z")
    const back = before.pipe(Trigger.diff(Trigger.cron("0 9 * * TUE-SAT", berlin), january))
    assert.deepStrictEqual([back.removed.count, back.added.count, back.kept], [4, 5, 18])
  })

  it("ends where it was compared, and says so", () => {
    const seconds = Trigger.every("1 second")
    const { comparedUntil, exact, kept } = Trigger.diff(seconds, seconds, { after: 0, until: 365 * day })
    assert.deepStrictEqual([kept, exact, comparedUntil.epochMilliseconds], [100_000, false, 100_000_000])
    const ended = Trigger.diff(Trigger.upTo(seconds, 3), Trigger.never, { after: 0, until: 365 * day })
    assert.deepStrictEqual([ended.removed.count, ended.exact, ended.comparedUntil.epochMilliseconds], [
      3,
      true,
      365 * day
    ])
  })

  it.prop("of a trigger and itself there is nothing", [trigger, binding, instant], ([trigger, binding, after]) => {
    const walked = dues(trigger, { after, limit: 20, binding })
    const until = walked[walked.length - 1] ?? after + day
    const { added, exact, kept, removed } = Trigger.diff(trigger, trigger, { after, until, binding })
    assert.deepStrictEqual([removed, added], [{ count: 0, occurrences: [] }, { count: 0, occurrences: [] }])
    assert.deepStrictEqual([kept, exact], [walked.length, true])
  }, runs(150))

  it.prop("partitions both, and its sides change places", [trigger, trigger, binding, instant], (
    [a, b, binding, after]
  ) => {
    const some = [...dues(a, { after, limit: 15, binding }), ...dues(b, { after, limit: 15, binding })]
    // As far as the denser one goes in as many steps.
    const until = some.length === 0 ? after + day : Math.min(...[a, b].flatMap((trigger) => {
      const walked = dues(trigger, { after, limit: 25, binding })
      return walked.length === 25 ? walked[24]! : Math.max(...some)
    }))
    const [ofA, ofB] = [a, b].map((trigger) => dues(trigger, { after, until, binding })) as [
      Array<number>,
      Array<number>
    ]
    const there = Trigger.diff(a, b, { after, until, limit: 25, binding })
    const back = Trigger.diff(b, a, { after, until, limit: 25, binding })
    assert.deepStrictEqual(listed(there.removed.occurrences), ofA.filter((due) => !ofB.includes(due)))
    assert.deepStrictEqual(listed(there.added.occurrences), ofB.filter((due) => !ofA.includes(due)))
    assert.strictEqual(there.kept, ofA.filter((due) => ofB.includes(due)).length)
    assert.strictEqual(there.removed.count, there.removed.occurrences.length)
    assert.deepStrictEqual([back.removed, back.added, back.kept], [there.added, there.removed, there.kept])
  }, runs(80))
})

describe("explain", () => {
  const march = { after: "2026-03-27T12:00:00Z", until: "2026-12-31T00:00:00Z" }

  const texts = (trigger: Trigger.Trigger, options: Trigger.ExplainOptions = march) =>
    Trigger.explain(trigger, options).notes.map(({ text }) => text)

  it("is the rule in words, and the next three on its own clock", () => {
    const { next, text } = Trigger.explain(Trigger.cron("30 2 * * *", berlin), march)
    assert.strictEqual(text, "at 02:30 (Europe/Berlin)")
    assert.deepStrictEqual(next.map(({ due, local, timeZone }) => [DateTime.formatIso(due), local, timeZone]), [
      ["2026-03-28T01:30:00.000Z", "2026-03-28T02:30:00+01:00", "Europe/Berlin"],
      ["2026-03-29T01:00:00.000Z", "2026-03-29T03:00:00+02:00", "Europe/Berlin"],
      ["2026-03-30T00:30:00.000Z", "2026-03-30T02:30:00+02:00", "Europe/Berlin"]
    ])
    const jittered = Trigger.explain(
      Trigger.jittered(Trigger.cron("0 0 * * *", { timeZone: "-03:30" }), "2 seconds"),
      march
    )
    assert.match(jittered.next[0]!.local, /^2026-03-28T00:00:0\d(?:\.\d+)?-03:30$/)
    assert.strictEqual(Trigger.explain(Trigger.every("1 hour"), march).next[0]!.timeZone, "UTC")
    assert.deepStrictEqual(Trigger.explain(Trigger.startup, march), {
      text: "when the scheduler starts",
      next: [],
      notes: []
    })
  })

  it("says what each policy does where clocks change", () => {
    const gap = "on 2026-03-29 02:30 does not exist in Europe/Berlin: "
    const overlap = "on 2026-10-25 02:30 comes twice in Europe/Berlin: "
    const cases: ReadonlyArray<readonly [Trigger.CronOptions, string, string]> = [
      [{}, "runs at 03:00", "runs the first time (+02:00)"],
      [{ gap: "shift", overlap: "both" }, "runs at 03:30", "runs both times"],
      [{ gap: "skip", overlap: "second" }, "no run of its own", "runs the second time (+01:00)"],
      [{ overlap: "first" }, "runs at 03:00", "runs the first time (+02:00)"]
    ]
    for (const [options, atGap, atOverlap] of cases) {
      assert.deepStrictEqual(texts(Trigger.cron("30 2 * * *", { ...berlin, ...options })), [
        gap + atGap,
        overlap + atOverlap
      ])
    }
  })

  it("has kind, local date, zone and the instant of the change", () => {
    const [gap, overlap] = Trigger.explain(Trigger.cron("30 2 * * *", berlin), march).notes
    assert.deepInclude(gap, { kind: "gap", date: "2026-03-29", timeZone: "Europe/Berlin" })
    assert.strictEqual(DateTime.formatIso(gap!.at), "2026-03-29T01:00:00.000Z")
    assert.deepInclude(overlap, { kind: "overlap", date: "2026-10-25" })
    assert.strictEqual(DateTime.formatIso(overlap!.at), "2026-10-25T01:00:00.000Z")
  })

  it("names several times, or how many", () => {
    assert.deepStrictEqual(texts(Trigger.cron("*/15 * * * *", berlin)), [
      "on 2026-03-29 02:00, 02:15, 02:30 and 02:45 do not exist in Europe/Berlin: no runs of their own",
      "on 2026-10-25 02:00, 02:15, 02:30 and 02:45 come twice in Europe/Berlin: runs both times"
    ])
    assert.deepStrictEqual(texts(Trigger.cron("*/10 * * * *", berlin)), [
      "on 2026-03-29 the 6 times from 02:00 to 02:50 do not exist in Europe/Berlin: no runs of their own",
      "on 2026-10-25 the 6 times from 02:00 to 02:50 come twice in Europe/Berlin: runs both times"
    ])
    assert.deepStrictEqual(texts(Trigger.cron("15 0,2 * * SUN", { ...berlin, gap: "shift" })), [
      "on 2026-03-29 02:15 does not exist in Europe/Berlin: runs at 03:15",
      "on 2026-10-25 02:15 comes twice in Europe/Berlin: runs the first time (+02:00)"
    ])
    // A whole day, on the other side of the date line.
    assert.deepStrictEqual(
      texts(Trigger.cron("0 9 * * *", { timeZone: "Pacific/Apia", gap: "skip" }), {
        after: "2011-12-28T00:00:00Z",
        until: "2012-01-02T00:00:00Z"
      }),
      ["on 2011-12-30 09:00 does not exist in Pacific/Apia: no run of its own"]
    )
  })

  it("has no notes for what no change of clocks touches", () => {
    for (
      const trigger of [
        Trigger.cron("0 9 * * *", berlin),
        Trigger.cron("30 2 * * MON", berlin),
        Trigger.cron("30 2 * * *"),
        Trigger.cron("30 2 * * *", { timeZone: "Asia/Tokyo" }),
        Trigger.every("10 minutes"),
        Trigger.every("10 minutes").pipe(Trigger.during({ ...berlin, times: "01:00-04:00" })),
        Trigger.at("2026-03-29T01:00:00Z")
      ]
    ) assert.deepStrictEqual(texts(trigger), [], Trigger.format(trigger))
  })

  it("is about the whole trigger, not the rule alone", () => {
    const backup = Trigger.cron("30 2 * * *", berlin)
    const both = texts(backup)
    assert.strictEqual(both.length, 2)
    assert.deepStrictEqual(texts(backup.pipe(Trigger.during({ ...berlin, weekdays: "mon-sat" }))), [])
    assert.deepStrictEqual(texts(backup.pipe(Trigger.between({ end: "2026-06-01T00:00:00Z" }))), [
      both[0],
      "on 2026-05-31 at 02:30 is the last time"
    ])
    assert.deepStrictEqual(texts(Trigger.union(backup, Trigger.every("1 minute"))), both)
    assert.deepStrictEqual(texts(Trigger.union(backup, Trigger.cron("15 1 * * *"))), both)
    assert.deepStrictEqual(texts(Trigger.jittered(backup, "1 hour")), both)
    assert.deepStrictEqual(texts(Trigger.union(backup, Trigger.startup)), both)
    const halves = Trigger.define("Halves", { next: (_, after) => (Math.floor(after / 1_800_000) + 1) * 1_800_000 })
    for (const other of [Trigger.cron("*/30 * * * *"), halves.make()]) {
      assert.deepStrictEqual(texts(Trigger.intersect(backup, other)), both)
      assert.deepStrictEqual(texts(Trigger.except(backup, other)), [])
    }
    const abroad = Trigger.cron("30 2 * * *", { timeZone: "America/New_York" })
    assert.deepStrictEqual(texts(Trigger.union(backup, abroad), { ...march, after: "2026-03-01T00:00:00Z" }), [
      "on 2026-03-08 02:30 does not exist in America/New_York: runs at 03:00",
      ...both
    ])
  })

  it("ends at a hundred years and a hundred notes, whatever it is asked", () => {
    const backup = Trigger.cron("30 2 * * *", berlin)
    const forever = Trigger.explain(backup, { after: -Infinity, until: Infinity })
    assert.isAtMost(forever.notes.length, 100)
    const { notes } = Trigger.explain(backup, { after: 0, until: Infinity })
    assert.strictEqual(notes.length, 100)
    // Every few years a 31st of March is that Sunday.
    const rare = Trigger.explain(Trigger.cron("30 2 31 3 *", berlin), { after: 0, until: Infinity }).notes
    assert.strictEqual(rare[rare.length - 1]!.date, "2069-03-31")
    for (const timeZone of ["UTC", "Asia/Tokyo"]) {
      assert.deepStrictEqual(texts(Trigger.cron("30 2 * * *", { timeZone }), { after: 0, until: Infinity }), [])
    }
    assert.deepStrictEqual(Trigger.explain(backup, { after: Infinity }).next, [])
  })

  it("tells the last time of what ends", () => {
    const three = Trigger.cron("0 9 * * *", berlin).pipe(Trigger.upTo(3))
    const explained = Trigger.explain(three, { ...march, binding: { anchor: Date.UTC(2026, 2, 27, 12) } })
    assert.deepStrictEqual(explained.notes.map(({ kind, text }) => [kind, text]), [
      ["end", "on 2026-03-30 at 09:00 is the last time"]
    ])
    assert.deepStrictEqual(texts(Trigger.at("2026-06-01T00:00:00Z")), [])
  })

  it("follows other rules of a zone too", () => {
    const rules = [
      Trigger.calendarEvery({ days: 1 }, { at: "02:30", ...berlin, start: "2026-01-01" }),
      Trigger.rrule("FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", { ...berlin, start: "2026-01-01T00:00" }),
      Trigger.rrule("DTSTART;TZID=Europe/Berlin:20260101T023000\nRRULE:FREQ=DAILY")
    ]
    for (const rule of rules) {
      const [gap, overlap] = Trigger.explain(rule, { ...march, binding: { anchor: Date.UTC(2026, 0, 1) } }).notes
      assert.match(gap!.text, /^on 2026-03-29 02:30 does not exist in Europe\/Berlin: runs at 03:[03]0$/)
      assert.strictEqual(
        overlap!.text,
        "on 2026-10-25 02:30 comes twice in Europe/Berlin: runs the first time (+02:00)"
      )
    }
    // One that takes its time from its anchor, in summer.
    const anchored = Trigger.explain(Trigger.rrule("FREQ=DAILY", berlin), {
      after: "2026-10-01T00:00:00Z",
      until: "2027-04-01T00:00:00Z",
      binding: { anchor: Date.parse("2025-08-01T02:30:00+02:00") }
    })
    assert.deepStrictEqual(anchored.notes.map(({ text }) => text), [
      "on 2026-10-25 02:30 comes twice in Europe/Berlin: runs the first time (+02:00)",
      "on 2027-03-28 02:30 does not exist in Europe/Berlin: runs at 03:30"
    ])
    // Both changes are on Sundays.
    const closed = Calendar.make({ ...berlin, weekend: "sun" })
    assert.deepStrictEqual(texts(Trigger.cron("30 2 * * *", berlin).pipe(Trigger.except(closed))), [])
  })

  it.prop("never throws, and keeps its notes in order and in bounds", [any, binding, instant], (
    [trigger, binding, after]
  ) => {
    const until = after + 500 * day
    const { next, notes, text } = Trigger.explain(trigger, { after, until, binding })
    assert.strictEqual(text, Trigger.format(trigger))
    assert.deepStrictEqual(listed(next), dues(trigger, { after, limit: 3, binding }))
    let last = after
    for (const note of notes) {
      assert.isTrue(note.at.epochMilliseconds >= last && note.at.epochMilliseconds <= until)
      last = note.at.epochMilliseconds
      assert.match(note.date, /^\d{4}-\d\d-\d\d$/)
    }
    assert.isAtMost(notes.length, 100)
  }, runs(200))

  it.prop("has a note for every skipped and repeated time of a rule, and for no other", [
    TriggerArbitrary.timeZone,
    int(0, 23),
    int(0, 59),
    int(1_990, 2_030)
  ], ([timeZone, hour, minute, year]) => {
    const zone = lookup(timeZone)!
    const from = Date.UTC(year, 0) / 1000
    const segment = emptySegment()
    const expected: Array<Array<string | number>> = []
    locate(zone, from, segment)
    while (segment.end <= from + 366 * 86_400) {
      const { end, offset } = segment
      locate(zone, end, segment)
      // Local seconds that are skipped or repeated.
      const low = end + Math.min(offset, segment.offset)
      const high = end + Math.max(offset, segment.offset)
      const time = hour * 3_600 + minute * 60
      const named = Math.ceil((low - time) / 86_400) * 86_400 + time
      if (named < high) expected.push([segment.offset > offset ? "gap" : "overlap", end * 1000])
    }
    const trigger = Trigger.cron(`${minute} ${hour} * * *`, { timeZone })
    const { notes } = Trigger.explain(trigger, { after: from * 1000, until: (from + 366 * 86_400) * 1000 })
    const found: Array<Array<string | number>> = notes.map(({ at, kind }) => [kind, at.epochMilliseconds])
    assert.deepStrictEqual(found, expected)
  }, runs(600))
})
