/**
 * What a task is to code that works on encoded data: the registry, codecs and runners, which `Task` itself stands on.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { Pipeable } from "effect/Pipeable"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Policy from "../Policy.ts"
import type * as Trigger from "../Trigger.ts"
import type { Migrations } from "./taskMigration.ts"

export const TypeId = "~punctual/Task"

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * A definition that cannot mean anything. Thrown where it is written, because it is a mistake in the program.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidTask extends Schema.TaggedError<InvalidTask>()("InvalidTask", {
  tag: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `Task \`${this.tag}\`: ${this.reason}`
  }
}

/**
 * A payload that does not fit the task's schema. Nothing was stored.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPayload extends Schema.TaggedError<InvalidPayload>()("InvalidPayload", {
  tag: Schema.String,
  /** Each problem on a line: what was expected, and at which field. Values are not repeated: they may be secret. */
  issue: Schema.String
}) {
  override get message(): string {
    return `The payload of task \`${this.tag}\` does not fit its schema. ${this.issue}`
  }
}

/**
 * A stored exit that the task's current schemas cannot decode: they changed since the run ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnreadableExit extends Schema.TaggedError<UnreadableExit>()("UnreadableExit", {
  tag: Schema.String,
  issue: Schema.String
}) {
  override get message(): string {
    return `The stored exit of a run of task \`${this.tag}\` does not fit its schemas. ${this.issue}`
  }
}

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * When a failed attempt is followed by another: `Effect.Retry.Options` without requirements.
 *
 * **Details**
 *
 * The stored attempt count is the state: the schedule is replayed up to it, so a restart continues where the last
 * process stopped. `while` and `until` see the typed error; the schedule is stepped with it.
 *
 * | attempt ended by | retried |
 * |---|---|
 * | a typed error | as `while`, `until`, `times` and `schedule` say |
 * | the timeout | as `times` and `schedule` say; the schedule is stepped with a `Cause.TimeoutError` |
 * | a defect, or interrupting itself | never, as with `Effect.retry` |
 *
 * **Gotchas**
 *
 * A predicate or schedule that fails or dies decides nothing: the attempt is not retried, and its exit has that defect too.
 *
 * A schedule that looks at errors sees the latest one at each replayed step: earlier ones are not stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retry<in E> {
  readonly while?: ((error: E) => boolean | Effect.Effect<boolean, unknown>) | undefined
  readonly until?: ((error: E) => boolean | Effect.Effect<boolean, unknown>) | undefined
  /** Attempts after the first. */
  readonly times?: number | undefined
  readonly schedule?: Schedule.Schedule<unknown, E, unknown> | undefined
}

/**
 * How many attempts may begin in a time, over all processes that share the limiter.
 *
 * **Details**
 *
 * | | |
 * |---|---|
 * | `limit`, `window` | so many attempts in so long: `100` in `"1 minute"` |
 * | `key` | limits each value by itself: a customer, a host; without it the whole task. A pure function of the payload |
 * | `algorithm` | as Effect's `RateLimiter` has it: `"fixed-window"` (default) or `"token-bucket"` |
 *
 * Each attempt is one: a first, a retry, a `runNow`. The handler's layer needs Effect's `RateLimiter`, and the compiler says
 * so: `RateLimiter.layer` over `RateLimiter.layerStoreMemory` counts in one process, over `layerStoreRedis` in all.
 *
 * A run that may not begin is postponed: it is given back until its turn may come, its attempt is not counted and others
 * run. Its `misfireGrace` is judged when it begins, so one that waited longer is `missed`. It is told as `RunReleased` with
 * the reason `rateLimited`, and `RunInfo.readyAt` says until when it waits.
 *
 * **Gotchas**
 *
 * A limiter that is away lets nothing begin: runs are postponed by a second, two … thirty (`limiterAway`), and a warning
 * is logged.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimit<in P> {
  readonly limit: number
  readonly window: Duration.Input
  readonly key?: ((payload: P) => string) | undefined
  readonly algorithm?: "fixed-window" | "token-bucket" | undefined
}

/**
 * Any task, whatever its types: for lists of them and for code that works on encoded data.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Pipeable {
  readonly [TypeId]: typeof TypeId
  readonly tag: string
  readonly payload: Schema.Top
  readonly success: Schema.Top
  readonly error: Schema.Top
  readonly name: string
  readonly version: number
  readonly migrate: Migrations | undefined
  readonly policy: Policy.Options
  readonly trigger: Trigger.Trigger | undefined
  readonly executor: string | undefined
  readonly priority: number | undefined
  readonly concurrencyKey: ((payload: never) => string | undefined) | undefined
  readonly concurrencyLimit: number | undefined
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly retry: Retry<never> | undefined
  readonly rateLimit: RateLimit<never> | undefined
}
