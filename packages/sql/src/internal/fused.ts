/**
 * Plain batches in one statement each, where a database has statements that lock, write and answer at once (Postgres).
 *
 * Most batches are plain: each task is new, its position moves and brings a new run, or each run ends and nothing else happens. As
 * transactions of several statements they would wait for the network again and again, with their locks held. As one they
 * are one round trip, and whoever is frozen in the middle of it holds nothing.
 *
 *     insert:  u  ─▶  g (where all ids are free: numbered)  ─▶  a (tasks), c (their clocks)
 *     commit:  u (rows that pass their compare-and-set, locked)  ─▶  p (clocks moved)  ─▶  w (their runs)
 *     settle:  u (runs that may simply end)  ─▶  d (deleted, numbered)  ─▶  h (history),  b (what it drops)
 *
 * Each step takes its rows from what the one before it has written, so that all of an entry happens or nothing. A row is
 * written where this statement saw it: one that was changed while its lock was waited for is passed over, like all that is
 * not plain, and left to the transactions of `commits` and `settlements`, which know every case.
 *
 * The rules of `postgres.ts` hold: clocks that are locked are conflicts, runs are deleted in the order of (n, key), each only
 * while its token is the one it was found with. Nobody else creates runs of a task whose clock passed its compare-and-set, so
 * a key that is not open stays so until its run is there. Who ends another run of the same task at the same time numbers its
 * history alike: its key refuses the second statement, and the transactions do what that one was to do. What a run takes over from its task comes with the change (`seen`):
 * while the revision is the same, so is that.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { SqlError } from "effect/sql/SqlError"
import type { NewRun, TaskPosition } from "punctual/TaskRecord"
import type {
  Change,
  Committed,
  Inserted,
  Lease,
  NewTask,
  Seen,
  Settled,
  Settlement,
  TaskStoreError
} from "punctual/TaskStore"
import { rowsAtOnce, textAtOnce } from "./creations.ts"
import { type Database, newerSchema } from "./database.ts"
import type { Columns } from "./dialect.ts"
import type { Ends } from "./ends.ts"
import {
  type Cells,
  claimedRunRow,
  definitionFields,
  type Field,
  newTaskRow,
  type Outcome,
  outcomeFields,
  positionFields,
  routeFields,
  runColumns,
  sharingFields
} from "./records.ts"
import { schemaVersion } from "./schema.ts"
import { bringsDue, brought } from "./wakes.ts"

/** What each entry became; `undefined`: it is not plain, and nothing was done. */
type Answers<A> = Array<A | undefined>

export interface Fused {
  readonly insert: (tasks: ReadonlyArray<NewTask>) => Effect.Effect<Answers<Inserted>, TaskStoreError>
  readonly commit: (changes: ReadonlyArray<Change>) => Effect.Effect<Answers<Committed>, TaskStoreError>
  readonly settle: (
    settlements: ReadonlyArray<Settlement>,
    keep: number
  ) => Effect.Effect<Answers<Settled>, TaskStoreError>
}

/** Does the rest: what is not plain. */
export const unfused = <Entry, A>(
  entries: ReadonlyArray<Entry>,
  fused: Effect.Effect<Answers<A>, TaskStoreError>,
  others: (
    entries: ReadonlyArray<Entry>,
    answers: ReadonlyArray<A | undefined>
  ) => Effect.Effect<ReadonlyArray<A>, TaskStoreError>
): Effect.Effect<ReadonlyArray<A>, TaskStoreError> =>
  Effect.flatMap(fused, (answers) => {
    const rest = entries.flatMap((_, i) => answers[i] === undefined ? [i] : [])
    if (rest.length === 0) return Effect.succeed(answers as Array<A>)
    return Effect.map(others(rest.map((i) => entries[i]!), answers), (later) => {
      later.forEach((answer, k) => answers[rest[k]!] = answer)
      return answers as Array<A>
    })
  })

/** A change of the position alone, with at most one run, which is ready. */
interface Plain {
  readonly i: number
  readonly change: Change
  readonly seen: Seen
  readonly run: NewRun | undefined
}

