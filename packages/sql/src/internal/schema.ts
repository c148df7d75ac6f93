/**
 * Tables of the store and how they come to be.
 *
 *     task       definition: written by commands only              pk n, unique id
 *     clock      position: written by every evaluation             pk n; due, where there is one; zone rules; state
 *     run        open runs only                                    pk (n, run_key); ready; later; lease; due, of idle ones
 *     history    ended runs, numbered per task                     pk (n, no); ended_at; due
 *     line       concurrency keys to look at                        pk (tag, concurrency_key); turn
 *     label      labels of tasks, to find them by                  pk (name, value, id)
 *     verdict    what readers could not read                       pk (n, reader)
 *     gone       generations of removed tasks that left runs       pk (id, n)
 *     instance   schedulers, as they tell of themselves            pk id; until_at
 *     meta       versions and sequences, one row
 *     migration  what was done to this database
 *
 * A ready run is either claimable or `later`: only the first kind is in the index that claims walk, so that a backlog of
 * retries is not looked at by each of them. A claim moves those whose time has come. Runs with a concurrency key are in
 * neither: see `lines.ts`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"
import type { Dialect } from "./dialect.ts"
import { migration as instances } from "./instances.ts"
import { migration as lines } from "./lines.ts"
import { liveClock } from "./liveClock.ts"

/** The schema this module knows. */
export const schemaVersion = 3

export interface Tables {
  readonly task: Statement.Fragment
  readonly clock: Statement.Fragment
  readonly run: Statement.Fragment
  readonly history: Statement.Fragment
  readonly line: Statement.Fragment
  readonly label: Statement.Fragment
  readonly verdict: Statement.Fragment
  readonly gone: Statement.Fragment
  readonly instance: Statement.Fragment
  readonly meta: Statement.Fragment
  readonly migration: Statement.Fragment
}

export const tables = (sql: SqlClient.SqlClient, prefix: string): Tables => ({
  task: sql.literal(`${prefix}_task`),
  clock: sql.literal(`${prefix}_clock`),
  run: sql.literal(`${prefix}_run`),
  history: sql.literal(`${prefix}_history`),
  line: sql.literal(`${prefix}_line`),
  label: sql.literal(`${prefix}_label`),
  verdict: sql.literal(`${prefix}_verdict`),
  gone: sql.literal(`${prefix}_gone`),
  instance: sql.literal(`${prefix}_instance`),
  meta: sql.literal(`${prefix}_meta`),
  migration: sql.literal(`${prefix}_migration`)
})

export interface Migration {
  readonly version: number
  readonly name: string
  /** The oldest schema whose writers do no harm to this one: an additive migration leaves it. */
  readonly minimumWriter: number
  /** As SQLite reads them. */
  readonly statements: (prefix: string) => ReadonlyArray<string>
}

const runColumns = `
  n integer not null,
  run_key text not null,
  task_id text not null,
  tag text not null,
  version integer not null,
  executor text not null,
  priority integer not null,
  due integer not null,
  nominal integer not null,
  state text not null,
  held integer not null default 0,
  ready_at integer not null,
  attempt integer not null default 0,
  takeovers integer not null default 0,
  created_at integer not null,
  owner text,
  token integer,
  started_at integer,
  cancel text,
  exit text,
  slots integer not null,
  queues integer not null,
  at_most_once integer not null`

