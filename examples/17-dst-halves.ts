/**
 * The two halves of a change of clocks, side by side: the same rules in the night that loses an hour, and in the night
 * that has one twice.
 *
 * Nothing runs here: a trigger is asked what it will do.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect } from "effect"
import { Trigger } from "punctual"

const timeZone = "Europe/Berlin"

const rules: ReadonlyArray<readonly [name: string, trigger: Trigger.Trigger]> = [
  ["30 2 * * *", Trigger.cron("30 2 * * *", { timeZone })],
  ["  gap: skip, overlap: both", Trigger.cron("30 2 * * *", { timeZone, gap: "skip", overlap: "both" })],
  ["  gap: shift, overlap: second", Trigger.cron("30 2 * * *", { timeZone, gap: "shift", overlap: "second" })],
  ["*/30 * * * *", Trigger.cron("*/30 * * * *", { timeZone })],
  ["every hour", Trigger.every("1 hour")]
]

const nights = [
  ["29 March: 02:00 becomes 03:00", "2026-03-29T01:00+01:00", "2026-03-29T04:00+02:00"],
  ["25 October: 03:00 becomes 02:00", "2026-10-25T01:00+02:00", "2026-10-25T04:00+01:00"]
] as const

/** From one to four o'clock, on the clock on the wall; the second pass of an hour is marked. */
const wall = (trigger: Trigger.Trigger, from: string, until: string): string => {
  const clock = (due: DateTime.Utc) =>
    DateTime.formatIsoOffset(DateTime.setZoneNamedUnsafe(due, timeZone)).slice(11, 16)
  const times: Array<string> = []
  for (const { due } of Trigger.occurrences(trigger, { after: Date.parse(from) - 1, until })) {
    times.push(clock(DateTime.subtract(due, { hours: 1 })) === clock(due) ? `${clock(due)}'` : clock(due))
  }
  return times.join(" ")
}

export const program = Effect.gen(function*() {
  const row = (name: string, left: string, right: string) =>
    Console.log(`${name.padEnd(31)}${left.padEnd(33)}${right}`.trimEnd())
  yield* row("", nights[0][0], nights[1][0])
  for (const [name, trigger] of rules) {
    const [march, october] = nights.map(([, from, until]) => wall(trigger, from, until))
    yield* row(name, march!, october!)
  }

  // The same, in words: for whoever has to agree with a rule before it is deployed.
  for (const [, trigger] of rules.slice(0, 2)) {
    const { notes, text } = Trigger.explain(trigger, { after: "2026-01-01T00:00:00Z" })
    yield* Console.log(text)
    for (const note of notes) yield* Console.log(`- ${note.text}`)
  }
})

if (import.meta.main) NodeRuntime.runMain(program)
