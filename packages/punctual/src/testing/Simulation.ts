/**
 * Several schedulers over one store, and everything that can go wrong between them, thousands of times, in seconds.
 *
 *     seed ──▶ script of faults and operations ──▶ nodes, one store, one virtual clock ──▶ ledger ──▶ invariants
 *                    ▲                                                                                  │
 *                    └───────────────────────────── smaller, while it still fails ◀─────────────────────┘
 *
 * A process crashes between any two of its steps, loses an answer, is cut off, stands still, or is told a wrong time. Then
 * everything heals, and what handlers did and the store accepted must agree with what the triggers say. The same seed
 * is the same simulation, to the step.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Activity from "../Activity.ts"
import * as Executor from "../Executor.ts"
import * as Executors from "../Executors.ts"
import { closest, refuseUnknown } from "../internal/options.ts"
import * as Invariants from "../internal/simulation/invariants.ts"
import * as Ledgers from "../internal/simulation/ledger.ts"
import { type Draw, makeDraw, seedOf } from "../internal/simulation/random.ts"
import * as Scripts from "../internal/simulation/script.ts"
import { shrink } from "../internal/simulation/shrink.ts"
import { type Client, CurrentProcess, type Program, simulate } from "../internal/simulation/simulate.ts"
import { instant as instantOf } from "../internal/triggerInput.ts"
import * as MemoryTaskStore from "../MemoryTaskStore.ts"
import { InvalidOption } from "../SchedulerError.ts"
import type * as Task from "../Task.ts"
import * as TaskScheduler from "../TaskScheduler.ts"
import type { TaskStore } from "../TaskStore.ts"
import type * as Trigger from "../Trigger.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * A kind of fault.
 *
 * | | |
 * |---|---|
 * | `crash` | a process is gone between two of its steps, nothing finalised; another one starts later |
 * | `freeze`, `suspend` | it stands still while leases run; suspended, its timers and monotonic clock do too |
 * | `loseReply` | a call of the store is carried out, and its caller told that the store is unavailable |
 * | `fail`, `delay` | a call is not carried out; it, or its answer, takes long |
 * | `late`, `duplicate` | a call is carried out after its caller was told that it had failed; or twice |
 * | `partition`, `deaf` | no call gets through, failing or without an answer; wake-ups are lost |
 * | `restart` | a process closes in order, and starts again |
 * | `drift`, `step` | its wall clock is minutes off; it shows 1970 or 2099 |
 *
 * @category models
 * @since 0.1.0
 */
export type Fault = Scripts.FaultKind

/**
 * What happens in one simulation, as data: its seed, its nodes with the skew of each, and its faults and operations.
 *
 * @category models
 * @since 0.1.0
 */
export type Script = Scripts.Script

/**
 * What happened, in order, and the store in the end.
 *
 * @category models
 * @since 0.1.0
 */
export type Ledger = Ledgers.Ledger

/** @category models @since 0.1.0 */
export type LedgerEntry = Ledgers.Entry

/**
 * What must hold and does not: an invariant's name, and how it was broken.
 *
 * @category models
 * @since 0.1.0
 */
export type Problem = Invariants.Problem

/**
 * Random values of one operation, the same for the same script.
 *
 * @category models
 * @since 0.1.0
 */
export type Random = Draw

/**
 * What somebody does to tasks meanwhile, from some node. It may fail: a store that is away is part of the game.
 *
 * @category models
 * @since 0.1.0
 */
