/**
 * Processes that do with locks what a suite tells them.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import process from "node:process"
import type { AcquireError, LockLost, LockTimeout } from "punctual/Lock"
import { Lock } from "punctual/Lock"

/**
 * What is asked of a process:
 *
 * | | answer |
 * |---|---|
 * | `hold` | the token, once it is held |
 * | `release` | `released` |
 * | `try` | `some` or `none`, and does not keep it |
 * | `work` | the text `began` once it works under the lock, which it does without end |
 * | `end` | how that work ended after all: the tag of the failure and the token |
 * | `count` | adds one to a number in a file, each time under the lock: `counted`, or `overlap` where another was at it |
 */
export type Command =
  | { readonly do: "hold" | "release" | "try" | "work" | "end"; readonly name: string }
  | { readonly do: "count"; readonly name: string; readonly file: string; readonly times: number }

export interface Script {
  readonly script: URL
  readonly args: ReadonlyArray<string>
}

export interface Participant {
  readonly pid: number
  /** What it answers. Interrupting this does not end what it does. */
  readonly ask: (command: Command) => Effect.Effect<string>
  /** Ends once it is gone. */
  readonly kill: Effect.Effect<void>
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
}

/** A process that is ready, and killed with the scope at the latest. */
export const start = ({ args, script }: Script): Effect.Effect<Participant, never, Scope.Scope> =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(script, args, { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const answers = new Map<number, (answer: string) => void>()
    const ready = yield* Queue.unbounded<string>()
    let errors = ""
    child.stderr?.on("data", (data) => errors += String(data))
    child.on("message", (message: { readonly id: number; readonly answer: string }) => {
      if (message.id === 0) Queue.offerUnsafe(ready, message.answer)
      else answers.get(message.id)?.(message.answer)
    })
    const gone = new Promise<void>((resolve) =>
      child.on("exit", (code) => {
        const end = `ended with ${code}: ${errors}`
        Queue.offerUnsafe(ready, end)
        for (const answer of answers.values()) answer(end)
        resolve()
      })
    )
    const word = yield* Queue.take(ready)
    if (word !== "ready") return yield* Effect.die(new Error(word))
    let id = 0
    const signal = (name: NodeJS.Signals) => Effect.sync(() => void child.kill(name))
    return {
      pid: child.pid ?? -1,
      ask: (command) =>
        Effect.callback<string>((resume) => {
          const number = ++id
          answers.set(number, (answer) => resume(Effect.succeed(answer)))
          child.send({ id: number, command })
        }),
      kill: Effect.andThen(signal("SIGKILL"), Effect.promise(() => gone)),
      freeze: signal("SIGSTOP"),
      thaw: signal("SIGCONT")
    }
  })

/** Does what it is told until the process that started it lets go of it. */
export const participate = <E>(layer: Layer.Layer<Lock, E>): Promise<void> =>
  Effect.gen(function*() {
    const lock = yield* Lock
    const asked = yield* Queue.unbounded<{ readonly id: number; readonly command: Command }>()
    const holds = new Map<string, Scope.Closeable>()
    const works = new Map<string, Fiber.Fiber<never, AcquireError | LockTimeout | LockLost>>()
    const answer = (id: number, text: string) => Effect.sync(() => void process.send?.({ id, answer: text }))

    const obey = Effect.fnUntraced(function*(command: Command) {
      const { name } = command
      switch (command.do) {
        case "hold": {
          const scope = yield* Scope.make()
          const { token } = yield* Scope.provide(lock.hold(name), scope)
          holds.set(name, scope)
          return String(token)
        }
        case "release": {
          const scope = holds.get(name)
          if (scope !== undefined) yield* Scope.close(scope, Exit.void)
          return "released"
        }
        case "try":
          return (yield* lock.withLockIfAvailable(name)(Effect.void))._tag === "Some" ? "some" : "none"
        case "work": {
          const began = yield* Deferred.make<void>()
          works.set(
            name,
            yield* Effect.forkDetach(
              lock.withLock(name)(Effect.andThen(Deferred.succeed(began, undefined), Effect.never)),
              { startImmediately: true }
            )
          )
          yield* Deferred.await(began)
          return "began"
        }
        case "end":
          return yield* Effect.match(Fiber.join(works.get(name)!), {
            onFailure: (error) => `${error._tag} ${error._tag === "LockLost" ? error.token : error.message}`,
            onSuccess: () => "ended"
          })
        case "count": {
          for (let i = 0; i < command.times; i++) {
            const alone = yield* lock.withLock(name)(addOne(command.file))
            if (!alone) return "overlap"
          }
          return "counted"
        }
      }
    })

    process.on("message", (message: { readonly id: number; readonly command: Command }) =>
      Queue.offerUnsafe(asked, message))
    const serve = Effect.forever(Effect.flatMap(Queue.take(asked), ({ command, id }) =>
      Effect.forkChild(
        obey(command).pipe(
          Effect.catchCause((cause) =>
            Effect.succeed(`failed: ${String(cause)}`)
          ),
          Effect.flatMap((text) => answer(id, text))
        ),
        { startImmediately: true }
      )))
    const serving = yield* Effect.forkChild(serve, { startImmediately: true })
    process.on("disconnect", () => process.exit(0))
    yield* answer(0, "ready")
    yield* Fiber.join(serving)
  }).pipe(Effect.scoped, Effect.provide(layer), Effect.runPromise)

/** Reads, lets others run, and writes; `false` when another is at it too. */
const addOne = (file: string): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    const mark = yield* Effect.option(Effect.try({
      try: () => openSync(`${file}.busy`, "wx"),
      catch: () => "there"
    }))
    if (Option.isNone(mark)) return false
    const count = Number(readFileSync(file, "utf8"))
    yield* Effect.sleep("1 millis")
    writeFileSync(file, String(count + 1))
    closeSync(mark.value)
    rmSync(`${file}.busy`)
    return true
  })
