/**
 * Triggers that a program defines itself: as values, under the laws, and in what they answer wrongly.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TriggerArbitrary from "../src/testing/TriggerArbitrary.ts"
import * as Trigger from "../src/Trigger.ts"
import * as TriggerDefinitions from "../src/TriggerDefinitions.ts"

const day = 86_400_000

/** Every `days` days from an origin on, at most `count` times. */
const Steps = Trigger.define("Steps", {
  parameters: { from: Schema.Int, step: Schema.Int, count: Schema.Int },
  next: ({ count, from, step }, after) => {
    const n = after < from ? 0 : Math.floor((after - from) / step) + 1
    return n < count ? from + n * step : undefined
  },
  format: ({ step }) => `every ${step} ms of its own`
})

/** The same with a `previous` of its own. */
const Mirrored = Trigger.define("Mirrored", {
  parameters: Steps.parameters,
  next: Steps.next,
  previous: ({ count, from, step }, before) => {
    const n = Math.min(count - 1, Math.ceil((before - from) / step) - 1)
    return n < 0 ? undefined : from + n * step
  }
})

const Bare = Trigger.define("Bare", { next: (_, after, { anchor }) => after < anchor ? anchor : undefined })

const binding = { anchor: 0, seed: "a" }

const dues = (trigger: Trigger.Trigger, after: number, limit: number): Array<number> =>
  Array.from(Trigger.occurrences(trigger, { after, limit }), ({ due }) => due.epochMilliseconds)

const steps: Arbitrary.Arbitrary<Trigger.Trigger> = Arbitrary.map(
  Arbitrary.all([TriggerArbitrary.instant, Arbitrary.schema(Schema.Int), Arbitrary.schema(Schema.Int)]),
  ([from, step, count]) =>
    Steps.make({
      from,
      step: [1, 999, 60_000, day, 7 * day][Math.abs(step) % 5]!,
      count: [1, 2, 50, 1e9][Math.abs(count) % 4]!
    })
)

