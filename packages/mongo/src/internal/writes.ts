/**
 * How documents are written: read, drafted, and written if nobody else was first; otherwise all of it again.
 *
 * What has ended is filed afterwards: it stays in its document, marked, until the history collection has it.
 *
 *     settle:  runs ─▶ ended       one write of the document; from here on it has ended, whatever crashes
 *     file:    history ◀─ ended    insert by generation and number: doing it twice changes nothing
 *              history   drop      the numbers up to n − keep
 *              ended     ─▶        one write of the document, if it is still what was filed
 *
 * Whoever writes a document that has something to file files it, and so do those who read history, prune it or take over
 * leases: what a crash left behind is found through the index on `unfiled`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { TaskStoreError } from "punctual/TaskStore"
import type { BulkWrite, Clause, Database } from "./collections.ts"
import { DatabaseError } from "./collections.ts"
import * as Documents from "./documents.ts"
import type { EndedRun, TaskDocument } from "./documents.ts"
import { Draft, type Numbers } from "./drafts.ts"
import { sleepUnref } from "./liveClock.ts"
import { type Collections, metaName, type Versions, versions } from "./schema.ts"
import { brought, merge, type Wakes } from "./wakes.ts"

/** Ids in one filter, documents in one message. */
const chunkSize = 500

/** Writes that are under way at once. */
const concurrency = 16

/** Rounds that others won before a write waits a little before the next, and before it gives up. */
const patientRounds = 3
const mostRounds = 200

/**
 * A change that would make a document larger is refused. MongoDB's own limit is 16 MiB; the rest is for exits that wait
 * for history, and for what its runs become until they end.
 */
export const maximumSize = 12 * 1024 * 1024

/** Characters of exits that may wait for history in one document: what is beyond is settled by another write. */
const maximumUnfiled = 2 * 1024 * 1024

/** Where an entry's document is. */
export type Where = { readonly id: string } | { readonly generation: number }

export interface WriteOptions<E, A> {
  readonly entries: ReadonlyArray<E>
  readonly where: (entry: E) => Where
  /** Whether the long texts of rows are needed. */
  readonly whole: boolean
  /** At most how many numbers an entry needs. */
  readonly needs?: ((entry: E) => { readonly tokens: number; readonly generations: number }) | undefined
  /** One step. */
  readonly apply: (draft: Draft, entry: E) => A
  /** The answer where a generation is in no document, or the document cannot be read. */
  readonly absent: A
  /** Documents as they were just read, by id: they are not read again at first. */
  readonly known?: ReadonlyMap<string, TaskDocument> | undefined
  /** The answer where another write came first; without it, it is tried again. */
  readonly lost?: A | undefined
  /** Whether a larger document is refused. */
  readonly grows?: boolean | undefined
}

export interface Writes extends Collections {
  readonly store: string
  readonly wakes: Wakes
  readonly fail: (operation: string) => (error: DatabaseError | TaskStoreError) => TaskStoreError
  readonly read: <A>(
    operation: string,
    effect: Effect.Effect<A, DatabaseError | TaskStoreError>
  ) => Effect.Effect<A, TaskStoreError>
  /** Applies each entry to its document, those of one document in their order; answers in the order given. */
  readonly write: <E, A>(
    operation: string,
    options: WriteOptions<E, A>
  ) => Effect.Effect<ReadonlyArray<A>, TaskStoreError>
  /** Before another try, after so many that others won: waits a little, or gives up. */
  readonly again: (operation: string, round: number) => Effect.Effect<void, TaskStoreError>
  /** Files what others left behind. */
  readonly fileAll: Effect.Effect<void, DatabaseError>
  readonly checkWriter: (operation: string) => Effect.Effect<void, DatabaseError | TaskStoreError>
}

export const newerSchema = (store: string, operation: string, { minimumWriter, version }: Versions): TaskStoreError =>
  new TaskStoreError({
    store,
    operation,
    reason: "NewerSchema",
    message: `${store} has schema version ${version}, which only programs that know version ` +
      `${minimumWriter} or later may write; this one knows version ${Documents.schemaVersion}. ` +
      "Upgrade @punctual/mongo in this program; nothing was changed."
  })

export const storeError = (store: string, operation: string, error: DatabaseError): TaskStoreError =>
  new TaskStoreError({
    store,
    operation,
    reason: error.reason,
    message: `${store}: ${operation} failed: ${error.message}`,
    cause: error.cause
  })

