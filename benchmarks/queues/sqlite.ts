/**
 * In one SQLite file: what Punctual writes, written by hand; a table of jobs; and Effect's own queue.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Contender, period, texts } from "./queue.ts"

const open = (folder: string, name: string): DatabaseSync => {
  const db = new DatabaseSync(join(folder, `${name}.db`))
  db.exec("pragma journal_mode = wal; pragma synchronous = normal; pragma busy_timeout = 5000")
  return db
}

/** Calls back in a transaction. */
const within = (db: DatabaseSync, f: () => void): void => {
  db.exec("begin immediate")
  f()
  db.exec("commit")
}

/** Rows claimed and deleted in batches of 500: no task, no history, no policy. */
export const claimAndDelete: Contender = {
  place: "file",
  setup: "batches of 500",
  role: "limit",
  kinds: ["one-off"],
  timed: false,
  open: async (folder, name) => {
    const db = open(folder, name)
    db.exec(
      "create table if not exists job (id integer primary key, due integer not null, payload text not null, owner text); create index if not exists due on job (due) where owner is null"
    )
    const insert = db.prepare("insert into job (due, payload) values (?, ?)")
    const claim = db.prepare(
      "update job set owner = 'me' where id in (select id from job where owner is null and due <= ? order by due limit 500) returning id, payload"
    )
    const remove = db.prepare("delete from job where id = ?")
    return {
      add: async (jobs) => within(db, () => jobs.forEach(({ n }) => insert.run(0, JSON.stringify({ n })))),
      work: async (f) => {
        while (true) {
          const rows = claim.all(1) as Array<{ readonly id: number; readonly payload: string }>
          if (rows.length === 0) return
          for (const { payload } of rows) void f(JSON.parse(payload).n)
          within(db, () => rows.forEach(({ id }) => remove.run(id)))
        }
      },
      settled: async () => true,
      close: async () => db.close()
    }
  }
}

/**
 * What Punctual writes, written by hand: the same rows of the same tables, texts and instants included, with every index,
 * in the same two transactions a batch. It asks for nothing but what its runs need, checks nothing, and knows that all rows
 * of a batch are alike.
 */
