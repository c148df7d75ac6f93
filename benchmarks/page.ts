/**
 * The part of `docs/performance.md` that is made of results: what we want and what was measured, and the plots.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { markdown } from "./harness.ts"
import { about, folder, read, type Results, write } from "./results.ts"
import { aim, targets, verdict, withoutAim } from "./targets.ts"

export const file = join(import.meta.dirname, "../docs/performance.md")

const begin = "<!-- results: written by `npm run bench`; what is written here by hand is lost -->"
const end = "<!-- end of results -->"

const verdicts = (topic: string, results: Results): ReadonlyArray<string> => {
  const of = targets.filter((target) => target.topic === topic)
  const why = withoutAim[topic]
  if (of.length === 0) return why === undefined ? [] : ["", why]
  return [
    "",
    ...markdown(
      ["", "aim", "measured", ""],
      of.map((target) => {
        const found = verdict(target, results)
        return [
          target.what,
          aim(target),
          found?.shown ?? "not measured",
          found === undefined ? "" : found.met ? "met" : "**missed**"
        ]
      })
    )
  ]
}

const section = (topic: string, results: Results): ReadonlyArray<string> => [
  `### ${topic}`,
  "",
  `\`${results.command}\` (${results.minutes} minutes; [question, method, traps](../benchmarks/${topic}/README.md)): ${
    about(results)
  }; [every figure](../benchmarks/results/${topic}.json).`,
  ...verdicts(topic, results),
  "",
  `![Bars of ${topic}](../benchmarks/results/${topic}.svg)`,
  ""
]

/** The page with what these topics have found. */
export const pageOf = (
  page: string,
  topics: ReadonlyArray<string>,
  of: (topic: string) => Results | undefined
): string => {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no part between ${begin} and ${end}`)
  const known = topics.map((topic) => ({ topic, results: of(topic) }))
  const missing = known.filter(({ results }) => results === undefined).map(({ topic }) => topic)
  const lines = [
    begin,
    "",
    ...known.flatMap(({ results, topic }) => results === undefined ? [] : section(topic, results)),
    ...missing.length === 0 ? [] : [
      `Not yet run as a whole, so without a figure here: ${missing.join(", ")}.`,
      ""
    ]
  ]
  return `${page.slice(0, from)}${lines.join("\n")}\n${page.slice(to)}`
}

/** Draws the plots of these results again. */
export const writePlots = (topics: ReadonlyArray<string>): void => {
  for (const topic of topics) {
    const results = read(topic)
    if (results !== undefined) write(folder, results)
  }
}

export const writePage = (topics: ReadonlyArray<string>): void =>
  writeFileSync(file, pageOf(readFileSync(file, "utf8"), topics, read))
