/**
 * Thousands of simulations. `PUNCTUAL_SEED=n` simulates that seed alone; `node .ci/simulate.ts` ten thousand others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Simulation from "../src/testing/Simulation.ts"
import { App, clocked, keyed, long, options, queueing } from "./support/simulationApp.ts"

/** Seeds from one on. */
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

const given = Number(process.env["PUNCTUAL_SEED"] ?? Number.NaN)

const patience = 300_000

describe("schedulers, one store, and faults", () => {
  if (Number.isInteger(given)) {
    it.effect(`seed ${given}`, () => Simulation.run(App, { ...options, seeds: [given] }), patience)
    return
  }

  for (const from of [1, 501, 1_001, 1_501]) {
    it.effect(`what must hold holds, seeds from ${from} on`, () =>
      Effect.gen(function*() {
        const report = yield* Simulation.run(App, { ...options, seeds: range(from, 500) })
        assert.strictEqual(report.seeds, 500)
        // That something happened: what never meets a fault proves nothing.
        assert.isAbove(report.attempts, 2_000)
        assert.isAbove(report.operations, 1_000)
        assert.isAbove(report.faults, 1_000)
        assert.isAbove(report.conflicts, 200)
        assert.isAbove(report.takeovers, 100)
        assert.isAbove(report.stale, 50)
      }), patience)
  }

  it.effect(
    "what must hold holds where nearly all waits for something",
    () => Simulation.run(App, { ...queueing, seeds: range(1, 100) }),
    patience
  )

  it.effect(
    "what must hold holds where tasks share concurrency keys",
    () =>
      Effect.map(Simulation.run(App, { ...keyed, seeds: range(1, 200) }), (report) => {
        assert.isAbove(report.attempts, 1_000)
        assert.isAbove(report.takeovers, 50)
      }),
    patience
  )

  it.effect(
    "what must hold holds over minutes, as clocks show 1970 and 2099",
    () => Simulation.run(App, { ...long, faults: ["step", "crash", "freeze", "partition"], seeds: range(1, 100) }),
    patience
  )

  it.effect(
    "a lease of 2099 ends, though whoever had it crashed",
    () => Simulation.run(App, { ...long, faults: ["step", "crash"], seeds: range(1, 100) }),
    patience
  )

  it.effect(
    "over a store with a clock nothing is written of 1970 or 2099, whatever clocks show, and every lease ends",
    () =>
      Effect.andThen(
        Simulation.run(App, {
          ...long,
          store: clocked.store,
          faults: ["step", "crash", "partition"],
          seeds: range(1, 60)
        }),
        Simulation.run(App, { ...clocked, seeds: range(1, 300) })
      ),
    patience
  )

  for (
    const [title, apart, workload] of [
      ["what must hold holds where the clock of one machine is 15 s ahead", 15_000, options],
      ["what must hold holds where the clock of one machine is an hour ahead", 3_600_000, options],
      [
        "no run has two handlers where the clock of one machine is an hour ahead of a store with a clock",
        3_600_000,
        clocked
      ]
    ] as const
  ) {
    it.effect(
      title,
      () =>
        Effect.gen(function*() {
          for (const seed of range(1, 40)) {
            const script = yield* Simulation.script(seed, workload)
            const skews = script.skews.map((skew, node) => node > 0 ? skew : apart)
            yield* Simulation.replay(App, { ...script, skews }, workload)
          }
        }),
      patience
    )
  }
})
