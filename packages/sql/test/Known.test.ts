/**
 * Tasks that are read as due, evaluations of what was read just before, and ends of runs for which nothing waits: SQLite makes whole batches of
 * them in fewer statements. Whatever is in a batch, it must answer and leave behind what the memory store does, which makes
 * one after another.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Statement from "effect/sql/Statement"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import {
  type Change,
  type Committed,
  type NewTask,
  type Settlement,
  TaskStore,
  type TaskStoreError
} from "punctual/TaskStore"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { change, epoch, lease, newRun, newTask, slot } from "./internal/tasks.ts"

type Store = TaskStore["Service"]

const due = (store: Store, now = epoch) =>
  Effect.map(
    store.due({ now, limit: 100, reader: "r", zoneRules: "" }),
    ({ tasks }) => tasks.map(({ row }) => row)
  )

/** Moves a task on and creates a run of its occurrence, as an evaluation does. */
const evaluation = (row: TaskRow, options: Partial<Change> = {}): Change =>
  change(row, {
    set: { cursor: epoch, due: null, nominal: null, state: "finished", counters: { ...row.counters, ran: 1 } },
    runs: [{ _tag: "Create", run: newRun("1"), claim: lease("me") }],
    ...options
  })

const claimed = (answers: ReadonlyArray<Committed>): ReadonlyArray<RunRow> =>
  answers.flatMap((answer) => answer._tag === "Committed" ? answer.claimed : [])

const end = ({ generation, key, token }: RunRow, options: Partial<Settlement> = {}): Settlement => ({
  generation,
  key,
  token: token ?? 0,
  owner: "me",
  now: epoch,
  result: { _tag: "End", state: "succeeded", exit: "{}" },
  ...options
})

const filled = (store: Store, count: number) =>
  store.insert(Array.from({ length: count }, (_, i) => newTask(`t${i}`, { due: epoch - count + i })))

const contents = Effect.fnUntraced(function*(store: Store) {
  const { items: tasks } = yield* store.list({ sort: "id", descending: false, limit: 1_000 })
  const { items: runs } = yield* store.runs({ limit: 1_000 })
  return { tasks, runs: runs.toSorted((a, b) => a.generation - b.generation || (a.key < b.key ? -1 : 1)) }
})

/** Tokens grow, in steps of any size: what counts is their order. */
const ranked = <A extends { readonly answer: unknown }>(found: A): A => {
  const tokens = new Set<number>()
  JSON.stringify(found, (key, value) => {
    if (key === "token" && typeof value === "number") tokens.add(value)
    return value
  })
  const order = [...tokens].sort((a, b) => a - b)
  return JSON.parse(JSON.stringify(found, (key, value) => key === "token" ? order.indexOf(value) : value))
}

/** What a scenario answers, and what it leaves behind. */
const outcome = <A>(
  layer: Layer.Layer<TaskStore, TaskStoreError>,
  scenario: (store: Store) => Effect.Effect<A, TaskStoreError, Scope.Scope>
) =>
  Effect.scoped(Effect.gen(function*() {
    const store = Context.get(yield* Layer.build(Layer.fresh(layer)), TaskStore)
    return { answer: yield* scenario(store), ...(yield* contents(store)) }
  }))

const alike = <A>(
  name: string,
  scenario: (store: Store) => Effect.Effect<A, TaskStoreError, Scope.Scope>,
  expected: (answer: A) => void
) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      const found = yield* outcome(SqliteTaskStore.layer({ filename: ":memory:" }), scenario)
      expected(found.answer)
      assert.deepStrictEqual(ranked(found), ranked(yield* outcome(MemoryTaskStore.layer, scenario)))
    }))

const tags = (answers: ReadonlyArray<Committed>) => answers.map(({ _tag }) => _tag)

