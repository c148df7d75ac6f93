import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { type Place, stores, whereIs, withPlaces } from "../places.ts"

const columns: ReadonlyArray<Column> = [
  { key: "runs", title: "runs", more: true },
  { key: "rate", title: "runs/s of real time", more: true },
  { key: "early", title: "heap after a tenth, MB", more: false, digits: 1 },
  { key: "middle", title: "heap at half, MB", more: false, digits: 1 },
  { key: "late", title: "heap at the end, MB", more: false, digits: 1 },
  { key: "growth", title: "heap at the end, % of that after a tenth", more: false, plot: true },
  { key: "handlesEarly", title: "handles after a tenth", more: false },
  { key: "handlesLate", title: "handles at the end", more: false, plot: true },
  { key: "client", title: "client CPU ms/s", more: false, digits: 1 },
  { key: "lost", title: "runs lost", more: false }
]

/** In virtual time nobody waits: an hour of it takes minutes. */
const names = ["memory, virtual time", "memory", "SQLite", "Postgres", "Redis", "MySQL"]

export const settings: Readonly<Record<string, string>> = Object.fromEntries(
  names.map((name) => [`punctual, ${name}`, "defaults, but that 10 runs of a task are kept"])
)

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const minutes = options.minutes ?? (options.quick ? 0.05 : 60)
    const perSecond = options.quick ? 20 : 500
    const rows = await rounds(
      names.map((name) => `punctual, ${name}`),
      // an hour is its own repetition
      { ...options, repetitions: 1 },
      (name) => {
        const [store = "", virtual] = name.replace("punctual, ", "").split(", ")
        const place: Place = stores[store as keyof typeof stores].place
        return measure(
          join(import.meta.dirname, "measure.ts"),
          [
            store,
            whereIs(places, place),
            String(perSecond),
            String(minutes),
            ...virtual === undefined ? [] : ["virtual"]
          ],
          minutes * 60 + 300
        )
      },
      true
    )
    table(`${perSecond} runs a second for ${Number(minutes.toFixed(2))} minutes`, columns, rows, undefined)
  })
