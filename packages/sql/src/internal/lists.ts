/**
 * Pages of tasks and runs.
 *
 * A page walks an index in its order. Filters the index does not answer are tested on the way, over `scanLimit` rows at
 * most: a rare match gives short, even empty pages with a `next`, never a statement that stops everything else.
 *
 * | tasks sorted by | walks |
 * |---|---|
 * | id | the index of a label, an event, the owner, the tag or the state, else of the id |
 * | due | the index of due, then tasks without one |
 * | created | the index of creation, of tasks with an event its own |
 * | any, with `ids` | the tasks named |
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import { isOpen } from "punctual/TaskRecord"
import type { Page, RunQuery, TaskQuery } from "punctual/TaskStore"
import { TaskStoreError } from "punctual/TaskStore"
import type { Database } from "./database.ts"
import { pattern } from "./dialect.ts"
import type { Cells } from "./records.ts"
import { decodeRun, decodeTask, readable, selectEnded, selectRun, selectTask, Unreadable } from "./records.ts"

/** Rows tested by one page for filters that no index answers: some ten milliseconds. */
export const scanLimit = 10_000

type Place = ReadonlyArray<string | number | null>

export interface Lists {
  readonly list: (query: TaskQuery) => Effect.Effect<Page<TaskRow>, TaskStoreError>
  readonly runs: (query: RunQuery) => Effect.Effect<Page<RunRow>, TaskStoreError>
}

