/**
 * The lifecycle tasks of one scheduler: who is up, who waits for what, who goes down before whom.
 *
 *     ┌─▶ wait: `after`, then the lock ─▶ acquire ─▶ up, ticks ─▶ going down ─▶ its dependents are down ─▶ its tick has ended ─▶ clean up ─┐
 *     └───────────────────────────── restart, lock lost, one of `after` went down ◀──────────── lock given back ◀──────────────────────────┘
 *
 * A term is the time from one `acquire` to its last finalizer; with a lock it lies within one hold of it. Each lifecycle
 * has a fiber that serves its terms one after another. They are started in the order of `after`, once App is built, and
 * stopped in the opposite one, after the engine.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Activity from "../../Activity.ts"
import type { AcquireError, Held, LockTimeout } from "../../Lock.ts"
import { InvalidOption } from "../../SchedulerError.ts"
import { closest } from "../options.ts"
import { Tally } from "../taskTally.ts"
import { closeWithin } from "./cleanup.ts"

/** What is served. Nothing in it has requirements left but the scope of a term. */
export interface Description {
  readonly name: string
  readonly after: ReadonlyArray<string>
  readonly lock: {
    readonly name: string
    readonly hold: Effect.Effect<Held, AcquireError | LockTimeout, Scope.Scope>
  } | undefined
  readonly acquire: (held: Held | undefined) => Effect.Effect<unknown, unknown, Scope.Scope>
  readonly onFailure: "continue" | "restart" | "stop"
  readonly cleanupTimeout: Duration.Duration
  /** Lets ticks come, or holds them back. */
  readonly ticking: (on: boolean) => Effect.Effect<void>
}

/**
 * A tick came where nothing is acquired: it was on its way when its lifecycle went down.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAcquired extends Schema.TaggedError<NotAcquired>()("NotAcquired", { name: Schema.String }) {
  override get message(): string {
    return `Lifecycle \`${this.name}\` went down before this tick could end; the next tick comes when it is up again.`
  }
}

/** Why a term ends. */
type End = "failed" | "lockLost" | "after" | "finished"

/** What a tick answers after which there are no more. */
export const finished = Symbol.for("punctual/Lifecycle/finished")

/** From one `acquire` to its last finalizer. */
class Term {
  readonly ending = Deferred.makeUnsafe<End>()
  readonly down = Deferred.makeUnsafe<void>()
  readonly dependents = new Set<Term>()
  readonly ticks = new Tally()
  resource: unknown

  end(reason: End): void {
    Deferred.doneUnsafe(this.ending, Exit.succeed(reason))
  }

  get ended(): boolean {
    return Deferred.isDoneUnsafe(this.ending)
  }
}

/** Seconds between a failure and the next try: 1, 2, 4 … 60. What was up for a minute begins again at 1. */
const pause = (failures: number) => Duration.seconds(Math.min(60, 2 ** (failures - 1)))
const steady = Duration.toMillis("1 minute")

export class Lifecycle {
  readonly description: Description
  /** Lifecycles that it comes after; known once it is started. */
  parents: ReadonlyArray<Lifecycle> = []
  private term: Term | undefined
  private up = Deferred.makeUnsafe<Term>()
  private readonly first = Deferred.makeUnsafe<void, unknown>()

  constructor(description: Description) {
    this.description = description
  }

  private get label(): string {
    return `lifecycle \`${this.description.name}\``
  }

  /** Whether it is up as soon as it is started, or the start fails: it waits for no lock, nor does what it comes after. */
  private get immediate(): boolean {
    return this.description.lock === undefined && this.parents.every((parent) => parent.immediate)
  }

