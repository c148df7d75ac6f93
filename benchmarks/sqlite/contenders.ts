/**
 * Queues in one SQLite file, behind one small interface: fill it, then run everything that is in it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { DatabaseSync } from "node:sqlite"

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

/** What Punctual writes, written by hand: task, position, run, history, in the same two transactions a batch. */
const sameRows: Contender = async (filename) => {
  const db = open(filename)
  db.exec(`
    create table task (n integer primary key, id text not null unique, tag text not null, payload text not null, trigger text not null, policy text not null);
    create table clock (n integer primary key, rev integer not null, cursor integer not null, due integer, ran integer not null, state text not null);
    create index due on clock (due) where due is not null;
    create table run (n integer not null, key text not null, tag text not null, state text not null, due integer not null, owner text, token integer, lease integer, primary key (n, key)) without rowid;
    create index lease on run (lease) where state = 'running';
    create table history (n integer not null, no integer not null, key text not null, state text not null, token integer, ended integer, exit text, primary key (n, no)) without rowid;
  `)
  const addTask = db.prepare(
    "insert into task (id, tag, payload, trigger, policy) values (?, 'Work', ?, '{\"_tag\":\"Now\"}', '{}')"
  )
  const addClock = db.prepare("insert into clock (n, rev, cursor, due, ran, state) values (?, 1, 0, 1, 0, 'scheduled')")
  const due = db.prepare(
    "select c.n, c.rev, t.payload, t.policy, t.trigger from clock c join task t on t.n = c.n where c.due <= ? order by c.due limit 500"
  )
  const advance = db.prepare(
    "update clock set rev = rev + 1, cursor = 2, due = null, ran = ran + 1, state = 'finished' where n = ? and rev = ?"
  )
  const create = db.prepare("insert into run values (?, '1', 'Work', 'running', 1, 'me', ?, 30000)")
  const end = db.prepare("delete from run where n = ? and key = '1' and token = ?")
  const record = db.prepare("insert into history values (?, 1, '1', 'succeeded', ?, 2, '{\"_tag\":\"Success\"}')")
  return {
    fill: async (count) => {
      for (let i = 0; i < count; i += 500) {
        db.exec("begin")
        for (let k = i; k < Math.min(count, i + 500); k++) {
          addClock.run(addTask.run(`task-${k}`, JSON.stringify({ n: k })).lastInsertRowid)
        }
        db.exec("commit")
      }
    },
    drain: async (count, f) => {
      let token = 0
      for (let done = 0; done < count;) {
        const rows = due.all(1) as Array<{ readonly n: number; readonly rev: number; readonly payload: string }>
        const first = token
        db.exec("begin immediate")
        for (const row of rows) {
          advance.run(row.n, row.rev)
          create.run(row.n, ++token)
        }
        db.exec("commit")
        for (const row of rows) {
          JSON.parse(row.payload)
          f()
        }
        db.exec("begin immediate")
        rows.forEach((row, i) => {
          end.run(row.n, first + i + 1)
          record.run(row.n, first + i + 1)
        })
        db.exec("commit")
        done += rows.length
      }
    },
    close: async () => db.close()
  }
}

const punctual: Contender = async (filename) => {
  const { SqliteTaskStore } = await import("@punctual/sql/sqlite")
  const Task = await import("punctual/Task")
  const TaskScheduler = await import("punctual/TaskScheduler")
  const Trigger = await import("punctual/Trigger")
  const { TaskStore } = await import("punctual/TaskStore")
  let run: () => void = () => {}
  const Work = Task.make("Work", { payload: { n: Schema.Int } })
  const scope = Effect.runSync(Scope.make())
  const context = await Effect.runPromise(Layer.buildWithScope(
    TaskScheduler.layer(Work.toLayer(() => Effect.sync(() => run())), { start: "manual", drainTimeout: 0 }).pipe(
      Layer.provideMerge(SqliteTaskStore.layer({ filename }))
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
  punctual,
  "limit (the same rows by hand)": sameRows,
  "claim and delete by hand": claimAndDelete,
  "Effect PersistedQueue": persistedQueue
}
