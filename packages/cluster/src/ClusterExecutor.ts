/**
 * Runs attempts on the machines of an Effect Cluster: schedulers decide and remember, runners work.
 *
 *     scheduler ─┐                            ┌─ runner: serve(handlers)
 *     scheduler ─┼─ runs-417 ── Sharding ─────┼─ runner: serve(handlers)
 *       (store)  ┘                            └─ runner: serve(handlers)
 *
 * Schedulers share a store as ever; runners need none. Which runner a run goes to is up to the cluster's shards, so
 * runners may come and go. Nothing is kept in the cluster's message storage: a run is in its task store until it ends.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type { Sharding } from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Activity from "punctual/Activity"
import { Executor } from "punctual/Executor"
import type { RunRecord, RunResult } from "punctual/Executor"
import { InvalidOption, refuseOptions } from "punctual/SchedulerError"
import type * as Task from "punctual/Task"
import * as TaskRegistry from "punctual/TaskRegistry"
import * as RunEntity from "./internal/runEntity.ts"
import * as Served from "./internal/served.ts"

// -----------------------------------------------------------------------------
// schedulers
// -----------------------------------------------------------------------------

/**
 * Sends attempts to the runners of a cluster that `serve` their tasks.
 *
 * **Details**
 *
 * `handles` names what the runners serve: this process claims their runs without having a handler, and may schedule them.
 * At most `capacity` (1,000) attempts of this process are out at once; what is due beyond that stays `ready` for others.
 *
 * | what happens | what becomes of the run |
 * |---|---|
 * | it is cancelled, times out, or this scheduler shuts down | the runner interrupts it, and has run its finalizers before the outcome is written |
 * | its runner is killed, or cannot be reached any more | found out when another runner owns the shard; `WorkerLost`: tried again, or abandoned, by its delivery mode |
 * | its runner closes | given what `serve` calls `drainTimeout` to end, then given back and not counted as an attempt |
 * | this scheduler is killed | the runner interrupts it as the connection ends; another scheduler claims it when its lease has ended |
 * | no runner is there, or the one there has no such handler yet | it waits, claimed, until there is one |
 *
 * An attempt is never begun twice: a runner begins only what it gave a ticket for, once. So `delivery: "atMostOnce"`
 * holds. Transactions do not reach another machine: runs with `delivery: "transactional"` are set aside as unreadable.
 *
 * Throws `InvalidOption` for an option that it does not know, a `capacity` that is not a positive integer, a `name` that is
 * empty, and empty `handles`.
 *
 * **Gotchas**
 *
 * How soon the loss of a runner is noticed is up to the cluster: `shardLockExpiration` (35 s) and
 * `refreshAssignmentsInterval` (3 s) of its `ShardingConfig`.
 *
 * **Example**
 *
 * ```ts
 * TaskScheduler.layer(Digests, {
 *   executors: Executors.layer({ default: ClusterExecutor.layer({ handles: [SendDigest] }) })
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Tasks extends ReadonlyArray<Task.Any>>(options: {
  readonly handles: Tasks
  /** The runners that `serve` under the same name. Default: `runs`. */
  readonly name?: string | undefined
  readonly capacity?: number | undefined
}): Layer.Layer<Executor | Task.Handlers<Tasks[number]>, never, Sharding> => {
  checkKnown(options, ["handles", "name", "capacity"], "ClusterExecutor.layer")
  const name = checkName(options.name)
  const capacity = checkCount("capacity", options.capacity, defaultCapacity)
  if (options.handles.length === 0) {
    throw new InvalidOption({
      option: "handles",
      value: [],
      message: "handles must name at least one task that runners serve"
    })
  }
  const tags: ReadonlyMap<string, number> = new Map(options.handles.map(({ tag, version }) => [tag, version]))
  return Layer.effect(Executor)(Effect.gen(function*() {
    const client = yield* RunEntity.make(name).client
    // The cluster lives in real time, whatever time the program has.
    const { live } = yield* Activity.Activity
    const run = (record: RunRecord): Effect.Effect<RunResult> => {
      if (record.within !== undefined) return Effect.succeed(notTransactional)
      const entity = client(RunEntity.entityIdOf(record))
      const text = JSON.stringify(record)
      const attempt: Effect.Effect<RunResult> = Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const fiber = Fiber.getCurrent()!
          const ticket = yield* restore(live(untilHandedOut(entity.ticket())))
          const payload = { ticket, record: text, ...circumstances(fiber.context) }
          const asked = yield* Effect.forkChild(live(Effect.retry(entity.run(payload), busy)))
          const exit = yield* Effect.onInterrupt(restore(Fiber.await(asked)), () =>
            Effect.andThen(live(Effect.ignoreCause(entity.stop({ ticket }))), Fiber.interrupt(asked)))
          return exit._tag === "Success" ? exit.value : unanswered(exit.cause)
        })
      )
      // Given back, it would be claimed and sent to the same runner at once.
      return Effect.flatMap(attempt, (result) =>
        result._tag === "Unreadable" && result.unhandled === true
          ? Effect.andThen(unhandled(record), Effect.delay(run(record), unhandledWait))
          : Effect.succeed(result))
    }
    return { name: `cluster ${name}`, tags: Effect.succeed(tags), capacity, run }
  })) as never
}

/** Asks until a runner hands one out: one that closes, or has more messages than it takes, is asked again. */
const untilHandedOut = <E>(ask: Effect.Effect<string | null, E>): Effect.Effect<string> =>
  Effect.flatMap(
    Effect.retry(ask, busy),
    (ticket) => ticket === null ? Effect.delay(untilHandedOut(ask), closingWait) : Effect.succeed(ticket)
  ) as Effect.Effect<string>

