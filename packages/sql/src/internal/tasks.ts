/**
 * Operations on tasks: insert, get, due, commit.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { NewRun, RunRow, TaskDefinition, TaskPosition, TaskRow } from "punctual/TaskRecord"
import type { Change, Committed, Inserted, Lease, NewTask, RunChange, TaskWithRuns } from "punctual/TaskStore"
import { TaskStoreError } from "punctual/TaskStore"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Cells, RunOrigin } from "./records.ts"
import {
  claimedRunRow,
  clockCells,
  clockColumns,
  decodeRun,
  decodeTask,
  definitionFields,
  labelPairs,
  newTaskRow,
  positionFields,
  readable,
  selectRun,
  selectTask,
  taskCells,
  taskColumns,
  taskWidth,
  Unreadable
} from "./records.ts"
import type { Ending, Runs } from "./runs.ts"
import { bringsDue } from "./wakes.ts"

export interface Tasks {
  readonly insert: (tasks: ReadonlyArray<NewTask>) => Effect.Effect<ReadonlyArray<Inserted>, TaskStoreError>
  readonly get: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<TaskWithRuns>, TaskStoreError>
  readonly due: (options: { readonly now: number; readonly limit: number; readonly reader: string }) => Effect.Effect<
    { readonly tasks: ReadonlyArray<TaskWithRuns>; readonly next: number | null },
    TaskStoreError
  >
  readonly commit: (changes: ReadonlyArray<Change>) => Effect.Effect<ReadonlyArray<Committed>, TaskStoreError>
}

const newRunColumns: Columns = [
  ["n", "int"],
  ["run_key", "text"],
  ["due", "int"],
  ["nominal", "int"],
  ["ready_at", "int"],
  ["slots", "int"],
  ["queues", "int"],
  ["at_most_once", "int"],
  ["token", "int"]
]

interface Creation {
  readonly n: number
  readonly run: NewRun
  readonly now: number
  readonly lease: Lease | undefined
  readonly token: number | undefined
}

/** A change that passed its compare-and-set. */
interface Accepted {
  readonly i: number
  readonly change: Change
  /** The cells of its position. */
  readonly before: Cells
  /** What runs that it creates take over: the task as `set` leaves it. */
  readonly origin: RunOrigin
  readonly claimed: Array<RunRow>
}

