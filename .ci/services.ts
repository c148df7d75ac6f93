/**
 * Servers to develop with, for people without Docker:
 *
 *     npm run services -- up [postgres|mysql|redis|mongodb …]   starts them, all by default; installs what is missing (root, Debian)
 *     npm run services -- status                                says which are up
 *     npm run services -- down                                  stops them, and deletes their data
 *
 * Each is a process of its own on a private port of 127.0.0.1, with its data in a folder of its own. `up` prints the
 * variables that tests and benchmarks read:  eval "$(npm run --silent services -- up)".  `--json` prints JSON instead.
 *
 * What is up is remembered in `.servers/<name>.json`. A process is only believed to be ours, and only then stopped, while
 * the moment it started is the one in that file: the number of an ended process may have gone to another one, and the
 * file may be from before a restart of the machine.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { install, kinds, type Name, names, start, stateFolder } from "./servers.ts"

export interface Service {
  readonly name: Name
  readonly url: string
  readonly pid: number
  /** When that process began, as the system tells it. */
  readonly began: string
  /** What is deleted when it is stopped. */
  readonly folder: string
}

const folderPrefix = "punctual-server-"

// -----------------------------------------------------------------------------
// processes
// -----------------------------------------------------------------------------

/** What no other process with this number has, before or after it; `undefined` when there is none. */
export const beginOf = (pid: number): string | undefined => {
  try {
    if (process.platform !== "linux") {
      return execFileSync("ps", ["-p", String(pid), "-o", "lstart="], { encoding: "utf8" }).trim()
    }
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // the name, which may contain anything, is in parentheses; then 22 is the start in ticks since the boot
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    if (state === "Z") return undefined
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${fields[18]}`
  } catch {
    return undefined
  }
}

const isUp = ({ began, pid }: Service): boolean => beginOf(pid) === began

const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

// -----------------------------------------------------------------------------
// what is remembered
// -----------------------------------------------------------------------------

const fileOf = (state: string, name: Name): string => join(state, `${name}.json`)

const recall = (state: string, name: Name): Service | undefined => {
  try {
    return JSON.parse(readFileSync(fileOf(state, name), "utf8"))
  } catch {
    return undefined
  }
}

/** Whether it could be remembered: not, where another `up` was faster. */
const remember = (state: string, service: Service): boolean => {
  mkdirSync(state, { recursive: true })
  try {
    writeFileSync(fileOf(state, service.name), `${JSON.stringify(service, undefined, 2)}\n`, { flag: "wx" })
    return true
  } catch {
    return false
  }
}

// -----------------------------------------------------------------------------
// commands
// -----------------------------------------------------------------------------

const stop = async (service: Service): Promise<void> => {
  const since = performance.now()
  if (isUp(service)) process.kill(service.pid, kinds[service.name].signal)
  while (isUp(service)) {
    await wait(20)
    if (performance.now() - since > 10_000 && isUp(service)) process.kill(service.pid, "SIGKILL")
  }
  if (basename(service.folder).startsWith(folderPrefix)) rmSync(service.folder, { recursive: true, force: true })
}

/** Forgets one that is not up any more, and what it left behind. */
const forget = async (state: string, service: Service): Promise<void> => {
  await stop(service)
  rmSync(fileOf(state, service.name), { force: true })
}

const upOne = async (state: string, name: Name): Promise<Service> => {
  const before = recall(state, name)
  if (before !== undefined && isUp(before)) return before
  if (before !== undefined) await forget(state, before)
  const folder = mkdtempSync(join(tmpdir(), folderPrefix))
  const { pid, url } = await start(name, folder, { detached: true }).catch((error: unknown) => {
    rmSync(folder, { recursive: true, force: true })
    throw error
  })
  const service: Service = { name, url, pid, began: beginOf(pid) ?? "", folder }
  if (remember(state, service)) return service
  await stop(service)
  return upOne(state, name)
}

/** Starts those that are not up. */
export const up = async (state: string, wanted: ReadonlyArray<Name>): Promise<ReadonlyArray<Service>> => {
  install(wanted)
  return Promise.all(wanted.map((name) => upOne(state, name)))
}

export const status = (state: string): ReadonlyArray<Service> =>
  names.flatMap((name) => recall(state, name) ?? []).filter(isUp)

/** Stops all, and answers which were up. */
export const down = async (state: string): Promise<ReadonlyArray<Service>> => {
  const running = status(state)
  await Promise.all(names.flatMap((name) => recall(state, name) ?? []).map((service) => forget(state, service)))
  return running
}

// -----------------------------------------------------------------------------
// the command line
// -----------------------------------------------------------------------------

const usage = `npm run services -- up [${names.join("|")} …] | status | down   [--json]\n`

const exports_ = (services: ReadonlyArray<Service>): string =>
  services.map(({ name, url }) => `export ${kinds[name].variable}=${url}\n`).join("")

const main = async (args: ReadonlyArray<string>): Promise<void> => {
  const json = args.includes("--json")
  const [command, ...rest] = args.filter((arg) => arg !== "--json")
  const unknown = rest.filter((name) => !names.includes(name as Name))
  const print = (services: ReadonlyArray<Service>, text: string) =>
    process.stdout.write(json ? `${JSON.stringify(services)}\n` : text)
  if (command === "up" && unknown.length === 0) {
    const services = await up(stateFolder, rest.length === 0 ? names : rest as ReadonlyArray<Name>)
    print(services, exports_(services))
  } else if (command === "status" && rest.length === 0) {
    const services = status(stateFolder)
    const isKnown = (name: Name) => services.find((service) => service.name === name)
    print(services, names.map((name) => `${name.padEnd(8)}  ${isKnown(name)?.url ?? "is not up"}\n`).join(""))
  } else if (command === "down" && rest.length === 0) {
    const services = await down(stateFolder)
    print(services, services.map(({ name }) => `${name} stopped\n`).join("") || "none was up\n")
  } else {
    process.stderr.write(usage)
    process.exitCode = 2
  }
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  }
}
