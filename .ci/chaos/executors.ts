/**
 * Chaos on executors: schedulers and those who work for them are killed and frozen, and runs end their own workers.
 *
 * | kind | who works | what is killed and frozen |
 * |---|---|---|
 * | `threads` | worker threads; runs exit, throw, need too much memory, compute without end | schedulers |
 * | `processes` | the same as child processes, which leave others behind | schedulers, workers |
 * | `commands` | shell commands | schedulers, commands with all they started |
 * | `cluster` | runners of a cluster on Postgres | schedulers, runners |
 *
 * Afterwards every task has run as its delivery says, no attempt was at work beside its successor but those of somebody
 * frozen, and no process is left.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import type { RunRow } from "punctual/TaskRecord"
import { TaskStore } from "punctual/TaskStore"
import {
  type ExecutorKind,
  grace,
  kinds,
  type Line,
  linesVariable,
  longestCommand,
  programVariable
} from "./executorTasks.ts"
import { freeze, isFrozen, kill, linesOf, patience, type Process, start, wait, watchLateness } from "./processes.ts"
import type { Random } from "./random.ts"
import { servers } from "./servers.ts"
import { stores } from "./stores.ts"

export interface Options {
  readonly seconds: number
  readonly random: Random
  readonly folder: string
  readonly say: (line: string) => void
}

const schedulers = 2
const runners = 3

/** Within what time a scheduler has begun a run after the last fault, and all has ended: a cluster notices after some seconds. */
const backWithin = 45_000

/** Within what time everybody is there in the beginning, or the chaos begins without. */
const beginWithin = 90_000

interface Fault {
  readonly at: number
  readonly what: "kill" | "freeze"
  readonly whom: "scheduler" | "worker" | "runner"
  readonly place: number
  readonly millis: number
}

const plan = (random: Random, kind: ExecutorKind, millis: number): ReadonlyArray<Fault> => {
  const faults: Array<Fault> = []
  for (let at = random.between(500, 1_500); at < millis; at += random.between(500, 2_500)) {
    const whom = random.weighted<Fault["whom"]>({
      scheduler: 1,
      ...kind === "processes" || kind === "commands" ? { worker: 2 } : {},
      ...kind === "cluster" ? { runner: 1 } : {}
    })
    faults.push({
      at,
      whom,
      what: random.weighted({ kill: 2, freeze: 1 }),
      place: random.integer(whom === "runner" ? runners : schedulers),
      millis: Math.round(random.between(500, 8_000))
    })
  }
  return faults
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

/** Processes with this in their environment; `undefined` where the system does not tell. */
const processesOf = (program: string): ReadonlyArray<number> | undefined => {
  if (!existsSync("/proc/self/environ")) return undefined
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const ours = readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(`${programVariable}=${program}`)
      return ours && !/^State:\tZ/m.test(readFileSync(`/proc/${name}/status`, "latin1")) ? [Number(name)] : []
    } catch {
      // it has ended
      return []
    }
  })
}

const commandLine = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim()
  } catch {
    return "ended meanwhile"
  }
}

/** A scheduler or a runner. */
interface Program {
  readonly process: Process
  /** What is in its environment, and in that of all it has started. */
  readonly name: string
}

export const run = async (options: Options, only: string | undefined): Promise<ReadonlyArray<string>> => {
  if (only !== undefined && !kinds.includes(only as ExecutorKind)) {
    throw new Error(`no executor \`${only}\`: ${kinds.join(", ")}`)
  }
  const wrong: Array<string> = []
  for (const kind of only === undefined ? kinds : [only as ExecutorKind]) {
    const folder = join(options.folder, kind)
    mkdirSync(folder)
    const server = kind === "cluster" ? await servers["postgres"]!(folder) : undefined
    try {
      const where = server?.where ?? join(folder, "punctual.db")
      wrong.push(...(await onKind(kind, where, { ...options, folder })).map((problem) => `${kind}: ${problem}`))
    } finally {
      await server?.stop()
    }
  }
  return wrong
}

