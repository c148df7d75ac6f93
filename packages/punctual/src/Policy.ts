/**
 * What becomes of the occurrences of a window: one outcome each, decided by a pure function.
 *
 * A trigger says *when*; a policy says what happens when the instant was missed, when several are due together and
 * when an earlier run is still open. `plan` takes the occurrences in `(cursor, now]` and the runs that are open, and
 * answers which become runs and what became of the others. It reads no clock and changes nothing.
 *
 * **Which occurrences are kept**, by how late they are at `now`; the first line that fits decides:
 *
 * | situation | outcome |
 * |---|---|
 * | the task is paused | paused |
 * | `maxRuns` is reached | skipped, `maxRuns` |
 * | later than `misfireGrace` | missed, `grace` |
 * | at most `lateAfter` late (on time) | kept, each of them (`onTimeLimit` at most: the oldest beyond are missed, `limit`) |
 * | late, `coalesce: "latest"` | the last is kept; none is, when an on-time one is kept; the rest coalesced, `into:<key>` |
 * | late, `coalesce: "earliest"` | the first is kept; the rest coalesced, `into:<key>` |
 * | late, `coalesce: "none"` | the newest are kept, so that `catchUpLimit` of the window are; the rest missed, `limit` |
 *
 * What is kept is the **group**. Its members are no overlap to each other: had the loop turned in time, each would have
 * been decided alone. So they run as far as `maxInstances` leaves room, and the rest wait for their turn.
 *
 * **Whether the group may run.** The task is busy when `maxInstances` runs or more are open from before:
 *
 * | situation | the group | open runs |
 * |---|---|---|
 * | not busy | `ready` as far as there is room, then `waiting` (`queueAll`: at most `queueLimit` wait, then skipped, `full`) | stay |
 * | busy, `skip` | skipped, `busy:<key>` | stay |
 * | busy, `queue` | the last `waiting`, the others skipped, `replaced` | the latest waiting one is dropped: skipped, `replaced` |
 * | busy, `queueAll` | `waiting` while fewer than `queueLimit` wait, then skipped, `full` | stay |
 * | busy, `cancelPrevious` | the last `maxInstances`: `ready` if there is room once what is not running has ended, else `waiting`; the others skipped, `replaced` | the oldest are cancelled until the new ones fit; waiting ones are dropped: skipped, `replaced` |
 * | `allow` | all `ready` | stay |
 *
 * An occurrence whose own run is open is skipped by it (`busy:<its key>`). Where `maxRuns` is reached within the group,
 * the rest of it is skipped, `maxRuns`, and the task is finished.
 *
 * **Open** is a run from its creation until it is terminal: ready, waiting, running, or ready again for a retry. Extra
 * runs (`runNow`; keys `x:…`) count, and may be cancelled by `cancelPrevious`; they are never dropped.
 *
 * Laws, each a property test: the outcomes of a window are as many as its occurrences, over any division into windows;
 * the division does not change them while each is evaluated at most `lateAfter` late, inside its grace, and its
 * run ends before the next evaluation; no more than `maxInstances` runs are ready or running unless `allow`; a cursor never
 * moves back; the work is bounded by the limits, whatever the window's length.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as internalOptions from "./internal/policyOptions.ts"
import * as internalPlan from "./internal/policyPlan.ts"
import type * as Trigger from "./Trigger.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * The policy of one task, as stored: integers are milliseconds.
 *
 * @see {@link Options} for what is written in programs
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /** Occurrences older than this are missed; `null`: never. */
  readonly misfireGrace: number | null
  /** Which of the late occurrences of one window is kept. */
  readonly coalesce: "latest" | "earliest" | "none"
  /** Occurrences at most this late are on time: never coalesced. */
  readonly lateAfter: number
  /** With `coalesce: "none"`, at most this many of one window run; the oldest late ones beyond it are missed. */
  readonly catchUpLimit: number
  /** What happens to occurrences while `maxInstances` runs are open. */
  readonly whenBusy: "skip" | "queue" | "queueAll" | "cancelPrevious" | "allow"
  /** Open runs at most, over all processes that share the store. */
  readonly maxInstances: number
  /** With `whenBusy: "queueAll"`, at most this many runs wait. */
  readonly queueLimit: number
  /** The task is finished after this many scheduled runs; `null`: no limit. */
  readonly maxRuns: number | null
  /** Pauses the task after this many failed runs in a row; `null`: never. */
  readonly pauseOnFailure: number | null
  /** One attempt is interrupted after this long; `null`: never. */
  readonly timeout: number | null
  readonly delivery: "atLeastOnce" | "atMostOnce" | "transactional"
}