export const chunks = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  if (all.length <= chunkSize) return all.length === 0 ? [] : [all]
  return Array.from(
    { length: Math.ceil(all.length / chunkSize) },
    (_, i) => all.slice(i * chunkSize, (i + 1) * chunkSize)
  )
}

/** What a round makes of one document. */
interface Drafted<A> {
  readonly draft: Draft
  readonly after: TaskDocument | undefined
  /** The entries of this document, of which the first few were applied. */
  readonly given: ReadonlyArray<number>
  /** Their answers. */
  readonly told: ReadonlyArray<A>
}

/** The document as it was read or made, and no other. */
const exactly = ({ _id, born, v }: TaskDocument): Clause => ({ _id, born, v })

export const make = (options: {
  readonly database: Database
  readonly prefix: string
  readonly store: string
  readonly collections: Collections
  readonly wakes: Wakes
}): Writes => {
  const { collections, database, prefix, store, wakes } = options
  const { history, tasks } = collections

  const fail = (operation: string) => (error: DatabaseError | TaskStoreError): TaskStoreError =>
    error instanceof DatabaseError ? storeError(store, operation, error) : error

  const checkWriter = (operation: string) =>
    Effect.flatMap(
      versions(collections),
      (found) => found.minimumWriter > Documents.schemaVersion ? newerSchema(store, operation, found) : Effect.void
    )

  const again: Writes["again"] = (operation, round) => {
    if (round < patientRounds) return Effect.void
    if (round < mostRounds) return pause
    return new TaskStoreError({
      store,
      operation,
      reason: "Busy",
      message: `${store}: ${operation} lost ${mostRounds} times to other writes of the same tasks; try again.`
    })
  }

  /** The first of this many numbers. */
  const draw = (name: "token" | "generation", count: number) =>
    count === 0
      ? Effect.succeed(0)
      : Effect.map(database.increment(metaName(prefix), name, count), (last) => last - count + 1)

  const readAll = (wheres: ReadonlyArray<Where>, whole: boolean) => {
    const ids = new Set(wheres.flatMap((where) => "id" in where ? [where.id] : []))
    const generations = new Set(wheres.flatMap((where) => "id" in where ? [] : [where.generation]))
    const projection = whole ? undefined : Documents.withoutTexts
    return Effect.map(
      Effect.forEach(
        [
          ...chunks([...ids]).map((some) => ({ _id: { $in: some } })),
          ...chunks([...generations]).map((some) => ({ generations: { $in: some } }))
        ],
        (filter) => tasks.find(filter, { projection })
      ),
      (found) => found.flat()
    )
  }

  // -- history

  /** Files what these documents hold that has ended; each is as it was last written. */
  const file = (docs: ReadonlyArray<TaskDocument>): Effect.Effect<void, DatabaseError> =>
    Effect.gen(function*() {
      let unfiled = docs
      for (let round = 0; unfiled.length > 0; round++) {
        if (round >= patientRounds) yield* pause
        const rows: Array<Documents.HistoryDocument> = []
        const drops: Array<BulkWrite> = []
        const writes: Array<BulkWrite> = []
        for (const doc of unfiled) {
          const draft = new Draft(doc._id, doc, noNumbers)
          const ended = draft.takeEnded()
          const dropped = lastDropped(ended)
          for (const run of ended) {
            if (run.number > (dropped.get(run.generation) ?? 0)) rows.push(Documents.historyOf(doc._id, run))
          }
          for (const [generation, number] of dropped) {
            if (number > 0) drops.push({ filter: { generation, number: { $lte: number } }, remove: "many" })
          }
          draft.filed(ended)
          const after = draft.after()
          if (after === undefined) writes.push({ filter: exactly(doc), remove: "one" })
          else writes.push({ filter: exactly(doc), update: Documents.difference(doc, after) ?? {} })
        }
        // a thousand exits of a megabyte are no message
        for (const some of byLength(rows)) yield* history.insert(some)
        for (const some of chunks(drops)) yield* history.bulk(some)
        let written = 0
        for (const some of chunks(writes)) written += yield* tasks.bulk(some)
        if (written === writes.length) return
        const ids = unfiled.map(({ _id }) => _id)
        unfiled = []
        for (const some of chunks(ids)) {
          unfiled = [
            ...unfiled,
            ...yield* tasks.find({ _id: { $in: some }, unfiled: true }, { projection: Documents.withoutTexts })
          ]
        }
        unfiled = unfiled.filter((doc) => Documents.defect(doc, false) === undefined)
      }
    })

  const fileAll: Effect.Effect<void, DatabaseError> = Effect.gen(function*() {
    while (true) {
      const found = yield* tasks.find({ unfiled: true }, { limit: chunkSize, projection: Documents.withoutTexts })
      const docs = found.filter((doc) => Documents.defect(doc, false) === undefined)
      if (docs.length === 0) return
      yield* file(docs)
      if (found.length < chunkSize) return
    }
  })

  // -- one operation

  const write: Writes["write"] = <E, A>(operation: string, options: WriteOptions<E, A>) => {
    const { absent, apply, entries, grows = false, known, lost, needs, where, whole } = options
    const answers = new Map<number, A>()
    /** What all rounds brought. */
    const news = brought()

    const refuse = (doc: TaskDocument, before: TaskDocument | undefined): TaskStoreError | undefined => {
      if (!isWellFormed(doc._id)) {
        return new TaskStoreError({
          store,
          operation,
          reason: "Invalid",
          message: `${store}: the id ${
            JSON.stringify(doc._id)
          } has half of a surrogate pair, which MongoDB cannot keep.`
        })
      }
      const size = grows ? Documents.sizeOf(doc) : 0
      // what has become larger all the same may be changed, and shrink
      if (size <= maximumSize || (before !== undefined && size <= Documents.sizeOf(before))) return undefined
      return new TaskStoreError({
        store,
        operation,
        reason: "Invalid",
        message: `${store}: task ${JSON.stringify(doc._id)} would take ${size} bytes with its ` +
          `${Object.keys(doc.runs).length} open runs, of at most ${maximumSize}: MongoDB keeps a task and its open ` +
          "runs in one document, of 16 MiB. Store what is large elsewhere and its name in the payload, or bound the " +
          "open runs (`maxInstances`, `queueLimit`)."
      })
    }

    /** Changes or removes what was read, if it is still that; answers whether it was. */
    const put = (before: TaskDocument | undefined, after: TaskDocument | undefined) => {
      if (before === undefined) return Effect.succeed(true)
      if (after === undefined) return tasks.remove(exactly(before))
      const update = Documents.difference(before, after)
      return update === undefined ? Effect.succeed(true) : tasks.update(exactly(before), update)
    }

    const round = (pending: ReadonlyArray<number>, docs: ReadonlyArray<TaskDocument>) =>
      Effect.gen(function*() {
        const byId = new Map(docs.map((doc) => [doc._id, doc]))
        const byGeneration = new Map(
          docs.flatMap((doc) => [doc.generations].flat().map((one) => [one, doc] as const))
        )
        const groups = new Map<string, Array<number>>()
        const need = { tokens: 0, generations: 0 }
        for (const i of pending) {
          const entry = entries[i]!
          const at = where(entry)
          const id = "id" in at ? at.id : byGeneration.get(at.generation)?._id
          const doc = id === undefined ? undefined : byId.get(id)
          if (doc !== undefined && doc.schema > Documents.schemaVersion) {
            return yield* newerSchema(store, operation, { version: doc.schema, minimumWriter: doc.schema })
          }
          if (id === undefined || (doc !== undefined && Documents.defect(doc, whole) !== undefined)) {
            answers.set(i, absent)
            continue
          }
          const group = groups.get(id)
          if (group === undefined) groups.set(id, [i])
          else group.push(i)
          const { generations, tokens } = needs?.(entry) ?? none
          need.tokens += tokens
          need.generations += generations
        }
        const numbers = counted(yield* draw("token", need.tokens), yield* draw("generation", need.generations))

        // everything is drafted before anything is written, so that what is refused has changed nothing
        const drafted: Array<Drafted<A>> = []
        for (const [id, given] of groups) {
          const draft = new Draft(id, byId.get(id), numbers)
          const told: Array<A> = []
          for (const i of given) {
            if (told.length > 0 && draft.unfiled() > maximumUnfiled) break
            told.push(apply(draft, entries[i]!))
          }
          const after = draft.after()
          const refused = after === undefined ? undefined : refuse(after, draft.before)
          if (refused !== undefined) return yield* refused
          drafted.push({ draft, after, given, told })
        }

        const again: Array<number> = []
        const unfiled: Array<TaskDocument> = []
        const done = (one: typeof drafted[number], first: boolean) => {
          const { after, draft, given, told: answered } = one
          if (!first) {
            if (lost === undefined) again.push(...given)
            else for (const i of given) answers.set(i, lost)
            return
          }
          answered.forEach((answer, n) => answers.set(given[n]!, answer))
          again.push(...given.slice(answered.length))
          merge(news, draft.brought)
          if (after?.unfiled !== true) return
          // as it is now
          const changed = draft.before !== undefined && Documents.difference(draft.before, after) !== undefined
          unfiled.push(changed ? { ...after, v: after.v + 1 } : after)
        }

        const isFresh = ({ after, draft }: typeof drafted[number]) => draft.before === undefined && after !== undefined
        for (const some of chunks(drafted.filter(isFresh))) {
          const existed = yield* tasks.insert(some.flatMap(({ after }) => after ?? []))
          some.forEach((one, n) => done(one, !existed.has(n)))
        }
        yield* Effect.forEach(
          drafted.filter((one) => !isFresh(one)),
          (one) => Effect.map(put(one.draft.before, one.after), (first) => done(one, first)),
          { concurrency, discard: true }
        )
        yield* file(unfiled)
        return again
      })

    const rounds = Effect.gen(function*() {
      let pending: ReadonlyArray<number> = entries.map((_, i) => i)
      let docs: ReadonlyArray<TaskDocument> | undefined
      const read = () => readAll(pending.map((i) => where(entries[i]!)), whole)
      if (known !== undefined) docs = [...known.values()]
      else if (pending.length > 0) {
        docs = (yield* Effect.all([read(), checkWriter(operation)], { concurrency: "unbounded" }))[0]
      }
      for (let n = 0; pending.length > 0; n++) {
        yield* again(operation, n)
        docs ??= yield* read()
        pending = yield* round(pending, docs)
        docs = undefined
      }
    })

    return rounds.pipe(
      Effect.mapError(fail(operation)),
      // what was written before a failure is told too
      Effect.ensuring(Effect.suspend(() => wakes.tell(news))),
      Effect.map(() => entries.map((_, i) => answers.get(i)!))
    )
  }

  return {
    ...collections,
    store,
    wakes,
    fail,
    read: (operation, effect) => Effect.mapError(effect, fail(operation)),
    write,
    again,
    fileAll,
    checkWriter
  }
}