export const makeTasks = (db: Database, runs: Runs): Tasks => {
  const { source, sql, t, values } = db

  const byN = source([["n", "int"]])
  const byId = source([["id", "text"]])
  const byRef = source([["n", "int"], ["run_key", "text"]])
  const names = (columns: Columns, alias = "") => sql.literal(columns.map(([name]) => `${alias}${name}`).join(", "))

  // ---------------------------------------------------------------------------
  // reading
  // ---------------------------------------------------------------------------

  const position = names(positionFields.flatMap((field) => field.columns), "c.")

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

  const get: Tasks["get"] = Effect.fnUntraced(function*(ids) {
    if (ids.length === 0) return []
    const unique = [...new Set(ids)]
    const rows = yield* db.read(
      "get",
      values(sql`select ${sql.literal(selectTask)} from ${byId(unique.map((id) => [id]))} u
cross join ${t.task} t cross join ${t.clock} c where t.id = u.id and c.n = t.n`)
    )
    if (rows.length === 0) return []
    const open = yield* db.read(
      "get",
      values(
        sql`select ${sql.literal(selectRun)} from ${
          byN(rows.map(([n]) => [Number(n)]))
        } u cross join ${t.run} r where r.n = u.n`
      )
    )
    const tasks = new Map(withRuns(rows, open, () => {}).map((task) => [task.row.id, task]))
    return unique.flatMap((id) => tasks.get(id) ?? [])
  })

  const due: Tasks["due"] = Effect.fnUntraced(function*({ limit, now, reader }) {
    const rows = yield* db.read(
      "due",
      values(sql`select ${sql.literal(selectTask)}, exists (select 1 from ${t.run} r where r.n = d.n) from (
  select x.n from ${t.clock} x where x.due is not null and x.due <= ${now}
  and not exists (select 1 from ${t.verdict} v where v.n = x.n and v.reader = ${reader})
  order by x.due, x.n ${db.limit(limit)}
) d cross join ${t.clock} c cross join ${t.task} t where c.n = d.n and t.n = d.n`)
    )
    // Most have none. What comes or goes in between is seen by the compare-and-set, or leaves a plan too careful by a run.
    const busy = rows.flatMap((cells) => Number(cells[taskWidth]) === 0 ? [] : [[Number(cells[0])]])
    const open = busy.length === 0 ? [] : yield* db.read(
      "due",
      values(sql`select ${sql.literal(selectRun)} from ${byN(busy)} u cross join ${t.run} r where r.n = u.n`)
    )
    const unreadable: Array<readonly [n: number, reader: string, reason: string, at: number]> = []
    const tasks = withRuns(rows, open, (n, { reason }) => unreadable.push([n, reader, reason, now]))
    const first = yield* db.read(
      "due",
      sql`select min(c.due) from ${t.clock} c where c.due is not null and c.due > ${now}`.values
    )
    const cell = first[0]?.[0]
    const next = cell === null || cell === undefined ? null : Number(cell)
    db.wakes.learned(next)
    if (unreadable.length > 0) {
      // due for ever and read by nobody, they would fill every batch
      yield* db.write("quarantine", () => runs.quarantine(unreadable))
      yield* Effect.logWarning(`${db.store}: tasks that cannot be read were set aside`, unreadable)
    }
    return { tasks, next }
  })

  // ---------------------------------------------------------------------------
  // insert
  // ---------------------------------------------------------------------------

  const insert: Tasks["insert"] = (tasks) =>
    tasks.length === 0 ? Effect.succeed([]) : db.write("insert", (write) =>
      Effect.gen(function*() {
        const rows = yield* values(sql`select ${sql.literal(selectTask)} from ${byId(tasks.map(({ id }) => [id]))} u
cross join ${t.task} t cross join ${t.clock} c where t.id = u.id and c.n = t.n`)
        const existing = new Map<string, TaskRow>()
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
        for (const task of tasks) if (!existing.has(task.id) && !fresh.has(task.id)) fresh.set(task.id, task)
        const inserted = new Set<NewTask>(fresh.values())
        if (fresh.size > 0) {
          let n = yield* write.generations(fresh.size)
          const added = Array.from(fresh.values(), (task) => ({ task, n: n++ }))
          yield* sql`insert into ${t.task} (${names(taskColumns)}) select ${names(taskColumns, "u.")}
from ${source(taskColumns)(added.map(({ n, task }) => taskCells(task, n)))} u`
          yield* sql`insert into ${t.clock} (${names(clockColumns)}) select ${names(clockColumns, "u.")}
from ${source(clockColumns)(added.map(({ n, task }) => clockCells(task, n)))} u`
          yield* label(added.map(({ n, task }) => ({ n, id: task.id, labels: task.labels })))
          const creations: Array<Creation> = []
          for (const { n, task } of added) {
            bringsDue(write.brought, task.due)
            existing.set(task.id, newTaskRow(task, n))
            const keys = new Set<string>()
            for (const run of task.runs ?? []) {
              if (keys.has(run.key)) continue
              keys.add(run.key)
              creations.push({ n, run, now: task.createdAt, lease: undefined, token: undefined })
              if (run.state === "ready") write.brought.ready = true
            }
          }
          yield* create(creations)
        }
        return tasks.map((task): Inserted => {
          const row = existing.get(task.id) as TaskRow
          // the same id twice in one batch: the second finds the first
          return { _tag: inserted.has(task) ? "Inserted" : "Exists", row }
        })
      }))

  const label = (tasks: ReadonlyArray<{ readonly n: number; readonly id: string; readonly labels: string }>) => {
    const cells = tasks.flatMap(({ id, labels, n }) => labelPairs(labels).map(([name, value]) => [name, value, id, n]))
    return cells.length === 0 ? Effect.void : sql`insert into ${t.label} (name, value, id, n)
select u.name, u.value, u.id, u.n from ${
      source([["name", "text"], ["value", "text"], ["id", "text"], ["n", "int"]])(cells)
    } u`
  }

  /** Creates runs, each key of a task once, where it is not open already; answers whether all were created. */
  const create = Effect.fnUntraced(function*(
    creations: ReadonlyArray<Creation>
  ): Effect.fn.Return<boolean, SqlError> {
    // what a batch has in common, nearly always all of it, goes in once and not as a cell of each row
    const groups = new Map<string, { readonly first: Creation; readonly cells: Array<Cells> }>()
    for (const creation of creations) {
      const { lease, n, now, run, token } = creation
      const key = `${now} ${run.state} ${lease === undefined ? "" : `${lease.until} ${lease.owner}`}`
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
        run.atMostOnce ? 1 : 0,
        token ?? null
      ])
    }
    let all = true
    for (const { cells, first: { lease, now, run } } of groups.values()) {
      runs.isLater(now, now)
      const state = lease === undefined ? run.state : "running"
      yield* sql`insert into ${t.run} (${names(newRunColumns)}, task_id, tag, version, executor, priority,
state, later, created_at, attempt, owner, lease_until)
select ${names(newRunColumns, "u.")}, t.id, t.tag, t.version, t.executor, t.priority,
${state}, case when u.ready_at > ${now} then 1 else 0 end, ${now}, ${lease === undefined ? 0 : 1},
${lease?.owner ?? null}, ${lease?.until ?? null}
from ${source(newRunColumns)(cells)} u cross join ${t.task} t where t.n = u.n
on conflict do nothing`
      const affected = yield* db.dialect.affected(sql).values
      if (Number(affected[0]?.[0]) !== cells.length) all = false
    }
    return all
  })

  // ---------------------------------------------------------------------------
  // commit
  // ---------------------------------------------------------------------------

  const commit: Tasks["commit"] = (changes) =>
    changes.length === 0 ? Effect.succeed([]) : db.write("commit", (write) =>
      Effect.gen(function*() {
        const answers = new Array<Committed>(changes.length).fill({ _tag: "Conflict" })
        // a second change of one task sees what the first one did
        let entries: ReadonlyArray<number> = changes.map((_, i) => i)
        while (entries.length > 0) {
          const seen = new Set<number>()
          const later: Array<number> = []
          const batch: Array<number> = []
          for (const i of entries) {
            const { generation } = changes[i]
            if (seen.has(generation)) later.push(i)
            else {
              seen.add(generation)
              batch.push(i)
            }
          }
          yield* commitBatch(batch.map((i) => ({ i, change: changes[i] })), answers, write)
          entries = later
        }
        return answers
      }))

  /** Changes of different tasks. */
  const commitBatch = Effect.fnUntraced(function*(
    entries: ReadonlyArray<{ readonly i: number; readonly change: Change }>,
    answers: Array<Committed>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const rows = yield* values(sql`select u.i, t.id, t.tag, t.version, t.executor, t.priority, ${position}
from ${
      source([["i", "int"], ["n", "int"], ["revision", "int"]])(
        entries.map(({ change: { generation, revision } }, i) => [i, generation, revision])
      )
    } u cross join ${t.clock} c cross join ${t.task} t
where c.n = u.n and c.revision = u.revision and t.n = u.n${sql.literal(db.dialect.forUpdate)}`)
    const accepted: Array<Accepted> = []
    for (const cells of rows) {
      const [j, id, tag, version, executor, priority] = cells
      const { change, i } = entries[Number(j)]
      if (change.id !== id) continue
      const set = change.set === "remove" ? {} : change.set
      accepted.push({
        i,
        change,
        before: cells.slice(6),
        origin: {
          id: change.id,
          generation: change.generation,
          tag: set.tag ?? String(tag),
          version: set.version ?? Number(version),
          executor: set.executor ?? String(executor),
          priority: set.priority ?? Number(priority)
        },
        claimed: []
      })
    }
    if (accepted.length === 0) return
    yield* setRows(accepted, write)
    yield* changeRuns(accepted, write)
    yield* remove(accepted.filter(({ change }) => change.set === "remove"))
    for (const { change, claimed, i } of accepted) {
      answers[i] = { _tag: "Committed", revision: change.revision + 1, claimed }
    }
  })

  const setRows = Effect.fnUntraced(function*(
    accepted: ReadonlyArray<Accepted>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    type Set = Partial<TaskDefinition & TaskPosition>
    const positions: Array<{ n: number; columns: Columns; cells: Cells }> = []
    const definitions: typeof positions = []
    const rerouted: Array<Cells> = []
    const relabelled: Array<{ readonly n: number; readonly id: string; readonly labels: string }> = []
    for (const { before, change, origin } of accepted) {
      if (change.set === "remove") continue
      const set: Set = change.set
      const n = change.generation
      positions.push({ n, ...chosen(positionFields, set, before) })
      bringsDue(write.brought, set.due)
      const definition = chosen(definitionFields, set)
      if (definition.columns.length === 0) continue
      definitions.push({ n, ...definition })
      if (set.labels !== undefined) relabelled.push({ n, id: change.id, labels: set.labels })
      if (
        set.tag !== undefined || set.version !== undefined || set.executor !== undefined || set.priority !== undefined
      ) {
        rerouted.push([n, origin.tag, origin.version, origin.executor, origin.priority])
      }
    }
    yield* db.setByN(t.clock, "revision = r.revision + 1", positions)
    if (definitions.length === 0) return
    yield* db.setByN(t.task, undefined, definitions)
    if (rerouted.length > 0) {
      yield* sql`${
        db.dialect.update({
          table: t.run,
          set: sql.literal("tag = u.tag, version = u.version, executor = u.executor, priority = u.priority"),
          source: source([["n", "int"], ["tag", "text"], ["version", "int"], ["executor", "text"], [
            "priority",
            "int"
          ]])(
            rerouted
          ),
          where: sql.literal("r.n = u.n and r.lease_until is null")
        })
      }`
    }
    if (relabelled.length > 0) {
      yield* unlabel(relabelled.map(({ n }) => [n]))
      yield* label(relabelled)
    }
  })

  const unlabel = (ns: ReadonlyArray<Cells>) => sql`delete from ${t.label} where n in (select u.n from ${byN(ns)} u)`

  interface Op {
    readonly accepted: Accepted
    readonly op: RunChange
  }

  /** Changes of different runs are made kind by kind; those of one run one after another. */
  const changeRuns = Effect.fnUntraced(function*(
    accepted: ReadonlyArray<Accepted>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const waves: Array<Array<Op>> = []
    for (const task of accepted) {
      const { runs } = task.change
      if (runs.length === 1) {
        ;(waves[0] ??= []).push({ accepted: task, op: runs[0] })
        continue
      }
      const seen = new Map<string, number>()
      for (const op of runs) {
        const key = op._tag === "Create" ? op.run.key : op.key
        const wave = seen.get(key) ?? 0
        seen.set(key, wave + 1)
        ;(waves[wave] ??= []).push({ accepted: task, op })
      }
    }
    for (const wave of waves) yield* changeWave(wave, write)
    if (waves.length > 1) yield* reread(accepted)
  })

  const changeWave = Effect.fnUntraced(function*(
    ops: ReadonlyArray<Op>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const creates: Array<Op & { readonly op: { readonly _tag: "Create" } }> = []
    const drops: Array<Cells> = []
    const cancels: Array<Op & { readonly op: { readonly _tag: "Cancel" } }> = []
    const promotes: Array<readonly [number, string]> = []
    const holds: Array<Cells> = []
    const unholds: Array<Cells> = []
    for (const { accepted, op } of ops) {
      const n = accepted.change.generation
      switch (op._tag) {
        case "Create":
          creates.push({ accepted, op })
          break
        case "Drop":
          drops.push([n, op.key])
          break
        case "Cancel":
          cancels.push({ accepted, op })
          break
        case "Promote":
          promotes.push([n, op.key])
          break
        case "Hold":
          holds.push([n, op.key])
          break
        case "Unhold":
          unholds.push([n, op.key])
          break
      }
    }
    if (drops.length > 0) {
      yield* sql`delete from ${t.run} where state = 'waiting'
and (n, run_key) in (select u.n, u.run_key from ${byRef(drops)} u)`
    }
    if (cancels.length > 0) yield* cancel(cancels, write)
    if (creates.length > 0) yield* createAll(creates, write)
    yield* runs.ready(promotes, ops[0].accepted.change.now, write)
    if (holds.length > 0) {
      yield* sql`update ${t.run} set held = 1 where lease_until is null
and (n, run_key) in (select u.n, u.run_key from ${byRef(holds)} u)`
    }
    if (unholds.length > 0) {
      yield* sql`update ${t.run} set held = 0 where lease_until is null
and (n, run_key) in (select u.n, u.run_key from ${byRef(unholds)} u)`
      write.brought.ready = true
    }
  })

  const createAll = Effect.fnUntraced(function*(
    creates: ReadonlyArray<Op & { readonly op: { readonly _tag: "Create" } }>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const claims = creates.filter(({ op }) => op.claim !== undefined && op.run.state === "ready").length
    let token = claims === 0 ? 0 : yield* write.tokens(claims)
    const creations = creates.map(({ accepted: { change }, op: { claim, run } }): Creation => {
      const lease = run.state === "ready" ? claim : undefined
      return {
        n: change.generation,
        run,
        now: change.now,
        lease,
        token: lease === undefined ? undefined : token++
      }
    })
    const all = yield* create(creations)
    // All of them, nearly always: then there is nothing to look up. A claim that found its key open has no such token.
    let tokens: ReadonlySet<unknown> | undefined
    if (!all) {
      const rows = yield* sql`select r.token from ${
        byRef(creations.map(({ n, run }) => [n, run.key]))
      } u cross join ${t.run} r where r.n = u.n and r.run_key = u.run_key`.values
      tokens = new Set(rows.map(([token]) => token === null ? null : Number(token)))
    }
    creations.forEach(({ lease, now, run, token }, i) => {
      if (lease === undefined || token === undefined) {
        if (run.state === "ready") write.brought.ready = true
      } else if (tokens === undefined || tokens.has(token)) {
        const { claimed, origin } = creates[i].accepted
        claimed.push(claimedRunRow(origin, run, now, lease, token))
      }
    })
  })

  const cancel = Effect.fnUntraced(function*(
    cancels: ReadonlyArray<Op & { readonly op: { readonly _tag: "Cancel" } }>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const rows = yield* values(sql`select u.i, r.lease_until is not null, r.cancel
from ${
      source([["i", "int"], ["n", "int"], ["run_key", "text"]])(
        cancels.map(({ accepted, op }, i) => [i, accepted.change.generation, op.key])
      )
    } u cross join ${t.run} r where r.n = u.n and r.run_key = u.run_key`)
    const endings: Array<Ending> = []
    const asked: Array<Cells> = []
    for (const [i, running, before] of rows.toSorted((self, that) => Number(self[0]) - Number(that[0]))) {
      const { accepted: { change }, op } = cancels[Number(i)]
      const n = change.generation
      if (Number(running) === 0) endings.push({ n, key: op.key, now: change.now, cells: ["cancelled", op.reason] })
      else if (before === null) asked.push([n, op.key, op.reason])
    }
    yield* runs.bury([["state", "text"], ["cancel", "text"]], endings, undefined)
    if (asked.length === 0) return
    yield* sql`${
      db.dialect.update({
        table: t.run,
        set: sql.literal("cancel = u.reason"),
        source: source([["n", "int"], ["run_key", "text"], ["reason", "text"]])(asked),
        where: sql.literal("r.n = u.n and r.run_key = u.run_key")
      })
    }`
    write.brought.cancel = true
  })

  /** A change that creates a run and then changes it again answers what became of it. */
  const reread = Effect.fnUntraced(function*(accepted: ReadonlyArray<Accepted>): Effect.fn.Return<void, SqlError> {
    const claimed = accepted.flatMap(({ claimed }) => claimed)
    if (claimed.length === 0) return
    const rows = yield* values(
      sql`select ${sql.literal(selectRun)} from ${
        byRef(claimed.map(({ generation, key }) => [generation, key]))
      } u cross join ${t.run} r where r.n = u.n and r.run_key = u.run_key`
    )
    const now = new Map<number | null, RunRow>()
    for (const cells of rows) {
      const run = readable(() => decodeRun(cells, 0))
      if (!(run instanceof Unreadable)) now.set(run.token, run)
    }
    for (const { claimed } of accepted) {
      claimed.forEach((run, i) => {
        claimed[i] = now.get(run.token) ?? run
      })
    }
  })

  const remove = Effect.fnUntraced(function*(removed: ReadonlyArray<Accepted>): Effect.fn.Return<void, SqlError> {
    if (removed.length === 0) return
    const cells = removed.map(({ change }) => [change.generation])
    const open = yield* values(sql`select r.n, r.run_key from ${byN(cells)} u cross join ${t.run} r
where r.n = u.n and r.lease_until is null`)
    const nows = new Map(removed.map(({ change }) => [change.generation, change.now]))
    yield* runs.bury(
      [["state", "text"], ["cancel", "text"]],
      open.map(([n, key]): Ending => ({
        n: Number(n),
        key: String(key),
        now: nows.get(Number(n)) ?? 0,
        cells: ["cancelled", "removed"]
      })),
      undefined
    )
    yield* unlabel(cells)
    yield* sql`delete from ${t.verdict} where n in (select u.n from ${byN(cells)} u)`
    yield* sql`delete from ${t.clock} where n in (select u.n from ${byN(cells)} u)`
    yield* sql`delete from ${t.task} where n in (select u.n from ${byN(cells)} u)`
    // how its runs are found by its id from now on
    yield* sql`insert into ${t.gone} (id, n) select u.id, u.n from ${
      source([["id", "text"], ["n", "int"]])(removed.map(({ change }) => [change.id, change.generation]))
    } u where exists (select 1 from ${t.run} r where r.n = u.n) or exists (select 1 from ${t.history} h where h.n = u.n)`
  })

  return { insert, get, due, commit }
}

/**
 * The columns of the fields that are set, with their cells: of those that differ from `before`, if that is known. A column
 * that is written is written to its indexes too, changed or not.
 */
const chosen = <Source>(
  fields: ReadonlyArray<{
    readonly key: keyof Source & string
    readonly columns: Columns
    readonly encode: (source: Source) => ReadonlyArray<number | string | null>
  }>,
  set: Partial<Source>,
  before?: Cells
): { readonly columns: Columns; readonly cells: Cells } => {
  const columns: Array<Columns[number]> = []
  const cells: Array<number | string | null> = []
  let at = 0
  for (const field of fields) {
    const from = at
    at += field.columns.length
    if (set[field.key] === undefined) continue
    field.encode(set as Source).forEach((cell, i) => {
      if (before !== undefined && before[from + i] === cell) return
      columns.push(field.columns[i])
      cells.push(cell)
    })
  }
  return { columns, cells }
}
