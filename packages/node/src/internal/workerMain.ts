/**
 * The worker's side: builds the handlers, runs what it is sent, answers, and ends when it is told to.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { RunResult } from "punctual/Executor"
import * as TaskRegistry from "punctual/TaskRegistry"
import * as TaskRunner from "punctual/TaskRunner"
import type { Parent } from "./workerParent.ts"
import { type FromWorker, protocolVersion, type ToWorker } from "./workerProtocol.ts"

/** @internal */
export const serveFrom = <A, E>(parent: Parent, handlers: Layer.Layer<A, E, TaskRegistry.TaskRegistry>): void => {
  const running = new Map<number, Fiber.Fiber<RunResult>>()
  const scope = Scope.makeUnsafe()
  let closing = false

  const run = (
    registry: TaskRegistry.TaskRegistry["Service"],
    { id, record, span }: Extract<ToWorker, { _tag: "Run" }>
  ) => {
    const attempt = Effect.gen(function*() {
      const timedOut = record.timeout === null ? null : yield* TaskRunner.timedOut(registry, record)
      parent.send({ _tag: "Began", id, timedOut })
      return yield* TaskRunner.run(registry, { ...record, within: Context.make(RunNumber, id) })
    })
    const fiber = Effect.runFork(
      span === null ? attempt : Effect.provideService(attempt, Tracer.ParentSpan, Tracer.externalSpan(span))
    )
    running.set(id, fiber)
    fiber.addObserver((exit) => {
      running.delete(id)
      parent.send({ _tag: "Ended", id, result: resultOf(exit), memory: memoryInUse() })
    })
  }

  const close = () => {
    if (closing) return
    closing = true
    Effect.runFork(Effect.andThen(Fiber.interruptAll(running.values()), Scope.close(scope, Exit.void)))
      .addObserver(() => parent.exit(0))
  }

  const ready = Effect.gen(function*() {
    const registry = yield* TaskRegistry.make(parent.start.name)
    yield* Layer.buildWithScope(handlers, scope).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
    parent.listen((message) => {
      switch (message._tag) {
        case "Run":
          return run(registry, message)
        case "Interrupt":
          return running.get(message.id)?.interruptUnsafe()
        case "Close":
          return close()
      }
    }, close)
    parent.send({ _tag: "Ready", protocol: protocolVersion, tags: [...registry.tags] })
  }).pipe(
    Effect.provide(Logger.layer([forwarding(parent), Logger.tracerLogger])),
    Effect.provideService(References.MinimumLogLevel, parent.start.logLevel as LogLevel.LogLevel)
  )

  Effect.runFork(ready).addObserver((exit) => {
    if (Exit.isSuccess(exit)) return
    parent.send({ _tag: "NotReady", reason: Cause.pretty(exit.cause) })
    // It ends by itself once that is sent, or is ended.
  })
}

const resultOf = (exit: Exit.Exit<RunResult>): Extract<FromWorker, { _tag: "Ended" }>["result"] => {
  if (Exit.isSuccess(exit)) return exit.value
  return Cause.hasInterruptsOnly(exit.cause)
    ? { _tag: "Interrupted" }
    : { _tag: "Died", reason: Cause.pretty(exit.cause) }
}

/** Of this thread: V8 counts both for each thread of its own. */
const memoryInUse = (): number => {
  const { external, heapUsed } = process.memoryUsage()
  return external + heapUsed
}

// -----------------------------------------------------------------------------
// logs
// -----------------------------------------------------------------------------

/** The run a fiber works for, as the executor numbers it. */
class RunNumber extends Context.Service<RunNumber, number>()("punctual/node/RunNumber") {}

/** The program logs what handlers log here. */
const forwarding = (parent: Parent) =>
  Logger.make((options) => {
    const { annotations, cause, message } = Logger.formatStructured.log(options)
    const parts = Array.isArray(message) ? message : [message]
    parent.send({
      _tag: "Log",
      id: Context.getOrUndefined(options.fiber.context, RunNumber) ?? null,
      level: options.logLevel,
      message: (cause === undefined ? parts : [...parts, cause]).map(plain),
      annotations: plain(annotations) as Record<string, unknown>
    })
  })

/** What JSON can say of a value: a log of anything must get through. */
const plain = (value: unknown): unknown => {
  try {
    return JSON.parse(JSON.stringify(value) ?? "null")
  } catch {
    return String(value)
  }
}
