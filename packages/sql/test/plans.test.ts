/**
 * I10: what is due, ready, running or listed is found through indexes, in an empty store, in a full one and in one
 * whose statistics are of a time when it was nearly empty.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import type { TaskQuery } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { manyRows } from "../src/internal/sqliteRows.ts"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { change, epoch, lease, newRun, newTask, slot } from "./internal/tasks.ts"

const opened = Effect.map(
  Layer.build(Layer.fresh(SqlTaskStore.layer().pipe(Layer.provideMerge(SqliteClient.layer({ filename: ":memory:" }))))),
  (context) => ({ store: Context.get(context, TaskStore), sql: Context.get(context, SqlClient.SqlClient) })
)

/** The plans of the statements that an effect runs, and its answer. */
const plansOf = <A, E>(sql: SqlClient.SqlClient, effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const statements: Array<readonly [string, ReadonlyArray<unknown>]> = []
    const answer = yield* Effect.provideService(effect, Statement.CurrentTransformer, (statement) =>
      Effect.sync(() => {
        statements.push(statement.compile())
        return statement
      }))
    const plans: Array<string> = []
    for (const [text, params] of statements) {
      for (const row of yield* sql.unsafe<{ detail: string }>(`explain query plan ${text}`, params)) {
        plans.push(row.detail)
      }
    }
    return { answer, plans, statements: statements.length }
  })

/** Reads every row of a table: `SCAN t`, but not the cells of a parameter, nor what a subselect with a limit answers. */
const scans = (plans: ReadonlyArray<string>): ReadonlyArray<string> =>
  plans.filter((detail) => /^SCAN (?!j VIRTUAL TABLE|CONSTANT ROW|e$|u$|d$|w$|r$|punctual_meta$)/.test(detail))

const filler = 3000

const fill = (store: TaskStore["Service"]) =>
  Effect.forEach(
    Array.from({ length: filler / 500 }, (_, i) => i * 500),
    (from) =>
      store.insert(Array.from({ length: 500 }, (_, i) => {
        const n = from + i
        return newTask(`filler-${n}`, {
          tag: n % 2 === 0 ? "Mail" : "Other",
          owner: n % 3 === 0 ? "team" : null,
          labels: n % 5 === 0 ? "{\"team\":\"x\"}" : "{}",
          state: n % 7 === 0 ? "paused" : "scheduled",
          onStartup: n % 100 === 0,
          due: n % 7 === 0 ? null : epoch + n,
          zoneRules: n % 7 !== 0 && n % 3 === 0 ? "2025b" : null,
          runs: [newRun("x:1", { readyAt: epoch + n, due: epoch + n })]
        })
      })),
    { discard: true }
  )

const conditions: Record<
  string,
  (sql: SqlClient.SqlClient, store: TaskStore["Service"]) => Effect.Effect<unknown, unknown>
> = {
  "an empty store": () => Effect.void,
  "a full store": (_, store) => fill(store),
  "a full store, with statistics": (sql, store) => Effect.andThen(fill(store), sql`analyze`),
  "a full store, with statistics of a nearly empty one": (sql, store) =>
    // Two hundred rows: for a handful SQLite rightly scans, and goes on until it is told to analyze again.
    store.insert(Array.from({ length: 200 }, (_, i) => String(i)).map((id) => newTask(id, { runs: [newRun("x:1")] })))
      .pipe(
        Effect.andThen(sql`analyze`),
        Effect.andThen(fill(store))
      )
}

