/**
 * Commands, run for real.
 */
import { assert, describe, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Executor } from "punctual/Executor"
import * as Executors from "punctual/Executor"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as Task from "punctual/Task"
import * as TaskRegistry from "punctual/TaskRegistry"
import { TaskScheduler } from "punctual/TaskScheduler"
import * as TestScheduler from "punctual/testing/TestScheduler"
import * as Trigger from "punctual/Trigger"
import * as CommandTask from "../src/CommandTask.ts"
import { Tail } from "../src/internal/commandOutput.ts"
import { temporaryFolder } from "./internal/folders.ts"
import { gone, isAlive, until } from "./internal/workers.ts"

const failure = (command: CommandTask.Command, options?: CommandTask.Options) =>
  Effect.flip(CommandTask.run(command, options))

/** Reads numbers from a file as soon as it is there. */
const numbersIn = (path: string) =>
  Effect.map(until(() => existsSync(path)), () => readFileSync(path, "utf8").trim().split(/\s+/).map(Number))

/** Two processes that SIGTERM does not end, and whose numbers are in the file `pids`. */
const stubborn = "trap '' TERM; (while :; do sleep 1; done) & echo $$ $! > pids.new && mv pids.new pids; wait"

describe("a command", () => {
  it.live("that is an array is seen by no shell", () =>
    Effect.gen(function*() {
      const output = yield* CommandTask.run({ command: ["printf", "%s|", "$HOME", "a b; c", "'"] })
      assert.deepStrictEqual(output, { exitCode: 0, stdout: "$HOME|a b; c|'|", stderr: "" })
    }))

  it.live("that is a text is the shell's, in its folder and environment, and reads what it is given", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const output = yield* CommandTask.run({
        command: "cat; echo $A $B $C; pwd; echo oh >&2; exit 3",
        env: { B: "command" },
        secrets: { C: Redacted.make("secret") },
        stdin: "in ",
        successCodes: [0, 3]
      }, { cwd: folder, env: { A: Redacted.make("hidden"), B: "layer" } })
      assert.deepStrictEqual(output, {
        exitCode: 3,
        stdout: `in hidden command secret\n${folder}\n`,
        stderr: "oh\n"
      })
    }))

  it.live("need not read what it is given", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* CommandTask.run({ command: ["true"], stdin: "x".repeat(1_000_000) })).exitCode, 0)
    }))

  it.live("that ends with another code has failed, and says how", () =>
    Effect.gen(function*() {
      const error = yield* failure({ command: "echo some; echo first >&2; echo last >&2; exit 4" })
      assert.deepInclude(error, { reason: "ExitCode", detail: "4", stdout: "some\n", stderr: "first\nlast\n" })
      assert.isTrue(error.message.endsWith("ended with exit code 4. last"))
      const zero = yield* failure({ command: ["true"], successCodes: [1] })
      assert.deepInclude(zero, { reason: "ExitCode", detail: "0" })
    }))

  it.live("that is killed has failed", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* failure({ command: "kill -KILL $$" }), { reason: "Signal", detail: "SIGKILL" })
    }))

  it.live("that cannot be started has failed", () =>
    Effect.gen(function*() {
      for (
        const command of [
          { command: ["no-such-program"] },
          { command: ["true"], cwd: "/no/such/folder" },
          { command: ["echo", "\0"] }
        ] as const
      ) {
        assert.strictEqual((yield* failure(command)).reason, "NotStarted")
      }
    }))

  it.live("may say more than is kept: the end is", () =>
    Effect.gen(function*() {
      const { stderr, stdout } = yield* CommandTask.run(
        { command: "head -c 200000 /dev/zero | tr '\\0' x; echo end; echo fine >&2" },
        { outputLimit: 10 }
      )
      assert.strictEqual(stdout, "… 199994 bytes cut\nxxxxxxend\n")
      assert.strictEqual(stderr, "fine\n")
    }))

  it.live("takes everything it has started with it when it is interrupted", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const run = yield* Effect.forkChild(
        CommandTask.run({ command: stubborn }, { cwd: folder, killAfter: "100 millis" })
      )
      const pids = yield* numbersIn(join(folder, "pids"))
      assert.isTrue(pids.length === 2 && pids.every(isAlive))
      yield* Fiber.interrupt(run)
      yield* gone(...pids)
    }), 30_000)

  it.live("is asked first", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const run = yield* Effect.forkChild(
        CommandTask.run(
          {
            command:
              "trap 'echo 1 > cleaned; exit' TERM; echo $$ > pids.new && mv pids.new pids; while :; do sleep 0.05; done"
          },
          { cwd: folder, killAfter: "1 minute" }
        )
      )
      yield* numbersIn(join(folder, "pids"))
      yield* Fiber.interrupt(run)
      assert.strictEqual(readFileSync(join(folder, "cleaned"), "utf8"), "1\n")
    }), 30_000)

  it("is run with options that mean something", () => {
    const exit = Effect.runSyncExit(CommandTask.run({ command: ["true"] }, { outputLimitt: 3 } as object))
    assert.include(String(exit), "did you mean `outputLimit`?")
  })
})

