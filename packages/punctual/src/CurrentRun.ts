/**
 * The attempt a handler is executing.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"

/**
 * The attempt in progress; every handler may ask for it, and gets it as its second argument too.
 *
 * **When to use**
 *
 * Use `scheduledAt` for "the report of which day", `id` as an idempotency key at the receiver, `fencingToken` to refuse
 * writes of an owner that lost its lease, and `attempt` to do less on a late attempt.
 *
 * **Example**
 *
 * ```ts
 * const SendDigestLive = SendDigest.toLayer(Effect.fn("SendDigest")(function*({ customer }) {
 *   const mail = yield* Mail
 *   const run = yield* CurrentRun
 *   return { delivered: yield* mail.digest(customer, run.scheduledAt) }
 * }))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentRun extends Context.Service<CurrentRun, {
  /** `generation:key`: names the occurrence in its store for ever, the same for each of its attempts. */
  readonly id: string
  readonly taskId: string
  readonly tag: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /** The instant the trigger's rule names. */
  readonly scheduledAt: DateTime.Utc
  /** The instant it was to start: another one than `scheduledAt` where the trigger is jittered, delayed or rolled. */
  readonly dueAt: DateTime.Utc
  /** Larger than that of every earlier claim in the store. */
  readonly fencingToken: number
  /** Alias of the store the run came from. */
  readonly store: string
  /** Whether it is outside the schedule (`runNow`). */
  readonly extra: boolean
  /** The run's key: `String(due)` for a scheduled occurrence, `x:…` for an extra run, `e:…` for an event. */
  readonly key: string
}>()("punctual/CurrentRun") {}
