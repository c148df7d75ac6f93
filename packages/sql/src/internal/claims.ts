/**
 * How runs get an owner, and how that owner keeps them: claim, start, heartbeat.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { Claimed, Heartbeat, RunRef, Slot, TaskStore } from "punctual/TaskStore"
import { plausibleLease } from "punctual/TaskStore"
import type { Database, Write } from "./database.ts"
import type { Ends } from "./ends.ts"
import { areApart, makeClaimAtOnce } from "./fusedClaims.ts"
import { allows, type Candidate, candidate, inClaimOrder, type Line, makeLines, type Place } from "./lines.ts"
import { inOrder } from "./locks.ts"
import {
  decodeRun,
  decodeTask,
  orNull,
  readable,
  refKey,
  selectRun,
  selectTask,
  taskWidth,
  Unreadable
} from "./records.ts"

type Store = TaskStore["Service"]

/** Ready runs moved from `later` to claimable by one claim: a clock that jumps over a backlog takes several. */
const ripenLimit = 5000

/** Owned runs of one statement, which compares each with each where a planner expects few. */
const rowsAtOnce = 500

export const makeClaims = (db: Database, ends: Ends): Pick<Store, "claim" | "start" | "heartbeat" | "cancel"> => {
  const { dialect, source, sql, t, values } = db

  const lines = makeLines(db)
  const claimAtOnce = dialect.fuses ? makeClaimAtOnce(db, ends) : undefined

  const slotSource = source([["executor", "text"], ["tag", "text"], ["version", "int"]])
  const slotCells = (slots: ReadonlyArray<Slot>) => slots.map(({ executor, tag, version }) => [executor, tag, version])
  const inSlot = "q.executor = u.executor and q.tag = u.tag and q.state = 'ready' and q.held = 0"
  const inSlotOf = ({ executor, tag }: Slot) =>
    sql`q.executor = ${executor} and q.tag = ${tag} and q.state = 'ready' and q.held = 0`

  /**
   * Asks something of each slot; its number comes first. MySQL walks no index in order, nor to an end, where its first
   * columns are compared with those of another table: there each slot has a question of its own.
   */
  const ofSlots = (
    slots: ReadonlyArray<Slot>,
    columns: (inSlot: Statement.Fragment, version: Statement.Fragment, tag: Statement.Fragment) => Statement.Fragment
  ) =>
    dialect.name === "mysql"
      ? sql`${
        Statement.fragment(slots.flatMap((slot, i) => [
          ...i === 0 ? [] : [Statement.literal(" union all ")],
          ...sql`select ${i}, ${columns(inSlotOf(slot), sql`${slot.version}`, sql`${slot.tag}`)}`.segments
        ]))
      }`
      : sql`select u.i, ${columns(sql.literal(inSlot), sql.literal("u.version"), sql.literal("u.tag"))} from ${
        slotSource(slotCells(slots))
      } u`

  /** The same for a statement that looks at runs of slots: what comes before them, and which they are. */
  const ofRuns = <A>(
    slots: ReadonlyArray<Slot>,
    statement: (from: Statement.Fragment, inSlot: Statement.Fragment) => Effect.Effect<A, SqlError>
  ): Effect.Effect<ReadonlyArray<A>, SqlError> =>
    dialect.name === "mysql"
      ? Effect.forEach(slots, (slot) => statement(sql.literal(""), inSlotOf(slot)))
      : Effect.map(
        statement(sql`${slotSource(slotCells(slots))} u ${dialect.cross} `, sql.literal(inSlot)),
        (answer) => [answer]
      )

  const claim: Store["claim"] = Effect.fnUntraced(function*(options) {
    const { limit, now, slots } = options
    if (slots.length === 0) return { runs: [], next: null }

    // Asked before the lock is taken: most claims of an idle program find nothing, and need not make others wait. The orders
    // are those of indexes: else a planner reads the table until it comes to such a row, dead ones first.
    const states = yield* db.read(
      "claim",
      ofSlots(
        slots,
        (inSlot, version, tag) =>
          sql`exists (select 1 from ${t.run} q where ${inSlot} and q.later = 0 order by q.priority desc, q.due limit 1 offset 0),
exists (select 1 from ${t.run} q where ${inSlot} and q.later = 1 and q.ready_at <= ${now} order by q.ready_at limit 1 offset 0),
(select q.ready_at from ${t.run} q where ${inSlot} and q.later = 1 and q.ready_at > ${now} and q.version <= ${version}
  order by q.ready_at limit 1),
exists (select 1 from ${t.line} l where l.tag = ${tag} limit 1 offset 0),
(select q.ready_at from ${t.run} q where ${inSlot} and q.later = 3 and q.version <= ${version} order by q.ready_at limit 1)`
      )
        .values
    )
    let next: number | null = null
    const sooner = (at: number | null) => {
      if (at !== null && (next === null || at < next)) next = at
    }
    const claimable: Array<Slot> = []
    const ripe: Array<Slot> = []
    /** Whether keyed runs have become ready that no line knows of. */
    let apart = false
    const lined = new Set<string>()
    for (const [i, some, late, at, line, first] of states) {
      const slot = slots[Number(i)]!
      sooner(orNull(at))
      if (Number(late) !== 0) ripe.push(slot)
      const ready = orNull(first)
      if (ready !== null && ready <= now) apart = true
      else sooner(ready)
      const keyed = Number(line) !== 0 || (ready !== null && ready <= now)
      if (keyed) lined.add(slot.tag)
      if (Number(some) !== 0 || Number(late) !== 0 || keyed) claimable.push(slot)
    }
    if (now < ends.latest() || apart) {
      const rows = yield* db.read(
        "claim",
        ofSlots(slots, (inSlot, version) => {
          const soonest = (later: number) =>
            sql`(select min(q.ready_at) from ${t.run} q
  where ${inSlot} and q.later = ${sql.literal(String(later))} and q.ready_at > ${now} and q.version <= ${version})`
          return sql`${soonest(0)}, ${soonest(2)}, ${soonest(3)}`
        }).values
      )
      for (const [, ...row] of rows) for (const at of row) sooner(orNull(at))
    }
    if (claimable.length === 0 || limit <= 0) return { runs: [], next }

    const runs = yield* db.write("claim", (write) =>
      Effect.gen(function*() {
        ends.isLater(now, now)
        if (ripe.length > 0) yield* ripen(ripe, now)
        if (claimAtOnce !== undefined && lined.size === 0 && areApart(claimable)) {
          return yield* claimAtOnce(claimable, options)
        }
        if (apart) {
          const found = yield* ofRuns(claimable, (from, inSlot) =>
            sql`select q.n, q.run_key, q.tag, q.concurrency_key from ${from}${t.run} q
where ${inSlot} and q.later = 3 and q.ready_at <= ${now} ${db.limit(ripenLimit)}${dialect.lock("q", "skip")}`.values)
          yield* lines.ripen(found.flat(), write)
        }
        const { locked, picked } = yield* pick(claimable, lined, options)
        const claimed = yield* own(picked, options, write)
        yield* lines.leave(locked, write)
        return claimed
      }))
    return { runs, next }
  })

  /** Gives runs that it has locked, and that can be read, an owner. */
  const own = Effect.fnUntraced(function*(
    picked: ReadonlyArray<readonly [n: number, key: string]>,
    { lease, now, reader }: Pick<Parameters<Store["claim"]>[0], "lease" | "now" | "reader">,
    write: Write
  ): Effect.fn.Return<ReadonlyArray<Claimed>, SqlError> {
    if (picked.length === 0) return []
    const rows = yield* values(sql`select u.i, ${sql.literal(selectRun)}, ${sql.literal(selectTask)}
from ${
      dialect.join(
        source([["n", "int"], ["run_key", "text"]])(picked),
        t.run,
        sql.literal("r.n = u.n and r.run_key = u.run_key")
      )
    }${dialect.beside(t.clock, "c", "c.n = u.n")}${dialect.beside(t.task, "t", "t.n = u.n")}`)
    const claims = new Array<Claimed | undefined>(picked.length)
    const unreadable: Array<readonly [number, string, string, number]> = []
    for (const cells of rows) {
      const claimed = readable((): Claimed => ({
        run: decodeRun(cells, 1),
        task: decodeTask(cells, cells.length - taskWidth)
      }))
      const i = Number(cells[0])
      if (claimed instanceof Unreadable) unreadable.push([picked[i]![0], reader, claimed.reason, now])
      else claims[i] = claimed
    }
    yield* ends.quarantine(unreadable)
    const mine = claims.filter((claimed) => claimed !== undefined)
    if (mine.length === 0) return []
    const token = yield* write.tokens(mine.length)
    yield* sql`${
      dialect.update({
        table: t.run,
        set: sql`state = 'running', owner = ${lease.owner}, token = u.token, lease_until = ${lease.until},
attempt = r.attempt + 1, started_at = case when r.at_most_once = 0 then ${now} end`,
        source: owned(mine.map(({ run }, i) => [run.generation, run.key, token(i)])),
        where: sql.literal("r.n = u.n and r.run_key = u.run_key")
      })
    }`
    return mine.map(({ run, task }, i): Claimed => ({
      run: {
        ...run,
        state: "running",
        owner: lease.owner,
        token: token(i),
        leaseUntil: lease.until,
        attempt: run.attempt + 1,
        startedAt: run.atMostOnce ? null : now
      },
      task
    }))
  })

  /** Moves runs whose time has come to where claims look. */
  const ripen = (slots: ReadonlyArray<Slot>, now: number) =>
    ofRuns(slots, (from, inSlot) =>
      sql`${
        dialect.mark({
          table: t.run,
          set: sql.literal("later = 0"),
          source: sql`(select q.n, q.run_key from ${from}${t.run} q
where ${inSlot} and q.later = 1 and q.ready_at <= ${now} ${db.limit(ripenLimit)}${dialect.lock("q", "skip")})`,
          where: sql.literal("r.n = u.n and r.run_key = u.run_key")
        })
      }`)

  /** One probe per (executor, tag), and what lines of these tags have; then one run of each slot in turn. */
  const pick = Effect.fnUntraced(function*(
    slots: ReadonlyArray<Slot>,
    lined: ReadonlySet<string>,
    options: { readonly now: number; readonly limit: number; readonly reader: string }
  ): Effect.fn.Return<
    { readonly picked: ReadonlyArray<readonly [n: number, key: string]>; readonly locked: ReadonlyArray<Line> },
    SqlError
  > {
    interface Queue {
      readonly executor: string
      readonly tag: string
      version: number
      limit: number
      rows: ReadonlyArray<Candidate>
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
      return { queue, version: slot.version, left: slot.limit, at: 0, full: new Set<Line>() }
    })
    for (const queue of queues.values()) {
      // by what they are sorted with those of lines, if there are any
      const order = sql.literal(lined.has(queue.tag) ? ", q.priority, q.due" : "")
      const rows = yield* sql`select q.n, q.run_key, q.version${order} from ${t.run} q
where q.executor = ${queue.executor} and q.tag = ${queue.tag} and q.state = 'ready' and q.held = 0 and q.later = 0
and q.ready_at <= ${options.now} and q.version <= ${queue.version}
and not exists (select 1 from ${t.verdict} v where v.n = q.n and v.reader = ${options.reader})
order by q.priority desc, q.due, q.n, q.run_key ${db.limit(Math.min(queue.limit, options.limit))}${
        dialect.lock("q", "skip")
      }`.values
      queue.rows = rows.map((cells) => candidate(cells))
    }
    const locked: Array<Line> = []
    for (const tag of lined) {
      const mine = [...queues.values()].filter((queue) => queue.tag === tag)
      let last: Place | undefined
      let found = 0
      do {
        const page = yield* lines.lock(tag, last, options.limit)
        locked.push(...page.lines)
        for (const queue of mine) {
          const keyed = yield* lines.first(page.lines, queue, {
            ...options,
            limit: Math.min(queue.limit, options.limit)
          })
          found += keyed.length
          if (keyed.length > 0) queue.rows = [...queue.rows, ...keyed].sort(inClaimOrder)
        }
        last = page.lines.length < options.limit ? undefined : page.last
      } while (last !== undefined && found < options.limit)
    }
    const picked: Array<readonly [number, string]> = []
    let active = turns
    while (active.length > 0 && picked.length < options.limit) {
      const rest: typeof turns = []
      for (const turn of active) {
        if (turn.left <= 0 || picked.length >= options.limit) continue
        const { rows, taken } = turn.queue
        const mayHave = (row: Candidate): boolean => {
          if (row.version > turn.version) return false
          if (row.line === undefined) return true
          // a line is served in its order: who comes after one that may not begin waits too
          if (turn.full.has(row.line)) return false
          if (!allows(row)) turn.full.add(row.line)
          return allows(row)
        }
        while (turn.at < rows.length && (taken.has(turn.at) || !mayHave(rows[turn.at]!))) turn.at++
        const row = rows[turn.at]
        if (row === undefined) continue
        taken.add(turn.at)
        if (row.line !== undefined) row.line.running++
        picked.push([row.n, row.key])
        turn.left--
        rest.push(turn)
      }
      active = rest
    }
    for (const { rows, taken } of queues.values()) {
      rows.forEach((row, at) => {
        if (row.line !== undefined && !taken.has(at) && allows(row)) row.line.left = true
      })
    }
    return { picked, locked }
  })

  const owned = source([["n", "int"], ["run_key", "text"], ["token", "int"]])
  // `lease_until is not null` says that a run is running, and names no column of a partial index: where rows are found
  // by key, a planner must not be tempted by an index full of dead entries
  const isOwned = (owner: string) =>
    sql`r.n = u.n and r.run_key = u.run_key and r.token = u.token and r.owner = ${owner} and r.lease_until is not null`
  /** Updates runs that this owner has, those of a statement after those of another, and answers rows of them. */
  const updateOwned = (owner: string, runs: ReadonlyArray<RunRef>, set: Statement.Fragment, columns: string) => {
    const refs = runs.map(({ generation, key, token }) => [generation, key, token] as const).sort(inOrder)
    const slices = Array.from({ length: Math.ceil(refs.length / rowsAtOnce) }, (_, i) => i * rowsAtOnce)
    return Effect.map(
      Effect.forEach(slices, (from) =>
        dialect.updated(
          sql,
          { table: t.run, set, source: owned(refs.slice(from, from + rowsAtOnce)), where: isOwned(owner) },
          columns
        )),
      (rows) => rows.flat()
    )
  }

  const start: Store["start"] = ({ now, owner, runs }) =>
    runs.length === 0 ? Effect.succeed([]) : db.write("start", () =>
      Effect.map(
        updateOwned(owner, runs, sql`started_at = coalesce(r.started_at, ${now})`, "n, run_key, token"),
        (rows) => {
          const started = new Map(rows.map(([n, key, token]) => [refKey(n, key), Number(token)]))
          return runs.map(({ generation, key, token }) => started.get(refKey(generation, key)) === token)
        }
      ))

  const heartbeat: Store["heartbeat"] = ({ lease, runs }) =>
    runs.length === 0 ? Effect.succeed([]) : db.write("heartbeat", () =>
      Effect.map(
        // as `extendLease`
        updateOwned(
          lease.owner,
          runs,
          sql`lease_until = case when r.lease_until > ${lease.until} and r.lease_until < ${lease.until + plausibleLease}
then r.lease_until else ${lease.until} end`,
          "n, run_key, token, cancel"
        ),
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

  const cancel: Store["cancel"] = (runs) =>
    runs.length === 0 ? Effect.succeed([]) : db.write("cancel", (write) =>
      Effect.gen(function*() {
        // the first reason of each: an update takes any of several rows
        const reasons = new Map<string, readonly [number, string, string]>()
        for (const { generation, key, reason } of runs) {
          const ref = refKey(generation, key)
          if (!reasons.has(ref)) reasons.set(ref, [generation, key, reason])
        }
        const rows = yield* dialect.updated(sql, {
          table: t.run,
          set: sql.literal("cancel = coalesce(r.cancel, u.reason)"),
          source: source([["n", "int"], ["run_key", "text"], ["reason", "text"]])([...reasons.values()].sort(inOrder)),
          where: sql.literal("r.n = u.n and r.run_key = u.run_key and r.lease_until is not null")
        }, "n, run_key")
        if (rows.length > 0) write.brought.cancel = true
        const running = new Set(rows.map(([n, key]) => refKey(n, key)))
        return runs.map(({ generation, key }) => running.has(refKey(generation, key)))
      }))

  return { claim, start, heartbeat, cancel }
}
