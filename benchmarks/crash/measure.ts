/**
 * What becomes of what a killed process was running: node measure.ts <contender> <where> <count> <patience> <default | short>
 *
 *     one process works … a third has ended: SIGKILL      a second process is there from now on
 *                       what is in progress is open  ──▶  when is it begun again? what is begun, or ended, twice?
 */
import { report } from "../harness.ts"
import { fresh } from "../places.ts"
import { contenders } from "../queues/contenders.ts"
import { onParent, startWorker, tell } from "../worker.ts"

const [name = "", where = "", size = "", patience = "", lease = "", shared, ends] = process.argv.slice(2)
const count = Number(size)
const options = { kind: "one-off", shortLease: lease === "short" } as const
const contender = contenders[name]!
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** Between 50 ms and a second. */
const duration = (n: number) => 50 + (n * 7 % 20) * 50

const parent = async (): Promise<void> => {
  const name = fresh()
  const session = await contender.open(where, name, options)
  await session.add(Array.from({ length: count }, (_, n) => ({ n })))
  const begun = new Map<number, number>()
  const ended = new Map<number, number>()
  /** When each that was in progress was begun again. */
  const again = new Map<number, number>()
  let open = new Set<number>()
  const tally = (map: Map<number, number>, n: number) => map.set(n, (map.get(n) ?? 0) + 1)
  const start = (ends: number) =>
    startWorker(import.meta.filename, [...process.argv.slice(2, 7), name, String(ends)], (line) => {
      const [what, n] = [line[0], Number(line.slice(1))]
      tally(what === "+" ? begun : ended, n)
      if (what === "+" && open.has(n) && !again.has(n)) again.set(n, performance.now())
    })
  const first = start(Math.ceil(count / 3))
  await first.gone
  const killed = performance.now()
  open = new Set([...begun.keys()].filter((n) => !ended.has(n)))
  const second = start(Infinity)
  const until = killed + Number(patience) * 1_000
  while (ended.size < count && performance.now() < until) await wait(20)
  await second.kill()
  const seconds = [...again.values()].map((at) => (at - killed) / 1_000)
  const twice = (map: Map<number, number>) => [...map.values()].filter((times) => times > 1).length
  report({
    again: again.size === open.size ? Math.max(0, ...seconds) : NaN,
    first: seconds.length === 0 ? NaN : Math.min(...seconds),
    open: open.size,
    missing: count - ended.size,
    began: twice(begun),
    ended: twice(ended)
  })
}

/** Dies like a process that is killed, when so many have ended. */
const work = async (name: string, ends: number): Promise<void> => {
  onParent()
  let ended = 0
  const session = await contender.open(where, name, options)
  await session.work(async (n) => {
    tell(`+${n}`)
    await wait(duration(n))
    tell(`-${n}`)
    if (++ended >= ends) process.kill(process.pid, "SIGKILL")
  })
}

if (shared === undefined) {
  await parent()
  process.exit(0)
} else await work(shared, Number(ends))
