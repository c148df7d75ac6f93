/**
 * Chaos on a store: schedulers that share it, over a network that breaks, are killed and frozen, and it is killed under
 * them. Afterwards everything must add up.
 *
 *     scheduler 0 ──▶ proxy 0 ──┐
 *     scheduler 1 ──▶ proxy 1 ──┼──▶ server
 *     scheduler 2 ──▶ proxy 2 ──┘
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { join } from "node:path"
import type { RunRow } from "punctual/TaskRecord"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { TaskStore } from "punctual/TaskStore"
import { workerAt } from "./earlier.ts"
import { describe, type Fault, plan } from "./faults.ts"
import { freeze, isFrozen, kill, linesOf, patience, type Process, start, wait, watchLateness } from "./processes.ts"
import * as Proxy from "./proxy.ts"
import type { Random } from "./random.ts"
import { type Forgotten, servers } from "./servers.ts"
import { stores } from "./stores.ts"
import { type Line, recurring } from "./tasks.ts"
import { type Life, type Span, type Trouble, verify } from "./verify.ts"

export interface Options {
  readonly name: string
  readonly seconds: number
  readonly workers: number
  readonly beside: string | undefined
  readonly random: Random
  readonly folder: string
  readonly say: (line: string) => void
}

// -----------------------------------------------------------------------------
// the end
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

// -----------------------------------------------------------------------------
// the run
// -----------------------------------------------------------------------------

/** Within what time a scheduler has begun a run after the last fault: see `halfOpen.ts`. */
const backWithin = 45_000

/**
 * How long after a connection has died without being closed its client may still wait, and its server keep what it has
 * locked: a statement `storeTimeout`, a driver 5 s more, a transaction 10 s.
 */
const silenceLasts = 17_000

