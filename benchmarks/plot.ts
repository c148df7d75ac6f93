/**
 * A plot of tables, as an SVG that reads well in light and in dark.
 *
 *     title of a table
 *     a        ▆▆▆▆▆▆▆▆▆▆▆▆▆├─┤          27,500
 *     b        ▆▆▆▆▆├┤                   10,400  ×0.38
 *     c        left out: why
 *              └────┴────┴────┴────
 *              0   10k  20k   30k     runs/s, more is better
 *
 * A bar is a median, the line over its end the least and the most, × the ratio to the reference within the same run.
 * Where the longest is fifty times the shortest the axis is logarithmic, and says so. Punctual is blue, what it is compared
 * with is amber, limits are outlines, others grey.
 */
import { type Column, type Row, show, type Summary, summary, type Table } from "./harness.ts"

const width = 860
/** Room for the names of contenders, in the widest of the usual fonts. */
const labels = 290
const bars = 390
const line = 20

const characters: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

/** What XML has no way to say is left out. */
export const escape = (text: string): string =>
  text.replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g, "").replace(/[&<>"']/g, (character) => characters[character]!)

const shorten = (text: string, length: number): string => text.length <= length ? text : `${text.slice(0, length - 1)}…`

const text = (x: number, y: number, content: string, attributes = ""): string =>
  `<text x="${x}" y="${y}"${attributes}>${escape(content)}</text>`

const compact = (value: number): string =>
  value >= 1_000_000
    ? `${Number((value / 1_000_000).toPrecision(3))}M`
    : value >= 1_000
    ? `${Number((value / 1_000).toPrecision(3))}k`
    : String(Number(value.toPrecision(3)))

interface Axis {
  readonly logarithmic: boolean
  readonly ticks: ReadonlyArray<number>
  /** How far along a value is: 0 to 1. */
  readonly at: (value: number) => number
}

/** Linear from zero, in steps of 1, 2 or 5; or in powers of ten. */
export const axis = (values: ReadonlyArray<number>): Axis => {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value))
  const most = Math.max(...positive)
  const least = Math.min(...positive)
  if (positive.length === 0) return { logarithmic: false, ticks: [0], at: () => 0 }
  if (most / least <= 50) {
    const power = 10 ** Math.floor(Math.log10(most / 4))
    const step = [1, 2, 5, 10].map((k) => k * power).find((step) => most / step <= 5)!
    const ticks = Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step)
    return { logarithmic: false, ticks, at: (value) => Math.max(0, value) / ticks.at(-1)! }
  }
  // a bar begins below the least of them, so that there is something to see of it
  const from = Math.floor(Math.log10(least) - 0.1)
  const to = Math.ceil(Math.log10(most))
  return {
    logarithmic: true,
    ticks: Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i)),
    at: (value) => value <= 0 ? 0 : Math.max(0, (Math.log10(value) - from) / (to - from))
  }
}

const bar = (row: Row, { digits }: Column, summary: Summary, axis: Axis, reference: boolean, y: number): string => {
  const label = `<text x="${labels - 8}" y="${y + 14}" class="label"><title>${escape(row.contender)}</title>${
    escape(shorten(row.contender, 40))
  }</text>`
  if (row.leftOut !== undefined) {
    return label + text(labels + 4, y + 14, `left out: ${shorten(row.leftOut, 66)}`, " class=\"faint\"")
  }
  if (Number.isNaN(summary.median)) return label + text(labels + 4, y + 14, "–", " class=\"faint\"")
  const x = (value: number) => Number((labels + axis.at(value) * bars).toFixed(1))
  const kind = /^@?punctual/.test(row.contender)
    ? "own"
    : reference
    ? "reference"
    : row.contender.startsWith("limit")
    ? "limit"
    : "other"
  const spread = row.figures.length < 2
    ? ""
    : `<path d="M${x(summary.least)} ${y + 10}H${x(summary.most)}M${x(summary.least)} ${y + 6}v8M${x(summary.most)} ${
      y + 6
    }v8" class="spread"/>`
  const ratio = Number.isNaN(summary.ratio) ? "" : `  ×${summary.ratio.toFixed(2)}`
  return label +
    `<rect x="${labels}" y="${y + 3}" width="${
      Number((x(summary.median) - labels).toFixed(1))
    }" height="14" class="${kind}"/>` + spread +
    text(Math.max(x(summary.most), x(summary.median)) + 6, y + 14, `${show(summary.median, digits)}${ratio}`)
}

const panel = (table: Table, column: Column, top: number): { readonly svg: string; readonly bottom: number } => {
  const rows = table.rows.map((row) => ({ row, summary: summary(table, row, column) }))
  const scale = axis(rows.flatMap(({ summary: { least, most } }) => [least, most]))
  const first = top + 26
  const bottom = first + rows.length * line
  const x = (value: number) => Number((labels + scale.at(value) * bars).toFixed(1))
  const unit = `${column.title}, ${column.more ? "more" : "less"} is better${scale.logarithmic ? ", logarithmic" : ""}${
    table.reference === undefined ? "" : `; × to ${table.reference}`
  }`
  return {
    svg: [
      text(8, top + 14, shorten(table.title.replaceAll("`", ""), 110), " class=\"title\""),
      ...scale.ticks.map((tick) => `<path d="M${x(tick)} ${first}V${bottom + 4}" class="grid"/>`),
      ...rows.map(({ row, summary }, i) =>
        bar(row, column, summary, scale, row.contender === table.reference, first + i * line)
      ),
      ...scale.ticks.map((tick) => text(x(tick), bottom + 17, compact(tick), " class=\"tick\"")),
      text(labels, bottom + 33, unit, " class=\"faint\"")
    ].join("\n"),
    bottom: bottom + 52
  }
}

const style = `
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.label { text-anchor: end }
.tick { text-anchor: middle; font-size: 10px; fill: #57606a }
.faint { fill: #57606a }
.back { fill: #ffffff }
.grid { stroke: #d0d7de; fill: none }
.spread { stroke: #24292f; fill: none }
.own { fill: #0969da }
.reference { fill: #9a6700 }
.other { fill: #8c959f }
.limit { fill: none; stroke: #8c959f; stroke-dasharray: 4 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .tick, .faint { fill: #9198a1 }
  .back { fill: #0d1117 }
  .grid { stroke: #3d444d }
  .spread { stroke: #e6edf3 }
  .own { fill: #4493f8 }
  .reference { fill: #d29922 }
  .other { fill: #656c76 }
  .limit { stroke: #9198a1 }
}
`

/** The whole picture: a panel for each column that is plotted. */
export const plot = (title: string, about: string, tables: ReadonlyArray<Table>): string => {
  const panels: Array<string> = []
  let top = 56
  for (const table of tables) {
    if (table.rows.length === 0) continue
    const marked = table.columns.filter((column) => column.plot === true)
    for (const column of marked.length > 0 ? marked : table.columns.slice(0, 1)) {
      const { bottom, svg } = panel(table, column, top)
      panels.push(svg)
      top = bottom
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}" role="img" aria-label="${
      escape(title)
    }">`,
    `<style>${style}</style>`,
    `<rect width="${width}" height="${top}" class="back"/>`,
    text(8, 20, title, " class=\"title\" style=\"font-size: 15px\""),
    text(8, 38, about, " class=\"faint\""),
    ...panels,
    "</svg>",
    ""
  ].join("\n")
}