describe("tasks that are due", () => {
  const texts = (i: 0 | 1): Partial<NewTask> => ({
    tag: `Mail${i}`,
    name: `Mail ${i}`,
    trigger: `{"v":1,"_tag":"Never","note":${i}}`,
    policy: `{"v":1,"note":${i}}`,
    executor: `executor ${i}`,
    labels: `{"of":"${i}"}`,
    ranges: `{"v":1,"ranges":[],"note":${i}}`
  })

  alike("are read with their own texts, whichever the one read before had", (store) =>
    Effect.gen(function*() {
      // Each of the texts is that of the task before, of the one after, of both and of neither.
      const fields = Object.keys(texts(0)) as ReadonlyArray<keyof NewTask>
      const mixed = (k: number): Partial<NewTask> => ({
        ...Object.fromEntries(fields.map((field, bit) => [field, texts((k >> (bit % 5)) & 1 ? 1 : 0)[field]])),
        payload: `{"n":${k}}`,
        display: k % 3 === 0 ? `{"n":"<masked>"}` : `{"n":${k}}`
      })
      yield* store.insert(Array.from({ length: 32 }, (_, k) => newTask(`t${k}`, { due: epoch - 32 + k, ...mixed(k) })))
      const read: Array<ReadonlyArray<TaskRow>> = []
      for (const now of [epoch - 32, epoch - 31, epoch - 20, epoch - 5, epoch]) read.push(yield* due(store, now))
      return read
    }), (read) => {
    assert.deepStrictEqual(read.map((rows) => rows.length), [1, 2, 13, 28, 32])
  })
})

describe("evaluations of tasks that were read just before", () => {
  alike("leave runs with a concurrency key to claims, and their ends make room", (store) =>
    Effect.gen(function*() {
      yield* store.insert(Array.from({ length: 3 }, (_, i) =>
        newTask(`t${i}`, { due: epoch - 3 + i, concurrencyKey: "k", concurrencyLimit: 1 })))
      const begun = claimed(
        yield* store.commit((yield* due(store)).map((row) =>
          evaluation(row)
        ))
      ).length
      const order: Array<string> = []
      for (let i = 0; i < 3; i++) {
        const { runs } = yield* store.claim({
          now: epoch,
          lease: lease("me"),
          slots: [slot],
          limit: 10,
          reader: "r"
        })
        order.push(runs.map(({ run }) => run.taskId).join())
        yield* store.settle(runs.map(({ run }) => end(run)), { keep: 10 })
      }
      return { begun, order }
    }), ({ begun, order }) => {
    assert.strictEqual(begun, 0)
    assert.deepStrictEqual(order, ["t0", "t1", "t2"])
  })

  for (const count of [3, 40]) {
    alike(`move on and have their runs, ${count} at once`, (store) =>
      Effect.gen(function*() {
        yield* filled(store, count)
        return yield* store.commit((yield* due(store)).map((row) => evaluation(row)))
      }), (answers) => {
      assert.strictEqual(claimed(answers).length, count)
    })

    alike(`each where it stands, ${count} at once`, (store) =>
      Effect.gen(function*() {
        yield* filled(store, count)
        const rows = yield* due(store)
        const some = rows.filter((_, i) => i % 3 === 0)
        yield* store.commit(some.map((row) => change(row, { set: { failures: 2 } })))
        return yield* store.commit(
          (yield* due(store)).map((row, i) =>
            evaluation(row, {
              set: { cursor: epoch + i, due: epoch + i + 1, ...i % 2 === 0 ? { nominal: epoch + i } : {} }
            })
          )
        )
      }), (answers) => {
      assert.strictEqual(claimed(answers).length, count)
      assert.sameMembers(answers.map((answer) => answer._tag === "Committed" ? answer.revision : 0).slice(0, 2), [2, 3])
    })

    alike(
      `one that has changed since is a conflict, the others are committed, ${count} at once`,
      (store) =>
        Effect.gen(function*() {
          yield* filled(store, count)
          const rows = yield* due(store)
          yield* store.commit([change(rows[1]!, { set: { failures: 2 } })])
          return yield* store.commit(rows.map((row) => evaluation(row)))
        }),
      (answers) => {
        assert.deepStrictEqual(
          tags(answers),
          Array.from({ length: count }, (_, i) => i === 1 ? "Conflict" : "Committed")
        )
      }
    )
  }

  alike("of differing revisions, one that has changed since is a conflict", (store) =>
    Effect.gen(function*() {
      yield* filled(store, 3)
      const first = yield* due(store)
      yield* store.commit([change(first[0]!, { set: { failures: 1 } })])
      const rows = yield* due(store)
      yield* store.commit([change(rows[1]!, { set: { failures: 2 } })])
      return yield* store.commit(rows.map((row) => evaluation(row)))
    }), (answers) => {
    assert.deepStrictEqual(tags(answers), ["Committed", "Conflict", "Committed"])
  })

  alike("one that was removed since is a conflict", (store) =>
    Effect.gen(function*() {
      yield* filled(store, 3)
      const rows = yield* due(store)
      yield* store.commit([change(rows[2]!, { set: "remove" })])
      return yield* store.commit(rows.map((row) => evaluation(row)))
    }), (answers) => {
    assert.deepStrictEqual(tags(answers), ["Committed", "Committed", "Conflict"])
  })

  alike("two changes of one task come one after the other", (store) =>
    Effect.gen(function*() {
      yield* filled(store, 2)
      const [row] = yield* due(store)
      return yield* store.commit([
        evaluation(row!),
        evaluation(row!),
        evaluation(row!, { revision: 2, runs: [{ _tag: "Create", run: newRun("2"), claim: lease("me") }] })
      ])
    }), (answers) => {
    assert.deepStrictEqual(tags(answers), ["Committed", "Conflict", "Committed"])
  })

  alike("a run whose key is open already is not created again", (store) =>
    Effect.gen(function*() {
      yield* filled(store, 3)
      const rows = yield* due(store)
      const runs = [{ _tag: "Create", run: newRun("1"), claim: lease("other") }] as const
      yield* store.commit([change(rows[1]!, { runs })])
      return yield* store.commit((yield* due(store)).map((row) => evaluation(row)))
    }), (answers) => {
    assert.deepStrictEqual(claimed(answers).map(({ taskId }) => taskId), ["t0", "t2"])
  })

  alike("one that was changed and read elsewhere has its runs as it is now", (store) =>
    Effect.gen(function*() {
      yield* filled(store, 3)
      const rows = yield* due(store)
      yield* store.commit(rows.map((row) => change(row, { set: { tag: "Letter", due: epoch + 5 } })))
      return yield* store.commit((yield* store.get(rows.map(({ id }) => id))).map(({ row }) => evaluation(row)))
    }), (answers) => {
    assert.deepStrictEqual(claimed(answers).map(({ tag }) => tag), ["Letter", "Letter", "Letter"])
  })

  alike("one whose definition changes takes its runs with it", (store) =>
    Effect.gen(function*() {
      yield* filled(store, 3)
      const rows = yield* due(store)
      return yield* store.commit(rows.map((row) => evaluation(row, { set: { due: null, tag: "Letter" } })))
    }), (answers) => {
    assert.deepStrictEqual(claimed(answers).map(({ tag }) => tag), ["Letter", "Letter", "Letter"])
  })

  it.effect("are not read again", () =>
    Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(SqliteTaskStore.layer({ filename: ":memory:" })), TaskStore)
      yield* filled(store, 3)
      const rows = yield* due(store)
      const statements: Array<string> = []
      yield* Effect.provideService(
        store.commit(rows.map((row) => evaluation(row))),
        Statement.CurrentTransformer,
        (statement) =>
          Effect.sync(() => {
            statements.push(statement.compile()[0])
            return statement
          })
      )
      assert.lengthOf(statements.filter((text) => text.includes("punctual_clock")), 1)
      assert.isAtMost(statements.length, 6)
    }))
})

