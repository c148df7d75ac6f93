/**
 * Operations on runs: claim, start, settle, heartbeat, takeover, prune.
 *
 * Each reads what it was asked about, decides, and writes set by set. Between the two nobody else writes: the
 * transaction has the lock.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { TerminalState } from "punctual/TaskRecord"
import type {
  Claimed,
  Heartbeat,
  Lease,
  RunRef,
  Settled,
  Settlement,
  Slot,
  TakenOver,
  TaskStoreError
} from "punctual/TaskStore"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Cells } from "./records.ts"
import { decodeRun, decodeTask, readable, runColumns, selectRun, selectTask, taskWidth, Unreadable } from "./records.ts"

/** A run that ends: `cells` are its new values for the columns that `bury` was given. */
export interface Ending {
  readonly n: number
  readonly key: string
  /** The last number in the history of its task, where the caller has read it. */
  readonly last?: number | undefined
  readonly now: number
  readonly cells: Cells
}

export interface Runs {
  /** Moves open runs to history, numbered after those of their task, and drops numbers beyond `keep`. */
  readonly bury: (
    overrides: Columns,
    endings: ReadonlyArray<Ending>,
    keep: number | undefined
  ) => Effect.Effect<void, SqlError>
  /** waiting → ready */
  readonly ready: (
    refs: ReadonlyArray<readonly [n: number, key: string]>,
    now: number,
    write: Write
  ) => Effect.Effect<void, SqlError>
  /** Whether a run is not to be looked at by claims yet. */
  readonly isLater: (readyAt: number, now: number) => 0 | 1
  readonly quarantine: (
    rows: ReadonlyArray<readonly [n: number, reader: string, reason: string, at: number]>
  ) => Effect.Effect<
    void,
    SqlError
  >
  readonly claim: (options: {
    readonly now: number
    readonly lease: Lease
    readonly slots: ReadonlyArray<Slot>
    readonly limit: number
    readonly reader: string
  }) => Effect.Effect<{ readonly runs: ReadonlyArray<Claimed>; readonly next: number | null }, TaskStoreError>
  readonly start: (options: {
    readonly now: number
    readonly owner: string
    readonly runs: ReadonlyArray<RunRef>
  }) => Effect.Effect<ReadonlyArray<boolean>, TaskStoreError>
  readonly settle: (
    settlements: ReadonlyArray<Settlement>,
    options: { readonly keep: number }
  ) => Effect.Effect<ReadonlyArray<Settled>, TaskStoreError>
  readonly heartbeat: (options: {
    readonly now: number
    readonly lease: Lease
    readonly runs: ReadonlyArray<RunRef>
  }) => Effect.Effect<ReadonlyArray<Heartbeat>, TaskStoreError>
  readonly takeover: (options: {
    readonly now: number
    readonly limit: number
    readonly maxTakeovers: number
    readonly keep: number
  }) => Effect.Effect<{ readonly runs: ReadonlyArray<TakenOver>; readonly next: number | null }, TaskStoreError>
  readonly prune: (options: {
    readonly before: number
    readonly limit: number
  }) => Effect.Effect<number, TaskStoreError>
}

/** Ready runs moved from `later` to claimable by one claim: a clock that jumps over a backlog takes several. */
const ripenLimit = 5000

const refKey = (n: unknown, key: unknown): string => `${String(n)} ${String(key)}`

const orNull = (cell: unknown): number | null => cell === null || cell === undefined ? null : Number(cell)