export interface Operation {
  readonly name: string
  /** How often it is drawn, compared to others. */
  readonly weight: number
  /** How often it is also done at the very start, at most (then at least once). */
  readonly atStart: number
  readonly run: (scheduler: Client, random: Random) => Effect.Effect<unknown, unknown>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<RO = never> {
  /** How many simulations, with seeds from 1 on; or which. Default: 100. */
  readonly seeds?: number | ReadonlyArray<number> | undefined
  /** Schedulers at most. Default: 3. */
  readonly nodes?: number | undefined
  /** How long faults and operations go on, in virtual time. Default: 1 minute. */
  readonly duration?: Duration.Input | undefined
  /** How long everything is left alone after that, until nothing may be stuck. Default: four leases and 20 s. */
  readonly quiet?: Duration.Input | undefined
  /** Which faults. Default: all. */
  readonly faults?: ReadonlyArray<Fault> | undefined
  /** What people do meanwhile. Default: `operations`. */
  readonly operations?: ReadonlyArray<Operation> | undefined
  /** The instant at which it begins. Default: 2026-01-01T00:00:00Z. */
  readonly now?: Trigger.InstantInput | undefined
  /** Options of every scheduler. Default: a lease of 6 s, and other times in proportion, so that a minute holds many. */
  readonly scheduler?: Omit<TaskScheduler.Options, "name" | "start"> | undefined
  readonly executors?: Layer.Layer<Executors.Executors, never, never> | undefined
  /**
   * The one store, new for each simulation; its operations answer at once. Default: in memory. One that tells a `time` has
   * a clock of its own, which shows the true time here, whatever those of the schedulers do.
   */
  readonly store?: Effect.Effect<TaskStore["Service"], never, Scope.Scope> | undefined
  /** What is no part of any process, such as a mail server: new for each simulation, and no fault touches it. */
  readonly outside?: Layer.Layer<RO> | undefined
  /** What must hold of your own program: answers what is wrong. */
  readonly invariant?: ((ledger: Ledger, outside: Context.Context<RO>) => ReadonlyArray<string>) | undefined
  /** How many smaller scripts are tried when one fails. Default: 500; 0 leaves it as it is. */
  readonly shrinks?: number | undefined
}

const optionNames: ReadonlyArray<keyof Options> = [
  "seeds",
  "nodes",
  "duration",
  "quiet",
  "faults",
  "operations",
  "now",
  "scheduler",
  "executors",
  "store",
  "outside",
  "invariant",
  "shrinks"
]

/**
 * How much happened. Numbers that are zero say what a simulation cannot have tested.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly seeds: number
  /** Handlers that began. */
  readonly attempts: number
  /** Faults that struck. */
  readonly faults: number
  /** Operations that were answered. */
  readonly operations: number
  /** Commits that lost to another. */
  readonly conflicts: number
  /** Leases that were taken over. */
  readonly takeovers: number
  /** Settlements that came too late. */
  readonly stale: number
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/** Lines of a trace that a message shows. */
const traceLines = 150

/**
 * An invariant does not hold. The message has the seed, the smallest script that was found, its trace, and a line that
 * replays it.
 *
 * @category errors
 * @since 0.1.0
 */
export class SimulationFailed extends Schema.TaggedError<SimulationFailed>()("SimulationFailed", {
  seed: Schema.Number,
  problems: Schema.Array(
    Schema.Struct({
      invariant: Schema.String,
      message: Schema.String,
      entry: Schema.optionalKey(Schema.UndefinedOr(Schema.Number))
    })
  ),
  script: Schema.declare((u): u is Script => typeof u === "object" && u !== null && "steps" in u),
  trace: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const { problems, script, seed, trace } = this
    // Up to the first problem, if it has a place.
    const end = 1 + Math.min(...problems.map(({ entry }) => entry ?? trace.length))
    const told = trace.slice(Math.max(0, end - traceLines), end)
    return [
      `Seed ${seed} breaks what must hold:`,
      ...problems.slice(0, 5).map(({ invariant, message }) => `  ${invariant}: ${message}`),
      `Smallest script: ${script.skews.length} node(s), clocks ahead by ${script.skews.join(", ")} ms, ` +
      `calls up to ${script.latency} ms each way, ${script.duration} ms`,
      ...script.steps.map((step) => `  ${Scripts.formatStep(step)}`),
      told.length === trace.length
        ? "Trace:"
        : `Trace, ${told.length} lines of ${trace.length}, up to the first problem:`,
      ...told.map((line) => `  ${line}`),
      `Replay it with  Simulation.replay(App, ${JSON.stringify(script)}, options)`,
      `or whole with   Simulation.run(App, { ...options, seeds: [${seed}] })`
    ].join("\n")
  }
}

// -----------------------------------------------------------------------------
// operations
// -----------------------------------------------------------------------------

/**
 * Random values that depend on these parts alone: what a handler draws from `CurrentRun` is the same in every replay.
 *
 * @category constructors
 * @since 0.1.0
 */
export const random = (...parts: ReadonlyArray<string | number>): Random => makeDraw(seedOf(...parts))

/**
 * An operation of your own. Draw what is random from the argument, or the simulation cannot be replayed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const operation = (
  name: string,
  run: Operation["run"],
  options: { readonly weight?: number | undefined; readonly atStart?: number | undefined } = {}
): Operation => ({ name, run, weight: options.weight ?? 1, atStart: options.atStart ?? 0 })

/**
 * An operation on one of the tasks that exist.
 *
 * @category constructors
 * @since 0.1.0
 */
export const onSomeTask = (
  name: string,
  run: (handle: ReturnType<Client["handle"]>, random: Random) => Effect.Effect<unknown, unknown>,
  options?: Parameters<typeof operation>[2]
): Operation =>
  operation(
    name,
    (scheduler, random) =>
      Effect.flatMap(scheduler.list({ limit: 100 }), ({ items }) => {
        if (items.length === 0) return Effect.succeed("there is no task")
        const { id } = random.pick(items)
        return Effect.as(run(scheduler.handle(id), random), id)
      }),
    options
  )

/** @category operations @since 0.1.0 */
export const pause: Operation = onSomeTask("pause", (handle) => handle.pause())

/** @category operations @since 0.1.0 */
export const resume: Operation = onSomeTask("resume", (handle) => handle.resume, { weight: 2 })

/** @category operations @since 0.1.0 */
export const runNow: Operation = onSomeTask("runNow", (handle) => handle.runNow(), { weight: 2 })

/**
 * Cancels one of a task's latest runs.
 *
 * @category operations
 * @since 0.1.0
 */
export const cancel: Operation = onSomeTask(
  "cancel",
  (handle, random) =>
    Effect.flatMap(
      handle.runs({ limit: 5 }),
      ({ items }) => items.length === 0 ? Effect.void : handle.cancel(random.pick(items).id)
    )
)

/** @category operations @since 0.1.0 */
export const remove: Operation = onSomeTask(
  "remove",
  (handle, random) => handle.remove({ interrupt: random.chance(0.5) })
)

/**
 * What people do unless a simulation says otherwise: nothing that takes a task away.
 *
 * @category operations
 * @since 0.1.0
 */
export const operations: ReadonlyArray<Operation> = [pause, resume, runNow, cancel]

/**
 * A handler that computes for so long without yielding: its whole process stands still meanwhile. Elsewhere than in a
 * simulation it does nothing.
 *
 * @category operations
 * @since 0.1.0
 */
export const block = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const process = fiber.getRef(CurrentProcess)
    if (process === undefined) return Effect.void
    process.freeze(Duration.toMillis(Duration.fromInputUnsafe(duration)), false)
    return Effect.yieldNow
  })