/**
 * A policy as people write it. What is left out or `undefined` comes from the defaults.
 *
 * **Details**
 *
 * Durations are stored in whole milliseconds. `"unlimited"` is a value like any other: it wins over a limit among the
 * defaults.
 *
 * **Example**
 *
 * ```ts
 * import * as Policy from "punctual/Policy"
 *
 * const policy = Policy.makeUnsafe({ misfireGrace: "5 minutes", coalesce: "none", whenBusy: "queue" })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How late a run may begin; later, it is missed. Default: unlimited. Judged when the occurrence is evaluated and again
   * when its first attempt is claimed, so that waiting in a queue counts.
   */
  readonly misfireGrace?: Duration.Input | "unlimited" | undefined
  /** Which of several late occurrences runs: the `"latest"` (default), the `"earliest"`, or all, one after another. */
  readonly coalesce?: Policy["coalesce"] | undefined
  /** How late an occurrence may be before it counts as late. Default: 5 seconds. */
  readonly lateAfter?: Duration.Input | undefined
  /** With `coalesce: "none"`, how many of one window run. Default: 100, at most 10,000. */
  readonly catchUpLimit?: number | undefined
  /**
   * What happens to an occurrence while `maxInstances` runs are open: it is skipped (default); it waits, in the place of
   * the one that waits (`"queue"`) or behind the others (`"queueAll"`); the oldest run is cancelled
   * (`"cancelPrevious"`); or it runs all the same (`"allow"`).
   */
  readonly whenBusy?: Policy["whenBusy"] | undefined
  /** Open runs at most, over all processes that share the store. Default: 1. */
  readonly maxInstances?: number | undefined
  /** With `whenBusy: "queueAll"`, how many runs may wait. Default: 1,000, at most 10,000. */
  readonly queueLimit?: number | undefined
  /** The task is finished after this many scheduled runs. Default: unlimited. */
  readonly maxRuns?: number | "unlimited" | undefined
  /** Pauses the task after this many failed runs in a row; `true`: after the first. Default: `false`. */
  readonly pauseOnFailure?: boolean | number | undefined
  /** An attempt is interrupted after this long. Default: unlimited; 30 seconds where `delivery` is `"transactional"`. */
  readonly timeout?: Duration.Input | "unlimited" | undefined
  /**
   * What a crash may do to a run: repeat it (`"atLeastOnce"`, default), lose it (`"atMostOnce"`), or neither, for what the
   * handler writes to the store's own database (`"transactional"`): its writes and the end of its run are one transaction.
   */
  readonly delivery?: Policy["delivery"] | undefined
}

/**
 * A run of the task that has not ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenRun {
  /** `String(due)` for an occurrence; anything else is a run outside the schedule, such as `x:…`. */
  readonly key: string
  /** For an extra run, when it was asked for. */
  readonly due: number
  readonly state: "waiting" | "ready" | "running"
  /** It counts until it has stopped. */
  readonly cancelRequested: boolean
}

/**
 * Occurrences that did not become runs, as one range: kept in the task's row, newest last.
 *
 * @category models
 * @since 0.1.0
 */
export interface Range {
  /** The first occurrence, by its due instant. */
  readonly from: number
  /** The last one. Every occurrence between the two had the same outcome. */
  readonly to: number
  readonly count: number
  /** `false`: there were more of them than may be counted, `count` is a lower bound. */
  readonly exact: boolean
  readonly outcome: "missed" | "coalesced" | "skipped" | "paused"
  /** Why: `grace`, `limit`, `busy:<run key>`, `full`, `replaced`, `into:<run key>`, `paused`, `maxRuns`. */
  readonly reason: string
  /** The occurrence just before the first, `null` when there is none: a range that ends there may be continued by this. */
  readonly follows: number | null
}

/**
 * What `plan` decides from.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlanInput {
  readonly policy: Policy
  readonly trigger: Trigger.Bound
  /** Occurrences in `(cursor, now]` are decided. */
  readonly cursor: number
  readonly now: number
  /** All open runs of the task, in any order, extra ones included. */
  readonly open: ReadonlyArray<OpenRun>
  /** Scheduled runs so far, for `maxRuns`. */
  readonly ran: number
  readonly paused: boolean
}

