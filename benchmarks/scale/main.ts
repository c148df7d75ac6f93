import { join } from "node:path"
import { type Column, measure, rounds, type Row, type RunOptions, table } from "../harness.ts"
import { stores, whereIs, withPlaces } from "../places.ts"
import { contenders } from "../queues/contenders.ts"

const script = (name: string) => join(import.meta.dirname, `${name}.ts`)

const names = ["SQLite", "Postgres", "Redis", "MySQL"] as const
const placeOf = (name: string) => stores[name as keyof typeof stores].place
const own = names.map((name) => `punctual, ${name}`)
/** How much more several processes can do at all: a bare table of jobs beside each store that has one. */
const drainers = own.flatMap((name) => {
  const bare = name.replace("punctual", "claim and delete by hand")
  return bare in contenders ? [name, bare] : [name]
})
/** Where --quick shows that several workers run. */
const few = drainers.slice(0, 4)

export const settings: Readonly<Record<string, string>> = Object.fromEntries(
  drainers.map((name) => [name, contenders[name]!.setup])
)

/** One row for each thing that was done, of one store. */
const rowsOf = (
  { contender, leftOut, ...row }: Row,
  what: (
    figures: Row["figures"][number]
  ) => ReadonlyArray<readonly [contender: string, figures: Row["figures"][number]]>
): ReadonlyArray<Row> => {
  if (leftOut !== undefined) return [{ contender, figures: [], leftOut }]
  const done = row.figures.map((figures) => new Map(what(figures)))
  return [...done[0]!.keys()].map((contender) => ({ contender, figures: done.map((all) => all.get(contender)!) }))
}

const large = (tasks: string): ReadonlyArray<Column> => [
  { key: "times", title: "times as long", more: false, digits: 2, plot: true },
  { key: "few", title: "ms, 1,000 tasks", more: false, digits: 2 },
  { key: "many", title: `ms, ${tasks} tasks`, more: false, digits: 2 }
]

const together: ReadonlyArray<Column> = [
  { key: "each", title: "µs a task", more: false, plot: true },
  { key: "all", title: "ms for all", more: false, digits: 1 }
]

const workers: ReadonlyArray<Column> = [
  { key: "rate", title: "runs/s", more: true },
  { key: "repeated", title: "run twice", more: false },
  { key: "server", title: "server CPU µs/run", more: false, digits: 1 }
]

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const [tasks, steps, most, drained, processes] = options.quick
      ? [2_000, 2, 10, 50, [2]] as const
      : [1_000_000, 60, 10_000, 20_000, [1, 2, 4, 8]] as const
    const text = tasks.toLocaleString("en")

    for (
      const row of await rounds(
        names,
        // each adds a million
        { ...options, repetitions: 1 },
        (name) => measure(script("large"), [name, whereIs(places, placeOf(name)), String(tasks), String(steps)], 900)
      )
    ) {
      const adds = row.figures.map(({ adds }) => Math.round(adds!).toLocaleString("en")).join(", ")
      table(
        `${row.contender}: steps of 100 tasks, beside 1,000 and ${text}${
          adds === "" ? "" : `, added at ${adds} a second`
        }`,
        large(text),
        rowsOf(row, (all) =>
          Object.keys(all).flatMap((key) =>
            key.endsWith(": few") ? [key.slice(0, -5)] : []
          ).map((what) => {
            const few = all[`${what}: few`]!
            const many = all[`${what}: many`]!
            return [what, { few, many, times: many / few }]
          })),
        undefined
      )
    }

    for (
      const row of await rounds(
        names,
        options,
        (name) => measure(script("together"), [name, whereIs(places, placeOf(name)), String(most)], 300)
      )
    ) {
      table(
        `${row.contender}: what is due at one instant`,
        together,
        rowsOf(row, (all) =>
          Object.entries(all).map(([size, took]) => [
            `${Number(size).toLocaleString("en")} at once`,
            { all: took, each: took * 1_000 / Number(size) }
          ])),
        "100 at once"
      )
    }

    for (
      const name of (options.quick ? few : drainers).filter((name) =>
        options.only === undefined || name.includes(options.only)
      )
    ) {
      const of = (count: number) => `${count} worker${count === 1 ? "" : "s"}`
      const rows = await rounds(
        processes.map(of),
        { ...options, only: undefined },
        (workers) =>
          measure(
            script("workers"),
            [name, whereIs(places, contenders[name]!.place), String(drained), String(parseInt(workers))],
            300
          )
      )
      table(
        `${name}: ${drained.toLocaleString("en")} tasks due at once, run by several processes`,
        workers,
        rows,
        of(1)
      )
    }
  })
