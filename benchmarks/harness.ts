/**
 * What every topic shares: one process for each measurement, medians over repetitions, tables.
 *
 *     topic/main.ts  ─▶  rounds  ─▶  measure  ─▶  topic/measure.ts, a process of its own, which reports figures
 *                            └────▶  table    ─▶  the terminal, and `results.ts`: JSON, a plot, the page of docs
 */
import { spawn } from "node:child_process"

/** What a child process prints as its last line. `NaN` is a figure that there is none of. */
export type Figures = Readonly<Record<string, number>>

export interface Row {
  readonly contender: string
  /** One for each repetition. */
  readonly figures: ReadonlyArray<Figures>
  /** Why there are none. */
  readonly leftOut?: string
}

export interface Column {
  readonly key: string
  readonly title: string
  /** Whether more is better: ratios are given so that above 1 is better than the reference. */
  readonly more: boolean
  readonly digits?: number
  /** Whether it is in the plot. Of a table with no such column, it is the first one. */
  readonly plot?: boolean
}

export interface Table {
  readonly title: string
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<Row>
  /** The contender that others are compared with. */
  readonly reference: string | undefined
}

/** Thrown by a measurement that cannot be: there is no server, or it would take gigabytes. */
export class LeftOut extends Error {}

/** Runs a script in a process of its own, so that memory and warm-up are its own. */
export const measure = (script: string, args: ReadonlyArray<string>, seconds = 120): Promise<Figures> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--expose-gc", "--no-warnings", script, ...args], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1_000)
    let output = ""
    child.stdout.on("data", (chunk) => {
      output += chunk
    })
    child.on("exit", (code, signal) => {
      clearTimeout(timer)
      const line = output.trim().split("\n").at(-1) ?? ""
      if (code === 0 && line.startsWith("{")) resolve(figuresOf(JSON.parse(line)))
      else {
        const end = signal === "SIGKILL" ? `did not end within ${seconds} s` : `ended with ${code}: ${output}`
        reject(new Error(`${script} ${args.join(" ")} ${end}`))
      }
    })
  })

/** A child process tells its figures. */
export const report = (figures: Figures): void => {
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}

/** JSON has no `NaN`. */
export const figuresOf = (json: Readonly<Record<string, number | null>>): Figures =>
  Object.fromEntries(Object.entries(json).map(([key, value]) => [key, value ?? NaN]))

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.slice().sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const percentile = (values: ReadonlyArray<number>, p: number): number => {
  const sorted = values.slice().sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN
}

/** What the repetitions of one figure come to. */
export interface Summary {
  readonly median: number
  readonly least: number
  readonly most: number
  /** To the median of the reference; above 1 is better. `NaN` for itself, and where there is none. */
  readonly ratio: number
}

export const summary = ({ reference, rows }: Table, { contender, figures }: Row, { key, more }: Column): Summary => {
  const values = (all: ReadonlyArray<Figures>) => all.map((f) => f[key] ?? NaN).filter((value) => !Number.isNaN(value))
  const own = values(figures)
  const middle = median(own)
  const base = rows.find((row) => row.contender === reference)
  const other = base === undefined || contender === reference ? NaN : median(values(base.figures))
  const ratio = more ? middle / other : other / middle
  return {
    median: middle,
    least: own.length === 0 ? NaN : Math.min(...own),
    most: own.length === 0 ? NaN : Math.max(...own),
    ratio: Number.isFinite(ratio) ? ratio : NaN
  }
}

export const show = (value: number, digits = 0): string =>
  Number.isNaN(value)
    ? "–"
    : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits })

/** Lines of a table in Markdown, with cells of one width for each column. */
export const markdown = (
  header: ReadonlyArray<string>,
  lines: ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<string> => {
  const widths = header.map((cell, i) => Math.max(cell.length, ...lines.map((line) => line[i]!.length)))
  const line = (cells: ReadonlyArray<string>) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...lines.map(line)]
}

/** What this process has shown so far: `run.ts` keeps it. */
export const tables: Array<Table> = []

/** Prints medians, with the spread in brackets where there are several repetitions, and ratios to one contender, if any. */
export const table = (
  title: string,
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<Row>,
  reference: string | undefined
): void => {
  const shown: Table = { title, columns, rows, reference }
  tables.push(shown)
  const present = rows.filter(({ leftOut }) => leftOut === undefined)
  console.log(`\n${title}${reference === undefined ? "" : `; × is relative to \`${reference}\`, above 1 is better`}`)
  if (present.length > 0) {
    const header = ["", ...columns.map((column) => `${column.title} (${column.more ? "more" : "less"} is better)`)]
    const lines = present.map((row) => [
      row.contender,
      ...columns.map((column) => {
        const { least, median, most, ratio } = summary(shown, row, column)
        const spread = row.figures.length > 1 ? ` [${show(least, column.digits)}–${show(most, column.digits)}]` : ""
        return `${show(median, column.digits)}${spread}${Number.isNaN(ratio) ? "" : ` ×${ratio.toFixed(2)}`}`
      })
    ])
    console.log(markdown(header, lines).join("\n"))
  }
  for (const reason of new Set(rows.flatMap(({ leftOut }) => leftOut ?? []))) {
    const names = rows.filter(({ leftOut }) => leftOut === reason).map(({ contender }) => contender)
    console.log(`left out, since ${reason}: ${names.join("; ")}`)
  }
}

export interface RunOptions {
  /** Small sizes and once: it shows that everything runs, and nothing else. */
  readonly quick: boolean
  readonly repetitions: number
  /** Only contenders whose name contains this. */
  readonly only: string | undefined
  /** Of topics which take as long as they are told. */
  readonly minutes: number | undefined
}

/**
 * Each contender in turn, round after round, so that a slow minute of the machine hits all of them. With --quick, where
 * figures mean nothing, all at once.
 */
export const rounds = async (
  contenders: ReadonlyArray<string>,
  options: RunOptions,
  one: (contender: string) => Promise<Figures>,
  /** Whether all of a round are measured at once: they mostly wait. */
  together = false
): Promise<ReadonlyArray<Row>> => {
  const chosen = contenders.filter((name) => options.only === undefined || name.includes(options.only))
  const results = new Map<string, Array<Figures>>(chosen.map((name) => [name, []]))
  const leftOut = new Map<string, string>()
  const turn = async (name: string): Promise<void> => {
    try {
      results.get(name)!.push(await one(name))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (!(error instanceof LeftOut)) {
        console.error(`${name}: ${reason}`)
        if (options.quick) throw error
      }
      leftOut.set(name, error instanceof LeftOut ? reason : "it failed")
    }
  }
  for (let i = 0; i < options.repetitions; i++) {
    if (together || options.quick) await Promise.all(chosen.map(turn))
    else for (const name of chosen) if (!leftOut.has(name)) await turn(name)
  }
  return chosen.map((contender) => {
    const figures = results.get(contender)!
    return figures.length > 0
      ? { contender, figures }
      : { contender, figures, leftOut: leftOut.get(contender) ?? "it failed" }
  })
}
