/**
 * The pool over workers that do as they are told: what cannot be brought about with real ones.
 */
import { assert, describe, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Task from "punctual/Task"
import type { Listener, Open } from "../src/internal/workerChannel.ts"
import * as Pool from "../src/internal/workerPool.ts"
import { protocolVersion, type ToWorker } from "../src/internal/workerProtocol.ts"

const Work = Task.make("Work")

const settings: Pool.Settings = {
  name: "pretended",
  min: 1,
  max: 1,
  perWorker: 1,
  idleTime: 60_000,
  grace: 0,
  startTimeout: 60_000,
  retireAbove: Infinity
}

interface Pretended extends Listener {
  readonly sent: Array<ToWorker>
}

/** Workers that say that they are ready, as long as `opens` says so. */
const pretended = (options?: { readonly protocol?: number; readonly opens?: (n: number) => boolean }) => {
  const workers: Array<Pretended> = []
  const open: Open = (listener) => {
    const n = workers.length + 1
    if (options?.opens?.(n) === false) throw new Error("no more threads")
    const sent: Array<ToWorker> = []
    workers.push({ ...listener, sent })
    queueMicrotask(() =>
      listener.onMessage({ _tag: "Ready", protocol: options?.protocol ?? protocolVersion, tags: [[Work.tag, 1]] })
    )
    return {
      name: `pretended ${n}`,
      send: (message) => {
        sent.push(message)
        if (message._tag === "Close") listener.onExit("closed")
      },
      end: Effect.sync(() => listener.onExit("ended"))
    }
  }
  return { open, workers }
}

const begin = (pool: Pool.Pool) =>
  Effect.forkChild(pool.run(ExecutorSuite.makeRecord(Work, null)), { startImmediately: true })

describe("a pool of workers", () => {
  it.live("takes none that speaks another version", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Pool.make(settings, pretended({ protocol: protocolVersion + 1 }).open))
      assert.strictEqual(error.reason, "Protocol")
      assert.include(error.detail, `version ${protocolVersion + 1}`)
    }).pipe(Effect.scoped))

  it.live("gives back what it cannot begin, since no worker can be started", () =>
    Effect.gen(function*() {
      const { open, workers } = pretended({ opens: (n) => n === 1 })
      const pool = yield* Pool.make({ ...settings, max: 2 }, open)
      const first = yield* begin(pool)
      workers[0]!.onExit("crash")
      assert.deepInclude(yield* Fiber.join(first), { _tag: "WorkerLost", blameless: false })
      const second = yield* Fiber.join(yield* begin(pool))
      assert.deepInclude(second, { _tag: "Unreadable", unhandled: true })
      assert.include(second._tag === "Unreadable" ? second.reason : "", "no more threads")
    }).pipe(Effect.scoped))

  it.live("takes what was sent to a worker for begun, whether it said so or not", () =>
    Effect.gen(function*() {
      const { open, workers } = pretended()
      const pool = yield* Pool.make(settings, open)
      const run = yield* begin(pool)
      assert.strictEqual(workers[0]!.sent[0]?._tag, "Run")
      workers[0]!.onExit("killed")
      assert.strictEqual((yield* Fiber.join(run))._tag, "WorkerLost")
    }).pipe(Effect.scoped))

  it.live("hears no second answer, and none of a worker that is gone", () =>
    Effect.gen(function*() {
      const { open, workers } = pretended()
      const pool = yield* Pool.make(settings, open)
      const run = yield* begin(pool)
      const [worker] = workers
      const ended = { _tag: "Ended", id: 1, result: { _tag: "Succeeded", exit: "1" }, memory: 0 } as const
      worker!.onMessage(ended)
      worker!.onMessage({ ...ended, result: { _tag: "Succeeded", exit: "2" } })
      worker!.onExit("crash")
      worker!.onMessage(ended)
      worker!.onExit("crash")
      assert.deepStrictEqual(yield* Fiber.join(run), { _tag: "Succeeded", exit: "1" })
    }).pipe(Effect.scoped))

  it.live("gives each run a worker of its own while it may, then shares them evenly, then lets them wait", () =>
    Effect.gen(function*() {
      const { open, workers } = pretended()
      const pool = yield* Pool.make({ ...settings, min: 2, max: 2, perWorker: 2 }, open)
      while (workers.length < 2) yield* Effect.yieldNow
      yield* Effect.promise(() => Promise.resolve())
      const runs = yield* Effect.forEach([1, 2, 3, 4, 5], () => begin(pool))
      while (workers.reduce((sum, { sent }) => sum + sent.length, 0) < 4) yield* Effect.yieldNow
      assert.deepStrictEqual(workers.map(({ sent }) => sent.length), [2, 2])
      const [message] = workers[0]!.sent
      if (message?._tag !== "Run") return assert.fail("not a run")
      workers[0]!.onMessage({ _tag: "Ended", id: message.id, result: { _tag: "Succeeded", exit: "1" }, memory: 0 })
      assert.deepStrictEqual(workers.map(({ sent }) => sent.length), [3, 2])
      yield* Fiber.interruptAll(runs)
    }).pipe(Effect.scoped))
})