export const run = async (options: Options): Promise<ReadonlyArray<string>> => {
  const { folder, name, random, say, seconds, workers } = options
  const server = await servers[name]!(folder)
  const scripts = [join(import.meta.dirname, "worker.ts")]
  if (options.beside !== undefined) scripts.push(workerAt(options.beside, folder))

  const proxies = await Promise.all(
    Array.from({ length: server.remote ? workers : 0 }, () => Proxy.start(Number(new URL(server.where).port)))
  )
  const through = (place: number): string => {
    if (!server.remote) return server.where
    const url = new URL(server.where)
    url.port = String(proxies[place]!.port)
    return url.href
  }

  const all: Array<Process & { readonly place: number }> = []
  /** The scheduler in this place, the next one after whatever became of those before. */
  const begin = (place: number) => {
    const n = all.length
    const file = join(folder, `worker-${n}.jsonl`)
    const worker = { ...start(scripts[place % scripts.length]!, file, [name, through(place), file, String(n)]), place }
    all.push(worker)
    return worker
  }
  const live = Array.from({ length: workers }, (_, place) => begin(place))

  const lateness = watchLateness()
  const begun = Date.now()
  const troubles: Array<Trouble> = []
  const forgotten: Array<Forgotten> = []
  const full: Array<Span> = []
  const done: Partial<Record<Fault["what"], number>> = {}

  const trouble = async (
    place: number | undefined,
    what: () => Promise<unknown>,
    after: number
  ): Promise<void> => {
    const trouble = { place, from: Date.now(), to: Infinity }
    troubles.push(trouble)
    await what()
    trouble.to = Date.now() + after
  }

  const inject = async (fault: Fault): Promise<void> => {
    const { by, lost, millis, place, what } = fault
    const worker = live[place]!
    const proxy = proxies[place]!
    if (what === "freeze" && (isFrozen(worker) || worker.killedAt !== undefined)) return
    done[what] = (done[what] ?? 0) + 1
    say(`${((Date.now() - begun) / 1_000).toFixed(1).padStart(7)}  ${describe(fault)}`)
    switch (what) {
      case "kill": {
        const killed = kill(worker)
        live[place] = begin(place)
        return killed
      }
      case "freeze":
        return freeze(worker, millis)
      case "silence":
        // what it has locked is in everybody's way
        return trouble(name === "redis" ? place : undefined, async () => proxy.freeze(lost), silenceLasts)
      case "delay":
        return trouble(place, async () => {
          proxy.delay(by)
          await wait(millis)
          proxy.delay(0)
        }, 3_000)
      case "cut":
        return trouble(place, async () => proxy.cut(), 3_000)
      case "refuse":
        return trouble(place, async () => {
          await proxy.refuse(true)
          proxy.cut()
          await wait(millis)
          await proxy.refuse(false)
        }, 3_000)
      case "restart":
      case "forget":
        return trouble(undefined, async () => {
          const what = await server.restart!(millis, fault.what === "forget" ? by : undefined)
          if (what !== undefined) forgotten.push(what)
        }, 3_000)
      case "full":
        return trouble(undefined, async () => {
          full.push(await server.fill!(millis))
        }, 3_000)
    }
  }

  try {
    const going = new Set<Promise<void>>()
    for (const fault of plan(random, { millis: seconds * 1_000, places: workers, server })) {
      await wait(Math.max(0, begun + fault.at - Date.now()))
      const injected = inject(fault).finally(() => going.delete(injected))
      going.add(injected)
      // nobody is killed or cut off meanwhile: that would be no news
      if (["restart", "forget", "full"].includes(fault.what)) await injected
    }
    await Promise.all(going)
    const healed = Date.now()
    const within = patience(backWithin, lateness.worst())
    const wrong: Array<string> = []
    for (const worker of live) {
      const isBack = () => linesOf<Line>(worker).some(({ at, what }) => what === "begin" && at > healed)
      while (!isBack() && Date.now() < healed + within) await wait(100)
      if (!isBack()) {
        wrong.push(`scheduler ${worker.place} has begun nothing in the ${within} ms after the last fault`)
      }
    }
    const back = Date.now()
    for (const worker of live) worker.child.kill("SIGUSR2")
    const Client = TaskSchedulerClient.layer().pipe(Layer.provideMerge(stores[name]!(server.where)))
    const end = await Effect.runPromise(Effect.result(Effect.provide(read, Client)))
    if (end._tag === "Failure") return [...wrong, `there is no end: ${String(end.failure)}`]
    const { runs, tasks } = end.success
    for (const worker of live) worker.child.kill("SIGTERM")
    const codes = await Promise.all(live.map((worker) => worker.exited))
    for (const code of codes) {
      if (code !== interrupted) wrong.push(`a scheduler that was asked to stop ended with ${code}`)
    }
    const lives = all.map((worker): Life => ({
      place: worker.place,
      killedAt: worker.killedAt,
      frozen: worker.frozen,
      lines: linesOf<Line>(worker)
    }))
    const result = verify({
      lives,
      tasks,
      runs,
      troubles,
      forgotten,
      full,
      oneWriter: !server.remote,
      late: lateness.worst()
    })
    const words: Readonly<Record<Fault["what"], string>> = {
      kill: "schedulers killed",
      freeze: "schedulers frozen",
      silence: "times connections died without being closed",
      delay: "times everything came late",
      cut: "times connections were cut in the middle of an answer",
      refuse: "times connections were refused",
      restart: "servers killed",
      forget: "servers killed that lost the end of their log",
      full: "times the disk was full"
    }
    for (
      const [what, count] of Object.entries({
        ...Object.fromEntries(
          (Object.entries(done) as Array<[Fault["what"], number]>).map(([what, count]) => [words[what], count])
        ),
        ...forgotten.length === 0 ? {} : { "bytes of logs lost": forgotten.reduce((sum, { bytes }) => sum + bytes, 0) },
        ...result.sums,
        "until all schedulers were back after the last fault, ms": back - healed
      })
    ) say(`  ${String(count).padStart(7)}  ${what}`)
    return [...wrong, ...result.wrong]
  } finally {
    lateness.stop()
    for (const { child } of all) child.kill("SIGKILL")
    for (const proxy of proxies) await proxy.close()
    await server.stop()
  }
}
