/**
 * Real processes, a real file, SIGKILL: nothing is lost, and nothing is finished twice.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as readline from "node:readline"
import * as Task from "punctual/Task"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { TaskStore } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { Work } from "./fixtures/worker.ts"

interface Begun {
  readonly n: number
  readonly attempt: number
  readonly token: number
}

interface Worker {
  readonly begun: ReadonlyArray<Begun>
  /** Ends once the worker has begun so many runs. */
  readonly hasBegun: (count: number) => Effect.Effect<void>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
}

const worker = (filename: string, takes: number | "ever"): Effect.Effect<Worker, never, Scope.Scope> =>
  Effect.gen(function*() {
    const begun: Array<Begun> = []
    const waiting = new Set<() => void>()
    let exited = false
    const child = yield* Effect.acquireRelease(
      Effect.callback<ChildProcess>((resume) => {
        const child = spawn(
          process.execPath,
          [join(import.meta.dirname, "fixtures/worker.ts"), filename, String(takes)],
          { stdio: ["ignore", "pipe", "inherit"] }
        )
        child.on("exit", () => {
          exited = true
          for (const check of waiting) check()
        })
        readline.createInterface({ input: child.stdout }).on("line", (line) => {
          const [word, n, attempt, token] = line.split(" ")
          if (word === "ready") resume(Effect.succeed(child))
          else begun.push({ n: Number(n), attempt: Number(attempt), token: Number(token) })
          for (const check of waiting) check()
        })
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const until = (condition: () => boolean) =>
      Effect.callback<void>((resume) => {
        const check = () => {
          if (!condition()) return
          waiting.delete(check)
          resume(Effect.void)
        }
        waiting.add(check)
        check()
      })
    return {
      begun,
      hasBegun: (count) => until(() => begun.length >= count),
      kill: (signal) => Effect.andThen(Effect.sync(() => child.kill(signal)), until(() => exited))
    }
  })

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "punctual-crash-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  ),
  (directory) => join(directory, "punctual.db")
)

const count = 1_000

const addWork = (takes: string) =>
  TaskSchedulerClient.TaskSchedulerClient.use((client) =>
    client.addAll(
      Array.from(
        { length: count },
        (_, n) => Task.scheduled(Work, { id: `${takes}-${n}`, payload: { n }, trigger: Trigger.now })
      )
    )
  )

/** Every task's runs once all have ended. The store is asked again when it says that something changed. */
const ledger = (store: TaskStore["Service"]) =>
  Effect.gen(function*() {
    while (true) {
      const open = yield* store.runs({ limit: 1, state: "ready" })
      const running = yield* store.runs({ limit: 1, state: "running" })
      const scheduled = yield* store.list({ state: "scheduled", sort: "id", descending: false, limit: 1 })
      if (open.items.length + running.items.length + scheduled.items.length === 0) break
      yield* Effect.sleep("50 millis")
    }
    const runs: Array<{ readonly taskId: string; readonly state: string; readonly token: number | null }> = []
    let after: string | undefined
    do {
      const page = yield* store.runs({ limit: 500, after })
      runs.push(...page.items)
      after = page.next ?? undefined
    } while (after !== undefined)
    return runs
  })

const ClientLive = (filename: string) =>
  TaskSchedulerClient.layer().pipe(Layer.provideMerge(SqliteTaskStore.layer({ filename })))

describe("crashes", () => {
  it.live(
    "a process killed in the middle of 1,000 runs loses none; its successor finishes them",
    () =>
      Effect.gen(function*() {
        const filename = yield* temporaryFile
        const context = yield* Layer.build(ClientLive(filename))
        yield* Effect.provideContext(addWork("run"), context)
        const first = yield* worker(filename, 20)
        yield* first.hasBegun(300)
        yield* first.kill("SIGKILL")
        const second = yield* worker(filename, 1)
        const runs = yield* ledger(Context.get(context, TaskStore))

        assert.strictEqual(runs.length, count)
        assert.strictEqual(new Set(runs.map((run) => run.taskId)).size, count)
        assert.deepStrictEqual([...new Set(runs.map((run) => run.state))], ["succeeded"])
        // What was in flight was begun again, under a larger token; nothing else was begun twice.
        const again = second.begun.filter((run) => run.attempt > 1)
        const firstBegun = new Map(first.begun.map((run) => [run.n, run]))
        assert.isAbove(again.length, 0)
        for (const run of second.begun) {
          const before = firstBegun.get(run.n)
          if (before !== undefined) {
            assert.isAbove(run.attempt, before.attempt)
            assert.isAbove(run.token, before.token)
          }
        }
        assert.strictEqual(new Set(second.begun.map((run) => run.n)).size, second.begun.length)
      }),
    120_000
  )

  it.live(
    "a process asked to stop gives back nothing half done; its successor finishes the rest",
    () =>
      Effect.gen(function*() {
        const filename = yield* temporaryFile
        const context = yield* Layer.build(ClientLive(filename))
        yield* Effect.provideContext(addWork("run"), context)
        const first = yield* worker(filename, 5)
        yield* first.hasBegun(300)
        yield* first.kill("SIGTERM")
        const second = yield* worker(filename, 1)
        const runs = yield* ledger(Context.get(context, TaskStore))
        assert.strictEqual(runs.length, count)
        const all = [...first.begun, ...second.begun]
        // An orderly end runs nothing twice.
        assert.strictEqual(new Set(all.map((run) => run.n)).size, all.length)
        assert.isTrue(all.every((run) => run.attempt === 1))
      }),
    120_000
  )

  it.live(
    "a process whose handler never ends exits when it is asked to stop; its run is left to its lease",
    () =>
      Effect.gen(function*() {
        const filename = yield* temporaryFile
        const context = yield* Layer.build(ClientLive(filename))
        yield* TaskSchedulerClient.TaskSchedulerClient.use((client) =>
          client.add(Work, { id: "work", payload: { n: 1 }, trigger: Trigger.now })
        ).pipe(Effect.provideContext(context))
        const process = yield* worker(filename, "ever")
        yield* process.hasBegun(1)
        yield* process.kill("SIGTERM")
        const { items } = yield* Context.get(context, TaskStore).runs({ taskId: "work", limit: 10 })
        assert.deepStrictEqual(items.map(({ attempt, state }) => [state, attempt]), [["running", 1]])
      }),
    60_000
  )
})