// -----------------------------------------------------------------------------
// running
// -----------------------------------------------------------------------------

/** What App still needs, beside what a scheduler and the world outside provide. */
type Needs<A, R, RO> = Exclude<R, TaskScheduler.Provided | Extract<A, Task.Handler<string>> | RO>

/**
 * Simulates an application, once for each seed, and fails with the first seed that breaks something.
 *
 * **When to use**
 *
 * In a test of handlers that must stand crashes and repeats: give it App as `TestScheduler.layer` takes it, the world
 * outside as a layer, and what must hold of it as `invariant`.
 *
 * **Gotchas**
 *
 * Handlers wait for virtual time, or for each other, and for nothing else: a promise does not resolve in here.
 *
 * **Example**
 *
 * ```ts
 * const report = yield* Simulation.run(App, {
 *   seeds: 500,
 *   outside: Bank.layerMemory,
 *   invariant: (_, outside) => Context.get(outside, Bank).overdrawn
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = <A, E, R, RO = never>(
  App: Layer.Layer<A, E, R>,
  options: Options<RO> = {}
): Effect.Effect<Report, SimulationFailed | InvalidOption, Needs<A, R, RO>> =>
  Effect.gen(function*() {
    const { examine, generating, seeds, shrinks } = yield* prepare(App, options)
    let report = noReport
    for (const seed of seeds) {
      const script = Scripts.generate(seed, generating)
      const examined = examine(script)
      report = add(report, examined.ledger)
      const [first] = examined.problems
      if (first !== undefined) {
        const fails = (candidate: Script) =>
          examine(candidate).problems.some(({ invariant }) => invariant === first.invariant)
        return yield* failure(examine, shrink(script, fails, shrinks))
      }
      // Whoever waits for it may interrupt it.
      yield* Effect.yieldNow
    }
    return report
  })

/**
 * Simulates one script again, such as that of a `SimulationFailed`, with the options that it was found with.
 *
 * @category running
 * @since 0.1.0
 */
