/**
 * Reads of more than one batch, of a store that works on several calls at once.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import { batchSize } from "../src/internal/engine/host.ts"
import * as Task from "../src/Task.ts"
import { type Change, TaskStoreError } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { isolated, now, Scheduler, Work } from "./support/engine.ts"
import { patched } from "./support/patchedStore.ts"

/** More than one batch, and not a whole second one. */
const many = batchSize + 100

const addAll = Scheduler.use((scheduler) =>
  scheduler.addAll(
    Array.from({ length: many }, (_, i) => Task.scheduled(Work, { id: `${i}`, trigger: Trigger.every("1 minute") }))
  )
)

const claims = (changes: ReadonlyArray<Change>): number =>
  changes.filter(({ runs }) => runs.some((run) => run._tag === "Create" && run.claim !== undefined)).length

/** Each task once, whatever the order. */
const each = Array.from({ length: many }, (_, i) => `${i}`).sort()

describe("a read of two batches", { timeout: 30_000 }, () => {
  it.effect("is committed in two calls beside each other, and each task runs once", () => {
    const second = Latch.makeUnsafe(false)
    const sizes: Array<number> = []
    const store = patched((store) => ({
      concurrency: 2,
      commit: (changes) =>
        Effect.suspend(() => {
          sizes.push(changes.length)
          if (sizes.length === 2) second.openUnsafe()
          // the first is answered after the second was asked
          return Effect.andThen(second.await, store.commit(changes))
        })
    }))
    return isolated(
      Effect.gen(function*() {
        yield* addAll
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map(({ taskId }) => taskId).sort(), each)
        assert.deepStrictEqual(sizes, [batchSize, many - batchSize])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    )
  })

  it.effect("begins what the second has claimed when the first has failed, and the rest when the store is back", () => {
    let calls = 0
    let ran = 0
    /** While the store was away. */
    let ranMeanwhile: number | undefined
    const store = patched((store) => ({
      concurrency: 2,
      commit: (changes) =>
        Effect.suspend(() => {
          calls++
          if (calls === 1) {
            return Effect.fail(
              new TaskStoreError({ store: "memory", operation: "commit", reason: "Unavailable", message: "away" })
            )
          }
          if (calls === 3) ranMeanwhile = ran
          return store.commit(changes)
        })
    }))
    return isolated(
      Effect.gen(function*() {
        yield* addAll
        yield* TestScheduler.advance("1 minute")
        yield* TestScheduler.advance("10 seconds")
        assert.deepStrictEqual([ranMeanwhile, ran], [many - batchSize, many])
        assert.deepStrictEqual((yield* TestScheduler.runs).map(({ taskId }) => taskId).sort(), each)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sync(() => ran++)), { now, store })
    )
  })

  it.effect("shares the room of its executor", () => {
    const room = batchSize + 10
    const claimed: Array<number> = []
    const store = patched((store) => ({
      concurrency: 2,
      commit: (changes) =>
        Effect.suspend(() => {
          claimed.push(claims(changes))
          return store.commit(changes)
        })
    }))
    return isolated(
      Effect.gen(function*() {
        yield* addAll
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(claimed.slice(0, 2), [batchSize, 10])
        assert.deepStrictEqual(runs.map(({ taskId }) => taskId).sort(), each)
      }),
      TestScheduler.layer(
        Work.toLayer(() => Effect.void),
        { now, store, executors: Executors.layer({ default: Executor.layerFibers({ concurrency: room }) }) }
      )
    )
  })
})