// Errors of a cluster say that the message was not taken; sending it again is safe.
const busy = Schedule.spaced("100 millis")

// A runner that closes gives its shards back within moments.
const closingWait = "250 millis"

const circumstances = (context: Context.Context<never>) => {
  const label = Context.get(context, Activity.Label)
  const span = Context.getOrUndefined(context, Tracer.ParentSpan)
  return {
    ...(label === undefined ? {} : { label }),
    ...(span === undefined ? {} : { span: { traceId: span.traceId, spanId: span.spanId, sampled: span.sampled } })
  }
}

const unanswered = (cause: Cause.Cause<unknown>): RunResult => ({
  _tag: "WorkerLost",
  reason: `The runner did not answer: ${Cause.pretty(cause)}`,
  // An answer that is an interruption: the runner's, not ours.
  blameless: Cause.hasInterruptsOnly(cause)
})

const unhandled = ({ run }: RunRecord) =>
  Effect.logWarning(
    `The runner of run ${run.generation}:${run.key} has no handler for \`${run.tag}\`: the run waits until one has. ` +
      "Runners are deployed before the schedulers that send them new tasks."
  )

const unhandledWait = "5 seconds"

const notTransactional: RunResult = {
  _tag: "Unreadable",
  reason:
    "a transaction does not reach another machine: give the task an executor of this process, or another `delivery`"
}

// -----------------------------------------------------------------------------
// runners
// -----------------------------------------------------------------------------

/**
 * Runs, on this machine of the cluster, what schedulers send.
 *
 * **Details**
 *
 * The handlers are built once, with a registry of their own, and closed after the last run. At most `concurrency` (1,000)
 * attempts run at once; more wait their turn here. When the layer closes, runs have `drainTimeout` (10 s) to end, then
 * they are interrupted and given back.
 *
 * A handler that schedules needs a `TaskSchedulerClient`: `TaskSchedulerClient.layer` over the schedulers' store.
 *
 * Throws `InvalidOption` for an option that it does not know, a `concurrency` that is not a positive integer, a `name` that
 * is empty, and a `drainTimeout` that is no finite duration.
 *
 * **Example**
 *
 * ```ts
 * ClusterExecutor.serve(SendDigestLive).pipe(
 *   Layer.provide(MailLive),
 *   Layer.provide(NodeClusterSocket.layer({ storage: "sql", shardingConfig: { … } }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const serve = <A, E, R>(
  handlers: Layer.Layer<A, E, R>,
  options?: {
    readonly name?: string | undefined
    readonly concurrency?: number | undefined
    readonly drainTimeout?: Duration.Input | undefined
  }
): Layer.Layer<never, E, Sharding | Exclude<R, TaskRegistry.TaskRegistry | Extract<A, Task.Handler<string>>>> => {
  checkKnown(options ?? {}, ["name", "concurrency", "drainTimeout"], "ClusterExecutor.serve")
  const name = checkName(options?.name)
  const concurrency = checkCount("concurrency", options?.concurrency, defaultCapacity)
  const drain = checkDuration(options?.drainTimeout ?? defaultDrain)
  return Layer.effectDiscard(Effect.gen(function*() {
    const registry = yield* TaskRegistry.make(`cluster ${name}`, { drained: () => true })
    const outer = yield* Effect.context<never>()
    const scope = yield* Effect.scope
    // As a scheduler does with its program: two runners in one process have their handlers each.
    yield* Layer.buildWithMemoMap(
      handlers as Layer.Layer<A, E>,
      Layer.CurrentMemoMap.forkOrCreate(outer),
      scope
    ).pipe(Effect.provideContext(Context.add(outer, TaskRegistry.TaskRegistry, registry)))
    const served = Served.make({
      registry,
      concurrency,
      incarnation: yield* incarnation,
      context: Context.omit(Scope.Scope)(outer) as Context.Context<never>
    })
    const entity = RunEntity.make(name)
    yield* Layer.buildWithScope(
      entity.toLayer({
        ticket: () => Effect.sync(served.ticket),
        run: ({ payload }) => served.run(payload.ticket, JSON.parse(payload.record), payload),
        stop: ({ payload }) => served.stop(payload.ticket)
      }, { concurrency: "unbounded", maxIdleTime: "1 minute" }),
      scope
    )
    // Added last, so that it comes first: while it waits, answers still go out.
    yield* Effect.addFinalizer(() => served.close(drain))
  })) as never
}

const incarnation: Effect.Effect<string> = Effect.map(
  Effect.all(Array.from({ length: 4 }, () => Random.nextIntBetween(0, 0x10000))),
  (parts) => parts.map((part) => part.toString(16).padStart(4, "0")).join("")
)

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

const defaultCapacity = 1_000
const defaultDrain = "10 seconds"

const checkKnown = (options: object, known: ReadonlyArray<string>, where: string): void => {
  const unknown = refuseOptions(options, known, where)
  if (unknown !== undefined) throw unknown
}

const checkName = (name: string | undefined): string => {
  if (name === "") {
    throw new InvalidOption({
      option: "name",
      value: name,
      message: "name must not be empty: it names the runners that serve"
    })
  }
  return name ?? "runs"
}

const checkCount = (option: string, value: number | undefined, otherwise: number): number => {
  const count = value ?? otherwise
  if (Number.isSafeInteger(count) && count >= 1) return count
  throw new InvalidOption({ option, value: count, message: `${option} must be an integer of at least 1, not ${count}` })
}

const checkDuration = (input: Duration.Input): number => {
  const millis = Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: Duration.toMillis })
  if (Number.isFinite(millis) && millis >= 0) return millis
  throw new InvalidOption({
    option: "drainTimeout",
    value: String(input),
    message: `drainTimeout must be a finite duration such as "10 seconds", not ${String(input)}`
  })
}