describe("query plans", () => {
  for (const [name, prepare] of Object.entries(conditions)) {
    // large batches say what they have in common in other words
    for (const size of [3, manyRows + 1]) {
      it.effect(`no operation on ${name} reads a whole table, ${size} at a time`, () =>
        Effect.gen(function*() {
          const { sql, store } = yield* opened
          yield* prepare(sql, store)
          const seen: Array<string> = []
          const run = <A, E>(what: string, effect: Effect.Effect<A, E>) =>
            Effect.map(plansOf(sql, effect), ({ answer, plans }) => {
              assert.deepStrictEqual(scans(plans), [], what)
              seen.push(...plans)
              return answer
            })

          const ids = ["a", ...Array.from({ length: size - 1 }, (_, i) => `b${i}`)]
          const inserted = yield* run(
            "insert",
            store.insert(ids.map((id) => newTask(id, { labels: "{\"k\":\"v\"}", runs: [newRun("x:1")] })))
          )
          const rows = inserted.map(({ row }) => row)
          yield* run("get", store.get(ids))
          for (const zoneRules of ["2025a", "2025b", "2025c"]) {
            const from = seen.length
            yield* run("due", store.due({ now: epoch + filler, limit: 100, reader: "me", zoneRules }))
            const plan = seen.slice(from)
            const covering = plan.filter((detail) => /SEARCH \w+ USING COVERING INDEX punctual_clock_due/.test(detail))
            assert.strictEqual(covering.length, 3, "rows, the next of them, and the first of those left to others")
            assert.isFalse(plan.some((detail) => /TEMP B-TREE|MULTI-INDEX/.test(detail)))
            yield* run("outdated", store.outdated({ now: epoch, limit: 100, reader: "me", zoneRules }))
          }
          const committed = yield* run(
            "commit",
            store.commit(rows.map((row, i) =>
              change(row, {
                set: { due: epoch + 1, cursor: epoch, version: 2, labels: "{\"k\":\"w\"}" },
                runs: [
                  { _tag: "Create", run: newRun(`${i}`, { queues: true }), claim: lease("me") },
                  { _tag: "Create", run: newRun(`w${i}`, { state: "waiting", queues: true }) },
                  { _tag: "Create", run: newRun(`d${i}`, { state: "waiting" }) },
                  { _tag: "Drop", key: `d${i}` },
                  { _tag: "Hold", key: "x:1" },
                  { _tag: "Unhold", key: "x:1" },
                  { _tag: "Cancel", key: `${i}`, reason: "no" }
                ]
              })
            ))
          )
          const mine = committed.flatMap((answer) => answer._tag === "Committed" ? answer.claimed : [])
          assert.strictEqual(mine.length, size)
          const refs = mine.map(({ generation, key, token }) => ({ generation, key, token: token ?? 0 }))
          yield* run("start", store.start({ now: epoch, owner: "me", runs: refs }))
          yield* run("heartbeat", store.heartbeat({ now: epoch, lease: lease("me"), runs: refs }))
          yield* run(
            "settle",
            store.settle(
              refs.map((ref) => ({
                ...ref,
                owner: "me",
                now: epoch,
                result: { _tag: "End", state: "failed", exit: "{}" },
                task: { failures: "increment", pauseAt: { failures: 1, note: "broken" } }
              })),
              { keep: 1 }
            )
          )
          // repeated: looked up in history
          yield* run(
            "settle again",
            store.settle(
              refs.map((ref) => ({ ...ref, owner: "me", now: epoch, result: { _tag: "Release" } })),
              { keep: 1 }
            )
          )
          const slots = [{ ...slot, version: 2 }, { ...slot, tag: "Other" }]
          const claim = (limit: number) =>
            store.claim({ now: epoch + filler / 2, lease: lease("me", epoch), slots, limit, reader: "me" })
          const { runs } = yield* run("claim", claim(20))
          assert.strictEqual(runs.length, name === "an empty store" ? 0 : 20)
          yield* run(
            "retry",
            store.settle(
              runs.slice(0, 2).map(({ run: { generation, key, token } }) => ({
                generation,
                key,
                token: token ?? 0,
                owner: "me",
                now: epoch,
                result: { _tag: "Retry", readyAt: epoch + 5, exit: "{}" }
              })),
              { keep: 1 }
            )
          )
          yield* run("takeover", store.takeover({ now: epoch + filler, limit: 10, maxTakeovers: 1, keep: 1 }))
          yield* run(
            "quarantine",
            store.quarantine(rows.map((row) => ({ ...row, reader: "you", reason: "no", at: epoch })))
          )
          yield* run("clear", store.clear(rows.map(({ generation }) => generation)))
          const instances = Array.from({ length: size }, (_, i) => ({
            id: `me#${i}`,
            name: "me",
            host: null,
            pid: null,
            version: "1",
            handles: "{}",
            startedAt: epoch,
            seenAt: epoch,
            until: epoch + i
          }))
          for (const instance of instances.slice(0, 3)) yield* run("beat", store.beat(instance))
          // In the order of the index, up to the limit.
          const { plans } = yield* plansOf(sql, store.instances({ limit: 2 }))
          assert.deepStrictEqual(plans, ["SCAN punctual_instance USING INDEX punctual_instance_until"])
          yield* run("leave", store.leave(instances.map(({ id }) => id)))
          const again = yield* store.commit((yield* store.get(ids)).map(({ row }) =>
            change(row, {
              set: { state: "paused" },
              runs: ["old", "back"].map((key) => ({ _tag: "Create", run: newRun(key), claim: lease("me") }))
            })
          ))
          yield* run(
            "replace what runs",
            store.commit((yield* store.get(ids)).map(({ row }) =>
              change(row, {
                runs: [
                  { _tag: "Cancel", key: "old", reason: "replaced" },
                  { _tag: "Create", run: newRun("new") },
                  { _tag: "Promote", key: "w0" }
                ]
              })
            ))
          )
          yield* run(
            "retry while paused",
            store.settle(
              again.flatMap((answer) => answer._tag === "Committed" ? answer.claimed : []).map((run) => ({
                generation: run.generation,
                key: run.key,
                token: run.token ?? 0,
                owner: "me",
                now: epoch,
                result: { _tag: "Retry", readyAt: epoch, exit: null }
              })),
              { keep: 1 }
            )
          )
          assert.deepStrictEqual(
            (yield* store.get(["a"])).flatMap(({ open }) =>
              open.filter(({ key }) => key === "new" || key === "back").map((
                { held, key, state }
              ) => [key, state, held])
            ),
            [["back", "ready", true], ["new", "waiting", false]]
          )
          yield* run("remove", store.commit((yield* store.get(ids)).map(({ row }) => change(row, { set: "remove" }))))
          yield* run("runs of a task", store.runs({ taskId: "a", limit: 10 }))
          yield* run("runs of a generation", store.runs({ generation: rows[0]!.generation, limit: 10 }))
          yield* run("prune", store.prune({ before: epoch + 1e9, limit: 2 }))

          // the hot ones, by name: a plan without a scan may still be the wrong one
          const indexes = name === "an empty store" ? ["clock_due", "clock_zone", "run_later", "run_lease"] : [
            "clock_due",
            "clock_zone",
            "run_ready",
            "run_later",
            "run_lease",
            "history_ended"
          ]
          for (const index of indexes) {
            assert.isTrue(seen.some((detail) => detail.includes(`punctual_${index}`)), index)
          }
        }))
    }

    it.effect(`lists of ${name} walk an index in their order`, () =>
      Effect.gen(function*() {
        const { sql, store } = yield* opened
        yield* prepare(sql, store)
        const queries: Record<string, Partial<TaskQuery>> = {
          id: {},
          tag: { tag: "Mail" },
          state: { state: "paused" },
          "tag and state": { tag: "Mail", state: "paused" },
          owner: { owner: "team" },
          event: { event: "startup" },
          labels: { labels: { team: "x" } },
          search: { search: "filler" },
          due: { sort: "due" },
          "due and tag": { sort: "due", tag: "Mail" },
          created: { sort: "created" },
          "created and state": { sort: "created", state: "scheduled" },
          "created and startup": { sort: "created", event: "startup" },
          "created and shutdown": { sort: "created", event: "shutdown" }
        }
        const indexes: Record<string, string> = {
          "created and startup": "task_startup_created",
          "created and shutdown": "task_shutdown_created"
        }
        for (const [what, query] of Object.entries(queries)) {
          for (const descending of [false, true]) {
            const list = (after: string | undefined) =>
              store.list({ sort: "id", descending, limit: 20, after, ...query })
            const first = yield* plansOf(sql, list(undefined))
            const second = yield* plansOf(sql, list(first.answer.next ?? undefined))
            const index = indexes[what]
            for (const { plans } of index === undefined ? [] : [first, second]) {
              assert.isTrue(plans.some((detail) => detail.includes(`punctual_${index}`)), what)
            }
            for (const { plans } of [first, second]) {
              assert.deepStrictEqual(plans.filter((detail) => /TEMP B-TREE/.test(detail)), [], what)
              // a walk of an index in its order is told as a scan of that index, and stops at the limit
              assert.deepStrictEqual(scans(plans).filter((detail) => !/USING (COVERING )?INDEX/.test(detail)), [], what)
            }
          }
        }
        for (const query of [{}, { state: "ready" as const }, { state: "failed" as const }, { tag: "Mail" }]) {
          const { plans } = yield* plansOf(sql, store.runs({ limit: 20, ...query }))
          // only those that run are put in order
          const sorted = plans.filter((detail) => /TEMP B-TREE/.test(detail)).length
          const running = plans.filter((detail) => /punctual_run_lease/.test(detail)).length
          assert.strictEqual(sorted, running)
          assert.deepStrictEqual(scans(plans).filter((detail) => !/USING (COVERING )?INDEX/.test(detail)), [])
        }
      }))
  }
})
