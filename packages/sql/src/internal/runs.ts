/**
 * Operations on runs: claim, start, settle, heartbeat, takeover, prune.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import type { Claimed, Heartbeat, Lease, RunRef, Settled, Settlement, Slot, TakenOver } from "punctual/TaskStore"
import type { Cells } from "./records.ts"
import type { Columns } from "./dialect.ts"
import type { Database, Write } from "./database.ts"
import {
  decodeRun,
  decodeTask,
  flag,
  int,
  readable,
  runColumns,
  selectRun,
  selectTask,
  taskWidth,
  text,
  Unreadable
} from "./records.ts"
import { bringsDue } from "./wakes.ts"

/** A run that ends. Columns beyond the first five are those of `overrides`, in its order. */
export interface Ending {
  readonly n: number
  readonly key: string
  /** Its number in the history of its task. */
  readonly no: number
  readonly cells: Cells
}

const runRef: Columns = [["n", "int"], ["run_key", "text"]]
const ownedRef: Columns = [["i", "int"], ["n", "int"], ["run_key", "text"], ["token", "int"]]
const slotColumns: Columns = [["i", "int"], ["executor", "text"], ["tag", "text"], ["version", "int"]]

/** Ready runs moved from `later` to claimable by one claim. A clock that jumps over a backlog takes several. */
const ripenLimit = 5000

export const makeRuns = (db: Database) => {
  const { dialect, source, sql, t, values } = db

  /** The largest `now` by which this instance has decided what is `later`: claims behind it look closer. */
  let latest = -Infinity
  const isLater = (readyAt: number, now: number): 0 | 1 => {
    if (now > latest) latest = now
    return readyAt > now ? 1 : 0
  }

  const ids = source([["n", "int"]])

  // ---------------------------------------------------------------------------
  // ending
  // ---------------------------------------------------------------------------

  /** The last number in the history of each task. */
  const numbers = Effect.fnUntraced(function*(ns: Iterable<number>): Effect.fn.Return<Map<number, number>, SqlError> {
    const cells = Array.from(new Set(ns), (n) => [n])
    const rows = yield* sql`select u.n, coalesce((select max(h.no) from ${t.history} h where h.n = u.n), 0)
from ${ids(cells)} u`.values
    return new Map(rows.map(([n, no]) => [Number(n), Number(no)]))
  })

  /** Moves open runs to history, with new values for the columns named. */
  const bury = Effect.fnUntraced(function*(
    overrides: Columns,
    endings: ReadonlyArray<Ending>
  ): Effect.fn.Return<void, SqlError> {
    if (endings.length === 0) return
    const given = new Set(overrides.map(([name]) => name))
    const cells = runColumns.map((column) => `${given.has(column) ? "u" : "r"}.${column}`).join(", ")
    const rows = endings.map(({ cells, key, n, no }) => [n, key, no, ...cells])
    const columns: Columns = [["n", "int"], ["run_key", "text"], ["no", "int"], ["ended_at", "int"], ...overrides]
    yield* sql`insert into ${t.history} (${sql.literal(runColumns.join(", "))}, no, ended_at)
select ${sql.literal(cells)}, u.no, u.ended_at from ${source(columns)(rows)} u cross join ${t.run} r
where r.n = u.n and r.run_key = u.run_key`
    const refs = endings.map(({ key, n }) => [n, key])
    yield* sql`delete from ${t.run} where (n, run_key) in (select u.n, u.run_key from ${source(runRef)(refs)} u)`
  })

  /** Drops the numbers of these tasks up to their last − keep. */
  const trim = Effect.fnUntraced(function*(
    endings: ReadonlyArray<Ending>,
    keep: number
  ): Effect.fn.Return<void, SqlError> {
    const last = new Map<number, number>()
    for (const { n, no } of endings) if (no - keep >= 1) last.set(n, Math.max(no - keep, last.get(n) ?? 0))
    if (last.size === 0) return
    yield* sql`delete from ${t.history} where (n, no) in (select h.n, h.no
from ${source([["n", "int"], ["no", "int"]])([...last])} u cross join ${t.history} h where h.n = u.n and h.no <= u.no)`
    yield* forget(last.keys())
  })

  /** Drops what is remembered of removed tasks that have no runs left. */
  const forget = (ns: Iterable<number>) =>
    sql`delete from ${t.gone} where n in (select u.n from ${ids(Array.from(ns, (n) => [n]))} u)
and not exists (select 1 from ${t.run} r where r.n = ${sql.literal(`${"" /* the row being deleted */}`)}n)`

  /** Promotes what waits, once per run that ended and queues; answers nothing for tasks that are gone. */
  const promote = Effect.fnUntraced(function*(
    ended: ReadonlyMap<number, number>,
    now: number,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    if (ended.size === 0) return
    const rows = yield* sql`select r.n, r.run_key, r.state, r.slots, r.due from ${
      ids(Array.from(ended.keys(), (n) => [n]))
    } u cross join ${t.run} r where r.n = u.n order by r.n, r.due, r.run_key`.values
    const tasks = new Map<number, { active: number; readonly waiting: Array<readonly [key: string, slots: number]> }>()
    for (const [n, key, state, slots] of rows) {
      let task = tasks.get(Number(n))
      if (task === undefined) tasks.set(Number(n), task = { active: 0, waiting: [] })
      if (state === "waiting") task.waiting.push([String(key), Number(slots)])
      else task.active++
    }
    const promoted: Array<Cells> = []
    for (const [n, { active, waiting }] of tasks) {
      // the runs of this batch ended one after another: the first saw the others still running
      let others = (ended.get(n) ?? 0) - 1
      let next = 0
      for (; others >= 0 && next < waiting.length; others--) {
        const [key, slots] = waiting[next]
        if (active + others + next < slots) {
          promoted.push([n, key])
          next++
        }
      }
    }
    yield* ready(promoted, now, write)
  })

  /** waiting → ready */
  const ready = Effect.fnUntraced(function*(
    refs: ReadonlyArray<Cells>,
    now: number,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    if (refs.length === 0) return
    isLater(now, now)
    yield* sql`update ${t.run} set state = 'ready', later = case when ready_at > ${now} then 1 else 0 end
where state = 'waiting' and (n, run_key) in (select u.n, u.run_key from ${source(runRef)(refs)} u)`
    write.brought.ready = true
  })
  return { bury, trim, forget, numbers, promote, ready, isLater, ids }
}
