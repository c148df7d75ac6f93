/**
 * Runs an application's tasks when they are due.
 *
 * `layer(App)` takes the application, as a server takes its routes: it provides the scheduler's services to App, builds
 * App, and only then starts. Closing goes the other way.
 *
 *     build   executors ─▶ App (handlers, scheduled tasks) ─▶ engine starts
 *     close   stop evaluating and claiming ─▶ drain ─▶ shutdown tasks ─▶ App ─▶ executors ─▶ store
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Activity from "./Activity.ts"
import * as Executor from "./Executor.ts"
import * as Executors from "./Executors.ts"
import * as Commands from "./internal/engine/commands.ts"
import * as Effects from "./internal/engine/effects.ts"
import * as Engine from "./internal/engine/engine.ts"
import { type ExecutorSlot, type Host, Hub, type Listener } from "./internal/engine/host.ts"
import * as Lifecycles from "./internal/engine/lifecycles.ts"
import * as Settings from "./internal/engine/settings.ts"
import { share } from "./internal/engine/sharing.ts"
import * as StoreClock from "./internal/engine/storeClock.ts"
import { type SchedulerStatus, TaskScheduler, TaskSchedulerClient } from "./internal/schedulerTag.ts"
import type * as Policy from "./Policy.ts"
import { InvalidOption } from "./SchedulerError.ts"
import type { SchedulerEvent } from "./SchedulerEvent.ts"
import type * as Task from "./Task.ts"
import { fromRun } from "./TaskInfo.ts"
import * as TaskRegistry from "./TaskRegistry.ts"
import { plausibleLease, type TaskStore } from "./TaskStore.ts"
import { TriggerDefinitions } from "./TriggerDefinitions.ts"

export {
  /**
   * Adds, changes, lists and runs tasks.
   *
   * @category services
   * @since 0.1.0
   */
  TaskScheduler
} from "./internal/schedulerTag.ts"

export type {
  /** @category models @since 0.1.0 */
  Reconciled,
  /** @category models @since 0.1.0 */
  SchedulerStatus
} from "./internal/schedulerTag.ts"

/**
 * How a scheduler behaves. Durations without a bound given are from 1 ms to a year.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** For logs and leases. Default: `scheduler`. */
  readonly name?: string | undefined
  /** Where it runs, for those who ask for `instances`: such as `os.hostname()` and `process.pid`. */
  readonly host?: string | undefined
  readonly pid?: number | undefined
  /** `auto` (default) starts when App is built; `manual` waits for `start`; `paused` starts without evaluating. */
  readonly start?: "auto" | "manual" | "paused" | undefined
  /** Policies of tasks that say nothing themselves. */
  readonly defaults?: Policy.Options | undefined
  /** IANA zone in which instants without an offset are read. Default: UTC. */
  readonly timeZone?: string | undefined
  /** How long a run may go without a heartbeat before another scheduler takes it over; 1 s to an hour. Default: 30 s. */
  readonly lease?: Duration.Input | undefined
  /** Lost leases after which a run is abandoned. Default: 3. */
  readonly maxTakeovers?: number | undefined
  /** How long closing waits for runs in progress before it interrupts them and gives them back. Default: 30 s. */
  readonly drainTimeout?: Duration.Input | undefined
  /** How long closing waits for all shutdown tasks together. Default: 30 s. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** How long an interrupted run may take to end before it is left behind. Default: 5 s. */
  readonly interruptGrace?: Duration.Input | undefined
  /** How late a change of another process is seen when its wake-up was lost; 10 ms at least. Default: 1 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** A sleep is never longer, so that suspended machines and moved clocks are noticed. Default: 1 minute. */
  readonly maxSleep?: Duration.Input | undefined
  /** A store call that has not answered by then has failed. Default: 10 s. */
  readonly storeTimeout?: Duration.Input | undefined
  /** What is kept of the past. */
  readonly retention?: {
    /** Ended runs of each task. Default: 100. */
    readonly runs?: number | undefined
    /** Age of ended runs. Default: 7 days. */
    readonly age?: Duration.Input | undefined
    /** Age of finished tasks, since their last change. Default: 7 days. */
    readonly finished?: Duration.Input | undefined
  } | undefined
}

const optionNames: ReadonlyArray<keyof Options> = [
  "name",
  "host",
  "pid",
  "start",
  "defaults",
  "timeZone",
  "lease",
  "maxTakeovers",
  "drainTimeout",
  "shutdownTimeout",
  "interruptGrace",
  "pollInterval",
  "maxSleep",
  "storeTimeout",
  "retention"
]

const year = 366 * 86_400_000

