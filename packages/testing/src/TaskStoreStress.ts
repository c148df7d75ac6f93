/**
 * Workers that fight over the tasks of one store, as a test of any `TaskStore`.
 *
 * ```ts
 * TaskStoreStress.suite("postgres", PostgresTaskStore.layer({ url }))
 * ```
 *
 * Each worker does what an engine does, over `Policy.plan`, and at random what goes wrong: it loses replies and repeats
 * calls, forgets runs, settles what is no longer its own, retries and gives back, while tasks are paused, changed, run by
 * hand, removed and replaced. A ledger knows what happened; at the end everything is finished, and it must be true of
 * ledger and store together:
 *
 * | | |
 * |---|---|
 * | I2 | an occurrence becomes a run once, which ends once |
 * | I3 | nobody settles or begins what another has claimed; each claim has one way out |
 * | I4 | what ends a run presents its latest token; a repeated call is told the same |
 * | I5, I6 | counters are the sum of what committed, and of the trigger's occurrences; no run is lost |
 * | I7 | never more runs are ready or running than may be; none waits for nothing |
 * | I8 | history is no longer than `keep` |
 *
 * With `processes` the workers are in processes of their own, each with a clock that goes at its own pace.
 *
 * @since 0.1.0
 */
import { assert, it as vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { fork } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { isDeepStrictEqual } from "node:util"
import { TaskStore } from "punctual/TaskStore"
import type { TaskStoreError } from "punctual/TaskStore"
import { audit, Ledger, type Report, type Seen } from "./internal/stress/ledger.ts"
import { random } from "./internal/stress/random.ts"
import { begin, boundOf, newTask, resume } from "./internal/stress/tasks.ts"
import { claim, commit, lease, settle, takeOver, work, type World } from "./internal/stress/worker.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What everything random follows from, as far as the store is deterministic. Default: another one each time. */
  readonly seed?: number | undefined
  /** Workers of each process. Default: 4. */
  readonly workers?: number | undefined
  /** Default: 20. */
  readonly tasks?: number | undefined
  /** Turns of each worker. Default: 60. */
  readonly turns?: number | undefined
  /** How many ended runs of each task are kept. Default: 3. */
  readonly keep?: number | undefined
  /** In milliseconds. Default: 120,000. */
  readonly timeout?: number | undefined
  /** Workers in other processes: each runs `script`, a program that calls `participate` with a layer of the same store. */
  readonly processes?: {
    readonly count: number
    readonly script: URL
    readonly args: ReadonlyArray<string>
  } | undefined
}

/** What a process is told. */
interface Part {
  readonly seed: number
  readonly name: string
  readonly workers: number
  readonly tasks: number
  readonly turns: number
  readonly keep: number
}

/**
 * Registers the test for one store.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <R, E>(name: string, layer: Layer.Layer<TaskStore | R, E>, options: Options = {}): void => {
  const { keep = 3, processes, tasks = 20, timeout = 120_000, turns = 60, workers = 4 } = options
  vitest.layer(layer, { timeout: "30 seconds" })(`TaskStore (${name}) under stress`, (it) => {
    const where = processes === undefined ? `${workers} workers` : `${processes.count} processes of ${workers} workers`
    it.effect(
      `${where}: nothing happens twice, is lost or is stuck, and the sums are exact`,
      () =>
        Effect.gen(function*() {
          const store = yield* TaskStore
          const seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!
          const part: Part = { seed, name: "here", workers, tasks, turns, keep }
          const world = worldOf(store, part)
          yield* store.insert(
            world.ids.map((id, i) => newTask(id, i, world.tag, begin, store.capabilities.concurrencyKeys))
          )
          if (processes === undefined) yield* run(world, part)
          else {
            const reports = yield* Effect.forEach(
              Array.from({ length: processes.count }, (_, i) => `process-${i}`),
              (name) => other(processes, { ...part, name }),
              { concurrency: "unbounded" }
            )
            for (const report of reports) world.ledger.merge(report)
            world.now += turns * workers * 220
          }
          yield* drain(world)
          yield* verify(world)
          const { seen, violations } = world.ledger
          assert.deepStrictEqual(
            violations.slice(0, 20),
            [],
            `seed ${seed}: ${violations.length} violations; seen ${JSON.stringify(seen)}`
          )
          const unseen = (Object.keys(seen) as Array<Seen>).filter((what) =>
            seen[what] === 0 && (what !== "keyed" || store.capabilities.concurrencyKeys)
          )
          assert.deepStrictEqual(unseen, [], `seed ${seed}: this much work shows nothing of these`)
        }),
      timeout
    )
  })
}

/**
 * The program of a worker process. Its last argument is what `suite` tells it.
 *
 * @category suites
 * @since 0.1.0
 */
export const participate = <E>(layer: Layer.Layer<TaskStore, E>): Promise<void> =>
  Effect.gen(function*() {
    const part = JSON.parse(process.argv.at(-1)!) as Part
    const world = worldOf(yield* TaskStore, part)
    yield* run(world, part)
    const { entries, seen, violations } = world.ledger
    const report: Report = { entries, seen, violations }
    yield* Effect.callback<void>((resume) => {
      process.send!(report, undefined, undefined, () => resume(Effect.void))
    })
  }).pipe(Effect.provide(layer), Effect.runPromise)

