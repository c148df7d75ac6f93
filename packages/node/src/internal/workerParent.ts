/**
 * The executor that started this thread or process, as its worker sees it.
 *
 * @since 0.1.0
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { type FromWorker, type Start, startKey, startVariable, type ToWorker } from "./workerProtocol.ts"

/** @internal */
export interface Parent {
  readonly start: Start
  readonly send: (message: FromWorker) => void
  /** Listens from now on; `onGone` is called when nobody speaks any more. */
  readonly listen: (onMessage: (message: ToWorker) => void, onGone: () => void) => void
  /** Ends this thread or process. */
  readonly exit: (code: number) => void
}

/** @internal */
export const findParent = (): Parent | undefined =>
  parentPort === null ? isMainThread ? processParent() : undefined : threadParent(parentPort)

const threadParent = (port: NonNullable<typeof parentPort>): Parent | undefined => {
  const start = (workerData as { readonly [startKey]?: Start } | null)?.[startKey]
  return start === undefined ? undefined : {
    start,
    send: (message) => port.postMessage(message),
    listen: (onMessage, onGone) => void port.on("message", onMessage).on("close", onGone),
    exit: (code) => process.exit(code)
  }
}

const processParent = (): Parent | undefined => {
  const text = process.env[startVariable]
  if (text === undefined || process.send === undefined) return undefined
  // Not for what this process starts.
  delete process.env[startVariable]
  const start: Start & { readonly pid: number } = JSON.parse(text)
  if (process.platform !== "win32") followParent(start.pid, start.grace)
  return {
    start,
    send: (message) => {
      // a channel that closes meanwhile says so to the callback, and is no error of this program
      if (process.connected) process.send!(message, undefined, undefined, () => {})
    },
    listen: (onMessage, onGone) =>
      void process.on("message", (message) => onMessage(message as ToWorker)).on("disconnect", onGone),
    exit: (code) => {
      // Nobody else ends what this process has started.
      if (!process.connected && process.platform !== "win32") process.kill(-process.pid, "SIGKILL")
      process.exit(code)
    }
  }
}

/**
 * Ends this process group after its parent, a grace later, whatever keeps this thread busy: a thread of its own looks
 * whose child the process is. Nothing tells a process that its parent was killed, and a pipe that closes is read by the
 * very thread that may be at work.
 */
const followParent = (pid: number, grace: number): void => {
  const follow = `
    const orphaned = () => process.ppid !== ${pid}
    const end = () => process.kill(-process.pid, "SIGKILL")
    const timer = setInterval(() => {
      if (!orphaned()) return
      clearInterval(timer)
      setTimeout(end, ${grace})
    }, 100)`
  new Worker(follow, { eval: true, execArgv: [], stdout: true, stderr: true }).unref()
}
