/**
 * The records a store keeps: data only, everything encoded.
 *
 * A store sees texts, integers and ids; it never sees a schema, a trigger or a handler. Instants are integers,
 * milliseconds since 1970-01-01T00:00:00Z. Encoded values are JSON texts that the store copies and never reads.
 *
 * A task's row has a part that changes seldom (its definition) and one that changes with every evaluation:
 *
 *     definition   tag, version, name, payload, trigger, policy, executor, labels, owner, anchor …
 *     position     revision, cursor, due, zone rules, state, counters, ranges
 *
 * A run's life:
 *
 *     create ──▶ waiting ──▶ ready ──▶ running ──▶ succeeded | failed | cancelled | timedOut | missed | abandoned
 *                              ▲          │
 *                              └──────────┘  retry, release (shutdown), lost lease
 *
 * @since 0.1.0
 */

/**
 * What a person sees of a task's schedule, stored so that it can be listed through an index.
 *
 * `pending` is not among them: it is derived (see `TaskInfo`).
 *
 * @category models
 * @since 0.1.0
 */
export type StoredState = "scheduled" | "paused" | "finished" | "onStartup" | "onShutdown"

/**
 * What became of occurrences, counted since the current trigger was bound.
 *
 * `ran` counts occurrences that became runs, open ones included; `extra` counts runs outside the schedule
 * (`runNow`). The first five partition the occurrences in `(epoch, cursor]`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counters {
  readonly ran: number
  readonly missed: number
  readonly coalesced: number
  readonly skipped: number
  readonly paused: number
  readonly extra: number
  /** `false` when some window held more occurrences than may be counted: the counts are then lower bounds. */
  readonly exact: boolean
}

/**
 * A task as stored. `id` is unique in its store; `generation` is a number the store gives at insertion, larger
 * than every earlier one, so that a removed and re-added id is another task.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskRow extends TaskDefinition, TaskPosition {
  readonly id: string
  readonly generation: number
  /** Compare-and-set guard: every committed change adds one. Starts at 1. */
  readonly revision: number
}

/**
 * The part of a task's row that only commands change.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskDefinition {
  readonly tag: string
  /** Version of the payload's schema; claims ask for versions they can decode. */
  readonly version: number
  readonly name: string
  /** JSON text of the encoded payload. */
  readonly payload: string
  /** JSON text of the payload as people may see it: secrets masked. */
  readonly display: string
  /** JSON text of the trigger as written. */
  readonly trigger: string
  /** Instant of the first add under this trigger: what `every` counts from. */
  readonly anchor: number
  /** Whether the trigger has a startup or shutdown event, so that schedulers find these tasks through an index. */
  readonly onStartup: boolean
  readonly onShutdown: boolean
  /** JSON text of the policy. */
  readonly policy: string
  /** Alias of the executor that runs it. */
  readonly executor: string
  /** Larger runs first among ready runs of one tag. */
  readonly priority: number
  /**
   * Runs of one tag and key are at work beside each other up to `concurrencyLimit`, whatever their tasks; `null`: under
   * no such limit.
   */
  readonly concurrencyKey: string | null
  /** At least 1, and 1 where there is no key. */
  readonly concurrencyLimit: number
  /** JSON text of a flat object of strings. */
  readonly labels: string
  /** Who reconciles this task, if anyone. */
  readonly owner: string | null
  /** JSON text of the last declaration (`onConflict: "update"` compares with it), if it was declared. */
  readonly declared: string | null
  /** W3C `traceparent` of who added it, if a tracer was installed. */
  readonly trace: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

/**
 * The part of a task's row that evaluations change.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskPosition {
  readonly state: StoredState
  /** Last instant evaluated, in due time. It never moves back. */
  readonly cursor: number
  /** Earliest occurrence after the cursor; `null` when there is none or the task does not fire (paused, event). */
  readonly due: number | null
  /** Nominal instant of `due`. */
  readonly nominal: number | null
  /**
   * Version of the time zone rules that `due` was computed with, such as `2026c`; a greater text is newer. `null` where
   * `due` depends on no named zone, or there is none.
   */
  readonly zoneRules: string | null
  /** A next run time set by hand: until then the trigger is silent, at it there is one occurrence. */
  readonly override: number | null
  /** Where the current trigger's counting began: outcomes partition `(epoch, cursor]`. */
  readonly epoch: number
  readonly counters: Counters
  /** JSON text of the last ranges of occurrences that did not become runs (`Policy.Range`), newest last. */
  readonly ranges: string
  readonly pausedAt: number | null
  readonly pauseNote: string | null
  /** Failed runs since the last success, for tasks that pause on failure. */
  readonly failures: number
}

