/**
 * Chaos: real schedulers on a real store, killed and frozen at random, and its server killed under them. Afterwards
 * everything must add up.
 *
 *     npm run chaos -- sqlite [--seconds 60] [--workers 4] [--seed n]
 *     npm run chaos -- postgres|mysql|redis
 *     npm run chaos -- sqlite --beside <commit>    every other scheduler is of that commit
 *
 * The server is the chaos run's own, on a private port in a temporary folder.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import type { RunRow } from "punctual/TaskRecord"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { TaskStore } from "punctual/TaskStore"
import { workerAt } from "./earlier.ts"
import { servers } from "./servers.ts"
import { stores } from "./stores.ts"
import { type Line, recurring } from "./tasks.ts"
import { type Life, verify } from "./verify.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    workers: { type: "string", default: "4" },
    beside: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) }
  }
})
const [name = "sqlite"] = positionals
const seconds = Number(values.seconds)
const workers = Number(values.workers)
if (!(name in stores)) throw new Error(`no store \`${name}\`: ${Object.keys(stores).join(", ")}`)

/** Numbers from 0 to 1, the same for a seed; when they are drawn depends on the machine. */
let state = Number(values.seed)
const random = (): number => {
  state = (state + 0x6D2B79F5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
const between = (from: number, to: number) => from + random() * (to - from)

const folder = mkdtempSync(join(tmpdir(), "punctual-chaos-"))
const say = (line: string) => process.stdout.write(`${line}\n`)
const wait = (millis: number) => new Promise<void>((resolve) => setTimeout(resolve, millis))

// -----------------------------------------------------------------------------
// workers
// -----------------------------------------------------------------------------

interface Worker {
  readonly file: string
  readonly child: ChildProcess
  readonly exited: Promise<number | string>
  killedAt: number | undefined
  readonly frozen: Array<{ readonly from: number; to: number }>
}

const all: Array<Worker> = []

const scripts = [join(import.meta.dirname, "worker.ts")]
if (values.beside !== undefined) scripts.push(workerAt(values.beside, folder))

/** The scheduler in this place, the next one after whatever became of those before. */
const start = (place: number, where: string): Worker => {
  const n = all.length
  const file = join(folder, `worker-${n}.jsonl`)
  const child = spawn(process.execPath, [
    "--no-warnings",
    scripts[place % scripts.length]!,
    name,
    where,
    file,
    String(n)
  ], { stdio: ["ignore", "inherit", "inherit"] })
  const worker: Worker = {
    file,
    child,
    exited: new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? String(signal)))),
    killedAt: undefined,
    frozen: []
  }
  all.push(worker)
  return worker
}

const kill = async (worker: Worker): Promise<void> => {
  worker.killedAt = Date.now()
  worker.child.kill("SIGKILL")
  await worker.exited
}

const freeze = async (worker: Worker, millis: number): Promise<void> => {
  const from = Date.now()
  const freeze = { from, to: Infinity }
  worker.frozen.push(freeze)
  worker.child.kill("SIGSTOP")
  await wait(millis)
  worker.child.kill("SIGCONT")
  // what it does in the moment after it thaws, it decided before
  freeze.to = Date.now() + 1_000
}

const lifeOf = ({ file, frozen, killedAt }: Worker): Life => ({
  killedAt,
  frozen,
  lines: existsSync(file)
    ? readFileSync(file, "utf8").split("\n").filter((line) => line.endsWith("}")).map((line) =>
      JSON.parse(line) as Line
    )
    : []
})

// -----------------------------------------------------------------------------
// the run
// -----------------------------------------------------------------------------

const everything = <A>(
  page: (after: string | undefined) => Effect.Effect<
    { readonly items: ReadonlyArray<A>; readonly next: string | null },
    unknown
  >
): Effect.Effect<ReadonlyArray<A>, unknown> =>
  Effect.gen(function*() {
    const items: Array<A> = []
    let after: string | undefined
    do {
      const found = yield* page(after)
      items.push(...found.items)
      after = found.next ?? undefined
    } while (after !== undefined)
    return items
  })

/** The exit code of a program that a signal has interrupted, once its scope has closed. */
const interrupted = 130

