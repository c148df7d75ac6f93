/**
 * Pages of tasks and runs.
 *
 * A cursor says where the page ended in the order, not which row was there, so rows may come and go between pages.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import { isOpen } from "punctual/TaskRecord"
import type { Page, RunQuery, TaskQuery, TaskStore } from "punctual/TaskStore"
import { TaskStoreError } from "punctual/TaskStore"
import type { BulkWrite, Clause, DatabaseError } from "./collections.ts"
import * as Documents from "./documents.ts"
import type { TaskDocument } from "./documents.ts"
import { chunks, type Writes } from "./writes.ts"

export type Lists = Pick<TaskStore["Service"], "list" | "runs" | "prune">

export const makeLists = (db: Writes): Lists => {
  const { history, tasks } = db

  const decode = <A extends ReadonlyArray<unknown>>(
    operation: string,
    after: string,
    isCell: { readonly [K in keyof A]: (cell: unknown) => boolean }
  ): Effect.Effect<A, TaskStoreError> =>
    Effect.suspend(() => {
      let place: unknown
      try {
        place = JSON.parse(after)
      } catch {
        place = undefined
      }
      const cells = isCell as ReadonlyArray<(cell: unknown) => boolean>
      if (Array.isArray(place) && place.length === cells.length && cells.every((is, i) => is(place[i]))) {
        return Effect.succeed(place as unknown as A)
      }
      return new TaskStoreError({
        store: db.store,
        operation,
        reason: "Invalid",
        message: `Not a cursor of this list: ${after}. Pass the \`next\` of a page with the same order.`
      })
    })

  // -- tasks

  const list = (query: TaskQuery): Effect.Effect<Page<TaskRow>, DatabaseError | TaskStoreError> =>
    Effect.gen(function*() {
      const { descending, limit, sort } = query
      const conditions = taskConditions(query)
      const beyond = descending ? "$lt" : "$gt"
      const direction = descending ? -1 : 1
      const read = (condition: Clause, order: Readonly<Record<string, 1 | -1>>, count: number) =>
        count <= 0
          ? Effect.succeed([])
          : tasks.find({ $and: [...conditions, condition] }, { sort: order, limit: count })
      // one more than asked for says whether there is more
      const count = limit + 1
      let docs: ReadonlyArray<TaskDocument>
      if (sort === "id") {
        const [id] = query.after === undefined ? [] : yield* decode<[string]>("list", query.after, [isText])
        docs = yield* read(id === undefined ? {} : { _id: { [beyond]: id } }, { _id: direction }, count)
      } else if (sort === "created") {
        const after = query.after === undefined
          ? undefined
          : yield* decode<[number, number]>("list", query.after, [isInt, isInt])
        const order = { "task.createdAt": direction, "task.generation": direction } as const
        docs = yield* read(after === undefined ? {} : beyondPair(order, beyond, ...after), order, count)
      } else {
        const [due, generation = 0] = query.after === undefined
          ? []
          : yield* decode<[number | null, number]>("list", query.after, [isIntOrNull, isInt])
        const order = { due: direction, "task.generation": direction } as const
        // those that are due, and after them those that are not
        const dated = read(
          typeof due === "number" ? beyondPair(order, beyond, due, generation) : { due: { $exists: true } },
          order,
          count
        )
        const idle = read(
          { due: null, ...due === null && { "task.generation": { [beyond]: generation } } },
          { "task.generation": direction },
          count
        )
        const parts = due === undefined || (due === null) === descending
          ? (descending ? [idle, dated] : [dated, idle])
          : [due === null ? idle : dated]
        // a cursor among the rows without a due instant leaves the others whole
        docs = (yield* Effect.forEach(parts, (part) => part)).flat().slice(0, count)
      }
      const items = docs.slice(0, limit).filter((doc) => Documents.defect(doc, true) === undefined)
      const last = docs[limit - 1]
      return {
        items: items.flatMap(({ _id, task }) => task === undefined ? [] : [Documents.rowOf(_id, task)]),
        next: docs.length > limit && last !== undefined ? taskCursor(sort, last) : null
      }
    })

  // -- runs

  const runs = (query: RunQuery): Effect.Effect<Page<RunRow>, DatabaseError | TaskStoreError> =>
    Effect.gen(function*() {
      const { limit } = query
      let after: Place | undefined
      if (query.after !== undefined) {
        const [due, generation, number, key] = yield* decode<[number, number, number | null, string]>(
          "runs",
          query.after,
          [isInt, isInt, isIntOrNull, isText]
        )
        after = { run: { due, generation, key }, number }
      }
      yield* db.fileAll
      // open ones first: what ends in between is seen twice, not lost, and then known by its number
      const open = query.state === undefined || isOpen(query.state) ? yield* openRuns(query, after) : []
      const ended = query.state === undefined || !isOpen(query.state) ? yield* endedRuns(query, after) : []
      const all = [
        ...open.filter(({ ends, run }) =>
          !ended.some((one) => one.run.generation === run.generation && one.run.key === run.key && one.number! > ends)
        ),
        ...ended
      ].sort(byPlace)
      const items = all.slice(0, limit)
      const last = items.at(-1)
      return {
        items: items.map(({ run }) => run),
        next: all.length > limit && last !== undefined ? runCursor(last) : null
      }
    })

  /** The first of those that match, one more than the limit. */
  const openRuns = (query: RunQuery, after: Place | undefined) =>
    Effect.gen(function*() {
      const { generation, key, limit, state, tag, taskId } = query
      const few = taskId !== undefined || generation !== undefined
      const filter: Clause = {
        ...taskId !== undefined && { _id: taskId },
        ...generation !== undefined && { generations: generation },
        ...!few && (tag === undefined ? { "open.last": { $exists: true } } : { "open.tags": tag }),
        ...!few && after !== undefined && {
          "open.first": { $lte: after.run.due },
          $or: [{ "open.first": { $lt: after.run.due } }, { generations: { $lte: after.run.generation } }]
        }
      }
      for (let size = limit + 1;; size *= 2) {
        const found = yield* tasks.find(filter, {
          projection: Documents.withoutTexts,
          ...!few && { sort: { "open.last": -1, "open.generation": -1 }, limit: size }
        })
        const last = !few && found.length === size ? found.at(-1)?.open : undefined
        const places = found
          .filter((doc) => Documents.defect(doc, false) === undefined)
          .flatMap((doc) =>
            Object.values(doc.runs).map((run) => ({
              run: Documents.runOf(doc._id, run),
              number: null,
              ends: doc.numbers[Documents.numberKey(run.generation)] ?? 0
            }))
          )
          .filter((place) =>
            (generation === undefined || place.run.generation === generation) &&
            (key === undefined || place.run.key === key) &&
            (tag === undefined || place.run.tag === tag) &&
            (state === undefined || place.run.state === state) &&
            (after === undefined || byPlace(place, after) > 0) &&
            // what other documents have comes after their last
            (last === undefined || place.run.due > last.last ||
              (place.run.due === last.last && place.run.generation >= last.generation))
          )
          .sort(byPlace)
        if (last === undefined || places.length > limit) return places.slice(0, limit + 1)
      }
    })

  const endedRuns = (query: RunQuery, after: Place | undefined) => {
    const { generation, key, limit, state, tag, taskId } = query
    const conditions: Array<Clause> = []
    if (taskId !== undefined) conditions.push({ taskId })
    if (generation !== undefined) conditions.push({ generation })
    if (key !== undefined) conditions.push({ key })
    if (tag !== undefined) conditions.push({ tag })
    if (state !== undefined) conditions.push({ state })
    if (after !== undefined) {
      const { number, run: { due, generation } } = after
      conditions.push({ due: { $lte: due } }, {
        $or: [
          { due: { $lt: due } },
          { generation: { $lt: generation } },
          number === null ? { generation } : { generation, number: { $lt: number } }
        ]
      })
    }
    return Effect.map(
      history.find(conditions.length === 0 ? {} : { $and: conditions }, {
        sort: { due: -1, generation: -1, number: -1 },
        limit: limit + 1
      }),
      (rows) => rows.map((row): Listed => ({ run: Documents.endedRow(row), number: row.number }))
    )
  }

  return {
    list: (query) => db.read("list", list(query)),
    runs: (query) => db.read("runs", runs(query)),
    prune: ({ before, limit }) =>
      limit <= 0 ? Effect.succeed(0) : db.read(
        "prune",
        Effect.gen(function*() {
          yield* db.checkWriter("prune")
          yield* db.fileAll
          const found = yield* history.find({ endedAt: { $lt: before } }, {
            sort: { endedAt: 1 },
            limit,
            projection: { _id: 1 }
          })
          let pruned = 0
          for (const some of chunks(found)) {
            const removal: BulkWrite = { filter: { _id: { $in: some.map(({ _id }) => _id) } }, remove: "many" }
            pruned += yield* history.bulk([removal])
          }
          return pruned
        })
      )
  }
}

