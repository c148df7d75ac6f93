import { join } from "node:path"
import { measure, rounds, type RunOptions, table } from "../harness.ts"
import { contenders } from "./contenders.ts"

export const run = async (options: RunOptions): Promise<void> => {
  const count = options.quick ? 500 : 100_000
  const rows = await rounds(
    Object.keys(contenders),
    options,
    (name) => measure(join(import.meta.dirname, "measure.ts"), [name, String(count)])
  )
  table(
    `${count} one-off tasks in a SQLite file (WAL, synchronous = NORMAL), each run ending in a stored outcome`,
    [
      { key: "fill", title: "adds/s", more: true },
      { key: "drain", title: "runs/s", more: true },
      { key: "cpu", title: "CPU µs/run", more: false, digits: 1 }
    ],
    rows,
    "punctual"
  )
}