describe("ends of runs", () => {
  /** Runs of so many tasks, each with the number of runs it has had before. */
  const running = Effect.fnUntraced(function*(store: Store, count: number, before: (i: number) => number) {
    yield* filled(store, count)
    const latest: Array<RunRow> = []
    const most = Math.max(...Array.from({ length: count }, (_, i) => before(i)))
    for (let round = 0; round <= most; round++) {
      const rows = (yield* due(store)).filter((_, i) => round <= before(i))
      const runs = claimed(
        yield* store.commit(rows.map((row) =>
          evaluation(row, {
            set: { cursor: epoch + round },
            runs: [{ _tag: "Create", run: newRun(String(round)), claim: lease("me") }]
          })
        ))
      )
      for (const run of runs) latest[run.generation - 1] = run
      const left = runs.filter(({ generation, key }) => Number(key) < before(generation - 1))
      yield* store.settle(left.map((run) => end(run)), { keep: 100 })
    }
    return latest
  })

  alike("are numbered after those of their tasks, and history keeps the newest", (store) =>
    Effect.gen(function*() {
      const runs = yield* running(store, 5, (i) => i)
      return yield* store.settle(runs.map((run, i) => end(run, { now: epoch + i })), { keep: 3 })
    }), (answers) => {
    assert.deepStrictEqual(answers, Array.from({ length: 5 }, () => "Settled"))
  })

  alike("of another's claim, or of none, are stale, and the others end", (store) =>
    Effect.gen(function*() {
      const runs = yield* running(store, 5, () => 0)
      return yield* store.settle([
        end(runs[0]!),
        end({ ...runs[1]!, token: 99 }),
        end(runs[2]!, { owner: "other" }),
        end({ ...runs[3]!, key: "never" }),
        end(runs[4]!)
      ], { keep: 10 })
    }), (answers) => {
    assert.deepStrictEqual(answers, ["Settled", "Stale", "Stale", "Stale", "Settled"])
  })

  alike("of one owner with a wrong token are stale", (store) =>
    Effect.gen(function*() {
      const runs = yield* running(store, 3, () => 0)
      return yield* store.settle([end(runs[0]!), end({ ...runs[1]!, token: 99 }), end(runs[2]!)], { keep: 10 })
    }), (answers) => {
    assert.deepStrictEqual(answers, ["Settled", "Stale", "Settled"])
  })

  alike("said twice are told the same", (store) =>
    Effect.gen(function*() {
      const runs = yield* running(store, 3, () => 0)
      const ends = runs.map((run) => end(run))
      yield* store.settle(ends, { keep: 10 })
      return yield* store.settle(ends, { keep: 10 })
    }), (answers) => {
    assert.deepStrictEqual(answers, ["Settled", "Settled", "Settled"])
  })

  alike("said twice at once are one", (store) =>
    Effect.gen(function*() {
      const runs = yield* running(store, 3, () => 0)
      return yield* store.settle([...runs, runs[1]!].map((run) => end(run)), { keep: 10 })
    }), (answers) => {
    assert.lengthOf(answers.filter((answer) => answer === "Settled"), 4)
  })

  alike("of runs that have gone back to ready change nothing", (store) =>
    Effect.gen(function*() {
      const runs = yield* running(store, 3, () => 0)
      const result = { _tag: "Retry", readyAt: epoch + 1, exit: null } as const
      yield* store.settle(runs.map((run) => end(run, { result })), { keep: 10 })
      return yield* store.settle(runs.map((run) => end(run)), { keep: 10 })
    }), (answers) => {
    assert.deepStrictEqual(answers, ["Settled", "Settled", "Settled"])
  })

  alike("of runs that are somebody else's are stale", (store) =>
    Effect.gen(function*() {
      const runs = yield* running(store, 3, () => 0)
      return yield* store.settle(runs.map((run) => end(run, { owner: "other" })), { keep: 10 })
    }), (answers) => {
    assert.deepStrictEqual(answers, ["Stale", "Stale", "Stale"])
  })

  /** Runs of three tasks, two of each: the second is claimed too, or waits for the first. */
  const pairs = (store: Store, second: "ready" | "waiting") =>
    Effect.gen(function*() {
      yield* filled(store, 3)
      const queues = second === "waiting"
      const slots = queues ? 1 : 2
      return claimed(
        yield* store.commit((yield* due(store)).map((row) =>
          evaluation(row, {
            runs: [
              { _tag: "Create", run: newRun("1", { slots, queues }), claim: lease("me") },
              { _tag: "Create", run: newRun("2", { state: second, slots, queues }), claim: lease("me") }
            ]
          })
        ))
      )
    })

  alike("of one task are numbered in their order", (store) =>
    Effect.gen(function*() {
      const runs = yield* pairs(store, "ready")
      return yield* store.settle(runs.map((run, i) => end(run, { now: epoch + i })), { keep: 10 })
    }), (answers) => {
    assert.lengthOf(answers.filter((answer) => answer === "Settled"), 6)
  })

  alike("make ready what waits for them", (store) =>
    Effect.gen(function*() {
      const runs = yield* pairs(store, "waiting")
      return yield* store.settle(runs.map((run) => end(run)), { keep: 10 })
    }), (answers) => {
    assert.deepStrictEqual(answers, ["Settled", "Settled", "Settled"])
  })

  alike("with a retry among them", (store) =>
    Effect.gen(function*() {
      const runs = yield* pairs(store, "waiting")
      return yield* store.settle([
        end(runs[0]!),
        end(runs[1]!, { result: { _tag: "Retry", readyAt: epoch + 1, exit: null } }),
        end(runs[2]!)
      ], { keep: 10 })
    }), (answers) => {
    assert.deepStrictEqual(answers, ["Settled", "Settled", "Settled"])
  })
})
