/**
 * What a `TaskStore` does when it is given 100,000 tasks in one call: it takes them, whatever its server takes at once.
 *
 * ```ts
 * TaskStoreBulk.suite("mine", MyTaskStore.layer({ url, prefix }))
 * ```
 *
 * The layer is built anew for each test, and must start empty.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskStore } from "punctual/TaskStore"
import { newRun, newTask } from "./TaskStoreRecords.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How many tasks. Default: 100,000. */
  readonly count?: number | undefined
  /** Milliseconds that a test may take. Default: two minutes. */
  readonly timeout?: number | undefined
}

const now = Date.UTC(2026, 2, 27)

/**
 * Registers the suite for one store.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<TaskStore, E>, options: Options = {}): void => {
  const { count = 100_000, timeout = 120_000 } = options
  const last = count - 1
  const exists = Math.floor(count * 0.7)

  describe(`TaskStore in bulk (${name})`, () => {
    it.live(
      `${count.toLocaleString("en")} tasks in one call are all there, answered in the order given`,
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          // not in the order of ids: stores lock rows in that
          const id = (i: number) => `task-${last - i}`
          yield* store.insert([newTask(id(exists), now)])
          const answers = yield* store.insert(
            Array.from(
              { length: count },
              (_, i) => newTask(id(i), now, { due: now + i, ...i % 100 === 0 && { runs: [newRun(now + i)] } })
            )
          )
          assert.strictEqual(answers.length, count)
          assert.deepStrictEqual(answers.filter(({ row }, i) => row.id !== id(i)), [])
          assert.deepStrictEqual(
            answers.flatMap(({ _tag, row }) => _tag === "Exists" ? [row.id] : []),
            [id(exists)]
          )
          assert.strictEqual(new Set(answers.map(({ row }) => row.generation)).size, count)
          const some = [0, 1, 99, 100, 4_999, 5_000, last].filter((i) => i < count)
          const found = yield* store.get(some.map(id))
          assert.deepStrictEqual(
            found.map(({ open, row }) => [row.id, row.due, open.length]),
            some.map((i) => [id(i), now + i, i % 100 === 0 ? 1 : 0])
          )
          const first = yield* store.due({ now: now + 1, limit: 10, reader: "me", zoneRules: "z" })
          assert.deepStrictEqual([first.tasks.length, first.next], [2, now + 2])
          const end = yield* store.list({ sort: "due", descending: true, limit: 1 })
          assert.isAtLeast(end.items.length, 1)
          // the same call again changes nothing
          const again = yield* store.insert(
            Array.from({ length: count }, (_, i) => newTask(id(i), now, { name: "another" }))
          )
          assert.deepStrictEqual(again.filter(({ _tag, row }) => _tag !== "Exists" || row.name === "another"), [])
        }).pipe(Effect.provide(Layer.fresh(layer), { local: true })),
      timeout
    )
  })
}
