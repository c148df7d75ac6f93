/**
 * A worker of a stress test: what an engine does, at random, badly.
 *
 * It forgets what it holds, comes back to it later, loses replies and asks again, gives back, extends some leases and
 * lets others lapse, while a person commands the same tasks.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Counters, RunRow } from "punctual/TaskRecord"
import type {
  Change,
  Committed,
  Settled,
  Settlement,
  TaskStore,
  TaskStoreError,
  TaskWithRuns
} from "punctual/TaskStore"
import type { Ledger } from "./ledger.ts"
import type { Random } from "./random.ts"
import { command, countsFailures, evaluation, newTask, type Planned, policyOf } from "./tasks.ts"

type Store = TaskStore["Service"]

/** What the workers of one process share. */
export interface World {
  readonly store: Store
  readonly ledger: Ledger
  readonly tag: string
  readonly ids: ReadonlyArray<string>
  readonly keep: number
  /** Of this process; those of others go at another pace. */
  now: number
}

/** How long a lease lasts, in the time of the test: some 15 turns of a worker. */
export const lease = 3000

/** Newer rules than any: `due` leaves nothing to others. */
const newestRules = "9999z"

/** Commits, and keeps account of what did, whoever learns of it. */
export const commit = (
  { ledger, store }: Pick<World, "store" | "ledger">,
  planned: ReadonlyArray<Planned>
): Effect.Effect<ReadonlyArray<Committed>, TaskStoreError> =>
  Effect.map(store.commit(planned.map(({ change }) => change)), (answers) => {
    planned.forEach(({ change, counts }, i) => {
      const answer = answers[i]!
      if (answer._tag === "Conflict") return ledger.saw("conflict")
      changed(ledger, change, counts)
      for (const run of answer.claimed) claimed(ledger, run)
    })
    return answers
  })

const changed = (ledger: Ledger, { generation: n, runs, set }: Change, counts: Counters): void => {
  const keys = (tag: "Drop" | "Cancel") => runs.flatMap((op) => op._tag === tag ? [op.key] : [])
  const created = runs.flatMap((op) => op._tag === "Create" ? [op.run.key] : [])
  if (runs.some((op) => op._tag === "Create" && op.run.state === "waiting")) ledger.saw("waited")
  ledger.add({
    _tag: "Changed",
    n,
    counts,
    created,
    dropped: keys("Drop"),
    cancelled: keys("Cancel"),
    removed: set === "remove"
  })
}

const claimed = (ledger: Ledger, { generation, key, token }: RunRow): void =>
  ledger.add({ _tag: "Claimed", n: generation, key, token: token ?? -1 })

/** Settles, and keeps account of what was accepted. */
export const settle = (
  { keep, ledger, store }: Pick<World, "store" | "ledger" | "keep">,
  settlements: ReadonlyArray<Settlement>
): Effect.Effect<ReadonlyArray<Settled>, TaskStoreError> =>
  settlements.length === 0 ? Effect.succeed([]) : Effect.map(store.settle(settlements, { keep }), (answers) => {
    settlements.forEach(({ generation: n, key, result, task, token }, i) => {
      const answer = answers[i]!
      if (answer === "Stale") return ledger.saw("stale")
      ledger.saw("settled")
      if (result._tag === "Retry") ledger.saw("retried")
      ledger.add({
        _tag: "Settled",
        n,
        key,
        token,
        ended: result._tag === "End" || answer === "Cancelled",
        failed: task?.failures === "increment"
      })
    })
    return answers
  })

export const takeOver = (
  { keep, ledger, store }: Pick<World, "store" | "ledger" | "keep">,
  now: number
): Effect.Effect<void, TaskStoreError> =>
  Effect.map(store.takeover({ now, limit: 50, maxTakeovers: 4, keep }), ({ runs }) => {
    for (const { became, run } of runs) {
      ledger.saw("takenOver")
      ledger.add({ _tag: "TakenOver", n: run.generation, key: run.key, ended: became !== "ready" })
    }
  })

