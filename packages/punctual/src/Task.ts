/**
 * Typed definitions of work: what is scheduled, and who handles it.
 *
 * A `Task` is a value: a tag, schemas for what goes in and what comes out, and the policies each scheduled copy
 * inherits. It does nothing by itself. Its handler is a layer, so what the handler needs are that layer's requirements.
 *
 *     Task.make ──▶ definition ──┬─ toLayer(handler) ──▶ Layer<Handler<Tag>>    this process runs it
 *                                └─ scheduler.add    ──▶ a persisted copy       any process may run it
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import { pipeArguments } from "effect/Pipeable"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import * as Scope from "effect/Scope"
import type { CurrentRun } from "./CurrentRun.ts"
import { refuseUnknown } from "./internal/options.ts"
import { TaskScheduler } from "./internal/schedulerTag.ts"
import { codecOf, decodeExit as decodeStoredExit, formatIssue } from "./internal/taskCodec.ts"
import { type Migration, type Migrations, refuseMigrations } from "./internal/taskMigration.ts"
import { type Any, InvalidTask, type RateLimit, type Retry, TypeId, UnreadableExit } from "./internal/taskModel.ts"
import { make as makeRateLimit, refuseRateLimit } from "./internal/taskRateLimit.ts"
import * as Policy from "./Policy.ts"
import type { AddError, Scheduled, ScheduleOptions } from "./TaskHandle.ts"
import { exitText, type RunInfo } from "./TaskInfo.ts"
import { type TaskAlreadyHandled, TaskRegistry } from "./TaskRegistry.ts"
import type * as Trigger from "./Trigger.ts"

export type { Migration, Migrations } from "./internal/taskMigration.ts"
export { InvalidPayload, InvalidTask, UnreadableExit } from "./internal/taskModel.ts"
export type { Any, RateLimit, Retry } from "./internal/taskModel.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

declare const HandlerId: unique symbol

/**
 * A fact for the compiler: the tag is handled. `toLayer` provides it, scheduling requires it, nothing ever reads it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handler<out Tag extends string> {
  readonly [HandlerId]: Tag
}

/**
 * A typed definition of work.
 *
 * @category models
 * @since 0.1.0
 */
export interface Task<
  Tag extends string,
  P extends Schema.Top,
  A extends Schema.Top,
  E extends Schema.Top,
  /** What its handler's layer needs besides what the handler does: `RateLimiter`, where it has a `rateLimit`. */
  out Needs = never
> extends Any {
  /** Names the work for ever: stored rows find their handler by it. */
  readonly tag: Tag
  readonly payload: P
  readonly success: A
  readonly error: E
  /** What people see, the tag unless said otherwise. */
  readonly name: string
  /** Version of the payload's schema. A process claims only rows of versions up to its own. */
  readonly version: number
  /** How stored payloads of older versions become what the schema reads. */
  readonly migrate: Migrations | undefined
  /** Defaults that each scheduled copy inherits. */
  readonly policy: Policy.Options
  /** When a copy is due that does not say it itself. */
  readonly trigger: Trigger.Trigger | undefined
  readonly executor: string | undefined
  readonly priority: number | undefined
  readonly concurrencyKey: ((payload: P["Type"]) => string | undefined) | undefined
  readonly concurrencyLimit: number | undefined
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly retry: Retry<E["Type"]> | undefined
  readonly rateLimit: RateLimit<P["Type"]> | undefined

  /**
   * Handles the task in this process, for as long as the layer is open.
   *
   * **Details**
   *
   * The handler runs in the context its layer was built with, under the run's own span, log annotations, `Clock`,
   * `CurrentRun`, and a `Scope` per attempt: what it acquires is released before the attempt's result is recorded.
   * It may be given as an effect that builds it, for what is made once per layer and not once per run.
   *
   * When the layer closes, the tag is no longer offered, then its runs are waited for, then its services close.
   *
   * **Example**
   *
   * ```ts
   * const SendDigestLive = SendDigest.toLayer(Effect.fn("SendDigest")(function*({ customer }) {
   *   const mail = yield* Mail
   *   return { delivered: yield* mail.digest(customer) }
   * }))
   * ```
   */
  toLayer<R, EX = never, RX = never>(
    build:
      | ((payload: P["Type"], run: CurrentRun["Service"]) => Effect.Effect<A["Type"], E["Type"], R>)
      | Effect.Effect<
        (payload: P["Type"], run: CurrentRun["Service"]) => Effect.Effect<A["Type"], E["Type"], R>,
        EX,
        RX
      >
  ): Layer.Layer<
    Handler<Tag>,
    TaskAlreadyHandled | EX,
    | TaskRegistry
    | Needs
    | Exclude<R, Scope.Scope | CurrentRun | Handler<Tag>>
    | Exclude<RX, Scope.Scope>
    | P["DecodingServices"]
    | A["EncodingServices"]
    | E["EncodingServices"]
  >
}

