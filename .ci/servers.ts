/**
 * Database servers on private ports of this machine: how each is found, prepared, started and stopped.
 *
 * | name     | programs                         | Debian           | runs as root's |
 * | -------- | -------------------------------- | ---------------- | -------------- |
 * | postgres | `initdb`, `postgres`             | `postgresql`     | `postgres`     |
 * | mysql    | `mariadb-install-db`, `mariadbd` | `mariadb-server` | `mysql`        |
 * | redis    | `redis-server`                   | `redis-server`   | root           |
 * | mongodb  | FerretDB, built here by Go       | none             | root           |
 *
 * Everything of a server is in one new folder. Nothing here touches a server, a port or a folder of somebody else.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process"
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs"
import { type AddressInfo, connect, createServer } from "node:net"
import { delimiter, join, resolve } from "node:path"
import { promisify } from "node:util"

export type Name = "postgres" | "mysql" | "redis" | "mongodb"

type Run = (program: string, ...args: ReadonlyArray<string>) => Promise<unknown>

interface Kind {
  /** Where programs look for its URL. */
  readonly variable: string
  /** The package of Debian that has it. */
  readonly debian: string | undefined
  /** What runs; it is installed when all are found. */
  readonly programs: ReadonlyArray<string>
  /** Who runs it where this process is root's, since it refuses to be. */
  readonly user?: string
  /** Fills an empty folder; `run` runs one of its programs as its user. */
  readonly prepare?: (data: string, run: Run) => Promise<unknown>
  /** What the last of its programs is told, besides its name. */
  readonly args: (data: string, port: number) => ReadonlyArray<string>
  readonly ready: (data: string, port: number, pid: number) => Promise<boolean>
  readonly url: (port: number) => string
  /** Ends it in order, and soon. */
  readonly signal: NodeJS.Signals
}

/** What is kept between runs: which servers are up, and the FerretDB that was built. */
export const stateFolder = resolve(import.meta.dirname, "../.servers")

/** Of the version in `ferretdb/go.mod`. */
const ferretDB = "ferretdb-sqlite-1.24.2"

export const kinds: Readonly<Record<Name, Kind>> = {
  postgres: {
    variable: "PUNCTUAL_POSTGRES_URL",
    debian: "postgresql",
    programs: ["initdb", "postgres"],
    user: "postgres",
    prepare: (data, run) => run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"),
    args: (data, port) =>
      [
        ["-D", data],
        ["-p", String(port)],
        ["-k", data],
        ["-c", "listen_addresses=127.0.0.1"],
        ["-c", "max_connections=200"]
      ].flat(),
    // before that it lets nobody in; the file of one that was killed says what that one was
    ready: async (data, _, pid) => {
      const file = join(data, "postmaster.pid")
      if (!existsSync(file)) return false
      const lines = readFileSync(file, "utf8").split("\n")
      return lines[0] === String(pid) && lines.some((line) => line.trim() === "ready")
    },
    url: (port) => `postgres://postgres@127.0.0.1:${port}/postgres`,
    signal: "SIGINT"
  },
  mysql: {
    variable: "PUNCTUAL_MYSQL_URL",
    debian: "mariadb-server",
    programs: ["mariadb-install-db", "mariadbd"],
    user: "mysql",
    prepare: (data, run) =>
      run("mariadb-install-db", "--no-defaults", `--datadir=${data}`, "--auth-root-authentication-method=normal"),
    args: (data, port) => [
      "--no-defaults",
      `--datadir=${data}`,
      `--port=${port}`,
      `--socket=${join(data, "socket")}`,
      "--bind-address=127.0.0.1",
      "--max-connections=300"
    ],
    ready: (_, port) => says(port, "", /^[^]{4}\n/), // its greeting: length, number, protocol 10
    url: (port) => `mysql://root@127.0.0.1:${port}/test`,
    signal: "SIGTERM"
  },
  redis: {
    variable: "PUNCTUAL_REDIS_URL",
    debian: "redis-server",
    programs: ["redis-server"],
    args: (data, port) =>
      [
        ["--bind", "127.0.0.1"],
        ["--port", String(port)],
        ["--dir", data],
        ["--appendonly", "yes"],
        ["--appendfsync", "always"],
        ["--save", ""]
      ].flat(),
    ready: (_, port) => says(port, "PING\r\n", /^\+PONG/), // while it still reads its log it answers otherwise
    url: (port) => `redis://127.0.0.1:${port}`,
    signal: "SIGTERM"
  },
  mongodb: {
    variable: "PUNCTUAL_MONGODB_URL",
    debian: undefined,
    programs: [ferretDB],
    args: (data, port) => [`127.0.0.1:${port}`, data],
    ready: (_, port) => says(port, "", /^/),
    url: (port) => `mongodb://127.0.0.1:${port}/test`,
    signal: "SIGTERM"
  }
}

export const names = Object.keys(kinds) as ReadonlyArray<Name>

// -----------------------------------------------------------------------------
// finding and installing
// -----------------------------------------------------------------------------

const isRoot = process.getuid?.() === 0

/** Where programs are: Debian has a folder for each version of Postgres, newest first here. */
const folders = (): ReadonlyArray<string> => {
  const postgres = "/usr/lib/postgresql"
  const versions = existsSync(postgres) ? readdirSync(postgres).sort((a, b) => Number(b) - Number(a)) : []
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "")
  return [
    stateFolder,
    ...versions.map((version) => join(postgres, version, "bin")),
    ...path,
    "/usr/sbin",
    "/usr/local/go/bin"
  ]
}

