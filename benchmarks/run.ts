/**
 * npm run bench -- <topic> [--quick] [--repetitions n] [--only contender]
 */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { machine, type RunOptions } from "./harness.ts"

const topics = readdirSync(import.meta.dirname, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(join(import.meta.dirname, entry.name, "main.ts")))
  .map((entry) => entry.name)

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    repetitions: { type: "string" },
    only: { type: "string" }
  }
})
const [topic] = positionals
if (topic === undefined || !topics.includes(topic)) {
  console.error(`Which topic? One of: ${topics.join(", ")}.`)
  process.exit(1)
}
const options: RunOptions = {
  quick: values.quick,
  repetitions: Number(values.repetitions ?? (values.quick ? 1 : 3)),
  only: values.only
}
console.log(`${topic}: ${machine()}${options.quick ? ", quick: the figures mean nothing" : ""}`)
const { run } = await import(join(import.meta.dirname, topic, "main.ts")) as {
  readonly run: (options: RunOptions) => Promise<void>
}
await run(options)
