/**
 * Port: named locks, so that of several fibers, processes or machines one at a time does a thing.
 *
 *     hold ──▶ waits in line ──▶ held (token n) ──▶ scope closes ──▶ the next one (token n + 1)
 *                                     │
 *                                     └── lost: what `withLock` runs is interrupted, and fails with `LockLost`
 *
 * One service serves any number of names. How far a lock reaches, and what ends it when its holder dies, is the backend's:
 *
 * | layer | excludes | ends with |
 * |---|---|---|
 * | `Lock.layerLocal` | fibers of one program that are given this layer | the program |
 * | `FileLock.layer` (`@punctual/node`) | processes of one machine | the process, at once |
 * | `PostgresLock.layer` (`@punctual/sql/postgres`) | who shares the database | the connection |
 * | `SqlLock.layer` (`@punctual/sql`) | who shares the database | the lease |
 * | `RedisLock.layer` (`@punctual/redis`) | who shares the server | the lease |
 *
 * A lock is a promise among programs that ask for it, not a wall: a frozen holder that thaws does not know yet that it lost.
 * What must not be overtaken compares tokens (`Held.token`) and refuses one that is smaller than the largest it has seen.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { Turns } from "./internal/lockTurns.ts"
import { refuseOptions } from "./SchedulerError.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * Who holds a lock, as far as its backend knows.
 *
 * @category models
 * @since 0.1.0
 */
export const Holder = Schema.Struct({
  /** Of the layer that holds it: as given, or random. */
  identity: Schema.String,
  host: Schema.NullOr(Schema.String),
  pid: Schema.NullOr(Schema.Int),
  /** On the holder's own clock. */
  since: Schema.DateTimeUtcFromString
})

/**
 * @category models
 * @since 0.1.0
 */
export type Holder = typeof Holder.Type

/**
 * What a backend can do, as data: `LockSuite` tests by it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capabilities {
  /** Whom it excludes: fibers of this program, processes of this machine, or everybody who reaches the server. */
  readonly spans: "program" | "host" | "network"
  /** Who waits gets it in the order of asking, whatever process it is in. Within one program that always holds. */
  readonly fair: boolean
  /** Each time it is taken its token is larger than ever before. */
  readonly fenced: boolean
  /** It ends by itself when it was not extended for so long, so that a frozen holder loses it. */
  readonly leased: boolean
}

/**
 * A lock that is held.
 *
 * @category models
 * @since 0.1.0
 */
