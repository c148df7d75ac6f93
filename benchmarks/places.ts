/**
 * Where benchmarks keep schedules: memory, a folder, servers; and Punctual's stores there.
 */
import type * as Layer from "effect/Layer"
import type { RowDataPacket } from "mysql2/promise"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TaskStore, TaskStoreError } from "punctual/TaskStore"
import { LeftOut } from "./harness.ts"

/** `file` is a folder of this machine. */
export type Place = "memory" | "file" | "postgres" | "mysql" | "redis" | "mongodb"

/** The URL or path of each; those without one are left out. */
export type Places = Readonly<Record<Place, string | undefined>>

/** Where the URL of each server is found. */
export const urls = {
  postgres: "PUNCTUAL_POSTGRES_URL",
  mysql: "PUNCTUAL_MYSQL_URL",
  redis: "PUNCTUAL_REDIS_URL",
  mongodb: "PUNCTUAL_MONGODB_URL"
} as const

/** Calls back with the places that there are, says which are not, and deletes the folder afterwards. */
export const withPlaces = async (f: (places: Places) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "punctual-bench-"))
  const places: Places = {
    memory: "memory",
    file: folder,
    postgres: process.env[urls.postgres],
    mysql: process.env[urls.mysql],
    redis: process.env[urls.redis],
    mongodb: process.env[urls.mongodb]
  }
  for (const [place, where] of Object.entries(places)) {
    if (where === undefined) {
      console.log(`${place} is left out: its URL is not set; \`npm run services -- up\` starts one`)
    }
  }
  try {
    await f(places)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Where a place is; who needs it is left out where there is none. */
export const whereIs = (places: Places, place: Place): string => {
  const where = places[place]
  if (where === undefined) throw new LeftOut(`${urls[place as keyof typeof urls]} is not set`)
  return where
}

/** A name for tables, keys or files that nobody else has. */
export const fresh = (): string => `b${crypto.randomUUID().slice(0, 8)}`

export interface Store {
  readonly place: Place
  /** Several processes that open the same name share it. */
  readonly open: (where: string, name: string) => Promise<Layer.Layer<TaskStore, TaskStoreError>>
}

/** Punctual's, at their defaults. */
export const stores = {
  memory: {
    place: "memory",
    open: async () => (await import("punctual/MemoryTaskStore")).layer
  },
  SQLite: {
    place: "file",
    open: async (folder, name) =>
      (await import("@punctual/sql/SqliteTaskStore")).layer({ filename: join(folder, `${name}.db`) })
  },
  file: {
    place: "file",
    open: async (folder, name) =>
      (await import("@punctual/node/FileTaskStore")).layer({ directory: join(folder, name) })
  },
  Postgres: {
    place: "postgres",
    open: async (url, prefix) => (await import("@punctual/sql/PostgresTaskStore")).layer({ url, prefix })
  },
  MySQL: {
    place: "mysql",
    open: async (url, prefix) => (await import("@punctual/sql/MysqlTaskStore")).layer({ url, prefix })
  },
  Redis: {
    place: "redis",
    open: async (url, prefix) => (await import("@punctual/redis/NodeRedisTaskStore")).layer({ url, prefix })
  },
  MongoDB: {
    place: "mongodb",
    open: async (url, prefix) => (await import("@punctual/mongo/MongoTaskStore")).layer({ url, prefix })
  }
} satisfies Readonly<Record<string, Store>>

/**
 * Deletes what a prefix names; without one, does at once what a server would do by itself some time after many rows
 * were added.
 */
export const tidy = async (place: Place, where: string, prefix?: string): Promise<void> => {
  if (place === "postgres") {
    const { default: { Client } } = await import("pg")
    const db = new Client({ connectionString: where })
    await db.connect()
    if (prefix === undefined) await db.query("vacuum analyze")
    else {
      const { rows } = await db.query<{ readonly tablename: string }>(
        "select tablename from pg_tables where tablename ^@ $1",
        [prefix]
      )
      for (const { tablename } of rows) await db.query(`drop table if exists "${tablename}" cascade`)
      await db.query(`drop schema if exists "${prefix}" cascade`) // of a peer
    }
    await db.end()
  }
  if (place === "mysql" && prefix !== undefined) {
    const { createConnection } = await import("mysql2/promise")
    const db = await createConnection(where)
    const [rows] = await db.query<Array<RowDataPacket>>(
      "select table_name as name from information_schema.tables where table_schema = database() and table_name like ?",
      [`${prefix}%`]
    )
    await db.query("set foreign_key_checks = 0")
    for (const { name } of rows) await db.query(`drop table if exists \`${name}\``)
    await db.end()
  }
  if (place === "redis" && prefix !== undefined) {
    const { Redis } = await import("ioredis")
    const db = new Redis(where)
    for await (const keys of db.scanStream({ match: `*${prefix}*`, count: 10_000 })) {
      if (keys.length > 0) await db.unlink(...keys)
    }
    db.disconnect()
  }
  if (place === "file" && prefix !== undefined) {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(where, `${prefix}.db${suffix}`), { force: true })
    rmSync(join(where, prefix), { recursive: true, force: true })
  }
}

/** Whether it only stands in for a MongoDB, and reads everything for each question. */
export const standsIn = async (url: string): Promise<boolean> => {
  const { MongoClient } = await import("mongodb")
  const db = new MongoClient(url)
  const { ferretdbVersion } = await db.db().command({ buildInfo: 1 })
  await db.close()
  return ferretdbVersion !== undefined
}
