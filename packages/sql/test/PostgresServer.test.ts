/**
 * Days of a Postgres server: connections that are killed, processes that start at once, wrong URLs and missing rights.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { inspect } from "node:util"
import type { Wake } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import { schemaVersion } from "../src/internal/schema.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import { clientOf, freshPrefix } from "./internal/postgres.ts"
import { start } from "./internal/processes.ts"
import { change, epoch, newTask } from "./internal/tasks.ts"

await onServer("postgres", (url) => {
  const open = (options: Partial<PostgresTaskStore.Options> = {}) =>
    Effect.map(
      Layer.build(Layer.fresh(PostgresTaskStore.layer({ url, prefix: freshPrefix(), ...options }))),
      Context.get(TaskStore)
    )

  const admin = Effect.map(Layer.build(Layer.fresh(clientOf(url))), Context.get(SqlClient.SqlClient))

  const listening = (store: TaskStore["Service"]) =>
    Effect.gen(function*() {
      const wakes = yield* Queue.unbounded<Wake>()
      yield* store.listen((wake) => Queue.offerUnsafe(wakes, wake))
      return Queue.take(wakes)
    })

  describe("a listener", () => {
    it.live("whose connection was killed listens again, and then looks at everything", () =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const one = yield* open({ prefix })
        const other = yield* open({ prefix })
        const woken = yield* listening(other)
        yield* one.insert([newTask("before")])
        assert.deepStrictEqual(yield* woken, { due: epoch, ready: false, cancel: false })

        const sql = yield* admin
        const killed = yield* sql`select pg_terminate_backend(pid) from pg_stat_activity
where query ilike ${"listen%"} and query like (select '%punctual_' || ${`${prefix}_meta`}::regclass::oid::text || '%')`
          .values
        assert.strictEqual(killed.length, 1)
        // it reads what was said meanwhile, and whatever else there is
        assert.deepStrictEqual(yield* woken, { due: epoch, ready: true, cancel: true })
        yield* one.insert([newTask("after", { due: epoch - 1 })])
        assert.deepStrictEqual(yield* woken, { due: epoch - 1, ready: false, cancel: false })
      }), 30_000)

    it.live(
      "and a pool of which every connection was killed: the next call that finds none tries again",
      () =>
        Effect.gen(function*() {
          const prefix = freshPrefix()
          const store = yield* open({ prefix })
          yield* store.insert([newTask("a")])
          const sql = yield* admin
          yield* sql`select pg_terminate_backend(pid) from pg_stat_activity
where pid <> pg_backend_pid() and query like ${`%${prefix}%`}`
          // each connection that was killed fails one call at most
          const found = yield* store.get(["a"]).pipe(Effect.retry({ times: 10, while: (error) => error.retryable }))
          assert.strictEqual(found.length, 1)
        }),
      30_000
    )
  })

  it.live(
    "ten processes that start at the same instant on an empty database migrate once and add each task once",
    () =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const processes = yield* Effect.forEach(
          Array.from({ length: 10 }),
          () => start("deployed", url, prefix),
          { concurrency: "unbounded" }
        )
        for (const process of processes) assert.strictEqual(yield* process.heard, "waiting")
        for (const process of processes) process.send("go")
        const added = yield* Effect.forEach(processes, ({ heard }) => heard)
        assert.deepStrictEqual(added.filter((said) => Number.isNaN(Number(said))), [])
        assert.strictEqual(added.reduce((sum, said) => sum + Number(said), 0), 50)
        const sql = yield* admin
        const applied = yield* sql`select count(*), max(version) from ${sql.literal(`${prefix}_migration`)}`.values
        assert.deepStrictEqual(applied[0]?.map(Number), [schemaVersion, schemaVersion])
        const store = yield* open({ prefix })
        const runs = yield* store.runs({ limit: 1000 })
        assert.strictEqual(runs.items.length, 50)
      }),
    60_000
  )

  describe("says what to do about", () => {
    const refused = (options: Partial<PostgresTaskStore.Options>) => Effect.flip(Effect.scoped(open(options)))
    const at = (change: (url: URL) => void): string => {
      const changed = new URL(url)
      change(changed)
      return changed.href
    }

    it.live("a server that is not there", () =>
      Effect.gen(function*() {
        const error = yield* refused({ url: at((url) => url.port = "1") })
        assert.strictEqual(error.reason, "Unavailable")
        assert.isTrue(error.retryable)
        assert.match(error.message, /host, port and TLS/)
      }))

    it.live("a user that is not known, and a database that is not there", () =>
      Effect.gen(function*() {
        const user = yield* refused({ url: at((url) => url.username = "punctual_nobody") })
        assert.strictEqual(user.reason, "Unavailable")
        assert.match(user.message, /user, the password/)
        const database = yield* refused({ url: at((url) => url.pathname = "/punctual_nothing") })
        assert.strictEqual(database.reason, "Unavailable")
        assert.match(database.message, /create the database/)
      }))

    it.live("what is no URL of a server; and neither shows the password", () =>
      Effect.gen(function*() {
        const secret = "s3cret-of-mine"
        for (
          const wrong of [
            `postgres//user:${secret}@host`,
            `mysql://user:${secret}@host/database`,
            at((url) => {
              url.password = secret
              url.port = "1"
            })
          ]
        ) {
          for (const url of [wrong, Redacted.make(wrong)]) {
            const error = yield* refused({ url })
            assert.notInclude(error.message, secret)
            assert.notInclude(inspect(error, { depth: 10 }), secret)
            assert.notInclude(Cause.pretty(Cause.fail(error)), secret)
          }
        }
        assert.match((yield* refused({ url: "mysql://host/database" })).message, /postgres:\/\/user/)
      }))

    it.live("rights that are missing", () =>
      Effect.gen(function*() {
        const sql = yield* admin
        const prefix = freshPrefix()
        const role = sql(`${prefix}_reader`)
        yield* Effect.acquireRelease(
          sql`create role ${role} login password 'x'`,
          () => Effect.orDie(Effect.andThen(sql`drop owned by ${role}`, sql`drop role ${role}`))
        )
        const reader = at((url) => {
          url.username = `${prefix}_reader`
          url.password = "x"
        })
        // it may not create, in a schema or at all
        const schema = sql(`${prefix}_none`)
        yield* Effect.acquireRelease(sql`create schema ${schema}`, () => Effect.orDie(sql`drop schema ${schema}`))
        const nowhere = `${reader}?options=${encodeURIComponent(`-csearch_path=${prefix}_none`)}`
        for (const hint of [/search_path/, /grant its user/]) {
          const create = yield* refused({ url: nowhere })
          assert.strictEqual(create.reason, "ReadOnly")
          assert.match(create.message, hint)
          yield* sql`grant usage on schema ${schema} to ${role}`
        }
        // it may not read
        yield* open({ prefix })
        const read = yield* refused({ url: reader, prefix })
        assert.strictEqual(read.reason, "ReadOnly")
        // it may not write
        yield* sql`grant select on all tables in schema public to ${role}`
        const store = yield* open({ url: reader, prefix })
        assert.deepStrictEqual(yield* store.get(["a"]), [])
        const write = yield* Effect.flip(store.insert([newTask("a")]))
        assert.strictEqual(write.reason, "ReadOnly")
        assert.match(write.message, /grant its user/)
      }))
  })

  it.live("what a transaction of the program holds is a conflict to others, and nobody waits for it", () =>
    Effect.gen(function*() {
      const prefix = freshPrefix()
      const store = yield* open({ prefix })
      const [inserted] = yield* store.insert([newTask("held")])
      yield* store.insert([newTask("free")])
      const sql = yield* admin
      const holds = yield* Latch.make()
      const enough = yield* Latch.make()
      const transaction = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* sql`select 1 from ${sql.literal(`${prefix}_clock`)} where id = 'held' for update`
        yield* holds.open
        yield* enough.await
      })))
      yield* holds.await
      const { tasks } = yield* store.due({ now: epoch, limit: 10, reader: "me", zoneRules: "z" })
      const answers = yield* store.commit(tasks.map(({ row }) => change(row, { set: { due: null } })))
      assert.deepStrictEqual(tasks.map(({ row }, i) => [row.id, answers[i]!._tag]), [
        ["held", "Conflict"],
        ["free", "Committed"]
      ])
      yield* enough.open
      yield* Fiber.join(transaction)
      const [answer] = yield* store.commit([change(inserted!.row, { set: { due: null } })])
      assert.strictEqual(answer!._tag, "Committed")
    }))
})
