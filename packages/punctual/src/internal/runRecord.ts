/**
 * What an executor is given and what it answers.
 *
 * @since 0.1.0
 */
import type { RunRow, TaskRow } from "../TaskRecord.ts"

/**
 * A claimed run and its task as of the claim.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunRecord {
  readonly run: RunRow
  readonly task: TaskRow
  /** Alias of the store the run came from. */
  readonly store: string
  /** One attempt is interrupted after this many milliseconds; `null`: never. */
  readonly timeout: number | null
}

/**
 * How an attempt ended. An interruption is the effect's own exit, not a result.
 *
 * @category models
 * @since 0.1.0
 */
export type RunResult =
  | { readonly _tag: "Succeeded"; readonly exit: string }
  /** `retryAfter`: milliseconds until the next attempt, `null` when there is none. */
  | { readonly _tag: "Failed"; readonly exit: string; readonly retryAfter: number | null }
  | { readonly _tag: "TimedOut"; readonly exit: string; readonly retryAfter: number | null }
  /** The payload cannot be decoded here: the run is given back and the row set aside for this reader. */
  | {
    readonly _tag: "Unreadable"
    readonly reason: string
    /** Set when nobody handles the tag here, any more or yet: the run is given back, and nothing is wrong with the row. */
    readonly unhandled?: true
  }