describe("a defined trigger", () => {
  it("is data: its name and its encoded parameters", () => {
    const trigger = Steps.make({ from: 5, step: 10, count: 3 })
    assert.strictEqual(
      JSON.stringify(trigger),
      "{\"v\":1,\"_tag\":\"Defined\",\"name\":\"Steps\",\"parameters\":{\"count\":3,\"from\":5,\"step\":10}}"
    )
    assert.isTrue(Trigger.isTrigger(trigger) && Object.isFrozen(trigger))
    assert.isTrue(Trigger.isRecurring(trigger))
    assert.strictEqual(
      JSON.stringify(Bare.make()),
      "{\"v\":1,\"_tag\":\"Defined\",\"name\":\"Bare\",\"parameters\":null}"
    )
  })

  it("is equal by name and parameters, in any order of keys", () => {
    const a = Steps.make({ from: 5, step: 10, count: 3 })
    const b = Steps.make({ count: 3, step: 10, from: 5 })
    assert.isTrue(Equal.equals(a, b))
    assert.strictEqual(Hash.hash(a), Hash.hash(b))
    assert.isFalse(Equal.equals(a, Steps.make({ from: 5, step: 10, count: 4 })))
    assert.isFalse(Equal.equals(a, Mirrored.make({ from: 5, step: 10, count: 3 })))
    assert.strictEqual(Trigger.union(a, b), a)
  })

  it("encodes its parameters as their schema says, and asks with what they mean", () => {
    const Until = Trigger.define("Until", {
      parameters: Schema.Struct({ end: Schema.DateFromString }),
      next: ({ end }, after) => after < end.getTime() ? end.getTime() : undefined
    })
    const trigger = Until.make({ end: new Date("2026-01-01T00:00:00.000Z") })
    assert.strictEqual(
      JSON.stringify(trigger),
      "{\"v\":1,\"_tag\":\"Defined\",\"name\":\"Until\",\"parameters\":{\"end\":\"2026-01-01T00:00:00.000Z\"}}"
    )
    assert.deepStrictEqual(dues(trigger, 0, 2), [Date.UTC(2026, 0, 1)])
  })

  it("is asked about its anchor and seed", () => {
    const seen: Array<unknown> = []
    const Seen = Trigger.define("Seen", {
      next: (_, after, binding) => {
        seen.push([after, binding])
        return undefined
      }
    })
    assert.isTrue(Option.isNone(Trigger.next(Seen.make(), 7, { anchor: 3, seed: "x" })))
    assert.deepStrictEqual(seen, [[7, { anchor: 3, seed: "x" }]])
    assert.deepStrictEqual(Trigger.bind(Bare.make(), { anchor: 12, seed: "" }).next(0), { due: 12, nominal: 12 })
  })

  it("is never asked about what is no instant", () => {
    const asked: Array<number> = []
    const Asked = Trigger.define("Asked", {
      next: (_, after) => {
        asked.push(after)
        return undefined
      },
      previous: (_, before) => {
        asked.push(before)
        return undefined
      }
    })
    const bound = Trigger.bind(Asked.make(), binding)
    for (const instant of [-Infinity, -1e17, 0.5, 1e17, Infinity]) {
      bound.next(instant)
      bound.previous(instant)
    }
    assert.isAbove(asked.length, 4)
    for (const instant of asked) {
      assert.isTrue(Number.isInteger(instant) && Math.abs(instant) <= 8.64e15, String(instant))
    }
  })

  it("says itself in its own words, or in its name and parameters", () => {
    assert.strictEqual(Trigger.format(Steps.make({ from: 0, step: 10, count: 3 })), "every 10 ms of its own")
    assert.strictEqual(
      Trigger.format(Mirrored.make({ from: 0, step: 10, count: 3 })),
      "Mirrored {\"count\":3,\"from\":0,\"step\":10}"
    )
    assert.strictEqual(Trigger.format(Bare.make()), "Bare")
    const Mute = Trigger.define("Mute", {
      next: () => undefined,
      format: () => {
        throw new Error("no words")
      }
    })
    assert.strictEqual(Trigger.format(Mute.make()), "Mute")
  })

  it("composes with every combinator", () => {
    const trigger = Steps.make({ from: 0, step: day, count: 1_000 })
    assert.deepStrictEqual(dues(Trigger.upTo(trigger, 2), -1, 9), [0, day])
    assert.deepStrictEqual(dues(Trigger.between(trigger, { start: day, end: 2 * day }), -1, 9), [day, 2 * day])
    assert.deepStrictEqual(dues(Trigger.during(trigger, { weekdays: "mon" }), -1, 2), [4 * day, 11 * day])
    assert.deepStrictEqual(dues(Trigger.union(trigger, Trigger.at(5)), -1, 3), [0, 5, day])
    assert.deepStrictEqual(dues(Trigger.intersect(trigger, Trigger.at(day)), -1, 3), [day])
    for (const due of dues(Trigger.jittered(trigger, "1 hour"), -1, 5)) assert.isTrue(due % day < 3_600_000)
  })

  it("refuses definitions and parameters that cannot mean anything", () => {
    const refusal = (f: () => unknown) => {
      try {
        f()
      } catch (error) {
        assert.instanceOf(error, Trigger.InvalidTrigger)
        return `${error.reason}: ${error.message}`
      }
      return assert.fail("not refused")
    }
    const next = () => undefined
    assert.match(refusal(() => Trigger.define(" ", { next })), /^definition: the name/)
    assert.match(refusal(() => Trigger.define("A", {} as never)), /^definition: `A` needs `next`/)
    assert.match(
      refusal(() => Trigger.define("A", { next, previous: 1 as never })),
      /^definition: `previous` is a function/
    )
    assert.match(refusal(() => Trigger.define("A", { next, formt: String } as never)), /did you mean `format`/)
    assert.match(
      refusal(() => Steps.make({ from: 0.5, step: 1, count: 1 })),
      /^parameters: these parameters do not fit the trigger `Steps`.*\["from"\]/s
    )
  })
})

