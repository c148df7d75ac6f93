import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { type Place, standsIn, whereIs, withPlaces } from "../places.ts"
import { namesOf, settings } from "../queues/contenders.ts"

export { settings }

const columns: ReadonlyArray<Column> = [
  { key: "one", title: "adds/s, one by one", more: true, plot: true },
  { key: "flight", title: "adds/s, 50 in flight", more: true, plot: true },
  { key: "bulk", title: "adds/s, a thousand a call", more: true, plot: true },
  { key: "client", title: "client CPU µs/add, a thousand a call", more: false, digits: 1 },
  { key: "server", title: "server CPU µs/add, a thousand a call", more: false, digits: 1 }
]

/** Each with whom it is compared with. */
const stores: ReadonlyArray<{ readonly place: Place; readonly name: string; readonly reference: string }> = [
  { place: "file", name: "a SQLite file", reference: "limit, SQLite" },
  { place: "postgres", name: "Postgres", reference: "graphile-worker, best" },
  { place: "redis", name: "Redis", reference: "BullMQ, best" },
  { place: "mysql", name: "MySQL", reference: "punctual, MySQL" },
  { place: "mongodb", name: "MongoDB", reference: "punctual, MongoDB" }
]

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    for (const { name, place, reference } of stores) {
      const small = options.quick ||
        (places.mongodb !== undefined && place === "mongodb" && await standsIn(places.mongodb))
      const sizes = small ? [2, 4, 10] : [1_000, 5_000, 50_000]
      const rows = await rounds(
        // settings of workers make no difference here
        namesOf(options.quick, (contender) => contender.place === place && contender.role !== "defaults"),
        options,
        (name) =>
          measure(join(import.meta.dirname, "measure.ts"), [name, whereIs(places, place), ...sizes.map(String)], 300)
      )
      if (rows.length > 0) {
        table(
          `${sizes.map((size) => size.toLocaleString("en")).join(", ")} tasks added to ${name} in three ways`,
          columns,
          rows,
          reference
        )
      }
    }
  })
