/**
 * One fixed computation over triggers, through the public API, as a program: it prints what it computed as a digest, and
 * where. Processes that differ in their own time zone or their Node must print the same digest.
 *
 * All instants are long past, so that versions of the zone rules which differ in what comes next still agree.
 */
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import * as TriggerArbitrary from "../../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../../src/Trigger.ts"

export interface Digest {
  readonly digest: string
  readonly answers: number
  /** Of the host, in minutes, at one instant. */
  readonly hostOffset: number
  readonly node: string
  readonly rules: string
}

const hash = createHash("sha256")
let answers = 0

const take = (value: string | number): void => {
  answers++
  hash.update(`${value}\n`)
}

const expressions: ReadonlyArray<readonly [text: string, options?: Trigger.CronOptions]> = [
  ["30 2 * * *"],
  ["0 0 * * *"],
  ["*/15 * * * *"],
  ["15 1,2,3 * * SUN", { gap: "shift" }],
  ["30 0-3 * * *", { gap: "skip", overlap: "both" }],
  ["0 9-17 * * MON-FRI"],
  ["0 0 29 2 *"],
  ["59 59 23 28-31 * *"],
  ["0 0 13 * FRI", { dayMatch: "and" }]
]

const combined = (timeZone: string): ReadonlyArray<Trigger.Trigger> => {
  const night = Trigger.cron("*/20 * * * *", { timeZone }).pipe(
    Trigger.during({ timeZone, weekdays: "sat,sun", times: "23:00-04:00" })
  )
  return [
    night,
    Trigger.every("25 minutes", { start: "2004-01-01T00:00:00Z" }).pipe(
      Trigger.during({ timeZone, dates: "03-01/04-15" })
    ),
    Trigger.at("2011-12-30T12:00", { timeZone }),
    Trigger.union(Trigger.cron("0 3 * * *", { timeZone }), Trigger.cron("0 3 * * *")),
    Trigger.cron("0 2 * * *", { timeZone }).pipe(Trigger.jittered("30 minutes")),
    Trigger.cron("0 2 * * *", { timeZone }).pipe(Trigger.upTo(9_000))
  ]
}

const references = ["2004-02-28T23:59:59Z", "2010-03-13T12:00:00Z", "2011-12-29T00:00:00Z", "2018-10-27T00:00:00Z"]

for (const timeZone of TriggerArbitrary.timeZones) {
  const crons = expressions.map(([text, options]) => Trigger.cron(text, { ...options, timeZone }))
  for (const trigger of [...crons, ...combined(timeZone)]) {
    take(JSON.stringify(trigger))
    take(Trigger.format(trigger))
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "digest" })
    for (const after of references) {
      for (const { due } of Trigger.occurrences(trigger, { after, limit: 20, binding: { seed: "digest" } })) {
        if (due.epochMilliseconds < Date.UTC(2024, 0)) take(due.epochMilliseconds)
      }
      take(bound.previous(Date.parse(after))?.due ?? -1)
    }
    take(bound.countBetween(Date.UTC(2008, 0), Date.UTC(2012, 0), 10_000).count)
  }
  // The offset of the zone at noon, twice a month.
  const noon = Trigger.cron("0 12 * * *", { timeZone })
  for (let day = Date.UTC(1975, 0); day < Date.UTC(2024, 0); day += 15 * 86_400_000) {
    take(Option.match(Trigger.next(noon, day), { onNone: () => -1, onSome: ({ due }) => due.epochMilliseconds }))
  }
}

const found: Digest = {
  digest: hash.digest("hex"),
  answers,
  hostOffset: new Date(Date.UTC(2018, 0)).getTimezoneOffset(),
  node: process.versions.node,
  rules: process.versions["tz"] ?? "unknown"
}
console.log(JSON.stringify(found))
