import * as LockSuite from "@punctual/testing/LockSuite"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import * as FileLock from "../src/FileLock.ts"

const folder = mkdtempSync(join(tmpdir(), "punctual-lock-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, "made when needed", "{name}.lock")

LockSuite.suite("file", FileLock.layer({ path }), {
  capabilities: { spans: "host", fair: false, fenced: true, leased: false },
  processes: { script: new URL("fixtures/locker.ts", import.meta.url), args: [path] }
})