const worldOf = (store: TaskStore["Service"], { keep, seed, tasks }: Part): World => ({
  store,
  ledger: new Ledger(),
  tag: `Stress.${seed}`,
  ids: Array.from({ length: tasks }, (_, i) => `stress-${seed}/${i}`),
  keep,
  now: begin
})

const run = (world: World, { name, seed, turns, workers }: Part): Effect.Effect<void, TaskStoreError> =>
  Effect.forEach(
    Array.from({ length: workers }, (_, i) => `${name}-${i}`),
    (worker) => work(world, worker, random(seed, worker), turns),
    { concurrency: "unbounded", discard: true }
  )

const other = (processes: NonNullable<Options["processes"]>, part: Part): Effect.Effect<Report> =>
  Effect.callback<Report>((resume) => {
    const child = fork(fileURLToPath(processes.script), [...processes.args, JSON.stringify(part)], {
      execArgv: [],
      silent: true
    })
    let errors = ""
    let report: Report | undefined
    child.stderr?.on("data", (data) => errors += String(data))
    child.on("message", (message) => report = message as Report)
    child.on("exit", (code) =>
      resume(
        report !== undefined && code === 0
          ? Effect.succeed(report)
          : Effect.die(new Error(`${part.name} of seed ${part.seed} ended with ${code}: ${errors}`))
      ))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Evaluates nothing any more, sets free what is held, and finishes what is open: what then stays open is stuck. */
const drain = Effect.fnUntraced(function*(world: World): Effect.fn.Return<void, TaskStoreError> {
  const { ids, ledger, store, tag } = world
  const paused = (yield* store.get(ids)).filter(({ row }) => row.state === "paused")
  yield* commit(world, paused.map((task) => resume(task, world.now)))
  // one more for each task, whose end cuts its history
  const tasks = yield* store.get(ids)
  yield* commit(
    world,
    tasks.map(({ row }) => ({
      change: {
        id: row.id,
        generation: row.generation,
        revision: row.revision,
        now: world.now,
        set: { counters: { ...row.counters, extra: row.counters.extra + 1 } },
        runs: [{
          _tag: "Create",
          run: {
            key: "x:last",
            due: world.now,
            nominal: world.now,
            state: "waiting",
            readyAt: world.now,
            slots: 1,
            queues: true,
            atMostOnce: false
          }
        }]
      },
      counts: { ran: 0, missed: 0, coalesced: 0, skipped: 0, paused: 0, extra: 1, exact: true }
    }))
  )
  // bounded by the longest queue, and by those of a concurrency key that may have one at a time
  for (let round = 0; round < 300; round++) {
    const now = world.now += 2 * lease
    yield* takeOver(world, now)
    const runs = yield* claim(world, "last", now, 1000)
    yield* settle(
      world,
      runs.map(({ generation, key, token }) => ({
        generation,
        key,
        token: token ?? -1,
        owner: "last",
        now,
        result: { _tag: "End", state: "succeeded", exit: null }
      }))
    )
    const open = yield* store.runs({ tag, state: "running", limit: 1 })
    if (runs.length === 0 && open.items.length === 0) break
  }
  for (const state of ["waiting", "ready", "running"] as const) {
    for (const run of (yield* store.runs({ tag, state, limit: 100 })).items) {
      ledger.check(false, () => `I7: run ${run.key} of ${run.taskId} is ${state} for ever`)
    }
  }
})

const verify = Effect.fnUntraced(function*({ ids, keep, ledger, store }: World): Effect.fn.Return<
  void,
  TaskStoreError
> {
  const accounts = audit(ledger)
  for (const { row } of yield* store.get(ids)) {
    const account = accounts.get(row.generation)
    assert.isDefined(account)
    const { counters } = row
    ledger.check(
      isDeepStrictEqual({ ...counters }, { ...account.counts }),
      () => `I5: ${row.id} counts ${JSON.stringify(counters)}, and ${JSON.stringify(account.counts)} was committed`
    )
    const occurrences = boundOf(row).countBetween(row.epoch, row.cursor, Infinity).count
    const outcomes = counters.ran + counters.missed + counters.coalesced + counters.skipped + counters.paused
    ledger.check(
      outcomes === occurrences,
      () => `I6: ${row.id} has ${outcomes} outcomes of ${occurrences} occurrences`
    )
    ledger.check(
      row.failures === account.failures,
      () => `I5: ${row.id} counts ${row.failures} failures, and ${account.failures} were settled`
    )
    const ended = yield* store.runs({ generation: row.generation, limit: 1000 })
    ledger.check(
      ended.items.length <= keep,
      () => `I8: ${ended.items.length} ended runs of ${row.id} are kept, and ${keep} may be`
    )
    ledger.check(
      new Set(ended.items.map(({ key }) => key)).size === ended.items.length,
      () => `I2: history of ${row.id} has a run twice: ${ended.items.map(({ key }) => key).join()}`
    )
  }
})