export const replay = <A, E, R, RO = never>(
  App: Layer.Layer<A, E, R>,
  script: Script,
  options: Options<RO> = {}
): Effect.Effect<
  { readonly ledger: Ledger; readonly trace: ReadonlyArray<string> },
  SimulationFailed | InvalidOption,
  Needs<A, R, RO>
> =>
  Effect.gen(function*() {
    const { examine, generating } = yield* prepare(App, options)
    const known = generating.operations.map(({ name }) => name)
    for (const step of script.steps) {
      if ("fault" in step || known.includes(step.operation)) continue
      return yield* new InvalidOption({
        option: "operations",
        value: step.operation,
        message: `The script asks for \`${step.operation}\`, and the operations are: ${known.join(", ")}. ` +
          `Replay it with the options that it was found with.`
      })
    }
    const { ledger, problems, trace } = examine(script)
    return problems.length > 0 ? yield* failure(examine, script) : { ledger, trace: trace() }
  })

/**
 * The script that a seed stands for, under these options.
 *
 * @category running
 * @since 0.1.0
 */
export const script = <RO = never>(seed: number, options: Options<RO> = {}): Effect.Effect<Script, InvalidOption> =>
  Effect.map(check(options), ({ generating }) => Scripts.generate(seed, generating))

interface Examined {
  readonly ledger: Ledger
  readonly problems: ReadonlyArray<Problem>
  readonly trace: () => ReadonlyArray<string>
}

const failure = (
  examine: (script: Script) => Examined,
  script: Script
): Effect.Effect<never, SimulationFailed> => {
  const { problems, trace } = examine(script)
  return Effect.fail(new SimulationFailed({ seed: script.seed, problems, script, trace: trace() }))
}

const defaultStart = "2026-01-01T00:00:00Z"

/** Short, so that a minute holds many leases, polls and retries. */
const quick = {
  lease: 6_000,
  interruptGrace: 2_000,
  pollInterval: 3_000,
  maxSleep: 15_000,
  storeTimeout: 2_000,
  drainTimeout: 1_000,
  shutdownTimeout: 1_000
} satisfies TaskScheduler.Options

/** How long after a clock showed another year tasks may be silent: `docs/guarantees.md` says three minutes. */
const afterStep = 240_000

const check = <RO>(options: Options<RO>) =>
  Effect.gen(function*() {
    const unknown = refuseUnknown(options, optionNames, "Simulation.run")
    if (unknown !== undefined) {
      const option = Object.keys(options).find((key) => !(optionNames as ReadonlyArray<string>).includes(key))!
      return yield* new InvalidOption({ option, value: undefined, message: unknown })
    }
    const invalid = (option: string, value: unknown, message: string) => new InvalidOption({ option, value, message })
    const whole = (option: "nodes" | "seeds" | "shrinks", value: number, least: number, most: number) =>
      Number.isSafeInteger(value) && value >= least && value <= most
        ? Effect.succeed(value)
        : Effect.fail(
          invalid(option, value, `\`${option}\` must be an integer from ${least} to ${most}, not ${value}.`)
        )
    const millis = (option: "duration" | "quiet", value: Duration.Input) => {
      const duration = Option.getOrUndefined(Duration.fromInput(value))
      const given = duration === undefined ? Number.NaN : Duration.toMillis(duration)
      return given >= 1 && given <= 86_400_000
        ? Effect.succeed(Math.ceil(given))
        : Effect.fail(
          invalid(option, value, `\`${option}\` must be a duration from 1 ms to a day, not ${String(value)}.`)
        )
    }
    const faults = options.faults ?? Scripts.faultKinds
    for (const fault of faults) {
      if (Scripts.faultKinds.includes(fault)) continue
      const meant = closest(fault, Scripts.faultKinds)
      const hint = meant === undefined ? `they are: ${Scripts.faultKinds.join(", ")}` : `did you mean \`${meant}\`?`
      return yield* invalid("faults", fault, `There is no fault \`${fault}\`; ${hint}`)
    }
    const scheduler = { ...quick, ...options.scheduler }
    const lease = Duration.toMillis(Duration.fromInputUnsafe(scheduler.lease ?? quick.lease))
    const seeds = options.seeds ?? 100
    return {
      seeds: typeof seeds === "number"
        ? Array.from({ length: yield* whole("seeds", seeds, 1, 1_000_000_000) }, (_, i) => i + 1)
        : seeds,
      shrinks: yield* whole("shrinks", options.shrinks ?? 500, 0, 1_000_000),
      quiet: yield* millis("quiet", options.quiet ?? 4 * lease + 20_000),
      scheduler,
      tolerance: Duration.toMillis(Duration.fromInputUnsafe(scheduler.interruptGrace ?? quick.interruptGrace)) / 2,
      slack: 2 * Duration.toMillis(Duration.fromInputUnsafe(scheduler.pollInterval ?? quick.pollInterval)) + lease,
      generating: {
        nodes: yield* whole("nodes", options.nodes ?? 3, 1, 100),
        duration: yield* millis("duration", options.duration ?? 60_000),
        faults,
        operations: options.operations ?? operations
      } satisfies Scripts.Generating
    }
  })

