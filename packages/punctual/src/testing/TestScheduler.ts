/**
 * A scheduler under virtual time: weeks in milliseconds, the same runs at the same times whatever the store.
 *
 * Time moves only when nothing is in flight. Each step goes to the next instant at which something sleeps until, and
 * waits until everything that woke up has ended or sleeps again. Stores work in real time meanwhile.
 *
 *     advance ──▶ idle? ──▶ next sleeper ──▶ move the clock ──▶ idle? ──▶ … ──▶ target
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { hasProperty } from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Activity from "../Activity.ts"
import type * as Executors from "../Executors.ts"
import { instant as instantOf } from "../internal/triggerInput.ts"
import { makeVirtualTime, type VirtualTime } from "../internal/virtualTime.ts"
import * as MemoryTaskStore from "../MemoryTaskStore.ts"
import type * as Policy from "../Policy.ts"
import type { InvalidOption } from "../SchedulerError.ts"
import type { SchedulerEvent } from "../SchedulerEvent.ts"
import type * as Task from "../Task.ts"
import type { RunInfo } from "../TaskInfo.ts"
import type { TaskRegistry } from "../TaskRegistry.ts"
import * as TaskScheduler from "../TaskScheduler.ts"
import type { TaskSchedulerClient } from "../TaskSchedulerClient.ts"
import type { TaskStore } from "../TaskStore.ts"
import type * as Trigger from "../Trigger.ts"

/**
 * Time could not move: something was still in flight after the patience of real time ran out.
 *
 * @category errors
 * @since 0.1.0
 */
export class NeverIdle extends Schema.TaggedError<NeverIdle>()("NeverIdle", {
  busy: Schema.Array(Schema.String),
  patience: Schema.Number
}) {
  override get message(): string {
    return `Virtual time stands still: after ${this.patience} ms of real time these have neither ended nor slept: ` +
      `${this.busy.join("; ")}. A handler that waits for something other than time says so with Activity.idle.`
  }
}

/**
 * The program has another clock than the one this test moves.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotVirtualTime extends Schema.TaggedError<NotVirtualTime>()("NotVirtualTime", {}) {
  override get message(): string {
    return "TestScheduler was built under one test clock and used under another: build it inside the test that uses it."
  }
}

/**
 * Moves time, and tells what happened. Where runs are answered, they are those that ended since the answer before.
 *
 * @category services
 * @since 0.1.0
 */
export class TestScheduler extends Context.Service<TestScheduler, {
  /** The present virtual instant. */
  readonly now: Effect.Effect<DateTime.Utc>
  /** Moves time forward, stopping at every instant at which something is due; answers the runs that ended. */
  readonly advance: (duration: Duration.Input) => Effect.Effect<ReadonlyArray<RunInfo>, NeverIdle>
  /** Like `advance`, to an instant. */
  readonly advanceTo: (instant: Trigger.InstantInput) => Effect.Effect<ReadonlyArray<RunInfo>, NeverIdle>
  /**
   * Moves the wall clock, forward or back, without waking what sleeps: a suspended machine, a corrected clock. What is
   * due is seen when the scheduler next wakes up: at the instant it slept until, or at a change.
   */
  readonly jump: (duration: Duration.Input) => Effect.Effect<void>
  /** Waits until nothing is in flight, without moving time; answers the runs that ended. */
  readonly settle: Effect.Effect<ReadonlyArray<RunInfo>, NeverIdle>
  /**
   * Closes the program as a signal would, moving time as far as its drain needs; answers the runs that ended. What does
   * not stop when it is interrupted takes `patience` of real time, once, whatever time passes meanwhile.
   */
  readonly shutdown: Effect.Effect<ReadonlyArray<RunInfo>>
  /** Runs that have ended so far, in that order. */
  readonly runs: Effect.Effect<ReadonlyArray<RunInfo>>
  /** Every event so far. */
  readonly events: Effect.Effect<ReadonlyArray<SchedulerEvent>>
}>()("punctual/testing/TestScheduler") {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The instant at which the program is built. Default: the test clock's, which begins at 1970-01-01T00:00:00Z. */
  readonly now?: Trigger.InstantInput | undefined
  /** Real time after which a step that does not end fails, in milliseconds. Default: 2,000. */
  readonly patience?: number | undefined
}

