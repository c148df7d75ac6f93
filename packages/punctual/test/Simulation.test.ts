/**
 * That a simulation can be replayed, and finds what is wrong: in stores, and in programs of one's own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { check } from "../src/internal/simulation/invariants.ts"
import { faultKinds, generate, type Script } from "../src/internal/simulation/script.ts"
import { shrink } from "../src/internal/simulation/shrink.ts"
import * as Task from "../src/Task.ts"
import type { TaskStore } from "../src/TaskStore.ts"
import * as Simulation from "../src/testing/Simulation.ts"
import * as Trigger from "../src/Trigger.ts"
import * as Mutants from "./support/mutantStores.ts"
import { App, keyed, options, queueing } from "./support/simulationApp.ts"

/** Seeds from one on. */
const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

const patience = 300_000

describe("simulations", () => {
  it.effect("every fault strikes, and every operation is answered", () =>
    Effect.gen(function*() {
      for (const fault of faultKinds) {
        const report = yield* Simulation.run(App, { ...options, faults: [fault], seeds: range(1, 10) })
        assert.isAbove(report.faults, 5, fault)
      }
      for (const operation of options.operations ?? []) {
        const operations = [{ ...operation, atStart: 5 }, ...(options.operations ?? []).slice(0, 1)]
        const answered = yield* Effect.forEach(range(1, 3), (seed) =>
          Effect.gen(function*() {
            const only = { ...options, faults: [], operations }
            const { ledger } = yield* Simulation.replay(App, yield* Simulation.script(seed, only), only)
            return ledger.entries.filter((entry) =>
              entry._tag === "Operation" && entry.name === operation.name && entry.text !== "failed"
            ).length
          }))
        assert.isAbove(answered.reduce((sum, count) => sum + count), 0, operation.name)
      }
    }), patience)

  it.effect("the same script leaves the same trace, to the letter", () =>
    Effect.gen(function*() {
      for (const seed of range(1, 20)) {
        const script = yield* Simulation.script(seed, options)
        const first = yield* Simulation.replay(App, script, options)
        // As it is after it was printed.
        const again = yield* Simulation.replay(App, JSON.parse(JSON.stringify(script)) as Simulation.Script, options)
        assert.isAbove(first.trace.length, 0)
        assert.deepStrictEqual(again.trace, first.trace)
      }
    }), patience)
})

describe("a store that is wrong is found out", () => {
  /** Fails over at most so many seeds, by one of these invariants, in a script that fails alike when it is replayed. */
  const caught = (
    store: Effect.Effect<TaskStore["Service"]>,
    count: number,
    invariants: ReadonlyArray<string>,
    workload: Simulation.Options = options
  ) =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(
        Simulation.run(App, { ...workload, store, seeds: range(1, count), shrinks: 150 })
      )
      if (failed._tag !== "SimulationFailed") return yield* failed
      assert.isTrue(
        failed.problems.some((problem) => invariants.includes(problem.invariant)),
        JSON.stringify(failed.problems)
      )
      const whole = yield* Simulation.script(failed.seed, workload)
      assert.isAtMost(failed.script.steps.length, whole.steps.length)
      const again = yield* Effect.flip(Simulation.replay(App, failed.script, { ...workload, store }))
      assert.strictEqual(again.message, failed.message)
    })

  const mutants: ReadonlyArray<readonly [name: string, ...Parameters<typeof caught>]> = [
    ["an advance that is no compare-and-set", Mutants.noCompareAndSet, 100, ["one outcome", "clocks"]],
    ["an end that leaves the revision as it is", Mutants.noBumpOnSettle, 50, ["one outcome"], queueing],
    ["no check of the token", Mutants.noTokenCheck, 400, ["fencing"]],
    ["an advance in one transaction, its runs in the next", Mutants.advanceBeforeInsert, 200, ["conservation"]],
    ["overlap counted for each process", Mutants.overlapPerProcess, 100, ["overlap"]],
    ["a claim that looks at no concurrency key", Mutants.keysIgnored, 20, ["keys"], keyed],
    ["nobody takes over", Mutants.noReclaim, 200, ["liveness"]],
    ["history as the only guard", Mutants.historyAsTheOnlyGuard, 100, ["one outcome", "clocks"]],
    ["no mark before an attempt that may begin once", Mutants.noMark, 200, ["at most once"]],
    ["a heartbeat that extends nothing", Mutants.heartbeatExtendsNothing, 20, ["fencing", "one handler"]],
    ["a token that is given twice", Mutants.tokensRepeat, 20, ["fencing", "own claim"]]
  ]
  for (const [name, ...mutant] of mutants) it.effect(name, () => caught(...mutant), patience)

  it("success that is recorded, and was none", () => {
    const settlement = {
      taskId: "a",
      generation: 1,
      key: "0",
      token: 1,
      owner: "n0.1#",
      now: 0,
      result: { _tag: "End", state: "succeeded", exit: null }
    } as const
    const problems = check(
      {
        entries: [{ at: 0, node: 0, _tag: "Settled", settlement, answer: "Settled", after: undefined }],
        final: { now: 0, tasks: [], owners: [], clock: false }
      },
      { script: { seed: 1, skews: [0], latency: 0, duration: 1, steps: [] }, start: 0, slack: 0, tolerance: 0 }
    )
    assert.include(problems.map((problem) => problem.invariant), "truth")
  })
})

// -----------------------------------------------------------------------------
// a program of one's own
// -----------------------------------------------------------------------------

class Till extends Context.Service<Till, { readonly paid: Array<string> }>()("test/Till") {
  static readonly layer = Layer.sync(Till)(() => ({ paid: [] }))
}

const Pay = Task.make("Pay")

