/**
 * Executes one attempt: an encoded record becomes a payload, the handler runs, its exit becomes a result.
 *
 *     record ─▶ decode ─▶ handler (in its layer's context, under the run's own) ─▶ finalizers ─▶ encode ─▶ result
 *                 │
 *                 └─▶ Unreadable: the row is set aside for this reader, never a defect
 *
 * Every executor runs attempts through this module, in whichever process or thread.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as Activity from "./Activity.ts"
import { CurrentRun } from "./CurrentRun.ts"
import type { RunRecord, RunResult } from "./internal/runRecord.ts"
import { codecOf, exitOf } from "./internal/taskCodec.ts"
import type { Any } from "./internal/taskModel.ts"
import { retryAfter } from "./internal/taskRetry.ts"
import type { RunRow } from "./TaskRecord.ts"
import type { Registered, TaskRegistry } from "./TaskRegistry.ts"

/**
 * Runs the handler of a claimed run and answers how the attempt ended.
 *
 * **Details**
 *
 * | the attempt | result |
 * |---|---|
 * | succeeds | `Succeeded` |
 * | fails, dies, or interrupts itself | `Failed`, with when to try again |
 * | succeeds with what its schema cannot encode | `Failed` with a defect that says so, not tried again |
 * | is still going after `timeout` | interrupted, `TimedOut`, with when to try again |
 * | may not begin yet, by its `rateLimit` | `Postponed` |
 * | has no handler here, or a payload that cannot be decoded | `Unreadable` |
 *
 * Interrupting this effect interrupts the handler, waits for its finalizers and ends interrupted: there is no result.
 * The attempt's scope is closed with its exit before the result is known; the timeout does not count that.
 *
 * @category destructors
 * @since 0.1.0
 */
export const run = (registry: TaskRegistry["Service"], record: RunRecord): Effect.Effect<RunResult> =>
  Effect.withFiber((fiber) => {
    const registered = registry.get(record.run.tag)
    if (registered === undefined) {
      return Effect.succeed({
        _tag: "Unreadable",
        reason: `no handler for task \`${record.run.tag}\` in \`${registry.name}\``,
        unhandled: true
      })
    }
    const { task } = registered
    if (record.task.version > task.version) {
      return unreadable(
        `the payload is of version ${record.task.version}, this process reads up to ${task.version}: deploy it first`
      )
    }
    const decode = codecOf(task).decodePayload(record.task.payload, record.task.version)
    const base = baseOf(registered, fiber.context)
    const decoded = exitOf(decode)
    if (decoded?._tag === "Success") return admitted(registered, base, record, decoded.value)
    return Effect.matchCauseEffect(Effect.updateContext(decode, () => base.context), {
      onSuccess: (payload) => admitted(registered, base, record, payload),
      onFailure: (cause) => unreadable(`the payload cannot be decoded: ${inWords(cause)}`)
    })
  })

/**
 * What `run` answers when an attempt's time is up, found before it begins: for who ends handlers that nothing interrupts.
 *
 * @category destructors
 * @since 0.1.0
 */
export const timedOut = (registry: TaskRegistry["Service"], record: RunRecord): Effect.Effect<RunResult> =>
  Effect.withFiber((fiber) => {
    const registered = registry.get(record.run.tag)
    const error = timeoutError(record)
    return registered === undefined
      ? unreadable(`no handler for task \`${record.run.tag}\` in \`${registry.name}\``)
      : Effect.updateContext(
        settle(registered.task, record, Cause.die(error), error),
        () => baseOf(registered, fiber.context).context
      )
  })

const unreadable = (reason: string): Effect.Effect<RunResult> => Effect.succeed({ _tag: "Unreadable", reason })

const inWords = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

// -----------------------------------------------------------------------------
// one attempt
// -----------------------------------------------------------------------------

/** Where a rate limit says that it may not begin yet, nothing of it does. */
const admitted = (registered: Registered, base: Base, record: RunRecord, payload: unknown): Effect.Effect<RunResult> =>
  registered.admit === undefined
    ? attempt(registered, base, record, payload)
    : Effect.flatMap(
      registered.admit(payload),
      (postponed) => postponed === undefined ? attempt(registered, base, record, payload) : Effect.succeed(postponed)
    )

