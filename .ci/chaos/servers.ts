/**
 * The servers of a chaos run: its own, so that it may kill them.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Name, start } from "../servers.ts"

export interface Server {
  /** A file, or a URL. */
  readonly where: string
  /** Kills it, and starts it again after so many milliseconds. */
  readonly restart?: (after: number) => Promise<void>
  readonly stop: () => Promise<void>
}

const own = (name: Name) => async (): Promise<Server> => {
  const folder = mkdtempSync(join(tmpdir(), `punctual-chaos-${name}-`))
  const server = await start(name, folder)
  return {
    where: server.url,
    restart: async (after) => {
      await server.stop("SIGKILL")
      await new Promise((resolve) => setTimeout(resolve, after))
      await server.start()
    },
    stop: async () => {
      await server.stop("SIGKILL")
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/** By the name of the store. */
export const servers: Readonly<Record<string, (folder: string) => Promise<Server>>> = {
  sqlite: async (folder) => ({ where: join(folder, "punctual.db"), stop: async () => {} }),
  postgres: own("postgres"),
  mysql: own("mysql"),
  redis: own("redis")
}
