/**
 * Chaos: real processes, killed and frozen at random, on what breaks under them. Afterwards everything must add up.
 *
 *     npm run chaos -- sqlite [--seconds 60] [--workers 4] [--seed n]
 *     npm run chaos -- file|postgres|mysql|redis    schedulers that share a store
 *     npm run chaos -- sqlite --beside <commit>     every other scheduler is of that commit
 *     npm run chaos -- locks                        programs that want the same lock, of each kind
 *     npm run chaos -- executors [<kind>]           schedulers and their workers: threads, processes, commands, a cluster
 *
 * What goes wrong, and when, follows from the seed; what that meets, from the machine. Servers are the run's own, on private
 * ports, in temporary folders.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { seeded } from "./random.ts"
import { stores } from "./stores.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    workers: { type: "string", default: "4" },
    beside: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) }
  }
})
const [name = "sqlite"] = positionals
const seconds = Number(values.seconds)
const workers = Number(values.workers)

const folder = mkdtempSync(join(tmpdir(), "punctual-chaos-"))
const say = (line: string) => process.stdout.write(`${line}\n`)
const common = { seconds, workers, folder, say, random: seeded(Number(values.seed)) }

const chaos = async (): Promise<ReadonlyArray<string>> => {
  if (name in stores) {
    say(
      `chaos on ${name}: ${workers} schedulers, ${seconds} s, seed ${values.seed}${
        values.beside === undefined ? "" : `, every other of ${values.beside}`
      }`
    )
    return (await import("./schedulers.ts")).run({ ...common, name, beside: values.beside })
  }
  if (name === "locks") {
    say(`chaos on locks: ${seconds} s, seed ${values.seed}`)
    return (await import("./locks.ts")).run(common)
  }
  if (name === "executors") {
    say(`chaos on executors: ${seconds} s each, seed ${values.seed}`)
    return (await import("./executors.ts")).run(common, positionals[1])
  }
  throw new Error(`no chaos on \`${name}\`: ${[...Object.keys(stores), "locks", "executors"].join(", ")}`)
}

try {
  const wrong = await chaos()
  for (const problem of wrong.slice(0, 20)) say(`  WRONG: ${problem}`)
  if (wrong.length > 20) say(`  … and ${wrong.length - 20} more`)
  process.exitCode = wrong.length === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit()
