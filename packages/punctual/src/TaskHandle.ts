/**
 * What can be done with a task that was added, and with one of its runs.
 *
 * A handle is an address, not a copy: every method reads the store. Methods validate everything before they change
 * anything. `pause`, `resume`, `update`, `reschedule`, `remove` first settle what is due under the rules as they were.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { UnknownExecutor } from "./Executors.ts"
import type * as Policy from "./Policy.ts"
import type {
  ClosureNotPersistable,
  DuplicateTask,
  InvalidOption,
  RunNotFound,
  TaskBusy,
  TaskFinished,
  TaskNotFound,
  TaskUnreadable,
  TooMuchContention,
  TriggerNeverFires
} from "./SchedulerError.ts"
import type * as Task from "./Task.ts"
import type { RunInfo, TaskInfo } from "./TaskInfo.ts"
import type { TaskAlreadyHandled } from "./TaskRegistry.ts"
import type { Page, TaskStoreError } from "./TaskStore.ts"
import type { UnknownStore } from "./TaskStores.ts"
import type * as Trigger from "./Trigger.ts"

/**
 * What is said about a task when it is added; a payload is asked for only where the task has one.
 *
 * @category models
 * @since 0.1.0
 */
export type ScheduleOptions<T extends Task.Any> = ScheduleSettings & Task.PayloadOption<T["payload"]>

/**
 * Everything but the payload. What is left out comes from the definition, then from the scheduler's defaults.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScheduleSettings extends Policy.Options {
  /** Unique in its store and immutable. Default: random. */
  readonly id?: string | undefined
  /** Default: the definition's, else `Trigger.now`. */
  readonly trigger?: Trigger.Trigger | undefined
  readonly name?: string | undefined
  /** Alias of a store. Default: `default`. */
  readonly store?: string | undefined
  /** Alias of an executor. Default: `default`. */
  readonly executor?: string | undefined
  /** Larger runs first. Default: 0. */
  readonly priority?: number | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /**
   * What to do with an existing task of this id. `update` applies what differs between its last declaration and this
   * one: an operator's pause or reschedule survives a deploy. `replace` starts a new task. Default: `fail`.
   */
  readonly onConflict?: "fail" | "keep" | "update" | "replace" | undefined
  /** Number of this declaration, for `update`: a smaller one than the stored changes nothing. */
  readonly revision?: number | undefined
  /** The first run; until then the trigger is silent. A text without an offset is read in the scheduler's time zone. */
  readonly nextRunTime?: Trigger.InstantInput | undefined
  /** Adds the task paused, with a note. */
  readonly paused?: boolean | string | undefined
}

/**
 * What `update` may change. Unknown keys are refused, and `id` with them.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskChanges<T extends Task.Any> extends Policy.Options {
  readonly name?: string | undefined
  readonly payload?: T["payload"]["~type.make.in"] | undefined
  readonly trigger?: Trigger.Trigger | undefined
  readonly executor?: string | undefined
  readonly priority?: number | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly nextRunTime?: Trigger.InstantInput | undefined
}

/**
 * A definition together with how it is scheduled: what `addAll` and `reconcile` take.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scheduled<T extends Task.Any> {
  readonly task: T
  readonly options: ScheduleSettings & { readonly payload?: unknown }
}

/** @category errors @since 0.1.0 */
export type CommandError = TaskNotFound | TaskUnreadable | TooMuchContention | TaskStoreError

/** @category errors @since 0.1.0 */
export type AddError =
  | UnknownStore
  | UnknownExecutor
  | DuplicateTask
  | InvalidOption
  | Policy.InvalidPolicy
  | Task.InvalidPayload
  | TriggerNeverFires
  | Trigger.InvalidTrigger
  | TooMuchContention
  | TaskUnreadable
  | TaskStoreError

/** @category errors @since 0.1.0 */
export type UpdateError =
  | CommandError
  | UnknownExecutor
  | InvalidOption
  | Policy.InvalidPolicy
  | Task.InvalidPayload
  | TriggerNeverFires
  | Trigger.InvalidTrigger

/** @category errors @since 0.1.0 */
export type AddEffectError = AddError | ClosureNotPersistable | Task.InvalidTask | TaskAlreadyHandled

/**
 * A run ended without an exit of its handler.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunNotCompleted extends Schema.TaggedError<RunNotCompleted>()("RunNotCompleted", {
  run: Schema.String,
  state: Schema.Literals(["cancelled", "timedOut", "missed", "abandoned", "unknown"])
}) {
  override get message(): string {
    return `Run \`${this.run}\` has no result: it was ${this.state}.`
  }
}

/** A handle without a definition encodes and decodes nothing, so it needs nothing for that. */
type Services<R> = unknown extends R ? never : R

