/**
 * Queues in one SQLite file, behind one small interface: fill it, then run everything that is in it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { basename, dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Store, stores } from "../places.ts"

export interface Session {
  readonly fill: (count: number) => Promise<void>
  /** Runs all of them; each run calls `f` and its end is stored. */
  readonly drain: (count: number, f: () => void) => Promise<void>
  readonly close: () => Promise<void>
}

export type Contender = (filename: string) => Promise<Session>

const open = (filename: string): DatabaseSync => {
  const db = new DatabaseSync(filename)
  db.exec("pragma journal_mode = wal; pragma synchronous = normal")
  return db
}

/** A row claimed and deleted in batches of 500: no task, no history, no policy. */
const claimAndDelete: Contender = async (filename) => {
  const db = open(filename)
  db.exec(
    "create table job (id integer primary key, due integer not null, payload text not null, owner text); create index due on job (due) where owner is null"
  )
  const insert = db.prepare("insert into job (due, payload) values (?, ?)")
  const claim = db.prepare(
    "update job set owner = 'me' where id in (select id from job where owner is null and due <= ? order by due limit 500) returning id, payload"
  )
  const remove = db.prepare("delete from job where id = ?")
  return {
    fill: async (count) => {
      for (let i = 0; i < count; i += 500) {
        db.exec("begin")
        for (let k = i; k < Math.min(count, i + 500); k++) insert.run(0, JSON.stringify({ n: k }))
        db.exec("commit")
      }
    },
    drain: async (count, f) => {
      for (let done = 0; done < count;) {
        const rows = claim.all(1) as Array<{ readonly id: number; readonly payload: string }>
        for (const row of rows) {
          JSON.parse(row.payload)
          f()
        }
        db.exec("begin")
        for (const row of rows) remove.run(row.id)
        db.exec("commit")
        done += rows.length
      }
    },
    close: async () => db.close()
  }
}

/**
 * What Punctual writes, written by hand: the same rows of the same tables, texts and instants included, with every index,
 * in the same two transactions a batch. It asks for nothing but what its runs need, checks nothing, and knows that all rows
 * of a batch are alike.
 */
const sameRows: Contender = async (filename) => {
  const { SqliteTaskStore } = await import("@punctual/sql/sqlite")
  const Policy = await import("punctual/Policy")
  await Effect.runPromise(Effect.scoped(Layer.build(SqliteTaskStore.layer({ filename }))))
  const db = open(filename)
  db.exec("pragma cache_size = -16384")
  const now = () => Clock.Clock.defaultValue().currentTimeMillisUnsafe()
  const owner = "scheduler#0123456789abcdef"
  const exit = JSON.stringify({ _tag: "Success", value: null })
  const policy = Policy.encode(Policy.defaultPolicy)
  const rule = JSON.stringify({ v: 1, _tag: "Now" })
  const ranges = JSON.stringify({ v: 1, ranges: [] })
  const addTask = db.prepare(
    `insert into punctual_task (id, tag, version, name, payload, display, rule, anchor, on_startup,
on_shutdown, policy, executor, priority, labels, created_at, updated_at)
values (?1, 'Work', 1, 'Work', ?2, ?2, '${rule}', ?3, 0, 0, '${policy}', 'default', 0, '{}', ?3, ?3)`
  )
  const addClock = db.prepare(
    `insert into punctual_clock (n, id, revision, state, position, due, nominal, epoch, ran, missed,
coalesced, skipped, paused, extra, exact, ranges, failures)
values (?1, ?2, 1, 'scheduled', ?3 - 1, ?3, ?3, ?3 - 1, 0, 0, 0, 0, 0, 0, 1, '${ranges}', 0)`
  )
  const due = db.prepare(
    `select c.n, c.due, t.payload, t.rule, t.policy from punctual_clock c join punctual_task t on t.n = c.n
where c.due <= ? and c.due is not null order by c.due, c.n limit 500`
  )
  const batch = "(select value from json_each(?1))"
  const takeTokens = db.prepare("update punctual_meta set token = token + ? returning token")
  const advance = db.prepare(
    `update punctual_clock set revision = revision + 1, position = ?2, due = null, nominal = null,
ran = ran + 1, state = 'finished' where n in ${batch} and revision = 1`
  )
  const create = db.prepare(
    `insert into punctual_run (n, run_key, task_id, tag, version, executor, priority, due, nominal,
state, ready_at, attempt, created_at, owner, token, started_at, slots, queues, at_most_once, lease_until)
select t.n, ?5, t.id, t.tag, t.version, t.executor, t.priority, ?3, ?3, 'running', ?3, 1, ?2, '${owner}', ?4 + j.key, ?2,
1, 0, 0, ?2 + 30000
from json_each(?1) j cross join punctual_task t where t.n = j.value`
  )
  const record = db.prepare(
    `insert into punctual_history (n, run_key, task_id, tag, version, executor, priority, due, nominal,
state, ready_at, attempt, created_at, owner, token, started_at, exit, slots, queues, at_most_once, no, ended_at)
select n, run_key, task_id, tag, version, executor, priority, due, nominal, 'succeeded', ready_at, attempt, created_at, owner,
token, started_at, '${exit}', slots, queues, at_most_once, 1, ?2 from punctual_run where n in ${batch}`
  )
  const end = db.prepare(`delete from punctual_run where n in ${batch}`)
  return {
    fill: async (count) => {
      const at = now()
      for (let i = 0; i < count; i += 500) {
        db.exec("begin")
        for (let k = i; k < Math.min(count, i + 500); k++) {
          const id = `task-${k}`
          addClock.run(addTask.run(id, JSON.stringify({ n: k }), at).lastInsertRowid, id, at)
        }
        db.exec("commit")
      }
    },
    drain: async (count, f) => {
      for (let done = 0; done < count;) {
        const at = now()
        const rows = due.all(at) as Array<{ readonly n: number; readonly due: number; readonly payload: string }>
        const batch = JSON.stringify(rows.map(({ n }) => n))
        db.exec("begin immediate")
        const { token } = takeTokens.get(rows.length) as { readonly token: number }
        advance.run(batch, at)
        create.run(batch, at, rows[0]!.due, token - rows.length + 1, String(rows[0]!.due))
        db.exec("commit")
        for (const { payload } of rows) {
          JSON.parse(payload)
          f()
        }
        db.exec("begin immediate")
        record.run(batch, now())
        end.run(batch)
        db.exec("commit")
        done += rows.length
      }
    },
    close: async () => db.close()
  }
}

