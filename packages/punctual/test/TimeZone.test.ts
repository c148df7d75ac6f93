/**
 * Cached zones against the runtime's own calendar, one instant at a time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { daysFromCivil, monthIndexOf, monthLength, monthStart, weekdayOf } from "../src/internal/cronDate.ts"
import { emptySegment, fingerprint, instantOf, locate, lookup, offsetAt, suggest } from "../src/internal/timeZone.ts"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import { shows } from "./support/wallClock.ts"

/** The offset as the difference between the clock on the wall and UTC. */
const expectedOffset = (timeZone: string, time: number): number => shows(timeZone, time) - time

const seconds = (from: string, until: string) =>
  Arbitrary.schema(
    Schema.Int.check(Schema.isBetween({ minimum: Date.parse(from) / 1000, maximum: Date.parse(until) / 1000 }))
  )

describe("time zones", () => {
  it.prop("an offset is what the clock on the wall says", [
    TriggerArbitrary.timeZone,
    seconds("1850-01-01T00:00Z", "2150-01-01T00:00Z")
  ], ([id, time]) => {
    assert.strictEqual(offsetAt(lookup(id)!, time), expectedOffset(id, time))
  }, { timeout: 30_000, arbitrary: { runs: 1_000, seed: "zones" } })

  it("every change is found to the second, from 1880 to 2040, in 40 zones", () => {
    let changes = 0
    for (const id of TriggerArbitrary.timeZones) {
      const zone = lookup(id)!
      if (zone.fixed !== undefined) continue
      const segment = emptySegment()
      const until = Date.parse("2040-01-01T00:00Z") / 1000
      for (let time = Date.parse("1880-01-01T00:00Z") / 1000; time < until; time = segment.end) {
        locate(zone, time, segment)
        if (segment.before !== segment.offset) changes++
        // At both edges, where a chunk ends too.
        assert.strictEqual(segment.before, expectedOffset(id, segment.start - 1))
        assert.strictEqual(segment.offset, expectedOffset(id, segment.start))
        assert.strictEqual(segment.after, expectedOffset(id, segment.end))
      }
    }
    assert.isAbove(changes, 4_000)
  }, 30_000)

  it("days and weeks of another offset are not missed", () => {
    const short: ReadonlyArray<readonly [id: string, from: string, until: string]> = [
      ["America/Recife", "1999-01-01", "2003-01-01"],
      ["Asia/Gaza", "1995-01-01", "2040-01-01"],
      ["Africa/Casablanca", "2008-01-01", "2040-01-01"],
      ["Africa/Freetown", "1932-01-01", "1943-01-01"]
    ]
    for (const [id, from, until] of short) {
      const zone = lookup(id)!
      for (let time = Date.parse(from) / 1000; time < Date.parse(until) / 1000; time += 43_200) {
        if (offsetAt(zone, time) !== expectedOffset(id, time)) {
          assert.fail(`${id} at ${new Date(time * 1000).toISOString()}`)
        }
      }
    }
  })

  it("half an hour (Lord Howe) and a whole day (Apia)", () => {
    const howe = emptySegment()
    locate(lookup("Australia/Lord_Howe")!, 1_775_314_800, howe)
    assert.strictEqual(howe.before - howe.offset, 1_800)
    const apia = emptySegment()
    locate(lookup("Pacific/Apia")!, 1_325_239_200, apia)
    assert.strictEqual(apia.offset - apia.before, 86_400)
  })

  it("a local time that is repeated means its first pass, a skipped one keeps the offset from before", () => {
    const berlin = lookup("Europe/Berlin")!
    const local = (text: string) => Date.parse(`${text}Z`) / 1000
    const utc = (time: number) => new Date(time * 1000).toISOString()
    assert.strictEqual(utc(instantOf(berlin, local("2026-10-25T02:30:00"))), "2026-10-25T00:30:00.000Z")
    assert.strictEqual(utc(instantOf(berlin, local("2026-03-29T02:30:00"))), "2026-03-29T01:30:00.000Z")
    assert.strictEqual(
      utc(instantOf(lookup("Pacific/Apia")!, local("2011-12-30T12:00:00"))),
      "2011-12-30T22:00:00.000Z"
    )
  })

  it.prop("a local time that exists is found again", [
    TriggerArbitrary.timeZone,
    seconds("1972-01-01T00:00Z", "2050-01-01T00:00Z")
  ], (
    [id, time]
  ) => {
    const zone = lookup(id)!
    const local = time + offsetAt(zone, time)
    const found = instantOf(zone, local)
    assert.isTrue(found <= time)
    assert.strictEqual(found + offsetAt(zone, found), local)
  }, { timeout: 30_000, arbitrary: { runs: 2_000, seed: "zones" } })

  it("the far past and the far future have an offset", () => {
    const york = lookup("America/New_York")!
    assert.strictEqual(offsetAt(york, -8.64e12), -17_762)
    assert.strictEqual(offsetAt(york, -6e9), -17_762)
    assert.include([-14_400, -18_000], offsetAt(york, 8.64e12))
  })

  it("names are found in any letter case, and offsets in both spellings", () => {
    assert.strictEqual(lookup("europe/berlin")?.id, "Europe/Berlin")
    assert.strictEqual(lookup("utc")?.id, "UTC")
    assert.strictEqual(lookup("Asia/Kolkata")?.id, "Asia/Kolkata")
    assert.strictEqual(lookup("+0530")?.id, "+05:30")
    assert.strictEqual(lookup("-00:00")?.id, "UTC")
    assert.strictEqual(lookup("+05:30")?.fixed, 19_800)
  })

  it("a name that others prefer to spell differently keeps its spelling", () => {
    for (const id of ["Asia/Kathmandu", "Europe/Kyiv", "US/Eastern", "Etc/GMT+5", "EST5EDT", "GMT0"]) {
      assert.strictEqual(lookup(id)?.id, id)
    }
    assert.strictEqual(lookup("etc/gmt+5")?.id, "Etc/GMT+5")
  })

  it("unknown names get a suggestion", () => {
    for (const name of ["", "Mars/Olympus", "+25:00", "local", "5"]) assert.isUndefined(lookup(name))
    assert.strictEqual(suggest("Europe/Berln"), "Europe/Berlin")
    assert.strictEqual(suggest("berlin"), "Europe/Berlin")
    assert.strictEqual(suggest("new york"), "America/New_York")
    assert.strictEqual(suggest("UTC+2"), "+02:00")
    assert.isUndefined(suggest("Mars/Olympus"))
  })
})