it.prop(
  "what is kept of an output is its end, and what was cut is counted",
  { chunks: Schema.Array(Schema.String), limit: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })) },
  ({ chunks, limit }) => {
    const tail = new Tail(limit)
    const all = Buffer.concat(chunks.map((chunk) => Buffer.from(chunk)))
    for (const byte of all) tail.push(Buffer.from([byte]))
    const text = tail.text()
    if (all.length <= limit) return assert.strictEqual(text, all.toString("utf8"))
    const [, cut, kept] = /^… (\d+) bytes cut\n([^]*)$/.exec(text)!
    assert.isAtMost(Buffer.byteLength(kept!), limit)
    assert.strictEqual(kept, all.toString("utf8", Number(cut)))
    // At most a character less than there is room for.
    assert.isAtMost(all.length - Number(cut), limit)
    assert.isAbove(all.length - Number(cut), limit - 4)
  }
)

const Nightly = CommandTask.make("Nightly", { trigger: Trigger.cron("30 2 * * *") })

describe("a command task", () => {
  it.effect("runs when it is due, knows its run, keeps its secrets from those who look", () =>
    Effect.gen(function*() {
      yield* TestScheduler.advance("1 day")
      const [run] = yield* TestScheduler.runs
      const exit = yield* Task.decodeExit(Nightly, run!)
      assert.isTrue(exit._tag === "Some" && exit.value._tag === "Success")
      if (exit._tag === "Some" && exit.value._tag === "Success") {
        assert.strictEqual(exit.value.value.stdout, "backup 1 2026-01-01T02:30:00.000Z s3cret\n")
      }
      const scheduler = yield* TaskScheduler
      const info = yield* scheduler.handle("backup").snapshot
      assert.notInclude(JSON.stringify(info), "s3cret")
      assert.include(JSON.stringify(info), "PUNCTUAL_TASK")
    }).pipe(Effect.provide(
      TestScheduler.layer(
        Layer.mergeAll(
          CommandTask.layer(Nightly),
          Task.layerScheduled(Nightly, {
            id: "backup",
            payload: {
              command: "echo $PUNCTUAL_TASK $PUNCTUAL_ATTEMPT $PUNCTUAL_SCHEDULED_AT $KEY",
              secrets: { KEY: Redacted.make("s3cret") }
            }
          })
        ),
        { now: "2026-01-01T00:00:00Z", patience: 20_000, store: MemoryTaskStore.layer }
      )
    )), 30_000)

  it.effect("that is out of time is ended, with all it has started", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const record = ExecutorSuite.makeRecord(Nightly, { command: stubborn, cwd: folder }, { timeout: 500 })
      const run = yield* Effect.forkChild(Executor.use((executor) => executor.run(record)), { startImmediately: true })
      const pids = yield* numbersIn(join(folder, "pids"))
      yield* TestClock.adjust(500)
      assert.deepInclude(yield* Fiber.join(run), { _tag: "TimedOut", retryAfter: null })
      yield* gone(...pids)
    }).pipe(Effect.provide(
      Layer.provideMerge(
        Executors.layerFibers(),
        Layer.provideMerge(
          CommandTask.layer(Nightly, { killAfter: "50 millis" }),
          Layer.effect(TaskRegistry.TaskRegistry)(TaskRegistry.make("test"))
        )
      )
    )), 30_000)

  it.effect("is not built with options that mean nothing", () =>
    Effect.gen(function*() {
      const registry = yield* TaskRegistry.make("test")
      const error = yield* Layer.build(CommandTask.layer(Nightly, { killafter: 3 } as object)).pipe(
        Effect.provideService(TaskRegistry.TaskRegistry, registry),
        Effect.scoped,
        Effect.flip
      )
      assert.include(error.message, "unknown option `killafter` of CommandTask.layer, did you mean `killAfter`?")
    }))
})
