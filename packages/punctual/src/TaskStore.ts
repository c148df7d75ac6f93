/**
 * Port: where tasks and their runs are remembered.
 *
 * A store is a small set of atomic operations over the records of `TaskRecord`. Encoding, ids, triggers and
 * policy live above it, once, for all stores. `now` is always an argument.
 *
 *     insert ─▶ row ─▶ due ─▶ (Policy.plan) ─▶ commit ─▶ run ─▶ claim ─▶ start ─▶ settle ─▶ history
 *                                                                 └─ heartbeat · takeover
 *
 * What every store keeps (the conformance suite holds it to this):
 *
 * | # | invariant |
 * |---|---|
 * | I1 | one row per id |
 * | I2 | at most one run per (generation, key), for ever: a key among open runs, plus the cursor's compare-and-set |
 * | I3 | while a lease is valid, only its owner settles or extends the run |
 * | I4 | a stale token changes nothing and is told so; settling again with the token that settled is the same settlement, and is told the same |
 * | I5 | a change is one compare-and-set on the task's revision: position, definition and runs commit together or not at all |
 * | I7 | promotion never exceeds `slots`, nor does what a change puts in the place of a run that it cancels; no run waits for ever: while one does, the others queue, and ending one that queues adds one to the row's revision |
 * | I8 | history is bounded per task (`keep`) by the settlement itself; open runs are never pruned |
 * | I9 | a batch with one bad entry commits the others |
 * | I10 | due and ready rows are found through indexes |
 * | I12 | a committed change that needs attention wakes every listener of the store |
 * | I14 | a run with a `concurrencyKey` is claimed only while fewer than its `concurrencyLimit` runs of its tag and key are running |
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type {
  ArrivingRun,
  InstanceRow,
  NewRun,
  RunRow,
  StoredState,
  TaskDefinition,
  TaskPosition,
  TaskRow,
  TerminalState
} from "./TaskRecord.ts"

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * Why a store did not do what it was asked.
 *
 * @category errors
 * @since 0.1.0
 */
export const StoreErrorReason = Schema.Literals([
  "Unavailable", // cannot be reached or did not answer in time: try again
  "Busy", // locked by another process: try again
  "Full", // no space left
  "ReadOnly", // opened or mounted read-only
  "Corrupt", // not a database, or damaged
  "NewerSchema", // written by a newer version of this package
  "TransactionNotShared", // called inside somebody else's open transaction
  "Closed",
  "Invalid", // asked for something that cannot be: a cursor of another list
  "Unknown"
])

/** @category errors @since 0.1.0 */
export class TaskStoreError extends Schema.TaggedError<TaskStoreError>()("TaskStoreError", {
  store: Schema.String,
  operation: Schema.String,
  reason: StoreErrorReason,
  /** Says what happened and what to do. */
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return this.reason === "Unavailable" || this.reason === "Busy"
  }
}

// -----------------------------------------------------------------------------
// arguments and answers
// -----------------------------------------------------------------------------

/**
 * What a store can do, as data: suites skip by it and the engine adapts to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  /** What it has confirmed is not forgotten. */
  readonly durable: boolean
  /** Several processes may use it at once. Closures can be scheduled only where neither is `true`. */
  readonly shared: boolean
  /** Wake-ups of other processes arrive by themselves; otherwise each sleep is cut to the poll interval. */
  readonly notifies: boolean
  /** Whether it holds `concurrencyKey`s to their limits (I14). One that does not refuses tasks that have one. */
  readonly concurrencyKeys: boolean
}

/** @category models @since 0.1.0 */
export interface NewTask extends TaskDefinition, TaskPosition {
  readonly id: string
  /** Runs to create together with the row, the first of each key; their `createdAt` is the row's. */
  readonly runs?: ReadonlyArray<ArrivingRun> | undefined
}

/** @category models @since 0.1.0 */
export type Inserted =
  | { readonly _tag: "Inserted"; readonly row: TaskRow }
  | { readonly _tag: "Exists"; readonly row: TaskRow }

