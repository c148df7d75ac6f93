/**
 * How tasks change: one compare-and-set each, with what it does to their runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { RunRow, TaskDefinition, TaskPosition, TaskRow } from "punctual/TaskRecord"
import type { Change, Committed, RunChange, TaskStore } from "punctual/TaskStore"
import type { Creation, Creations } from "./creations.ts"
import type { Database, Write } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Ending, Ends } from "./ends.ts"
import { anyCommitted, type Fused, unfused } from "./fused.ts"
import { apart } from "./lines.ts"
import { makeLocks } from "./locks.ts"
import { contended } from "./postgres.ts"
import type { Cells, RunOrigin } from "./records.ts"
import {
  claimedRunRow,
  decodeRun,
  definitionCells,
  definitionFields,
  follow,
  followedColumns,
  orNull,
  positionCells,
  positionFields,
  readable,
  selectRun,
  textOrNull,
  Unreadable
} from "./records.ts"
import { bringsDue } from "./wakes.ts"

/** A change that passed its compare-and-set. */
interface Accepted {
  readonly i: number
  readonly change: Change
  readonly before: Before
  /** What runs that it creates take over: the task as `set` leaves it. */
  readonly origin: RunOrigin
  readonly concurrencyKey: string | null
  readonly concurrencyLimit: number
  readonly claimed: Array<RunRow>
}

/** What is not written again where it stays as it is: a column is written to its indexes too, and ranges are long. */
type Before = Partial<TaskPosition>

/**
 * Tasks as they were read when they were last due, by generation: what still has its revision has not changed, so a change
 * of it need not read it again.
 */
export type Known = Map<number, TaskRow>

