import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { type Place, standsIn, whereIs, withPlaces } from "../places.ts"
import { contenders, namesOf, settings } from "../queues/contenders.ts"
import type { Kind } from "../queues/queue.ts"

export { settings }

const columns: ReadonlyArray<Column> = [
  { key: "drain", title: "runs/s", more: true },
  { key: "fill", title: "adds/s", more: true },
  { key: "client", title: "client CPU µs/run", more: false, digits: 1 },
  { key: "server", title: "server CPU µs/run", more: false, digits: 1 },
  { key: "commands", title: "commands/1,000 runs", more: false },
  { key: "bytes", title: "bytes/run", more: false }
]

/** Each with whom it is compared with. */
const drains: ReadonlyArray<{ readonly place: Place; readonly name: string; readonly reference: string }> = [
  { place: "file", name: "a SQLite file", reference: "limit, SQLite" },
  { place: "postgres", name: "Postgres", reference: "graphile-worker, best" },
  { place: "redis", name: "Redis", reference: "BullMQ, best" },
  { place: "mysql", name: "MySQL", reference: "punctual, MySQL" },
  { place: "mongodb", name: "MongoDB", reference: "punctual, MongoDB" }
]

const kinds: Readonly<Record<Kind, string>> = {
  "one-off": "one-off tasks",
  recurring: "recurring tasks, each due once",
  ready: "runs that are ready"
}

/** Who is at its defaults may need hours: it has this long, and its speed is that of what it ran. */
const patience = 20

const script = join(import.meta.dirname, "measure.ts")

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    // where nothing is timed, the process of a contender goes through all kinds at once
    for (const kind of options.quick ? ["one-off"] as const : Object.keys(kinds) as ReadonlyArray<Kind>) {
      for (const { name, place, reference } of drains) {
        const small = options.quick ||
          (places.mongodb !== undefined && place === "mongodb" && await standsIn(places.mongodb))
        const count = small ? 20 : 50_000
        const rows = await rounds(
          namesOf(options.quick, (contender) => contender.place === place && contender.kinds.includes(kind)),
          options,
          (name) =>
            measure(script, [
              options.quick ? contenders[name]!.kinds.join() : kind,
              name,
              whereIs(places, place),
              String(count),
              String(options.quick ? 0.5 : patience),
              ...options.quick ? [] : ["wire"]
            ], 600)
        )
        if (rows.length > 0) {
          table(`${count.toLocaleString("en")} ${kinds[kind]} in ${name}, run by one process`, columns, rows, reference)
        }
      }
    }
  })
