/**
 * One engine for each store of a scheduler, started, paused and closed together.
 *
 *     idle ──start──▶ running ◀──resume/pause──▶ paused ──scope closes──▶ stopping
 */
import type * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { RunRow } from "../../TaskRecord.ts"
import type { TaskStore } from "../../TaskStore.ts"
import { type Host, instant } from "./host.ts"
import { maintain } from "./maintain.ts"
import * as StoreEngine from "./storeEngine.ts"

export interface Engine {
  readonly start: Effect.Effect<void>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly startedAt: () => DateTime.Utc | undefined
  readonly running: () => ReadonlyArray<RunRow>
  readonly wake: () => void
  /** Runs until the scope closes; closing drains. */
  readonly serve: (start: "auto" | "manual" | "paused") => Effect.Effect<void, never, Scope.Scope>
}

export const make = (
  host: Host,
  stores: ReadonlyMap<string, TaskStore["Service"]>,
  incarnation: string
): Engine => {
  const { clock, hub, settings } = host
  const now = () => clock.currentTimeMillisUnsafe()
  const engines = Array.from(stores, ([alias, store]) => StoreEngine.make(host, alias, store))
  let startedAt: number | undefined
  let turning: ReadonlyArray<Fiber.Fiber<unknown>> = []

  const emit = (tag: "SchedulerStarted" | "SchedulerPaused" | "SchedulerResumed" | "SchedulerStopping"): void => {
    if (hub.heard) hub.emit({ _tag: tag, at: instant(now()) })
  }

  const stopTurning = Effect.suspend(() => {
    const fibers = turning
    turning = []
    return Fiber.interruptAll(fibers)
  })

  const startTurning = (scope: Scope.Scope): Effect.Effect<void> =>
    Effect.forEach(
      engines,
      (engine) => Effect.forkIn(Effect.forever(engine.turns), scope)
    ).pipe(Effect.map((fibers) => {
      turning = fibers
    }))

  let begin: (evaluating: boolean) => Effect.Effect<void> = () => Effect.void
  let resume: Effect.Effect<void> = Effect.void

  const serve = (mode: "auto" | "manual" | "paused"): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      // Acquired last, released first: what follows is what closing undoes.
      for (const engine of engines) yield* engine.serve
      yield* Effect.addFinalizer(() => inOwnFiber(close))
      begin = (evaluating) =>
        Effect.suspend(() => {
          if (host.phase !== "idle") return Effect.void
          host.phase = evaluating ? "running" : "paused"
          startedAt = now()
          emit("SchedulerStarted")
          return Effect.gen(function*() {
            for (const engine of engines) {
              yield* Effect.forkIn(maintain(host, engine), scope)
              yield* engine.fire("startup", incarnation)
            }
            if (evaluating) yield* startTurning(scope)
          })
        })
      resume = Effect.suspend(() => {
        if (host.phase !== "paused") return Effect.void
        host.phase = "running"
        emit("SchedulerResumed")
        engines.forEach((engine) => engine.wake())
        return startTurning(scope)
      })
      if (mode !== "manual") yield* begin(mode === "auto")
    })

  // ---------------------------------------------------------------------------
  // closing
  // ---------------------------------------------------------------------------

  /** Waits at most this long, on the scheduler's clock; answers whether it was enough. */
  const within = (millis: number, wait: Effect.Effect<void>): Effect.Effect<boolean> =>
    Effect.map(Effect.timeoutOption(wait, Duration.millis(Math.max(1, millis))), Option.isSome)

  const drained = Effect.forEach(engines, (engine) => engine.runs.drained, { concurrency: "unbounded", discard: true })

  const close: Effect.Effect<void> = Effect.gen(function*() {
    const started = host.phase !== "idle"
    host.phase = "stopping"
    if (started) emit("SchedulerStopping")
    yield* stopTurning
    const before = engines.reduce((count, engine) => count + engine.runs.size(), 0)
    yield* within(settings.drainTimeout, drained)
    const left = engines.reduce((count, engine) => count + engine.runs.size(), 0)
    const detached = yield* interruptRest
    if (started) {
      const fired = Effect.forEach(engines, (engine) => engine.fire("shutdown", incarnation), { discard: true })
      if (!(yield* within(settings.shutdownTimeout, Effect.andThen(fired, drained)))) {
        yield* Effect.logWarning(`Shutdown tasks did not end within ${settings.shutdownTimeout} ms and are interrupted.`)
        detached.push(...(yield* interruptRest))
      }
    }
    if (detached.length > 0) {
      yield* Effect.logWarning(`These did not stop when interrupted and were left behind: ${detached.join("; ")}.`)
    }
    if (started && hub.heard) {
      hub.emit({ _tag: "SchedulerStopped", at: instant(now()), drained: before - left, interrupted: left, detached })
    }
    hub.end()
  })

  const interruptRest: Effect.Effect<Array<string>> = Effect.gen(function*() {
    for (const engine of engines) engine.runs.interruptAll("shutdown")
    yield* within(settings.interruptGrace, drained)
    const detached: Array<string> = []
    for (const engine of engines) detached.push(...engine.runs.detachAll())
    // What has ended must be stored before the store closes.
    if (!(yield* within(settings.storeTimeout, drained))) {
      yield* Effect.logWarning("The store did not take the last outcomes before closing; their leases will end.")
    }
    return detached
  })

  return {
    start: Effect.suspend(() => begin(true)),
    pause: Effect.suspend(() => {
      if (host.phase !== "running") return Effect.void
      host.phase = "paused"
      emit("SchedulerPaused")
      return stopTurning
    }),
    resume: Effect.suspend(() => resume),
    startedAt: () => startedAt === undefined ? undefined : instant(startedAt),
    running: () => engines.flatMap((engine) => engine.runs.list()),
    wake: () => engines.forEach((engine) => engine.wake()),
    serve
  }
}

/**
 * Closing waits, and whoever closes may have been interrupted itself (Ctrl-C): there every wait would end at once.
 */
const inOwnFiber = (effect: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.contextWith((context: Context.Context<never>) => Fiber.join(Effect.runForkWith(context)(effect)))
