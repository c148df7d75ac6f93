/**
 * Locks in a table, on each database.
 */
import * as LockSuite from "@punctual/testing/LockSuite"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { onServer } from "../../../.ci/testServers.ts"
import { locksOf } from "./internal/locks.ts"
import { freshPrefix } from "./internal/postgres.ts"

const suite = (kind: string, place: string) => {
  const prefix = freshPrefix()
  LockSuite.suite(`${kind} table`, locksOf[kind]!(place)(prefix), {
    capabilities: { spans: "network", fair: false, fenced: true, leased: true },
    processes: { script: new URL("fixtures/locker.ts", import.meta.url), args: [kind, place, prefix] }
  })
}

const folder = mkdtempSync(join(tmpdir(), "punctual-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

suite("sqlite", join(folder, "locks.db"))
await onServer("postgres", (url) => suite("postgres", url))
await onServer("mysql", (url) => suite("mysql", url))
