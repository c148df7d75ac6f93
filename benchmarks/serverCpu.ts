/**
 * How much CPU a server of this machine has used: the process that listens on its port, and its children, as Linux
 * tells it. Elsewhere, of servers on other machines, and of other people's, nobody knows: `NaN`.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

interface Process {
  readonly parent: number
  /** Of itself and of its ended children, in ticks of 10 ms. */
  readonly ticks: number
}

const read = (pid: number): Process | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // the name, which may contain anything, is in parentheses
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number)
    return { parent: fields[1]!, ticks: fields[11]! + fields[12]! + fields[13]! + fields[14]! }
  } catch {
    return undefined // it has ended
  }
}

const pids = (): ReadonlyArray<number> => readdirSync("/proc").map(Number).filter((pid) => Number.isInteger(pid))

const listener = (port: number): number | undefined => {
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  const sockets = ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, "utf8").split("\n").slice(1).map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => state === "0A" && local!.endsWith(`:${hex}`))
      .map((fields) => `socket:[${fields[9]}]`)
  )
  return pids().find((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.includes(readlinkSync(`/proc/${pid}/fd/${fd}`)))
    } catch {
      return false // it has ended, or is somebody else's
    }
  })
}

/** Answers a function that tells the milliseconds used so far by the server of a URL. */
export const serverCpu = (url: string): () => number => {
  const local = process.platform === "linux" && URL.canParse(url)
    && ["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname)
  const server = local ? listener(Number(new URL(url).port)) : undefined
  if (server === undefined) return () => NaN
  return () => {
    const all = new Map(
      pids().flatMap((pid) => {
        const found = read(pid)
        return found === undefined ? [] : [[pid, found] as const]
      })
    )
    const isOfServer = (pid: number): boolean =>
      pid === server || (all.has(pid) && pid > 1 && isOfServer(all.get(pid)!.parent))
    let ticks = 0
    for (const [pid, found] of all) if (isOfServer(pid)) ticks += found.ticks
    return ticks * 10
  }
}