export const makeRuns = (db: Database): Runs => {
  const { dialect, source, sql, t, values } = db

  const byN = source([["n", "int"]])
  const byRef = source([["n", "int"], ["run_key", "text"]])
  const owned = source([["n", "int"], ["run_key", "text"], ["token", "int"]])
  // `lease_until is not null` says that a run is running, and names no column of a partial index: where rows are found
  // by key, a planner must not be tempted by an index full of dead entries
  const isOwned = (owner: string) =>
    sql`r.n = u.n and r.run_key = u.run_key and r.token = u.token and r.owner = ${owner} and r.lease_until is not null`
  const ownedCells = (runs: ReadonlyArray<RunRef>): ReadonlyArray<Cells> =>
    runs.map(({ generation, key, token }) => [generation, key, token])

  // The largest `now` by which this instance decided what is `later`. A claim with a smaller one (clocks differ) looks
  // at claimable runs too when it answers what is next.
  let latest = -Infinity
  const isLater = (readyAt: number, now: number): 0 | 1 => {
    if (now > latest) latest = now
    return readyAt > now ? 1 : 0
  }

  // ---------------------------------------------------------------------------
  // ends
  // ---------------------------------------------------------------------------

  /** Forgets removed tasks that have no runs left. */
  const forget = (ns: Iterable<number>) =>
    sql`delete from ${t.gone} where n in (select u.n from ${byN(Array.from(ns, (n) => [n]))} u)
and not exists (select 1 from ${t.run} r where r.n = ${t.gone}.n)
and not exists (select 1 from ${t.history} h where h.n = ${t.gone}.n)`

  const bury: Runs["bury"] = Effect.fnUntraced(function*(overrides, endings, keep) {
    if (endings.length === 0) return
    const last = new Map<number, number>()
    for (const ending of endings) if (ending.last !== undefined) last.set(ending.n, ending.last)
    const unknown = new Set(endings.flatMap(({ n }) => last.has(n) ? [] : [n]))
    if (unknown.size > 0) {
      const rows = yield* sql`select u.n, coalesce((select max(h.no) from ${t.history} h where h.n = u.n), 0)
from ${byN(Array.from(unknown, (n) => [n]))} u`.values
      for (const [n, no] of rows) last.set(Number(n), Number(no))
    }
    const cells = endings.map(({ cells, key, n, now }) => {
      const no = (last.get(n) ?? 0) + 1
      last.set(n, no)
      return [n, key, no, now, ...cells]
    })
    const given = new Set(overrides.map(([name]) => name))
    const select = runColumns.map((column) => `${given.has(column) ? "u" : "r"}.${column}`).join(", ")
    const columns: Columns = [["n", "int"], ["run_key", "text"], ["no", "int"], ["ended_at", "int"], ...overrides]
    yield* sql`insert into ${t.history} (${sql.literal(runColumns.join(", "))}, no, ended_at)
select ${sql.literal(select)}, u.no, u.ended_at from ${source(columns)(cells)} u cross join ${t.run} r
where r.n = u.n and r.run_key = u.run_key`
    yield* sql`delete from ${t.run} where (n, run_key) in (select u.n, u.run_key from ${
      byRef(endings.map(({ key, n }) => [n, key]))
    } u)`
    if (keep === undefined) return
    const beyond: Array<Cells> = []
    for (const [n, no] of last) if (no - keep >= 1) beyond.push([n, no - keep])
    if (beyond.length === 0) return
    yield* sql`delete from ${t.history} where (n, no) in (select h.n, h.no
from ${source([["n", "int"], ["no", "int"]])(beyond)} u cross join ${t.history} h where h.n = u.n and h.no <= u.no)`
    if (keep < 1) yield* forget(last.keys())
  })

  const ready: Runs["ready"] = Effect.fnUntraced(function*(refs, now, write) {
    if (refs.length === 0) return
    isLater(now, now)
    yield* sql`update ${t.run} set state = 'ready', later = case when ready_at > ${now} then 1 else 0 end
where state = 'waiting' and (n, run_key) in (select u.n, u.run_key from ${byRef(refs)} u)`
    write.brought.ready = true
  })

  /**
   * What the end of runs that queue does for their tasks: one more revision and one promotion for each, of the run that
   * is due first, if fewer than its `slots` are then ready or running.
   */
  const afterEnds = Effect.fnUntraced(function*(
    ended: ReadonlyMap<number, number>,
    now: number,
    write: Write,
    /** Tasks that get their revision otherwise. */
    revised: ReadonlySet<number>
  ): Effect.fn.Return<void, SqlError> {
    if (ended.size === 0) return
    const rows = yield* values(
      sql`select r.n, r.run_key, r.state, r.slots from ${
        byN(Array.from(ended.keys(), (n) => [n]))
      } u cross join ${t.run} r where r.n = u.n order by r.n, r.due, r.run_key`
    )
    const tasks = new Map<number, { active: number; readonly waiting: Array<readonly [key: string, slots: number]> }>()
    for (const [cell, key, state, slots] of rows) {
      const n = Number(cell)
      let task = tasks.get(n)
      if (task === undefined) tasks.set(n, task = { active: 0, waiting: [] })
      if (state === "waiting") task.waiting.push([String(key), Number(slots)])
      else task.active++
    }
    const promoted: Array<readonly [number, string]> = []
    for (const [n, { active, waiting }] of tasks) {
      // they ended one after another: the first saw the others still running
      let next = 0
      for (let others = (ended.get(n) ?? 0) - 1; others >= 0 && next < waiting.length; others--) {
        const [key, slots] = waiting[next]
        if (active + others + next >= slots) continue
        promoted.push([n, key])
        next++
      }
    }
    yield* ready(promoted, now, write)
    const revisions = [...ended].filter(([n]) => !revised.has(n))
    if (revisions.length === 0) return
    yield* sql`${
      dialect.update({
        table: t.clock,
        set: sql.literal("revision = r.revision + u.ended"),
        source: source([["n", "int"], ["ended", "int"]])(revisions),
        where: sql.literal("r.n = u.n")
      })
    }`
  })

  const quarantine: Runs["quarantine"] = (rows) =>
    rows.length === 0
      ? Effect.void
      : sql`insert into ${t.verdict} (n, reader, reason, at) select u.n, u.reader, u.reason, u.at
from ${source([["n", "int"], ["reader", "text"], ["reason", "text"], ["at", "int"]])(rows)} u where true
on conflict (n, reader) do update set reason = excluded.reason, at = excluded.at`

  // ---------------------------------------------------------------------------
  // claim
  // ---------------------------------------------------------------------------

  const slotSource = source([["i", "int"], ["executor", "text"], ["tag", "text"], ["version", "int"]])
  const inSlot = "q.executor = u.executor and q.tag = u.tag and q.state = 'ready' and q.held = 0"

  const claim: Runs["claim"] = Effect.fnUntraced(function*(options) {
    const { lease, limit, now, reader, slots } = options
    if (slots.length === 0) return { runs: [], next: null }

    // Asked before the lock is taken: most claims of an idle program find nothing, and need not make others wait.
    const states = yield* db.read(
      "claim",
      sql`select u.i,
exists (select 1 from ${t.run} q where ${sql.literal(inSlot)} and q.later = 0),
exists (select 1 from ${t.run} q where ${sql.literal(inSlot)} and q.later = 1 and q.ready_at <= ${now}),
(select min(q.ready_at) from ${t.run} q
  where ${sql.literal(inSlot)} and q.later = 1 and q.ready_at > ${now} and q.version <= u.version)
from ${slotSource(slots.map((slot, i) => [i, slot.executor, slot.tag, slot.version]))} u`.values
    )
    let next: number | null = null
    const sooner = (at: number | null) => {
      if (at !== null && (next === null || at < next)) next = at
    }
    const claimable: Array<Slot> = []
    let ripe = false
    for (const [i, some, late, at] of states) {
      sooner(orNull(at))
      if (Number(late) !== 0) ripe = true
      if (Number(some) !== 0 || Number(late) !== 0) claimable.push(slots[Number(i)])
    }
    if (now < latest) {
      const rows = yield* db.read(
        "claim",
        sql`select (select min(q.ready_at) from ${t.run} q
  where ${sql.literal(inSlot)} and q.later = 0 and q.ready_at > ${now} and q.version <= u.version)
from ${slotSource(slots.map((slot, i) => [i, slot.executor, slot.tag, slot.version]))} u`.values
      )
      for (const [at] of rows) sooner(orNull(at))
    }
    if (claimable.length === 0 || limit <= 0) return { runs: [], next }

    const runs = yield* db.write("claim", (write) =>
      Effect.gen(function*() {
        isLater(now, now)
        if (ripe) yield* ripen(claimable, now)
        const picked = yield* pick(claimable, options)
        if (picked.length === 0) return []
        const rows = yield* values(sql`select u.i, ${sql.literal(selectRun)}, ${sql.literal(selectTask)}
from ${source([["i", "int"], ["n", "int"], ["run_key", "text"]])(picked.map(([n, key], i) => [i, n, key]))} u
cross join ${t.run} r cross join ${t.clock} c cross join ${t.task} t
where r.n = u.n and r.run_key = u.run_key and c.n = u.n and t.n = u.n`)
        const claims = new Array<Claimed | undefined>(picked.length)
        const unreadable: Array<readonly [number, string, string, number]> = []
        for (const cells of rows) {
          const claimed = readable((): Claimed => ({
            run: decodeRun(cells, 1),
            task: decodeTask(cells, cells.length - taskWidth)
          }))
          const i = Number(cells[0])
          if (claimed instanceof Unreadable) unreadable.push([picked[i][0], reader, claimed.reason, now])
          else claims[i] = claimed
        }
        yield* quarantine(unreadable)
        const mine = claims.filter((claimed) => claimed !== undefined)
        if (mine.length === 0) return []
        const first = yield* write.tokens(mine.length)
        yield* sql`${
          dialect.update({
            table: t.run,
            set: sql`state = 'running', owner = ${lease.owner}, token = u.token, lease_until = ${lease.until},
attempt = r.attempt + 1, started_at = null`,
            source: owned(mine.map(({ run }, i) => [run.generation, run.key, first + i])),
            where: sql.literal("r.n = u.n and r.run_key = u.run_key")
          })
        }`
        return mine.map(({ run, task }, i): Claimed => ({
          run: {
            ...run,
            state: "running",
            owner: lease.owner,
            token: first + i,
            leaseUntil: lease.until,
            attempt: run.attempt + 1,
            startedAt: null
          },
          task
        }))
      }))
    return { runs, next }
  })

  /** Moves runs whose time has come to where claims look. */
  const ripen = (slots: ReadonlyArray<Slot>, now: number) =>
    sql`update ${t.run} set later = 0 where (n, run_key) in (select q.n, q.run_key
from ${slotSource(slots.map((slot, i) => [i, slot.executor, slot.tag, slot.version]))} u cross join ${t.run} q
where ${sql.literal(inSlot)} and q.later = 1 and q.ready_at <= ${now} ${db.limit(ripenLimit)})`

  /** One probe per (executor, tag), then one run of each slot in turn. */
  const pick = Effect.fnUntraced(function*(
    slots: ReadonlyArray<Slot>,
    options: { readonly now: number; readonly limit: number; readonly reader: string }
  ): Effect.fn.Return<ReadonlyArray<readonly [n: number, key: string]>, SqlError> {
    interface Queue {
      readonly executor: string
      readonly tag: string
      version: number
      limit: number
      rows: ReadonlyArray<Cells>
      readonly taken: Set<number>
    }
    const queues = new Map<string, Queue>()
    const turns = slots.map((slot) => {
      const key = JSON.stringify([slot.executor, slot.tag])
      let queue = queues.get(key)
      if (queue === undefined) {
        queues.set(key, queue = { ...slot, limit: 0, rows: [], taken: new Set() })
      }
      queue.version = Math.max(queue.version, slot.version)
      queue.limit += Math.max(0, slot.limit)
      return { queue, version: slot.version, left: slot.limit, at: 0 }
    })
    for (const queue of queues.values()) {
      queue.rows = yield* sql`select q.n, q.run_key, q.version from ${t.run} q
where q.executor = ${queue.executor} and q.tag = ${queue.tag} and q.state = 'ready' and q.held = 0 and q.later = 0
and q.ready_at <= ${options.now} and q.version <= ${queue.version}
and not exists (select 1 from ${t.verdict} v where v.n = q.n and v.reader = ${options.reader})
order by q.priority desc, q.due, q.n, q.run_key ${db.limit(Math.min(queue.limit, options.limit))}`.values
    }
    const picked: Array<readonly [number, string]> = []
    let active = turns
    while (active.length > 0 && picked.length < options.limit) {
      const rest: typeof turns = []
      for (const turn of active) {
        if (turn.left <= 0 || picked.length >= options.limit) continue
        const { rows, taken } = turn.queue
        while (turn.at < rows.length && (taken.has(turn.at) || Number(rows[turn.at][2]) > turn.version)) turn.at++
        if (turn.at >= rows.length) continue
        taken.add(turn.at)
        picked.push([Number(rows[turn.at][0]), String(rows[turn.at][1])])
        turn.left--
        rest.push(turn)
      }
      active = rest
    }
    return picked
  })

  // ---------------------------------------------------------------------------
  // start, heartbeat
  // ---------------------------------------------------------------------------

  const start: Runs["start"] = ({ now, owner, runs }) =>
    runs.length === 0 ? Effect.succeed([]) : db.write("start", () =>
      Effect.map(
        sql`${
          dialect.update({
            table: t.run,
            set: sql`started_at = coalesce(r.started_at, ${now})`,
            source: owned(ownedCells(runs)),
            where: isOwned(owner),
            returning: "n, run_key, token"
          })
        }`.values,
        (rows) => {
          const started = new Map(rows.map(([n, key, token]) => [refKey(n, key), Number(token)]))
          return runs.map(({ generation, key, token }) => started.get(refKey(generation, key)) === token)
        }
      ))

  const heartbeat: Runs["heartbeat"] = ({ lease, runs }) =>
    runs.length === 0 ? Effect.succeed([]) : db.write("heartbeat", () =>
      Effect.map(
        sql`${
          dialect.update({
            table: t.run,
            set: sql`lease_until = ${lease.until}`,
            source: owned(ownedCells(runs)),
            where: isOwned(lease.owner),
            returning: "n, run_key, token, cancel"
          })
        }`.values,
        (rows) => {
          const alive = new Map(
            rows.map(([n, key, token, cancel]) => [refKey(n, key), [Number(token), cancel] as const])
          )
          return runs.map(({ generation, key, token }): Heartbeat => {
            const found = alive.get(refKey(generation, key))
            if (found === undefined || found[0] !== token) return { alive: false, cancel: null }
            return { alive: true, cancel: typeof found[1] === "string" ? found[1] : null }
          })
        }
      ))

  // ---------------------------------------------------------------------------
  // settle
  // ---------------------------------------------------------------------------

  interface Entry {
    readonly i: number
    readonly settlement: Settlement
  }

  const settle: Runs["settle"] = (settlements, { keep }) =>
    settlements.length === 0 ? Effect.succeed([]) : db.write("settle", (write) =>
      Effect.gen(function*() {
        const answers = new Array<Settled>(settlements.length).fill("Stale")
        let entries: ReadonlyArray<Entry> = settlements.map((settlement, i) => ({ i, settlement }))
        while (entries.length > 0) entries = yield* settleBatch(entries, keep, answers, write)
        return answers
      }))

  const endState: Columns = [["state", "text"], ["exit", "text"]]
  const endReleased: Columns = [["state", "text"], ["attempt", "int"]]

  /**
   * Settles a batch and answers what must come after it: settlements of one task that change its row follow each other,
   * since each sees what the one before it did.
   */
  const settleBatch = Effect.fnUntraced(function*(
    entries: ReadonlyArray<Entry>,
    keep: number,
    answers: Array<Settled>,
    write: Write
  ): Effect.fn.Return<ReadonlyArray<Entry>, SqlError> {
    const found = new Map<number, Cells>()
    const rows = yield* values(
      sql`select u.i, r.token, r.owner, r.lease_until is not null, r.queues, r.cancel, r.attempt,
exists (select 1 from ${t.clock} c where c.n = u.n),
coalesce((select max(h.no) from ${t.history} h where h.n = u.n), 0)
from ${
        source([["i", "int"], ["n", "int"], ["run_key", "text"]])(
          entries.map(({ settlement: { generation, key } }, i) => [i, generation, key])
        )
      } u cross join ${t.run} r where r.n = u.n and r.run_key = u.run_key`
    )
    for (const cells of rows) found.set(Number(cells[0]), cells)

    const later: Array<Entry> = []
    const unknown: Array<Entry> = []
    /** Runs this batch has settled or put off, with what may settle them again. */
    const settled = new Map<string, Settlement>()
    const deferred = new Set<string>()
    /** Tasks with a settlement that changes their row. */
    const turn = new Set<number>()

    const endings: Array<Ending> = []
    const released: Array<Ending> = []
    const retries: Array<Cells> = []
    const releases: Array<Cells> = []
    const ended = new Map<number, number>()
    const tasks: Array<Settlement> = []

    for (let j = 0; j < entries.length; j++) {
      const entry = entries[j]
      const { settlement } = entry
      const { generation: n, key, now, result } = settlement
      const ref = refKey(n, key)
      if (deferred.has(ref)) {
        later.push(entry)
        continue
      }
      const before = settled.get(ref)
      if (before !== undefined) {
        if (before.token === settlement.token && before.owner === settlement.owner) answers[entry.i] = "Settled"
        continue
      }
      const run = found.get(j)
      if (run === undefined) {
        unknown.push(entry)
        continue
      }
      if (Number(run[1]) !== settlement.token || run[1] === null || run[2] !== settlement.owner) continue
      answers[entry.i] = "Settled"
      // back to ready by this token: the same settlement again
      if (Number(run[3]) === 0) continue
      const queues = Number(run[4]) !== 0
      const alive = Number(run[7]) !== 0
      if (alive && (queues || settlement.task !== undefined)) {
        if (turn.has(n)) {
          answers[entry.i] = "Stale"
          deferred.add(ref)
          later.push(entry)
          continue
        }
        turn.add(n)
      }
      settled.set(ref, settlement)
      const ends = result._tag === "End" || run[5] !== null || !alive
      if (ends) {
        const state: TerminalState = result._tag === "End" ? result.state : "cancelled"
        if (result._tag === "Release") released.push({ n, key, now, cells: [state, Number(run[6]) - 1] })
        else endings.push({ n, key, now, last: Number(run[8]), cells: [state, result.exit] })
        if (queues && alive) ended.set(n, 1)
      } else if (result._tag === "Release") releases.push([n, key, now])
      else retries.push([n, key, result.readyAt, isLater(result.readyAt, now), result.exit])
      if (alive && settlement.task !== undefined) tasks.push(settlement)
    }

    if (unknown.length > 0) yield* settledBefore(unknown, answers)
    yield* bury(endState, endings, keep)
    yield* bury(endReleased, released, keep)
    yield* back(
      retries,
      [["ready_at", "int"], ["later", "int"], ["exit", "text"]],
      "ready_at = u.ready_at, later = u.later, exit = u.exit",
      write
    )
    yield* back(
      releases,
      [["now", "int"]],
      "attempt = r.attempt - 1, later = case when r.ready_at > u.now then 1 else 0 end",
      write
    )
    if (ended.size > 0 || tasks.length > 0) yield* settleTasks(tasks, ended, write, entries[0].settlement.now)
    return later
  })

  /** Settlements of runs that are no longer open: of this very token, they are repeated. */
  const settledBefore = Effect.fnUntraced(function*(
    entries: ReadonlyArray<Entry>,
    answers: Array<Settled>
  ): Effect.fn.Return<void, SqlError> {
    const rows = yield* values(
      sql`select u.i, h.token, h.owner from ${
        source([["i", "int"], ["n", "int"], ["run_key", "text"]])(
          entries.map(({ settlement: { generation, key } }, i) => [i, generation, key])
        )
      } u cross join ${t.history} h where h.n = u.n and h.run_key = u.run_key order by h.no`
    )
    const last = new Map(rows.map(([i, token, owner]) => [Number(i), [token, owner] as const]))
    entries.forEach(({ i, settlement }, j) => {
      const found = last.get(j)
      if (found === undefined || found[0] === null) return
      if (Number(found[0]) === settlement.token && found[1] === settlement.owner) answers[i] = "Settled"
    })
  })

  /** running → ready, as what the task now is: a claim must be able to decode the payload it gets. */
  const back = Effect.fnUntraced(function*(
    cells: ReadonlyArray<Cells>,
    columns: Columns,
    set: string,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    if (cells.length === 0) return
    yield* sql`${
      dialect.update({
        table: t.run,
        set: sql.literal(`state = 'ready', lease_until = null, ${set},
tag = u.tag, version = u.version, executor = u.executor, priority = u.priority`),
        source: sql`(select u.*, t.tag, t.version, t.executor, t.priority
from ${source([["n", "int"], ["run_key", "text"], ...columns])(cells)} u cross join ${t.task} t where t.n = u.n)`,
        where: sql.literal("r.n = u.n and r.run_key = u.run_key")
      })
    }`
    write.brought.ready = true
  })

  /** What settlements change in the rows of their tasks, which are different ones. */
  const settleTasks = Effect.fnUntraced(function*(
    settlements: ReadonlyArray<Settlement>,
    ended: ReadonlyMap<number, number>,
    write: Write,
    now: number
  ): Effect.fn.Return<void, SqlError> {
    // one revision for both: those with a change of their own are counted below
    const own = new Set(settlements.map(({ generation }) => generation))
    yield* afterEnds(ended, now, write, own)
    if (settlements.length === 0) return
    const rows = yield* values(
      sql`select c.n, c.failures, c.state, c.ran, c.missed from ${
        byN(settlements.map(({ generation }) => [generation]))
      } u cross join ${t.clock} c where c.n = u.n`
    )
    const clocks = new Map(rows.map((cells) => [Number(cells[0]), cells]))
    const paused: Array<Cells> = []
    yield* db.setByN(
      t.clock,
      "revision = r.revision + 1",
      settlements.flatMap(({ generation: n, now, task }) => {
        const clock = clocks.get(n)
        if (clock === undefined || task === undefined) return []
        const columns: Array<Columns[number]> = []
        const cells: Array<number | string | null> = []
        const set = (name: string, type: "int" | "text", cell: number | string | null) => {
          columns.push([name, type])
          cells.push(cell)
        }
        let failures = Number(clock[1])
        if (task.failures !== undefined) {
          failures = task.failures === "reset" ? 0 : failures + 1
          set("failures", "int", failures)
        }
        if (task.missed === true) {
          set("ran", "int", Number(clock[3]) - 1)
          set("missed", "int", Number(clock[4]) + 1)
        }
        const { pauseAt } = task
        if (pauseAt !== undefined && failures >= pauseAt.failures && clock[2] !== "paused" && clock[2] !== "finished") {
          set("state", "text", "paused")
          set("paused_at", "int", now)
          set("pause_note", "text", pauseAt.note)
          set("due", "int", null)
          set("nominal", "int", null)
          paused.push([n])
        }
        return [{ n, columns, cells }]
      })
    )
    if (paused.length > 0) {
      yield* sql`update ${t.run} set held = 1 where state in ('ready', 'waiting')
and n in (select u.n from ${byN(paused)} u)`
    }
  })

  // ---------------------------------------------------------------------------
  // takeover, prune
  // ---------------------------------------------------------------------------

  const takeover: Runs["takeover"] = ({ keep, limit, maxTakeovers, now }) =>
    Effect.gen(function*() {
      // without the lock, since mostly nothing has ended
      const expired = yield* db.read(
        "takeover",
        sql`select min(r.lease_until) from ${t.run} r where r.state = 'running'`.values
      )
      const first = orNull(expired[0]?.[0])
      if (first === null || first > now || limit <= 0) return { runs: [], next: first }
      return yield* db.write("takeover", (write) =>
        Effect.gen(function*() {
          const runs = yield* takeOver({ keep, limit, maxTakeovers, now }, write)
          const left = yield* sql`select min(r.lease_until) from ${t.run} r where r.state = 'running'`.values
          return { runs, next: orNull(left[0]?.[0]) }
        }))
    })

  const takeOver = Effect.fnUntraced(function*(
    options: { readonly now: number; readonly limit: number; readonly maxTakeovers: number; readonly keep: number },
    write: Write
  ): Effect.fn.Return<ReadonlyArray<TakenOver>, SqlError> {
    const { keep, limit, maxTakeovers, now } = options
    const rows = yield* values(sql`select ${sql.literal(selectRun)}, t.tag, t.version, t.executor, t.priority
from (select x.n, x.run_key from ${t.run} x where x.state = 'running' and x.lease_until <= ${now}
  order by x.lease_until, x.token ${db.limit(limit)}) e
cross join ${t.run} r left join ${t.task} t on t.n = e.n
where r.n = e.n and r.run_key = e.run_key order by r.lease_until, r.token`)
    const taken: Array<TakenOver> = []
    const endings: Array<Ending> = []
    const back: Array<Cells> = []
    const odd: Array<Cells> = []
    const ended = new Map<number, number>()
    for (const cells of rows) {
      const run = readable(() => decodeRun(cells, 0))
      if (run instanceof Unreadable) {
        odd.push([Number(cells[0]), String(cells[1])])
        continue
      }
      const [tag, version, executor, priority] = cells.slice(-4)
      const alive = tag !== null
      const takeovers = run.takeovers + 1
      const became: TakenOver["became"] = run.cancel !== null
        ? "cancelled"
        : takeovers >= maxTakeovers || !alive || (run.atMostOnce && run.startedAt !== null)
        ? "abandoned"
        : "ready"
      const { generation: n, key } = run
      const lost = { ...run, state: became, takeovers, token: null, leaseUntil: null }
      if (became === "ready") {
        const origin = {
          tag: String(tag),
          version: Number(version),
          executor: String(executor),
          priority: Number(priority)
        }
        back.push([n, key, origin.tag, origin.version, origin.executor, origin.priority])
        taken.push({ run: { ...lost, ...origin }, became, owner: run.owner ?? "" })
        continue
      }
      endings.push({ n, key, now, cells: [became, null, takeovers] })
      if (run.queues && alive) ended.set(n, (ended.get(n) ?? 0) + 1)
      taken.push({ run: { ...lost, endedAt: now }, became, owner: run.owner ?? "" })
    }
    yield* bury([["state", "text"], ["token", "int"], ["takeovers", "int"]], endings, keep)
    if (back.length > 0) {
      isLater(now, now)
      yield* sql`${
        dialect.update({
          table: t.run,
          set: sql`state = 'ready', lease_until = null, token = null, takeovers = r.takeovers + 1,
later = case when r.ready_at > ${now} then 1 else 0 end,
tag = u.tag, version = u.version, executor = u.executor, priority = u.priority`,
          source: source([
            ["n", "int"],
            ["run_key", "text"],
            ["tag", "text"],
            ["version", "int"],
            ["executor", "text"],
            ["priority", "int"]
          ])(back),
          where: sql.literal("r.n = u.n and r.run_key = u.run_key")
        })
      }`
      write.brought.ready = true
    }
    // a row nobody can read has no lease any more: it would be the first to be taken over, for ever
    if (odd.length > 0) {
      yield* sql`update ${t.run} set lease_until = null, token = null
where (n, run_key) in (select u.n, u.run_key from ${byRef(odd)} u)`
    }
    yield* afterEnds(ended, now, write, new Set())
    return taken
  })

  const prune: Runs["prune"] = ({ before, limit }) =>
    db.write("prune", () =>
      Effect.gen(function*() {
        const rows = yield* sql`select h.n, h.no from ${t.history} h where h.ended_at < ${before}
order by h.ended_at, h.n, h.no ${db.limit(limit)}`.values
        if (rows.length === 0) return 0
        const cells = rows.map(([n, no]) => [Number(n), Number(no)])
        yield* sql`delete from ${t.history} where (n, no) in (select u.n, u.no
from ${source([["n", "int"], ["no", "int"]])(cells)} u)`
        yield* forget(new Set(cells.map(([n]) => n)))
        return rows.length
      }))

  return { bury, ready, isLater, quarantine, claim, start, settle, heartbeat, takeover, prune }
}
