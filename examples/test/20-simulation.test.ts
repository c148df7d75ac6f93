/**
 * The program holds; one that pays under another name at each attempt is found out, with the crash that shows it.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { App, program, simulate } from "../20-simulation.ts"

it.effect("pays once, whatever crashes", () =>
  Effect.gen(function*() {
    const report = yield* simulate(App, 100)
    assert.strictEqual(report.seeds, 100)
    assert.isAbove(report.attempts, 100) // some were begun again
  }), 60_000)

it.effect("a reference of each attempt's own pays twice", () =>
  Effect.gen(function*() {
    const careless = program((run) => `${run.id}, attempt ${run.attempt}`)
    const failed = yield* Effect.flip(simulate(careless, 200))
    assert.match(failed.message, /paid \d times: 1:1767225610000, attempt 1, 1:1767225610000, attempt 2/)
    assert.match(failed.message, /handler of rent:1\/10\.000s attempt 2 token \d+ begins/)
    assert.match(failed.message, /Replay it with {2}Simulation\.replay\(App, \{/)
  }), 60_000)