/** Plain changes that set the same fields at the same time, and claim alike. */
interface Group {
  readonly fields: number
  readonly now: number
  readonly lease: Lease | undefined
  /** Whether their runs are occurrences, most of which say the same four times. */
  readonly occurrences: boolean
  readonly plain: Array<Plain>
}

/** What the row of a new run says of itself, and how it is sent. */
interface RunKind {
  readonly columns: Columns
  /** Adds its cells to its row. */
  readonly push: (row: Array<unknown>, run: NewRun | undefined) => void
  readonly key: string
  readonly nominal: string
  readonly readyAt: string
}

/**
 * An occurrence that is ready when it is due, and named by that instant. No position comes to one twice, so its key is free;
 * where it is not, the history of this task was written by hand, the insert fails, and the transactions do what is right.
 */
const occurrence: RunKind = {
  columns: [["run_due", "int"]],
  push: (row, run) => row.push(run === undefined ? null : run.due),
  key: "p.run_due::text",
  nominal: "p.run_due",
  readyAt: "p.run_due"
}

const isOccurrence = ({ due, key, nominal, readyAt }: NewRun): boolean =>
  nominal === due && readyAt === due && key === String(due)

const otherRun: RunKind = {
  columns: [["run_key", "text"], ["run_due", "int"], ["run_nominal", "int"], ["ready_at", "int"]],
  push: (row, run) =>
    run === undefined ? row.push(null, null, null, null) : row.push(run.key, run.due, run.nominal, run.readyAt),
  key: "p.run_key",
  nominal: "p.run_nominal",
  readyAt: "p.ready_at"
}

/** What history has of a run that ends, besides what its row has; and what no such row has. */
const given = new Set(["state", "exit", "concurrency_key", "concurrency_limit"])

