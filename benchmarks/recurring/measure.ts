/**
 * One measurement of one contender:
 *
 *     node measure.ts <contender> <where> <count> <at once | spread> <seconds of warm-up> <seconds>
 */
import { percentile, report } from "../harness.ts"
import { fresh } from "../places.ts"
import { serverCpu } from "../serverCpu.ts"
import { contenders, now } from "./contenders.ts"

const [name = "", where = "", size = "", phases = "", warmUp = "", length = ""] = process.argv.slice(2)
const count = Number(size)
const seconds = Number(length)
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** What is later than this is not on time. */
const patience = 1_000

const session = await contenders[name]!.open(where, fresh())
const begin = performance.now()
await session.add(
  Array.from({ length: count }, (_, i) => phases === "spread" ? Math.floor(i * 1_000 / count) : 0)
)
const added = performance.now()

let from = Infinity
let until = Infinity
let onTime = 0
let repeated = 0
let runs = 0
const late: Array<number> = []
const seen = new Set<number>()
await session.work((n, due) => {
  runs++
  if (due < from || due >= until) return
  // 2 ** 53 has room for the number of the schedule and a thousand seconds
  const tick = Math.floor((due - from) / 1_000) * count + n
  if (seen.has(tick)) {
    repeated++
    return
  }
  seen.add(tick)
  const lateness = now() - due
  late.push(lateness)
  if (lateness <= patience) onTime++
})
await wait(Number(warmUp) * 1_000)

// CPU is counted from just before a full second to just before another
from = Math.ceil((now() + 100) / 1_000) * 1_000
until = from + seconds * 1_000
await wait(from - 5 - now())
const server = serverCpu(where)
const serverBefore = server()
const before = process.cpuUsage()
runs = 0
await wait(until - 5 - now())
const client = process.cpuUsage(before)
const serverAfter = server()
const rate = runs / seconds
const expected = count * seconds
// the last ones have the time that the others had
for (const end = now() + 2 * patience; seen.size < expected && now() < end;) await wait(10)

report({
  adds: count / (added - begin) * 1_000,
  rate,
  onTime: onTime / expected * 100,
  p50: percentile(late, 0.5),
  p99: percentile(late, 0.99),
  max: percentile(late, 1),
  lost: expected - seen.size,
  repeated,
  client: (client.user + client.system) / 1_000 / seconds,
  server: (serverAfter - serverBefore) / seconds
})
// not every contender closes in finite time
await Promise.race([session.close(), wait(1_000)])
process.exit(0)