const migrations: ReadonlyArray<Migration> = [
  {
    version: 1,
    name: "tables",
    minimumWriter: 1,
    statements: (p) => [
      `create table ${p}_meta (
  one integer primary key check (one = 1),
  version integer not null,
  minimum_writer integer not null,
  generation integer not null,
  token integer not null
) strict`,
      `insert into ${p}_meta (one, version, minimum_writer, generation, token) values (1, 0, 0, 0, 0)`,
      `create table ${p}_task (
  n integer primary key,
  id text not null unique,
  tag text not null,
  version integer not null,
  name text not null,
  payload text not null,
  display text not null,
  rule text not null,
  anchor integer not null,
  on_startup integer not null,
  on_shutdown integer not null,
  policy text not null,
  executor text not null,
  priority integer not null,
  labels text not null,
  owner text,
  declared text,
  trace text,
  created_at integer not null,
  updated_at integer not null
) strict`,
      `create index ${p}_task_tag on ${p}_task (tag, id)`,
      `create index ${p}_task_created on ${p}_task (created_at, n)`,
      `create index ${p}_task_owner on ${p}_task (owner, id) where owner is not null`,
      `create index ${p}_task_startup on ${p}_task (id) where on_startup = 1`,
      `create index ${p}_task_shutdown on ${p}_task (id) where on_shutdown = 1`,
      `create index ${p}_task_startup_created on ${p}_task (created_at, n) where on_startup = 1`,
      `create index ${p}_task_shutdown_created on ${p}_task (created_at, n) where on_shutdown = 1`,
      `create table ${p}_clock (
  n integer primary key,
  id text not null,
  revision integer not null,
  state text not null,
  position integer not null,
  due integer,
  nominal integer,
  zone_rules text,
  override_at integer,
  epoch integer not null,
  ran integer not null,
  missed integer not null,
  coalesced integer not null,
  skipped integer not null,
  paused integer not null,
  extra integer not null,
  exact integer not null,
  ranges text not null,
  paused_at integer,
  pause_note text,
  failures integer not null
) strict`,
      `create index ${p}_clock_due on ${p}_clock (due, n, zone_rules) where due is not null`,
      `create index ${p}_clock_zone on ${p}_clock (zone_rules, n) where zone_rules is not null`,
      `create index ${p}_clock_idle on ${p}_clock (n) where due is null`,
      `create index ${p}_clock_state on ${p}_clock (state, id)`,
      `create table ${p}_run (${runColumns},
  lease_until integer,
  later integer not null default 0,
  primary key (n, run_key)
) strict, without rowid`,
      `create index ${p}_run_ready on ${p}_run (executor, tag, priority desc, due, n, run_key)
  where state = 'ready' and held = 0 and later = 0`,
      `create index ${p}_run_later on ${p}_run (executor, tag, ready_at) where state = 'ready' and held = 0 and later = 1`,
      `create index ${p}_run_lease on ${p}_run (lease_until, token) where state = 'running'`,
      `create index ${p}_run_due on ${p}_run (due, n, run_key) where lease_until is null`,
      `create table ${p}_history (${runColumns},
  no integer not null,
  ended_at integer not null,
  primary key (n, no)
) strict, without rowid`,
      `create index ${p}_history_ended on ${p}_history (ended_at, n, no)`,
      `create index ${p}_history_due on ${p}_history (due, n, run_key, no)`,
      `create table ${p}_label (
  name text not null,
  value text not null,
  id text not null,
  n integer not null,
  primary key (name, value, id)
) strict, without rowid`,
      `create index ${p}_label_task on ${p}_label (n)`,
      `create table ${p}_verdict (
  n integer not null,
  reader text not null,
  reason text not null,
  at integer not null,
  primary key (n, reader)
) strict, without rowid`,
      `create table ${p}_gone (
  id text not null,
  n integer not null,
  primary key (id, n)
) strict, without rowid`,
      `create index ${p}_gone_task on ${p}_gone (n)`
    ]
  },
  instances,
  lines
]

export interface Versions {
  /** 0: there are no tables yet. */
  readonly version: number
  readonly minimumWriter: number
}

/** What the database says of itself. */
export const readVersions = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  dialect: Dialect,
  prefix: string
): Effect.fn.Return<Versions, SqlError> {
  const exists = yield* dialect.tableExists(sql, `${prefix}_meta`).values
  if (exists.length === 0) return { version: 0, minimumWriter: 0 }
  const rows = yield* sql`select version, minimum_writer from ${tables(sql, prefix).meta}`.values
  return { version: Number(rows[0]?.[0] ?? 0), minimumWriter: Number(rows[0]?.[1] ?? 0) }
})

/** What was done to it, in order. */
export const readMigrations = (sql: SqlClient.SqlClient, prefix: string) =>
  Effect.map(
    sql`select version, name, applied_at from ${tables(sql, prefix).migration} order by version`.values,
    (rows) => rows.map(([version, name, at]) => ({ version: Number(version), name: String(name), at: Number(at) }))
  )

/**
 * Brings the database to this module's schema, once, however many processes start together.
 *
 * A current database is only read, so that a read-only one can be opened. Answers the versions it found when they forbid
 * this module to write.
 */
export const migrate = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  dialect: Dialect,
  prefix: string
): Effect.fn.Return<Versions | undefined, SqlError> {
  const { schema } = dialect
  const t = tables(sql, prefix)
  const read = readVersions(sql, dialect, prefix)
  const before = yield* read
  if (before.minimumWriter > schemaVersion) return before
  if (before.version >= schemaVersion) return undefined
  return yield* sql.withTransaction(
    Effect.gen(function*() {
      yield* schema.lock(sql, prefix, before.version > 0)
      // somebody else may have done it while this process waited for the lock
      const current = yield* read
      if (current.minimumWriter > schemaVersion) return current
      const now = liveClock.currentTimeMillisUnsafe()
      for (const migration of migrations) {
        if (migration.version <= current.version) continue
        if (migration.version === 1) {
          for (
            const statement of schema.translate([`create table if not exists ${prefix}_migration (
  version integer primary key,
  name text not null,
  applied_at integer not null
)`])
          ) yield* sql.unsafe(statement).unprepared
          for (const statement of schema.more(prefix)) yield* sql.unsafe(statement).unprepared
        }
        for (const statement of schema.translate(migration.statements(prefix))) {
          yield* Effect.catchIf(sql.unsafe(statement).unprepared, schema.isDone, () => Effect.void)
        }
        yield* sql`update ${t.meta} set version = ${migration.version}, minimum_writer = ${migration.minimumWriter}`
        yield* sql`insert into ${t.migration} (version, name, applied_at) values (${migration.version}, ${migration.name}, ${now})`
      }
      return undefined
    }).pipe(Effect.ensuring(schema.unlock(sql, prefix)))
  ).pipe(Effect.provideService(SqlClient.BeginTransaction, dialect.begin))
})
