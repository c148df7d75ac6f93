/**
 * A worker in a thread of this process.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Worker } from "node:worker_threads"
import type { Channel, Open } from "./workerChannel.ts"
import { type Start, startKey } from "./workerProtocol.ts"

/** @internal */
export const openThread = (options: {
  readonly module: URL
  readonly start: Start
  /** Megabytes of heap. */
  readonly maxMemory: number | undefined
  readonly execArgv: ReadonlyArray<string> | undefined
  readonly env: Readonly<Record<string, string>> | undefined
}): Open =>
({ onExit, onMessage }): Channel => {
  const worker = new Worker(options.module, {
    name: options.start.name,
    workerData: { [startKey]: options.start },
    ...(options.maxMemory === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: options.maxMemory } }),
    ...(options.execArgv === undefined ? {} : { execArgv: [...options.execArgv] }),
    ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } })
  })
  let how: string | undefined
  worker.on("message", onMessage)
  worker.on("error", (error: unknown) => how = describe(error))
  worker.on("exit", (code) => onExit(how ?? `exit code ${code}`))
  return {
    name: `thread ${worker.threadId}`,
    send: (message) => worker.postMessage(message),
    end: Effect.sync(() => void worker.terminate())
  }
}

const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out of memory" : error.stack ?? error.message
}
