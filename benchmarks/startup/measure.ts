/**
 * Medians of some processes of one contender:
 *
 *     node measure.ts import <project> <contender> <processes>
 *     node measure.ts first <project> <contender> <processes> <where>
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Figures, median, report } from "../harness.ts"
import { fresh, tidy } from "../places.ts"
import { beginning, importing, imports, programs } from "./contenders.ts"

const [what = "", project = "", contender = "", processes = "", where = ""] = process.argv.slice(2)

/** As the clock of every process of this machine has it. */
const now = () => performance.timeOrigin + performance.now()

/** Runs a program to its end, and answers what it told. */
const run = (file: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) => {
  const { signal, status, stderr, stdout } = spawnSync(process.execPath, [file, ...args], {
    cwd: project,
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 60_000
  })
  if (status !== 0) throw new Error(`${contender} ended with ${signal ?? status}: ${stderr}`)
  return JSON.parse(stdout) as Readonly<Record<string, number>>
}

/** Of this measurement alone: with --quick several are made at once. */
const file = join(project, `${fresh()}.mjs`)

const importOnce = async (): Promise<Figures> => {
  const { cached, modules } = imports[contender]!
  const begin = now()
  const { cpu, took } = run(
    file,
    modules,
    cached === true ? { NODE_COMPILE_CACHE: join(project, "cache") } : {}
  )
  return { import: took!, cpu: cpu!, process: now() - begin }
}

const firstOnce = async (): Promise<Figures> => {
  const name = fresh()
  const begin = now()
  const { at, cpu } = run(file, [where, name])
  await tidy(programs[contender]!.place, where, name)
  return { first: at! - begin, cpu: cpu! }
}

const once = what === "import" ? importOnce : firstOnce
writeFileSync(file, what === "import" ? importing : `${beginning}${programs[contender]!.text}\n`)
// the first one finds nothing in the caches of the file system, nor in one of compiled code
await once()
const all: Array<Figures> = []
for (let i = 0; i < Number(processes); i++) all.push(await once())
report(Object.fromEntries(Object.keys(all[0]!).map((key) => [key, median(all.map((figures) => figures[key]!))])))
process.exit(0)
