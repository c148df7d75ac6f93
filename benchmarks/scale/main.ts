import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { type Place, stores, withPlaces } from "../places.ts"

const script = join(import.meta.dirname, "measure.ts")

const names = ["SQLite", "Postgres", "Redis"] as const

const columns = (tasks: string): ReadonlyArray<Column> => [
  { key: "few", title: "ms, 1,000 tasks", more: false, digits: 2 },
  { key: "many", title: `ms, ${tasks} tasks`, more: false, digits: 2 },
  { key: "times", title: "times as long", more: false, digits: 2 }
]

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const [tasks, steps] = options.quick ? [2_000, 3] : [1_000_000, 60]
    const place = (name: string): Place => stores[name as keyof typeof stores].place
    const rows = await rounds(
      names.filter((name) => places[place(name)] !== undefined),
      options,
      (name) => measure(script, [name, places[place(name)]!, String(tasks), String(steps)], 1_800)
    )
    for (const { contender, figures } of rows) {
      const adds = figures.map(({ adds }) => Math.round(adds!).toLocaleString("en")).join(", ")
      const done = Object.keys(figures[0]!).flatMap((key) => key.endsWith(": few") ? [key.slice(0, -5)] : [])
      table(
        `${contender}: steps of 100 tasks, added at ${adds} a second`,
        columns(tasks.toLocaleString("en")),
        done.map((what) => ({
          contender: what,
          figures: figures.map((all) => {
            const few = all[`${what}: few`]!
            const many = all[`${what}: many`]!
            return { few, many, times: many / few }
          })
        })),
        undefined
      )
    }
  })
