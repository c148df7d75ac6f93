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

  it.live(
    "runs that end and are pruned out of their order drop the same ones as if none had been pruned",
    () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        // its runs are ended in this order, each at an instant of a clock that goes back, and one of them is pruned
        const ends = [12, 1, 3, 2, 5, 4, 11, 6, 8, 7, 10, 9]
        const kept = (keep: number, prunedAfter: number) =>
          Effect.gen(function*() {
            const id = `${keep} ${prunedAfter}`
            const [added] = yield* store.insert([
              newTask(id, { runs: ends.map((_, i) => newRun(i + 1, { slots: 99 })) })
            ])
            const { generation } = added!.row
            const { runs } = yield* store.claim(claimOf(99, 99))
            for (const [i, due] of ends.entries()) {
              const { key, token } = runs.find(({ run }) => run.due === due)!.run
              const now = 1_000 * (due % 3) + i
              const result = { _tag: "End", state: "succeeded", exit: null } as const
              yield* store.settle([{ generation, key, token: token!, owner: "owner", now, result }], { keep })
              // those whose instant was the lowest, wherever they are in the order
              if (i === prunedAfter) yield* store.prune({ before: 1_000, limit: 99 })
            }
            const { items } = yield* store.runs({ generation, limit: 99 })
            const listed = (yield* store.runs({ limit: 99 })).items.filter((run) => run.generation === generation)
            assert.sameMembers(listed.map(({ due }) => due), items.map(({ due }) => due))
            yield* store.commit([{ id, generation, revision: 1, set: "remove", runs: [], now: 1 }])
            yield* store.prune({ before: 99_999, limit: 99 })
            assert.deepStrictEqual((yield* store.runs({ taskId: id, limit: 99 })).items, [])
            return items.map(({ due }) => due)
          })
        for (const keep of [0, 1, 5, 12]) {
          for (const prunedAfter of [3, 9]) {
            const pruned = ends.slice(0, prunedAfter + 1).filter((due) => due % 3 === 0)
            const expected = ends.slice(ends.length - keep).filter((due) => !pruned.includes(due))
            assert.sameMembers(yield* kept(keep, prunedAfter), expected, `keep ${keep}, pruned after ${prunedAfter}`)
          }
        }
      }).pipe(Effect.provide(NodeRedisTaskStore.layer({ url, prefix: freshPrefix() }))),
    30_000
  )
})
