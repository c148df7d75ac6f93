/**
 * The real shell: what it answers, what it keeps, and what it leaves behind.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Schedule } from "effect"
import { outputLimit, Shell } from "../ops/command.ts"

/** A shell in a folder of its own. */
const inFolder = <A, E>(use: (shell: Shell["Service"], folder: string) => Effect.Effect<A, E, FileSystem.FileSystem>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    return yield* Shell.use((shell) => use(shell, folder)).pipe(
      Effect.provide(Shell.layer({ cwd: folder, env: { WHERE: "outside", WHO: "shell" } }))
    )
  }).pipe(Effect.provide(NodeServices.layer), Effect.scoped)

describe("Shell", () => {
  it.live(
    "answers both streams and the exit code, in its folder and environment",
    () =>
      inFolder((shell, folder) =>
        Effect.gen(function*() {
          const { exitCode, output } = yield* shell.run("pwd; echo $WHO $WHERE; echo oh >&2; exit 3", {
            WHERE: "inside"
          })
          assert.strictEqual(exitCode, 3)
          assert.sameMembers(output.trim().split("\n"), [folder, "shell inside", "oh"])
        })
      ),
    30_000
  )

  it.live("keeps the end of a long output", () =>
    inFolder((shell) =>
      Effect.gen(function*() {
        const { output } = yield* shell.run("head -c 200000 /dev/zero | tr '\\0' x; echo end", {})
        assert.strictEqual(output.length, outputLimit)
        assert.isTrue(output.endsWith("xend\n"))
      })
    ), 30_000)

  it.live(
    "takes its descendants with it when it is interrupted",
    () =>
      inFolder((shell, folder) =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          const run = yield* Effect.forkChild(shell.run("sleep 60 & echo $! > pid.new && mv pid.new pid; wait", {}))
          const pid = yield* fs.readFileString(`${folder}/pid`).pipe(
            Effect.retry(Schedule.spaced("20 millis")),
            Effect.map(Number)
          )
          yield* Fiber.interrupt(run)
          // Gone, or gone but for its parent's noticing.
          const { output } = yield* shell.run(`ps -o stat= -p ${pid} | grep -v Z | wc -l`, {})
          assert.strictEqual(output.trim(), "0")
        })
      ),
    30_000
  )
})