/**
 * States of a run. The first three are open: they count against `maxInstances`.
 *
 * @category models
 * @since 0.1.0
 */
export type RunState = OpenState | TerminalState

/** @category models @since 0.1.0 */
export type OpenState = "waiting" | "ready" | "running"

/** @category models @since 0.1.0 */
export type TerminalState = "succeeded" | "failed" | "cancelled" | "timedOut" | "missed" | "abandoned"

/**
 * A run as stored. `(generation, key)` names it in its store for ever.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunRow {
  readonly generation: number
  /** `String(due)` for a scheduled occurrence, `x:…` for an extra run, `e:…` for a startup or shutdown event. */
  readonly key: string
  readonly taskId: string
  readonly tag: string
  readonly version: number
  readonly executor: string
  readonly priority: number
  /** Of its task: that of now while it waits to be claimed, that of its claim from then on. */
  readonly concurrencyKey: string | null
  readonly concurrencyLimit: number
  readonly due: number
  readonly nominal: number
  readonly state: RunState
  /** A held run is not claimed: its task is paused. */
  readonly held: boolean
  /** Earliest instant at which it may be claimed. */
  readonly readyAt: number
  /** Attempts begun, this one included; given back when a shutdown interrupts it. */
  readonly attempt: number
  /** Leases lost. */
  readonly takeovers: number
  readonly createdAt: number
  /** Who holds it while it is running; then whoever held it last. */
  readonly owner: string | null
  /**
   * Fencing token of the latest claim: larger than that of every earlier claim in the store. It stays when a settlement
   * used it, so that settling again is known; `null` before the first claim, after a takeover, and where a change ended it.
   */
  readonly token: number | null
  /** `null` unless it is running. */
  readonly leaseUntil: number | null
  /**
   * When the latest attempt began: its claim, or, where it may begin only once (`atMostOnce`), its mark. The next claim
   * sets it anew, and a run that waits for one keeps it.
   */
  readonly startedAt: number | null
  /** Why it is asked to stop, if it is. */
  readonly cancel: string | null
  readonly endedAt: number | null
  /** JSON text of the encoded exit of the latest attempt. */
  readonly exit: string | null
  /** At most `maxInstances` of the task are ready or running; the settlement promotes the next waiting one. */
  readonly slots: number
  /** Whether settling it must look for a waiting run to promote; set where one comes to wait for it (see `RunChange`). */
  readonly queues: boolean
  /** Whether a started attempt may never be started again (`delivery: "atMostOnce"`). */
  readonly atMostOnce: boolean
}

/**
 * A run to create: a `RunRow` without what the store or its claims fill in.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewRun {
  readonly key: string
  readonly due: number
  readonly nominal: number
  readonly state: "ready" | "waiting"
  readonly readyAt: number
  readonly slots: number
  readonly queues: boolean
  readonly atMostOnce: boolean
  /** Whether its task has a `concurrencyKey`. Only claims let such a run begin, not the change that creates it. */
  readonly keyed?: boolean | undefined
}

/**
 * A run that comes with its task: a new one, or one that was open in another store and goes on where it was.
 *
 * @category models
 * @since 0.1.0
 */
export interface ArrivingRun extends NewRun {
  /** Default: `false`. */
  readonly held?: boolean | undefined
  /** Attempts used so far. Default: 0. */
  readonly attempt?: number | undefined
  /** Leases lost so far. Default: 0. */
  readonly takeovers?: number | undefined
}

/** @category guards @since 0.1.0 */
export const isOpen = (state: RunState): state is OpenState =>
  state === "ready" || state === "running" || state === "waiting"

/**
 * A scheduler as it tells of itself: who it is, what it runs, and until when that is to be believed.
 *
 * @category models
 * @since 0.1.0
 */
export interface InstanceRow {
  /** Identity and random incarnation in one text: the owner of its leases. */
  readonly id: string
  readonly name: string
  readonly host: string | null
  readonly pid: number | null
  /** Of this package. */
  readonly version: string
  /** JSON text of what it runs: the newest payload version it decodes, by tag, by alias of the executor. */
  readonly handles: string
  readonly startedAt: number
  readonly seenAt: number
  /** It tells of itself again before this instant, or is stale from then on. */
  readonly until: number
}

/**
 * Counters of a task that has not been evaluated.
 *
 * @category constructors
 * @since 0.1.0
 */
export const noCounters: Counters = { ran: 0, missed: 0, coalesced: 0, skipped: 0, paused: 0, extra: 0, exact: true }
