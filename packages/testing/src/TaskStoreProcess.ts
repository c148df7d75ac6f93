/**
 * A store that another process has opened: its calls go there and come back, one after another.
 *
 * ```ts
 * // the program of the other process
 * await TaskStoreProcess.serve(PostgresTaskStore.layer({ url }))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"

type Store = TaskStore["Service"]

/** Calls that name what they ask about, and answer once. */
const methods = [
  "get",
  "insert",
  "due",
  "outdated",
  "commit",
  "claim",
  "start",
  "settle",
  "heartbeat",
  "cancel",
  "takeover",
  "list",
  "runs",
  "prune",
  "quarantine",
  "verdicts",
  "clear",
  "beat",
  "instances",
  "leave"
] as const satisfies ReadonlyArray<keyof Store>

type Method = typeof methods[number]

/** Any call of a store, as it crosses between processes. */
type Call = (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, TaskStoreError>

interface Request {
  readonly method: Method
  readonly args: ReadonlyArray<unknown>
}

type Reply =
  | { readonly _tag: "Answer"; readonly value: unknown }
  | { readonly _tag: "Refusal"; readonly error: Pick<TaskStoreError, "store" | "operation" | "reason" | "message"> }
  | { readonly _tag: "Defect"; readonly message: string }

const methodOf = (store: Store, method: Method): Call => store[method] as unknown as Call

/**
 * The program of the other process: it says `ready`, answers calls, and ends with the process that began it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serve = <E>(layer: Layer.Layer<TaskStore, E>): Promise<never> =>
  Effect.gen(function*() {
    const store = yield* TaskStore
    return yield* Effect.callback<never>(() => {
      process.on("disconnect", () => process.exit(0))
      process.on("message", ({ args, method }: Request) => {
        Effect.runCallback(Effect.result(methodOf(store, method)(...args)), {
          onExit: (exit) => process.send!(replyOf(exit))
        })
      })
      process.send!("ready")
    })
  }).pipe(Effect.provide(layer), Effect.runPromise)

const replyOf = (exit: Exit.Exit<Result.Result<unknown, TaskStoreError>>): Reply => {
  if (exit._tag === "Failure") return { _tag: "Defect", message: String(exit.cause) }
  if (Result.isSuccess(exit.value)) return { _tag: "Answer", value: exit.value.success }
  const { message, operation, reason, store } = exit.value.failure
  return { _tag: "Refusal", error: { store, operation, reason, message } }
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Program {
  /** A program that calls `serve` with a layer of the same store. */
  readonly script: URL
  readonly args: ReadonlyArray<string>
}

/**
 * A store like this one, of whose calls every second one is made by another process. It ends with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const inTurns = (store: Store, { args, script }: Program): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.gen(function*() {
    let errors = ""
    let receive: (reply: Reply | "ready") => void = () => {}
    let fail: (error: Error) => void = () => {}
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => fork(fileURLToPath(script), args, { execArgv: [], silent: true, serialization: "advanced" })),
      (child) =>
        Effect.sync(() => {
          child.removeAllListeners("exit")
          child.kill("SIGKILL")
        })
    )
    child.stderr?.on("data", (data) => errors += String(data))
    child.on("message", (message) => receive(message as Reply | "ready"))
    child.on("exit", (code) => fail(new Error(`the other process ended with ${code}: ${errors}`)))
    const heard = (ask: () => void) =>
      Effect.callback<Reply | "ready">((resume) => {
        receive = (reply) => resume(Effect.succeed(reply))
        fail = (error) => resume(Effect.die(error))
        ask()
      })
    yield* heard(() => {})
    const there = (method: Method): Call => (...args) =>
      Effect.flatMap(heard(() => child.send({ method, args } satisfies Request)), (reply) => {
        if (reply === "ready" || reply._tag === "Defect") return Effect.die(reply)
        return reply._tag === "Answer" ? Effect.succeed(reply.value) : Effect.fail(new TaskStoreError(reply.error))
      })
    let calls = 0
    return {
      ...store,
      ...Object.fromEntries(methods.map((method) => {
        const [mine, theirs] = [methodOf(store, method), there(method)]
        return [method, (...args: ReadonlyArray<unknown>) => (calls++ % 2 === 0 ? mine : theirs)(...args)]
      }))
    }
  })
