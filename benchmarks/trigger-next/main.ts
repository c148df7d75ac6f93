import { join } from "node:path"
import { type Column, measure, median, rounds, type Row, type RunOptions, table } from "../harness.ts"
import { contenders, ruleNames, rules, timeZones } from "./contenders.ts"

const script = join(import.meta.dirname, "measure.ts")
const names = Object.keys(contenders)

const perZone: ReadonlyArray<Column> = timeZones.map((zone) => ({
  key: zone,
  title: zone,
  more: true,
  // the other zones with changes of clocks are much like Berlin
  plot: zone === "UTC" || zone === "Europe/Berlin"
}))

const topics: ReadonlyArray<{
  readonly what: string
  readonly title: string
  readonly rule?: string
  readonly without: ReadonlyArray<string>
  readonly columns: ReadonlyArray<Column>
  /** The contender others are compared with. */
  readonly reference: string | undefined
}> = [
  {
    what: "agree",
    title:
      `Questions whose answer differs from Punctual's, of all rules and zones, half of them around changes of clocks`,
    without: ["punctual"],
    columns: [
      ...["asked", ...ruleNames].map((key) => ({ key, title: key, more: false })),
      { key: "throws", title: "of these: throws", more: false }
    ],
    reference: undefined
  },
  ...ruleNames.map((rule) => ({
    what: "next",
    title: `next/s, ${rule}: \`${rules[rule].text}\``,
    rule,
    without: [],
    columns: perZone,
    reference: "punctual"
  })),
  {
    what: "list",
    title: "Instants/s when the next 100 are listed, weekdays, 9 to 17",
    rule: "weekdays, 9 to 17",
    without: ["cron", "node-schedule"],
    columns: perZone,
    reference: "punctual"
  },
  {
    what: "previous",
    title: "previous/s, weekdays, 9 to 17",
    rule: "weekdays, 9 to 17",
    without: ["limit (integers by hand)", "cron", "node-schedule"],
    columns: perZone,
    reference: "punctual"
  },
  {
    what: "count",
    title: "Counts of 90 days/s, weekdays, 9 to 17 (Punctual by arithmetic, the others by walking)",
    rule: "weekdays, 9 to 17",
    without: [],
    columns: perZone,
    reference: "punctual"
  },
  {
    what: "parse",
    title: "Different expressions read/s",
    without: ["limit (integers by hand)", "node-schedule"],
    columns: [{ key: "parse", title: "parse", more: true }],
    reference: "punctual"
  },
  {
    what: "first",
    title: "The first questions of a process, in milliseconds (limit: one answer of `Intl.DateTimeFormat`)",
    without: ["punctual, bound"],
    columns: [
      { key: "utc", title: "UTC", more: false, digits: 2, plot: true },
      { key: "first", title: "then a first zone", more: false, digits: 2, plot: true },
      { key: "second", title: "a second zone", more: false, digits: 2 },
      { key: "third", title: "a third zone", more: false, digits: 2 }
    ],
    reference: "punctual"
  },
  {
    what: "memory",
    title: "Heap and buffers that 50 years of a zone take",
    without: names.filter((name) => name !== "punctual, bound"),
    columns: [{ key: "bytes", title: "bytes", more: false }],
    reference: undefined
  }
]

const isPeer = (name: string): boolean => !name.startsWith("punctual") && !name.startsWith("limit")

/** How Punctual compares with the fastest peer of each column. */
const comparison = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<Row>, own: string): string =>
  columns.map(({ key, more, title }) => {
    const value = (row: Row) => median(row.figures.map((figures) => figures[key] ?? NaN))
    const ours = rows.filter(({ contender }) => contender === own).map(value)[0] ?? NaN
    const [best] = rows.filter(({ contender }) => isPeer(contender)).toSorted((a, b) =>
      more ? value(b) - value(a) : value(a) - value(b)
    )
    if (best === undefined) return title
    const ratio = more ? ours / value(best) : value(best) / ours
    return `${title} ×${ratio.toFixed(1)} ${best.contender}`
  }).join(", ")

/** What is no time needs no repetition, and what is one short moment needs more of them. */
const repetitions = (what: string, options: RunOptions): number =>
  what === "agree" || what === "memory"
    ? 1
    : what === "first" && !options.quick
    ? 5 * options.repetitions
    : options.repetitions

/** With --quick, what all of them have been seen to do once needs no process of each. */
const takesPart = (name: string, what: string, quick: boolean): boolean =>
  !quick || what === "agree" || what === "next" || !isPeer(name) || name === "croner"

export const run = async (options: RunOptions): Promise<void> => {
  const chosen = options.quick
    ? topics.filter(({ rule, what }) => what !== "next" || rule === "daily at 02:30")
    : topics
  for (const { columns, reference, rule, title, what, without } of chosen) {
    const rows = await rounds(
      names.filter((name) => !without.includes(name) && takesPart(name, what, options.quick)),
      { ...options, repetitions: repetitions(what, options) },
      (name) => measure(script, [name, what, options.quick ? "10" : "300", ...(rule === undefined ? [] : [rule])], 600)
    )
    table(title, columns, rows, reference)
    if (reference !== undefined && rows.some(({ contender }) => isPeer(contender))) {
      console.log(`\n${reference} against the fastest peer: ${comparison(columns, rows, reference)}`)
    }
  }
}
