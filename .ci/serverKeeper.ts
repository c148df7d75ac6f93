/**
 * `node .ci/serverKeeper.ts <name>`: a server for as long as somebody listens.
 *
 * Starts one in a new folder, prints its URL as one line, and stops it and deletes the folder when its own input ends.
 * That happens also when the process at the other end is killed, which could not stop a server any more.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Name, start } from "./servers.ts"

const left = new Promise<void>((resolve) => {
  process.stdin.on("end", resolve).on("error", resolve).resume()
  process.on("SIGTERM", resolve).on("SIGINT", resolve)
  process.stdout.on("error", resolve)
})

const folder = mkdtempSync(join(tmpdir(), "punctual-server-"))
try {
  const server = await start(process.argv[2] as Name, folder)
  process.stdout.write(`${server.url}\n`)
  await left
  await server.stop()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit()
