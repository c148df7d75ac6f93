/**
 * What each constructor and combinator promises, over generated triggers, bindings and instants. The laws that hold for
 * every trigger are published: `TriggerLaws` in `@punctual/testing`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { emptySegment, locate, lookup } from "../src/internal/timeZone.ts"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"

const { binding, cron, inner, instant } = TriggerArbitrary

const runs = (n: number) => ({ timeout: 30_000, arbitrary: { runs: n, seed: "punctual" } })

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

describe("the algebra of triggers", () => {
  it.prop("union is associative", [inner, inner, inner, binding, instant], ([a, b, c, binding, after]) => {
    const left = Trigger.union(Trigger.union(a, b), c)
    const right = Trigger.union(a, Trigger.union(b, c))
    assert.deepStrictEqual(take(Trigger.bind(left, binding), after, 5), take(Trigger.bind(right, binding), after, 5))
  }, runs(60))

  it.prop("union is commutative", [inner, inner, binding, instant], ([a, b, binding, after]) => {
    const left = Trigger.bind(Trigger.union(a, b), binding)
    const right = Trigger.bind(Trigger.union(b, a), binding)
    assert.deepStrictEqual(take(left, after, 5), take(right, after, 5))
    assert.deepStrictEqual(left.previous(after), right.previous(after))
  }, runs(60))

  it.prop("union is idempotent and never is its identity", [inner, binding, instant], ([a, binding, after]) => {
    const expected = take(Trigger.bind(a, binding), after, 5)
    for (const same of [Trigger.union(a, a), Trigger.union(a, Trigger.never), Trigger.union(Trigger.never, a)]) {
      assert.deepStrictEqual(take(Trigger.bind(same, binding), after, 5), expected)
    }
  }, runs(60))

  it.prop("union is due when a member is", [inner, inner, binding, instant], ([a, b, binding, after]) => {
    const members = [Trigger.bind(a, binding), Trigger.bind(b, binding)]
    const expected = Math.min(...members.map((member) => member.next(after)?.due ?? Infinity))
    const actual = Trigger.bind(Trigger.union(a, b), binding).next(after)?.due ?? Infinity
    assert.strictEqual(actual, expected)
  }, runs(150))

  it.prop("intersect is due only when both members are", [inner, inner, binding, instant], ([a, b, binding, after]) => {
    const left = Trigger.bind(a, binding)
    const right = Trigger.bind(b, binding)
    for (const due of dues(Trigger.bind(Trigger.intersect(a, b), binding), after, 5)) {
      assert.strictEqual(left.next(due - 1)?.due, due)
      assert.strictEqual(right.next(due - 1)?.due, due)
    }
  }, runs(150))

  it.prop(
    "intersect misses nothing that both members have",
    [inner, inner, binding, instant],
    ([a, b, binding, after]) => {
      const right = Trigger.bind(b, binding)
      const common = dues(Trigger.bind(a, binding), after, 50).filter((due) => right.next(due - 1)?.due === due)
      const found = dues(Trigger.bind(Trigger.intersect(a, b), binding), after, common.length)
      assert.deepStrictEqual(found.slice(0, common.length), common)
    },
    runs(70)
  )

  it.prop("during keeps exactly what is inside", [inner, TriggerArbitrary.window, binding, instant], (
    [a, window, binding, after]
  ) => {
    const filtered = Trigger.bind(Trigger.during(a, window), binding)
    const gate = Trigger.bind(Trigger.during(Trigger.every(1, { start: -3e14 }), window), binding)
    const kept = dues(Trigger.bind(a, binding), after, 40).filter((due) => gate.next(due - 1)?.due === due)
    assert.deepStrictEqual(dues(filtered, after, kept.length).slice(0, kept.length), kept)
  }, runs(150))

  it.prop("upTo is the first n that are not before the anchor", [inner, binding, instant], ([a, binding, after]) => {
    const first = dues(Trigger.bind(a, binding), binding.anchor - 1, 7)
    const limited = Trigger.bind(Trigger.upTo(a, 7), binding)
    assert.deepStrictEqual(dues(limited, -8e15, 20), first)
    assert.strictEqual(limited.next(after)?.due, first.find((due) => due > after))
  }, runs(150))

  it.prop("between keeps both of its ends", [inner, binding, instant], ([a, binding, after]) => {
    const all = dues(Trigger.bind(a, binding), after, 6)
    if (all.length < 6) return
    const bound = Trigger.bind(Trigger.between(a, { start: all[1]!, end: all[4]! }), binding)
    assert.deepStrictEqual(dues(bound, -8e15, 10), all.slice(1, 5))
  }, runs(60))

  it.prop(
    "jitter keeps order and number, and stays below its width",
    [inner, binding, instant],
    ([a, binding, after]) => {
      const width = 90_000
      const plain = take(Trigger.bind(a, binding), after, 30)
      if (plain.length === 0) return
      const jittered = Trigger.bind(Trigger.jittered(a, width), binding)
      const moved = take(jittered, plain[0]!.due - 1, plain.length + 1).filter((point) => point.due >= plain[0]!.due)
      const start = moved.findIndex((point) => point.nominal === plain[0]!.nominal)
      assert.isTrue(start === 0 || start === 1)
      moved.slice(start).forEach((point, i) => {
        if (i >= plain.length) return
        assert.strictEqual(point.nominal, plain[i]!.nominal)
        assert.isTrue(point.due >= plain[i]!.due && point.due - plain[i]!.due < width)
        if (i + 1 < plain.length) assert.isTrue(point.due < plain[i + 1]!.due)
      })
    },
    runs(200)
  )

  it.prop("every generated trigger is valid", [TriggerArbitrary.any], ([trigger]) => {
    assert.strictEqual(Trigger.validate(trigger)._tag, "Success")
  }, runs(60))
})

describe("changes of clocks", () => {
  /** The changes of a zone in a stretch of time. */
  const changes = (id: string, from: number, until: number): Array<number> => {
    const zone = lookup(id)!
    const segment = emptySegment()
    const out: Array<number> = []
    for (let time = from; time < until; time = segment.end) {
      locate(zone, time, segment)
      if (segment.before !== segment.offset && segment.start > from) out.push(segment.start)
    }
    return out
  }

  const from = Date.UTC(2005, 0) / 1000
  const until = Date.UTC(2030, 0) / 1000
  const expressions = ["*/15 * * * *", "30 0-3 * * *", "0,30 2 * * *", "10 23 * * *", "0 * * * *", "30 */15 1-2 * * *"]
  const policies = [
    {},
    { gap: "skip", overlap: "second" },
    { gap: "shift", overlap: "both" },
    { overlap: "first" }
  ] as const

  it("occurrences strictly increase across every change of 40 zones, and backwards they are the same", () => {
    assert.strictEqual(TriggerArbitrary.timeZones.length, 40)
    let crossed = 0
    for (const timeZone of TriggerArbitrary.timeZones) {
      for (const expression of expressions) {
        for (const policy of policies) {
          const bound = Trigger.bind(Trigger.cron(expression, { timeZone, ...policy }), { anchor: 0, seed: "" })
          for (const change of changes(timeZone, from, until).slice(-12)) {
            crossed++
            const start = (change - 90_000) * 1000
            const end = (change + 90_000) * 1000
            const seen: Array<number> = []
            for (let p = bound.next(start); p !== undefined && p.due <= end; p = bound.next(p.due)) {
              if (p.due <= (seen[seen.length - 1] ?? start)) assert.fail(`${expression} ${timeZone} at ${p.due}`)
              seen.push(p.due)
            }
            const back: Array<number> = []
            for (let p = bound.previous(end + 1); p !== undefined && p.due > start; p = bound.previous(p.due)) {
              back.push(p.due)
            }
            assert.deepStrictEqual(back.reverse(), seen)
            assert.deepStrictEqual(bound.countBetween(start, end, 0), { count: seen.length, exact: true })
          }
        }
      }
    }
    assert.isAbove(crossed, 5_000)
  }, 30_000)

  it.prop("laws hold beside changes for all policies", [
    cron,
    Arbitrary.map(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 }))), (n) => n),
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -100_000, maximum: 100_000 })))
  ], ([trigger, which, nudge]) => {
    if (trigger._tag !== "Cron") return
    const all = changes(trigger.timeZone, from, until)
    if (all.length === 0) return
    const after = (all[which % all.length]! + nudge) * 1000
    const bound = Trigger.bind(trigger, { anchor: 0, seed: "" })
    const next = bound.next(after)
    if (next === undefined) return
    assert.isTrue(next.due > after)
    assert.deepStrictEqual(bound.next(next.due - 1), next)
    assert.deepStrictEqual(bound.previous(next.due + 1), next)
    const earlier = bound.previous(next.due)
    assert.isTrue(earlier === undefined || earlier.due <= after)
    assert.deepStrictEqual(bound.countBetween(after, next.due, 5), { count: 1, exact: true })
  }, runs(1_500))
})
