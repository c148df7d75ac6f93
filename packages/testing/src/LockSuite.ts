/**
 * What every lock keeps, as a suite: nothing happens on import.
 *
 * ```ts
 * LockSuite.suite("local", Lock.layerLocal(), { capabilities: { spans: "program", fair: true, fenced: true, leased: false } })
 * ```
 *
 * A layer is built twice where locks reach further than a program, as two programs would have it, and in processes of their
 * own where there is a `processes.script`:
 *
 * ```ts
 * // script: await LockSuite.participate(MyLock.layer({ url: process.argv[2] }))
 * LockSuite.suite("mine", MyLock.layer({ url }), { capabilities, processes: { script, args: [url] } })
 * ```
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Capabilities } from "punctual/Lock"
import { Lock, LockLost } from "punctual/Lock"
import * as Participants from "./internal/lockParticipants.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What the lock says of itself; the suite holds it to that. */
  readonly capabilities: Capabilities
  /** How many wait for a name, of whatever process. Where it is fair among programs, and can be asked. */
  readonly waiting?: ((name: string) => Effect.Effect<number>) | undefined
  /** A program that calls `participate` with a layer of the same locks. */
  readonly processes?: Participants.Script | undefined
  readonly skip?: ReadonlyArray<{ readonly test: string; readonly reason: string }> | undefined
}

/**
 * The program of a process that the suite tells what to do.
 *
 * @category suites
 * @since 0.1.0
 */
export const participate: <E>(layer: Layer.Layer<Lock, E>) => Promise<void> = Participants.participate

type Service = Lock["Service"]

interface Setup {
  /** Two programs' views of the same locks; the same one where locks do not leave the program. */
  readonly one: Service
  readonly other: Service
  /** That nobody else uses. */
  readonly name: string
}

/** One process needs a while to start, ten need longer. */
const processTimeout = 180_000

