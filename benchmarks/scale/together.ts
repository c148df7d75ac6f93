/**
 * What one task costs when many are due at one instant: node together.ts <store> <where> <most>
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskStore } from "punctual/TaskStore"
import { median, report } from "../harness.ts"
import { fresh, stores, tidy } from "../places.ts"
import { taskOf } from "../rows.ts"
import { begin, id, runDue, year } from "./steps.ts"

const [name = "", where = "", most = ""] = process.argv.slice(2)
const { open, place } = stores[name as keyof typeof stores]

/** How often each size is measured: about as much work of each. */
const sizes = ([[1, 30], [10, 20], [100, 10], [1_000, 5], [10_000, 3]] as const)
  .filter(([size]) => size <= Number(most))

/** Sizes take turns. */
const turns = sizes.flatMap(([size, times]) =>
  Array.from({ length: times }, (_, i) => ({ size, at: (i + 0.5) / times }))
)
  .toSorted((a, b) => a.at - b.at)
  .map(({ size }, i) => ({ size, due: begin + (i + 1) * 60_000 }))

const prefix = fresh()
const figures = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const store = Context.get(yield* Layer.build(yield* Effect.promise(() => open(where, prefix))), TaskStore)
  yield* store.listen(() => {})
  const tasks = turns.flatMap(({ due, size }) => Array.from({ length: size }, () => due))
    .map((due, n) => taskOf(id(n), n, begin, due))
  for (let i = 0; i < tasks.length; i += 1_000) yield* store.insert(tasks.slice(i, i + 1_000))
  yield* Effect.promise(() => tidy(place, where))
  const times = new Map<number, Array<number>>()
  for (const { due, size } of turns) {
    const from = performance.now()
    yield* runDue(store, due, size, year)
    const took = performance.now() - from
    times.set(size, [...times.get(size) ?? [], took])
  }
  return Object.fromEntries([...times].map(([size, all]) => [String(size), median(all.slice(all.length > 2 ? 1 : 0))]))
})))
await tidy(place, where, prefix)
report(figures)
process.exit(0)
