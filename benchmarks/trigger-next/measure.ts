/**
 * One measurement of one contender: node measure.ts <contender> <what> <milliseconds> [rule]
 */
import { report } from "../harness.ts"
import {
  BEGIN,
  contenders,
  type Prepared,
  type Rule,
  type RuleName,
  rules,
  stretches,
  timeZones
} from "./contenders.ts"

const [name = "", what = "", budget = "100", ruleName = "every minute"] = process.argv.slice(2)
const rule: Rule = rules[ruleName as RuleName]
const contender = await contenders[name]!()

const DAY = 86_400_000
const YEAR = 365 * DAY

/** With so little time only whether everything works is of interest. */
const quick = Number(budget) < 100

/** Milliseconds this thread has worked: on a shared machine, the wall clock also counts the work of others. */
const worked = (): number => {
  const { system, user } = process.threadCpuUsage()
  return (user + system) / 1_000
}

/** How many calls a second, after a warm-up of a third of the time. */
const rate = (call: () => void): number => {
  const during = (limit: number): number => {
    let calls = 0
    let batch = 1
    const begin = worked()
    while (true) {
      for (let i = 0; i < batch; i++) call()
      calls += batch
      const elapsed = worked() - begin
      if (elapsed >= limit) return calls / elapsed * 1_000
      if (elapsed < limit / 20) batch *= 2
    }
  }
  during(Number(budget) / 3)
  return during(Number(budget))
}

/** A walk that begins again at its end, and goes on a day later where the contender throws. */
const walker = (step: (at: number) => number, from: number, to: number): () => void => {
  let at = from
  return () => {
    try {
      at = step(at)
    } catch {
      at += Math.sign(to - from) * DAY
    }
    if (Math.abs(at - from) >= Math.abs(to - from)) at = from
  }
}

const byZone = (f: (prepared: Prepared) => number): Record<string, number> =>
  Object.fromEntries(timeZones.map((zone) => [zone, f(contender.prepare(rule, zone))]))

/** Instants to ask about: around each change of clocks within five years, and spread over them. */
const references = (timeZone: string): ReadonlyArray<number> => {
  const years = quick ? 1 : 5
  const around = stretches(timeZone, years).filter(({ end }) => end < Infinity).flatMap(({ end }) =>
    Array.from({ length: 36 }, (_, i) => end * 1_000 + (i - 18) * 600_000)
  )
  const spread = Array.from({ length: quick ? 5 : 300 }, (_, i) => BEGIN + i * 6 * DAY + i * 1_234_567)
  return [...around, ...spread]
}

const measurements: Record<string, () => Promise<Record<string, number>>> = {
  next: async () => byZone(({ next }) => rate(walker(next, BEGIN, BEGIN + rule.years * YEAR))),

  previous: async () => byZone(({ previous }) => rate(walker(previous!, BEGIN + rule.years * YEAR, BEGIN))),

  list: async () => byZone(({ list }) => rate(walker((at) => list!(at, 100), BEGIN, BEGIN + rule.years * YEAR)) * 100),

  count: async () => byZone(({ count }) => rate(() => count!(BEGIN, BEGIN + (quick ? 7 : 90) * DAY))),

  parse: async () => {
    let i = 0
    return {
      parse: rate(() => {
        i++
        const [minute, hour, day] = [i % 60, Math.floor(i / 60) % 24, Math.floor(i / 1_440) % 28 + 1]
        contender.parse!(`${minute} ${hour} ${day} * *`)
        contender.parse!(`${minute}-59/5 9-17 ${day} JAN,APR,JUL,OCT MON-FRI`)
      }) * 2
    }
  },

  // The first question about a zone. By the clock: the system counts work in steps of milliseconds.
  first: async () => {
    // Who has no table of zones has to ask `Intl` once at least: that is the limit.
    const question = name.startsWith("limit")
      ? (timeZone: string) => new Intl.DateTimeFormat("en-US", { timeZone }).format(BEGIN)
      : (timeZone: string) => contender.prepare(rules["daily at 09:00"], timeZone).next(BEGIN)
    const ask = (timeZone: string): number => {
      const begin = performance.now()
      question(timeZone)
      return performance.now() - begin
    }
    return { utc: ask("UTC"), first: ask("Europe/Berlin"), second: ask("America/New_York"), third: ask("Asia/Tokyo") }
  },

  // How many answers differ from those of Punctual.
  agree: async () => {
    const reference = await contenders["punctual"]!()
    const differs: Record<string, number> = { asked: 0, throws: 0 }
    for (const [key, rule] of Object.entries(rules)) {
      differs[key] = 0
      for (const zone of timeZones) {
        const [expected, found] = [reference.prepare(rule, zone), contender.prepare(rule, zone)]
        for (const at of references(zone)) {
          differs["asked"]!++
          try {
            if (expected.next(at) !== found.next(at)) differs[key]++
          } catch {
            differs[key]++
            differs["throws"]!++
          }
        }
      }
    }
    return differs
  },

  // Fifty years of each of 40 zones, once their code is warm.
  memory: async () => {
    const heap = () => {
      globalThis.gc?.()
      globalThis.gc?.()
      const { external, heapUsed } = process.memoryUsage()
      return heapUsed + external
    }
    const read = (zone: string) => contender.prepare(rules["daily at 09:00"], zone).count!(BEGIN, BEGIN + 50 * YEAR)
    const zones = Intl.supportedValuesOf("timeZone").filter((zone) => zone.startsWith("Europe/")).slice(0, 41)
    read(zones[0]!)
    const before = heap()
    for (const zone of zones.slice(1)) read(zone)
    return { bytes: (heap() - before) / (zones.length - 1) }
  }
}

report(await measurements[what]!())
