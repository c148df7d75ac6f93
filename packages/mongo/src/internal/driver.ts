/**
 * The official driver behind the store's own port.
 *
 * Every write is acknowledged by a majority and in the journal before it is answered; every read is of the primary.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Mongo from "mongodb"
import { MongoBulkWriteError, MongoError, MongoServerError } from "mongodb"
import type { BulkWrite, Clause, Collection, Database, Index } from "./collections.ts"
import { DatabaseError } from "./collections.ts"

/** The oldest server this store is made for. */
export const minimumServer = "6.0"

const duplicateKey = 11000

/**
 * By the server's code.
 *
 * @see https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
 */
const byCode: { readonly [code: number]: readonly [DatabaseError["reason"], string] } = {
  13: ["Unknown", "give this user the role readWrite on the database"],
  18: ["Unknown", "check user, password and authSource in the url"],
  8000: ["Unknown", "check user, password and authSource in the url"],
  24: ["Busy", "try again"],
  46: ["Busy", "try again"],
  112: ["Busy", "try again"],
  50: ["Unavailable", "the server is slow: try again"],
  64: ["Unavailable", "no majority confirmed it in time; it may be written all the same"],
  262: ["Unavailable", "the server is slow: try again"],
  14031: ["Full", "free space on the server's disk"],
  10334: ["Invalid", "MongoDB keeps at most 16 MiB in one document"],
  17419: ["Invalid", "MongoDB keeps at most 16 MiB in one document"],
  17420: ["Invalid", "MongoDB keeps at most 16 MiB in one document"]
}

/** By the name of the driver's class. */
const byName: { readonly [name: string]: readonly [DatabaseError["reason"], string] } = {
  MongoServerSelectionError: ["Unavailable", "check the url, and that the server runs and can be reached"],
  MongoNetworkError: ["Unavailable", "try again"],
  MongoNetworkTimeoutError: ["Unavailable", "try again"],
  MongoOperationTimeoutError: ["Unavailable", "the server is slow: try again"],
  MongoPoolClearedError: ["Unavailable", "try again"],
  PoolClearedError: ["Unavailable", "try again"],
  MongoNotConnectedError: ["Closed", "the client was closed"],
  MongoClientClosedError: ["Closed", "the client was closed"],
  MongoTopologyClosedError: ["Closed", "the client was closed"],
  MongoParseError: ["Invalid", "write the url as mongodb://user:password@host:port/?replicaSet=name"],
  MongoInvalidArgumentError: ["Invalid", "see the driver's message"],
  MongoCompatibilityError: ["Unknown", `MongoDB ${minimumServer} or later is needed`]
}

/** Of a name that cannot be looked up, before there is a server to ask. */
const isNameError = (cause: unknown): boolean =>
  cause instanceof Error && "syscall" in cause && "code" in cause && !(cause instanceof MongoError)

/** @internal */
export const databaseError = (cause: unknown): DatabaseError => {
  const message = cause instanceof Error ? cause.message : String(cause)
  const known = cause instanceof MongoServerError && typeof cause.code === "number" ? byCode[cause.code] : undefined
  const [reason, hint] = known ?? (cause instanceof MongoError && cause.hasErrorLabel("RetryableWriteError")
    ? ["Unavailable", "try again"] as const
    : cause instanceof RangeError && message.includes("BSON")
    ? ["Invalid", "MongoDB keeps at most 16 MiB in one document"] as const
    : isNameError(cause)
    ? ["Unavailable", "check the host in the url, and this machine's network"] as const
    : byName[cause instanceof Error ? cause.name : ""] ?? ["Unknown", ""] as const)
  return new DatabaseError({ reason, message: hint === "" ? message : `${message}; ${hint}`, cause })
}

const call = <A>(run: () => Promise<A>): Effect.Effect<A, DatabaseError> =>
  Effect.tryPromise({ try: run, catch: databaseError })