/**
 * What `plan` decided. All of it is to be committed together with the cursor, or none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan {
  readonly cursor: number
  /** Runs to create, in order of due. */
  readonly runs: ReadonlyArray<{ readonly due: number; readonly nominal: number; readonly state: "ready" | "waiting" }>
  /** Keys of open runs to cancel (`cancelPrevious`). Running ones hold their slot until they have stopped. */
  readonly cancel: ReadonlyArray<string>
  /** Keys of waiting runs to drop: replaced in the queue, counted as skipped now and no longer as ran. */
  readonly drop: ReadonlyArray<string>
  /**
   * Keys of waiting runs that have room to run. Usually empty, since a settlement promotes the next one; not after
   * `maxInstances` was raised, nor under `allow`, where a run that was asked to queue waits.
   */
  readonly promote: ReadonlyArray<string>
  /** What to add to the counters; `ran` may be negative when a waiting run is dropped. */
  readonly counts: {
    readonly ran: number
    readonly missed: number
    readonly coalesced: number
    readonly skipped: number
    readonly paused: number
    readonly exact: boolean
  }
  readonly ranges: ReadonlyArray<Range>
  /**
   * Whether the settlement of each of `runs` must look for a waiting run to promote. Also under `skip`, when a window
   * had more occurrences than there was room for.
   */
  readonly queues: boolean
  /** The first occurrence after `now`, `undefined` when the task is finished. */
  readonly next: Trigger.Point | undefined
}

/**
 * What becomes of one run outside the schedule.
 *
 * @category models
 * @since 0.1.0
 */
export type Admission =
  /** Create it in this state, and cancel these. */
  | { readonly state: "ready" | "waiting"; readonly cancel: ReadonlyArray<string> }
  /** Do not: `busy:<run key>` or `full`. */
  | { readonly state: "skipped"; readonly reason: string }

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * An option of a policy was refused, or a stored policy cannot be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPolicy extends Schema.TaggedError<InvalidPolicy>()("InvalidPolicy", {
  /** Its name as written. */
  option: Schema.String,
  value: Schema.Unknown,
  /** Says what is wrong and what to write instead. */
  message: Schema.String
}) {}

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * What a task gets that says nothing: it is never too late, everything late becomes one run, and one run is open at a time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const defaultPolicy: Policy = Object.freeze<Policy>({
  misfireGrace: null,
  coalesce: "latest",
  lateAfter: 5_000,
  catchUpLimit: 100,
  whenBusy: "skip",
  maxInstances: 1,
  queueLimit: 1_000,
  maxRuns: null,
  pauseOnFailure: null,
  timeout: null,
  delivery: "atLeastOnce"
})

/**
 * The names of `Options`, for definitions that mix them with options of their own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const optionNames: ReadonlyArray<keyof Options> = internalOptions.names

/**
 * Reads options over defaults. The failure names the first option that was refused; nothing is rounded or guessed.
 *
 * **Example**
 *
 * ```ts
 * import * as Policy from "punctual/Policy"
 *
 * const defaults = Policy.makeUnsafe({ misfireGrace: "1 minute" })
 * Policy.makeUnsafe({ misfireGrace: undefined }, defaults).misfireGrace // 60_000
 * Policy.makeUnsafe({ misfireGrace: "unlimited" }, defaults).misfireGrace // null
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options, defaults: Policy = defaultPolicy): Result.Result<Policy, InvalidPolicy> => {
  const unknown = internalOptions.unknownOption(options)
  if (unknown !== undefined) {
    return refuse(unknown.option, (options as Readonly<Record<string, unknown>>)[unknown.option], unknown.problem)
  }
  const policy: Record<string, unknown> = { ...defaults }
  for (const option of internalOptions.names) {
    const value: unknown = options[option]
    if (value === undefined) continue
    const read: Result.Result<unknown, string> = internalOptions.readers[option](value)
    if (Result.isFailure(read)) return refuse(option, value, `${option}: ${read.failure}`)
    policy[option] = read.success
  }
  if (policy["delivery"] === "transactional" && policy["timeout"] === null) {
    if (options.timeout !== undefined) {
      return refuse(
        "timeout",
        options.timeout,
        "timeout: a transaction that is never ended keeps its database from cleaning up: give the attempts of a task " +
          "with `delivery: \"transactional\"` a duration such as \"30 seconds\""
      )
    }
    policy["timeout"] = transactionTimeout
  }
  return Result.succeed(Object.freeze(policy) as unknown as Policy)
}

/** How long a transaction of a handler may take that says nothing. */
const transactionTimeout = 30_000

const refuse = (option: string, value: unknown, message: string): Result.Result<never, InvalidPolicy> =>
  Result.fail(new InvalidPolicy({ option, value, message }))