const openStates: ReadonlyArray<RunRow["state"]> = ["waiting", "ready", "running"]

/** Ends what goes on for ever, waits until nothing is open, and reads all of it. */
const read = Effect.gen(function*() {
  const client = yield* TaskSchedulerClient.TaskSchedulerClient
  const store = yield* TaskStore
  yield* Effect.forEach(recurring, ({ options }) => client.handle(options.id!).pause("the end"))
  yield* Effect.gen(function*() {
    for (const state of openStates) {
      const { items } = yield* store.runs({ state, limit: 1 })
      const [run] = items.filter((run) => !run.held)
      if (run !== undefined) return yield* Effect.fail(`run ${run.key} of ${run.taskId} is still ${run.state}`)
    }
    const { items: [task] } = yield* store.list({
      tag: "Once",
      state: "scheduled",
      sort: "id",
      descending: false,
      limit: 1
    })
    if (task !== undefined) return yield* Effect.fail(`task ${task.id} has not been evaluated`)
  }).pipe(Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 300 }))
  const rows = yield* everything((after) => store.list({ sort: "id", descending: false, limit: 500, after }))
  const runs = yield* everything((after) => store.runs({ limit: 500, after }))
  const tasks = yield* Effect.forEach(
    rows.filter((row) => row.tag !== "Once"),
    (row) => Effect.map(client.handle(row.id).snapshot, (info) => ({ row, trigger: Option.getOrThrow(info.trigger) }))
  )
  return { tasks, runs }
})

const run = async (): Promise<boolean> => {
  const server = await servers[name]!(folder)
  say(
    `chaos on ${name}: ${workers} schedulers, ${seconds} s, seed ${values.seed}${
      values.beside === undefined ? "" : `, every other of ${values.beside}`
    }`
  )
  const done = { killed: 0, frozen: 0, servers: 0 }
  try {
    const live = Array.from({ length: workers }, (_, place) => start(place, server.where))
    const freezing = new Set<Promise<void>>()
    const end = Date.now() + seconds * 1_000
    let nextServer = Date.now() + seconds * 300
    while (Date.now() < end) {
      await wait(between(300, 1_500))
      const i = Math.floor(random() * live.length)
      const worker = live[i]!
      if (server.restart !== undefined && Date.now() > nextServer) {
        nextServer += seconds * 300
        done.servers++
        await server.restart(between(0, 2_000))
      } else if (random() < 0.5) {
        done.killed++
        await kill(worker)
        live[i] = start(i, server.where)
      } else if (worker.killedAt === undefined && worker.frozen.every(({ to }) => to !== Infinity)) {
        done.frozen++
        const thawed = freeze(worker, between(500, 9_000)).finally(() => freezing.delete(thawed))
        freezing.add(thawed)
      }
    }
    await Promise.all(freezing)
    for (const worker of live) {
      while (!lifeOf(worker).lines.some(({ what }) => what === "started")) await wait(50)
      worker.child.kill("SIGUSR2")
    }
    const Client = TaskSchedulerClient.layer().pipe(Layer.provideMerge(stores[name]!(server.where)))
    const { runs, tasks } = await Effect.runPromise(
      Effect.provide(read, Client)
    )
    for (const worker of live) worker.child.kill("SIGTERM")
    const codes = await Promise.all(live.map((worker) => worker.exited))
    const { sums, wrong } = verify(all.map(lifeOf), tasks, runs)
    for (
      const [what, count] of Object.entries({
        "schedulers killed": done.killed,
        "schedulers frozen": done.frozen,
        "servers killed": done.servers,
        ...sums
      })
    ) say(`  ${String(count).padStart(7)}  ${what}`)
    for (const code of codes) {
      if (code !== interrupted) wrong.push(`a scheduler that was asked to stop ended with ${code}`)
    }
    for (const problem of wrong.slice(0, 20)) say(`  WRONG: ${problem}`)
    if (wrong.length > 20) say(`  … and ${wrong.length - 20} more`)
    return wrong.length === 0
  } finally {
    for (const { child } of all) child.kill("SIGKILL")
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

process.exit(await run() ? 0 : 1)
