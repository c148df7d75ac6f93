/**
 * Concurrency keys in SQL: what they cost who has none, how claims find what may begin, and databases of before.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import { DatabaseSync } from "node:sqlite"
import type { NewTask, Settlement, TaskStore as Port } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { databaseFile } from "./internal/files.ts"
import { change, epoch, lease, newRun, newTask, slot } from "./internal/tasks.ts"

type Store = Port["Service"]

const opened = Effect.map(
  Layer.build(Layer.fresh(SqlTaskStore.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))))),
  (context) => ({ store: Context.get(context, TaskStore), sql: Context.get(context, SqlClient.SqlClient) })
)

const onFile = (filename: string) =>
  Effect.map(
    Layer.build(Layer.fresh(SqliteTaskStore.layer({ filename }))),
    (context) => Context.get(context, TaskStore)
  )

/** The statements that an effect runs. */
const statementsOf = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const statements: Array<readonly [text: string, params: ReadonlyArray<unknown>]> = []
    const answer = yield* Effect.provideService(effect, Statement.CurrentTransformer, (statement) =>
      Effect.sync(() => {
        statements.push(statement.compile())
        return statement
      }))
    return { answer, statements }
  })

const keyed = (id: string, key: string, fields: Partial<NewTask> = {}): NewTask =>
  newTask(id, { concurrencyKey: key, concurrencyLimit: 1, runs: [newRun("x:1"), newRun("x:2")], ...fields })

const claim = (store: Store, limit = 100, now = epoch) =>
  Effect.map(
    store.claim({ now, lease: lease("me"), slots: [slot], limit, reader: "me" }),
    ({ runs }) => runs.map(({ run }) => run)
  )

const end = (store: Store, runs: Effect.Success<ReturnType<typeof claim>>, result?: Settlement["result"]) =>
  store.settle(
    runs.map(({ generation, key, token }) => ({
      generation,
      key,
      token: token ?? 0,
      owner: "me",
      now: epoch,
      result: result ?? { _tag: "End", state: "succeeded", exit: null }
    })),
    { keep: 10 }
  )

describe("a task without a key", () => {
  /** All that happens to a run. */
  const life = (store: Store, id: string) =>
    Effect.gen(function*() {
      const [inserted] = yield* store.insert([newTask(id)])
      const row = inserted!.row
      yield* store.commit([change(row, { set: { due: null }, runs: [{ _tag: "Create", run: newRun("x:1") }] })])
      const [again] = yield* claim(store)
      yield* end(store, [again!], { _tag: "Retry", readyAt: epoch, exit: null })
      const [last] = yield* claim(store)
      yield* end(store, [last!])
      yield* store.takeover({ now: epoch, limit: 10, maxTakeovers: 3, keep: 10 })
    })

  it.effect("runs the same statements whether others have keys or not, and looks for lines where claims look", () =>
    Effect.gen(function*() {
      const { store } = yield* opened
      const before = yield* statementsOf(life(store, "before"))
      yield* store.insert([keyed("keyed", "k", { tag: "Other" })])
      const after = yield* statementsOf(life(store, "after"))
      assert.strictEqual(after.statements.length, before.statements.length)
      const lines = after.statements.filter(([text]) => text.includes("punctual_line"))
      assert.strictEqual(lines.length, 2, "one read in each claim")
      for (const [text] of lines) assert.match(text, /^select u\.i, exists/)
    }))
})