export const claim = (
  { ledger, store, tag }: Pick<World, "store" | "ledger" | "tag">,
  owner: string,
  now: number,
  limit: number
): Effect.Effect<ReadonlyArray<RunRow>, TaskStoreError> =>
  Effect.map(
    store.claim({
      now,
      lease: { owner, until: now + lease },
      slots: [{ executor: "default", tag, version: 2, limit }],
      limit,
      reader: owner
    }),
    ({ runs }) => {
      for (const { run } of runs) claimed(ledger, run)
      return runs.map(({ run }) => run)
    }
  )

/** Each of `turns` turns moves time. */
export const work = Effect.fnUntraced(function*(
  world: World,
  name: string,
  random: Random,
  turns: number
): Effect.fn.Return<void, TaskStoreError> {
  const { ids, ledger, store, tag } = world
  const owner = `${name}@${random.id()}`
  const held: Array<RunRow> = []
  const forgotten: Array<RunRow> = []
  /** Told to have lost these. */
  const lost: Array<RunRow> = []

  const settlement = (run: RunRow, now: number): Settlement => {
    const back = !run.atMostOnce && random.chance(0.15)
    const counts = countsFailures(run) && !back
    return {
      generation: run.generation,
      key: run.key,
      token: run.token ?? -1,
      owner,
      now,
      result: !back
        ? { _tag: "End", state: counts ? "failed" : "succeeded", exit: null }
        : random.chance(0.7)
        ? { _tag: "Retry", readyAt: now + random.below(1000), exit: null }
        : random.chance(0.5)
        ? { _tag: "Release", readyAt: now + random.below(1000) }
        : { _tag: "Release" },
      ...counts ? { task: { failures: "increment" } } : undefined
    }
  }

  const evaluate = Effect.fnUntraced(function*(now: number): Effect.fn.Return<void, TaskStoreError> {
    const { tasks } = yield* store.due({ now, limit: 20, reader: owner, zoneRules: newestRules })
    const planned = tasks.filter(({ row }) => row.tag === tag).map((task) => {
      const { change, counts } = evaluation(task, now)
      const runs = change.runs.map((op) =>
        op._tag === "Create" && op.run.state === "ready" && random.chance(0.7)
          ? { ...op, claim: { owner, until: now + lease } }
          : op
      )
      return { change: { ...change, runs }, counts }
    })
    if (planned.length === 0) return
    yield* Effect.yieldNow
    const answers = yield* commit(world, planned)
    if (!random.chance(0.1)) {
      for (const answer of answers) if (answer._tag === "Committed") held.push(...answer.claimed)
      return
    }
    // it never heard: it asks again, or turns to something else
    ledger.saw("lost")
    if (random.chance(0.5)) return
    const again = yield* commit(world, planned)
    answers.forEach((answer, i) =>
      ledger.check(
        answer._tag === "Conflict" || again[i]!._tag === "Conflict",
        () => `I5: a change of ${planned[i]!.change.id} committed twice at revision ${planned[i]!.change.revision}`
      )
    )
  })

  const finish = Effect.fnUntraced(function*(now: number): Effect.fn.Return<void, TaskStoreError> {
    const done: Array<RunRow> = []
    for (const run of held.splice(0)) {
      const fate = random.below(100)
      if (fate < 8) {
        ledger.saw("crashed")
        forgotten.push(run)
      } else (fate < 60 ? done : held).push(run)
    }
    const once = done.filter((run) => run.atMostOnce)
    const begun = new Set<RunRow>()
    if (once.length > 0) {
      const runs = once.map(({ generation, key, token }) => ({ generation, key, token: token ?? -1 }))
      const answers = yield* store.start({ now, owner, runs })
      once.forEach((run, i) => {
        if (answers[i] !== true) return
        begun.add(run)
        ledger.add({ _tag: "Started", n: run.generation, key: run.key, token: run.token ?? -1 })
      })
    }
    const settlements = done.filter((run) => !run.atMostOnce || begun.has(run)).map((run) => settlement(run, now))
    const answers = yield* settle(world, settlements)
    if (answers.length > 0 && random.chance(0.2)) {
      ledger.saw("lost")
      const again = yield* settle(world, settlements)
      answers.forEach((answer, i) =>
        ledger.check(
          again[i] === "Stale" || again[i] === answer,
          () => `I4: the same settlement of ${settlements[i]!.key} was ${answer}, then ${again[i]}`
        )
      )
    }
    // it comes back to what it forgot, sometimes at the very moment at which somebody takes that over
    if (forgotten.length > 3) {
      const late = settle(world, forgotten.splice(0).map((run) => settlement(run, now)))
      yield* random.chance(0.5)
        ? late
        : Effect.all([late, takeOver(world, now + lease)], { concurrency: 2, discard: true })
    }
    // what another owner, or another token, says
    const victim = held[0]
    if (victim !== undefined && random.chance(0.3)) {
      const mine = settlement(victim, now)
      const answers = yield* settle(world, [{ ...mine, owner: `${owner}?` }, { ...mine, token: mine.token - 1 }])
      ledger.check(
        answers.every((answer) => answer === "Stale"),
        () => `I4: run ${victim.key} was settled by who does not own it: ${answers.join()}`
      )
    }
  })

  const extend = Effect.fnUntraced(function*(now: number): Effect.fn.Return<void, TaskStoreError> {
    if (held.length > 0) {
      const runs = held.splice(0)
      const answers = yield* store.heartbeat({
        now,
        lease: { owner, until: now + lease },
        runs: runs.map(({ generation, key, token }) => ({ generation, key, token: token ?? -1 }))
      })
      runs.forEach((run, i) => (answers[i]!.alive ? held : lost).push(run))
    }
    if (lost.length > 0 && random.chance(0.5)) {
      const answers = yield* settle(world, lost.splice(0).map((run) => settlement(run, now)))
      ledger.check(
        answers.every((answer) => answer === "Stale"),
        () => `I3: a run was settled by who was told to have lost it: ${answers.join()}`
      )
    }
  })

  const ask = Effect.fnUntraced(function*(now: number): Effect.fn.Return<void, TaskStoreError> {
    const id = ids[random.below(ids.length)]!
    const [task] = yield* store.get([id])
    if (task === undefined) {
      yield* store.insert([newTask(id, ids.indexOf(id), tag, now, store.capabilities.concurrencyKeys)])
      return
    }
    const planned = command(task, now, random)
    if (planned === undefined) return
    yield* Effect.yieldNow
    const [answer] = yield* commit(world, [planned])
    if (answer?._tag === "Committed") ledger.saw("commanded")
  })

  for (let turn = 0; turn < turns; turn++) {
    const now = world.now += 20 + random.below(200)
    yield* evaluate(now)
    const got = yield* claim(world, owner, now, 1 + random.below(20))
    if (random.chance(0.1)) ledger.saw("lost")
    else held.push(...got)
    yield* finish(now)
    if (random.chance(0.4)) yield* extend(now)
    if (random.chance(0.4)) yield* ask(now)
    if (random.chance(0.3)) yield* takeOver(world, now)
    if (random.chance(0.1)) yield* store.prune({ before: now - 5 * lease, limit: 20 })
    if (random.chance(0.3)) look(ledger, yield* store.get(ids))
    yield* Effect.yieldNow
  }
})

/** What is true of tasks and their open runs at every instant. */
const look = (ledger: Ledger, tasks: ReadonlyArray<TaskWithRuns>): void => {
  const running = new Map<string, number>()
  for (const { concurrencyKey: key, concurrencyLimit, state } of tasks.flatMap(({ open }) => open)) {
    if (key === null || state !== "running") continue
    const count = (running.get(key) ?? 0) + 1
    running.set(key, count)
    ledger.saw("keyed")
    ledger.check(count <= concurrencyLimit, () => `I14: ${count} runs of ${key} are running, not ${concurrencyLimit}`)
  }
  for (const { open, row } of tasks) {
    const waiting = open.filter((run) => run.state === "waiting")
    const active = open.length - waiting.length
    const { maxInstances } = policyOf(row)
    ledger.check(
      active <= maxInstances,
      () => `I7: ${active} runs of ${row.id} are ready or running, and ${maxInstances} may be`
    )
    ledger.check(
      waiting.length === 0 || active > 0,
      () => `I7: runs of ${row.id} wait for nothing: ${waiting.map(({ key }) => key).join()}`
    )
  }
}
