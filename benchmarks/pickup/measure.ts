/**
 * How soon a process begins what is due, and what another one adds; and what both sides use while nothing is:
 *
 *     node measure.ts <contender> <where> <count> <stored> <seconds of idleness> <seconds of patience>
 */
import { percentile, report } from "../harness.ts"
import { fresh, tidy } from "../places.ts"
import { contenders } from "../queues/contenders.ts"
import { period } from "../queues/queue.ts"
import { serverCpu } from "../serverCpu.ts"
import { onParent, startWorker, tell } from "../worker.ts"

const [name = "", where = "", size = "", stored = "", seconds = "", patience = "", shared] = process.argv.slice(2)
const count = Number(size)
const contender = contenders[name]!
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** Milliseconds, the same in every process of this machine. */
const now = () => performance.timeOrigin + performance.now()

/** Jobs that are due together are that far apart. */
const apart = { due: 30, add: 15 }

const parent = async (): Promise<void> => {
  const name = fresh()
  const session = await contender.open(where, name, { kind: "one-off" })
  const later = Date.now() + period
  await session.add(Array.from({ length: Number(stored) }, (_, i) => ({ n: 1_000_000 + i, at: later + i })))
  const began = new Map<number, number>()
  let idle = { begins: () => {}, ends: (_used: number) => {} }
  const idleBegins = new Promise<void>((begins) => idle = { ...idle, begins })
  const idleEnds = new Promise<number>((ends) => idle = { ...idle, ends })
  const worker = startWorker(import.meta.filename, [...process.argv.slice(2, 8), name], (line) => {
    const [what = "", value] = line.split(" ")
    if (what === "idle") idle.begins()
    else if (what === "used") idle.ends(Number(value))
    else began.set(Number(what), Number(value))
  })

  // what both use while there is nothing to do
  await idleBegins
  const server = serverCpu(where)
  const before = server()
  const client = await idleEnds
  const serverIdle = (server() - before) / Number(seconds)

  /** Waits until all have begun, or for as long as who waits for them would. */
  const all = async (): Promise<void> => {
    for (const end = now() + Number(patience) * 1_000; began.size < count && now() < end;) await wait(20)
  }

  const first = Math.ceil(Date.now()) + Math.max(500, count * 10)
  const dueAt = (n: number) => first + n * apart.due
  await session.add(Array.from({ length: count }, (_, n) => ({ n, at: dueAt(n) })))
  await wait(dueAt(count) - Date.now())
  await all()
  const due = Array.from(began, ([n, at]) => at - dueAt(n))

  began.clear()
  const addedAt: Array<number> = []
  for (let i = 0; i < count; i++) {
    addedAt.push(now())
    await session.add([{ n: count + i }])
    await wait(apart.add)
  }
  await all()
  const add = Array.from(began).flatMap(([n, at]) => n < count ? [] : [at - addedAt[n - count]!])
  await worker.kill()
  await Promise.race([session.close(), wait(1_000)])
  await tidy(contender.place, where, name)
  report({
    dueP50: percentile(due, 0.5),
    dueP99: percentile(due, 0.99),
    addP50: percentile(add, 0.5),
    addP99: percentile(add, 0.99),
    lost: 2 * count - due.length - add.length,
    client,
    server: serverIdle
  })
}

const work = async (name: string): Promise<void> => {
  onParent()
  const session = await contender.open(where, name, { kind: "one-off" })
  await session.work((n) => tell(`${n} ${now()}`))
  await wait(Number(seconds) < 1 ? 0 : 2_000)
  tell("idle")
  const before = process.cpuUsage()
  await wait(Number(seconds) * 1_000)
  const used = process.cpuUsage(before)
  tell(`used ${(used.user + used.system) / 1_000 / Number(seconds)}`)
}

if (shared === undefined) {
  await parent()
  process.exit(0)
} else await work(shared)
