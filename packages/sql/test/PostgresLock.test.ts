/**
 * Advisory locks of a Postgres server.
 */
import * as LockSuite from "@punctual/testing/LockSuite"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { onServer } from "../../../.ci/testServers.ts"
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
})