/**
 * A run that was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunHandle<T extends Task.Any> {
  readonly id: string
  readonly taskId: string
  /** `started`: ready or running; `queued`: waits for another run of its task. */
  readonly status: "started" | "queued"
  readonly info: Effect.Effect<RunInfo, RunNotFound | TaskStoreError>
  /** Waits for its end, wherever it runs, and answers the handler's typed result. */
  readonly await: Effect.Effect<
    T["success"]["Type"],
    T["error"]["Type"] | RunNotCompleted | RunNotFound | TaskStoreError,
    Services<T["success"]["DecodingServices"] | T["error"]["DecodingServices"]>
  >
  readonly cancel: Effect.Effect<void, CommandError | RunNotFound>
}

/**
 * Why an instant of a task's past has the outcome it has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Explanation {
  readonly outcome: "ran" | "missed" | "coalesced" | "skipped" | "paused" | "due" | "notAnOccurrence" | "unknown"
  /** In words. */
  readonly reason: string
  /** The run, where there is one. */
  readonly run: RunInfo | undefined
}

/**
 * The address of a task.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskHandle<T extends Task.Any> {
  readonly id: string
  /** Alias of its store. */
  readonly store: string
  readonly snapshot: Effect.Effect<TaskInfo, TaskNotFound | TaskStoreError>
  /** Validates all of it, then applies all of it. */
  readonly update: (
    changes: TaskChanges<T>
  ) => Effect.Effect<TaskInfo, UpdateError, Services<T["payload"]["EncodingServices"]>>
  /** Changes the trigger, counts from now and computes the next run time. A paused task stays paused. */
  readonly reschedule: (trigger: Trigger.Trigger) => Effect.Effect<TaskInfo, UpdateError>
  /** Keeps the task and stops it from firing; its waiting runs are held, a running one goes on. */
  readonly pause: (note?: string) => Effect.Effect<TaskInfo, CommandError>
  /** Goes on with the first occurrence after now; those in between are counted as paused. */
  readonly resume: Effect.Effect<TaskInfo, CommandError | TaskFinished>
  /**
   * Forgets what readers said of a row that they could not read (`TaskInfo.unreadable`), so that all look again: after a
   * fix in a process that goes on. A process that starts anew looks again by itself.
   */
  readonly restore: Effect.Effect<TaskInfo, TaskNotFound | TaskStoreError>
  /** Forgets the task; its waiting runs end cancelled. A running one goes on, unless `interrupt`, and may be cancelled. */
  readonly remove: (options?: { readonly interrupt?: boolean | undefined }) => Effect.Effect<void, CommandError>
  /** One run outside the schedule, which it does not touch. The same `key` is the same run. */
  readonly runNow: (options?: {
    readonly key?: string | undefined
    readonly whenBusy?: Policy.Policy["whenBusy"] | undefined
  }) => Effect.Effect<RunHandle<T>, CommandError | TaskBusy | InvalidOption>
  /** Ends a run: at once when it waits, by interruption when it runs. One that has ended stays as it is. */
  readonly cancel: (run: string) => Effect.Effect<void, CommandError | RunNotFound>
  /** The next `n` occurrences from now on; of a paused task, as if it were resumed now. Changes nothing. */
  readonly preview: (n: number) => Effect.Effect<ReadonlyArray<Trigger.Occurrence>, CommandError | InvalidOption>
  /** What became of an instant, and why. */
  readonly explain: (instant: Trigger.InstantInput) => Effect.Effect<Explanation, CommandError | InvalidOption>
  /** Its runs, newest first: open ones and the history that is kept. */
  readonly runs: (
    options?: RunListOptions
  ) => Effect.Effect<Page<RunInfo>, TaskStoreError | InvalidOption | UnknownStore>
}

/** @category models @since 0.1.0 */
export interface RunListOptions {
  readonly state?: RunInfo["state"] | undefined
  /** At most 1,000. Default: 100. */
  readonly limit?: number | undefined
  /** `next` of the page before. */
  readonly after?: string | undefined
}

/** @category models @since 0.1.0 */
export interface TaskListOptions {
  readonly store?: string | undefined
  readonly task?: Task.Any | undefined
  readonly state?: TaskInfo["state"] | undefined
  readonly owner?: string | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Part of the id or the name, in any case. Reads every task. */
  readonly search?: string | undefined
  /** Default: `id`. */
  readonly sort?: "id" | "due" | "created" | undefined
  readonly descending?: boolean | undefined
  /** At most 1,000. Default: 100. */
  readonly limit?: number | undefined
  /** `next` of the page before. */
  readonly after?: string | undefined
}
