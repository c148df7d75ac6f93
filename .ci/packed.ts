/**
 * Installs the packed packages in an empty project and runs a program there, as plain JavaScript.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const project = mkdtempSync(join(tmpdir(), "punctual-packed-"))
const program = `
import { Effect, Layer } from "effect"
import { Task, TaskScheduler, Trigger } from "punctual"
import * as Deep from "punctual/Trigger"
import { SqliteTaskStore } from "@punctual/sql/sqlite"
import { FileTaskStore } from "@punctual/node"
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
console.log("the packed packages run")
`
try {
  execFileSync(process.execPath, [join(root, ".ci/pack.ts"), join(project, "tarballs")], { stdio: "inherit" })
  for (
    const [folder, tarball] of [
      ["punctual", "punctual"],
      ["@punctual/sql", "punctual-sql"],
      ["@punctual/node", "punctual-node"],
      ["@punctual/mongo", "punctual-mongo"]
    ] as const
  ) {
    const target = join(project, "node_modules", folder)
    mkdirSync(target, { recursive: true })
    execFileSync("tar", [
      "xzf",
      join(project, "tarballs", `${tarball}-0.1.0.tgz`),
      "-C",
      target,
      "--strip-components=1"
    ])
  }
  for (const name of ["effect", "mongodb"]) {
    symlinkSync(join(root, "node_modules", name), join(project, "node_modules", name))
  }
  writeFileSync(join(project, "program.mjs"), program)
  execFileSync(process.execPath, ["program.mjs"], { cwd: project, stdio: "inherit" })
} finally {
  rmSync(project, { recursive: true, force: true })
}
