/**
 * Three schedulers over one store, random tasks, and everything that can go wrong between them: a scheduler cut off from
 * the store, replies that are lost, calls that fail or take long, orderly restarts, clocks that jump. Then everything
 * heals, and the ledger must add up.
 *
 * A failure prints its seed; `PUNCTUAL_SEED=n` runs that one again, `PUNCTUAL_SEEDS=n` the first n.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Activity from "../src/Activity.ts"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as TriggerText from "../src/internal/triggerText.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import type * as Policy from "../src/Policy.ts"
import * as Task from "../src/Task.ts"
import type { TaskRow } from "../src/TaskRecord.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TaskSchedulerClient from "../src/TaskSchedulerClient.ts"
import { TaskStore, TaskStoreError, type Wake } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { at, start } from "./utils.ts"

/** Numbers from 0 to 1 that are the same for the same seed. */
const makeRandom = (seed: number) => () => {
  seed = (seed + 0x6D2B79F5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const randomOf = (next: () => number): typeof Random.Random.Service => ({
  nextDoubleUnsafe: next,
  nextIntUnsafe: () => Math.floor(next() * Number.MAX_SAFE_INTEGER)
})

const hash = (text: string): number => {
  let h = 0x811C9DC5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h
}

/** When no trigger of the test fires any more. */
const end = "2026-01-01T02:30:00Z"

// -----------------------------------------------------------------------------
// a store that fails now and then
// -----------------------------------------------------------------------------

/** What one scheduler sees of the store. */
interface View {
  readonly faults: FaultyStore.Faults
  /** How often a call fails, loses its reply, or takes seconds, from 0 to 1. */
  luck: { readonly fail: number; readonly lose: number; readonly slow: number }
  readonly store: TaskStore["Service"]
  /** The store answers again, and says that anything may have changed. */
  readonly heal: () => void
}

/** Under which label the engine makes a call: while it is slow, time may pass. */
const labels: Readonly<Record<string, string>> = {
  due: "engine",
  commit: "engine",
  claim: "engine",
  start: "engine",
  takeover: "engine",
  settle: "settle"
}

const makeView = (
  shared: TaskStore["Service"],
  random: () => number,
  clock: Clock.Clock,
  activity: Activity.Activity
): View => {
  const faults = FaultyStore.makeFaults()
  const inner = FaultyStore.through(shared, faults)
  const listeners = new Set<(wake: Wake) => void>()
  const view = { luck: { fail: 0, lose: 0, slow: 0 } }
  const wrap = <A>(operation: string, call: Effect.Effect<A, TaskStoreError>): Effect.Effect<A, TaskStoreError> =>
    Effect.withFiber((fiber) => {
      const error = () =>
        Effect.fail(new TaskStoreError({ store: shared.name, operation, reason: "Unavailable", message: "bad luck" }))
      const { fail, lose, slow } = view.luck
      const [a, b, c] = [random(), random(), random()]
      if (a < fail) return error()
      const carried = b < lose ? Effect.andThen(call, error()) : call
      if (c >= slow || labels[operation] === undefined) return carried
      const label = fiber.getRef(Activity.Label)
      const sleep = clock.sleep(Duration.millis(Math.floor(1 + random() * 8_000)))
      // Before it is carried out, or after: what is asked and what is answered may both be old.
      const slowly = label === undefined ? Activity.asleep(sleep, activity, labels[operation]) : sleep
      return random() < 0.5
        ? Effect.andThen(slowly, carried)
        : Effect.flatMap(Effect.exit(carried), (exit) => Effect.andThen(slowly, exit))
    })
  const store: TaskStore["Service"] = {
    ...inner,
    insert: (tasks) => wrap("insert", inner.insert(tasks)),
    get: (ids) => wrap("get", inner.get(ids)),
    due: (options) => wrap("due", inner.due(options)),
    outdated: (options) => wrap("outdated", inner.outdated(options)),
    commit: (changes) => wrap("commit", inner.commit(changes)),
    claim: (options) => wrap("claim", inner.claim(options)),
    start: (options) => wrap("start", inner.start(options)),
    settle: (settlements, options) => wrap("settle", inner.settle(settlements, options)),
    heartbeat: (options) => wrap("heartbeat", inner.heartbeat(options)),
    takeover: (options) => wrap("takeover", inner.takeover(options)),
    list: (query) => wrap("list", inner.list(query)),
    prune: (options) => wrap("prune", inner.prune(options)),
    verdicts: (options) => wrap("verdicts", inner.verdicts(options)),
    listen: (onWake) =>
      Effect.andThen(
        Effect.acquireRelease(
          Effect.sync(() => listeners.add(onWake)),
          () => Effect.sync(() => listeners.delete(onWake))
        ),
        inner.listen(onWake)
      )
  }
  return Object.assign(view, {
    faults,
    store,
    heal: () => {
      faults.down = false
      faults.fail = undefined
      faults.loseReplies = undefined
      view.luck = { fail: 0, lose: 0, slow: 0 }
      for (const listener of listeners) listener({ due: null, ready: false, cancel: false })
    }
  })
}

// -----------------------------------------------------------------------------
// handlers
// -----------------------------------------------------------------------------

interface Attempt {
  readonly task: string
  readonly run: string
  readonly key: string
  readonly generation: number
  readonly token: number
  readonly node: number
  /** On the clock nobody sets. */
  readonly begun: number
  readonly deaf: boolean
  ended: "succeeded" | "failed" | "interrupted" | undefined
}

/** What an attempt does, drawn from the run's name alone. */
const behave = (draw: () => number): { readonly deaf: boolean; readonly effect: Effect.Effect<void, string> } => {
  const sleep = (most: number) => Effect.sleep(Duration.millis(Math.floor(draw() * most)))
  const kind = draw()
  if (kind < 0.25) return { deaf: false, effect: Effect.void }
  if (kind < 0.55) return { deaf: false, effect: sleep(40_000) }
  if (kind < 0.62) return { deaf: false, effect: sleep(150_000) }
  if (kind < 0.77) return { deaf: false, effect: Effect.andThen(sleep(15_000), Effect.fail("no")) }
  if (kind < 0.83) return { deaf: false, effect: Effect.andThen(sleep(5_000), Effect.die(new Error("boom"))) }
  if (kind < 0.89) return { deaf: false, effect: Effect.andThen(sleep(5_000), Effect.interrupt) }
  return { deaf: true, effect: Effect.uninterruptible(sleep(60_000)) }
}

/** What a scheduler of the test needs to be built while the test goes on. */
class Lab extends Context.Service<Lab, Context.Context<never>>()("test/Lab") {}

const Work = Task.make("Work", {
  error: Schema.String,
  retry: { times: 2, schedule: Schedule.spaced("7 seconds") }
})
const Plain = Task.make("Plain", { error: Schema.String })
const Once = Task.make("Once", { error: Schema.String, delivery: "atMostOnce" })

// -----------------------------------------------------------------------------
// the test
// -----------------------------------------------------------------------------

const stress = (seed: number) =>
  Effect.gen(function*() {
    const random = makeRandom(seed)
    const int = (from: number, to: number) => from + Math.floor(random() * (to - from + 1))
    const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(random() * values.length)]!
    const lab = yield* Lab
    const clock = Context.get(lab, Clock.Clock)
    const activity = Context.get(lab, Activity.Activity)
    const monotonic = () => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
    const shared = yield* MemoryTaskStore.make
    const client = Context.get(
      yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(Layer.succeed(TaskStore)(shared)))).pipe(
        Effect.provideContext(lab)
      ) as Effect.Effect<Context.Context<TaskSchedulerClient.TaskSchedulerClient>>,
      TaskSchedulerClient.TaskSchedulerClient
    )
    const log: Array<string> = []
    const problems: Array<string> = []
    const elapsed = () => ((clock.currentTimeMillisUnsafe() - at("00:00")) / 1000).toFixed(1)
    const problem = (text: string) => {
      problems.push(`${elapsed()}: ${text}`)
    }

    // -- what handlers saw

    const attempts: Array<Attempt> = []
    const active = new Set<Attempt>()
    const slots = new Map<string, number | undefined>()
    const once = new Set<string>()
    const graces = new Map<string, number>()
    const runsBegun = new Map<string, number>()
    const greatest = new Map<string, number>()
    let jumpedAt = -Infinity

    /** Whether the store says that this attempt owns its run, by a lease that has not ended. */
    const owns = (attempt: Attempt) =>
      Effect.map(
        shared.runs({ taskId: attempt.task, generation: attempt.generation, key: attempt.key, limit: 1 }),
        ({ items }) => {
          const row = items[0]
          return row?.state === "running" && row.token === attempt.token &&
            row.leaseUntil! > clock.currentTimeMillisUnsafe()
        }
      )

    const begin = (attempt: Attempt) =>
      Effect.gen(function*() {
        const { run, task, token } = attempt
        const others = [...active].filter((other) => other.task === task)
        attempts.push(attempt)
        active.add(attempt)
        runsBegun.set(run, (runsBegun.get(run) ?? 0) + 1)
        if (once.has(task) && runsBegun.get(run)! > 1) problem(`run ${run} of ${task}, at most once, began again`)
        const valid = yield* Effect.filter([attempt, ...others], owns)
        const most = slots.get(task)
        if (most !== undefined && valid.length > most) {
          problem(`${valid.length} handlers of ${task} at once, not ${most}`)
        }
        for (const other of others) {
          // Its lease was counted on the clock by which it was taken, unless the clock was set since one of them was claimed.
          if (other.run === run && !other.deaf && jumpedAt < Math.min(other.begun, attempt.begun) - 60_000) {
            problem(`attempt ${token} of ${run} of ${task} began while ${other.token} had not been stopped`)
          }
        }
        if (!valid.includes(attempt)) return
        for (const [name, exclusive] of [[run, true], [task, most === 1]] as const) {
          if (exclusive && token <= (greatest.get(name) ?? 0)) {
            problem(`token ${token} after ${greatest.get(name)} of ${name}`)
          }
          greatest.set(name, Math.max(token, greatest.get(name) ?? 0))
        }
      })

    const handler = (node: number) =>
      Effect.fnUntraced(function*() {
        const run = yield* CurrentRun
        const late = clock.currentTimeMillisUnsafe() - run.dueAt.epochMilliseconds -
          (graces.get(run.taskId) ?? Infinity)
        // Two answers may take eight seconds each between the claim, which judges, and the handler.
        if (run.attempt === 1 && !run.extra && late > 20_000 && jumpedAt < monotonic() - 60_000) {
          problem(`run ${run.id} of ${run.taskId} began ${late} ms too late`)
        }
        const { deaf, effect } = behave(makeRandom(hash(`${seed}/${run.id}/${run.attempt}`)))
        const attempt: Attempt = {
          task: run.taskId,
          run: run.id,
          key: run.key,
          generation: Number(run.id.split(":")[0]),
          token: run.fencingToken,
          node,
          begun: monotonic(),
          deaf,
          ended: undefined
        }
        yield* Effect.orDie(begin(attempt))
        yield* Effect.onExit(effect, (exit) =>
          Effect.sync(() => {
            attempt.ended = Exit.isSuccess(exit)
              ? "succeeded"
              : Cause.hasInterruptsOnly(exit.cause)
              ? "interrupted"
              : "failed"
            active.delete(attempt)
          }))
      })

    // -- schedulers

    const views = [0, 1, 2].map(() => makeView(shared, random, clock, activity))
    const scopes: Array<Scope.Closeable | undefined> = [undefined, undefined, undefined]
    const changing = new Set<number>()
    let boots = 0

    /** Goes on by itself; virtual time does not wait for it, since it may wait for a handler that does not stop. */
    const aside = (node: number, effect: Effect.Effect<unknown, unknown>) =>
      Effect.suspend(() => {
        const label = `scheduler ${node} ${++boots}`
        changing.add(node)
        return Effect.forkDetach(
          effect.pipe(
            Effect.ensuring(Effect.sync(() => changing.delete(node))),
            Effect.catchCause((cause) => Effect.sync(() => problem(`scheduler ${node}: ${Cause.pretty(cause)}`))),
            Effect.provideContext(Context.add(lab, Activity.Label, label))
          ) as Effect.Effect<unknown>,
          { startImmediately: true }
        )
      })

    const boot = (node: number) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        scopes[node] = scope
        const App = Layer.mergeAll(
          Work.toLayer(handler(node)),
          Plain.toLayer(handler(node)),
          Once.toLayer(handler(node))
        )
        yield* aside(
          node,
          Layer.buildWithScope(
            TaskScheduler.layer(App, {
              name: `n${node}`,
              drainTimeout: int(0, 15) * 1_000,
              maxTakeovers,
              retention: { runs: 1_000_000 },
              // Runs wait for a place, too.
              executors: Executors.layer({ default: Executor.layerFibers({ concurrency }) })
            }).pipe(Layer.provide(Layer.succeed(TaskStore)(views[node]!.store))),
            scope
          )
        )
      })

    const close = (node: number) =>
      Effect.suspend(() => {
        const scope = scopes[node]!
        scopes[node] = undefined
        return aside(node, Scope.close(scope, Exit.void))
      })

    const maxTakeovers = pick([1, 3, 20])
    const concurrency = pick([2, 4, 1_000])
    for (const node of [0, 1, 2]) yield* boot(node)
    yield* TestScheduler.settle

    // -- tasks

    const trigger = (): Trigger.Trigger => {
      const base = pick([
        () => Trigger.every({ seconds: int(5, 120) }),
        () => Trigger.every({ minutes: int(2, 20) }, { immediately: true }),
        () => Trigger.cron(`*/${int(1, 9)} * * * *`),
        () => Trigger.cron(`${int(0, 30)}/${int(10, 30)} * * * * *`),
        () => Trigger.union(Trigger.every({ seconds: int(40, 90) }), Trigger.every({ seconds: int(60, 200) })),
        () => Trigger.at(at("00:00") + int(0, 8_000_000)),
        () => Trigger.upTo(Trigger.every({ seconds: int(5, 60) }), int(1, 40))
      ])()
      const bounded = Trigger.between(base, { end })
      return random() < 0.3 ? Trigger.jittered(bounded, { seconds: int(5, 60) }) : bounded
    }
    const ids: Array<string> = []
    for (let i = 0; i < int(5, 9); i++) {
      const id = `task-${i}`
      const task = pick([Work, Work, Plain, Once])
      const options: Policy.Options = {
        whenBusy: pick(["skip", "queue", "queueAll", "cancelPrevious", "allow"]),
        maxInstances: int(1, 3),
        coalesce: pick(["latest", "earliest", "none"]),
        misfireGrace: pick(["unlimited", "20 seconds", "3 minutes"]),
        queueLimit: int(1, 20),
        catchUpLimit: int(1, 20),
        timeout: pick(["unlimited", "unlimited", "10 seconds", "30 seconds"]),
        maxRuns: pick(["unlimited", "unlimited", int(5, 40)])
      }
      yield* client.add(task, { id, trigger: trigger(), ...options })
      ids.push(id)
      graces.set(
        id,
        options.misfireGrace === "20 seconds" ? 20_000 : options.misfireGrace === "3 minutes" ? 180_000 : Infinity
      )
      slots.set(id, options.whenBusy === "allow" ? undefined : options.maxInstances)
      if (task === Once) once.add(id)
    }

    // -- invariants

    const boundOf = (row: TaskRow) =>
      Trigger.bind(Result.getOrThrow(TriggerText.decode(row.trigger)), { anchor: row.anchor, seed: row.id })

    const check = Effect.gen(function*() {
      for (const { open, row } of yield* shared.get(ids)) {
        const { coalesced, exact, missed, paused, ran, skipped } = row.counters
        const expected = boundOf(row).countBetween(row.epoch, row.cursor, 1_000_000).count
        const told = ran + missed + coalesced + skipped + paused
        if (!exact || told !== expected) problem(`${row.id} has ${told} outcomes of ${expected} occurrences`)
        const most = slots.get(row.id)
        const busy = open.filter((run) => run.state !== "waiting").length
        if (most !== undefined && busy > most) problem(`${busy} runs of ${row.id} are ready or running, not ${most}`)
      }
    })

    // -- faults

    const until = at(end)
    while (clock.currentTimeMillisUnsafe() < until) {
      const node = int(0, 2)
      const view = views[node]!
      const there = scopes[node] !== undefined && !changing.has(node)
      const [name, action] = pick<
        readonly [string, () => Effect.Effect<unknown, unknown, TestScheduler.TestScheduler>]
      >([
        ["nothing", () => Effect.void],
        ["cut off", () => Effect.sync(() => view.faults.down = true)],
        ["heals", () => Effect.sync(() => view.heal())],
        ["heals", () => Effect.sync(() => view.heal())],
        ["all heal", () => Effect.sync(() => views.forEach((view) => view.heal()))],
        [
          "loses replies",
          () =>
            Effect.sync(() =>
              view.faults.loseReplies = pick(["due", "commit", "claim", "start", "settle", "heartbeat", "takeover"])
            )
        ],
        [
          "fails",
          () =>
            Effect.sync(() =>
              view.faults.fail = pick(["due", "commit", "claim", "start", "settle", "heartbeat", "takeover"])
            )
        ],
        [
          "bad luck",
          () => Effect.sync(() => view.luck = { fail: random() * 0.2, lose: random() * 0.2, slow: random() * 0.2 })
        ],
        ["slow", () => Effect.sync(() => view.luck = { fail: 0, lose: 0, slow: random() })],
        ["restart", () => there ? close(node) : Effect.void],
        ["jump", () =>
          Effect.suspend(() => {
            jumpedAt = monotonic()
            return TestScheduler.jump({ seconds: int(-180, 300) })
          })],
        ["runNow", () => Effect.ignore(client.handle(pick(ids)).runNow())],
        ["cancel", () =>
          Effect.gen(function*() {
            const handle = client.handle(pick(ids))
            const { items } = yield* handle.runs({ limit: 4 })
            if (items.length > 0) yield* Effect.ignore(handle.cancel(pick(items).id))
          })]
      ])
      log.push(`${elapsed()}: ${name} ${node}`)
      yield* action()
      yield* TestScheduler.advance({ seconds: pick([int(0, 5), int(5, 40), int(40, 240)]) })
      for (const idle of [0, 1, 2]) {
        if (scopes[idle] === undefined && !changing.has(idle) && random() < 0.5) yield* boot(idle)
      }
      yield* check
      if (problems.length > 0) break
    }

    // -- everything heals and drains

    for (const view of views) view.heal()
    yield* TestScheduler.advance("5 minutes")
    for (const node of [0, 1, 2]) if (scopes[node] === undefined && !changing.has(node)) yield* boot(node)
    yield* TestScheduler.settle
    for (const view of views) view.heal()
    for (let i = 0; i < 40; i++) yield* TestScheduler.advance("10 minutes")
    yield* check

    for (const { open, row } of yield* shared.get(ids)) {
      for (const run of open) {
        problem(`run ${run.key} of ${row.id} is open for ever: ${run.state}, held by ${run.owner}`)
      }
      if (row.due !== null) problem(`${row.id} is still due at ${row.due}`)
      const runs = (yield* shared.runs({ taskId: row.id, limit: 100_000 })).items
      const keys = new Set(runs.map((run) => run.key))
      if (keys.size !== runs.length) problem(`${row.id} has two runs of one key`)
      const scheduled = runs.filter((run) => !run.key.startsWith("x:"))
      const ran = scheduled.filter((run) => run.state !== "missed").length
      if (ran !== row.counters.ran) problem(`${row.id} has ${ran} runs and counts ${row.counters.ran}`)
      if (runs.length - scheduled.length !== row.counters.extra) {
        problem(`${row.id} counts ${row.counters.extra} extra runs`)
      }
      for (const run of runs) {
        if (run.state !== "succeeded") continue
        const mine = attempts.filter((attempt) => attempt.task === row.id && attempt.key === run.key)
        if (!mine.some((attempt) => attempt.ended === "succeeded")) {
          problem(`run ${run.key} of ${row.id} never succeeded`)
        }
      }
    }
    for (const attempt of attempts) {
      if (attempt.ended === undefined) problem(`attempt ${attempt.token} of ${attempt.run} never ended`)
    }
    const verdicts = yield* shared.verdicts({ limit: 10 })
    if (verdicts.length > 0) problem(`${verdicts[0]!.id} is set aside: ${verdicts[0]!.reason}`)
    const events = yield* TestScheduler.events
    const endings = new Map<string, number>()
    for (const event of events) {
      // A retry whose reply was lost may be cancelled before it is settled again, and both are told.
      if (event._tag === "RunEnded" && event.run.state !== "cancelled") {
        endings.set(event.run.id, (endings.get(event.run.id) ?? 0) + 1)
      }
    }
    for (const [run, count] of endings) {
      if (count > 1) problem(`the end of run ${run} was told ${count} times`)
    }
    for (const node of [0, 1, 2]) if (scopes[node] !== undefined) yield* close(node)
    yield* TestScheduler.advance("5 minutes")
    for (const node of changing) problem(`scheduler ${node} does not close`)
    if (problems.length > 0) throw new Error([...problems.slice(0, 12), "after", ...log.slice(-30)].join("\n"))
    return { attempts: attempts.length, lost: events.filter((event) => event._tag === "RunLost").length }
  }).pipe(
    Effect.catchCause((cause) => {
      const error = Cause.squash(cause)
      return Effect.die(
        new Error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`, { cause: error })
      )
    })
  )

const given = Number(process.env["PUNCTUAL_SEED"] ?? Number.NaN)
const many = Number(process.env["PUNCTUAL_SEEDS"] ?? 8)
const seeds = Number.isInteger(given) ? [given] : Array.from({ length: many }, (_, n) => n + 1)

describe("three schedulers, one store, and faults", () => {
  for (const seed of seeds) {
    it.effect(`seed ${seed}`, () =>
      Effect.gen(function*() {
        const { attempts } = yield* stress(seed)
        assert.isAbove(attempts, 10)
      }).pipe(
        Effect.provide(
          TestScheduler.layerProgram(Layer.effect(Lab)(Effect.context<never>()), { now: start }),
          { local: true }
        ),
        // Names of schedulers and runs are the same for a seed, too.
        Effect.provideService(Random.Random, randomOf(makeRandom(~seed)))
      ), 30_000)
  }
})
