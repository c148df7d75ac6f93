import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { withPlaces } from "../places.ts"
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

/** Each with whom it is compared to. */
const drains = [
  { place: "postgres", reference: "graphile-worker" },
  { place: "redis", reference: "BullMQ" },
  { place: "mysql", reference: "punctual, MySQL" },
  // what stands in for MongoDB here reads everything for each question: a hundred tasks take it minutes
  { place: "mongodb", reference: "punctual, MongoDB", count: 20 }
] as const

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const names = Object.keys(contenders).filter((name) => places[contenders[name]!.place] !== undefined)
    const one = (what: string, count: number) => (name: string) =>
      measure(script, [what, name, places[contenders[name]!.place]!, String(count)], 600)
    for (const { place, reference, ...drained } of drains) {
      const count = "count" in drained ? drained.count : options.quick ? 500 : 50_000
      const title = `${count} one-off tasks in ${place}, run by one process, each ending in a stored outcome`
      const rows = await rounds(
        names.filter((name) => contenders[name]!.place === place),
        options,
        one("drain", count)
      )
      if (rows.length > 0) table(title, drain, rows, reference)
    }
    const adds = options.quick ? 20 : 300
    const rows = await rounds(
      names.filter((name) => !name.includes("by hand") && contenders[name]!.place !== "mongodb"),
      options,
      one("pickup", adds)
    )
    table(`From add in one process to the handler in another, ${adds} tasks 15 ms apart`, pickup, rows, undefined)
  })
