/**
 * I10 on MySQL and MariaDB: what an operation costs does not grow with its tables.
 *
 * What it costs is what the server counts for the session: rows and entries of indexes that its statements asked the
 * tables for, those of derived tables too, which a batch has as many of as entries. What was deleted and is not purged yet
 * is not counted.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { TaskQuery, TaskStoreError } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlClient from "../src/MysqlClient.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { freshPrefix } from "./internal/mysql.ts"
import { change, epoch, lease, newRun, newTask, slot } from "./internal/tasks.ts"

/** Tasks that are not due, a ready run of another tag in each, and as much history. */
const others = 20_000
/** Runs that wait for a retry, of the tag that is measured. */
const backlog = 5_000
/** Of the batches that are measured. */
const batch = 50
/** Rows that an operation may read for each entry of its batch: about thrice what the worst of them does. */
const most = 60

await onServer("mysql", (url) => {
  it.live(
    "no operation reads more than its batch, among 20,000 tasks, runs and ended runs of others",
    () =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const context = yield* Layer.build(
          Layer.fresh(
            SqlTaskStore.layer({ prefix, crossProcess: false }).pipe(
              Layer.provideMerge(MysqlClient.layer({ url, maxConnections: 1 }))
            )
          )
        )
        const store = Context.get(context, TaskStore)
        const sql = Context.get(context, SqlClient.SqlClient)
        yield* store.insert(Array.from({ length: others }, (_, i) =>
          newTask(`other-${i}`, {
            tag: "Other",
            due: epoch + 1e9 + i,
            labels: "{\"team\":\"them\"}",
            runs: [newRun("ready", { readyAt: epoch - 1 }), newRun("later", { readyAt: epoch + 1e9 })]
          })))
        // of our tag: those that wait for a retry, and those that run elsewhere
        yield* store.insert(
          Array.from({ length: backlog }, (_, i) =>
            newTask(`later-${i}`, { due: null, nominal: null, runs: [newRun("retry", { readyAt: epoch + 1e8 + i })] }))
        )
        yield* sql`update ${sql.literal(`${prefix}_run`)} set state = 'running', owner = 'them', token = n, held = 0,
lease_until = ${epoch + 1e9} where tag = 'Other' and run_key = 'ready' and n % 4 = 0`
        yield* sql`insert into ${sql.literal(`${prefix}_history`)} (n, no, run_key, task_id, tag, version, executor,
priority, due, nominal, state, held, ready_at, attempt, takeovers, created_at, owner, token, slots, queues, at_most_once, ended_at)
select n, 1, 'old', task_id, tag, version, executor, priority, due, nominal, 'succeeded', 0, ready_at, 1, 0, created_at,
'gone', 1, slots, queues, at_most_once, ${epoch + 1e9} + n from ${sql.literal(`${prefix}_run`)} where run_key = 'ready'`
        for (const table of ["task", "clock", "run", "history", "label"]) {
          yield* sql`analyze table ${sql.literal(`${prefix}_${table}`)}`
        }
        const ids = Array.from({ length: batch }, (_, i) =>
          `ours-${i}`)
        yield* store.insert(
          ids.map((id) =>
            newTask(id, { zoneRules: "2025a", runs: [newRun("claimable", { readyAt: epoch })] })
          )
        )

        const count = Effect.map(
          sql`show session status like 'Handler_read%'`.values,
          (rows) => rows.reduce((sum, [, read]) => sum + Number(read), 0)
        )
        const costs: Record<string, number> = {}
        // the question itself reads some
        const nothing = Effect.map(Effect.all([count, count]), ([first, second]) => second - first)
        const own = yield* nothing
        const run = <A>(what: string, effect: Effect.Effect<A, TaskStoreError>) =>
          Effect.gen(function*() {
            const before = yield* count
            const answer = yield* effect
            costs[what] = (yield* count) - before - own
            return answer
          })

        const { tasks } = yield* run("due", store.due({ now: epoch, limit: batch, reader: "me", zoneRules: "2026" }))
        assert.strictEqual(tasks.length, batch)
        yield* run("outdated", store.outdated({ now: epoch, limit: batch, reader: "me", zoneRules: "2026" }))
        yield* run("get", store.get(ids))
        yield* run("insert", store.insert(ids.map((id) => newTask(`more ${id}`, { due: epoch + 2e9 }))))
        const committed = yield* run(
          "commit",
          store.commit(tasks.map(({ row }) =>
            change(row, {
              set: { due: epoch + 1, cursor: epoch },
              runs: [{ _tag: "Create", run: newRun("mine"), claim: lease("me") }]
            })
          ))
        )
        const slots = [{ ...slot, limit: batch }]
        const { runs } = yield* run(
          "claim",
          store.claim({ now: epoch, lease: lease("me"), slots, limit: batch, reader: "me" })
        )
        assert.strictEqual(runs.length, batch)
        yield* run(
          "claim of nothing",
          store.claim({ now: epoch, lease: lease("me"), slots, limit: batch, reader: "me" })
        )
        const refs = committed.flatMap((answer) => answer._tag === "Committed" ? answer.claimed : [])
          .map(({ generation, key, token }) => ({ generation, key, token: token! }))
        assert.strictEqual(refs.length, batch)
        yield* run("start", store.start({ now: epoch, owner: "me", runs: refs }))
        yield* run("heartbeat", store.heartbeat({ now: epoch, lease: lease("me"), runs: refs }))
        yield* run("cancel", store.cancel(refs.map((ref) => ({ ...ref, reason: "no" }))))
        const settled = yield* run(
          "settle",
          store.settle(
            refs.map((ref) => ({
              ...ref,
              owner: "me",
              now: epoch,
              result: { _tag: "End", state: "failed", exit: "{}" }
            })),
            { keep: 1 }
          )
        )
        assert.deepStrictEqual(settled.filter((answer) => answer !== "Settled"), [])
        yield* run(
          "retry",
          store.settle(
            runs.slice(0, 25).map(({ run: { generation, key, token } }) => ({
              generation,
              key,
              token: token!,
              owner: "me",
              now: epoch,
              result: { _tag: "Retry", readyAt: epoch + 5, exit: null }
            })),
            { keep: 1 }
          )
        )
        const taken = yield* run(
          "takeover",
          store.takeover({ now: epoch + 60_000, limit: batch, maxTakeovers: 3, keep: 1 })
        )
        assert.strictEqual(taken.runs.length, 25)
        const verdicts = tasks.map(({ row: { generation, id } }) => ({
          id,
          generation,
          reader: "you",
          reason: "no",
          at: epoch
        }))
        yield* run("quarantine", store.quarantine(verdicts))
        yield* run("verdicts", store.verdicts({ limit: batch }))
        yield* run("clear", store.clear(verdicts.map(({ generation }) => generation)))
        yield* run("prune", store.prune({ before: epoch + 1e9 - 1, limit: batch }))
        const queries: Record<string, Partial<TaskQuery>> = {
          id: {},
          due: { sort: "due" },
          created: { sort: "created" },
          tag: { tag: "Mail" },
          state: { state: "scheduled" },
          owner: { owner: "nobody" }
        }
        for (const [what, query] of Object.entries(queries)) {
          yield* run(`list by ${what}`, store.list({ sort: "id", descending: false, limit: batch, ...query }))
        }
        // what is asked when another process has changed something
        yield* run("listening", Effect.scoped(Effect.andThen(store.listen(() => {}), Effect.yieldNow)))
        yield* run("runs of a task", store.runs({ taskId: ids[0], limit: batch }))
        const rows = (yield* store.get(ids)).map(({ row }) => row)
        yield* run("remove", store.commit(rows.map((row) => change(row, { set: "remove" }))))
        assert.deepStrictEqual(
          Object.entries(costs).filter(([, cost]) => cost > most * batch),
          [],
          JSON.stringify(costs)
        )
        // what is counted is counted: a search looks at all of them
        yield* run("search", store.list({ sort: "id", descending: false, limit: batch, search: "nothing like it" }))
        assert.isAbove(costs["search"]!, others)
      }),
    240_000
  )
})
