import { assert, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Context from "effect/Context"
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
