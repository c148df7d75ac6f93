/**
 * Advisory locks of a Postgres server.
 */
import { assert, describe, it } from "@effect/vitest"
import * as LockSuite from "@punctual/testing/LockSuite"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import { inspect } from "node:util"
import { Lock } from "punctual/Lock"
import { onServer } from "../../../.ci/testServers.ts"
import * as PostgresLock from "../src/PostgresLock.ts"
import { locksOf } from "./internal/locks.ts"
import { clientOf, freshPrefix } from "./internal/postgres.ts"

await onServer("postgres", (url) => {
  const prefix = freshPrefix()
  const waiting = (name: string) =>
    SqlClient.SqlClient.use((sql) =>
      sql<{ readonly count: number }>`select count(*)::int as count from pg_locks where locktype = 'advisory'
        and not granted and classid::bigint << 32 | objid::bigint = hashtextextended(${`${prefix}:${name}`}, 0)`
    ).pipe(Effect.map(([row]) => row!.count), Effect.provide(clientOf(url), { local: true }), Effect.orDie)

  LockSuite.suite("postgres advisory", locksOf["advisory"]!(url)(prefix), {
    capabilities: { spans: "network", fair: true, fenced: true, leased: false },
    waiting,
    processes: { script: new URL("fixtures/locker.ts", import.meta.url), args: ["advisory", url, prefix] }
  })

  const open = Effect.map(Layer.build(Layer.fresh(locksOf["advisory"]!(url)(prefix))), Context.get(Lock))

  it.live("a lock whose connection the server ends is lost, and the next in line has it", () =>
    Effect.gen(function*() {
      const [one, other] = yield* Effect.all([open, open])
      const began = yield* Deferred.make<void>()
      const work = yield* Effect.forkChild(
        Effect.flip(one.withLock("killed")(Effect.andThen(Deferred.succeed(began, undefined), Effect.never)))
      )
      yield* Deferred.await(began)
      const next = yield* Effect.forkChild(other.hold("killed"))
      yield* SqlClient.SqlClient.use((sql) =>
        sql`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
          and classid::bigint << 32 | objid::bigint = hashtextextended(${`${prefix}:killed`}, 0)`
      ).pipe(Effect.provide(clientOf(url), { local: true }))
      const lost = yield* Fiber.join(work)
      assert.strictEqual(lost._tag, "LockLost")
      assert.isAbove((yield* Fiber.join(next)).token, lost._tag === "LockLost" ? lost.token : Infinity)
    }), 30_000)

  it.live("a lock of another program on the same number is told as that", () =>
    Effect.gen(function*() {
      const lock = yield* open
      const sql = yield* Effect.map(Layer.build(clientOf(url, { maxConnections: 1 })), Context.get(SqlClient.SqlClient))
      yield* sql`select pg_advisory_lock(hashtextextended(${`${prefix}:foreign`}, 0))`
      assert.include(Option.getOrThrow(yield* lock.holder("foreign")).identity, "backend ")
      assert.deepStrictEqual(yield* lock.withLockIfAvailable("foreign")(Effect.void), Option.none())
    }))
})

describe("options of advisory locks", () => {
  it.effect("are refused when the layer is built, without what is secret in them", () =>
    Effect.gen(function*() {
      const unknown: object = { url: "postgres://u:secret@127.0.0.1/d", prefx: "a" }
      for (
        const options of [
          { url: "mysql://u:secret@127.0.0.1/d" },
          { url: "postgres://u:secret@127.0.0.1/d", identity: "two words" },
          unknown as PostgresLock.Options
        ]
      ) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(PostgresLock.layer(options))))
        assert.strictEqual(error._tag, "InvalidOption")
        assert.notInclude(inspect(error, { depth: 9 }), "secret")
      }
    }))
})
