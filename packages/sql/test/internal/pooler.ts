/**
 * A PgBouncer of a test's own before a Postgres server, where it is installed.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const program = ["pgbouncer", "/usr/sbin/pgbouncer"].find((path) => spawnSync(path, ["--version"]).status === 0)

export const isInstalled = program !== undefined

/** It refuses to be root's. */
const user = (): { readonly uid?: number; readonly gid?: number } => {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }))
  return { uid: id("-u"), gid: id("-g") }
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

/** The URL of a pooler with these settings, until the scope closes. */
export const pooled = (
  url: string,
  settings: Readonly<Record<string, string>>
): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "punctual-pooler-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    const port = yield* freePort
    const { hostname, password, port: serverPort, username } = new URL(url)
    const login = `user='${decodeURIComponent(username)}'${
      password === "" ? "" : ` password='${decodeURIComponent(password)}'`
    }`
    const file = join(directory, "pgbouncer.ini")
    writeFileSync(
      file,
      [
        "[databases]",
        `* = host=${hostname} port=${serverPort || 5432} ${login}`,
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        `listen_port = ${port}`,
        "unix_socket_dir =",
        "auth_type = any",
        "max_client_conn = 200",
        ...Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
      ].join("\n")
    )
    // what is in its folder is for it to read
    execFileSync("chmod", ["-R", "a+rX", directory])
    const child = yield* Effect.acquireRelease(
      Effect.sync((): ChildProcess => spawn(program!, [file], { stdio: "ignore", ...user() })),
      (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    yield* Effect.promise(async () => {
      while (!await answers(port)) {
        if (child.exitCode !== null) throw new Error(`pgbouncer ended with ${child.exitCode}`)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    })
    const through = new URL(url)
    through.hostname = "127.0.0.1"
    through.port = String(port)
    through.password = ""
    return through.href
  })
