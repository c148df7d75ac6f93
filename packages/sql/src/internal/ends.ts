/**
 * How runs end and what their ends bring about, for every operation that ends some.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import { apart } from "./lines.ts"
import type { Cells } from "./records.ts"
import { runColumns } from "./records.ts"

/** The open runs of a task: how many are ready or running, and which wait, those that are due first before the others. */
export interface Line {
  readonly active: number
  readonly waiting: ReadonlyArray<Waiting>
}

/** Where it will be in a line, its tag and concurrency key. */
type Waiting = readonly [key: string, slots: number, tag: unknown, line: unknown]

/** A run that ends: `cells` are its new values for the columns that `bury` was given. */
export interface Ending {
  readonly n: number
  readonly key: string
  /** The last number in the history of its task, where the caller has read it. */
  readonly last?: number | undefined
  readonly now: number
  readonly cells: Cells
}

export interface Ends {
  /** Moves open runs to history, numbered after those of their task, and drops numbers beyond `keep`. */
  readonly bury: (
    overrides: Columns,
    endings: ReadonlyArray<Ending>,
    keep: number | undefined
  ) => Effect.Effect<void, SqlError>
  /** Of tasks that have open runs. */
  readonly lines: (ns: Iterable<number>) => Effect.Effect<ReadonlyMap<number, Line>, SqlError>
  /** waiting → ready */
  readonly ready: (
    refs: ReadonlyArray<readonly [n: number, key: string]>,
    now: number,
    write: Write
  ) => Effect.Effect<void, SqlError>
  /**
   * What the end of runs that queue does for their tasks: one more revision and one promotion for each, of the run that
   * is due first, if fewer than its `slots` are then ready or running. `ended` are all runs that ended, task by task and
   * in their order: whether each queues. `revised` are tasks whose revision changes anyway.
   */
  readonly afterEnds: (
    ended: ReadonlyMap<number, ReadonlyArray<boolean>>,
    now: number,
    write: Write,
    revised: ReadonlySet<number>
  ) => Effect.Effect<void, SqlError>
  /** Adds to the revisions of tasks. */
  readonly revise: (
    revisions: ReadonlyArray<readonly [n: number, count: number]>
  ) => Effect.Effect<void, SqlError>
  /** Forgets removed tasks that have no runs left. */
  readonly forget: (ns: Iterable<number>) => Effect.Effect<unknown, SqlError>
  readonly quarantine: (
    rows: ReadonlyArray<readonly [n: number, reader: string, reason: string, at: number]>
  ) => Effect.Effect<unknown, SqlError>
  /** Whether a run is not to be looked at by claims yet. */
  readonly isLater: (readyAt: number, now: number) => 0 | 1
  /**
   * The largest `now` by which this instance decided what is `later`. A claim with a smaller one (clocks differ) looks at
   * claimable runs too when it answers what is next.
   */
  readonly latest: () => number
}

