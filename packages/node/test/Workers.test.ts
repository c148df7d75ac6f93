/**
 * What threads and processes do alike: how they start, end, and are replaced.
 */
import { assert, describe, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Executor } from "punctual/Executor"
import type * as Task from "punctual/Task"
import * as ProcessExecutor from "../src/ProcessExecutor.ts"
import * as WorkerExecutor from "../src/WorkerExecutor.ts"
import * as Odd from "./fixtures/odd.worker.ts"
import type { Heard } from "./internal/workers.ts"
import * as Workers from "./internal/workers.ts"

const patience = 60_000

const file = (name: string) => new URL(`./fixtures/${name}.worker.ts`, import.meta.url)

const record = (task: Task.Any, payload: unknown = null, options?: Parameters<typeof ExecutorSuite.makeRecord>[2]) =>
  ExecutorSuite.makeRecord(task, payload, options)

for (
  const [kind, layerOf] of [
    ["threads", WorkerExecutor.layer],
    ["processes", ProcessExecutor.layer]
  ] as const
) {
  type Options = Parameters<typeof layerOf>[0]

  const running = <A, E>(
    options: Partial<Options>,
    use: (executor: Executor["Service"], heard: Heard) => Effect.Effect<A, E, Scope.Scope>
  ) => Workers.running(layerOf({ module: file("odd"), execArgv: [], ...options }), use)

  const where = (executor: Executor["Service"]) =>
    Effect.map(executor.run(record(Odd.Where)), (result) => "exit" in result ? result.exit : assert.fail(result.reason))

  describe(kind, () => {
    describe("that cannot start are an error of the layer:", () => {
      const refused = (
        options: Partial<Options>,
        expected: { readonly reason: string; readonly says: string }
      ) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(running({ module: file("bad"), ...options }, () => Effect.void))
          assert.strictEqual(error._tag, "WorkerNotStarted")
          if (error._tag === "WorkerNotStarted") assert.strictEqual(error.reason, expected.reason)
          assert.include(error.message, expected.says)
        })

      it.live("no such file", () => refused({ module: file("none") }, { reason: "NoModule", says: "none.worker.ts" }))

      it.live(
        "it does not load",
        () =>
          refused({ env: { BAD: "throws" } }, {
            reason: "Exited",
            says: kind === "threads" ? "does not load" : "exit code 1"
          }),
        patience
      )

      it.live(
        "it serves nothing",
        () => refused({ env: { BAD: "says nothing" } }, { reason: "Exited", says: "exit code 0" }),
        patience
      )

      it.live(
        "its handlers cannot be built",
        () => refused({ env: { BAD: "fails" } }, { reason: "Failed", says: "no fonts" }),
        patience
      )

      it.live(
        "it is not ready in time",
        () =>
          refused({ env: { BAD: "hangs" }, startTimeout: "50 millis", grace: 0 }, {
            reason: "NoAnswer",
            says: "50 ms"
          }),
        patience
      )

      it.live(
        "it handles less than it is to",
        () => refused({ module: file("suite"), handles: [Odd.Where] }, { reason: "Unhandled", says: "`odd/Where`" }),
        patience
      )
    })

    it.live("refuse options that mean nothing", () =>
      Effect.gen(function*() {
        const messages = yield* Effect.forEach(
          [
            { minn: 1 },
            { min: -1 },
            { min: 3, max: 2 },
            { perWorker: 0 },
            { grace: "soon" },
            { module: "./odd.worker.ts" }
          ],
          (options) => Effect.map(Effect.flip(running(options as object, () => Effect.void)), (error) => error.message)
        )
        assert.include(messages[0], "did you mean `min`?")
        assert.include(messages[1], "`min` must be an integer of at least 0")
        assert.include(messages[2], "`max` must be an integer of at least 3")
        assert.include(messages[3], "`perWorker` must be")
        assert.include(messages[4], "`grace` must be a duration")
        assert.include(messages[5], "new URL(\"my.worker.ts\", import.meta.url)")
      }))

    it.live(
      "a run that does not stop takes its worker with it; others there are lost without blame",
      () =>
        running({ min: 1, max: 1, perWorker: 2, grace: "200 millis" }, (executor, heard) =>
          Effect.gen(function*() {
            assert.strictEqual(executor.capacity, 2)
            const waits = yield* Effect.forkChild(executor.run(record(Odd.Waits)))
            yield* heard("waits")
            const computes = yield* Effect.forkChild(executor.run(record(Odd.Computes)))
            yield* heard("computes")
            yield* Fiber.interrupt(computes)
            const lost = yield* Fiber.join(waits)
            assert.deepInclude(lost, { _tag: "WorkerLost", blameless: true })
            assert.include(lost._tag === "WorkerLost" ? lost.reason : "", "did not stop")
          })),
      patience
    )

    it.live(
      "a run that stops leaves the others alone",
      () =>
        running({ min: 1, max: 1, perWorker: 2, grace: "1 minute" }, (executor, heard) =>
          Effect.gen(function*() {
            const before = yield* where(executor)
            const runs = yield* Effect.forEach([1, 2], () => Effect.forkChild(executor.run(record(Odd.Waits))))
            yield* heard("waits", 2)
            yield* Fiber.interrupt(runs[0]!)
            yield* heard("interrupted")
            assert.isUndefined(runs[1]!.pollUnsafe())
            assert.strictEqual(yield* where(executor), before)
          })),
      patience
    )

    it.live(
      "an error that nobody catches loses the run, and says what it was",
      () =>
        running({ max: 1 }, (executor) =>
          Effect.gen(function*() {
            const before = yield* where(executor)
            const lost = yield* executor.run(record(Odd.Throws))
            assert.deepInclude(lost, { _tag: "WorkerLost", blameless: false })
            if (kind === "threads") assert.include(lost._tag === "WorkerLost" ? lost.reason : "", "nobody catches this")
            assert.notStrictEqual(yield* where(executor), before)
          })),
      patience
    )

    it.live(
      "a run that needs more memory than there may be is lost, and nothing else",
      () =>
        running({ max: 1, maxMemory: 64 }, (executor) =>
          Effect.gen(function*() {
            const lost = yield* executor.run(record(Odd.Swells))
            assert.deepInclude(lost, { _tag: "WorkerLost", blameless: false })
            if (kind === "threads") assert.include(lost._tag === "WorkerLost" ? lost.reason : "", "out of memory")
            yield* where(executor)
          })),
      patience
    )

    it.live(
      "a worker that keeps memory is replaced between runs",
      () =>
        running({ max: 1, maxMemory: 200 }, (executor, heard) =>
          Effect.gen(function*() {
            const before = yield* where(executor)
            yield* executor.run(record(Odd.Keeps, { megabytes: 10 }))
            assert.strictEqual(yield* where(executor), before)
            yield* executor.run(record(Odd.Keeps, { megabytes: 150 }))
            assert.notStrictEqual(yield* where(executor), before)
            // In an orderly way.
            yield* heard("closed")
          })),
      patience
    )

    it.live(
      "`min` start with the layer; more when there is more to do, which end when they are idle",
      () =>
        running({ min: 2, max: 3, idleTime: "100 millis" }, (executor, heard) =>
          Effect.gen(function*() {
            yield* heard("opened", 2)
            const runs = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(executor.run(record(Odd.Waits))))
            yield* heard("opened", 3)
            yield* heard("waits", 3)
            yield* Fiber.interruptAll(runs)
            yield* heard("closed")
            yield* where(executor)
          })),
      patience
    )

    it.live(
      "a run that waits for a place can be taken back, and never begins",
      () =>
        running({ max: 1 }, (executor, heard) =>
          Effect.gen(function*() {
            const first = yield* Effect.forkChild(executor.run(record(Odd.Waits)))
            yield* heard("waits")
            const second = yield* Effect.forkChild(executor.run(record(Odd.Throws)), { startImmediately: true })
            yield* Fiber.interrupt(second)
            yield* Fiber.interrupt(first)
            yield* where(executor)
          })),
      patience
    )
  })
}
