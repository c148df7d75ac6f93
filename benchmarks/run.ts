/**
 * npm run bench -- <topic | all> [--quick] [--repetitions n] [--only contender] [--minutes n]
 *
 * A whole run writes `results/<topic>.json` and `.svg`, and what `docs/performance.md` says of them; one with --quick or
 * --only writes into a temporary folder. `all` are the topics one after the other, each in a process of its own; one that fails
 * ends none but itself. `npm run bench -- page` draws the plots and writes that page again.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { environment, load, machine } from "./environment.ts"
import { type RunOptions, tables } from "./harness.ts"
import { writePage, writePlots } from "./page.ts"
import { folder, type Results, topics, write } from "./results.ts"

const fail = (message: string): never => {
  console.error(message)
  process.exit(1)
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    repetitions: { type: "string" },
    only: { type: "string" },
    minutes: { type: "string" }
  }
})

const positive = (name: "repetitions" | "minutes"): number | undefined => {
  const given = values[name]
  if (given === undefined) return undefined
  const value = Number(given)
  return value > 0 ? value : fail(`--${name} is a number above 0, not ${JSON.stringify(given)}.`)
}

const [topic] = positionals
if (topic === "page") {
  writePlots(topics)
  writePage(topics)
  process.exit(0)
}
if (topic === "all") {
  const options = process.argv.slice(2)
  options.splice(options.indexOf("all"), 1)
  const failed = topics.filter((topic) =>
    spawnSync(process.execPath, [import.meta.filename, topic, ...options], { stdio: "inherit" }).status !== 0
  )
  if (failed.length > 0) fail(`failed: ${failed.join(", ")}`)
  process.exit(0)
}
if (topic === undefined || !topics.includes(topic)) fail(`Which topic? One of: ${topics.join(", ")}; or all, or page.`)
else {
  const options: RunOptions = {
    quick: values.quick,
    repetitions: positive("repetitions") ?? (values.quick ? 1 : 3),
    only: values.only,
    minutes: positive("minutes")
  }
  console.log(
    `${topic}: ${machine()}, Node ${process.versions.node}${options.quick ? ", quick: the figures mean nothing" : ""}`
  )
  const { run, settings = {} } = await import(join(import.meta.dirname, topic, "main.ts")) as {
    readonly run: (options: RunOptions) => Promise<void>
    readonly settings?: Results["settings"]
  }
  const [date, begin, before] = [new Date().toISOString(), performance.now(), load()]
  await run(options)
  const minutes = options.minutes === undefined ? "" : ` --minutes ${options.minutes}`
  const results: Results = {
    topic,
    command: `npm run bench -- ${topic}${minutes}`,
    date,
    minutes: Number(((performance.now() - begin) / 60_000).toFixed(1)),
    repetitions: options.repetitions,
    quick: options.quick,
    load: [before, load()],
    environment: await environment(),
    settings,
    tables
  }
  const whole = !options.quick && options.only === undefined
  const files = write(whole ? folder : mkdtempSync(join(tmpdir(), "punctual-bench-results-")), results)
  console.log(`\n${files.join("\n")}`)
  if (whole) writePage(topics)
}
