/**
 * What every executor keeps, as a suite: nothing happens on import.
 *
 * **Example**
 *
 * ```ts
 * ExecutorSuite.suite("fibers", Executor.layerFibers(), {
 *   capabilities: { inProcess: true, supervises: true, isolates: false, stopsComputing: false }
 * })
 * ```
 *
 * An executor that runs handlers in another process or thread serves `handlers(logging(end))` there: what handlers log
 * must come back, and is how the suite sees what they do.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { CurrentRun } from "punctual/CurrentRun"
import { Executor } from "punctual/Executor"
import type { RunRecord, RunResult } from "punctual/Executor"
import * as Task from "punctual/Task"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import * as TaskRegistry from "punctual/TaskRegistry"

/**
 * What an executor can do: the suite adapts to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  /** Handlers run in this process: the suite sees what they do, and virtual time drives them. */
  readonly inProcess: boolean
  /** Closing the layer interrupts what runs. `false`: runs belong to the fibers that asked for them. */
  readonly supervises: boolean
  /** A handler may end the thread or process it is in: its run is lost, and nothing else. */
  readonly isolates: boolean
  /** A handler that computes and never yields is ended when it is interrupted, or its time is up. */
  readonly stopsComputing: boolean
}

/**
 * What the handlers tell the suite, where they can.
 *
 * @category models
 * @since 0.1.0
 */
export interface Probe {
  readonly saw: (event: string) => Effect.Effect<void>
  /** What a waiting handler waits for. */
  readonly gate: Effect.Effect<void>
  /** Ends the thread or process of the handler at once. */
  readonly end: Effect.Effect<void>
}

/**
 * For handlers elsewhere: what they tell is logged.
 *
 * @category constructors
 * @since 0.1.0
 */
export const logging = (end: Effect.Effect<void>): Probe => ({
  saw: (event) => Effect.logInfo(`${logPrefix}${event}`),
  gate: Effect.never,
  end
})

const logPrefix = "ExecutorSuite saw "

// -----------------------------------------------------------------------------
// tasks
// -----------------------------------------------------------------------------

/** @category errors @since 0.1.0 */
export class Refused extends Schema.TaggedError<Refused>()("ExecutorSuite/Refused", {
  reason: Schema.String,
  retryable: Schema.Boolean
}) {}

const Doubles = Task.make("ExecutorSuite/Doubles", {
  payload: { n: Schema.Int, at: Schema.DateTimeUtcFromString },
  success: Schema.Struct({ n: Schema.Int, at: Schema.DateTimeUtcFromString })
})
const Fails = Task.make("ExecutorSuite/Fails", {
  payload: { retryable: Schema.Boolean },
  error: Refused,
  retry: { times: 3, schedule: Schedule.exponential("1 second"), while: (error) => error.retryable }
})
const Dies = Task.make("ExecutorSuite/Dies", { retry: { times: 3 } })
const Waits = Task.make("ExecutorSuite/Waits", { retry: { times: 1, schedule: Schedule.spaced("1 minute") } })
const InterruptsItself = Task.make("ExecutorSuite/InterruptsItself")
const Computes = Task.make("ExecutorSuite/Computes", { retry: { times: 1, schedule: Schedule.spaced("1 minute") } })
const Ends = Task.make("ExecutorSuite/Ends")
const Logs = Task.make("ExecutorSuite/Logs")
const Spans = Task.make("ExecutorSuite/Spans", { success: Schema.Array(Schema.String) })
const Limited = Task.make("ExecutorSuite/Limited", {
  payload: { n: Schema.Int },
  rateLimit: { limit: 1, window: "1 minute", key: ({ n }) => `${n}` }
})
const Acquires = Task.make("ExecutorSuite/Acquires", { payload: { name: Schema.String } })
const Tells = Task.make("ExecutorSuite/Tells", {
  success: Schema.Struct({
    id: Schema.String,
    taskId: Schema.String,
    attempt: Schema.Int,
    scheduledAt: Schema.Number,
    dueAt: Schema.Number,
    fencingToken: Schema.Int,
    store: Schema.String,
    extra: Schema.Boolean,
    now: Schema.Number
  })
})

