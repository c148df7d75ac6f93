/**
 * What an executor and its workers say to each other: one JSON value a message, over a message port (threads) or the IPC
 * channel (processes), which both keep messages whole and in order.
 *
 *     worker    Ready ─────────────────────────▶            or NotReady, and it ends
 *     executor  ◀──────── Run ── Interrupt ── Close
 *     worker    Began ─▶ Log* ─▶ Ended ────────▶
 *
 * The first message names the version: an executor takes no worker that speaks another one.
 *
 * @since 0.1.0
 */
import type { RunRecord, RunResult } from "punctual/Executor"

/**
 * Changes whenever a message does.
 *
 * @internal
 */
export const protocolVersion = 1

/**
 * What a worker is started with.
 *
 * @internal
 */
export interface Start {
  /** Of the executor, for messages. */
  readonly name: string
  /** What is logged below this level is not sent. */
  readonly logLevel: string
  /** Milliseconds between the end of the executor's process and that of its workers' processes. */
  readonly grace: number
}

/** @internal */
export interface SpanIds {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** @internal */
export type ToWorker =
  | {
    readonly _tag: "Run"
    readonly id: number
    readonly record: Omit<RunRecord, "within">
    readonly span: SpanIds | null
  }
  | { readonly _tag: "Interrupt"; readonly id: number }
  /** Interrupt what runs, close the handlers, end. */
  | { readonly _tag: "Close" }

/** @internal */
export type FromWorker =
  | { readonly _tag: "Ready"; readonly protocol: number; readonly tags: ReadonlyArray<readonly [string, number]> }
  | { readonly _tag: "NotReady"; readonly reason: string }
  /** Its handler is about to begin. `timedOut`: what to answer if it cannot be stopped when its time is up. */
  | { readonly _tag: "Began"; readonly id: number; readonly timedOut: RunResult | null }
  | {
    readonly _tag: "Ended"
    readonly id: number
    readonly result: RunResult | { readonly _tag: "Interrupted" } | { readonly _tag: "Died"; readonly reason: string }
    /** Bytes in use when it ended, what is to be collected included. */
    readonly memory: number
  }
  | {
    readonly _tag: "Log"
    /** The run it is about, if any. */
    readonly id: number | null
    readonly level: string
    readonly message: ReadonlyArray<unknown>
    readonly annotations: Readonly<Record<string, unknown>>
  }

/**
 * Where a process finds what it is started with; gone from its environment once it has.
 *
 * @internal
 */
export const startVariable = "PUNCTUAL_EXECUTOR"

/**
 * Likewise in a thread's `workerData`.
 *
 * @internal
 */
export const startKey = "punctual/executor"
