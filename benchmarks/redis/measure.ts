/**
 * One measurement of one contender, on a server of its own: node measure.ts <contender> <count>
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as readline from "node:readline"
import { report } from "../harness.ts"
import { contenders } from "./contenders.ts"

const [name = "", size = "1000"] = process.argv.slice(2)
const count = Number(size)
const directory = mkdtempSync(join(tmpdir(), "punctual-bench-"))

const port = await new Promise<number>((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
  })
})
const server = spawn(
  "redis-server",
  ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "", "--appendonly", "yes"],
  { stdio: ["ignore", "pipe", "inherit"] }
)
await new Promise<void>((resolve) => {
  readline.createInterface({ input: server.stdout }).on("line", (line) => {
    if (line.includes("Ready to accept connections")) resolve()
  })
})

/** Numbers of the server's `INFO`. */
const info = async (section: string): Promise<ReadonlyMap<string, number>> => {
  const { createClient } = await import("redis")
  const client = createClient({ url: `redis://127.0.0.1:${port}` })
  await client.connect()
  const text = String(await client.sendCommand(["INFO", section]))
  await client.close()
  return new Map(
    Array.from(text.matchAll(/^(\w+):(?:calls=)?([0-9.]+)/gm), ([, key, value]) => [key!, Number(value)] as const)
  )
}

const used = async () => {
  const [stats, cpu, commands] = await Promise.all([info("stats"), info("cpu"), info("commandstats")])
  let calls = 0
  for (const [key, value] of commands) if (key.startsWith("cmdstat_")) calls += value
  return {
    bytes: (stats.get("total_net_input_bytes") ?? 0) + (stats.get("total_net_output_bytes") ?? 0),
    cpu: ((cpu.get("used_cpu_user") ?? 0) + (cpu.get("used_cpu_sys") ?? 0)) * 1e6,
    calls
  }
}

try {
  const session = await contenders[name]!(port)
  const begin = performance.now()
  await session.fill(count)
  const filled = performance.now()
  let runs = 0
  const before = await used()
  const cpu = process.cpuUsage()
  const start = performance.now()
  await session.drain(count, () => runs++)
  const drained = performance.now()
  const own = process.cpuUsage(cpu)
  const after = await used()
  if (runs !== count) throw new Error(`${name} ran ${runs} of ${count}`)
  report({
    fill: count / (filled - begin) * 1_000,
    drain: count / (drained - start) * 1_000,
    cpu: (own.user + own.system) / count,
    server: (after.cpu - before.cpu) / count,
    commands: (after.calls - before.calls) / count,
    bytes: (after.bytes - before.bytes) / count
  })
  await session.close()
} finally {
  server.kill("SIGKILL")
  rmSync(directory, { recursive: true, force: true })
}
process.exit(0)