/**
 * A scheduler for `App` under virtual time, over a memory store unless another is given.
 *
 * **Details**
 *
 * Under a `TestClock` (as in `it.effect`) it moves that clock; without one it brings its own, so that no test runner is
 * needed. Options are those of `TaskScheduler.layer`; `drainTimeout` is 0 unless given.
 *
 * **Example**
 *
 * ```ts
 * it.effect("sends on working days only", () => Effect.gen(function*() {
 *   const runs = yield* TestScheduler.advance("4 days")
 *   assert.strictEqual(runs.length, 2)
 * }).pipe(Effect.provide(TestScheduler.layer(App, { now: "2026-03-27T06:00:00Z" }))))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R, SE = never, SR = never, XA = never, XE = never, XR = never>(
  App: Layer.Layer<A, E, R>,
  options?: Options & TaskScheduler.Options & {
    readonly store?: Layer.Layer<TaskStore, SE, SR> | undefined
    readonly executors?: Layer.Layer<Executors.Executors | XA, XE, XR> | undefined
  }
): Layer.Layer<
  | A
  | Extract<XA, Task.Handler<string>>
  | TaskScheduler.TaskScheduler
  | TaskSchedulerClient
  | TestScheduler,
  E | SE | XE | InvalidOption | Policy.InvalidPolicy,
  | Exclude<R, TaskScheduler.Provided | Extract<A | XA, Task.Handler<string>>>
  | SR
  | Exclude<XR, TaskRegistry>
> => {
  const { now, patience, store, ...rest } = options ?? {}
  return layerProgram(
    TaskScheduler.layer(App, { drainTimeout: 0, ...rest }).pipe(
      Layer.provide((store ?? MemoryTaskStore.layer) as Layer.Layer<TaskStore, SE, SR>)
    ) as Layer.Layer<A | TaskScheduler.TaskScheduler | TaskSchedulerClient, E | SE | XE, SR>,
    { now, patience }
  ) as never
}

/**
 * Any program under virtual time: one that is complete, or several schedulers over one store.
 *
 * **Details**
 *
 * Stores the program builds are called on the real clock.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerProgram = <A, E, R>(
  program: Layer.Layer<A, E, R>,
  options: Options = {}
): Layer.Layer<A | TestScheduler, E, R> =>
  Layer.effectContext(Effect.gen(function*() {
    const current = yield* Clock.Clock
    return isTestClock(current) ? yield* build(program, current, options) : yield* Effect.gen(function*() {
      // Whoever runs this has no test clock: bring one.
      const context = yield* Layer.build(TestClock.layer())
      const clock = Context.get(context, Clock.Clock)
      return yield* Effect.provideContext(build(program, clock as TestClock.TestClock, options), context)
    })
  }))

const isTestClock = (clock: Clock.Clock): clock is TestClock.TestClock => hasProperty(clock, "setTime")

const build = <A, E, R>(
  program: Layer.Layer<A, E, R>,
  testClock: TestClock.TestClock,
  options: Options
): Effect.Effect<Context.Context<A | TestScheduler>, E, R | Scope.Scope> =>
  Effect.gen(function*() {
    const time = yield* makeVirtualTime(testClock)
    const patience = options.patience ?? 2_000
    const events: Array<SchedulerEvent> = []
    const ended: Array<RunInfo> = []
    const activity: Activity.Activity = {
      ...time.activity,
      observe: (event) => {
        events.push(event)
        if (event._tag === "RunEnded") ended.push(event.run)
      }
    }
    if (options.now !== undefined) yield* testClock.setTime(instantOf(options.now, "UTC"))
    const scope = yield* Scope.make()
    let closed = false
    const close = Effect.suspend(() => {
      if (closed) return Effect.void
      closed = true
      return drive(time, patience, Scope.close(scope, Exit.void), activity)
    })
    yield* Effect.addFinalizer(() => close)
    const context = yield* Layer.buildWithScope(program, scope).pipe(
      Effect.provideService(Clock.Clock, time.clock),
      Effect.provideService(Activity.Activity, activity)
    )
    // Each run is answered once: what is added may have ended before anybody waits for it.
    let answered = 0
    const since = <E>(effect: Effect.Effect<void, E>) =>
      Effect.map(effect, (): ReadonlyArray<RunInfo> => {
        const runs = ended.slice(answered)
        answered = ended.length
        return runs
      })
    const idle = awaitIdle(time, patience)
    const advanceTo = (target: number) =>
      Effect.gen(function*() {
        if (
          isTestClock(yield* Clock.Clock) && (yield* Clock.Clock) !== testClock && (yield* Clock.Clock) !== time.clock
        ) {
          return yield* Effect.die(new NotVirtualTime())
        }
        while (true) {
          yield* idle
          const next = Math.min(time.nextSleeper(), target)
          if (next > testClock.currentTimeMillisUnsafe()) yield* testClock.setTime(next)
          if (next >= target && time.nextSleeper() > target) {
            yield* idle
            if (time.nextSleeper() > target) return
          }
        }
      })
    return Context.add(
      context,
      TestScheduler,
      TestScheduler.of({
        now: Effect.sync(() => DateTime.makeUnsafe(time.clock.currentTimeMillisUnsafe())),
        advance: (duration) =>
          since(Effect.suspend(() =>
            advanceTo(testClock.currentTimeMillisUnsafe() + Duration.toMillis(Duration.fromInputUnsafe(duration)))
          )),
        advanceTo: (target) =>
          since(Effect.suspend(() => advanceTo(instantOf(target, "UTC") - time.offset()))),
        jump: (duration) => Effect.sync(() => time.jump(Duration.toMillis(Duration.fromInputUnsafe(duration)))),
        settle: since(idle),
        shutdown: since(close),
        runs: Effect.sync(() => ended.slice()),
        events: Effect.sync(() => events.slice())
      })
    )
  })

/** Waits, in real time, until nothing is in flight. */
const awaitIdle = (time: VirtualTime, patience: number): Effect.Effect<void, NeverIdle> =>
  Effect.gen(function*() {
    while (true) {
      // What is about to begin must have begun, and what has ended must sleep: nothing may change in two turns.
      const changes = time.changes()
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      if (time.busy() > 0) {
        const waited = yield* time.live(Effect.timeoutOption(time.idle, Duration.millis(patience)))
        if (waited._tag === "None") return yield* new NeverIdle({ busy: time.labels(), patience })
      } else if (time.changes() === changes) return
    }
  })

