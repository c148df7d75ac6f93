/**
 * A worker as the executor sees it: one that can be spoken to, and ended.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { FromWorker, ToWorker } from "./workerProtocol.ts"

/** @internal */
export interface Channel {
  /** For messages: `thread 3`, `process 4711`. */
  readonly name: string
  /** Says nothing to one that has ended. */
  readonly send: (message: ToWorker) => void
  /** Ends it whatever it does, with all it started. Whether it is gone is told by `onExit`. */
  readonly end: Effect.Effect<void>
}

/** @internal */
export interface Listener {
  readonly onMessage: (message: FromWorker) => void
  /** Once: how it ended. */
  readonly onExit: (how: string) => void
}

/** Starts one; throws where the host refuses. @internal */
export type Open = (listener: Listener) => Channel
