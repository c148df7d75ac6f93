/**
 * Where the store of a chaos run is: a server or a disk of its own, so that it may be killed, cut and filled.
 */
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Name, start } from "../servers.ts"
import { smallDisk } from "../smallDisk.ts"

export interface Server {
  /** A file or a folder, or a URL. */
  readonly where: string
  /** Whether it is reached over a network, that may break. */
  readonly remote: boolean
  /**
   * Kills it, and starts it again after so many milliseconds. With `forget` the end of its log is lost with it: of so many
   * milliseconds, or a little more. Answers what that was.
   */
  readonly restart?: (after: number, forget?: number) => Promise<Forgotten | undefined>
  /** Whether it can forget. */
  readonly forgets?: boolean
  /** Takes all the space of its disk, for so many milliseconds. Answers when that was. */
  readonly fill?: (millis: number) => Promise<{ readonly from: number; readonly to: number }>
  readonly stop: () => Promise<void>
}

/** What was answered from one instant on until the other may never have been. */
export interface Forgotten {
  readonly from: number
  readonly to: number
  readonly bytes: number
}

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const own = (name: Name) => async (): Promise<Server> => {
  const folder = mkdtempSync(join(tmpdir(), `punctual-chaos-${name}-`))
  const server = await start(name, folder)
  const log = name === "redis" ? watchLog(join(folder, "data/appendonlydir")) : undefined
  return {
    where: server.url,
    remote: true,
    forgets: log !== undefined,
    restart: async (after, forget) => {
      await server.stop("SIGKILL")
      const forgotten = forget === undefined ? undefined : log?.cut(forget)
      await wait(after)
      await server.start()
      return forgotten
    },
    stop: async () => {
      log?.stop()
      await server.stop("SIGKILL")
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

/**
 * The append-only log of Redis. Under `appendfsync always` what was answered is in it; cut to what it was a while ago, it is
 * what a power cut leaves of one under `everysec`.
 */
const watchLog = (folder: string) => {
  const sizes: Array<{ readonly at: number; readonly path: string; readonly size: number }> = []
  const look = () => {
    const name = readdirSync(folder).find((name) => name.endsWith(".incr.aof"))
    const path = join(folder, name!)
    return { at: Date.now(), path, size: statSync(path).size }
  }
  const timer = setInterval(() => {
    sizes.push(look())
    if (sizes.length > 1_000) sizes.shift()
  }, 20)
  return {
    stop: () => clearInterval(timer),
    cut: (millis: number): Forgotten => {
      const now = look()
      const kept = sizes.findLast(({ at, path }) => path === now.path && at <= now.at - millis) ?? now
      truncateSync(kept.path, kept.size)
      sizes.length = 0
      return { from: kept.at, to: now.at, bytes: now.size - kept.size }
    }
  }
}

const disk = (path: (folder: string) => string) => async (folder: string): Promise<Server> => {
  const small = smallDisk(64)
  if (small === undefined) {
    process.stdout.write("its disk is never full: a small one of its own takes the rights to mount it (root)\n")
    return { where: path(folder), remote: false, stop: async () => {} }
  }
  return {
    where: path(small.path),
    remote: false,
    fill: async (millis) => {
      const free = small.fill()
      const from = Date.now()
      await wait(millis)
      free()
      return { from, to: Date.now() }
    },
    stop: async () => small.unmount()
  }
}

/** By the name of the store. */
export const servers: Readonly<Record<string, (folder: string) => Promise<Server>>> = {
  sqlite: disk((folder) => join(folder, "punctual.db")),
  file: disk((folder) => join(folder, "tasks")),
  postgres: own("postgres"),
  mysql: own("mysql"),
  redis: own("redis")
}
