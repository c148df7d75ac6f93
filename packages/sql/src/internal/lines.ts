/**
 * Lines of ready runs that share a concurrency key, and how claims serve them.
 *
 * A keyed run that is ready is not where claims look for runs: its `later` is 2, or 3 until its time comes. A line that
 * is to be looked at has a row, and only then:
 *
 *     a run of the key becomes ready, or one that ran makes room ──▶ row, behind all others of its tag
 *     a claim locks rows, counts who runs, takes who may be next ──▶ no row where nobody may, else behind all others
 *
 * So no claim looks at a line without room, however long it is, and none is passed over for ever. Who runs is counted, in
 * a statement of its own, while the row is locked; nobody else claims of this line then, and nothing else than a claim
 * makes a keyed run running: at READ COMMITTED too, no more than its limit are (I14). Nothing else is kept, so a slot
 * cannot be lost.
 *
 * Who makes room writes the row at the end of his transaction, and waits for a claim that has it: which has counted
 * before that, perhaps, and drops the row. Rows are written in one order, and claims wait for none.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Cells } from "./records.ts"
import { orNull } from "./records.ts"
import type { Migration } from "./schema.ts"

/** The schema that knows of keys. */
export const keyedSchema = 3

/**
 * Adds keys. Programs that do not know of them do no harm until the first task that has one: then they may no longer
 * write, since they would begin its runs without looking.
 */
export const migration: Migration = {
  version: keyedSchema,
  name: "concurrency keys",
  minimumWriter: 1,
  statements: (p) => [
    ...["task", "run", "history"].flatMap((table) => [
      `alter table ${p}_${table} add column concurrency_key text`,
      `alter table ${p}_${table} add column concurrency_limit integer`
    ]),
    `create index ${p}_run_line on ${p}_run (tag, concurrency_key, priority desc, due)
  where state = 'ready' and held = 0 and later = 2`,
    `create index ${p}_run_room on ${p}_run (tag, concurrency_key, concurrency_limit)
  where state = 'ready' and held = 0 and later = 2`,
    `create index ${p}_run_apart on ${p}_run (executor, tag, ready_at) where state = 'ready' and held = 0 and later = 3`,
    `create index ${p}_run_busy on ${p}_run (tag, concurrency_key)
  where state = 'running' and concurrency_key is not null`,
    `create table ${p}_line (
  tag text not null,
  concurrency_key text not null,
  turn integer not null,
  primary key (tag, concurrency_key)
) strict, without rowid`,
    `create index ${p}_line_turn on ${p}_line (tag, turn, concurrency_key)`
  ]
}

/** Adds to `later` what keeps keyed runs from where claims look: `key` is the column that says whether a run is one. */
export const apart = (key: string): string => `case when ${key} is null then 0 else 2 end`

/** The limit of a run with a key, as its task `t` has it. */
export const limitOf = "case when t.concurrency_key is not null then coalesce(t.concurrency_limit, 1) end"

// -----------------------------------------------------------------------------
// marks
// -----------------------------------------------------------------------------

type Name = readonly [tag: string, key: string]

/** Lines that a transaction has changed. */
export class Marks {
  private readonly names = new Map<string, Name>()

  add(tag: unknown, key: unknown): void {
    if (typeof tag === "string" && typeof key === "string") this.names.set(JSON.stringify([tag, key]), [tag, key])
  }

  /** All of them, in the order in which their rows are written, and none from then on. */
  take(): ReadonlyArray<Name> {
    const names = [...this.names.values()]
    this.names.clear()
    return names.sort((self, that) => compare(self[0], that[0]) || compare(self[1], that[1]))
  }
}

const compare = (self: string, that: string): number => self < that ? -1 : self > that ? 1 : 0

const nameColumns: Columns = [["tag", "text"], ["concurrency_key", "text"]]

const isReady =
  "q.tag = u.tag and q.concurrency_key = u.concurrency_key and q.state = 'ready' and q.held = 0 and q.later = 2"