export const makeFused = (db: Database, ends: Ends): Fused => {
  const { dialect, source, sql, t, values } = db

  /** Reads the versions, as every writer does: see `postgres.ts`. */
  const mayWrite = sql`exists (select 1 from ${t.meta} where minimum_writer <= ${sql.literal(String(schemaVersion))})`

  /** Nothing passed: perhaps since nobody like us may write any more. */
  const refuse = Effect.fnUntraced(function*(operation: string) {
    const rows = yield* values(sql`select version, minimum_writer from ${t.meta}`)
    const [version = 0, minimumWriter = 0] = (rows[0] ?? []).map(Number)
    if (minimumWriter > schemaVersion) return yield* newerSchema(db.store, operation, { version, minimumWriter })
  })

  /**
   * Runs a statement as a transaction of its own. Inside another one, and where somebody is in the way, it is left to those
   * who know what to do then.
   */
  const alone = (
    operation: string,
    statement: Effect.Effect<void, SqlError | TaskStoreError>
  ): Effect.Effect<void, TaskStoreError> =>
    Effect.withFiber((fiber) =>
      Context.getOrUndefined(fiber.context, sql.transactionService) !== undefined ? Effect.void : statement.pipe(
        Effect.catchIf(
          // a session may be read-only, or serializable, where its transactions say nothing else
          (error) =>
            error instanceof SqlError &&
            (dialect.isContended(error) || error.reason._tag === "UniqueViolation" ||
              dialect.reason(error).reason === "ReadOnly"),
          () => Effect.void
        ),
        Effect.mapError(db.fail(operation))
      )
    )

  /**
   * The columns whose cells differ, and how each is written: from a row of `u`, or where all are alike, as that cell. What
   * moves with each occurrence is apart from the rest, in which tasks agree that have nothing else in common; any finer, and
   * there would be more statements than a connection keeps prepared.
   */
  const common = <Source>(fields: ReadonlyArray<Field<Source>>, sources: ReadonlyArray<Source>) => {
    const parts = [fields.filter(moves), fields.filter((field) => !moves(field))].map((fields) => ({
      fields,
      same: areAlike(fields, sources) ? fields.flatMap((field) => field.encode(sources[0]!)) : undefined
    }))
    const sent = parts.flatMap(({ fields, same }) => same === undefined ? fields : [])
    return {
      columns: sent.flatMap(({ columns }) => columns),
      /** Adds the cells of a source to its row. */
      push: (row: Array<unknown>, i: number): void => {
        for (const field of sent) row.push(...field.encode(sources[i]!))
      },
      values: parts.flatMap(({ fields, same }) =>
        fields.flatMap(({ columns }) => columns).map(([name, type], k) =>
          [
            name,
            (alias: string) => {
              if (same === undefined) return sql.literal(`${alias}.${name}`)
              const cell = same[k]!
              return sql`${cell === null ? null : String(cell)}::${sql.literal(type === "int" ? "bigint" : "text")}`
            }
          ] as const
        )
      )
    }
  }

  type Common = ReturnType<typeof common>

  const valuesOf = ({ values }: Common, alias: string) => sql.join(", ", false)(values.map(([, value]) => value(alias)))

  // ---------------------------------------------------------------------------
  // insert
  // ---------------------------------------------------------------------------

  const own: Columns = [["id", "text"], ["payload", "text"], ["display", "text"]]
  const definitions = definitionFields.filter(({ key }) => key !== "payload" && key !== "display")

  /** Tasks of other ids, without labels, runs and concurrency keys. */
  const insert: Fused["insert"] = (tasks) =>
    Effect.suspend(() => {
      const answers = new Array<Inserted | undefined>(tasks.length).fill(undefined)
      const ids = new Set<string>()
      let text = 0
      for (const { concurrencyKey, display, id, labels, payload, runs } of tasks) {
        if (concurrencyKey !== null || labels !== "{}" || (runs !== undefined && runs.length > 0)) {
          return Effect.succeed(answers)
        }
        ids.add(id)
        text += payload.length + display.length
      }
      if (ids.size < tasks.length || ids.size > rowsAtOnce || text > textAtOnce) return Effect.succeed(answers)
      const definition = common(definitions, tasks)
      const position = common(positionFields, tasks)
      const rows = source([...own, ...definition.columns, ...position.columns])(
        tasks.map(({ display, id, payload }, i) => {
          const row: Array<unknown> = [id, payload, display]
          definition.push(row, i)
          position.push(row, i)
          return row
        })
      )
      const names = ({ values }: Common) => sql.literal(values.map(([name]) => name).join(", "))
      const statement = values(
        sql`with u as materialized (
  select u.* from ${rows} u
), g as materialized (
  select u.*, nextval(${`${db.prefix}_generation_seq`}::regclass) as n from u where ${mayWrite} and not exists (
    select 1 from u cross join lateral (select 1 from ${t.task} t where t.id = u.id limit 1 offset 0) t
  )
), a as (
  insert into ${t.task} (n, id, payload, display, ${names(definition)})
  select g.n, g.id, g.payload, g.display, ${valuesOf(definition, "g")} from g order by g.id
), c as (
  insert into ${t.clock} (n, id, revision, ${names(position)}) select g.n, g.id, 1, ${valuesOf(position, "g")} from g
)
select g.i, g.n from g`
      )
      return Effect.as(
        alone(
          "insert",
          Effect.flatMap(statement, (rows) => {
            const change = brought()
            for (const [i, n] of rows) {
              const task = tasks[Number(i)]!
              bringsDue(change, task.due)
              answers[Number(i)] = { _tag: "Inserted", row: newTaskRow(task, Number(n)) }
            }
            return change.due === Infinity ? Effect.void : db.wakes.tell(change)
          })
        ),
        answers
      )
    })

  // ---------------------------------------------------------------------------
  // commit
  // ---------------------------------------------------------------------------

  const groupsOf = (changes: ReadonlyArray<Change>): ReadonlyArray<Group> => {
    const groups = new Map<string, Group>()
    const repeated = duplicates(changes)
    // most are like the one before
    let last: Group | undefined
    changes.forEach((change, i) => {
      const [op] = change.runs
      const { now, seen } = change
      const fields = fieldsOf(change.set)
      if (seen === undefined || seen.concurrencyKey !== null || fields === undefined || change.runs.length > 1) return
      if (repeated.has(change.generation) || (op !== undefined && (op._tag !== "Create" || op.run.state !== "ready"))) {
        return
      }
      const run = op?.run
      const lease = op?.claim
      const occurrences = run === undefined || isOccurrence(run)
      if (
        last?.fields !== fields || last.now !== now || last.occurrences !== occurrences ||
        last.lease?.until !== lease?.until || last.lease?.owner !== lease?.owner
      ) {
        const key = `${fields} ${now} ${occurrences} ${lease === undefined ? "" : `${lease.until} ${lease.owner}`}`
        last = groups.get(key)
        if (last === undefined) groups.set(key, last = { fields, now, lease, occurrences, plain: [] })
      }
      last.plain.push({ i, change, seen, run })
    })
    return [...groups.values()]
  }

  const identity: Columns = [["n", "int"], ["id", "text"], ["revision", "int"]]

  const commitGroup = (
    { fields, lease, now, occurrences, plain }: Group,
    answers: Answers<Committed>
  ): Effect.Effect<void, SqlError | TaskStoreError> => {
    const set = positionFields.filter((_, bit) => (fields & (1 << bit)) !== 0)
    const position = common(set, plain.map(({ change }) => change.set as TaskPosition))
    const route = common(routeFields, plain.map(({ seen }) => seen))
    const sharing = common(sharingFields, plain.map(({ run }) => run ?? noRun))
    const kind = occurrences ? occurrence : otherRun
    /** What is sent of each run, and what all have in common. */
    const sent = [...kind.columns, ...route.columns, ...sharing.columns]
    const taken = new Map([...route.values, ...sharing.values])
    const of = (column: string) => taken.get(column)!("p")
    const rows = source([...identity, ...position.columns, ...sent])(
      plain.map(({ change: { generation, id, revision }, run }, i) => {
        const row: Array<unknown> = [generation, id, revision]
        position.push(row, i)
        kind.push(row, run)
        route.push(row, i)
        sharing.push(row, i)
        return row
      })
    )
    ends.isLater(now, now)
    const [state, attempt, owner, until] = lease === undefined
      ? ["ready", 0, null, null] as const
      : ["running", 1, lease.owner, lease.until] as const
    const moved = values(
      sql`with u as materialized (
  select u.*, c.row_at from ${rows} u cross join lateral (
    select c.ctid as row_at from ${t.clock} c where c.n = u.n and c.revision = u.revision and c.id = u.id
    offset 0 for no key update of c skip locked
  ) c where ${mayWrite}
), p as (
  update ${t.clock} r set revision = r.revision + 1${
        sql.join("", false)(position.values.map(([name, value]) => sql`, ${sql.literal(name)} = ${value("u")}`))
      } from u where r.ctid = u.row_at
  returning ${sql.literal(["i", "n", "id", ...sent.map(([name]) => name)].map((name) => `u.${name}`).join(", "))}, ${
        lease === undefined ? sql`null::bigint` : sql`nextval(${`${db.prefix}_token_seq`}::regclass)`
      } as token
), w as (
  insert into ${t.run} (n, run_key, task_id, tag, version, executor, priority, due, nominal, state, ready_at, attempt,
    created_at, owner, token, started_at, slots, queues, at_most_once, lease_until, later)
  select p.n, ${sql.literal(kind.key)}, p.id, ${of("tag")}, ${of("version")}, ${of("executor")}, ${
        of("priority")
      }, p.run_due, ${sql.literal(kind.nominal)}, ${state}, ${sql.literal(kind.readyAt)},
    ${attempt}, ${now}, ${owner}, p.token, case when p.token is not null and ${
        of("at_most_once")
      } = 0 then ${now}::bigint end,
    ${of("slots")}, ${of("queues")}, ${of("at_most_once")}, ${until}, case when ${
        sql.literal(kind.readyAt)
      } > ${now} then 1 else 0 end
  from p where p.run_due is not null${
        occurrences ? sql`` : sql` and not exists (
    select 1 from ${t.run} x where x.n = p.n and x.run_key = p.run_key limit 1 offset 0
  )`
      }${occurrences ? sql`` : sql` returning 1`}
)
select p.i, p.token${occurrences ? sql`` : sql`, (select count(*) from w)`} from p`
    )
    return Effect.gen(function*() {
      const rows = yield* moved
      if (rows.length === 0) yield* refuse("commit")
      const change = brought()
      const creates = occurrences ? 0 : rows.filter(([i]) => plain[Number(i)]!.run !== undefined).length
      const open = creates === Number(rows[0]?.[2] ?? 0) ? undefined : yield* tokensOf(rows, plain)
      for (const { i } of plain) answers[i] = { _tag: "Conflict" }
      for (const [at, token] of rows) {
        const { change: { generation, id, revision, set: { due } }, i, run, seen } = plain[Number(at)]! as Plain & {
          readonly change: { readonly set: Partial<TaskPosition> }
        }
        // whoever knows of the row looks at it when it was due, and not later for this
        if (!(seen.due !== null && seen.due <= (due ?? -Infinity))) bringsDue(change, due)
        const created = run !== undefined && lease !== undefined && (open === undefined || open.has(Number(token)))
        if (run !== undefined && lease === undefined) change.ready = true
        answers[i] = {
          _tag: "Committed",
          revision: revision + 1,
          claimed: !created ? [] : [claimedRunRow(id, generation, seen, run, now, lease, Number(token))]
        }
      }
      if (change.due !== Infinity || change.ready) yield* db.wakes.tell(change)
    })
  }

  /** The tokens of runs that these changes were to create: a claim that found its key open has none of them. */
  const tokensOf = (rows: ReadonlyArray<Cells>, plain: ReadonlyArray<Plain>) =>
    Effect.map(
      values(
        sql`select r.token from ${
          dialect.join(
            source([["n", "int"], ["run_key", "text"]])(rows.flatMap(([i]) => {
              const { change, run } = plain[Number(i)]!
              return run === undefined ? [] : [[change.generation, run.key]]
            })),
            t.run,
            sql.literal("r.n = u.n and r.run_key = u.run_key")
          )
        }`
      ),
      (rows) => new Set(rows.map(([token]) => token === null ? null : Number(token)))
    )

  const commit: Fused["commit"] = (changes) =>
    Effect.suspend(() => {
      const answers = new Array<Committed | undefined>(changes.length).fill(undefined)
      return Effect.as(
        Effect.forEach(
          groupsOf(changes),
          (group) =>
            Effect.catch(alone("commit", commitGroup(group, answers)), (error) => {
              if (!anyCommitted(answers)) return Effect.fail(error)
              for (const { i } of group.plain) answers[i] = { _tag: "Conflict" }
              return Effect.void
            }),
          { discard: true }
        ),
        answers
      )
    })

  // ---------------------------------------------------------------------------
  // settle
  // ---------------------------------------------------------------------------

  const kept = runColumns.filter((column) => !given.has(column))
  const ended = (alias: string) => sql.literal(kept.map((column) => `${alias}.${column}`).join(", "))

  const ending: Columns = [["n", "int"], ["run_key", "text"], ["token", "int"], ["ended_at", "int"]]

  interface PlainEnd {
    readonly i: number
    readonly settlement: Settlement
    readonly outcome: Outcome
  }

  /** Ends of runs that nobody waits for. */
  const settle: Fused["settle"] = (settlements, keep) =>
    Effect.suspend(() => {
      const answers = new Array<Settled | undefined>(settlements.length).fill(undefined)
      const repeated = duplicates(settlements)
      const owner = settlements[0]?.owner
      const plain: Array<PlainEnd> = []
      settlements.forEach((settlement, i) => {
        const { generation, result, task } = settlement
        if (result._tag !== "End" || task !== undefined || settlement.owner !== owner) return
        if (!repeated.has(generation)) plain.push({ i, settlement, outcome: result })
      })
      if (plain.length === 0 || keep < 1) return Effect.succeed(answers)
      // one of each task
      plain.sort((self, that) => self.settlement.generation - that.settlement.generation)
      const outcome = common(outcomeFields, plain.map(({ outcome }) => outcome))
      const rows = source([...ending, ...outcome.columns])(
        plain.map(({ settlement: { generation, key, now, token } }, k) => {
          const row: Array<unknown> = [generation, key, token, now]
          outcome.push(row, k)
          return row
        })
      )
      const statement = sql`with u as materialized (
  select u.*, r.row_at from ${rows} u cross join lateral (
    select r.ctid as row_at from ${t.run} r
    where r.n = u.n and r.run_key = u.run_key and r.token = u.token and r.owner = ${owner}
      and r.lease_until is not null and r.queues = 0 and r.concurrency_key is null
    offset 0
  ) r where ${mayWrite}
), d as (
  delete from ${t.run} r using u where r.ctid = u.row_at and r.token = u.token
  returning ${ended("r")}, ${
        sql.literal(["i", "ended_at", ...outcome.columns.map(([name]) => name)].map((name) => `u.${name}`).join(", "))
      },
    1 + coalesce((select max(h.no) from ${t.history} h where h.n = r.n), 0) as no
), h as (
  insert into ${t.history} (${sql.literal(kept.join(", "))}, ${
        sql.literal(outcome.values.map(([name]) => name).join(", "))
      }, no, ended_at)
  select ${ended("d")}, ${valuesOf(outcome, "d")}, d.no, d.ended_at from d
), b as (
  delete from ${t.history} r where r.ctid = any(array(
    select h.row_at from d cross join lateral (
      select h.ctid as row_at from ${t.history} h where h.n = d.n and h.no <= d.no - ${keep}::bigint offset 0
    ) h where d.no > ${keep}::bigint
  ))
)
select d.i from d`
      return Effect.as(
        alone(
          "settle",
          Effect.map(statement.values, (rows) => {
            for (const [i] of rows) answers[plain[Number(i)]!.i] = "Settled"
          })
        ),
        answers
      )
    })

  return { insert, commit, settle }
}

