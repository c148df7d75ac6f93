/**
 * How tasks come to be and are read: insert, get, due, outdated.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Statement from "effect/sql/Statement"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import type { Inserted, NewTask, TaskStore, TaskWithRuns } from "punctual/TaskStore"
import { TaskStoreError, zoneRulesPatience } from "punctual/TaskStore"
import type { Known } from "./commits.ts"
import type { Creations } from "./creations.ts"
import type { Database } from "./database.ts"
import type { Ends } from "./ends.ts"
import { makeFamiliar } from "./familiar.ts"
import { type Fused, unfused } from "./fused.ts"
import type { Cells } from "./records.ts"
import { decodeRun, decodeTask, orNull, readable, selectRun, selectTask, taskWidth, Unreadable } from "./records.ts"

type Store = TaskStore["Service"]

/** Written as another character: a row with such an id would not be found by it. */
const loneSurrogate = /\p{Surrogate}/u

export const makeTasks = (
  db: Database,
  ends: Ends,
  creations: Creations,
  fused: Fused | undefined,
  known: Known | undefined
): Pick<Store, "insert" | "get" | "due" | "outdated"> => {
  const { dialect, source, sql, t, values } = db

  const byId = source([["id", "text"]])
  const byIds = sql`${dialect.beside(t.task, "t", "t.id = u.id")}${dialect.beside(t.clock, "c", "c.n = t.n")}`

  const byN = source([["n", "int"]])

  /** Of many tasks a planner of Postgres would rather read all runs there are. */
  const openRuns = (ns: ReadonlyArray<number>) =>
    sql`select ${sql.literal(selectRun)} from ${
      dialect.name === "pg"
        ? dialect.join(byN(ns.map((n) => [n])), t.run, sql.literal("r.n = u.n"))
        : sql`${t.run} r where ${dialect.oneOf("r.n", ns)}`
    }`

  /** Tasks with their open runs, in order of due; what cannot be read is told and left out. */
  const withRuns = (
    rows: ReadonlyArray<Cells>,
    open: ReadonlyArray<Cells>,
    unreadable: (n: number, why: Unreadable) => void
  ): Array<TaskWithRuns> => {
    const tasks = new Map<number, { readonly row: TaskRow; readonly open: Array<RunRow> }>()
    for (const cells of rows) {
      const row = readable(() => decodeTask(cells, 0))
      if (row instanceof Unreadable) unreadable(Number(cells[0]), row)
      else tasks.set(row.generation, { row, open: [] })
    }
    for (const cells of open) {
      const n = Number(cells[0])
      const task = tasks.get(n)
      if (task === undefined) continue
      const run = readable(() => decodeRun(cells, 0))
      if (run instanceof Unreadable) {
        // a plan made without one of the open runs would be wrong
        tasks.delete(n)
        unreadable(n, run)
      } else task.open.push(run)
    }
    const list = [...tasks.values()]
    for (const { open } of list) if (open.length > 1) open.sort((self, that) => self.due - that.due)
    return list.sort((self, that) =>
      (self.row.due ?? 0) - (that.row.due ?? 0) || self.row.generation - that.row.generation
    )
  }

  const get: Store["get"] = Effect.fnUntraced(function*(ids) {
    if (ids.length === 0) return []
    const unique = [...new Set(ids)]
    const rows = yield* db.read(
      "get",
      values(sql`select ${sql.literal(selectTask)} from ${byId(unique.map((id) => [id]))} u${byIds}`)
    )
    if (rows.length === 0) return []
    const open = yield* db.read(
      "get",
      values(openRuns(rows.map(([n]) => Number(n))))
    )
    const tasks = new Map(withRuns(rows, open, () => {}).map((task) => [task.row.id, task]))
    return unique.flatMap((id) => tasks.get(id) ?? [])
  })

  /** Tasks that `rows` found, with what tells which of them have open runs; those that cannot be read are set aside. */
  const readFor = Effect.fnUntraced(function*(
    operation: string,
    reader: string,
    now: number,
    rows: ReadonlyArray<Cells>
  ): Effect.fn.Return<ReadonlyArray<TaskWithRuns>, TaskStoreError> {
    // Most have none. What comes or goes in between is seen by the compare-and-set, or leaves a plan too careful by a run.
    const busy = rows.flatMap((cells) => Number(cells[taskWidth]) === 0 ? [] : [Number(cells[0])])
    const open = busy.length === 0 ? [] : yield* db.read(
      operation,
      values(openRuns(busy))
    )
    const unreadable: Array<readonly [n: number, reader: string, reason: string, at: number]> = []
    const tasks = withRuns(rows, open, (n, { reason }) => unreadable.push([n, reader, reason, now]))
    if (unreadable.length > 0) {
      // found for ever and read by nobody, they would fill every batch
      yield* db.write("quarantine", () => ends.quarantine(unreadable))
      yield* Effect.logWarning(`${db.store}: tasks that cannot be read were set aside`, unreadable)
    }
    return tasks
  })

  const busy = (alias: string) =>
    sql`exists (select 1 from ${t.run} r where r.n = ${sql.literal(alias)}.n limit 1 offset 0)`

  const familiar = makeFamiliar(dialect)

  /** What `readFor` reads, of the tasks that a select of `x` finds. */
  const found = (select: Statement.Fragment) =>
    familiar((columns) =>
      values(
        dialect.name === "pg"
          // it looks at the rows that an index finds anyway, to see whether they are there
          ? sql`select ${columns}, ${busy("c")} from (select x.* from ${t.clock} x where ${select}) c${
            dialect.beside(t.task, "t", "t.n = c.n")
          }`
          : sql`select ${columns}, ${busy("u")} from (
  select x.n from ${t.clock} x where ${select}
) u${dialect.beside(t.clock, "c", "c.n = u.n")}${dialect.beside(t.task, "t", "t.n = u.n")}`
      )
    )

  const seenBy = (reader: string) =>
    sql`not exists (select 1 from ${t.verdict} v where v.n = x.n and v.reader = ${reader})`

  const due: Store["due"] = Effect.fnUntraced(function*({ limit, now, reader, zoneRules }) {
    const patient = now - zoneRulesPatience
    const rows = yield* db.read(
      "due",
      // `coalesce` keeps the planner on the index of due instants
      found(sql`x.due is not null and x.due <= ${now}
  and (coalesce(x.zone_rules, '') <= ${zoneRules} or x.due <= ${patient})
  and ${seenBy(reader)}
  order by x.due, x.n ${db.limit(limit)}`)
    )
    const tasks = yield* readFor("due", reader, now, rows)
    if (known !== undefined) {
      known.clear()
      for (const { row } of tasks) known.set(row.generation, row)
    }
    const instants = yield* db.read(
      "due",
      // bounds, and no `is not null`, beside which MySQL looks for the least by reading all
      sql`select (select min(c.due) from ${t.clock} c where c.due > ${now}),
case when (select max(c.zone_rules) from ${t.clock} c where c.zone_rules > ${zoneRules}) is not null then (select min(c.due) from ${t.clock} c
  where c.due is not null and c.due <= ${now} and c.due > ${patient} and coalesce(c.zone_rules, '') > ${zoneRules}) end`
        .values
    )
    const first = orNull(instants[0]?.[0])
    const left = orNull(instants[0]?.[1])
    const next = left === null ? first : Math.min(first ?? Infinity, left + zoneRulesPatience)
    db.wakes.learned(next)
    return { tasks, next }
  })

  const outdated: Store["outdated"] = ({ limit, now, reader, zoneRules }) =>
    Effect.flatMap(
      db.read(
        "outdated",
        found(sql`x.zone_rules < ${zoneRules} and ${seenBy(reader)} order by x.zone_rules, x.n ${db.limit(limit)}`)
      ),
      (rows) => readFor("outdated", reader, now, rows)
    )

  const insert: Store["insert"] = (tasks) => {
    const odd = tasks.find(({ id }) => loneSurrogate.test(id))
    if (odd !== undefined) {
      return Effect.fail(
        new TaskStoreError({
          store: db.store,
          operation: "insert",
          reason: "Invalid",
          message: `${db.store}: the id ${JSON.stringify(odd.id)} has half of a surrogate pair, which no database keeps`
        })
      )
    }
    return fused === undefined ? insertAll(tasks) : unfused(tasks, fused.insert(tasks), insertAll)
  }

  const insertAll: Store["insert"] = (tasks) =>
    tasks.length === 0 ? Effect.succeed([]) : db.write("insert", (write) =>
      Effect.gen(function*() {
        const existing = new Map<string, TaskRow>()
        const inserted = new Set<NewTask>()
        let missing: ReadonlyArray<NewTask> = tasks
        while (missing.length > 0) {
          const rows = yield* values(
            sql`select ${sql.literal(selectTask)} from ${byId(missing.map(({ id }) => [id]))} u${byIds}`
          )
          for (const cells of rows) {
            const row = readable(() => decodeTask(cells, 0))
            if (row instanceof Unreadable) {
              return yield* new TaskStoreError({
                store: db.store,
                operation: "insert",
                reason: "Corrupt",
                message: `${db.store}: task ${String(cells[1])} exists and cannot be read. ${row.reason}. ` +
                  "Correct its row, or remove it, and add it again."
              })
            }
            existing.set(row.id, row)
          }
          const fresh = new Map<string, NewTask>()
          for (const task of missing) if (!existing.has(task.id) && !fresh.has(task.id)) fresh.set(task.id, task)
          for (const row of yield* creations.insert([...fresh.values()], write)) {
            existing.set(row.id, row)
            inserted.add(fresh.get(row.id)!)
          }
          // somebody else has added these meanwhile, and has committed
          missing = missing.filter(({ id }) => !existing.has(id))
        }
        return tasks.map((task): Inserted => {
          const row = existing.get(task.id) as TaskRow
          // the same id twice in one batch: the second finds the first
          return { _tag: inserted.has(task) ? "Inserted" : "Exists", row }
        })
      }))

  return { insert, get, due, outdated }
}
