/**
 * Runs of one executor over its workers: who runs what, who is started, who is ended.
 *
 *     starting ──Ready──▶ ready ──leaks, or idle──▶ retiring ──▶ ended
 *        ▲                  │ exits, or a run does not stop         ▲
 *        └── replaced ◀─────┴───────────────────────────────────────┘
 *
 * A run waits for a worker of its own as long as there may be one more; after that workers are shared. How it ends:
 *
 * | what happens | its end |
 * |---|---|
 * | its worker answers | that result |
 * | it is interrupted | interrupted, once its handler has ended or its worker is gone |
 * | its time is up and its handler goes on | `TimedOut`, once its worker is gone |
 * | its worker ends by itself, or does not begin it within its time | `WorkerLost` |
 * | its worker is ended for another run | `WorkerLost`, blameless |
 * | no worker can be started | given back, not begun |
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { RunRecord, RunResult } from "punctual/Executor"
import * as RealTime from "./realTime.ts"
import type { Channel, Open } from "./workerChannel.ts"
import { type FromWorker, protocolVersion, type SpanIds } from "./workerProtocol.ts"

/** In milliseconds, unless the name says otherwise. @internal */
export interface Settings {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly perWorker: number
  readonly idleTime: number
  /** How long a handler may take to end when it is interrupted. */
  readonly grace: number
  readonly startTimeout: number
  /** Bytes above which a worker is replaced after a run. */
  readonly retireAbove: number
}

/** Why a worker did not start. @internal */
export interface NotStarted {
  readonly reason: "Failed" | "Exited" | "NoAnswer" | "Protocol"
  readonly detail: string
}

/** @internal */
export interface Pool {
  readonly tags: () => ReadonlyMap<string, number>
  readonly run: (record: RunRecord) => Effect.Effect<RunResult>
}

interface Running {
  readonly id: number
  readonly record: RunRecord
  readonly span: SpanIds | null
  /** What its logs are logged with. */
  readonly context: Context.Context<never>
  readonly end: Deferred.Deferred<RunResult>
  member: Member | undefined
  /** Whether its worker has said that it begins. */
  begun: boolean
  /** Whether it was asked to stop. */
  asked: boolean
  /** What to answer when it did not stop after its time. */
  timedOut: RunResult | undefined
}

interface Member {
  readonly channel: Channel
  readonly runs: Map<number, Running>
  readonly ready: Deferred.Deferred<ReadonlyArray<readonly [string, number]>, NotStarted>
  readonly exited: Deferred.Deferred<void>
  phase: "starting" | "ready" | "retiring" | "ended"
  /** Runs it has ended. */
  worked: number
  /** Since when it has no run; real time. */
  idleSince: number
  /** The run it was ended for. */
  culprit: Running | undefined
}

/** How long a worker may take to be gone once it is ended, before nobody waits for it any more. */
const endTime = 1_000

/** Between attempts to start a worker: 1 s, 2 s … 30 s. */
const firstBackoff = 1_000
const longestBackoff = 30_000

