/**
 * What one, two, four, eight processes run of one store: node workers.ts <contender> <where> <count> <workers>
 */
import { report } from "../harness.ts"
import { fresh, tidy } from "../places.ts"
import { contenders } from "../queues/contenders.ts"
import { serverCpu } from "../serverCpu.ts"
import { onParent, startWorker, tell } from "../worker.ts"

const [name = "", where = "", size = "", workers = "", shared] = process.argv.slice(2)
const count = Number(size)
const options = { kind: "one-off" } as const
const contender = contenders[name]!
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

const parent = async (): Promise<void> => {
  const shared = fresh()
  const session = await contender.open(where, shared, options)
  for (let i = 0; i < count; i += 1_000) {
    await session.add(Array.from({ length: Math.min(1_000, count - i) }, (_, k) => ({ n: i + k })))
  }
  let runs = 0
  let ready = 0
  const all = Array.from(
    { length: Number(workers) },
    () =>
      startWorker(import.meta.filename, [...process.argv.slice(2, 6), shared], (line) => {
        if (line === "ready") ready++
        else runs += Number(line)
      })
  )
  let gone = 0
  for (const worker of all) void worker.gone.then(() => gone++)
  /** What some did after another one had died would be a figure of fewer. */
  const waitFor = async (done: () => boolean): Promise<void> => {
    while (!done()) {
      if (gone > 0) throw new Error("a worker ended before its work did")
      await wait(5)
    }
  }
  await waitFor(() => ready === all.length)
  const server = serverCpu(where)
  const [begin, before] = [performance.now(), server()]
  for (const worker of all) worker.send("work")
  await waitFor(() => runs >= count)
  const [took, used] = [performance.now() - begin, server() - before]
  for (const worker of all) await worker.kill()
  await Promise.race([session.close(), wait(1_000)])
  await tidy(contender.place, where, shared)
  report({ rate: count / took * 1_000, repeated: runs - count, server: used * 1_000 / count })
}

const work = async (name: string): Promise<void> => {
  const session = await contender.open(where, name, options)
  let runs = 0
  onParent(() =>
    void session.work(() => {
      runs++
    })
  )
  tell("ready")
  setInterval(() => {
    if (runs > 0) tell(String(runs))
    runs = 0
  }, 10)
}

if (shared === undefined) {
  await parent()
  process.exit(0)
} else await work(shared)
