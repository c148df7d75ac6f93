/**
 * Much in one call, and what becomes of it when the process dies in its middle.
 */
import { assert, it } from "@effect/vitest"
import * as TaskStoreBulk from "@punctual/testing/TaskStoreBulk"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskStore } from "punctual/TaskStore"
import { makeOver } from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"
import { onServer, storeOn } from "./internal/server.ts"
import { newTask } from "./internal/tasks.ts"

TaskStoreBulk.suite(
  "pretended mongodb",
  Layer.suspend(() => Layer.effect(TaskStore, makeOver(new Pretended().database, { name: "pretended" }))),
  // it reads all it has to find something
  { count: 10_000 }
)

await onServer((server) => TaskStoreBulk.suite("mongodb", storeOn(server), server.ferret ? { count: 1_000 } : {}))

it.live(
  "a call that fails in its middle has added some of its tasks whole; made again it adds the rest",
  () =>
    Effect.gen(function*() {
      const tasks = Array.from({ length: 2_500 }, (_, i) => newTask(`task-${i}`))
      const opened = (server: Pretended) => makeOver(server.database, { name: "pretended" })
      const measured = new Pretended()
      yield* Effect.flatMap(opened(measured), (store) => store.insert(tasks))
      const server = new Pretended()
      const store = yield* opened(server)
      server.dies = measured.calls - 3
      const error = yield* Effect.flip(store.insert(tasks))
      assert.deepStrictEqual([error.operation, error.reason], ["insert", "Unavailable"])
      server.dies = Infinity
      const kept = new Set((yield* store.get(tasks.map(({ id }) => id))).map(({ row }) => row.id))
      assert.isAbove(kept.size, 0)
      assert.isBelow(kept.size, tasks.length)
      const again = yield* store.insert(tasks)
      assert.deepStrictEqual(
        again.map(({ _tag }) => _tag),
        tasks.map(({ id }) => kept.has(id) ? "Exists" : "Inserted")
      )
    }),
  30_000
)
