/**
 * Exports as files.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import { TaskStore } from "punctual/TaskStore"
import * as TaskStoreDump from "punctual/TaskStoreDump"
import { newRun, newTask } from "../../sql/test/internal/tasks.ts"
import * as FileTaskStore from "../src/FileTaskStore.ts"
import * as TaskFile from "../src/TaskFile.ts"
import { temporaryFolder } from "./internal/folders.ts"

const memory = Layer.build(Layer.fresh(MemoryTaskStore.layer))

/** A store with tasks of which a file of lines may be wrong about. */
const filled = Effect.tap(memory, (context) =>
  Context.get(context, TaskStore).insert([
    newTask("a\u2028b\n\u0000\"👍", { payload: "{\"text\":\"\u2028 é 👍\"}", runs: [newRun("x:1", { due: 1 })] }),
    ...Array.from({ length: 300 }, (_, i) => newTask(`task-${i}`))
  ]))

describe("TaskFile", () => {
  it.effect("a store goes through a file into another one whole, which only its user can read", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = join(folder, "tasks of mine.jsonl")
      const source = yield* filled
      yield* Effect.provideContext(TaskFile.exportTo(path), source)
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.deepStrictEqual(readdirSync(folder), ["tasks of mine.jsonl"])
      const other = yield* Layer.build(FileTaskStore.layer({ directory: join(folder, "store") }))
      assert.deepStrictEqual(
        yield* Effect.provideContext(TaskFile.importFrom(path), other),
        { inserted: 301, replaced: 0, kept: 0 }
      )
      const lines = (context: Context.Context<TaskStore>) =>
        Effect.provideContext(Stream.runCollect(TaskStoreDump.exportLines()), context)
      assert.deepStrictEqual((yield* lines(other)).toSorted(), (yield* lines(source)).toSorted())
    }))

  it.effect("an export that fails leaves the file of before, and nothing beside it", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = join(folder, "tasks.jsonl")
      writeFileSync(path, "before")
      const source = yield* filled
      const store = Context.get(source, TaskStore)
      yield* store.claim({
        now: 1_800_000_000_000,
        lease: { owner: "me", until: 1_900_000_000_000 },
        slots: [{ executor: "default", tag: "Mail", version: 1, limit: 1 }],
        limit: 1,
        reader: "me"
      })
      const error = yield* Effect.flip(Effect.provideContext(TaskFile.exportTo(path), source))
      assert.strictEqual(error._tag, "RunInProgress")
      assert.strictEqual(readFileSync(path, "utf8"), "before")
      assert.deepStrictEqual(readdirSync(folder), ["tasks.jsonl"])
      yield* Effect.provideContext(TaskFile.exportTo(path, { running: "takeOver" }), source)
      assert.include(readFileSync(path, "utf8"), "\"end\"")
    }))

  it.effect("of exports to one file at once each is whole, and the last one stays", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = join(folder, "tasks.jsonl")
      const source = yield* filled
      yield* Effect.forEach(
        Array.from({ length: 5 }),
        () => Effect.provideContext(TaskFile.exportTo(path), source),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(readdirSync(folder), ["tasks.jsonl"])
      assert.deepStrictEqual(
        yield* Effect.provideContext(TaskFile.importFrom(path), source),
        { inserted: 0, replaced: 0, kept: 301 }
      )
    }))

  it.effect("a file that is not there, cannot be made, or is a folder is a TaskFileError", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      mkdirSync(join(folder, "dir"))
      const context = yield* memory
      const missing = yield* Effect.flip(Effect.provideContext(TaskFile.importFrom(join(folder, "no")), context))
      const isFolder = yield* Effect.flip(Effect.provideContext(TaskFile.importFrom(join(folder, "dir")), context))
      const nowhere = yield* Effect.flip(Effect.provideContext(TaskFile.exportTo(join(folder, "no", "x")), context))
      const onFolder = yield* Effect.flip(Effect.provideContext(TaskFile.exportTo(join(folder, "dir")), context))
      const codes = [missing, isFolder, nowhere, onFolder].map((error) =>
        error instanceof TaskFile.TaskFileError ? error.code : error._tag
      )
      assert.deepStrictEqual(codes, ["ENOENT", "EISDIR", "ENOENT", "EISDIR"])
      assert.deepStrictEqual(readdirSync(folder), ["dir"])
    }))

  it.effect("a file that is damaged at its end, or is no UTF-8, imports nothing", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder, "tasks.jsonl")
      yield* Effect.provideContext(TaskFile.exportTo(path), yield* filled)
      const bytes = readFileSync(path)
      const other = yield* memory
      const count = Effect.map(
        Context.get(other, TaskStore).list({ sort: "id", descending: false, limit: 1000 }),
        ({ items }) => items.length
      )
      writeFileSync(path, bytes.subarray(0, -40))
      const cut = yield* Effect.flip(Effect.provideContext(TaskFile.importFrom(path), other))
      assert.strictEqual(cut._tag, "TaskDumpError")
      assert.strictEqual(yield* count, 0)

      const broken = Buffer.from(bytes)
      broken[bytes.lastIndexOf("acme")] = 0xff
      writeFileSync(path, broken)
      const invalid = yield* Effect.flip(Effect.provideContext(TaskFile.importFrom(path), other))
      assert.strictEqual(invalid._tag, "TaskFileError")
      assert.strictEqual(yield* count, 0)

      writeFileSync(path, Buffer.concat([Buffer.from("\ufeff"), bytes]))
      yield* Effect.provideContext(TaskFile.importFrom(path), other)
      assert.strictEqual(yield* count, 301)
    }))
})
