import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { contenders } from "./contenders.ts"

const drain: ReadonlyArray<Column> = [
  { key: "fill", title: "adds/s", more: true },
  { key: "drain", title: "runs/s", more: true },
  { key: "cpu", title: "CPU µs/run", more: false, digits: 1 },
  { key: "commands", title: "commands/1,000 runs", more: false },
  { key: "bytes", title: "bytes/run", more: false }
]

const pickup: ReadonlyArray<Column> = [
  { key: "p50", title: "p50 ms", more: false, digits: 1 },
  { key: "p99", title: "p99 ms", more: false, digits: 1 }
]

const script = join(import.meta.dirname, "measure.ts")

export const run = async (options: RunOptions): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "punctual-bench-"))
  const places = {
    postgres: process.env["PUNCTUAL_POSTGRES_URL"],
    redis: process.env["PUNCTUAL_REDIS_URL"],
    file: folder
  }
  for (const [server, url] of Object.entries(places)) {
    if (url === undefined) {
      console.log(`${server} is left out: its URL is not set; \`npm run services -- up\` starts one`)
    }
  }
  const names = (servers: ReadonlyArray<string>) =>
    Object.keys(contenders).filter((name) => {
      const { server } = contenders[name]!
      return servers.includes(server) && places[server] !== undefined
    })
  const one = (what: string, count: number) => (name: string) =>
    measure(script, [what, name, places[contenders[name]!.server]!, String(count)])
  try {
    const count = options.quick ? 500 : 50_000
    for (const [server, reference] of [["postgres", "graphile-worker"], ["redis", "BullMQ"]] as const) {
      const title = `${count} one-off tasks in ${server}, run by one process, each ending in a stored outcome`
      const rows = await rounds(names([server]), options, one("drain", count))
      if (rows.length > 0) table(title, drain, rows, reference)
    }
    const adds = options.quick ? 20 : 300
    const rows = await rounds(
      names(["file", "postgres", "redis"]).filter((name) => !name.includes("by hand")),
      options,
      one("pickup", adds)
    )
    table(`From add in one process to the handler in another, ${adds} tasks 15 ms apart`, pickup, rows, undefined)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