export interface Held {
  readonly name: string
  /** Larger than that of every earlier holder of this name, if the backend is `fenced`. */
  readonly token: number
  /** Never succeeds: fails when the lock is lost before it was given back, so that it can be raced. */
  readonly awaitLost: Effect.Effect<never, LockLost>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface AcquireOptions {
  /** How long to wait in line. Default: as long as it takes. */
  readonly timeout?: Duration.Input | undefined
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * No lock can have this name.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidLockName extends Schema.TaggedError<InvalidLockName>()("InvalidLockName", {
  lock: Schema.String,
  name: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.lock}: no lock can be named ${JSON.stringify(this.name.slice(0, 100))}: ${this.reason}.`
  }
}

/**
 * It was not free in time.
 *
 * @category errors
 * @since 0.1.0
 */
export class LockTimeout extends Schema.TaggedError<LockTimeout>()("LockTimeout", {
  lock: Schema.String,
  name: Schema.String,
  /** Milliseconds. */
  timeout: Schema.Number,
  holder: Schema.NullOr(Holder)
}) {
  override get message(): string {
    return `${this.lock}: \`${this.name}\` was not free within ${this.timeout} ms${
      this.holder === null ? "" : `: ${describe(this.holder)} holds it`
    }. Wait longer, or use withLockIfAvailable to do without.`
  }
}

/**
 * Who asked has it already, and would wait for itself.
 *
 * @category errors
 * @since 0.1.0
 */
export class LockReentered extends Schema.TaggedError<LockReentered>()("LockReentered", {
  lock: Schema.String,
  name: Schema.String
}) {
  override get message(): string {
    return `${this.lock}: \`${this.name}\` is held here already, and waiting for it would never end. Take it once, ` +
      `around both; what shall wait for its turn is forked outside.`
  }
}

/**
 * Somebody else may have it now, though it was not given back.
 *
 * @category errors
 * @since 0.1.0
 */
export class LockLost extends Schema.TaggedError<LockLost>()("LockLost", {
  lock: Schema.String,
  name: Schema.String,
  token: Schema.Number,
  reason: Schema.String
}) {
  override get message(): string {
    return `${this.lock}: \`${this.name}\` (token ${this.token}) was lost: ${this.reason}. Another may have it; ask again.`
  }
}

/**
 * The backend did not answer as it should: its server is away, its disk full. Nothing is held.
 *
 * @category errors
 * @since 0.1.0
 */
export class LockUnavailable extends Schema.TaggedError<LockUnavailable>()("LockUnavailable", {
  lock: Schema.String,
  operation: Schema.String,
  /** Says what happened and what to do. */
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}

/**
 * Why a lock is not held after it was asked for, other than that somebody else has it.
 *
 * @category errors
 * @since 0.1.0
 */
export type AcquireError = InvalidLockName | LockReentered | LockUnavailable

const describe = ({ host, identity, pid, since }: Holder): string =>
  [
    `\`${identity}\``,
    ...(pid === null ? [] : [`process ${pid}`]),
    ...(host === null ? [] : [`on ${host}`]),
    `since ${DateTime.formatIso(since)}`
  ].join(" ")

// -----------------------------------------------------------------------------
// the port
// -----------------------------------------------------------------------------

/**
 * The port: locks by name.
 *
 * **Details**
 *
 * Every method is safe to interrupt at any point: a wait leaves the line, and what was taken is given back.
 *
 * Locks are not reentrant. Waiting for a lock inside `withLock` of the same name, in a fiber that was forked there, or in
 * the fiber whose `hold` has it, would never end, so it fails with `LockReentered`; `withLockIfAvailable` answers none.
 *
 * **Example**
 *
 * ```ts
 * const nightly = Effect.gen(function*() {
 *   const lock = yield* Lock
 *   yield* lock.withLock("nightly", { timeout: "1 minute" })(cleanUp)
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Lock extends Context.Service<Lock, {
  /** For messages. */
  readonly name: string
  readonly capabilities: Capabilities

  /**
   * Waits for the lock and runs the effect with it.
   *
   * When the lock is lost meanwhile, the effect is interrupted (its finalizers are waited for) and `LockLost` is the
   * failure: going on would be two at once, and what the effect said could no longer be relied on. An effect that ended
   * before it could be interrupted fails likewise. To decide otherwise use `hold` and `awaitLost`.
   */
  readonly withLock: (name: string, options?: AcquireOptions) => <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | AcquireError | LockTimeout | LockLost, R>

  /** Runs the effect if the lock is free, or else answers none at once. Lost, it is as with `withLock`. */
  readonly withLockIfAvailable: (name: string) => <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<Option.Option<A>, E | AcquireError | LockLost, R>

  /** Waits for the lock and keeps it until the scope closes. What is done when it is lost is up to the caller. */
  readonly hold: (
    name: string,
    options?: AcquireOptions
  ) => Effect.Effect<Held, AcquireError | LockTimeout, Scope.Scope>

  /** Keeps the lock until the scope closes, if it is free. */
  readonly holdIfAvailable: (name: string) => Effect.Effect<Option.Option<Held>, AcquireError, Scope.Scope>

  /** Whether anybody holds it, which may have changed when the answer arrives. */
  readonly isHeld: (name: string) => Effect.Effect<boolean, InvalidLockName | LockUnavailable>

  /** Who holds it, which may have changed when the answer arrives. */
  readonly holder: (name: string) => Effect.Effect<Option.Option<Holder>, InvalidLockName | LockUnavailable>
}>()("punctual/Lock") {}

// -----------------------------------------------------------------------------
// backends
// -----------------------------------------------------------------------------

/**
 * What a backend answers when it has taken a lock.
 *
 * @category backends
 * @since 0.1.0
 */
export interface Grip {
  readonly token: number
  /** Succeeds with the reason when the lock is lost. Absent where it cannot be. */
  readonly lost?: Effect.Effect<string> | undefined
  /** Gives it back, and answers whether it was held until now. What goes wrong is told in the log. */
  readonly release: Effect.Effect<boolean>
}

/**
 * @category backends
 * @since 0.1.0
 */
export interface Request {
  readonly name: string
  readonly holder: Holder
  /** `false`: answer none rather than wait. */
  readonly wait: boolean
}

/**
 * What a kind of lock is made of. Lines within a program, names, timeouts and losses are `make`'s.
 *
 * @category backends
 * @since 0.1.0
 */
export interface Backend {
  readonly name: string
  readonly capabilities: Capabilities
  /** Who asks, for `holder`. */
  readonly identity: string
  readonly host?: string | undefined
  readonly pid?: number | undefined
  /**
   * Takes a lock. Called for one name by one fiber at a time, in a fiber that cannot be interrupted: what waits is made
   * `Effect.interruptible`, and leaves nothing taken when it is interrupted or fails.
   */
  readonly acquire: (request: Request) => Effect.Effect<Option.Option<Grip>, LockUnavailable>
  readonly isHeld: (name: string) => Effect.Effect<boolean, LockUnavailable>
  readonly holder: (name: string) => Effect.Effect<Option.Option<Holder>, LockUnavailable>
}

/**
 * For backends that can only ask again: an attempt, repeated after pauses that grow.
 *
 * The clock is the pauses': who waits for other processes waits in real time, which virtual time cannot bring about.
 *
 * @category backends
 * @since 0.1.0
 */
export const poll = <A, E>(
  attempt: Effect.Effect<Option.Option<A>, E>,
  options: {
    readonly clock: Clock.Clock
    /** Milliseconds. */
    readonly first: number
    readonly longest: number
  }
): Effect.Effect<Option.Option<A>, E> => {
  const after = (pause: number): Effect.Effect<Option.Option<A>, E> =>
    Effect.flatMap(
      attempt,
      (answer) =>
        Option.isSome(answer) ? Effect.succeed(answer) : Effect.flatMap(Random.next, (random) =>
          Effect.andThen(
            // Two that poll in step would ask at the same instant for ever.
            Effect.interruptible(options.clock.sleep(Duration.millis(pause * (0.5 + random / 2)))),
            after(Math.min(options.longest, pause * 2))
          ))
    )
  return after(options.first)
}

/** A hold as this module sees it. */
interface Hold {
  readonly held: Held
  /** Whether `fiber` still has it. */
  live: boolean
  readonly fiber: number
  readonly lost: Effect.Effect<string> | undefined
  /** Gives it back, once; answers whether it was held until then. */
  readonly release: Effect.Effect<boolean>
}

/** The holds that the present fiber, or the one that forked it, runs inside of. */
const Inside = Context.Reference<ReadonlyArray<Hold>>("punctual/Lock/Inside", { defaultValue: () => [] })

/**
 * The service over a backend.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (backend: Backend): Lock["Service"] => {
  const lock = backend.name
  const turns = new Turns()
  const holds = new Map<string, Hold>()

  const checked = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | InvalidLockName, R> => {
      const reason = refuseName(name)
      return reason === undefined ? effect : Effect.fail(new InvalidLockName({ lock, name, reason }))
    })

  /** Takes a turn in this program's line, then the lock. Uninterruptible, but where it waits. */
  const take = (name: string, wait: boolean, fiber: number): Effect.Effect<Option.Option<Hold>, LockUnavailable> =>
    Effect.flatMap(wait ? turns.take(name) : Effect.sync(() => turns.tryTake(name)), (mine) => {
      if (!mine) return Effect.succeedNone
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        backend.acquire({
          name,
          wait,
          holder: {
            identity: backend.identity,
            host: backend.host ?? null,
            pid: backend.pid ?? null,
            since: DateTime.makeUnsafe(now)
          }
        })).pipe(
          Effect.map(Option.map((grip) => keep(name, grip, fiber))),
          Effect.onExit((exit) =>
            Effect.sync(() => {
              if (!Exit.isSuccess(exit) || Option.isNone(exit.value)) turns.give(name)
            })
          )
        )
    })

  const keep = (name: string, grip: Grip, fiber: number): Hold => {
    const hold: Hold = {
      live: true,
      fiber,
      lost: grip.lost,
      held: {
        name,
        token: grip.token,
        awaitLost: grip.lost === undefined
          ? Effect.never
          : Effect.flatMap(grip.lost, (reason) => Effect.suspend(() => hold.live ? fail(hold, reason) : Effect.never))
      },
      release: Effect.suspend(() => {
        if (!hold.live) return Effect.succeed(true)
        hold.live = false
        if (holds.get(name) === hold) holds.delete(name)
        return Effect.ensuring(grip.release, Effect.sync(() => turns.give(name)))
      })
    }
    holds.set(name, hold)
    return hold
  }

  const fail = ({ held: { name, token } }: Hold, reason: string) =>
    Effect.fail(new LockLost({ lock, name, token, reason }))

  /** In a region that cannot be interrupted; `restore` makes the wait what it was outside. */
  const acquire = (
    name: string,
    wait: boolean,
    options: AcquireOptions | undefined,
    restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  ): Effect.Effect<Option.Option<Hold>, AcquireError | LockTimeout> =>
    checked(
      name,
      Effect.withFiber((fiber) => {
        const present = holds.get(name)
        if (wait && present !== undefined && (present.fiber === fiber.id || fiber.getRef(Inside).includes(present))) {
          return Effect.fail(new LockReentered({ lock, name }))
        }
        let taken: Option.Option<Hold> = Option.none()
        const taking = Effect.uninterruptible(
          Effect.map(take(name, wait, fiber.id), (hold) => {
            taken = hold
            return hold
          })
        )
        return unless(taking, tooLate(name, options?.timeout), restore).pipe(
          // Whatever ended the wait: what was taken is either answered or given back.
          Effect.onInterrupt(() => Option.isSome(taken) ? taken.value.release : Effect.void),
          Effect.catchTag("LockTimeout", (error) => Option.isSome(taken) ? Effect.succeed(taken) : Effect.fail(error))
        )
      })
    )

  const tooLate = (
    name: string,
    timeout: Duration.Input | undefined
  ): Effect.Effect<never, LockTimeout> | undefined => {
    if (timeout === undefined) return undefined
    const duration = Duration.fromInputUnsafe(timeout)
    return Effect.sleep(duration).pipe(
      Effect.andThen(Effect.orElseSucceed(backend.holder(name), () => Option.none())),
      Effect.flatMap((holder) =>
        Effect.fail(
          new LockTimeout({ lock, name, timeout: Duration.toMillis(duration), holder: Option.getOrNull(holder) })
        )
      )
    )
  }

  /** Runs an effect with a hold, which ends with it. */
  const within = <A, E, R>(
    hold: Hold,
    effect: Effect.Effect<A, E, R>,
    restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | LockLost, R> => {
    const inside = Effect.withFiber<A, E, R>((fiber) =>
      Effect.provideService(effect, Inside, [...fiber.getRef(Inside), hold])
    )
    const guarded = hold.lost === undefined ? restore(inside) : unless(inside, hold.held.awaitLost, restore)
    return Effect.flatMap(
      Effect.exit(guarded),
      (exit) =>
        Effect.flatMap(
          hold.release,
          (held) => held || Exit.isFailure(exit) ? exit : fail(hold, "it had ended before the work under it did")
        )
    )
  }

  const scoped = (hold: Hold) => Effect.as(Effect.addFinalizer(() => hold.release), hold.held)

  return {
    name: lock,
    capabilities: backend.capabilities,
    withLock: (name, options) => (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          acquire(name, true, options, restore),
          (hold) => within(Option.getOrThrow(hold), effect, restore)
        )
      ),
    withLockIfAvailable: (name) => (effect) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          withoutTimeout(acquire(name, false, undefined, restore)),
          Option.match({
            onNone: () => Effect.succeedNone,
            onSome: (hold) => Effect.asSome(within(hold, effect, restore))
          })
        )
      ),
    hold: (name, options) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(acquire(name, true, options, restore), (hold) => scoped(Option.getOrThrow(hold)))
      ),
    holdIfAvailable: (name) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(
          withoutTimeout(acquire(name, false, undefined, restore)),
          Option.match({ onNone: () => Effect.succeedNone, onSome: (hold) => Effect.asSome(scoped(hold)) })
        )
      ),
    isHeld: (name) => checked(name, backend.isHeld(name)),
    holder: (name) => checked(name, backend.holder(name))
  }
}