describe("previous without one of its own", () => {
  const runs = { arbitrary: { runs: 300, seed: "punctual" } }

  it.prop("is what `next` says", [steps, TriggerArbitrary.instant], ([trigger, before]) => {
    if (trigger._tag !== "Defined") return
    const derived = Trigger.bind(trigger, binding).previous(before)
    const mirrored = Trigger.bind(Mirrored.make(trigger.parameters as never), binding).previous(before)
    assert.deepStrictEqual(
      derived,
      mirrored === undefined || before - mirrored.due > 100 * 366 * day ? undefined : mirrored
    )
  }, runs)

  it.prop("on and beside an occurrence", [steps, TriggerArbitrary.instant], ([trigger, after]) => {
    if (trigger._tag !== "Defined") return
    const derived = Trigger.bind(trigger, binding)
    const mirrored = Trigger.bind(Mirrored.make(trigger.parameters as never), binding)
    for (const due of dues(trigger, after, 4)) {
      for (const before of [due - 1, due, due + 1]) {
        const expected = mirrored.previous(before)
        if (expected === undefined || before - expected.due < 100 * 366 * day) {
          assert.deepStrictEqual(derived.previous(before), expected)
        }
      }
    }
  }, runs)

  it("finds the last of a dense past, asking little", () => {
    let asked = 0
    const Dense = Trigger.define("Dense", {
      next: (_, after) => {
        asked++
        return after < 1_000_000_000_000 ? after + 1 : undefined
      }
    })
    assert.strictEqual(Trigger.bind(Dense.make(), binding).previous(1_700_000_000_000)?.due, 1_000_000_000_000)
    assert.isBelow(asked, 150)
  })

  it("ends at the horizon of a hundred years", () => {
    const Once = Trigger.define("Once", {
      parameters: { at: Schema.Int },
      next: ({ at }, after) => after < at ? at : undefined
    })
    const before = Date.UTC(2026, 0, 1)
    const horizon = 100 * 366 * day
    const previous = (at: number) => Trigger.bind(Once.make({ at }), binding).previous(before)?.due
    assert.strictEqual(previous(before - 1), before - 1)
    assert.strictEqual(previous(before - horizon + 1), before - horizon + 1)
    assert.isUndefined(previous(before - horizon))
    assert.isUndefined(previous(before))
  })
})

describe("the laws hold for defined triggers", () => {
  const runs = { arbitrary: { runs: 200, seed: "punctual" } }

  for (
    const [name, wrap] of [
      ["alone", (a: Trigger.Trigger) => a],
      ["with jitter", (a: Trigger.Trigger) => Trigger.jittered(a, "90 seconds")],
      ["in a window", (a: Trigger.Trigger) => Trigger.during(a, { times: "09:00-17:00" })]
    ] as const
  ) {
    it.prop(`progress, stability, mirror and count, ${name}`, [steps, TriggerArbitrary.instant], ([trigger, after]) => {
      const bound = Trigger.bind(wrap(trigger), binding)
      const points: Array<Trigger.Point> = []
      for (let p = bound.next(after); p !== undefined && points.length < 8; p = bound.next(p.due)) points.push(p)
      let cursor = after
      for (const point of points) {
        assert.isAbove(point.due, cursor)
        assert.deepStrictEqual(bound.next(point.due - 1), point)
        assert.deepStrictEqual(bound.previous(point.due + 1), point)
        cursor = point.due
      }
      assert.deepStrictEqual(bound.countBetween(after, cursor, 100), { count: points.length, exact: true })
    }, runs)
  }
})

