/**
 * What a transaction locks before it reads, where others write beside it. Waits happen in one order: see `postgres.ts`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Settlement } from "punctual/TaskStore"
import type { Database } from "./database.ts"
import { contended } from "./postgres.ts"
import type { Cells } from "./records.ts"

export interface Locks {
  /** All open runs of tasks. */
  readonly runs: (ns: ReadonlyArray<number>) => Effect.Effect<void, SqlError>
  /**
   * Runs that settle, and the clocks of their tasks where these change, or where other runs of them may end at once.
   * Their clocks are locked late, if they can be had; `clocksFirst` waits for all of them first.
   */
  readonly settling: (
    settlements: ReadonlyArray<Settlement>,
    clocksFirst: boolean
  ) => Effect.Effect<void, SqlError>
  /** Runs whose lease has ended, with their clocks, without those that somebody else holds. */
  readonly expired: (now: number, limit: number) => Effect.Effect<ReadonlyArray<Cells>, SqlError>
}

/** By (n, key). */
export const inOrder = (self: readonly [number, string, ...Cells], that: readonly [number, string, ...Cells]): number =>
  self[0] - that[0] || (self[1] < that[1] ? -1 : 1)

export const makeLocks = ({ dialect, limit, source, sql, t, values }: Database): Locks => {
  const byN = source([["n", "int"]])
  const byRef = source([["n", "int"], ["run_key", "text"]])

  const runs: Locks["runs"] = (ns) =>
    ns.length === 0 ? Effect.void : Effect.asVoid(
      sql`select r.n from ${
        dialect.join(
          byN(ns.toSorted((self, that) => self - that).map((n) => [n])),
          t.run,
          sql.literal("r.n = u.n"),
          "wait"
        )
      }`.values
    )

  /** Answers those that somebody else holds. */
  const clocks = Effect.fnUntraced(function*(
    ns: ReadonlySet<number>,
    wait: "wait" | "skip"
  ): Effect.fn.Return<ReadonlySet<number>, SqlError> {
    const locked = yield* sql`select c.n from ${byN(Array.from(ns, (n) => [n]))} u ${dialect.cross} ${t.clock} c
where c.n = u.n order by c.n${dialect.lock("c", wait)}`.values
    const missing = new Set(ns)
    for (const [n] of locked) missing.delete(Number(n))
    if (missing.size === 0 || wait === "wait") return new Set()
    // those that are left are locked, or are not there
    const there = yield* sql`select c.n from ${byN(Array.from(missing, (n) => [n]))} u cross join ${t.clock} c
where c.n = u.n`.values
    return new Set(there.map(([n]) => Number(n)))
  })

  const settling: Locks["settling"] = Effect.fnUntraced(function*(settlements, clocksFirst) {
    if (clocksFirst) yield* clocks(new Set(settlements.map(({ generation }) => generation)), "wait")
    const refs = settlements.map(({ generation, key }) => [generation, key] as const).sort(inOrder)
    const found = yield* sql`select r.n, r.queues <> 0 or exists (
  select 1 from ${t.run} x where x.n = r.n and x.run_key <> r.run_key
) from ${dialect.join(byRef(refs), t.run, sql.literal("r.n = u.n and r.run_key = u.run_key"), "wait")}`.values
    if (clocksFirst) return
    const needed = new Set<number>()
    const open = new Set<number>()
    for (const [n, together] of found) {
      open.add(Number(n))
      if (Number(together) !== 0) needed.add(Number(n))
    }
    for (const { generation, result, task } of settlements) {
      if ((task !== undefined || result._tag !== "End") && open.has(generation)) needed.add(generation)
    }
    if (needed.size === 0) return
    const held = yield* clocks(needed, "skip")
    if (held.size > 0) return yield* contended("tasks of runs that settle are being changed")
  })

  const expired: Locks["expired"] = Effect.fnUntraced(function*(now, count) {
    const rows = yield* values(sql`select x.n, x.run_key from ${t.run} x
where x.state = 'running' and x.lease_until <= ${now} order by x.lease_until, x.token ${limit(count)}${
      dialect.lock("x", "skip")
    }`)
    if (rows.length === 0) return []
    const held = yield* clocks(new Set(rows.map(([n]) => Number(n))), "skip")
    return held.size === 0 ? rows : rows.filter(([n]) => !held.has(Number(n)))
  })

  return { runs, settling, expired }
}