/**
 * Runs an effect in a fiber of its own until it ends, or until another fails: then it is interrupted, and that is the
 * failure. Either way it has ended afterwards, with its finalizers, which a race would not wait for. For regions that cannot
 * be interrupted; `restore` makes the wait what it was outside.
 */
const unless = <A, E, R, E2>(
  effect: Effect.Effect<A, E, R>,
  failing: Effect.Effect<never, E2> | undefined,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | E2, R> =>
  Effect.flatMap(Effect.forkChild(effect, { startImmediately: true }), (work) => {
    let failure: Cause.Cause<E2> | undefined
    const ended = Effect.onInterrupt(restore(Fiber.await(work)), () => Fiber.interrupt(work))
    if (failing === undefined || work.pollUnsafe() !== undefined) return Effect.flatten(ended)
    const watch = Effect.catchCause(failing, (cause) =>
      Effect.suspend(() => {
        failure = cause
        return Fiber.interrupt(work)
      }))
    return Effect.flatMap(Effect.forkChild(watch), (watching) =>
      Effect.flatMap(Effect.ensuring(ended, Fiber.interrupt(watching)), (exit): Effect.Effect<A, E | E2> =>
        failure !== undefined && Exit.hasInterrupts(exit) ? Effect.failCause(failure) : exit))
  })

const withoutTimeout = <A, E, R>(effect: Effect.Effect<A, E | LockTimeout, R>) =>
  Effect.catchTag(effect, "LockTimeout", (error) => Effect.die(error))

/** Long enough for a path or an address, short enough for an index and a key. */
const longestName = 200

/** Says why a lock cannot have this name, or nothing. */
const refuseName = (name: string): string | undefined => {
  if (name === "") return "it is empty"
  if (name.length > longestName) return `it has ${name.length} characters, and may have ${longestName}`
  if (/\p{Cc}/u.test(name)) return "it has control characters"
  if (/\p{Cs}/u.test(name)) return "it has half of a character (a lone surrogate)"
  if (name !== name.trim()) return "it begins or ends with a space"
  return undefined
}

// -----------------------------------------------------------------------------
// local
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface LocalOptions {
  /** For messages. Default: `local`. */
  readonly name?: string | undefined
  /** What `holder` calls this program. Default: `local`. */
  readonly identity?: string | undefined
}

/**
 * Locks among the fibers that are given this layer, in the order in which they ask.
 *
 * **When to use**
 *
 * Where one process is all there is, and in tests: it costs nothing, and keeps to virtual time.
 *
 * **Details**
 *
 * A name is one lock for everybody who uses the same build of the layer, whatever alias or path it came by; two builds
 * (`Layer.fresh`, two calls of `layerLocal`) know nothing of each other. It cannot be lost. Tokens begin at 1. Throws
 * `InvalidOption` for an option that it does not know.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLocal = (options: LocalOptions = {}): Layer.Layer<Lock> => {
  const refused = refuseOptions(options, ["name", "identity"], "Lock.layerLocal")
  if (refused !== undefined) throw refused
  return Layer.effect(Lock)(Effect.sync(() => make(local(options))))
}

const local = (options: LocalOptions): Backend => {
  const holders = new Map<string, Holder>()
  let token = 0
  return {
    name: options.name ?? "local",
    capabilities: { spans: "program", fair: true, fenced: true, leased: false },
    identity: options.identity ?? "local",
    // The line within the program is all that a local lock is.
    acquire: ({ holder, name }) =>
      Effect.sync(() => {
        holders.set(name, holder)
        return Option.some({ token: ++token, release: Effect.sync(() => holders.delete(name)) })
      }),
    isHeld: (name) => Effect.sync(() => holders.has(name)),
    holder: (name) => Effect.sync(() => Option.fromUndefinedOr(holders.get(name)))
  }
}