export const makeCommits = (
  db: Database,
  ends: Ends,
  creations: Creations,
  fused: Fused | undefined,
  known: Known | undefined
): Pick<TaskStore["Service"], "commit"> => {
  const { dialect, source, sql, t, values } = db
  const { create, label, unlabel } = creations
  const locks = makeLocks(db)

  /** What a change ends, no token ends again. */
  const cancelled: Columns = [["state", "text"], ["cancel", "text"], ["token", "int"]]

  const byN = source([["n", "int"]])
  const byRef = source([["n", "int"], ["run_key", "text"]])
  const byKey = sql.literal("r.n = u.n and r.run_key = u.run_key")
  const chosenPosition = chosen(positionFields.flatMap((field) => field.columns))
  const chosenDefinition = chosen(definitionFields.flatMap((field) => field.columns))

  const commit: TaskStore["Service"]["commit"] = (changes) =>
    fused === undefined ? commitKnown(changes) : unfused(changes, fused.commit(changes), (rest, answers) =>
      // what has been committed must be told: its runs are claimed. The rest is read, and tried, again
      Effect.catch(commitAll(rest), (error) =>
        anyCommitted(answers) ? Effect.succeed(rest.map((): Committed => ({ _tag: "Conflict" }))) : Effect.fail(error)))

  const commitAll: TaskStore["Service"]["commit"] = (changes) =>
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

  /**
   * Evaluations of tasks that were read just before, each with one new run: nothing is read of them again, and the update
   * of their positions is the compare-and-set, of all or none. It took 3 of 20 µs for each run to read them and to update
   * them from rows of values.
   */
  const commitKnown: TaskStore["Service"]["commit"] = (changes) => {
    const accepted = known === undefined ? undefined : evaluations(changes, known)
    if (accepted === undefined) return commitAll(changes)
    return Effect.suspend(() => {
      let changed = false
      const transaction = db.write("commit", (write) =>
        Effect.gen(function*() {
          changed = !(yield* advance(accepted, write))
          // undoes it
          if (changed) return yield* contended("tasks have changed since they were read")
          yield* createAll(accepted, write)
          return accepted.map(({ accepted: { change, claimed } }): Committed => ({
            _tag: "Committed",
            revision: change.revision + 1,
            claimed
          }))
        }))
      return Effect.catchIf(transaction, () => changed, () => commitAll(changes))
    })
  }

  /** Moves the positions of all these tasks, and answers whether none of them had changed. */
  const advance = Effect.fnUntraced(function*(
    accepted: ReadonlyArray<Evaluation>,
    write: Write
  ): Effect.fn.Return<boolean, SqlError> {
    interface Move {
      readonly n: number
      readonly revision: number
      readonly cells: Cells
    }
    const groups = new Map<Columns, { readonly moves: Array<Move>; readonly first: Move; alike: boolean }>()
    for (const { accepted: { before, change: { generation: n, revision } }, set } of accepted) {
      const { cells, columns } = chosenPosition(positionCells(set), positionCells(before))
      const move = { n, revision, cells }
      bringsEarlier(write, before, set)
      const group = groups.get(columns)
      if (group === undefined) groups.set(columns, { moves: [move], first: move, alike: true })
      else {
        group.alike &&= revision === group.first.revision && sameCells(cells, group.first.cells)
        group.moves.push(move)
      }
    }
    let moved = 0
    for (const [columns, { alike, first, moves }] of groups) {
      moved += yield* dialect.affected(
        sql,
        alike
          ? sql`update ${t.clock} set revision = revision + 1${
            sql.join("", false)(columns.map(([name], k) => sql`, ${sql.literal(name)} = ${first.cells[k]}`))
          } where ${dialect.oneOf("n", moves.map(({ n }) => n))} and revision = ${first.revision}`
          : dialect.update({
            table: t.clock,
            set: sql.literal(
              ["revision = r.revision + 1", ...columns.map(([name]) => `${name} = u.${name}`)].join(", ")
            ),
            source: source([["n", "int"], ["revision", "int"], ...columns])(
              moves.map(({ cells, n, revision }) => [n, revision, ...cells])
            ),
            where: sql.literal("r.n = u.n and r.revision = u.revision")
          })
      )
    }
    return moved === accepted.length
  })

  /** Changes of different tasks. */
  const commitBatch = Effect.fnUntraced(function*(
    entries: ReadonlyArray<{ readonly i: number; readonly change: Change }>,
    answers: Array<Committed>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const rows = yield* values(
      sql`select u.i, t.id, t.tag, t.version, t.executor, t.priority, c.state, c.due, c.zone_rules, c.ranges,
t.concurrency_key, t.concurrency_limit
from ${
        source([["n", "int"], ["revision", "int"]])(
          entries.map(({ change: { generation, revision } }) => [generation, revision])
        )
      } u${dialect.beside(t.task, "t", "t.n = u.n")}${
        dialect.beside(t.clock, "c", "c.n = u.n and c.revision = u.revision", "skip")
      }`
    )
    const accepted: Array<Accepted> = []
    for (const cells of rows) {
      const [j, id, tag, version, executor, priority, state, due, zoneRules, ranges, key, limit] = cells
      const { change, i } = entries[Number(j)]!
      if (change.id !== id) continue
      const set = change.set === "remove" ? {} : change.set
      const concurrencyKey = set.concurrencyKey === undefined ? textOrNull(key, "concurrency_key") : set.concurrencyKey
      accepted.push({
        i,
        change,
        before: { state, due, zoneRules, ranges } as Before,
        origin: {
          tag: set.tag ?? String(tag),
          version: set.version ?? Number(version),
          executor: set.executor ?? String(executor),
          priority: set.priority ?? Number(priority)
        },
        concurrencyKey,
        concurrencyLimit: set.concurrencyLimit ?? orNull(limit) ?? 1,
        claimed: []
      })
    }
    if (accepted.length === 0) return
    if (dialect.concurrent) {
      yield* locks.runs(accepted.flatMap(({ change }) => touchesRuns(change) ? [change.generation] : []))
    }
    if (accepted.some(({ change: { set } }) => set !== "remove" && typeof set.concurrencyKey === "string")) {
      yield* write.keyed
    }
    for (const { change, concurrencyKey, origin } of accepted) {
      if (change.runs.length > 0 || reroutes(change.set)) write.lines.add(origin.tag, concurrencyKey)
    }
    yield* setRows(accepted, write)
    yield* changeRuns(accepted, write)
    yield* remove(accepted.filter(({ change }) => change.set === "remove"))
    const replacements = accepted.flatMap(({ change: { id, replacement, set } }) =>
      set === "remove" && replacement !== undefined ? [{ ...replacement, id }] : []
    )
    const replaced = yield* creations.insert(replacements, write)
    if (replaced.length < replacements.length) return yield* contended("ids of removed tasks were taken")
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
    for (const { before, change, concurrencyKey, concurrencyLimit, origin } of accepted) {
      if (change.set === "remove") continue
      const set: Set = change.set
      const n = change.generation
      positions.push({ n, ...chosenPosition(positionCells(set), positionCells(before)) })
      bringsEarlier(write, before, set)
      const definition = chosenDefinition(definitionCells(set), [])
      if (definition.columns.length === 0) continue
      definitions.push({ n, ...definition })
      if (set.labels !== undefined) relabelled.push({ n, id: change.id, labels: set.labels })
      if (reroutes(set)) {
        const limit = concurrencyKey === null ? null : concurrencyLimit
        rerouted.push([n, origin.tag, origin.version, origin.executor, origin.priority, concurrencyKey, limit])
        if (concurrencyKey === null) write.brought.ready = true
      }
    }
    yield* db.setByN(t.clock, "revision = r.revision + 1", positions)
    if (definitions.length === 0) return
    yield* db.setByN(t.task, undefined, definitions)
    if (rerouted.length > 0) {
      yield* sql`${
        dialect.update({
          table: t.run,
          set: sql.literal(`${follow},
later = case when r.later >= 2 then r.later - 2 else r.later end + ${apart("u.concurrency_key")}`),
          source: source([["n", "int"], ...followedColumns])(rerouted),
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
    const queueing = new Set<number>()
    for (const { change } of accepted) {
      if (change.runs.some((op) => op._tag === "Create" && op.run.state === "waiting")) queueing.add(change.generation)
    }
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
    for (const [task, running] of ordered) {
      if (yield* changeInOrder(task, running, write)) queueing.add(task.change.generation)
    }
    for (const { change } of accepted) if (change.set === "remove") queueing.delete(change.generation)
    if (queueing.size > 0) yield* queue(queueing, accepted[0]!.change.now, write)
    if (waves.length > 1 || ordered.size > 0 || queueing.size > 0) yield* reread(accepted)
  })

  /** After runs were created that wait: whatever is open looks for them when it ends, and they wait for nothing else. */
  const queue = Effect.fnUntraced(function*(
    ns: Iterable<number>,
    now: number,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const wait: Array<Cells> = []
    const promoted: Array<readonly [number, string]> = []
    for (const [n, { active, waiting }] of yield* ends.lines(ns)) {
      if (waiting.length > 0) wait.push([n])
      for (const [i, [key, slots]] of waiting.entries()) {
        if (active + i >= slots) break
        promoted.push([n, key])
      }
    }
    if (wait.length > 0) {
      yield* sql`${
        dialect.mark({
          table: t.run,
          set: sql.literal("queues = 1"),
          source: byN(wait),
          where: sql.literal("r.n = u.n and r.queues = 0")
        })
      }`
    }
    yield* ends.ready(promoted, now, write)
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
      dialect.join(byRef(asked.map(({ key, task }) => [task.change.generation, key])), t.run, byKey)
    } where r.lease_until is not null`.values
    for (const [i] of rows) {
      const one = asked[Number(i)]
      if (one === undefined) continue
      const keys = found.get(one.task)
      if (keys === undefined) found.set(one.task, new Set([one.key]))
      else keys.add(one.key)
    }
    return found
  })

  /**
   * One operation after another: once it has asked one of `running` to stop, what else is to run may have to wait.
   * Answers whether one that it creates does.
   */
  const changeInOrder = Effect.fnUntraced(function*(
    accepted: Accepted,
    running: ReadonlySet<string>,
    write: Write
  ): Effect.fn.Return<boolean, SqlError> {
    const n = accepted.change.generation
    const asked: Array<Cells> = []
    let waits = false
    for (const op of accepted.change.runs) {
      if (op._tag === "Cancel" && running.has(op.key)) asked.push([n, op.key])
      if (asked.length === 0 || !(yield* exceeds(n, op))) {
        yield* changeWave([{ accepted, op }], write)
        continue
      }
      // their ends look for it
      yield* setRuns("queues = 1", asked)
      if (op._tag === "Create") {
        waits = true
        yield* changeWave([{ accepted, op: { _tag: "Create", run: { ...op.run, state: "waiting" } } }], write)
      }
    }
    return waits
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

  const setRuns = (set: string, refs: ReadonlyArray<Cells>, empty?: "lease_until") =>
    sql`${
      dialect.mark({
        table: t.run,
        set: sql.literal(set),
        source: byRef(refs),
        where: sql.literal(
          `r.n = u.n and r.run_key = u.run_key${empty === undefined ? "" : ` and r.${empty} is null`}`
        )
      })
    }`

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
      yield* sql`${
        dialect.remove({
          table: t.run,
          keys: ["n", "run_key"],
          source: byRef(drops),
          where: sql.literal("r.state = 'waiting'")
        })
      }`
    }
    if (cancels.length > 0) yield* cancel(cancels, write)
    if (creates.length > 0) yield* createAll(creates, write)
    if (promotes.length > 0) yield* ends.ready(promotes, ops[0]!.accepted.change.now, write)
    if (holds.length > 0) {
      yield* setRuns("held = 1", holds, "lease_until")
    }
    if (unholds.length > 0) {
      yield* setRuns("held = 0", unholds, "lease_until")
      write.brought.ready = true
    }
  })

  const createAll = Effect.fnUntraced(function*(
    creates: ReadonlyArray<Op & { readonly op: { readonly _tag: "Create" } }>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const claims = creates.filter(({ accepted: { concurrencyKey }, op }) =>
      op.claim !== undefined && op.run.state === "ready" && concurrencyKey === null
    ).length
    const tokenAt = claims === 0 ? undefined : yield* write.tokens(claims)
    let given = 0
    const creations = creates.map(({ accepted: { change, concurrencyKey }, op: { claim, run } }): Creation => {
      const lease = run.state === "ready" && concurrencyKey === null ? claim : undefined
      return {
        n: change.generation,
        run,
        now: change.now,
        lease,
        token: lease === undefined ? undefined : tokenAt?.(given++)
      }
    })
    const all = yield* create(creations)
    // All of them, nearly always: then there is nothing to look up. A claim that found its key open has no such token.
    let tokens: ReadonlySet<unknown> | undefined
    if (!all) {
      const rows = yield* sql`select r.token from ${
        dialect.join(byRef(creations.map(({ n, run }) => [n, run.key])), t.run, byKey)
      }`.values
      tokens = new Set(rows.map(([token]) =>
        token === null ? null : Number(token)
      ))
    }
    creations.forEach(({ lease, now, run, token }, i) => {
      if (lease === undefined || token === undefined) {
        if (run.state === "ready") write.brought.ready = true
      } else if (tokens === undefined || tokens.has(token)) {
        const { change: { generation, id }, claimed, origin } = creates[i]!.accepted
        claimed.push(claimedRunRow(id, generation, origin, run, now, lease, token))
      }
    })
  })

  const cancel = Effect.fnUntraced(function*(
    cancels: ReadonlyArray<Op & { readonly op: { readonly _tag: "Cancel" } }>,
    write: Write
  ): Effect.fn.Return<void, SqlError> {
    const rows = yield* values(sql`select u.i, r.lease_until is not null, r.cancel
from ${dialect.join(byRef(cancels.map(({ accepted, op }) => [accepted.change.generation, op.key])), t.run, byKey)}`)
    const endings: Array<Ending> = []
    const asked: Array<Cells> = []
    for (const [i, running, before] of rows.toSorted((self, that) => Number(self[0]) - Number(that[0]))) {
      const { accepted: { change }, op } = cancels[Number(i)]!
      const n = change.generation
      if (Number(running) === 0) {
        endings.push({ n, key: op.key, now: change.now, cells: ["cancelled", op.reason, null] })
      } else if (before === null) asked.push([n, op.key, op.reason])
    }
    yield* ends.bury(cancelled, endings, undefined)
    if (asked.length === 0) return
    yield* sql`${
      dialect.update({
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
        dialect.join(byRef(claimed.map(({ generation, key }) => [generation, key])), t.run, byKey)
      }`
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
    const open = yield* values(
      sql`select r.n, r.run_key from ${
        dialect.join(byN(cells), t.run, sql.literal("r.n = u.n"))
      } where r.lease_until is null order by r.n, r.due, r.run_key`
    )
    const nows = new Map(removed.map(({ change }) => [change.generation, change.now]))
    yield* ends.bury(
      cancelled,
      open.map(([n, key]): Ending => ({
        n: Number(n),
        key: String(key),
        now: nows.get(Number(n)) ?? 0,
        cells: ["cancelled", "removed", null]
      })),
      undefined
    )
    yield* unlabel(cells)
    yield* sql`${dialect.remove({ table: t.clock, keys: ["n"], source: byN(cells) })}`
    yield* sql`${dialect.remove({ table: t.task, keys: ["n"], source: byN(cells) })}`
    // last: who keeps a verdict holds the row of the task, and has let it go now
    yield* sql`${dialect.remove({ table: t.verdict, keys: ["n"], source: byN(cells) })}`
    // how its runs are found by its id from now on
    yield* sql`insert into ${t.gone} (id, n) select u.id, u.n from ${
      source([["id", "text"], ["n", "int"]])(removed.map(({ change }) => [change.id, change.generation]))
    } u where exists (select 1 from ${t.run} r where r.n = u.n limit 1 offset 0)
or exists (select 1 from ${t.history} h where h.n = u.n limit 1 offset 0)`
  })

  return { commit }
}