/**
 * A task together with its open runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskWithRuns {
  readonly row: TaskRow
  readonly open: ReadonlyArray<RunRow>
}

/**
 * What to do with one run, inside a `Change`. Each is safe whatever a claim or a settlement did meanwhile: where it
 * does not apply, it does nothing.
 *
 * A change that cancels a ready run and puts another in its place cannot know that the run has been claimed meanwhile,
 * and is only asked to stop. From there on the change exceeds no `slots`: where as many runs of the task are ready or
 * running, one that it creates ready waits instead, unclaimed and as one that queues, and one that it promotes goes on
 * waiting. What it has asked to stop then queues too, so that its end promotes them (I7).
 *
 * A change that creates a run which waits makes all open runs of the task queue, whatever they were created as: their
 * ends promote it. What it waits for may have ended since the change was planned, without a new revision: so the change
 * ends with promotions, of those due first, while fewer than their `slots` are ready or running.
 *
 * @category models
 * @since 0.1.0
 */
export type RunChange =
  /**
   * Creates it from the row as `set` leaves it; with `claim` (of a ready run), running at once and owned, unless the row
   * has a `concurrencyKey`: then it is ready, as without. Does nothing when the key is open already.
   */
  | { readonly _tag: "Create"; readonly run: NewRun; readonly claim?: Lease | undefined }
  /** Deletes a waiting run, which leaves no history: its occurrence was counted otherwise. */
  | { readonly _tag: "Drop"; readonly key: string }
  /**
   * A ready or waiting run ends `cancelled`, its token void (`null`): no settlement is told that it ended it. A running
   * one is asked to stop, for the first reason given. It promotes nothing: a change that frees a slot says `Promote`
   * itself.
   */
  | { readonly _tag: "Cancel"; readonly key: string; readonly reason: string }
  /** waiting → ready */
  | { readonly _tag: "Promote"; readonly key: string }
  /** Ready and waiting runs are not claimed while held. */
  | { readonly _tag: "Hold"; readonly key: string }
  | { readonly _tag: "Unhold"; readonly key: string }

/** @category models @since 0.1.0 */
export interface Lease {
  /** Who asks: identity and random incarnation in one text. */
  readonly owner: string
  readonly until: number
}

/**
 * One compare-and-set on a task: all of it commits, or none. First `set`, then `runs` in their order; a removal is last,
 * and what replaces the task comes after it.
 *
 * Ready and waiting runs follow the row's `tag`, `version`, `executor`, `priority`, `concurrencyKey` and
 * `concurrencyLimit`: a run uses the payload of its claim, so it is claimed by whoever can decode that one, and counts
 * for the key of that one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  readonly id: string
  readonly generation: number
  /** Commits only if this is still the row's revision. */
  readonly revision: number
  /**
   * What changes in the row. `"remove"` deletes it and its verdicts: its ready and waiting runs end `cancelled`
   * (`cancel: "removed"`), running ones go on.
   */
  readonly set: Partial<TaskDefinition & TaskPosition> | "remove"
  /** With `"remove"`: what takes the row's place under its id, as another generation. */
  readonly replacement?: Omit<NewTask, "id"> | undefined
  readonly runs: ReadonlyArray<RunChange>
  readonly now: number
  /** The row as it was read with this revision, where the caller has it: spares the store a look at it. */
  readonly seen?: Seen | undefined
}

/**
 * What a store needs to know of a row beside what a change sets. Nobody changes any of it without changing the revision.
 *
 * @category models
 * @since 0.1.0
 */
export type Seen = Pick<TaskRow, "tag" | "version" | "executor" | "priority" | "concurrencyKey" | "due">

/** @category models @since 0.1.0 */
export type Committed =
  | {
    readonly _tag: "Committed"
    readonly revision: number
    /** Runs created with a claim, with their tokens, in the order given. */
    readonly claimed: ReadonlyArray<RunRow>
  }
  /** The revision is another, or the task is gone: read again and plan again. */
  | { readonly _tag: "Conflict" }

