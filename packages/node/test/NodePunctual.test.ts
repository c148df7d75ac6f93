/**
 * A service as a real process: signals, exit codes, what systemd is told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import * as NodePunctual from "../src/NodePunctual.ts"
import { temporaryFolder } from "./internal/folders.ts"

const program = join(import.meta.dirname, "fixtures/service.ts")

/** Runs the service to its end; each line it writes may be answered with a signal. */
const run = (
  args: ReadonlyArray<string>,
  signals: Readonly<Record<string, NodeJS.Signals>> = {},
  env: Readonly<Record<string, string>> = {}
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => spawn(process.execPath, [program, ...args], { env: { ...process.env, ...env } })),
    (child) =>
      Effect.callback<{ readonly code: number | null; readonly lines: ReadonlyArray<string> }>((resume) => {
        const lines: Array<string> = []
        const read = (data: Buffer) => {
          for (const line of String(data).split("\n").filter((line) => line !== "")) {
            lines.push(line)
            const signal = Object.entries(signals).find(([begin]) => line.startsWith(begin))
            if (signal !== undefined) child.kill(signal[1])
          }
        }
        child.stdout.on("data", read)
        child.stderr.on("data", read)
        child.on("close", (code) => resume(Effect.succeed({ code, lines })))
      }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )

describe("NodePunctual.runMain", () => {
  it.live("ends with 0 by itself, with 1 when it fails", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run(["none"]), { code: 0, lines: ["done"] })
      const failed = yield* run(["fails"])
      assert.strictEqual(failed.code, 1)
      assert.include(failed.lines.join("\n"), "no disk")
    }), 60_000)

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(`${signal} drains: what runs ends, shutdown tasks run, and it exits with 0`, () =>
      Effect.gen(function*() {
        const { code, lines } = yield* run(["500"], { begins: signal })
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(lines.filter((line) => !line.includes(":")), ["begins", "ends", "bye"])
        assert.include(lines, `${signal}: stopping, within 1m. Once more to stop at once.`)
      }), 60_000)
  }

  it.live("a second signal stops at once, with its number", () =>
    Effect.gen(function*() {
      for (const [second, expected] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
        const { code, lines } = yield* run(["3600000"], { begins: "SIGTERM", "SIGTERM: stopping": second })
        assert.strictEqual(code, expected)
        assert.notInclude(lines, "bye")
      }
    }), 60_000)

  it.live("what does not stop before the deadline is ended, with 124", () =>
    Effect.gen(function*() {
      const { code, lines } = yield* run(["3600000", "100 millis"], { begins: "SIGTERM" })
      assert.strictEqual(code, 124)
      assert.strictEqual(lines.at(-1), "Did not stop within 100ms of SIGTERM.")
    }), 60_000)

  it("refuses a deadline that is no duration, and options it does not have", () => {
    assert.throws(() => NodePunctual.runMain(Effect.void, { deadline: "soon" as "1 second" }), /`deadline` must be/)
    assert.throws(() => NodePunctual.runMain(Effect.void, { dedline: "1 second" } as object), /did you mean `deadline`/)
  })
})

describe("NodePunctual.layerSystemd", () => {
  it.live("tells when it is ready, that it is alive, and before it drains that it stops", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const said = join(folder, "said")
      // In the place of systemd's own, which needs a systemd. The first sign of life ends the service.
      const script = [
        "#!/bin/sh",
        `echo "$@" >> ${said}`,
        `[ "$1" = WATCHDOG=1 ] && mkdir ${folder}/once 2>/dev/null && kill -TERM $PPID`,
        "exit 0"
      ]
      writeFileSync(join(folder, "systemd-notify"), `${script.join("\n")}\n`)
      chmodSync(join(folder, "systemd-notify"), 0o755)
      const { code } = yield* run(["0"], {}, {
        PATH: `${folder}:${process.env["PATH"]}`,
        NOTIFY_SOCKET: join(folder, "socket"),
        WATCHDOG_USEC: "200000"
      })
      assert.strictEqual(code, 0)
      const words = readFileSync(said, "utf8").trim().split("\n")
      assert.strictEqual(words[0], "READY=1 STATUS=running")
      assert.include(words, "WATCHDOG=1")
      assert.strictEqual(words.filter((word) => word.startsWith("STOPPING=1")).length, 1)
    }), 60_000)
})
