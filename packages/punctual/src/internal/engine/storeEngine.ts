/**
 * The engine of one store: evaluates what is due, claims what is ready, takes over what was left behind.
 *
 * One timer for the whole store. Each turn reads the store, then sleeps until the next instant at which the store has
 * something to do, or until it is woken.
 *
 *     ┌─▶ evaluate ─▶ claim ─▶ take over ─▶ sleep until the next of (due, ready, lease end), or a wake-up ─┐
 *     └────────────────────────────────────────────────────────────────────────────────────────────────────┘
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Activity from "../../Activity.ts"
import * as Policy from "../../Policy.ts"
import { fromRun } from "../../TaskInfo.ts"
import type { TaskRow } from "../../TaskRecord.ts"
import {
  type Change,
  type Claimed,
  type Committed,
  type Lease,
  type TaskStore,
  TaskStoreError,
  type TaskWithRuns
} from "../../TaskStore.ts"
import { rulesVersion } from "../timeZone.ts"
import { type Advance, advance, forgetRules, newRun, type Rules, rulesOf } from "./advance.ts"
import { standAside } from "./contention.ts"
import { batchSize, type ExecutorSlot, type Host, instant, isElsewhere, monotonic } from "./host.ts"
import * as Metrics from "./metrics.ts"
import { isOutdated, retime, type Retimed, retimed, retimedEvent } from "./retime.ts"
import * as Runs from "./runs.ts"
import type { StoreClock } from "./storeClock.ts"
import { cancelledRuns, endEvent, outcomes, rangeEvent, tellCancelled, tellWaiters } from "./telling.ts"

export interface StoreEngine {
  readonly alias: string
  readonly store: TaskStore["Service"]
  readonly time: StoreClock
  readonly runs: Runs.Runs
  /** Everything may have changed: look again. */
  readonly wake: () => void
  /** Settlements and heartbeats: they go on until everything has ended. */
  readonly serve: Effect.Effect<void, never, Scope.Scope>
  /** Evaluates, claims and takes over, until interrupted; never in the middle of a turn. */
  readonly turns: Effect.Effect<never>
  /** Moves what is due where newer rules of time zones put it. */
  readonly retime: Effect.Effect<void, TaskStoreError>
  /** Runs every task that has this event, one after another where `sequential`. */
  readonly fire: (event: "startup" | "shutdown", incarnation: string) => Effect.Effect<void>
  /** An executor has room again. */
  readonly freed: () => void
}

interface Unreadable {
  readonly id: string
  readonly generation: number
  readonly reason: string
}

/** Tasks decided before their runs begin. To ask memory costs nothing, so that the first need wait for few others only. */
const batchInMemory = 100

/** A store that is down is asked again after 100 ms, 200 ms … 5 s. */
const firstBackoff = 100
const longestBackoff = 5_000

