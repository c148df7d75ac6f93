import { join } from "node:path"
import { type Column, LeftOut, measure, rounds, type RunOptions, table } from "../harness.ts"
import { standsIn, whereIs, withPlaces } from "../places.ts"
import { contenders, namesOf, settings } from "../queues/contenders.ts"

export { settings }

const columns: ReadonlyArray<Column> = [
  { key: "again", title: "seconds until all were begun again", more: false, digits: 1, plot: true },
  { key: "first", title: "seconds until the first was", more: false, digits: 1 },
  { key: "open", title: "in progress when it was killed", more: false },
  { key: "missing", title: "no end stored when patience did", more: false },
  { key: "repeated", title: "had ended, not stored, begun again", more: false },
  { key: "doubled", title: "begun or ended again after its end was stored", more: false }
]

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const standIn = places.mongodb !== undefined && await standsIn(places.mongodb)
    const [count, patience] = options.quick ? [20, 4] : [200, (options.minutes ?? 1.5) * 60]
    const rows = await rounds(
      namesOf(options.quick, ({ role, timed }) => timed && role !== "defaults"),
      options,
      (name) => {
        const { place } = contenders[name]!
        if (place === "mongodb" && standIn) throw new LeftOut("what stands in for MongoDB reads everything each time")
        return measure(
          join(import.meta.dirname, "measure.ts"),
          [name, whereIs(places, place), String(count), String(patience), options.quick ? "short" : "default"],
          patience + 300
        )
      },
      true
    )
    table(
      `${count} jobs, their process killed when the ends of a third were stored; another one is there for ${patience} s`,
      columns,
      rows,
      undefined
    )
  })
