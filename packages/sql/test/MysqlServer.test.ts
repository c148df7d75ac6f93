/**
 * What is special about MySQL and MariaDB: transactions of the program, deadlocks, texts and their limits, processes that
 * start at once, wrong URLs and missing rights.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
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
import { collationOf } from "../src/internal/mysql.ts"
import { schemaVersion } from "../src/internal/schema.ts"
import * as MysqlClient from "../src/MysqlClient.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import { freshPrefix, storeOf } from "./internal/mysql.ts"
import { start } from "./internal/processes.ts"
import { change, epoch, newRun, newTask } from "./internal/tasks.ts"

describe("a server", () => {
  it("is compared with the oldest that will do", () => {
    assert.strictEqual(collationOf("10.11.19-MariaDB-0+deb12u1"), "utf8mb4_nopad_bin")
    assert.strictEqual(collationOf("5.5.5-11.4.4-MariaDB-log"), "utf8mb4_nopad_bin")
    assert.strictEqual(collationOf("8.0.19"), "utf8mb4_0900_bin")
    assert.strictEqual(collationOf("9.1.0-commercial"), "utf8mb4_0900_bin")
    assert.deepStrictEqual(collationOf("10.6.21-MariaDB"), { tooOld: "MariaDB 10.6", needs: "10.11" })
    assert.deepStrictEqual(collationOf("8.0.18"), { tooOld: "MySQL 8.0.18", needs: "8.0.19" })
    assert.deepStrictEqual(collationOf("5.7.44-log"), { tooOld: "MySQL 5.7.44", needs: "8.0.19" })
  })
})

await onServer("mysql", (url) => {
  const open = (options: Partial<MysqlTaskStore.Options> = {}) =>
    Effect.map(
      Layer.build(Layer.fresh(MysqlTaskStore.layer({ url, prefix: freshPrefix(), ...options }))),
      Context.get(TaskStore)
    )
  const admin = Effect.map(Layer.build(Layer.fresh(MysqlClient.layer({ url }))), Context.get(SqlClient.SqlClient))
  const onClient = (prefix: string) =>
    Effect.map(Layer.build(Layer.fresh(storeOf(url, { prefix }))), (context) => ({
      sql: Context.get(context, SqlClient.SqlClient),
      store: Context.get(context, TaskStore)
    }))

  const listening = (store: TaskStore["Service"]) =>
    Effect.gen(function*() {
      const wakes = yield* Queue.unbounded<Wake>()
      yield* store.listen((wake) => Queue.offerUnsafe(wakes, wake))
      return wakes
    })

  it.live("what one adds wakes the other, and who added it is woken by nobody else", () =>
    Effect.gen(function*() {
      const prefix = freshPrefix()
      const one = yield* open({ prefix, pollInterval: "5 millis" })
      const other = yield* open({ prefix, pollInterval: "5 millis" })
      const mine = yield* listening(one)
      const theirs = yield* listening(other)
      yield* one.insert([newTask("a")])
      assert.deepStrictEqual(yield* Queue.take(theirs), { due: epoch, ready: true, cancel: true })
      assert.deepStrictEqual(yield* Queue.take(mine), { due: epoch, ready: false, cancel: false })
      yield* other.insert([newTask("b", { due: epoch - 1 })])
      // the first that it hears of the other's, and not of its own
      assert.deepStrictEqual(yield* Queue.take(mine), { due: epoch - 1, ready: true, cancel: true })
    }))

  describe("a transaction of the program", () => {
    it.live("that commits has added its task, and wakes then; one that rolls back never has", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* onClient(freshPrefix())
        const wakes = yield* listening(store)
        yield* Effect.exit(sql.withTransaction(Effect.andThen(store.insert([newTask("no")]), Effect.fail("no"))))
        yield* sql.withTransaction(store.insert([newTask("yes", { due: epoch + 1 })]))
        assert.deepStrictEqual(yield* Queue.take(wakes), { due: epoch + 1, ready: false, cancel: false })
        assert.deepStrictEqual((yield* store.get(["no", "yes"])).map(({ row }) => row.id), ["yes"])
      }))

    it.live("is undone whole by a deadlock, and fails even if it goes on", () =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const { sql, store } = yield* onClient(prefix)
        const rows = sql.literal(`${prefix}_rows`)
        yield* sql`create table ${rows} (k varchar(20) primary key)`
        // each adds what the other has added before; what fails is not looked at by one of the two kinds
        const adding = (mine: string, theirs: string, own: Latch.Latch, other: Latch.Latch, goesOn: boolean) =>
          Effect.exit(sql.withTransaction(Effect.gen(function*() {
            yield* store.insert([newTask(mine)])
            yield* own.open
            yield* other.await
            const exit = yield* Effect.exit(store.insert([newTask(theirs)]))
            yield* Effect.exit(sql`insert into ${rows} values (${mine})`)
            if (!goesOn) yield* exit
          })))
        for (const goesOn of [false, true]) {
          const [a, b] = [`a ${goesOn}`, `b ${goesOn}`]
          const [hasA, hasB] = [yield* Latch.make(), yield* Latch.make()]
          const exits = yield* Effect.all([adding(a, b, hasA, hasB, goesOn), adding(b, a, hasB, hasA, goesOn)], {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(exits.map(({ _tag }) => _tag).sort(), ["Failure", "Success"])
          for (const exit of exits) if (Exit.isFailure(exit)) assert.match(Cause.pretty(exit.cause), /deadlock/i)
          assert.strictEqual((yield* store.get([a, b])).length, 2)
        }
        // of each two, the row of that which committed
        assert.strictEqual((yield* sql`select k from ${rows}`.values).length, 2)
      }), 30_000)
  })

  it.live("what a transaction of the program holds is a conflict to others, and nobody waits for it", () =>
    Effect.gen(function*() {
      const prefix = freshPrefix()
      const store = yield* open({ prefix })
      yield* store.insert([newTask("held"), newTask("free")])
      const sql = yield* admin
      const holds = yield* Latch.make()
      const enough = yield* Latch.make()
      const transaction = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* sql`select 1 from ${sql.literal(`${prefix}_clock`)} where id = 'held' and n > 0 for update`
        yield* holds.open
        yield* enough.await
      })))
      yield* holds.await
      const { tasks } = yield* store.due({ now: epoch, limit: 10, reader: "me", zoneRules: "z" })
      const answers = yield* store.commit(tasks.map(({ row }) => change(row, { set: { due: null } })))
      assert.deepStrictEqual(
        new Map(tasks.map(({ row }, i) => [row.id, answers[i]!._tag])),
        new Map([["held", "Conflict"], ["free", "Committed"]])
      )
      yield* enough.open
      yield* Fiber.join(transaction)
    }))

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
        assert.strictEqual((yield* store.runs({ limit: 1000 })).items.length, 50)
      }),
    60_000
  )

  it.live("a migration that was ended in its middle is made again", () =>
    Effect.gen(function*() {
      const prefix = freshPrefix()
      const sql = yield* admin
      yield* open({ prefix })
      yield* sql`update ${sql.literal(`${prefix}_meta`)} set version = 0`
      yield* sql`delete from ${sql.literal(`${prefix}_migration`)}`
      for (const table of ["gone", "verdict", "wake", "label"]) {
        yield* sql`drop table ${sql.literal(`${prefix}_${table}`)}`
      }
      const store = yield* open({ prefix })
      assert.strictEqual((yield* store.insert([newTask("a", { labels: `{"k":"v"}` })]))[0]!._tag, "Inserted")
    }))

  describe("texts", () => {
    it.live("that differ in spaces at their end, or in case, are different ids", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const ids = ["a", "a ", "A", "ä", "a\u0308", "a\u0000"]
        const inserted = yield* store.insert(ids.map((id) => newTask(id)))
        assert.deepStrictEqual(inserted.map(({ _tag }) => _tag), ids.map(() => "Inserted"))
        for (const id of ids) assert.deepStrictEqual((yield* store.get([id])).map(({ row }) => row.id), [id])
      }))

    it.live("are as long as an index allows; a longer one is refused, and nothing is cut off", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const longest = "😀".repeat(255)
        yield* store.insert([newTask(longest, { tag: longest, owner: longest, runs: [newRun(longest)] })])
        assert.strictEqual((yield* store.get([longest]))[0]!.open[0]!.key, longest)
        for (const task of [newTask(`${longest}x`), newTask("b", { tag: `${longest}x` })]) {
          const error = yield* Effect.flip(store.insert([task]))
          assert.strictEqual(error.reason, "Invalid")
          assert.match(error.message, /255 characters/)
        }
        assert.deepStrictEqual(yield* store.get(["b", `${longest}x`]), [])
      }))

    it.live("of a megabyte come back whole, twenty of them in one call", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const payload = JSON.stringify(`"\\é${"x".repeat(1 << 20)}`)
        yield* store.insert(Array.from({ length: 20 }, (_, i) => newTask(`big-${i}`, { payload })))
        const [found] = yield* store.get(["big-19"])
        assert.isTrue(found!.row.payload === payload)
      }), 60_000)

    it.live("that the server takes none of are refused with what to raise", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const sql = yield* admin
        const [[packet] = []] = yield* sql`select @@max_allowed_packet`.values
        const error = yield* Effect.flip(store.insert([newTask("huge", { payload: "x".repeat(Number(packet)) })]))
        assert.match(error.message, /max_allowed_packet/)
        assert.notInclude(inspect(error, { depth: 10, maxStringLength: null }), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
        assert.strictEqual((yield* store.insert([newTask("next")]))[0]!._tag, "Inserted")
      }), 60_000)
  })

  describe("says what to do about", () => {
    const refused = (options: Partial<MysqlTaskStore.Options>) => Effect.flip(Effect.scoped(open(options)))
    const at = (change: (url: URL) => void): string => {
      const changed = new URL(url)
      change(changed)
      return changed.href
    }

    it.live("a server that is not there, a user that is not known, and a database that is not there", () =>
      Effect.gen(function*() {
        const server = yield* refused({ url: at((url) => url.port = "1") })
        assert.strictEqual(server.reason, "Unavailable")
        assert.match(server.message, /host, port and TLS/)
        const user = yield* refused({
          url: at((url) => {
            url.username = "punctual_nobody"
            url.password = "x"
          })
        })
        assert.strictEqual(user.reason, "Unavailable")
        assert.match(user.message, /user and the password/)
        const database = yield* refused({ url: at((url) => url.pathname = "/punctual_nothing") })
        assert.strictEqual(database.reason, "Unavailable")
        assert.match(database.message, /create the database/)
      }))

    it.live("what is no URL of a database; and neither shows the password", () =>
      Effect.gen(function*() {
        const secret = "s3cret-of-mine"
        for (
          const wrong of [
            `mysql//user:${secret}@host`,
            `mysql://user:${secret}@host`,
            `postgres://user:${secret}@host/database`,
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
        assert.match((yield* refused({ url: "postgres://host/database" })).message, /mysql:\/\/user/)
      }))

    it.live("rights that are missing", () =>
      Effect.gen(function*() {
        const sql = yield* admin
        const prefix = freshPrefix()
        // in `test` everybody may do everything
        yield* Effect.acquireRelease(
          sql`create database ${sql(prefix)}`,
          () => Effect.orDie(sql`drop database ${sql(prefix)}`)
        )
        yield* open({ prefix, url: at((url) => url.pathname = prefix) })
        yield* Effect.acquireRelease(
          sql`create user ${prefix}@'127.0.0.1' identified by 'x'`,
          () => Effect.orDie(sql`drop user ${prefix}@'127.0.0.1'`)
        )
        yield* sql`grant select on ${sql(prefix)}.* to ${prefix}@'127.0.0.1'`
        const reader = at((url) => {
          url.username = prefix
          url.password = "x"
          url.pathname = prefix
        })
        const create = yield* refused({ url: reader })
        assert.strictEqual(create.reason, "ReadOnly")
        assert.match(create.message, /grant its user/)
        const store = yield* open({ url: reader, prefix, crossProcess: false })
        assert.deepStrictEqual(yield* store.get(["a"]), [])
        const write = yield* Effect.flip(store.insert([newTask("a")]))
        assert.strictEqual(write.reason, "ReadOnly")
      }))
  })
})
