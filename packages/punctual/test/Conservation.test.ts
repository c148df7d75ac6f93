import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TriggerText from "../src/internal/triggerText.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Policy from "../src/Policy.ts"
import type { TaskRow } from "../src/TaskRecord.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TaskStore from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { scheduled, Slow } from "./utils.ts"

/** Numbers from 0 to 1 that are the same for the same seed. */
const random = (seed: number) => () => {
  seed = (seed + 0x6D2B79F5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

/**
 * Random commands and steps of time against one task. After each of them, for the present trigger: every occurrence up
 * to the cursor has exactly one outcome, and as many runs exist as the counters say.
 */
const sequence = (seed: number, steps: number) =>
  Effect.gen(function*() {
    const next = random(seed)
    const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(next() * values.length)]!
    const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
    const trigger = (): Trigger.Trigger =>
      pick([
        () => Trigger.every(`${int(7, 90)} minutes`),
        () => Trigger.every(`${int(30, 90)} minutes`, { immediately: true }),
        () => Trigger.cron(`${int(0, 59)} */${int(1, 3)} * * *`),
        () => Trigger.cron(`*/${int(7, 30)} * * * *`),
        () => Trigger.jittered(Trigger.every(`${int(20, 60)} minutes`), "10 minutes"),
        () => Trigger.union(Trigger.every("1 hour"), Trigger.every("25 minutes")),
        () => Trigger.upTo(Trigger.every("40 minutes"), int(1, 20)),
        () => Trigger.now
      ])()
    const policy = (): Policy.Options => ({
      misfireGrace: pick(["unlimited", "20 minutes", "2 hours"]),
      coalesce: pick(["latest", "earliest", "none"]),
      whenBusy: pick(["skip", "queue", "queueAll", "cancelPrevious", "allow"]),
      maxInstances: int(1, 3),
      queueLimit: int(1, 4),
      catchUpLimit: int(1, 5),
      maxRuns: pick(["unlimited", "unlimited", int(1, 15)])
    })

    const scheduler = yield* TaskScheduler
    const store = yield* TaskStore.TaskStore
    const handle = yield* scheduler.add(Slow, {
      id: "a",
      payload: { minutes: int(0, 90) },
      trigger: trigger(),
      ...policy()
    })
    const log: Array<string> = []
    /** The next run time set by hand in this epoch: the trigger is silent until then. */
    let moved: { readonly due: number } | undefined
    let cursor = -Infinity

    const read = Effect.map(store.get(["a"]), ([task]) => task!.row)
    const boundOf = (row: TaskRow) =>
      Trigger.bind(Result.getOrThrow(TriggerText.decode(row.trigger)), { anchor: row.anchor, seed: row.id })

    const check = Effect.gen(function*() {
      const row = yield* read
      const { coalesced, exact, missed, paused, ran, skipped } = row.counters
      const bound = boundOf(row)
      const expected = moved === undefined
        ? bound.countBetween(row.epoch, row.cursor, 1_000_000).count
        : row.cursor < moved.due
        ? 0
        : 1 + bound.countBetween(moved.due, row.cursor, 1_000_000).count
      const told = log.slice(-6).join(", ")
      assert.isTrue(exact)
      assert.strictEqual(ran + missed + coalesced + skipped + paused, expected, `outcomes after ${told}`)
      assert.isAtLeast(row.cursor, cursor, `cursor after ${told}`)
      cursor = row.cursor
      const runs = (yield* store.runs({ taskId: "a", limit: 10_000 })).items.filter((run) => !run.key.startsWith("x:"))
      const current = runs.filter((run) => run.due > row.epoch)
      assert.strictEqual(
        new Set(runs.map((run) => run.key)).size,
        runs.length,
        `one run for each instant after ${told}`
      )
      assert.strictEqual(current.filter((run) => run.state !== "missed").length, ran, `runs after ${told}`)
      for (const run of current) {
        assert.isTrue(
          run.due === moved?.due || bound.next(run.due - 1)?.due === run.due,
          `run ${run.key} is of an occurrence, after ${told}`
        )
      }
    })

    for (let i = 0; i < steps; i++) {
      const command = pick<readonly [string, () => Effect.Effect<unknown, unknown, TestScheduler.TestScheduler>]>([
        ["time", () => TestScheduler.advance(`${int(0, 240)} minutes`)],
        ["time", () => TestScheduler.advance(`${int(0, 90)} minutes`)],
        ["long time", () => TestScheduler.advance(`${int(1, 12)} hours`)],
        ["stop evaluating", () => scheduler.pause],
        ["go on evaluating", () => scheduler.resume],
        ["pause", () => handle.pause()],
        ["resume", () => Effect.catchTag(handle.resume, "TaskFinished", () => Effect.void)],
        ["update policy", () => handle.update(policy())],
        ["update payload", () => handle.update({ payload: { minutes: int(0, 90) } })],
        ["reschedule", () => Effect.andThen(handle.reschedule(trigger()), Effect.sync(() => moved = undefined))],
        [
          "next run time",
          () =>
            Effect.gen(function*() {
              const now = (yield* TestScheduler.TestScheduler.use((test) => test.now)).epochMilliseconds
              yield* handle.update({ nextRunTime: now + int(-60, 300) * 60_000 })
              const row = yield* read
              moved = { due: row.override! }
            })
        ],
        [
          "runNow",
          () =>
            Effect.catchTag(
              handle.runNow({ whenBusy: pick([undefined, "allow", "queue", "cancelPrevious"]) }),
              "TaskBusy",
              () => Effect.void
            )
        ],
        [
          "cancel",
          () =>
            Effect.gen(function*() {
              const { items } = yield* handle.runs({ limit: 5 })
              if (items.length > 0) yield* handle.cancel(pick(items).id)
            })
        ]
      ])
      log.push(command[0])
      yield* command[1]()
      yield* check
    }

    // Each occurrence that has an outcome can be asked for it, as long as it is kept.
    yield* handle.pause()
    const row = yield* read
    yield* check
    const bound = boundOf(row)
    const explained: Record<string, number> = {}
    let point = moved === undefined ? bound.next(row.epoch) : { due: moved.due, nominal: moved.due }
    while (point !== undefined && point.due <= row.cursor) {
      const { outcome } = yield* handle.explain(point.due)
      explained[outcome] = (explained[outcome] ?? 0) + 1
      point = bound.next(point.due)
    }
    if (Policy.decodeRanges(row.ranges).length < Policy.rangeLimit) {
      const { coalesced, missed, paused, ran, skipped } = row.counters
      assert.deepStrictEqual(
        { ran: 0, missed: 0, coalesced: 0, skipped: 0, paused: 0, ...explained },
        { ran, missed, coalesced, skipped, paused },
        `explained after ${log.slice(-6).join(", ")}`
      )
    }
  }).pipe(
    Effect.catchCause((cause) => {
      const error = Cause.squash(cause)
      return Effect.die(
        new Error(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`, { cause: error })
      )
    })
  )

describe("conservation: every occurrence has exactly one outcome, whatever is done", () => {
  const given = Number(process.env["PUNCTUAL_SEED"] ?? Number.NaN)
  const seeds = Number.isInteger(given) ? [given] : Array.from({ length: 16 }, (_, n) => n + 1)
  for (const seed of seeds) {
    it.effect(`seed ${seed}`, () =>
      Effect.gen(function*() {
        const store = yield* MemoryTaskStore.make
        const layer = Layer.succeed(TaskStore.TaskStore)(store)
        yield* scheduled(Effect.provide(sequence(seed, 30), layer), {
          store: layer,
          retention: { runs: 1_000_000, age: "3650 days", finished: "3650 days" }
        })
      }))
  }
})
