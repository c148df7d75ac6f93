/**
 * Claims in one statement, where a database has statements that lock, write and answer at once (Postgres): see `fused.ts`.
 *
 *     s (the first runs of each slot, locked)  ─▶  k (one of each slot in turn)  ─▶  p (they have an owner)  ─▶  answer
 *
 * The rows of `k` are counted by no planner, as those of a batch: of many it would read the whole table to find them.
 *
 * What nobody can read is written too, and written back: it is found out only when it has been answered.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Claimed, Slot, TaskStore } from "punctual/TaskStore"
import type { Database } from "./database.ts"
import type { Ends } from "./ends.ts"
import { makeFamiliar } from "./familiar.ts"
import { type Cells, decodeRun, decodeTask, readable, runWidth, selectRunAsFloats, Unreadable } from "./records.ts"

export type ClaimAtOnce = (
  slots: ReadonlyArray<Slot>,
  options: Parameters<TaskStore["Service"]["claim"]>[0]
) => Effect.Effect<ReadonlyArray<Claimed>, SqlError>

/** Slots that share no runs: those of one tag have several versions. */
export const areApart = (slots: ReadonlyArray<Slot>): boolean =>
  new Set(slots.map(({ executor, tag }) => JSON.stringify([executor, tag]))).size === slots.length

export const makeClaimAtOnce = (db: Database, ends: Ends): ClaimAtOnce => {
  const { dialect, source, sql, t, values } = db

  const slotSource = source([["executor", "text"], ["tag", "text"], ["version", "int"], ["most", "int"]])
  const backSource = source([
    ["n", "int"],
    ["run_key", "text"],
    ["owner", "text"],
    ["token", "int"],
    ["started_at", "int"]
  ])

  const familiar = makeFamiliar(dialect)

  /** Before the cells of the run and of its task: what it was before, to be written back. */
  const before = 3

  return Effect.fnUntraced(function*(slots, { lease, limit, now, reader }) {
    const rows = yield* familiar(
      (columns) =>
        values(sql`with s as materialized (
  select u.i, r.turn, r.row_at, r.owner, r.token, r.started_at from ${
          slotSource(slots.map(({ executor, limit, tag, version }) => [executor, tag, version, limit]))
        } u cross join lateral (
    select x.*, row_number() over () as turn from (
      select q.ctid as row_at, q.owner, q.token, q.started_at from ${t.run} q
      where q.executor = u.executor and q.tag = u.tag and q.state = 'ready' and q.held = 0 and q.later = 0
        and q.ready_at <= ${now} and q.version <= u.version
        and not exists (select 1 from ${t.verdict} v where v.n = q.n and v.reader = ${reader})
      order by q.priority desc, q.due, q.n, q.run_key ${
          db.limit(Math.min(limit, Math.max(0, ...slots.map(({ limit }) => limit))))
        } for update skip locked
    ) x
  ) r where r.turn <= u.most
), k as materialized (
  select a.* from (
    select array_agg(s.row_at) as at, array_agg(s.owner) as owners, array_agg(s.token) as tokens,
      array_agg(s.started_at) as starts
    from (select s.* from s order by s.turn, s.i ${db.limit(limit)}) s
  ) x cross join lateral unnest(x.at, x.owners, x.tokens, x.starts)
    with ordinality a(row_at, owner, token, started_at, place)
), p as (
  update ${t.run} r set state = 'running', owner = ${lease.owner}, token = nextval(${`${db.prefix}_token_seq`}::regclass),
    lease_until = ${lease.until}, attempt = r.attempt + 1, started_at = case when r.at_most_once = 0 then ${now}::bigint end
  from k where r.ctid = k.row_at
  returning k.place, k.owner as old_owner, k.token as old_token, k.started_at as old_start, r.*
)
select r.old_owner, r.old_token, r.old_start, ${sql.literal(selectRunAsFloats)}, ${columns}
from p r${dialect.beside(t.clock, "c", "c.n = r.n")}${dialect.beside(t.task, "t", "t.n = r.n")} order by r.place`),
      before + runWidth
    )
    const claims: Array<Claimed> = []
    const unreadable: Array<readonly [n: number, reader: string, reason: string, at: number]> = []
    const back: Array<Cells> = []
    for (const cells of rows) {
      const claimed = readable((): Claimed => ({
        run: decodeRun(cells, before),
        task: decodeTask(cells, before + runWidth)
      }))
      if (claimed instanceof Unreadable) {
        const [owner, token, startedAt, n, key] = cells
        unreadable.push([Number(n), reader, claimed.reason, now])
        back.push([n, key, owner, token, startedAt])
      } else claims.push(claimed)
    }
    if (back.length > 0) {
      yield* ends.quarantine(unreadable)
      yield* sql`${
        dialect.update({
          table: t.run,
          set: sql.literal(`state = 'ready', owner = u.owner, token = u.token, started_at = u.started_at,
lease_until = null, attempt = r.attempt - 1`),
          source: backSource(back),
          where: sql.literal("r.n = u.n and r.run_key = u.run_key")
        })
      }`
    }
    return claims
  })
}