export const makeEnds = (db: Database): Ends => {
  const { dialect, source, sql, t, values } = db

  const byN = source([["n", "int"]])
  const byRef = source([["n", "int"], ["run_key", "text"]])
  const byKey = sql.literal("r.n = u.n and r.run_key = u.run_key")

  let latest = -Infinity
  const isLater = (readyAt: number, now: number): 0 | 1 => {
    if (now > latest) latest = now
    return readyAt > now ? 1 : 0
  }

  const forget: Ends["forget"] = (ns: Iterable<number>) =>
    sql`${
      dialect.remove({
        table: t.gone,
        keys: ["n"],
        source: byN(Array.from(ns, (n) => [n])),
        where: sql`not exists (select 1 from ${t.run} x where x.n = r.n limit 1 offset 0)
and not exists (select 1 from ${t.history} h where h.n = r.n)`
      })
    }`

  const bury: Ends["bury"] = Effect.fnUntraced(function*(overrides, endings, keep) {
    if (endings.length === 0) return
    const last = new Map<number, number>()
    const unknown = new Set<number>()
    for (const ending of endings) if (ending.last !== undefined) last.set(ending.n, ending.last)
    for (const { n } of endings) if (!last.has(n)) unknown.add(n)
    if (unknown.size > 0) {
      const rows = yield* sql`select u.n, coalesce((select max(h.no) from ${t.history} h where h.n = u.n), 0)
from ${byN(Array.from(unknown, (n) => [n]))} u`.values
      for (const [n, no] of rows) last.set(Number(n), Number(no))
    }
    // who ends others of the same tasks at once comes to their histories in the same order
    const inOrder = dialect.concurrent ? endings.toSorted((self, that) => self.n - that.n) : endings
    const cells = inOrder.map(({ cells, key, n, now }) => {
      const no = (last.get(n) ?? 0) + 1
      last.set(n, no)
      return [n, key, no, now, ...cells]
    })
    const given = new Set(overrides.map(([name]) => name))
    const select = runColumns.map((column) => `${given.has(column) ? "u" : "r"}.${column}`).join(", ")
    const columns: Columns = [["n", "int"], ["run_key", "text"], ["no", "int"], ["ended_at", "int"], ...overrides]
    yield* sql`insert into ${t.history} (${
      sql.join(", ", false)(runColumns.map((column) => sql`${sql(column)}`))
    }, no, ended_at)
select ${sql.literal(select)}, u.no, u.ended_at from ${dialect.join(source(columns)(cells), t.run, byKey)}`
    yield* sql`${
      dialect.remove({
        table: t.run,
        keys: ["n", "run_key"],
        source: byRef(endings.map(({ key, n }) => [n, key]))
      })
    }`
    if (keep === undefined) return
    const beyond: Array<Cells> = []
    for (const [n, no] of last) if (no - keep >= 1) beyond.push([n, no - keep])
    if (beyond.length === 0) return
    yield* sql`${
      dialect.remove({
        table: t.history,
        keys: ["n", "no"],
        source: source([["n", "int"], ["no", "int"]])(beyond),
        on: sql.literal("r.n = u.n and r.no <= u.no")
      })
    }`
    if (keep < 1) yield* forget(last.keys())
  })

  const ready: Ends["ready"] = Effect.fnUntraced(function*(refs, now, write) {
    if (refs.length === 0) return
    isLater(now, now)
    yield* sql`${
      dialect.mark({
        table: t.run,
        set: sql`state = 'ready', later = case when r.ready_at > ${now} then 1 else 0 end + ${
          sql.literal(apart("r.concurrency_key"))
        }`,
        source: byRef(refs),
        where: sql.literal("r.n = u.n and r.run_key = u.run_key and r.state = 'waiting'")
      })
    }`
    write.brought.ready = true
  })

  const lines: Ends["lines"] = Effect.fnUntraced(function*(ns) {
    const rows = yield* values(
      sql`select r.n, r.run_key, r.state, r.slots, r.tag, r.concurrency_key from ${
        dialect.join(byN(Array.from(ns, (n) => [n])), t.run, sql.literal("r.n = u.n"))
      } order by r.n, r.due, r.run_key`
    )
    const tasks = new Map<number, { active: number; readonly waiting: Array<Waiting> }>()
    for (const [cell, key, state, slots, tag, line] of rows) {
      const n = Number(cell)
      let task = tasks.get(n)
      if (task === undefined) tasks.set(n, task = { active: 0, waiting: [] })
      if (state === "waiting") task.waiting.push([String(key), Number(slots), tag, line])
      else task.active++
    }
    return tasks
  })

  const afterEnds: Ends["afterEnds"] = Effect.fnUntraced(function*(ended, now, write, revised) {
    const queueing = [...ended].filter(([, ends]) => ends.includes(true))
    if (queueing.length === 0) return
    const promoted: Array<readonly [number, string]> = []
    for (const [n, { active, waiting }] of yield* lines(queueing.map(([n]) => n))) {
      const ends = ended.get(n) ?? []
      let next = 0
      for (let i = 0; i < ends.length && next < waiting.length; i++) {
        const [key, slots, tag, line] = waiting[next]!
        // they ended one after another: each saw those after it still running
        if (!ends[i] || active + (ends.length - 1 - i) + next >= slots) continue
        promoted.push([n, key])
        write.lines.add(tag, line)
        next++
      }
    }
    yield* ready(promoted, now, write)
    yield* revise(
      queueing.flatMap(([n, ends]) => revised.has(n) ? [] : [[n, ends.filter((queues) => queues).length]])
    )
  })

  const revise: Ends["revise"] = Effect.fnUntraced(function*(revisions) {
    if (revisions.length === 0) return
    yield* sql`${
      dialect.update({
        table: t.clock,
        set: sql.literal("revision = r.revision + u.more"),
        source: source([["n", "int"], ["more", "int"]])(revisions),
        where: sql.literal("r.n = u.n")
      })
    }`
  })

  const quarantine: Ends["quarantine"] = (rows) =>
    rows.length === 0
      ? Effect.void
      : sql`insert into ${t.verdict} (n, reader, reason, at) select u.n, u.reader, u.reason, u.at
from ${source([["n", "int"], ["reader", "text"], ["reason", "text"], ["at", "int"]])(rows)} u where ${
        dialect.concurrent
          ? sql`exists (select 1 from ${t.task} t where t.n = u.n${dialect.keep}) order by u.n, u.reader`
          : sql`true`
      }${dialect.replace(t.verdict, "n, reader", ["reason", "at"])}`

  return { bury, lines, ready, afterEnds, revise, forget, quarantine, isLater, latest: () => latest }
}
