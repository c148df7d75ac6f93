/**
 * The examples with other threads, processes and commands. Time is virtual, and stands still while those are at work.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestConsole } from "effect/testing"
import { TestScheduler } from "punctual/testing"
import * as Commands from "../27-commands.ts"
import * as WorkerThreads from "../28-worker-threads.ts"
import * as ChildProcesses from "../29-child-processes.ts"

const options = { now: "2026-01-01T00:00:00Z", patience: 60_000 }

describe("examples", () => {
  it.effect("27-commands", () =>
    Effect.gen(function*() {
      yield* TestScheduler.advance("5 seconds")
      assert.sameMembers([...yield* TestConsole.logLines], [
        "5 words",
        "greet, attempt 1, a token of 5 letters",
        "`grep needle` ended with exit code 1."
      ])
    }).pipe(Effect.provide(TestScheduler.layer(Commands.App, options))), 60_000)

  it.effect("28-worker-threads", () =>
    Effect.gen(function*() {
      yield* TestScheduler.advance("500 millis")
      const lines = (yield* TestConsole.logLines).filter((line) => /succeeded|timedOut/.test(String(line)))
      assert.sameMembers(lines, [
        "below 10000 succeeded: 1229",
        "below 200000 succeeded: 17984",
        "below 1000000 succeeded: 78498",
        "largest timedOut"
      ])
    }).pipe(
      Effect.provide(TestScheduler.layer(WorkerThreads.App, { ...options, executors: WorkerThreads.executors }))
    ), 120_000)

  it.effect("29-child-processes", () =>
    Effect.gen(function*() {
      yield* TestScheduler.advance("5 seconds")
      const lines = (yield* TestConsole.logLines).filter((line) => / in attempt /.test(String(line)))
      assert.sameMembers(lines, [
        "cat succeeded in attempt 1: cat.png",
        "dog succeeded in attempt 2: dog.png",
        "bug abandoned in attempt 3",
        "owl abandoned in attempt 1"
      ])
    }).pipe(
      Effect.provide(TestScheduler.layer(ChildProcesses.App, { ...options, executors: ChildProcesses.executors }))
    ), 120_000)
})
