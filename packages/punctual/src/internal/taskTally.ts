/**
 * Counts what is in progress, so that closing can wait for it.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** @internal */
export class Tally {
  count = 0
  private nobody: Deferred.Deferred<void> | undefined

  enter(): void {
    this.count++
  }

  leave(): void {
    this.count--
    if (this.count > 0 || this.nobody === undefined) return
    const nobody = this.nobody
    this.nobody = undefined
    Deferred.doneUnsafe(nobody, Exit.void)
  }

  /** Waits until nothing is in progress. */
  readonly ended: Effect.Effect<void> = Effect.suspend(() => {
    if (this.count === 0) return Effect.void
    this.nobody ??= Deferred.makeUnsafe()
    return Deferred.await(this.nobody)
  })
}
