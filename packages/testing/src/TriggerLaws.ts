/**
 * The laws every trigger keeps, whatever it is made of. They are what the engine relies on.
 *
 *     next(t) > t      u in [t, next(t)) ⇒ next(u) = next(t)      previous mirrors next      decode ∘ encode = identity
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Schema from "effect/Schema"
import { TriggerArbitrary } from "punctual/testing"
import * as Trigger from "punctual/Trigger"
import * as TriggerDefinitions from "punctual/TriggerDefinitions"

const { binding, instant } = TriggerArbitrary

/** At most `n` occurrences after an instant. */
const take = (bound: Trigger.Bound, after: number, n: number): Array<Trigger.Point> => {
  const out: Array<Trigger.Point> = []
  for (let point = bound.next(after); point !== undefined && out.length < n; point = bound.next(point.due)) {
    out.push(point)
  }
  return out
}

const dues = (bound: Trigger.Bound, after: number, n: number): Array<number> =>
  take(bound, after, n).map((point) => point.due)

/**
 * Registers the laws for triggers drawn from a generator.
 *
 * **When to use**
 *
 * Use it for triggers you define yourself, or compose in a way of your own. `TriggerArbitrary` has generators to start from; a failure prints
 * the triggers it shrank to and how to replay it.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = (
  name: string,
  trigger: Arbitrary.Arbitrary<Trigger.Trigger>,
  options: {
    /** How many triggers each law draws. Default: 200. */
    readonly runs?: number | undefined
    /** Definitions of the triggers that are your own. */
    readonly definitions?: ReadonlyArray<Trigger.AnyDefinition> | undefined
    /** Default: a fixed one, so that a run can be repeated. */
    readonly seed?: string | undefined
  } = {}
): void => {
  const runs = (n: number) => ({
    timeout: 30_000,
    arbitrary: { runs: Math.ceil(n * (options.runs ?? 200) / 200), seed: options.seed ?? "punctual" }
  })
  describe(`laws of triggers (${name})`, () => {
    it.prop("next is strictly later", [trigger, binding, instant], ([trigger, binding, after]) => {
      const bound = Trigger.bind(trigger, binding)
      let cursor = after
      for (let i = 0; i < 4; i++) {
        const next = bound.next(cursor)
        if (next === undefined) return
        assert.isTrue(next.due > cursor)
        cursor = next.due
      }
    }, runs(200))

    it.prop("between an instant and its next there is nothing else", [trigger, binding, instant, Schema.Int], (
      [trigger, binding, after, somewhere]
    ) => {
      const bound = Trigger.bind(trigger, binding)
      const next = bound.next(after)
      if (next === undefined) return
      const gap = next.due - after
      for (const u of [after, after + 1, next.due - 1, after + Math.abs(somewhere) % gap]) {
        if (u < next.due) assert.deepStrictEqual(bound.next(u), next)
      }
    }, runs(200))

    it.prop("an answer does not depend on what was asked before", [trigger, binding, instant, instant], (
      [trigger, binding, a, b]
    ) => {
      const used = Trigger.bind(trigger, binding)
      used.next(a)
      used.previous(a)
      used.countBetween(a, a + 1_000_000, 10)
      assert.deepStrictEqual(used.next(b), Trigger.bind(trigger, binding).next(b))
    }, runs(150))

    it.prop("previous mirrors next", [trigger, binding, instant], ([trigger, binding, after]) => {
      const bound = Trigger.bind(trigger, binding)
      const forward = take(bound, after, 12)
      if (forward.length === 0) return
      const backward: Array<Trigger.Point> = []
      let before = forward[forward.length - 1]!.due + 1
      while (backward.length < forward.length) {
        const point = bound.previous(before)
        if (point === undefined) break
        backward.unshift(point)
        before = point.due
      }
      assert.deepStrictEqual(backward, forward)
      const earlier = bound.previous(forward[0]!.due)
      if (earlier !== undefined) {
        assert.isTrue(earlier.due <= after)
        assert.deepStrictEqual(bound.next(earlier.due), forward[0])
      }
    }, runs(200))

    it.prop("countBetween counts what a walk counts", [trigger, binding, instant, Schema.Int], (
      [trigger, binding, after, width]
    ) => {
      const bound = Trigger.bind(trigger, binding)
      const walked = dues(bound, after, 80)
      if (walked.length === 0) {
        assert.strictEqual(bound.countBetween(after, after + 1_000_000, 10).count, 0)
        return
      }
      const last = walked[walked.length - 1]!
      for (const until of [last, last - 1, walked[0]!, walked[0]! - 1, after + Math.abs(width) % (last - after)]) {
        const expected = walked.filter((due) => due <= until).length
        assert.deepStrictEqual(bound.countBetween(after, until, 1_000), { count: expected, exact: true })
      }
    }, runs(150))

    it.effect.prop(
      "decode ∘ encode is the identity through JSON text",
      [trigger],
      ([trigger]) =>
        Effect.gen(function*() {
          const codec = Schema.fromJsonString(Trigger.Trigger)
          const text = yield* Schema.encodeEffect(codec)(trigger)
          const back = yield* Schema.decodeEffect(codec)(text)
          assert.isTrue(Equal.equals(back, trigger))
          assert.strictEqual(Hash.hash(back), Hash.hash(trigger))
          assert.deepStrictEqual(JSON.stringify(back), text)
          assert.strictEqual(Trigger.format(back), Trigger.format(trigger))
        }).pipe(Effect.provide(TriggerDefinitions.layer(...options.definitions ?? []))),
      runs(200)
    )

    it.prop("equal triggers have equal hashes, different stored forms differ", [
      trigger,
      trigger
    ], (
      [a, b]
    ) => {
      if (Equal.equals(a, b)) assert.strictEqual(Hash.hash(a), Hash.hash(b))
      if (JSON.stringify(a) === JSON.stringify(b)) assert.isTrue(Equal.equals(a, b))
    }, runs(150))
  })
}
