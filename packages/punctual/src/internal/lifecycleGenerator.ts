/**
 * A generator as a lifecycle: each bare `yield` is a place where it waits for its next tick.
 *
 *     next() ─▶ setup ─▶ yield ─next(true)─▶ a tick ─▶ yield ─ … ─next(false)─▶ cleanup ─▶ return
 *
 * A generator that stands elsewhere (an effect in it failed or was interrupted) is ended by `return()`, which runs its
 * `finally` blocks. Effects that it yields, there too, are carried out in the fiber that asked.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** Where a generator has come to. */
type Place = "begin" | "tick" | "elsewhere" | "end"

type Steps = Iterator<unknown, unknown, unknown>

export class GeneratorTurns {
  private readonly generator: Generator<unknown, unknown, boolean> | AsyncGenerator<unknown, unknown, boolean>
  private place: Place = "begin"

  constructor(generator: Generator<unknown, unknown, boolean> | AsyncGenerator<unknown, unknown, boolean>) {
    this.generator = generator
  }

  get ended(): boolean {
    return this.place === "end"
  }

  /** From its beginning to the first place where it waits. */
  readonly setUp: Effect.Effect<void, unknown, unknown> = this.proceed((steps) => steps.next())

  /** From one place where it waits to the next one. */
  readonly tick: Effect.Effect<void, unknown, unknown> = this.proceed((steps) => steps.next(true))

  /** To its end, wherever it stands. What fails on the way stops nothing that is still to be cleaned up. */
  readonly cleanUp: Effect.Effect<void, unknown, unknown> = Effect.gen({ self: this }, function*() {
    let causes = Cause.empty as Cause.Cause<unknown>
    if (this.place === "begin") return
    // An async one that was interrupted in a tick goes on by itself, and then gets this word.
    const standing = this.place === "tick" || Symbol.asyncIterator in this.generator
    let step = (steps: Steps) => standing ? steps.next(false) : steps.return!()
    while (this.place !== "end") {
      const exit = yield* Effect.exit(this.proceed(step))
      if (Exit.isFailure(exit)) causes = Cause.combine(causes, exit.cause)
      step = (steps) => steps.return!()
    }
    if (causes.reasons.length > 0) return yield* Effect.failCause(causes)
  })

  private proceed(step: (steps: Steps) => unknown): Effect.Effect<void, unknown, unknown> {
    return Effect.gen({ self: this }, function*() {
      if (this.place === "end") return
      this.place = "elsewhere"
      let next = step
      while (true) {
        const result = yield* this.take(next)
        if (result.done === true || !Effect.isEffect(result.value)) {
          this.place = result.done === true ? "end" : "tick"
          return
        }
        const value = yield* result.value
        next = (steps) => steps.next(value)
      }
    })
  }

  /** One step; a generator that throws has ended. */
  private take(step: (steps: Steps) => unknown): Effect.Effect<IteratorResult<unknown>> {
    const { generator } = this
    const steps = generator as unknown as Steps
    const taken = Symbol.asyncIterator in generator
      ? Effect.promise(() => step(steps) as Promise<IteratorResult<unknown>>)
      : Effect.sync(() => step(steps) as IteratorResult<unknown>)
    return Effect.onExit(taken, (exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) this.place = "end"
      }))
  }
}
