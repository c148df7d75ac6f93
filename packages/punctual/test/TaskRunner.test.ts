import { assert, describe, it } from "@effect/vitest"
import { makeRecord } from "@punctual/testing/ExecutorSuite"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import { MaxOpsBeforeYield } from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as Activity from "../src/Activity.ts"
import { CurrentRun } from "../src/CurrentRun.ts"
import type { RunResult } from "../src/Executor.ts"
import { decodeExit } from "../src/internal/taskCodec.ts"
import { retryAfter } from "../src/internal/taskRetry.ts"
import * as Task from "../src/Task.ts"
import * as TaskRegistry from "../src/TaskRegistry.ts"
import * as TaskRunner from "../src/TaskRunner.ts"

class Failure extends Schema.TaggedError<Failure>()("Failure", { retryable: Schema.Boolean }) {}

/** A registry in which one task is handled, and how to run it. */
const handled = Effect.fnUntraced(function*<E, R>(
  task: Task.Any,
  layer: Layer.Layer<never, E, TaskRegistry.TaskRegistry | R>
) {
  const registry = yield* TaskRegistry.make("test")
  yield* Layer.build(layer).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
  return (payload: unknown = null, options?: Parameters<typeof makeRecord>[2]) =>
    TaskRunner.run(registry, makeRecord(task, payload, options))
})

const causeOf = (task: Task.Any, result: RunResult) =>
  Effect.map(decodeExit(task, "exit" in result ? result.exit : result.reason), (exit) => {
    assert.isTrue(Exit.isFailure(exit))
    return Exit.isFailure(exit) ? exit.cause : Cause.empty
  })

// One operation more, which does nothing.
const delayed = <A>(effect: Effect.Effect<A>): Effect.Effect<A> => Effect.suspend(() => effect)

describe("the handler's context", () => {
  class Name extends Context.Service<Name, string>()("test/Name") {}
  const task = Task.make("T")

  it.effect("is the one its layer was built with, not that of whoever runs it", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const run = yield* handled(
        task,
        task.toLayer(() => Effect.map(Name, (name) => void seen.push(name))).pipe(
          Layer.provide(Layer.succeed(Name)("layer"))
        )
      )
      yield* run().pipe(Effect.provideService(Name, "engine"))
      assert.deepStrictEqual(seen, ["layer"])
    }))

  it.effect("has the run's span, not that of the layer being built", () =>
    Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      const live = task.toLayer(() =>
        Effect.map(Effect.option(Effect.currentSpan), (span) => void seen.push(Option.getOrUndefined(span)?.name))
      )
      const run = yield* handled(task, live).pipe(Effect.withSpan("building"))
      yield* run()
      yield* Effect.withSpan(run(), "run 1")
      yield* Effect.withSpan(run(), "run 2")
      assert.deepStrictEqual(seen, [undefined, "run 1", "run 2"])
    }))

  it.effect("has the run's tracer", () =>
    Effect.gen(function*() {
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(options.name)
          return Tracer.nativeTracer.span(options)
        }
      })
      const run = yield* handled(task, task.toLayer(() => Effect.withSpan(Effect.void, "inside")))
      yield* run().pipe(Effect.withTracer(tracer))
      assert.deepStrictEqual(names, ["inside"])
    }))

  it.effect("annotates logs with the run, beside what the layer and the run were annotated with", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const live = task.toLayer(() =>
        Effect.map(References.CurrentLogAnnotations, (annotations) => void seen.push(annotations))
      )
      const run = yield* handled(task, live).pipe(Effect.annotateLogs({ app: "billing", both: "layer" }))
      yield* run(null, { run: { attempt: 2 } }).pipe(Effect.annotateLogs({ engine: "a", both: "run" }))
      assert.deepStrictEqual(seen, [{
        app: "billing",
        engine: "a",
        both: "run",
        task: "suite",
        run: "7:1700000000000",
        attempt: 2
      }])
    }))

  it.effect("has the run's clock and activity label", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const live = task.toLayer(() =>
        Effect.withFiber((fiber) => Effect.sync(() => void seen.push(fiber.getRef(Activity.Label))))
      )
      const run = yield* handled(task, live)
      yield* run().pipe(Effect.provideService(Activity.Label, "run 1"))
      yield* run().pipe(Effect.provideService(Activity.Label, "run 2"))
      yield* run()
      assert.deepStrictEqual(seen, ["run 1", "run 2", undefined])
    }))

  it.effect("has a run and a scope of its own when runs overlap", () =>
    Effect.gen(function*() {
      const released: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const run = yield* handled(
        task,
        task.toLayer(Effect.fnUntraced(function*() {
          const { key } = yield* CurrentRun
          yield* Effect.addFinalizer(() => Effect.sync(() => released.push(key)))
          if (key === "x:slow") yield* Deferred.await(gate)
        }))
      )
      const slow = yield* Effect.forkChild(run(null, { run: { key: "x:slow" } }))
      yield* Effect.yieldNow
      yield* run(null, { run: { key: "x:fast" } })
      assert.deepStrictEqual(released, ["x:fast"])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(slow)
      assert.deepStrictEqual(released, ["x:fast", "x:slow"])
    }))

  it.effect("does not outlive the run in the layer's scope", () =>
    Effect.gen(function*() {
      const released: Array<string> = []
      const layer = yield* Scope.make()
      const registry = yield* TaskRegistry.make("test")
      const live = task.toLayer(() =>
        Effect.asVoid(Effect.acquireRelease(Effect.void, () => Effect.sync(() => released.push("run"))))
      )
      yield* Layer.buildWithScope(live, layer).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
      yield* TaskRunner.run(registry, makeRecord(task, null))
      assert.deepStrictEqual(released, ["run"])
      yield* Scope.close(layer, Exit.void)
      assert.deepStrictEqual(released, ["run"])
    }))
})

