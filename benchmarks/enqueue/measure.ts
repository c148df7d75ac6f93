/**
 * How fast one process adds: node measure.ts <contender> <where> <one by one> <50 in flight> <in bulk>
 */
import { report } from "../harness.ts"
import { fresh, tidy } from "../places.ts"
import { contenders } from "../queues/contenders.ts"
import { parts } from "../queues/queue.ts"
import { serverCpu } from "../serverCpu.ts"

const [name = "", where = "", ...sizes] = process.argv.slice(2)
const [one, flight, bulk] = sizes.map(Number) as [number, number, number]
const contender = contenders[name]!
const prefix = fresh()
const session = await contender.open(where, prefix, { kind: "one-off" })

let n = 0
const next = () => ({ n: n++ })

/** Adds in a second. */
const rate = async (count: number, add: () => Promise<void>): Promise<number> => {
  const begin = performance.now()
  await add()
  return count / (performance.now() - begin) * 1_000
}

// the first calls prepare statements and open connections
await session.add([next()])
await session.add([next(), next()])

const figures = {
  one: await rate(one, async () => {
    for (let i = 0; i < one; i++) await session.add([next()])
  }),
  flight: await rate(flight, async () => {
    let left = flight
    const adder = async () => {
      while (left-- > 0) await session.add([next()])
    }
    await Promise.all(Array.from({ length: 50 }, adder))
  })
}
const batches = parts(Array.from({ length: bulk }, next), 1_000)
const server = serverCpu(where)
const [client, before] = [process.cpuUsage(), server()]
const added = await rate(bulk, async () => {
  for (const batch of batches) await session.add(batch)
})
const [used, after] = [process.cpuUsage(client), server()]
// not every contender closes in finite time
await Promise.race([session.close(), new Promise((resolve) => setTimeout(resolve, 1_000))])
await tidy(contender.place, where, prefix)
report({
  ...figures,
  bulk: added,
  client: (used.user + used.system) / bulk,
  server: (after - before) * 1_000 / bulk
})
process.exit(0)
