/**
 * What both an insertion and a commit write: new tasks, new runs, and labels.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { ArrivingRun, TaskRow } from "punctual/TaskRecord"
import type { Lease, NewTask } from "punctual/TaskStore"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Ends } from "./ends.ts"
import { apart, limitOf } from "./lines.ts"
import type { Cells } from "./records.ts"
import { clockCells, clockColumns, labelPairs, newTaskRow, taskCells, taskColumns } from "./records.ts"
import { bringsDue } from "./wakes.ts"

const newRunColumns: Columns = [
  ["n", "int"],
  ["run_key", "text"],
  ["due", "int"],
  ["nominal", "int"],
  ["ready_at", "int"],
  ["slots", "int"],
  ["queues", "int"],
  ["token", "int"],
  ["held", "int"],
  ["attempt", "int"],
  ["takeovers", "int"]
]

/** Tasks of one statement: one of all would hold the texts of all of them several times. */
export const rowsAtOnce = 5_000

/** Characters of payloads in one statement: MariaDB takes none of more than 16 MB, quoted twice and in UTF-8. */
export const textAtOnce = 1_000_000

export interface Creation {
  readonly n: number
  readonly run: ArrivingRun
  readonly now: number
  readonly lease: Lease | undefined
  readonly token: number | undefined
}

export interface Creations {
  /** Tasks of ids that are free, with their runs. What somebody else has added meanwhile is left out. */
  readonly insert: (tasks: ReadonlyArray<NewTask>, write: Write) => Effect.Effect<ReadonlyArray<TaskRow>, SqlError>
  /** Creates runs, each key of a task once, where it is not open already; answers whether all were created. */
  readonly create: (creations: ReadonlyArray<Creation>) => Effect.Effect<boolean, SqlError>
  readonly label: (
    tasks: ReadonlyArray<{ readonly n: number; readonly id: string; readonly labels: string }>
  ) => Effect.Effect<unknown, SqlError>
  readonly unlabel: (ns: ReadonlyArray<Cells>) => Effect.Effect<unknown, SqlError>
}

