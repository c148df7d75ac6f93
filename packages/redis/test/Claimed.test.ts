/**
 * Of a run that a change claims, a store that knows the task is told no more than its token: what it answers is what is stored.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { NewRun } from "punctual/TaskRecord"
import type { Change } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { newRun, newTask } from "./internal/records.ts"
import { freshPrefix } from "./internal/server.ts"

const lease = { owner: "owner \"1\"", until: 9_007_199_254_740_991 }
const kind = { tag: "Mail", version: 7, executor: "threads", priority: -3 }

const created = (due: number, run: Partial<NewRun> = {}): Change["runs"][number] => ({
  _tag: "Create",
  run: newRun(due, { queues: true, slots: 3, ...run }),
  claim: lease
})

const cases: ReadonlyArray<readonly [string, Pick<Change, "runs" | "set">]> = [
  ["one that may begin again", { set: { override: null }, runs: [created(5)] }],
  ["one that begins once", { set: {}, runs: [created(-5, { atMostOnce: true, readyAt: 6, nominal: 4 })] }],
  ["one with an odd key", { set: {}, runs: [created(5, { key: "\ud800,\n\"]\uffff" })] }],
  ["one of what its task becomes", {
    set: { ...kind, tag: "Other", concurrencyKey: null, concurrencyLimit: 1 },
    runs: [created(5)]
  }],
  ["one of what its task becomes in part", { set: { priority: 9 }, runs: [created(5)] }],
  ["two of them", { set: {}, runs: [created(5), created(6)] }],
  ["one that is asked to stop at once", {
    set: {},
    runs: [created(5), { _tag: "Cancel", key: "5", reason: "replaced" }]
  }]
]

await onServer("redis", (url) => {
  for (const [name, change] of cases) {
    it.live(`what is claimed by a change is answered as it is stored: ${name}`, () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const [added] = yield* store.insert([newTask("a", kind)])
        const { generation, revision } = added!.row
        const [committed] = yield* store.commit([{
          id: "a",
          generation,
          revision,
          now: 3,
          seen: added!.row,
          ...change
        }])
        assert.ok(committed?._tag === "Committed")
        const [found] = yield* store.get(["a"])
        assert.strictEqual(committed.claimed.length, change.runs.filter(({ _tag }) => _tag === "Create").length)
        assert.sameDeepMembers(committed.claimed.slice(), found!.open.slice())
      }).pipe(Effect.provide(NodeRedisTaskStore.layer({ url, prefix: freshPrefix() }))))
  }
})
