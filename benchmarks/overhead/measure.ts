/**
 * One measurement of one contender: node measure.ts <contender> <runs> <rounds>
 *
 * A round is a session of its own in the same process. Those of the first half warm it up.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { type HeapProfiler, Session } from "node:inspector/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { report } from "../harness.ts"
import { contenders } from "./contenders.ts"

const [name = "", runs = "1000", repeats = "1"] = process.argv.slice(2)
const count = Number(runs)
const rounds = Number(repeats)

const inSession = async <A>(f: (run: () => Promise<void>) => Promise<A>): Promise<A> => {
  const folder = mkdtempSync(join(tmpdir(), "punctual-bench-"))
  try {
    const session = await contenders[name]!(count, folder)
    globalThis.gc?.()
    const result = await f(session.run)
    await session.close()
    return result
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Microseconds of the thread, and of the whole process, which also collects garbage and compiles on other threads. */
const cpu = async (run: () => Promise<void>) => {
  const all = process.cpuUsage()
  const own = process.threadCpuUsage()
  await run()
  const { system, user } = process.threadCpuUsage(own)
  const used = process.cpuUsage(all)
  return { thread: (user + system) / count, process: (used.user + used.system) / count }
}

/** Bytes allocated, garbage included: V8 samples allocations, which is exact to a percent at this many. */
const allocated = async (run: () => Promise<void>): Promise<number> => {
  const inspector = new Session()
  inspector.connect()
  await inspector.post("HeapProfiler.enable")
  await inspector.post("HeapProfiler.startSampling", {
    samplingInterval: 4_096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true
  })
  await run()
  const { profile } = await inspector.post("HeapProfiler.stopSampling")
  inspector.disconnect()
  return sizeOf(profile.head) / count
}

const sizeOf = ({ children, selfSize }: HeapProfiler.SamplingHeapProfileNode): number =>
  children.reduce((sum, child) => sum + sizeOf(child), selfSize)

for (let i = 0; i < rounds; i++) await inSession((run) => run())
const used = { thread: 0, process: 0 }
for (let i = 0; i < rounds; i++) {
  const { process, thread } = await inSession(cpu)
  used.thread += thread / rounds
  used.process += process / rounds
}
report({ ...used, bytes: await inSession(allocated) })
process.exit(0)