const checkOptions = (options: Options) =>
  Effect.gen(function*() {
    const common = yield* Settings.check(
      options,
      "executors" in options ? [...optionNames, "executors"] : optionNames,
      "TaskScheduler.layer"
    )
    const { defaults, integer, millis } = Settings
    const { retention = {} } = options
    const lease = yield* millis("lease", options.lease, defaults.lease, { min: 1_000, max: plausibleLease })
    const interruptGrace = yield* millis(
      "interruptGrace",
      options.interruptGrace,
      Math.min(defaults.interruptGrace, lease / 3),
      { min: 0, max: year }
    )
    if (interruptGrace > lease / 2) {
      return yield* new InvalidOption({
        option: "interruptGrace",
        value: String(options.interruptGrace),
        message: `\`interruptGrace\` must be at most half the lease (${
          lease / 2
        } ms): a run stops before its lease ends.`
      })
    }
    if (options.start !== undefined && !["auto", "manual", "paused"].includes(options.start)) {
      return yield* new InvalidOption({
        option: "start",
        value: options.start,
        message: "`start` is \"auto\", \"manual\" or \"paused\"."
      })
    }
    if (options.host !== undefined && (typeof options.host !== "string" || options.host.trim() === "")) {
      return yield* new InvalidOption({
        option: "host",
        value: options.host,
        message: "`host` is a text that is not empty."
      })
    }
    const pid = options.pid === undefined
      ? null
      : yield* integer("pid", options.pid, 0, { min: 0, max: Number.MAX_SAFE_INTEGER })
    const some = { min: 1, max: year }
    const none = { min: 0, max: year }
    return {
      ...common,
      machine: { host: options.host ?? null, pid },
      settings: {
        lease,
        interruptGrace,
        heartbeat: lease / 3,
        maxTakeovers: yield* integer("maxTakeovers", options.maxTakeovers, defaults.maxTakeovers, {
          min: 0,
          max: 1_000
        }),
        maxSleep: yield* millis("maxSleep", options.maxSleep, defaults.maxSleep, some),
        pollInterval: yield* millis("pollInterval", options.pollInterval, defaults.pollInterval, {
          min: 10,
          max: year
        }),
        drainTimeout: yield* millis("drainTimeout", options.drainTimeout, defaults.drainTimeout, none),
        shutdownTimeout: yield* millis("shutdownTimeout", options.shutdownTimeout, defaults.shutdownTimeout, none),
        storeTimeout: yield* millis("storeTimeout", options.storeTimeout, defaults.storeTimeout, some),
        keepRuns: yield* integer("retention.runs", retention.runs, defaults.keepRuns, { min: 0, max: 1_000_000 }),
        keepHistoryFor: yield* millis("retention.age", retention.age, defaults.keepHistoryFor, {
          min: 1,
          max: 100 * year
        }),
        keepFinishedFor: yield* millis("retention.finished", retention.finished, defaults.keepFinishedFor, {
          min: 1,
          max: 100 * year
        })
      } satisfies Host["settings"]
    }
  })

/**
 * What App may ask for and the scheduler provides.
 *
 * @category models
 * @since 0.1.0
 */
export type Provided = TaskScheduler | TaskSchedulerClient | TaskRegistry.TaskRegistry

/**
 * A scheduler for an application.
 *
 * **When to use**
 *
 * Use it once in a program that runs tasks; provide the store, and what App's handlers need, to this layer.
 *
 * **Details**
 *
 * App is built with `TaskScheduler`, `TaskSchedulerClient` and `TaskRegistry`, in a memo map of its own: several
 * schedulers in one program, from one App value, each have their handlers, and share what App requires. The first
 * evaluation sees every handler and every task App adds. When the scope closes: nothing more is evaluated or claimed,
 * runs in progress end or are interrupted and given back, shutdown tasks run, the last added first, and then App closes.
 *
 * `Handler<Tag>` requirements of App are met by App's own handlers, and by executors that say what they handle:
 * scheduling what nobody handles does not compile.
 *
 * **Example**
 *
 * ```ts
 * TaskScheduler.layer(Layer.mergeAll(SendDigestLive, Digests)).pipe(
 *   Layer.provide(MailLive),
 *   Layer.provide(SqliteTaskStore.layer({ filename: "punctual.db" })),
 *   Layer.launch
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R, XA = never, XE = never, XR = never>(
  App: Layer.Layer<A, E, R>,
  options?: Options & {
    /** Executors by alias. Default: fibers, as `default`. Those that handle tags elsewhere provide `Handler<Tag>`, too. */
    readonly executors?: Layer.Layer<Executors.Executors | XA, XE, XR> | undefined
  }
): Layer.Layer<
  A | Extract<XA, Task.Handler<string>> | TaskScheduler | TaskSchedulerClient,
  E | XE | InvalidOption | Policy.InvalidPolicy,
  | TaskStore
  | Exclude<R, Provided | Extract<A | XA, Task.Handler<string>>>
  | Exclude<XR, TaskRegistry.TaskRegistry>
