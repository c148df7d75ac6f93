/**
 * Servers whose disk is really full, where this process may mount a small one.
 */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import { chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isInstalled, type Name, start, type Started } from "../../../.ci/servers.ts"
import { mayMount, type SmallDisk, smallDisk } from "../../../.ci/smallDisk.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import { fullDisk } from "./internal/fullDisk.ts"
import { clientOf } from "./internal/postgres.ts"

interface Own {
  readonly server: Started
  /** Its data, and whose that is. */
  readonly data: string
  readonly uid: number
  readonly gid: number
}

const own = (name: Name): Effect.Effect<Own, never, Scope.Scope> =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), `punctual-full-${name}-`))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const server = yield* Effect.acquireRelease(
      Effect.promise(() => start(name, folder)),
      (server) => Effect.promise(() => server.stop("SIGKILL"))
    )
    const data = join(folder, "data")
    return { server, data, ...pick(statSync(data)) }
  })

const pick = ({ gid, uid }: { readonly gid: number; readonly uid: number }) => ({ gid, uid })

const disk = (megabytes: number, at?: Parameters<typeof smallDisk>[1]): Effect.Effect<SmallDisk, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => smallDisk(megabytes, at)!),
    (disk) => Effect.sync(() => disk.unmount())
  )

const filling = ({ fill }: SmallDisk) =>
  Effect.sync(() => {
    const free = fill()
    return Effect.sync(free)
  })

/** Tests on a server and a disk of their own; a line says what they lack. */
const withDisk = (name: Name, tests: () => void): void => {
  if (!isInstalled(name)) it.skip(`${name}: install it to test a full disk`, () => {})
  else if (!mayMount) it.skip(`${name}: a disk that can be full takes the rights to mount one (root)`, () => {})
  else describe(name, tests)
}

const hint = /free space on the disk of the server/

const title = "a full disk is Full; with room again a scheduler goes on by itself, and nothing is lost or run twice"

withDisk("postgres", () => {
  // Its log of changes is elsewhere: where that finds no room, Postgres stops.
  it.live(title, () =>
    Effect.gen(function*() {
      const { gid, server, uid } = yield* own("postgres")
      const small = yield* disk(32)
      const space = join(small.path, "space")
      mkdirSync(space)
      chownSync(space, uid, gid)
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* sql`create tablespace small location ${sql.literal(`'${space}'`)}`
        yield* sql`create database small tablespace small`
      }).pipe(Effect.provide(clientOf(server.url)))
      const url = server.url.replace(/postgres$/, "small")
      yield* fullDisk(PostgresTaskStore.layer({ url }), { fill: filling(small), reason: "Full", hint, size: 100_000 })
    }).pipe(Effect.scoped), 120_000)
})

withDisk("mysql", () => {
  // Payloads that InnoDB keeps in their rows: MariaDB 10.11 ends itself when it finds no room for a larger one.
  it.live(title, () =>
    Effect.gen(function*() {
      const { data, gid, server, uid } = yield* own("mysql")
      // A folder in its data is a database.
      const path = join(data, "small")
      mkdirSync(path)
      const small = yield* disk(16, { path, uid, gid })
      const url = server.url.replace(/test$/, "small")
      yield* fullDisk(MysqlTaskStore.layer({ url }), { fill: filling(small), reason: "Full", hint, size: 2_000 })
    }).pipe(Effect.scoped), 120_000)
})
