/**
 * Immutable snapshots of tasks and runs: what dashboards, logs and assertions see.
 *
 * They are plain frozen data. Payloads appear in their display form, with secrets masked.
 *
 *     stored state    trigger            derived state
 *     scheduled       has a next time    scheduled, or pending until a started scheduler has seen it
 *     paused          any                paused
 *     finished        exhausted          finished
 *     onStartup       startup            onStartup
 *     onShutdown      shutdown           onShutdown
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { unreadableReason } from "./internal/taskUnreadable.ts"
import * as TriggerText from "./internal/triggerText.ts"
import * as Policy from "./Policy.ts"
import type { Counters, RunRow, RunState, TaskRow } from "./TaskRecord.ts"
import type { Verdict } from "./TaskStore.ts"
import * as Trigger from "./Trigger.ts"
import type { TriggerDefinitions } from "./TriggerDefinitions.ts"

/**
 * What a task is doing, as a person would say it.
 *
 * @category models
 * @since 0.1.0
 */
export type TaskState = "pending" | "scheduled" | "paused" | "finished" | "onStartup" | "onShutdown"

/**
 * A task at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskInfo {
  readonly id: string
  /** Alias of the store it is in. */
  readonly store: string
  readonly name: string
  /** Tag of the definition that runs it. */
  readonly callable: string
  /** The payload as people may see it, as it was stored. */
  readonly payload: unknown
  /** Version of the payload. Only schedulers whose definition has this one, or a newer one, run it. */
  readonly version: number
  /** The trigger as written; none when this program cannot read it. */
  readonly trigger: Option.Option<Trigger.Trigger>
  /** The trigger in words. */
  readonly when: string
  readonly executor: string
  readonly priority: number
  /** What its runs share with others of its `callable`, and how many of these may be at work at once. */
  readonly concurrency: Option.Option<{ readonly key: string; readonly limit: number }>
  readonly policy: Option.Option<Policy.Policy>
  readonly labels: Readonly<Record<string, string>>
  readonly owner: Option.Option<string>
  readonly state: TaskState
  /** May lie in the past: due, and not yet evaluated. */
  readonly nextRunTime: Option.Option<DateTime.Utc>
  readonly pausedSince: Option.Option<DateTime.Utc>
  readonly pauseNote: Option.Option<string>
  /** Instant up to which occurrences have been decided. */
  readonly evaluatedUntil: DateTime.Utc
  readonly counters: Counters
  /** The newest ranges of occurrences that did not become runs. */
  readonly ranges: ReadonlyArray<Policy.Range>
  /** Why this program cannot read the row, if it cannot. */
  readonly unreadable: Option.Option<string>
  /**
   * No scheduler that is alive runs its tag and payload version on its executor: what is due waits until one does. True
   * of every task while no scheduler has started.
   */
  readonly unroutable: boolean
  readonly createdAt: DateTime.Utc
  readonly updatedAt: DateTime.Utc
  readonly revision: number
}

/**
 * A run at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunInfo {
  /** Unique in its store, for ever. */
  readonly id: string
  readonly taskId: string
  readonly callable: string
  /** The instant the trigger names. */
  readonly scheduledAt: DateTime.Utc
  /** The instant it was due: later than `scheduledAt` by jitter. */
  readonly dueAt: DateTime.Utc
  /** The instant before which it does not begin: later than `dueAt` when it waits for its retry, or for a rate limit. */
  readonly readyAt: DateTime.Utc
  /** Outside the schedule: `runNow`. */
  readonly extra: boolean
  readonly state: RunState | "held"
  readonly attempt: number
  readonly takeovers: number
  /**
   * Its concurrency key, and how many of that key may be at work at once. One that is `ready` though others begin waits
   * for its turn, perhaps.
   */
  readonly concurrency: Option.Option<{ readonly key: string; readonly limit: number }>
  readonly owner: Option.Option<string>
  readonly fencingToken: Option.Option<number>
  /** When its latest attempt began. */
  readonly startedAt: Option.Option<DateTime.Utc>
  readonly endedAt: Option.Option<DateTime.Utc>
  /** The encoded exit of the latest attempt, as people may see it: `Task.decodeExit` has the values. */
  readonly exit: Option.Option<unknown>
}

const instant = (millis: number): DateTime.Utc => DateTime.makeUnsafe(millis)
const instantOption = (millis: number | null): Option.Option<DateTime.Utc> =>
  millis === null ? Option.none() : Option.some(instant(millis))

const concurrencyOf = ({ concurrencyKey, concurrencyLimit }: Pick<RunRow, "concurrencyKey" | "concurrencyLimit">) =>
  concurrencyKey === null
    ? Option.none()
    : Option.some(Object.freeze({ key: concurrencyKey, limit: concurrencyLimit }))