const areAlike = <Source>(fields: ReadonlyArray<Field<Source>>, sources: ReadonlyArray<Source>): boolean => {
  const [first] = sources
  if (first === undefined) return false
  for (const source of sources) {
    for (const field of fields) if (!field.alike(source, first)) return false
  }
  return true
}

const moves = ({ columns }: { readonly columns: Columns }): boolean => movingColumns.has(columns[0]![0])
const movingColumns = new Set(["rule", "position", "due", "nominal", "epoch", "ran"])

/** In the place of a run, where none is created. */
const noRun = { slots: 1, queues: false, atMostOnce: false }

export const anyCommitted = (answers: ReadonlyArray<Committed | undefined>): boolean =>
  answers.some((answer) => answer?._tag === "Committed")

/** The generations that several entries are of: these depend on each other. */
const duplicates = (entries: ReadonlyArray<{ readonly generation: number }>): ReadonlySet<number> => {
  const seen = new Set<number>()
  const twice = new Set<number>()
  for (const { generation } of entries) {
    if (seen.has(generation)) twice.add(generation)
    else seen.add(generation)
  }
  return twice
}

const bits = new Map<string, number>()
positionFields.forEach(({ key }, bit) => bits.set(key, (bits.get(key) ?? 0) | (1 << bit)))

/** Which fields of the position are set, as bits; `undefined` where anything else is. */
const fieldsOf = (set: Change["set"]): number | undefined => {
  if (set === "remove") return undefined
  let fields = 0
  for (const key in set) {
    if (set[key as keyof typeof set] === undefined) continue
    const bit = bits.get(key)
    if (bit === undefined) return undefined
    fields |= bit
  }
  return fields
}