/**
 * What one claim asks for: ready runs of `tag` for `executor`, at most `limit`, of payload versions up to `version`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Slot {
  readonly executor: string
  readonly tag: string
  readonly version: number
  readonly limit: number
}

/** @category models @since 0.1.0 */
export interface Claimed {
  readonly run: RunRow
  /** The task as of this claim. */
  readonly task: TaskRow
}

/** @category models @since 0.1.0 */
export interface RunRef {
  readonly generation: number
  readonly key: string
  readonly token: number
}

/**
 * How an attempt ended.
 *
 * A run that goes back to ready although it was asked to stop, or its task is gone, ends `cancelled` instead. One whose
 * task is paused is held, so that no attempt begins during the pause; that adds one to the row's revision, so that a
 * `resume` which has not seen it is a conflict.
 *
 * @category models
 * @since 0.1.0
 */
export type Settlement = RunRef & {
  readonly owner: string
  readonly now: number
  readonly result:
    | {
      readonly _tag: "End"
      readonly state: TerminalState
      readonly exit: string | null
    }
    /** Back to ready, claimable from `readyAt`; the attempt stays used. */
    | { readonly _tag: "Retry"; readonly readyAt: number; readonly exit: string | null }
    /**
     * Back to ready, at once or claimable from `readyAt`; the attempt is given back (shutdown, not started, postponed by
     * a rate limit).
     */
    | { readonly _tag: "Release"; readonly readyAt?: number | undefined }
  /** Set where the task's row must change with the run. The store then adds one to the row's revision. */
  readonly task?: {
    /** Failed runs in a row: set to zero, or one more. */
    readonly failures?: "reset" | "increment" | undefined
    /**
     * Pauses the task once `failures` has reached this many: state `paused`, `pausedAt` (the settlement's `now`), the
     * note, no `due` (nor `nominal` and `zoneRules`); its ready and waiting runs are held. A paused or finished task stays as it is.
     */
    readonly pauseAt?: { readonly failures: number; readonly note: string } | undefined
    /**
     * The occurrence is counted as missed, no longer as ran; unless counting began anew after it (its key, an instant, is
     * not after the task's `epoch`): it is in no count then.
     */
    readonly missed?: boolean | undefined
  } | undefined
}

/**
 * What a settlement became.
 *
 * | | |
 * |---|---|
 * | `Settled` | what it says |
 * | `Cancelled` | the end of a run that should have gone back to ready: it was asked to stop, or its task is gone |
 * | `Stale` | nothing: another claim or settlement came first |
 *
 * Settling again is told the same, as long as nothing else has become of the run.
 *
 * @category models
 * @since 0.1.0
 */
export type Settled = "Settled" | "Stale" | "Cancelled"

/** @category models @since 0.1.0 */
export interface Heartbeat {
  /** `false`: the run is no longer this owner's. */
  readonly alive: boolean
  /** Why it is asked to stop, if it is. */
  readonly cancel: string | null
}

/** @category models @since 0.1.0 */
export interface TakenOver {
  readonly run: RunRow
  readonly became: "ready" | "abandoned" | "cancelled"
  /** Whose lease had ended. */
  readonly owner: string
}

/**
 * A page of a list. `next` continues it, `null` at its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | null
}

/** @category models @since 0.1.0 */
export interface TaskQuery {
  readonly ids?: ReadonlyArray<string> | undefined
  readonly tag?: string | undefined
  readonly state?: StoredState | undefined
  readonly owner?: string | undefined
  /** Tasks whose trigger has this event. */
  readonly event?: "startup" | "shutdown" | undefined
  /** Every label given must be equal. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** Case-insensitive part of id or name. Scans. */
  readonly search?: string | undefined
  readonly sort: "id" | "due" | "created"
  readonly descending: boolean
  readonly limit: number
  readonly after?: string | undefined
}

