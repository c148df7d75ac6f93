/**
 * What holders of leases do, as their server answers, or does not.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as Lock from "../src/Lock.ts"
import * as LockLease from "../src/LockLease.ts"

const away = new Lock.LockUnavailable({ lock: "test", operation: "test", message: "The server is away." })

/** A lock of a lease of 3 seconds, on the clock of the test, whose server answers what it is set to. */
const server = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const calls: Array<string> = []
  const answers: {
    acquire: Effect.Effect<Option.Option<number>, Lock.LockUnavailable>
    extend: Effect.Effect<boolean, Lock.LockUnavailable>
    release: Effect.Effect<boolean, Lock.LockUnavailable>
  } = { acquire: Effect.succeedSome(1), extend: Effect.succeed(true), release: Effect.succeed(true) }
  const said = <A>(call: string, answer: () => Effect.Effect<A, Lock.LockUnavailable>) =>
    Effect.suspend(() => {
      calls.push(`${call} ${clock.currentTimeMillisUnsafe()}`)
      return answer()
    })
  const lock = Lock.make(LockLease.make({
    name: "test",
    capabilities: { spans: "network", fair: false, fenced: true, leased: true },
    identity: "test",
    lease: 3_000,
    pollInterval: 1_000,
    clock,
    newOwner: () => "owner",
    leases: {
      acquire: () => said("acquire", () => answers.acquire),
      forget: () => said("forget", () => Effect.void),
      extend: () => said("extend", () => answers.extend),
      release: () => said("release", () => answers.release),
      holder: () => Effect.succeedNone
    }
  }))
  const working = (effect: Effect.Effect<unknown> = Effect.never) =>
    Effect.forkChild(Effect.exit(lock.withLock("a")(effect)), { startImmediately: true })
  const lost = (fiber: Fiber.Fiber<unknown>) => fiber.pollUnsafe() !== undefined
  return { answers, calls, lock, lost, working }
})

describe("a lease", () => {
  it.effect("is extended when a third of it has passed, as long as it is held", () =>
    Effect.gen(function*() {
      const { calls, working } = yield* server
      const fiber = yield* working(Effect.sleep("2500 millis"))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(calls, ["acquire 0", "extend 1000", "extend 2000", "release 2500"])
    }))

  it.effect("is lost a tenth before its end, where the server is away", () =>
    Effect.gen(function*() {
      const { answers, lost, working } = yield* server
      answers.extend = answers.release = Effect.fail(away)
      const fiber = yield* working()
      yield* TestClock.adjust("2699 millis")
      assert.isFalse(lost(fiber))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(lost(fiber))
      assert.include(String(yield* Effect.flip(yield* Fiber.join(fiber))), "could not be extended")
    }))

  it.effect("is lost in time, where the server does not answer", () =>
    Effect.gen(function*() {
      const { answers, lost, working } = yield* server
      answers.extend = Effect.never
      const fiber = yield* working()
      yield* TestClock.adjust("2699 millis")
      assert.isFalse(lost(fiber))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(lost(fiber))
    }))

  it.effect("counts from before it was asked for", () =>
    Effect.gen(function*() {
      const { answers, lost, working } = yield* server
      answers.acquire = Effect.delay(Effect.succeedSome(1), "2 seconds")
      answers.extend = Effect.never
      const fiber = yield* working()
      yield* TestClock.adjust("2699 millis")
      assert.isFalse(lost(fiber))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(lost(fiber))
    }))

  it.effect("survives a server that is away for less than it", () =>
    Effect.gen(function*() {
      const { answers, lost, working } = yield* server
      answers.extend = Effect.fail(away)
      const fiber = yield* working()
      yield* TestClock.adjust("2500 millis")
      answers.extend = Effect.succeed(true)
      yield* TestClock.adjust("10 seconds")
      assert.isFalse(lost(fiber))
    }))

  it.effect("is lost as soon as the server says so", () =>
    Effect.gen(function*() {
      const { answers, lost, working } = yield* server
      answers.extend = Effect.succeed(false)
      const fiber = yield* working()
      yield* TestClock.adjust("1 second")
      assert.isTrue(lost(fiber))
    }))

  it.effect("that had ended fails what ran under it; one that could not be given back does not", () =>
    Effect.gen(function*() {
      const { answers, lock } = yield* server
      answers.release = Effect.succeed(false)
      assert.deepInclude(yield* Effect.flip(lock.withLock("a")(Effect.void)), { _tag: "LockLost" })
      answers.release = Effect.fail(away)
      assert.strictEqual(yield* lock.withLock("a")(Effect.succeed(7)), 7)
    }))

  it.effect("that was asked for and may have been given is given up by who is interrupted", () =>
    Effect.gen(function*() {
      const { answers, calls, working } = yield* server
      answers.acquire = Effect.succeedNone
      const fiber = yield* working()
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(calls, ["acquire 0", "forget 0"])
    }))
})