const punctual = (open: Store["open"]): Contender => async (filename) => {
  const Task = await import("punctual/Task")
  const TaskScheduler = await import("punctual/TaskScheduler")
  const Trigger = await import("punctual/Trigger")
  const { TaskStore } = await import("punctual/TaskStore")
  let run: () => void = () => {}
  const Work = Task.make("Work", { payload: { n: Schema.Int } })
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.buildWithScope(
    TaskScheduler.layer(Work.toLayer(() => Effect.sync(() => run())), { start: "manual", drainTimeout: 0 }).pipe(
      Layer.provideMerge(await open(dirname(filename), basename(filename, ".db")))
    ),
    scope
  ))
  const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
  const store = Context.get(context, TaskStore)
  return {
    fill: (count) =>
      Effect.runPromise(Effect.asVoid(Effect.provideContext(
        scheduler.addAll(Array.from({ length: count }, (_, n) =>
          Task.scheduled(Work, { id: `task-${n}`, payload: { n }, trigger: Trigger.now }))),
        context
      ))),
    drain: async (count, f) => {
      let left = count
      run = () => {
        left--
        f()
      }
      await Effect.runPromise(Effect.gen(function*() {
        yield* scheduler.start
        while (left > 0) yield* Effect.sleep(5)
        // All have run; the last outcomes are on their way to the file.
        while ((yield* store.runs({ state: "running", limit: 1 })).items.length > 0) yield* Effect.sleep(1)
      }))
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

/** Effect's own queue over the same client: at least once, attempts, no schedules. */
const persistedQueue: Contender = async (filename) => {
  const PersistedQueue = await import("effect/persistence/PersistedQueue")
  const { SqliteClient } = await import("@punctual/sql/sqlite")
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.buildWithScope(
    PersistedQueue.layer.pipe(
      Layer.provide(PersistedQueue.layerStoreSql({ pollInterval: 5 })),
      Layer.provide(SqliteClient.layer({ filename }))
    ),
    scope
  ))
  const queue = await Effect.runPromise(
    Effect.provideContext(PersistedQueue.make({ name: "work", schema: Schema.Struct({ n: Schema.Int }) }), context)
  )
  return {
    fill: (count) =>
      Effect.runPromise(Effect.forEach(Array.from({ length: count }), (_, n) => queue.offer({ n }), {
        concurrency: 50,
        discard: true
      }) as Effect.Effect<void, unknown>),
    drain: (count, f) =>
      Effect.runPromise(Effect.forEach(Array.from({ length: count }), () => queue.take(() => Effect.sync(f)), {
        concurrency: 50,
        discard: true
      }) as Effect.Effect<void, unknown>),
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

export const contenders: Readonly<Record<string, Contender>> = {
  punctual: punctual(stores.SQLite.open),
  "punctual, file store": punctual(stores.file.open),
  "limit (the same rows by hand)": sameRows,
  "claim and delete by hand": claimAndDelete,
  "Effect PersistedQueue": persistedQueue
}
