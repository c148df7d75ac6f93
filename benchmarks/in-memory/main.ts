import { join } from "node:path"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { contenders } from "./contenders.ts"

const script = join(import.meta.dirname, "measure.ts")

const recurring: ReadonlyArray<Column> = [
  { key: "p50", title: "p50 ms", more: false, digits: 1 },
  { key: "p99", title: "p99 ms", more: false, digits: 1, plot: true },
  { key: "fired", title: "fired %", more: true, digits: 1, plot: true },
  { key: "cpu", title: "CPU ms/s", more: false, digits: 1 }
]

const topics: ReadonlyArray<{
  readonly what: string
  readonly title: (count: number) => string
  readonly count: number
  /** The size with `--quick`, for those that are a part of it. */
  readonly quick?: number
  /** Those that take minutes or gigabytes at this size. */
  readonly without: ReadonlyArray<string>
  readonly columns: ReadonlyArray<Column>
}> = [
  {
    what: "idle",
    title: (count) => `Adding ${count} tasks due in a day, then idle`,
    count: 10_000,
    quick: 100,
    without: [],
    columns: [
      { key: "addsPerSecond", title: "adds/s", more: true, plot: true },
      { key: "heapBytes", title: "heap B/task", more: false, plot: true },
      { key: "idle", title: "idle CPU ms/s", more: false, digits: 1 }
    ]
  },
  {
    what: "idle",
    title: (count) => `The same with ${count} tasks`,
    count: 1_000_000,
    without: ["croner", "cron", "node-schedule", "toad-scheduler"],
    columns: [
      { key: "addsPerSecond", title: "adds/s", more: true, plot: true },
      { key: "heapBytes", title: "heap B/task", more: false, plot: true },
      { key: "idle", title: "idle CPU ms/s", more: false, digits: 1 }
    ]
  },
  {
    what: "burst",
    title: (count) => `${count} tasks due at one instant`,
    count: 10_000,
    quick: 100,
    without: [],
    columns: [{ key: "runsPerSecond", title: "runs/s", more: true }, { key: "lost", title: "lost", more: false }]
  },
  {
    what: "burst",
    title: (count) => `${count} tasks due at one instant`,
    count: 100_000,
    without: ["croner", "cron", "node-schedule"],
    columns: [{ key: "runsPerSecond", title: "runs/s", more: true }, { key: "lost", title: "lost", more: false }]
  },
  {
    what: "spread",
    title: (count) => `${count} tasks spread over five seconds: lateness`,
    count: 10_000,
    quick: 100,
    without: [],
    columns: [
      { key: "p50", title: "p50 ms", more: false, digits: 1 },
      { key: "p99", title: "p99 ms", more: false, digits: 1, plot: true },
      { key: "early", title: "too early", more: false },
      { key: "lost", title: "lost", more: false },
      { key: "cpu", title: "CPU ms", more: false }
    ]
  },
  {
    what: "recurring",
    title: (count) => `${count} tasks every second, for five seconds: lateness after the second`,
    count: 1_000,
    without: ["one fiber per task"],
    columns: recurring
  },
  {
    what: "warm",
    title: (count) => `${count} tasks every second, after twenty seconds`,
    count: 1_000,
    without: ["one fiber per task", "node-schedule"],
    columns: recurring
  },
  {
    what: "recurring",
    title: (count) => `${count} tasks every second`,
    count: 10_000,
    quick: 100,
    without: ["one fiber per task", "node-schedule", "cron"],
    columns: recurring
  }
]

/** With --quick not who may end with an exception of its own (`Date in past`) on a busy machine. */
const takesPart = (name: string, what: string, quick: boolean): boolean =>
  name === "punctual, events and policy"
    ? what === "burst"
    : name === "cron"
    ? !quick || (what !== "burst" && what !== "spread")
    : true

export const run = async (options: RunOptions): Promise<void> => {
  for (const { columns, count, quick, title, what, without } of topics) {
    const size = options.quick ? quick : count
    if (size === undefined) continue
    const rows = await rounds(
      Object.keys(contenders).filter((name) => !without.includes(name) && takesPart(name, what, options.quick)),
      options,
      (name) => measure(script, [name, what, String(size)])
    )
    table(title(size), columns, rows, "punctual")
  }
}