const collection = <Doc extends { readonly _id: string }>(
  mongo: Mongo.Collection<Mongo.Document>
): Collection<Doc> => ({
  find: (filter, options = {}) =>
    call(() => {
      const { limit, projection, sort } = options
      const cursor = mongo.find(filter, {
        ...projection !== undefined && { projection },
        ...sort !== undefined && { sort: { ...sort } },
        ...limit !== undefined && { limit }
      })
      return cursor.toArray() as Promise<ReadonlyArray<Mongo.Document>> as Promise<ReadonlyArray<Doc>>
    }),
  insert: (docs) =>
    docs.length === 0 ? Effect.succeed(new Set<number>()) : call(async () => {
      try {
        await mongo.insertMany(docs as ReadonlyArray<Mongo.Document> as Array<Mongo.Document>, { ordered: false })
        return new Set<number>()
      } catch (error) {
        if (!(error instanceof MongoBulkWriteError)) throw error
        const errors = [error.writeErrors].flat()
        const other = errors.find(({ code }) => code !== duplicateKey)
        if (other !== undefined || errors.length === 0) throw error
        return new Set(errors.map(({ index }) => index))
      }
    }),
  update: (filter, update) => call(async () => (await mongo.updateOne(filter, update)).matchedCount > 0),
  replace: ({ _id, ...doc }) => call(() => mongo.replaceOne(byId(_id), doc, { upsert: true })).pipe(Effect.asVoid),
  remove: (filter) => call(async () => (await mongo.deleteOne(filter)).deletedCount > 0),
  bulk: (writes) =>
    writes.length === 0 ? Effect.succeed(0) : call(async () => {
      const { deletedCount, matchedCount } = await mongo.bulkWrite(writes.map(bulkWrite), { ordered: false })
      return deletedCount + matchedCount
    }),
  createIndexes: (indexes) =>
    call(async () => {
      const existing = new Set(await indexNames(mongo))
      const missing = indexes.filter(({ name }) => !existing.has(name))
      if (missing.length > 0) await mongo.createIndexes(missing.map(index))
    })
})

const bulkWrite = (write: BulkWrite): Mongo.AnyBulkWriteOperation =>
  "update" in write
    ? { updateOne: { filter: write.filter, update: write.update } }
    : write.remove === "one"
    ? { deleteOne: { filter: write.filter } }
    : { deleteMany: { filter: write.filter } }

const namespaceNotFound = 26

/** None of a collection that does not exist. */
const indexNames = async (mongo: Mongo.Collection<Mongo.Document>): Promise<ReadonlyArray<string>> => {
  try {
    return (await mongo.listIndexes().toArray()).map(({ name }) => String(name))
  } catch (error) {
    if (error instanceof MongoServerError && error.code === namespaceNotFound) return []
    throw error
  }
}

const index = ({ key, name, sparse }: Index): Mongo.IndexDescription => ({
  name,
  key,
  ...sparse === true && { sparse }
})

/** A change stream on one document: what it is now, then what it becomes. */
const watch = (mongo: Mongo.Collection<Mongo.Document>, id: string, onChange: (doc: Clause) => Effect.Effect<void>) =>
  Effect.scoped(Effect.gen(function*() {
    const stream = yield* Effect.acquireRelease(
      Effect.sync(() => mongo.watch([{ $match: { "documentKey._id": id } }], { fullDocument: "updateLookup" })),
      (stream) => Effect.promise(() => stream.close())
    )
    // opens it: what changes from here on comes
    const first = yield* call(() => stream.tryNext())
    const now = yield* call(() => mongo.findOne(byId(id)))
    if (now !== null) yield* onChange(now)
    let change: Mongo.ChangeStreamDocument | null = first
    while (true) {
      if (change !== null && "fullDocument" in change && change.fullDocument !== undefined) {
        yield* onChange(change.fullDocument)
      }
      change = yield* call(() => stream.next())
    }
  }))

/** Our ids are texts, which the driver's general types do not know. */
const byId = (id: string): Mongo.Filter<Mongo.Document> => ({ _id: id } as Clause)

/** What a server can do, by its answer to `hello`: members of replica sets and routers push changes. */
const pushes = (hello: Mongo.Document): boolean => typeof hello["setName"] === "string" || hello["msg"] === "isdbgrid"

/** Asks the server who it is. */
export const database = (db: Mongo.Db): Effect.Effect<Database, DatabaseError> =>
  Effect.map(
    call(() => Promise.all([db.command({ buildInfo: 1 }), db.command({ hello: 1 })])),
    ([build, hello]): Database => {
      const open = (name: string) =>
        db.collection<Mongo.Document>(name, {
          writeConcern: { w: "majority", journal: true },
          readConcern: { level: "local" },
          readPreference: "primary",
          ignoreUndefined: true
        })
      return {
        version: String(build["version"]),
        time: call(async () => Number((await db.command({ hello: 1 }))["localTime"])),
        collection: (name) => collection(open(name)),
        increment: (name, id, by, set) =>
          call(async () => {
            const doc = await open(name).findOneAndUpdate(
              byId(id),
              { $inc: { n: by }, ...set !== undefined && { $set: set } },
              { upsert: true, returnDocument: "after" }
            )
            return Number(doc?.["n"])
          }),
        watch: pushes(hello) ? (name, id, onChange) => watch(open(name), id, onChange) : undefined
      }
    }
  )
