/**
 * An executor of workers, and what they log.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { readFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import * as Executor from "punctual/Executor"

/** Waits until so many lines with this text were logged, and answers the last of those. */
export type Heard = (text: string, times?: number) => Effect.Effect<string>

/** Lines that are logged, and a logger that hears them. */
export const listening = () => {
  const lines: Array<string> = []
  const checks = new Set<() => void>()
  const logger = Logger.make(({ message }) => {
    lines.push(String(message))
    for (const check of checks) check()
  })
  const heard: Heard = (text, times = 1) =>
    Effect.callback<string>((resume) => {
      const check = () => {
        const found = lines.filter((line) => line.includes(text))
        if (found.length >= times) resume(Effect.succeed(found[times - 1]!))
      }
      checks.add(check)
      check()
      return Effect.sync(() => checks.delete(check))
    })
  return { heard, lines, logger: Logger.layer([logger]) }
}

/** Builds an executor for as long as it is used. */
export const running = <LE, A, E>(
  layer: Layer.Layer<Executor.Executor, LE>,
  use: (executor: Executor.Executor["Service"], heard: Heard) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E | LE> => {
  const { heard, logger } = listening()
  return Effect.flatMap(
    Layer.build(layer),
    (built) => use(Context.get(built, Executor.Executor), heard)
  ).pipe(Effect.scoped, Effect.provide(logger))
}

/** Whether a process is there: one that has ended and that nobody has asked about is not. */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return process.platform !== "linux"
  }
}

/** Waits until it is so, in real time: what other processes do has no event here. */
export const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => holds() ? Effect.void : Effect.andThen(Effect.promise(() => setTimeout(20)), until(holds)))

/** Waits until they are gone. */
export const gone = (...pids: ReadonlyArray<number>): Effect.Effect<void> => until(() => !pids.some(isAlive))