/** Starts the first worker, and the others of `min` behind it. @internal */
export const make = (settings: Settings, open: Open): Effect.Effect<Pool, NotStarted, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const fork = Effect.runForkWith(context)
    const members = new Set<Member>()
    const waiting: Array<Running> = []
    let tags: ReadonlyMap<string, number> = new Map()
    /** Workers about to be started, those that wait for their turn after a failure included. */
    let starting = 0
    let failures = 0
    let closed = false
    let lastId = 0

    // -------------------------------------------------------------------------
    // workers
    // -------------------------------------------------------------------------

    const openMember = (): Member => {
      const member: Member = {
        channel: open({
          onMessage: (message) => heard(member, message),
          onExit: (how) => exited(member, how)
        }),
        runs: new Map(),
        ready: Deferred.makeUnsafe(),
        exited: Deferred.makeUnsafe(),
        phase: "starting",
        worked: 0,
        idleSince: RealTime.now(),
        culprit: undefined
      }
      members.add(member)
      return member
    }

    /** A worker that has said what it handles. */
    const start: Effect.Effect<void, NotStarted> = Effect.gen(function*() {
      const member = yield* Effect.try({ try: openMember, catch: (error) => notStarted("Failed", String(error)) })
      const handled = yield* Effect.raceFirst(
        Deferred.await(member.ready),
        Effect.andThen(
          RealTime.sleep(settings.startTimeout),
          Effect.fail(notStarted("NoAnswer", `it did not answer within ${settings.startTimeout} ms`))
        )
      ).pipe(Effect.onError(() => end(member)))
      tags = new Map(handled)
      member.phase = "ready"
      member.idleSince = RealTime.now()
      fork(Effect.forkIn(watchIdle(member), scope))
    })

    const startMore = (): void => {
      starting++
      const delay = failures === 0 ? 0 : Math.min(firstBackoff * 2 ** (failures - 1), longestBackoff)
      const effect = Effect.andThen(delay === 0 ? Effect.void : RealTime.sleep(delay), start).pipe(
        Effect.matchEffect({
          onSuccess: () => Effect.void,
          onFailure: ({ detail }) => {
            failures++
            // Nobody serves those who wait: another process may.
            if (![...members].some((member) => member.phase === "ready")) {
              for (const running of waiting.splice(0)) {
                const reason = `executor \`${settings.name}\` cannot start a worker: ${detail}`
                settle(running, Exit.succeed({ _tag: "Unreadable", reason, unhandled: true }))
              }
            }
            return closed ? Effect.void : Effect.logWarning(
              `Executor \`${settings.name}\` could not start a worker, and will try again. ${detail}`
            )
          }
        }),
        Effect.ensuring(Effect.sync(() => {
          starting--
          dispatch()
        }))
      )
      fork(Effect.asVoid(Effect.forkIn(effect, scope)))
    }

    /** Ends a worker whatever it does, and waits until it is gone. */
    const end = (member: Member): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (member.phase !== "ended") member.phase = "retiring"
        dispatch()
        return Effect.raceFirst(
          Deferred.await(member.exited),
          Effect.gen(function*() {
            yield* member.channel.end
            yield* RealTime.sleep(endTime)
            yield* Effect.logError(
              `Executor \`${settings.name}\`: ${member.channel.name} did not end within ${endTime} ms of being ` +
                `ended, and is left behind.`
            )
            exited(member, "left behind")
          })
        )
      })

    /** Asks a worker to end, then ends it. */
    const close = (member: Member): Effect.Effect<void> =>
      Effect.suspend(() => {
        member.channel.send({ _tag: "Close" })
        return Effect.raceFirst(
          Deferred.await(member.exited),
          Effect.andThen(RealTime.sleep(settings.grace), end(member))
        )
      })

    const retire = (member: Member): void => {
      member.phase = "retiring"
      if (member.runs.size === 0) fork(Effect.forkIn(close(member), scope))
      dispatch()
    }

    const watchIdle = (member: Member): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (member.phase !== "ready") return Effect.void
        const idle = member.runs.size === 0 ? RealTime.now() - member.idleSince : 0
        if (idle >= settings.idleTime && workers() > settings.min) {
          retire(member)
          return Effect.void
        }
        const wait = idle >= settings.idleTime ? settings.idleTime : settings.idleTime - idle
        return Effect.andThen(
          Effect.raceFirst(RealTime.sleep(Math.max(1, wait)), Deferred.await(member.exited)),
          watchIdle(member)
        )
      })

    /** Those that take runs, or will. */
    const workers = (): number => {
      let count = starting
      for (const { phase } of members) if (phase === "ready") count++
      return count
    }

    const exited = (member: Member, how: string): void => {
      if (member.phase === "ended") return
      const expected = member.phase === "retiring"
      member.phase = "ended"
      members.delete(member)
      Deferred.doneUnsafe(member.ready, Exit.fail(notStarted("Exited", how)))
      Deferred.doneUnsafe(member.exited, Exit.void)
      const lost = [...member.runs.values()].filter(({ asked, timedOut }) => !asked && timedOut === undefined)
      if (!closed && !expected) {
        // One that ends whatever it does is replaced less and less often; one that a run has ended, at once.
        if (member.worked === 0 && member.runs.size === 0) failures++
        fork(Effect.logWarning(
          `Executor \`${settings.name}\`: ${member.channel.name} ended by itself (${how})${
            lost.length === 0 ? "" : ` while it ran ${lost.map(({ record }) => labelOf(record)).join(", ")}`
          }.`
        ))
      }
      for (const running of member.runs.values()) settle(running, endOf(running, member, how))
      dispatch()
    }

    const endOf = (running: Running, member: Member, how: string): Exit.Exit<RunResult> => {
      if (running.asked || closed) return Exit.interrupt()
      if (running.timedOut !== undefined && member.culprit === running) return Exit.succeed(running.timedOut)
      const blameless = member.culprit !== undefined && member.culprit !== running
      const reason = blameless
        ? `The worker of this run (${member.channel.name} of executor \`${settings.name}\`) was ended because ` +
          `${labelOf(member.culprit!.record)} did not stop.`
        : `The worker of this run (${member.channel.name} of executor \`${settings.name}\`) ended: ${how}.`
      return Exit.succeed({ _tag: "WorkerLost", reason, blameless })
    }

    // -------------------------------------------------------------------------
    // runs
    // -------------------------------------------------------------------------

    const settle = (running: Running, exit: Exit.Exit<RunResult>): void => {
      const { member } = running
      running.member = undefined
      Deferred.doneUnsafe(running.end, exit)
      if (member === undefined) return
      member.runs.delete(running.id)
      if (member.phase === "retiring" && member.runs.size === 0 && member.culprit === undefined) retire(member)
      if (member.runs.size === 0) member.idleSince = RealTime.now()
    }

    /** Gives runs to workers, and starts those that are missing. */
    const dispatch = (): void => {
      if (closed) return
      while (waiting.length > 0) {
        const member = pick()
        if (member === undefined) break
        const running = waiting.shift()!
        running.member = member
        member.runs.set(running.id, running)
        const { within: _, ...record } = running.record
        member.channel.send({ _tag: "Run", id: running.id, record, span: running.span })
        if (record.timeout !== null) watchBeginning(running, member)
      }
      let busy = 0
      for (const { phase, runs } of members) if (phase === "ready" && runs.size > 0) busy++
      const wanted = Math.min(settings.max, Math.max(settings.min, busy + waiting.length))
      while (workers() < wanted) startMore()
    }

    const pick = (): Member | undefined => {
      let least: Member | undefined
      for (const member of members) {
        if (member.phase === "ready" && member.runs.size < (least?.runs.size ?? settings.perWorker)) least = member
      }
      return least === undefined || least.runs.size === 0 || workers() >= settings.max ? least : undefined
    }

    const heard = (member: Member, message: FromWorker): void => {
      switch (message._tag) {
        case "Ready":
          return void Deferred.doneUnsafe(
            member.ready,
            message.protocol === protocolVersion
              ? Exit.succeed(message.tags)
              : Exit.fail(
                notStarted("Protocol", `it speaks version ${message.protocol}, this program version ${protocolVersion}`)
              )
          )
        case "NotReady":
          return void Deferred.doneUnsafe(member.ready, Exit.fail(notStarted("Failed", message.reason)))
        case "Began": {
          const running = member.runs.get(message.id)
          if (running === undefined) return
          running.begun = true
          if (message.timedOut !== null) watchTime(running, member, message.timedOut)
          return
        }
        case "Ended": {
          member.worked++
          failures = 0
          const running = member.runs.get(message.id)
          if (running !== undefined) settle(running, exitOf(message.result))
          if (member.phase === "ready" && message.memory > settings.retireAbove) retire(member)
          return dispatch()
        }
        case "Log":
          return log(member, message)
      }
    }

    /** Looks at a run a grace after its time, unless it has ended by then. */
    const afterTime = (running: Running, look: () => Effect.Effect<void>): void => {
      const effect = Effect.andThen(RealTime.sleep(running.record.timeout! + settings.grace), Effect.suspend(look))
      fork(Effect.forkIn(Effect.raceFirst(Deferred.await(running.end), effect), scope))
    }

    /** A worker that is frozen, or computes for another run, says nothing. */
    const watchBeginning = (running: Running, member: Member): void =>
      afterTime(running, () =>
        running.begun || running.member !== member || running.asked
          ? Effect.void
          : endFor(running, member, "was not begun in its time"))

    const watchTime = (running: Running, member: Member, timedOut: RunResult): void =>
      // The worker interrupts its handler itself.
      afterTime(running, () => {
        if (running.member !== member || running.asked) return Effect.void
        running.timedOut = timedOut
        return endFor(running, member)
      })

    /** Ends the worker of a run that does not stop. */
    const endFor = (
      running: Running,
      member: Member,
      why = `did not stop within ${settings.grace} ms of being interrupted`
    ): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (member.culprit !== undefined) return end(member)
        member.culprit = running
        return Effect.andThen(
          Effect.logWarning(
            `Executor \`${settings.name}\`: ${labelOf(running.record)} ${why}, and its worker ` +
              `(${member.channel.name}) is ended.`
          ),
          end(member)
        )
      })

    /** Asks a run to stop, and ends its worker where it does not. */
    const stop = (running: Running): Effect.Effect<void> =>
      Effect.suspend(() => {
        running.asked = true
        const { member } = running
        if (member === undefined) {
          const at = waiting.indexOf(running)
          if (at >= 0) waiting.splice(at, 1)
          return Effect.void
        }
        member.channel.send({ _tag: "Interrupt", id: running.id })
        return Effect.raceFirst(
          Effect.exit(Deferred.await(running.end)),
          Effect.andThen(
            RealTime.sleep(settings.grace),
            endFor(running, member)
          )
        )
      })

    const log = (member: Member, { annotations, id, level, message }: Extract<FromWorker, { _tag: "Log" }>): void => {
      const running = id === null ? undefined : member.runs.get(id)
      const span = running?.span
      Effect.runForkWith(running?.context ?? context)(
        Effect.logWithLevel(level as never)(...message).pipe(
          Effect.annotateLogs({
            ...annotations,
            executor: settings.name,
            ...(span === undefined || span === null ? {} : { traceId: span.traceId, spanId: span.spanId })
          })
        )
      )
    }

    const run = (record: RunRecord): Effect.Effect<RunResult> =>
      Effect.withFiber((fiber) => {
        if (record.within !== undefined) {
          return Effect.succeed<RunResult>({
            _tag: "Unreadable",
            reason: `executor \`${settings.name}\` runs handlers elsewhere, where a transaction cannot follow ` +
              `(delivery: "transactional"): give the task an executor in this process`
          })
        }
        if (closed) return Effect.interrupt
        const running: Running = {
          id: ++lastId,
          record,
          span: Option.match(spanOf(fiber.context), { onNone: () => null, onSome: idsOf }),
          context: fiber.context,
          end: Deferred.makeUnsafe(),
          member: undefined,
          begun: false,
          asked: false,
          timedOut: undefined
        }
        return Effect.uninterruptibleMask((restore) => {
          waiting.push(running)
          dispatch()
          return Effect.onInterrupt(restore(Deferred.await(running.end)), () => stop(running))
        })
      })

    // -------------------------------------------------------------------------

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        for (const running of waiting.splice(0)) settle(running, Exit.interrupt())
        return Effect.forEach([...members], close, { concurrency: "unbounded", discard: true })
      })
    )
    yield* start
    dispatch()
    return { tags: () => tags, run }
  })

const notStarted = (reason: NotStarted["reason"], detail: string): NotStarted => ({ reason, detail })

const exitOf = (result: Extract<FromWorker, { _tag: "Ended" }>["result"]): Exit.Exit<RunResult> => {
  switch (result._tag) {
    case "Interrupted":
      return Exit.interrupt()
    case "Died":
      return Exit.die(new Error(result.reason))
    default:
      return Exit.succeed(result)
  }
}

const spanOf = (context: Context.Context<never>): Option.Option<Tracer.AnySpan> =>
  Option.fromUndefinedOr(context.mapUnsafe.get(Tracer.ParentSpan.key) as Tracer.AnySpan | undefined)

const idsOf = ({ sampled, spanId, traceId }: Tracer.AnySpan): SpanIds => ({ traceId, spanId, sampled })

const labelOf = ({ run }: RunRecord): string => `run ${run.key} of task \`${run.taskId}\``

/** The level from which on logs are worth sending. @internal */
export const logLevel: Effect.Effect<string> = References.MinimumLogLevel
