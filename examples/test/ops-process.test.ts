/**
 * The real thing: `node examples/ops/main.ts` as a process, with real commands, a real server and a real file.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../ops/main.ts", import.meta.url))

const schedule = [
  "#: id=prepare",
  "@reboot                mkdir -p logs",
  "#: id=tick",
  "@every 500ms           echo \"tick $$\"",
  "#: id=health",
  "@every 500ms           GET $OPS_URL/health",
  "#: id=usage",
  "@every 500ms           df -Pk . | awk 'NR == 2 { print $5 }' | tee -a usage.csv",
  "#: id=strict misfireGrace=200ms",
  "@every 500ms           true",
  "#: id=broken",
  "@every 1s              echo oh no; exit 3"
]

const folder = Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped())

const write = (file: string, lines: ReadonlyArray<string>) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.writeFileString(file, `${lines.join("\n")}\n`))

/** Runs the program to its end; `seen` is told each line, with what sends a signal. */
const run = (
  args: ReadonlyArray<string>,
  seen: (line: string, interrupt: (signal: "SIGINT" | "SIGTERM") => void) => void = () => {}
) =>
  Effect.gen(function*() {
    const child = yield* ChildProcess.make(process.execPath, [main, ...args], { env: { TZ: "UTC" }, extendEnv: true })
    const lines: Array<string> = []
    yield* child.all.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.runForEach((line) =>
        Effect.sync(() => {
          lines.push(line)
          seen(line, (signal) => process.kill(child.pid, signal))
        })
      )
    )
    return { lines, output: lines.join("\n"), code: yield* child.exitCode }
  }).pipe(Effect.scoped)

describe("node examples/ops/main.ts", () => {
  it.live("runs for a while, remembers, and says what it did", () =>
    Effect.gen(function*() {
      const at = yield* folder
      yield* write(`${at}/a.crontab`, schedule)
      const args = ["--file", `${at}/a.crontab`, "--db", `${at}/ops.db`]
      const first = yield* run([...args, "--for", "3s"])
      assert.strictEqual(first.code, 0, first.output)
      assert.include(first.output, `database  ${at}/ops.db`)
      assert.match(first.output, /^\+ tick +every 500 milliseconds +next at /m)
      assert.match(first.output, /ok +tick +\d.* late.*, took .*  tick \d+$/m)
      assert.match(first.output, /ok +health +.*  200 \{"state":"running","running":\d+\}$/m)
      assert.match(first.output, /ok +usage +.*  \d+%$/m)
      assert.match(first.output, /FAILED +broken +.*  exit code 3: oh no$/m)
      assert.match(first.lines.at(-1) ?? "", /^done after .*: \d+ succeeded, .*\d failed/)

      yield* write(`${at}/a.crontab`, schedule.filter((line) => !line.includes("broken") && !line.includes("oh no")))
      const second = yield* run([...args, "--for", "1s"])
      assert.strictEqual(second.code, 0, second.output)
      assert.match(second.output, /^before +the last run ended at /m)
      assert.match(second.output, /^ {2}tick +every 500 milliseconds/m)
      assert.match(second.output, /^- broken +removed$/m)
      assert.match(second.output, /missed +strict +\d+ times? while this was not running/)
    }).pipe(Effect.provide(NodeServices.layer)), 120_000)

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.live(`${signal} lets what runs end, and says what it did`, () =>
      Effect.gen(function*() {
        const at = yield* folder
        yield* write(`${at}/a.crontab`, ["#: id=slow", "@reboot echo begun && sleep 3 && echo finished", ...schedule])
        let sent = false
        const { code, lines, output } = yield* run(
          ["--file", `${at}/a.crontab`, "--db", `${at}/ops.db`],
          (line, interrupt) => {
            if (sent || !/ok +tick/.test(line)) return
            sent = true
            interrupt(signal)
          }
        )
        const stopping = lines.findIndex((line) => /stopping/.test(line))
        const slow = lines.findIndex((line) => /ok +slow .*finished$/.test(line))
        assert.isAbove(stopping, 0, output)
        assert.isAbove(slow, stopping, output)
        assert.match(lines.at(-1) ?? "", /^done after /)
        assert.strictEqual(code, 130)
      }).pipe(Effect.provide(NodeServices.layer)), 120_000)
  }

  it.live("changes nothing when the file is wrong", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const at = yield* folder
      yield* write(`${at}/a.crontab`, ["0 9 * * MOM date", "", "#: timout=3s", "@every 5s date"])
      const { code, lines } = yield* run(["--file", `${at}/a.crontab`, "--db", `${at}/new/ops.db`])
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(lines.map((line) => line.replace(/^.*a\.crontab/, "a.crontab")), [
        "a.crontab:1:9: `MOM` is not a day of week (field 5, character 9): use 0-7 or SUN-SAT; did you mean `MON`?",
        "a.crontab:3:4: there is no option `timout`; did you mean `timeout`?"
      ])
      assert.isFalse(yield* fs.exists(`${at}/new`))
    }).pipe(Effect.provide(NodeServices.layer)), 60_000)

  it.live("says what is wrong with a database, a file or an option", () =>
    Effect.gen(function*() {
      const at = yield* folder
      yield* write(`${at}/a.crontab`, schedule)
      yield* write(`${at}/broken.db`, ["this is no database, however long one looks at it"])
      const [broken, nowhere, slip] = yield* Effect.all([
        run(["--file", `${at}/a.crontab`, "--db", `${at}/broken.db`]),
        run(["--file", `${at}/none.crontab`]),
        run(["--fro", "3s"])
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual([broken.code, nowhere.code, slip.code], [1, 1, 1])
      assert.match(broken.output, /^The database .*broken\.db cannot be used: .*not a (SQLite )?database/)
      assert.match(nowhere.output, /^\/.*none\.crontab cannot be read: /)
      assert.match(slip.output, /--fro[^]*Did you mean this\?\s+--for/)
    }).pipe(Effect.provide(NodeServices.layer)), 120_000)
})
