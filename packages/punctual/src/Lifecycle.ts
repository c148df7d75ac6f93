/**
 * Work that lives as long as the scheduler: set up once, tick now and then, clean up once.
 *
 *     acquire ──▶ tick ──▶ tick ──▶ … ──▶ scope closes ──▶ finalizers of acquire, last first
 *
 * With a lock, of all processes that share it one at a time has acquired and ticks:
 *
 *     wait ──▶ lock ──▶ acquire ──▶ tick ──▶ … ──▶ scope closes, lock lost, tick failed ──▶ finalizers ──▶ lock given back
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { CurrentRun } from "./CurrentRun.ts"
import * as Lifecycles from "./internal/engine/lifecycles.ts"
import { millis } from "./internal/engine/settings.ts"
import { GeneratorTurns } from "./internal/lifecycleGenerator.ts"
import { TaskScheduler } from "./internal/schedulerTag.ts"
import { type Held, Lock } from "./Lock.ts"
import { InvalidOption, refuseOptions } from "./SchedulerError.ts"
import type { Handler } from "./Task.ts"
import type { AddEffectError, ScheduleSettings } from "./TaskHandle.ts"
import type * as Trigger from "./Trigger.ts"

export {
  /**
   * A tick came where nothing is acquired: it was on its way when its lifecycle went down.
   *
   * @category errors
   * @since 0.1.0
   */
  NotAcquired
} from "./internal/engine/lifecycles.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly trigger: Trigger.Trigger
  /** Alias of a volatile store: ticks are closures. Default: `default`. */
  readonly store?: string | undefined
  /**
   * Names of lifecycles of the same scheduler. It acquires after them, and is cleaned up before them, also when one of
   * them restarts or loses its lock; then it acquires again after it.
   */
  readonly after?: ReadonlyArray<string> | undefined
  /** How long each finalizer may take, and an interrupted tick to stop, before it is left behind. Default: 30 s. */
  readonly cleanupTimeout?: Duration.Input | undefined
}

/**
 * What becomes of a lifecycle whose tick fails: the next tick comes (`continue`); it is cleaned up and acquired again
 * after a pause (`restart`); or it is cleaned up and that is all, in this process (`stop`).
 *
 * @category models
 * @since 0.1.0
 */
