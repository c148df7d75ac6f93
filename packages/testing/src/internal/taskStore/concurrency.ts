/**
 * Many fibers at one store: sums are exact, nothing happens twice.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isOpen, noCounters } from "punctual/TaskRecord"
import type { Test } from "./lab.ts"
import { change, create, newRun, settlement } from "./lab.ts"

export const concurrency = (test: Test): void => {
  test("many workers at once: no run is claimed twice, every run settles once", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tasks = 20
      const each = 25
      for (let t = 0; t < tasks; t++) {
        yield* lab.addReady(`t${t}`, Array.from({ length: each }, (_, i) => newRun(now + i)))
      }
      const seen = new Map<string, number>()
      const owned = new Set<number>()
      let settled = 0
      const worker = (n: number) =>
        Effect.gen(function*() {
          const owner = `${lab.slug}@${n}`
          while (true) {
            const claimed = yield* lab.claim({ now: now + 99, owner, limit: 3 })
            if (claimed.length === 0) return
            for (const { run } of claimed) {
              assert.strictEqual(run.owner, owner)
              assert.isFalse(owned.has(run.token!), "a token is given once")
              owned.add(run.token!)
              const name = `${run.taskId} ${run.key}`
              seen.set(name, (seen.get(name) ?? 0) + 1)
            }
            yield* Effect.yieldNow
            const answers = yield* lab.store.settle(claimed.map(({ run }) => settlement(run, now + 99)), { keep: 1000 })
            settled += answers.filter((answer) => answer === "Settled").length
          }
        })
      yield* Effect.forEach(Array.from({ length: 8 }, (_, n) => n), worker, { concurrency: "unbounded" })
      assert.strictEqual(seen.size, tasks * each)
      assert.isTrue([...seen.values()].every((times) => times === 1))
      assert.strictEqual(settled, tasks * each)
      const runs = yield* lab.runs()
      assert.strictEqual(runs.filter((run) => run.state === "succeeded").length, tasks * each)
    }))

  test("many commits at once, each planned again after a conflict: the sum is exact", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a")
      let conflicts = 0
      const increment = (key: string) =>
        Effect.gen(function*() {
          while (true) {
            const row = yield* lab.row("a")
            yield* Effect.yieldNow
            const counters = { ...row.counters, ran: row.counters.ran + 1 }
            const [committed] = yield* lab.store.commit([
              change(row, now, { counters }, [create(newRun(now, { key, state: "waiting" }))])
            ])
            if (committed!._tag === "Committed") return
            conflicts++
          }
        })
      const workers = Array.from({ length: 10 }, (_, n) => n)
      yield* Effect.forEach(
        workers,
        (n) => Effect.forEach(Array.from({ length: 10 }, (_, i) => i), (i) => increment(`x:${n}.${i}`)),
        { concurrency: "unbounded" }
      )
      const found = yield* lab.get("a")
      assert.deepStrictEqual(found?.row.counters, { ...noCounters, ran: 100 })
      assert.strictEqual(found?.row.revision, 101)
      assert.strictEqual(found?.open.length, 100)
      assert.isAbove(conflicts, 0)
    }))

  test("many settle a queue at once: never more than slots are active, and all run", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const slots = 2
      yield* lab.addReady(
        "a",
        Array.from(
          { length: 30 },
          (_, i) => newRun(now + i, { queues: true, slots, state: i < slots ? "ready" : "waiting" })
        )
      )
      let ran = 0
      let most = 0
      const worker = Effect.gen(function*() {
        for (let idle = 0; idle < 20;) {
          const claimed = yield* lab.claim({ now: now + 99, limit: 1 })
          const open = Object.values(yield* lab.states("a"))
          most = Math.max(most, open.filter((state) => state !== "waiting").length)
          if (open.length === 0) return
          if (claimed.length === 0) {
            idle++
            yield* Effect.yieldNow
            continue
          }
          idle = 0
          ran++
          yield* Effect.yieldNow
          yield* lab.settle(settlement(claimed[0]!.run, now + 99))
        }
      })
      yield* Effect.all(Array.from({ length: 5 }, () => worker), { concurrency: "unbounded" })
      assert.strictEqual(ran, 30)
      assert.strictEqual(most, slots)
      assert.isTrue((yield* lab.runs({ name: "a" })).every((run) => !isOpen(run.state)))
    }))

  test("workers and takeovers at once: each run settles once, whoever loses it is told", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const count = 60
      yield* lab.addReady("a", Array.from({ length: count }, (_, i) => newRun(now + i)))
      const accepted = new Map<string, number>()
      let refused = 0
      const worker = (n: number) =>
        Effect.gen(function*() {
          for (let turn = 0; turn < 200; turn++) {
            const claimed = yield* lab.claim({ now: now + 99, owner: `${lab.slug}@${n}`, until: now + 100, limit: 4 })
            yield* Effect.yieldNow
            // Every third batch loses its leases before it settles.
            if (turn % 3 === 0) yield* lab.takeover(now + 100, { maxTakeovers: 1000 })
            const answers = yield* lab.store.settle(claimed.map(({ run }) => settlement(run, now + 99)), { keep: 1000 })
            for (const [i, answer] of answers.entries()) {
              const { key } = claimed[i]!.run
              if (answer === "Settled") accepted.set(key, (accepted.get(key) ?? 0) + 1)
              else refused++
            }
            if (accepted.size === count) return
          }
        })
      yield* Effect.forEach([0, 1, 2, 3], worker, { concurrency: "unbounded" })
      assert.strictEqual(accepted.size, count)
      assert.isTrue([...accepted.values()].every((times) => times === 1))
      assert.isAbove(refused, 0)
      const history = yield* lab.history("a")
      assert.strictEqual(history.length, count)
      assert.isTrue(history.every((run) => run.state === "succeeded" && run.token !== null))
    }))
}
