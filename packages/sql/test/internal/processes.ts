/**
 * Other processes: programs of `fixtures/` that this one tells what to do and hears from.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"

export interface Program {
  readonly send: (message: string) => void
  /** The next message. */
  readonly heard: Effect.Effect<string>
  /** Waits until it has ended. */
  readonly gone: Effect.Effect<void>
  /** Ends it as `kill -9` does, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
}

/** Starts a program of `fixtures/`, which is killed with the scope at the latest. */
export const start = (name: string, ...args: ReadonlyArray<string>): Effect.Effect<Program, never, Scope.Scope> =>
  startFile(fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url)), ...args)

/** Starts a program of another place. */
export const startFile = (path: string, ...args: ReadonlyArray<string>): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.gen(function*() {
    const heard = yield* Queue.unbounded<string>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(path, args, { execArgv: [], silent: true })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    child.on("message", (message) => Queue.offerUnsafe(heard, String(message)))
    let errors = ""
    child.stderr?.on("data", (data) => errors += String(data))
    const gone = new Promise<void>((resolve) =>
      child.on("exit", (code) => {
        if (code !== 0 && code !== null) Queue.offerUnsafe(heard, `exit ${code}: ${errors}`)
        resolve()
      })
    )
    return {
      send: (message) => child.send(message),
      heard: Queue.take(heard),
      gone: Effect.promise(() => gone),
      kill: Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Effect.promise(() => gone))
    }
  })
