/**
 * Pages of the memory store: filters, orders and cursors of `list` and `runs`.
 *
 * A cursor says where the page ended in the order, not which row was there, so rows may come and go between pages.
 *
 * @since 0.1.0
 */
import type { RunRow, TaskRow } from "../TaskRecord.ts"
import type { Page, RunQuery, TaskQuery } from "../TaskStore.ts"
import type { Indexes, RunPlace, TaskPlace } from "./memoryIndexes.ts"
import { byCreated, byDue, byId, byRunDue } from "./memoryIndexes.ts"
import type { Run, Task } from "./memoryRecords.ts"
import type { Compare, Cursor } from "./memorySorted.ts"

/** The cursor given is not one of this list. */
export class BadCursor extends Error {}

const decode = (after: string, length: number): ReadonlyArray<unknown> => {
  let place: unknown
  try {
    place = JSON.parse(after)
  } catch {
    place = undefined
  }
  if (!Array.isArray(place) || place.length !== length) throw new BadCursor(after)
  return place
}

const taskCursor = (sort: TaskQuery["sort"], task: Task): string =>
  JSON.stringify(
    sort === "id"
      ? [task.id]
      : [sort === "created" ? task.createdAt : task.due === Infinity ? null : task.due, task.generation]
  )

const taskPlace = (sort: TaskQuery["sort"], after: string): TaskPlace => {
  if (sort === "id") return { id: String(decode(after, 1)[0]), due: NaN, createdAt: NaN, generation: 0 }
  const [instant, generation] = decode(after, 2)
  return {
    id: "",
    due: instant === null ? Infinity : Number(instant),
    createdAt: Number(instant),
    generation: Number(generation)
  }
}

const orders = { id: byId, due: byDue, created: byCreated }

export const list = (indexes: Indexes, query: TaskQuery): Page<TaskRow> => {
  const compare = orders[query.sort]
  const after = query.after === undefined ? undefined : taskPlace(query.sort, query.after)
  const matches = matcher(query)
  const few = query.ids !== undefined
    ? [...new Set(query.ids)].flatMap((id) => indexes.tasks.get(id) ?? [])
    : query.event !== undefined
    ? [...indexes.events]
    : undefined
  const cursor = few === undefined
    ? walk(indexes, query, compare, after)
    : sorted(few, compare, query.descending, after)
  return page(cursor, query.limit, matches, (task) => task.toRow(), (task) => taskCursor(query.sort, task))
}

/** Where an index answers the order, from the place where the last page ended. */
const walk = (
  indexes: Indexes,
  query: TaskQuery,
  compare: Compare<TaskPlace>,
  after: TaskPlace | undefined
): Cursor<Task> => {
  const upTo = (task: Task) => after !== undefined && compare(task, after) <= 0
  const below = (task: Task) => after === undefined || compare(task, after) < 0
  const parts = query.sort === "id"
    ? [indexes.tasksById()]
    : query.sort === "created"
    ? [indexes.tasksByCreated()]
    : [indexes.due, indexes.tasksIdle()]
  return concat(
    query.descending
      ? parts.toReversed().map((part) => part.downFrom(below))
      : parts.map((part) => part.from(upTo))
  )
}

const concat = <A>(cursors: ReadonlyArray<Cursor<A>>): Cursor<A> => {
  let i = 0
  return {
    next: () => {
      for (; i < cursors.length; i++) {
        const a = cursors[i]?.next()
        if (a !== undefined) return a
      }
      return undefined
    }
  }
}

const sorted = <A extends P, P>(
  members: ReadonlyArray<A>,
  compare: Compare<P>,
  descending: boolean,
  after: P | undefined
): Cursor<A> => {
  const order: Compare<P> = descending ? (self, that) => compare(that, self) : compare
  const rest = (after === undefined ? members : members.filter((member) => order(member, after) > 0)).toSorted(order)
  let i = 0
  return { next: () => rest[i++] }
}

const page = <A, Row>(
  cursor: Cursor<A>,
  limit: number,
  matches: (a: A) => boolean,
  toRow: (a: A) => Row,
  toCursor: (a: A) => string
): Page<Row> => {
  const items: Array<Row> = []
  let last: A | undefined
  for (let a = cursor.next(); a !== undefined; a = cursor.next()) {
    if (!matches(a)) continue
    if (items.length >= limit) return { items, next: last === undefined ? null : toCursor(last) }
    items.push(toRow(a))
    last = a
  }
  return { items, next: null }
}

const matcher = (query: TaskQuery): (task: Task) => boolean => {
  const { event, owner, state, tag } = query
  const labels = query.labels === undefined ? undefined : Object.entries(query.labels)
  const search = query.search?.toLowerCase()
  return (task) =>
    (tag === undefined || task.kind.tag === tag) &&
    (state === undefined || task.state === state) &&
    (owner === undefined || task.kind.owner === owner) &&
    (event === undefined || (event === "startup" ? task.kind.onStartup : task.kind.onShutdown)) &&
    (labels === undefined || hasLabels(task.labels, labels)) &&
    (search === undefined || task.id.toLowerCase().includes(search) || task.name.toLowerCase().includes(search))
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

// -----------------------------------------------------------------------------
// runs
// -----------------------------------------------------------------------------

const runCursor = (run: Run): string => JSON.stringify([run.due, run.task.generation, run.key, run.number])

const runPlace = (after: string): RunPlace => {
  const [due, generation, key, number] = decode(after, 4)
  return { due: Number(due), key: String(key), number: Number(number), task: { generation: Number(generation) } }
}

export const runs = (indexes: Indexes, query: RunQuery): Page<RunRow> => {
  const after = query.after === undefined ? undefined : runPlace(query.after)
  const { generation, key, state, tag, taskId } = query
  const matches = (run: Run): boolean =>
    (taskId === undefined || run.task.id === taskId) &&
    (generation === undefined || run.task.generation === generation) &&
    (key === undefined || run.key === key) &&
    (tag === undefined || run.kind.tag === tag) &&
    (state === undefined || run.state === state)
  const tasks = generation !== undefined
    ? [indexes.generations.get(generation) ?? []].flat()
    : taskId !== undefined
    ? [indexes.tasks.get(taskId) ?? [], indexes.removed.get(taskId) ?? []].flat()
    : undefined
  const cursor = tasks === undefined
    ? indexes.runsByDue().downFrom((run) => after === undefined || byRunDue(run, after) < 0)
    : sorted(tasks.flatMap((task) => [...task.opens(), ...task.history ?? []]), byRunDue, true, after)
  return page(cursor, query.limit, matches, (run) => run.toRow(), runCursor)
}
