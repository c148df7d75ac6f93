/**
 * Bad input and bad days: each is a tagged error that says what to do, or harms only itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { MongoNetworkError, MongoServerError } from "mongodb"
import { TaskStore } from "punctual/TaskStore"
import type { TaskStoreError } from "punctual/TaskStore"
import { databaseError } from "../src/internal/driver.ts"
import { maximumSize } from "../src/internal/writes.ts"
import * as MongoClient from "../src/MongoClient.ts"
import * as MongoTaskStore from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"
import { onServer, storeOn } from "./internal/server.ts"
import { change, claimOf, end, newRun, newTask, now } from "./internal/tasks.ts"

const open = (server: Pretended) => MongoTaskStore.makeOver(server.database, { name: "pretended", crossProcess: false })

const refused = (layer: Layer.Layer<TaskStore, TaskStoreError>) =>
  Effect.flip(Effect.scoped(Layer.build(Layer.fresh(layer))))

const nobody = { url: "mongodb://127.0.0.1:1/", driver: { serverSelectionTimeoutMS: 100 } }

describe("opening", () => {
  it.effect("fails with Unavailable where no server answers, without the password in its message", () =>
    Effect.gen(function*() {
      const url = Redacted.make("mongodb://user:hunter2@127.0.0.1:1/")
      const error = yield* refused(MongoTaskStore.layer({ ...nobody, url }))
      assert.deepStrictEqual([error.reason, error.retryable, error.operation], ["Unavailable", true, "open"])
      assert.include(error.message, "mongodb:127.0.0.1:1: ")
      assert.include(error.message, "check the url")
      assert.notInclude(error.message, "hunter2")
    }))

  it.effect("refuses what is no url", () =>
    Effect.gen(function*() {
      for (const url of ["", "http://127.0.0.1/", "mongodb://"]) {
        const error = yield* refused(MongoTaskStore.layer({ url }))
        assert.deepStrictEqual([error._tag, error.reason], ["TaskStoreError", "Invalid"], url)
      }
    }))

  it.effect("refuses odd names and unknown options before it connects", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [object, string]> = [
        ...["", "1st", "a.b", "a$b", "a b", "x".repeat(65), "system\0"].map((prefix) =>
          [{ prefix }, JSON.stringify(prefix)] as const
        ),
        ...["", "a.b", "a/b", "a b", "a$b", "x".repeat(64)].map((database) =>
          [{ database }, JSON.stringify(database)] as const
        ),
        [{ pollInterval: "soon" }, "no duration"],
        [{ prefx: "a" }, "did you mean `prefix`?"]
      ]
      for (const [options, message] of cases) {
        const error = yield* refused(MongoTaskStore.layer({ ...nobody, ...options }))
        assert.strictEqual(error.reason, "Invalid", message)
        assert.include(error.message, message)
      }
    }))

  it.effect("names the oldest server it can do with", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      server.version = "5.0.31"
      const error = yield* Effect.flip(Effect.scoped(open(server)))
      assert.include(error.message, "the server is MongoDB 5.0.31; 6.0 or later is needed")
      assert.strictEqual(server.documents.size, 0)
    }))

  it.effect("ten at once make one store", () =>
    Effect.gen(function*() {
      const server = new Pretended(3)
      const stores = yield* Effect.all(Array.from({ length: 10 }, () => open(server)), { concurrency: "unbounded" })
      const inserted = yield* Effect.forEach(stores, (store) => store.insert([newTask("a")]), {
        concurrency: "unbounded"
      })
      assert.strictEqual(inserted.flat().filter(({ _tag }) => _tag === "Inserted").length, 1)
      assert.strictEqual(server.of("punctual_meta").get("schema")?.["version"], 1)
    }))

  it("tells what the server's codes mean", () => {
    const reasonOf = (code: number) => databaseError(new MongoServerError({ message: "no", code })).reason
    const codes = {
      13: "Unknown",
      18: "Unknown",
      112: "Busy",
      64: "Unavailable",
      14031: "Full",
      10334: "Invalid",
      1: "Unknown"
    }
    for (const [code, reason] of Object.entries(codes)) assert.strictEqual(reasonOf(Number(code)), reason, code)
    assert.include(databaseError(new MongoServerError({ message: "no", code: 18 })).message, "check user, password")
    assert.strictEqual(databaseError(new MongoNetworkError("gone")).reason, "Unavailable")
    const error = new MongoServerError({ message: "stepping down", code: 11602, errorLabels: ["RetryableWriteError"] })
    assert.strictEqual(databaseError(error).reason, "Unavailable")
  })
})

describe("two versions at once", () => {
  it.effect("I13: every write of an older program is refused once a newer one has migrated, and changes nothing", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      const [inserted] = yield* store.insert([newTask("a", { runs: [newRun(now), newRun(now + 1)] })])
      const { runs } = yield* store.claim(claimOf("one", { limit: 1 }))
      const { run } = runs[0]!
      const ref = { generation: run.generation, key: run.key, token: run.token! }
      const instance = {
        id: "one",
        name: "one",
        host: null,
        pid: null,
        version: "1",
        handles: "{}",
        startedAt: now,
        seenAt: now,
        until: now + 1
      }
      yield* store.beat(instance)
      const schema = { _id: "schema", version: 9, minimumWriter: 8 }
      server.of("punctual_meta").set("schema", schema)
      const everything = () =>
        ["tasks", "history", "instances"].flatMap((name) => [...server.of(`punctual_${name}`).values()])
      const before = structuredClone(everything())
      const row = inserted!.row
      const lease = { owner: "one", until: now + 9999 }
      const writes: ReadonlyArray<Effect.Effect<unknown, TaskStoreError>> = [
        store.insert([newTask("b")]),
        store.commit([change(row, { payload: "[]" })]),
        store.commit([change(row, "remove")]),
        store.claim(claimOf("two")),
        store.start({ now, owner: "one", runs: [ref] }),
        store.settle([end(run)], { keep: 10 }),
        store.heartbeat({ now, lease, runs: [ref] }),
        store.cancel([{ ...ref, reason: "stop" }]),
        store.takeover({ now: now + 99_999, limit: 9, maxTakeovers: 3, keep: 10 }),
        store.prune({ before: now + 99_999, limit: 9 }),
        store.quarantine([{ id: "a", generation: row.generation, reader: "r", reason: "odd", at: now }]),
        store.clear([row.generation]),
        store.beat({ ...instance, id: "other" }),
        store.leave([instance.id])
      ]
      for (const [i, write] of writes.entries()) {
        const error = yield* Effect.flip(write)
        assert.deepStrictEqual([error.reason, error.retryable], ["NewerSchema", false], `write ${i}`)
        assert.include(error.message, "version 9")
        assert.include(error.message, "version 8 or later")
      }
      assert.deepStrictEqual(everything(), before)
      const error = yield* Effect.flip(Effect.scoped(open(server)))
      assert.strictEqual(error.reason, "NewerSchema")
      // A newer one that older programs may write beside.
      server.of("punctual_meta").set("schema", { ...schema, minimumWriter: 1 })
      assert.deepStrictEqual(yield* store.settle([end(run)], { keep: 10 }), ["Settled"])
      yield* Effect.scoped(open(server))
      assert.strictEqual(server.of("punctual_meta").get("schema")?.["version"], 9)
    }))

  it.effect("I13: a document of a newer layout is left alone, whatever was read of the store before", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      const [inserted] = yield* store.insert([newTask("a")])
      const doc = server.of("punctual_tasks").get("a")!
      server.of("punctual_tasks").set("a", { ...doc, schema: 2 })
      const error = yield* Effect.flip(store.commit([change(inserted!.row, { payload: "[]" })]))
      assert.strictEqual(error.reason, "NewerSchema")
    }))
})

describe("large", () => {
  const megabyte = JSON.stringify("x".repeat(1024 * 1024))

  it.effect("open runs beside a large payload are refused before MongoDB would, and nothing of the call is done", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      const payload = JSON.stringify("x".repeat(maximumSize - 20_000))
      const [inserted, other] = yield* store.insert([newTask("a", { payload }), newTask("b")])
      const row = inserted!.row
      const runs = Array.from({ length: 60 }, (_, i) => ({ _tag: "Create", run: newRun(now + i) } as const))
      const error = yield* Effect.flip(store.commit([change(other!.row, { name: "changed" }), change(row, {}, runs)]))
      assert.deepStrictEqual([error.reason, error.retryable], ["Invalid", false])
      assert.include(error.message, "\"a\"")
      assert.include(error.message, "60 open runs")
      assert.deepStrictEqual((yield* store.get(["a", "b"])).map(({ open, row }) => [row.revision, open.length]), [
        [1, 0],
        [1, 0]
      ])
      // What is there goes on, and what is smaller fits.
      assert.strictEqual((yield* store.commit([change(row, { payload: "{}" }, runs)]))[0]!._tag, "Committed")
      assert.strictEqual(
        (yield* Effect.flip(store.insert([newTask("c", { payload, declared: payload })]))).reason,
        "Invalid"
      )
      // What has become too large all the same may be changed, as long as it does not grow.
      const documents = server.of("punctual_tasks")
      documents.set("b", { ...documents.get("b")!, cold: maximumSize })
      const grown = yield* Effect.flip(store.commit([change(other!.row, {}, runs)]))
      assert.strictEqual(grown.reason, "Invalid")
      const [finished] = yield* store.commit([change(other!.row, { cursor: now + 1 })])
      assert.strictEqual(finished!._tag, "Committed")
    }))

  it.effect("exits of many megabytes in one call are settled in parts", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      yield* store.insert([newTask("a", { runs: Array.from({ length: 20 }, (_, i) => newRun(now + i)) })])
      const { runs } = yield* store.claim(claimOf("one"))
      const result = { _tag: "End", state: "succeeded", exit: megabyte } as const
      let largest = 0
      const size = Effect.sync(() => {
        largest = Math.max(largest, JSON.stringify(server.of("punctual_tasks").get("a")).length)
        server.meanwhile = size
      })
      server.meanwhile = size
      const settled = yield* store.settle(runs.map(({ run }) => end(run, { result })), { keep: 100 })
      assert.deepStrictEqual(settled, runs.map(() => "Settled"))
      assert.isBelow(largest, 5 * 1024 * 1024)
      assert.strictEqual((yield* store.runs({ taskId: "a", limit: 100 })).items.length, 20)
    }))

  it.effect("an id that UTF-8 cannot write is refused", () =>
    Effect.gen(function*() {
      const store = yield* open(new Pretended())
      const error = yield* Effect.flip(store.insert([newTask("half \ud83d")]))
      assert.strictEqual(error.reason, "Invalid")
    }))
})

describe("documents of another hand", () => {
  it.effect("I9: one is set aside for its reader, and the others are due and claimed", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      const ids = ["a", "b", "c", "d", "e"]
      yield* store.insert(
        ids.map((id, i) => newTask(id, { due: now + i, zoneRules: "2020a", runs: [newRun(now + i)] }))
      )
      const documents = server.of("punctual_tasks")
      const edit = (id: string, fields: object) =>
        documents.set(id, { ...documents.get(id)!, task: { ...Object(documents.get(id)!["task"]), ...fields } })
      edit("a", { payload: 17 })
      edit("c", { counters: { ran: "many" } })
      documents.set("e", { ...documents.get("e")!, verdicts: "none", blind: 7, runs: [] })
      const due = (reader: string) => store.due({ now: now + 99, limit: 2, reader, zoneRules: "2020a" })
      assert.deepStrictEqual((yield* due("one")).tasks.map(({ row }) => row.id), ["b", "d"])
      const { runs } = yield* store.claim({ ...claimOf("two"), reader: "two", limit: 2 })
      assert.deepStrictEqual(runs.map(({ run }) => run.taskId), ["b", "d"])
      const outdated = yield* store.outdated({ now, limit: 2, reader: "three", zoneRules: "2026a" })
      assert.deepStrictEqual(outdated.map(({ row }) => row.id).sort(), ["b", "d"])
      assert.deepStrictEqual((yield* store.get(ids)).map(({ row }) => row.id), ["b", "d"])
      const verdicts = yield* store.verdicts({ limit: 100 })
      const text = verdicts.map(({ id, reader, reason }) => `${id} ${reader} ${reason}`)
      assert.includeMembers(text, [
        "a one `task.payload` is not what this store writes",
        "c one `task.counters` is not what this store writes",
        "e two `runs` is no map"
      ])
      const error = yield* Effect.flip(store.insert([newTask("a")]))
      assert.strictEqual(error.reason, "Corrupt")
    }))

  it.effect("I9: one whose lease has ended does not keep others from being taken over", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      yield* store.insert(["a", "b"].map((id, i) => newTask(id, { runs: [newRun(now + i)] })))
      yield* store.claim(claimOf("one"))
      const documents = server.of("punctual_tasks")
      documents.set("a", { ...documents.get("a")!, runs: { odd: 1 }, lease: now })
      const { runs } = yield* store.takeover({ now: now + 9999, limit: 1, maxTakeovers: 3, keep: 10 })
      assert.deepStrictEqual(runs.map(({ run }) => run.taskId), ["b"])
    }))
})

await onServer((server) => {
  describe("on a server", () => {
    it.effect("wrong credentials are told apart from a server that is not there", () =>
      Effect.gen(function*() {
        const url = server.url.replace(/^mongodb:\/\/(?:[^@/]*@)?/, "mongodb://nobody:wrong@")
        const error = yield* Effect.flip(Effect.scoped(MongoClient.make({ url })))
        assert.deepStrictEqual([error.reason, error.retryable], ["Unknown", false])
        assert.include(error.message, "check user, password")
        assert.notInclude(error.message, "wrong@")
      }))

    it.effect("a store whose client is closed says so", () =>
      Effect.gen(function*() {
        const store = yield* Effect.scoped(
          Effect.map(Layer.build(Layer.fresh(storeOn(server))), (context) => Context.get(context, TaskStore))
        )
        const error = yield* Effect.flip(store.get(["a"]))
        assert.deepStrictEqual([error.reason, error.retryable], ["Closed", false])
      }))

    it.effect("payloads and exits of megabytes come back whole", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const payload = JSON.stringify("é".repeat(1024 * 1024))
        yield* store.insert([newTask("a", { payload, display: payload, declared: payload, runs: [newRun(now)] })])
        const { runs } = yield* store.claim(claimOf("one"))
        assert.isTrue(runs[0]!.task.payload === payload)
        const result = { _tag: "End", state: "succeeded", exit: payload } as const
        assert.deepStrictEqual(yield* store.settle([end(runs[0]!.run, { result })], { keep: 1 }), ["Settled"])
        const { items } = yield* store.runs({ taskId: "a", limit: 1 })
        assert.isTrue(items[0]!.exit === payload)
      }).pipe(Effect.provide(storeOn(server))), 60_000)

    it.effect("keys and ids of any characters", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const odd = ["$where", "a.b.c", "__proto__", "nul \0 nul", "%2e", "%", "", " ", "constructor", "1", "\u2028 28"]
        yield* store.insert(
          odd.map((id) => newTask(`odd ${id}`, { runs: odd.map((key, i) => newRun(now + i, { key })) }))
        )
        const { runs } = yield* store.claim(claimOf("one"))
        assert.strictEqual(runs.length, odd.length ** 2)
        const settled = yield* store.settle(runs.map(({ run }) => end(run)), { keep: 100 })
        assert.isTrue(settled.every((one) => one === "Settled"))
        for (const id of odd) {
          const { items } = yield* store.runs({ taskId: `odd ${id}`, limit: 100 })
          assert.deepStrictEqual(items.map(({ key }) => key).reverse(), odd)
        }
      }).pipe(Effect.provide(storeOn(server))))
  })
})