export type OnFailure = "continue" | "restart" | "stop"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<Resource, E, R, E2, R2> extends Settings {
  /** Makes what the ticks need. Its finalizers are the cleanup. */
  readonly acquire: Effect.Effect<Resource, E, R>
  /** Runs at each occurrence, never twice at once. */
  readonly tick: (resource: Resource) => Effect.Effect<void, E2, R2>
  /** Default: `continue`. */
  readonly onFailure?: OnFailure | undefined
  readonly lock?: undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface LockedOptions<Resource, E, R, E2, R2>
  extends Omit<Options<Resource, E, R, E2, R2>, "acquire" | "lock">
{
  /** Name of the lock without which nothing is acquired. */
  readonly lock: string
  /** Given the lock, whose `token` is for those that must refuse a holder that was overtaken. */
  readonly acquire: Effect.Effect<Resource, E, R> | ((held: Held) => Effect.Effect<Resource, E, R>)
}

type Needs<R, R2> = TaskScheduler | Exclude<R, Scope.Scope> | Exclude<R2, Scope.Scope | CurrentRun>

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * A lifecycle task as a layer.
 *
 * **When to use**
 *
 * Use it beside the handlers of an application for a connection, a cache or a watcher that must be refreshed on a
 * schedule and closed with the program; with a `lock`, for what only one of several processes may have.
 *
 * **Details**
 *
 * Lifecycles acquire when the application has been built, in the order of `after`, before startup tasks; the scheduler
 * fails when one cannot. The finalizers run once for each `acquire`, the last one first, when the application closes:
 * after the drain and the shutdown tasks, so no tick runs during or after them. One that fails is logged and stops no other,
 * one that takes longer than `cleanupTimeout` is interrupted, logged and left behind.
 *
 * With a `lock` the application does not wait: each process waits for the lock in the background, and acquires when it has
 * it. Until then its task is paused. When the lock is lost a tick in progress is interrupted, the finalizers run, and it
 * waits again. An `acquire` that fails there gives the lock back and tries again, as after a failed tick.
 *
 * A tick that fails is a failed run, logged; `onFailure` says what is next. The pause before a restart is 1 s, doubled
 * for each failure in a row up to a minute. Ticks missed by a slow one are skipped, those of a time without
 * resource count as paused.
 *
 * **Gotchas**
 *
 * A tick is an effect of this process and lives in a volatile store: over a durable one the layer fails with
 * `ClosureNotPersistable`, which says how to give it another.
 *
 * **Example**
 *
 * ```ts
 * const Cache = Lifecycle.layer("cache", {
 *   acquire: Effect.acquireRelease(openCache, (cache) => cache.close),
 *   tick: (cache) => cache.refresh,
 *   trigger: Trigger.every("5 minutes"),
 *   store: "memory"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: {
  <Resource, E, R, E2, R2>(
    name: string,
    options: Options<Resource, E, R, E2, R2>
  ): Layer.Layer<never, E | AddEffectError, Needs<R, R2>>
  <Resource, E, R, E2, R2>(
    name: string,
    options: LockedOptions<Resource, E, R, E2, R2>
  ): Layer.Layer<never, AddEffectError, Lock | Needs<R, R2>>
} = ((name: string, options: AnyOptions) =>
  Layer.effectDiscard(
    Effect.andThen(known(options, [...settingNames, "acquire", "tick"], "layer"), make(name, options))
  )) as never

interface AnyOptions extends Settings {
  readonly acquire: Effect.Effect<unknown, unknown> | ((held: Held) => Effect.Effect<unknown, unknown>)
  readonly tick: (resource: never) => Effect.Effect<unknown, unknown>
  readonly onFailure?: OnFailure | undefined
  readonly lock?: string | undefined
}

const settingNames: ReadonlyArray<string> = ["trigger", "store", "after", "cleanupTimeout", "onFailure", "lock"]
const failures: ReadonlyArray<OnFailure> = ["continue", "restart", "stop"]

const known = (options: object, names: ReadonlyArray<string>, where: string): Effect.Effect<void, InvalidOption> =>
  refuseOptions(options, names, `Lifecycle.${where}`) ?? Effect.void

const make = (name: string, options: AnyOptions) =>
  Effect.gen(function*() {
    const { acquire, onFailure = "continue" } = options
    if (!failures.includes(onFailure)) {
      const message = `\`onFailure\` is one of ${failures.join(", ")}, not ${String(onFailure)}.`
      return yield* new InvalidOption({ option: "onFailure", value: onFailure, message })
    }
    const scheduler = yield* TaskScheduler
    const context = Context.omit(Scope.Scope)(yield* Effect.context<never>())
    const waits = options.lock !== undefined || (options.after ?? []).length > 0
    // The task is there in every process; where nothing is acquired it is paused, unless somebody else has paused it.
    let heldBack = waits
    const ticking = (on: boolean): Effect.Effect<void> =>
      Effect.gen(function*() {
        if (on && heldBack) yield* task.resume
        if (!on && (yield* task.snapshot).state !== "paused") {
          yield* task.pause(`lifecycle ${name} is not up`)
          heldBack = true
        } else heldBack = false
      }).pipe(
        Effect.catchTags({ TaskFinished: () => Effect.void, TaskNotFound: () => Effect.void }),
        Effect.catch((error) => Effect.logWarning(error.message))
      )
    const lifecycle: Lifecycles.Lifecycle = yield* describe(name, options, {
      acquire: (held) => Effect.provideContext(typeof acquire === "function" ? acquire(held!) : acquire, context),
      onFailure,
      ticking
    })
    const settings: ScheduleSettings = {
      id: `lifecycle:${name}`,
      name,
      trigger: options.trigger,
      store: options.store,
      paused: waits ? `lifecycle ${name} is not up` : false
    }
    const task = yield* scheduler.addEffect(
      lifecycle.tick((resource) => options.tick(resource as never)),
      settings
    )
    yield* serve(lifecycle)
  })

const describe = (
  name: string,
  { after = [], cleanupTimeout, lock }: Pick<AnyOptions, "after" | "cleanupTimeout" | "lock">,
  rest: Pick<Lifecycles.Description, "acquire" | "onFailure" | "ticking">
) =>
  Effect.gen(function*() {
    const most = yield* millis("cleanupTimeout", cleanupTimeout, 30_000, { min: 0, max: 366 * 86_400_000 })
    return new Lifecycles.Lifecycle({
      name,
      after,
      lock: lock === undefined ? undefined : { name: lock, hold: (yield* Lock).hold(lock) },
      cleanupTimeout: Duration.millis(most),
      ...rest
    })
  })

const serve = (lifecycle: Lifecycles.Lifecycle) =>
  Effect.flatMap(
    Lifecycles.Current,
    (lifecycles) => (lifecycles ?? new Lifecycles.Lifecycles({ started: true })).add(lifecycle)
  )

// -----------------------------------------------------------------------------
// parts of an application
// -----------------------------------------------------------------------------