/** @category models @since 0.1.0 */
export interface RunQuery {
  readonly taskId?: string | undefined
  readonly generation?: number | undefined
  readonly key?: string | undefined
  readonly tag?: string | undefined
  readonly state?: RunRow["state"] | undefined
  /** Newest first by the instant they were due. */
  readonly limit: number
  readonly after?: string | undefined
}

/**
 * A row that one reader could not read. It stops that reader only.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verdict {
  readonly id: string
  readonly generation: number
  readonly reader: string
  readonly reason: string
  readonly at: number
}

/**
 * What a wake-up says. It is a hint: a listener reads the store again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wake {
  /** The earliest due instant the change brought, `null` when it is about something else. */
  readonly due: number | null
  /** A run became ready. */
  readonly ready: boolean
  /** A run was asked to stop. */
  readonly cancel: boolean
}

/**
 * What can be said to others who use the store.
 *
 * | | how much | who hears it |
 * |---|---|---|
 * | `calls` | a short text now and then | every scheduler, so it must cost them nothing |
 * | `events` | much | those who asked for it |
 *
 * @category models
 * @since 0.1.0
 */
export type Topic = "calls" | "events"

/**
 * Texts between those who share a store, at most once: nothing is kept for who is not there, and what was said while a
 * connection was lost is lost. Whoever says something hears it too, if he listens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Broadcast {
  /** Characters of a text at most. Texts are ASCII. */
  readonly limit: number
  /** Says texts, in their order. */
  readonly say: (topic: Topic, texts: ReadonlyArray<string>) => Effect.Effect<void, TaskStoreError>
  /**
   * Calls back until the scope closes, with what is said once this has answered; from a reconnection on where the
   * connection is lost, or could not be had. The callback never blocks; one that throws harms nobody else.
   */
  readonly hear: (topic: Topic, onText: (text: string) => void) => Effect.Effect<void, never, Scope.Scope>
}

/**
 * For how long a due task is left to those with newer rules of time zones, in milliseconds: twice the time in which a
 * scheduler that is there looks at it, whatever wake-ups were lost. A scheduler that is alone, with older rules than the
 * one before it, is late by that once for each of these tasks.
 *
 * @category constants
 * @since 0.1.0
 */
export const zoneRulesPatience = 60_000

/**
 * No scheduler's lease is longer, in milliseconds; nor may one be longer by more than this than a heartbeat says, or it is
 * taken for one of a clock that was wrong.
 *
 * @category constants
 * @since 0.1.0
 */
export const plausibleLease = 3_600_000

/**
 * When a lease ends after a heartbeat: as it says, or as before where that is later. Only a lease that is implausibly
 * long, since it was given while a clock showed another year, is cut.
 *
 * @category combinators
 * @since 0.1.0
 */
export const extendLease = (current: number | null, until: number): number =>
  current !== null && current > until && current - until < plausibleLease ? current : until

// -----------------------------------------------------------------------------
// service
// -----------------------------------------------------------------------------

/**
 * The port.
 *
 * @category services
 * @since 0.1.0
 */
export class TaskStore extends Context.Service<TaskStore, {
  /** For messages: `memory`, `sqlite:punctual.db`. */
  readonly name: string
  readonly capabilities: Capabilities
  /** How many calls of one scheduler get on beside each other. Default: 1; more only keep each other waiting. */
  readonly concurrency?: number | undefined

  /** Adds rows; an id that exists is answered with its row and left alone. Joins the caller's transaction where there is one. */
  readonly insert: (tasks: ReadonlyArray<NewTask>) => Effect.Effect<ReadonlyArray<Inserted>, TaskStoreError>

  /** Rows by id with their open runs; ids that do not exist are left out. */
  readonly get: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<TaskWithRuns>, TaskStoreError>

