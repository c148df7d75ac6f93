/**
 * Locks that end by themselves: what a lock on a server is made of, that knows its holders only by what they say.
 *
 *     asked ──▶ held until the lease ends ◀──┐
 *                  │  every third of it ─────┘ extended
 *                  └── not extended in time ──▶ lost
 *
 * The holder counts its lease on the monotonic clock from just before it asked, and takes it for lost a tenth before the
 * server does: what it runs is interrupted, as a rule, before another begins. It cannot count while it is frozen or
 * computes; then both run for that long, and the token tells them apart.
 *
 * @since 0.1.0
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Lock from "./Lock.ts"
import { InvalidOption } from "./SchedulerError.ts"

/**
 * What a server can be asked. Each call is one atomic step there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Leases {
  /** Answers a token if the lock is free or this owner's. With `wait` the owner may be noted as one that waits. */
  readonly acquire: (
    request: Lock.Request & { readonly owner: string }
  ) => Effect.Effect<Option.Option<number>, Lock.LockUnavailable>
  /** Gives up what was asked: an owner that waits, or has been given the lock without knowing. */
  readonly forget: (name: string, owner: string) => Effect.Effect<void, Lock.LockUnavailable>
  /** Begins the lease anew, if this owner still has the lock. */
  readonly extend: (name: string, owner: string) => Effect.Effect<boolean, Lock.LockUnavailable>
  /** Frees the lock, if this owner still has it. */
  readonly release: (name: string, owner: string) => Effect.Effect<boolean, Lock.LockUnavailable>
  readonly holder: (name: string) => Effect.Effect<Option.Option<Lock.Holder>, Lock.LockUnavailable>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Lock.Backend, "name" | "capabilities" | "identity" | "host" | "pid"> {
  /** In milliseconds, as the server counts it. */
  readonly lease: number
  /** The longest pause between two attempts of who waits, in milliseconds. */
  readonly pollInterval: number
  /** The system's: a lease passes in real time, whatever clock a test has. */
  readonly clock: Clock.Clock
  /** A text that no other holder has, in any program: a random UUID. */
  readonly newOwner: () => string
  readonly leases: Leases
}

/**
 * How long a lease is unless told otherwise. Shorter, a pause of the garbage collector or the network loses it; longer, a
 * crash keeps others waiting.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultLease = Duration.seconds(10)

/** Shorter, a lease would end between two answers of a server that is far away. */
const shortestLease = 100

/**
 * The lease of a layer's options in milliseconds: at least 100, and finite.
 *
 * @category constructors
 * @since 0.1.0
 */
export const leaseMillis = (lease: Duration.Input = defaultLease): Effect.Effect<number, InvalidOption> => {
  const millis = Option.match(Duration.fromInput(lease), { onNone: () => NaN, onSome: Duration.toMillis })
  return millis >= shortestLease && Number.isFinite(millis) ? Effect.succeed(millis) : Effect.fail(
    new InvalidOption({
      option: "lease",
      value: lease,
      message: `lease must be at least ${shortestLease} ms, and end`
    })
  )
}

/** A lease is extended when a third of it has passed, well before it ends. */
const beats = 3

/** After an attempt that failed, the next one comes when a twentieth of a lease has passed. */
const retries = 20

/** The part of a lease that its holder does not count on. */
const margin = 0.1

/**
 * A backend on such a server, for `Lock.make`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Lock.Backend => {
  const { clock, lease, leases } = options
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

  /** What cannot be said to the server is told in the log, and ends with the lease. */
  const orWarn = <A>(effect: Effect.Effect<A, Lock.LockUnavailable>, otherwise: () => A): Effect.Effect<A> =>
    Effect.catch(
      effect,
      (error) => Effect.as(Effect.logWarning(`${error.message} What was held there ends with its lease.`), otherwise())
    )

  const grip = (name: string, owner: string, token: number, asked: number) =>
    Effect.gen(function*() {
      let until = asked + lease * (1 - margin)
      const lost = yield* Deferred.make<string>()

      const beat: Effect.Effect<void> = Effect.gen(function*() {
        let pause = lease / beats
        while (true) {
          yield* clock.sleep(Duration.millis(Math.max(0, Math.min(pause, until - now()))))
          if (now() >= until) return yield* lose(`it could not be extended within its lease of ${lease} ms`)
          const began = now()
          // An answer that comes too late is none.
          const answer = yield* Effect.raceFirst(
            Effect.option(leases.extend(name, owner)),
            Effect.as(clock.sleep(Duration.millis(until - began)), Option.none<boolean>())
          )
          if (Option.isNone(answer)) pause = lease / retries
          else if (!answer.value) return yield* lose("its lease had ended, or was ended by hand")
          else {
            pause = lease / beats
            until = began + lease * (1 - margin)
          }
        }
      })
      const lose = (reason: string) => Effect.asVoid(Deferred.succeed(lost, reason))

      const beating = yield* Effect.forkDetach(Effect.interruptible(beat))
      return {
        token,
        lost: Deferred.await(lost),
        release: Fiber.interrupt(beating).pipe(
          Effect.andThen(orWarn(leases.release(name, owner), () => now() < until))
        )
      } satisfies Lock.Grip
    })

  return {
    name: options.name,
    capabilities: options.capabilities,
    identity: options.identity,
    host: options.host,
    pid: options.pid,
    acquire: (request) =>
      Effect.suspend(() => {
        const owner = options.newOwner()
        const attempt = Effect.suspend(() => {
          const asked = now()
          return Effect.flatMap(leases.acquire({ ...request, owner }), (token) =>
            Option.isNone(token)
              ? Effect.succeedNone
              : Effect.asSome(grip(request.name, owner, token.value, asked)))
        })
        return (request.wait
          ? Lock.poll(attempt, { clock, first: Math.min(5, options.pollInterval), longest: options.pollInterval })
          : attempt).pipe(
            // A wait that was given up, or an answer that never came.
            Effect.onError(() => orWarn(leases.forget(request.name, owner), () => undefined))
          )
      }),
    isHeld: (name) => Effect.map(leases.holder(name), Option.isSome),
    holder: leases.holder
  }
}