export const limit: Contender = {
  place: "file",
  setup: "the same rows of the same tables with all their indexes, in batches of 500, and no checks",
  role: "limit",
  kinds: ["one-off", "recurring", "ready"],
  timed: false,
  open: async (folder, name, { kind }) => {
    const { SqliteTaskStore } = await import("@punctual/sql/sqlite")
    const filename = join(folder, `${name}.db`)
    await Effect.runPromise(Effect.scoped(Layer.build(SqliteTaskStore.layer({ filename }))))
    const db = open(folder, name)
    db.exec("pragma cache_size = -16384")
    const { exit, owner, policy, ranges, rule } = await texts(kind)
    const addTask = db.prepare(
      `insert into punctual_task (id, tag, version, name, payload, display, rule, anchor, on_startup,
on_shutdown, policy, executor, priority, labels, created_at, updated_at)
values (?1, 'Work', 1, 'Work', ?2, ?2, '${rule}', ?3, 0, 0, '${policy}', 'default', 0, '{}', ?3, ?3)`
    )
    const addClock = db.prepare(
      `insert into punctual_clock (n, id, revision, state, position, due, nominal, epoch, ran, missed,
coalesced, skipped, paused, extra, exact, ranges, failures)
values (?1, ?2, 1, ${kind === "ready" ? "'finished', ?3 - 1, null, null" : "'scheduled', ?3 - 1, ?3, ?3"}, ?3 - 1,
0, 0, 0, 0, 0, 0, 1, '${ranges}', 0)`
    )
    const addRun = db.prepare(
      `insert into punctual_run (n, run_key, task_id, tag, version, executor, priority, due, nominal,
state, ready_at, created_at, slots, queues, at_most_once)
values (?1, ?3, ?2, 'Work', 1, 'default', 0, ?3, ?3, 'ready', ?3, ?3, 1, 0, 0)`
    )
    const due = db.prepare(
      `select c.n, c.due, t.payload, t.rule, t.policy from punctual_clock c join punctual_task t on t.n = c.n
where c.due <= ? and c.due is not null order by c.due, c.n limit 500`
    )
    const ready = db.prepare(
      `select r.n, r.due, t.payload from punctual_run r join punctual_task t on t.n = r.n
where r.executor = 'default' and r.tag = 'Work' and r.state = 'ready' and r.held = 0 and r.later = 0
order by r.priority desc, r.due, r.n limit 500`
    )
    const batch = "(select value from json_each(?1))"
    const takeTokens = db.prepare("update punctual_meta set token = token + ? returning token")
    const advance = db.prepare(
      kind === "recurring"
        ? `update punctual_clock set revision = revision + 1, position = ?2, due = due + ${period},
nominal = nominal + ${period}, ran = ran + 1 where n in ${batch} and revision = 1`
        : `update punctual_clock set revision = revision + 1, position = ?2, due = null, nominal = null,
ran = ran + 1, state = 'finished' where n in ${batch} and revision = 1`
    )
    const create = db.prepare(
      `insert into punctual_run (n, run_key, task_id, tag, version, executor, priority, due, nominal,
state, ready_at, attempt, created_at, owner, token, started_at, slots, queues, at_most_once, lease_until)
select t.n, ?5, t.id, t.tag, t.version, t.executor, t.priority, ?3, ?3, 'running', ?3, 1, ?2, '${owner}', ?4 + j.key, ?2,
1, 0, 0, ?2 + 30000
from json_each(?1) j cross join punctual_task t where t.n = j.value`
    )
    const claim = db.prepare(
      `update punctual_run set state = 'running', attempt = 1, owner = '${owner}', token = ?3 + j.key, started_at = ?2,
lease_until = ?2 + 30000 from json_each(?1) j where n = j.value`
    )
    const record = db.prepare(
      `insert into punctual_history (n, run_key, task_id, tag, version, executor, priority, due, nominal,
state, ready_at, attempt, created_at, owner, token, started_at, exit, slots, queues, at_most_once, no, ended_at)
select n, run_key, task_id, tag, version, executor, priority, due, nominal, 'succeeded', ready_at, attempt, created_at, owner,
token, started_at, '${exit}', slots, queues, at_most_once, 1, ?2 from punctual_run where n in ${batch}`
    )
    const end = db.prepare(`delete from punctual_run where n in ${batch}`)
    return {
      add: async (jobs) =>
        within(db, () => {
          const now = Date.now()
          for (const { n } of jobs) {
            const id = `task-${n}`
            const { lastInsertRowid } = addTask.run(id, JSON.stringify({ n }), now)
            addClock.run(lastInsertRowid, id, now)
            if (kind === "ready") addRun.run(lastInsertRowid, id, now)
          }
        }),
      work: async (f) => {
        while (true) {
          const now = Date.now()
          const rows = (kind === "ready" ? ready.all() : due.all(now)) as Array<
            { readonly n: number; readonly due: number; readonly payload: string }
          >
          if (rows.length === 0) return
          const batch = JSON.stringify(rows.map(({ n }) => n))
          within(db, () => {
            const token = Number(takeTokens.get(rows.length)!["token"]) - rows.length + 1
            if (kind === "ready") claim.run(batch, now, token)
            else {
              advance.run(batch, now)
              create.run(batch, now, rows[0]!.due, token, String(rows[0]!.due))
            }
          })
          for (const { payload } of rows) void f(JSON.parse(payload).n)
          within(db, () => {
            record.run(batch, Date.now())
            end.run(batch)
          })
        }
      },
      settled: async () => true,
      close: async () => db.close()
    }
  }
}

/** Effect's own queue over the same client: at least once, attempts, no schedules. */
export const persistedQueue: Contender = {
  place: "file",
  setup: "50 at once, poll 5 ms",
  role: "best",
  kinds: ["one-off"],
  timed: false,
  open: async (folder, name) => {
    const PersistedQueue = await import("effect/persistence/PersistedQueue")
    const { SqliteClient } = await import("@punctual/sql/sqlite")
    const scope = Effect.runSync(Scope.make())
    const context = await Effect.runPromise(Layer.buildWithScope(
      PersistedQueue.layer.pipe(
        Layer.provide(PersistedQueue.layerStoreSql({ pollInterval: 5 })),
        Layer.provide(SqliteClient.layer({ filename: join(folder, `${name}.db`) }))
      ),
      scope
    ))
    const queue = await Effect.runPromise(
      Effect.provideContext(PersistedQueue.make({ name: "work", schema: Schema.Struct({ n: Schema.Int }) }), context)
    )
    let [began, ended] = [0, 0]
    return {
      add: (jobs) =>
        Effect.runPromise(
          Effect.forEach(jobs, ({ n }) => queue.offer({ n }), { concurrency: 50, discard: true }) as Effect.Effect<
            void,
            unknown
          >
        ),
      work: async (f) => {
        const take = queue.take(({ n }) =>
          Effect.sync(() => {
            began++
            void f(n)
          })
        )
        for (let i = 0; i < 50; i++) {
          Effect.runFork(
            Scope.provide(Effect.forkScoped(Effect.forever(Effect.tap(take, () => Effect.sync(() => ended++)))), scope)
          )
        }
      },
      settled: async () => began === ended,
      close: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}
