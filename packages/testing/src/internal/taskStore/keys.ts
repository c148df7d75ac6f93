/**
 * Runs that share a concurrency key: how many are at work at once, who is next, and whom they keep waiting.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RunRow } from "punctual/TaskRecord"
import type { NewTask, Settlement } from "punctual/TaskStore"
import type { Lab, Test } from "./lab.ts"
import { create, keys, newRun, ref, settlement } from "./lab.ts"

/** A task whose runs share a key, ready at these milliseconds. */
const add = (lab: Lab, name: string, key: string | null, at: ReadonlyArray<number>, fields: Partial<NewTask> = {}) =>
  lab.addReady(name, at.map((n) => newRun(lab.now + n, { slots: 100 })), {
    concurrencyKey: key,
    concurrencyLimit: 1,
    ...fields
  })

const ends: { readonly [how: string]: Settlement["result"] } = {
  "an end": { _tag: "End", state: "succeeded", exit: null },
  "a failure": { _tag: "End", state: "failed", exit: null },
  "a release": { _tag: "Release" }
}

/** Of a store that holds keys to their limits. */
export const concurrencyKeys = (test: Test): void => {
  const at = (lab: Lab, ...ns: ReadonlyArray<number>) => ns.map((n) => String(lab.now + n))
  const claim = (lab: Lab, options: Parameters<Lab["claim"]>[0] = {}) => lab.claim({ now: lab.now + 99, ...options })
  const claimed = (lab: Lab, options: Parameters<Lab["claim"]>[0] = {}) => Effect.map(claim(lab, options), keys)
  const end = (lab: Lab, run: RunRow, result?: Settlement["result"]) =>
    Effect.map(
      lab.settle(settlement(run, lab.now + 99, result)),
      (settled) => assert.strictEqual(settled, "Settled")
    )

  test("I14: of one key as many are claimed as its limit says, over all its tasks, whoever asks", (lab) =>
    Effect.gen(function*() {
      yield* add(lab, "a", "k", [1, 3], { concurrencyLimit: 2 })
      yield* add(lab, "b", "k", [2, 4], { concurrencyLimit: 2 })
      const first = yield* claim(lab)
      assert.deepStrictEqual(keys(first), at(lab, 1, 2))
      assert.deepStrictEqual(yield* claimed(lab, { owner: "other" }), [])
      yield* end(lab, first[1]!.run)
      assert.deepStrictEqual(yield* claimed(lab, { owner: "other" }), at(lab, 3))
      assert.deepStrictEqual(yield* claimed(lab), [])
      yield* end(lab, first[0]!.run)
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 4))
    }))

  for (const [how, result] of Object.entries(ends)) {
    test(`I14: ${how} makes room for the next, and wakes`, (lab) =>
      Effect.gen(function*() {
        yield* add(lab, "a", "k", [1])
        yield* add(lab, "b", "k", [2], { priority: 5 })
        const [first] = yield* claim(lab)
        assert.strictEqual(first!.run.key, at(lab, 2)[0])
        assert.deepStrictEqual(yield* claimed(lab), [])
        const wakes = yield* lab.listen()
        yield* end(lab, first!.run, result)
        yield* wakes.first((wake) => wake.ready)
        // what was given back is the first again, by its priority
        assert.deepStrictEqual(yield* claimed(lab), at(lab, result._tag === "Release" ? 2 : 1))
      }))
  }

  test("I14: a run that waits for its retry lets others pass, and comes back in its place", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* add(lab, "a", "k", [1, 2, 3])
      const [first] = yield* claim(lab)
      yield* end(lab, first!.run, { _tag: "Retry", readyAt: now + 500, exit: null })
      const second = yield* lab.claimAll({ now: now + 100 })
      assert.deepStrictEqual([keys(second.runs), second.next], [at(lab, 2), now + 500])
      assert.deepStrictEqual(yield* claimed(lab, { now: now + 600 }), [], "ready again, and no room")
      yield* end(lab, second.runs[0]!.run)
      assert.deepStrictEqual(yield* claimed(lab, { now: now + 600 }), at(lab, 1))
    }))

  test("I14: what is ready later is told, and is claimed at its time by whoever asks then", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, { readyAt: now + 50 })], { concurrencyKey: "k", concurrencyLimit: 1 })
      const at = (n: number) =>
        Effect.map(lab.claimAll({ now: now + n }), ({ next, runs }) => ({ runs: keys(runs), next }))
      assert.deepStrictEqual(yield* at(10), { runs: [], next: now + 50 })
      assert.deepStrictEqual(yield* at(20), { runs: [], next: now + 50 })
      assert.deepStrictEqual(yield* at(50), { runs: [String(now)], next: null })
    }))

  test("I14: a lost lease makes room, and the run stands in line again", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* add(lab, "a", "k", [1, 2])
      const lost = yield* lab.claimOne({ now: now + 99, until: now + 100 })
      assert.deepStrictEqual(yield* claimed(lab, { now: now + 200 }), [], "a lease that ended is taken over first")
      assert.deepStrictEqual(yield* lab.takeover(now + 200), { [lost.key]: "ready" })
      const again = yield* lab.claimOne({ now: now + 200, until: now + 300 })
      assert.strictEqual(again.key, lost.key)
      assert.strictEqual(yield* lab.settle(settlement(lost, now + 201)), "Stale")
      assert.deepStrictEqual(yield* claimed(lab, { now: now + 250 }), [], "a stale settlement makes no room")
      assert.deepStrictEqual(yield* lab.takeover(now + 300, { maxTakeovers: 2 }), { [lost.key]: "abandoned" })
      assert.deepStrictEqual(yield* claimed(lab, { now: now + 300 }), at(lab, 2))
    }))

  test("I14: settling again makes room once", (lab) =>
    Effect.gen(function*() {
      yield* add(lab, "a", "k", [1, 2, 3])
      const [first] = yield* claim(lab)
      yield* end(lab, first!.run)
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 2))
      yield* end(lab, first!.run)
      assert.deepStrictEqual(yield* claimed(lab), [])
    }))

  test("I14: the line is over executors and versions, and whoever cannot run its first takes the next it can", (lab) =>
    Effect.gen(function*() {
      yield* add(lab, "threads", "k", [1], { executor: "threads" })
      yield* add(lab, "new", "k", [2], { version: 2 })
      yield* add(lab, "old", "k", [3, 4])
      const old = yield* claim(lab)
      assert.deepStrictEqual(keys(old), at(lab, 3))
      const slots = [lab.slot({ version: 2 }), lab.slot({ executor: "threads" })]
      assert.deepStrictEqual(yield* claimed(lab, { slots }), [], "one is running, elsewhere")
      yield* end(lab, old[0]!.run)
      assert.strictEqual((yield* claim(lab, { slots })).length, 1, "one of two slots")
      assert.deepStrictEqual(yield* claimed(lab, { slots }), [])
    }))

  test("I14: a row that one reader cannot read keeps nobody of its key waiting", (lab) =>
    Effect.gen(function*() {
      const bad = yield* add(lab, "bad", "k", [1])
      yield* add(lab, "good", "k", [2])
      yield* lab.store.quarantine([
        { id: bad.id, generation: bad.generation, reader: lab.reader, reason: "unreadable", at: lab.now }
      ])
      const [good] = yield* claim(lab)
      assert.deepStrictEqual(good!.run.key, at(lab, 2)[0])
      yield* end(lab, good!.run)
      assert.deepStrictEqual(yield* claimed(lab), [])
      const wakes = yield* lab.listen()
      yield* lab.store.clear([bad.generation])
      yield* wakes.first((wake) => wake.ready)
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 1))
    }))

  test("I10: keys without room, however many wait for them, keep no others waiting", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const full = Array.from({ length: 20 }, (_, k) =>
        lab.task(`full-${k}`, {
          concurrencyKey: `full-${k}`,
          priority: 100,
          runs: Array.from({ length: 100 }, (_, i) => newRun(now - 1000 + i, { key: `x:${k} ${i}`, slots: 100 }))
        }))
      yield* lab.store.insert(full)
      const slots = [lab.slot()]
      let running = 0
      for (let more = 1; more > 0; running += more) {
        more = (yield* claim(lab, { slots, limit: 7 })).length
      }
      assert.strictEqual(running, 20, "one of each")
      yield* add(lab, "free", "free", [2])
      yield* add(lab, "none", null, [1])
      assert.deepStrictEqual(yield* claimed(lab, { limit: 5 }), at(lab, 1, 2))
    }))

  test("a key that has room is not passed over for ever, whatever comes for others meanwhile", (lab) =>
    Effect.gen(function*() {
      const names = Array.from({ length: 12 }, (_, k) => `k${k}`)
      for (const name of names) yield* add(lab, name, name, [1, 2, 3], { concurrencyLimit: 10 })
      const seen = new Set<string>()
      // Who ends is ready again, so that no key is ever without a run.
      for (let i = 0; i < 200 && seen.size < names.length; i++) {
        const [one] = yield* claim(lab, { limit: 1 })
        seen.add(one!.run.concurrencyKey!)
        if (seen.size < names.length) {
          yield* end(lab, one!.run)
          yield* lab.commit(one!.run.concurrencyKey!, {}, [
            create(newRun(lab.now + 10 + i, { slots: 100, keyed: true }))
          ])
        }
      }
      assert.strictEqual(seen.size, names.length)
    }))

  test("within a key, runs come by priority, then due, over its tasks", (lab) =>
    Effect.gen(function*() {
      yield* add(lab, "low", "k", [1, 2], { priority: -1 })
      yield* add(lab, "high", "k", [6, 3], { priority: 10 })
      yield* add(lab, "mid", "k", [5])
      yield* add(lab, "mid2", "k", [4])
      const order: Array<string> = []
      for (let i = 0; i < 6; i++) {
        const run = yield* lab.claimOne({ now: lab.now + 99 })
        order.push(run.key)
        yield* end(lab, run)
      }
      assert.deepStrictEqual(order, at(lab, 3, 6, 4, 5, 1, 2))
    }))

  test("keys are compared letter by letter, and are of one tag", (lab) =>
    Effect.gen(function*() {
      const odd = [
        "k",
        "K",
        "k ",
        " k",
        "é",
        "e\u0301",
        "k\n",
        "\"k\"",
        "k:1",
        "null",
        "x".repeat(255),
        "x".repeat(254),
        "😀"
      ]
      for (const [i, key] of odd.entries()) yield* add(lab, `t${i}`, key, [i, 50 + i])
      yield* add(lab, "other", "k", [1], { tag: `${lab.tag}.other` })
      const slots = [lab.slot(), lab.slot({ tag: `${lab.tag}.other` })]
      const runs = yield* claim(lab, { slots })
      assert.sameMembers(
        runs.map(({ run }) => `${run.tag} ${run.concurrencyKey}`),
        [...odd.map((key) => `${lab.tag} ${key}`), `${lab.tag}.other k`]
      )
      assert.deepStrictEqual(yield* claimed(lab, { slots }), [])
    }))

  test("a run waits while as many as its own limit are running, whatever those were given", (lab) =>
    Effect.gen(function*() {
      yield* add(lab, "wide", "k", [1, 2], { concurrencyLimit: 3 })
      yield* add(lab, "narrow", "k", [3], { concurrencyLimit: 1 })
      yield* add(lab, "later", "k", [4], { concurrencyLimit: 3 })
      const wide = yield* claim(lab)
      assert.deepStrictEqual(keys(wide), at(lab, 1, 2), "the third keeps its place in the line")
      yield* end(lab, wide[0]!.run)
      assert.deepStrictEqual(yield* claimed(lab), [])
      yield* lab.commit("narrow", { concurrencyLimit: 2 })
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 3, 4))
    }))

  test("a run that may not begin keeps its place before those of newer versions with larger limits", (lab) =>
    Effect.gen(function*() {
      yield* add(lab, "running", "k", [1])
      yield* add(lab, "narrow", "k", [2])
      yield* add(lab, "wide", "k", [3], { version: 2, concurrencyLimit: 5 })
      const slots = [lab.slot({ version: 2 })]
      assert.deepStrictEqual(yield* claimed(lab, { slots }), at(lab, 1))
      assert.deepStrictEqual(yield* claimed(lab, { slots }), [])
    }))

  test("what waits follows its row to another key, or to none; what runs keeps its place until it ends", (lab) =>
    Effect.gen(function*() {
      yield* add(lab, "a", "k", [1, 2])
      yield* add(lab, "b", "other", [3])
      const [running] = yield* claim(lab, { limit: 1 })
      assert.strictEqual(running!.run.key, at(lab, 1)[0])
      yield* lab.commit("a", { concurrencyKey: "other" })
      assert.strictEqual((yield* lab.open("a"))[running!.run.key]!.concurrencyKey, "k")
      yield* add(lab, "c", "k", [4])
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 2), "first of its new key; `k` has no room")
      yield* end(lab, running!.run, { _tag: "Retry", readyAt: lab.now + 99, exit: null })
      assert.strictEqual((yield* lab.open("a"))[running!.run.key]!.concurrencyKey, "other")
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 4))
      yield* lab.commit("a", { concurrencyKey: null, concurrencyLimit: 1 })
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 1))
      yield* lab.commit("a", { concurrencyKey: "other", concurrencyLimit: 1 }, [create(newRun(lab.now + 5))])
      assert.deepStrictEqual(yield* claimed(lab), [])
    }))

  test("runs that are held, wait, are cancelled or have gone with their task take no place", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* add(lab, "held", "k", [1])
      yield* lab.commit("held", { state: "paused" }, [{ _tag: "Hold", key: String(now + 1) }])
      yield* add(lab, "cancelled", "k", [2])
      yield* lab.commit("cancelled", {}, [{ _tag: "Cancel", key: String(now + 2), reason: "no" }])
      yield* add(lab, "removed", "k", [3, 4])
      const run = yield* lab.claimOne({ now: now + 99 })
      assert.strictEqual(run.key, String(now + 3))
      yield* lab.commit("removed", "remove")
      yield* add(lab, "last", "k", [5])
      assert.deepStrictEqual(yield* claimed(lab), [], "it runs on, though its task is gone")
      yield* end(lab, run)
      const wakes = yield* lab.listen()
      yield* lab.commit("held", { state: "scheduled" }, [{ _tag: "Unhold", key: String(now + 1) }])
      yield* wakes.first((wake) => wake.ready)
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 1))
    }))

  test("a queue's next run stands in the line of its key", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a", { concurrencyKey: "k" })
      yield* lab.commit("a", {}, [
        create(newRun(now + 1, { queues: true, keyed: true })),
        create(newRun(now + 2, { state: "waiting", queues: true, keyed: true }))
      ])
      yield* add(lab, "b", "k", [3])
      const first = yield* lab.claimOne({ now: now + 99 })
      assert.strictEqual(first.key, String(now + 1))
      yield* end(lab, first)
      assert.deepStrictEqual(yield* claimed(lab), at(lab, 2))
    }))

  test("a change never claims a run with a key", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const wakes = yield* lab.listen()
      yield* lab.add("a", { concurrencyKey: "k" })
      const { claimed: none } = yield* lab.commit("a", {}, [create(newRun(now + 1, { keyed: true }), lab.lease())])
      assert.deepStrictEqual(none, [])
      assert.deepInclude((yield* lab.open("a"))[now + 1], { state: "ready", owner: null, token: null, attempt: 0 })
      yield* wakes.first((wake) => wake.ready)
      const run = yield* lab.claimOne({ now: now + 99 })
      assert.strictEqual(run.concurrencyKey, "k")
      assert.deepStrictEqual(
        (yield* lab.store.heartbeat({ now: now + 99, lease: lab.lease(), runs: [ref(run)] })).map(({ alive }) => alive),
        [true]
      )
      yield* end(lab, run)
      assert.deepInclude((yield* lab.history("a"))[0]!, { key: String(now + 1), state: "succeeded" })
    }))

  test("I14: many workers at once never have more of a key than its limit, and all runs end", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const limits = { a: 1, b: 2, c: 3 } as const
      const each = 30
      for (const [key, concurrencyLimit] of Object.entries(limits)) {
        for (const half of [0, 1]) {
          yield* lab.addReady(
            `${key}${half}`,
            Array.from({ length: each / 2 }, (_, i) => newRun(now + i, { slots: 100 })),
            { concurrencyKey: key, concurrencyLimit }
          )
        }
      }
      const atWork = new Map<string, number>()
      let left = each * 3
      const worker = (n: number) =>
        Effect.gen(function*() {
          for (let turn = 0; left > 0; turn++) {
            const runs = yield* lab.claim({ now: now + 99, owner: `${lab.slug}@${n}`, limit: 2 })
            for (const { run: { concurrencyKey: key, concurrencyLimit } } of runs) {
              const count = (atWork.get(key!) ?? 0) + 1
              atWork.set(key!, count)
              assert.isAtMost(count, concurrencyLimit, `of key ${key}`)
            }
            yield* Effect.yieldNow
            if (runs.length === 0) continue
            // Before they are given back: from then on another one may have them.
            for (const { run } of runs) atWork.set(run.concurrencyKey!, atWork.get(run.concurrencyKey!)! - 1)
            const back = turn % 4 === 3
            const result: Settlement["result"] = back ? { _tag: "Release" } : ends["an end"]!
            const answers = yield* lab.store.settle(runs.map(({ run }) => settlement(run, now + 99, result)), {
              keep: 1000
            })
            assert.isTrue(answers.every((answer) => answer === "Settled"))
            if (!back) left -= runs.length
          }
        })
      yield* Effect.forEach(Array.from({ length: 6 }, (_, n) => n), worker, { concurrency: "unbounded" })
      const runs = yield* lab.runs()
      assert.strictEqual(runs.filter((run) => run.state === "succeeded").length, each * 3)
    }))
}

/** Of a store that cannot: what it is not able to keep, it does not take. */
export const noConcurrencyKeys = (test: Test): void => {
  test("a task with a concurrency key is refused, and so is a change to one", (lab) =>
    Effect.gen(function*() {
      const refused = yield* Effect.orDie(Effect.flip(lab.add("a", { concurrencyKey: "k" })))
      assert.strictEqual(refused.reason, "Invalid")
      assert.match(refused.message, /concurrencyKey/)
      assert.strictEqual(yield* lab.get("a"), undefined)
      yield* lab.add("b")
      const change = yield* Effect.orDie(Effect.flip(lab.commit("b", { concurrencyKey: "k" })))
      assert.strictEqual(change.reason, "Invalid")
      assert.strictEqual((yield* lab.row("b")).revision, 1)
    }))
}
