/**
 * How tasks change: one compare-and-set each, with what it does to their runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { RunRow, TaskDefinition, TaskPosition } from "punctual/TaskRecord"
import type { Change, Committed, RunChange, TaskStore } from "punctual/TaskStore"
import type { Creation, Creations } from "./creations.ts"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Ending, Ends } from "./ends.ts"
import type { Cells, RunOrigin } from "./records.ts"
import {
  claimedRunRow,
  decodeRun,
  definitionFields,
  positionFields,
  readable,
  selectRun,
  Unreadable
} from "./records.ts"
import { bringsDue } from "./wakes.ts"

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

export const makeCommits = (
  db: Database,
  ends: Ends,
  creations: Creations
): Pick<TaskStore["Service"], "commit"> => {
  const { source, sql, t, values } = db
  const { create, label, unlabel } = creations

  const byN = source([["n", "int"]])
  const byRef = source([["n", "int"], ["run_key", "text"]])
  const position = sql.literal(
    positionFields.flatMap((field) => field.columns).map(([name]) => `c.${name}`).join(", ")
  )

  const commit: TaskStore["Service"]["commit"] = (changes) =>
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
            const { generation } = changes[i]!
            if (seen.has(generation)) later.push(i)
            else {
              seen.add(generation)
              batch.push(i)
            }
          }
          yield* commitBatch(batch.map((i) => ({ i, change: changes[i]! })), answers, write)
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
      const { change, i } = entries[Number(j)]!
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

  interface Op {
    readonly accepted: Accepted
    readonly op: RunChange
  }

  /**
   * Changes of different runs are made kind by kind; those of one run one after another. Some of one task are made in
   * their order: see `inOrder`.
   */
  const changeRuns = Effect.fnUntraced(function*(
    accepted: ReadonlyArray<Accepted>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const ordered = yield* inOrder(accepted)
    const waves: Array<Array<Op>> = []
    for (const task of accepted) {
      const { runs } = task.change
      if (ordered.has(task)) continue
      const only = runs[0]
      if (only !== undefined && runs.length === 1) {
        ;(waves[0] ??= []).push({ accepted: task, op: only })
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
    for (const [task, running] of ordered) yield* changeInOrder(task, running, write)
    if (waves.length > 1 || ordered.size > 0) yield* reread(accepted)
  })

  /**
   * Changes whose runs depend on each other, with the keys of runs that they cancel and that are running:
   *
   * - one that puts a run in the place of one it cancels, where that one has been claimed meanwhile,
   * - one that ends several runs, not all by their first operation: history numbers them in their order.
   */
  const inOrder = Effect.fnUntraced(function*(
    accepted: ReadonlyArray<Accepted>
  ): Effect.fn.Return<ReadonlyMap<Accepted, ReadonlySet<string>>, SqlError> {
    const found = new Map<Accepted, Set<string>>()
    const asked = accepted.flatMap((task) => {
      const { runs } = task.change
      const cancels = runs.length > 1 ? runs.filter((op) => op._tag === "Cancel") : []
      const before = new Set<string>()
      for (const op of cancels.length > 1 ? runs : []) {
        if (op._tag === "Cancel" && before.has(op.key)) found.set(task, new Set())
        before.add(op._tag === "Create" ? op.run.key : op.key)
      }
      return cancels.length > 0 && runs.some((op) => op._tag === "Create" || op._tag === "Promote")
        ? cancels.map(({ key }) => ({ task, key }))
        : []
    })
    if (asked.length === 0) return found
    const rows = yield* sql`select u.i from ${
      source([["i", "int"], ["n", "int"], ["run_key", "text"]])(
        asked.map(({ key, task }, i) => [i, task.change.generation, key])
      )
    } u cross join ${t.run} r where r.n = u.n and r.run_key = u.run_key and r.lease_until is not null`.values
    for (const [i] of rows) {
      const one = asked[Number(i)]
      if (one === undefined) continue
      const keys = found.get(one.task)
      if (keys === undefined) found.set(one.task, new Set([one.key]))
      else keys.add(one.key)
    }
    return found
  })

  /** One operation after another: once it has asked one of `running` to stop, what else is to run may have to wait. */
  const changeInOrder = Effect.fnUntraced(function*(
    accepted: Accepted,
    running: ReadonlySet<string>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const n = accepted.change.generation
    const asked: Array<Cells> = []
    for (const op of accepted.change.runs) {
      if (op._tag === "Cancel" && running.has(op.key)) asked.push([n, op.key])
      if (asked.length === 0 || !(yield* exceeds(n, op))) {
        yield* changeWave([{ accepted, op }], write)
        continue
      }
      // their ends look for it
      yield* sql`update ${t.run} set queues = 1 where (n, run_key) in (select u.n, u.run_key from ${byRef(asked)} u)`
      if (op._tag === "Create") {
        const run = { ...op.run, state: "waiting", queues: true } as const
        yield* changeWave([{ accepted, op: { _tag: "Create", run } }], write)
      }
    }
  })

  /** Whether it would make more runs of a task ready or running than its `slots`. */
  const exceeds = Effect.fnUntraced(function*(n: number, op: RunChange): Effect.fn.Return<boolean, SqlError> {
    if (op._tag !== "Create" && op._tag !== "Promote") return false
    const open = yield* sql`select r.run_key, r.state, r.slots from ${t.run} r where r.n = ${n}`.values
    const active = open.filter(([, state]) => state !== "waiting").length
    if (op._tag === "Create") {
      return op.run.state === "ready" && active >= op.run.slots && !open.some(([key]) => key === op.run.key)
    }
    return open.some(([key, state, slots]) => key === op.key && state === "waiting" && active >= Number(slots))
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
    if (promotes.length > 0) yield* ends.ready(promotes, ops[0]!.accepted.change.now, write)
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
        const { claimed, origin } = creates[i]!.accepted
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
      const { accepted: { change }, op } = cancels[Number(i)]!
      const n = change.generation
      if (Number(running) === 0) endings.push({ n, key: op.key, now: change.now, cells: ["cancelled", op.reason] })
      else if (before === null) asked.push([n, op.key, op.reason])
    }
    yield* ends.bury([["state", "text"], ["cancel", "text"]], endings, undefined)
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
where r.n = u.n and r.lease_until is null order by r.n, r.due, r.run_key`)
    const nows = new Map(removed.map(({ change }) => [change.generation, change.now]))
    yield* ends.bury(
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

  return { commit }
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
      columns.push(field.columns[i]!)
      cells.push(cell)
    })
  }
  return { columns, cells }
}
