/**
 * A second process of one measurement, which works and tells what it does, a line at a time. It ends with the first one,
 * whatever becomes of that.
 */
import { spawn } from "node:child_process"
import { writeSync } from "node:fs"
import { createInterface } from "node:readline"

export interface Worker {
  readonly send: (line: string) => void
  /** It has ended, and all lines it wrote have been told. */
  readonly gone: Promise<void>
  /** Kills it; done when all lines it wrote have been told. */
  readonly kill: () => Promise<void>
}

export const startWorker = (script: string, args: ReadonlyArray<string>, onLine: (line: string) => void): Worker => {
  const child = spawn(process.execPath, ["--no-warnings", script, ...args], { stdio: ["pipe", "pipe", "inherit"] })
  const lines = createInterface({ input: child.stdout })
  lines.on("line", onLine)
  const gone = new Promise<void>((resolve) => lines.on("close", resolve))
  child.stdin.on("error", () => {}) // it was killed
  return {
    gone,
    send: (line) => {
      child.stdin.write(`${line}\n`)
    },
    kill: () => {
      child.kill("SIGKILL")
      return gone
    }
  }
}

/** For the second process: what the first one sends. Its input ends when that one does. */
export const onParent = (onLine: (line: string) => void = () => {}): void => {
  createInterface({ input: process.stdin }).on("line", onLine).on("close", () => process.exit(0))
}

/** At once, so that a kill loses nothing of it. */
export const tell = (line: string): void => {
  writeSync(1, `${line}\n`)
}