/** @category utility types @since 0.1.0 */
export type Tag<T extends Any> = T["tag"]

/** What the handler receives. @category utility types @since 0.1.0 */
export type Payload<T extends Any> = T["payload"]["Type"]

/** What `add` takes: fields with a default may be left out. @category utility types @since 0.1.0 */
export type PayloadInput<T extends Any> = T["payload"]["~type.make.in"]

/** @category utility types @since 0.1.0 */
export type Success<T extends Any> = T["success"]["Type"]

/** @category utility types @since 0.1.0 */
export type Error<T extends Any> = T["error"]["Type"]

/** What the handlers of these tasks provide. @category utility types @since 0.1.0 */
export type Handlers<T extends Any> = Handler<T["tag"]>

/**
 * The `payload` option of whatever schedules a task: needed, unless the task has none.
 *
 * @category utility types
 * @since 0.1.0
 */
export type PayloadOption<P extends Schema.Top> = void extends P["~type.make.in"]
  ? { readonly payload?: P["~type.make.in"] | undefined }
  : { readonly payload: P["~type.make.in"] }

/**
 * The schema of a payload given as fields or as a schema.
 *
 * @category utility types
 * @since 0.1.0
 */
export type PayloadSchema<P extends Schema.Top | Schema.Struct.Fields> = P extends Schema.Top ? P
  : P extends Schema.Struct.Fields ? Schema.Struct<P>
  : never

/**
 * What `make` takes beside the tag.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<P extends Schema.Top | Schema.Struct.Fields, A extends Schema.Top, E extends Schema.Top>
  extends Policy.Options
{
  /** Fields, or any schema; none by default. */
  readonly payload?: P | undefined
  /** Nothing (`void`) by default. */
  readonly success?: A | undefined
  /** `never` by default: the handler cannot fail, except by a defect. */
  readonly error?: E | undefined
  readonly name?: string | undefined
  /** Counts up when the payload's schema changes in a way older processes cannot read. 1 by default. */
  readonly version?: number | undefined
  /**
   * For each version before `version`, what makes its stored JSON that of the next (`Task.migration`). Without it the
   * schema itself must read every older version.
   */
  readonly migrate?: Migrations | undefined
  readonly retry?: Retry<E["Type"]> | undefined
  /** How many attempts may begin in a time; more wait. The handler's layer then needs `RateLimiter`. */
  readonly rateLimit?: RateLimit<PayloadSchema<P>["Type"]> | undefined
  /** When a copy is due that does not say it itself. */
  readonly trigger?: Trigger.Trigger | undefined
  /** Alias of the executor that runs it. */
  readonly executor?: string | undefined
  /** Larger runs first among ready runs of this task. */
  readonly priority?: number | undefined
  /**
   * Runs of one key are at work beside each other up to `concurrencyLimit`, over all processes and all tasks of this tag:
   * one at a time for each customer, say. `undefined`: this one is under no such limit.
   *
   * **Details**
   *
   * From 1 to 255 characters. It is computed where a payload is written (`add`, `update`), and kept with the task: what
   * the function answers after a deploy holds for tasks that are added, updated or declared again since. A run that
   * waits for its turn is `ready`, and counts as open for `maxInstances`; one that waits for its retry lets others pass.
   */
  readonly concurrencyKey?: ((payload: PayloadSchema<P>["Type"]) => string | undefined) | undefined
  /** From 1 to 10,000; 1 by default. */
  readonly concurrencyLimit?: number | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

