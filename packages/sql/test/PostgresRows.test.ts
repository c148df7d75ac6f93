/**
 * What Postgres keeps and refuses: in PGlite everywhere, and on a server where there is one.
 */
import { assert, describe, it as vitest } from "@effect/vitest"
import { PGlite } from "@electric-sql/pglite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Task from "punctual/Task"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import type { Wake } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import { onServer } from "../../../.ci/testServers.ts"
import { schemaVersion } from "../src/internal/schema.ts"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { clientOf, freshPrefix } from "./internal/postgres.ts"
import { change, epoch, newRun, newTask } from "./internal/tasks.ts"

const Work = Task.make("Work")

const open = (options: SqlTaskStore.Options = {}) =>
  Effect.map(
    Layer.build(Layer.fresh(SqlTaskStore.layer({ prefix: freshPrefix(), ...options }))),
    Context.get(TaskStore)
  )

const clientFor = (store: TaskStore["Service"]) =>
  Effect.map(
    Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(Layer.succeed(TaskStore)(store)))),
    Context.get(TaskSchedulerClient.TaskSchedulerClient)
  )

const rows = <E>(name: string, layer: Layer.Layer<SqlClient.SqlClient, E>) =>
  vitest.layer(layer, { timeout: "30 seconds" })(name, (it) => {
    describe("a task added in a transaction of the program", () => {
      it.effect("is there after the commit, and wakes then; one that rolls back never was", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const store = yield* open()
          const client = yield* clientFor(store)
          const orders = sql(freshPrefix())
          yield* sql`create table ${orders} (id integer primary key)`
          const wakes: Array<Wake> = []
          yield* store.listen((wake) => wakes.push(wake))
          const trigger = Trigger.at(epoch)
          yield* sql.withTransaction(Effect.gen(function*() {
            yield* sql`insert into ${orders} values (1)`
            yield* client.add(Work, { id: "ship-1", trigger })
            assert.deepStrictEqual(wakes, [])
          }))
          assert.deepStrictEqual(wakes, [{ due: epoch, ready: false, cancel: false }])
          assert.strictEqual((yield* store.get(["ship-1"])).length, 1)

          yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
            yield* sql`insert into ${orders} values (2)`
            yield* client.add(Work, { id: "ship-2", trigger })
            return yield* Effect.fail("no")
          })))
          assert.deepStrictEqual(yield* store.get(["ship-2"]), [])
          assert.strictEqual(wakes.length, 1)
          assert.strictEqual((yield* sql`select id from ${orders}`.values).length, 1)
        }))

      it.effect("is waited for by who adds the same id, and is theirs where it rolls back", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const store = yield* open()
          const added = yield* Latch.make()
          const transaction = yield* Effect.forkChild(Effect.exit(sql.withTransaction(Effect.gen(function*() {
            yield* store.insert([newTask("a", { name: "first" })])
            yield* added.open
            return yield* Effect.fail("no")
          }))))
          yield* added.await
          const [inserted] = yield* store.insert([newTask("a", { name: "second" })])
          yield* Fiber.join(transaction)
          assert.strictEqual(inserted!._tag, "Inserted")
          assert.strictEqual((yield* store.get(["a"]))[0]!.row.name, "second")
        }))
    })

    describe("versions", () => {
      it.effect("a schema of a newer program is refused, with both versions, and nothing is changed", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const prefix = freshPrefix()
          const before = yield* open({ prefix })
          yield* before.insert([newTask("a")])
          yield* sql`update ${sql.literal(`${prefix}_meta`)} set version = 7, minimum_writer = 5`
          const error = yield* Effect.flip(open({ prefix }))
          assert.strictEqual(error.reason, "NewerSchema")
          assert.match(error.message, new RegExp(`version 7.*version 5 or later.*version ${schemaVersion}\\.`))
          // also to one that was there before
          const late = yield* Effect.flip(before.insert([newTask("b")]))
          assert.strictEqual(late.reason, "NewerSchema")
          assert.match(late.message, new RegExp(`version 7.*version 5 or later.*version ${schemaVersion}\\.`))
          assert.strictEqual((yield* before.get(["a", "b"])).length, 1)
        }))

      it.effect("a newer schema that older writers do no harm to is written to", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const prefix = freshPrefix()
          yield* open({ prefix })
          yield* sql`update ${sql.literal(`${prefix}_meta`)} set version = 7`
          const store = yield* open({ prefix })
          assert.strictEqual((yield* store.insert([newTask("a")]))[0]!._tag, "Inserted")
        }))
    })

    describe("names of tables", () => {
      it.effect("begin with any prefix that leaves them different; a longer one is refused", () =>
        Effect.gen(function*() {
          const random = freshPrefix()
          for (const prefix of [random.padEnd(40, "x"), `_${random}`, random.toUpperCase(), "select"]) {
            const store = yield* open({ prefix })
            yield* store.insert([newTask("a", { runs: [newRun("x:1")] })])
            assert.strictEqual((yield* store.get(["a"])).length, 1, prefix)
          }
          const error = yield* Effect.flip(open({ prefix: random.padEnd(41, "x") }))
          assert.strictEqual(error.reason, "Invalid")
          assert.match(error.message, /41 characters.*40 at most/)
        }))
    })

    describe("texts", () => {
      it.effect("with a NUL character are refused, wherever they are, and the store goes on", () =>
        Effect.gen(function*() {
          const store = yield* open()
          for (
            const task of [
              newTask("a\0b"),
              newTask("a", { payload: "\0" }),
              newTask("a", { labels: "{\"\\u0000\":\"\"}" })
            ]
          ) {
            const error = yield* Effect.flip(store.insert([newTask("beside"), task]))
            assert.strictEqual(error._tag, "TaskStoreError")
            assert.strictEqual(error.reason, "Invalid")
            assert.match(error.message, /NUL/)
          }
          assert.deepStrictEqual(yield* store.get(["a", "beside"]), [])
          const [inserted] = yield* store.insert([newTask("a")])
          const error = yield* Effect.flip(store.commit([change(inserted!.row, { set: { pauseNote: "\0" } })]))
          assert.strictEqual(error.reason, "Invalid")
        }))

      it.effect("an id with half of a surrogate pair is refused, each time", () =>
        Effect.gen(function*() {
          const store = yield* open()
          for (const _ of [1, 2]) {
            const error = yield* Effect.flip(store.insert([newTask("a\ud83d")]))
            assert.strictEqual(error.reason, "Invalid")
            assert.match(error.message, /surrogate/)
          }
        }))

      it.effect("of any other kind come back as they were, and are found by", () =>
        Effect.gen(function*() {
          const store = yield* open()
          const ids = [
            "'",
            "\"",
            "\\",
            "{}",
            "NULL",
            "a,b",
            "😀",
            "é",
            "e\u0301",
            " a ",
            "\n\t",
            "%_",
            "$1",
            "\u{10ffff}"
          ]
          yield* store.insert(
            ids.map((id) => newTask(id, { payload: JSON.stringify(id), labels: JSON.stringify({ id }) }))
          )
          for (const id of ids) {
            const [found] = yield* store.get([id])
            assert.strictEqual(found?.row.id, id)
            assert.strictEqual(JSON.parse(found!.row.payload), id)
            const { items } = yield* store.list({ labels: { id }, sort: "id", descending: false, limit: 9 })
            assert.deepStrictEqual(items.map((row) => row.id), [id])
          }
        }))
    })

    describe("much at once", () => {
      it.effect("a payload of a megabyte", () =>
        Effect.gen(function*() {
          const store = yield* open()
          const payload = JSON.stringify("é".repeat(500_000))
          yield* store.insert([newTask("a", { payload, runs: [newRun("x:1")] })])
          assert.strictEqual((yield* store.get(["a"]))[0]!.row.payload, payload)
        }))
    })
  })

const Pglite = PgliteClient.layer(Effect.promise(() => PGlite.create()))

rows("rows in PGlite", Pglite)

vitest.layer(Pglite, { timeout: "30 seconds" })("an old server", (it) => {
  it.effect("is refused, with both versions", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      // what the server says of itself
      yield* sql`create schema old`
      yield* sql`create function old.current_setting(name text) returns text language sql as $$ select '130022' $$`
      yield* sql`set search_path = old, pg_catalog, public`
      const error = yield* Effect.flip(open())
      assert.strictEqual(error.reason, "Invalid")
      assert.match(error.message, /Postgres 13.*14 or newer/)
    }))
})

await onServer("postgres", (url) => rows("rows on a server", clientOf(url)))
