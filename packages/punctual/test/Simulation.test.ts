import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { TaskStore } from "../src/TaskStore.ts"
import * as Simulation from "../src/testing/Simulation.ts"
import * as Mutants from "./support/mutantStores.ts"
import { App, options } from "./support/simulationApp.ts"

/** Seeds from one on. */
const seeds = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

describe("schedulers, one store, and faults", () => {
  it.effect("what must hold holds", () =>
    Effect.gen(function*() {
      const report = yield* Simulation.run(App, { ...options, seeds: seeds(1, 200) })
      assert.strictEqual(report.seeds, 200)
      assert.isAbove(report.attempts, 200)
      assert.isAbove(report.faults, 200)
      assert.isAbove(report.conflicts, 20)
      assert.isAbove(report.takeovers, 20)
      assert.isAbove(report.stale, 10)
    }), 120_000)

  it.effect("the same script leaves the same trace, to the letter", () =>
    Effect.gen(function*() {
      for (const seed of seeds(1, 20)) {
        const script = yield* Simulation.script(seed, options)
        const first = yield* Simulation.replay(App, script, options)
        const again = yield* Simulation.replay(App, JSON.parse(JSON.stringify(script)) as Simulation.Script, options)
        assert.deepStrictEqual(again.trace, first.trace)
      }
    }))
})

describe("a store that is wrong is found out", () => {
  /** The seed that finds it first, over so many at most. */
  const caught = (store: Effect.Effect<TaskStore["Service"]>, count: number, invariant: string) =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(
        Simulation.run(App, { ...options, store, seeds: seeds(1, count), shrinks: 200 })
      )
      if (failed._tag !== "SimulationFailed") return yield* failed
      assert.include(failed.problems.map((problem) => problem.invariant), invariant)
      // What is replayed fails alike.
      const again = yield* Effect.flip(Simulation.replay(App, failed.script, { ...options, store }))
      assert.strictEqual(again.message, failed.message)
      assert.include(failed.message, JSON.stringify(failed.script))
    })

  it.effect("an advance that is no compare-and-set", () => caught(Mutants.noCompareAndSet, 100, "one outcome"), 60_000)
  it.effect("no check of the token", () => caught(Mutants.noTokenCheck, 400, "fencing"), 60_000)
  it.effect(
    "an advance in one transaction, its runs in the next",
    () => caught(Mutants.advanceBeforeInsert, 200, "conservation"),
    60_000
  )
  it.effect("overlap counted for each process", () => caught(Mutants.overlapPerProcess, 100, "overlap"), 60_000)
  it.effect("nobody takes over", () => caught(Mutants.noReclaim, 200, "liveness"), 60_000)
  it.effect("history as the only guard", () => caught(Mutants.historyAsTheOnlyGuard, 100, "one outcome"), 60_000)
})
