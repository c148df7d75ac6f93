/**
 * The real thing: three runners and two schedulers as processes on a Postgres server, of which some are killed.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Queue, Redacted, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { type ChildProcess, spawn } from "node:child_process"
import { createServer } from "node:net"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { onServer } from "../../.ci/testServers.ts"

interface Line {
  readonly from: ChildProcess
  readonly text: string
}

/** Starts programs of the example; what they print is one queue, so that nothing is seen out of order. */
const programs = (url: string) =>
  Effect.gen(function*() {
    const lines = yield* Queue.unbounded<Line>()
    const start = (file: string, ...args: ReadonlyArray<string>): Effect.Effect<ChildProcess, never, Scope.Scope> =>
      Effect.gen(function*() {
        const path = fileURLToPath(new URL(`../cluster/${file}.ts`, import.meta.url))
        const env = { ...process.env, DATABASE_URL: url }
        const child = yield* Effect.acquireRelease(
          Effect.sync(() => spawn(process.execPath, [path, ...args], { env, stdio: ["ignore", "pipe", "pipe"] })),
          (child) => Effect.sync(() => child.kill("SIGKILL"))
        )
        for (const input of [child.stdout, child.stderr]) {
          createInterface({ input }).on("line", (text) => void Queue.offerUnsafe(lines, { from: child, text }))
        }
        return child
      })
    /** Waits for a line, one of this process if it is given. */
    const until = (pattern: RegExp, from?: ChildProcess) =>
      Effect.repeat(Queue.take(lines), {
        until: (line) => pattern.test(line.text) && (from === undefined || line.from === from)
      })
    return { start, until, forget: Queue.clear(lines) }
  })

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** A database of its own: the cluster's tables have fixed names. */
const database = (url: string) =>
  Effect.gen(function*() {
    const name = `punctual_${crypto.randomUUID().slice(0, 8)}`
    const sql = yield* SqlClient.SqlClient
    yield* Effect.acquireRelease(
      sql`create database ${sql(name)}`,
      () => Effect.ignore(sql`drop database ${sql(name)} with (force)`)
    )
    const own = new URL(url)
    own.pathname = name
    return own.href
  })

const runOf = (line: Line) => /run \S+/.exec(line.text)![0]

await onServer("postgres", (server) => {
  it.live("runs go on where a runner is killed, and where a scheduler is", () =>
    Effect.gen(function*() {
      const sql = yield* Layer.build(PgClient.layer({ url: Redacted.make(server) }))
      const url = yield* Effect.provideContext(database(server), sql)
      const { forget, start, until } = yield* programs(url)
      for (let i = 0; i < 3; i++) yield* start("runner", String(yield* freePort))
      const first = yield* start("scheduler")
      yield* until(/page-\d succeeded/, first)
      const second = yield* start("scheduler")
      yield* until(/page-\d succeeded/, second)

      // A runner that has just begun one.
      yield* forget
      const begun = yield* until(/^page \d begins/)
      begun.from.kill("SIGKILL")
      const ended = yield* until(new RegExp(`succeeded, ${runOf(begun)} attempt 2`))
      assert.isTrue(ended.from === first || ended.from === second)

      // A runner that is told to end lets what runs end.
      yield* forget
      const last = yield* until(/^page \d begins/)
      last.from.kill("SIGTERM")
      yield* until(new RegExp(`succeeded, ${runOf(last)} attempt 1`))

      // The other scheduler takes over what one had claimed, and the runs of all pages go on.
      first.kill("SIGKILL")
      yield* forget
      for (let page = 1; page <= 6; page++) yield* until(new RegExp(`^page-${page} succeeded`), second)
    }).pipe(Effect.scoped), 120_000)
})
