/**
 * One measurement of one store: node measure.ts <store> <where> <tasks> <steps>
 *
 * It fills two stores, a small and a large one, and does the same to both by turns, step after step, as an engine would:
 * reads what is due, commits it, claims the runs, settles them; and looks at some pages. Time is an argument here.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskStore, type TaskStoreError } from "punctual/TaskStore"
import { median, report } from "../harness.ts"
import { fresh, stores, tidy } from "../places.ts"
import { taskOf } from "../rows.ts"
import { begin, id, runDue } from "./steps.ts"

const [name = "", where = "", tasks = "", steps = ""] = process.argv.slice(2)
const { open, place } = stores[name as keyof typeof stores]

/** Of the smaller store. */
const few = 1_000
/** Tasks due in each step. */
const batch = 100
/** Steps before those that count. */
const warmUp = 5
const pageSize = 50
/** Each task is due in a second of its own, in another order than they were added. */
const dueOf = (n: number, count: number): number => begin + ((n * 618_033) % count) * 1_000

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
      yield* store.insert(
        Array.from(
          { length: Math.min(1_000, count - i) },
          (_, k) => taskOf(id(i + k), i + k, begin, dueOf(i + k, count))
        )
      )
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
    const due = yield* runDue(store, now, batch, count * 1_000, (what, effect) => timed(subject, what, effect))
    const first = { descending: false, limit: pageSize }
    yield* timed(subject, "list by due, first page", store.list({ ...first, sort: "due" }))
    yield* timed(subject, "list by id, middle page", store.list({ ...first, sort: "id", after: middle }))
    yield* timed(subject, "runs of a task", store.runs({ taskId: due[0]!, limit: pageSize }))
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
