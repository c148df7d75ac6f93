/**
 * Time and processes that can be stopped anywhere: every step of every fiber is taken here, one at a time.
 *
 *     some process has work? ──yes──▶ one of them, drawn, takes one step ──▶ again
 *              │ no
 *              └──▶ time goes on to the next timer ──▶ again
 *
 * A process that crashes takes no further step: nothing of it is finalised. One that is frozen takes its steps later.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import type { Draw } from "./random.ts"

/** Steps without time going on, after which it is taken to stand still for ever. */
const mostSteps = 200_000

/** Of one instant there were so many steps that something goes round in circles. */
export class TimeStandsStill extends Error {}

interface Timer {
  at: number
  readonly order: number
  readonly process: Process | undefined
  readonly run: () => void
  gone: boolean
}

export class World {
  /** Milliseconds since the simulation started. */
  now = 0
  /** While the store is at work nobody else takes a step, unless the store itself waits. */
  held = false
  private readonly timers: Array<Timer> = []
  private readonly processes: Array<Process> = []
  private ordered = 0
  /** What zero is, in milliseconds since 1970. */
  readonly start: number
  private readonly draw: Draw

  constructor(start: number, draw: Draw) {
    this.start = start
    this.draw = draw
  }

  spawn(node: number, wallOffset: number): Process {
    const process = new Process(this, node, wallOffset)
    this.processes.push(process)
    return process
  }

  gone(process: Process): void {
    this.processes.splice(this.processes.indexOf(process), 1)
  }

  /** Calls back at an instant; for a process, as one of its steps. */
  after(millis: number, run: () => void, process?: Process): () => void {
    const timer: Timer = { at: this.now + Math.max(0, millis), order: this.ordered++, process, run, gone: false }
    const { timers } = this
    let i = timers.push(timer) - 1
    while (i > 0) {
      const parent = (i - 1) >>> 1
      if (!earlier(timer, timers[parent]!)) break
      timers[i] = timers[parent]!
      i = parent
    }
    timers[i] = timer
    return () => {
      timer.gone = true
    }
  }

  /** A process whose timers stand still for so long. */
  postpone(process: Process, millis: number): void {
    const mine = this.timers.filter((timer) => timer.process === process && !timer.gone)
    for (const timer of mine) {
      timer.gone = true
      this.after(timer.at - this.now + millis, timer.run, process)
    }
  }

  /** Lets everything happen up to an instant. */
  runUntil(until: number): void {
    let steps = 0
    while (true) {
      const able = this.processes.filter((process) => process.able)
      if (able.length > 0) {
        if (++steps > mostSteps) throw new TimeStandsStill(`time stands still at ${this.now} ms`)
        able[able.length === 1 ? 0 : this.draw.int(0, able.length - 1)]!.step()
        continue
      }
      const timer = this.nextTimer()
      if (timer === undefined || timer.at > until) {
        this.now = until
        return
      }
      this.pop()
      if (timer.at > this.now) steps = 0
      this.now = Math.max(this.now, timer.at)
      if (timer.process === undefined) timer.run()
      else timer.process.enqueue(timer.run, 0)
    }
  }

  private nextTimer(): Timer | undefined {
    const { timers } = this
    while (timers.length > 0 && (timers[0]!.gone || timers[0]!.process?.alive === false)) this.pop()
    return timers[0]
  }

  private pop(): void {
    const { timers } = this
    const last = timers.pop()!
    if (timers.length === 0) return
    let i = 0
    while (true) {
      let child = 2 * i + 1
      if (child >= timers.length) break
      if (child + 1 < timers.length && earlier(timers[child + 1]!, timers[child]!)) child++
      if (!earlier(timers[child]!, last)) break
      timers[i] = timers[child]!
      i = child
    }
    timers[i] = last
  }
}

const earlier = (self: Timer, that: Timer): boolean =>
  self.at < that.at || (self.at === that.at && self.order < that.order)

const nanosPerMilli = BigInt(1_000_000)

/** One incarnation of a node: its fibers, their clock, and whether it takes steps. */
export class Process {
  alive = true
  /** How many reasons there are for it to stand still. */
  frozen = 0
  /** How far its wall clock is ahead of the true time. */
  wallOffset: number
  /** How long its monotonic clock has stood still. */
  private slept = 0
  /** It crashes before it takes so many more steps. */
  private stepsLeft = Infinity
  private onCrash: (() => void) | undefined
  private readonly queue: Array<{ readonly priority: number; readonly task: () => void }> = []

  readonly world: World
  readonly node: number
  /** Told each time it begins to stand still. */
  onFreeze: () => void = () => {}

  constructor(world: World, node: number, wallOffset: number) {
    this.world = world
    this.node = node
    this.wallOffset = wallOffset
  }

  get able(): boolean {
    return this.queue.length > 0 && this.frozen === 0
  }

  enqueue(task: () => void, priority: number): void {
    if (!this.alive) return
    const { queue } = this
    let i = queue.length
    while (i > 0 && queue[i - 1]!.priority > priority) i--
    if (i === queue.length) queue.push({ priority, task })
    else queue.splice(i, 0, { priority, task })
  }

  step(): void {
    if (this.stepsLeft-- <= 0) {
      this.onCrash?.()
      return
    }
    this.queue.shift()!.task()
  }

  crashAfter(steps: number, onCrash: () => void): void {
    this.stepsLeft = steps
    this.onCrash = onCrash
  }

  /** Nothing of it goes on. */
  kill(): void {
    if (!this.alive) return
    this.alive = false
    this.queue.length = 0
    this.world.gone(this)
  }

  /** It stands still for so long; a suspended machine's monotonic clock and timers, too. */
  freeze(millis: number, suspended: boolean): void {
    this.frozen++
    this.onFreeze()
    if (suspended) {
      this.slept += millis
      this.world.postpone(this, millis)
    }
    this.world.after(millis, () => this.frozen--)
  }

  readonly clock: Clock.Clock = (() => {
    const wall = () => this.world.start + this.world.now + this.wallOffset
    const monotonic = () => BigInt(Math.round(this.world.now - this.slept)) * nanosPerMilli
    return {
      currentTimeMillisUnsafe: wall,
      currentTimeMillis: Effect.sync(wall),
      currentTimeNanosUnsafe: () => BigInt(wall()) * nanosPerMilli,
      currentTimeNanos: Effect.sync(() => BigInt(wall()) * nanosPerMilli),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration: Duration.Duration) => this.sleep(Math.ceil(Duration.toMillis(duration)))
    }
  })()

  private sleep(millis: number): Effect.Effect<void> {
    return millis <= 0 ? Effect.yieldNow : Effect.callback<void>((resume) => {
      if (millis === Infinity) return
      const cancel = this.world.after(millis, () => resume(Effect.void), this)
      return Effect.sync(cancel)
    })
  }

  readonly scheduler: Scheduler.Scheduler = (() => {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task, priority) => this.enqueue(task, priority),
      flush: () => {}
    }
    return {
      executionMode: "async",
      shouldYield: (fiber) => !this.world.held && fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield,
      makeDispatcher: () => dispatcher
    }
  })()

  /** Starts a fiber of this process. */
  fork<A, E, R>(effect: Effect.Effect<A, E, R>, context: Context.Context<R>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(Context.add(context, Scheduler.Scheduler, this.scheduler) as Context.Context<R>)(effect)
  }
}