describe("the fingerprint of the rules", () => {
  const versions = process.versions

  /** The fingerprint of a process that tells this version, or none. */
  const told = (tz: string | undefined): string => {
    Object.defineProperty(process, "versions", { value: { ...versions, tz }, configurable: true })
    try {
      return fingerprint().version
    } finally {
      Object.defineProperty(process, "versions", { value: versions, configurable: true })
    }
  }

  it("is the version of the database, and a greater one is newer", () => {
    assert.strictEqual(fingerprint().version, versions["tz"])
    assert.isTrue(told("2026c") > told("2025b"))
    assert.isTrue(told("2026c") > told("2026b"))
  })

  it("is a hash of offsets where the runtime does not tell, older than any version", () => {
    assert.match(told(undefined), /^#[0-9a-f]{8}$/)
    assert.strictEqual(told(undefined), told("unknown"))
    assert.isTrue(told(undefined) < told("2016a"))
  })
})

describe("civil dates", () => {
  it.prop("agree with Date over 20,000 years", [
    Schema.Int.check(Schema.isBetween({ minimum: -4_000_000, maximum: 4_000_000 }))
  ], ([days]) => {
    const date = new Date(days * 86_400_000)
    const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()]
    assert.strictEqual(daysFromCivil(year, month, day), days)
    assert.strictEqual(monthIndexOf(days), year * 12 + month - 1)
    assert.strictEqual(monthStart(monthIndexOf(days)), days - day + 1)
    assert.strictEqual(
      monthLength(year, month),
      new Date(Date.UTC(2000, month, 0)).getUTCDate() -
        (month === 2 && !(year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)) ? 1 : 0)
    )
    assert.strictEqual(weekdayOf(days), date.getUTCDay())
  }, { timeout: 30_000, arbitrary: { runs: 3_000, seed: "dates" } })
})