  /**
   * Tasks with `due <= now`, earliest first, at most `limit`, without those `reader` has a verdict on; and the earliest
   * instant after `now` at which there may be more.
   *
   * Rows with newer `zoneRules` than the caller's are left to those who have them, until they are due for
   * `zoneRulesPatience`: then `next`, if nothing else comes before.
   */
  readonly due: (options: {
    readonly now: number
    readonly limit: number
    readonly reader: string
    readonly zoneRules: string
  }) => Effect.Effect<
    { readonly tasks: ReadonlyArray<TaskWithRuns>; readonly next: number | null },
    TaskStoreError
  >

  /**
   * Tasks with `zoneRules` older than these, in any order, at most `limit`, without those `reader` has a verdict on: what
   * they are due at may be wrong. `now` is only for verdicts of the store itself.
   */
  readonly outdated: (options: {
    readonly now: number
    readonly limit: number
    readonly reader: string
    readonly zoneRules: string
  }) => Effect.Effect<ReadonlyArray<TaskWithRuns>, TaskStoreError>

  /** Applies changes, each by itself, answers in their order. */
  readonly commit: (changes: ReadonlyArray<Change>) => Effect.Effect<ReadonlyArray<Committed>, TaskStoreError>

  /**
   * Claims ready runs (`readyAt <= now`, not held), by priority, then due, round robin over slots, at most `limit`
   * in all; each gets a token, a lease, `attempt + 1`, and `startedAt`: `now`, or `null` where it may begin only once
   * (`atMostOnce`), until its mark. Also the earliest instant after `now` at which one of these slots has a run that
   * will be ready.
   *
   * Runs of one tag and `concurrencyKey` are in a line, by priority, then due, over all executors and versions. The first
   * of those that this claim may have is claimed if fewer than its `concurrencyLimit` of them all are running, then the
   * next one (I14). What is running is what has an owner: ended, given back and taken over runs are not. Which of several
   * keys comes first is the store's choice, but a key that has room is not passed over for ever, and one that has none
   * keeps nobody else waiting. An end that makes room for a run that is ready wakes listeners as a ready run does.
   */
  readonly claim: (options: {
    readonly now: number
    readonly lease: Lease
    readonly slots: ReadonlyArray<Slot>
    readonly limit: number
    readonly reader: string
  }) => Effect.Effect<{ readonly runs: ReadonlyArray<Claimed>; readonly next: number | null }, TaskStoreError>

  /**
   * Marks attempts as begun, durably, once: a second start changes nothing, nor does that of a run whose claim has
   * marked it (one that is not `atMostOnce`). `false`: stale, do not begin.
   */
  readonly start: (options: {
    readonly now: number
    readonly owner: string
    readonly runs: ReadonlyArray<RunRef>
  }) => Effect.Effect<ReadonlyArray<boolean>, TaskStoreError>

  /**
   * Ends attempts, answers in their order. An ended run moves to history as number n of its task, which drops
   * the numbers up to n − keep (what `commit` cancelled is history too, and is bounded here).
   *
   * An ended run that queues adds one to the row's revision (once, together with `task`) and promotes the waiting run
   * that is due first, if fewer of its task than its `slots` are then ready or running, in the same transaction.
   */
  readonly settle: (
    settlements: ReadonlyArray<Settlement>,
    options: { readonly keep: number }
  ) => Effect.Effect<ReadonlyArray<Settled>, TaskStoreError>

  /**
   * Runs an effect in one transaction on a connection of its own, which commits when the effect succeeds and rolls back
   * when it does not; `settle`, called by the effect, takes part. The effect is given what others need to take part.
   * Interruptible where the effect is. `undefined`: no handler can run in a transaction of this store.
   *
   * A failure of the store itself does not say whether the transaction has been committed.
   */
  readonly transact?:
    | (<A, E>(
      effect: (within: Context.Context<never>) => Effect.Effect<A, E>
    ) => Effect.Effect<A, E | TaskStoreError>)
    | undefined

  /**
   * Extends leases of the runs named, and only those, each to what `extendLease` says: a call that is carried out late
   * shortens none.
   */
  readonly heartbeat: (options: {
    readonly now: number
    readonly lease: Lease
    readonly runs: ReadonlyArray<RunRef>
  }) => Effect.Effect<ReadonlyArray<Heartbeat>, TaskStoreError>