const onKind = async (
  kind: ExecutorKind,
  where: string,
  { folder, random, say, seconds }: Options
): Promise<ReadonlyArray<string>> => {
  const wrong: Array<string> = []
  const all: Array<Program> = []
  const begin = (script: string, args: ReadonlyArray<string>): Program => {
    const file = join(folder, `program-${all.length}.jsonl`)
    const name = file
    // workers that are made to crash complain of it
    const process = start(join(import.meta.dirname, script), file, args, {
      env: { [linesVariable]: file, [programVariable]: name, DATABASE_URL: where },
      quiet: true
    })
    const program = { process, name }
    all.push(program)
    return program
  }
  const beginScheduler = () => begin("executorHost.ts", [kind, where, String(random.integer(1_000_000_000))])
  const ports = await Promise.all(Array.from({ length: kind === "cluster" ? runners : 0 }, freePort))
  const liveRunners = ports.map((port) => begin("executorRunner.ts", [String(port)]))
  const live = Array.from({ length: schedulers }, beginScheduler)
  /** Workers that were frozen, by process. */
  const stopped = new Map<number, { readonly from: number; to: number }>()
  const done = new Map<string, number>()
  const lateness = watchLateness()

  /** After a program was killed: nobody of it is left, and how soon. */
  let longestOrphan = 0
  const orphans = async ({ name, process: killed }: Program): Promise<void> => {
    // commands go on by themselves when their program is killed, and end
    const bound = kind === "commands" ? longestCommand + 2_000 : grace + 2_000
    const from = Date.now()
    while (true) {
      const left = (processesOf(name) ?? []).filter((pid) => pid !== killed.child.pid && !stopped.has(pid))
      if (left.length === 0) break
      if (Date.now() > from + bound + 10 * lateness.worst()) {
        wrong.push(
          `${left.length} processes are left ${Date.now() - from} ms after their program was killed: ${
            left.map(commandLine).join(", ")
          }`
        )
        break
      }
      await wait(50)
    }
    longestOrphan = Math.max(longestOrphan, Date.now() - from)
  }

  try {
    const isThere = ({ process }: Program) => linesOf<Line>(process).some(({ what }) => what === "begin")
    const until = Date.now() + beginWithin
    while (!(kind === "cluster" ? liveRunners : live).every(isThere) && Date.now() < until) await wait(50)

    const begun = Date.now()
    const going = new Set<Promise<void>>()
    const track = (work: Promise<void>) => {
      const tracked = work.finally(() => going.delete(tracked))
      going.add(tracked)
    }
    for (const { at, millis, place, what, whom } of plan(random, kind, seconds * 1_000)) {
      await wait(Math.max(0, begun + at - Date.now()))
      const those = whom === "runner" ? liveRunners : live
      const program = those[place]!
      const tellFault = (who: string) => {
        const words = `${whom}s ${what === "kill" ? "killed" : "frozen"}`
        done.set(words, (done.get(words) ?? 0) + 1)
        say(
          `${((Date.now() - begun) / 1_000).toFixed(1).padStart(7)}  ${kind}: ${who} is ${
            what === "kill"
              ? "killed"
              : whom === "worker" && kind === "processes"
              ? "frozen"
              : `frozen for ${millis} ms`
          }`
        )
      }
      if (whom === "worker") {
        // the one that was heard of last
        const last = linesOf<Line>(program.process).findLast((line) =>
          "pid" in line && line.what !== "end" && !stopped.has(line.pid)
        )
        const pid = last !== undefined && "pid" in last ? last.pid : undefined
        if (pid === undefined || !(processesOf(program.name) ?? []).includes(pid)) continue
        tellFault(`a ${kind === "commands" ? "command" : "worker"} of scheduler ${place}`)
        const signal = (name: NodeJS.Signals) => {
          try {
            process.kill(kind === "commands" ? -pid : pid, name)
          } catch {
            // it has ended
          }
        }
        if (what === "kill") signal("SIGKILL")
        else {
          const span = { from: Date.now(), to: Infinity }
          stopped.set(pid, span)
          signal("SIGSTOP")
          track(
            wait(millis).then(() => {
              // a worker stays frozen, and is ended for that; a command thaws
              if (kind === "commands") signal("SIGCONT")
              span.to = Date.now() + 1_000
            })
          )
        }
        continue
      }
      if (what === "freeze" && isFrozen(program.process)) continue
      tellFault(`${whom} ${place}`)
      if (what === "kill") {
        await kill(program.process)
        those[place] = whom === "runner" ? begin("executorRunner.ts", [String(ports[place])]) : beginScheduler()
        track(orphans(program))
      } else track(freeze(program.process, millis))
    }
    await Promise.all(going)
    const healed = Date.now()
    const within = patience(backWithin, lateness.worst())
    for (const [place, { process }] of (kind === "cluster" ? liveRunners : live).entries()) {
      const isBack = () => linesOf<Line>(process).some(({ at, what }) => what === "begin" && at > healed)
      while (!isBack() && Date.now() < healed + within) await wait(50)
      if (!isBack()) {
        wrong.push(
          `${
            kind === "cluster" ? "runner" : "scheduler"
          } ${place} began nothing in the ${within} ms after the last fault`
        )
      }
    }
    const back = Date.now()
    for (const { process } of live) process.child.kill("SIGUSR2")
    const added = () =>
      all.flatMap(({ process }) => linesOf<Line>(process).flatMap((line) => line.what === "added" ? [line.task] : []))
    await wait(500)
    const store = Layer.fresh(stores[kind === "cluster" ? "postgres" : "sqlite"]!(where))
    const runs = await Effect.runPromise(Effect.provide(readRuns(added(), within), store))
    for (const { process } of [...live, ...liveRunners]) process.child.kill("SIGTERM")
    for (const { process } of [...live, ...liveRunners]) {
      const code = await process.exited
      if (code !== 130) wrong.push(`a program that was asked to stop ended with ${code}`)
    }
    for (const { name } of all) {
      const left = (processesOf(name) ?? []).filter((pid) => !stopped.has(pid))
      if (left.length > 0) {
        wrong.push(`${left.length} processes are left at the end: ${left.map(commandLine).join(", ")}`)
      }
    }
    lateness.stop()
    const result = verify(kind, all.map(({ process }) => process), stopped, added(), runs, lateness.worst())
    for (
      const [what, count] of Object.entries({
        ...Object.fromEntries(done),
        ...result.sums,
        "longest until nobody of a killed program was left, ms": longestOrphan,
        "until everybody was back after the last fault, ms": back - healed
      })
    ) say(`  ${String(count).padStart(7)}  ${kind}: ${what}`)
    return [...wrong, ...result.wrong]
  } finally {
    for (const { name, process: { child } } of all) {
      child.kill("SIGKILL")
      for (const pid of processesOf(name) ?? []) {
        try {
          process.kill(pid, "SIGKILL")
        } catch {
          // it has ended
        }
      }
    }
  }
}

