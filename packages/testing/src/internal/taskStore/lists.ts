/**
 * Pages of tasks and runs.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import type { TaskQuery, TaskStoreError } from "punctual/TaskStore"
import type { Lab, Test } from "./lab.ts"
import { change, create, newRun, settlement } from "./lab.ts"

/** Reads every page; `between` runs after each. */
const pages = (
  lab: Lab,
  query: Partial<TaskQuery> & Pick<TaskQuery, "limit">,
  between: (page: number) => Effect.Effect<unknown, TaskStoreError> = () => Effect.void
) =>
  Effect.gen(function*() {
    const rows: Array<TaskRow> = []
    let after: string | undefined
    for (let n = 0; n < 1000; n++) {
      const page = yield* lab.store.list({ tag: lab.tag, sort: "id", descending: false, ...query, after })
      assert.isAtMost(page.items.length, query.limit)
      rows.push(...page.items)
      if (page.next === null) return rows
      after = page.next
      yield* between(n)
    }
    return assert.fail("the pages have no end")
  })

export const lists = (test: Test): void => {
  const shortly = (lab: Lab, rows: ReadonlyArray<TaskRow>) => rows.map((row) => row.id.slice(lab.id("").length))

  test("I11: pages continue where the last one ended, whatever is added and removed meanwhile", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const names = Array.from({ length: 10 }, (_, i) => `m${i}`)
      for (const sort of ["id", "due", "created"] as const) {
        for (const descending of [false, true]) {
          for (const [i, name] of names.entries()) {
            yield* lab.add(name, { due: now + i * 10, createdAt: now + i * 10 })
          }
          const extra = (n: number) =>
            Effect.gen(function*() {
              yield* lab.add(`a${n}`, { due: now - n - 1, createdAt: now - n - 1 })
              yield* lab.add(`z${n}`, { due: now + 1000 + n, createdAt: now + 1000 + n })
              // One that was read, and the one read last: the place stays.
              const gone = descending ? 9 - (n * 3 + 2) : n * 3 + 2
              if (gone >= 0 && gone < 10) yield* lab.commit(`m${gone}`, "remove")
            })
          const rows = yield* pages(lab, { sort, descending, limit: 3 }, extra)
          const seen = shortly(lab, rows)
          assert.strictEqual(new Set(seen).size, seen.length, `${sort}: twice`)
          assert.deepStrictEqual(
            seen.filter((name) => name.startsWith("m")),
            descending ? names.toReversed() : names,
            `${sort} ${descending ? "descending" : "ascending"}`
          )
          for (const row of yield* pages(lab, { limit: 100 })) yield* lab.store.commit([change(row, now, "remove")])
        }
      }
    }))

  test("I11: a cursor that is not of the list is Invalid, and trying again does not help", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      yield* lab.add("b")
      const list = (sort: TaskQuery["sort"], after?: string) =>
        lab.store.list({ tag: lab.tag, sort, descending: false, limit: 1, after })
      const runs = (after?: string) => lab.store.runs({ tag: lab.tag, limit: 1, after })
      const byId = (yield* list("id")).next!
      const byDue = (yield* list("due")).next!
      const ofRuns = (yield* runs()).next!
      yield* list("id", byId)
      yield* list("due", byDue)
      yield* runs(ofRuns)
      const refused: ReadonlyArray<Effect.Effect<unknown, TaskStoreError>> = [
        list("id", byDue),
        list("id", ofRuns),
        list("due", byId),
        list("created", ofRuns),
        list("id", "no JSON"),
        list("due", "{}"),
        runs(byId),
        runs(byDue),
        runs("")
      ]
      for (const [i, read] of refused.entries()) {
        const answer = yield* Effect.match(read, {
          onFailure: ({ reason, retryable }) => ({ reason, retryable }),
          onSuccess: () => "a page"
        })
        assert.deepStrictEqual(answer, { reason: "Invalid", retryable: false }, `read ${i}`)
      }
    }))

  test("I11: a page that ends with the list has no next", (lab) =>
    Effect.gen(function*() {
      yield* lab.store.insert(["a", "b", "c", "d"].map((name) => lab.task(name)))
      const read = (limit: number, after?: string) =>
        lab.store.list({ tag: lab.tag, sort: "id", descending: false, limit, after })
      assert.strictEqual((yield* read(5)).next, null)
      const first = yield* read(2)
      assert.deepStrictEqual(shortly(lab, first.items), ["a", "b"])
      const second = yield* read(2, first.next!)
      assert.deepStrictEqual(shortly(lab, second.items), ["c", "d"])
      if (second.next !== null) {
        const third = yield* read(2, second.next)
        assert.deepStrictEqual(third, { items: [], next: null })
      }
    }))

  test("I11: sorts by id, due and created, both ways; equal instants and none at all lose nobody", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tasks: ReadonlyArray<readonly [string, number | null, number]> = [
        ["a", now + 30, now + 2],
        ["b", null, now + 3],
        ["c", now + 10, now + 1],
        ["d", now + 20, now + 5],
        ["e", null, now + 4]
      ]
      for (const [name, due, createdAt] of tasks) yield* lab.add(name, { due, createdAt })
      const read = (sort: TaskQuery["sort"], descending: boolean, limit = 2) =>
        Effect.map(pages(lab, { sort, descending, limit }), (rows) => shortly(lab, rows))
      assert.deepStrictEqual(yield* read("id", false), ["a", "b", "c", "d", "e"])
      assert.deepStrictEqual(yield* read("id", true), ["e", "d", "c", "b", "a"])
      assert.deepStrictEqual(yield* read("created", false), ["c", "a", "b", "e", "d"])
      assert.deepStrictEqual(yield* read("created", true), ["d", "e", "b", "a", "c"])
      const due = yield* read("due", false)
      assert.deepStrictEqual([due.slice(0, 3), due.slice(3).sort()], [["c", "d", "a"], ["b", "e"]])
      const last = yield* read("due", true)
      assert.deepStrictEqual([last.slice(0, 2).sort(), last.slice(2)], [["b", "e"], ["a", "d", "c"]])
      for (let i = 0; i < 7; i++) yield* lab.add(`same${i}`, { due: now + 20, createdAt: now + 3 })
      for (const sort of ["id", "due", "created"] as const) {
        for (const descending of [false, true]) {
          for (const limit of [1, 3, 100]) {
            const names = yield* read(sort, descending, limit)
            assert.strictEqual(names.length, 12, `${sort} ${descending} ${limit}`)
            assert.strictEqual(new Set(names).size, 12, `${sort} ${descending} ${limit}`)
          }
        }
      }
    }))

  test("I11: ids sort by code unit, not by a language", (lab) =>
    Effect.gen(function*() {
      const names = ["B", "a", "A", "b", "-", "_", "1", "10", "2"]
      yield* lab.store.insert(names.map((name) => lab.task(name)))
      assert.deepStrictEqual(shortly(lab, yield* pages(lab, { limit: 4 })), names.toSorted())
    }))

  test("I11: filters, each alone and together", (lab) =>
    Effect.gen(function*() {
      const owner = `${lab.slug}-owner`
      yield* lab.store.insert([
        lab.task("plain"),
        lab.task("paused", { state: "paused", labels: "{\"team\":\"billing\",\"env\":\"prod\"}" }),
        lab.task("owned", { owner, labels: "{\"team\":\"billing\"}" }),
        lab.task("started", { onStartup: true, state: "onStartup", name: "Warm UP Caches" }),
        lab.task("stopped", { onShutdown: true, state: "onShutdown", owner }),
        lab.task("Both", { onStartup: true, onShutdown: true, labels: "{\"te\":\"am\",\"env\":\"prod\"}" }),
        lab.task("foreign", { tag: `${lab.tag}.other`, owner })
      ])
      const read = (query: Partial<TaskQuery>) =>
        Effect.map(
          lab.store.list({ sort: "id", descending: false, limit: 10_000, ...query }),
          ({ items }) => items.filter((row) => lab.own(row.id)).map((row) => row.id.slice(lab.id("").length))
        )
      const tag = lab.tag
      assert.deepStrictEqual(yield* read({ tag }), ["Both", "owned", "paused", "plain", "started", "stopped"])
      assert.deepStrictEqual(yield* read({ tag: `${tag}.other` }), ["foreign"])
      assert.deepStrictEqual(yield* read({ state: "paused" }), ["paused"])
      assert.deepStrictEqual(yield* read({ tag, state: "scheduled" }), ["Both", "owned", "plain"])
      assert.deepStrictEqual(yield* read({ owner }), ["foreign", "owned", "stopped"])
      assert.deepStrictEqual(yield* read({ event: "startup" }), ["Both", "started"])
      assert.deepStrictEqual(yield* read({ event: "shutdown" }), ["Both", "stopped"])
      assert.deepStrictEqual(yield* read({ labels: { team: "billing" } }), ["owned", "paused"])
      assert.deepStrictEqual(yield* read({ labels: { team: "billing", env: "prod" } }), ["paused"])
      assert.deepStrictEqual(yield* read({ labels: { team: "bill" } }), [])
      assert.deepStrictEqual(yield* read({ tag, labels: {} }), [
        "Both",
        "owned",
        "paused",
        "plain",
        "started",
        "stopped"
      ])
      assert.deepStrictEqual(yield* read({ search: "warm up" }), ["started"])
      assert.deepStrictEqual(yield* read({ search: lab.id("b").toUpperCase() }), ["Both"])
      assert.deepStrictEqual(yield* read({ search: "%" }), [], "a search is no pattern")
      assert.deepStrictEqual(yield* read({ search: "started_" }), [], "a search is no pattern")
      const ids = ["plain", "nobody", "foreign", "Both"].map((name) => lab.id(name))
      assert.deepStrictEqual(yield* read({ ids }), ["Both", "foreign", "plain"])
      assert.deepStrictEqual(yield* read({ ids: [] }), [])
      assert.deepStrictEqual(yield* read({ ids, tag, descending: true }), ["plain", "Both"])
      assert.deepStrictEqual(yield* read({ tag, owner, event: "shutdown", state: "onShutdown" }), ["stopped"])
      assert.deepStrictEqual(yield* read({ tag, owner, event: "startup" }), [])
      const events = yield* pages(lab, { event: "startup", limit: 1 })
      assert.deepStrictEqual(shortly(lab, events), ["Both", "started"])
    }))

  test("I11: filters follow a commit", (lab) =>
    Effect.gen(function*() {
      yield* lab.add("a")
      const read = (query: Partial<TaskQuery>) => Effect.map(pages(lab, { ...query, limit: 10 }), (rows) => rows.length)
      const queries: ReadonlyArray<Partial<TaskQuery>> = [
        { event: "startup" },
        { owner: "somebody" },
        { state: "finished" },
        { labels: { a: "b" } },
        { search: "renamed" }
      ]
      for (const query of queries) assert.strictEqual(yield* read(query), 0)
      yield* lab.commit("a", {
        onStartup: true,
        owner: "somebody",
        state: "finished",
        labels: "{\"a\":\"b\"}",
        name: "renamed"
      })
      for (const query of queries) assert.strictEqual(yield* read(query), 1)
      yield* lab.commit("a", { onStartup: false, owner: null, state: "scheduled", labels: "{}", name: "a" })
      for (const query of queries) assert.strictEqual(yield* read(query), 0)
    }))

  test("I11: runs lists open runs and history, newest first, by task, state, tag, key and generation", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.addReady("a", Array.from({ length: 6 }, (_, i) => newRun(now + i)))
      yield* lab.addReady("b", [newRun(now + 10), newRun(now + 20, { state: "waiting" })])
      const claimed = yield* lab.claim({ now: now + 5 })
      yield* lab.settle(settlement(claimed[1]!.run, now + 5))
      yield* lab.settle(settlement(claimed[4]!.run, now + 5, { _tag: "End", state: "failed", exit: null }))
      const dues = (query: Parameters<typeof lab.runs>[0]) =>
        Effect.map(lab.runs(query), (runs) => runs.map((run) => run.due - now))
      assert.deepStrictEqual(yield* dues({ name: "a" }), [5, 4, 3, 2, 1, 0])
      assert.deepStrictEqual(yield* dues({ name: "b" }), [20, 10])
      assert.deepStrictEqual(yield* dues({}), [20, 10, 5, 4, 3, 2, 1, 0])
      assert.deepStrictEqual(yield* dues({ state: "running" }), [5, 3, 2, 0])
      assert.deepStrictEqual(yield* dues({ state: "ready" }), [10])
      assert.deepStrictEqual(yield* dues({ state: "waiting" }), [20])
      assert.deepStrictEqual(yield* dues({ name: "a", state: "failed" }), [4])
      assert.deepStrictEqual(yield* dues({ name: "a", key: String(now + 1) }), [1])
      assert.deepStrictEqual(yield* dues({ generation: row.generation, state: "succeeded" }), [1])
      assert.deepStrictEqual((yield* lab.store.runs({ taskId: lab.id("nobody"), limit: 10 })).items, [])
    }))

  test("I11: runs are paged by cursor, whatever is added meanwhile", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const runs = Array.from({ length: 10 }, (_, i) => newRun(now + i))
      yield* lab.addReady("a", runs)
      // Of one instant with the others, in a task of its own.
      yield* lab.addReady("b", [newRun(now + 4), newRun(now + 5)])
      for (const { run } of yield* lab.claim({ now: now + 3 })) yield* lab.settle(settlement(run, now + 3))
      for (const query of [{ tag: lab.tag }, { taskId: lab.id("a") }]) {
        const seen: Array<RunRow> = []
        let after: string | undefined
        for (let n = 0; n < 100; n++) {
          const page = yield* lab.store.runs({ ...query, limit: 3, after })
          seen.push(...page.items)
          if (page.next === null) break
          after = page.next
          yield* lab.commit("a", {}, [create(newRun(now + 1000 + n, { key: `x:${query.tag}${n}` }))])
        }
        const due = seen.map((run) => run.due - now).filter((due) => due < 1000)
        assert.deepStrictEqual(
          due,
          query.tag === undefined ? [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] : [
            9,
            8,
            7,
            6,
            5,
            5,
            4,
            4,
            3,
            2,
            1,
            0
          ]
        )
        assert.strictEqual(new Set(seen.map((run) => `${run.generation} ${run.key}`)).size, seen.length)
      }
    }))
}