describe("results", () => {
  it.effect("a finalizer that dies has failed the attempt", () =>
    Effect.gen(function*() {
      const task = Task.make("T")
      const run = yield* handled(
        task,
        task.toLayer(() => Effect.addFinalizer(() => Effect.die(new Error("finalizer"))))
      )
      const result = yield* run()
      assert.deepInclude(result, { _tag: "Failed", retryAfter: null })
      assert.isTrue(Cause.hasDies(yield* causeOf(task, result)))
    }))

  it.effect("a handler that throws instead of failing has failed", () =>
    Effect.gen(function*() {
      const task = Task.make("T")
      const run = yield* handled(
        task,
        task.toLayer(() => {
          throw new Error("thrown")
        })
      )
      const result = yield* run()
      assert.include(result._tag === "Failed" ? result.exit : "", "thrown")
    }))

  it.effect("a value its schema refuses is a defect that says so, and is not tried again", () =>
    Effect.gen(function*() {
      const task = Task.make("T", { success: Schema.Struct({ n: Schema.Int }), error: Failure, retry: { times: 3 } })
      const run = yield* handled(task, task.toLayer(() => Effect.succeed({ n: 0.5 })))
      const result = yield* run()
      assert.deepInclude(result, { _tag: "Failed", retryAfter: null })
      const exit = result._tag === "Failed" ? result.exit : ""
      assert.include(exit, "Task `T` succeeded with a value that its `success` schema cannot encode")
      assert.include(exit, "[\\\"n\\\"]")
    }))

  it.effect("an error its schema refuses is a defect that says so", () =>
    Effect.gen(function*() {
      const task = Task.make("T", { error: Schema.Struct({ n: Schema.Int }) })
      const run = yield* handled(task, task.toLayer(() => Effect.fail({ n: 0.5 })))
      const result = yield* run()
      assert.include(
        result._tag === "Failed" ? result.exit : "",
        "Task `T` failed with an error that its `error` schema cannot encode"
      )
    }))

  it.effect("values and errors are encoded with the services of the handler's layer", () =>
    Effect.gen(function*() {
      class Key extends Context.Service<Key, string>()("test/Key") {}
      const Sealed = Schema.String.pipe(Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transformEffect({
          decode: (text) => Effect.map(Key, (key) => text.replace(`${key}:`, "")),
          encode: (text) => Effect.map(Effect.andThen(Effect.yieldNow, Key), (key) => `${key}:${text}`)
        })
      ))
      const task = Task.make("T", { payload: Sealed, success: Sealed, error: Sealed })
      const run = yield* handled(
        task,
        task.toLayer((text) => text === "no" ? Effect.fail(text) : Effect.succeed(text.toUpperCase())).pipe(
          Layer.provide(Layer.succeed(Key)("k"))
        )
      )
      assert.deepStrictEqual(yield* run("k:yes"), { _tag: "Succeeded", exit: `{"_tag":"Success","value":"k:YES"}` })
      const failed = yield* run("k:no")
      assert.include(failed._tag === "Failed" ? failed.exit : "", "k:no")
    }))

  it.effect("a payload that dies while it is decoded is unreadable, not a defect", () =>
    Effect.gen(function*() {
      const Broken = Schema.String.pipe(Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transform({
          decode: (): string => {
            throw new Error("decoder bug")
          },
          encode: (text) => text
        })
      ))
      const task = Task.make("T", { payload: Broken })
      const run = yield* handled(task, task.toLayer(() => Effect.void))
      const result = yield* run("x")
      assert.strictEqual(result._tag, "Unreadable")
      assert.include(result._tag === "Unreadable" ? result.reason : "", "decoder bug")
    }))

  it.effect("nobody to handle it is told apart from a payload nobody can read", () =>
    Effect.gen(function*() {
      const registry = yield* TaskRegistry.make("worker-1")
      const result = yield* TaskRunner.run(registry, makeRecord(Task.make("T"), null))
      assert.deepStrictEqual(result, {
        _tag: "Unreadable",
        reason: "no handler for task `T` in `worker-1`",
        unhandled: true
      })
      const task = Task.make("T", { payload: Schema.Int })
      const run = yield* handled(task, task.toLayer(() => Effect.void))
      assert.notProperty(yield* run("x"), "unhandled")
    }))

  it.effect("the payload is the task's as of the claim, whatever version the run was created with", () =>
    Effect.gen(function*() {
      const task = Task.make("T", { version: 3, payload: Schema.Int, success: Schema.Int })
      const run = yield* handled(task, task.toLayer((n) => Effect.succeed(n)))
      assert.strictEqual((yield* run(5, { run: { version: 1 } }))._tag, "Succeeded")
      assert.strictEqual((yield* run(5, { task: { version: 3 } }))._tag, "Succeeded")
      assert.strictEqual((yield* run(5, { task: { version: 4 } }))._tag, "Unreadable")
    }))
})