  /**
   * Asks running runs to stop, each for the first reason it is given, whatever has become of their tasks: removed ones
   * have no row for a `Change`. Answers which are running.
   */
  readonly cancel: (
    runs: ReadonlyArray<{ readonly generation: number; readonly key: string; readonly reason: string }>
  ) => Effect.Effect<ReadonlyArray<boolean>, TaskStoreError>

  /**
   * Takes runs whose lease has ended (`leaseUntil <= now`) from their owners, first ended first. Each becomes
   * `cancelled` when that was asked; else `abandoned` at its `maxTakeovers`th lost lease, when its attempt started
   * and may not start again (`atMostOnce`), or when its task is gone; else ready, held if its task is paused (as by a
   * settlement). The attempt stays used, the token is void (`null`). What ends promotes like a settlement. `next`: the
   * earliest end of the leases left.
   */
  readonly takeover: (options: {
    readonly now: number
    readonly limit: number
    readonly maxTakeovers: number
    readonly keep: number
  }) => Effect.Effect<{ readonly runs: ReadonlyArray<TakenOver>; readonly next: number | null }, TaskStoreError>

  /** Tasks without a due instant sort after all that have one. Ids sort by code unit or byte, not by a language. */
  readonly list: (query: TaskQuery) => Effect.Effect<Page<TaskRow>, TaskStoreError>

  /** Open runs and history. */
  readonly runs: (query: RunQuery) => Effect.Effect<Page<RunRow>, TaskStoreError>

  /** Deletes history that ended before an instant, at most `limit` rows; answers how many. */
  readonly prune: (
    options: { readonly before: number; readonly limit: number }
  ) => Effect.Effect<number, TaskStoreError>

  /**
   * Keeps a verdict beside a row, the latest of each reader; the row is left out of this reader's `due` and `claim`.
   * Of a task that does not exist it keeps nothing.
   */
  readonly quarantine: (verdicts: ReadonlyArray<Verdict>) => Effect.Effect<void, TaskStoreError>

  readonly verdicts: (options: { readonly limit: number }) => Effect.Effect<ReadonlyArray<Verdict>, TaskStoreError>

  /** Forgets verdicts on a task, of every reader. */
  readonly clear: (generations: ReadonlyArray<number>) => Effect.Effect<void, TaskStoreError>

  /**
   * Inserts a scheduler's row, or replaces the one of its id. It wakes nobody, and changes nothing but this row: leases
   * are kept by `heartbeat` alone.
   */
  readonly beat: (instance: InstanceRow) => Effect.Effect<void, TaskStoreError>

  /** Those that are to be believed longest first, stale ones (`until <= now`) after them. */
  readonly instances: (options: { readonly limit: number }) => Effect.Effect<ReadonlyArray<InstanceRow>, TaskStoreError>

  /** Forgets schedulers by id: their own when they close, stale ones when they are old. */
  readonly leave: (ids: ReadonlyArray<string>) => Effect.Effect<void, TaskStoreError>

  /**
   * Calls back after each committed change that needs attention, until the scope closes: a run became ready (or will
   * be), one was asked to stop, or a due instant came that is earlier than what readers know, which is the `next` of
   * their last `due`. "Earlier than every row" is not enough: a row that stays due would hide the wake of a later one.
   * The callback never blocks; one that throws harms nobody else.
   */
  readonly listen: (onWake: (wake: Wake) => void) => Effect.Effect<void, never, Scope.Scope>

  /**
   * What the clock of its machine shows, where that may be another machine than its callers'. It is the one clock that
   * they have in common: one whose own is not near it calls with this time.
   */
  readonly time?: Effect.Effect<number, TaskStoreError> | undefined

  /** `undefined`: it carries nothing between those who share it but what it keeps. */
  readonly broadcast?: Broadcast | undefined
}>()("punctual/TaskStore") {}
