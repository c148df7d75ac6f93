/**
 * One measurement of one contender: node measure.ts <contender> <url> <count>
 */
import { report } from "../harness.ts"
import { contenders } from "./contenders.ts"
import { counted } from "./wire.ts"

const [name = "", url = "", size = "1000"] = process.argv.slice(2)
const count = Number(size)
const contender = contenders[name]!
const fresh = () => `b${crypto.randomUUID().slice(0, 8)}`

const session = await contender.open(url, fresh())
const begin = performance.now()
await session.fill(count)
const filled = performance.now()
let runs = 0
const cpu = process.cpuUsage()
await session.drain(count, () => runs++)
const drained = performance.now()
const used = process.cpuUsage(cpu)
if (runs !== count) throw new Error(`${name} ran ${runs} of ${count}`)
await session.close()

// what goes over the wire, in a pass of its own that nobody times
const few = Math.min(count, 5_000)
const wire = await counted(contender.server, url)
const watched = await contender.open(wire.url, fresh())
await watched.fill(few)
wire.reset()
await watched.drain(few, () => {})
const { bytes, commands } = wire.counts()
await watched.close()
wire.close()

report({
  fill: count / (filled - begin) * 1_000,
  drain: count / (drained - filled) * 1_000,
  cpu: (used.user + used.system) / count,
  commands: commands / few * 1_000,
  bytes: bytes / few
})
process.exit(0)