/** Whoever knows of the row looks at it when it was due, and not later for this. */
const bringsEarlier = (write: Write, before: Before, { due }: Partial<TaskPosition>): void => {
  if (!(typeof before.due === "number" && before.due <= (due ?? -Infinity))) bringsDue(write.brought, due)
}

/** A change of a known task that moves its position and creates one run, which does not wait. */
interface Evaluation {
  readonly accepted: Accepted
  readonly set: Partial<TaskPosition>
  readonly op: Extract<RunChange, { readonly _tag: "Create" }>
}

const sameCells = (self: Cells, that: Cells): boolean => {
  for (let k = 0; k < self.length; k++) if (self[k] !== that[k]) return false
  return true
}

/** These changes, where all of them are of that kind. Of two of one task, the second is found to be a conflict. */
const evaluations = (changes: ReadonlyArray<Change>, known: Known): ReadonlyArray<Evaluation> | undefined => {
  const found: Array<Evaluation> = []
  for (let i = 0; i < changes.length; i++) {
    const change = changes[i]!
    const { generation, id, revision, runs, set } = change
    const row = known.get(generation)
    const create = runs[0]
    if (
      row === undefined || row.id !== id || row.revision !== revision || row.concurrencyKey !== null ||
      set === "remove" || runs.length !== 1 ||
      create?._tag !== "Create" || create.run.state !== "ready"
    ) return undefined
    for (const field in set) if (!isPosition.has(field)) return undefined
    found.push({
      accepted: { i, change, before: row, origin: row, concurrencyKey: null, concurrencyLimit: 1, claimed: [] },
      set,
      op: create
    })
  }
  return found.length === 0 ? undefined : found
}

