/**
 * A disk that is really full: a file system of one megabyte, in memory, where this process may mount one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { TaskStore } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import { mayMount, smallDisk } from "../../../.ci/smallDisk.ts"
import { startFile } from "../../sql/test/internal/processes.ts"
import { newTask } from "../../sql/test/internal/tasks.ts"
import * as FileTaskStore from "../src/FileTaskStore.ts"
import * as TaskFile from "../src/TaskFile.ts"
import { Work } from "./fixtures/worker.ts"

const disk = Effect.acquireRelease(
  Effect.sync(() => smallDisk(1)!),
  (disk) => Effect.sync(() => disk.unmount())
)

const big = (id: string) => newTask(id, { payload: JSON.stringify("x".repeat(20_000)) })

describe.skipIf(!mayMount)("a full disk", () => {
  it.effect("is Full, changes nothing, and is over when there is space again", () =>
    Effect.gen(function*() {
      const { fill, path: root } = yield* disk
      const directory = join(root, "tasks")
      const build = Effect.map(
        Layer.build(Layer.fresh(FileTaskStore.layer({ directory }))),
        (context) => Context.get(context, TaskStore)
      )
      mkdirSync(directory)
      const free = fill()
      const error = yield* Effect.flip(Effect.scoped(build))
      assert.strictEqual(error.reason, "Full")
      free()

      yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* build
        yield* store.insert([big("a")])
        const release = fill()
        let added = 0
        const full = yield* Effect.flip(
          Effect.forever(
            Effect.suspend(() => Effect.tap(store.insert([big(`more-${added}`)]), () => Effect.sync(() => added++)))
          )
        )
        assert.strictEqual(full.reason, "Full")
        assert.strictEqual((yield* store.get(["a"])).length, 1)
        assert.strictEqual((yield* store.get([`more-${added}`])).length, 0)
        release()
        yield* store.insert([big("b")])
      }))
      const store = yield* build
      assert.strictEqual((yield* store.get(["a", "b"])).length, 2)
    }).pipe(Effect.scoped))

  it.effect("ends an export with a TaskFileError, and leaves no part of it", () =>
    Effect.gen(function*() {
      const { fill, path: root } = yield* disk
      const store = yield* Layer.build(FileTaskStore.layer({ directory: join((yield* disk).path, "tasks") }))
      yield* Context.get(store, TaskStore).insert([big("a")])
      fill()
      const error = yield* Effect.flip(Effect.provideContext(TaskFile.exportTo(join(root, "tasks.jsonl")), store))
      assert.instanceOf(error, TaskFile.TaskFileError)
      assert.strictEqual(error.code, "ENOSPC")
      assert.deepStrictEqual(readdirSync(root), ["filler"])
    }).pipe(Effect.scoped))

  it.live("holds up a process that works on the store, which goes on by itself", () =>
    Effect.gen(function*() {
      const { fill, path: root } = yield* disk
      const directory = join(root, "tasks")
      const context = yield* Layer.build(
        TaskSchedulerClient.layer().pipe(Layer.provideMerge(FileTaskStore.layer({ directory })))
      )
      const worker = yield* startFile(join(import.meta.dirname, "fixtures/worker.ts"), directory)
      assert.strictEqual(yield* worker.heard, "ready")
      const add = (id: string) =>
        TaskSchedulerClient.TaskSchedulerClient.use((client) =>
          client.add(Work, { id, payload: { hangs: false }, trigger: Trigger.now })
        ).pipe(Effect.provideContext(context))
      yield* add("before")
      assert.match(yield* worker.heard, /^before 1 /)
      const free = fill()
      // As long as the log has room left from before, tasks are added and run.
      let added = 0
      yield* Effect.flip(
        Effect.forever(Effect.suspend(() => Effect.tap(add(`full-${added}`), () => Effect.sync(() => added++))))
      )
      free()
      yield* add("after")
      const begun: Array<string> = []
      while (!begun.includes("after")) begun.push((yield* worker.heard).split(" ")[0]!)
    }).pipe(Effect.scoped), 60_000)
})