/**
 * Holds a lock's layer to what its users rely on.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<Lock, E>, options: Options): void => {
  const { fair, fenced, leased, spans } = options.capabilities
  const virtual = spans === "program"

  const build = Effect.map(Layer.build(Layer.fresh(layer)), Context.get(Lock))
  const setup = Effect.gen(function*() {
    const one = yield* build
    return { one, other: virtual ? one : yield* build, name: `suite/${crypto.randomUUID()}` } satisfies Setup
  })
  const skipped = (title: string, needs: boolean) =>
    !needs || options.skip?.some((skip) => skip.test === title) === true
  const test = (title: string, needs: boolean, body: (setup: Setup) => Effect.Effect<void, unknown, Scope.Scope>) => {
    const run = virtual ? it.effect : it.live
    const define = skipped(title, needs) ? run.skip : run
    define(title, () => Effect.scoped(Effect.flatMap(setup, body)), 30_000)
  }
  const testProcesses = (
    title: string,
    needs: boolean,
    body: (
      start: Effect.Effect<Participants.Participant, never, Scope.Scope>,
      setup: Setup
    ) => Effect.Effect<void, unknown, Scope.Scope>
  ) => {
    const script = options.processes
    const define = script === undefined || skipped(title, needs) ? it.live.skip : it.live
    define(
      title,
      () =>
        Effect.scoped(Effect.flatMap(setup, (setup) =>
          script === undefined
            ? Effect.void
            : body(Participants.start(script), setup))),
      processTimeout
    )
  }

  describe(`Lock (${name})`, () => {
    test(
      "says what it can do",
      true,
      ({ one }) => Effect.sync(() => assert.deepStrictEqual(one.capabilities, options.capabilities))
    )

    test(
      "answers what ran under it, and is free afterwards, however that ended",
      true,
      ({ name, one, other }) =>
        Effect.gen(function*() {
          const free = Effect.gen(function*() {
            assert.isFalse(yield* one.isHeld(name))
            assert.deepStrictEqual(yield* other.holder(name), Option.none())
          })
          assert.strictEqual(yield* one.withLock(name)(Effect.succeed(7)), 7)
          yield* free
          assert.deepStrictEqual(yield* one.withLockIfAvailable(name)(Effect.succeed(8)), Option.some(8))
          yield* free
          assert.strictEqual(yield* Effect.flip(other.withLock(name)(Effect.fail("no"))), "no")
          yield* free
          const died = yield* Effect.exit(one.withLock(name)(Effect.die("broken")))
          assert.isTrue(Exit.isFailure(died) && Cause.hasDies(died.cause))
          yield* free
          const begun = yield* Deferred.make<void>()
          const work = yield* Effect.forkChild(
            one.withLock(name)(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))
          )
          yield* Deferred.await(begun)
          assert.isTrue(yield* other.isHeld(name))
          yield* Fiber.interrupt(work)
          yield* free
        })
    )

    test("lets in one at a time", true, ({ name, one, other }) =>
      Effect.gen(function*() {
        let inside = 0
        let most = 0
        let done = 0
        const work = Effect.gen(function*() {
          most = Math.max(most, ++inside)
          for (let i = 0; i < 3; i++) yield* Effect.yieldNow
          inside--
          done++
        })
        yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? one : other),
          (lock) => lock.withLock(name)(work),
          { concurrency: "unbounded", discard: true }
        )
        assert.deepStrictEqual({ done, most }, { done: 20, most: 1 })
      }))

    test("keeps names apart", true, ({ name, one, other }) =>
      Effect.gen(function*() {
        const names = oddNames.map((odd) => `${name.slice(0, 20)}${odd}`)
        for (const odd of names) yield* one.hold(odd)
        for (const odd of names) {
          assert.isTrue(Option.isNone(yield* other.holdIfAvailable(odd)), odd)
          assert.isTrue(yield* other.isHeld(odd), odd)
        }
        yield* other.withLock(name)(Effect.void)
      }))

    test("refuses what cannot be a name, before anything else", true, ({ one }) =>
      Effect.gen(function*() {
        for (const bad of ["", "a\0b", "a\nb", "\ud800", " a", "a ", "x".repeat(201)]) {
          const refusals = yield* Effect.all([
            Effect.flip(one.withLock(bad)(Effect.die("ran"))),
            Effect.flip(one.withLockIfAvailable(bad)(Effect.die("ran"))),
            Effect.flip(one.hold(bad)),
            Effect.flip(one.holdIfAvailable(bad)),
            Effect.flip(one.isHeld(bad)),
            Effect.flip(one.holder(bad))
          ])
          for (const refusal of refusals) assert.deepInclude(refusal, { _tag: "InvalidLockName", name: bad })
        }
      }))

    test("does without, where somebody has it", true, ({ name, one, other }) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        yield* Scope.provide(one.hold(name), scope)
        for (const lock of [one, other]) {
          assert.deepStrictEqual(yield* lock.withLockIfAvailable(name)(Effect.die("ran")), Option.none())
          assert.deepStrictEqual(yield* Effect.scoped(lock.holdIfAvailable(name)), Option.none())
        }
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* other.withLockIfAvailable(name)(Effect.succeed("ran")), Option.some("ran"))
      }))

    test("is held until the scope closes", true, ({ name, one, other }) =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const held = yield* one.hold(name)
          assert.strictEqual(held.name, name)
          assert.isTrue(yield* other.isHeld(name))
        }))
        assert.isTrue(Option.isSome(yield* other.holdIfAvailable(name)))
        assert.isTrue(yield* one.isHeld(name))
      }))

    test("says who holds it", true, ({ name, one, other }) =>
      Effect.gen(function*() {
        const before = DateTime.toEpochMillis(yield* DateTime.now)
        yield* one.hold(name)
        const holder = Option.getOrThrow(yield* other.holder(name))
        assert.isAbove(holder.identity.length, 0)
        assert.isAtLeast(DateTime.toEpochMillis(holder.since), before)
        assert.isAtMost(DateTime.toEpochMillis(holder.since), DateTime.toEpochMillis(yield* DateTime.now))
        if (!virtual) assert.strictEqual(holder.pid, process.pid)
        assert.deepStrictEqual(yield* one.holder(name), Option.some(holder))
        assert.deepStrictEqual(yield* other.holder(`${name}/other`), Option.none())
      }))

    test("gives each holder a larger token", fenced, ({ name, one, other }) =>
      Effect.gen(function*() {
        let last = 0
        for (const lock of [one, other, other, one, one, other]) {
          const { token } = yield* Effect.scoped(lock.hold(name))
          assert.isTrue(Number.isSafeInteger(token) && token > last, `${token} after ${last}`)
          last = token
        }
      }))

    test("is had in the order of asking by those of one program", true, ({ name, one }) =>
      Effect.gen(function*() {
        const had: Array<number> = []
        const scope = yield* Scope.make()
        yield* Scope.provide(one.hold(name), scope)
        const waiters = yield* Effect.forEach([1, 2, 3, 4, 5], (i) =>
          Effect.forkChild(one.withLock(name)(Effect.sync(() => void had.push(i))), { startImmediately: true }))
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.joinAll(waiters)
        assert.deepStrictEqual(had, [1, 2, 3, 4, 5])
      }))

    test(
      "is had in the order of asking by several programs",
      fair && options.waiting !== undefined,
      ({ name, one }) =>
        Effect.gen(function*() {
          const had: Array<number> = []
          const scope = yield* Scope.make()
          yield* Scope.provide(one.hold(name), scope)
          const waiters: Array<Fiber.Fiber<unknown, unknown>> = []
          for (const i of [1, 2, 3, 4]) {
            const lock = yield* build
            waiters.push(yield* Effect.forkChild(lock.withLock(name)(Effect.sync(() => void had.push(i)))))
            while ((yield* options.waiting!(name)) < i) yield* Effect.sleep("5 millis")
          }
          yield* Scope.close(scope, Exit.void)
          yield* Effect.forEach(waiters, Fiber.join)
          assert.deepStrictEqual(had, [1, 2, 3, 4])
        })
    )

    test(
      "gives up after its timeout, names the holder, and leaves the line",
      true,
      ({ name, one, other }) =>
        Effect.gen(function*() {
          for (const lock of virtual ? [one] : [one, other]) {
            const scope = yield* Scope.make()
            yield* Scope.provide(one.hold(name), scope)
            const waiter = yield* Effect.forkChild(
              Effect.flip(lock.withLock(name, { timeout: "50 millis" })(Effect.die("ran"))),
              { startImmediately: true }
            )
            if (virtual) yield* TestClock.adjust("50 millis")
            const error = yield* Fiber.join(waiter)
            assert.deepInclude(error, { _tag: "LockTimeout", name, timeout: 50 })
            assert.isTrue(
              error._tag === "LockTimeout" && error.holder !== null && error.message.includes(error.holder.identity)
            )
            yield* Scope.close(scope, Exit.void)
            assert.isFalse(yield* one.isHeld(name))
          }
          // A timeout is of the wait, not of the work. A server's answer takes its time, and is not what is late here.
          const timeout = virtual ? 20 : 2_000
          const slow = yield* Effect.forkChild(one.withLock(name, { timeout })(Effect.sleep(timeout + 40)))
          if (virtual) yield* TestClock.adjust(timeout + 40)
          yield* Fiber.join(slow)
        })
    )

    test("a waiter that is interrupted is passed over", true, ({ name, one, other }) =>
      Effect.gen(function*() {
        for (const lock of [one, other]) {
          const scope = yield* Scope.make()
          yield* Scope.provide(one.hold(name), scope)
          const ran = yield* Deferred.make<void>()
          const [gone, next] = yield* Effect.all([
            Effect.forkChild(lock.withLock(name)(Effect.die("ran")), { startImmediately: true }),
            Effect.forkChild(lock.withLock(name)(Deferred.succeed(ran, undefined)), { startImmediately: true })
          ])
          yield* Fiber.interrupt(gone)
          yield* Scope.close(scope, Exit.void)
          yield* Fiber.join(next)
        }
        assert.isFalse(yield* one.isHeld(name))
      }))

    test("is not kept by who is interrupted, whenever that is", true, ({ name, one, other }) =>
      Effect.gen(function*() {
        const interruptedAfter = (
          steps: number,
          start: (lock: Service) => Effect.Effect<unknown, unknown, Scope.Scope>
        ) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.forkChild(Effect.scoped(start(other)), { startImmediately: true })
            for (let i = 0; i < steps; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
          })
        for (let steps = 0; steps < 40; steps++) {
          yield* interruptedAfter(steps, (lock) => Effect.andThen(lock.hold(name), Effect.yieldNow))
          yield* interruptedAfter(steps, (lock) => lock.withLock(name, { timeout: "1 minute" })(Effect.yieldNow))
          yield* interruptedAfter(steps, (lock) => lock.withLockIfAvailable(name)(Effect.yieldNow))
          // while it is handed over
          const scope = yield* Scope.make()
          yield* Scope.provide(one.hold(name), scope)
          const waiter = yield* Effect.forkChild(other.withLock(name)(Effect.yieldNow), { startImmediately: true })
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
          for (let i = 0; i < steps; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(waiter)
          yield* Fiber.join(closing)
          assert.isTrue(Option.isSome(yield* one.withLockIfAvailable(name)(Effect.void)), `after ${steps} steps`)
        }
      }))

    test("refuses to wait for itself", true, ({ name, one }) =>
      Effect.gen(function*() {
        const refused = (effect: Effect.Effect<unknown, unknown>) =>
          Effect.map(Effect.flip(effect), (error) => assert.deepInclude(error, { _tag: "LockReentered", name }))
        yield* one.withLock(name)(Effect.gen(function*() {
          yield* refused(one.withLock(name)(Effect.void))
          yield* refused(Effect.scoped(one.hold(name, { timeout: "1 hour" })))
          yield* refused(Effect.flatMap(Effect.forkChild(one.withLock(name)(Effect.void)), Fiber.join))
          yield* one.withLock(`${name}/inner`)(refused(one.withLock(name)(Effect.void)))
          assert.deepStrictEqual(yield* one.withLockIfAvailable(name)(Effect.void), Option.none())
        }))
        yield* Effect.scoped(Effect.gen(function*() {
          yield* one.hold(name)
          yield* refused(one.withLock(name)(Effect.void))
        }))
        yield* one.withLock(name)(Effect.void)
      }))

    testProcesses("ten processes never are in it at once", true, (start, { name }) =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const file = join(folder, "counter")
        writeFileSync(file, "0")
        const all = yield* Effect.all(Array.from({ length: 10 }, () => start), { concurrency: "unbounded" })
        const answers = yield* Effect.forEach(all, (each) => each.ask({ do: "count", name, file, times: 10 }), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(answers, all.map(() => "counted"))
        assert.strictEqual(readFileSync(file, "utf8"), "100")
      }))

    testProcesses("is free once its holder was killed", true, (start, { name, one }) =>
      Effect.gen(function*() {
        const first = yield* start
        const token = Number(yield* first.ask({ do: "hold", name }))
        const holder = yield* one.holder(name)
        assert.deepStrictEqual(Option.map(holder, ({ pid }) => pid), Option.some(first.pid))
        assert.deepStrictEqual(yield* one.withLockIfAvailable(name)(Effect.void), Option.none())
        const waiter = yield* start
        const waiting = yield* Effect.forkChild(waiter.ask({ do: "hold", name }))
        yield* first.kill
        // The machine frees what a process held before anybody can learn that it is gone.
        if (spans === "host") {
          yield* Fiber.interrupt(waiting)
          yield* waiter.kill
          assert.isTrue(Option.isSome(yield* one.withLockIfAvailable(name)(Effect.void)))
        } else if (fenced) assert.isAbove(Number(yield* Fiber.join(waiting)), token)
        else yield* Fiber.join(waiting)
      }))

    testProcesses(
      "a waiter that was killed is in nobody's way",
      true,
      (start, { name, one }) =>
        Effect.gen(function*() {
          const scope = yield* Scope.make()
          yield* Scope.provide(one.hold(name), scope)
          const waiter = yield* start
          yield* Effect.forkChild(waiter.ask({ do: "hold", name }))
          // It answers this after it began to wait, and is still waiting.
          assert.strictEqual(yield* waiter.ask({ do: "try", name }), "none")
          yield* waiter.kill
          const next = yield* start
          const taking = yield* Effect.forkChild(next.ask({ do: "hold", name }))
          yield* Scope.close(scope, Exit.void)
          assert.isAbove(Number(yield* Fiber.join(taking)), 0)
        })
    )

    testProcesses(
      "a frozen holder loses it, is told when it thaws, and its token is behind",
      leased,
      (start, { name, one }) =>
        Effect.gen(function*() {
          const frozen = yield* start
          assert.strictEqual(yield* frozen.ask({ do: "work", name }), "began")
          yield* frozen.freeze
          const { token } = yield* one.hold(name)
          yield* frozen.thaw
          const [tag, behind] = (yield* frozen.ask({ do: "end", name })).split(" ")
          assert.strictEqual(tag, LockLost.identifier)
          if (fenced) assert.isBelow(Number(behind), token)
          assert.isTrue(yield* one.isHeld(name))
        })
    )

    testProcesses("a frozen holder keeps it", !leased, (start, { name, one }) =>
      Effect.gen(function*() {
        const frozen = yield* start
        yield* frozen.ask({ do: "hold", name })
        yield* frozen.freeze
        assert.deepStrictEqual(yield* one.withLockIfAvailable(name)(Effect.void), Option.none())
        yield* frozen.thaw
        assert.strictEqual(yield* frozen.ask({ do: "release", name }), "released")
        yield* one.withLock(name)(Effect.void)
      }))
  })
}

/** Names that a file system, a key, a collation or an escape could take for one another. */
const oddNames = [
  "a",
  "A",
  "a/b",
  "a\\b",
  "a b",
  "a:b",
  "{a}",
  "%61",
  "ä",
  "a\u0308",
  "../a",
  ".",
  "..",
  "con",
  "*",
  "'",
  "🔒",
  "x".repeat(180)
]

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "punctual-lock-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)
