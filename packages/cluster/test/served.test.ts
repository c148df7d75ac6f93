/**
 * What one runner makes of messages that come again, too late, or not at all.
 */
import { assert, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Task from "punctual/Task"
import * as TaskRegistry from "punctual/TaskRegistry"
import * as Served from "../src/internal/served.ts"

const Job = Task.make("Job", { payload: { seconds: Schema.Int } })

/** A runner whose handler sleeps, and says what it does. */
const runner = (concurrency = 10) =>
  Effect.gen(function*() {
    const said: Array<string> = []
    const registry = yield* TaskRegistry.make("test", { drained: () => true })
    yield* Layer.build(Job.toLayer(({ seconds }, run) =>
      Effect.suspend(() => {
        said.push(`${run.fencingToken} begins`)
        return Effect.sleep(`${seconds} seconds`)
      }).pipe(
        Effect.onExit((exit) =>
          Effect.andThen(Effect.yieldNow, Effect.sync(() => said.push(`${run.fencingToken} ${exit._tag}`)))
        )
      )
    )).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
    const context = yield* Effect.context<never>()
    return { served: Served.make({ registry, concurrency, incarnation: "a", context }), said }
  })

const record = (token: number, seconds: number, key = "1") =>
  ExecutorSuite.makeRecord(Job, { seconds }, { run: { token, key } })

const succeeded = { _tag: "Succeeded" } as const

it.effect("a run that is asked for again is begun once, and answered twice", () =>
  Effect.gen(function*() {
    const { said, served } = yield* runner()
    const ticket = served.ticket()!
    const both = yield* Effect.forEach([1, 2], () => Effect.forkChild(served.run(ticket, record(1, 5), {})))
    yield* TestClock.adjust("5 seconds")
    for (const result of yield* Fiber.joinAll(both)) assert.deepInclude(result, succeeded)
    assert.deepInclude(yield* served.run(ticket, record(1, 5), {}), succeeded)
    assert.deepStrictEqual(said, ["1 begins", "1 Success"])
  }))

it.effect("a ticket that was not given out here begins nothing", () =>
  Effect.gen(function*() {
    const { said, served } = yield* runner()
    assert.deepInclude(yield* served.run("b-0", record(1, 5), {}), { _tag: "WorkerLost", blameless: false })
    assert.deepStrictEqual(said, [])
  }))

it.effect("a later claim of a run begins when the earlier one has ended, and that is given back", () =>
  Effect.gen(function*() {
    const { said, served } = yield* runner()
    const earlier = yield* Effect.forkChild(served.run(served.ticket()!, record(1, 60), {}))
    yield* TestClock.adjust("1 seconds")
    const later = yield* Effect.forkChild(served.run(served.ticket()!, record(2, 5), {}))
    yield* TestClock.adjust("1 seconds")
    yield* TestClock.adjust("5 seconds")
    assert.deepInclude(yield* Fiber.join(earlier), { _tag: "WorkerLost", blameless: true })
    assert.deepInclude(yield* Fiber.join(later), succeeded)
    assert.deepStrictEqual(said, ["1 begins", "1 Failure", "2 begins", "2 Success"])
  }))

it.effect("an earlier claim that comes after a later one begins nothing", () =>
  Effect.gen(function*() {
    const { said, served } = yield* runner()
    const later = yield* Effect.forkChild(served.run(served.ticket()!, record(2, 5), {}))
    yield* Effect.yieldNow
    assert.deepInclude(yield* served.run(served.ticket()!, record(1, 5), {}), {
      _tag: "WorkerLost",
      blameless: true
    })
    yield* TestClock.adjust("5 seconds")
    assert.deepInclude(yield* Fiber.join(later), succeeded)
    assert.deepStrictEqual(said, ["2 begins", "2 Success"])
  }))

it.effect("stop waits for finalizers, and makes a ticket that has begun nothing worthless", () =>
  Effect.gen(function*() {
    const { said, served } = yield* runner()
    const ticket = served.ticket()!
    const run = yield* Effect.forkChild(served.run(ticket, record(1, 60), {}))
    yield* TestClock.adjust("1 seconds")
    yield* served.stop(ticket)
    assert.deepStrictEqual(said, ["1 begins", "1 Failure"])
    assert.deepInclude(yield* Fiber.join(run), { _tag: "WorkerLost" })
    const unused = served.ticket()!
    yield* served.stop(unused)
    assert.deepInclude(yield* served.run(unused, record(3, 1), {}), { _tag: "WorkerLost", blameless: false })
  }))

it.effect("who waits for a run and goes away takes it along", () =>
  Effect.gen(function*() {
    const { said, served } = yield* runner()
    const run = yield* Effect.forkChild(served.run(served.ticket()!, record(1, 60), {}))
    yield* TestClock.adjust("1 seconds")
    yield* Fiber.interrupt(run)
    assert.deepStrictEqual(said, ["1 begins", "1 Failure"])
  }))

it.effect("closing lets runs end for a while, gives the others back, and begins no more", () =>
  Effect.gen(function*() {
    const { said, served } = yield* runner()
    const early = served.ticket()!
    const runs = yield* Effect.forEach([5, 60], (seconds) =>
      Effect.forkChild(served.run(served.ticket()!, record(seconds, seconds, `${seconds}`), {})))
    yield* Effect.yieldNow
    const closing = yield* Effect.forkChild(served.close(10_000))
    yield* Effect.yieldNow
    assert.isNull(served.ticket())
    assert.deepInclude(yield* served.run(early, record(9, 1), {}), { _tag: "WorkerLost", blameless: true })
    yield* TestClock.adjust("10 seconds")
    yield* Fiber.join(closing)
    const [short, long] = yield* Fiber.joinAll(runs)
    assert.deepInclude(short, succeeded)
    assert.deepInclude(long, { _tag: "WorkerLost", blameless: true })
    assert.deepStrictEqual(said, ["5 begins", "60 begins", "5 Success", "60 Failure"])
  }))

it.effect("forgets the oldest tickets that are not in use", () =>
  Effect.gen(function*() {
    const { served } = yield* runner()
    const [used, unused] = [served.ticket()!, served.ticket()!]
    const run = yield* Effect.forkChild(served.run(used, record(1, 5), {}))
    yield* Effect.yieldNow
    for (let i = 0; i < 10_000; i++) served.ticket()
    assert.deepInclude(yield* served.run(unused, record(2, 5, "2"), {}), {
      _tag: "WorkerLost",
      blameless: false
    })
    yield* TestClock.adjust("5 seconds")
    assert.deepInclude(yield* Fiber.join(run), succeeded)
    assert.deepInclude(yield* served.run(used, record(1, 5), {}), succeeded)
  }))
