/**
 * Changes: compare-and-set, and what becomes of runs in them.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Committed, RunChange } from "punctual/TaskStore"
import type { Test } from "./lab.ts"
import { change, create, keys, newRun, ref, settlement, someCounters } from "./lab.ts"

export const commits = (test: Test): void => {
  test("I5: position, definition and runs commit together", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const before = yield* lab.add("a", { due: now })
      const set = {
        tag: lab.tag,
        version: 3,
        name: "renamed",
        payload: "[1]",
        display: "[2]",
        trigger: "{\"_tag\":\"Every\"}",
        anchor: now + 1,
        onStartup: true,
        onShutdown: true,
        policy: "{\"p\":1}",
        executor: "threads",
        priority: 4,
        labels: "{\"a\":\"b\"}",
        owner: "somebody",
        declared: "{}",
        trace: "00-1",
        createdAt: now + 12,
        updatedAt: now + 2,
        state: "paused",
        cursor: now + 3,
        due: now + 4,
        nominal: now + 5,
        zoneRules: "2025b",
        override: now + 6,
        epoch: now + 7,
        counters: someCounters,
        ranges: "[3]",
        pausedAt: now + 8,
        pauseNote: "note",
        failures: 9
      } as const
      const [committed] = yield* lab.store.commit([change(before, now, set, [create(newRun(now))])])
      assert.deepStrictEqual(committed, { _tag: "Committed", revision: 2, claimed: [] })
      const after = yield* lab.row("a")
      assert.deepStrictEqual(after, { ...before, ...set, revision: 2 })
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready" })
    }))

  test("I5: what a change does not name stays, null clears", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const before = yield* lab.add("a", {
        due: now,
        nominal: now,
        zoneRules: "2025b",
        override: now,
        owner: "somebody",
        declared: "{}",
        trace: "t",
        pausedAt: now,
        pauseNote: "note"
      })
      yield* lab.commit("a", {})
      assert.deepStrictEqual(yield* lab.row("a"), { ...before, revision: 2 })
      const cleared = {
        due: null,
        nominal: null,
        zoneRules: null,
        override: null,
        owner: null,
        declared: null,
        trace: null,
        pausedAt: null,
        pauseNote: null
      }
      yield* lab.commit("a", cleared)
      assert.deepStrictEqual(yield* lab.row("a"), { ...before, ...cleared, revision: 3 })
    }))

  test("I5: a commit on an older revision is a conflict and leaves nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const old = yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" })])
      yield* lab.commit("a", { cursor: now })
      const before = yield* lab.get("a")
      const [committed] = yield* lab.store.commit([
        change(old, now, { cursor: now + 60, payload: "[]", due: now + 60 }, [
          create(newRun(now + 2)),
          create(newRun(now + 3), lab.lease()),
          { _tag: "Cancel", key: String(now), reason: "no" },
          { _tag: "Drop", key: String(now + 1) }
        ])
      ])
      assert.deepStrictEqual(committed, { _tag: "Conflict" })
      assert.deepStrictEqual(yield* lab.get("a"), before)
      const [removed] = yield* lab.store.commit([change(old, now, "remove")])
      assert.deepStrictEqual(removed, { _tag: "Conflict" })
      assert.deepStrictEqual(yield* lab.get("a"), before)
      const [ahead] = yield* lab.store.commit([{ ...change(old, now, { cursor: 1 }), revision: old.revision + 7 }])
      assert.deepStrictEqual(ahead, { _tag: "Conflict" })
    }))

  test("I5: of many commits of one revision at once exactly one wins, with its runs", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.add("a")
      const committed = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i),
        (i) =>
          Effect.map(
            lab.store.commit([change(row, now, { payload: String(i) }, [create(newRun(now + i))])]),
            ([one]) => ({ i, _tag: one!._tag })
          ),
        { concurrency: "unbounded" }
      )
      const winners = committed.filter((one) => one._tag === "Committed")
      assert.strictEqual(winners.length, 1)
      const found = yield* lab.get("a")
      assert.strictEqual(found?.row.payload, String(winners[0]!.i))
      assert.strictEqual(found?.row.revision, 2)
      assert.deepStrictEqual(found?.open.map((run) => run.due), [now + winners[0]!.i])
    }))

  test("I5: a batch applies the other changes when one conflicts, and answers in order", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const [a, b, c] = (yield* lab.store.insert([lab.task("a"), lab.task("b"), lab.task("c")])).map((one) => one.row)
      yield* lab.commit("b", { cursor: now })
      const set = { cursor: now + 5 }
      const answers = yield* lab.store.commit([
        change(c!, now, set),
        change(b!, now, set),
        { ...change(b!, now, set), id: lab.id("nobody") },
        change(a!, now, set, [create(newRun(now), lab.lease())])
      ])
      assert.deepStrictEqual(answers.map((one) => one._tag), ["Committed", "Conflict", "Conflict", "Committed"])
      assert.deepStrictEqual(answers.map(claimedKeys), [[], [], [], [String(now)]])
      assert.strictEqual((yield* lab.row("a")).cursor, now + 5)
      assert.strictEqual((yield* lab.row("b")).cursor, now)
      assert.strictEqual((yield* lab.row("c")).cursor, now + 5)
    }))

  test("I5: changes of one task in one batch apply one after another", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.add("a")
      const answers = yield* lab.store.commit([
        change(row, now, { cursor: now + 1 }),
        change({ ...row, revision: 2 }, now, { cursor: now + 2 }),
        change(row, now, { cursor: now + 3 })
      ])
      assert.deepStrictEqual(answers.map((one) => one._tag), ["Committed", "Committed", "Conflict"])
      const { cursor, revision } = yield* lab.row("a")
      assert.deepStrictEqual({ cursor, revision }, { cursor: now + 2, revision: 3 })
    }))

  test("I5: a commit to another generation of the id is a conflict", (lab) =>
    Effect.gen(function*() {
      const old = yield* lab.add("a")
      yield* lab.commit("a", "remove")
      assert.deepStrictEqual(yield* lab.store.commit([change(old, lab.now, { cursor: 1 })]), [{ _tag: "Conflict" }])
      const row = yield* lab.add("a")
      assert.strictEqual(row.revision, old.revision)
      assert.deepStrictEqual(yield* lab.store.commit([change(old, lab.now, { cursor: 1 })]), [{ _tag: "Conflict" }])
      assert.deepStrictEqual(yield* lab.row("a"), row)
    }))
}

const claimedKeys = (committed: Committed): ReadonlyArray<string> =>
  committed._tag === "Committed" ? committed.claimed.map((run) => run.key) : []

export const runChanges = (test: Test): void => {
  test("I2: Create of a key that is open does nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      const { run } = (yield* lab.claim({ limit: 1 }))[0]!
      const before = yield* lab.open("a")
      const again = (due: number) => newRun(due, { nominal: 1, slots: 9 })
      const committed = yield* lab.commit("a", {}, [
        create(again(now), lab.lease("thief")),
        create(again(now + 1), lab.lease("thief")),
        create(again(now + 2))
      ])
      assert.deepStrictEqual(committed.claimed, [])
      assert.deepStrictEqual(yield* lab.open("a"), before)
      assert.strictEqual(yield* lab.settle(settlement(run, now)), "Settled")
    }))

  test("I2: one key in two tasks is two runs", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a")
      yield* lab.addReady("b")
      const claimed = yield* lab.claim()
      assert.deepStrictEqual(claimed.map(({ run }) => run.taskId).sort(), [lab.id("a"), lab.id("b")])
      const [first, second] = claimed
      yield* lab.settle(settlement(first!.run, lab.now))
      assert.deepStrictEqual(
        (yield* lab.store.heartbeat({ now: lab.now, lease: lab.lease(), runs: [ref(second!.run)] })).map((h) =>
          h.alive
        ),
        [true]
      )
    }))

  test("a run created with a claim is running and owned, and nobody else's to claim", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a")
      const committed = yield* lab.commit("a", {}, [
        create(newRun(now), lab.lease()),
        create(newRun(now + 1)),
        create(newRun(now + 2), lab.lease())
      ])
      assert.deepStrictEqual(committed.claimed.map((run) => run.key), [String(now), String(now + 2)])
      const open = yield* lab.open("a")
      for (const run of committed.claimed) {
        const { attempt, leaseUntil, owner, startedAt, state } = run
        assert.deepStrictEqual({ attempt, leaseUntil, owner, startedAt, state }, {
          attempt: 1,
          leaseUntil: now + 30_000,
          owner: lab.owner,
          startedAt: now,
          state: "running"
        })
        assert.deepStrictEqual(open[run.key], run)
      }
      assert.isAbove(committed.claimed[1]!.token!, committed.claimed[0]!.token!)
      const claimed = yield* lab.claim({ now: now + 10, owner: "other" })
      assert.deepStrictEqual(claimed.map(({ run }) => run.key), [String(now + 1)])
      assert.strictEqual(yield* lab.settle(settlement(committed.claimed[0]!, now)), "Settled")
      assert.deepStrictEqual(yield* lab.takeover(now + 30_000), { [now + 2]: "ready" })
    }))

  test("Create copies from the row as the change leaves it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a")
      yield* lab.commit("a", { version: 5, priority: 6, executor: "threads" }, [create(newRun(now))])
      const run = (yield* lab.open("a"))[now]!
      assert.deepStrictEqual([run.tag, run.version, run.priority, run.executor], [lab.tag, 5, 6, "threads"])
    }))

  test("ready and waiting runs follow their row: tag, version, executor, priority", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      const { run: running } = (yield* lab.claim({ limit: 1 }))[0]!
      const tag = `${lab.tag}.other`
      yield* lab.commit("a", { tag, version: 2, executor: "threads", priority: 3 })
      const open = yield* lab.open("a")
      const kinds = Object.values(open).map((run) =>
        [run.key, run.tag, run.version, run.executor, run.priority].join(" ")
      )
      assert.deepStrictEqual(kinds.sort(), [
        `${running.key} ${lab.tag} 1 default 0`,
        `${now + 1} ${tag} 2 threads 3`,
        `${now + 2} ${tag} 2 threads 3`
      ])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
      const slot = { executor: "threads", tag, version: 2, limit: 9 }
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9, slots: [{ ...slot, version: 1 }] }), [])
      const claimed = yield* lab.claim({ now: now + 9, slots: [slot] })
      assert.deepStrictEqual(claimed.map(({ run }) => run.key), [String(now + 1)])
      yield* lab.settle(settlement(running, now + 9, { _tag: "Release" }))
      const back = (yield* lab.open("a"))[now]!
      assert.deepStrictEqual([back.tag, back.version, back.executor, back.priority], [tag, 2, "threads", 3])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, slots: [slot] })), [String(now)])
    }))

  test("Drop deletes a waiting run and leaves no trace, and nothing else", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      yield* lab.claim({ limit: 1 })
      yield* lab.commit("a", {}, [now, now + 1, now + 2].map((key) => ({ _tag: "Drop", key: String(key) })))
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running", [now + 1]: "ready" })
      assert.deepStrictEqual(yield* lab.history("a"), [])
      assert.deepStrictEqual(yield* lab.runs({ name: "a", key: String(now + 2) }), [])
    }))

  test("Cancel ends ready and waiting runs at once and asks a running one, for the first reason", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      const run = yield* lab.claimOne()
      const cancel = (reason: string) =>
        [now, now + 1, now + 2].map((key): RunChange => ({ _tag: "Cancel", key: String(key), reason }))
      yield* lab.commit("a", {}, cancel("first"), now + 7)
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running" })
      yield* lab.commit("a", {}, cancel("second"), now + 8)
      assert.strictEqual((yield* lab.open("a"))[now]!.cancel, "first")
      const ended = yield* lab.history("a")
      assert.deepStrictEqual(
        ended.map((run) => [run.key, run.state, run.cancel, run.endedAt, run.exit]),
        [now + 2, now + 1].map((key) => [String(key), "cancelled", "first", now + 7, null])
      )
      const beat = yield* lab.store.heartbeat({ now, lease: lab.lease(), runs: [ref(run)] })
      assert.deepStrictEqual(beat, [{ alive: true, cancel: "first" }])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 10 }), [])
      // It may end as it likes: what it did counts.
      assert.strictEqual(yield* lab.settle(settlement(run, now + 9)), "Settled")
      assert.strictEqual((yield* lab.runs({ name: "a", key: run.key }))[0]!.state, "succeeded")
    }))

  test("Promote makes a waiting run ready, and nothing else", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now),
        newRun(now + 1, { state: "waiting" }),
        newRun(now + 2, { state: "waiting" })
      ])
      yield* lab.claim()
      yield* lab.commit("a", {}, [
        { _tag: "Promote", key: String(now) },
        { _tag: "Promote", key: String(now + 2) },
        { _tag: "Promote", key: "nobody" }
      ])
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running", [now + 1]: "waiting", [now + 2]: "ready" })
      assert.deepStrictEqual((yield* lab.claim({ now: now + 9 })).map(({ run }) => run.key), [String(now + 2)])
    }))

  test("Hold keeps ready and waiting runs from being claimed, also once promoted, until Unhold", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" })])
      yield* lab.commit("a", {}, [now, now + 1].map((key) => ({ _tag: "Hold", key: String(key) })))
      assert.deepStrictEqual(yield* lab.claimAll({ now: now + 9 }), { runs: [], next: null })
      yield* lab.commit("a", {}, [{ _tag: "Promote", key: String(now + 1) }])
      const open = yield* lab.open("a")
      assert.deepStrictEqual(Object.values(open).map((run) => [run.state, run.held]), [["ready", true], [
        "ready",
        true
      ]])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
      yield* lab.commit("a", {}, [{ _tag: "Unhold", key: String(now + 1) }])
      assert.deepStrictEqual((yield* lab.claim({ now: now + 9 })).map(({ run }) => run.key), [String(now + 1)])
      yield* lab.commit("a", {}, [now, now + 1].map((key) => ({ _tag: "Hold", key: String(key) })))
      assert.isFalse((yield* lab.open("a"))[now + 1]!.held, "a running run is not held")
    }))
}