const none = { tokens: 0, generations: 0 }

const counted = (token: number, generation: number): Numbers => {
  let nextToken = token
  let nextGeneration = generation
  return { token: () => nextToken++, generation: () => nextGeneration++ }
}

/** Filing gives no numbers. */
const noNumbers: Numbers = counted(0, 0)

/** A few milliseconds, so that writers of one document do not stay in step. */
const pause: Effect.Effect<void> = Effect.flatMap(Random.nextBetween(0, 8), sleepUnref)

/** The numbers up to which each generation's history is dropped. */
const lastDropped = (ended: ReadonlyArray<EndedRun>): ReadonlyMap<number, number> => {
  const dropped = new Map<number, number>()
  for (const { generation, keep, number } of ended) {
    if (keep !== null) dropped.set(generation, Math.max(dropped.get(generation) ?? 0, number - keep))
  }
  return dropped
}

/** Whether UTF-8 can write it: no half of a surrogate pair. */
const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

/** Parts of at most so many rows, and so many characters of exits beyond the first. */
const byLength = (
  rows: ReadonlyArray<Documents.HistoryDocument>
): ReadonlyArray<ReadonlyArray<Documents.HistoryDocument>> => {
  const parts: Array<Array<Documents.HistoryDocument>> = []
  let part: Array<Documents.HistoryDocument> = []
  let length = 0
  for (const row of rows) {
    const size = row.exit?.length ?? 0
    if (part.length > 0 && (part.length >= chunkSize || length + size > maximumUnfiled)) {
      parts.push(part)
      part = []
      length = 0
    }
    part.push(row)
    length += size
  }
  if (part.length > 0) parts.push(part)
  return parts
}