/** Runs an effect to its end, moving time whenever it waits for it. */
const drive = (
  time: VirtualTime,
  patience: number,
  effect: Effect.Effect<void>,
  activity: Activity.Activity
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const label = "closing"
    activity.begin(label)
    const fiber = yield* Effect.forkChild(
      Effect.ensuring(effect, Effect.sync(() => activity.end(label))).pipe(
        Effect.provideService(Clock.Clock, time.clock),
        Effect.provideService(Activity.Activity, activity),
        Effect.provideService(Activity.Label, label)
      ),
      { startImmediately: true }
    )
    while (fiber.pollUnsafe() === undefined) {
      // What never ends does not keep a program from closing: its drain has bounds, which time must reach. It is waited
      // for once.
      yield* Effect.catch(awaitIdle(time, patience), () => Effect.sync(time.giveUp))
      if (fiber.pollUnsafe() !== undefined) break
      const next = time.nextSleeper()
      if (next === Infinity) break
      yield* time.testClock.setTime(Math.max(next, time.testClock.currentTimeMillisUnsafe()))
    }
    yield* Fiber.join(fiber)
  })

/**
 * Moves time forward; answers the runs that ended since the answer before.
 *
 * @category destructors
 * @since 0.1.0
 */
export const advance = (duration: Duration.Input): Effect.Effect<ReadonlyArray<RunInfo>, NeverIdle, TestScheduler> =>
  TestScheduler.use((test) => test.advance(duration))

/**
 * Moves time forward to an instant; answers the runs that ended since the answer before.
 *
 * @category destructors
 * @since 0.1.0
 */
export const advanceTo = (
  target: Trigger.InstantInput
): Effect.Effect<ReadonlyArray<RunInfo>, NeverIdle, TestScheduler> =>
  TestScheduler.use((test) => test.advanceTo(target))

/**
 * Moves the wall clock without waking what sleeps.
 *
 * @category destructors
 * @since 0.1.0
 */
export const jump = (duration: Duration.Input): Effect.Effect<void, never, TestScheduler> =>
  TestScheduler.use((test) => test.jump(duration))

/**
 * Waits until nothing is in flight.
 *
 * @category destructors
 * @since 0.1.0
 */
export const settle: Effect.Effect<ReadonlyArray<RunInfo>, NeverIdle, TestScheduler> = TestScheduler.use((test) =>
  test.settle
)

/**
 * Closes the program as a signal would.
 *
 * @category destructors
 * @since 0.1.0
 */
export const shutdown: Effect.Effect<ReadonlyArray<RunInfo>, never, TestScheduler> = TestScheduler.use((test) =>
  test.shutdown
)

/**
 * Runs that have ended so far.
 *
 * @category destructors
 * @since 0.1.0
 */
export const runs: Effect.Effect<ReadonlyArray<RunInfo>, never, TestScheduler> = TestScheduler.use((test) => test.runs)

/**
 * Every event so far.
 *
 * @category destructors
 * @since 0.1.0
 */
export const events: Effect.Effect<ReadonlyArray<SchedulerEvent>, never, TestScheduler> = TestScheduler.use((test) =>
  test.events
)
