import { join } from "node:path"
import { measure, rounds, type RunOptions, table } from "../harness.ts"
import { contenders } from "./contenders.ts"

export const run = async (options: RunOptions): Promise<void> => {
  const count = options.quick ? 200 : 20_000
  const rows = await rounds(
    Object.keys(contenders),
    options,
    (name) => measure(join(import.meta.dirname, "measure.ts"), [name, String(count), options.quick ? "1" : "5"])
  )
  table(
    `What a run costs in each layer: the medians of rounds of ${count} runs in a warm process`,
    [
      { key: "thread", title: "µs of the thread", more: false, digits: 1 },
      { key: "process", title: "µs of all threads", more: false, digits: 1, plot: true },
      { key: "bytes", title: "bytes allocated", more: false, plot: true }
    ],
    rows,
    undefined
  )
}
