import * as TriggerLaws from "@punctual/testing/TriggerLaws"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { TriggerArbitrary } from "punctual/testing"
import * as Trigger from "punctual/Trigger"

TriggerLaws.suite("every form", TriggerArbitrary.any)

const year = 31_536_000_000

/** From an instant on, at distances that double, up to a year. */
const Doubling = Trigger.define("Doubling", {
  parameters: { from: Schema.Int, first: Schema.Int },
  next: ({ first, from }, after) => {
    let due = from
    for (let step = first; due <= after; step = Math.min(2 * step, year)) due += step
    return due
  }
})

const doubling = Arbitrary.map(
  Arbitrary.all([TriggerArbitrary.instant, Arbitrary.schema(Schema.Int)]),
  ([from, n]) => Doubling.make({ from, first: 1 + Math.abs(n) % 100_000 })
)

TriggerLaws.suite(
  "one of the program's own",
  Arbitrary.flatMap(
    TriggerArbitrary.window,
    (window) =>
      Arbitrary.map(Arbitrary.all([doubling, Arbitrary.schema(Schema.Int)]), ([trigger, n]) =>
        [
          trigger,
          Trigger.jittered(trigger, "10 minutes"),
          Trigger.union(trigger, Trigger.every("1 hour")),
          Trigger.during(trigger, window),
          Trigger.upTo(trigger, 7)
        ][Math.abs(n) % 5]!)
  ),
  { definitions: [Doubling] }
)