// -----------------------------------------------------------------------------
// guards
// -----------------------------------------------------------------------------

/** @category guards @since 0.1.0 */
export const isTask = (u: unknown): u is Any => hasProperty(u, TypeId)

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Defines a task.
 *
 * **Details**
 *
 * Policies given here are the defaults of each scheduled copy. Throws `InvalidTask` for what cannot mean anything: an
 * empty tag, unknown options, a policy out of bounds, `retry` with `delivery: "atMostOnce"`.
 *
 * **Example**
 *
 * ```ts
 * const SendDigest = Task.make("SendDigest", {
 *   payload: { customer: Schema.String },
 *   success: Schema.Struct({ delivered: Schema.Int }),
 *   error: MailError,
 *   misfireGrace: "5 minutes",
 *   retry: { times: 5, schedule: Schedule.exponential("1 second"), while: (e) => e.retryable },
 *   timeout: "30 seconds"
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Tag extends string,
  P extends Schema.Top | Schema.Struct.Fields = Schema.Void,
  A extends Schema.Top = Schema.Void,
  E extends Schema.Top = Schema.Never,
  Limit extends number = never
>(
  tag: Tag,
  options?: Options<P, A, E> & { readonly rateLimit?: { readonly limit: Limit } | undefined }
): Task<Tag, PayloadSchema<P>, A, E, [Limit] extends [never] ? never : RateLimiter.RateLimiter> => {
  const given: Options<P, A, E> = options ?? {}
  const {
    concurrencyKey,
    concurrencyLimit,
    error,
    executor,
    labels,
    migrate,
    name,
    payload,
    priority,
    rateLimit,
    retry,
    success,
    trigger,
    version,
    ...policy
  } = given
  const refuse = (reason: string): never => {
    throw new InvalidTask({ tag: String(tag), reason })
  }
  if (typeof tag !== "string" || tag.trim() === "") refuse("the tag must be a text that is not empty")
  const unknown = refuseUnknown(given, optionNames, "Task.make")
  if (unknown !== undefined) refuse(unknown)
  if (version !== undefined && !(Number.isSafeInteger(version) && version >= 1)) {
    refuse(`version must be an integer of at least 1, not ${version}`)
  }
  const unmigrated = migrate === undefined ? undefined : refuseMigrations(migrate, version ?? 1)
  if (unmigrated !== undefined) refuse(unmigrated)
  if (priority !== undefined && !Number.isSafeInteger(priority)) {
    refuse(`priority must be an integer, not ${priority}`)
  }
  if (concurrencyKey !== undefined && typeof concurrencyKey !== "function") {
    refuse("concurrencyKey must be a function of the payload: ({ customer }) => customer")
  }
  if (concurrencyLimit !== undefined) {
    if (concurrencyKey === undefined) refuse("concurrencyLimit is a limit for each concurrencyKey, and there is none")
    if (!(Number.isSafeInteger(concurrencyLimit) && concurrencyLimit >= 1 && concurrencyLimit <= 10_000)) {
      refuse(`concurrencyLimit must be an integer from 1 to 10,000, not ${concurrencyLimit}`)
    }
  }
  if (executor !== undefined && executor.trim() === "") refuse("the executor's alias must not be empty")
  const checked = Policy.make(policy)
  if (Result.isFailure(checked)) refuse(checked.failure.message)
  if (retry !== undefined) refuseRetry(retry, policy, refuse)
  const unlimited = rateLimit === undefined ? undefined : refuseRateLimit(rateLimit)
  if (unlimited !== undefined) refuse(unlimited)
  return Object.assign(Object.create(Proto), {
    tag,
    payload: payload === undefined ? Schema.Void : schemaOf(payload),
    success: success ?? Schema.Void,
    error: error ?? Schema.Never,
    name: name ?? tag,
    version: version ?? 1,
    migrate,
    policy,
    trigger,
    executor,
    priority,
    concurrencyKey,
    concurrencyLimit,
    labels,
    retry,
    rateLimit
  })
}

/**
 * A typed step of `migrate`, from one version's schema to the next one's.
 *
 * **Details**
 *
 * The stored JSON is decoded by `from`; what the function answers is checked and encoded by `to`. The schemas are those
 * of the two versions as they were, kept beside the definition for as long as rows of them may be stored. They need no
 * services. What does not decode, and a function that throws, sets the row aside: nothing is lost or changed.
 *
 * **Example**
 *
 * ```ts
 * const V1 = { customer: Schema.String }
 * const V2 = { customer: Schema.String, language: Schema.String }
 *
 * const SendDigest = Task.make("SendDigest", {
 *   version: 2,
 *   payload: V2,
 *   migrate: { 1: Task.migration(V1, V2, ({ customer }) => ({ customer, language: "en" })) }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const migration = <
  From extends Schema.Codec<unknown, unknown> | Schema.Struct.Fields,
  To extends Schema.Codec<unknown, unknown> | Schema.Struct.Fields
>(
  from: From,
  to: To,
  migrate: (payload: PayloadSchema<From>["Type"]) => PayloadSchema<To>["~type.make.in"]
): Migration => {
  const decode = SchemaParser.decodeUnknownEffect(Schema.toCodecJson(schemaOf(from)))
  const construct = SchemaParser.makeEffect(schemaOf(to))
  const encode = SchemaParser.encodeUnknownEffect(Schema.toCodecJson(schemaOf(to)))
  return (payload) => {
    const step = decode(payload).pipe(
      Effect.flatMap((decoded) => construct(migrate(decoded))),
      Effect.flatMap((migrated) => encode(migrated))
    ) as Effect.Effect<Schema.Json, SchemaIssue.Issue>
    return Result.getOrThrowWith(Effect.runSync(Effect.result(step)), (issue) => new Error(formatIssue(issue)))
  }
}

const schemaOf = (payload: Schema.Top | Schema.Struct.Fields): Schema.Top =>
  Schema.isSchema(payload) ? payload : Schema.Struct(payload)

const optionNames = [
  "payload",
  "success",
  "error",
  "name",
  "version",
  "migrate",
  "retry",
  "rateLimit",
  "trigger",
  "executor",
  "priority",
  "concurrencyKey",
  "concurrencyLimit",
  "labels",
  ...Policy.optionNames
]

const retryNames = ["times", "schedule", "while", "until"]

const refuseRetry = (retry: Retry<never>, policy: Policy.Options, refuse: (reason: string) => never): void => {
  const unknown = refuseUnknown(retry, retryNames, "retry")
  if (unknown !== undefined) refuse(unknown)
  const { times } = retry
  if (times !== undefined && !(Number.isSafeInteger(times) && times >= 0)) {
    refuse(`retry.times must be an integer of at least 0, not ${times}`)
  }
  if (retryNames.every((key) => retry[key as keyof Retry<never>] === undefined)) {
    refuse("retry is empty, which would retry at once and for ever: give it `times`, a `schedule` or both")
  }
  if (policy.delivery === "atMostOnce") {
    refuse("`retry` starts an attempt again, and `delivery: \"atMostOnce\"` says that never happens: drop one of them")
  }
}

/** Imported by tasks that have a limit alone: it brings Effect's Redis and configuration along, 11 modules of its 169. */
const rateLimiter = Effect.promise(() => import("effect/persistence/RateLimiter")).pipe(
  Effect.flatMap(({ RateLimiter }) => RateLimiter)
)

const Proto = {
  [TypeId]: TypeId,
  toLayer(this: Any, build: unknown) {
    return Layer.effectContext(Effect.gen({ self: this }, function*() {
      // A schema that has no JSON form is a mistake in the program: it ends here, not at the first run.
      codecOf(this)
      const registry = yield* TaskRegistry
      const context = yield* Effect.context<never>()
      const handler = Effect.isEffect(build) ? yield* build : build
      const admit = this.rateLimit === undefined
        ? undefined
        : makeRateLimit(this.tag, this.rateLimit, yield* rateLimiter)
      yield* registry.register(this, {
        handler: handler as never,
        // The layer's scope is not the run's: what a handler acquires must not live as long as its layer.
        context: Context.omit(Scope.Scope)(context),
        admit
      })
      return Context.empty()
    }))
  },
  toJSON(this: Any) {
    return { _id: "Task", tag: this.tag, version: this.version }
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

// -----------------------------------------------------------------------------
// scheduling
// -----------------------------------------------------------------------------

/**
 * A definition together with how it is scheduled, as one value: for `addAll` and `reconcile`.
 *
 * **Example**
 *
 * ```ts
 * const nightly = customers.map((customer) =>
 *   Task.scheduled(SendDigest, { id: `digest-${customer}`, payload: { customer }, trigger: Trigger.cron("0 2 * * *") })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const scheduled = <const T extends Any>(task: T, options: ScheduleOptions<T>): Scheduled<T> => ({
  task,
  options
})

/**
 * Adds a task when the application is built.
 *
 * **When to use**
 *
 * Use it for what a program always schedules, beside its handlers. With `onConflict: "update"` a deploy changes what
 * the program changed and leaves alone what an operator did.
 *
 * **Example**
 *
 * ```ts
 * const Digests = Task.layerScheduled(SendDigest, {
 *   id: "digest-acme",
 *   payload: { customer: "acme" },
 *   onConflict: "update",
 *   trigger: Trigger.cron("0 9 * * MON-FRI", { timeZone: "Europe/Berlin" })
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerScheduled = <const T extends Any>(
  task: T,
  options: ScheduleOptions<T>
): Layer.Layer<never, AddError, TaskScheduler | Handler<T["tag"]> | T["payload"]["EncodingServices"]> =>
  Layer.effectDiscard(TaskScheduler.use((scheduler) => scheduler.add(task, options)))

// -----------------------------------------------------------------------------
// results
// -----------------------------------------------------------------------------

/**
 * The exit of a run of this task, typed: none while it has none, because it has not ended or was cancelled.
 *
 * **Gotchas**
 *
 * `RunInfo.exit` shows secrets masked; they are found again by the very `exit` that this program's scheduler or client
 * answered. A copy of it, sent somewhere else, is `UnreadableExit` where the schemas have `Redacted`.
 *
 * @category destructors
 * @since 0.1.0
 */
export const decodeExit = <const T extends Any>(
  task: T,
  run: Pick<RunInfo, "exit">
): Effect.Effect<
  Option.Option<Exit.Exit<Success<T>, Error<T>>>,
  UnreadableExit,
  T["success"]["DecodingServices"] | T["error"]["DecodingServices"]
> =>
  Option.isNone(run.exit)
    ? Effect.succeedNone
    : Effect.map(storedExit(task, run.exit), Option.some) as never

const storedExit = (task: Any, exit: Option.Some<unknown>) => {
  const text = exitText(exit)
  return text === undefined && codecOf(task).secretExits
    ? Effect.fail(
      new UnreadableExit({ tag: task.tag, issue: "Its secrets are masked: decode the `exit` of the RunInfo itself" })
    )
    : decodeStoredExit(task, text ?? JSON.stringify(exit.value))
}
