/**
 * What a scheduler does, as it does it.
 *
 * Events are told at most once: the store's ledger is the truth. A slow listener loses the oldest events, it never
 * slows the scheduler.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type { RunInfo } from "./TaskInfo.ts"

/**
 * One thing that happened.
 *
 * @category models
 * @since 0.1.0
 */
export type SchedulerEvent =
  | {
    readonly _tag: "SchedulerStarted" | "SchedulerPaused" | "SchedulerResumed" | "SchedulerStopping"
    readonly at: DateTime.Utc
  }
  /** How the drain ended: runs that ended by themselves, runs interrupted and given back, runs that did not answer. */
  | {
    readonly _tag: "SchedulerStopped"
    readonly at: DateTime.Utc
    readonly drained: number
    readonly interrupted: number
    readonly detached: ReadonlyArray<string>
  }
  | {
    readonly _tag: "TaskAdded" | "TaskUpdated" | "TaskRescheduled" | "TaskResumed" | "TaskRemoved" | "TaskFinished"
    readonly at: DateTime.Utc
    readonly store: string
    readonly id: string
  }
  | {
    readonly _tag: "TaskPaused"
    readonly at: DateTime.Utc
    readonly store: string
    readonly id: string
    readonly note: string | null
  }
  /**
   * The rules of its time zone have changed, so that it is due at another instant than before (`to`; `null`: never again).
   * `zoneRules` is their version.
   */
  | {
    readonly _tag: "TaskRetimed"
    readonly at: DateTime.Utc
    readonly store: string
    readonly id: string
    readonly from: DateTime.Utc
    readonly to: DateTime.Utc | null
    readonly zoneRules: string
  }
  /** Occurrences that did not become runs. */
  | {
    readonly _tag: "OccurrencesMissed" | "OccurrencesCoalesced" | "OccurrencesSkipped" | "OccurrencesPaused"
    readonly at: DateTime.Utc
    readonly store: string
    readonly id: string
    readonly from: DateTime.Utc
    readonly to: DateTime.Utc
    readonly count: number
    readonly exact: boolean
    readonly reason: string
  }
  | {
    readonly _tag: "RunStarted"
    readonly at: DateTime.Utc
    readonly store: string
    readonly run: RunInfo
    readonly lag: number
  }
  /** Terminal: `run.state` says how. */
  | { readonly _tag: "RunEnded"; readonly at: DateTime.Utc; readonly store: string; readonly run: RunInfo }
  | {
    readonly _tag: "RunRetrying"
    readonly at: DateTime.Utc
    readonly store: string
    readonly run: RunInfo
    readonly nextAttemptAt: DateTime.Utc
  }
  /**
   * Given back, to be run again.
   *
   * | `reason` | |
   * |---|---|
   * | `shutdown` | it was interrupted since this scheduler closes |
   * | `leaseEnded` | its owner, this scheduler or another one, had not extended its lease |
   * | `unreadable` | its payload, trigger or policy cannot be read here: the task was set aside, for this scheduler only |
   * | `unhandled` | its handler's layer was released between the claim and the start |
   * | `workerLost` | the thread or process it ran in was ended because of another run there |
   * | `lateClaim` | the store answered the claim so late that the lease was about to end: it was not begun |
   * | `rateLimited` | its `rateLimit` lets it begin later: `run.readyAt` says when it is tried again |
   * | `limiterAway` | its rate limiter did not answer; it is tried again at `run.readyAt` |
   */
  | {
    readonly _tag: "RunReleased"
    readonly at: DateTime.Utc
    readonly store: string
    readonly run: RunInfo
    readonly reason:
      | "shutdown"
      | "leaseEnded"
      | "unreadable"
      | "unhandled"
      | "workerLost"
      | "lateClaim"
      | "rateLimited"
      | "limiterAway"
  }
  /**
   * This scheduler lost a run it was executing; its result, if any, was refused. Where the store's answer to the result
   * was lost, it may have been taken before somebody else went on with the run or ended it.
   */
  | { readonly _tag: "RunLost"; readonly at: DateTime.Utc; readonly store: string; readonly run: RunInfo }
  /** It did not stop when asked and goes on by itself, unwatched; its outcome is already recorded. */
  | { readonly _tag: "RunDetached"; readonly at: DateTime.Utc; readonly store: string; readonly run: RunInfo }
  | {
    readonly _tag: "TaskQuarantined"
    readonly at: DateTime.Utc
    readonly store: string
    readonly id: string
    readonly reason: string
  }
  | {
    readonly _tag: "StoreUnavailable"
    readonly at: DateTime.Utc
    readonly store: string
    readonly operation: string
    readonly message: string
  }
  | { readonly _tag: "StoreRecovered"; readonly at: DateTime.Utc; readonly store: string }
  /** A task had been evaluated far ahead of the present clock and was re-anchored at it. */
  | {
    readonly _tag: "ClockMovedBack"
    readonly at: DateTime.Utc
    readonly store: string
    readonly id: string
    readonly cursor: DateTime.Utc
  }
  /**
   * The clock of this scheduler's machine is ahead of the store's by so many milliseconds, or behind (less than zero): it
   * goes on by the store's.
   */
  | { readonly _tag: "ClockSkew"; readonly at: DateTime.Utc; readonly store: string; readonly ahead: number }

/**
 * An event of one of the schedulers that share a store, as any of them can hear it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedEvent {
  /** Whose it is: the `id` of its `SchedulerInstance`, and the `owner` of its runs. */
  readonly scheduler: string
  /**
   * Its `store` is the alias of whoever listens. Where a result would not fit what the store carries, `run.exit` is
   * `{ _tag: "Withheld", reason }`.
   */
  readonly event: SchedulerEvent
  /** How many events of this scheduler between the one before and this one were lost, or not understood. */
  readonly lost: number
}
