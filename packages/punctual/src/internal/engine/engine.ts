/**
 * One engine for each store of a scheduler, started, paused and closed together.
 *
 *     idle ──start──▶ running ◀──resume/pause──▶ paused ──scope closes──▶ stopping
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Activity from "../../Activity.ts"
import type { RunRow } from "../../TaskRecord.ts"
import type { TaskStore } from "../../TaskStore.ts"
import { type Host, instant } from "./host.ts"
import { maintain } from "./maintain.ts"
import { presence } from "./presence.ts"
import * as StoreEngine from "./storeEngine.ts"

export interface Engine {
  readonly start: Effect.Effect<void>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
  readonly startedAt: () => DateTime.Utc | undefined
  readonly running: () => ReadonlyArray<RunRow>
  /** For each store in which something runs. */
  readonly leaseAges: () => ReadonlyArray<readonly [store: string, millis: number]>
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
  // Executors are shared by all stores: what comes free in one may be what another waits for.
  const onFree = () => engines.forEach((engine) => engine.freed())
  const engines: ReadonlyArray<StoreEngine.StoreEngine> = Array.from(
    stores,
    ([alias, store]) => StoreEngine.make(host, alias, store, onFree)
  )
  let startedAt: number | undefined
  const presences = engines.map(({ store, time }) => presence(host, store, time, () => startedAt ?? now()))
  let turning: ReadonlyArray<Fiber.Fiber<unknown>> = []

  const emit = (tag: "SchedulerStarted" | "SchedulerPaused" | "SchedulerResumed" | "SchedulerStopping"): void => {
    if (hub.heard) hub.emit({ _tag: tag, at: instant(now()) })
  }

  const stopTurning = Effect.suspend(() => {
    const fibers = turning
    turning = []
    return Fiber.interruptAll(fibers)
  })

  const startTurning = (fork: Fork): Effect.Effect<void> =>
    Effect.suspend(() =>
      // Paused or closed while startup tasks were fired, or paused and resumed.
      host.phase !== "running" || turning.length > 0
        ? Effect.void
        : Effect.map(Effect.forEach(engines, (engine) => fork(Effect.forever(engine.turns))), (fibers) => {
          turning = fibers
        })
    )

  let begin: (evaluating: boolean) => Effect.Effect<void> = () => Effect.void
  let resume: Effect.Effect<void> = Effect.void

  const serve = (mode: "auto" | "manual" | "paused"): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(function*() {
      // Loops are the scheduler's own: in its context, whoever starts it or resumes it, and under nobody's label.
      const context = Context.omit(Activity.Label)(yield* Effect.context<Scope.Scope>()) as Context.Context<Scope.Scope>
      for (const engine of engines) yield* Effect.setContext(engine.serve, context)
      const loops = yield* Scope.fork(Context.get(context, Scope.Scope), "parallel")
      const fork: Fork = (loop) => Effect.setContext(Effect.forkIn(loop, loops), context)
      // Acquired last, released first: closing stops the loops itself, once they can see that it does. A scope closes
      // uninterruptibly: the waits of a drain are whole also where whoever closes was interrupted (Ctrl-C).
      yield* Effect.addFinalizer(() => close(loops))
      begin = (evaluating) =>
        Effect.suspend(() => {
          if (host.phase !== "idle") return Effect.void
          host.phase = evaluating ? "running" : "paused"
          startedAt = now()
          emit("SchedulerStarted")
          const fire = Effect.gen(function*() {
            for (const { beats } of presences) yield* fork(beats)
            for (const engine of engines) {
              yield* fork(maintain(host, engine))
              yield* engine.fire("startup", incarnation)
            }
            yield* startTurning(fork)
          })
          return Effect.setContext(fire, context)
        })
      resume = Effect.suspend(() => {
        if (host.phase !== "paused") return Effect.void
        host.phase = "running"
        emit("SchedulerResumed")
        // Its loops read everything first.
        return startTurning(fork)
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

  const close = Effect.fnUntraced(function*(loops: Scope.Closeable) {
    const started = host.phase !== "idle"
    host.phase = "stopping"
    if (started) emit("SchedulerStopping")
    yield* Scope.close(loops, Exit.void)
    const before = engines.reduce((count, engine) => count + engine.runs.size(), 0)
    yield* within(settings.drainTimeout, drained)
    const left = engines.reduce((count, engine) => count + engine.runs.size(), 0)
    const detached = yield* interruptRest
    if (started) {
      const fired = Effect.forEach(engines, (engine) => engine.fire("shutdown", incarnation), { discard: true })
      if (!(yield* within(settings.shutdownTimeout, Effect.andThen(fired, drained)))) {
        yield* Effect.logWarning(
          `Shutdown tasks did not end within ${settings.shutdownTimeout} ms and are interrupted.`
        )
        detached.push(...(yield* interruptRest))
      }
    }
    if (detached.length > 0) {
      yield* Effect.logWarning(`These did not stop when interrupted and were left behind: ${detached.join("; ")}.`)
    }
    if (started) yield* Effect.forEach(presences, ({ leave }) => leave, { concurrency: "unbounded", discard: true })
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
    leaseAges: () =>
      engines.flatMap(({ alias, runs }) => {
        const age = runs.leaseAge()
        return age === undefined ? [] : [[alias, age] as const]
      }),
    wake: () => engines.forEach((engine) => engine.wake()),
    serve
  }
}

/** Starts a loop, in the scheduler's context. */
type Fork = (loop: Effect.Effect<never>) => Effect.Effect<Fiber.Fiber<never>>