describe("interruption", () => {
  const task = Task.make("T", { error: Failure, retry: { times: 5 } })

  it.effect("of a child the handler waits for is the handler's own affair", () =>
    Effect.gen(function*() {
      const run = yield* handled(
        task,
        task.toLayer(Effect.fnUntraced(function*() {
          const child = yield* Effect.forkChild(Effect.never)
          yield* Fiber.interrupt(child)
          yield* Fiber.join(child)
        }))
      )
      assert.deepInclude(yield* run(), { _tag: "Failed", retryAfter: null })
    }))

  it.effect("from outside is never a result, even in a region that puts it off", () =>
    Effect.gen(function*() {
      const began = yield* Deferred.make<void>()
      const run = yield* handled(
        task,
        task.toLayer(() => Effect.andThen(Deferred.succeed(began, undefined), Effect.interruptible(Effect.never)))
      )
      let result: RunResult | undefined
      const fiber = yield* Effect.forkChild(
        Effect.uninterruptible(Effect.tap(run(), (ended) => Effect.sync(() => result = ended)))
      )
      yield* Deferred.await(began)
      yield* Fiber.interrupt(fiber)
      assert.isUndefined(result)
    }))

  it.effect("keeps the scope's finalizers and the count of runs", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const registry = yield* TaskRegistry.make("test")
      const began = yield* Deferred.make<void>()
      yield* Layer.build(task.toLayer(Effect.fnUntraced(function*() {
        yield* Effect.addFinalizer((exit) => Effect.sync(() => seen.push(`${Exit.hasInterrupts(exit)}`)))
        yield* Deferred.succeed(began, undefined)
        return yield* Effect.never
      }))).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
      const fiber = yield* Effect.forkChild(TaskRunner.run(registry, makeRecord(task, null)))
      yield* Deferred.await(began)
      assert.strictEqual(registry.get("T")?.count, 1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(seen, ["true"])
      assert.strictEqual(registry.get("T")?.count, 0)
    }))

  it.effect("at any step leaves no run counted, and releases what was acquired", () =>
    Effect.gen(function*() {
      let held = 0
      const registry = yield* TaskRegistry.make("test")
      yield* Layer.build(task.toLayer(() =>
        Effect.acquireRelease(Effect.sync(() => held++), () => Effect.sync(() => held--)).pipe(
          Effect.andThen(Effect.yieldNow)
        )
      )).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
      for (const timeout of [undefined, 60_000]) {
        // A fiber that yields every four operations stops at other places after each number of operations before.
        for (let before = 0; before < 8; before++) {
          let run: Effect.Effect<RunResult> = TaskRunner.run(registry, makeRecord(task, null, { timeout }))
          for (let i = 0; i < before; i++) {
            run = delayed(run)
          }
          let steps = 0
          for (let ended = false; !ended; steps++) {
            const fiber = yield* Effect.forkChild(run).pipe(Effect.provideService(MaxOpsBeforeYield, 4))
            for (let i = 0; i < steps; i++) {
              yield* Effect.yieldNow
            }
            ended = fiber.pollUnsafe() !== undefined
            yield* Fiber.interrupt(fiber)
            assert.strictEqual(registry.get("T")?.count, 0, `after ${steps} steps`)
            assert.strictEqual(held, 0, `after ${steps} steps`)
          }
          assert.isAbove(steps, 2)
        }
      }
    }))

  it.effect("waits for a handler with a timeout before it releases what the handler uses", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const began = yield* Deferred.make<void>()
      const run = yield* handled(
        task,
        task.toLayer(Effect.fnUntraced(function*() {
          yield* Effect.addFinalizer(() => Effect.sync(() => seen.push("released")))
          yield* Deferred.succeed(began, undefined)
          yield* Effect.onInterrupt(
            Effect.never,
            () => Effect.andThen(Effect.yieldNow, Effect.sync(() => seen.push("stopped")))
          )
        }))
      )
      const fiber = yield* Effect.forkChild(run(null, { timeout: 60_000 }))
      yield* Deferred.await(began)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(seen, ["stopped", "released"])
    }))
})

