/**
 * A Redis server of a test's own, in a folder and on a port of its own: one that may be killed.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as readline from "node:readline"

const installed = spawnSync("redis-server", ["--version"]).status === 0

/** Tests that start servers: skipped where `redis-server` is not installed, and failed where servers must be tested. */
export const withServers = (name: string, tests: () => void): void => {
  if (installed) describe(name, tests)
  else if (process.env["PUNCTUAL_REQUIRE_SERVERS"] === "1") {
    it(`${name}: install redis-server, since PUNCTUAL_REQUIRE_SERVERS says that it must be tested`, () => {
      throw new Error("redis-server is not installed")
    })
  } else it.skip(`${name}: install redis-server to test it`, () => {})
}

/** Without the warnings of connections that are meant to break. */
export const quiet = Effect.provideService(References.MinimumLogLevel, "None")

export interface OwnServer {
  readonly url: string
  readonly port: number
  /** Sends one command on a connection of its own. */
  readonly send: <A>(command: string, ...args: ReadonlyArray<string>) => Effect.Effect<A>
  /** Ends once the process has ended. */
  readonly kill: Effect.Effect<void>
  /** Ends once it answers. */
  readonly start: Effect.Effect<void>
  /** The file that the append-only log is written to, and its size. */
  readonly log: Effect.Effect<{ readonly path: string; readonly size: number }>
  readonly cut: (path: string, size: number) => Effect.Effect<void>
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Started with these settings, until the scope closes. */
export const ownServer = (...settings: ReadonlyArray<string>): Effect.Effect<OwnServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "punctual-redis-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    const port = yield* freePort
    let child: ChildProcess | undefined
    const start = Effect.callback<void>((resume) => {
      const started = child = spawn(
        "redis-server",
        ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "", ...settings],
        { stdio: ["ignore", "pipe", "inherit"] }
      )
      readline.createInterface({ input: started.stdout }).on("line", (line) => {
        if (line.includes("Ready to accept connections")) resume(Effect.void)
      })
      started.on("exit", (code) => resume(Effect.die(new Error(`redis-server ended with ${code}`))))
    })
    const kill = Effect.callback<void>((resume) => {
      const running = child
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) resume(Effect.void)
      else {
        running.on("exit", () => resume(Effect.void))
        running.kill("SIGKILL")
      }
    })
    yield* start
    yield* Effect.addFinalizer(() => kill)
    const url = `redis://127.0.0.1:${port}`
    const aof = join(directory, "appendonlydir")
    return {
      url,
      port,
      send: <A>(command: string, ...args: ReadonlyArray<string>) =>
        Redis.Redis.use((redis) => redis.send<A>(command, ...args)).pipe(
          Effect.provide(NodeRedis.layer({ url }), { local: true }),
          Effect.orDie
        ),
      kill,
      start,
      log: Effect.sync(() => {
        const path = join(aof, readdirSync(aof).find((name) => name.endsWith(".incr.aof"))!)
        return { path, size: statSync(path).size }
      }),
      cut: (path, size) => Effect.sync(() => truncateSync(path, size))
    }
  })
