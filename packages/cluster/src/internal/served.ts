/**
 * The runs of one runner: tickets, what runs under them, and what came of it.
 *
 *     handed out ──▶ begun ──▶ ended ──▶ forgotten      (the oldest first; a forgotten ticket is worth nothing)
 *
 * A ticket begins one run, once: a message that comes again waits for the same end. A later claim of a run, known by its
 * greater fencing token, interrupts an earlier one that is still at it and begins when that has ended.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import * as Tracer from "effect/Tracer"
import * as Activity from "punctual/Activity"
import type { RunRecord, RunResult } from "punctual/Executor"
import type { TaskRegistry } from "punctual/TaskRegistry"
import * as TaskRunner from "punctual/TaskRunner"
import * as RunEntity from "./runEntity.ts"

/**
 * @internal
 */
export interface Served {
  /** `null`: nothing more is begun here. */
  readonly ticket: () => string | null
  readonly run: (ticket: string, record: RunRecord, circumstances: Circumstances) => Effect.Effect<RunResult>
  /** Interrupts what runs under a ticket, and waits for its finalizers. */
  readonly stop: (ticket: string) => Effect.Effect<void>
  /** Hands out no more tickets, waits for what runs so many milliseconds, then interrupts it and gives it back. */
  readonly close: (drain: number) => Effect.Effect<void>
}

/**
 * What a run is given of the fiber that sent it.
 *
 * @internal
 */
export interface Circumstances {
  readonly span?: RunEntity.SpanIds | undefined
  /** What it is counted as under virtual time. */
  readonly label?: string | undefined
}

const contextOf = (context: Context.Context<never>, { label, span }: Circumstances): Context.Context<never> => {
  const counted = label === undefined ? context : Context.add(context, Activity.Label, label)
  return span === undefined ? counted : Context.add(counted, Tracer.ParentSpan, Tracer.externalSpan(span))
}

/** What runs, or ran, under a ticket. */
interface Begun {
  readonly token: number
  readonly fiber: Fiber.Fiber<RunResult>
}

/**
 * @internal
 */
export const make = (options: {
  readonly registry: TaskRegistry["Service"]
  readonly concurrency: number
  /** Names this life of this runner: no other one hands out tickets like it. */
  readonly incarnation: string
  readonly context: Context.Context<never>
}): Served => {
  const slots = Semaphore.makeUnsafe(options.concurrency)
  const tickets = new Map<string, Begun | undefined>()
  const running = new Set<Fiber.Fiber<RunResult>>()
  const latest = new Map<string, Begun>()
  let handedOut = 0
  let closing = false

  /** Virtual time goes on while a run waits for its turn. */
  const inTurn = <A>(attempt: Effect.Effect<A>): Effect.Effect<A> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.andThen(
        Activity.idle(restore(slots.take(1))),
        Effect.ensuring(restore(attempt), slots.release(1))
      )
    )

  const forgetOldest = () => {
    for (const [ticket, begun] of tickets) {
      if (tickets.size <= remembered) return
      if (begun === undefined || begun.fiber.pollUnsafe() !== undefined) tickets.delete(ticket)
    }
  }

  const begin = (record: RunRecord, circumstances: Circumstances): Begun => {
    const identity = RunEntity.identityOf(record)
    const token = record.run.token ?? 0
    const earlier = latest.get(identity)
    // Not before its ticket knows of it: what its first steps set off may stop it.
    const attempt = Effect.andThen(Effect.yieldNow, inTurn(TaskRunner.run(options.registry, record)))
    const context = contextOf(options.context, circumstances)
    const begun: Begun = {
      token,
      fiber: Effect.runForkWith(context)(
        earlier === undefined || earlier.token === token
          ? attempt
          : Effect.andThen(Fiber.interrupt(earlier.fiber), attempt)
      )
    }
    latest.set(identity, begun)
    running.add(begun.fiber)
    begun.fiber.addObserver(() => {
      running.delete(begun.fiber)
      if (latest.get(identity) === begun) latest.delete(identity)
    })
    return begun
  }

  const isOutdated = (record: RunRecord): boolean => {
    const other = latest.get(RunEntity.identityOf(record))
    return other !== undefined && other.token > (record.run.token ?? 0)
  }

  return {
    ticket: () => {
      if (closing) return null
      const ticket = `${options.incarnation}-${handedOut++}`
      tickets.set(ticket, undefined)
      forgetOldest()
      return ticket
    },
    run: (ticket, record, circumstances) =>
      Effect.suspend(() => {
        if (!tickets.has(ticket)) return Effect.succeed(gone)
        let begun = tickets.get(ticket)
        if (begun === undefined) {
          if (closing) return Effect.succeed(givenBack)
          if (isOutdated(record)) return Effect.succeed(givenBack)
          begun = begin(record, circumstances)
          tickets.set(ticket, begun)
        }
        const { fiber } = begun
        // Who waits for a run and goes away, since its connection or its shard did, takes the run along.
        return Effect.onInterrupt(
          Effect.map(Fiber.await(fiber), (exit) => exit._tag === "Success" ? exit.value : givenBack),
          () => Fiber.interrupt(fiber)
        )
      }),
    stop: (ticket) =>
      Effect.suspend(() => {
        const begun = tickets.get(ticket)
        // Not begun yet: it never is.
        if (begun === undefined) tickets.delete(ticket)
        return begun === undefined ? Effect.void : Fiber.interrupt(begun.fiber)
      }),
    close: (drain) =>
      Effect.suspend(() => {
        closing = true
        const fibers = [...running]
        return Effect.forEach(fibers, (fiber) => Fiber.await(fiber), { concurrency: "unbounded", discard: true }).pipe(
          Effect.timeoutOption(drain),
          Effect.andThen(Fiber.interruptAll(fibers)),
          Effect.timeoutOption(drain + interruptGrace),
          Effect.asVoid
        )
      })
  }
}

const gone: RunResult = {
  _tag: "WorkerLost",
  reason:
    "The runner that was asked to run this is gone, or the connection to it broke and nobody knows how far it came",
  blameless: false
}

const givenBack: RunResult = {
  _tag: "WorkerLost",
  reason: "The runner closed, or runs a later claim of this run",
  blameless: true
}

// A ticket is used within moments of being handed out, and asked for again only while a connection is mended.
const remembered = 10_000

// As long as a scheduler gives a run that it interrupts.
const interruptGrace = 5_000
