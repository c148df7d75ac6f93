/**
 * What a topic has found, kept as JSON with every repetition's figure, and as a plot of that.
 *
 *     results/<topic>.json   written by whole runs only: neither --quick, nor --only
 *     results/<topic>.svg    made of it
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Environment } from "./environment.ts"
import { figuresOf, median, summary, type Table } from "./harness.ts"
import { plot } from "./plot.ts"

export interface Results {
  readonly topic: string
  /** The command that repeats it. */
  readonly command: string
  /** When it began. */
  readonly date: string
  readonly minutes: number
  readonly repetitions: number
  readonly quick: boolean
  /** How many processes wanted a core: a minute's mean before it began, and at its end. */
  readonly load: readonly [before: number, after: number]
  readonly environment: Environment
  /** How each contender is set up. */
  readonly settings: Readonly<Record<string, string>>
  readonly tables: ReadonlyArray<Table>
}

/** Every folder with a `main.ts`. */
export const topics: ReadonlyArray<string> = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(import.meta.dirname, entry.name, "main.ts")))
  .map((entry) => entry.name)
  .toSorted()

export const folder = join(import.meta.dirname, "results")

/** Medians, spreads and ratios are in there too, for readers; `figures` are what was measured. */
export const toJson = (results: Results): string => {
  const written = {
    ...results,
    tables: results.tables.map((table) => ({
      ...table,
      reference: table.reference ?? null,
      rows: table.rows.map((row) => ({
        ...row,
        summary: row.leftOut === undefined
          ? Object.fromEntries(table.columns.map((column) => [column.key, summary(table, row, column)]))
          : undefined
      }))
    }))
  }
  return `${JSON.stringify(written, undefined, 2)}\n`
}

export const fromJson = (text: string): Results => {
  const { tables, ...results } = JSON.parse(text)
  return {
    ...results,
    tables: tables.map((table: Table) => ({
      title: table.title,
      columns: table.columns,
      reference: table.reference ?? undefined,
      rows: table.rows.map(({ contender, figures, leftOut }) => ({
        contender,
        figures: figures.map(figuresOf),
        ...leftOut === undefined ? {} : { leftOut }
      }))
    }))
  }
}

/** One line on where its figures are from. */
export const about = ({ date, environment, load, repetitions }: Results): string => {
  const busy = load[0] > 0.5 ? `, busy (load ${load[0]} before it)` : ""
  return `${date.slice(0, 10)}, ${environment.machine}${busy}, Node ${environment.versions["node"]}, ${
    repetitions === 1 ? "one repetition" : `medians of ${repetitions}`
  }`
}

export const toSvg = (results: Results): string => plot(results.topic, about(results), results.tables)

/** Answers the files. */
export const write = (folder: string, results: Results): ReadonlyArray<string> => {
  mkdirSync(folder, { recursive: true })
  const files = [[`${results.topic}.json`, toJson(results)], [`${results.topic}.svg`, toSvg(results)]] as const
  return files.map(([name, text]) => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return file
  })
}

/** Those of the last whole run of a topic. */
export const read = (topic: string): Results | undefined => {
  const file = join(folder, `${topic}.json`)
  return existsSync(file) ? fromJson(readFileSync(file, "utf8")) : undefined
}

/** The median of a figure, in the first table whose title matches. */
export const find = (
  { tables }: Results,
  title: RegExp,
  contender: string,
  key: string
): number | undefined => {
  const row = tables.find((table) => title.test(table.title))?.rows.find((row) => row.contender === contender)
  const found = median((row?.figures ?? []).map((figures) => figures[key] ?? NaN))
  return Number.isNaN(found) ? undefined : found
}
