/**
 * A clock that knows who sleeps, and a count of what is in flight.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as TestClock from "effect/testing/TestClock"
import * as Activity from "../Activity.ts"

export interface VirtualTime {
  readonly testClock: TestClock.TestClock
  /** What the program under test has as its clock. */
  readonly clock: Clock.Clock
  readonly activity: Omit<Activity.Activity, "observe">
  /** How many things are in flight. */
  readonly busy: () => number
  /** How many have begun or ended until now. */
  readonly changes: () => number
  readonly labels: () => ReadonlyArray<string>
  /** Counts what is in flight now no longer, each until it has ended. */
  readonly giveUp: () => void
  /** Ends when nothing is in flight. */
  readonly idle: Effect.Effect<void>
  /** The earliest instant of the test clock at which something wakes up. */
  readonly nextSleeper: () => number
  readonly jump: (millis: number) => void
  /** How far the wall clock is ahead of the test clock. */
  readonly offset: () => number
  /** Runs an effect on the real clock. */
  readonly live: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const makeVirtualTime = (testClock: TestClock.TestClock): Effect.Effect<VirtualTime> =>
  Effect.sync(() => {
    let offset = 0
    const sleepers = new Sleepers()

    // A label may be below zero: several fibers of one run sleep. It counts as nothing then.
    const counts = new Map<string, number>()
    const givenUp = new Set<string>()
    let total = 0
    let changes = 0
    const idle = Latch.makeUnsafe(true)
    const add = (label: string, by: 1 | -1): void => {
      changes++
      const before = counts.get(label) ?? 0
      const after = before + by
      if (after === 0) counts.delete(label)
      else counts.set(label, after)
      if (givenUp.has(label)) {
        if (after <= 0) givenUp.delete(label)
        return
      }
      total += Math.max(0, after) - Math.max(0, before)
      if (total === 0) idle.openUnsafe()
      else idle.closeUnsafe()
    }
    const giveUp = (): void => {
      for (const [label, count] of counts) if (count > 0) givenUp.add(label)
      total = 0
      idle.openUnsafe()
    }
    const begin = (label: string) => add(label, 1)
    const end = (label: string) => add(label, -1)

    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: () => testClock.currentTimeMillisUnsafe() + offset,
      currentTimeMillis: Effect.sync(() => testClock.currentTimeMillisUnsafe() + offset),
      currentTimeNanosUnsafe: () => testClock.currentTimeNanosUnsafe() + BigInt(offset) * nanosPerMilli,
      currentTimeNanos: Effect.sync(() => testClock.currentTimeNanosUnsafe() + BigInt(offset) * nanosPerMilli),
      monotonicTimeNanosUnsafe: () => testClock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: testClock.monotonicTimeNanos,
      sleep: (duration: Duration.Duration) =>
        Effect.withFiber((fiber) => {
          const label = fiber.getRef(Activity.Label)
          const until = testClock.currentTimeMillisUnsafe() + Duration.toMillis(duration)
          const sleeper = sleepers.add(until)
          if (label !== undefined) end(label)
          return Effect.ensuring(
            testClock.sleep(duration),
            Effect.sync(() => {
              sleepers.remove(sleeper)
              if (label !== undefined) begin(label)
            })
          )
        })
    }
    return {
      testClock,
      clock,
      activity: { virtual: true, begin, end, live: (effect) => testClock.withLive(effect) },
      busy: () => total,
      changes: () => changes,
      giveUp,
      labels: () => [...counts].filter(([, count]) => count > 0).map(([label]) => label),
      idle: idle.await,
      nextSleeper: () => sleepers.next(),
      jump: (millis) => {
        offset += millis
      },
      offset: () => offset,
      live: (effect) => testClock.withLive(effect)
    }
  })

const nanosPerMilli = BigInt(1_000_000)

interface Sleeper {
  readonly until: number
  gone: boolean
}

/**
 * A binary heap of wake-up instants; those that are gone are dropped when they come to the top, or when they are most: who
 * is woken before its time each second, and would sleep for a day, leaves one behind each second.
 */
class Sleepers {
  private heap: Array<Sleeper> = []
  private gone = 0

  add(until: number): Sleeper {
    const sleeper: Sleeper = { until, gone: false }
    const { heap } = this
    let i = heap.push(sleeper) - 1
    while (i > 0) {
      const parent = (i - 1) >>> 1
      if (heap[parent]!.until <= until) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = sleeper
    return sleeper
  }

  remove(sleeper: Sleeper): void {
    sleeper.gone = true
    if (++this.gone < 1_000 || 2 * this.gone < this.heap.length) return
    // What is sorted is a heap.
    this.heap = this.heap.filter(({ gone }) => !gone).sort((a, b) => a.until - b.until)
    this.gone = 0
  }

  next(): number {
    const { heap } = this
    while (heap.length > 0 && heap[0]!.gone) {
      this.pop()
      this.gone--
    }
    return heap.length === 0 ? Infinity : heap[0]!.until
  }

  private pop(): void {
    const { heap } = this
    const last = heap.pop()!
    if (heap.length === 0) return
    let i = 0
    while (true) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.until < heap[child]!.until) child++
      if (heap[child]!.until >= last.until) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}
