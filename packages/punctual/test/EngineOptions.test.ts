/**
 * Options of a scheduler: what is refused, what is taken, and what they mean.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TaskRegistry from "../src/TaskRegistry.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { isolated, now, Scheduler, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched } from "./support/patchedStore.ts"

describe("options", () => {
  const refused: ReadonlyArray<readonly [string, object, RegExp]> = [
    ["an unknown one", { leese: "1 minute" }, /did you mean `lease`/],
    ["a zone nobody has", { timeZone: "Europe/Atlantis" }, /Europe\/Atlantis/],
    ["a lease below a second", { lease: "999 millis" }, /`lease` must be a duration from 1000 ms/],
    ["a lease of more than an hour", { lease: "61 minutes" }, /`lease` must be a duration/],
    ["a lease that is none", { lease: "soon" }, /`lease` must be a duration/],
    [
      "a grace of more than half the lease",
      { lease: "10 seconds", interruptGrace: "5001 millis" },
      /at most half the lease \(5000 ms\)/
    ],
    ["a start that is none", { start: "later" }, /"auto", "manual" or "paused"/],
    ["less than no takeovers", { maxTakeovers: -1 }, /from 0 to 1000, not -1/],
    ["too many takeovers", { maxTakeovers: 1_001 }, /from 0 to 1000, not 1001/],
    ["half a takeover", { maxTakeovers: 1.5 }, /must be an integer/],
    ["a poll all the time", { pollInterval: "9 millis" }, /from 10 ms/],
    ["no time for a store", { storeTimeout: 0 }, /from 1 ms/],
    ["too much history", { retention: { runs: 1_000_001 } }, /`retention.runs` must be an integer/],
    ["an infinite drain", { drainTimeout: "Infinity" }, /`drainTimeout` must be a duration/],
    ["defaults that mean nothing", { defaults: { maxInstances: 0 } }, /maxInstances/]
  ]
  for (const [name, options, message] of refused) {
    it.effect(`refuses ${name}`, () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(
          TestScheduler.layer(Work.toLayer(() => Effect.void), { now, ...options } as { readonly now: string })
        )))
        assert.isTrue(Exit.isFailure(exit))
        assert.match(Exit.isFailure(exit) ? String(exit.cause) : "", message)
      }))
  }

  const accepted: ReadonlyArray<object> = [
    { lease: "1 second" },
    { lease: "10 seconds", interruptGrace: "5 seconds" },
    { lease: "1500 millis", interruptGrace: 0 },
    { maxTakeovers: 0, pollInterval: "10 millis", storeTimeout: 1, drainTimeout: 0, retention: { runs: 0 } },
    { executors: undefined, lease: "1 hour" }
  ]
  for (const options of accepted) {
    it.effect(`takes ${JSON.stringify(options)}`, () =>
      isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
          assert.strictEqual((yield* TestScheduler.settle).length, 1)
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, ...options } as { readonly now: string })
      ))
  }

  it.effect("fractions of a millisecond are rounded up", () => {
    const faults = FaultyStore.makeFaults()
    const leases: Array<number> = []
    const store = patched((store) => ({
      heartbeat: (options) => {
        leases.push(options.lease.until - options.now)
        return store.heartbeat(options)
      }
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual([...new Set(leases)], [9_001])
        assert.strictEqual(faults.calls.size, 0)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now, store, lease: "9000.4 millis" })
    )
  })

  it.effect("the registry is App's alone", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(TestScheduler.layer(Work.toLayer(() => Effect.void), { now }))
      assert.isTrue(Option.isNone(Context.getOption(context as Context.Context<never>, TaskRegistry.TaskRegistry)))
    }))
})
