import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { measure, rounds, type RunOptions, table } from "../harness.ts"
import { contenders } from "./contenders.ts"

export const run = async (options: RunOptions): Promise<void> => {
  if (spawnSync("redis-server", ["--version"]).status !== 0) {
    console.log("redis: install redis-server to run it")
    return
  }
  const count = options.quick ? 500 : 20_000
  const rows = await rounds(
    Object.keys(contenders),
    options,
    (name) => measure(join(import.meta.dirname, "measure.ts"), [name, String(count)])
  )
  table(
    `${count} one-off tasks on a Redis server (appendonly, everysec), each run ending in a stored outcome`,
    [
      { key: "fill", title: "adds/s", more: true },
      { key: "drain", title: "runs/s", more: true },
      { key: "cpu", title: "CPU µs/run", more: false, digits: 1 },
      { key: "server", title: "server CPU µs/run", more: false, digits: 1 },
      { key: "commands", title: "commands/run", more: false, digits: 1 },
      { key: "bytes", title: "bytes/run", more: false }
    ],
    rows,
    "punctual"
  )
}
