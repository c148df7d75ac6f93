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
import type { Database } from "./database.ts"
import type { Ends } from "./ends.ts"
import { inOrder } from "./locks.ts"
import type { Cells } from "./records.ts"
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

  const slotSource = source([["executor", "text"], ["tag", "text"], ["version", "int"]])
  const slotCells = (slots: ReadonlyArray<Slot>) =>
    slots.map(({ executor, tag, version }) => [executor, tag, version])
  const inSlot = "q.executor = u.executor and q.tag = u.tag and q.state = 'ready' and q.held = 0"
  const inSlotOf = ({ executor, tag }: Slot) =>
    sql`q.executor = ${executor} and q.tag = ${tag} and q.state = 'ready' and q.held = 0`

  /**
   * Asks something of each slot; its number comes first. MySQL walks no index in order, nor to an end, where its first
   * columns are compared with those of another table: there each slot has a question of its own.
   */
  const ofSlots = (
    slots: ReadonlyArray<Slot>,
    columns: (inSlot: Statement.Fragment, version: Statement.Fragment) => Statement.Fragment
  ) =>
    dialect.name === "mysql"
      ? sql`${
        Statement.fragment(slots.flatMap((slot, i) => [
          ...i === 0 ? [] : [Statement.literal(" union all ")],
          ...sql`select ${i}, ${columns(inSlotOf(slot), sql`${slot.version}`)}`.segments
        ]))
      }`
      : sql`select u.i, ${columns(sql.literal(inSlot), sql.literal("u.version"))} from ${slotSource(slotCells(slots))} u`

  const claim: Store["claim"] = Effect.fnUntraced(function*(options) {
    const { lease, limit, now, reader, slots } = options
    if (slots.length === 0) return { runs: [], next: null }

    // Asked before the lock is taken: most claims of an idle program find nothing, and need not make others wait.
    const states = yield* db.read(
      "claim",
      ofSlots(slots, (inSlot, version) =>
        sql`exists (select 1 from ${t.run} q where ${inSlot} and q.later = 0 limit 1 offset 0),
exists (select 1 from ${t.run} q where ${inSlot} and q.later = 1 and q.ready_at <= ${now} limit 1 offset 0),
(select q.ready_at from ${t.run} q where ${inSlot} and q.later = 1 and q.ready_at > ${now} and q.version <= ${version}
  order by q.ready_at limit 1)`).values
    )
    let next: number | null = null
    const sooner = (at: number | null) => {
      if (at !== null && (next === null || at < next)) next = at
    }
    const claimable: Array<Slot> = []
    const ripe: Array<Slot> = []
    for (const [i, some, late, at] of states) {
      sooner(orNull(at))
      if (Number(late) !== 0) ripe.push(slots[Number(i)]!)
      if (Number(some) !== 0 || Number(late) !== 0) claimable.push(slots[Number(i)]!)
    }
    if (now < ends.latest()) {
      const rows = yield* db.read(
        "claim",
        ofSlots(slots, (inSlot, version) =>
          sql`(select min(q.ready_at) from ${t.run} q
  where ${inSlot} and q.later = 0 and q.ready_at > ${now} and q.version <= ${version})`).values
      )
      for (const [, at] of rows) sooner(orNull(at))
    }
    if (claimable.length === 0 || limit <= 0) return { runs: [], next }

    const runs = yield* db.write("claim", (write) =>
      Effect.gen(function*() {
        ends.isLater(now, now)
        if (ripe.length > 0) yield* ripen(ripe, now)
        const picked = yield* pick(claimable, options)
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
      }))
    return { runs, next }
  })

  /** Moves runs whose time has come to where claims look. */
  const ripen = (slots: ReadonlyArray<Slot>, now: number) => {
    const found = (from: Statement.Fragment, inSlot: Statement.Fragment) =>
      sql`${
        dialect.mark({
          table: t.run,
          set: sql.literal("later = 0"),
          source: sql`(select q.n, q.run_key from ${from}${t.run} q
where ${inSlot} and q.later = 1 and q.ready_at <= ${now} ${db.limit(ripenLimit)}${dialect.lock("q", "skip")})`,
          where: sql.literal("r.n = u.n and r.run_key = u.run_key")
        })
      }`
    return dialect.name === "mysql"
      ? Effect.forEach(slots, (slot) => found(sql.literal(""), inSlotOf(slot)), { discard: true })
      : found(sql`${slotSource(slotCells(slots))} u ${dialect.cross} `, sql.literal(inSlot))
  }

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
order by q.priority desc, q.due, q.n, q.run_key ${db.limit(Math.min(queue.limit, options.limit))}${
        dialect.lock("q", "skip")
      }`.values
    }
    const picked: Array<readonly [number, string]> = []
    let active = turns
    while (active.length > 0 && picked.length < options.limit) {
      const rest: typeof turns = []
      for (const turn of active) {
        if (turn.left <= 0 || picked.length >= options.limit) continue
        const { rows, taken } = turn.queue
        while (turn.at < rows.length && (taken.has(turn.at) || Number(rows[turn.at]?.[2]) > turn.version)) turn.at++
        const row = rows[turn.at]
        if (row === undefined) continue
        taken.add(turn.at)
        picked.push([Number(row[0]), String(row[1])])
        turn.left--
        rest.push(turn)
      }
      active = rest
    }
    return picked
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
