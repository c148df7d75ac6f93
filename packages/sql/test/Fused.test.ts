/**
 * Plain batches, which Postgres writes in one statement each: that they are, and what happens where they are not all plain.
 */
import { assert, it as vitest, layer as onLayer } from "@effect/vitest"
import { PGlite } from "@electric-sql/pglite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { RunRow } from "punctual/TaskRecord"
import type { Committed, Settlement } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { clientOf, freshPrefix } from "./internal/postgres.ts"
import { change, epoch, lease, newRun, newTask, slot } from "./internal/tasks.ts"

const open = (prefix = freshPrefix()) =>
  Effect.map(
    Layer.build(Layer.fresh(SqlTaskStore.layer({ prefix, crossProcess: false }))),
    Context.get(TaskStore)
  )

const insert = (store: TaskStore["Service"], ...ids: ReadonlyArray<string>) =>
  Effect.map(store.insert(ids.map((id) => newTask(id))), (inserted) => inserted.map(({ row }) => row))

const claimed = (answers: ReadonlyArray<Committed>): ReadonlyArray<RunRow> =>
  answers.flatMap((answer) => answer._tag === "Committed" ? answer.claimed : [])

const create = (key: string) => ({ _tag: "Create" as const, run: newRun(key), claim: lease("me") })

const end = ({ generation, key, token }: RunRow): Settlement => ({
  generation,
  key,
  token: token ?? 0,
  owner: "me",
  now: epoch,
  result: { _tag: "End", state: "succeeded", exit: "{\"a\":\"\\\\\"}" }
})

/** How many statements an effect makes, besides those that begin and end transactions. */
const counted = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.suspend(() => {
    let count = 0
    return Effect.map(
      Effect.provideService(effect, Statement.CurrentTransformer, (statement) =>
        Effect.sync(() => {
          count++
          return statement
        })),
      (answer) => ({ answer, count })
    )
  })

