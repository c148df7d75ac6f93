/**
 * Executing claimed runs: start, watch, and settle them in batches.
 *
 * Every run that is started ends in exactly one of: a settlement with its result, a release, or a lease that was lost.
 *
 *     start ──▶ fiber ──▶ exit ──▶ settlement ──▶ (batch) ──▶ store
 *                 ▲
 *                 └── interrupted, with a note that says why: cancelled · shutdown · leaseLost · timeout
 *
 * With `delivery: "transactional"` the fiber holds a transaction, whose last statement is the settlement of a success.
 * Whatever else ends the attempt rolls it back, and is settled like any other.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import * as Activity from "../../Activity.ts"
import type { RunRecord, RunResult } from "../../Executor.ts"
import type { Policy } from "../../Policy.ts"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"
import { fromRun } from "../../TaskInfo.ts"
import type { RunRow, TaskRow, TerminalState } from "../../TaskRecord.ts"
import type { Heartbeat, Settled, Settlement, TaskStore } from "../../TaskStore.ts"
import type { TaskStoreError } from "../../TaskStore.ts"
import { encodeFailure } from "../exitText.ts"
import { type ExecutorSlot, type Host, instant, isElsewhere, monotonic } from "./host.ts"
import * as Metrics from "./metrics.ts"
import type { StoreClock } from "./storeClock.ts"
import { endEvent, tellWaiters } from "./telling.ts"
import { runSpan } from "./trace.ts"

/** Why the engine interrupts a run. An interruption without a note is a failed attempt. */
type Note = "cancelled" | "shutdown" | "leaseLost" | "timeout"

/** A claimed run about to start. */
export interface Ready {
  readonly run: RunRow
  readonly task: TaskRow
  readonly policy: Policy
  readonly slot: ExecutorSlot
}

/** A run in progress: one claim of it, since one that was lost and claimed again may still be stopping. */
interface Running extends Ready {
  readonly startedAt: number
  /** When its lease ends, counted from just before it was asked for; monotonic, like the rest. */
  leaseUntil: number
  fiber: Fiber.Fiber<Attempt> | undefined
  note: Note | undefined
  /** When it was interrupted. */
  interruptedAt: number | undefined
  /** What its transaction has settled, whatever interrupts its fiber after that. */
  committed: Pending | undefined
}

/** What a settlement says, and of what is given back, why. */
type Outcome =
  | Exclude<Settlement["result"], { readonly _tag: "Release" }>
  | {
    readonly _tag: "Release"
    readonly reason: Extract<SchedulerEvent, { readonly _tag: "RunReleased" }>["reason"]
    /** Why the task is to be set aside first. */
    readonly unreadable?: string
    /** When it may be claimed again; at once, unless said. */
    readonly readyAt?: number
  }

/** How an attempt ended: with something to settle, or in a transaction that has settled it. */
type Attempt =
  | RunResult
  | { readonly _tag: "Committed" }
  /** Another claim or settlement came first, and nothing that the handler wrote remains. */
  | { readonly _tag: "Lost" }
  /** The transaction was not committed, through no fault of the handler. */
  | { readonly _tag: "RolledBack"; readonly error: TaskStoreError }

interface Pending {
  readonly settlement: Settlement
  readonly outcome: Outcome
  readonly run: RunRow
}