describe("a definition that misbehaves", () => {
  const answering = (name: string, next: unknown, previous?: unknown) =>
    Trigger.define(name, {
      next: (() => next) as () => number,
      previous: previous === undefined ? undefined : (() => previous) as () => number
    }).make()

  const misbehaviour = (f: () => unknown): Trigger.TriggerMisbehaves => {
    try {
      f()
    } catch (error) {
      assert.instanceOf(error, Trigger.TriggerMisbehaves)
      return error
    }
    return assert.fail("it was believed")
  }

  it("is told, and never taken for an end", () => {
    for (const answer of [NaN, 1.5, Infinity, null, "12", 100, 99, 8.64e15 + 1, new Date(0)]) {
      const error = misbehaviour(() => Trigger.next(answering("Wrong", answer), 100))
      assert.strictEqual(error.definition, "Wrong")
      assert.strictEqual(error.method, "next")
      assert.strictEqual(error.asked, 100)
      assert.match(
        error.message,
        /^The trigger `Wrong` misbehaves: its `next`, asked about 100, answers .*Correct the definition\.$/
      )
    }
    assert.isTrue(Option.isSome(Trigger.next(answering("Right", 101), 100)))
    assert.isTrue(Option.isSome(Trigger.next(answering("Right", 8.64e15), 100)))
    assert.isTrue(Option.isNone(Trigger.next(answering("Right", undefined), 100)))
  })

  it("`previous` too", () => {
    for (const answer of [NaN, 1.5, 100, 101]) {
      const error = misbehaviour(() => Trigger.previous(answering("Wrong", 101, answer), 100))
      assert.strictEqual(error.method, "previous")
    }
    assert.isTrue(Option.isSome(Trigger.previous(answering("Right", 101, 99), 100)))
  })

  it("when it throws, what it threw is the cause", () => {
    const cause = new Error("no table for 2026")
    const Throws = Trigger.define("Throws", {
      next: () => {
        throw cause
      }
    })
    const error = misbehaviour(() => Trigger.next(Throws.make(), 0))
    assert.strictEqual(error.cause, cause)
    assert.match(error.message, /asked about 0, throws no table for 2026/)
  })
})

describe("TriggerDefinitions", () => {
  const codec = Schema.fromJsonString(Trigger.Trigger)
  const trigger = Steps.make({ from: 0, step: 10, count: 3 }).pipe(Trigger.jittered("2 millis"))
  const text = JSON.stringify(trigger)

  it.effect("reads a stored trigger back", () =>
    Effect.gen(function*() {
      const back = yield* Schema.decodeEffect(codec)(text)
      assert.isTrue(Equal.equals(back, trigger))
      assert.strictEqual(JSON.stringify(back), text)
      assert.deepStrictEqual(dues(back, -1, 5), dues(trigger, -1, 5))
    }).pipe(Effect.provide(TriggerDefinitions.layer(Bare, Steps))))

  it.effect("without it, the reason names the definition and says what to provide", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Schema.decodeEffect(codec)(text))
      assert.match(error.message, /no definition named `Steps` is provided: add it to `TriggerDefinitions\.layer\(…\)`/)
      const other = yield* Effect.flip(Schema.decodeEffect(codec)(text)).pipe(
        Effect.provide(TriggerDefinitions.layer(Trigger.define("Step", { next: () => undefined })))
      )
      assert.match(other.message, /did you mean `Step`\?/)
    }))

  it.effect("parameters of another shape are refused", () =>
    Effect.gen(function*() {
      for (
        const parameters of [null, {}, { from: 0, step: 10, count: 3, more: 1 }, { from: "0", step: 10, count: 3 }]
      ) {
        const error = yield* Effect.flip(
          Schema.decodeEffect(codec)(JSON.stringify({ v: 1, _tag: "Defined", name: "Steps", parameters }))
        )
        assert.match(error.message, /these parameters do not fit the trigger `Steps`/)
      }
    }).pipe(Effect.provide(TriggerDefinitions.layer(Steps))))

  it.effect("one name for two definitions is an error, the same definition twice is not", () =>
    Effect.gen(function*() {
      const Other = Trigger.define("Steps", { next: () => undefined })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(TriggerDefinitions.layer(Steps, Other))))
      assert.strictEqual(error._tag, "DuplicateTriggerDefinition")
      assert.strictEqual(error.definition, "Steps")
      assert.isTrue(Result.isSuccess(TriggerDefinitions.make(Steps, Steps)))
    }))

  it.effect("a layer adds to what is provided", () =>
    Effect.gen(function*() {
      const { byName } = yield* TriggerDefinitions.TriggerDefinitions
      assert.deepStrictEqual([...byName.keys()], ["Bare", "Steps"])
    }).pipe(Effect.provide(TriggerDefinitions.layer(Steps).pipe(Layer.provide(TriggerDefinitions.layer(Bare))))))
})
