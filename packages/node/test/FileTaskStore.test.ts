/**
 * The store in a folder: what the port promises, and what becomes of folders that are something else.
 */
import { assert, describe, it } from "@effect/vitest"
import * as DumpLaws from "@punctual/testing/DumpLaws"
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { TaskStore } from "punctual/TaskStore"
import { newTask } from "../../sql/test/internal/tasks.ts"
import * as FileTaskStore from "../src/FileTaskStore.ts"
import { temporaryFolder } from "./internal/folders.ts"

const inFolder = (options: Omit<FileTaskStore.Options, "directory"> = {}) =>
  Layer.unwrap(
    Effect.map(temporaryFolder, (parent) => FileTaskStore.layer({ ...options, directory: join(parent, "tasks") }))
  )

TaskStoreSuite.suite("file", inFolder(), {
  capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true }
})

TaskStoreSuite.model("file", inFolder({ synchronous: "off" }))

DumpLaws.suite("file", inFolder({ synchronous: "off" }))

const open = (options: FileTaskStore.Options) =>
  Effect.map(Layer.build(Layer.fresh(FileTaskStore.layer(options))), (context) => Context.get(context, TaskStore))

const refused = (options: FileTaskStore.Options) => Effect.flip(open(options))

const mode = (path: string) => statSync(path).mode & 0o777

/** Rights hold for everybody but root. */
const asNobody = Effect.acquireRelease(
  Effect.sync(() => {
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65_534)
    return isRoot
  }),
  (wasRoot) => Effect.sync(() => wasRoot ? process.seteuid?.(0) : undefined)
)