/**
 * `make` that throws its `InvalidPolicy`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (options: Options, defaults: Policy = defaultPolicy): Policy =>
  Result.getOrThrow(make(options, defaults))

// -----------------------------------------------------------------------------
// codecs
// -----------------------------------------------------------------------------

/** Of the format. A text without some field was written before that field was: it means its default. */
const version = 1

/**
 * A policy as JSON text. Equal policies have equal texts, so texts may be compared.
 *
 * @category codecs
 * @since 0.1.0
 */
export const encode = (policy: Policy): string => {
  const record: Record<string, unknown> = { v: version }
  for (const name of internalOptions.names) record[name] = policy[name]
  return JSON.stringify(record)
}

/** Each evaluation decodes its task's policy, and many tasks share few of them. */
const decodeCacheSize = 256
const decodeCache = new Map<string, Policy>()

/** Most rows have the policy of the one before: to compare two texts is cheaper than to hash a long one that was just read. */
let lastDecoded: { readonly text: string; readonly policy: Result.Result<Policy, InvalidPolicy> } | undefined

/**
 * Reads what `encode` wrote. Fields that this version does not know are refused, since leaving one out could run what
 * must not run.
 *
 * @category codecs
 * @since 0.1.0
 */
export const decode = (text: string): Result.Result<Policy, InvalidPolicy> => {
  if (lastDecoded?.text === text) return lastDecoded.policy
  const known = decodeCache.get(text)
  const decoded = known === undefined ? decodeText(text) : Result.succeed(known)
  lastDecoded = { text, policy: decoded }
  if (known === undefined && Result.isSuccess(decoded)) {
    if (decodeCache.size >= decodeCacheSize) decodeCache.delete(decodeCache.keys().next().value as string)
    decodeCache.set(text, decoded.success)
  }
  return decoded
}

const decodeText = (text: string): Result.Result<Policy, InvalidPolicy> => {
  const parsed = parseJson(text)
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return refuse("policy", text, "a stored policy is not a JSON object: the row was not written by this library")
  }
  const { v, ...stored } = parsed as { readonly [key: string]: unknown }
  if (v !== version) {
    return refuse("v", v, `a stored policy has the format ${v}, this version reads ${version}: upgrade this process`)
  }
  const policy: Record<string, unknown> = { ...defaultPolicy }
  for (const [key, value] of Object.entries(stored)) {
    const option = internalOptions.names.find((name) => name === key)
    if (option === undefined) {
      return refuse(
        key,
        value,
        `a stored policy has the field \`${key}\`, unknown to this version: upgrade this process`
      )
    }
    const read = internalOptions.readStored(option, value)
    if (Result.isFailure(read)) return refuse(key, value, `stored ${key}: ${read.failure}`)
    policy[key] = read.success
  }
  return Result.succeed(Object.freeze(policy) as unknown as Policy)
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Ranges as JSON text: a row of a table each, since most evaluations of a busy task rewrite them.
 *
 * @category codecs
 * @since 0.1.0
 */
export const encodeRanges = (ranges: ReadonlyArray<Range>): string =>
  JSON.stringify({
    v: version,
    ranges: ranges.map((r) => [r.from, r.to, r.count, r.exact ? 1 : 0, r.outcome, r.reason, r.follows])
  })

const noRanges: ReadonlyArray<Range> = Object.freeze([])
const noRangesText = encodeRanges(noRanges)

/**
 * Reads what `encodeRanges` wrote.
 *
 * **Gotchas**
 *
 * A text that cannot be read answers no ranges: they explain the past, nothing is decided from them, and the counters
 * beside them hold the sums.
 *
 * @category codecs
 * @since 0.1.0
 */
export const decodeRanges = (text: string): ReadonlyArray<Range> => {
  if (text === noRangesText) return noRanges
  const parsed = parseJson(text) as { readonly v?: unknown; readonly ranges?: unknown } | null | undefined
  if (parsed?.v !== version || !Array.isArray(parsed.ranges)) return noRanges
  const rows: ReadonlyArray<unknown> = parsed.ranges
  return rows.every(isRangeRow)
    ? rows.map(([from, to, count, exact, outcome, reason, follows]) => ({
      from,
      to,
      count,
      exact: exact === 1,
      outcome,
      reason,
      follows
    }))
    : noRanges
}

type RangeRow = readonly [number, number, number, number, Range["outcome"], string, number | null]

