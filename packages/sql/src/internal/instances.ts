/**
 * The schedulers that use the database: a table of its own, in no transaction with tasks or runs.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { TaskStore } from "punctual/TaskStore"
import type { Database } from "./database.ts"
import { int, intOrNull, readable, text, textOrNull, Unreadable } from "./records.ts"
import type { Migration } from "./schema.ts"

/** Adds the table. Programs that do not know it do it no harm. */
export const migration: Migration = {
  version: 2,
  name: "instances",
  minimumWriter: 1,
  statements: (p) => [
    `create table ${p}_instance (
  id text not null primary key,
  name text not null,
  host text,
  pid integer,
  version text not null,
  handles text not null,
  started_at integer not null,
  seen_at integer not null,
  until_at integer not null
) strict, without rowid`,
    `create index ${p}_instance_until on ${p}_instance (until_at)`
  ]
}

export const makeInstances = (
  { dialect, limit, read, source, sql, t, values, write }: Database
): Pick<TaskStore["Service"], "beat" | "instances" | "leave"> => {
  const byId = source([["id", "text"]])
  const replaced = dialect.replace(t.instance, "id", [
    "name",
    "host",
    "pid",
    "version",
    "handles",
    "started_at",
    "seen_at",
    "until_at"
  ])
  return {
    beat: ({ handles, host, id, name, pid, seenAt, startedAt, until, version }) =>
      write(
        "beat",
        () =>
          sql`insert into ${t.instance} (id, name, host, pid, version, handles, started_at, seen_at, until_at)
values (${id}, ${name}, ${host}, ${pid}, ${version}, ${handles}, ${startedAt}, ${seenAt}, ${until})${replaced}`
      ),
    instances: (options) =>
      read(
        "instances",
        Effect.map(
          values(sql`select id, name, host, pid, version, handles, started_at, seen_at, until_at
from ${t.instance} order by until_at desc ${limit(options.limit)}`),
          (rows) =>
            rows.flatMap(([id, name, host, pid, version, handles, startedAt, seenAt, until]) => {
              const instance = readable(() => ({
                id: text(id, "id"),
                name: text(name, "name"),
                host: textOrNull(host, "host"),
                pid: intOrNull(pid, "pid"),
                version: text(version, "version"),
                handles: text(handles, "handles"),
                startedAt: int(startedAt, "started_at"),
                seenAt: int(seenAt, "seen_at"),
                until: int(until, "until_at")
              }))
              return instance instanceof Unreadable ? [] : [instance]
            })
        )
      ),
    leave: (ids) =>
      ids.length === 0
        ? Effect.void
        : write("leave", () =>
          sql`delete from ${t.instance} where id in (select u.id from ${byId(ids.map((id) => [id]))} u)`)
  }
}