const prepare = <A, E, R, RO>(App: Layer.Layer<A, E, R>, options: Options<RO>) =>
  Effect.gen(function*() {
    const checked = yield* check(options)
    // Every process builds its own App, and nothing of a clock that some test moves reaches it.
    const ambient = Context.omit(Activity.Activity, Activity.Label, Layer.CurrentMemoMap, Scope.Scope)(
      yield* Effect.context<never>()
    ) as Context.Context<never>
    const start = instantOf(options.now ?? defaultStart, "UTC")
    const executors = options.executors ?? Executors.layer({ default: Executor.layerFibers() })
    const program: Omit<Program, "quiet"> = {
      scheduler: (name, watch) =>
        TaskScheduler.layer(App as Layer.Layer<A, E>, {
          ...checked.scheduler,
          name,
          executors: watch(executors)
        }),
      operations: new Map((options.operations ?? operations).map(({ name, run }) => [name, run])),
      store: options.store ?? MemoryTaskStore.make,
      outside: options.outside === undefined ? Effect.succeed(ambient) : Effect.map(
        Effect.flatMap(Effect.scope, (scope) => Layer.buildWithScope(Layer.fresh(options.outside!), scope)),
        (outside) => Context.merge(ambient, outside as Context.Context<never>)
      ),
      start
    }
    const examine = (script: Script): Examined => {
      const quiet = checked.quiet + (Scripts.clocksStep(script) ? afterStep : 0)
      const { ledger, outside, problems } = simulate({ ...program, quiet }, script)
      const { slack, tolerance } = checked
      return {
        ledger,
        problems: [
          ...problems,
          ...Invariants.check(ledger, { script, start, slack, tolerance }),
          ...(options.invariant?.(ledger, outside as Context.Context<RO>) ?? []).map((message) => ({
            invariant: "yours",
            message
          }))
        ],
        trace: () => ledger.entries.map((entry) => Ledgers.formatEntry(entry, start))
      }
    }
    return { ...checked, examine }
  })

const noReport: Report = { seeds: 0, attempts: 0, faults: 0, operations: 0, conflicts: 0, takeovers: 0, stale: 0 }

const add = (report: Report, { entries }: Ledger): Report => {
  let { attempts, conflicts, faults, operations, seeds, stale, takeovers } = report
  seeds++
  for (const entry of entries) {
    if (entry._tag === "Began") attempts++
    else if (entry._tag === "Fault") faults++
    else if (entry._tag === "Operation") operations++
    else if (entry._tag === "TakenOver") takeovers++
    else if (entry._tag === "Changed" && entry.answer._tag === "Conflict") conflicts++
    else if (entry._tag === "Settled" && entry.answer === "Stale") stale++
  }
  return { attempts, conflicts, faults, operations, seeds, stale, takeovers }
}