const isPosition: ReadonlySet<string> = new Set(positionFields.map(({ key }) => key))

/** Whether it changes what ready and waiting runs follow. */
const reroutes = (set: Change["set"]): boolean =>
  set !== "remove" && (
    set.tag !== undefined || set.version !== undefined || set.executor !== undefined || set.priority !== undefined ||
    set.concurrencyKey !== undefined || set.concurrencyLimit !== undefined
  )

/** Whether a change concerns runs that are there already, and not only new ones that are ready. */
const touchesRuns = ({ runs, set }: Change): boolean =>
  set === "remove" || reroutes(set) ||
  runs.some((op) => op._tag !== "Create" || op.run.state !== "ready")

/**
 * The columns of the fields that are set, with their cells, without those that are as before. The same columns are the
 * same array.
 */
const chosen = (columns: Columns) => {
  const sets = new Map<number, Columns>()
  return (
    set: ReadonlyArray<number | string | null | undefined>,
    before: ReadonlyArray<unknown>
  ): { readonly columns: Columns; readonly cells: Cells } => {
    const cells: Array<number | string | null> = []
    let mask = 0
    for (let k = 0; k < set.length; k++) {
      const cell = set[k]
      if (cell === undefined || cell === before[k]) continue
      mask |= 1 << k
      cells.push(cell)
    }
    let some = sets.get(mask)
    if (some === undefined) sets.set(mask, some = columns.filter((_, k) => (mask & (1 << k)) !== 0))
    return { columns: some, cells }
  }
}
