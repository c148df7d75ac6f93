/**
 * The servers of a chaos run: its own, on private ports and in its own folder, so that it may kill them.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, readdirSync } from "node:fs"
import { type AddressInfo, connect, createServer } from "node:net"
import { join } from "node:path"

export interface Server {
  /** A file, or a URL. */
  readonly where: string
  /** Kills it, and starts it again after so many milliseconds. */
  readonly restart?: (after: number) => Promise<void>
  readonly stop: () => Promise<void>
}

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

/** A server that is one process and its children, which end when it is killed. */
const server = async (
  where: string,
  port: number,
  command: readonly [string, ...ReadonlyArray<string>],
  signal: NodeJS.Signals
): Promise<Server> => {
  let child: ChildProcess
  const start = async () => {
    child = spawn(command[0], command.slice(1), { stdio: "ignore" })
    while (!await answers(port)) {
      if (child.exitCode !== null) throw new Error(`${command[0]} ended with ${child.exitCode}`)
      await wait(50)
    }
  }
  const end = async (signal: NodeJS.Signals) => {
    const exited = new Promise((resolve) => child.once("exit", resolve))
    child.kill(signal)
    await exited
    while (await answers(port)) await wait(20)
  }
  await start()
  return {
    where,
    restart: async (after) => {
      await end("SIGKILL")
      await wait(after)
      await start()
    },
    stop: () => end(signal)
  }
}

/** Debian puts the servers of each version in a folder of its own. */
const postgresBinary = (name: string): string => {
  const root = "/usr/lib/postgresql"
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  const [found] = versions.map((version) => join(root, version, "bin", name)).filter((path) => existsSync(path))
  return found ?? name
}

const postgres = async (folder: string): Promise<Server> => {
  const port = await freePort()
  const home = join(folder, "postgres")
  const data = join(home, "data")
  mkdirSync(home)
  // it refuses to run as root
  const root = process.getuid?.() === 0
  const as: ReadonlyArray<string> = root ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
  if (root) {
    chmodSync(folder, 0o711)
    execFileSync("chown", ["postgres", home])
  }
  const [program, ...args] = [...as, postgresBinary("initdb"), "-D", data, "-A", "trust", "-U", "postgres"]
  execFileSync(program!, args, { stdio: "ignore" })
  return server(
    `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    [
      ...as,
      postgresBinary("postgres"),
      "-D",
      data,
      "-p",
      String(port),
      "-k",
      home,
      "-c",
      "listen_addresses=127.0.0.1"
    ] as unknown as [string, ...ReadonlyArray<string>],
    "SIGINT"
  )
}

export const servers: Readonly<Record<string, (folder: string) => Promise<Server>>> = {
  sqlite: async (folder) => ({ where: join(folder, "punctual.db"), stop: async () => {} }),
  postgres
}
