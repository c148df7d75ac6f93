/**
 * Runs of one key, one after another: what the port keeps from happening, and an index must bear.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { claimOf, newRun, newTask } from "./internal/records.ts"
import { freshPrefix } from "./internal/server.ts"

await onServer("redis", (url) => {
  it.live("a key that is used again hides no run, and each is dropped by itself", () =>
    Effect.gen(function*() {
      const store = yield* TaskStore
      const [added] = yield* store.insert([newTask("a")])
      const { generation } = added!.row
      const keep = (kept: number) => ({ keep: kept })
      const opened = (revision: number) =>
        store.commit([{
          id: "a",
          generation,
          revision,
          set: { cursor: revision },
          runs: [{ _tag: "Create", run: newRun(5, { key: ",\",\"" }) }],
          now: revision
        }])
      const end = (now: number, kept: number) =>
        Effect.gen(function*() {
          const [claimed] = (yield* store.claim(claimOf(now, 1))).runs
          const { key, token } = claimed!.run
          const result = { _tag: "End", state: "succeeded", exit: String(now) } as const
          yield* store.settle([{ generation, key, token: token!, owner: "owner", now, result }], keep(kept))
        })
      const exits = (limit: number) =>
        Effect.gen(function*() {
          const found: Array<string | null> = []
          for (let after: string | undefined;;) {
            const page = yield* store.runs({ limit, after })
            found.push(...page.items.map(({ exit }) => exit))
            if (page.next === null) return new Set(found)
            after = page.next
          }
        })
      yield* opened(1)
      yield* end(10, 9)
      yield* opened(2)
      assert.deepStrictEqual(yield* exits(9), new Set(["10", null]))
      yield* end(20, 9)
      yield* opened(3)
      yield* end(30, 9)
      for (const limit of [1, 2, 9]) assert.deepStrictEqual(yield* exits(limit), new Set(["10", "20", "30"]))
      assert.strictEqual((yield* store.runs({ taskId: "a", limit: 9 })).items.length, 3)
      yield* opened(4)
      yield* end(40, 2)
      assert.deepStrictEqual(yield* exits(1), new Set(["30", "40"]))
      assert.strictEqual(yield* store.prune({ before: 40, limit: 9 }), 1)
      assert.deepStrictEqual(yield* exits(1), new Set(["40"]))
      assert.strictEqual(yield* store.prune({ before: 41, limit: 9 }), 1)
      assert.deepStrictEqual(yield* exits(1), new Set())
    }).pipe(Effect.provide(NodeRedisTaskStore.layer({ url, prefix: freshPrefix() }))))
})