export const makeCreations = (db: Database, ends: Ends): Creations => {
  const { dialect, source, sql, t } = db

  const byN = source([["n", "int"]])

  const names = (columns: Columns, alias = "") => sql.literal(columns.map(([name]) => `${alias}${name}`).join(", "))

  const insert: Creations["insert"] = Effect.fnUntraced(function*(tasks, write) {
    if (tasks.length === 0) return []
    const generation = yield* write.generations(tasks.length)
    const numbered = tasks.map((task, i) => ({ task, n: generation(i) }))
    const size = ({ display, payload }: NewTask) => payload.length + display.length
    if (numbered.length <= rowsAtOnce && tasks.reduce((sum, task) => sum + size(task), 0) <= textAtOnce) {
      return yield* insertAll(numbered, write)
    }
    // who adds some of these ids at the same time comes to them in the same order
    numbered.sort((self, that) => self.task.id < that.task.id ? -1 : 1)
    const rows: Array<TaskRow> = []
    for (let from = 0; from < numbered.length;) {
      let to = from
      for (let text = 0; to < numbered.length && to < from + rowsAtOnce; to++) {
        text += size(numbered[to]!.task)
        if (text > textAtOnce && to > from) break
      }
      rows.push(...yield* insertAll(numbered.slice(from, to), write))
      from = to
    }
    return rows
  })

  interface Numbered {
    readonly task: NewTask
    readonly n: number
  }

  const insertAll = Effect.fnUntraced(function*(
    tasks: ReadonlyArray<Numbered>,
    write: Write
  ): Effect.fn.Return<ReadonlyArray<TaskRow>, SqlError> {
    let added = tasks
    const addTasks = sql`insert into ${t.task} (${names(taskColumns)}) select ${names(taskColumns, "u.")}
from ${source(taskColumns)(added.map(({ n, task }) => taskCells(task, n)))} u`
    if (tasks.some(({ task }) => task.concurrencyKey !== null)) yield* write.keyed
    if (dialect.concurrent) {
      const count = yield* dialect.affected(sql, sql`${addTasks} order by u.id${dialect.ignore(t.task)}`)
      if (count < added.length) {
        const rows = yield* sql`select t.n from ${byN(added.map(({ n }) => [n]))} u cross join ${t.task} t
where t.n = u.n`.values
        const mine = new Set(rows.map(([n]) => Number(n)))
        added = added.filter(({ n }) => mine.has(n))
        if (added.length === 0) return []
      }
    } else yield* addTasks
    yield* sql`insert into ${t.clock} (${names(clockColumns)}) select ${names(clockColumns, "u.")}
from ${source(clockColumns)(added.map(({ n, task }) => clockCells(task, n)))} u`
    yield* label(added.map(({ n, task }) => ({ n, id: task.id, labels: task.labels })))
    const created: Array<Creation> = []
    for (const { n, task } of added) {
      bringsDue(write.brought, task.due)
      const keys = new Set<string>()
      for (const run of task.runs ?? []) {
        if (keys.has(run.key)) continue
        keys.add(run.key)
        created.push({ n, run, now: task.createdAt, lease: undefined, token: undefined })
        if (run.state !== "ready" || run.held === true) continue
        write.brought.ready = true
        write.lines.add(task.tag, task.concurrencyKey)
      }
    }
    yield* create(created)
    return added.map(({ n, task }) => newTaskRow(task, n))
  })

  const create: Creations["create"] = Effect.fnUntraced(function*(creations) {
    // what a batch has in common, nearly always all of it, goes in once and not as a cell of each row
    const groups = new Map<string, { readonly first: Creation; readonly cells: Array<Cells> }>()
    for (const creation of creations) {
      const { lease, n, now, run, token } = creation
      const key = `${now} ${run.state} ${run.atMostOnce} ${lease === undefined ? "" : `${lease.until} ${lease.owner}`}`
      let group = groups.get(key)
      if (group === undefined) groups.set(key, group = { first: creation, cells: [] })
      group.cells.push([
        n,
        run.key,
        run.due,
        run.nominal,
        run.readyAt,
        run.slots,
        run.queues ? 1 : 0,
        token ?? null,
        run.held === true ? 1 : 0,
        (run.attempt ?? 0) + (lease === undefined ? 0 : 1),
        run.takeovers ?? 0
      ])
    }
    let all = true
    for (const { cells, first: { lease, now, run } } of groups.values()) {
      ends.isLater(now, now)
      const state = lease === undefined ? run.state : "running"
      const added = yield* dialect.affected(
        sql,
        sql`insert into ${t.run} (${names(newRunColumns)}, task_id, tag, version, executor, priority,
concurrency_key, concurrency_limit, state, at_most_once, later, created_at, owner, lease_until, started_at)
select ${names(newRunColumns, "u.")}, t.id, t.tag, t.version, t.executor, t.priority,
t.concurrency_key, ${sql.literal(limitOf)},
${state}, ${run.atMostOnce ? 1 : 0}, case when u.ready_at > ${now} then 1 else 0 end + ${
          sql.literal(apart("t.concurrency_key"))
        }, ${now},
${lease?.owner ?? null}, ${lease?.until ?? null}, ${lease === undefined || run.atMostOnce ? null : now}
from ${source(newRunColumns)(cells)} u${dialect.beside(t.task, "t", "t.n = u.n")}
where true${dialect.ignore(t.run)}`
      )
      if (added !== cells.length) all = false
    }
    return all
  })

  const label: Creations["label"] = (tasks) => {
    const cells = tasks.flatMap(({ id, labels, n }) => labelPairs(labels).map(([name, value]) => [name, value, id, n]))
    return cells.length === 0 ? Effect.void : sql`insert into ${t.label} (name, value, id, n)
select u.name, u.value, u.id, u.n from ${
      source([["name", "text"], ["value", "text"], ["id", "text"], ["n", "int"]])(cells)
    } u`
  }

  const unlabel: Creations["unlabel"] = (ns) => sql`${dialect.remove({ table: t.label, keys: ["n"], source: byN(ns) })}`

  return { insert, create, label, unlabel }
}
