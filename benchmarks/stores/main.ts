import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { contenders } from "./contenders.ts"

const columns: ReadonlyArray<Column> = [
  { key: "fill", title: "adds/s", more: true },
  { key: "drain", title: "runs/s", more: true },
  { key: "cpu", title: "CPU µs/run", more: false, digits: 1 },
  { key: "commands", title: "commands/1,000 runs", more: false },
  { key: "bytes", title: "bytes/run", more: false }
]

const servers = [
  { server: "postgres", title: "Postgres", variable: "PUNCTUAL_POSTGRES_URL", reference: "punctual, Postgres" },
  { server: "redis", title: "Redis", variable: "PUNCTUAL_REDIS_URL", reference: "BullMQ" }
] as const

export const run = async (options: RunOptions): Promise<void> => {
  const count = options.quick ? 500 : 50_000
  for (const { reference, server, title, variable } of servers) {
    const url = process.env[variable]
    if (url === undefined) {
      console.log(`\n${title}: left out, since ${variable} is not set; \`npm run services -- up\` starts one`)
      continue
    }
    const rows = await rounds(
      Object.keys(contenders).filter((name) => contenders[name]!.server === server),
      options,
      (name) => measure(join(import.meta.dirname, "measure.ts"), [name, url, String(count)])
    )
    table(
      `${count} one-off tasks in ${title}, run by one process, each ending in a stored outcome`,
      columns,
      rows,
      reference
    )
  }
}