const isText = (cell: unknown): boolean => typeof cell === "string"

const isInt = (cell: unknown): boolean => Number.isSafeInteger(cell)

const isIntOrNull = (cell: unknown): boolean => cell === null || isInt(cell)

/** What comes after two values in an order of two fields. */
const beyondPair = (
  order: Readonly<Record<string, 1 | -1>>,
  beyond: "$lt" | "$gt",
  first: number,
  second: number
): Clause => {
  const [one = "", two = ""] = Object.keys(order)
  return {
    [one]: { [`${beyond}e`]: first },
    $or: [{ [one]: { [beyond]: first } }, { [two]: { [beyond]: second } }]
  }
}

const taskCursor = (sort: TaskQuery["sort"], { _id, task }: TaskDocument): string =>
  JSON.stringify(sort === "id" ? [_id] : [sort === "created" ? task?.createdAt : task?.due, task?.generation])

const taskConditions = (query: TaskQuery): ReadonlyArray<Clause> => {
  const { event, ids, labels, owner, search, state, tag } = query
  // removed ones have no row
  const conditions: Array<Clause> = [{ "task.generation": { $exists: true } }]
  if (ids !== undefined) conditions.push({ _id: { $in: [...new Set(ids)] } })
  if (tag !== undefined) conditions.push({ "task.tag": tag })
  if (state !== undefined) conditions.push({ "task.state": state })
  if (owner !== undefined) conditions.push({ "task.owner": owner })
  if (event !== undefined) conditions.push({ [event === "startup" ? "task.onStartup" : "task.onShutdown"]: true })
  for (const [key, value] of Object.entries(labels ?? {})) conditions.push({ labels: Documents.labelEntry(key, value) })
  if (search !== undefined) {
    const regex = { $regex: literal(search), $options: "i" }
    conditions.push({ $or: [{ _id: regex }, { "task.name": regex }] })
  }
  return conditions
}

/** A pattern of this very text: what a pattern gives a meaning to is written by its number. */
const literal = (text: string): string =>
  text.replace(
    /[\0-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]/g,
    (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`
  )

/** Where a run is in a list: newest first, an open one before those of its task that ended. */
interface Place {
  readonly run: Pick<RunRow, "due" | "generation" | "key">
  /** Of an ended one. */
  readonly number: number | null
}

interface Listed extends Place {
  readonly run: RunRow
}

const byPlace = (self: Place, that: Place): number =>
  that.run.due - self.run.due || that.run.generation - self.run.generation ||
  (self.number === that.number ? 0 : (that.number ?? Infinity) - (self.number ?? Infinity)) ||
  (self.run.key < that.run.key ? -1 : self.run.key > that.run.key ? 1 : 0)

const runCursor = ({ number, run }: Place): string => JSON.stringify([run.due, run.generation, number, run.key])
