/**
 * One measurement of one contender: node measure.ts <contender> <what> <count>
 */
import * as Clock from "effect/Clock"
import { percentile, report } from "../harness.ts"
import { contenders } from "./contenders.ts"

const [name = "", what = "", size = "1000"] = process.argv.slice(2)
const count = Number(size)
const now = () => Clock.Clock.defaultValue().currentTimeMillisUnsafe()
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
const heap = () => {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const session = await contenders[name]!()

/** Tasks every second, all at once: how late, and how many are lost, over five seconds. */
const everySecond = async (warmUp: number): Promise<Record<string, number>> => {
  const late: Array<number> = []
  let measuring = false
  if (session.everySecond === undefined) return { p50: NaN, p99: NaN, fired: NaN, cpu: NaN }
  await session.everySecond(count, () => {
    if (measuring) late.push(now() % 1_000)
  })
  await sleep(1_500 - now() % 1_000 + warmUp)
  measuring = true
  const cpu = process.cpuUsage()
  await sleep(5_000)
  measuring = false
  const used = process.cpuUsage(cpu)
  return {
    p50: percentile(late, 0.5),
    p99: percentile(late, 0.99),
    fired: late.length / (5 * count) * 100,
    cpu: (used.user + used.system) / 1_000 / 5
  }
}

const measurements: Record<string, () => Promise<Record<string, number>>> = {
  // Add tasks due in a day, then do nothing for two seconds.
  idle: async () => {
    const before = heap()
    const begin = performance.now()
    await session.once(count, () => now() + 86_400_000, () => {})
    const added = performance.now() - begin
    const bytes = (heap() - before) / count
    await sleep(500)
    const cpu = process.cpuUsage()
    const from = performance.now()
    await sleep(2_000)
    const used = process.cpuUsage(cpu)
    return {
      addsPerSecond: count / added * 1_000,
      heapBytes: bytes,
      idle: (used.user + used.system) / 1_000 / ((performance.now() - from) / 1_000)
    }
  },
  // All due at one instant: from the first run to the last.
  burst: async () => {
    let left = count
    let first = 0
    // Far enough ahead that every contender has added all of them.
    const at = Math.ceil((now() + 1_000 + count * (name.startsWith("punctual") ? 0.05 : 0.5)) / 1_000) * 1_000
    let finish = () => {}
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    await session.once(count, () => at, () => {
      if (first === 0) first = performance.now()
      if (--left === 0) finish()
    })
    await Promise.race([finished, sleep(at - now() + 30_000)])
    return { runsPerSecond: (count - left) / (performance.now() - first) * 1_000, lost: left }
  },
  // Spread evenly over five seconds: how late each one is.
  spread: async () => {
    const late: Array<number> = []
    const begin = Math.ceil((now() + 1_000 + count * 0.5) / 1_000) * 1_000
    const at = (i: number) => begin + Math.floor(i * 5_000 / count)
    const cpu = process.cpuUsage()
    await session.once(count, at, (i) => late.push(now() - at(i)))
    await sleep(begin - now() + 6_000)
    const used = process.cpuUsage(cpu)
    return {
      p50: percentile(late, 0.5),
      p99: percentile(late, 0.99),
      early: late.filter((ms) => ms < 0).length,
      lost: count - late.length,
      cpu: (used.user + used.system) / 1_000
    }
  },
  // In the first seconds of a process, and once it has compiled what it runs.
  recurring: () => everySecond(1_000),
  warm: () => everySecond(20_000)
}

const figures = await measurements[what]!()
report(figures)
// Not every contender closes in finite time.
await Promise.race([session.close(), sleep(1_000)])
process.exit(0)
