/**
 * A worker in a process of its own, the leader of a process group.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { fork } from "node:child_process"
import { signalGroup } from "./processGroup.ts"
import * as RealTime from "./realTime.ts"
import type { Channel, Open } from "./workerChannel.ts"
import { type FromWorker, type Start, startVariable } from "./workerProtocol.ts"

/** @internal */
export const openChild = (options: {
  readonly module: URL
  readonly start: Start
  /** Megabytes of heap. */
  readonly maxMemory: number | undefined
  readonly execArgv: ReadonlyArray<string> | undefined
  readonly env: Readonly<Record<string, string>> | undefined
  readonly cwd: string | undefined
  /** Milliseconds from SIGTERM to SIGKILL. */
  readonly killAfter: number
}): Open =>
({ onExit, onMessage }): Channel => {
  const { cwd, env, execArgv, maxMemory, module, start } = options
  const child = fork(module, [], {
    detached: true,
    // Its output is this program's.
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    env: { ...process.env, ...env, [startVariable]: JSON.stringify({ ...start, pid: process.pid }) },
    execArgv: [
      ...execArgv ?? process.execArgv,
      ...maxMemory === undefined ? [] : [`--max-old-space-size=${maxMemory}`]
    ],
    ...(cwd === undefined ? {} : { cwd })
  })
  let gone = false
  const ended = (how: string) => {
    if (gone) return
    gone = true
    // What it started and left behind.
    signalGroup(child, "SIGKILL")
    // Its last words may not have been read yet.
    if (child.connected) child.once("disconnect", () => onExit(how))
    else onExit(how)
  }
  child.on("message", (message) => onMessage(message as FromWorker))
  child.on("error", (error) => {
    if (child.pid === undefined) ended(error.message)
  })
  child.on("exit", (code, signal) => ended(signal === null ? `exit code ${code}` : `killed by ${signal}`))
  return {
    name: `process ${child.pid}`,
    // A channel that closed meanwhile says so to the callback: the end of the process is what is looked at.
    send: (message) => {
      if (child.connected) child.send(message, () => {})
    },
    end: Effect.suspend(() => {
      signalGroup(child, "SIGTERM")
      return Effect.andThen(
        RealTime.sleep(options.killAfter),
        Effect.sync(() => {
          if (!gone) signalGroup(child, "SIGKILL")
        })
      )
    })
  }
}