export interface Runs {
  readonly size: () => number
  readonly list: () => ReadonlyArray<RunRow>
  /** How long ago the lease of what runs here was extended that has waited longest; `undefined` when nothing runs. */
  readonly leaseAge: () => number | undefined
  /** Begins runs whose lease was asked for at this monotonic instant; marks those first that may begin once only. */
  readonly start: (ready: ReadonlyArray<Ready>, askedAt: number) => Effect.Effect<void>
  /** Ends claimed runs that were not begun. */
  readonly settle: (run: RunRow, outcome: Outcome, task?: Settlement["task"]) => void
  /** A store change asks some run to stop: look now, not at the next heartbeat. */
  readonly checkCancelled: () => void
  /** Extends the leases of what runs here now, and stops what was lost. */
  readonly heartbeat: Effect.Effect<void>
  /** Waits until nothing runs and all is settled. */
  readonly drained: Effect.Effect<void>
  /** Interrupts what runs with a note. */
  readonly interruptAll: (note: Note) => void
  /** Stops watching what did not end; answers their names. */
  readonly detachAll: () => ReadonlyArray<string>
  /** The loops: settling and heartbeats. */
  readonly loops: ReadonlyArray<Effect.Effect<never>>
}

export const make = (host: Host, alias: string, store: TaskStore["Service"], time: StoreClock, options: {
  /** Called when capacity came free or a settlement may have made something ready. */
  readonly onFree: () => void
  readonly call: <A>(operation: string, effect: Effect.Effect<A, TaskStoreError>) => Effect.Effect<A, TaskStoreError>
  /** Repeats a store call until it answers, with backoff. */
  readonly persist: <A>(
    operation: string,
    effect: Effect.Effect<A, TaskStoreError>,
    label?: string
  ) => Effect.Effect<A, TaskStoreError>
  /** Sets tasks aside for this reader; repeated until the store answers. */
  readonly quarantine: (
    tasks: ReadonlyArray<{ readonly id: string; readonly generation: number; readonly reason: string }>,
    label: string
  ) => Effect.Effect<void, TaskStoreError>
}): Runs => {
  const { activity, context, hub, settings } = host
  const { clock } = time
  const running = new Set<Running>()
  const pending: Array<Pending> = []
  let settling = 0
  const settleLatch = Latch.makeUnsafe(false)
  const runningLatch = Latch.makeUnsafe(false)
  const cancelLatch = Latch.makeUnsafe(false)
  const idleLatch = Latch.makeUnsafe(true)
  const now = () => clock.currentTimeMillisUnsafe()
  const traced = Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer
  const fork = Effect.runForkWith(context)

  // ---------------------------------------------------------------------------
  // starting
  // ---------------------------------------------------------------------------

  const start = (ready: ReadonlyArray<Ready>, askedAt: number): Effect.Effect<void> => {
    if (ready.length === 0) return Effect.void
    // Capacity is taken before anything is begun: a run that ends at once must not make room for a second claim.
    for (const entry of ready) entry.slot.running++
    const once = ready.filter((entry) => entry.run.atMostOnce)
    if (once.length === 0) return Effect.sync(() => beginAll(ready, askedAt))
    const refs = once.map(({ run }) => ({ generation: run.generation, key: run.key, token: run.token! }))
    return options.call("start", store.start({ now: now(), owner: host.owner, runs: refs })).pipe(
      Effect.match({
        // Not marked: not begun. Their leases end and another claim begins them.
        onFailure: () => new Set<Ready>(),
        onSuccess: (marked) => new Set(once.filter((_, i) => marked[i]))
      }),
      Effect.map((marked) => {
        const unmarked = once.filter((entry) => !marked.has(entry))
        for (const entry of unmarked) entry.slot.running--
        beginAll(ready.filter((entry) => !entry.run.atMostOnce || marked.has(entry)), askedAt)
        if (unmarked.length > 0) options.onFree()
      })
    )
  }

  const beginAll = (ready: ReadonlyArray<Ready>, askedAt: number): void => {
    const leaseUntil = askedAt + settings.lease
    if (monotonic(clock) < leaseUntil - settings.interruptGrace) {
      if (ready.length === 0) return
      Metrics.attempted(ready.length, context)
      tellInProgress()
      attend()
      runningLatch.openUnsafe()
      for (const entry of ready) begin(entry, leaseUntil)
      return
    }
    // The store took so long to answer that they would have to stop at once: they are given back.
    const at = now()
    for (const { run, slot } of ready) {
      slot.running--
      push(run, at, { outcome: { _tag: "Release", reason: "lateClaim" } })
    }
    options.onFree()
  }

  const begin = ({ policy, run, slot, task }: Ready, leaseUntil: number): void => {
    const entry: Running = {
      policy,
      run,
      slot,
      task,
      startedAt: monotonic(clock),
      leaseUntil,
      fiber: undefined,
      note: undefined,
      interruptedAt: undefined,
      committed: undefined
    }
    running.add(entry)
    idleLatch.closeUnsafe()
    const at = now()
    const late = at - run.due
    if (run.attempt === 1) Metrics.lagged(late, context)
    if (hub.heard) {
      hub.emit({ _tag: "RunStarted", at: instant(at), store: alias, run: fromRun(run), lag: late })
    }
    const record: RunRecord = { run, task, store: alias, timeout: policy.timeout }
    const effect: Effect.Effect<Attempt> = policy.delivery === "transactional"
      ? transactional(entry, record)
      : slot.executor.run(record)
    const spanned = traced ? runSpan(effect, run, task, host.definitions) : effect
    entry.fiber = activity.virtual ? forkCounted(spanned, labelOf(run)) : fork(spanned)
    entry.fiber.addObserver((exit) => ended(entry, exit))
  }

  /** Work in progress, of which its fiber tells when it sleeps. */
  const forkCounted = (effect: Effect.Effect<Attempt>, label: string): Fiber.Fiber<Attempt> => {
    activity.begin(label)
    return Effect.runForkWith(Context.add(context, Activity.Label, label))(effect)
  }

  // ---------------------------------------------------------------------------
  // transactions
  // ---------------------------------------------------------------------------

  /** The attempt in a transaction, which commits what it wrote together with its end, or nothing. */
  const transactional = (entry: Running, record: RunRecord): Effect.Effect<Attempt> => {
    const { transact } = store
    // The policy may have been stored through another layer than this one.
    if (transact === undefined) {
      return Effect.succeed({ _tag: "Unreadable", reason: `store \`${store.name}\` has no transactions for handlers` })
    }
    let settling: Pending | undefined
    const attempt = transact((within) =>
      Effect.flatMap(entry.slot.executor.run({ ...record, within }), (result) => {
        if (result._tag !== "Succeeded") return Effect.fail(new NotCommitted(result))
        settling = pendingOf(entry.run, now(), end(entry, "succeeded", result.exit))
        return settleWithin(settling)
      })
    )
    return Effect.uninterruptibleMask((restore) =>
      Effect.matchCauseEffect(restore(attempt), {
        onSuccess: (settled) => Effect.succeed(commit(entry, settled)),
        onFailure: (cause) => {
          const failure = Cause.findError(cause)
          if (Result.isSuccess(failure)) {
            return failure.success instanceof NotCommitted
              ? Effect.succeed(failure.success.attempt)
              : findOut(entry, Effect.succeed({ _tag: "RolledBack", error: failure.success }))
          }
          // Perhaps interrupted after the commit.
          const stopped = Effect.failCause(cause as Cause.Cause<never>)
          return settling === undefined ? stopped : findOut(entry, stopped)
        }
      })
    )
  }

  const commit = (entry: Running, settled: Pending): Attempt => {
    entry.committed = settled
    return { _tag: "Committed" }
  }

  const settleWithin = (settling: Pending): Effect.Effect<Pending, NotCommitted | TaskStoreError> =>
    Effect.flatMap(
      store.settle([settling.settlement], { keep: settings.keepRuns }),
      ([answer]) => answer === "Stale" ? Effect.fail(new NotCommitted({ _tag: "Lost" })) : Effect.succeed(settling)
    )

  /** Asks the store whether a transaction was committed that may have been. */
  const findOut = (entry: Running, rolledBack: Effect.Effect<Attempt>): Effect.Effect<Attempt> => {
    const { run } = entry
    const ask = Effect.flatMap(time.checked, () => {
      const at = now()
      return Effect.flatMap(
        store.heartbeat({
          now: at,
          lease: { owner: host.owner, until: at + settings.lease },
          runs: [{ generation: run.generation, key: run.key, token: run.token! }]
        }),
        ([beat]) =>
          beat?.alive === true
            ? Effect.succeed(undefined)
            : store.runs({ taskId: run.taskId, generation: run.generation, key: run.key, limit: 1 })
      )
    })
    return Effect.matchEffect(options.persist("settle", ask, labelOf(run)), {
      onSuccess: (page) => {
        if (page === undefined) return rolledBack
        const [found] = page.items
        return Effect.succeed<Attempt>(
          found?.state === "succeeded" && found.token === run.token
            ? commit(entry, pendingOf(run, found.endedAt ?? now(), end(entry, "succeeded", found.exit)))
            : { _tag: "Lost" }
        )
      },
      onFailure: () => Effect.succeed<Attempt>({ _tag: "Lost" })
    })
  }

  // ---------------------------------------------------------------------------
  // ending
  // ---------------------------------------------------------------------------

  const ended = (entry: Running, exit: Exit.Exit<Attempt>): void => {
    entry.slot.running--
    tellInProgress()
    const at = now()
    Metrics.took(monotonic(clock) - entry.startedAt, context)
    // Detached: its outcome is recorded already, or belongs to whoever took it over.
    if (!running.delete(entry)) {
      options.onFree()
      return
    }
    if (entry.committed !== undefined) settled(entry.committed, "Settled")
    else {
      const decision = decide(entry, exit, at)
      if (decision === undefined) lost(entry)
      else push(entry.run, at, decision)
    }
    if (activity.virtual) activity.end(labelOf(entry.run))
    options.onFree()
    openWhenIdle()
  }

  const openWhenIdle = (): void => {
    if (running.size === 0 && pending.length === 0 && settling === 0) idleLatch.openUnsafe()
  }

  /** Handlers at work, of all stores, detached ones included. */
  const tellInProgress = (): void => {
    let count = 0
    for (const slot of host.executors.values()) count += slot.running
    Metrics.inProgress(count, context)
  }

  interface Decision {
    readonly outcome: Outcome
    readonly task?: Settlement["task"]
  }

  const decide = (entry: Running, exit: Exit.Exit<Attempt>, at: number): Decision | undefined => {
    if (entry.note === "leaseLost") return undefined
    if (Exit.isSuccess(exit)) return conclude(entry, exit.value, at)
    if (Cause.hasInterruptsOnly(exit.cause)) {
      switch (entry.note) {
        case "cancelled":
          return end(entry, "cancelled", null)
        case "timeout":
          return end(entry, "timedOut", null)
        case "shutdown":
          // Not a failure of the task: an orderly end of the process.
          return {
            outcome: entry.run.atMostOnce
              ? { _tag: "End", state: "abandoned", exit: null }
              : { _tag: "Release", reason: "shutdown" }
          }
        case undefined:
          break
      }
    }
    return end(entry, entry.note === "cancelled" ? "cancelled" : "failed", encodeFailure(exit.cause))
  }

  const conclude = (entry: Running, attempt: Attempt, at: number): Decision | undefined => {
    switch (attempt._tag) {
      case "Succeeded":
        return end(entry, "succeeded", attempt.exit)
      case "Failed":
      case "TimedOut":
        if (attempt.retryAfter !== null && !entry.run.atMostOnce) {
          return { outcome: { _tag: "Retry", readyAt: at + attempt.retryAfter, exit: attempt.exit } }
        }
        return end(entry, attempt._tag === "Failed" ? "failed" : "timedOut", attempt.exit)
      case "WorkerLost":
        return workerLost(entry, attempt, at)
      case "Postponed":
        return { outcome: { _tag: "Release", reason: attempt.reason, readyAt: at + attempt.retryAfter } }
      case "Unreadable":
        // A tag that is handled no longer is not the row's fault.
        return {
          outcome: attempt.unhandled === true
            ? { _tag: "Release", reason: "unhandled" }
            : { _tag: "Release", reason: "unreadable", unreadable: attempt.reason }
        }
      case "Committed":
      case "Lost":
        return undefined
      case "RolledBack": {
        // As a lost lease, it may be tried again so often, whatever `retry` says: it is the store that failed.
        const exit = encodeFailure(Cause.die(attempt.error))
        return attempt.error.retryable && entry.run.attempt <= settings.maxTakeovers
          ? { outcome: { _tag: "Retry", readyAt: at + rolledBackWait, exit } }
          : end(entry, "failed", exit)
      }
    }
  }

  /** As a lost lease: what may begin once only is abandoned, and what keeps ending its worker is, too. */
  const workerLost = (
    entry: Running,
    { blameless, reason }: Extract<RunResult, { readonly _tag: "WorkerLost" }>,
    at: number
  ): Decision => {
    const { atMostOnce, attempt } = entry.run
    if (blameless && !atMostOnce) return { outcome: { _tag: "Release", reason: "workerLost" } }
    const exit = encodeFailure(Cause.die(new Error(reason)))
    return !atMostOnce && attempt < settings.maxTakeovers
      ? { outcome: { _tag: "Retry", readyAt: at + lostWait, exit } }
      : end(entry, "abandoned", exit)
  }

  const end = (entry: Running, state: TerminalState, exit: string | null): Decision => ({
    outcome: { _tag: "End", state, exit },
    task: pauseOnFailure(entry, state)
  })

  const pauseOnFailure = ({ policy, task }: Running, state: TerminalState): Settlement["task"] => {
    if (policy.pauseOnFailure === null) return undefined
    if (state === "succeeded") return task.failures === 0 ? undefined : { failures: "reset" }
    if (state === "cancelled") return undefined
    return {
      failures: "increment",
      pauseAt: {
        failures: policy.pauseOnFailure,
        note: policy.pauseOnFailure === 1
          ? "paused by a failed run"
          : `paused by ${policy.pauseOnFailure} failed runs in a row`
      }
    }
  }

  const pendingOf = (run: RunRow, at: number, { outcome, task }: Decision): Pending => {
    const settlement: Settlement = {
      generation: run.generation,
      key: run.key,
      token: run.token!,
      owner: host.owner,
      now: at,
      result: outcome._tag === "Release" ? { _tag: "Release", readyAt: outcome.readyAt } : outcome
    }
    return { run, outcome, settlement: task === undefined ? settlement : { ...settlement, task } }
  }

  const push = (run: RunRow, at: number, decision: Decision): void => {
    // Once, however many batches: what comes while a batch waits for its store waits with it.
    if (pending.length === 0 && settling === 0 && activity.virtual) activity.begin("settle")
    pending.push(pendingOf(run, at, decision))
    idleLatch.closeUnsafe()
    settleLatch.openUnsafe()
  }

  const lost = (entry: Running): void => {
    Metrics.leaseLost(context)
    if (hub.heard) hub.emit({ _tag: "RunLost", at: instant(now()), store: alias, run: fromRun(entry.run) })
  }

  // ---------------------------------------------------------------------------
  // settling
  // ---------------------------------------------------------------------------

  /** Before a run that cannot be read here is given back, its task is set aside, or it would be claimed again at once. */
  const setAside = (batch: ReadonlyArray<Pending>): Effect.Effect<void> => {
    const unreadable = batch.flatMap(({ outcome, run }) =>
      outcome._tag === "Release" && outcome.unreadable !== undefined
        ? [{ id: run.taskId, generation: run.generation, reason: outcome.unreadable }]
        : []
    )
    return unreadable.length === 0
      ? Effect.void
      : options.quarantine(unreadable, "settle").pipe(
        Effect.catch((error) =>
          Effect.logError(`The store refuses to set aside task \`${unreadable[0]!.id}\`. ${error.message}`)
        )
      )
  }

  /** A batch that the store refuses is halved until the bad entry is alone; the rest settle. */
  const settleBatch = (batch: ReadonlyArray<Pending>): Effect.Effect<void> =>
    options.persist(
      "settle",
      store.settle(batch.map((entry) => entry.settlement), { keep: settings.keepRuns }),
      "settle"
    ).pipe(
      Effect.matchEffect({
        onSuccess: (results) => {
          for (let i = 0; i < batch.length; i++) settled(batch[i]!, results[i]!)
          return tellPauses(batch)
        },
        onFailure: (error) => {
          if (batch.length > 1) {
            const half = batch.length >>> 1
            return Effect.andThen(settleBatch(batch.slice(0, half)), settleBatch(batch.slice(half)))
          }
          return Effect.logError(
            `The store refuses the outcome of ${
              labelOf(batch[0]!.run)
            }; its lease will end and it will be run again. ${error.message}`
          )
        }
      })
    )

  /** A settlement may have paused its task: only the store knows. */
  const tellPauses = (batch: ReadonlyArray<Pending>): Effect.Effect<void> => {
    if (!hub.heard) return Effect.void
    const ids = batch.filter(({ settlement }) => settlement.task?.pauseAt !== undefined).map(({ run }) => run.taskId)
    if (ids.length === 0) return Effect.void
    return options.call("get", store.get([...new Set(ids)])).pipe(
      Effect.map((tasks) => {
        for (const { row } of tasks) {
          if (row.pausedAt === null || !batch.some(({ settlement }) => settlement.now === row.pausedAt)) continue
          hub.emit({ _tag: "TaskPaused", at: instant(row.pausedAt), store: alias, id: row.id, note: row.pauseNote })
        }
      }),
      // An event may be lost; the row says it.
      Effect.ignore
    )
  }

  const settled = (entry: Pending, answer: Settled): void => {
    const { run, settlement } = entry
    if (answer === "Stale") {
      Metrics.leaseLost(context)
      if (hub.heard) hub.emit({ _tag: "RunLost", at: instant(now()), store: alias, run: fromRun(run) })
      return
    }
    // What should have gone back to ready ends where it was asked to stop meanwhile, or its task was removed.
    const result = answer === "Cancelled" ? cancelledBy(entry) : entry.outcome
    switch (result._tag) {
      case "End": {
        Metrics.ended(result.state, context)
        if (host.waiters.size === 0 && !hub.heard) return
        const row: RunRow = {
          ...run,
          state: result.state,
          exit: result.exit,
          endedAt: settlement.now,
          leaseUntil: null
        }
        if (hub.heard) hub.emit(endEvent(alias, row))
        tellWaiters(host.waiters, alias, row)
        return
      }
      case "Retry":
        Metrics.retried(context)
        if (hub.heard) {
          hub.emit({
            _tag: "RunRetrying",
            at: instant(settlement.now),
            store: alias,
            run: fromRun({ ...run, state: "ready", exit: result.exit, readyAt: result.readyAt }),
            nextAttemptAt: instant(result.readyAt)
          })
        }
        return
      case "Release":
        if (result.readyAt !== undefined) Metrics.postponed(context)
        if (hub.heard) {
          hub.emit({
            _tag: "RunReleased",
            at: instant(settlement.now),
            store: alias,
            run: fromRun({ ...run, state: "ready", readyAt: result.readyAt ?? run.readyAt }),
            reason: result.reason
          })
        }
    }
  }

  const cancelledBy = ({ outcome, run }: Pending): Outcome => ({
    _tag: "End",
    state: "cancelled",
    exit: outcome._tag === "Release" ? run.exit : outcome.exit
  })

  const settleLoop: Effect.Effect<never> = Effect.forever(Effect.andThen(
    settleLatch.await,
    Effect.suspend(() => {
      settleLatch.closeUnsafe()
      const batch = pending.splice(0)
      if (batch.length === 0) return Effect.void
      settling += batch.length
      return Effect.ensuring(
        Effect.andThen(setAside(batch), settleBatch(batch)),
        Effect.sync(() => {
          settling -= batch.length
          if (pending.length === 0 && activity.virtual) activity.end("settle")
          openWhenIdle()
        })
      )
    })
  )).pipe(
    // Closed before the store took everything: nobody waits for the rest any more, nor does virtual time.
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        if (pending.splice(0).length > 0 && activity.virtual) activity.end("settle")
      })
    )
  )

  // ---------------------------------------------------------------------------
  // heartbeats
  // ---------------------------------------------------------------------------

  const interrupt = (entry: Running, note: Note): void => {
    if (entry.note !== undefined) return
    entry.note = note
    entry.interruptedAt = monotonic(clock)
    entry.fiber?.interruptUnsafe()
  }

  /** Stops watching a run that does not end; its handler goes on by itself. */
  const detach = (entry: Running): void => {
    running.delete(entry)
    if (activity.virtual) activity.end(labelOf(entry.run))
    if (hub.heard) hub.emit({ _tag: "RunDetached", at: instant(now()), store: alias, run: fromRun(entry.run) })
  }

  /** Whether the last heartbeat had no answer. */
  let unanswered = false

  /** Asks for longer leases, for no longer than until the first of these runs must stop. */
  const extend = (
    entries: ReadonlyArray<Running>,
    askedAt: number
  ): Effect.Effect<Option.Option<ReadonlyArray<Heartbeat>>> => {
    const ask = Effect.option(options.call(
      "heartbeat",
      Effect.flatMap(time.checked, () => {
        const asked = now()
        return store.heartbeat({
          now: asked,
          lease: { owner: host.owner, until: asked + settings.lease },
          runs: entries.map(({ run }) => ({ generation: run.generation, key: run.key, token: run.token! }))
        })
      })
    ))
    if (!isElsewhere(store)) return ask
    const rest = Math.min(...entries.map((entry) => entry.leaseUntil)) - settings.interruptGrace - askedAt
    // Late although the last answer was good: this process slept, and may still have its runs.
    const wait = rest > 0 ? rest : unanswered ? 0 : settings.interruptGrace
    return wait <= 0
      ? Effect.succeedNone
      : Effect.map(Effect.timeoutOption(ask, Duration.millis(Math.max(1, wait))), Option.flatten)
  }

  const heartbeat: Effect.Effect<void> = Effect.gen(function*() {
    const askedAt = monotonic(clock)
    const all = [...running]
    const entries = all.filter((entry) => entry.note !== "leaseLost")
    if (all.length === 0) return
    const answers = entries.length === 0 ? Option.some([]) : yield* extend(entries, askedAt)
    unanswered = answers._tag === "None"
    if (answers._tag === "Some") {
      for (let i = 0; i < entries.length; i++) {
        const entry = entries[i]!
        const answer = answers.value[i]!
        if (!answer.alive) interrupt(entry, "leaseLost")
        else {
          entry.leaseUntil = askedAt + settings.lease
          if (answer.cancel !== null) interrupt(entry, "cancelled")
        }
      }
    }
    const at = monotonic(clock)
    for (const entry of all) {
      // Whatever the store answers or does not, the handler stops before its lease ends.
      if (entry.leaseUntil - settings.interruptGrace <= at) interrupt(entry, "leaseLost")
      if (
        entry.policy.timeout !== null && entry.slot.executor.keepsTime !== true &&
        entry.startedAt + entry.policy.timeout + settings.interruptGrace <= at
      ) interrupt(entry, "timeout")
      // Those of a shutdown are left behind, and named, by whoever closes.
      if (
        entry.interruptedAt !== undefined && entry.note !== "shutdown" &&
        entry.interruptedAt + settings.interruptGrace <= at && running.has(entry)
      ) {
        detach(entry)
        if (entry.note === "cancelled" || entry.note === "timeout") {
          push(entry.run, now(), end(entry, entry.note === "cancelled" ? "cancelled" : "timedOut", null))
        } else lost(entry)
      }
    }
    openWhenIdle()
  })

  /**
   * A heartbeat, a short wait where the last one had no answer, or before it the instant at which a run must stop because
   * its lease was not extended, or is left behind because it did not stop.
   */
  const untilHeartbeat = (): number => {
    const at = monotonic(clock)
    let wait = unanswered ? settings.heartbeat / 10 : settings.heartbeat
    for (const { interruptedAt, leaseUntil, note } of running) {
      if (note === "shutdown") continue
      wait = Math.min(wait, (interruptedAt ?? leaseUntil - 2 * settings.interruptGrace) + settings.interruptGrace - at)
    }
    return Math.max(1, wait)
  }

  /** Whether nothing runs, and the loop of heartbeats waits for something to. */
  let resting = false
  const attend = (): void => {
    if (!resting) return
    resting = false
    if (activity.virtual) activity.begin("heartbeat")
  }

  const rest = Effect.suspend(() => {
    runningLatch.closeUnsafe()
    resting = true
    if (activity.virtual) activity.end("heartbeat")
    return Effect.ensuring(runningLatch.await, Effect.sync(attend))
  })

  /**
   * Counted from the very instant its sleep ends until the next one has begun: what becomes of a race takes some turns, in
   * which virtual time would pass over what is due next, leases included.
   */
  const heartbeatLoop: Effect.Effect<never> = Effect.suspend(() => {
    if (activity.virtual) activity.begin("heartbeat")
    return Effect.ensuring(
      Effect.forever(Effect.gen(function*() {
        if (running.size === 0) return yield* rest
        const sleep = Effect.sleep(Duration.millis(untilHeartbeat()))
        yield* Effect.raceFirst(cancelLatch.await, Effect.provideService(sleep, Activity.Label, "heartbeat"))
        cancelLatch.closeUnsafe()
        yield* heartbeat
      })),
      Effect.sync(() => {
        if (activity.virtual) activity.end("heartbeat")
      })
    )
  })

  return {
    size: () => running.size,
    list: () => Array.from(running, (entry) => entry.run),
    leaseAge: () => {
      if (running.size === 0) return undefined
      let first = Infinity
      for (const { leaseUntil } of running) first = Math.min(first, leaseUntil)
      return Math.max(0, monotonic(clock) - (first - settings.lease))
    },
    start,
    settle: (run, outcome, task) => push(run, now(), { outcome, task }),
    checkCancelled: () => {
      if (running.size > 0) cancelLatch.openUnsafe()
    },
    heartbeat,
    drained: Effect.suspend(() =>
      running.size === 0 && pending.length === 0 && settling === 0 ? Effect.void : idleLatch.await
    ),
    interruptAll: (note) => {
      for (const entry of [...running]) interrupt(entry, note)
    },
    detachAll: () => {
      const left = [...running]
      for (const entry of left) detach(entry)
      return left.map(({ run }) => labelOf(run))
    },
    loops: [settleLoop, heartbeatLoop]
  }
}

/** Before the next attempt, in milliseconds. */
const rolledBackWait = 1_000
const lostWait = 1_000

/** Rolls back. */
class NotCommitted {
  readonly attempt: Attempt
  constructor(attempt: Attempt) {
    this.attempt = attempt
  }
}

const labelOf = (run: RunRow): string => `task ${run.taskId}, run ${run.key}, claim ${run.token}`
