import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { packedProject } from "../../.ci/packedProject.ts"
import { type Column, measure, rounds, type RunOptions, table } from "../harness.ts"
import { whereIs, withPlaces } from "../places.ts"
import { imports, programs } from "./contenders.ts"

const script = join(import.meta.dirname, "measure.ts")

/** Besides Punctual's packages: peers of theirs, and of ours. */
const others = [
  ...["effect", "@effect/platform-node", "@effect/sql-pg", "redis", "mysql2", "mongodb"],
  ...["croner", "cron-parser", "cron", "node-schedule", "toad-scheduler", "bullmq", "pg-boss", "graphile-worker"]
]

const importColumns: ReadonlyArray<Column> = [
  { key: "import", title: "import, ms", more: false, digits: 1, plot: true },
  { key: "cpu", title: "import, CPU ms of all threads", more: false, digits: 1 },
  { key: "process", title: "start of a process to its end, ms", more: false, digits: 1 }
]

const firstColumns: ReadonlyArray<Column> = [
  { key: "first", title: "start of a process to the first run, ms", more: false, digits: 1, plot: true },
  { key: "cpu", title: "CPU ms of all threads until then", more: false, digits: 1 }
]

export const run = (options: RunOptions): Promise<void> =>
  withPlaces(async (places) => {
    const project = mkdtempSync(join(tmpdir(), "punctual-bench-startup-"))
    try {
      packedProject(project, others)
      const processes = options.quick ? 1 : 5
      table(
        "What an import takes",
        importColumns,
        await rounds(
          Object.keys(imports),
          options,
          (name) => measure(script, ["import", project, name, String(processes)])
        ),
        "punctual"
      )
      table(
        "A program with one task that is due at once, over a store that is new",
        firstColumns,
        await rounds(
          Object.keys(programs),
          options,
          (name) =>
            measure(script, ["first", project, name, String(processes), whereIs(places, programs[name]!.place)], 300)
        ),
        "punctual, memory"
      )
    } finally {
      rmSync(project, { recursive: true, force: true })
    }
  })
