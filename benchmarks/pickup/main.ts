import { join } from "node:path"
import { type Column, LeftOut, measure, rounds, type RunOptions, table } from "../harness.ts"
import { standsIn, whereIs, withPlaces } from "../places.ts"
import { contenders, namesOf, settings } from "../queues/contenders.ts"

export { settings }

const columns: ReadonlyArray<Column> = [
  { key: "dueP50", title: "due to start, p50 ms", more: false, digits: 1, plot: true },
  { key: "dueP99", title: "due to start, p99 ms", more: false, digits: 1, plot: true },
  { key: "addP50", title: "add to start, p50 ms", more: false, digits: 1, plot: true },
  { key: "addP99", title: "add to start, p99 ms", more: false, digits: 1, plot: true },
  { key: "lost", title: "not begun", more: false },
  { key: "client", title: "idle, client CPU ms/s", more: false, digits: 1, plot: true },
  { key: "server", title: "idle, server CPU ms/s", more: false, digits: 1, plot: true }
]

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const standIn = places.mongodb !== undefined && await standsIn(places.mongodb)
    const [count, stored, idle] = options.quick ? [3, 10, 0.2] : [300, 1_000, 20]
    /** Seconds in which what is late must begin. */
    const patience = options.quick ? 0.5 : 30
    const rows = await rounds(
      namesOf(options.quick, ({ timed }) => timed),
      options,
      (name) => {
        const { place } = contenders[name]!
        if (place === "mongodb" && standIn) throw new LeftOut("what stands in for MongoDB reads everything each time")
        return measure(
          join(import.meta.dirname, "measure.ts"),
          [name, whereIs(places, place), String(count), String(stored), String(idle), String(patience)],
          300
        )
      }
    )
    table(
      `${count} tasks that are due, and ${count} that another process adds, beside ${
        stored.toLocaleString("en")
      } stored ones`,
      columns,
      rows,
      undefined
    )
  })