/** Waits until nothing is open any more, or nothing has ended for so long, and reads all of it. */
const readRuns = (added: ReadonlyArray<string>, within: number) =>
  Effect.gen(function*() {
    const store = yield* TaskStore
    let seen = 0
    let until = Date.now() + within
    while (true) {
      const runs: Array<RunRow> = []
      let after: string | undefined
      do {
        const page = yield* store.runs({ limit: 500, after })
        runs.push(...page.items)
        after = page.next ?? undefined
      } while (after !== undefined)
      const ended = new Set(runs.flatMap((run) => run.endedAt === null ? [] : [run.taskId]))
      if (ended.size > seen) {
        seen = ended.size
        until = Date.now() + within
      }
      const done = runs.every(({ endedAt }) => endedAt !== null) && added.every((task) => ended.has(task))
      if (done || Date.now() > until) return runs
      yield* Effect.sleep("100 millis")
    }
  })

/** Milliseconds. */
const hurried = 300

interface Attempt {
  readonly task: string
  readonly run: string
  readonly from: number
  /** The last that was heard of it. */
  readonly to: number
  readonly ended: boolean
  readonly frozen: boolean
  /** Whether it is a command that went on after its program was killed. */
  readonly orphaned: boolean
}

const attemptsOf = (
  kind: ExecutorKind,
  program: Process,
  stopped: ReadonlyMap<number, { readonly from: number; readonly to: number }>
): ReadonlyArray<Attempt> => {
  const lines = linesOf<Line>(program).filter((line) => "by" in line)
  return [...Map.groupBy(lines, ({ by, run }) => `${run} ${by}`).values()].map((of) => {
    const { at: from, pid, run, task } = of[0]!
    const to = of.at(-1)!.at
    const stop = stopped.get(pid)
    return {
      task,
      run,
      from,
      to,
      ended: of.some(({ what }) => what === "end"),
      orphaned: kind === "commands" && program.killedAt !== undefined && to >= program.killedAt,
      frozen: [...program.frozen, ...stop === undefined ? [] : [stop]].some((f) => f.from <= to && f.to >= from)
    }
  })
}

