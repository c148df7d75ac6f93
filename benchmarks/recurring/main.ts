import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { withPlaces } from "../places.ts"
import { contenders } from "./contenders.ts"

const script = join(import.meta.dirname, "measure.ts")

export const settings: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(contenders).map(([name, { setup }]) => [name, setup])
)

const columns: ReadonlyArray<Column> = [
  { key: "onTime", title: "on time %", more: true, digits: 2, plot: true },
  { key: "rate", title: "runs/s", more: true },
  { key: "p50", title: "p50 ms", more: false },
  { key: "p99", title: "p99 ms", more: false, plot: true },
  { key: "max", title: "max ms", more: false },
  { key: "lost", title: "lost", more: false },
  { key: "repeated", title: "repeated", more: false },
  { key: "client", title: "client CPU ms/s", more: false },
  { key: "server", title: "server CPU ms/s", more: false },
  { key: "adds", title: "adds/s", more: true }
]

const workloads = [
  { count: 1_000, phases: "at once", title: "all due at the full second" },
  { count: 10_000, phases: "at once", title: "all due at the full second" },
  { count: 10_000, phases: "spread", title: "spread evenly over the second" }
] as const

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const [warmUp, seconds] = options.quick ? [0, 1] : [10, 20]
    for (const { count, phases, title } of options.quick ? [{ ...workloads[0], count: 20 }] : workloads) {
      const names = Object.keys(contenders).filter((name) =>
        places[contenders[name]!.place] !== undefined && (phases === "at once" || contenders[name]!.phases)
      )
      const rows = await rounds(
        names,
        options,
        (name) =>
          measure(
            script,
            [name, places[contenders[name]!.place]!, String(count), phases, String(warmUp), String(seconds)],
            300
          )
      )
      table(`${count} schedules every second, ${title}, for ${seconds} s after ${warmUp} s`, columns, rows, undefined)
    }
  })
