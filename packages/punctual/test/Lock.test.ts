import { assert, describe, it } from "@effect/vitest"
import * as LockSuite from "@punctual/testing/LockSuite"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Lock from "../src/Lock.ts"
import { InvalidOption } from "../src/SchedulerError.ts"

LockSuite.suite("local", Lock.layerLocal(), {
  capabilities: { spans: "program", fair: true, fenced: true, leased: false }
})

/** A lock that is lost when a test says so. */
const losable = Effect.gen(function*() {
  const lost = yield* Deferred.make<string>()
  let held = true
  return {
    lose: Effect.sync(() => {
      held = false
    }),
    tell: Deferred.succeed(lost, "the test said so"),
    lock: Lock.make({
      name: "losable",
      capabilities: { spans: "network", fair: false, fenced: true, leased: true },
      identity: "test",
      acquire: () => Effect.succeedSome({ token: 7, lost: Deferred.await(lost), release: Effect.sync(() => held) }),
      isHeld: () => Effect.succeed(false),
      holder: () => Effect.succeedNone
    })
  }
})

describe("a lock that is lost", () => {
  it.effect("interrupts what runs under it, waits for its finalizers, and fails", () =>
    Effect.gen(function*() {
      const { lock, lose, tell } = yield* losable
      const events: Array<string> = []
      const work = Effect.never.pipe(
        Effect.onInterrupt(() => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => events.push("finalized"))))
      )
      const fiber = yield* Effect.forkChild(
        Effect.ensuring(Effect.flip(lock.withLock("a")(work)), Effect.sync(() => events.push("ended"))),
        { startImmediately: true }
      )
      yield* Effect.andThen(lose, tell)
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(events, [])
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "LockLost", name: "a", token: 7, reason: "the test said so" })
      assert.deepStrictEqual(events, ["finalized", "ended"])
    }))

  it.effect("fails what ended before it could be told", () =>
    Effect.gen(function*() {
      const { lock, lose } = yield* losable
      assert.deepInclude(yield* Effect.flip(lock.withLock("a")(lose)), { _tag: "LockLost", token: 7 })
      assert.deepInclude(yield* Effect.flip(lock.withLockIfAvailable("a")(Effect.void)), { _tag: "LockLost" })
    }))

  it.effect("leaves what fails by itself its own failure", () =>
    Effect.gen(function*() {
      const { lock, lose } = yield* losable
      assert.strictEqual(yield* Effect.flip(lock.withLock("a")(Effect.andThen(lose, Effect.fail("mine")))), "mine")
    }))

  it.effect("is told to who holds it, who goes on", () =>
    Effect.gen(function*() {
      const { lock, tell } = yield* losable
      const { awaitLost } = yield* lock.hold("a")
      yield* tell
      assert.deepInclude(yield* Effect.flip(awaitLost), { _tag: "LockLost", name: "a" })
    }))
})

describe("a lock that cannot be taken", () => {
  it.effect("fails, and the next in line asks", () =>
    Effect.gen(function*() {
      let asked = 0
      const lock = Lock.make({
        name: "away",
        capabilities: { spans: "network", fair: false, fenced: true, leased: true },
        identity: "test",
        acquire: () =>
          Effect.suspend(() => {
            asked++
            return Effect.fail(new Lock.LockUnavailable({ lock: "away", operation: "acquire", message: "away" }))
          }),
        isHeld: () => Effect.succeed(false),
        holder: () => Effect.succeedNone
      })
      const errors = yield* Effect.all([1, 2, 3].map(() => Effect.flip(lock.withLock("a")(Effect.die("ran")))), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(errors.map(({ _tag }) => _tag), Array(3).fill("LockUnavailable"))
      assert.strictEqual(asked, 3)
    }))
})

describe("interrupted", () => {
  it.effect("while a backend cannot be, what it takes is given back, and the next in line has it", () =>
    Effect.gen(function*() {
      const answer = yield* Deferred.make<void>()
      let released = 0
      const lock = Lock.make({
        name: "deaf",
        capabilities: { spans: "network", fair: false, fenced: true, leased: false },
        identity: "test",
        acquire: () =>
          Effect.as(
            Deferred.await(answer),
            Option.some({
              token: 1,
              release: Effect.sync(() => {
                released++
                return true
              })
            })
          ),
        isHeld: () => Effect.succeed(false),
        holder: () => Effect.succeedNone
      })
      const first = yield* Effect.forkChild(lock.withLock("a")(Effect.die("ran")), { startImmediately: true })
      const next = yield* Effect.forkChild(lock.withLock("a")(Effect.succeed("next")), { startImmediately: true })
      first.interruptUnsafe()
      yield* Deferred.succeed(answer, undefined)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(first)))
      assert.strictEqual(yield* Fiber.join(next), "next")
      assert.strictEqual(released, 2)
    }))
})

describe("local locks", () => {
  it.effect("are of one build of the layer", () =>
    Effect.gen(function*() {
      const two = Effect.flatMap(Lock.Lock, (lock) => Effect.as(lock.hold("a"), lock))
      const one = yield* Effect.provide(two, Layer.fresh(Lock.layerLocal({ identity: "me" })))
      assert.deepStrictEqual(Option.map(yield* one.holder("a"), ({ identity }) => identity), Option.some("me"))
      const other = yield* Effect.provide(Lock.Lock, Layer.fresh(Lock.layerLocal()))
      assert.isFalse(yield* other.isHeld("a"))
    }))

  it.effect("wait in virtual time, and time passes no turn by", () =>
    Effect.gen(function*() {
      const lock = yield* Effect.provide(Lock.Lock, Lock.layerLocal())
      const scope = yield* Scope.make()
      yield* Scope.provide(lock.hold("a"), scope)
      const late = yield* Effect.forkChild(Effect.exit(lock.withLock("a", { timeout: "1 hour" })(Effect.void)), {
        startImmediately: true
      })
      yield* TestClock.adjust("59 minutes")
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(late)))
    }))

  it("refuse an option that they do not know", () => {
    const options = { idetity: "me" }
    assert.throws(() => Lock.layerLocal(options as Lock.LocalOptions), InvalidOption, "did you mean `identity`")
  })
})
