/**
 * The servers of a chaos run: its own, so that it may kill them.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { chownSync, existsSync, mkdirSync, readdirSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"

export interface Server {
  /** A file, or a URL. */
  readonly where: string
  /** Kills it, and starts it again after so many milliseconds. */
  readonly restart?: (after: number) => Promise<void>
  readonly stop: () => Promise<void>
}
