/**
 * One measurement of one contender: node measure.ts <contender> <count>
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { report } from "../harness.ts"
import { contenders } from "./contenders.ts"

const [name = "", size = "1000"] = process.argv.slice(2)
const count = Number(size)
const directory = mkdtempSync(join(tmpdir(), "punctual-bench-"))
try {
  const session = await contenders[name]!(join(directory, "bench.db"))
  const begin = performance.now()
  await session.fill(count)
  const filled = performance.now()
  let runs = 0
  const cpu = process.cpuUsage()
  await session.drain(count, () => runs++)
  const drained = performance.now()
  const used = process.cpuUsage(cpu)
  if (runs !== count) throw new Error(`${name} ran ${runs} of ${count}`)
  report({
    fill: count / (filled - begin) * 1_000,
    drain: count / (drained - filled) * 1_000,
    cpu: (used.user + used.system) / count
  })
  await session.close()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
process.exit(0)
