import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import * as SqliteClient from "../src/SqliteClient.ts"
import { databaseFile } from "./internal/files.ts"

const open = (filename: string, options: Partial<SqliteClient.Config> = {}) =>
  Effect.map(
    Layer.build(Layer.fresh(SqliteClient.layer({ filename, ...options }))),
    (context) => Context.get(context, SqlClient.SqlClient)
  )

const opened = Effect.gen(function*() {
  const sql = yield* open(yield* databaseFile)
  yield* sql`create table t (id integer primary key, k text unique, n integer)`
  return sql
})

const keys = (sql: SqlClient.SqlClient) =>
  Effect.map(sql<{ k: string }>`select k from t order by id`, (rows) => rows.map(({ k }) => k))

const insert = (sql: SqlClient.SqlClient, k: string) => sql`insert into t (k) values (${k})`

describe("SqliteClient", () => {
  describe("statements", () => {
    it.effect("answers rows, values and changes", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        yield* sql`insert into t ${sql.insert([{ k: "a", n: 1 }, { k: "b", n: 2 }])}`
        const rows = yield* sql`select k, n from t where k in ${sql.in(["a", "b"])} order by k`
        assert.deepStrictEqual(rows.map((row) => ({ ...row })), [{ k: "a", n: 1 }, { k: "b", n: 2 }])
        assert.deepStrictEqual(yield* sql`select k, n from t order by k`.values, [["a", 1], ["b", 2]])
        assert.deepStrictEqual(yield* sql`update t set n = n + 1`, [])
        assert.deepInclude(yield* sql`update t set n = n + 1`.raw, { changes: 2 })
        assert.deepStrictEqual(yield* sql`insert into t (k) values ('c') returning k`.values, [["c"]])
        // the same text in another mode gets its own shape back
        assert.strictEqual((yield* sql<{ k: string }>`select k, n from t order by k`)[0]!.k, "a")
      }))

    it.effect("encodes booleans, dates and absent values", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        const date = new Date(0)
        assert.deepStrictEqual(
          yield* sql`select ${true}, ${false}, ${undefined}, ${null}, ${date}, ${12n}, ${new Uint8Array([1])}`.values,
          [[1, 0, null, null, date.toISOString(), 12, new Uint8Array([1])]]
        )
      }))

    it.effect("reads integers beyond a number as bigints when asked, and fails when not", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        const query = sql`select 9007199254740993`
        assert.isTrue(Exit.isFailure(yield* Effect.exit(query.values)))
        assert.deepStrictEqual(
          yield* Effect.provideService(query.values, SqlClient.SafeIntegers, true),
          [[9007199254740993n]]
        )
      }))

    it.effect("keeps statements that were prepared, at most so many", () =>
      Effect.gen(function*() {
        const sql = yield* open(":memory:", { statementCache: 2 })
        for (let round = 0; round < 3; round++) {
          for (const n of [1, 2, 3, 4]) {
            assert.deepStrictEqual(yield* sql`select ${sql.literal(String(n))} as n`.values, [[n]])
          }
        }
      }))

    it.effect("a prepared statement survives a change of the schema", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        yield* insert(sql, "a")
        assert.deepStrictEqual(yield* sql`select * from t`.values, [[1, "a", null]])
        yield* sql`alter table t add column extra text`
        assert.deepStrictEqual(yield* sql`select * from t`.values, [[1, "a", null, null]])
      }))

    it.effect("streams a result in chunks, and fails in the middle as a failure", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        const numbers = sql<
          { n: number }
        >`with recursive c (n) as (select 1 union all select n + 1 from c where n < 1000)
          select n from c`
        const rows = yield* Stream.runCollect(numbers.stream)
        assert.strictEqual(rows.length, 1000)
        assert.deepStrictEqual((yield* Stream.runCollect(Stream.take(numbers.stream, 3))).map(({ n }) => n), [1, 2, 3])
        const failing = sql`with recursive c (n) as (select 1 union all select n + 1 from c where n < 1000)
          select abs(case when n > 600 then -9223372036854775807 - 1 else n end) from c`
        const exit = yield* Effect.exit(Stream.runDrain(failing.stream))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
        // and the connection is free again
        assert.deepStrictEqual(yield* sql`select 1`.values, [[1]])
      }))
  })

  describe("errors", () => {
    it.effect("names the constraint that a row violates", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        yield* insert(sql, "a")
        const error = yield* Effect.flip(insert(sql, "a"))
        assert.strictEqual(error.reason._tag, "UniqueViolation")
        assert.strictEqual(error.reason._tag === "UniqueViolation" ? error.reason.constraint : "", "t.k")
        const other = yield* Effect.flip(sql`insert into t (id) values (1)`)
        assert.include(["ConstraintError", "UniqueViolation"], other.reason._tag)
      }))

    it.effect("a directory that does not exist is a connection error", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const error = yield* Effect.flip(Effect.scoped(open(`${file}/missing/punctual.db`)))
        assert.strictEqual(error.reason._tag, "ConnectionError")
      }))

    it.effect("a read-only database refuses writes", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        yield* Effect.scoped(Effect.flatMap(open(file), (sql) => sql`create table t (k text)`))
        const sql = yield* open(file, { readonly: true })
        assert.deepStrictEqual(yield* sql`select count(*) from t`.values, [[0]])
        const error = yield* Effect.flip(insert(sql, "a"))
        assert.match(error.message, /readonly/)
      }))
  })

  describe("transactions", () => {
    it.effect("a nested one rolls back alone", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* insert(sql, "a")
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(insert(sql, "b"), Effect.fail("no"))))
          yield* sql.withTransaction(insert(sql, "c"))
        }))
        assert.deepStrictEqual(yield* keys(sql), ["a", "c"])
      }))

    it.effect("one that fails or dies is rolled back", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(sql, "a"), Effect.fail("no"))))
        yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(sql, "b"), Effect.die("no"))))
        assert.deepStrictEqual(yield* keys(sql), [])
      }))

    it.effect("other fibers wait until it has ended", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        const inside = yield* Deferred.make<void>()
        const leave = yield* Deferred.make<void>()
        const order: Array<string> = []
        const transaction = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
          yield* insert(sql, "a")
          yield* Deferred.succeed(inside, undefined)
          yield* Deferred.await(leave)
          order.push("transaction")
        })))
        yield* Deferred.await(inside)
        const outside = yield* Effect.forkChild(
          Effect.andThen(insert(sql, "b"), Effect.sync(() => order.push("other")))
        )
        const second = yield* Effect.forkChild(
          sql.withTransaction(Effect.andThen(insert(sql, "c"), Effect.sync(() => order.push("second"))))
        )
        yield* Effect.yieldNow
        yield* Deferred.succeed(leave, undefined)
        yield* Fiber.joinAll([transaction, outside, second])
        assert.deepStrictEqual(order, ["transaction", "other", "second"])
        assert.deepStrictEqual(yield* keys(sql), ["a", "b", "c"])
      }))

    it.effect("one that is interrupted is rolled back, and the next one runs", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        const inside = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          sql.withTransaction(Effect.gen(function*() {
            yield* insert(sql, "a")
            yield* Deferred.succeed(inside, undefined)
            return yield* Effect.never
          }))
        )
        yield* Deferred.await(inside)
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* keys(sql), [])
        yield* sql.withTransaction(insert(sql, "b"))
        assert.deepStrictEqual(yield* keys(sql), ["b"])
      }))

    it.effect("interruptions at any instant leave the connection free and every transaction whole", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        for (let seed = 0; seed < 40; seed++) {
          yield* Effect.gen(function*() {
            const work = (i: number) =>
              sql.withTransaction(Effect.gen(function*() {
                yield* insert(sql, `${seed}-${i}-first`)
                yield* Effect.yieldNow
                yield* insert(sql, `${seed}-${i}-second`)
              }))
            const fibers = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], (i) => Effect.forkChild(work(i)))
            const pause = Effect.flatMap(
              Random.nextIntBetween(0, 6),
              (n) => Effect.repeat(Effect.yieldNow, { times: n })
            )
            yield* pause
            yield* Effect.forEach(
              fibers,
              (fiber) =>
                Effect.flatMap(
                  Random.nextBoolean,
                  (interrupt) => interrupt ? Effect.andThen(pause, Fiber.interrupt(fiber)) : Effect.void
                ),
              { discard: true }
            )
            yield* Effect.forEach(fibers, Fiber.await, { discard: true })
          }).pipe(
            Random.withSeed(seed),
            // fibers that yield everywhere can be interrupted everywhere: between a permit and its use as well
            Effect.provideService(Scheduler.MaxOpsBeforeYield, 3 + seed % 8)
          )
        }
        const halves = yield* sql`select substr(k, 1, instr(k, '-') + 2) as work, count(*) as n from t
          group by work having n <> 2`.values
        assert.deepStrictEqual(halves, [])
        const started = (yield* sql`select count(*) from t`.values)[0]![0]
        assert.isAbove(Number(started), 0)
      }))

    it.effect("runs callbacks after the commit, and never after a rollback", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        const seen: Array<string> = []
        const after = (what: string) => sql.afterCommit(Effect.sync(() => seen.push(what)))
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* after("outer")
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(after("undone"), Effect.fail("no"))))
          yield* sql.withTransaction(after("inner"))
          assert.deepStrictEqual(seen, [])
        }))
        assert.deepStrictEqual(seen, ["outer", "inner"])
        yield* Effect.exit(sql.withTransaction(Effect.andThen(after("never"), Effect.fail("no"))))
        assert.deepStrictEqual(seen, ["outer", "inner"])
      }))

    it.effect("a commit that the database refuses is a failure and leaves no transaction behind", () =>
      Effect.gen(function*() {
        const sql = yield* opened
        yield* sql`create table child (t integer references t (id) deferrable initially deferred)`
        const exit = yield* Effect.exit(sql.withTransaction(sql`insert into child values (42)`))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasFails(exit.cause))
        yield* sql.withTransaction(insert(sql, "a"))
        assert.deepStrictEqual(yield* sql`select count(*) from child`.values, [[0]])
      }))

    it.effect("begins as BeginTransaction says", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const sql = yield* open(file)
        const other = yield* open(file, { busyTimeout: 0 })
        yield* sql`create table t (k text)`
        const writing = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.exit(Effect.andThen(other`insert into t values ('x')`, effect))
        // reading only: others may write meanwhile
        const read = yield* sql.withTransaction(Effect.andThen(sql`select * from t`, writing(Effect.void))).pipe(
          Effect.provideService(SqlClient.BeginTransaction, "BEGIN")
        )
        assert.isTrue(Exit.isSuccess(read))
        // the default takes the lock at once
        assert.isTrue(Exit.isFailure(yield* sql.withTransaction(writing(Effect.void))))
      }))
  })

  describe("a busy database", () => {
    /** Another program that holds the write lock. */
    const locked = (file: string) => {
      const db = new DatabaseSync(file)
      db.exec("begin immediate")
      return db
    }

    it.effect("is waited for without stopping other fibers, and its readers", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const sql = yield* open(file)
        yield* sql`create table t (id integer primary key, k text)`
        const other = locked(file)
        other.exec("insert into t (k) values ('other')")
        const statement = yield* Effect.forkChild(insert(sql, "statement"))
        const transaction = yield* Effect.forkChild(sql.withTransaction(insert(sql, "transaction")))
        // reads go on while both wait: neither the event loop nor the connection is taken
        for (let i = 0; i < 20; i++) {
          assert.deepStrictEqual(yield* keys(sql), [])
          yield* Effect.yieldNow
        }
        assert.isUndefined(statement.pollUnsafe())
        assert.isUndefined(transaction.pollUnsafe())
        other.exec("commit")
        other.close()
        yield* Fiber.joinAll([statement, transaction])
        assert.sameMembers([...(yield* keys(sql))], ["other", "statement", "transaction"])
      }))

    it.effect("is given up after busyTimeout, by name", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const sql = yield* open(file, { busyTimeout: "30 millis" })
        yield* sql`create table t (k text)`
        const other = locked(file)
        const attempts: ReadonlyArray<Effect.Effect<unknown, SqlError>> = [
          insert(sql, "a"),
          sql.withTransaction(insert(sql, "a"))
        ]
        for (const attempt of attempts) {
          const error = yield* Effect.flip(attempt)
          assert.strictEqual(error.reason._tag, "LockTimeoutError")
          assert.include(error.message, file)
        }
        other.close()
        yield* insert(sql, "b")
      }))

    it.effect("a wait can be interrupted", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const sql = yield* open(file, { busyTimeout: "1 hour" })
        yield* sql`create table t (k text)`
        const other = locked(file)
        const waiting = yield* Effect.forkChild(sql.withTransaction(insert(sql, "a")))
        yield* sql`select 1`
        yield* Fiber.interrupt(waiting)
        other.close()
        assert.deepStrictEqual(yield* sql`select k from t`.values, [])
      }))
  })

  it.effect("closing the scope closes the file", () =>
    Effect.gen(function*() {
      const file = yield* databaseFile
      const sql = yield* Effect.scoped(Effect.tap(open(file), (sql) => sql`create table t (k text)`))
      // the last connection takes its log with it
      assert.isTrue(existsSync(file))
      assert.isFalse(existsSync(`${file}-wal`))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(sql`select 1`)))
    }))
})