const attempt = (registered: Registered, base: Base, record: RunRecord, payload: unknown): Effect.Effect<RunResult> => {
  const current = currentRun(record)
  const scope = Scope.makeUnsafe()
  const context = contextOf(base, record, current, scope)
  let entered = false
  let timedOut: Cause.TimeoutError | undefined

  const handler = Effect.suspend(() => {
    // Here and not earlier: whoever gives up before this point must not count, and after it must be counted off.
    entered = true
    registered.enter()
    return registered.handler(payload, current)
  }) as Effect.Effect<unknown, unknown>
  const bounded = record.timeout === null
    ? handler
    : withTimeout(handler, record.timeout, () => timedOut = timeoutError(record))
  const closed = Effect.onExitPrimitive(bounded, (exit) => Scope.closeUnsafe(scope, exit))
  const failed = (cause: Cause.Cause<unknown>): Effect.Effect<RunResult> =>
    Effect.updateContext(settle(registered.task, record, cause, timedOut), () => context)
  const result: Effect.Effect<RunResult> = Effect.matchCauseEffect(Effect.updateContext(closed, () => context), {
    onSuccess: (value) => succeeded(registered.task, base, value, failed),
    onFailure: (cause) =>
      // An interruption from outside gets here only where this fiber is uninterruptible: it is no result then either.
      Cause.hasInterrupts(cause) ? Effect.andThen(Effect.interruptible(Effect.void), failed(cause)) : failed(cause)
  })
  return Effect.onExitPrimitive(result, () => {
    if (entered) registered.leave()
    return undefined
  })
}

const succeeded = (
  task: Any,
  base: Base,
  value: unknown,
  failed: (cause: Cause.Cause<unknown>) => Effect.Effect<RunResult>
): Effect.Effect<RunResult> => {
  const encode = codecOf(task).encodeSuccess(value)
  const encoded = exitOf(encode)
  if (encoded?._tag === "Success") return Effect.succeed({ _tag: "Succeeded", exit: encoded.value })
  return Effect.matchCauseEffect(Effect.updateContext(encode, () => base.context), {
    onSuccess: (exit) => Effect.succeed<RunResult>({ _tag: "Succeeded", exit }),
    onFailure: (cause) => failed(Cause.die(undeclared(task.tag, value, inWords(cause))))
  })
}

/** Runs that begin together are mostly due together. */
let instant = DateTime.makeUnsafe(0)
const instantOf = (millis: number): DateTime.Utc =>
  instant.epochMilliseconds === millis ? instant : instant = DateTime.makeUnsafe(millis)

const currentRun = ({ run, store }: RunRecord): CurrentRun["Service"] => {
  const dueAt = instantOf(run.due)
  return {
    id: `${run.generation}:${run.key}`,
    taskId: run.taskId,
    tag: run.tag,
    attempt: run.attempt,
    scheduledAt: run.nominal === run.due ? dueAt : DateTime.makeUnsafe(run.nominal),
    dueAt,
    fencingToken: run.token ?? 0,
    store,
    extra: run.key.startsWith("x:"),
    key: run.key
  }
}

// A failed or timed out attempt's result: its exit, and when to try again.
const settle = Effect.fnUntraced(function*(
  task: Any,
  { run }: RunRecord,
  cause: Cause.Cause<unknown>,
  timedOut: Cause.TimeoutError | undefined
): Effect.fn.Return<RunResult> {
  const again = yield* Effect.exit(nextAttempt(task, run, cause, timedOut))
  const exit = yield* codecOf(task).encodeFailure(
    again._tag === "Success" ? cause : Cause.combine(cause, again.cause)
  )
  return {
    _tag: timedOut === undefined ? "Failed" : "TimedOut",
    exit,
    // A predicate or schedule that dies decides nothing; its defect is in the exit.
    retryAfter: again._tag === "Success" ? again.value : null
  }
})

const nextAttempt = (
  { retry }: Any,
  { atMostOnce, attempt }: RunRow,
  cause: Cause.Cause<unknown>,
  timedOut: Cause.TimeoutError | undefined
): Effect.Effect<number | null> => {
  if (retry === undefined || atMostOnce) return Effect.succeed(null)
  if (timedOut !== undefined) return retryAfter(retry, attempt, timedOut, false)
  // As `Effect.retry`: a defect wins over a typed error beside it, and is not retried.
  if (Cause.hasDies(cause)) return Effect.succeed(null)
  const error = Cause.findError(cause)
  return Result.isFailure(error) ? Effect.succeed(null) : retryAfter(retry, attempt, error.success, true)
}

