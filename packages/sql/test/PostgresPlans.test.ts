/**
 * I10 in the middle of a day: tables full of dead rows that an old snapshot keeps, analyzed when no run was open.
 *
 * What a statement costs is what the server counts: rows that were read by scans of whole tables, and entries of indexes.
 * A planner that takes the table of runs for empty reads all of it, every dead row, in each statement, if it may.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { clientOf, freshPrefix } from "./internal/postgres.ts"
import { change, epoch, lease, newRun, newTask, slot } from "./internal/tasks.ts"

/** Those that are never due, and those that are in each round. */
const idle = 20_000
const busy = 1_000
/** So many dead versions has each row of those, and so many dead rows each run. */
const rounds = 4
/** Of the batches that are measured. */
const batch = 50

const period = 100_000

/** Opens sessions of a store, and tells what they have read. */
const sessionsOf = (url: string) =>
  Effect.gen(function*() {
    const prefix = freshPrefix()
    const sql = Context.get(yield* Layer.build(clientOf(url)), SqlClient.SqlClient)
    /** A session of its own, whose counters are told when it ends. */
    const withStore = <A, E>(use: (store: TaskStore["Service"]) => Effect.Effect<A, E>) =>
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(
          SqlTaskStore.layer({ prefix, crossProcess: false }).pipe(
            Layer.provide(clientOf(url, { maxConnections: 1, applicationName: prefix }))
          )
        )),
        (context) => use(Context.get(context, TaskStore))
      ))
    const ended = Effect.gen(function*() {
      const sessions = yield* sql`select 1 from pg_stat_activity where application_name = ${prefix}`.values
      if (sessions.length > 0) yield* Effect.fail("not yet")
    }).pipe(Effect.retry({ schedule: Schedule.spaced("10 millis") }))
    const counted = Effect.gen(function*() {
      yield* ended
      const rows = yield* sql`select relname, seq_tup_read from pg_stat_user_tables where relname like ${`${prefix}_%`}
union all select indexrelname, idx_tup_read from pg_stat_user_indexes where relname like ${`${prefix}_%`}`.values
      return new Map(rows.map(([name, count]) => [String(name).slice(prefix.length + 1), Number(count)]))
    })
    return { prefix, sql, withStore, counted }
  })

await onServer("postgres", (url) => {
  it.live("no operation reads a whole table, or the runs that are dead", () =>
    Effect.gen(function*() {
      const { counted, prefix, sql, withStore } = yield* sessionsOf(url)

      /** Every task that is due runs once. */
      const round = (store: TaskStore["Service"], now: number, limit: number) =>
        Effect.gen(function*() {
          while (true) {
            const { tasks } = yield* store.due({ now, limit, reader: "me", zoneRules: "z" })
            if (tasks.length === 0) return
            const answers = yield* store.commit(tasks.map(({ row }, i) =>
              change(row, {
                now,
                set: { due: now + period, cursor: now },
                runs: [{
                  _tag: "Create",
                  run: newRun(String(now), { due: now, readyAt: now }),
                  // half of them are claimed where they are created
                  ...i % 2 === 0 ? { claim: lease("me", now + 1) } : undefined
                }]
              })
            ))
            const claimed = yield* store.claim({
              now,
              lease: lease("me", now + 1),
              slots: [{ ...slot, limit }],
              limit,
              reader: "me"
            })
            const mine = [
              ...answers.flatMap((answer) => answer._tag === "Committed" ? answer.claimed : []),
              ...claimed.runs.map(({ run }) => run)
            ]
            assert.strictEqual(mine.length, tasks.length)
            const refs = mine.map(({ generation, key, token }) => ({ generation, key, token: token ?? 0 }))
            yield* store.start({ now, owner: "me", runs: refs })
            yield* store.heartbeat({ now, lease: lease("me", now + 2), runs: refs })
            yield* store.get(tasks.slice(0, 5).map(({ row }) => row.id))
            // one is retried at once, and then taken over; the others end
            const [first, ...rest] = refs
            yield* store.settle(
              [{ ...first!, owner: "me", now, result: { _tag: "Retry", readyAt: now, exit: null } }],
              { keep: 4 }
            )
            yield* store.claim({ now, lease: lease("me", now + 1), slots: [slot], limit: 1, reader: "me" })
            yield* store.takeover({ now: now + 1, limit: 1, maxTakeovers: 1, keep: 4 })
            yield* store.settle(
              rest.map((ref) => ({
                ...ref,
                owner: "me",
                now,
                result: { _tag: "End", state: "succeeded", exit: null }
              })),
              { keep: 4 }
            )
          }
        })

      yield* withStore((store) =>
        store.insert(
          Array.from({ length: idle + busy }, (_, i) => newTask(`task-${i}`, { due: i < busy ? epoch : epoch + 1e12 }))
        )
      )
      yield* sql`analyze`
      const enough = yield* Latch.make()
      const begun = yield* Latch.make()
      yield* Effect.forkScoped(sql.withTransaction(Effect.gen(function*() {
        yield* sql`set transaction isolation level repeatable read`
        yield* sql`select count(*) from ${sql.literal(`${prefix}_run`)}`
        yield* begun.open
        yield* enough.await
      })))
      yield* begun.await
      for (let i = 0; i < rounds; i++) yield* withStore((store) => round(store, epoch + i * period, 500))
      yield* sql`analyze`

      const before = yield* counted
      yield* withStore((store) => round(store, epoch + rounds * period, batch))
      const after = yield* counted
      yield* enough.open
      const read = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
      for (const table of ["task", "clock", "run", "history", "label", "gone"]) {
        assert.strictEqual(read(table), 0, `rows of ${table} that were read by scans`)
      }
      // each run is found by its key in some statements, among the dead runs of its task
      const most = 40 * rounds * busy
      for (const index of ["run_pkey", "history_pkey", "clock_pkey", "task_pkey"]) {
        assert.isAtMost(read(index), most, `entries of ${index} for ${busy} runs`)
      }
      assert.isAbove(read("run_pkey"), busy)
    }), 240_000)

  it.live("a backlog is read along its index, however few rows are left of it", () =>
    Effect.gen(function*() {
      const { counted, sql, withStore } = yield* sessionsOf(url)
      yield* withStore((store) =>
        store.insert(
          Array.from({ length: idle }, (_, i) => newTask(`task-${i}`, { runs: i % 2 === 0 ? [] : [newRun("1")] }))
        )
      )
      yield* sql`analyze`
      const before = yield* counted
      const most = 1_000
      yield* withStore((store) =>
        Effect.gen(function*() {
          for (let left = idle; left > 0; left -= most) {
            const { tasks } = yield* store.due({ now: epoch, limit: most, reader: "me", zoneRules: "z" })
            assert.strictEqual(tasks.length, most)
            yield* store.commit(tasks.map(({ row }) => change(row, { set: { due: null, state: "finished" } })))
            const { runs } = yield* store.claim({
              now: epoch,
              lease: lease("me"),
              slots: [{ ...slot, limit: most / 2 }],
              limit: most / 2,
              reader: "me"
            })
            assert.strictEqual(runs.length, most / 2)
          }
        })
      )
      const after = yield* counted
      for (const table of ["task", "clock", "run"]) {
        assert.strictEqual((after.get(table) ?? 0) - (before.get(table) ?? 0), 0, `rows of ${table} read by scans`)
      }
    }), 240_000)
})
