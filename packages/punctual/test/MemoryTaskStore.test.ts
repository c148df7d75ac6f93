/**
 * What is the memory store's own. What every store promises is in the suite, which runs in `packages/testing`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { SortedList } from "../src/internal/memorySorted.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import { noCounters } from "../src/TaskRecord.ts"
import type { NewTask } from "../src/TaskStore.ts"
import { TaskStore } from "../src/TaskStore.ts"

const now = 1_700_000_000_000

const task = (id: string, fields: Partial<NewTask> = {}): NewTask => ({
  id,
  tag: "Digest",
  version: 1,
  name: "Digest",
  payload: "{}",
  display: "{}",
  trigger: "{}",
  anchor: now,
  onStartup: false,
  onShutdown: false,
  policy: "{}",
  executor: "default",
  priority: 0,
  concurrencyKey: null,
  concurrencyLimit: 1,
  labels: "{}",
  owner: null,
  declared: null,
  trace: null,
  createdAt: now,
  updatedAt: now,
  state: "scheduled",
  cursor: now - 1,
  due: now,
  nominal: now,
  override: null,
  epoch: now - 1,
  counters: noCounters,
  ranges: "[]",
  pausedAt: null,
  pauseNote: null,
  zoneRules: null,
  failures: 0,
  ...fields
})

const run = (due: number) => ({
  key: String(due),
  due,
  nominal: due,
  state: "ready" as const,
  readyAt: due,
  slots: 1,
  queues: false,
  atMostOnce: false
})

const all = { sort: "id", descending: false, limit: 1_000_000 } as const

describe("MemoryTaskStore", () => {
  it.effect("each build is a store of its own", () =>
    Effect.gen(function*() {
      const one = Context.get(yield* Layer.build(MemoryTaskStore.layer), TaskStore)
      const two = Context.get(yield* Layer.build(Layer.fresh(MemoryTaskStore.layer)), TaskStore)
      const three = yield* MemoryTaskStore.make
      yield* one.insert([task("a")])
      assert.deepStrictEqual([yield* two.list(all), yield* three.list(all)], [
        { items: [], next: null },
        { items: [], next: null }
      ])
      assert.strictEqual(one.capabilities, MemoryTaskStore.capabilities)
    }))

  it.effect("a cursor that is none of its own is refused with what to do", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* store.insert([task("a"), task("b")])
      const { next } = yield* store.list({ ...all, limit: 1 })
      for (const after of ["", "nonsense", "{}", "null", next!.slice(1)]) {
        const ofList = yield* Effect.flip(store.list({ ...all, after }))
        assert.strictEqual(ofList.operation, "list")
        assert.include(ofList.message, "`next`")
        assert.strictEqual((yield* Effect.flip(store.runs({ limit: 1, after }))).operation, "runs")
      }
    }))

  it.effect("a listener may call the store", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      const seen: Array<number> = []
      yield* store.listen(() => {
        const { tasks } = Effect.runSync(store.due({ now, limit: 10, reader: "r", zoneRules: "2026a" }))
        seen.push(tasks.length)
        if (tasks.length < 3) Effect.runSync(store.insert([task(`more-${tasks.length}`, { due: now - tasks.length })]))
      })
      yield* store.insert([task("a")])
      assert.deepStrictEqual(seen, [1, 2, 3])
    }))

  it.effect("labels that are no JSON have no labels, and fail nobody's list", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* store.insert([
        task("a", { labels: "not JSON" }),
        task("b", { labels: "[1]" }),
        task("c", { labels: "null" }),
        task("d", { labels: "{\"x\":\"y\"}" })
      ])
      const { items } = yield* store.list({ ...all, labels: { x: "y" } })
      assert.deepStrictEqual(items.map((row) => row.id), ["d"])
    }))

  it.effect("a task with many open runs finds each of them", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      const runs = Array.from({ length: 1000 }, (_, i) => run(now + i))
      yield* store.insert([task("a", { runs })])
      const lease = { owner: "o", until: now + 30_000 }
      const slots = [{ executor: "default", tag: "Digest", version: 1, limit: 10_000 }]
      const claimed = yield* store.claim({ now: now + 5000, lease, slots, limit: 10_000, reader: "r" })
      const settled = yield* store.settle(
        claimed.runs.toReversed().map(({ run }) => ({
          generation: run.generation,
          key: run.key,
          token: run.token!,
          owner: "o",
          now,
          result: { _tag: "End", state: "succeeded", exit: null }
        })),
        { keep: 10 }
      )
      assert.strictEqual(settled.filter((answer) => answer === "Settled").length, 1000)
      const [found] = yield* store.get(["a"])
      assert.deepStrictEqual(found?.open, [])
      const { items } = yield* store.runs({ taskId: "a", limit: 100 })
      assert.deepStrictEqual(items.map((run) => run.due - now), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    }))

  it.effect("lists read before and after the indexes exist agree", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      const names = (sort: "id" | "due" | "created") =>
        Effect.map(store.list({ ...all, sort }), ({ items }) => items.map((row) => row.id))
      const add = (from: number) =>
        store.insert(
          Array.from({ length: 600 }, (_, i) => {
            const n = (i * 7919 + from) % 600 + from
            return task(String(n).padStart(4, "0"), { due: n % 3 === 0 ? null : now + n, createdAt: now + n })
          })
        )
      yield* add(0)
      for (const sort of ["id", "due", "created"] as const) yield* names(sort)
      yield* add(600)
      const fresh = yield* MemoryTaskStore.make
      yield* fresh.insert((yield* store.list(all)).items)
      for (const sort of ["id", "due", "created"] as const) {
        const { items } = yield* fresh.list({ ...all, sort })
        assert.deepStrictEqual(new Set(yield* names(sort)), new Set(items.map((row) => row.id)))
        if (sort !== "due") assert.deepStrictEqual(yield* names(sort), items.map((row) => row.id))
      }
    }))
})

describe("SortedList", () => {
  const Member = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4000 }))
  const compare = (self: number, that: number) => self - that

  /** Everything a cursor has. */
  const rest = (cursor: { readonly next: () => number | undefined }) => {
    const members: Array<number> = []
    for (let a = cursor.next(); a !== undefined; a = cursor.next()) members.push(a)
    return members
  }

  it.prop(
    "is a sorted array, whatever is added and removed",
    [Arbitrary.array(Arbitrary.schema(Member), { maxLength: 3000 }), Member, Schema.Boolean],
    ([toggled, place, ascending]) => {
      const list = new SortedList<number>(compare)
      const set = new Set<number>()
      for (const n of ascending ? toggled.toSorted(compare) : toggled) {
        if (set.delete(n)) list.remove(n)
        else {
          set.add(n)
          list.add(n)
        }
      }
      list.remove(-1)
      list.remove(5000)
      const members = [...set].sort(compare)
      assert.strictEqual(list.size, members.length)
      assert.strictEqual(list.first(), members[0])
      assert.deepStrictEqual(rest(list.up()), members)
      assert.deepStrictEqual(rest(list.down()), members.toReversed())
      assert.deepStrictEqual(rest(list.from((n) => n < place)), members.filter((n) => n >= place))
      assert.deepStrictEqual(rest(list.downFrom((n) => n < place)), members.filter((n) => n < place).reverse())
      assert.strictEqual(list.firstFrom((n) => n <= place), members.find((n) => n > place))
      assert.isTrue(list.chunks.every((chunk) => chunk.length > 0 && chunk.length <= 256))
      for (const n of members) list.remove(n)
      assert.deepStrictEqual([list.size, list.first(), list.chunks.length], [0, undefined, 0])
    },
    { arbitrary: { size: 3000, runs: 50 } }
  )

  it("starts from members in any order", () => {
    const members = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1000)
    const list = new SortedList<number>(compare, members)
    assert.deepStrictEqual(rest(list.up()), members.toSorted(compare))
  })
})
