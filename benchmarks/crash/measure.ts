/**
 * What becomes of what a killed process was running: node measure.ts <contender> <where> <count> <patience> <default | short>
 *
 *     one process works … ends of a third are stored, SIGKILL      a second process is there from now on
 *                         the others are in progress  ──▶  when are they begun again? is any begun whose end was stored?
 *
 * What a process has done is what it tells; what was promised is what the store says.
 */
import { report } from "../harness.ts"
import { fresh, tidy } from "../places.ts"
import { contenders } from "../queues/contenders.ts"
import { onParent, startWorker, tell } from "../worker.ts"

const [name = "", where = "", size = "", patience = "", lease = "", shared, stuck] = process.argv.slice(2)
const count = Number(size)
const third = Math.ceil(count / 3)
const options = { kind: "one-off", shortLease: lease === "short" } as const
const contender = contenders[name]!
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const parent = async (): Promise<void> => {
  const name = fresh()
  const { add, close, ended } = await contender.open(where, name, options)
  await add(Array.from({ length: count }, (_, n) => ({ n })))

  /** Starts a process in which the jobs from `stuck` on never end; answers what it tells. */
  const start = (stuck: number) => {
    const begun = new Map<number, number>()
    const done = new Set<number>()
    const worker = startWorker(import.meta.filename, [...process.argv.slice(2, 7), name, String(stuck)], (line) => {
      const n = Number(line.slice(1))
      if (line[0] === "-") done.add(n)
      else if (!begun.has(n)) begun.set(n, performance.now())
    })
    return { begun, done, worker }
  }

  const first = start(third)
  // who takes them in another order, or keeps the ends of a batch for later, is killed all the same
  for (const until = performance.now() + 20_000; performance.now() < until;) {
    if (first.done.size >= third && (await ended!()).length >= third) break
    await wait(20)
  }
  await first.worker.kill()
  const killed = performance.now()
  // it is dead: nobody stores an end any more
  const stored = new Set(await ended!())
  const open = [...first.begun.keys()].filter((n) => !stored.has(n))

  const second = start(Infinity)
  const until = killed + Number(patience) * 1_000
  const remain = count - stored.size
  while (performance.now() < until) {
    if (second.done.size >= remain && new Set(await ended!()).size === count) break
    await wait(20)
  }
  await second.worker.kill()
  const ends = await ended!()
  const all = new Set(ends)
  const again = open.flatMap((n) => second.begun.has(n) ? [(second.begun.get(n)! - killed) / 1_000] : [])
  await Promise.race([close(), wait(1_000)])
  await tidy(contender.place, where, name)
  report({
    again: again.length === open.length ? Math.max(0, ...again) : NaN,
    first: again.length === 0 ? NaN : Math.min(...again),
    open: open.length,
    missing: count - all.size,
    repeated: open.filter((n) => first.done.has(n) && second.begun.has(n)).length,
    doubled: [...stored].filter((n) => second.begun.has(n)).length + ends.length - all.size
  })
}

const work = async (name: string, stuck: number): Promise<void> => {
  onParent()
  const session = await contender.open(where, name, options)
  await session.work(async (n) => {
    tell(`+${n}`)
    await (n < stuck ? wait(50) : new Promise(() => {}))
    tell(`-${n}`)
  })
}

if (shared === undefined) {
  await parent()
  process.exit(0)
} else await work(shared, Number(stuck))
