import { assert, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Executor from "../src/Executor.ts"
import { InvalidOption } from "../src/SchedulerError.ts"
import * as Task from "../src/Task.ts"
import * as TaskRegistry from "../src/TaskRegistry.ts"

ExecutorSuite.suite("fibers", Executor.layerFibers({ concurrency: 3 }), {
  capabilities: { inProcess: true, supervises: true, isolates: false, stopsComputing: false }
})

ExecutorSuite.suite("inline", Executor.layerInline, {
  capabilities: { inProcess: true, supervises: false, isolates: false, stopsComputing: false }
})

it("a concurrency that is no positive integer is refused where it is written", () => {
  for (const concurrency of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => Executor.layerFibers({ concurrency }), InvalidOption)
  }
})

const Deaf = Task.make("Deaf")

/** An executor with a handler that never ends, and what it says. */
const deaf = Effect.gen(function*() {
  const said: Array<unknown> = []
  const registry = yield* TaskRegistry.make("test", { drained: () => true })
  const context = Context.make(TaskRegistry.TaskRegistry, registry)
  yield* Layer.build(Deaf.toLayer(() => Effect.onInterrupt(Effect.never, () => Effect.never))).pipe(
    Effect.provideContext(context)
  )
  const scope = yield* Scope.make()
  const built = yield* Layer.buildWithScope(Executor.layerFibers(), scope).pipe(Effect.provideContext(context))
  const run = yield* Effect.forkDetach(
    Context.get(built, Executor.Executor).run(ExecutorSuite.makeRecord(Deaf, null)),
    { startImmediately: true }
  )
  const close = Effect.provide(
    Scope.close(scope, Exit.void),
    Logger.layer([Logger.make(({ message }) => said.push(String(message)))])
  )
  return { close, run, said }
})

it.effect("a run that does not end although closing interrupted it is left behind after 5 s, and told", () =>
  Effect.gen(function*() {
    const { close, said } = yield* deaf
    const closing = yield* Effect.forkChild(close, { startImmediately: true })
    yield* TestClock.adjust("4999 millis")
    assert.isUndefined(closing.pollUnsafe())
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(closing)
    assert.deepStrictEqual(said, [
      "Executor `fibers`: 1 run(s) did not end within 5000 ms of being interrupted, and were left behind."
    ])
  }))

it.effect("a run that somebody interrupted is waited for by nobody else", () =>
  Effect.gen(function*() {
    const { close, run, said } = yield* deaf
    run.interruptUnsafe()
    yield* Effect.yieldNow
    yield* close
    assert.deepStrictEqual(said, [])
    assert.isUndefined(run.pollUnsafe())
  }))

const Gated = Task.make("Gated")

/** An executor of one place, with a handler that tells that it began and waits to be told to end. */
const onePlace = Effect.gen(function*() {
  const begun: Array<Deferred.Deferred<void>> = []
  const registry = yield* TaskRegistry.make("test", { drained: () => true })
  const context = Context.make(TaskRegistry.TaskRegistry, registry)
  yield* Layer.build(Gated.toLayer(() =>
    Effect.suspend(() => {
      const gate = Deferred.makeUnsafe<void>()
      begun.push(gate)
      return Deferred.await(gate)
    })
  )).pipe(Effect.provideContext(context))
  const scope = yield* Scope.make()
  const built = yield* Layer.buildWithScope(Executor.layerFibers({ concurrency: 1 }), scope).pipe(
    Effect.provideContext(context)
  )
  const { run } = Context.get(built, Executor.Executor)
  return {
    begun,
    run: Effect.forkDetach(run(ExecutorSuite.makeRecord(Gated, null)), { startImmediately: true }),
    /** Lets the run end that began at this position. */
    end: (i: number) => Effect.andThen(Deferred.done(begun[i]!, Exit.void), Effect.yieldNow),
    close: Scope.close(scope, Exit.void)
  }
})

it.effect("a place goes from run to run, in the order in which they came, and is free after the last", () =>
  Effect.gen(function*() {
    const { begun, end, run } = yield* onePlace
    const runs = [yield* run, yield* run, yield* run]
    for (let i = 0; i < 3; i++) {
      assert.lengthOf(begun, i + 1)
      yield* end(i)
      assert.strictEqual((yield* Fiber.await(runs[i]!))._tag, "Success")
    }
    yield* run
    assert.lengthOf(begun, 4)
  }))

it.effect("a run that was interrupted while it waited for a place does not take it", () =>
  Effect.gen(function*() {
    const { begun, end, run } = yield* onePlace
    yield* run
    const waiting = yield* run
    const next = yield* run
    yield* Fiber.interrupt(waiting)
    yield* end(0)
    assert.lengthOf(begun, 2)
    yield* end(1)
    assert.strictEqual((yield* Fiber.await(next))._tag, "Success")
  }))

it.effect("what is asked of an executor that has closed is interrupted", () =>
  Effect.gen(function*() {
    const { begun, close, run } = yield* onePlace
    yield* close
    const exit = yield* Fiber.await(yield* run)
    assert.isTrue(Exit.hasInterrupts(exit))
    assert.lengthOf(begun, 0)
  }))
