/**
 * A pretended MongoDB: documents in memory, filters by `mingo`, each call atomic, others let in between.
 *
 * What it is for: the store's protocol under concurrency, and crashes between two of its calls. What it is not: a
 * measure of speed, of indexes or of what a server does to a call that is under way.
 */
import * as Effect from "effect/Effect"
import { find, Query } from "mingo"
import { BSON } from "mongodb"
import type { BulkWrite, Clause, Collection, Database, FindOptions } from "../../src/internal/collections.ts"
import { DatabaseError } from "../../src/internal/collections.ts"

type Document = Record<string, unknown> & { readonly _id: string }

/** A search, as it was asked. */
export interface Asked {
  readonly collection: string
  readonly filter: Clause
  readonly sort: FindOptions["sort"]
}

export class Pretended {
  /** Searches, writes included. */
  readonly asked: Array<Asked> = []
  readonly documents = new Map<string, Map<string, Document>>()
  readonly indexes = new Map<string, ReadonlyArray<string>>()
  readonly watchers = new Set<{ readonly id: string; readonly onChange: (doc: Clause) => void }>()
  version = "7.0.0"
  /** Whether it pushes changes, as a replica set does, or says so and fails. */
  pushes: boolean | "fails" = false
  calls = 0
  /** Comes before the next update. */
  meanwhile: Effect.Effect<void, unknown> | undefined
  /** The calls after this many fail, as those of a process that has died. */
  dies = Infinity
  private state: number

  constructor(seed = 1) {
    this.state = seed
  }

