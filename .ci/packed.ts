/**
 * Installs the packed packages in an empty project and runs a program there, as plain JavaScript.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { packedProject } from "./packedProject.ts"

const project = mkdtempSync(join(tmpdir(), "punctual-packed-"))
const program = `
import { Effect, Fiber, Layer, Option, Schema, Stream } from "effect"
import { Executor, Executors, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"
import * as Deep from "punctual/Trigger"
import { SqliteTaskStore } from "@punctual/sql/sqlite"
import { FileTaskStore, ProcessExecutor, WorkerExecutor } from "@punctual/node"
import { MongoTaskStore } from "@punctual/mongo"
import { TestScheduler } from "punctual/testing"

if (Deep.every !== Trigger.every) throw new Error("a module and the barrel differ")
const Tick = Task.make("Tick")
const App = Layer.mergeAll(Tick.toLayer(() => Effect.void), Task.layerScheduled(Tick, { id: "tick", trigger: Trigger.every("1 hour") }))
for (const store of [SqliteTaskStore.layer({ filename: "packed.db" }), FileTaskStore.layer({ directory: "packed" })]) {
  const runs = await Effect.runPromise(TestScheduler.advance("2 hours").pipe(
    Effect.provide(TestScheduler.layer(App, { store }))
  ))
  if (runs.length !== 2) throw new Error("expected two runs, not " + runs.length)
}
if (typeof MongoTaskStore.layer !== "function") throw new Error("no store on MongoDB")
for (const workers of [WorkerExecutor, ProcessExecutor]) {
  const module = new URL("worker.mjs", import.meta.url)
  const Double = Task.make("Double", { payload: { n: Schema.Int }, success: Schema.Int, executor: "workers" })
  const ended = Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    const ended = yield* Effect.forkChild(
      Stream.runHead(Stream.filter(scheduler.events, (event) => event._tag === "RunEnded")),
      { startImmediately: true }
    )
    yield* scheduler.add(Double, { payload: { n: 21 }, trigger: Trigger.now })
    return Option.getOrThrow(yield* Fiber.join(ended)).run
  })
  const Main = TaskScheduler.layer(Layer.empty, {
    executors: Executors.layer({ default: Executor.layerFibers(), workers: workers.layer({ module, handles: [Double] }) })
  }).pipe(Layer.provide(MemoryTaskStore.layer))
  const run = await Effect.runPromise(Effect.provide(ended, Main))
  const result = JSON.stringify(run.exit)
  if (run.state !== "succeeded" || !result.includes("42")) throw new Error("expected 42 of a worker, not " + run.state + " " + result)
}
console.log("the packed packages run")
`
const worker = `
import { Effect, Schema } from "effect"
import { Task } from "punctual"
import { TaskWorker } from "@punctual/node"

const Double = Task.make("Double", { payload: { n: Schema.Int }, success: Schema.Int, executor: "workers" })
TaskWorker.serve(Double.toLayer(({ n }) => Effect.succeed(n * 2)))
`
try {
  packedProject(project, ["effect", "mongodb"])
  writeFileSync(join(project, "program.mjs"), program)
  writeFileSync(join(project, "worker.mjs"), worker)
  execFileSync(process.execPath, ["program.mjs"], { cwd: project, stdio: "inherit" })
} finally {
  rmSync(project, { recursive: true, force: true })
}
