/**
 * Every search has an index that answers it.
 *
 * The searches are those that a pretended server is asked; the indexes are those that are created. An index answers a
 * search where its fields begin with the ones that must be equal, go on with the order asked for, and otherwise with the
 * first range. Whether a server takes it is not seen here.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { TaskQuery } from "punctual/TaskStore"
import { historyIndexes, instanceIndexes, taskIndexes } from "../src/internal/schema.ts"
import { makeOver } from "../src/MongoTaskStore.ts"
import { type Asked, Pretended } from "./internal/pretended.ts"
import { change, claimOf, end, newRun, newTask, now } from "./internal/tasks.ts"

type Clause = Readonly<Record<string, unknown>>

/** Fields that a filter narrows: to one value or a few, or to a range. */
const narrowed = (filter: Clause) => {
  const equal = new Set<string>()
  const ranges = new Set<string>()
  for (const clause of [filter, ...(filter["$and"] as ReadonlyArray<Clause> | undefined ?? [])]) {
    for (const [field, wanted] of Object.entries(clause)) {
      if (field.startsWith("$")) continue
      const keys = typeof wanted === "object" && wanted !== null ? Object.keys(wanted) : []
      if (keys.length === 0 || "$in" in Object(wanted)) equal.add(field)
      else if (!keys.some((key) => key === "$ne" || key === "$nin")) ranges.add(field)
    }
  }
  return { equal, ranges }
}

const answers = (key: Readonly<Record<string, 1 | -1>>, { filter, sort }: Asked): boolean => {
  const fields = Object.keys(key)
  const { equal, ranges } = narrowed(filter)
  let i = 0
  while (i < fields.length && equal.has(fields[i]!)) i++
  const order = Object.entries(sort ?? {})
  if (i === 0 && equal.size > 0) return false
  // the history of one task is short, and may be sorted
  if (order.length === 0 || (i > 0 && equal.has("generation"))) return i > 0 || ranges.has(fields[0]!)
  const directions = order.map(([field, direction], n) => fields[i + n] === field ? direction * key[field]! : 0)
  return directions.every((one) => one !== 0 && one === directions[0])
}

const indexesOf: { readonly [collection: string]: typeof taskIndexes } = {
  punctual_tasks: taskIndexes,
  punctual_history: historyIndexes,
  punctual_instances: instanceIndexes
}

it.effect("every search of the operations has an index", () =>
  Effect.gen(function*() {
    const server = new Pretended()
    const store = yield* makeOver(server.database, { name: "pretended", crossProcess: false })
    yield* store.insert(["a", "b", "c"].map((id) => newTask(id, { due: now, runs: [newRun(now), newRun(now + 1)] })))
    server.asked.length = 0
    const [found] = yield* store.get(["a"])
    const { runs } = yield* store.claim(claimOf("one"))
    yield* store.due({ now, limit: 10, reader: "r", zoneRules: "2026a" })
    yield* store.outdated({ now, limit: 10, reader: "r", zoneRules: "2026a" })
    yield* store.commit([change(found!.row, { due: now + 5 }, [{ _tag: "Cancel", key: String(now), reason: "no" }])])
    const refs = runs.map(({ run }) => ({ generation: run.generation, key: run.key, token: run.token! }))
    yield* store.start({ now, owner: "one", runs: refs })
    yield* store.heartbeat({ now, lease: { owner: "one", until: now + 99_999 }, runs: refs })
    yield* store.cancel(refs.map((ref) => ({ ...ref, reason: "stop" })))
    yield* store.settle([end(runs[0]!.run), end({ ...runs[0]!.run, token: 999 })], { keep: 1 })
    yield* store.takeover({ now: now + 999_999, limit: 2, maxTakeovers: 3, keep: 1 })
    yield* store.prune({ before: now, limit: 10 })
    yield* store.quarantine([{ id: "a", generation: found!.row.generation, reader: "r", reason: "no", at: now }])
    yield* store.verdicts({ limit: 10 })
    yield* store.clear([found!.row.generation])
    for (const sort of ["id", "due", "created"] as const) {
      for (const descending of [false, true]) {
        let after: string | undefined
        do {
          const query: TaskQuery = { sort, descending, limit: 1, after }
          after = (yield* store.list(query)).next ?? undefined
        } while (after !== undefined)
      }
    }
    const labels = { team: "billing" }
    for (
      const query of [{ tag: "Work" }, { state: "scheduled" }, { owner: "me" }, { event: "startup" }, {
        labels
      }] as const
    ) {
      yield* store.list({ ...query, sort: "id", descending: false, limit: 10 })
    }
    for (const query of [{ tag: "Work" }, { state: "scheduled" }] as const) {
      yield* store.list({ ...query, sort: "due", descending: true, limit: 10 })
    }
    for (const query of [{ taskId: "a" }, { generation: 1 }, { tag: "Work" }, {}]) {
      const { next } = yield* store.runs({ ...query, limit: 1 })
      if (next !== null) yield* store.runs({ ...query, limit: 1, after: next })
    }
    yield* store.instances({ limit: 10 })
    yield* store.leave(["one"])
    const searches = server.asked.filter(({ collection }) => collection !== "punctual_meta")
    assert.isAbove(searches.length, 50)
    const without = searches.filter((asked) => {
      const indexes = indexesOf[asked.collection] ?? []
      return ![...indexes, { key: { _id: 1 } as const }].some(({ key }) => answers(key, asked))
    })
    assert.deepStrictEqual(without, [])
  }))

it("and one that has none is seen", () => {
  const asked = (filter: Clause, sort?: Asked["sort"]): Asked => ({ collection: "punctual_tasks", filter, sort })
  const key = { a: 1, b: 1, c: -1 } as const
  assert.isTrue(answers(key, asked({ a: 1 })))
  assert.isTrue(answers(key, asked({ a: { $gt: 1 } })))
  assert.isTrue(answers(key, asked({ a: 1, c: 3 }, { b: 1 })))
  assert.isTrue(answers(key, asked({ a: 1 }, { b: -1, c: 1 })))
  assert.isFalse(answers(key, asked({ b: 1 })))
  assert.isFalse(answers(key, asked({ x: 1 }, { a: 1 })))
  assert.isFalse(answers(key, asked({ a: { $ne: 1 } })))
  assert.isFalse(answers(key, asked({ a: { $gt: 1 } }, { b: 1 })))
  assert.isFalse(answers(key, asked({ a: 1 }, { b: 1, c: 1 })))
})