  private random(): number {
    // mulberry32
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** One atomic call, before and after which others have their turn. */
  private call<A>(step: () => A): Effect.Effect<A, DatabaseError> {
    return Effect.gen({ self: this }, function*() {
      for (let n = this.random() * 3; n >= 1; n--) yield* Effect.yieldNow
      if (++this.calls > this.dies) {
        return yield* new DatabaseError({ reason: "Unavailable", message: "it has died", cause: undefined })
      }
      const answer = step()
      for (let n = this.random() * 3; n >= 1; n--) yield* Effect.yieldNow
      return answer
    })
  }

  of(name: string): Map<string, Document> {
    let documents = this.documents.get(name)
    if (documents === undefined) this.documents.set(name, documents = new Map())
    return documents
  }

  private candidates(name: string, filter: Clause, sort?: FindOptions["sort"]): Array<Document> {
    this.asked.push({ collection: name, filter, sort })
    const documents = this.of(name)
    const id = filter["_id"]
    const ids = typeof id === "string" ? [id] : (id as { readonly $in?: ReadonlyArray<string> } | undefined)?.$in
    return ids === undefined ? [...documents.values()] : ids.flatMap((id) => documents.get(id) ?? [])
  }

  private first(name: string, filter: Clause): Document | undefined {
    return this.candidates(name, filter).find(tester(filter))
  }

  private put(name: string, doc: Document): void {
    // what BSON cannot say is not kept
    const kept = copy(doc)
    this.of(name).set(kept._id, kept)
    for (const watcher of this.watchers) if (watcher.id === kept._id) watcher.onChange(copy(kept))
  }

  private change(name: string, doc: Document, modifier: Clause): void {
    const changed = copy(doc)
    for (const [operator, fields] of Object.entries(modifier)) {
      for (const [path, value] of Object.entries(Object(fields) as Clause)) modify(changed, operator, path, value)
    }
    this.put(name, changed)
  }

  private write(name: string, write: BulkWrite): number {
    if ("remove" in write && write.remove === "many") {
      const all = this.candidates(name, write.filter).filter(tester(write.filter))
      for (const { _id } of all) this.of(name).delete(_id)
      return all.length
    }
    const doc = this.first(name, write.filter)
    if (doc === undefined) return 0
    if ("update" in write) this.change(name, doc, write.update)
    else this.of(name).delete(doc._id)
    return 1
  }

  collection<Doc extends { readonly _id: string }>(name: string): Collection<Doc> {
    return {
      find: (filter, { limit, projection, sort } = {}) =>
        this.call(() => {
          const cursor = find<Document>(this.candidates(name, filter, sort), filter as never)
          if (sort !== undefined) cursor.sort({ ...sort })
          if (limit !== undefined) cursor.limit(limit)
          // a projection works on what it is given
          const found = cursor.all().map(copy)
          return projection === undefined ? found as never : find<Doc>(found, {}, projection as never).all()
        }),
      insert: (docs) =>
        this.call(() => {
          const existed = new Set<number>()
          docs.forEach((doc, i) => {
            if (this.of(name).has(doc._id)) existed.add(i)
            else this.put(name, doc as unknown as Document)
          })
          return existed
        }),
      update: (filter, update) =>
        Effect.suspend(() => {
          const { meanwhile } = this
          this.meanwhile = undefined
          return Effect.andThen(
            Effect.orDie(meanwhile ?? Effect.void),
            this.call(() => this.write(name, { filter, update }) > 0)
          )
        }),
      replace: (doc) => this.call(() => this.put(name, doc as unknown as Document)),
      remove: (filter) => this.call(() => this.write(name, { filter, remove: "one" }) > 0),
      // each of them is atomic, all together are not
      bulk: (writes) =>
        Effect.map(
          Effect.forEach(writes, (write) => this.call(() => this.write(name, write))),
          (counts) => counts.reduce((sum, count) => sum + count, 0)
        ),
      createIndexes: (indexes) => this.call(() => void this.indexes.set(name, indexes.map((index) => index.name)))
    }
  }

  readonly database: Effect.Effect<Database, DatabaseError> = Effect.suspend(() =>
    this.call((): Database => ({
      version: this.version,
      collection: (name) => this.collection(name),
      increment: (name, id, by, set) =>
        this.call(() => {
          const n = Number(this.of(name).get(id)?.["n"] ?? 0) + by
          this.put(name, { ...this.of(name).get(id), ...set, _id: id, n })
          return n
        }),
      watch: this.pushes === "fails"
        ? () => new DatabaseError({ reason: "Unknown", message: "not allowed", cause: undefined })
        : this.pushes
        ? (name, id, onChange) =>
          Effect.gen({ self: this }, function*() {
            const changes: Array<Clause> = []
            let wake: (() => void) | undefined
            const watcher = { id, onChange: (doc: Clause) => (changes.push(doc), wake?.()) }
            yield* Effect.acquireRelease(
              Effect.sync(() => this.watchers.add(watcher)),
              () => Effect.sync(() => this.watchers.delete(watcher))
            )
            const now = this.of(name).get(id)
            if (now !== undefined) yield* onChange(now)
            while (true) {
              if (changes.length === 0) {
                yield* Effect.callback<void>((resume) => {
                  wake = () => resume(Effect.void)
                })
              }
              const change = changes.shift()
              if (change !== undefined) yield* onChange(change)
            }
          }).pipe(Effect.scoped)
        : undefined
    }))
  )
}

const copy = (doc: Document): Document =>
  BSON.deserialize(BSON.serialize(doc, { ignoreUndefined: true })) as unknown as Document

/** Whether a document matches. */
const tester = (filter: Clause): (doc: Document) => boolean => {
  const wanted = Object.entries(filter)
  // one value each: no language is needed for that
  if (wanted.every(([field, value]) => !field.includes(".") && typeof value !== "object" && !field.startsWith("$"))) {
    return (doc) => wanted.every(([field, value]) => doc[field] === value)
  }
  const query = new Query(filter as never)
  return (doc) => query.test(doc)
}

const modify = (doc: Document, operator: string, path: string, value: unknown): void => {
  const fields = path.split(".")
  const last = fields.pop()!
  let at: Record<string, unknown> = doc
  for (const field of fields) {
    if (at[field] === undefined && operator === "$unset") return
    at = (at[field] ??= {}) as Record<string, unknown>
  }
  if (operator === "$set") at[last] = value
  else if (operator === "$unset") delete at[last]
  else if (operator === "$inc") at[last] = Number(at[last] ?? 0) + Number(value)
  else throw new Error(`${operator} is not pretended`)
}
