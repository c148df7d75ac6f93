/**
 * What is left of worker processes, and of what they have started: nothing, however they or their program end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Executor } from "punctual/Executor"
import { startFile } from "../../sql/test/internal/processes.ts"
import * as ProcessExecutor from "../src/ProcessExecutor.ts"
import { Starts } from "./fixtures/odd.worker.ts"
import { gone, type Heard, isAlive, listening, running } from "./internal/workers.ts"

const patience = 60_000

const executor = ProcessExecutor.layer({
  module: new URL("./fixtures/odd.worker.ts", import.meta.url),
  max: 1,
  grace: "200 millis",
  killAfter: "200 millis",
  execArgv: []
})

const starts = (then: "wait" | "compute" | "ignore" | "block" | "exit") => ExecutorSuite.makeRecord(Starts, { then })

/** The worker and the process it has started; where a test fails, they end with it. */
const pidsOf = (line: string) =>
  Effect.acquireRelease(
    Effect.sync(() => line.split(" ").slice(1).map(Number)),
    (pids) => Effect.sync(() => pids.filter(isAlive).forEach((pid) => process.kill(pid, "SIGKILL")))
  )

const started = (heard: Heard) =>
  Effect.tap(
    Effect.flatMap(heard("started"), pidsOf),
    (pids) => Effect.sync(() => assert.isTrue(pids.length === 2 && pids.every(isAlive)))
  )

describe("nothing is left", () => {
  for (const then of ["compute", "ignore", "block"] as const) {
    it.live(
      `of a run that does not stop (${then}) when it is interrupted`,
      () =>
        running(executor, (executor, heard) =>
          Effect.gen(function*() {
            const run = yield* Effect.forkChild(executor.run(starts(then)))
            const pids = yield* started(heard)
            yield* Fiber.interrupt(run)
            yield* gone(...pids)
          })),
      patience
    )
  }

  it.live("of a worker that ends by itself", () =>
    running(executor, (executor, heard) =>
      Effect.gen(function*() {
        const run = yield* Effect.forkChild(executor.run(starts("exit")))
        const pids = yield* Effect.flatMap(heard("started"), pidsOf)
        const lost = yield* Fiber.join(run)
        assert.deepInclude(lost, { _tag: "WorkerLost", blameless: false })
        assert.include(lost._tag === "WorkerLost" ? lost.reason : "", "exit code 7")
        yield* gone(...pids)
      })), patience)

  it.live(
    "of a worker that is killed in the middle of a run",
    () =>
      running(executor, (executor, heard) =>
        Effect.gen(function*() {
          const run = yield* Effect.forkChild(executor.run(starts("compute")))
          const pids = yield* started(heard)
          process.kill(pids[0]!, "SIGKILL")
          const lost = yield* Fiber.join(run)
          assert.include(lost._tag === "WorkerLost" ? lost.reason : "", "killed by SIGKILL")
          yield* gone(...pids)
        })),
    patience
  )

  it.live("when the layer closes", () =>
    Effect.gen(function*() {
      const { heard, logger } = listening()
      const scope = yield* Scope.make()
      yield* Effect.gen(function*() {
        const built = yield* Layer.buildWithScope(executor, scope)
        const run = yield* Effect.forkChild(Context.get(built, Executor).run(starts("compute")))
        const pids = yield* started(heard)
        yield* Scope.close(scope, Exit.void)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(run)))
        yield* gone(...pids)
      }).pipe(Effect.provide(logger))
    }), patience)

  for (const then of ["wait", "compute", "block", "talk"] as const) {
    it.live(`when the program is killed (${then})`, () =>
      Effect.gen(function*() {
        const program = yield* startFile(new URL("./fixtures/parent.ts", import.meta.url).pathname, then)
        let line = ""
        while (!line.startsWith("started")) line = yield* program.heard
        const pids = yield* pidsOf(line)
        yield* program.kill
        yield* gone(...pids)
      }), patience)
  }
})
