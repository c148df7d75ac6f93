/**
 * What the engine tells: metrics, events, ends of runs, spans.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { rangeEvent } from "../src/internal/engine/telling.ts"
import { encodeParent } from "../src/internal/engine/trace.ts"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  count,
  forked,
  isolated,
  metric,
  now,
  oneAtATime,
  Scheduler,
  told,
  withOwnMetrics,
  Work
} from "./support/engine.ts"
import { clock } from "./utils.ts"

describe("what is told", () => {
  it.effect("metrics: attempts, retries, lag of first attempts, run time, and what runs now", () => {
    const Flaky = Task.make("Flaky", {
      error: Schema.String,
      retry: { times: 2, schedule: Schedule.spaced("1 minute") }
    })
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Flaky, { id: "flaky", trigger: Trigger.now })
        yield* TestScheduler.advance("2 seconds")
        assert.deepStrictEqual(yield* metric("punctual_running"), [1])
        yield* TestScheduler.advance("10 minutes")
        assert.deepStrictEqual(yield* metric("punctual_running"), [0])
        assert.deepStrictEqual(yield* metric("punctual_attempts_total"), [3])
        assert.deepStrictEqual(yield* metric("punctual_retries_total"), [2])
        assert.deepStrictEqual(yield* metric("punctual_run_lag_milliseconds"), [1])
        assert.deepStrictEqual(yield* metric("punctual_run_duration_milliseconds"), [3])
        assert.deepStrictEqual(yield* metric("punctual_runs_total", { state: "failed" }), [1])
        assert.strictEqual(yield* count("RunRetrying"), 2)
      }),
      TestScheduler.layer(Flaky.toLayer(() => Effect.andThen(Effect.sleep("30 seconds"), Effect.fail("no"))), { now })
    ).pipe(withOwnMetrics)
  })

  it.effect("events: a task that finished, one that was cancelled before it began, when a run ended", () =>
    isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "busy", trigger: Trigger.now })
        yield* TestScheduler.settle
        yield* scheduler.add(Work, {
          id: "work",
          trigger: Trigger.every("10 seconds").pipe(Trigger.upTo(2)),
          whenBusy: "cancelPrevious"
        })
        yield* TestScheduler.advance("25 seconds")
        assert.deepStrictEqual(
          (yield* told("RunEnded")).map((event) =>
            "run" in event && [event.run.taskId, event.run.state, clock(event.run.dueAt), clock(event.at)]
          ),
          [["work", "cancelled", "00:00:10", "00:00:20"]]
        )
        assert.deepStrictEqual(
          (yield* told("TaskFinished")).map((event) => "id" in event && [event.id, clock(event.at)]),
          [
            ["busy", "00:00"],
            ["work", "00:00:20"]
          ]
        )
        const runs = yield* TestScheduler.advance("3 minutes")
        assert.deepStrictEqual(runs.map((run) => [run.taskId, run.state]), [["busy", "succeeded"], [
          "work",
          "succeeded"
        ]])
        assert.deepStrictEqual((yield* told("RunEnded")).slice(1).map((event) => clock(event.at)), ["00:01", "00:02"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 minute")), {
        now,
        executors: oneAtATime
      })
    ))

  it("events: a range that was not counted to its end says so", () => {
    const range = { from: 0, to: 9, count: 7, exact: false, outcome: "missed", reason: "late", follows: null } as const
    assert.deepInclude(rangeEvent("default", "work", range, 9), { _tag: "OccurrencesMissed", count: 7, exact: false })
    assert.deepInclude(rangeEvent("default", "work", { ...range, exact: true }, 9), { exact: true })
  })

  it.effect("the end of a run is told to who waits for that one, not for another task's of the same key", () => {
    let minutes = 10
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const add = scheduler.add(Work, { id: "work", trigger: Trigger.every("30 days") })
        const first = yield* (yield* add).runNow({ key: "k" })
        yield* TestScheduler.advance("1 minute")
        yield* scheduler.handle("work").remove()
        minutes = 1
        yield* (yield* add).runNow({ key: "k" })
        const waiting = yield* forked(Effect.exit(first.await))
        yield* TestScheduler.advance("2 minutes")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestScheduler.advance("10 minutes")
        yield* Fiber.join(waiting)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.suspend(() => Effect.sleep(Duration.minutes(minutes)))), { now })
    )
  })

  it.effect("failures in a row: a success begins anew, and what was cancelled is no failure", () => {
    let runs = 0
    const Broken = Task.make("Broken", { error: Schema.String })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const handle = yield* scheduler.add(Broken, {
          id: "broken",
          trigger: Trigger.every("1 minute"),
          pauseOnFailure: 2
        })
        yield* TestScheduler.advance("6 minutes")
        assert.strictEqual((yield* handle.snapshot).state, "scheduled")
        yield* handle.update({ pauseOnFailure: 1 })
        yield* TestScheduler.advance("65 seconds")
        assert.strictEqual(runs, 7)
        yield* handle.cancel((yield* handle.runs()).items[0]!.id)
        yield* TestScheduler.settle
        assert.deepStrictEqual((yield* handle.runs()).items[0]!.state, "cancelled")
        assert.strictEqual((yield* handle.snapshot).state, "scheduled")
      }),
      TestScheduler.layer(
        Broken.toLayer(() =>
          Effect.suspend(() => ++runs === 7 ? Effect.sleep("1 hour") : runs % 2 === 0 ? Effect.void : Effect.fail("no"))
        ),
        { now }
      )
    )
  })

  it.effect("without a tracer a run has no span; with one, it has no parent but its adder", () => {
    const parents: Array<unknown> = []
    const App = Work.toLayer(() =>
      Effect.map(Effect.option(Effect.currentParentSpan), (span) => void parents.push(Option.getOrUndefined(span)))
    )
    const run = Effect.gen(function*() {
      yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
      yield* TestScheduler.settle
    })
    return Effect.gen(function*() {
      yield* isolated(run, TestScheduler.layer(App, { now }))
      assert.deepStrictEqual(parents.splice(0), [undefined])
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const layer = TestScheduler.layer(App, { now }).pipe(Layer.withSpan("program"))
      yield* isolated(Effect.provideService(run, Tracer.DisablePropagation, false), layer).pipe(
        Effect.provideService(Tracer.Tracer, tracer)
      )
      const span = spans.find((span) => span.name === "punctual.run Work")!
      assert.strictEqual(Option.getOrUndefined(span.parent)?.spanId, undefined)
    })
  })

  it("the parent that is stored has the standard's form, or is none", () => {
    const span = (traceId: string, spanId: string, sampled: boolean) =>
      Option.some(Tracer.externalSpan({ traceId, spanId, sampled }))
    assert.strictEqual(encodeParent(Option.none()), null)
    assert.strictEqual(encodeParent(span("not hexadecimal", "0123456789abcdef", true)), null)
    assert.strictEqual(encodeParent(span("0123456789abcdef0123456789abcdef", "short", true)), null)
    assert.strictEqual(
      encodeParent(span("0123456789abcdef0123456789abcdef", "0123456789abcdef", true)),
      "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
    )
    assert.strictEqual(
      encodeParent(span("0123456789abcdef0123456789abcdef", "0123456789abcdef", false)),
      "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"
    )
  })

  it.effect("a run of an adder that was not sampled is not sampled", () => {
    const sampled: Array<boolean> = []
    const tracer = Tracer.make({
      span: (options) => {
        sampled.push(
          ...(options.name.startsWith("punctual") && Option.isSome(options.parent)
            ? [options.parent.value.sampled]
            : [])
        )
        return new Tracer.NativeSpan(options)
      }
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        for (const yes of [true, false]) {
          yield* Effect.withParentSpan(
            scheduler.add(Work, { id: `${yes}`, trigger: Trigger.now }),
            Tracer.externalSpan({
              traceId: "0123456789abcdef0123456789abcdef",
              spanId: "0123456789abcdef",
              sampled: yes
            })
          )
          yield* TestScheduler.settle
        }
        assert.deepStrictEqual(sampled, [true, false])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now })
    ).pipe(Effect.provideService(Tracer.Tracer, tracer))
  })
})