  /** A tick: needs a term, and ends with it. */
  tick<E, R>(tick: (resource: unknown) => Effect.Effect<unknown, E, R>): Effect.Effect<void, E | NotAcquired, R> {
    return Effect.suspend(() => {
      const { term } = this
      const { name, onFailure } = this.description
      if (term === undefined || term.ended) return Effect.fail(new NotAcquired({ name }))
      term.ticks.enter()
      const down = Effect.flatMap(Deferred.await(term.ending), () => Effect.fail(new NotAcquired({ name })))
      const work = Effect.tapCause(Effect.suspend(() => tick(term.resource)), (cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.void
        if (onFailure !== "continue") term.end("failed")
        return Effect.logError(`A tick of \`${name}\` failed.`, cause)
      })
      return Effect.raceFirst(work, down).pipe(
        Effect.map((answer) => answer === finished ? term.end("finished") : undefined),
        Effect.ensuring(Effect.sync(() => term.ticks.leave()))
      )
    })
  }

  /** Serves its terms until the scope closes, which waits for the cleanup. */
  start(parents: ReadonlyArray<Lifecycle>): Effect.Effect<void, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      this.parents = parents
      const loop = Activity.counted(this.serve, this.label).pipe(
        Effect.annotateLogs({ lifecycle: this.description.name })
      )
      const fiber = yield* Effect.forkDetach(loop, { startImmediately: true })
      yield* Effect.addFinalizer(() => Activity.idle(Fiber.interrupt(fiber)))
      if (this.immediate) yield* Deferred.await(this.first)
    })
  }

  private readonly serve: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    const { onFailure } = this.description
    let failures = 0
    while (true) {
      const begun = yield* Clock.currentTimeMillis
      const exit = yield* Effect.exit(this.serveTerm)
      if (Exit.isSuccess(exit) && exit.value === "finished") return
      if (Exit.isSuccess(exit) && exit.value !== "failed") continue
      if (Exit.isFailure(exit)) {
        if (!Deferred.isDoneUnsafe(this.first) && this.immediate) {
          return yield* Deferred.failCause(this.first, exit.cause)
        }
        yield* Effect.logError(`${this.label} could not acquire what it needs.`, exit.cause)
      }
      if (onFailure === "stop") return yield* Effect.logWarning(`${this.label} has stopped after a failure.`)
      const lasted = (yield* Clock.currentTimeMillis) - begun
      failures = lasted >= steady ? 1 : failures + 1
      yield* Effect.sleep(pause(failures))
    }
  })

  private readonly serveTerm: Effect.Effect<End, unknown> = Effect.scoped(Effect.gen({ self: this }, function*() {
    const { acquire, lock, ticking } = this.description
    const parents = yield* Activity.idle(
      Effect.forEach(this.parents, (parent) => Effect.suspend(() => Deferred.await(parent.up)))
    )
    const held = lock === undefined ? undefined : yield* Activity.idle(lock.hold)
    // One of them went down while another, or the lock, was waited for.
    if (parents.some((parent) => parent.ended)) return "after"
    const term = new Term()
    const resources = yield* Scope.make()
    for (const parent of parents) parent.dependents.add(term)
    yield* Effect.addFinalizer((exit) =>
      Effect.andThen(
        this.takeDown(term, resources, exit),
        Effect.sync(() => parents.forEach((parent) => parent.dependents.delete(term)))
      )
    )

    const live = Effect.gen({ self: this }, function*() {
      term.resource = yield* Scope.provide(acquire(held), resources)
      this.term = term
      Deferred.doneUnsafe(this.up, Exit.succeed(term))
      Deferred.doneUnsafe(this.first, Exit.void)
      yield* ticking(true)
      return yield* Activity.idle(Deferred.await(term.ending))
    })
    const ends = [
      ...(held === undefined ?
        [] :
        [Effect.catch(held.awaitLost, (lost) => Effect.as(Effect.logWarning(lost.message), "lockLost" as const))]),
      ...parents.map((parent) => Effect.as(Deferred.await(parent.ending), "after" as const))
    ]
    return yield* Effect.raceAllFirst<Effect.Effect<End, unknown, Scope.Scope>>([live, ...ends])
  }))

  private takeDown(term: Term, resources: Scope.Closeable, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const { cleanupTimeout, ticking } = this.description
      const wasUp = this.term === term
      term.end("after")
      if (wasUp) {
        this.term = undefined
        this.up = Deferred.makeUnsafe()
        // When the scheduler closes nothing ticks any more.
        if (Exit.isSuccess(exit)) yield* ticking(false)
      }
      yield* Activity.idle(Effect.forEach(term.dependents, (dependent) => Deferred.await(dependent.down)))
      const ended = yield* Effect.timeoutOption(Activity.idle(term.ticks.ended), cleanupTimeout)
      if (Option.isNone(ended)) {
        yield* Effect.logWarning(
          `A tick of ${this.label} did not stop within ${Duration.format(cleanupTimeout)}: cleaning up under it.`
        )
      }
      yield* closeWithin(resources, exit, cleanupTimeout, this.label)
      Deferred.doneUnsafe(term.down, Exit.void)
    })
  }
}

