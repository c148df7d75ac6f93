/**
 * A test of a program that schedules: time moves when the test says so, and stops at every instant something is due.
 */
import { assert, it } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import { TaskScheduler } from "punctual"
import { TestScheduler } from "punctual/testing"
import { App, Bank, BankDown } from "../11-testing-your-program.ts"

/** A bank that is down for the first `times` calls, and keeps a list of the others. */
const bank = (down: number, paid: Array<string> = []) =>
  Layer.succeed(Bank)({
    pay: (reference) => Effect.suspend(() => down-- > 0 ? new BankDown() : Effect.sync(() => void paid.push(reference)))
  })

const program = (down: number, paid?: Array<string>) =>
  TestScheduler.layer(App, { now: "2026-02-20T12:00:00Z" }).pipe(Layer.provide(bank(down, paid)))

it.effect("pays on the first of the month, at eight in New York", () =>
  Effect.gen(function*() {
    const runs = yield* TestScheduler.advance("50 days")
    assert.deepStrictEqual(runs.map((run) => [DateTime.formatIso(run.scheduledAt), run.state]), [
      ["2026-03-01T13:00:00.000Z", "succeeded"],
      ["2026-04-01T12:00:00.000Z", "succeeded"] // summer time since 8 March
    ])
  }).pipe(Effect.provide(program(0))))

it.effect("asks again when the bank is down, with the same reference, and pays once", () => {
  const paid: Array<string> = []
  return Effect.gen(function*() {
    const [run] = yield* TestScheduler.advanceTo("2026-03-02T00:00:00Z")
    assert.strictEqual(run?.attempt, 3)
    assert.deepStrictEqual(paid, [`rent ${run?.id}`])
  }).pipe(Effect.provide(program(2, paid)))
})

it.effect("gives up after four attempts, and says so", () =>
  Effect.gen(function*() {
    const [run] = yield* TestScheduler.advanceTo("2026-03-02T00:00:00Z")
    assert.strictEqual(run?.state, "failed")
    assert.strictEqual(run?.attempt, 4)
  }).pipe(Effect.provide(program(Infinity))))

it.effect("does not pay a month late", () =>
  Effect.gen(function*() {
    yield* TestScheduler.jump("30 days") // the machine was asleep
    assert.deepStrictEqual(yield* TestScheduler.advance("1 hour"), [])
    const rent = yield* TaskScheduler.TaskScheduler.use((scheduler) => scheduler.handle("rent").snapshot)
    assert.strictEqual(rent.counters.missed, 1)
  }).pipe(Effect.provide(program(0))))
