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
  /** Given back, to be run again: by a shutdown, or because its owner's lease ended. */
  | {
    readonly _tag: "RunReleased"
    readonly at: DateTime.Utc
    readonly store: string
    readonly run: RunInfo
    readonly reason: "shutdown" | "leaseEnded"
  }
  /** This scheduler lost a run it was executing; its result, if any, was refused. */
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
