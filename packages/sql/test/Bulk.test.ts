/**
 * Much in one call: all of it, or nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { PGlite } from "@electric-sql/pglite"
import * as TaskStoreBulk from "@punctual/testing/TaskStoreBulk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlClient from "../src/MysqlClient.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { onFile } from "./internal/files.ts"
import { clientOf, freshPrefix } from "./internal/postgres.ts"
import { newTask } from "./internal/tasks.ts"

/** More than one statement of a call takes. */
const count = 12_000

/** A database that refuses the last row of a call, when those before it have been written. */
const whole = <E>(
  name: string,
  client: Layer.Layer<SqlClient.SqlClient, E>,
  refuses: (sql: SqlClient.SqlClient, table: string) => Effect.Effect<unknown, unknown>
) =>
  describe(name, () => {
    it.live("a call whose last task is refused has added none, and adds all when it is made again", () =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const context = yield* Layer.build(
          Layer.fresh(SqlTaskStore.layer({ prefix }).pipe(Layer.provideMerge(client)))
        )
        const store = Context.get(context, TaskStore)
        const sql = Context.get(context, SqlClient.SqlClient)
        const tasks = Array.from({ length: count }, (_, i) =>
          newTask(`task-${String(i).padStart(6, "0")}`))
        const last = tasks.at(-1)!.id
        yield* refuses(sql, `${prefix}_task`)
        const error = yield* Effect.flip(store.insert(tasks))
        assert.include(error.message, "not this one")
        assert.deepStrictEqual((yield* store.list({ sort: "id", descending: false, limit: 1 })).items, [])
        yield* sql.unsafe(
          sql.onDialectOrElse({
            pg: () => `drop trigger ${prefix}_no on ${prefix}_task`,
            orElse: () => `drop trigger ${prefix}_no`
          })
        )
        const answers = yield* store.insert(tasks)
        assert.deepStrictEqual(answers.filter(({ _tag }) => _tag !== "Inserted"), [])
        assert.strictEqual((yield* store.get([last])).length, 1)
      }), 60_000)
  })

const lastId = `task-${String(count - 1).padStart(6, "0")}`
const nameOf = (table: string) => table.replace(/_task$/, "_no")

const refusesInPostgres = (sql: SqlClient.SqlClient, table: string) =>
  Effect.andThen(
    sql.unsafe(
      `create function ${nameOf(table)}() returns trigger language plpgsql as $$ begin raise 'not this one'; end $$`
    ),
    sql.unsafe(`create trigger ${nameOf(table)} before insert on ${table} for each row when (new.id = '${lastId}')
execute function ${nameOf(table)}()`)
  )

const refusesInSqlite = (sql: SqlClient.SqlClient, table: string) =>
  sql.unsafe(`create trigger ${nameOf(table)} before insert on ${table} when new.id = '${lastId}'
begin select raise(abort, 'not this one'); end`)

const refusesInMysql = (sql: SqlClient.SqlClient, table: string) =>
  sql.unsafe(`create trigger ${nameOf(table)} before insert on ${table} for each row
if new.id = '${lastId}' then signal sqlstate '45000' set message_text = 'not this one'; end if`)

const Pglite = PgliteClient.layer(Effect.promise(() => PGlite.create()))

TaskStoreBulk.suite("sqlite file", onFile((filename) => SqliteTaskStore.layer({ filename })))
TaskStoreBulk.suite("pglite", SqlTaskStore.layer().pipe(Layer.provide(Pglite)))
whole("sqlite", SqliteClient.layer({ filename: ":memory:" }), refusesInSqlite)
whole("pglite", Pglite, refusesInPostgres)

await onServer("postgres", (url) => {
  TaskStoreBulk.suite("postgres", PostgresTaskStore.layer({ url, prefix: freshPrefix() }))
  whole("a server", clientOf(url), refusesInPostgres)
})

await onServer("mysql", (url) => {
  TaskStoreBulk.suite("mysql", MysqlTaskStore.layer({ url, prefix: freshPrefix() }))
  whole("a server", MysqlClient.layer({ url }), refusesInMysql)
})
