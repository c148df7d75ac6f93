/**
 * Pages of `list` and `runs`.
 *
 * Orders are walked on the server, `scan` members a call, so that a rare match never holds the server for long; what is
 * few (tasks named, tasks with events, runs of one task) is sorted here. A cursor is a place in the order.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import type { Page, RunQuery, TaskQuery, TaskStoreError } from "punctual/TaskStore"
import * as Records from "./records.ts"

/** The cursor given is not one of this list. */
export class BadCursor extends Error {}

/** How many members of an order one call looks at. */
const scan = 500

type Place = ReadonlyArray<string | number | null>

const decode = (after: string, valid: (place: ReadonlyArray<unknown>) => boolean): Place => {
  let place: unknown
  try {
    place = JSON.parse(after)
  } catch {
    place = undefined
  }
  if (!Array.isArray(place) || !valid(place)) throw new BadCursor(after)
  return place
}

const isInt = (value: unknown): boolean => typeof value === "number" && Number.isSafeInteger(value)

const taskPlace = (sort: TaskQuery["sort"], row: TaskRow): Place =>
  sort === "id" ? [row.id] : [sort === "due" ? row.due : row.createdAt, row.generation]

const readTaskPlace = (sort: TaskQuery["sort"], after: string): Place =>
  decode(after, (place) =>
    sort === "id"
      ? place.length === 1 && typeof place[0] === "string"
      : place.length === 2 && (isInt(place[0]) || (sort === "due" && place[0] === null)) && isInt(place[1]))

const runPlace = ({ number, run }: Records.Numbered): Place => [run.due, run.generation, number]

const readRunPlace = (after: string): Place => decode(after, (place) => place.length === 3 && place.every(isInt))

/** As bytes of UTF-8 sort, which is by code point. */
const compareText = (self: string, that: string): number => Buffer.compare(Buffer.from(self), Buffer.from(that))

/** Nothing sorts after every number. */
const comparePart = (self: string | number | null, that: string | number | null): number =>
  typeof self === "string" && typeof that === "string"
    ? compareText(self, that)
    : self === that
    ? 0
    : self === null || (that !== null && self > that)
    ? 1
    : -1

const compare = (self: Place, that: Place): number => {
  for (let i = 0; i < self.length; i++) {
    const order = comparePart(self[i] ?? null, that[i] ?? null)
    if (order !== 0) return order
  }
  return 0
}

const pageOf = <A>(
  rows: ReadonlyArray<A>,
  order: (row: A) => Place,
  options: { readonly after: Place | undefined; readonly descending: boolean; readonly limit: number },
  cursor: (row: A) => Place
): Page<A> => {
  const sign = options.descending ? -1 : 1
  const { after } = options
  const rest = rows
    .filter((row) => after === undefined || sign * compare(order(row), after) > 0)
    .toSorted((self, that) => sign * compare(order(self), order(that)))
  return cut(rest, options.limit, cursor)
}

/** The first `limit`, and where they end if there are more. */
const cut = <A>(rows: ReadonlyArray<A>, limit: number, cursor: (row: A) => Place): Page<A> => {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return { items, next: rows.length > items.length && last !== undefined ? JSON.stringify(cursor(last)) : null }
}

export type Call = (
  operation: "list" | "runs",
  script: "get" | "events" | "tasks" | "runsOf" | "running" | "runs",
  args: Records.Args
) => Effect.Effect<unknown, TaskStoreError>

/** Where an index goes on: a score and a member, as texts; none where it begins. */
type Beyond = readonly [score: string, member: string]

const beginning: Beyond = ["", ""]

const beyondOf = (answer: unknown): Beyond => {
  const [score, member] = Records.list(answer)
  return [String(score), String(member)]
}

const scoreOf = (instant: Place[number] | undefined): string => typeof instant === "number" ? String(instant) : "+inf"

const beyondTask = (sort: TaskQuery["sort"], [first, generation]: Place): Beyond =>
  sort === "id" ? ["0", Records.atom(String(first))] : [scoreOf(first), Records.padded(Number(generation))]

const beyondRun = ([due, generation, number]: Place): Beyond => [
  scoreOf(due),
  Records.padded(Number(generation)) + Records.place(Number(number))
]

const text = (value: string | undefined): string => value === undefined ? "" : Records.json(value)