describe("timeout", () => {
  const task = Task.make("T", {
    success: Schema.String,
    error: Failure,
    retry: { times: 2, schedule: Schedule.spaced("10 seconds"), while: () => false, until: () => true }
  })
  const slow = (handler: Effect.Effect<string, Failure, Scope.Scope>) => handled(task, task.toLayer(() => handler))
  const after = Effect.fnUntraced(function*(effect: Effect.Effect<RunResult>, millis: number) {
    const fiber = yield* Effect.forkChild(effect)
    yield* Effect.yieldNow
    yield* TestClock.adjust(millis)
    return fiber
  })

  it.effect("asks neither while nor until: there is no error of the task", () =>
    Effect.gen(function*() {
      const run = yield* slow(Effect.never)
      for (const [attempt, retryAfter] of [[1, 10_000], [2, 10_000], [3, null]] as const) {
        const fiber = yield* after(run(null, { timeout: 1_000, run: { attempt } }), 1_000)
        const result = yield* Fiber.join(fiber)
        assert.deepInclude(result, { _tag: "TimedOut", retryAfter })
        const exit = result._tag === "TimedOut" ? result.exit : ""
        assert.include(exit, `Attempt ${attempt} of task \`T\` timed out after 1s`)
      }
    }))

  it.effect("does not touch a handler that is done in time", () =>
    Effect.gen(function*() {
      const run = yield* slow(Effect.delay(Effect.succeed("done"), 999))
      const fiber = yield* after(run(null, { timeout: 1_000 }), 999)
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Succeeded", exit: `{"_tag":"Success","value":"done"}` })
    }))

  it.effect("keeps the typed error of a handler that failed in time", () =>
    Effect.gen(function*() {
      const run = yield* slow(Effect.delay(Effect.fail(new Failure({ retryable: true })), 999))
      const fiber = yield* after(run(null, { timeout: 1_000 }), 999)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Failed")
    }))

  it.effect("does not count the finalizers of the attempt", () =>
    Effect.gen(function*() {
      const run = yield* slow(Effect.as(Effect.addFinalizer(() => Effect.sleep("1 minute")), "done"))
      const fiber = yield* after(run(null, { timeout: 1_000 }), 60_000)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Succeeded")
    }))

  it.effect("waits for the finalizers of the handler, and tells the scope's what happened", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const run = yield* slow(
        Effect.addFinalizer((exit) =>
          Effect.sync(() => seen.push(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""))
        ).pipe(
          Effect.andThen(
            Effect.onInterrupt(Effect.never, () =>
              Effect.andThen(
                Effect.sleep("5 seconds"),
                Effect.sync(() => seen.push("handler"))
              ))
          )
        )
      )
      const fiber = yield* after(run(null, { timeout: 1_000 }), 5_999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "TimedOut")
      assert.strictEqual(seen[0], "handler")
      assert.include(seen[1], "timed out")
    }))

  it.effect("keeps what the handler dies of while it is interrupted", () =>
    Effect.gen(function*() {
      const run = yield* slow(Effect.onInterrupt(Effect.never, () => Effect.die(new Error("cleanup failed"))))
      const result = yield* Fiber.join(yield* after(run(null, { timeout: 1_000 }), 1_000))
      assert.strictEqual(result._tag, "TimedOut")
      assert.include(result._tag === "TimedOut" ? result.exit : "", "cleanup failed")
    }))

  it.effect("keeps the error of a handler that fails as its time is up", () =>
    Effect.gen(function*() {
      const run = yield* slow(Effect.delay(Effect.fail(new Failure({ retryable: true })), 1_000))
      const fiber = yield* after(run(null, { timeout: 1_000 }), 1_000)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Failed")
    }))

  it.effect("sleeps on the run's clock, outside of its activity, and not longer than the handler runs", () =>
    Effect.gen(function*() {
      const labels: Array<unknown> = []
      let asleep = 0
      const gate = yield* Deferred.make<void>()
      const run = yield* slow(
        Effect.withFiber((fiber) => {
          labels.push(fiber.getRef(Activity.Label))
          return Effect.as(Deferred.await(gate), "done")
        })
      )
      const base = yield* TestClock.testClockWith((clock) => Effect.succeed(clock))
      // A clock that tells who sleeps on it, as the virtual one does.
      const clock = Object.assign(Object.create(base) as typeof base, {
        sleep: (duration: Duration.Duration) =>
          Effect.withFiber((fiber) => {
            labels.push(fiber.getRef(Activity.Label))
            asleep++
            return Effect.ensuring(base.sleep(duration), Effect.sync(() => asleep--))
          })
      })
      yield* Effect.forkChild(Effect.delay(Deferred.succeed(gate, undefined), 500))
      const opener = yield* Effect.forkChild(TestClock.adjust(500))
      const asleepAfter = yield* run(null, { timeout: 1_000 }).pipe(
        Effect.andThen(Effect.yieldNow),
        Effect.andThen(Effect.sync(() => asleep)),
        Effect.provideService(Clock.Clock, clock),
        Effect.provideService(Activity.Label, "run")
      )
      yield* Fiber.join(opener)
      assert.deepStrictEqual(labels, ["run", undefined])
      assert.strictEqual(asleepAfter, 0)
    }))
})

