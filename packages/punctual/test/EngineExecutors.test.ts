/**
 * What the engine makes of what an executor answers.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Activity from "../src/Activity.ts"
import type * as Executor from "../src/Executor.ts"
import type * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { count, executing, isolated, now, runsOf, Scheduler, Work } from "./support/engine.ts"
import { patched } from "./support/patchedStore.ts"

describe("what an executor answers", () => {
  /** One run of a task; `run` is the executor. */
  const answering = <A>(
    run: Executor.Executor["Service"]["run"],
    test: Effect.Effect<A, unknown, TaskScheduler.TaskScheduler | TestScheduler.TestScheduler>,
    policy: object = {}
  ) =>
    isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now, ...policy })
        yield* TestScheduler.advance("1 second")
        return yield* test
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, executors: executing(run), patience: 50 })
    )

  const cancel = Effect.gen(function*() {
    const [run] = yield* runsOf("work")
    yield* (yield* Scheduler).handle("work").cancel(run!.id)
  })

  const failed = { _tag: "Failed", exit: "{}", retryAfter: 1_000 } as const

  it.effect("a failure after it was asked to stop is not tried again", () =>
    answering(
      () => Effect.uninterruptible(Effect.as(Effect.sleep("3 seconds"), failed)),
      Effect.gen(function*() {
        yield* cancel
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["cancelled", 1]])
        assert.strictEqual(yield* count("RunRetrying"), 0)
      })
    ))

  it.effect("what may begin once only is not tried again", () =>
    answering(
      () => Effect.as(Effect.sleep("3 seconds"), failed),
      Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["failed", 1]])
      }),
      { delivery: "atMostOnce" }
    ))

  it.effect("a retry that comes as it is asked to stop ends cancelled, and is told so", () => {
    // Its store hears of the request; the settlement is on its way.
    const store = patched((store, time) => ({
      settle: (settlements, options) =>
        Effect.andThen(
          Activity.asleep(time.clock.sleep(Duration.seconds(3)), time.activity, "settle"),
          store.settle(settlements, options)
        )
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 second")
        yield* cancel
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual((yield* TestScheduler.runs).map((run) => run.state), ["cancelled"])
        assert.deepStrictEqual([yield* count("RunRetrying"), yield* count("RunLost")], [0, 0])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        store,
        executors: executing(() => Effect.succeed(failed))
      })
    )
  })

  describe("that lost the worker", () => {
    const lost = (blameless: boolean) => ({ _tag: "WorkerLost", reason: "worker 3 exited", blameless }) as const

    it.effect("is begun again after a second, and abandoned the third time: it would end every worker in turn", () =>
      answering(
        () => Effect.succeed(lost(false)),
        Effect.gen(function*() {
          const [run] = yield* runsOf("work")
          assert.deepInclude(run, { state: "ready", attempt: 2 })
          const runs = yield* TestScheduler.advance("1 minute")
          assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["abandoned", 3]])
          assert.include(JSON.stringify(runs[0]!.exit), "worker 3 exited")
          assert.strictEqual(yield* count("RunRetrying"), 2)
        })
      ))

    it.effect("is abandoned where it may begin once only, whoever's fault it was", () =>
      Effect.forEach([true, false], (blameless) =>
        answering(
          () => Effect.succeed(lost(blameless)),
          Effect.gen(function*() {
            const [run] = yield* runsOf("work")
            assert.deepInclude(run, { state: "abandoned", attempt: 1 })
          }),
          { delivery: "atMostOnce" }
        )))

    it.effect("through another run there is given back, and does not count", () => {
      let begun = 0
      return answering(
        () =>
          Effect.sync(() => begun++ < 10 ? lost(true) : { _tag: "Succeeded", exit: "{\"_tag\":\"Success\"}" } as const),
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.attempt]), [["succeeded", 1]])
          assert.strictEqual(yield* count("RunReleased"), 10)
        })
      )
    })
  })

  it.effect("an interruption nobody asked for is a failed attempt", () =>
    answering(
      () => Effect.interrupt,
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* TestScheduler.runs).map((run) => run.state), ["failed"])
      })
    ))

  it.effect("what dies while it is stopped was stopped", () =>
    answering(
      () => Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.die("boom")) as Effect.Effect<never>,
      Effect.gen(function*() {
        yield* cancel
        yield* TestScheduler.settle
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => run.state), ["cancelled"])
      })
    ))

  it.effect("one that does not keep the timeout is interrupted by the engine", () =>
    answering(
      () => Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.void) as Effect.Effect<never>,
      Effect.gen(function*() {
        const runs = yield* TestScheduler.advance("40 seconds")
        assert.deepStrictEqual(runs.map((run) => run.state), ["timedOut"])
      }),
      { timeout: "10 seconds" }
    ))

  it.effect("a tag that is handled no longer is not the row's fault", () => {
    let asked = 0
    return answering(
      () =>
        Effect.succeed(
          asked++ === 0
            ? { _tag: "Unreadable", reason: "gone", unhandled: true }
            : { _tag: "Succeeded", exit: "{\"_tag\":\"Success\"}" }
        ),
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.attempt]), [["succeeded", 1]])
        assert.deepStrictEqual(yield* (yield* Scheduler).quarantined(), [])
      })
    )
  })
})
