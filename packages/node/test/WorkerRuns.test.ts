/**
 * A scheduler whose workers are killed in the middle of runs: nothing is lost, and nothing done twice that must not be.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Executor from "punctual/Executor"
import * as Executors from "punctual/Executors"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as Task from "punctual/Task"
import type { AddError } from "punctual/TaskHandle"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskStore } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import * as ProcessExecutor from "../src/ProcessExecutor.ts"
import * as WorkerExecutor from "../src/WorkerExecutor.ts"
import { Computes, Work } from "./fixtures/runs.worker.ts"
import { temporaryFolder } from "./internal/folders.ts"

const options = {
  module: new URL("./fixtures/runs.worker.ts", import.meta.url),
  handles: [Work, Computes],
  max: 3,
  grace: "100 millis",
  execArgv: []
} as const

/** None is kept, so that each run waits for one to start, which takes longer than the run may. */
const slow = { ...options, min: 0, idleTime: 0, env: { PUNCTUAL_TEST_SLOW_START: "3000" } } as const

const kinds = [
  ["threads", WorkerExecutor.layer(options), WorkerExecutor.layer(slow)],
  ["processes", ProcessExecutor.layer(options), ProcessExecutor.layer(slow)]
] as const

/** Waits until every run has ended. */
const ended = Effect.gen(function*() {
  const store = yield* TaskStore
  while (true) {
    const { items } = yield* store.runs({ limit: 1_000 })
    if (items.length > 0 && items.every(({ endedAt }) => endedAt !== null)) {
      return new Map(items.map((run) => [run.taskId, `${run.state} ${run.attempt}`]))
    }
    yield* Effect.sleep("20 millis")
  }
})

/** Nobody in this program handles them: that the workers do makes it complete. */
type App = Layer.Layer<never, AddError, TaskScheduler.TaskScheduler | Task.Handlers<typeof Work | typeof Computes>>

const scheduled = (
  workers: (typeof kinds)[number][1],
  App: (log: string) => App,
  // Where workers start slowly, that is no fault of a run.
  patience: Pick<TaskScheduler.Options, "lease" | "interruptGrace"> = { interruptGrace: "15 seconds" }
) =>
  Effect.gen(function*() {
    const log = join(yield* temporaryFolder, "log")
    const Main = TaskScheduler.layer(App(log), {
      executors: Executors.layer({ default: Executor.layerFibers(), workers }),
      ...patience
    }).pipe(Layer.provideMerge(MemoryTaskStore.layer))
    const states = yield* Effect.provide(ended, Main)
    const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []
    return { states, count: (line: string) => lines.filter((it) => it === line).length }
  })

for (const [kind, workers, slowWorkers] of kinds) {
  describe(`a scheduler with ${kind}`, () => {
    it.live(
      "loses no run with its workers, and begins none again that may begin once only",
      () =>
        Effect.gen(function*() {
          const numbers = Array.from({ length: 12 }, (_, i) => i)
          const does = (i: number) => i % 3 === 0 ? "end once" : "work"
          const { count, states } = yield* scheduled(workers, (log) =>
            Layer.mergeAll(
              Layer.empty,
              ...numbers.flatMap((i) => [
                Task.layerScheduled(Work, { id: `least-${i}`, payload: { log, does: does(i) }, trigger: Trigger.now }),
                Task.layerScheduled(Work, {
                  id: `most-${i}`,
                  payload: { log, does: does(i) },
                  trigger: Trigger.now,
                  delivery: "atMostOnce"
                })
              ])
            ))
          assert.strictEqual(states.size, 2 * numbers.length)
          for (const i of numbers) {
            const ends = does(i) === "end once"
            assert.deepStrictEqual(
              [states.get(`least-${i}`), count(`least-${i} began`), count(`least-${i} ended`)],
              ends ? ["succeeded 2", 2, 1] : ["succeeded 1", 1, 1]
            )
            assert.deepStrictEqual(
              [states.get(`most-${i}`), count(`most-${i} began`), count(`most-${i} ended`)],
              ends ? ["abandoned 1", 1, 0] : ["succeeded 1", 1, 1]
            )
          }
        }),
      120_000
    )

    it.live(
      "counts the time of a run from its beginning, not from the start of its worker",
      () =>
        Effect.gen(function*() {
          const { states } = yield* scheduled(
            slowWorkers,
            (log) =>
              // once the first worker, which is not kept, has ended
              Layer.suspend(() =>
                Task.layerScheduled(Work, {
                  id: "work",
                  payload: { log, does: "work" },
                  trigger: Trigger.at(Date.now() + 1_000),
                  timeout: "100 millis"
                })
              ),
            { lease: "3 seconds", interruptGrace: "1 second" }
          )
          assert.match(states.get("work")!, /^succeeded/)
        }),
      120_000
    )

    it.live("abandons a run that ends every worker, and goes on with the rest", () =>
      Effect.gen(function*() {
        const { count, states } = yield* scheduled(workers, (log) =>
          Layer.mergeAll(
            Task.layerScheduled(Work, { id: "poison", payload: { log, does: "end always" }, trigger: Trigger.now }),
            Task.layerScheduled(Work, { id: "good", payload: { log, does: "work" }, trigger: Trigger.now })
          ))
        assert.deepStrictEqual([states.get("poison"), count("poison began")], ["abandoned 3", 3])
        assert.strictEqual(states.get("good"), "succeeded 1")
      }), 120_000)

    it.live("ends what computes when its time is up, and tries it again", () =>
      Effect.gen(function*() {
        const { count, states } = yield* scheduled(workers, (log) =>
          Task.layerScheduled(Computes, { id: "computes", payload: { log }, trigger: Trigger.now }))
        assert.deepStrictEqual([states.get("computes"), count("computes began")], ["timedOut 2", 2])
      }), 120_000)
  })
}