/**
 * A part of an application that is there only while this process holds a lock.
 *
 * **When to use**
 *
 * Use it where the work of one of several processes is stored tasks: their handlers, what those need, other lifecycles. The
 * tasks are in the shared store whoever runs them, with their schedule, their policy and their past; only the process that
 * has the lock handles them, so every run of theirs comes to it.
 *
 * **Details**
 *
 * The part is built anew each time the lock is had, and closed before it is given back: handlers first, which waits for
 * their runs. A part that cannot be built gives the lock back and is tried again after a pause, as in `layer`. When the
 * lock is lost, runs in progress are waited for as well, each cleanup at most `cleanupTimeout` (30 s): what must not be
 * overtaken compares the fencing token of its run. Until somebody has the lock, runs that are due wait, and are late.
 *
 * The lifecycle has the name of the lock, for `after` of others.
 *
 * **Example**
 *
 * ```ts
 * const App = Layer.mergeAll(
 *   Lifecycle.exclusive("reports", ReportLive.pipe(Layer.provide(Warehouse.layer))),
 *   Task.layerScheduled(Report, { id: "report", trigger: Trigger.every("5 minutes"), onConflict: "update" })
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const exclusive = <A, E, R>(
  lock: string,
  part: Layer.Layer<A, E, R>,
  options: Pick<Settings, "after" | "cleanupTimeout"> = {}
): Layer.Layer<Extract<A, Handler<string>>, InvalidOption, Lock | TaskScheduler | R> =>
  Layer.effectContext(Effect.gen(function*() {
    yield* known(options, ["after", "cleanupTimeout"], "exclusive")
    const context = Context.omit(Scope.Scope)(yield* Effect.context<R>())
    const lifecycle = yield* describe(lock, { ...options, lock }, {
      acquire: () =>
        Effect.flatMap(
          Effect.scope,
          (scope) => Layer.buildWithMemoMap(part, Layer.CurrentMemoMap.forkOrCreate(context), scope)
        ).pipe(
          Effect.provideContext(context)
        ) as Effect.Effect<unknown, unknown, Scope.Scope>,
      onFailure: "restart",
      ticking: () => Effect.void
    })
    yield* serve(lifecycle)
    return Context.empty()
  })) as never

// -----------------------------------------------------------------------------
// generators
// -----------------------------------------------------------------------------

/**
 * What may write a lifecycle: `yield` waits for a tick and answers whether to go on; `yield*` of an effect carries it out.
 *
 * @category models
 * @since 0.1.0
 */
export type Generated<Y> = Generator<Y, void, boolean> | AsyncGenerator<void, void, boolean>

/**
 * @category models
 * @since 0.1.0
 */
export interface GeneratorOptions extends Settings {
  /** Default: `restart`, since a generator that has failed cannot go on. */
  readonly onFailure?: Exclude<OnFailure, "continue"> | undefined
  readonly lock?: string | undefined
}

type ErrorOf<Y> = Y extends Effect.Effect<infer _A, infer E, infer _R> ? E : never
type ServicesOf<Y> = Y extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/**
 * A lifecycle task written as one generator: setup, a `yield` for each tick, cleanup.
 *
 * **When to use**
 *
 * Use it for lifecycles that come from such a generator, or whose ticks share much local state. Otherwise `layer` says
 * the same with a cleanup that cannot be forgotten.
 *
 * **Details**
 *
 * The generator is called at each `acquire` and runs to its first `yield`. Each tick lets it go on to the next `yield`,
 * which answers `true`. When it is to end, `yield` answers `false`, and what it does until it returns is the cleanup: one
 * finalizer, with the budget of `cleanupTimeout`. A generator that returns by itself has finished: it gets no more ticks,
 * and gives its lock back.
 *
 * Plain generators and async ones may be written, and generators that `yield*` effects among their ticks.
 *
 * **Gotchas**
 *
 * What must be cleaned up also when an effect fails or a tick is interrupted belongs in a `finally` block, as everywhere:
 * from there a generator cannot be told to go on. An effect that fails is no exception: `catch` does not see it,
 * `Effect.catch` does.
 *
 * **Example**
 *
 * ```ts
 * const Cache = Lifecycle.fromGenerator("cache", function*() {
 *   const cache = yield* openCache
 *   try {
 *     while (yield) yield* cache.refresh
 *   } finally {
 *     yield* cache.close
 *   }
 * }, { trigger: Trigger.every("5 minutes") })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const fromGenerator: {
  <Y>(
    name: string,
    generator: () => Generated<Y>,
    options: GeneratorOptions & { readonly lock?: undefined }
  ): Layer.Layer<never, ErrorOf<Y> | AddEffectError, Needs<ServicesOf<Y>, ServicesOf<Y>>>
  <Y>(
    name: string,
    generator: () => Generated<Y>,
    options: GeneratorOptions & { readonly lock: string }
  ): Layer.Layer<never, AddEffectError, Lock | Needs<ServicesOf<Y>, ServicesOf<Y>>>
} = ((name: string, generator: () => Generated<unknown>, options: GeneratorOptions) => {
  const lifecycle: AnyOptions = {
    ...options,
    onFailure: options.onFailure ?? "restart",
    acquire: Effect.suspend(() => {
      const turns = new GeneratorTurns(generator())
      // Added when its setup has ended, however: it goes before what effects of the setup have added.
      const setUp = Effect.onExit(turns.setUp, () => Effect.addFinalizer(() => Effect.orDie(turns.cleanUp)))
      return Effect.as(setUp, turns)
    }) as Effect.Effect<unknown>,
    tick: (turns: GeneratorTurns) =>
      Effect.map(turns.tick as Effect.Effect<void>, () => turns.ended ? Lifecycles.finished : undefined)
  }
  return Layer.effectDiscard(Effect.andThen(known(options, settingNames, "fromGenerator"), make(name, lifecycle)))
}) as never
