/**
 * Ends a process and everything it started.
 *
 * A child that was started `detached` leads a process group of its own: what it starts belongs to that, unless it asks
 * for another one. Windows has no groups: there only the child itself is ended.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ChildProcess } from "node:child_process"
import * as RealTime from "./realTime.ts"

/**
 * Answers whether there was anybody to get it.
 *
 * @internal
 */
export const signalGroup = (child: ChildProcess, signal: "SIGTERM" | "SIGKILL" | 0): boolean => {
  if (child.pid === undefined) return false
  try {
    return process.platform === "win32" ? child.kill(signal) : process.kill(-child.pid, signal)
  } catch {
    return false
  }
}

/**
 * SIGTERM to the whole group, and SIGKILL to what is left of it after `killAfter` milliseconds. Waits until nobody is
 * left, for a second at most after that: what the system does not end is not waited for.
 *
 * @internal
 */
export const endGroup = (child: ChildProcess, killAfter: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (!signalGroup(child, "SIGTERM")) return Effect.void
    return Effect.flatMap(emptyWithin(child, killAfter), (empty) => {
      if (empty) return Effect.void
      signalGroup(child, "SIGKILL")
      return Effect.asVoid(emptyWithin(child, 1_000))
    })
  })

/** A group has no event that says that its last member is gone. */
const emptyWithin = (child: ChildProcess, millis: number): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const until = RealTime.now() + millis
    const look: Effect.Effect<boolean> = Effect.suspend(() => {
      if (!signalGroup(child, 0)) return Effect.succeed(true)
      return RealTime.now() >= until ? Effect.succeed(false) : Effect.andThen(RealTime.sleep(lookEvery), look)
    })
    return look
  })

const lookEvery = 10