const verify = (
  kind: ExecutorKind,
  programs: ReadonlyArray<Process>,
  stopped: ReadonlyMap<number, { readonly from: number; readonly to: number }>,
  added: ReadonlyArray<string>,
  runs: ReadonlyArray<RunRow>,
  late: number
) => {
  const wrong: Array<string> = []
  let tired = 0
  const attempts = programs.flatMap((program) => attemptsOf(kind, program, stopped)).sort((a, b) => a.from - b.from)
  const byTask = Map.groupBy(runs, ({ taskId }) => taskId)
  const byRun = Map.groupBy(attempts, ({ run }) => run)
  const attemptsOfRun = (run: RunRow) => byRun.get(`${run.generation}:${run.key}`) ?? []

  // nothing is lost or stuck
  for (const id of added) if (!byTask.has(id)) wrong.push(`${id} was added and has no run`)
  for (const [id, of] of byTask) {
    if (of.length > 1) wrong.push(`${id} has ${of.length} runs`)
    for (const run of of) {
      if (run.endedAt === null) wrong.push(`${id} has not ended: ${run.state}`)
      else if (id.startsWith("least") && run.state !== "succeeded") {
        // a scheduler that comes to its turn much too late ends what is over by itself, before it is tried again
        if (run.state === "timedOut" && late > hurried) tired++
        else wrong.push(`${id} is ${run.state}`)
      }
      if (run.state === "succeeded" && !attemptsOfRun(run).some(({ ended }) => ended)) {
        wrong.push(`${id} succeeded, and no attempt came to its end`)
      }
    }
  }
  for (const [run, of] of byRun) {
    if (!byTask.has(of[0]!.task)) wrong.push(`run ${run} has begun and is not remembered`)
    // nobody does what must not be done twice
    if (of[0]!.task.startsWith("most") && of.length > 1) {
      wrong.push(`atMostOnce run ${run} has begun ${of.length} times`)
    }
    // nobody is at work beside his successor
    for (let i = 1; i < of.length; i++) {
      const [before, after] = [of[i - 1]!, of[i]!]
      if (before.to > after.from && !before.frozen && !after.frozen && !before.orphaned) {
        wrong.push(`run ${run} was still at work ${before.to - after.from} ms after it was begun again`)
      }
    }
  }
  const count = (state: RunRow["state"]) => runs.filter((run) => run.state === state).length
  return {
    wrong,
    sums: {
      "tasks added": added.length,
      "runs succeeded": count("succeeded"),
      "runs abandoned, of those that begin at most once": count("abandoned"),
      "runs timed out or failed, of those": count("timedOut") + count("failed"),
      ...tired === 0 ? {} : { "runs timed out where the machine was too busy to try again": tired },
      "attempts begun": attempts.length,
      "attempts that did not come to their end": attempts.filter(({ ended }) => !ended).length,
      "runs begun again": [...byRun.values()].filter((of) => of.length > 1).length
    }
  }
}
