/**
 * One measurement of one contender.
 *
 *     node measure.ts drain <contender> <where> <count>     how fast one process runs what is there
 *     node measure.ts pickup <contender> <where> <count>    how soon one process begins what another one adds
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { percentile, report } from "../harness.ts"
import { fresh } from "../places.ts"
import { contenders, type Session } from "./contenders.ts"
import { counted } from "./wire.ts"

const [what = "", name = "", where = "", size = "1000", given] = process.argv.slice(2)
const count = Number(size)
const contender = contenders[name]!
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

/** In batches of a thousand. */
const fill = async (session: Session, count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1_000) {
    await session.add(Array.from({ length: Math.min(1_000, count - i) }, (_, k) => i + k))
  }
}

const run = async (session: Session, count: number): Promise<void> => {
  let runs = 0
  await session.work(() => {
    runs++
  })
  while (runs < count) await wait(5)
  while (!await session.settled()) await wait(1)
  if (runs !== count) throw new Error(`${name} ran ${runs} of ${count}`)
}

const drain = async (): Promise<void> => {
  const session = await contender.open(where, fresh())
  const begin = performance.now()
  await fill(session, count)
  const filled = performance.now()
  const cpu = process.cpuUsage()
  await run(session, count)
  const drained = performance.now()
  const used = process.cpuUsage(cpu)
  await session.close()
  const figures = {
    fill: count / (filled - begin) * 1_000,
    drain: count / (drained - filled) * 1_000,
    cpu: (used.user + used.system) / count
  }

  // what goes over the wire, in a pass of its own that nobody times
  const few = Math.min(count, 5_000)
  const wire = await counted(contender.place, where)
  const watched = await contender.open(wire.url, fresh())
  await fill(watched, few)
  wire.reset()
  await run(watched, few)
  const { bytes, commands } = wire.counts()
  await watched.close()
  wire.close()
  report({ ...figures, commands: commands / few * 1_000, bytes: bytes / few })
}

/** Microseconds, the same in every process of this machine. */
const now = () => Math.round((performance.timeOrigin + performance.now()) * 1_000)

const pickup = async (): Promise<void> => {
  const shared = fresh()
  const session = await contender.open(where, shared)
  const worker = spawn(process.execPath, [
    "--no-warnings",
    import.meta.filename,
    "worker",
    name,
    where,
    size,
    shared
  ], { stdio: ["ignore", "pipe", "inherit"] })
  const lines = createInterface({ input: worker.stdout })
  await once(lines, "line") // it works
  const latencies: Array<number> = []
  const told = new Promise<void>((resolve) => {
    lines.on("line", (line) => {
      latencies.push(Number(line) / 1_000)
      if (latencies.length === count) resolve()
    })
  })
  for (let i = 0; i < count; i++) {
    await session.add([now()])
    await wait(15)
  }
  await told
  worker.kill("SIGKILL")
  await session.close()
  report({ p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) })
}

const work = async (): Promise<void> => {
  const session = await contender.open(where, given!)
  await session.work((at) => process.stdout.write(`${now() - at}\n`))
  process.stdout.write("ready\n")
}

if (what === "worker") await work()
else {
  await (what === "drain" ? drain : pickup)()
  process.exit(0)
}