const undeclared = (tag: string, value: unknown, reason: string): Error =>
  new Error(`Task \`${tag}\` succeeded with a value that its \`success\` schema cannot encode. ${reason}`, {
    cause: value
  })

// -----------------------------------------------------------------------------
// timeout
// -----------------------------------------------------------------------------

const timeoutError = ({ run, timeout }: RunRecord): Cause.TimeoutError =>
  new Cause.TimeoutError(
    `Attempt ${run.attempt} of task \`${run.tag}\` timed out after ${Duration.format(Duration.millis(timeout ?? 0))}`
  )

/**
 * Interrupts the handler after `millis`, and waits for it to end.
 *
 * The handler has a fiber of its own, because an interruption of this one would take the result with it. Not
 * `Effect.timeout`: a handler that ends as its time is up keeps its exit, and what it dies of while being interrupted
 * is not lost.
 */
const withTimeout = (
  handler: Effect.Effect<unknown, unknown>,
  millis: number,
  onTimeout: () => Cause.TimeoutError
): Effect.Effect<unknown, unknown> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkChild(handler, { startImmediately: true }), (fiber) => {
      const ended = fiber.pollUnsafe()
      if (ended !== undefined) return ended
      let expired = false
      const expire = Effect.flatMap(Effect.sleep(millis), () =>
        Effect.sync(() => {
          expired = true
          fiber.interruptUnsafe()
        }))
      // Under virtual time a sleeping handler counts as idle; its timer asleep says nothing about the handler.
      const timer = Effect.provideService(expire, Activity.Label, undefined)
      return Effect.flatMap(
        Effect.forkChild(timer, { startImmediately: true }),
        (timer) =>
          Effect.onInterrupt(restore(Fiber.await(fiber)), () => Fiber.interrupt(fiber)).pipe(
            Effect.ensuring(Effect.sync(() => timer.interruptUnsafe())),
            Effect.flatMap((exit) => {
              if (!expired || exit._tag === "Success") return exit
              const others = exit.cause.reasons.filter((reason) => reason._tag !== "Interrupt")
              return Effect.failCause(Cause.fromReasons([Cause.makeDieReason(onTimeout()), ...others]))
            })
          )
      )
    })
  )

// -----------------------------------------------------------------------------
// context
// -----------------------------------------------------------------------------

/**
 * What all runs of a handler have in common, as long as they are started alike: the layer's context, under the parts
 * of the starting fiber's that belong to the run. Only those: the engine's own services are none of the handler's.
 */
interface Base {
  readonly from: Context.Context<never>
  readonly context: Context.Context<never>
  readonly annotations: Readonly<Record<string, unknown>>
}

const bases = new WeakMap<Registered, Base>()

const baseOf = (registered: Registered, from: Context.Context<never>): Base => {
  const known = bases.get(registered)
  if (known !== undefined && known.from === from) return known
  const base = makeBase(registered.context, from)
  bases.set(registered, base)
  return base
}

const makeBase = (layer: Context.Context<never>, from: Context.Context<never>): Base => {
  const own = new Map(layer.mapUnsafe)
  // The span and stack frame of the layer being built are no parents of its runs.
  for (const key of runKeys) {
    if (from.mapUnsafe.has(key)) own.set(key, from.mapUnsafe.get(key))
    else own.delete(key)
  }
  const installed = from.mapUnsafe.get(Tracer.Tracer.key)
  if (installed !== undefined) own.set(Tracer.Tracer.key, installed)
  return {
    from,
    context: Context.makeUnsafe(own),
    annotations: {
      ...Context.get(layer, References.CurrentLogAnnotations),
      ...Context.get(from, References.CurrentLogAnnotations)
    }
  }
}

const runKeys: ReadonlyArray<string> = [
  Clock.Clock.key,
  Tracer.ParentSpan.key,
  References.CurrentStackFrame.key,
  References.CurrentLogSpans.key,
  Activity.Activity.key,
  Activity.Label.key
]

const contextOf = (
  base: Base,
  { within }: RunRecord,
  current: CurrentRun["Service"],
  scope: Scope.Scope
): Context.Context<never> =>
  (within === undefined ? base.context : Context.merge(base.context, within)).pipe(
    Context.add(Scope.Scope, scope),
    Context.add(CurrentRun, current),
    Context.add(References.CurrentLogAnnotations, {
      ...base.annotations,
      task: current.taskId,
      run: current.id,
      attempt: current.attempt
    })
  )
