/**
 * What an executor is given and what it answers.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
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
  /**
   * What the handler is given besides its own services, so that what it writes is in the transaction that ends its run
   * (`delivery: "transactional"`). An executor that cannot hand it over, since it runs handlers elsewhere, must not run
   * them: it answers `Unreadable`.
   */
  readonly within?: Context.Context<never> | undefined
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
  /**
   * The thread or process it ran in is gone: nobody knows how far the attempt came.
   *
   * | | at least once | at most once |
   * |---|---|---|
   * | its own doing, for all anybody knows | ready again after a second, abandoned after `maxTakeovers` attempts | abandoned |
   * | `blameless`: ended because of another run in the same place | ready again, not counted as an attempt | abandoned |
   */
  | { readonly _tag: "WorkerLost"; readonly reason: string; readonly blameless: boolean }
  /** It may not begin yet, and has not: its attempt is given back, and it may be claimed after so many milliseconds. */
  | {
    readonly _tag: "Postponed"
    readonly retryAfter: number
    /** Its `rateLimit` says so, or whoever counts for it does not answer. */
    readonly reason: "rateLimited" | "limiterAway"
  }
  /** The payload cannot be decoded here: the run is given back and the row set aside for this reader. */
  | {
    readonly _tag: "Unreadable"
    readonly reason: string
    /** Set when nobody handles the tag here, any more or yet: the run is given back, and nothing is wrong with the row. */
    readonly unhandled?: true
  }
