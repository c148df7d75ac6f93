/**
 * Schedulers in one process, behind one small interface.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"

export interface Session {
  /** Runs `f` once at each instant. */
  readonly once: (count: number, at: (i: number) => number, f: (i: number) => void) => Promise<void>
  /** Runs `f` every second, aligned to whole seconds where the contender can. */
  readonly everySecond?: (count: number, f: (i: number) => void) => Promise<void>
  readonly close: () => Promise<void>
}

export type Contender = () => Promise<Session>

const now = () => Clock.Clock.defaultValue().currentTimeMillisUnsafe()

/** A binary heap of instants and one timer: what a scheduler cannot beat without doing less. */
const limit: Contender = async () => {
  const due: Array<number> = []
  const jobs: Array<() => void> = []
  const periods: Array<number> = []
  let timer: NodeJS.Timeout | undefined
  const up = (i: number) => {
    const d = due[i]!, j = jobs[i]!, p = periods[i]!
    while (i > 0) {
      const parent = (i - 1) >>> 1
      if (due[parent]! <= d) break
      due[i] = due[parent]!
      jobs[i] = jobs[parent]!
      periods[i] = periods[parent]!
      i = parent
    }
    due[i] = d
    jobs[i] = j
    periods[i] = p
  }
  const down = () => {
    const d = due[0]!, j = jobs[0]!, p = periods[0]!
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= due.length) break
      if (child + 1 < due.length && due[child + 1]! < due[child]!) child++
      if (due[child]! >= d) break
      due[i] = due[child]!
      jobs[i] = jobs[child]!
      periods[i] = periods[child]!
      i = child
    }
    due[i] = d
    jobs[i] = j
    periods[i] = p
  }
  const arm = () => {
    clearTimeout(timer)
    if (due.length > 0) timer = setTimeout(fire, Math.max(0, Math.min(due[0]! - now(), 60_000)))
  }
  const fire = () => {
    const at = now()
    while (due.length > 0 && due[0]! <= at) {
      jobs[0]!()
      if (periods[0]! > 0) {
        due[0] = due[0]! + periods[0]!
        down()
      } else {
        const d = due.pop()!, j = jobs.pop()!, p = periods.pop()!
        if (due.length > 0) {
          due[0] = d
          jobs[0] = j
          periods[0] = p
          down()
        }
      }
    }
    arm()
  }
  const add = (at: number, period: number, f: () => void) => {
    due.push(at)
    jobs.push(f)
    periods.push(period)
    up(due.length - 1)
  }
  return {
    once: async (count, at, f) => {
      for (let i = 0; i < count; i++) add(at(i), 0, () => f(i))
      arm()
    },
    everySecond: async (count, f) => {
      const first = Math.ceil(now() / 1_000) * 1_000
      for (let i = 0; i < count; i++) add(first, 1_000, () => f(i))
      arm()
    },
    close: async () => clearTimeout(timer)
  }
}

const setTimeouts: Contender = async () => {
  const timers: Array<NodeJS.Timeout> = []
  return {
    once: async (count, at, f) => {
      for (let i = 0; i < count; i++) timers.push(setTimeout(f, at(i) - now(), i))
    },
    everySecond: async (count, f) => {
      for (let i = 0; i < count; i++) timers.push(setInterval(f, 1_000, i))
    },
    close: async () => timers.forEach((timer) => clearTimeout(timer))
  }
}

const fibers: Contender = async () => {
  const running: Array<Fiber.Fiber<unknown, unknown>> = []
  return {
    once: async (count, at, f) => {
      for (let i = 0; i < count; i++) {
        running.push(Effect.runFork(Effect.andThen(Effect.sleep(Math.max(0, at(i) - now())), Effect.sync(() => f(i)))))
      }
    },
    close: () => Effect.runPromise(Fiber.interruptAll(running))
  }
}