/** Lets claims look at lines that have runs which are ready; answers how many were not marked before, about. */
export const mark = (
  { dialect, source, sql, t }: Pick<Database, "dialect" | "source" | "sql" | "t">,
  names: ReadonlyArray<Name>
): Effect.Effect<number, SqlError> =>
  names.length === 0 ? Effect.succeed(0) : dialect.affected(
    sql,
    // the row is written in any case: who marks it must wait for a claim that may be about to drop it
    sql`insert into ${t.line} (tag, concurrency_key, turn)
select u.tag, u.concurrency_key, 1 + coalesce((select max(l.turn) from ${t.line} l where l.tag = u.tag), 0) + u.i
from ${source(nameColumns)(names)} u
where exists (select 1 from ${t.run} q where ${sql.literal(isReady)} limit 1 offset 0)
order by u.tag, u.concurrency_key
${
      dialect.name === "mysql"
        ? sql`on duplicate key update turn = ${t.line}.turn`
        : sql`on conflict (tag, concurrency_key) do update set turn = ${t.line}.turn`
    }`
  )

// -----------------------------------------------------------------------------
// claims
// -----------------------------------------------------------------------------

/** A line that a claim has locked. */
export interface Line {
  readonly tag: string
  readonly key: string
  /** Those that this claim has taken included. */
  running: number
  /** How many more may run at most, by the largest limit of who is ready. */
  readonly room: number
  /** Whether it has runs that this claim could have had, but for its own limit. */
  left: boolean
}

/** A run that a claim may take; one that has no key is in no line. */
export interface Candidate {
  readonly n: number
  readonly key: string
  readonly version: number
  readonly priority: number
  readonly due: number
  readonly limit: number
  readonly line: Line | undefined
}

/** Order of claims, of rows that begin with n, run_key, version, priority and due. */
export const candidate = (
  [n, key, version, priority, due, limit]: Cells,
  line?: Line
): Candidate => ({
  n: Number(n),
  key: String(key),
  version: Number(version),
  priority: Number(priority),
  due: Number(due),
  limit: Number(limit ?? 0),
  line
})

export const inClaimOrder = (self: Candidate, that: Candidate): number =>
  that.priority - self.priority || self.due - that.due || self.n - that.n || compare(self.key, that.key)

/** Whether it may begin beside those of its key that run. */
export const allows = ({ limit, line }: Candidate): boolean => line === undefined || line.running < limit

/** Where a line is among those of its tag. */
export type Place = readonly [turn: number, key: string]

export interface Lines {
  /** Moves keyed runs whose time has come to their lines. */
  readonly ripen: (
    ripe: ReadonlyArray<Cells>,
    write: Write
  ) => Effect.Effect<void, SqlError>
  /** Locks lines of a tag that are to be looked at, after those it has locked before, at most `limit`. */
  readonly lock: (
    tag: string,
    after: Place | undefined,
    limit: number
  ) => Effect.Effect<{ readonly lines: ReadonlyArray<Line>; readonly last: Place | undefined }, SqlError>
  /** The first runs of lines that an executor may have, in the order of claims, of each as many as there is room for. */
  readonly first: (
    lines: ReadonlyArray<Line>,
    queue: { readonly executor: string; readonly version: number },
    options: { readonly now: number; readonly limit: number; readonly reader: string }
  ) => Effect.Effect<ReadonlyArray<Candidate>, SqlError>
  /** Leaves lines that a claim has locked: behind all others, or to who makes room. */
  readonly leave: (lines: ReadonlyArray<Line>, write: Write) => Effect.Effect<void, SqlError>
}

