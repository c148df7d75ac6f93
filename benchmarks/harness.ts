/**
 * What every topic shares: one process for each measurement, medians over repetitions, one table.
 */
import { spawn } from "node:child_process"
import { cpus } from "node:os"

/** What a child process prints as its last line. */
export type Figures = Readonly<Record<string, number>>

export interface Row {
  readonly contender: string
  readonly figures: ReadonlyArray<Figures>
}

export interface Column {
  readonly key: string
  readonly title: string
  /** Whether more is better: ratios are given so that above 1 is better than the reference. */
  readonly more: boolean
  readonly digits?: number
}

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
    child.on("exit", (code) => {
      clearTimeout(timer)
      const line = output.trim().split("\n").at(-1) ?? ""
      if (code === 0 && line.startsWith("{")) resolve(JSON.parse(line))
      else reject(new Error(`${script} ${args.join(" ")} ended with ${code}: ${output}`))
    })
  })

/** A child process tells its figures. */
export const report = (figures: Figures): void => {
  process.stdout.write(`${JSON.stringify(figures)}\n`)
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.slice().sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const percentile = (values: ReadonlyArray<number>, p: number): number => {
  const sorted = values.slice().sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? NaN
}

const show = (value: number, digits: number): string =>
  Number.isNaN(value)
    ? "–"
    : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits })

/** Prints medians, with the spread in brackets where there are several repetitions, and ratios to one contender, if any. */
export const table = (
  title: string,
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<Row>,
  reference: string | undefined
): void => {
  const value = (row: Row, key: string) => median(row.figures.map((f) => f[key] ?? NaN))
  const base = rows.find((row) => row.contender === reference)
  const lines = rows.map((row) => [
    row.contender,
    ...columns.map(({ digits = 0, key, more }) => {
      const all = row.figures.map((f) => f[key] ?? NaN)
      const own = value(row, key)
      const spread = all.length > 1 ? ` [${show(Math.min(...all), digits)}–${show(Math.max(...all), digits)}]` : ""
      const other = base === undefined ? NaN : value(base, key)
      const ratio = more ? own / other : other / own
      const times = row === base || !Number.isFinite(ratio) ? "" : ` ×${ratio.toFixed(2)}`
      return `${show(own, digits)}${spread}${times}`
    })
  ])
  const header = ["", ...columns.map((column) => `${column.title} (${column.more ? "more" : "less"} is better)`)]
  const widths = header.map((cell, i) => Math.max(cell.length, ...lines.map((line) => line[i]!.length)))
  const print = (cells: ReadonlyArray<string>) =>
    console.log(`| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`)
  console.log(`\n${title}${reference === undefined ? "" : `; × is relative to \`${reference}\`, above 1 is better`}`)
  print(header)
  print(widths.map((width) => "-".repeat(width)))
  lines.forEach(print)
}

export const machine = (): string => {
  const [cpu] = cpus()
  return `${cpus().length} × ${cpu?.model ?? "unknown"}, Node ${process.versions.node}, V8 ${process.versions.v8}`
}

export interface RunOptions {
  readonly quick: boolean
  readonly repetitions: number
  /** Only contenders whose name contains this. */
  readonly only: string | undefined
}

/** Each contender in turn, round after round, so that a slow minute of the machine hits all of them. */
export const rounds = async (
  contenders: ReadonlyArray<string>,
  options: RunOptions,
  one: (contender: string) => Promise<Figures>
): Promise<ReadonlyArray<Row>> => {
  const chosen = contenders.filter((name) => options.only === undefined || name.includes(options.only))
  const results = new Map<string, Array<Figures>>(chosen.map((name) => [name, []]))
  for (let i = 0; i < options.repetitions; i++) {
    for (const name of chosen) {
      try {
        results.get(name)!.push(await one(name))
      } catch (error) {
        console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
        if (options.quick) throw error
      }
    }
  }
  return chosen.flatMap((contender) => {
    const figures = results.get(contender)!
    return figures.length === 0 ? [] : [{ contender, figures }]
  })
}