/** All of a scheduler. What is added once it has started starts at once, in the scope of who adds it. */
export class Lifecycles {
  private readonly all = new Map<string, Lifecycle>()
  private started: boolean

  constructor({ started }: { readonly started: boolean }) {
    this.started = started
  }

  add(lifecycle: Lifecycle): Effect.Effect<void, unknown, Scope.Scope> {
    return Effect.gen({ self: this }, function*() {
      const { name } = lifecycle.description
      this.all.set(name, lifecycle)
      if (!this.started) return
      yield* Effect.addFinalizer(() => Effect.sync(() => this.all.delete(name)))
      yield* lifecycle.start(yield* this.parentsOf(lifecycle))
    })
  }

  readonly start: Effect.Effect<void, unknown, Scope.Scope> = Effect.gen({ self: this }, function*() {
    this.started = true
    for (const lifecycle of yield* this.ordered) yield* lifecycle.start(yield* this.parentsOf(lifecycle))
  })

  private parentsOf(lifecycle: Lifecycle): Effect.Effect<ReadonlyArray<Lifecycle>, InvalidOption> {
    const { after, name } = lifecycle.description
    return Effect.forEach(after, (other) => {
      const parent = this.all.get(other)
      if (parent !== undefined) return Effect.succeed(parent)
      const meant = closest(other, this.all.keys())
      return Effect.fail(
        new InvalidOption({
          option: "after",
          value: other,
          message: `Lifecycle \`${name}\` comes after \`${other}\`, which this scheduler does not have${
            meant === undefined ? "" : `: did you mean \`${meant}\`?`
          }`
        })
      )
    })
  }

  /** As they were added, each behind those that it comes after. */
  private readonly ordered: Effect.Effect<ReadonlyArray<Lifecycle>, InvalidOption> = Effect.gen(
    { self: this },
    function*() {
      const ordered = new Set<Lifecycle>()
      const visit = (lifecycle: Lifecycle, trail: ReadonlyArray<Lifecycle>): Effect.Effect<void, InvalidOption> =>
        Effect.gen({ self: this }, function*() {
          if (ordered.has(lifecycle)) return
          const at = trail.indexOf(lifecycle)
          if (at >= 0) {
            const names = [...trail.slice(at), lifecycle].map(({ description }) => `\`${description.name}\``)
            return yield* new InvalidOption({
              option: "after",
              value: lifecycle.description.name,
              message: `Lifecycles wait for each other, and none could begin: ${names.join(" after ")}.`
            })
          }
          for (const parent of yield* this.parentsOf(lifecycle)) yield* visit(parent, [...trail, lifecycle])
          ordered.add(lifecycle)
        })
      for (const lifecycle of this.all.values()) yield* visit(lifecycle, [])
      return [...ordered]
    }
  )
}

/** Those of the scheduler that a layer is built in, if it is built in one. */
export const Current = Context.Reference<Lifecycles | undefined>("punctual/Lifecycles", {
  defaultValue: () => undefined
})