describe("a claim", () => {
  const backlog = 2_000

  it.effect("looks at no line without room, however long it is, and reads of the others what may begin", () =>
    Effect.gen(function*() {
      const { sql, store } = yield* opened
      const runs = Array.from({ length: backlog }, (_, i) => newRun(`x:${i}`, { slots: backlog }))
      yield* store.insert([keyed("full", "full", { runs, priority: 9 })])
      yield* store.insert([keyed("none", "unused", { concurrencyKey: null, runs })])
      assert.strictEqual((yield* claim(store, 1)).length, 1)
      yield* sql`analyze`
      yield* store.insert([keyed("free", "free", { runs, priority: 9 })])
      const { answer, statements } = yield* statementsOf(claim(store, 2))
      assert.deepStrictEqual(answer.map(({ concurrencyKey }) => concurrencyKey), ["free", null])
      const plans: Array<string> = []
      for (const [text, params] of statements) {
        for (const row of yield* sql.unsafe<{ detail: string }>(`explain query plan ${text}`, params)) {
          plans.push(row.detail)
        }
      }
      assert.deepStrictEqual(plans.filter((detail) => /SCAN (q|r|l|punctual_(run|line))\b/.test(detail)), [])
      for (const index of ["run_line", "run_room", "run_apart", "run_busy", "line_turn"]) {
        assert.isTrue(plans.some((detail) => detail.includes(`punctual_${index} `)), `${index}: ${plans.join("\n")}`)
      }
      const lines = yield* sql<{ concurrency_key: string }>`select concurrency_key from punctual_line`
      assert.deepStrictEqual(lines, [], "nobody may begin of either")
    }))

  it.effect("finds again what a claim left for want of room of its own", () =>
    Effect.gen(function*() {
      const { store } = yield* opened
      yield* store.insert(["a", "b", "c"].map((key) => keyed(key, key)))
      const seen = new Set<string | null>()
      for (let i = 0; i < 3; i++) for (const run of yield* claim(store, 1)) seen.add(run.concurrencyKey)
      assert.deepStrictEqual(seen, new Set(["a", "b", "c"]))
      assert.deepStrictEqual(yield* claim(store, 1), [])
    }))
})

describe("a database of before there were keys", () => {
  const columns = ["task", "run", "history"].flatMap((table) =>
    ["concurrency_key", "concurrency_limit"].map((column) => `alter table punctual_${table} drop column ${column}`)
  )

  it.effect("keeps its tasks and runs, which have no key", () =>
    Effect.gen(function*() {
      const file = yield* databaseFile
      yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* onFile(file)
        yield* store.insert([newTask("old", { runs: [newRun("x:1"), newRun("x:2", { slots: 2 })] })])
        yield* end(store, yield* claim(store, 1))
      }))
      const db = new DatabaseSync(file)
      for (const index of ["line", "room", "apart", "busy"]) db.exec(`drop index punctual_run_${index}`)
      db.exec("drop table punctual_line")
      for (const statement of columns) db.exec(statement)
      db.exec("delete from punctual_migration where version = 3")
      db.exec("update punctual_meta set version = 2")
      db.close()
      const store = yield* onFile(file)
      const [task] = yield* store.get(["old"])
      assert.deepInclude(task!.row, { concurrencyKey: null, concurrencyLimit: 1 })
      const runs = yield* store.runs({ limit: 10 })
      assert.deepStrictEqual(
        runs.items.map(({ concurrencyKey, concurrencyLimit, state }) => [state, concurrencyKey, concurrencyLimit]),
        [["ready", null, 1], ["succeeded", null, 1]]
      )
      assert.strictEqual((yield* claim(store)).length, 1)
    }))

  const minimumWriter = (sql: SqlClient.SqlClient) =>
    Effect.map(
      sql<{ minimum_writer: number }>`select minimum_writer from punctual_meta`,
      ([row]) => row!.minimum_writer
    )

  it.effect("may be written by programs that know of none, until the first task that has one", () =>
    Effect.gen(function*() {
      for (const how of ["insert", "commit", "replace"] as const) {
        const { sql, store } = yield* opened
        const [inserted] = yield* store.insert([newTask("a")])
        assert.strictEqual(yield* minimumWriter(sql), 1)
        if (how === "insert") yield* store.insert([keyed("b", "k")])
        else if (how === "commit") yield* store.commit([change(inserted!.row, { set: { concurrencyKey: "k" } })])
        else yield* store.commit([change(inserted!.row, { set: "remove", replacement: keyed("a", "k") })])
        assert.strictEqual(yield* minimumWriter(sql), 3, how)
      }
    }))
})