describe("retry", () => {
  const error = new Failure({ retryable: true })
  const delays = (retry: Task.Retry<Failure>, attempts: number, given: Failure = error) =>
    Effect.forEach(
      Array.from({ length: attempts }, (_, i) => i + 1),
      (attempt) => retryAfter(retry as Task.Retry<never>, attempt, given, true)
    )

  it.effect("continues the schedule at the stored attempt", () =>
    Effect.gen(function*() {
      const schedule = Schedule.exponential("1 second")
      assert.deepStrictEqual(yield* delays({ schedule }, 4), [1_000, 2_000, 4_000, 8_000])
      assert.deepStrictEqual(yield* delays({ schedule, times: 2 }, 4), [1_000, 2_000, null, null])
    }))

  it.effect("gives up when the schedule does", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* delays({ schedule: Schedule.recurs(2) }, 4),
        [0, 0, null, null]
      )
    }))

  it.effect("agrees with Effect.retry about the delays and the number of attempts", () =>
    Effect.gen(function*() {
      const retries: ReadonlyArray<Task.Retry<Failure>> = [
        { times: 3 },
        { times: 0 },
        { times: 3, schedule: Schedule.exponential("100 millis", 3) },
        { schedule: Schedule.fibonacci("1 second").pipe(Schedule.upTo({ times: 5 })) },
        { schedule: Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "3500 millis" })), times: 10 },
        { schedule: Schedule.spaced("1 second"), times: 4, while: (error) => error.retryable },
        { schedule: Schedule.spaced("1 second"), times: 4, until: (error) => error.retryable },
        { times: 4, while: () => Effect.succeed(true), until: () => Effect.succeed(false) }
      ]
      for (const retry of retries) {
        const began: Array<number> = []
        const program = Effect.flatMap(Effect.clockWith((clock) => clock.currentTimeMillis), (now) => {
          began.push(now)
          return Effect.fail(error)
        })
        const fiber = yield* Effect.forkChild(Effect.exit(Effect.retry(program, retry)))
        yield* TestClock.adjust("1 hour")
        yield* Fiber.join(fiber)
        const expected = [...began.slice(1).map((at, i) => at - began[i]!), null]
        assert.deepStrictEqual(yield* delays(retry, began.length), expected)
      }
    }))

  it.effect("rounds up: a delay is never shorter than it says", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* delays({ schedule: Schedule.spaced(Duration.micros(1_500n)) }, 1), [2])
    }))

  it.effect("takes a cron schedule from now, not from 1970", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 2, 27, 6, 15))
      const schedule = Schedule.cron("0 * * * *", "UTC")
      assert.deepStrictEqual(yield* delays({ schedule }, 3), [45 * 60_000, 45 * 60_000, 45 * 60_000])
    }))

  it.effect("asks while and until about the latest error, with effects too", () =>
    Effect.gen(function*() {
      const no = new Failure({ retryable: false })
      const whileRetryable: Task.Retry<Failure> = { times: 1, while: (error) => error.retryable }
      const untilFinal: Task.Retry<Failure> = {
        times: 1,
        until: (error) => Effect.as(Effect.yieldNow, !error.retryable)
      }
      assert.deepStrictEqual(yield* delays(whileRetryable, 1), [0])
      assert.deepStrictEqual(yield* delays(whileRetryable, 1, no), [null])
      assert.deepStrictEqual(yield* delays(untilFinal, 1), [0])
      assert.deepStrictEqual(yield* delays(untilFinal, 1, no), [null])
      assert.deepStrictEqual(yield* delays({ ...whileRetryable, until: () => true }, 1), [null])
    }))

  it.effect("a delay without end is no retry", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* delays({ schedule: Schedule.spaced(Duration.infinity) }, 1), [null])
    }))

  const failing = (retry: Task.Retry<Failure>, handler: Effect.Effect<void, Failure>) => {
    const task = Task.make("T", { error: Failure, retry })
    return Effect.map(handled(task, task.toLayer(() => handler)), (run) => ({ task, run }))
  }

  it.effect("a predicate or schedule that fails decides nothing: its defect is in the exit", () =>
    Effect.gen(function*() {
      const retries: ReadonlyArray<Task.Retry<Failure>> = [
        { while: () => assert.fail("bug") },
        { until: () => Effect.fail(new Error("bug")) },
        { schedule: Schedule.spaced("1 second").pipe(Schedule.addDelay(() => Effect.fail(new Error("bug")))) }
      ]
      for (const retry of retries) {
        const { run, task } = yield* failing(retry, Effect.fail(error))
        const result = yield* run()
        assert.deepInclude(result, { _tag: "Failed", retryAfter: null })
        const cause = yield* causeOf(task, result)
        assert.isTrue(Cause.hasFails(cause) && Cause.hasDies(cause))
        assert.include(Cause.pretty(cause), "bug")
      }
    }))

  it.effect("a defect beside a typed error wins", () =>
    Effect.gen(function*() {
      const cause = Cause.combine(Cause.fail(error), Cause.die("x"))
      const { run } = yield* failing({ times: 3 }, Effect.failCause(cause))
      assert.deepInclude(yield* run(), { _tag: "Failed", retryAfter: null })
    }))

  it.effect("a typed error beside an interruption is tried again", () =>
    Effect.gen(function*() {
      const cause = Cause.combine(Cause.fail(error), Cause.interrupt(1))
      const { run } = yield* failing({ times: 3 }, Effect.failCause(cause))
      assert.deepInclude(yield* run(), { _tag: "Failed", retryAfter: 0 })
    }))

  it.effect("never starts again what may be started once only", () =>
    Effect.gen(function*() {
      const { run } = yield* failing({ times: 3 }, Effect.fail(error))
      assert.deepInclude(yield* run(null, { run: { atMostOnce: true } }), { retryAfter: null })
      assert.deepInclude(yield* run(), { retryAfter: 0 })
    }))
})
