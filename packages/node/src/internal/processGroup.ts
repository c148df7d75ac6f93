/**
 * Ends a process and everything it started.
 *
 * A child that was started `detached` leads a process group of its own: what it starts belongs to that, unless it asks
 * for another one. Windows has no groups: there only the child itself is ended.
 *
 * @since 0.1.0
 */
import type { ChildProcess } from "node:child_process"

/**
 * @internal
 */
export const signalGroup = (child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void => {
  if (child.pid === undefined) return
  try {
    if (process.platform === "win32") child.kill(signal)
    else process.kill(-child.pid, signal)
  } catch {
    // Nobody is left.
  }
}