> => Layer.effectContext(make(App as Layer.Layer<unknown, unknown, never>, options ?? {})) as never

const make = (
  App: Layer.Layer<unknown, unknown, never>,
  options: Options & { readonly executors?: Layer.Layer<Executors.Executors, unknown, unknown> | undefined }
) =>
  Effect.gen(function*() {
    const { defaults, machine, settings, timeZone } = yield* checkOptions(options)
    const stores = yield* Settings.stores
    const outer = yield* Effect.context<never>()
    const scope = yield* Effect.scope
    const name = options.name ?? "scheduler"
    const random = yield* Random.Random
    const incarnation = Array.from({ length: 4 }, () =>
      Math.floor(random.nextDoubleUnsafe() * 0x10000).toString(16).padStart(4, "0"))
      .join("")

    let drained = false
    const registry = yield* TaskRegistry.make(name, {
      drainTimeout: settings.drainTimeout,
      drained: () =>
        drained
    })
    const registryContext = Context.add(outer, TaskRegistry.TaskRegistry, registry)
    const memoMap = Layer.CurrentMemoMap.forkOrCreate(outer)
    const executors = Context.get(
      yield* Layer.buildWithMemoMap(
        (options.executors ?? Executors.layer({ default: Executor.layerFibers() })) as Layer.Layer<Executors.Executors>,
        memoMap,
        scope
      ).pipe(Effect.provideContext(registryContext)),
      Executors.Executors
    )

    const definitions = yield* TriggerDefinitions
    const activity = yield* Activity.Activity
    const hub = new Hub()
    if (activity.observe !== undefined) {
      hub.add({ onEvent: activity.observe, onEnd: () => {} })
    }
    const slots = new Map<string, ExecutorSlot>(
      Array.from(executors.aliases, ([alias, executor]) => [alias, { alias, executor, running: 0 }])
    )
    const clock = yield* Clock.Clock
    const clocks = StoreClock.all(stores.aliases, {
      clock,
      activity,
      lease: settings.lease,
      tell: (event) => {
        if (hub.heard) hub.emit(event)
      }
    })
    const host: Host = {
      name,
      owner: `${name}#${incarnation}`,
      machine,
      reader: `${name}#${incarnation}`,
      clock,
      clocks,
      activity,
      context: Context.omit(Scope.Scope)(outer) as Context.Context<never>,
      settings,
      executors: slots,
      hub,
      definitions,
      waiters: new Map(),
      phase: "idle"
    }
    const api = Commands.make({
      stores,
      executors,
      defaults,
      definitions,
      clocks,
      timeZone,
      pollInterval: settings.pollInterval,
      seen: () => host.phase !== "idle",
      heard: () => hub.heard,
      emit: hub.emit,
      waiters: host.waiters
    })
    const engine = Engine.make(host, stores.aliases, incarnation)

    const scheduler = TaskScheduler.of({
      ...api,
      addEffect: Effects.make({ api, hub, registry, scope, stores: stores.aliases }),
      start: engine.start,
      pause: engine.pause,
      resume: engine.resume,
      status: Effect.sync((): SchedulerStatus => ({
        name,
        state: host.phase,
        startedAt: engine.startedAt(),
        running: engine.running().map(fromRun),
        stores: [...stores.aliases.keys()],
        leases: engine.leaseAges().map(([store, ageMillis]) => ({ store, ageMillis, leaseMillis: settings.lease })),
        executors: [...slots.values()].map(({ alias, executor, running }) => ({
          alias,
          capacity: executor.capacity,
          running
        }))
      })),
      events: Stream.callback<SchedulerEvent>((queue) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const listener: Listener = {
              onEvent: (event) => void Queue.offerUnsafe(queue, event),
              onEnd: () => void Queue.endUnsafe(queue)
            }
            hub.add(listener)
            return listener
          }),
          (listener) => Effect.sync(() => hub.remove(listener))
        ), { bufferSize: 1_024, strategy: "sliding" })
    })

    const lifecycles = new Lifecycles.Lifecycles({ started: false })
    const own = Context.make(TaskScheduler, scheduler).pipe(
      Context.add(TaskSchedulerClient, api),
      Context.add(TaskRegistry.TaskRegistry, registry),
      Context.add(Lifecycles.Current, lifecycles)
    )
    const app = yield* Layer.buildWithMemoMap(App, memoMap, scope).pipe(
      Effect.provideContext(Context.merge(outer, own))
    )

    yield* lifecycles.start
    yield* registry.onChange(engine.wake)
    for (const [alias, store] of stores.aliases) yield* share(host, alias, store)
    // What the engine left behind, App's handlers do not wait for again.
    yield* Effect.addFinalizer(() => Effect.sync(() => drained = true))
    yield* engine.serve(options.start ?? "auto")
    return Context.merge(app as Context.Context<never>, Context.omit(TaskRegistry.TaskRegistry)(own))
  })
