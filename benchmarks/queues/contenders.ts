/**
 * All of them, by the names that tables show.
 */
import { stores } from "../places.ts"
import * as Mysql from "./mysql.ts"
import * as Postgres from "./postgres.ts"
import { punctual } from "./punctual.ts"
import type { Contender } from "./queue.ts"
import * as Redis from "./redis.ts"
import * as Sqlite from "./sqlite.ts"

export const contenders: Readonly<Record<string, Contender>> = {
  "punctual, SQLite": punctual(stores.SQLite),
  "punctual, file store": punctual(stores.file),
  "limit, SQLite": Sqlite.limit,
  "claim and delete by hand, SQLite": Sqlite.claimAndDelete,
  "Effect PersistedQueue": Sqlite.persistedQueue,
  "punctual, Postgres": punctual(stores.Postgres),
  "limit, Postgres": Postgres.limit,
  "claim and delete by hand, Postgres": Postgres.claimAndDelete,
  "graphile-worker, best": Postgres.graphileBest,
  "graphile-worker, defaults": Postgres.graphileDefaults,
  "pg-boss, best": Postgres.pgBossBest,
  "pg-boss, defaults": Postgres.pgBossDefaults,
  "punctual, Redis": punctual(stores.Redis),
  "limit, Redis": Redis.limit,
  "BullMQ, best": Redis.bullmqBest,
  "BullMQ, defaults": Redis.bullmqDefaults,
  "punctual, MySQL": punctual(stores.MySQL),
  "claim and delete by hand, MySQL": Mysql.claimAndDelete,
  "punctual, MongoDB": punctual(stores.MongoDB)
}

/** Names of those that fit; with --quick, of those which share their code only one. */
export const namesOf = (quick: boolean, fits: (contender: Contender) => boolean): ReadonlyArray<string> =>
  Object.entries(contenders).flatMap(([name, contender]) =>
    fits(contender) && !(quick && (contender.role === "defaults" || name === "punctual, file store")) ? [name] : []
  )

/** How each is set up, for the results of a topic. */
export const settings: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(contenders).map(([name, { setup }]) => [name, setup])
)