describe("a folder", () => {
  it.effect("is created with its parents, for its user alone, and says what it is", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, "a", "b", "tasks")
      const store = yield* open({ directory })
      yield* store.insert([newTask("a")])
      assert.deepStrictEqual(
        readdirSync(directory).sort(),
        ["README.txt", "punctual.db", "punctual.db-shm", "punctual.db-wal"]
      )
      assert.deepStrictEqual([mode(directory), mode(join(directory, ".."))], [0o700, 0o700])
      assert.deepStrictEqual(readdirSync(directory).map((name) => mode(join(directory, name))), [
        0o600,
        0o600,
        0o600,
        0o600
      ])
      assert.include(readFileSync(join(directory, "README.txt"), "utf8"), "Scheduled tasks of a program")
    }))

  it.effect("keeps its modes and a README that somebody has edited", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, "tasks")
      yield* Effect.scoped(open({ directory }))
      chmodSync(directory, 0o770)
      chmodSync(join(directory, "punctual.db"), 0o660)
      writeFileSync(join(directory, "README.txt"), "mine")
      const store = yield* open({ directory })
      yield* store.insert([newTask("a")])
      assert.deepStrictEqual(
        [mode(directory), mode(join(directory, "punctual.db")), mode(join(directory, "punctual.db-wal"))],
        [0o770, 0o660, 0o660]
      )
      assert.strictEqual(readFileSync(join(directory, "README.txt"), "utf8"), "mine")
    }))

  it.effect.each([
    "with spaces",
    "ümläut 日本語 👍",
    "file:here?mode=ro&x=#%41",
    "quote'\"`;$(x)",
    " leading and trailing ",
    "new\nline",
    "\\back",
    "-rf"
  ])("may be named %j", (name) =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, name)
      yield* Effect.scoped(Effect.flatMap(open({ directory }), (store) => store.insert([newTask("a")])))
      assert.isTrue(existsSync(join(directory, "punctual.db")))
      const store = yield* open({ directory })
      assert.strictEqual((yield* store.get(["a"])).length, 1)
    }))

  it.effect("is not made where an option is unknown", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, "tasks")
      const refused = yield* Effect.flip(open({ directory, syncronous: "full" } as never))
      assert.strictEqual(refused.reason, "Invalid")
      assert.include(refused.message, "unknown option `syncronous` of FileTaskStore.layer, did you mean `synchronous`?")
      assert.isFalse(existsSync(directory))
    }))

  it.effect("that holds something else is refused, and stays as it is", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryFolder
      writeFileSync(join(directory, "package.json"), "{}")
      const error = yield* refused({ directory })
      assert.strictEqual(error.reason, "Invalid")
      assert.include(error.message, "\"package.json\"")
      assert.deepStrictEqual(readdirSync(directory), ["package.json"])
    }))

  it.effect("that is there and empty, but for what keeps it so, is taken", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryFolder
      mkdirSync(join(directory, "lost+found"))
      writeFileSync(join(directory, ".gitkeep"), "")
      writeFileSync(join(directory, "README.txt"), "mine")
      yield* open({ directory })
      assert.include(readdirSync(directory), "punctual.db")
      assert.strictEqual(readFileSync(join(directory, "README.txt"), "utf8"), "mine")
    }))

  it.effect("that is a store already may hold other files", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, "tasks")
      yield* Effect.scoped(open({ directory }))
      writeFileSync(join(directory, "backup.jsonl"), "")
      yield* open({ directory })
    }))

  it.effect("a file in the way is Invalid, as the folder or above it", () =>
    Effect.gen(function*() {
      const parent = yield* temporaryFolder
      writeFileSync(join(parent, "file"), "mine")
      for (const directory of [join(parent, "file"), join(parent, "file", "tasks")]) {
        const error = yield* refused({ directory })
        assert.strictEqual(error.reason, "Invalid")
        assert.include(error.message, "a file is in the way")
      }
      assert.strictEqual(readFileSync(join(parent, "file"), "utf8"), "mine")
    }))

  it.effect.each(["", "nul\0", `${"x".repeat(300)}`])("no folder can be named %j", (name) =>
    Effect.gen(function*() {
      const error = yield* refused({ directory: name })
      assert.strictEqual(error.reason, "Invalid")
    }))

  it.effect("a database that is none is Corrupt, and stays as it is", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryFolder
      const text = "not a database ".repeat(100)
      writeFileSync(join(directory, "punctual.db"), text)
      const error = yield* refused({ directory })
      assert.strictEqual(error.reason, "Corrupt")
      assert.strictEqual(readFileSync(join(directory, "punctual.db"), "utf8"), text)
    }))

  it.effect("that may not be written to is ReadOnly, and says what to do", () =>
    Effect.gen(function*() {
      const parent = yield* temporaryFolder
      const store = join(parent, "tasks")
      yield* Effect.scoped(Effect.flatMap(open({ directory: store }), (store) => store.insert([newTask("a")])))
      yield* Effect.addFinalizer(() => Effect.sync(() => [parent, store].forEach((path) => chmodSync(path, 0o755))))
      for (const path of [parent, store]) chmodSync(path, 0o555)
      chmodSync(join(store, "punctual.db"), 0o444)
      yield* asNobody
      const missing = yield* refused({ directory: join(parent, "new") })
      assert.strictEqual(missing.reason, "ReadOnly")
      assert.include(missing.message, "give the user of this process the right to write there")
      const error = yield* Effect.flip(
        Effect.flatMap(open({ directory: store }), (store) => store.insert([newTask("b")]))
      )
      assert.strictEqual(error.reason, "ReadOnly")
    }))

  it.effect("readonly opens a store that is there, and creates nothing", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, "tasks")
      const missing = yield* refused({ directory, readonly: true })
      assert.strictEqual(missing.reason, "Invalid")
      assert.isFalse(existsSync(directory))
      yield* Effect.scoped(Effect.flatMap(open({ directory }), (store) => store.insert([newTask("a")])))
      const store = yield* open({ directory, readonly: true })
      assert.strictEqual((yield* store.get(["a"])).length, 1)
      const error = yield* Effect.flip(store.insert([newTask("b")]))
      assert.strictEqual(error.reason, "ReadOnly")
    }))
})
