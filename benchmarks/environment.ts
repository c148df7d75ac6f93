/**
 * What figures depend on: the machine, the versions of everything, and how the servers are set up.
 */
import type { RowDataPacket } from "mysql2/promise"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { cpus, loadavg, release, totalmem } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { urls } from "./places.ts"

export interface Environment {
  readonly machine: string
  readonly memory: string
  readonly system: string
  /** Of this repository; with `+` where files differed from it. */
  readonly commit: string
  /** Of Node and SQLite, and of the packages that benchmarks depend on. */
  readonly versions: Readonly<Record<string, string>>
  /** Version and durability of each server that there is. */
  readonly servers: Readonly<Record<string, Readonly<Record<string, string>>>>
}

export const machine = (): string => `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown"}`

/** How many processes wanted a core in the last minute. */
export const load = (): number => Number(loadavg()[0]!.toFixed(2))

const root = join(import.meta.dirname, "..")

const git = (...args: ReadonlyArray<string>): string => {
  try {
    return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    return "" // not a clone
  }
}

const versions = (): Record<string, string> => {
  const { dependencies } = JSON.parse(readFileSync(join(import.meta.dirname, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  const db = new DatabaseSync(":memory:")
  const sqlite = String(Object.values(db.prepare("select sqlite_version()").get()!)[0])
  db.close()
  const installed = Object.keys(dependencies).flatMap((name) => {
    const file = [import.meta.dirname, root].map((folder) => join(folder, "node_modules", name, "package.json"))
      .find((file) => existsSync(file))
    return file === undefined ? [] : [[name, String(JSON.parse(readFileSync(file, "utf8")).version)] as const]
  })
  return { node: process.versions.node, v8: process.versions.v8, sqlite, ...Object.fromEntries(installed) }
}

/** Asks a server what its speed depends on. */
const questions: Readonly<Record<keyof typeof urls, (url: string) => Promise<Record<string, string>>>> = {
  postgres: async (url) => {
    const { default: { Client } } = await import("pg")
    const db = new Client({ connectionString: url })
    await db.connect()
    const names = ["server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers"]
    const { rows } = await db.query<{ readonly name: string; readonly setting: string }>(
      "select name, current_setting(name) as setting from pg_settings where name = any($1)",
      [names]
    )
    await db.end()
    return Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))
  },
  mysql: async (url) => {
    const { createConnection } = await import("mysql2/promise")
    const db = await createConnection(url)
    const [rows] = await db.query<Array<RowDataPacket>>(
      "show variables where variable_name in ('version', 'innodb_flush_log_at_trx_commit', 'log_bin', 'innodb_buffer_pool_size')"
    )
    await db.end()
    return Object.fromEntries(rows.map((row) => [String(row["Variable_name"]), String(row["Value"])]))
  },
  redis: async (url) => {
    const { Redis } = await import("ioredis")
    const db = new Redis(url)
    const version = /redis_version:(\S+)/.exec(await db.info("server"))?.[1] ?? ""
    const settings: Record<string, string> = { version }
    for (const name of ["appendonly", "appendfsync", "save"]) {
      settings[name] = String((await db.config("GET", name) as ReadonlyArray<string>)[1])
    }
    db.disconnect()
    return settings
  },
  mongodb: async (url) => {
    const { MongoClient } = await import("mongodb")
    const db = new MongoClient(url)
    const { ferretdbVersion, version } = await db.db().command({ buildInfo: 1 })
    await db.close()
    return { version: String(version), ...ferretdbVersion === undefined ? {} : { ferretdb: String(ferretdbVersion) } }
  }
}

const servers = async (): Promise<Environment["servers"]> => {
  const found: Record<string, Readonly<Record<string, string>>> = {}
  for (const [place, variable] of Object.entries(urls)) {
    const url = process.env[variable]
    if (url !== undefined) found[place] = await questions[place as keyof typeof urls](url)
  }
  return found
}

export const environment = async (): Promise<Environment> => ({
  machine: machine(),
  memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  system: `${process.platform} ${release()}`,
  commit: `${git("rev-parse", "--short", "HEAD")}${
    git("status", "--porcelain", "--untracked-files=no") === "" ? "" : "+"
  }`,
  versions: versions(),
  servers: await servers()
})