const find = (program: string): string | undefined =>
  folders().map((folder) => join(folder, program)).find((path) => existsSync(path))

export const isInstalled = (name: Name): boolean => kinds[name].programs.every((program) => find(program) !== undefined)

/** Installs what is missing of these, or throws what there is to do. */
export const install = (wanted: ReadonlyArray<Name>): void => {
  const missing = wanted.filter((name) => !isInstalled(name))
  const packages = missing.flatMap((name) => kinds[name].debian ?? [])
  if (packages.length > 0) {
    if (!isRoot || !folders().some((folder) => existsSync(join(folder, "apt-get")))) {
      throw new Error(`install ${packages.join(", ")} (Debian: sudo apt-get install ${packages.join(" ")})`)
    }
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
    execFileSync("apt-get", ["update", "-q"], { stdio: ["ignore", 2, 2], env })
    execFileSync("apt-get", ["install", "-q", "-y", "--no-install-recommends", ...packages], {
      stdio: ["ignore", 2, 2],
      env
    })
  }
  if (missing.includes("mongodb")) buildFerretDB()
}

/** From Go's modules, at the versions in `ferretdb/go.sum`. */
const buildFerretDB = (): void => {
  const go = find("go")
  if (go === undefined) throw new Error("install Go 1.24 or later: it builds FerretDB, which stands in for MongoDB")
  mkdirSync(stateFolder, { recursive: true })
  execFileSync(go, ["build", "-o", join(stateFolder, ferretDB), "."], {
    cwd: join(import.meta.dirname, "ferretdb"),
    stdio: ["ignore", 2, 2]
  })
}

// -----------------------------------------------------------------------------
// talking to a port
// -----------------------------------------------------------------------------

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** Whether a connection that sends `text` is answered so; an empty pattern asks for no answer, only for the connection. */
const says = (port: number, text: string, answer: RegExp): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    const end = (found: boolean) => {
      socket.destroy()
      resolve(found)
    }
    let received = ""
    socket.setTimeout(1000, () => end(false))
    socket.once("error", () => end(false))
    socket.once("close", () => end(false))
    socket.once("connect", () => {
      socket.write(text)
      if (answer.test("")) end(true)
    })
    socket.on("data", (data) => {
      received += data.toString("latin1")
      if (answer.test(received)) end(true)
    })
  })

export const answers = (port: number): Promise<boolean> => says(port, "", /^/)

// -----------------------------------------------------------------------------
// starting and stopping
// -----------------------------------------------------------------------------

export interface Started {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Ends it, in order unless told otherwise, and waits for that. Its data stays. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>
  /** Again, after it has been stopped, on the same data and port. */
  readonly start: () => Promise<void>
}

/** How long a server may take to let clients in. */
const patience = 60_000

/**
 * Starts a server whose data is in a folder, which is prepared when it is empty, and waits until clients may connect.
 * With `detached` it outlives this process.
 */
export const start = async (
  name: Name,
  folder: string,
  options?: { readonly detached?: boolean }
): Promise<Started> => {
  const kind = kinds[name]
  const port = await freePort()
  const data = join(folder, "data")
  const log = join(folder, "log")
  const user = isRoot && kind.user !== undefined ? userOf(kind.user) : undefined
  if (!existsSync(data)) {
    mkdirSync(data, { recursive: true })
    if (user !== undefined) {
      chmodSync(folder, 0o711)
      chownSync(data, user.uid, user.gid)
    }
    await kind.prepare?.(data, (program, ...args) => promisify(execFile)(find(program)!, args, { cwd: data, ...user }))
  }

  let child: ChildProcess
  const begin = async () => {
    const output = openSync(log, "a")
    child = spawn(find(kind.programs.at(-1)!)!, kind.args(data, port), {
      cwd: data,
      detached: options?.detached ?? false,
      stdio: ["ignore", output, output],
      ...user
    })
    closeSync(output)
    let failed: Error | undefined
    child.once("error", (error) => failed = error)
    if (options?.detached === true) child.unref()
    const since = performance.now()
    while (!await kind.ready(data, port, child.pid ?? 0)) {
      const ended = child.exitCode ?? child.signalCode
      if (failed !== undefined || ended !== null) throw didNotStart(name, failed?.message ?? `ended with ${ended}`, log)
      if (performance.now() - since > patience) {
        child.kill("SIGKILL")
        throw didNotStart(name, `lets nobody in after ${patience / 1000} s`, log)
      }
      await wait(20)
    }
  }
  await begin()
  return {
    url: kind.url(port),
    port,
    get pid() {
      return child.pid!
    },
    stop: async (signal = kind.signal) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = new Promise((resolve) => child.once("exit", resolve))
      child.kill(signal)
      await exited
      while (await answers(port)) await wait(20) // its children may end after it
    },
    start: begin
  }
}

const userOf = (name: string): { readonly uid: number; readonly gid: number } => {
  const id = (flag: string) => Number(execFileSync("id", [flag, name], { encoding: "utf8" }))
  return { uid: id("-u"), gid: id("-g") }
}

const didNotStart = (name: Name, reason: string, log: string): Error =>
  new Error(`${name} did not start: ${reason}\n${readFileSync(log, "utf8").split("\n").slice(-20).join("\n")}`)
