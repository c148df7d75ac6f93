/**
 * Claiming, starting and extending runs.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Claimed } from "punctual/TaskStore"
import type { Test } from "./lab.ts"
import { create, keys, newRun, ref, settlement } from "./lab.ts"

export const claims = (test: Test): void => {
  test("a claim gives token, lease, attempt and the task as of now", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      yield* lab.commit("a", { payload: "[\"new\"]" })
      const { run, task } = (yield* lab.claim({ now: now + 1, until: now + 500 }))[0]!
      assert.deepStrictEqual([run.state, run.owner, run.leaseUntil, run.attempt, run.startedAt], [
        "running",
        lab.owner,
        now + 500,
        1,
        now + 1
      ])
      assert.isAbove(run.token!, 0)
      assert.deepStrictEqual((yield* lab.open("a"))[now], run)
      assert.deepStrictEqual(task, yield* lab.row("a"))
      assert.strictEqual(task.payload, "[\"new\"]")
      assert.strictEqual(task.revision, 2, "a claim leaves the row alone")
      assert.deepStrictEqual(yield* lab.claim({ now: now + 1, owner: "other" }), [])
    }))

  test("claims go by priority, then due, over all tasks of the tag", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("low", [newRun(now), newRun(now + 1)], { priority: -1 })
      yield* lab.addReady("high", [newRun(now + 6), newRun(now + 2)], { priority: 10 })
      yield* lab.addReady("mid", [newRun(now + 5)])
      yield* lab.addReady("mid2", [newRun(now + 4), newRun(now + 7)])
      const order = [now + 2, now + 6, now + 4, now + 5, now + 7, now, now + 1].map(String)
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, limit: 3 })), order.slice(0, 3))
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9 })), order.slice(3))
    }))

  test("order is kept over versions of one tag", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("v1", [newRun(now), newRun(now + 3)], { version: 1 })
      yield* lab.addReady("v2", [newRun(now + 1), newRun(now + 4)], { version: 2 })
      yield* lab.addReady("v3", [newRun(now + 2)], { version: 3 })
      const slots = [lab.slot({ version: 3 })]
      assert.deepStrictEqual(
        keys(yield* lab.claim({ now: now + 9, slots })),
        [now, now + 1, now + 2, now + 3, now + 4].map(String)
      )
    }))

  test("a claim takes payload versions up to its own", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const version of [1, 2, 3]) yield* lab.addReady(`v${version}`, [newRun(now + version)], { version })
      const claim = (version: number) => lab.claim({ now: now + 9, slots: [lab.slot({ version })] })
      assert.deepStrictEqual(keys(yield* claim(0)), [])
      assert.deepStrictEqual(keys(yield* claim(2)), [now + 1, now + 2].map(String))
      assert.deepStrictEqual(keys(yield* claim(3)), [String(now + 3)])
    }))

  test("a claim takes only runs of its executor and tag", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now)], { executor: "threads" })
      yield* lab.addReady("b", [newRun(now + 1)], { tag: `${lab.tag}.b` })
      yield* lab.addReady("c", [newRun(now + 2)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9 })), [String(now + 2)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, slots: [lab.slot({ executor: "threads" })] })), [
        String(now)
      ])
    }))

  test("claims go round robin over slots; what one leaves, others take", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tags = [`${lab.tag}.x`, `${lab.tag}.y`, `${lab.tag}.z`] as const
      const runs = (from: number, count: number) => Array.from({ length: count }, (_, i) => newRun(now + from + i))
      yield* lab.addReady("x", runs(0, 10), { tag: tags[0], priority: 5 })
      yield* lab.addReady("y", runs(100, 10), { tag: tags[1] })
      yield* lab.addReady("z", runs(200, 1), { tag: tags[2] })
      const slots = tags.map((tag) => lab.slot({ tag, limit: 6 }))
      const count = (claimed: ReadonlyArray<Claimed>) =>
        tags.map((tag) => claimed.filter(({ run }) => run.tag === tag).length)
      const first = yield* lab.claim({ now: now + 999, slots, limit: 4 })
      assert.deepStrictEqual(count(first).toSorted((self, that) => that - self), [2, 1, 1], "an equal share for each")
      const second = yield* lab.claim({ now: now + 999, slots, limit: 100 })
      assert.deepStrictEqual(count(second), [6, 6, count(first)[2] === 1 ? 0 : 1], "at most the slot's limit")
      const third = yield* lab.claim({ now: now + 999, slots, limit: 100 })
      assert.strictEqual(first.length + second.length + third.length, 21)
      for (const claimed of [first, second, third]) {
        for (const tag of tags) {
          const due = claimed.filter(({ run }) => run.tag === tag).map(({ run }) => run.due)
          assert.deepStrictEqual(due, due.toSorted((a, b) => a - b))
        }
      }
    }))

  test("a claim's limit holds over all slots, and zero claims nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9, limit: 0 }), [])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9, slots: [lab.slot({ limit: 0 })] }), [])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9, slots: [lab.slot({ limit: -1 })] }), [])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, slots: [lab.slot({ limit: 2 })] })), [
        String(now),
        String(now + 1)
      ])
      const other = `${lab.tag}.other`
      yield* lab.addReady("other", [newRun(now), newRun(now + 1), newRun(now + 2)], { tag: other })
      yield* lab.addReady("b", [newRun(now + 3), newRun(now + 4)])
      const slots = [lab.slot({ limit: 1 }), lab.slot({ tag: other, limit: 2 })]
      const claimed = yield* lab.claim({ now: now + 9, slots })
      assert.deepStrictEqual(
        claimed.map(({ run }) => [run.tag, run.due]).toSorted(([self], [that]) => self! < that! ? -1 : 1),
        [[lab.tag, now + 2], [other, now], [other, now + 1]],
        "each slot has its own limit"
      )
    }))

  test("runs that are ready later are not claimed, and the next of them is told", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now, { readyAt: now + 50 }),
        newRun(now + 1, { readyAt: now + 20 }),
        newRun(now + 2)
      ])
      yield* lab.addReady("foreign", [newRun(now, { readyAt: now + 15 })], { tag: `${lab.tag}.foreign` })
      yield* lab.addReady("new", [newRun(now, { readyAt: now + 16 })], { version: 2 })
      const at = (n: number) =>
        Effect.map(lab.claimAll({ now: now + n }), ({ next, runs }) => ({ runs: keys(runs), next }))
      assert.deepStrictEqual(yield* at(10), { runs: [String(now + 2)], next: now + 20 })
      assert.deepStrictEqual(yield* at(19), { runs: [], next: now + 20 })
      assert.deepStrictEqual(yield* at(20), { runs: [String(now + 1)], next: now + 50 })
      assert.deepStrictEqual(yield* at(50), { runs: [String(now)], next: null })
    }))

  test("a claim whose clock is behind another's does not get what is not ready yet", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", Array.from({ length: 10 }, (_, i) => newRun(now + i)))
      const at = (n: number, limit: number) =>
        Effect.map(lab.claimAll({ now: now + n, limit }), ({ next, runs }) => ({ runs: keys(runs), next }))
      assert.deepStrictEqual(yield* at(8, 1), { runs: [String(now)], next: now + 9 })
      assert.deepStrictEqual(yield* at(2, 10), { runs: [String(now + 1), String(now + 2)], next: now + 3 })
      assert.deepStrictEqual((yield* at(5, 1)).next, now + 6)
      assert.deepStrictEqual((yield* at(9, 10)).runs, [4, 5, 6, 7, 8, 9].map((i) => String(now + i)))
    }))

  test("waiting runs are not claimed", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a", [newRun(lab.now, { state: "waiting" })])
      assert.deepStrictEqual(yield* lab.claimAll({ now: lab.now + 9 }), { runs: [], next: null })
    }))

  test("I10: a claim behind 10,000 ready runs of others gets ours", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const foreign = ["tag", "executor", "version"].flatMap((differs) =>
        Array.from({ length: 3334 }, (_, i) =>
          lab.task(`${differs}-${i}`, {
            tag: differs === "tag" ? `${lab.tag}.foreign` : lab.tag,
            executor: differs === "executor" ? "foreign" : "default",
            version: differs === "version" ? 9 : 1,
            priority: 100,
            runs: [newRun(now - 1000 + (i % 500))]
          }))
      )
      for (let i = 0; i < foreign.length; i += 1000) yield* lab.store.insert(foreign.slice(i, i + 1000))
      yield* lab.addReady("ours", [newRun(now), newRun(now + 1)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, limit: 5 })), [String(now), String(now + 1)])
    }))

  test("an attempt began with its claim, and is said to have until the next one", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const startedAt = Effect.map(lab.open("a"), (open) => open[now]?.startedAt)
      assert.strictEqual(yield* startedAt, null)
      const first = yield* lab.claimOne({ now: now + 1 })
      assert.deepStrictEqual([first.startedAt, yield* startedAt], [now + 1, now + 1])
      assert.deepStrictEqual(
        yield* lab.store.start({ now: now + 2, owner: lab.owner, runs: [ref(first)] }),
        [true],
        "what its claim has marked may be started, and is not marked again"
      )
      assert.strictEqual(yield* startedAt, now + 1)
      yield* lab.settle(settlement(first, now + 3, { _tag: "Retry", readyAt: now + 4, exit: null }))
      assert.strictEqual(yield* startedAt, now + 1)
      const second = yield* lab.claimOne({ now: now + 5 })
      assert.deepStrictEqual([second.startedAt, yield* startedAt], [now + 5, now + 5])
      yield* lab.settle(settlement(second, now + 6, { _tag: "Release" }))
      assert.strictEqual(yield* startedAt, now + 5)
      const third = yield* lab.claimOne({ now: now + 7, until: now + 8 })
      yield* lab.takeover(now + 8)
      assert.deepStrictEqual([third.startedAt, yield* startedAt], [now + 7, now + 7])
      yield* lab.settle(settlement(yield* lab.claimOne({ now: now + 9 }), now + 10))
      assert.deepStrictEqual((yield* lab.history("a")).map((run) => run.startedAt), [now + 9])
    }))

  test("a run created with a claim has begun, but not one that may begin only once", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a")
      const { claimed } = yield* lab.commit("a", {}, [
        create(newRun(now), lab.lease()),
        create(newRun(now + 1, { atMostOnce: true }), lab.lease()),
        create(newRun(now + 2))
      ], now + 5)
      assert.deepStrictEqual(claimed.map((run) => run.startedAt), [now + 5, null])
      const open = yield* lab.open("a")
      assert.deepStrictEqual([now, now + 1, now + 2].map((key) => open[key]?.startedAt), [now + 5, null, null])
    }))

  test("atMostOnce: start marks an attempt once; the next claim begins unmarked", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, { atMostOnce: true })])
      const run = yield* lab.claimOne()
      const start = (n: number, of = run) => lab.store.start({ now: now + n, owner: lab.owner, runs: [ref(of)] })
      const startedAt = Effect.map(lab.open("a"), (open) => open[now]?.startedAt)
      assert.deepStrictEqual([run.startedAt, yield* startedAt], [null, null])
      assert.deepStrictEqual(yield* start(1), [true])
      assert.strictEqual(yield* startedAt, now + 1)
      assert.deepStrictEqual(yield* start(2), [true])
      assert.strictEqual(yield* startedAt, now + 1)
      yield* lab.settle(settlement(run, now + 3, { _tag: "Retry", readyAt: now + 4, exit: null }))
      const again = yield* lab.claimOne({ now: now + 4 })
      assert.strictEqual(again.startedAt, null)
      assert.deepStrictEqual(yield* start(5), [false])
      assert.strictEqual(yield* startedAt, null)
      assert.deepStrictEqual(yield* start(6, again), [true])
      assert.strictEqual(yield* startedAt, now + 6)
    }))

  test("a heartbeat extends the runs it names, and only those", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const claimed = yield* lab.claim({ now: now + 1, until: now + 1000 })
      const [named, unnamed] = [claimed[0]!.run, claimed[1]!.run]
      const beat = yield* lab.store.heartbeat({
        now: now + 500,
        lease: lab.lease(lab.owner, now + 1500),
        runs: [ref(named), { ...ref(named), key: "nobody" }]
      })
      assert.deepStrictEqual(beat, [{ alive: true, cancel: null }, { alive: false, cancel: null }])
      assert.deepStrictEqual(yield* lab.takeover(now + 1200), { [unnamed.key]: "ready" })
      assert.deepStrictEqual((yield* lab.open("a"))[named.key], { ...named, leaseUntil: now + 1500 })
    }))
}