/** Pays whatever was paid before. */
const careless = Pay.toLayer(() =>
  Effect.gen(function*() {
    const till = yield* Till
    till.paid.push("rent")
    yield* Effect.sleep("2 seconds")
  })
)

const scheduled = (handler: typeof careless) =>
  Layer.mergeAll(
    handler,
    Task.layerScheduled(Pay, { id: "rent", trigger: Trigger.at("2026-01-01T00:00:10Z"), onConflict: "keep" })
  )

const program: Simulation.Options<Till> = {
  outside: Till.layer,
  operations: [],
  faults: ["crash", "restart"],
  duration: "15 seconds",
  invariant: (_, outside) => {
    const { paid } = Context.get(outside, Till)
    return paid.length <= 1 ? [] : [`the rent was paid ${paid.length} times`]
  }
}

describe("a program of one's own", () => {
  it.effect("its own invariant fails, cut down to a few faults, and is replayed", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(Simulation.run(scheduled(careless), { ...program, seeds: 200 }))
      if (failed._tag !== "SimulationFailed") return yield* failed
      assert.deepStrictEqual(failed.problems.map((problem) => problem.invariant), ["yours"])
      assert.match(failed.message, /the rent was paid \d times/)
      assert.isAtMost(failed.script.steps.length, 3)
      assert.match(failed.message, /handler of rent:1\/10\.000s attempt 2/)
      const again = yield* Effect.flip(Simulation.replay(scheduled(careless), failed.script, program))
      assert.strictEqual(again.message, failed.message)
    }), patience)

  it.effect("holds without faults, and says that there were none", () =>
    Effect.gen(function*() {
      const report = yield* Simulation.run(scheduled(careless), { ...program, faults: [], seeds: 20 })
      assert.deepStrictEqual(report, {
        seeds: 20,
        attempts: 20,
        faults: 0,
        operations: 0,
        conflicts: report.conflicts,
        takeovers: 0,
        stale: 0
      })
    }), patience)

  it.effect("that never starts is found out", () =>
    Effect.gen(function*() {
      const failed = yield* Effect.flip(
        Simulation.run(Layer.merge(careless, Layer.effectDiscard(Effect.fail("no licence"))), { ...program, seeds: 1 })
      )
      assert.match(failed.message, /node 0 does not start, with all in order/)
      assert.match(failed.message, /no licence/)
    }), patience)

  it.effect("that goes round in circles is found out", () =>
    Effect.gen(function*() {
      const busy = Pay.toLayer(() => Effect.forever(Effect.yieldNow))
      const failed = yield* Effect.flip(Simulation.run(scheduled(busy), { ...program, seeds: 1, shrinks: 5 }))
      assert.match(failed.message, /time stands still/)
    }), patience)

  it.effect("a handler that computes without yielding holds up its whole process", () =>
    Effect.gen(function*() {
      const script = yield* Simulation.script(1, { ...program, nodes: 1, faults: [] })
      const blocked = Pay.toLayer(() => Simulation.block("9 seconds"))
      const { trace } = yield* Simulation.replay(scheduled(blocked), script, program)
      assert.isTrue(trace.some((line) => line.includes("stands still")))
      // Longer than its lease, which nobody took.
      assert.isTrue(trace.some((line) => /^ +19\.\d+s .* succeeded: Settled/.test(line)))
    }), patience)

  it.effect("options that cannot be are refused, with what was probably meant", () =>
    Effect.gen(function*() {
      const refused = (options: object) =>
        Effect.map(
          Effect.flip(Simulation.run(scheduled(careless), { ...program, ...options })),
          (error) => error.message
        )
      assert.match(yield* refused({ seed: 1 }), /unknown option `seed` of Simulation.run, did you mean `seeds`/)
      assert.match(yield* refused({ faults: ["crahs"] }), /no fault `crahs`; did you mean `crash`/)
      assert.match(yield* refused({ nodes: 0 }), /`nodes` must be an integer from 1 to 100, not 0/)
      assert.match(yield* refused({ duration: "a while" }), /`duration` must be a duration from 1 ms to a day/)
      const script = yield* Simulation.script(1, options)
      const replayed = yield* Effect.flip(
        Simulation.replay(App, script, { ...options, operations: [Simulation.cancel] })
      )
      assert.match(replayed.message, /The script asks for `\w+`, and the operations are: cancel\./)
    }), patience)
})

// -----------------------------------------------------------------------------
// scripts
// -----------------------------------------------------------------------------

describe("scripts", () => {
  const generating = {
    nodes: 3,
    duration: 60_000,
    faults: ["crash", "partition"],
    operations: [{ name: "pause", weight: 1, atStart: 0 }]
  } as const

  it("are the same for the same seed, in order, and hold nothing that was not asked for", () => {
    for (const seed of range(1, 200)) {
      const script = generate(seed, generating)
      assert.deepStrictEqual(generate(seed, generating), script)
      for (const [i, step] of script.steps.entries()) {
        assert.include(["crash", "partition", "pause"], "fault" in step ? step.fault : step.operation)
        assert.isBelow(step.node, script.skews.length)
        assert.isAtLeast(step.at, script.steps[i - 1]?.at ?? 0)
      }
    }
  })

  it("shrink to what fails, whichever fault it takes", () => {
    const crashes = ({ steps }: Script) => steps.some((step) => "fault" in step && step.fault === "crash")
    let shrunk = 0
    for (const seed of range(1, 100)) {
      const script = generate(seed, generating)
      if (!crashes(script)) continue
      shrunk++
      const small = shrink(script, crashes, 1_000)
      assert.strictEqual(small.steps.length, 1)
      assert.deepStrictEqual(small.skews, [0])
      assert.strictEqual(small.latency, 0)
    }
    assert.isAbove(shrunk, 10)
  })
})
