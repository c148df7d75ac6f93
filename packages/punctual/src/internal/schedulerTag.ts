/**
 * The scheduler's services as tags, apart from the engine that makes them, so that `Task` can schedule.
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { CurrentRun } from "../CurrentRun.ts"
import type { EventsNotShared, InvalidOption, RunNotFound } from "../SchedulerError.ts"
import type { SchedulerEvent, SharedEvent } from "../SchedulerEvent.ts"
import type { SchedulerInstance } from "../SchedulerInstance.ts"
import type * as Task from "../Task.ts"
import type {
  AddEffectError,
  AddError,
  CommandError,
  RunListOptions,
  Scheduled,
  ScheduleOptions,
  ScheduleSettings,
  TaskHandle,
  TaskListOptions
} from "../TaskHandle.ts"
import type { RunInfo, TaskInfo } from "../TaskInfo.ts"
import type { Page, TaskStoreError, Verdict } from "../TaskStore.ts"
import type { UnknownStore } from "../TaskStores.ts"

/** What scheduling a task needs: that somebody handles it, unless the client may schedule for others. */
export type Requirements<Mode extends "handled" | "anywhere", T extends Task.Any> =
  | (Mode extends "handled" ? T extends Task.Any ? Task.Handler<T["tag"]> : never : never)
  | T["payload"]["EncodingServices"]

export interface Reconciled {
  readonly added: ReadonlyArray<string>
  readonly updated: ReadonlyArray<string>
  readonly unchanged: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
}

export interface Api<Mode extends "handled" | "anywhere"> {
  /** Commits at once or fails at once. */
  readonly add: <const T extends Task.Any>(
    task: T,
    options: ScheduleOptions<T>
  ) => Effect.Effect<TaskHandle<T>, AddError, Requirements<Mode, T>>
  /** Like `add` of each, validated together before any is stored, in few round trips. */
  readonly addAll: <const Entries extends ReadonlyArray<Scheduled<Task.Any>>>(
    entries: Entries
  ) => Effect.Effect<
    ReadonlyArray<TaskHandle<Entries[number]["task"]>>,
    AddError,
    Requirements<Mode, Entries[number]["task"]>
  >
  /**
   * Makes the tasks of `owner` these and no others: adds, updates what differs, removes its own that are not listed.
   * Tasks of other owners are never touched.
   */
  readonly reconcile: <const Entries extends ReadonlyArray<Scheduled<Task.Any>>>(
    owner: string,
    entries: Entries,
    options?: { readonly store?: string | undefined }
  ) => Effect.Effect<Reconciled, AddError | CommandError, Requirements<Mode, Entries[number]["task"]>>
  /** The address of a task, without asking whether it exists. Typed by `task` where the payload or a result matters. */
  readonly handle: <const T extends Task.Any = Task.Any>(
    id: string,
    options?: { readonly task?: T | undefined; readonly store?: string | undefined }
  ) => TaskHandle<T>
  readonly list: (
    options?: TaskListOptions
  ) => Effect.Effect<Page<TaskInfo>, TaskStoreError | InvalidOption | UnknownStore>
  /** Runs of all tasks, newest first. */
  readonly runs: (
    options?: RunListOptions & { readonly store?: string | undefined; readonly task?: Task.Any | undefined }
  ) => Effect.Effect<Page<RunInfo>, TaskStoreError | InvalidOption | UnknownStore>
  /** Ends a run of any task. */
  readonly cancel: (run: RunInfo, options?: { readonly store?: string | undefined }) => Effect.Effect<
    void,
    CommandError | RunNotFound
  >
  /** Removes every task of a store, or those of an owner; answers how many. */
  readonly removeAll: (
    options?: { readonly store?: string | undefined; readonly owner?: string | undefined }
  ) => Effect.Effect<number, TaskStoreError | UnknownStore>
  /** Rows that some program could not read, and why. */
  readonly quarantined: (
    options?: { readonly store?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<Verdict>, TaskStoreError | UnknownStore>
  /** The schedulers that use a store, those that are alive first; stale ones for a day. */
  readonly instances: (
    options?: { readonly store?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<SchedulerInstance>, TaskStoreError | UnknownStore>
  /**
   * What all schedulers that share a store tell from now on, this one included, where the store carries it; at most once.
   * They tell as long as somebody listens. It does not end by itself.
   */
  readonly eventsEverywhere: (
    options?: { readonly store?: string | undefined }
  ) => Stream.Stream<SharedEvent, EventsNotShared | UnknownStore>
}

export interface SchedulerStatus {
  readonly name: string
  readonly state: "idle" | "running" | "paused" | "stopping"
  readonly startedAt: DateTime.Utc | undefined
  /** Runs being executed here. */
  readonly running: ReadonlyArray<RunInfo>
  readonly stores: ReadonlyArray<string>
  /**
   * For each store in which it runs something: of the leases of these runs the one that has waited longest for its
   * extension, and for how long. Each is extended three times in `leaseMillis`, after which others take its run.
   */
  readonly leases: ReadonlyArray<
    { readonly store: string; readonly ageMillis: number; readonly leaseMillis: number }
  >
  readonly executors: ReadonlyArray<{ readonly alias: string; readonly capacity: number; readonly running: number }>
}

export class TaskScheduler extends Context.Service<
  TaskScheduler,
  Api<"handled"> & {
    /**
     * Schedules an effect of this process. It lives in a volatile store and ends with the scheduler; a durable store
     * refuses it with `ClosureNotPersistable`.
     */
    readonly addEffect: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      options: ScheduleSettings
    ) => Effect.Effect<
      TaskHandle<Task.Task<string, Schema.Void, Schema.Void, Schema.Never>>,
      AddEffectError,
      Exclude<R, Scope.Scope | CurrentRun>
    >
    /** Starts a scheduler made with `start: "manual"`; does nothing when it has started. */
    readonly start: Effect.Effect<void>
    /** Stops evaluating and claiming; what runs goes on. Nothing is lost: `resume` evaluates what came due. */
    readonly pause: Effect.Effect<void>
    readonly resume: Effect.Effect<void>
    readonly status: Effect.Effect<SchedulerStatus>
    /**
     * What happens from now on; at most once, the oldest dropped for a listener that is 1,024 behind. Ends with
     * `SchedulerStopped`, before the application closes.
     */
    readonly events: Stream.Stream<SchedulerEvent>
  }
>()("punctual/TaskScheduler") {}

export class TaskSchedulerClient
  extends Context.Service<TaskSchedulerClient, Api<"anywhere">>()("punctual/TaskSchedulerClient")
{}
