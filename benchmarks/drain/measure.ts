/**
 * How fast one process runs what is there: node measure.ts <kind> <contender> <where> <count> <patience> [wire]
 *
 * Of several kinds with commas between them, all are run, and the first is told.
 */
import { report } from "../harness.ts"
import { fresh, tidy } from "../places.ts"
import { contenders } from "../queues/contenders.ts"
import type { Kind, Session } from "../queues/queue.ts"
import { serverCpu } from "../serverCpu.ts"
import { counted } from "./wire.ts"

const [kinds = "", name = "", where = "", size = "1000", patience = "20", wire] = process.argv.slice(2)
const count = Number(size)
const contender = contenders[name]!
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** In batches of a thousand; what is recurring is due when all of it is there. Answers how long adding took. */
const fill = async (session: Session, kind: Kind, count: number): Promise<number> => {
  const at = kind === "recurring" ? Date.now() + 300 + count * 0.4 : undefined
  const begin = performance.now()
  for (let i = 0; i < count; i += 1_000) {
    await session.add(
      Array.from({ length: Math.min(1_000, count - i) }, (_, k) => ({ n: i + k, ...at === undefined ? {} : { at } }))
    )
  }
  const took = performance.now() - begin
  if (at !== undefined && contender.timed) {
    if (Date.now() > at) throw new Error(`it took longer than expected to add ${count}`)
    await wait(at - Date.now())
  }
  return took
}

/** Answers how many have run by the time that all have, or that patience is at its end. */
const run = async (session: Session, count: number): Promise<number> => {
  let runs = 0
  const end = performance.now() + (contender.role === "defaults" ? Number(patience) * 1_000 : Infinity)
  await session.work(() => {
    runs++
  })
  while (runs < count && performance.now() < end) await wait(5)
  if (runs < count) return runs
  while (!await session.settled()) await wait(1)
  if (runs !== count) throw new Error(`${name} ran ${runs} of ${count}`)
  return runs
}

/** Not every contender closes in finite time. What it left would weigh on those that come after it. */
const close = async (session: Session, name: string): Promise<void> => {
  await Promise.race([session.close(), wait(1_000)])
  await tidy(contender.place, where, name)
}

/** What goes over the wire, in a pass of its own that nobody times. */
const watch = async (kind: Kind): Promise<{ readonly commands: number; readonly bytes: number }> => {
  const few = Math.min(count, 5_000)
  const proxy = await counted(contender.place, where)
  const name = fresh()
  const session = await contender.open(proxy.url, name, { kind })
  await fill(session, kind, few)
  proxy.reset()
  await run(session, few)
  const { bytes, commands } = proxy.counts()
  await close(session, name)
  proxy.close()
  return { commands: commands / few * 1_000, bytes: bytes / few }
}

const measured = async (kind: Kind) => {
  const name = fresh()
  const session = await contender.open(where, name, { kind })
  const took = await fill(session, kind, count)
  const server = serverCpu(where)
  const [client, before, from] = [process.cpuUsage(), server(), performance.now()]
  const runs = await run(session, count)
  const [until, used, after] = [performance.now(), process.cpuUsage(client), server()]
  await close(session, name)
  return {
    drain: runs / (until - from) * 1_000,
    fill: count / took * 1_000,
    client: (used.user + used.system) / runs,
    server: (after - before) * 1_000 / runs,
    ...wire === undefined || contender.place === "file" || runs < count
      ? { commands: NaN, bytes: NaN }
      : await watch(kind)
  }
}

const figures = []
for (const kind of kinds.split(",") as ReadonlyArray<Kind>) figures.push(await measured(kind))
report(figures[0]!)
process.exit(0)
