/**
 * One measurement of one store: node measure.ts <store> <where> <tasks> <steps>
 *
 * It fills two stores, a small and a large one, and does the same to both by turns, step after step, as an engine would:
 * reads what is due, commits it, claims the runs, settles them; and looks at some pages. Time is an argument here.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Policy from "punctual/Policy"
import { noCounters } from "punctual/TaskRecord"
import { type Change, type NewTask, TaskStore, type TaskStoreError } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import { median, report } from "../harness.ts"
import { fresh, stores, tidy } from "../places.ts"

const [name = "", where = "", tasks = "", steps = ""] = process.argv.slice(2)
const { open, place } = stores[name as keyof typeof stores]

/** Of the smaller store. */
const few = 1_000
/** Tasks due in each step. */
const batch = 100
/** Steps before those that count. */
const warmUp = 5
const pageSize = 50
/** 2026-01-01 */
const begin = 1_767_225_600_000

const trigger = Schema.encodeSync(Schema.fromJsonString(Trigger.Trigger))(Trigger.every("1 second"))
const policy = Policy.encode(Policy.defaultPolicy)
const slots = [{ executor: "default", tag: "Work", version: 1, limit: batch }]
const id = (n: number) => `task-${String(n).padStart(7, "0")}`

/** Each task is due in a second of its own, in another order than they were added. */
const taskOf = (n: number, count: number): NewTask => {
  const due = begin + ((n * 618_033) % count) * 1_000
  return {
    id: id(n),
    tag: "Work",
    version: 1,
    name: "Work",
    payload: `{"n":${n}}`,
    display: `{"n":${n}}`,
    trigger,
    anchor: begin,
    onStartup: false,
    onShutdown: false,
    policy,
    executor: "default",
    priority: 0,
    concurrencyKey: null,
    concurrencyLimit: 1,
    labels: "{}",
    owner: null,
    declared: null,
    trace: null,
    createdAt: begin,
    updatedAt: begin,
    state: "scheduled",
    cursor: begin - 1,
    due,
    nominal: due,
    zoneRules: null,
    override: null,
    epoch: begin - 1,
    counters: noCounters,
    ranges: Policy.encodeRanges([]),
    pausedAt: null,
    pauseNote: null,
    failures: 0
  }
}

interface Subject {
  readonly count: number
  readonly store: TaskStore["Service"]
  /** Continues a list by id from its middle. */
  readonly middle: string | undefined
  /** Milliseconds of each step, by what was done. */
  readonly times: Map<string, Array<number>>
}

const fill = (count: number, prefix: string) =>
  Effect.gen(function*() {
    const store = Context.get(yield* Layer.build(yield* Effect.promise(() => open(where, prefix))), TaskStore)
    yield* store.listen(() => {})
    const from = performance.now()
    for (let i = 0; i < count; i += 1_000) {
      yield* store.insert(Array.from({ length: Math.min(1_000, count - i) }, (_, k) => taskOf(i + k, count)))
    }
    const adds = count / (performance.now() - from) * 1_000
    yield* Effect.promise(() => tidy(place, where))
    let middle: string | undefined
    for (let seen = 0; seen < count / 2;) {
      const page = yield* store.list({ sort: "id", descending: false, limit: 500, after: middle })
      seen += page.items.length
      middle = page.next ?? undefined
    }
    const subject: Subject = { count, store, middle, times: new Map() }
    return { subject, adds }
  })

const timed = <A>({ times }: Subject, what: string, effect: Effect.Effect<A, TaskStoreError>) =>
  Effect.gen(function*() {
    const from = performance.now()
    const answer = yield* effect
    const all = times.get(what)
    if (all === undefined) times.set(what, [performance.now() - from])
    else all.push(performance.now() - from)
    return answer
  })

const step = (subject: Subject, k: number) =>
  Effect.gen(function*() {
    const { count, middle, store } = subject
    const now = begin + (k + 1) * batch * 1_000 - 1
    const lease = { owner: "bench", until: now + 30_000 }
    const { tasks: due } = yield* timed(
      subject,
      "due",
      store.due({ now, limit: 500, reader: "bench", zoneRules: "" })
    )
    if (due.length !== batch) throw new Error(`${due.length} tasks are due, not ${batch}`)
    const changes = due.map(({ row }): Change => ({
      id: row.id,
      generation: row.generation,
      revision: row.revision,
      now,
      set: {
        cursor: now,
        due: row.due! + count * 1_000,
        nominal: row.due! + count * 1_000,
        counters: { ...row.counters, ran: row.counters.ran + 1 }
      },
      runs: [{
        _tag: "Create",
        run: {
          key: String(row.due),
          due: row.due!,
          nominal: row.due!,
          state: "ready",
          readyAt: row.due!,
          slots: 1,
          queues: false,
          atMostOnce: false
        }
      }]
    }))
    yield* timed(subject, "commit", store.commit(changes))
    const { runs } = yield* timed(subject, "claim", store.claim({ now, lease, slots, limit: batch, reader: "bench" }))
    if (runs.length !== batch) throw new Error(`${runs.length} runs were claimed, not ${batch}`)
    const settled = yield* timed(
      subject,
      "settle",
      store.settle(
        runs.map(({ run }) => ({
          generation: run.generation,
          key: run.key,
          token: run.token!,
          owner: lease.owner,
          now,
          result: { _tag: "End", state: "succeeded", exit: null }
        })),
        { keep: 10 }
      )
    )
    if (settled.some((answer) => answer !== "Settled")) throw new Error("a run was not settled")
    const first = { descending: false, limit: pageSize }
    yield* timed(subject, "list by due, first page", store.list({ ...first, sort: "due" }))
    yield* timed(subject, "list by id, middle page", store.list({ ...first, sort: "id", after: middle }))
    yield* timed(subject, "runs of a task", store.runs({ taskId: due[0]!.row.id, limit: pageSize }))
    yield* timed(subject, "runs, first page", store.runs({ limit: pageSize }))
  })

const prefixes = [fresh(), fresh()] as const
const figures = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const small = yield* fill(few, prefixes[0])
  const large = yield* fill(Number(tasks), prefixes[1])
  const subjects = [small.subject, large.subject]
  for (let k = 0; k < warmUp + Number(steps); k++) {
    if (k === warmUp) { for (const { times } of subjects) times.clear() }
    for (const subject of k % 2 === 0 ? subjects : subjects.toReversed()) yield* step(subject, k)
  }
  const of = (subject: Subject, size: string) =>
    [...subject.times].map(([what, all]) => [`${what}: ${size}`, median(all)] as const)
  return { adds: large.adds, ...Object.fromEntries([...of(small.subject, "few"), ...of(large.subject, "many")]) }
})))
for (const prefix of prefixes) await tidy(place, where, prefix)
report(figures)
process.exit(0)