export const make = (
  host: Host,
  alias: string,
  store: TaskStore["Service"],
  /** Called when capacity of an executor came free. */
  onFree: () => void
): StoreEngine => {
  const { activity, context, hub, settings } = host
  const time = host.clocks.get(alias)!
  const { clock } = time
  const now = () => clock.currentTimeMillisUnsafe()

  // ---------------------------------------------------------------------------
  // store calls
  // ---------------------------------------------------------------------------

  const elsewhere = isElsewhere(store)

  /** Operations whose last call failed. */
  const failing = new Set<string>()

  const call = <A>(operation: string, effect: Effect.Effect<A, TaskStoreError>): Effect.Effect<A, TaskStoreError> =>
    elsewhere
      // In real time, whatever time the program has: so is the store.
      ? activity.live(Effect.timeoutOrElse(effect, {
        duration: Duration.millis(settings.storeTimeout),
        orElse: () =>
          Effect.fail(
            new TaskStoreError({
              store: store.name,
              operation,
              reason: "Unavailable",
              message: `Store \`${store.name}\` did not answer \`${operation}\` within ${settings.storeTimeout} ms.`
            })
          )
      }))
      : effect

  const down = (operation: string, error: TaskStoreError): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (failing.has(operation)) return Effect.void
      failing.add(operation)
      if (failing.size === 1 && hub.heard) {
        hub.emit({ _tag: "StoreUnavailable", at: instant(now()), store: alias, operation, message: error.message })
      }
      return Effect.logWarning(
        `Store \`${store.name}\` failed at \`${operation}\`, and will be asked again. ${error.message}`
      )
    })

  const up = (operation: string): void => {
    if (!failing.delete(operation) || failing.size > 0) return
    if (hub.heard) hub.emit({ _tag: "StoreRecovered", at: instant(now()), store: alias })
  }

  const persist = <A>(
    operation: string,
    effect: Effect.Effect<A, TaskStoreError>,
    label?: string,
    backoff = firstBackoff
  ): Effect.Effect<A, TaskStoreError> =>
    Effect.matchEffect(call(operation, effect), {
      onSuccess: (value) => {
        up(operation)
        return Effect.succeed(value)
      },
      onFailure: (error) =>
        passes(error)
          ? down(operation, error).pipe(
            Effect.andThen(Activity.asleep(Effect.sleep(Duration.millis(backoff)), activity, label)),
            Effect.andThen(persist(operation, effect, label, Math.min(backoff * 2, longestBackoff)))
          )
          : Effect.fail(error)
    })

  const verdicts = (tasks: ReadonlyArray<Unreadable>): Effect.Effect<void, TaskStoreError> =>
    Effect.suspend(() => store.quarantine(tasks.map((task) => ({ ...task, reader: host.reader, at: now() }))))

  /** Whoever goes on without the verdict would read the row again at once. */
  const quarantine = (
    tasks: ReadonlyArray<Unreadable>,
    verdict = call("quarantine", verdicts(tasks))
  ): Effect.Effect<void, TaskStoreError> =>
    verdict.pipe(
      Effect.andThen(Effect.suspend(() => {
        for (const { id, reason } of tasks) {
          if (hub.heard) hub.emit({ _tag: "TaskQuarantined", at: instant(now()), store: alias, id, reason })
        }
        return Effect.forEach(tasks, ({ id, reason }) =>
          Effect.logError(`Task \`${id}\` in store \`${alias}\` cannot be read here and is set aside: ${reason}`), {
          discard: true
        })
      }))
    )

  const runs = Runs.make(host, alias, store, time, {
    call,
    persist,
    quarantine: (tasks, label) => quarantine(tasks, persist("quarantine", verdicts(tasks), label)),
    onFree
  })

  // ---------------------------------------------------------------------------
  // waking
  // ---------------------------------------------------------------------------

  const latch = Latch.makeUnsafe(false)
  let asleep = false
  /** What the next turn must read again. */
  let evaluable = true
  let claimable = true
  let blocked = false
  let nextDue = 0
  let nextReady = 0
  let nextLease = 0
  /** Batches of due tasks in a row of which others had each one. */
  let conflicts = 0

  const awake = (): void => {
    if (!asleep) return
    asleep = false
    if (activity.virtual) activity.begin("engine")
  }

  const wake = (): void => {
    awake()
    latch.openUnsafe()
  }

  const wakeAll = (): void => {
    evaluable = true
    claimable = true
    wake()
  }

  const freed = (): void => {
    if (!blocked) return
    blocked = false
    claimable = true
    wake()
  }

  const listen = store.listen((change) => {
    if (change.cancel) runs.checkCancelled()
    if (change.due === null && !change.ready && !change.cancel) {
      // Another process changed something: it may be any of the three.
      runs.checkCancelled()
      wakeAll()
      return
    }
    if (change.due !== null && change.due < nextDue) {
      nextDue = change.due
      evaluable = true
      wake()
    }
    if (change.ready) {
      claimable = true
      wake()
    }
  })

  /** Ends when the clock reaches `until`, or at the next wake-up. Timers may fire early, so a turn checks again. */
  const sleepUntil = (until: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (latch.isOpen()) {
        latch.closeUnsafe()
        return Effect.yieldNow
      }
      const wait = Math.max(1, activity.virtual ? until - now() : Math.min(until - now(), settings.maxSleep))
      asleep = true
      if (activity.virtual) activity.end("engine")
      // Awake from the very instant its time has come: what becomes of a race takes some turns, and time must not move.
      const sleep = Effect.ensuring(Effect.sleep(Duration.millis(wait)), Effect.sync(awake))
      return Effect.ensuring(
        wait === Infinity ? latch.await : Effect.raceFirst(latch.await, sleep),
        Effect.sync(() => {
          awake()
          latch.closeUnsafe()
        })
      )
    })

  // ---------------------------------------------------------------------------
  // evaluating
  // ---------------------------------------------------------------------------

  const callsAtOnce = store.concurrency ?? 1
  const atOnce = elsewhere ? batchSize * Math.min(callsAtOnce, 2) : batchInMemory

  /** What of a read is committed by one call. */
  const share = Math.ceil(atOnce / callsAtOnce)

  interface Decided {
    readonly task: TaskWithRuns
    readonly rules: Rules
    readonly advance: Advance
  }

  const decide = (task: TaskWithRuns, at: number): Result.Result<Decided, string> => {
    const rules = rulesOf(task.row, host.definitions)
    return Result.isFailure(rules)
      ? Result.fail(rules.failure)
      : Result.succeed({ task, rules: rules.success, advance: advance(task, rules.success, at) })
  }

  const slotFor = (row: TaskRow): ExecutorSlot | undefined => host.executors.get(row.executor)

  /** What is due now: what changed before this call is read by it, this engine's own changes among it. */
  const readDue = Effect.flatMap(time.checked, () => {
    const at = now()
    // A wake-up that comes while the store answers must not be overwritten.
    evaluable = false
    nextDue = Infinity
    return Effect.map(
      call("due", store.due({ now: at, limit: atOnce, reader: host.reader, zoneRules: rulesVersion() })),
      ({ next, tasks }) => {
        nextDue = Math.min(nextDue, next ?? Infinity)
        return { at, tasks }
      }
    )
  })

  /** A batch of due tasks that is decided and committed by itself. */
  interface Batch {
    readonly tasks: ReadonlyArray<TaskWithRuns>
    readonly at: number
    /** Of each executor, what other batches of the same read leave free. */
    readonly free: Map<ExecutorSlot, number>
    readonly tags: Map<ExecutorSlot, ReadonlyMap<string, number>>
  }

  /** Decides a batch, commits it, and answers what of it begins; it is lost where others had all of it. */
  const advanceAll = ({ at, free, tags, tasks }: Batch) =>
    Effect.gen(function*() {
      const askedAt = monotonic(clock)
      const lease: Lease = { owner: host.owner, until: now() + settings.lease }
      const unreadable: Array<Unreadable> = []
      const changes: Array<Change> = []
      const planned: Array<Decided> = []
      // Which of them an executor of this scheduler runs.
      const ours: Array<boolean> = []
      for (const task of tasks) {
        const { row } = task
        const decided = safely(() => decide(task, at))
        if (Result.isFailure(decided)) {
          unreadable.push({ id: row.id, generation: row.generation, reason: decided.failure })
          continue
        }
        const { advance } = decided.success
        if (advance.set.due === null) forgetRules(row)
        const slot = slotFor(row)
        const mine = slot !== undefined && (tags.get(slot)?.get(row.tag) ?? -1) >= row.version
        planned.push(decided.success)
        ours.push(mine)
        changes.push({
          id: row.id,
          generation: row.generation,
          revision: row.revision,
          seen: row,
          set: advance.set,
          now: at,
          // One with a concurrency key begins when a claim finds that it may.
          runs: !mine || row.concurrencyKey !== null ? advance.runs : advance.runs.map((change) => {
            // A run this scheduler has room for is claimed where it is created: no second round trip.
            if (change._tag !== "Create" || change.run.state !== "ready") return change
            const room = free.get(slot) ?? slot.executor.capacity - slot.running
            if (room <= 0) return change
            free.set(slot, room - 1)
            return { ...change, claim: lease }
          })
        })
      }
      lookAt(lease)
      const committed = yield* commitAll(changes)
      if (committed.length > 0 && committed.every(({ _tag }) => _tag === "Conflict")) {
        return { askedAt, lost: true, ready: [], unreadable }
      }
      const ready: Array<Runs.Ready> = []
      for (let i = 0; i < changes.length; i++) {
        const answer = committed[i]!
        if (answer._tag === "Conflict") continue
        const { advance, rules, task } = planned[i]!
        const { row } = task
        if (isOutdated(row)) {
          const first = safely(() => Result.succeed(retimed(row, rules)))
          if (Result.isSuccess(first)) tellRetimed(row, first.success, at)
        }
        announce(row, advance)
        const cancelled = cancelledRuns(task.open, changes[i]!)
        if (cancelled.size > 0) {
          yield* tellCancelled(store, alias, changes[i]!, cancelled, hub.heard ? hub.emit : undefined, host.waiters)
        }
        if (answer.claimed.length > 0) {
          const slot = slotFor(row)!
          for (const run of answer.claimed) ready.push({ run, task: row, policy: rules.policy, slot })
        }
        if (ours[i]! && advance.runs.some((change) => change._tag === "Create" && change.run.state === "ready")) {
          // Those it had no room for.
          if (answer.claimed.length < advance.plan.runs.length) claimable = true
        }
      }
      return { askedAt, lost: false, ready, unreadable }
    })

  /**
   * Evaluates what is due, read by read. Where the store works on several calls at once, the batches of a read are
   * committed beside each other; and of a backlog it reads what comes next while the last runs of a read begin:
   *
   *     read ─┬─▶ decide ─▶ commit ─▶ start
   *           └─▶ decide ─▶ commit ─┬─▶ start
   *                                 └─▶ read ─┬─▶ …
   */
  const evaluate: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    let read = yield* readDue
    while (true) {
      const { at, tasks } = read
      // A backlog does not keep the scheduler from closing.
      if (tasks.length === 0) conflicts = 0
      if (tasks.length === 0 || host.phase !== "running") return
      const tags = yield* handled
      const free = new Map<ExecutorSlot, number>()
      const batches: Array<Batch> = []
      for (let from = 0; from < tasks.length; from += share) {
        batches.push({
          tasks: from === 0 && tasks.length <= share ? tasks : tasks.slice(from, from + share),
          at,
          free,
          tags
        })
      }
      let problem: TaskStoreError | undefined
      let lost = 0
      let interlude = false
      let following: Fiber.Fiber<typeof read, TaskStoreError> | undefined
      const first = batches.length === 1 ? batches[0] : undefined
      const advancing = first === undefined
        // Drivers send when they have a turn: so the store has the first one while the others are decided.
        ? yield* Effect.forEach(batches, (batch) =>
          Effect.andThen(
            Effect.forkChild(advanceAll(batch), { startImmediately: true }),
            (fiber) => Effect.as(Effect.yieldNow, fiber)
          ))
        : []
      for (let i = 0; i < batches.length; i++) {
        const last = i === batches.length - 1
        const batch = yield* Effect.result(first === undefined ? Fiber.join(advancing[i]!) : advanceAll(first))
        if (Result.isFailure(batch)) {
          // What other batches claimed begins all the same.
          problem = batch.failure
          continue
        }
        const { askedAt, ready, unreadable } = batch.success
        if (batch.success.lost) lost++
        if (last && problem === undefined && lost < batches.length) {
          // A backlog may have no end: what it found no room for is claimed, and what was left behind is taken over, before
          // the rest of it.
          interlude = claimable || nextLease <= now()
          if (!interlude && elsewhere && tasks.length === atOnce && unreadable.length === 0) {
            following = yield* Effect.forkChild(readDue, { startImmediately: true })
          }
        }
        yield* runs.start(ready, askedAt)
        // Last, so that it keeps nobody else waiting.
        if (unreadable.length > 0) {
          const refused = yield* Effect.result(quarantine(unreadable))
          if (Result.isFailure(refused)) problem = refused.failure
        }
      }
      if (problem !== undefined) return yield* problem
      if (lost === batches.length) {
        // Others have all of them, perhaps for long. The turn goes on, and the next one looks again.
        conflicts++
        return
      }
      conflicts = 0
      if (interlude) {
        evaluable = true
        return
      }
      read = following === undefined ? yield* readDue : yield* Fiber.join(following)
    }
  })

  /** Which tags each executor runs now. */
  const handled: Effect.Effect<Map<ExecutorSlot, ReadonlyMap<string, number>>> = Effect.gen(function*() {
    const tags = new Map<ExecutorSlot, ReadonlyMap<string, number>>()
    for (const slot of host.executors.values()) tags.set(slot, yield* slot.executor.tags)
    return tags
  })

  /** A batch the store refuses is halved until the bad change is alone; its task is set aside, the rest commit. */
  const commitAll = (changes: ReadonlyArray<Change>): Effect.Effect<ReadonlyArray<Committed>, TaskStoreError> =>
    changes.length === 0 ? Effect.succeed([]) : Effect.catch(call("commit", store.commit(changes)), (error) => {
      if (error.reason !== "Unknown" && error.reason !== "Invalid") return Effect.fail(error)
      if (changes.length === 1) {
        const { generation, id } = changes[0]!
        return Effect.as(
          quarantine([{ id, generation, reason: `the store refuses its change: ${error.message}` }]),
          [{ _tag: "Conflict" as const }]
        )
      }
      const half = changes.length >>> 1
      return Effect.zipWith(commitAll(changes.slice(0, half)), commitAll(changes.slice(half)), (a, b) => [...a, ...b])
    })

  const announce = (row: TaskRow, advance: Advance): void => {
    for (const outcome of outcomes) Metrics.outcome(outcome, advance.plan.counts[outcome], context)
    if (!hub.heard) return
    const at = now()
    for (const range of advance.plan.ranges) hub.emit(rangeEvent(alias, row.id, range, at))
    if (advance.set.state === "finished" && row.state !== "finished") tellFinished(row, at)
  }

  const tellFinished = (row: TaskRow, at: number): void => {
    if (hub.heard) hub.emit({ _tag: "TaskFinished", at: instant(at), store: alias, id: row.id })
  }

  // ---------------------------------------------------------------------------
  // newer rules of time zones
  // ---------------------------------------------------------------------------

  const tellRetimed = (row: TaskRow, { due }: Retimed, at: number): void => {
    if (due !== row.due && hub.heard) hub.emit(retimedEvent(alias, row, due, at))
  }

  const moved = retime({
    alias,
    now,
    outdated: (query) => persist("outdated", store.outdated({ ...query, reader: host.reader }), "maintenance"),
    decide: (row) => safely(() => Result.map(rulesOf(row, host.definitions), (rules) => retimed(row, rules))),
    commit: commitAll,
    quarantine,
    onMoved: (row, became, at) => {
      tellRetimed(row, became, at)
      if (became.state === "finished") tellFinished(row, at)
    }
  })

  // ---------------------------------------------------------------------------
  // claiming
  // ---------------------------------------------------------------------------

  const claim: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    claimable = false
    nextReady = Infinity
    for (const slot of host.executors.values()) {
      // Nor does a backlog of runs that end at once.
      while (host.phase === "running") {
        const room = slot.executor.capacity - slot.running
        if (room <= 0) {
          blocked = true
          break
        }
        const tags = yield* slot.executor.tags
        if (tags.size === 0) break
        yield* time.checked
        const at = now()
        const askedAt = monotonic(clock)
        const limit = Math.min(room, batchSize)
        const lease: Lease = { owner: host.owner, until: at + settings.lease }
        lookAt(lease)
        const answer = yield* call(
          "claim",
          store.claim({
            now: at,
            lease,
            limit,
            reader: host.reader,
            slots: Array.from(tags, ([tag, version]) => ({ executor: slot.alias, tag, version, limit }))
          })
        )
        yield* runs.start(answer.runs.flatMap((claimed) => judge(claimed, slot, at)), askedAt)
        if (answer.runs.length < limit) {
          nextReady = Math.min(nextReady, answer.next ?? Infinity)
          break
        }
      }
    }
  })

  /** Waiting in a queue counts: the grace of a first attempt is judged again when it is claimed. */
  const judge = ({ run, task }: Claimed, slot: ExecutorSlot, at: number): ReadonlyArray<Runs.Ready> => {
    const rules = safely(() => rulesOf(task, host.definitions))
    if (Result.isFailure(rules)) {
      runs.settle(run, { _tag: "Release", reason: "unreadable", unreadable: rules.failure })
      return []
    }
    const { policy } = rules.success
    const first = run.attempt === 1 && run.takeovers === 0
    if (first && !isExtra(run.key) && Policy.isTooLate(policy, run.due, at)) {
      runs.settle(run, { _tag: "End", state: "missed", exit: null }, {
        // One that waits since before the present trigger was counted under the one before.
        missed: run.due > task.epoch
      })
      return []
    }
    return [{ run, task, policy, slot }]
  }

  /** A claim may be carried out though its reply is lost: the end of its lease must be seen. */
  const lookAt = (lease: Lease): void => {
    if (elsewhere) nextLease = Math.min(nextLease, lease.until)
  }

  // ---------------------------------------------------------------------------
  // taking over
  // ---------------------------------------------------------------------------

  const takeOver: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    while (true) {
      yield* time.checked
      const at = now()
      const { next, runs: taken } = yield* call(
        "takeover",
        store.takeover({
          now: at,
          limit: batchSize,
          maxTakeovers: settings.maxTakeovers,
          keep: settings.keepRuns
        })
      )
      // Where other processes claim, their leases are looked for once a lease.
      nextLease = Math.min(next ?? Infinity, store.capabilities.shared ? at + settings.lease : Infinity)
      for (const { became, owner, run } of taken) {
        if (became === "ready") claimable = true
        else Metrics.ended(became, context)
        if (hub.heard) {
          hub.emit(
            became === "ready"
              ? { _tag: "RunReleased", at: instant(at), store: alias, run: fromRun(run), reason: "leaseEnded" }
              : endEvent(alias, run)
          )
        }
        if (became !== "ready") tellWaiters(host.waiters, alias, run)
        if (became === "abandoned") {
          yield* Effect.logError(`Run ${run.key} of task \`${run.taskId}\` is abandoned; its last owner was ${owner}.`)
        }
      }
      if (taken.length < batchSize) return
    }
  })

  // ---------------------------------------------------------------------------
  // turns
  // ---------------------------------------------------------------------------

  const turn: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    yield* time.checked
    if (nextLease <= now()) {
      // Leases that lapsed while this machine slept, and that nobody took, are still ours.
      yield* runs.heartbeat
      yield* takeOver
    }
    if (evaluable || nextDue <= now()) yield* evaluate
    if (claimable || nextReady <= now()) yield* claim
  })

  let backoff = firstBackoff

  /** When everything was read again, wake-up or not; monotonic. */
  let polledAt = monotonic(clock)

  /** How long that may wait yet, however many turns there are meanwhile. */
  const untilPoll = (): number =>
    store.capabilities.shared && !activity.virtual
      ? polledAt + settings.pollInterval - monotonic(clock)
      : Infinity

  const turns: Effect.Effect<never> = Effect.gen(function*() {
    if (activity.virtual) activity.begin("engine")
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (activity.virtual) activity.end("engine")
      })
    )
    // The turn before may have ended anywhere.
    evaluable = true
    claimable = true
    while (true) {
      const problem = yield* Effect.uninterruptible(Effect.match(turn, {
        onSuccess: () => undefined,
        onFailure: (error) => error
      }))
      if (problem === undefined) {
        up("evaluate")
        backoff = firstBackoff
        if (conflicts > 0) {
          evaluable = true
          yield* standAside(store, conflicts)
          continue
        }
        yield* evaluable
          ? Effect.yieldNow
          : sleepUntil(Math.min(nextDue, nextReady, nextLease, now() + untilPoll()))
        if (untilPoll() <= 0) {
          polledAt = monotonic(clock)
          wakeAll()
        }
      } else {
        yield* down("evaluate", problem)
        evaluable = true
        claimable = true
        yield* sleepUntil(now() + backoff)
        backoff = Math.min(backoff * 2, longestBackoff)
      }
    }
  }).pipe(
    Effect.scoped,
    // A defect in one turn is told and the loop goes on: it must never stop in silence.
    Effect.catchCause((cause) =>
      Effect.andThen(
        Effect.logError(`The scheduler's loop over store \`${alias}\` failed and starts again.`, cause),
        Effect.sleep(Duration.millis(longestBackoff))
      )
    ),
    Effect.forever
  )

  // ---------------------------------------------------------------------------
  // events
  // ---------------------------------------------------------------------------

  const fire = (event: "startup" | "shutdown", incarnation: string): Effect.Effect<void> =>
    Effect.gen(function*() {
      let after: string | undefined
      do {
        const page = yield* persist(
          "list",
          store.list({ event, sort: "created", descending: event === "shutdown", limit: batchSize, after })
        )
        for (const row of page.items) {
          if (row.state === "paused") continue
          // One that cannot be run keeps no other from it.
          yield* Effect.catch(
            fireTask(row, event, incarnation),
            (error) =>
              Effect.logError(
                `Task \`${row.id}\` of \`${event}\` in store \`${alias}\` could not be run. ${error.message}`
              )
          )
        }
        after = page.next ?? undefined
      } while (after !== undefined)
    }).pipe(
      Effect.catch((error) =>
        Effect.logError(`Tasks of \`${event}\` in store \`${alias}\` could not be run. ${error.message}`)
      )
    )

  const fireTask = (
    row: TaskRow,
    event: "startup" | "shutdown",
    incarnation: string
  ): Effect.Effect<void, TaskStoreError> =>
    Effect.gen(function*() {
      const slot = slotFor(row)
      if (slot === undefined || ((yield* slot.executor.tags).get(row.tag) ?? -1) < row.version) return
      const rules = safely(() => rulesOf(row, host.definitions))
      if (Result.isFailure(rules)) {
        const unreadable = [{ id: row.id, generation: row.generation, reason: rules.failure }]
        return yield* quarantine(unreadable, persist("quarantine", verdicts(unreadable)))
      }
      // Counted as a run outside the schedule, whoever changes the row meanwhile.
      let conflicts = 0
      while (true) {
        const [current] = yield* persist("get", store.get([row.id]))
        if (current === undefined || current.row.generation !== row.generation) return
        yield* persist("time", time.checked)
        const at = now()
        const askedAt = monotonic(clock)
        const lease: Lease = { owner: host.owner, until: at + settings.lease }
        const run = newRun(rules.success.policy, current.row, true, {
          key: `e:${event}:${incarnation}`,
          due: at,
          nominal: at,
          state: "ready",
          readyAt: at
        })
        const [answer] = yield* persist(
          "commit",
          store.commit([{
            id: row.id,
            generation: row.generation,
            revision: current.row.revision,
            seen: current.row,
            set: { counters: { ...current.row.counters, extra: current.row.counters.extra + 1 } },
            runs: [{ _tag: "Create", run, claim: lease }],
            now: at
          }])
        )
        if (answer?._tag !== "Committed") {
          yield* standAside(store, ++conflicts)
          continue
        }
        if (current.row.concurrencyKey !== null) wakeAll()
        yield* runs.start(
          answer.claimed.map((claimed) => ({ run: claimed, task: current.row, policy: rules.success.policy, slot })),
          askedAt
        )
        // Shutdown tasks end one after another, the last registered first.
        if (event === "shutdown") yield* runs.drained
        return
      }
    })

  return {
    alias,
    store,
    time,
    runs,
    wake: wakeAll,
    turns,
    retime: moved,
    fire,
    freed,
    serve: Effect.gen(function*() {
      yield* listen
      for (const loop of runs.loops) {
        yield* Effect.forkScoped(Effect.forever(Effect.catchCause(loop, (cause) =>
          Effect.andThen(
            Effect.logError(`A loop of the scheduler over store \`${alias}\` failed and starts again.`, cause),
            Effect.sleep(Duration.millis(firstBackoff))
          ))))
      }
    })
  }
}

/** Whether it is about the store, not about what was asked of it: a full disk gets room again, a replica becomes primary. */
const passes = ({ reason, retryable }: TaskStoreError): boolean =>
  retryable || reason === "Full" || reason === "ReadOnly"

/** Keys of runs outside the schedule begin with a letter. */
const isExtra = (key: string): boolean => key.startsWith("x:") || key.startsWith("e:")

/** A trigger or policy that throws makes its row unreadable, not the loop stop. */
const safely = <A>(f: () => Result.Result<A, string>): Result.Result<A, string> => {
  try {
    return f()
  } catch (error) {
    return Result.fail(error instanceof Error ? error.message : String(error))
  }
}
