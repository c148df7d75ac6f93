/**
 * The locks that tests and their processes share.
 */
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Lock } from "punctual/Lock"
import * as MysqlClient from "../../src/MysqlClient.ts"
import * as PostgresLock from "../../src/PostgresLock.ts"
import * as SqliteClient from "../../src/SqliteClient.ts"
import * as SqlLock from "../../src/SqlLock.ts"
import { clientOf } from "./postgres.ts"

const onClient = (client: Layer.Layer<SqlClient, SqlError>) => (prefix: string): Layer.Layer<Lock, unknown> =>
  SqlLock.layer({ prefix, lease: "800 millis", pollInterval: "20 millis" }).pipe(Layer.provide(client))

/** By kind and the place of the database. */
export const locksOf: {
  readonly [kind: string]: ((place: string) => (prefix: string) => Layer.Layer<Lock, unknown>) | undefined
} = {
  sqlite: (filename) => onClient(SqliteClient.layer({ filename })),
  mysql: (url) => onClient(MysqlClient.layer({ url })),
  postgres: (url) => onClient(clientOf(url)),
  advisory: (url) => (prefix) => PostgresLock.layer({ url, prefix })
}