export const makeLines = (db: Database): Lines => {
  const { dialect, source, sql, t } = db

  const byName = source(nameColumns)
  const byRef = source([["n", "int"], ["run_key", "text"]])
  const cellsOf = ({ key, tag }: Line): Cells => [tag, key]

  const ripen: Lines["ripen"] = Effect.fnUntraced(function*(ripe, write) {
    if (ripe.length === 0) return
    yield* sql`${
      dialect.mark({
        table: t.run,
        set: sql.literal("later = 2"),
        source: byRef(ripe.map(([n, key]) => [Number(n), String(key)])),
        where: sql.literal("r.n = u.n and r.run_key = u.run_key and r.later = 3")
      })
    }`
    for (const [, , tag, key] of ripe) write.lines.add(tag, key)
    yield* mark(db, write.lines.take())
  })

  /** Of lines: who runs, and the largest limit of who is ready. */
  const counts = (names: ReadonlyArray<Cells>) =>
    Effect.map(
      sql`select u.i,
(select count(*) from ${t.run} q where q.tag = u.tag and q.concurrency_key = u.concurrency_key and q.state = 'running'),
(select max(q.concurrency_limit) from ${t.run} q where ${sql.literal(isReady)})
from ${byName(names)} u`.values,
      (rows) => {
        const counted = new Array<{ readonly running: number; readonly most: number }>(names.length)
        for (const [i, running, most] of rows) {
          counted[Number(i)] = { running: Number(running), most: orNull(most) ?? 0 }
        }
        return counted
      }
    )

  const lock: Lines["lock"] = Effect.fnUntraced(function*(tag, after, limit) {
    const rows = yield* sql`select l.concurrency_key, l.turn from ${t.line} l
where l.tag = ${tag}${
      after === undefined
        ? sql.literal("")
        : sql` and l.turn >= ${after[0]} and (l.turn > ${after[0]} or l.concurrency_key > ${after[1]})`
    } order by l.turn, l.concurrency_key ${db.limit(limit)}${dialect.lock("l", "skip")}`.values
    if (rows.length === 0) return { lines: [], last: undefined }
    const names = rows.map(([key]) => [tag, String(key)] as const)
    const counted = yield* counts(names)
    const lines = names.map(([tag, key], i): Line => {
      const { most, running } = counted[i]!
      return { tag, key, running, room: most - running, left: false }
    })
    const [key, turn] = rows[rows.length - 1]!
    return { lines, last: [Number(turn), String(key)] as const }
  })

  const first: Lines["first"] = Effect.fnUntraced(function*(lines, { executor, version }, { limit, now, reader }) {
    const open = lines.flatMap((line) => line.room > 0 ? [[line, Math.min(line.room, limit)] as const] : [])
    if (open.length === 0) return []
    const columns = sql.literal("q.n, q.run_key, q.version, q.priority, q.due, q.concurrency_limit")
    const ready = sql`q.executor = ${executor} and q.ready_at <= ${now} and q.version <= ${version}
and not exists (select 1 from ${t.verdict} v where v.n = q.n and v.reader = ${reader})
order by q.priority desc, q.due, q.n, q.run_key`
    if (dialect.name === "pg") {
      const rows = yield* sql`select u.i, ${columns}
from ${source([...nameColumns, ["most", "int"]])(open.map(([line, most]) => [...cellsOf(line), most]))} u
cross join lateral (
  select ${columns} from ${t.run} q where ${sql.literal(isReady)} and ${ready} limit u.most for update of q skip locked
) q`.values
      return rows.map(([i, ...cells]) => candidate(cells, open[Number(i)]![0])).sort(inClaimOrder)
    }
    const found: Array<Candidate> = []
    for (const [line, most] of open) {
      const rows = yield* sql`select ${columns} from ${t.run} q
where q.tag = ${line.tag} and q.concurrency_key = ${line.key} and q.state = 'ready' and q.held = 0 and q.later = 2
and ${ready} ${db.limit(most)}${dialect.lock("q", "skip")}`.values
      for (const cells of rows) found.push(candidate(cells, line))
    }
    return found.sort(inClaimOrder)
  })

  const leave: Lines["leave"] = Effect.fnUntraced(function*(lines, write) {
    if (lines.length === 0) return
    const names = lines.map(cellsOf)
    const counted = yield* counts(names)
    yield* sql`${dialect.remove({ table: t.line, keys: ["tag", "concurrency_key"], source: byName(names) })}`
    lines.forEach(({ key, left, tag }, i) => {
      const { most, running } = counted[i]!
      if (running >= most) return
      write.lines.add(tag, key)
      // others have passed it over, since it was locked
      if (left) write.brought.ready = true
    })
    yield* mark(db, write.lines.take())
  })

  return { ripen, lock, first, leave }
}
