/**
 * How attempts end: by their owner's settlement, or by the loss of its lease; and how long history remembers them.
 *
 * Each operation reads what it was asked about, decides, and writes set by set. Between the two nobody else writes to the
 * rows it read: the transaction has the lock, or has locked them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Settled, Settlement, TakenOver, TaskStore } from "punctual/TaskStore"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Ending, Ends } from "./ends.ts"
import { type Fused, unfused } from "./fused.ts"
import { apart, limitOf } from "./lines.ts"
import { makeLocks } from "./locks.ts"
import type { Cells } from "./records.ts"
import {
  decodeRun,
  follow,
  followedColumns,
  orNull,
  readable,
  refKey,
  runColumns,
  selectRun,
  Unreadable
} from "./records.ts"

type Store = TaskStore["Service"]

/** When runs are looked at again whose leases have ended and which somebody else holds: transactions are short. */
const heldPatience = 1000

export const makeSettlements = (
  db: Database,
  ends: Ends,
  fused: Fused | undefined
): Pick<Store, "settle" | "takeover" | "prune"> => {
  const { dialect, source, sql, t, values } = db
  const locks = makeLocks(db)
  const { afterEnds, bury, forget, isLater, revise } = ends

  const byN = source([["n", "int"]])
  const byRef = source([["n", "int"], ["run_key", "text"]])
  const byKey = sql.literal("r.n = u.n and r.run_key = u.run_key")

  interface Entry {
    readonly i: number
    readonly settlement: Settlement
  }

  const settle: Store["settle"] = (settlements, options) =>
    fused === undefined
      ? settleAll(settlements, options)
      : unfused(settlements, fused.settle(settlements, options.keep), (rest) => settleAll(rest, options))

  const settleAll: Store["settle"] = (settlements, { keep }) =>
    settlements.length === 0 ? Effect.succeed([]) : Effect.suspend(() => {
      let clocksFirst = false
      return db.write("settle", (write) =>
        Effect.gen(function*() {
          if (dialect.concurrent) {
            yield* Effect.tapError(
              locks.settling(settlements, clocksFirst),
              () => Effect.sync(() => clocksFirst = true)
            )
          }
          if (!dialect.concurrent && (yield* endAll(settlements, keep))) {
            return new Array<Settled>(settlements.length).fill("Settled")
          }
          const answers = new Array<Settled>(settlements.length).fill("Stale")
          let entries: ReadonlyArray<Entry> = settlements.map((settlement, i) => ({ i, settlement }))
          while (entries.length > 0) entries = yield* settleBatch(entries, keep, answers, write)
          return answers
        }))
    })

  /**
   * Most batches are ends of runs, each of another task, that are still their owner's and for which none waits, nor has a concurrency key: then there
   * is less to read of them, and nothing to decide. Answers whether that was so; if not, nothing was done.
   *
   * Reads 3 cells of a run and not 9 of a run and its task, which took 1.7 of 20 µs for each run.
   */
  const endAll = Effect.fnUntraced(function*(
    settlements: ReadonlyArray<Settlement>,
    keep: number
  ): Effect.fn.Return<boolean, SqlError> {
    const { owner } = settlements[0]!
    const tasks = new Set<number>()
    for (const { generation, owner: own, result, task } of settlements) {
      if (result._tag !== "End" || task !== undefined || own !== owner) return false
      tasks.add(generation)
    }
    if (tasks.size < settlements.length) return false
    const rows = yield* values(
      sql`select u.i, r.token, coalesce((select max(h.no) from ${t.history} h where h.n = u.n), 0) from ${
        dialect.join(byRef(settlements.map(({ generation, key }) => [generation, key])), t.run, byKey)
      } where r.owner = ${owner} and r.lease_until is not null and r.queues = 0 and r.concurrency_key is null`
    )
    if (rows.length < settlements.length) return false
    const endings: Array<Ending> = []
    for (const [i, token, last] of rows) {
      const { generation: n, key, now, result, token: own } = settlements[Number(i)]!
      if (Number(token) !== own || result._tag !== "End") return false
      endings.push({ n, key, now, last: Number(last), cells: [result.state, result.exit] })
    }
    yield* bury(endState, endings, keep)
    return true
  })

  const endState: Columns = [["state", "text"], ["exit", "text"]]
  const endReleased: Columns = [["state", "text"], ["attempt", "int"]]

  /**
   * Settles a batch and answers what must come after it: where one settlement changes the row of its task, all of that
   * task follow each other, since each sees what the one before it did.
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
(select c.state from ${t.clock} c where c.n = u.n),
coalesce((select max(h.no) from ${t.history} h where h.n = u.n), 0)${
        // what goes back to ready follows its row
        write.hasKeys
          ? sql`, r.tag, r.concurrency_key, (select t.tag from ${t.task} t where t.n = u.n), (select t.concurrency_key from ${t.task} t where t.n = u.n)`
          : sql.literal("")}
from ${
        dialect.join(
          byRef(entries.map(({ settlement: { generation, key } }) => [generation, key])),
          t.run,
          byKey
        )
      }`
    )
    for (const cells of rows) found.set(Number(cells[0]), cells)
    const ends = (settlement: Settlement, run: Cells) =>
      settlement.result._tag === "End" || run[5] !== null || run[7] === null

    /** Tasks whose settlements are made one at a time. */
    const ordered = new Set<number>()
    // what one end drops from history is not found there by a repeated settlement that comes after it
    const repeated = new Set(entries.flatMap(({ settlement }, j) => found.has(j) ? [] : [settlement.generation]))
    entries.forEach(({ settlement }, j) => {
      const run = found.get(j)
      if (run === undefined || !owns(settlement, run)) return
      if (repeated.has(settlement.generation)) ordered.add(settlement.generation)
      const changesTask = run[7] !== null &&
        (Number(run[4]) !== 0 || settlement.task !== undefined || (run[7] === "paused" && !ends(settlement, run)))
      if (changesTask || (settlement.result._tag === "Release" && ends(settlement, run))) {
        ordered.add(settlement.generation)
      }
    })
    const turn = new Set<number>()

    const later: Array<Entry> = []
    const unknown: Array<Entry> = []
    /** Runs this batch has settled or put off, with what may settle them again. */
    const settled = new Map<string, { readonly by: Settlement; readonly state: string }>()
    const deferred = new Set<string>()

    const endings: Array<Ending> = []
    const released: Array<Ending> = []
    const retries: Array<Cells> = []
    const releases: Array<Cells> = []
    const postponed: Array<Cells> = []
    const ended = new Map<number, Array<boolean>>()
    const held: Array<readonly [n: number, count: number]> = []
    const tasks: Array<Settlement> = []

    for (const [j, entry] of entries.entries()) {
      const { settlement } = entry
      const { generation: n, key, now, result } = settlement
      const ref = refKey(n, key)
      if (deferred.has(ref)) {
        later.push(entry)
        continue
      }
      const before = settled.get(ref)
      if (before !== undefined) {
        const { by, state } = before
        if (by.token === settlement.token && by.owner === settlement.owner) answers[entry.i] = answer(result, state)
        continue
      }
      const run = found.get(j)
      if (run === undefined) {
        if (turn.has(n)) later.push(entry)
        else unknown.push(entry)
        continue
      }
      if (!owns(settlement, run)) continue
      // back to ready by this token: the same settlement again
      if (Number(run[3]) === 0) {
        answers[entry.i] = "Settled"
        continue
      }
      const queues = Number(run[4]) !== 0
      const alive = run[7] !== null
      if (ordered.has(n)) {
        if (turn.has(n)) {
          deferred.add(ref)
          later.push(entry)
          continue
        }
        turn.add(n)
      }
      write.lines.add(run[9], run[10])
      const state = ends(settlement, run) ? result._tag === "End" ? result.state : "cancelled" : "ready"
      settled.set(ref, { by: settlement, state })
      answers[entry.i] = answer(result, state)
      if (state !== "ready") {
        if (result._tag === "Release") released.push({ n, key, now, cells: [state, Number(run[6]) - 1] })
        else endings.push({ n, key, now, last: Number(run[8]), cells: [state, result.exit] })
        if (alive && queues) ended.set(n, [true])
      } else {
        const hold = run[7] === "paused" ? 1 : 0
        write.lines.add(run[11], run[12])
        if (hold !== 0 && settlement.task === undefined) held.push([n, 1])
        if (result._tag === "Release") {
          if (result.readyAt === undefined) releases.push([n, key, hold, now])
          else postponed.push([n, key, hold, result.readyAt, isLater(result.readyAt, now)])
        } else if (result._tag === "Retry") {
          retries.push([n, key, hold, result.readyAt, isLater(result.readyAt, now), result.exit])
        }
      }
      if (alive && settlement.task !== undefined) tasks.push(settlement)
    }

    if (unknown.length > 0) yield* settledBefore(unknown, answers)
    yield* bury(endState, endings, keep)
    yield* bury(endReleased, released, keep)
    yield* back(
      retries,
      [["ready_at", "int"], ["later", "int"], ["exit", "text"]],
      "ready_at = u.ready_at, exit = u.exit",
      "u.later",
      write
    )
    yield* back(
      releases,
      [["now", "int"]],
      "attempt = r.attempt - 1",
      "case when r.ready_at > u.now then 1 else 0 end",
      write
    )
    yield* back(
      postponed,
      [["ready_at", "int"], ["later", "int"]],
      "attempt = r.attempt - 1, ready_at = u.ready_at",
      "u.later",
      write
    )
    yield* revise(held)
    if (ended.size > 0 || tasks.length > 0) yield* settleTasks(tasks, ended, write, entries[0]!.settlement.now)
    return later
  })

  /** What a settlement is told of a run that is now in this state. */
  const answer = (result: Settlement["result"], state: unknown): Settled =>
    result._tag !== "End" && state === "cancelled" ? "Cancelled" : "Settled"

  /** Whether a settlement presents the token of the latest claim: in `cells`, token and owner come second and third. */
  const owns = ({ owner, token }: Settlement, cells: Cells) =>
    cells[1] !== null && Number(cells[1]) === token && cells[2] === owner

  /** Settlements of runs that are no longer open: of this very token, they are repeated. */
  const settledBefore = Effect.fnUntraced(function*(
    entries: ReadonlyArray<Entry>,
    answers: Array<Settled>
  ): Effect.fn.Return<void, SqlError> {
    const rows = yield* values(
      sql`select u.i, r.token, r.owner, r.state from ${
        dialect.join(
          byRef(entries.map(({ settlement: { generation, key } }) => [generation, key])),
          t.history,
          byKey
        )
      } order by r.no`
    )
    const last = new Map(rows.map((cells) => [Number(cells[0]), cells]))
    entries.forEach(({ i, settlement }, j) => {
      const found = last.get(j)
      if (found !== undefined && owns(settlement, found)) answers[i] = answer(settlement.result, found[3])
    })
  })

  /**
   * running → ready, as what the task now is: a claim must be able to decode the payload it gets. The third cell says
   * whether it is held.
   */
  const back = Effect.fnUntraced(function*(
    cells: ReadonlyArray<Cells>,
    columns: Columns,
    set: string,
    later: string,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    if (cells.length === 0) return
    yield* sql`${
      dialect.update({
        table: t.run,
        set: sql.literal(`state = 'ready', lease_until = null, held = u.held, ${set},
later = ${later} + ${apart("u.concurrency_key")}, ${follow}`),
        source: sql`(select u.*, t.tag, t.version, t.executor, t.priority, t.concurrency_key, ${
          sql.literal(limitOf)
        } as concurrency_limit
from ${
          source([["n", "int"], ["run_key", "text"], ["held", "int"], ...columns])(cells)
        } u cross join ${t.task} t where t.n = u.n)`,
        where: sql.literal("r.n = u.n and r.run_key = u.run_key")
      })
    }`
    if (cells.some((run) => run[2] === 0)) write.brought.ready = true
  })

  /** What settlements change in the rows of their tasks, which are different ones. */
  const settleTasks = Effect.fnUntraced(function*(
    settlements: ReadonlyArray<Settlement>,
    ended: ReadonlyMap<number, ReadonlyArray<boolean>>,
    write: Write,
    now: number
  ): Effect.fn.Return<void, SqlError> {
    // one revision for both: those with a change of their own are counted below
    const own = new Set(settlements.map(({ generation }) => generation))
    yield* afterEnds(ended, now, write, own)
    if (settlements.length === 0) return
    const rows = yield* values(
      sql`select c.n, c.failures, c.state, c.ran, c.missed, c.epoch from ${
        byN(settlements.map(({ generation }) => [generation]))
      } u cross join ${t.clock} c where c.n = u.n`
    )
    const clocks = new Map(rows.map((cells) => [Number(cells[0]), cells]))
    const paused: Array<number> = []
    yield* db.setByN(
      t.clock,
      "revision = r.revision + 1",
      settlements.flatMap(({ generation: n, key, now, task }) => {
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
        if (task.missed === true && !(Number(key) <= Number(clock[5]))) {
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
          set("zone_rules", "text", null)
          paused.push(n)
        }
        return [{ n, columns, cells }]
      })
    )
    if (paused.length > 0) {
      yield* sql`update ${t.run} set held = 1 where state in ('ready', 'waiting') and ${dialect.oneOf("n", paused)}`
    }
  })

  // ---------------------------------------------------------------------------
  // takeover, prune
  // ---------------------------------------------------------------------------

  const takeover: Store["takeover"] = ({ keep, limit, maxTakeovers, now }) =>
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
          const next = orNull(left[0]?.[0])
          // what has ended and is held by somebody else is looked at again a little later
          return { runs, next: next !== null && next <= now && runs.length < limit ? now + heldPatience : next }
        }))
    })

  const takeOver = Effect.fnUntraced(function*(
    options: { readonly now: number; readonly limit: number; readonly maxTakeovers: number; readonly keep: number },
    write: Write
  ): Effect.fn.Return<ReadonlyArray<TakenOver>, SqlError> {
    const { keep, limit, maxTakeovers, now } = options
    const locked = dialect.concurrent ? yield* locks.expired(now, limit) : undefined
    if (locked?.length === 0) return []
    const expired = locked === undefined
      ? sql`(select x.n, x.run_key from ${t.run} x where x.state = 'running' and x.lease_until <= ${now}
  order by x.lease_until, x.token ${db.limit(limit)})`
      : byRef(locked)
    const rows = yield* values(sql`select ${sql.literal(selectRun)}, t.tag, t.version, t.executor, t.priority, c.state,
t.concurrency_key, t.concurrency_limit
from ${dialect.join(expired, t.run, byKey)}
left join ${t.task} t on t.n = u.n left join ${t.clock} c on c.n = u.n order by r.lease_until, r.token`)
    const taken: Array<TakenOver> = []
    const endings: Array<Ending> = []
    const back: Array<Cells> = []
    const odd: Array<Cells> = []
    const ended = new Map<number, Array<boolean>>()
    const held = new Map<number, number>()
    for (const cells of rows) {
      const run = readable(() => decodeRun(cells, 0))
      if (run instanceof Unreadable) {
        odd.push([Number(cells[0]), String(cells[1])])
        write.lines.add(cells[runColumns.indexOf("tag")], cells[runColumns.indexOf("concurrency_key")])
        continue
      }
      write.lines.add(run.tag, run.concurrencyKey)
      const [tag, version, executor, priority, taskState, concurrencyKey, limit] = cells.slice(-7)
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
          priority: Number(priority),
          concurrencyKey: typeof concurrencyKey === "string" ? concurrencyKey : null,
          concurrencyLimit: orNull(limit) ?? 1
        }
        write.lines.add(origin.tag, origin.concurrencyKey)
        const hold = taskState === "paused"
        if (hold) held.set(n, (held.get(n) ?? 0) + 1)
        else write.brought.ready = true
        back.push([
          n,
          key,
          hold ? 1 : 0,
          origin.tag,
          origin.version,
          origin.executor,
          origin.priority,
          origin.concurrencyKey,
          origin.concurrencyKey === null ? null : origin.concurrencyLimit
        ])
        taken.push({ run: { ...lost, ...origin, held: hold }, became, owner: run.owner ?? "" })
        continue
      }
      endings.push({ n, key, now, cells: [became, null, takeovers] })
      if (alive) {
        const ends = ended.get(n)
        if (ends === undefined) ended.set(n, [run.queues])
        else ends.push(run.queues)
      }
      taken.push({ run: { ...lost, endedAt: now }, became, owner: run.owner ?? "" })
    }
    yield* bury([["state", "text"], ["token", "int"], ["takeovers", "int"]], endings, keep)
    if (back.length > 0) {
      isLater(now, now)
      yield* sql`${
        dialect.update({
          table: t.run,
          set: sql`state = 'ready', lease_until = null, held = u.held, token = null, takeovers = r.takeovers + 1,
later = case when r.ready_at > ${now} then 1 else 0 end + ${sql.literal(`${apart("u.concurrency_key")}, ${follow}`)}`,
          source: source([["n", "int"], ["run_key", "text"], ["held", "int"], ...followedColumns])(back),
          where: sql.literal("r.n = u.n and r.run_key = u.run_key")
        })
      }`
    }
    // a row nobody can read has no lease any more: it would be the first to be taken over, for ever
    if (odd.length > 0) {
      yield* sql`${
        dialect.mark({
          table: t.run,
          set: sql.literal("lease_until = null, token = null"),
          source: byRef(odd),
          where: sql.literal("r.n = u.n and r.run_key = u.run_key")
        })
      }`
    }
    yield* revise([...held])
    yield* afterEnds(ended, now, write, new Set())
    return taken
  })

  const prune: Store["prune"] = ({ before, limit }) =>
    db.write("prune", () =>
      Effect.gen(function*() {
        const rows = yield* sql`select h.n, h.no from ${t.history} h where h.ended_at < ${before}
order by h.ended_at, h.n, h.no ${db.limit(limit)}${dialect.lock("h", "skip")}`.values
        if (rows.length === 0) return 0
        const cells = rows.map(([n, no]) => [Number(n), Number(no)] as const)
        yield* sql`${
          dialect.remove({
            table: t.history,
            keys: ["n", "no"],
            source: source([["n", "int"], ["no", "int"]])(cells)
          })
        }`
        yield* forget(new Set(cells.map(([n]) => n)))
        return rows.length
      }))

  return { settle, takeover, prune }
}
