/**
 * Port: how a run is executed. It works on encoded data and knows nothing of schedules or stores.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import type { RunRecord, RunResult } from "./internal/runRecord.ts"
import { Tally } from "./internal/taskTally.ts"
import { InvalidOption } from "./SchedulerError.ts"
import { TaskRegistry } from "./TaskRegistry.ts"
import * as TaskRunner from "./TaskRunner.ts"

export type { RunRecord, RunResult } from "./internal/runRecord.ts"

/**
 * The port.
 *
 * @category services
 * @since 0.1.0
 */
export class Executor extends Context.Service<Executor, {
  readonly name: string
  /** Tags it can run now, each with the newest payload version it decodes. Read before every claim. */
  readonly tags: Effect.Effect<ReadonlyMap<string, number>>
  /** Runs it executes at once. */
  readonly capacity: number
  /**
   * Whether it ends by itself whatever goes on when its time is up, so that nobody else needs to look: then `timeout` counts
   * from where the handler begins, and not from the claim. Default: `false`.
   */
  readonly keepsTime?: boolean | undefined
  readonly run: (record: RunRecord) => Effect.Effect<RunResult>
}>()("punctual/Executor") {}

/**
 * Runs attempts in fibers of this process: what `TaskScheduler.layer` uses unless told otherwise.
 *
 * **Details**
 *
 * At most `concurrency` (1,000) at once; more wait their turn. Fibers are children of the layer: closing it interrupts
 * those still going and waits 5 s for their finalizers. Interrupting `run` interrupts its fiber, and waits for it; closing
 * does not. Throws `InvalidOption` for a `concurrency` that is not a positive integer.
 *
 * **Gotchas**
 *
 * Fibers share one thread: a handler that computes for a second without yielding delays everything else for a second.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFibers = (options?: {
  /** For messages. */
  readonly name?: string | undefined
  readonly concurrency?: number | undefined
}): Layer.Layer<Executor, never, TaskRegistry> => {
  const capacity = options?.concurrency ?? defaultConcurrency
  if (!(Number.isSafeInteger(capacity) && capacity >= 1)) {
    throw new InvalidOption({
      option: "concurrency",
      value: capacity,
      message: `concurrency must be an integer of at least 1, not ${capacity}`
    })
  }
  const name = options?.name ?? "fibers"
  return Layer.effect(Executor)(Effect.gen(function*() {
    const registry = yield* TaskRegistry
    const slots = new Slots(capacity)
    const running = new Tally()
    const fibers = new Set<Fiber.Fiber<RunResult>>()
    let closed = false
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        // Closing interrupts all fibers at once, not one after the other's finalizers.
        return close(name, Fiber.interruptAll(fibers), running)
      })
    )
    return {
      name,
      tags: Effect.succeed(registry.tags),
      capacity,
      run: (record) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.withFiber((parent) => {
            if (closed) return Effect.interrupt
            running.enter()
            const attempt = TaskRunner.run(registry, record)
            let held = slots.take()
            const turn = held ? attempt : Effect.andThen(slots.await(() => held = true), attempt)
            const fiber = Effect.runForkWith(parent.context)(turn)
            const exit = fiber.pollUnsafe()
            // A handler that has nothing to wait for has ended: nobody has to know of its fiber.
            if (exit !== undefined) {
              if (held) slots.give()
              running.leave()
              return exit
            }
            let counted = true
            const leave = () => {
              if (counted) running.leave()
              counted = false
            }
            // Its first steps may have closed the layer.
            if (closed) fiber.interruptUnsafe(parent.id)
            else fibers.add(fiber)
            fiber.addObserver(() => {
              fibers.delete(fiber)
              if (held) slots.give()
              leave()
            })
            return Effect.onInterrupt(restore(Fiber.join(fiber)), () => {
              // Whoever interrupted it waits for it here, for as long as it likes.
              leave()
              return Fiber.interrupt(fiber)
            })
          })
        )
    }
  }))
}

/** Places for runs, and those who wait for one, in their order. A scheduler asks for no more than there are: mostly nobody waits. */
class Slots {
  private free: number
  private readonly line = new Set<() => void>()

  constructor(capacity: number) {
    this.free = capacity
  }

  take(): boolean {
    if (this.free === 0) return false
    this.free--
    return true
  }

  /** Hands the place to whoever waits longest. */
  give(): void {
    for (const next of this.line) {
      this.line.delete(next)
      next()
      return
    }
    this.free++
  }

  /** `onHeld` is called as soon as the place is taken, whatever becomes of who waits for it. */
  await(onHeld: () => void): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const next = () => {
        onHeld()
        resume(Effect.void)
      }
      this.line.add(next)
      return Effect.sync(() => this.line.delete(next))
    })
  }
}

/** Waits for what it interrupts, but not for ever: what never ends goes on by itself, and does not keep a program alive. */
const close = (name: string, interrupt: Effect.Effect<void>, running: Tally): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* Effect.forkDetach(interrupt, { startImmediately: true })
    const ended = yield* Effect.timeoutOption(running.ended, closeTimeout)
    if (ended._tag === "Some") return
    yield* Effect.logWarning(
      `Executor \`${name}\`: ${running.count} run(s) did not end within ${closeTimeout} ms of being interrupted, and were ` +
        `left behind.`
    )
  })

// As long as a scheduler gives a run that it interrupts. It closes with an executor's layer after that.
const closeTimeout = 5_000

// Fibers cost about a kilobyte; more runs at once than this usually means that something behind them is slow.
const defaultConcurrency = 1_000

/**
 * Runs attempts one after another in the fiber that asks: deterministic, for tests and scripts.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerInline: Layer.Layer<Executor, never, TaskRegistry> = Layer.effect(Executor)(
  Effect.gen(function*() {
    const registry = yield* TaskRegistry
    const turn = Semaphore.makeUnsafe(1)
    return {
      name: "inline",
      tags: Effect.succeed(registry.tags),
      capacity: 1,
      run: (record) => turn.withPermit(TaskRunner.run(registry, record))
    }
  })
)