const fused = <E>(name: string, client: Layer.Layer<SqlClient.SqlClient, E>) =>
  onLayer(client, { timeout: "30 seconds" })(name, (it) => {
    it.effect("a batch of new runs is one statement, and so is a batch of ends", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const rows = yield* insert(store, "a", "b", "c")
        const commit = yield* counted(
          store.commit(
            rows.map((row, i) => change(row, { set: { due: epoch + i, cursor: epoch }, runs: [create("1")] }))
          )
        )
        const runs = claimed(commit.answer)
        assert.deepStrictEqual(runs.map(({ taskId }) => taskId), ["a", "b", "c"])
        assert.strictEqual(new Set(runs.map(({ token }) => token)).size, 3)
        const settle = yield* counted(store.settle(runs.map(end), { keep: 5 }))
        assert.deepStrictEqual(settle.answer, ["Settled", "Settled", "Settled"])
        assert.deepStrictEqual([commit.count, settle.count], [1, 1])
        const { items } = yield* store.runs({ limit: 9 })
        assert.deepStrictEqual(
          items.map(({ exit, state, taskId }) => [taskId, state, exit]).toSorted(([a], [b]) => a! < b! ? -1 : 1),
          ["a", "b", "c"].map((id) => [id, "succeeded", "{\"a\":\"\\\\\"}"])
        )
      }))

    it.effect("a batch of new tasks is one statement, numbered in the order given", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const ids = Array.from({ length: 50 }, (_, i) => `task-${i * 7 % 50}`)
        const { answer, count } = yield* counted(
          store.insert(ids.map((id, i) => newTask(id, { payload: String(i), due: i < 25 ? epoch : null })))
        )
        assert.strictEqual(count, 1)
        assert.deepStrictEqual(
          answer.map(({ _tag, row }) => [_tag, row.id, row.payload]),
          ids.map((id, i) => ["Inserted", id, String(i)])
        )
        const rows = yield* store.get(ids)
        assert.deepStrictEqual(
          rows.map(({ row }) => row).toSorted((a, b) => a.generation - b.generation),
          answer.map(({ row }) => row)
        )
      }))

    it.effect("a batch of tasks some of which exist adds the others, in one transaction", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const prefix = freshPrefix()
        const store = yield* open(prefix)
        yield* insert(store, "b")
        const answers = yield* store.insert(["a", "b", "c"].map((id) => newTask(id)))
        assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Inserted", "Exists", "Inserted"])
        // one that exists and cannot be read spoils all
        yield* sql`update ${sql.literal(`${prefix}_clock`)} set state = 'odd' where id = 'b'`
        const error = yield* Effect.flip(store.insert(["b", "d"].map((id) => newTask(id))))
        assert.strictEqual(error.reason, "Corrupt")
        assert.deepStrictEqual(yield* store.get(["d"]), [])
      }))

    it.effect("I9: a claim takes what is ready by one statement, and leaves what cannot be read as it was", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const prefix = freshPrefix()
        const store = yield* open(prefix)
        yield* store.insert(["a", "odd", "z"].map((id) => newTask(id, { due: null, runs: [newRun("x:1")] })))
        yield* sql`update ${sql.literal(`${prefix}_clock`)} set state = 'odd' where id = 'odd'`
        const stored =
          sql`select r.*, r.later as "later" from ${sql.literal(`${prefix}_run`)} r where r.task_id = 'odd'`.values
        const before = yield* stored
        const claim = (limit: number) =>
          store.claim({ now: epoch, lease: lease("me"), slots: [slot], limit, reader: "me" })
        assert.deepStrictEqual((yield* claim(10)).runs.map(({ task }) => task.id), ["a", "z"])
        assert.deepStrictEqual(yield* stored, before)
        assert.deepStrictEqual((yield* store.verdicts({ limit: 10 })).map(({ id }) => id), ["odd"])
        // mended, it is claimed as if nothing had been
        yield* sql`update ${sql.literal(`${prefix}_clock`)} set state = 'finished' where id = 'odd'`
        yield* store.clear((yield* store.get(["odd"])).map(({ row }) => row.generation))
        const { answer, count } = yield* counted(claim(10))
        assert.deepStrictEqual(answer.runs.map(({ run, task }) => [task.id, run.attempt]), [["odd", 1]])
        // what there is, which versions write, and the claim
        assert.strictEqual(count, 3)
      }))

    it.effect("what a batch has committed is told although another part of it is refused", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const [a, b, c] = yield* insert(store, "a", "b", "c")
        const good = change(a!, { set: { cursor: epoch }, runs: [create("1")] })
        // refused as a plain change, and as one that is not
        for (const [row, set] of [[b!, { pauseNote: "\0" }], [c!, { payload: "\0" }]] as const) {
          const bad = change(row, { set })
          const current = (yield* store.get(["a"]))[0]!.row.revision
          const key = String(current)
          const answers = yield* store.commit([{ ...good, revision: current, runs: [create(key)] }, bad])
          assert.deepStrictEqual(claimed(answers).map((run) => run.key), [key])
          assert.strictEqual(answers[1]!._tag, "Conflict")
          assert.strictEqual((yield* Effect.flip(store.commit([bad]))).reason, "Invalid")
          assert.strictEqual((yield* store.get([row.id]))[0]!.row.revision, row.revision)
        }
      }))

    it.effect("a key that is open gets no second run, and its change is committed", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const [a, b] = yield* insert(store, "a", "b")
        const [first] = claimed(yield* store.commit([change(a!, { runs: [create("1")] })]))
        const answers = yield* store.commit([
          change({ ...a!, revision: 2 }, { runs: [create("1")] }),
          change(b!, { runs: [create("1")] })
        ])
        assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["Committed", "Committed"])
        assert.deepStrictEqual(claimed(answers).map(({ taskId }) => taskId), ["b"])
        assert.deepStrictEqual((yield* store.get(["a"]))[0]!.open.map(({ token }) => token), [first!.token])
      }))

    it.effect("a change whose id is another task's is a conflict", () =>
      Effect.gen(function*() {
        const store = yield* open()
        const [a] = yield* insert(store, "a", "b")
        const answers = yield* store.commit([change({ ...a!, id: "b" }, { runs: [create("1")] })])
        assert.deepStrictEqual(answers, [{ _tag: "Conflict" }])
        assert.deepStrictEqual((yield* store.runs({ limit: 1 })).items, [])
      }))

    it.effect("is refused once a newer program forbids it, and changes nothing", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const prefix = freshPrefix()
        const store = yield* open(prefix)
        const [a, b] = yield* insert(store, "a", "b")
        const runs = claimed(yield* store.commit([change(a!, { runs: [create("1")] })]))
        yield* sql`update ${sql.literal(`${prefix}_meta`)} set version = 7, minimum_writer = 5`
        assert.strictEqual((yield* Effect.flip(store.settle(runs.map(end), { keep: 5 }))).reason, "NewerSchema")
        assert.strictEqual((yield* Effect.flip(store.commit([change(b!)]))).reason, "NewerSchema")
        assert.strictEqual((yield* store.get(["a"]))[0]!.open.length, 1)
        assert.strictEqual((yield* store.get(["b"]))[0]!.row.revision, 1)
      }))
  })

