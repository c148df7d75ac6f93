/**
 * What becomes of what a killed process was running: node measure.ts <contender> <where> <count> <patience> <default | short>
 *
 *     one process works … a third has ended, SIGKILL      a second process is there from now on
 *                    the others are in progress  ──▶  when are they begun again? what is begun, or ended, twice?
 */
import { report } from "../harness.ts"
import { fresh, tidy } from "../places.ts"
import { contenders } from "../queues/contenders.ts"
import { onParent, startWorker, tell } from "../worker.ts"

const [name = "", where = "", size = "", patience = "", lease = "", shared, stuck] = process.argv.slice(2)
const count = Number(size)
const options = { kind: "one-off", shortLease: lease === "short" } as const
const contender = contenders[name]!
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

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
  const start = (stuck: number) =>
    startWorker(import.meta.filename, [...process.argv.slice(2, 7), name, String(stuck)], (line) => {
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
  await Promise.race([session.close(), wait(1_000)])
  await tidy(contender.place, where, name)
  report({
    again: again.size === open.size ? Math.max(0, ...seconds) : NaN,
    first: seconds.length === 0 ? NaN : Math.min(...seconds),
    open: open.size,
    missing: count - ended.size,
    began: twice(begun),
    ended: twice(ended)
  })
}

/**
 * Of the first process the jobs from `stuck` on never end. Dead like a process that is killed a second after the others have
 * ended, so that their ends are stored; or, where it takes them in another order, later.
 */
const work = async (name: string, stuck: number): Promise<void> => {
  onParent()
  let ended = 0
  const die = () => process.kill(process.pid, "SIGKILL")
  const session = await contender.open(where, name, options)
  await session.work(async (n) => {
    tell(`+${n}`)
    await (n < stuck ? wait(50) : new Promise(() => {}))
    tell(`-${n}`)
    if (++ended === stuck) setTimeout(die, 1_000)
  })
  if (stuck < Infinity) setTimeout(die, 20_000)
}

if (shared === undefined) {
  await parent()
  process.exit(0)
} else await work(shared, Number(stuck))
