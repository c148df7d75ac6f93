/**
 * Many tasks at once, and a store that fails among them.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import { TaskStore, TaskStoreError } from "../src/TaskStore.ts"
import { hourly, scheduled, Tick } from "./utils.ts"

it.effect("a store that fails among many says how many it has stored; added again they are all there", () => {
  let left = 2
  const store = Layer.effect(
    TaskStore,
    Effect.map(Effect.map(Layer.build(MemoryTaskStore.layer), Context.get(TaskStore)), (memory) => ({
      ...memory,
      insert: (tasks: Parameters<typeof memory.insert>[0]) =>
        left-- > 0 ? memory.insert(tasks) : Effect.fail(
          new TaskStoreError({ store: "memory", operation: "insert", reason: "Full", message: "no space is left" })
        )
    }))
  )
  return scheduled(
    Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const entries = Array.from(
        { length: 1_200 },
        (_, i) => Task.scheduled(Tick, { id: `tick-${i}`, trigger: hourly, onConflict: "keep" })
      )
      const error = yield* Effect.flip(scheduler.addAll(entries))
      assert.strictEqual(error._tag, "TaskStoreError")
      assert.match(error.message, /no space is left.* first 1000 of 1200 tasks are stored/)
      left = Infinity
      assert.strictEqual((yield* scheduler.addAll(entries)).length, 1_200)
      const first = yield* Effect.flip(Effect.suspend(() => {
        left = 0
        return scheduler.add(Tick, { id: "one", trigger: hourly })
      }))
      assert.strictEqual(first.message, "no space is left")
    }),
    { store }
  )
})
