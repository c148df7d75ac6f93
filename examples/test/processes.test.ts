/**
 * Examples for several processes, as three real ones: all write to one file, where the order is the system's.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** Three processes of an example on one folder; killed with the scope at the latest. */
const three = (example: string) =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "punctual-processes-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const output = join(folder, "output")
    const main = fileURLToPath(new URL(`../${example}.ts`, import.meta.url))
    const start = Effect.acquireRelease(
      Effect.sync(() => {
        const file = openSync(output, "a")
        const child = spawn(process.execPath, [main, join(folder, "tasks")], { stdio: ["ignore", file, file] })
        closeSync(file)
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const children = yield* Effect.all([start, start, start])
    /** What was written, as [process, what]. */
    const lines = () =>
      readFileSync(output, "utf8").split("\n").slice(0, -1).map((line) => {
        const space = line.indexOf(" ")
        return [Number(line.slice(0, space)), line.slice(space + 1)] as const
      })
    /** Waits until something is among what was written. */
    const until = <A>(find: (lines: ReadonlyArray<readonly [number, string]>) => A | undefined) =>
      Effect.gen(function*() {
        while (true) {
          const found = find(lines())
          if (found !== undefined) return found
          yield* Effect.sleep("10 millis")
        }
      })
    const end = (child: ChildProcess, signal: NodeJS.Signals) =>
      Effect.callback<number | NodeJS.Signals>((resume) => {
        child.once("exit", (code, signal) => resume(Effect.succeed(code ?? signal!)))
        child.kill(signal)
      })
    return { children, lines, until, end, byPid: (pid: number) => children.find((child) => child.pid === pid)! }
  })

const said = (lines: ReadonlyArray<readonly [number, string]>, what: string) =>
  lines.filter(([, line]) => line === what).map(([pid]) => pid)

const sorted = (pids: ReadonlyArray<number>) => pids.toSorted((a, b) => a - b)

describe("three processes", () => {
  it.live(
    "24: each sets up and cleans up once; each tick comes to exactly one of them, with its payload",
    () =>
      Effect.gen(function*() {
        const { children, end, lines, until } = yield* three("24-one-of-several-processes")
        const pids = sorted(children.map(({ pid }) => pid!))
        yield* until((lines) =>
          said(lines, "setup").length === 3 && lines.filter(([, line]) => line.startsWith("tick")).length >= 3 ||
          undefined
        )
        assert.deepStrictEqual(said(lines(), "cleanup"), [])
        const signals = ["SIGTERM", "SIGINT", "SIGTERM"] as const
        const codes = yield* Effect.forEach(children, (child, i) => end(child, signals[i]!), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(codes, [130, 130, 130])
        for (const what of ["setup", "goodbye", "cleanup"]) {
          assert.deepStrictEqual(sorted(said(lines(), what)), pids, what)
        }
        const ticks = lines().filter(([, line]) => line.startsWith("tick")).map(([, line]) => line.split(" "))
        assert.deepStrictEqual(new Set(ticks.map(([, due]) => due)).size, ticks.length)
        assert.isTrue(ticks.every(([, , what]) => what === "refresh"))
        for (const pid of pids) {
          const own = lines().filter(([by]) => by === pid).map(([, line]) => line)
          assert.deepStrictEqual(own.slice(-2), ["goodbye", "cleanup"])
        }
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "25: one has acquired at any time and gets every tick; killed or stopped, another takes over",
    () =>
      Effect.gen(function*() {
        const { byPid, children, end, lines, until } = yield* three("25-leader")
        yield* until((lines) => said(lines, "setup").length === 3 || undefined)
        const ends: Array<readonly [number, NodeJS.Signals]> = []
        for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
          const gone = new Set(ends.map(([pid]) => pid))
          const leader = yield* until((lines) => said(lines, "acquired").find((pid) => !gone.has(pid)))
          // Both kinds of tick come to somebody who is there.
          yield* until((lines) => said(lines, "tick").includes(leader) || undefined)
          yield* until((lines) => said(lines, "report").some((pid) => !gone.has(pid)) || undefined)
          const code = yield* end(byPid(leader), signal)
          assert.strictEqual(code, signal === "SIGKILL" ? signal : 130)
          ends.push([leader, signal])
        }
        assert.deepStrictEqual(sorted(ends.map(([pid]) => pid)), sorted(children.map(({ pid }) => pid!)))

        // The leader says when it begins and, unless it was killed, when it has cleaned up: these never overlap.
        let leader: number | undefined
        for (const [pid, line] of lines()) {
          if (line === "acquired") {
            assert.isTrue(
              leader === undefined || ends.some(([dead, signal]) => dead === leader && signal === "SIGKILL")
            )
            leader = pid
          }
          if (line === "tick") assert.strictEqual(pid, leader)
          if (line === "cleanup") {
            assert.strictEqual(pid, leader)
            leader = undefined
          }
        }
        // Once for each acquire on an orderly end; and who was not killed has done what is always done, last.
        const orderly = ends.slice(1).map(([pid]) => pid)
        assert.deepStrictEqual(said(lines(), "acquired"), ends.map(([pid]) => pid))
        assert.deepStrictEqual(said(lines(), "cleanup"), orderly)
        assert.deepStrictEqual(said(lines(), "extra cleanup"), orderly)
      }).pipe(Effect.scoped),
    120_000
  )
})
