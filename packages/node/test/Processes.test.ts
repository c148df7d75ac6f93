/**
 * Several real processes on one folder.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { TaskStore } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import { startFile } from "../../sql/test/internal/processes.ts"
import * as FileTaskStore from "../src/FileTaskStore.ts"
import { Work } from "./fixtures/worker.ts"
import { temporaryFolder } from "./internal/folders.ts"

const worker = (directory: string) => startFile(join(import.meta.dirname, "fixtures/worker.ts"), directory)

const ClientLive = (directory: string) =>
  TaskSchedulerClient.layer().pipe(Layer.provideMerge(FileTaskStore.layer({ directory })))

const add = (id: string, hangs: boolean) =>
  TaskSchedulerClient.TaskSchedulerClient.use((client) =>
    client.add(Work, { id, payload: { hangs }, trigger: Trigger.now })
  )

/** The runs of a task once all have ended. */
const ended = (store: TaskStore["Service"], taskId: string) =>
  Effect.gen(function*() {
    while (true) {
      const { items } = yield* store.runs({ taskId, limit: 10 })
      if (items.length > 0 && items.every(({ endedAt }) => endedAt !== null)) return items
      yield* Effect.sleep("20 millis")
    }
  })

describe("processes that share a folder", () => {
  it.live("may all be the first, and what one adds another runs", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, "not yet", "tasks")
      const workers = yield* Effect.all([worker(directory), worker(directory), worker(directory)])
      const [context] = yield* Effect.all([
        Layer.build(ClientLive(directory)),
        ...workers.map(({ heard }) => Effect.map(heard, (word) => assert.strictEqual(word, "ready")))
      ], { concurrency: "unbounded" })
      for (let i = 0; i < 10; i++) {
        yield* Effect.provideContext(add(`work-${i}`, false), context)
        const begun = yield* Effect.raceAll(workers.map(({ heard }) => heard))
        assert.strictEqual(begun.split(" ")[0], `work-${i}`)
      }
    }), 60_000)

  it.live(
    "take over what a killed one was doing; what it left beside the database is no obstacle",
    () =>
      Effect.gen(function*() {
        const directory = join(yield* temporaryFolder, "tasks")
        const first = yield* worker(directory)
        assert.strictEqual(yield* first.heard, "ready")
        yield* Effect.scoped(
          Effect.flatMap(
            Layer.build(ClientLive(directory)),
            (context) => Effect.provideContext(add("hangs", true), context)
          )
        )
        const [id, attempt, token] = (yield* first.heard).split(" ")
        assert.deepStrictEqual([id, attempt], ["hangs", "1"])
        yield* first.kill
        assert.isTrue(existsSync(join(directory, "punctual.db-wal")))

        const second = yield* worker(directory)
        assert.strictEqual(yield* second.heard, "ready")
        const again = (yield* second.heard).split(" ")
        assert.deepStrictEqual(again.slice(0, 2), ["hangs", "2"])
        assert.isAbove(Number(again[2]), Number(token))
        const context = yield* Layer.build(FileTaskStore.layer({ directory }))
        const runs = yield* ended(Context.get(context, TaskStore), "hangs")
        assert.deepStrictEqual(runs.map(({ attempt, state, takeovers }) => [state, attempt, takeovers]), [
          ["succeeded", 2, 1]
        ])
      }),
    60_000
  )
})