const isRangeRow = (row: unknown): row is RangeRow => {
  if (!Array.isArray(row) || row.length !== 7) return false
  const [from, to, count, exact, outcome, reason, follows]: ReadonlyArray<unknown> = row
  return [from, to, count, exact].every(Number.isSafeInteger) && typeof reason === "string" &&
    (follows === null || Number.isSafeInteger(follows)) &&
    (outcome === "missed" || outcome === "coalesced" || outcome === "skipped" || outcome === "paused")
}

// -----------------------------------------------------------------------------
// deciding
// -----------------------------------------------------------------------------

/**
 * Where counting of missed, coalesced, skipped and paused occurrences stops when it is not arithmetic. What is beyond
 * it makes the counts lower bounds (`exact: false`).
 *
 * @category limits
 * @since 0.1.0
 */
export const countLimit: number = internalPlan.countLimit

/**
 * On-time occurrences of one window that become runs; with `coalesce: "none"`, `catchUpLimit` where that is more.
 * Reached by triggers that fire more than 200 times a second, with the default `lateAfter`.
 *
 * @category limits
 * @since 0.1.0
 */
export const onTimeLimit: number = internalPlan.onTimeLimit

/**
 * Ranges that a task's row keeps. About two kilobytes.
 *
 * @category limits
 * @since 0.1.0
 */
export const rangeLimit = 32

/**
 * Decides the occurrences in `(cursor, now]`: one outcome each. The module's header has the table.
 *
 * **When to use**
 *
 * For each evaluation, and before each change to a task: settle the window under the trigger and policy as they were,
 * `paused` as it was, and commit the plan together with the change.
 *
 * **Details**
 *
 * With `now <= cursor` (the clock was set back) nothing is decided and the cursor stays. The work is bounded by
 * `onTimeLimit`, `countLimit`, the policy's limits and the number of open runs, however long the window is.
 *
 * **Gotchas**
 *
 * A late group that is coalesced into an on-time occurrence shares its fate, also when that one is skipped.
 *
 * @category combinators
 * @since 0.1.0
 */
export const plan = (input: PlanInput): Plan => internalPlan.plan(input)

/**
 * Whether, and how, one run outside the schedule (`runNow`) may begin. It is never dropped for an occurrence, nor an
 * occurrence for it: with `queue` and `queueAll` it waits behind the others, up to `queueLimit`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const admitExtra = (policy: Policy, open: ReadonlyArray<OpenRun>): Admission =>
  internalPlan.admitExtra(policy, open)

/**
 * Keys of waiting runs with room to run, oldest first. `plan` answers them too; a command that ends or cancels a run
 * asks with the runs that are left.
 *
 * @category combinators
 * @since 0.1.0
 */
export const promotable = (policy: Policy, open: ReadonlyArray<OpenRun>): ReadonlyArray<string> =>
  internalPlan.promotable(policy, open)

/**
 * Whether an occurrence is past its grace: judged again when its first attempt is claimed.
 *
 * @category guards
 * @since 0.1.0
 */
export const isTooLate = (policy: Policy, due: number, now: number): boolean =>
  policy.misfireGrace !== null && now - due > policy.misfireGrace

/**
 * Whether the task has had all its runs.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFinished = (policy: Policy, ran: number): boolean => internalPlan.isFinished(policy, ran)

/**
 * The first occurrence after an instant, `undefined` when there is none or the task is finished: what `plan` answers as
 * `next`, for a task that has no window yet.
 *
 * @category combinators
 * @since 0.1.0
 */
export const nextAfter = (
  input: Pick<PlanInput, "policy" | "trigger" | "ran"> & { readonly after: number }
): Trigger.Point | undefined => isFinished(input.policy, input.ran) ? undefined : input.trigger.next(input.after)

/**
 * Adds a plan's ranges to those of its task, and keeps the last `rangeLimit`. A range that continues the last one, with no
 * occurrence between them, becomes one with it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const appendRanges = (old: ReadonlyArray<Range>, added: ReadonlyArray<Range>): ReadonlyArray<Range> => {
  const ranges = old.slice()
  for (const range of added) internalPlan.pushRange(ranges, range)
  return ranges.slice(-rangeLimit)
}

/**
 * The newest range that covers an instant: what became of the occurrence due then, if it did not become a run and is not
 * older than the ranges kept.
 *
 * @category combinators
 * @since 0.1.0
 */
export const outcomeAt = (ranges: ReadonlyArray<Range>, instant: number): Range | undefined =>
  ranges.findLast((range) => range.from <= instant && instant <= range.to)