export const list = (call: Call, query: TaskQuery): Effect.Effect<Page<TaskRow>, TaskStoreError> =>
  Effect.gen(function*() {
    const { descending, event, ids, limit, sort } = query
    const after = query.after === undefined ? undefined : readTaskPlace(sort, query.after)
    const matches = matcher(query)
    const place = (row: TaskRow) => taskPlace(sort, row)
    if (ids?.length === 0) return { items: [], next: null }
    if (ids !== undefined || event !== undefined) {
      const named = [...new Set(ids)].map(Records.atom)
      const answer = ids === undefined
        ? yield* call("list", "events", [])
        : yield* call("list", "get", [String(named.length), ...named])
      const rows = Records.readable(answer, Records.taskRow).items.filter(matches)
      return pageOf(rows, place, { after, descending, limit }, place)
    }
    const rows: Array<TaskRow> = []
    for (let from = after === undefined ? beginning : beyondTask(sort, after);;) {
      const [found, more] = Records.list(
        yield* call("list", "tasks", [
          sort === "id" ? "ids" : sort,
          descending ? "1" : "0",
          query.state ?? "",
          text(query.tag),
          String(Math.min(limit + 1 - rows.length, scan)),
          String(scan),
          ...from
        ])
      )
      for (const row of Records.readable(found, Records.taskRow).items) if (matches(row)) rows.push(row)
      if (more === "" || rows.length > limit) return cut(rows, limit, place)
      from = beyondOf(more)
    }
  })

const matcher = (query: TaskQuery): (row: TaskRow) => boolean => {
  const { event, owner, state, tag } = query
  const labels = query.labels === undefined ? undefined : Object.entries(query.labels)
  const search = query.search?.toLowerCase()
  return (row) =>
    (tag === undefined || row.tag === tag) &&
    (state === undefined || row.state === state) &&
    (owner === undefined || row.owner === owner) &&
    (event === undefined || (event === "startup" ? row.onStartup : row.onShutdown)) &&
    (labels === undefined || hasLabels(row.labels, labels)) &&
    (search === undefined || row.id.toLowerCase().includes(search) || row.name.toLowerCase().includes(search))
}

const hasLabels = (text: string, wanted: ReadonlyArray<readonly [string, string]>): boolean => {
  if (wanted.length === 0) return true
  // A text that is no object has no labels: one odd row must not fail everybody's list.
  try {
    const labels: unknown = JSON.parse(text)
    return typeof labels === "object" && labels !== null &&
      wanted.every(([key, value]) => Object.hasOwn(labels, key) && (labels as Record<string, unknown>)[key] === value)
  } catch {
    return false
  }
}

export const runs = (call: Call, query: RunQuery): Effect.Effect<Page<RunRow>, TaskStoreError> =>
  Effect.gen(function*() {
    const { generation, key, limit, state, tag, taskId } = query
    const after = query.after === undefined ? undefined : readRunPlace(query.after)
    const matches = ({ run }: Records.Numbered) =>
      (taskId === undefined || run.taskId === taskId) &&
      (generation === undefined || run.generation === generation) &&
      (key === undefined || run.key === key) &&
      (tag === undefined || run.tag === tag) &&
      (state === undefined || run.state === state)
    const page = (page: Page<Records.Numbered>): Page<RunRow> => ({
      items: page.items.map(({ run }) => run),
      next: page.next
    })
    /** A page of runs that are all here. */
    const few = (answer: unknown) =>
      pageOf(
        Records.readable(answer, Records.numbered).items.filter(matches),
        runPlace,
        { after, descending: true, limit },
        runPlace
      )
    if (taskId !== undefined || generation !== undefined) {
      const answer = yield* call("runs", "runsOf", [
        Records.atom(taskId ?? ""),
        generation === undefined ? "" : Records.padded(generation)
      ])
      return page(few(answer))
    }
    if (state === "running") {
      const answer = yield* call("runs", "running", [String(scan)])
      if (answer !== "") return page(few(answer))
    }
    const found: Array<Records.Numbered> = []
    for (let from = after === undefined ? beginning : beyondRun(after);;) {
      const [rows, more] = Records.list(
        yield* call("runs", "runs", [
          text(key),
          text(tag),
          state ?? "",
          String(Math.min(limit + 1 - found.length, scan)),
          String(scan),
          ...from
        ])
      )
      found.push(...Records.readable(rows, Records.numbered).items)
      if (more === "" || found.length > limit) return page(cut(found, limit, runPlace))
      from = beyondOf(more)
    }
  })