const toad: Contender = async () => {
  const { SimpleIntervalJob, Task, ToadScheduler } = await import("toad-scheduler")
  const scheduler = new ToadScheduler()
  return {
    // It has no one-off jobs: an interval that removes itself.
    once: async (count, at, f) => {
      for (let i = 0; i < count; i++) {
        const id = `job-${i}`
        scheduler.addSimpleIntervalJob(
          new SimpleIntervalJob(
            { milliseconds: Math.max(1, at(i) - now()) },
            new Task(id, () => {
              f(i)
              scheduler.removeById(id)
            }),
            { id }
          )
        )
      }
    },
    everySecond: async (count, f) => {
      for (let i = 0; i < count; i++) {
        scheduler.addSimpleIntervalJob(
          new SimpleIntervalJob({ seconds: 1 }, new Task(`job-${i}`, () => f(i)), { id: `job-${i}` })
        )
      }
    },
    close: async () => scheduler.stop()
  }
}

const croner: Contender = async () => {
  const { Cron } = await import("croner")
  const jobs: Array<InstanceType<typeof Cron>> = []
  return {
    once: async (count, at, f) => {
      for (let i = 0; i < count; i++) jobs.push(new Cron(new Date(at(i)), () => f(i)))
    },
    everySecond: async (count, f) => {
      for (let i = 0; i < count; i++) jobs.push(new Cron("* * * * * *", () => f(i)))
    },
    close: async () => jobs.forEach((job) => job.stop())
  }
}

const cron: Contender = async () => {
  const { CronJob } = await import("cron")
  const jobs: Array<InstanceType<typeof CronJob>> = []
  return {
    once: async (count, at, f) => {
      for (let i = 0; i < count; i++) jobs.push(new CronJob(new Date(at(i)), () => f(i), null, true))
    },
    everySecond: async (count, f) => {
      for (let i = 0; i < count; i++) jobs.push(new CronJob("* * * * * *", () => f(i), null, true))
    },
    close: async () => jobs.forEach((job) => void job.stop())
  }
}

const nodeSchedule: Contender = async () => {
  const schedule = (await import("node-schedule")).default
  return {
    once: async (count, at, f) => {
      for (let i = 0; i < count; i++) schedule.scheduleJob(new Date(at(i)), () => f(i))
    },
    everySecond: async (count, f) => {
      for (let i = 0; i < count; i++) schedule.scheduleJob("* * * * * *", () => f(i))
    },
    close: () => schedule.gracefulShutdown()
  }
}

/** `heard`: each task has a policy of its own, and somebody listens to all events. */
const punctual = ({ heard }: { readonly heard: boolean }): Contender => async () => {
  const Schema = await import("effect/Schema")
  const MemoryTaskStore = await import("punctual/MemoryTaskStore")
  const Task = await import("punctual/Task")
  const TaskScheduler = await import("punctual/TaskScheduler")
  const Trigger = await import("punctual/Trigger")
  let run: (i: number) => void = () => {}
  const Job = Task.make("Job", { payload: { i: Schema.Int } })
  const JobLive = Job.toLayer(({ i }) => Effect.sync(() => run(i)))
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(
    Layer.buildWithScope(
      TaskScheduler.layer(JobLive, { drainTimeout: 0 }).pipe(Layer.provide(MemoryTaskStore.layer)),
      scope
    )
  )
  const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
  let events = 0
  if (heard) {
    const Stream = await import("effect/Stream")
    Effect.runForkWith(context)(Stream.runForEach(scheduler.events, () => Effect.sync(() => void events++)))
  }
  const add = (count: number, trigger: (i: number) => ReturnType<typeof Trigger.at>) =>
    Effect.runPromise(
      Effect.provideContext(
        scheduler.addAll(Array.from({ length: count }, (_, i) =>
          Task.scheduled(Job, {
            id: `job-${i}`,
            payload: { i },
            trigger: trigger(i),
            ...heard ? { whenBusy: "queue" } : {}
          }))),
        context
      )
    )
  return {
    once: async (count, at, f) => {
      run = f
      await add(count, (i) => Trigger.at(at(i)))
    },
    everySecond: async (count, f) => {
      run = f
      const everySecond = Trigger.cron("* * * * * *")
      await add(count, () => everySecond)
    },
    close: async () => {
      if (heard && events === 0) throw new Error("no event was heard")
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}

export const contenders: Readonly<Record<string, Contender>> = {
  punctual: punctual({ heard: false }),
  "punctual, events and policy": punctual({ heard: true }),
  "limit (heap, one timer)": limit,
  setTimeout: setTimeouts,
  "one fiber per task": fibers,
  "toad-scheduler": toad,
  croner,
  cron,
  "node-schedule": nodeSchedule
}
