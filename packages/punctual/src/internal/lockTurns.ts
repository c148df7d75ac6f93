/**
 * The line of fibers of one program before each lock.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

interface Waiter {
  granted: boolean
  readonly call: () => void
}

/**
 * Turns by name, in the order of asking. A name is known only while somebody has or waits for its turn.
 *
 * @internal
 */
export class Turns {
  readonly #lines = new Map<string, Set<Waiter>>()

  /** Waits for the turn, which `give` ends. To be called where nothing interrupts: the wait itself may be interrupted. */
  take(name: string): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const line = this.#lines.get(name)
      if (line === undefined) return Effect.succeed(this.tryTake(name))
      let waiter: Waiter | undefined
      const wait = Effect.callback<void>((resume) => {
        waiter = { granted: false, call: () => resume(Effect.void) }
        line.add(waiter)
      })
      return Effect.interruptible(wait).pipe(
        // Interrupted after it was called, and before it could know: the turn goes on to the next.
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            if (waiter?.granted === true) this.give(name)
            else if (waiter !== undefined) line.delete(waiter)
          })
        ),
        Effect.as(true)
      )
    })
  }

  /** Takes the turn if nobody has it. */
  tryTake(name: string): boolean {
    if (this.#lines.has(name)) return false
    this.#lines.set(name, new Set())
    return true
  }

  /** Ends a turn: the next in line has it, before anybody who comes later. */
  give(name: string): void {
    const line = this.#lines.get(name)
    const [next] = line ?? []
    if (line === undefined || next === undefined) {
      this.#lines.delete(name)
      return
    }
    line.delete(next)
    next.granted = true
    next.call()
  }
}
