/**
 * The server that the tests use.
 *
 * FerretDB speaks MongoDB's protocol, but two calls at once may both win (its findAndModify and its updates read, test the
 * filter and then write, unguarded) and every filter but one on `_id` reads the whole collection. There, calls are passed
 * on one at a time, so that each is atomic as on a real server and only that is left to the pretended one; and what asks
 * for indexes is skipped.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { MongoClient as Driver } from "mongodb"
import { randomUUID } from "node:crypto"
import type { TaskStoreError } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import * as ci from "../../../../.ci/testServers.ts"
import type { Collection, Database } from "../../src/internal/collections.ts"
import { database as open } from "../../src/internal/driver.ts"
import * as MongoClient from "../../src/MongoClient.ts"
import * as MongoTaskStore from "../../src/MongoTaskStore.ts"

export interface Server {
  readonly url: string
  readonly ferret: boolean
  /** Whether it pushes changes. */
  readonly replicaSet: boolean
}

const look = async (url: string): Promise<Server> => {
  const client = new Driver(url, { serverSelectionTimeoutMS: 5000 })
  try {
    const db = client.db()
    const [build, hello] = await Promise.all([db.command({ buildInfo: 1 }), db.command({ hello: 1 })])
    return { url, ferret: "ferretdbVersion" in build, replicaSet: "setName" in hello }
  } finally {
    await client.close()
  }
}

const answer = await ci.server("mongodb")

export const server = "url" in answer ? await look(answer.url) : undefined

/** Registers tests of a server; where there is none, one line says how to get it. */
export const onServer = (tests: (server: Server) => void): Promise<void> => ci.onServer("mongodb", () => tests(server!))

export const databaseName = "punctual_test"

/** A prefix of its own, whose collections are dropped with the scope. */
export const prefixed = ({ url }: Server) =>
  Effect.acquireRelease(
    Effect.sync(() => `t${randomUUID().replaceAll("-", "")}`),
    (prefix) =>
      Effect.promise(async () => {
        const client = new Driver(url)
        try {
          for (const name of ["tasks", "history", "instances", "meta"]) {
            await client.db(databaseName).dropCollection(`${prefix}_${name}`)
          }
        } finally {
          await client.close()
        }
      })
  )

/** One call at a time. */
const oneByOne = (database: Database): Database => {
  const turn = Semaphore.makeUnsafe(1).withPermits(1)
  const collection = <Doc extends { readonly _id: string }>(name: string): Collection<Doc> => {
    const of = database.collection<Doc>(name)
    return {
      find: (filter, options) => turn(of.find(filter, options)),
      insert: (docs) => turn(of.insert(docs)),
      update: (filter, update) => turn(of.update(filter, update)),
      replace: (doc) => turn(of.replace(doc)),
      remove: (filter) => turn(of.remove(filter)),
      bulk: (writes) => turn(of.bulk(writes)),
      createIndexes: (indexes) => turn(of.createIndexes(indexes))
    }
  }
  return { ...database, collection, increment: (...args) => turn(database.increment(...args)) }
}

/** A store with collections of its own. */
export const storeOn = (
  server: Server,
  options: Omit<MongoTaskStore.Options, "database" | "prefix"> & { readonly prefix?: string } = {}
): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.unwrap(
    Effect.map(options.prefix === undefined ? prefixed(server) : Effect.succeed(options.prefix), (prefix) => {
      if (!server.ferret) {
        return MongoTaskStore.layer({ ...options, url: server.url, database: databaseName, prefix })
      }
      return Layer.effect(
        TaskStore,
        Effect.gen(function*() {
          const client = yield* MongoClient.MongoClient
          return yield* MongoTaskStore.makeOver(
            Effect.map(open(client.db(databaseName)), oneByOne),
            { ...options, name: `ferretdb:${prefix}`, prefix }
          )
        })
      ).pipe(Layer.provide(MongoClient.layer({ url: server.url })))
    })
  )