/** Counts for everybody, wherever handlers are: who comes next waits for 20 seconds. */
const Exhausted = Layer.effect(RateLimiter.RateLimiterStore)(
  Effect.map(RateLimiter.RateLimiterStore, (store) => ({
    ...store,
    fixedWindow: () => Effect.succeed([2, 20_000] as const)
  }))
).pipe(Layer.provide(RateLimiter.layerStoreMemory))

/**
 * The handlers of the suite's tasks.
 *
 * @category layers
 * @since 0.1.0
 */
export const handlers = (
  probe: Probe
): Layer.Layer<never, TaskRegistry.TaskAlreadyHandled, TaskRegistry.TaskRegistry> =>
  Layer.mergeAll(
    Doubles.toLayer(({ at, n }) => Effect.succeed({ n: n * 2, at: DateTime.add(at, { days: 1 }) })),
    Fails.toLayer(({ retryable }) => Effect.fail(new Refused({ reason: "no", retryable }))),
    Dies.toLayer(() => Effect.die(new Error("broken"))),
    Waits.toLayer(() =>
      probe.saw("began").pipe(
        Effect.andThen(probe.gate),
        Effect.onInterrupt(() => Effect.andThen(Effect.yieldNow, probe.saw("finalized"))),
        Effect.ensuring(probe.saw("ended"))
      )
    ),
    Computes.toLayer(() =>
      Effect.andThen(
        probe.saw("computing"),
        Effect.sync(() => {
          for (let n = 0; n >= 0; n = (n + 1) % 1_000);
        })
      )
    ),
    Ends.toLayer(() => Effect.andThen(probe.saw("ending"), probe.end)),
    Logs.toLayer(() =>
      Effect.logWarning("hello", { n: 1 }).pipe(
        Effect.annotateLogs("mood", "good"),
        Effect.andThen(Effect.logDebug("quiet"))
      )
    ),
    Spans.toLayer(() => Effect.map(Effect.orDie(Effect.currentParentSpan), ({ spanId, traceId }) => [traceId, spanId])),
    InterruptsItself.toLayer(() => Effect.interrupt),
    Limited.toLayer(() => probe.saw("began")).pipe(Layer.provide(RateLimiter.layer), Layer.provide(Exhausted)),
    Acquires.toLayer(Effect.fnUntraced(function*({ name }) {
      yield* Effect.acquireRelease(probe.saw(`${name} acquired`), () => probe.saw(`${name} released`))
      yield* Effect.addFinalizer((exit) => probe.saw(`${name} ${exit._tag}`))
      yield* probe.saw(`${name} works`)
    })),
    Tells.toLayer(Effect.fnUntraced(function*(_, given) {
      const run = yield* CurrentRun
      assert.strictEqual(given.id, run.id)
      return {
        id: run.id,
        taskId: run.taskId,
        attempt: run.attempt,
        scheduledAt: DateTime.toEpochMillis(run.scheduledAt),
        dueAt: DateTime.toEpochMillis(run.dueAt),
        fencingToken: run.fencingToken,
        store: run.store,
        extra: run.extra,
        now: yield* Clock.currentTimeMillis
      }
    }))
  )

// -----------------------------------------------------------------------------
// records
// -----------------------------------------------------------------------------