/** @internal */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Freezes what was read from JSON, all the way down. */
const freeze = <A>(value: A): A => {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.values(value).forEach(freeze)
    Object.freeze(value)
  }
  return value
}

/** @internal */
export const parseLabels = (text: string): Readonly<Record<string, string>> => {
  const value = parseJson(text)
  return typeof value === "object" && value !== null ? value as Record<string, string> : {}
}

/**
 * The state of a task. `seen` says whether a started scheduler of this program evaluates its store; without one, a task is
 * pending while no occurrence of its present trigger has been decided.
 *
 * @category destructors
 * @since 0.1.0
 */
export const taskState = (row: TaskRow, seen: boolean): TaskState =>
  row.state === "scheduled" && !seen && !isDecided(row.counters) ? "pending" : row.state

const isDecided = (counters: Counters): boolean =>
  counters.ran > 0 || counters.missed > 0 || counters.coalesced > 0 || counters.skipped > 0

/**
 * A snapshot of a stored task.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRow = (
  row: TaskRow,
  options: {
    readonly store: string
    readonly seen: boolean
    /** Default: `false`. */
    readonly unroutable?: boolean | undefined
    readonly verdict?: Verdict | undefined
    /** What triggers of the program's own are decoded with. */
    readonly definitions?: TriggerDefinitions | undefined
  }
): TaskInfo => {
  const trigger = TriggerText.decode(row.trigger, options.definitions)
  const policy = Policy.decode(row.policy)
  return Object.freeze<TaskInfo>({
    id: row.id,
    store: options.store,
    name: row.name,
    callable: row.tag,
    payload: unreadableReason(row.display) === undefined ? freeze(parseJson(row.display)) : "<unreadable>",
    version: row.version,
    trigger: Result.isSuccess(trigger) ? Option.some(trigger.success) : Option.none(),
    when: Result.isSuccess(trigger) ? Trigger.format(trigger.success) : "unreadable",
    executor: row.executor,
    priority: row.priority,
    concurrency: concurrencyOf(row),
    policy: Result.isSuccess(policy) ? Option.some(policy.success) : Option.none(),
    labels: Object.freeze(parseLabels(row.labels)),
    owner: Option.fromNullishOr(row.owner),
    state: taskState(row, options.seen),
    nextRunTime: instantOption(row.due),
    pausedSince: instantOption(row.pausedAt),
    pauseNote: Option.fromNullishOr(row.pauseNote),
    evaluatedUntil: instant(row.cursor),
    counters: Object.freeze({ ...row.counters }),
    ranges: freeze(Policy.decodeRanges(row.ranges)),
    unreadable: options.verdict !== undefined
      ? Option.some(options.verdict.reason)
      : Result.isFailure(trigger)
      ? Option.some(trigger.failure)
      : Result.isFailure(policy)
      ? Option.some(policy.failure.message)
      : Option.fromNullishOr(unreadableReason(row.payload)),
    unroutable: options.unroutable ?? false,
    createdAt: instant(row.createdAt),
    updatedAt: instant(row.updatedAt),
    revision: row.revision
  })
}

/**
 * The name of a run in its store.
 *
 * @category destructors
 * @since 0.1.0
 */
export const runId = (run: { readonly generation: number; readonly key: string }): string =>
  `${run.generation}:${run.key}`

/**
 * A snapshot of a stored run.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRun = (run: RunRow): RunInfo =>
  Object.freeze<RunInfo>({
    id: runId(run),
    taskId: run.taskId,
    callable: run.tag,
    scheduledAt: instant(run.nominal),
    dueAt: instant(run.due),
    readyAt: instant(run.readyAt),
    extra: run.key.startsWith("x:"),
    state: run.held && (run.state === "ready" || run.state === "waiting") ? "held" : run.state,
    attempt: run.attempt,
    takeovers: run.takeovers,
    concurrency: concurrencyOf(run),
    owner: Option.fromNullishOr(run.owner),
    fencingToken: Option.fromNullishOr(run.token),
    startedAt: instantOption(run.startedAt),
    endedAt: instantOption(run.endedAt),
    exit: run.exit === null ? Option.none() : shownExit(run.exit)
  })

/** Texts of exits by what is shown of them, in which secrets may be masked. */
const exitTexts = new WeakMap<Option.Option<unknown>, string>()

const shownExit = (text: string): Option.Option<unknown> => {
  const unread = unreadableReason(text)
  if (unread !== undefined) return Option.some(Object.freeze({ _tag: "Unreadable", reason: unread }))
  const exit = parseJson(text)
  const shown = Option.some(freeze(typeof exit === "object" && exit !== null && "shown" in exit ? exit.shown : exit))
  exitTexts.set(shown, text)
  return shown
}

/**
 * The text of an exit as it was stored, if this is what `fromRun` shows of it and not a copy.
 *
 * @internal
 */
export const exitText = (exit: Option.Option<unknown>): string | undefined => exitTexts.get(exit)