export const makeLists = (db: Database): Lists => {
  const { dialect, source, sql, t, values } = db

  const badCursor = (operation: string, after: string) =>
    new TaskStoreError({
      store: db.store,
      operation,
      reason: "Invalid",
      message: `${db.store}: not a cursor of this list: ${after}. Pass the \`next\` of a page with the same order.`
    })

  const place = (operation: string, after: string | undefined, length: number): Place | undefined | TaskStoreError => {
    if (after === undefined) return undefined
    try {
      const value: unknown = JSON.parse(after)
      if (Array.isArray(value) && value.length === length) return value as Place
    } catch {
      // told below
    }
    return badCursor(operation, after)
  }

  const where = (conditions: ReadonlyArray<Statement.Fragment>): Statement.Fragment =>
    conditions.length === 0 ? sql`` : sql`where ${sql.join(" and ", false)(conditions)}`

  // ---------------------------------------------------------------------------
  // tasks
  // ---------------------------------------------------------------------------

  /** One walk: rows of (n, key of the order) from `from`, under conditions its index answers. */
  interface Walk {
    readonly from: Statement.Fragment
    readonly n: string
    readonly key: string
    readonly conditions: ReadonlyArray<Statement.Fragment>
    readonly order: string
    /** Where the last page ended. */
    readonly after: Statement.Fragment | undefined
    /** The filters still to be tested, on `t` and `c`. */
    readonly filters: ReadonlyArray<Statement.Fragment>
  }

  interface Found {
    readonly rows: ReadonlyArray<Cells>
    /** Where the walk stopped for this page, if not at its end. */
    readonly stopped: Cells | undefined
  }

  /** SQLite keeps the order of the walk through the join, and would sort again; others promise none. */
  const inOrder = (order: string): Statement.Fragment =>
    dialect.concurrent
      ? sql.literal(order.endsWith("desc") ? " order by w.place desc, w.n desc" : " order by w.place asc, w.n asc")
      : sql``

  const walk = Effect.fnUntraced(function*(walk: Walk, limit: number): Effect.fn.Return<Found, SqlError> {
    const { after, conditions, filters, from, key, n, order } = walk
    const all = after === undefined ? conditions : [...conditions, after]
    const inner = (count: number, skip: number) =>
      sql`select ${sql.literal(n)} as n, ${sql.literal(key)} as place from ${from} ${where(all)}
order by ${sql.literal(order)} ${db.limit(count)}${skip === 0 ? sql`` : sql` offset ${skip}`}`
    if (filters.length === 0) {
      const rows = yield* sql`${inner(limit + 1, 0)}`.values
      return { rows: rows.slice(0, limit), stopped: rows.length > limit ? rows[limit - 1] : undefined }
    }
    const rows = yield* sql`select w.n, w.place from (${inner(scanLimit, 0)}) w
cross join ${t.task} t cross join ${t.clock} c
where t.n = w.n and c.n = w.n and ${sql.join(" and ", false)(filters)}${inOrder(order)} ${db.limit(limit + 1)}`.values
    if (rows.length > limit) return { rows: rows.slice(0, limit), stopped: rows[limit - 1] }
    const last = yield* sql`${inner(1, scanLimit - 1)}`.values
    return { rows, stopped: last[0] }
  })

  const list: Lists["list"] = Effect.fnUntraced(function*(query) {
    const { descending, limit, sort } = query
    const after = place("list", query.after, sort === "id" ? 1 : 2)
    if (after instanceof TaskStoreError) return yield* after
    if (limit <= 0) return { items: [], next: null }
    const direction = descending ? "desc" : "asc"
    const beyond = sql.literal(descending ? "<" : ">")
    const labels = Object.entries(query.labels ?? {})

    const filters = new Map<string, Statement.Fragment>()
    if (query.tag !== undefined) filters.set("tag", sql`t.tag = ${query.tag}`)
    if (query.owner !== undefined) filters.set("owner", sql`t.owner = ${query.owner}`)
    if (query.state !== undefined) filters.set("state", sql`c.state = ${query.state}`)
    if (query.event !== undefined) {
      filters.set("event", query.event === "startup" ? sql`t.on_startup = 1` : sql`t.on_shutdown = 1`)
    }
    for (const [name, value] of labels) {
      filters.set(
        `label ${name}`,
        sql`exists (select 1 from ${t.label} l where l.name = ${name} and l.value = ${value} and l.id = t.id)`
      )
    }
    if (query.search !== undefined) {
      const text = pattern(query.search)
      filters.set("search", sql`(${dialect.contains("t.id", text)} or ${dialect.contains("t.name", text)})`)
    }
    const rest = (...answered: ReadonlyArray<string>) =>
      Array.from(filters).filter(([name]) => !answered.includes(name)).map(([, filter]) => filter)

    const byPlace = (column: string, n: string) =>
      after === undefined
        ? undefined
        : sql`(${sql.literal(`${column}, ${n}`)}) ${beyond} (${after[0]}, ${after[1]})`
    const byId = (column: string) => after === undefined ? undefined : sql`${sql.literal(column)} ${beyond} ${after[0]}`

    /** Walks by an instant and n; tasks without an instant come after all that have one. */
    const placed = (
      from: Statement.Fragment,
      n: string,
      key: string,
      conditions: ReadonlyArray<Statement.Fragment>,
      filters: ReadonlyArray<Statement.Fragment>,
      nullable: boolean
    ): ReadonlyArray<Walk> => {
      const timed: Walk = {
        from,
        n,
        key,
        conditions: nullable ? [...conditions, sql`${sql.literal(key)} is not null`] : conditions,
        order: `${key} ${direction}, ${n} ${direction}`,
        after: byPlace(key, n),
        filters
      }
      if (!nullable) return [timed]
      const idle: Walk = {
        from,
        n,
        key,
        conditions: [...conditions, sql`${sql.literal(key)} is null`],
        order: `${n} ${direction}`,
        after: after === undefined ? undefined : sql`${sql.literal(n)} ${beyond} ${after[1]}`,
        filters
      }
      const first = descending ? idle : timed
      const second = descending ? timed : idle
      if (after === undefined) return [first, second]
      // the last page ended in one of the two: the other comes whole, or is behind
      const inFirst = (after[0] === null) === descending
      return inFirst ? [first, { ...second, after: undefined }] : [second]
    }

    const walks: Array<Walk> = []
    if (query.ids !== undefined) {
      const ids = source([["id", "text"]])([...new Set(query.ids)].map((id) => [id]))
      const named = sql`${ids} u cross join ${t.task} t cross join ${t.clock} c`
      const conditions = [sql`t.id = u.id and c.n = t.n`, ...rest()]
      if (sort === "id") {
        walks.push({
          from: named,
          n: "t.n",
          key: "t.id",
          conditions,
          order: `t.id ${direction}`,
          after: byId("t.id"),
          filters: []
        })
      } else {
        const key = sort === "created" ? "t.created_at" : "c.due"
        walks.push(...placed(named, "t.n", key, conditions, [], sort === "due"))
      }
    } else if (sort === "created") {
      const event = filters.get("event")
      walks.push(
        ...placed(sql`${t.task} t`, "t.n", "t.created_at", event === undefined ? [] : [event], rest("event"), false)
      )
    } else if (sort === "due") {
      walks.push(...placed(sql`${t.clock} c`, "c.n", "c.due", [], rest(), true))
    } else {
      const along = (
        from: Statement.Fragment,
        alias: string,
        condition: Statement.Fragment | undefined,
        name: string
      ) =>
        walks.push({
          from,
          n: `${alias}.n`,
          key: `${alias}.id`,
          conditions: condition === undefined ? [] : [condition],
          order: `${alias}.id ${direction}`,
          after: byId(`${alias}.id`),
          filters: rest(name)
        })
      const [label] = labels
      if (label !== undefined) {
        along(sql`${t.label} l`, "l", sql`l.name = ${label[0]} and l.value = ${label[1]}`, `label ${label[0]}`)
      } else if (query.event !== undefined) along(sql`${t.task} t`, "t", filters.get("event"), "event")
      else if (query.owner !== undefined) along(sql`${t.task} t`, "t", filters.get("owner"), "owner")
      else if (query.state !== undefined && (query.tag === undefined || query.state !== "scheduled")) {
        along(sql`${t.clock} c`, "c", filters.get("state"), "state")
      } else if (query.tag !== undefined) along(sql`${t.task} t`, "t", filters.get("tag"), "tag")
      else along(sql`${t.task} t`, "t", undefined, "")
    }

    const found: Array<Cells> = []
    let stopped: Cells | undefined
    for (const one of walks) {
      const part = yield* db.read("list", walk(one, limit - found.length))
      found.push(...part.rows)
      stopped = part.stopped
      if (stopped !== undefined) break
      if (found.length >= limit) {
        // the next walk may be empty, and a page after the last one is empty then: cheaper than to look
        if (one !== walks[walks.length - 1]) stopped = found[found.length - 1]
        break
      }
    }
    const rows = found.length === 0 ? [] : yield* db.read(
      "list",
      values(
        sql`select u.i, ${sql.literal(selectTask)} from ${
          source([["n", "int"]])(found.map(([n]) => [Number(n)]))
        } u cross join ${t.task} t cross join ${t.clock} c where t.n = u.n and c.n = u.n`
      )
    )
    const items = new Array<TaskRow | undefined>(found.length)
    for (const cells of rows) {
      const row = readable(() => decodeTask(cells, 1))
      if (!(row instanceof Unreadable)) items[Number(cells[0])] = row
    }
    return {
      items: items.filter((row) => row !== undefined),
      next: stopped === undefined
        ? null
        : JSON.stringify(sort === "id" ? [String(stopped[1])] : [orNull(stopped[1]), Number(stopped[0])])
    }
  })

  // ---------------------------------------------------------------------------
  // runs
  // ---------------------------------------------------------------------------

  /** Runs of a few generations: all their rows, of which history has `keep` each, are put in order. */
  const runsOf = (query: RunQuery) =>
    query.generation !== undefined
      ? Effect.succeed([query.generation])
      : Effect.map(
        sql`select t.n from ${t.task} t where t.id = ${query.taskId}
union select g.n from ${t.gone} g where g.id = ${query.taskId}`.values,
        (rows) => rows.map(([n]) => Number(n))
      )

  const runs: Lists["runs"] = Effect.fnUntraced(function*(query) {
    const { limit } = query
    const after = place("runs", query.after, 4)
    if (after instanceof TaskStoreError) return yield* after
    if (limit <= 0) return { items: [], next: null }
    const few = query.generation !== undefined || query.taskId !== undefined
    const ns = few ? yield* db.read("runs", runsOf(query)) : undefined
    if (ns !== undefined && ns.length === 0) return { items: [], next: null }

    const filters: Array<Statement.Fragment> = []
    if (query.taskId !== undefined) filters.push(sql`r.task_id = ${query.taskId}`)
    if (query.key !== undefined) filters.push(sql`r.run_key = ${query.key}`)
    if (query.tag !== undefined) filters.push(sql`r.tag = ${query.tag}`)
    if (query.state !== undefined) filters.push(sql`r.state = ${query.state}`)

    interface Part {
      readonly rows: ReadonlyArray<Cells>
      readonly stopped: Cells | undefined
    }
    const part = Effect.fnUntraced(function*(
      table: Statement.Fragment,
      no: "0" | "r.no",
      select: string,
      some: ReadonlyArray<Statement.Fragment>
    ): Effect.fn.Return<Part, SqlError> {
      // a bare number would be the position of a column
      const order = sql.literal(`r.due desc, r.n desc, r.run_key desc${no === "0" ? "" : ", r.no desc"}`)
      const conditions = [...some]
      if (after !== undefined) {
        conditions.push(
          sql`(r.due, r.n, r.run_key, ${sql.literal(no)}) < (${after[0]}, ${after[1]}, ${after[2]}, ${after[3]})`
        )
        // a bound an index can start from
        conditions.push(sql`r.due <= ${after[0]}`)
      }
      const columns = sql.literal(`${no}, ${select}`)
      if (ns !== undefined) {
        // the order must not tempt a planner to walk everybody's runs
        const mine = sql`${source([["n", "int"]])(ns.map((n) => [n]))} u cross join ${table} r`
        const rows = yield* values(
          sql`select ${columns} from ${mine} ${where([sql`r.n = u.n`, ...conditions, ...filters])} order by ${order} ${
            db.limit(limit + 1)
          }`
        )
        return { rows, stopped: undefined }
      }
      const scanned = filters.length > 0
      const inner = (count: number, skip: number) =>
        sql`select r.* from ${table} r ${where(conditions)} order by ${order} ${db.limit(count)}${
          skip === 0 ? sql`` : sql` offset ${skip}`
        }`
      const rows = yield* values(
        sql`select ${columns} from (${inner(scanned ? scanLimit : limit + 1, 0)}) r ${where(filters)} ${
          db.limit(limit + 1)
        }`
      )
      if (!scanned || rows.length > limit) return { rows, stopped: undefined }
      const last = yield* sql`select ${sql.literal(`${no}, r.n, r.run_key, r.due`)} from (${inner(1, scanLimit - 1)}) r`
        .values
      return { rows, stopped: last[0] === undefined ? undefined : [last[0][3], last[0][1], last[0][2], last[0][0]] }
    })

    const parts: Array<Part> = []
    const { state } = query
    if (state === undefined || isOpen(state)) {
      if (ns !== undefined) parts.push(yield* db.read("runs", part(t.run, "0", selectRun, [])))
      else {
        // Those that run are few and come and go with every attempt: they are in no index by due, but put in order.
        if (state === undefined || state === "running") {
          parts.push(yield* db.read("runs", part(t.run, "0", selectRun, [sql`r.state = 'running'`])))
        }
        if (state !== "running") {
          parts.push(yield* db.read("runs", part(t.run, "0", selectRun, [sql`r.lease_until is null`])))
        }
      }
    }
    if (state === undefined || !isOpen(state)) {
      parts.push(yield* db.read("runs", part(t.history, "r.no", selectEnded, [])))
    }

    // what one part has not reached yet must not be passed by the other
    let stopped: Place | undefined
    for (const { stopped: at } of parts) {
      if (at === undefined) continue
      const candidate: Place = [Number(at[0]), Number(at[1]), String(at[2]), Number(at[3])]
      if (stopped === undefined || newerFirst(stopped, candidate) > 0) stopped = candidate
    }
    const places = parts.flatMap(({ rows }) =>
      rows.map((cells) => ({
        place: [Number(cells[8]), Number(cells[1]), String(cells[2]), Number(cells[0])] satisfies Place,
        cells
      }))
    ).sort((self, that) => newerFirst(self.place, that.place))
    const bound = stopped
    const reached = bound === undefined ? places : places.filter(({ place }) => newerFirst(place, bound) <= 0)
    const shown = reached.slice(0, limit)
    const items: Array<RunRow> = []
    for (const { cells } of shown) {
      const run = readable(() => decodeRun(cells, 1))
      if (!(run instanceof Unreadable)) items.push(run)
    }
    const next = reached.length > limit ? shown[limit - 1]?.place : stopped
    return { items, next: next === undefined ? null : JSON.stringify(next) }
  })

  return { list, runs }
}

const orNull = (cell: unknown): number | null => cell === null || cell === undefined ? null : Number(cell)

const newerFirst = (self: Place, that: Place): number => {
  for (let i = 0; i < self.length; i++) {
    const a = self[i] ?? 0
    const b = that[i] ?? 0
    if (a !== b) return a > b ? -1 : 1
  }
  return 0
}