/**
 * A claimed run as an engine would hand it out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRecord = (
  task: Task.Any,
  payload: unknown,
  options?: {
    readonly timeout?: number | undefined
    readonly run?: Partial<RunRow> | undefined
    readonly task?: Partial<TaskRow> | undefined
  }
): RunRecord => {
  const due = 1_700_000_000_000
  const run: RunRow = {
    generation: 7,
    key: String(due),
    taskId: "suite",
    tag: task.tag,
    version: task.version,
    executor: "default",
    priority: 0,
    concurrencyKey: null,
    concurrencyLimit: 1,
    due,
    nominal: due - 1_500,
    state: "running",
    held: false,
    readyAt: due,
    attempt: 1,
    takeovers: 0,
    createdAt: due,
    owner: "suite",
    token: 41,
    leaseUntil: due + 30_000,
    startedAt: due,
    cancel: null,
    endedAt: null,
    exit: null,
    slots: 1,
    queues: false,
    atMostOnce: false,
    ...options?.run
  }
  return {
    run,
    task: {
      id: run.taskId,
      generation: run.generation,
      revision: 1,
      tag: run.tag,
      version: run.version,
      name: task.name,
      payload: JSON.stringify(payload),
      display: "null",
      trigger: "{}",
      anchor: due,
      onStartup: false,
      onShutdown: false,
      policy: "{}",
      executor: "default",
      priority: 0,
      concurrencyKey: null,
      concurrencyLimit: 1,
      labels: "{}",
      owner: null,
      declared: null,
      trace: null,
      createdAt: due,
      updatedAt: due,
      state: "scheduled",
      cursor: due,
      due: null,
      nominal: null,
      zoneRules: null,
      override: null,
      epoch: due,
      counters: { ran: 1, missed: 0, coalesced: 0, skipped: 0, paused: 0, extra: 0, exact: true },
      ranges: "[]",
      pausedAt: null,
      pauseNote: null,
      failures: 0,
      ...options?.task
    },
    store: "default",
    timeout: options?.timeout ?? null
  }
}

const exitOf = <A extends Schema.Top, E extends Schema.Top>(
  task: { readonly success: A; readonly error: E },
  result: RunResult
): Effect.Effect<Exit.Exit<A["Type"], E["Type"]>> => {
  const schema = Schema.fromJsonString(Schema.toCodecJson(Schema.Exit(task.success, task.error, Schema.Defect())))
  const text = "exit" in result ? result.exit : result.reason
  return Schema.decodeUnknownEffect(schema)(text).pipe(Effect.orDie) as Effect.Effect<Exit.Exit<A["Type"], E["Type"]>>
}

// -----------------------------------------------------------------------------
// suite
// -----------------------------------------------------------------------------

/**
 * Holds an executor's layer to what engines rely on.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = (
  name: string,
  layer: Layer.Layer<Executor, unknown, TaskRegistry.TaskRegistry>,
  options: {
    readonly capabilities: Capabilities
    readonly skip?: ReadonlyArray<{ readonly test: string; readonly reason: string }> | undefined
    /** The same executor, that waits a moment only for handlers to end: for the tests in which none does. */
    readonly impatient?: Layer.Layer<Executor, unknown, TaskRegistry.TaskRegistry> | undefined
  }
): void => {
  const { inProcess, isolates, stopsComputing, supervises } = options.capabilities

  type Layered = Layer.Layer<Executor, unknown, TaskRegistry.TaskRegistry>

  interface Logged {
    readonly level: string
    readonly message: ReadonlyArray<unknown>
    readonly annotations: Readonly<Record<string, unknown>>
  }

  interface Setup {
    readonly executor: Executor["Service"]
    readonly seen: Array<string>
    readonly logged: ReadonlyArray<Logged>
    readonly open: Effect.Effect<boolean>
    /** Waits until a handler reported it so many times. */
    readonly until: (event: string, times?: number) => Effect.Effect<void>
    readonly closeHandlers: Effect.Effect<void>
    readonly closeExecutor: Effect.Effect<void>
  }

  const setup = Effect.fnUntraced(function*(layer: Layered, listening: { heard: (logged: Logged) => void }) {
    const logged: Array<Logged> = []
    const seen: Array<string> = []
    const waiting = new Set<() => void>()
    const gate = yield* Deferred.make<void>()
    const registry = yield* TaskRegistry.make("suite")
    const context = Context.make(TaskRegistry.TaskRegistry, registry)
    const sawUnsafe = (event: string) => {
      seen.push(event)
      for (const check of waiting) check()
    }
    const saw = (event: string) => Effect.sync(() => sawUnsafe(event))
    listening.heard = (entry) => {
      const text = String(entry.message[0])
      if (text.startsWith(logPrefix)) sawUnsafe(text.slice(logPrefix.length))
      else logged.push(entry)
    }
    const handled = yield* Scope.fork(yield* Effect.scope)
    yield* Layer.buildWithScope(handlers({ saw, gate: Deferred.await(gate), end: Effect.void }), handled).pipe(
      Effect.provideContext(context)
    )
    const executing = yield* Scope.fork(yield* Effect.scope)
    const built = yield* Layer.buildWithScope(layer, executing).pipe(Effect.provideContext(context))
    const until = (event: string, times = 1) =>
      Effect.callback<void>((resume) => {
        const check = () => {
          if (seen.filter((it) => it === event).length >= times) resume(Effect.void)
        }
        waiting.add(check)
        check()
        return Effect.sync(() => waiting.delete(check))
      })
    return {
      executor: Context.get(built, Executor),
      seen,
      logged,
      until,
      open: Deferred.succeed(gate, undefined),
      closeHandlers: Scope.close(handled, Exit.void),
      closeExecutor: Scope.close(executing, Exit.void)
    } satisfies Setup
  })

  const test = (
    title: string,
    needs: boolean,
    body: (setup: Setup) => Effect.Effect<void, unknown, Scope.Scope>,
    tested: Layered = layer
  ) => {
    const skipped = !needs || options.skip?.some((skip) => skip.test === title) === true
    const run = inProcess ? it.effect : it.live
    const define = skipped ? run.skip : run
    define(title, () => {
      const listening: { heard: (logged: Logged) => void } = { heard: () => {} }
      const logger = Logger.make((given) => {
        const { annotations, message } = Logger.formatStructured.log(given)
        listening.heard({ level: given.logLevel, message: Array.isArray(message) ? message : [message], annotations })
      })
      return Effect.scoped(Effect.flatMap(setup(tested, listening), body)).pipe(Effect.provide(Logger.layer([logger])))
    }, inProcess ? undefined : patience)
  }
  // Real time, in which workers start.
  const patience = 60_000
  // Virtual time where there is any; elsewhere it passes by itself.
  const pass = (millis: number) => inProcess ? TestClock.adjust(millis) : Effect.void
  const settle = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, { discard: true })

  describe(`Executor (${name})`, () => {
    test(
      "offers the tags that are handled, until they are not",
      true,
      ({ closeHandlers, executor }) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* executor.tags).get(Doubles.tag), 1)
          if (!inProcess) return
          yield* closeHandlers
          assert.isFalse((yield* executor.tags).has(Doubles.tag))
        })
    )

    test("succeeds with the encoded value", true, ({ executor }) =>
      Effect.gen(function*() {
        const result = yield* executor.run(makeRecord(Doubles, { n: 21, at: "2026-03-27T06:00:00.000Z" }))
        assert.strictEqual(result._tag, "Succeeded")
        assert.deepStrictEqual(
          yield* exitOf(Doubles, result),
          Exit.succeed({ n: 42, at: DateTime.makeUnsafe("2026-03-28T06:00:00Z") })
        )
      }))

    test("fails with the typed error, and says when to try again", true, ({ executor }) =>
      Effect.gen(function*() {
        for (const [attempt, retryAfter] of [[1, 1_000], [2, 2_000], [3, 4_000], [4, null]] as const) {
          const result = yield* executor.run(makeRecord(Fails, { retryable: true }, { run: { attempt } }))
          assert.deepStrictEqual(
            yield* exitOf(Fails, result),
            Exit.fail(new Refused({ reason: "no", retryable: true }))
          )
          assert.deepInclude(result, { _tag: "Failed", retryAfter })
        }
      }))

    test("does not try again what the definition gives up", true, ({ executor }) =>
      Effect.gen(function*() {
        const result = yield* executor.run(makeRecord(Fails, { retryable: false }))
        assert.deepInclude(result, { _tag: "Failed", retryAfter: null })
      }))

    test("fails with a defect, which is not tried again", true, ({ executor }) =>
      Effect.gen(function*() {
        const result = yield* executor.run(makeRecord(Dies, null))
        assert.deepInclude(result, { _tag: "Failed", retryAfter: null })
        const exit = yield* exitOf(Dies, result)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.include(result._tag === "Failed" ? result.exit : "", "broken")
      }))

    test(
      "a timeout interrupts the handler and runs its finalizers",
      true,
      ({ executor, seen, until }) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(executor.run(makeRecord(Waits, null, { timeout: 100 })))
          yield* until("began")
          yield* pass(99)
          if (inProcess) assert.deepStrictEqual(seen, ["began"])
          yield* pass(1)
          const result = yield* Fiber.join(fiber)
          assert.deepInclude(result, { _tag: "TimedOut", retryAfter: 60_000 })
          assert.deepStrictEqual(seen, ["began", "finalized", "ended"])
        })
    )

    test(
      "an interruption reaches the handler, and waits for its finalizers",
      true,
      ({ executor, seen, until }) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(executor.run(makeRecord(Waits, null)))
          yield* until("began")
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          assert.isTrue(Exit.hasInterrupts(exit))
          assert.deepStrictEqual(seen, ["began", "finalized", "ended"])
        })
    )

    test(
      "an interruption reaches a handler that has a timeout",
      true,
      ({ executor, seen, until }) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(executor.run(makeRecord(Waits, null, { timeout: 60_000 })))
          yield* until("began")
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          assert.isTrue(Exit.hasInterrupts(exit))
          assert.deepStrictEqual(seen, ["began", "finalized", "ended"])
        })
    )

    test("a handler that interrupts itself has failed", true, ({ executor }) =>
      Effect.gen(function*() {
        for (const timeout of [undefined, 60_000]) {
          const result = yield* executor.run(makeRecord(InterruptsItself, null, { timeout }))
          assert.deepInclude(result, { _tag: "Failed", retryAfter: null })
          assert.isTrue(Exit.hasInterrupts(yield* exitOf(InterruptsItself, result)))
        }
      }))

    test("a payload it cannot decode is unreadable", true, ({ executor }) =>
      Effect.gen(function*() {
        const result = yield* executor.run(makeRecord(Doubles, { n: "many" }))
        assert.strictEqual(result._tag, "Unreadable")
        assert.include(result._tag === "Unreadable" ? result.reason : "", `["n"]`)
        const broken = makeRecord(Doubles, null, { task: { payload: "{" } })
        assert.strictEqual((yield* executor.run(broken))._tag, "Unreadable")
      }))

    test(
      "a run that its rate limit postpones has not begun, and says when it may",
      true,
      ({ executor, seen }) =>
        Effect.gen(function*() {
          for (const n of [1, 2]) {
            assert.deepStrictEqual(yield* executor.run(makeRecord(Limited, { n })), {
              _tag: "Postponed",
              reason: "rateLimited",
              retryAfter: 20_000
            })
          }
          assert.deepStrictEqual(seen, [])
        })
    )

    test("a payload of a newer version is unreadable", true, ({ executor }) =>
      Effect.gen(function*() {
        const result = yield* executor.run(makeRecord(Dies, null, { task: { version: 2 } }))
        assert.strictEqual(result._tag, "Unreadable")
      }))

    test("a tag nobody handles is unreadable here", true, ({ executor }) =>
      Effect.gen(function*() {
        const result = yield* executor.run(makeRecord(Task.make("ExecutorSuite/Unheard"), null))
        assert.strictEqual(result._tag, "Unreadable")
        assert.include(result._tag === "Unreadable" ? result.reason : "", "ExecutorSuite/Unheard")
      }))

    test(
      "runs as many at once as it says, and no more",
      inProcess,
      ({ executor, open, seen, until }) =>
        Effect.gen(function*() {
          const runs = yield* Effect.forEach(
            Array.from({ length: executor.capacity + 2 }),
            () => Effect.forkChild(executor.run(makeRecord(Waits, null)))
          )
          yield* until("began", executor.capacity)
          yield* settle
          assert.strictEqual(seen.length, executor.capacity)
          yield* open
          const results = yield* Fiber.joinAll(runs)
          assert.isTrue(results.every((result) => result._tag === "Succeeded"))
        })
    )

    test(
      "gives back the place of a run that was interrupted",
      true,
      ({ executor, seen, until }) =>
        Effect.gen(function*() {
          const runs = yield* Effect.forEach(
            Array.from({ length: executor.capacity + 1 }),
            () => Effect.forkChild(executor.run(makeRecord(Waits, null)))
          )
          yield* until("began", executor.capacity)
          yield* settle
          // One of those that have begun, whichever it was, or the one that waits: all end, and one more can run.
          yield* Fiber.interruptAll(runs)
          assert.strictEqual(seen.filter((event) => event === "ended").length, executor.capacity)
          yield* executor.run(makeRecord(Acquires, { name: "next" }))
          assert.include(seen, "next works")
        })
    )

    test("closes the scope of an attempt before it answers", true, ({ executor, seen }) =>
      Effect.gen(function*() {
        for (const name of ["a", "b"]) {
          yield* executor.run(makeRecord(Acquires, { name }))
          seen.push("answered")
        }
        assert.deepStrictEqual(
          seen,
          ["a", "b"].flatMap((name) => [
            `${name} acquired`,
            `${name} works`,
            `${name} Success`,
            `${name} released`,
            "answered"
          ])
        )
      }))

    test("the handler knows its run", true, ({ executor }) =>
      Effect.gen(function*() {
        if (inProcess) yield* TestClock.setTime(1_700_000_000_250)
        const record = makeRecord(Tells, null, { run: { attempt: 3 } })
        const exit = yield* exitOf(Tells, yield* executor.run(record))
        assert.isTrue(Exit.isSuccess(exit))
        if (!Exit.isSuccess(exit)) return
        const { now, ...told } = exit.value
        assert.deepStrictEqual(told, {
          id: "7:1700000000000",
          taskId: "suite",
          attempt: 3,
          scheduledAt: 1_699_999_998_500,
          dueAt: 1_700_000_000_000,
          fencingToken: 41,
          store: "default",
          extra: false
        })
        if (inProcess) assert.strictEqual(now, 1_700_000_000_250)
        const extra = yield* exitOf(Tells, yield* executor.run(makeRecord(Tells, null, { run: { key: "x:1" } })))
        assert.isTrue(Exit.isSuccess(extra) && extra.value.extra)
      }))

    test(
      "what a handler logs is logged here, and says of which attempt it is",
      true,
      ({ executor, logged }) =>
        Effect.gen(function*() {
          yield* executor.run(makeRecord(Logs, null, { run: { attempt: 2 } }))
          assert.strictEqual(logged.length, 1)
          assert.deepInclude(logged[0], { level: "Warn", message: ["hello", { n: 1 }] })
          assert.deepInclude(logged[0]!.annotations, {
            task: "suite",
            run: "7:1700000000000",
            attempt: 2,
            mood: "good"
          })
        })
    )

    test("a handler's spans belong to the trace of its run", true, ({ executor }) =>
      Effect.gen(function*() {
        const { result, span } = yield* Effect.gen(function*() {
          return { span: yield* Effect.currentSpan, result: yield* executor.run(makeRecord(Spans, null)) }
        }).pipe(Effect.withSpan("run"))
        assert.deepStrictEqual(yield* exitOf(Spans, result), Exit.succeed([span.traceId, span.spanId]))
      }))

    test(
      "a run in a transaction is not run where the transaction cannot follow",
      !inProcess,
      ({ executor, seen }) =>
        Effect.gen(function*() {
          const record = makeRecord(Acquires, { name: "a" })
          const result = yield* executor.run({ ...record, within: Context.empty() })
          assert.strictEqual(result._tag, "Unreadable")
          assert.deepStrictEqual(seen, [])
        })
    )

    test(
      "a handler that computes is ended when it is interrupted",
      stopsComputing,
      ({ executor, until }) =>
        Effect.gen(function*() {
          const runs = yield* Effect.forEach(
            Array.from({ length: executor.capacity }),
            () => Effect.forkChild(executor.run(makeRecord(Computes, null)))
          )
          yield* until("computing", executor.capacity)
          yield* Fiber.interruptAll(runs)
          for (const run of runs) assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(run)))
          const next = yield* executor.run(makeRecord(Acquires, { name: "next" }))
          assert.strictEqual(next._tag, "Succeeded")
        }),
      options.impatient
    )

    test(
      "a handler that computes is ended when its time is up, and tried again",
      stopsComputing,
      ({ executor }) =>
        Effect.gen(function*() {
          const result = yield* executor.run(makeRecord(Computes, null, { timeout: 50 }))
          assert.deepInclude(result, { _tag: "TimedOut", retryAfter: 60_000 })
          assert.isTrue(Exit.isFailure(yield* exitOf(Computes, result)))
          const next = yield* executor.run(makeRecord(Acquires, { name: "next" }))
          assert.strictEqual(next._tag, "Succeeded")
        }),
      options.impatient
    )

    test(
      "a handler that ends its worker has lost its run, and no other",
      isolates,
      ({ executor, until }) =>
        Effect.gen(function*() {
          const waits = yield* Effect.forkChild(executor.run(makeRecord(Waits, null)))
          yield* until("began")
          for (let i = 0; i < 3; i++) {
            const result = yield* executor.run(makeRecord(Ends, null))
            assert.deepInclude(result, { _tag: "WorkerLost", blameless: false })
          }
          assert.isUndefined(waits.pollUnsafe())
          const next = yield* executor.run(makeRecord(Acquires, { name: "next" }))
          assert.strictEqual(next._tag, "Succeeded")
        })
    )

    test(
      "closing it ends what computes",
      stopsComputing && supervises,
      ({ closeExecutor, executor, until }) =>
        Effect.gen(function*() {
          const run = yield* Effect.forkChild(Effect.exit(executor.run(makeRecord(Computes, null))))
          yield* until("computing")
          yield* closeExecutor
          assert.isTrue(Exit.hasInterrupts(yield* Fiber.join(run)))
        }),
      options.impatient
    )

    test(
      "closing it interrupts what runs",
      supervises,
      ({ closeExecutor, executor, seen, until }) =>
        Effect.gen(function*() {
          const count = Math.min(2, executor.capacity)
          const runs = yield* Effect.forEach(
            Array.from({ length: count }),
            () => Effect.forkChild(Effect.exit(executor.run(makeRecord(Waits, null))))
          )
          yield* until("began", count)
          yield* closeExecutor
          assert.strictEqual(seen.filter((event) => event === "finalized").length, count)
          for (const exit of yield* Fiber.joinAll(runs)) assert.isTrue(Exit.hasInterrupts(exit))
          const late = yield* Effect.exit(executor.run(makeRecord(Waits, null)))
          assert.isTrue(Exit.hasInterrupts(late))
        })
    )
  })
}