fused("in PGlite", PgliteClient.layer(Effect.promise(() => PGlite.create())))

await onServer("postgres", (url) => {
  fused("on a server", clientOf(url))

  /** Settles while a transaction of somebody else, which it waits for, does something. */
  const settledBeside = (
    store: TaskStore["Service"],
    runs: ReadonlyArray<RunRow>,
    table: string,
    other: Effect.Effect<unknown, SqlError>
  ) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const done = yield* Latch.make()
      const waiting = yield* Latch.make()
      const holding = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(other, Effect.andThen(done.open, waiting.await)))
      )
      yield* done.await
      const settling = yield* Effect.forkChild(store.settle(runs.map(end), { keep: 5 }))
      yield* Effect.gen(function*() {
        const rows = yield* sql`select 1 from pg_stat_activity
where wait_event_type = 'Lock' and query like ${`%${table}%`}`.values
        if (rows.length === 0) yield* Effect.fail("not yet")
      }).pipe(Effect.retry({ schedule: Schedule.spaced("10 millis") }))
      yield* waiting.open
      yield* Fiber.join(holding)
      return yield* Fiber.join(settling)
    })

  vitest.live("a run whose lease is extended while its end waits for it ends once", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const prefix = freshPrefix()
      const store = yield* open(prefix)
      const [a] = yield* insert(store, "a")
      const runs = claimed(yield* store.commit([change(a!, { runs: [create("1")] })]))
      const extended = sql`update ${sql.literal(`${prefix}_run`)} set lease_until = lease_until + 1`
      assert.deepStrictEqual(yield* settledBeside(store, runs, `${prefix}_run`, extended), ["Settled"])
      const { items } = yield* store.runs({ limit: 9 })
      assert.deepStrictEqual(items.map(({ key, state }) => [key, state]), [["1", "succeeded"]])
    }).pipe(Effect.provide(clientOf(url))))

  vitest.live("two runs of a task that end at once are numbered one after another", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const prefix = freshPrefix()
      const store = yield* open(prefix)
      const [a, b] = yield* insert(store, "a", "b")
      const commits = [a!, { ...a!, revision: 2 }, b!].map((row, i) => change(row, { runs: [create(String(i))] }))
      const runs = claimed(yield* store.commit(commits))
      // as the end of the first in another process, which commits while that of the others waits for it
      const [run, history] = [sql.literal(`${prefix}_run`), sql.literal(`${prefix}_history`)]
      const columns = sql.literal(
        "task_id, tag, version, executor, priority, due, nominal, ready_at, created_at, slots, queues, at_most_once"
      )
      const first = sql`with d as (delete from ${run} where run_key = '0' returning *)
insert into ${history} (n, no, run_key, state, ended_at, ${columns})
select n, 1, run_key, 'succeeded', due, ${columns} from d`
      assert.deepStrictEqual(yield* settledBeside(store, runs.slice(1), `${prefix}_history`, first), [
        "Settled",
        "Settled"
      ])
      const { items } = yield* store.runs({ limit: 9 })
      assert.deepStrictEqual(items.map(({ key, state }) => [key, state]).toSorted(([x], [y]) => x! < y! ? -1 : 1), [
        ["0", "succeeded"],
        ["1", "succeeded"],
        ["2", "succeeded"]
      ])
    }).pipe(Effect.provide(clientOf(url))))
})
