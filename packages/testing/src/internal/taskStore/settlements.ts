/**
 * Whose word counts, how attempts end, what their ends set going.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RunRow } from "punctual/TaskRecord"
import type { Settled } from "punctual/TaskStore"
import type { Test } from "./lab.ts"
import { change, create, keys, newestRules, newRun, ref, settlement, someCounters } from "./lab.ts"

export const tokens = (test: Test): void => {
  test("I3: nobody but its owner settles, starts or extends a run", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const before = yield* lab.get("a")
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { owner: "thief" })), "Stale")
      assert.deepStrictEqual(yield* lab.store.start({ now, owner: "thief", runs: [ref(run)] }), [false])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now, lease: lab.lease("thief", now + 99_999), runs: [ref(run)] }),
        [{ alive: false, cancel: null }]
      )
      assert.deepStrictEqual(yield* lab.get("a"), before)
    }))

  test("I3: a lease that ended but was not taken over is still its owner's", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 1, until: now + 10 })
      const beat = yield* lab.store.heartbeat({
        now: now + 20,
        lease: lab.lease(lab.owner, now + 50),
        runs: [ref(one!.run)]
      })
      assert.deepStrictEqual(beat, [{ alive: true, cancel: null }])
      assert.strictEqual(yield* lab.settle(settlement(two!.run, now + 20)), "Settled")
      assert.deepStrictEqual(yield* lab.takeover(now + 49), {})
    }))

  test("I3: a heartbeat that is carried out late does not shorten a lease, but one that is years long", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const beat = (at: number, until: number) =>
        lab.store.heartbeat({ now: at, lease: lab.lease(lab.owner, until), runs: [ref(run)] })
      const ends = Effect.map(lab.get("a"), (task) => task!.open[0]!.leaseUntil)
      yield* beat(now + 20_000, now + 50_000)
      assert.deepStrictEqual(yield* beat(now + 10_000, now + 40_000), [{ alive: true, cancel: null }])
      assert.strictEqual(yield* ends, now + 50_000)
      yield* beat(now + 30_000, now + 60_000)
      assert.strictEqual(yield* ends, now + 60_000)
      const year = 366 * 86_400_000
      yield* beat(now + 73 * year, now + 73 * year + 30_000)
      yield* beat(now + 40_000, now + 70_000)
      assert.strictEqual(yield* ends, now + 70_000)
    }))

  test("I4: a stale token changes nothing and is told so", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const first = yield* lab.claimOne()
      yield* lab.settle(settlement(first, now, { _tag: "Release" }))
      const second = yield* lab.claimOne()
      assert.isAbove(second.token!, first.token!)
      const before = yield* lab.get("a")
      assert.strictEqual(yield* lab.settle(settlement(first, now + 1)), "Stale")
      assert.deepStrictEqual(yield* lab.store.start({ now, owner: lab.owner, runs: [ref(first)] }), [false])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now, lease: lab.lease(lab.owner, now + 99_999), runs: [ref(first)] }),
        [{ alive: false, cancel: null }]
      )
      assert.deepStrictEqual(yield* lab.get("a"), before)
      assert.deepStrictEqual(yield* lab.history("a"), [])
      assert.strictEqual(yield* lab.settle(settlement(second, now + 1)), "Settled")
    }))

  test("I4: settling again with the token that settled is the same settlement", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const queued = { queues: true }
      yield* lab.addReady("a", [
        newRun(now, queued),
        newRun(now + 1, { ...queued, state: "waiting" }),
        newRun(now + 2, { ...queued, state: "waiting" })
      ])
      const run = yield* lab.claimOne()
      const task = { failures: "increment" } as const
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { task })), "Settled")
      const [row, states, history] = [yield* lab.row("a"), yield* lab.states("a"), yield* lab.history("a")]
      assert.strictEqual(row.failures, 1)
      for (
        const result of [
          { _tag: "End", state: "failed", exit: "\"other\"" },
          { _tag: "Retry", readyAt: now, exit: null },
          { _tag: "Release" },
          { _tag: "End", state: "succeeded", exit: "\"ok\"" }
        ] as const
      ) {
        assert.strictEqual(yield* lab.settle(settlement(run, now + 5, result, { task })), "Settled")
        assert.deepStrictEqual(yield* lab.row("a"), row)
        assert.deepStrictEqual(yield* lab.states("a"), states)
        assert.deepStrictEqual(yield* lab.history("a"), history)
      }
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { token: run.token! + 1000 })), "Stale")
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { owner: "thief" })), "Stale")
    }))

  test("I4: a retry settled again is the same settlement until it is claimed", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      yield* lab.settle(settlement(run, now, { _tag: "Retry", readyAt: now + 10, exit: "1" }))
      const before = yield* lab.get("a")
      for (const result of [{ _tag: "Retry", readyAt: now + 99, exit: "2" }, { _tag: "Release" }] as const) {
        assert.strictEqual(yield* lab.settle(settlement(run, now, result)), "Settled")
      }
      assert.strictEqual(yield* lab.settle(settlement(run, now)), "Settled")
      assert.deepStrictEqual(yield* lab.get("a"), before)
      const again = yield* lab.claimOne({ now: now + 10 })
      assert.strictEqual(yield* lab.settle(settlement(run, now)), "Stale")
      assert.strictEqual(yield* lab.settle(settlement(again, now + 11)), "Settled")
    }))

  test("I4: what a change has ended since it went back to ready is not told as the settlement's", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const how of ["cancelled", "removed"]) {
        yield* lab.addReady(how, [newRun(now), newRun(now + 1)])
        const results = [{ _tag: "Retry", readyAt: now, exit: "1" }, { _tag: "Release" }] as const
        const settlements = (yield* lab.claim({ now: now + 1 })).map(({ run }, i) => settlement(run, now, results[i]))
        assert.deepStrictEqual(yield* lab.store.settle(settlements, { keep: 100 }), ["Settled", "Settled"])
        if (how === "removed") yield* lab.commit(how, "remove")
        else {
          yield* lab.commit(
            how,
            {},
            [now, now + 1].map((key) => ({ _tag: "Cancel", key: String(key), reason: "by hand" }))
          )
        }
        const ended = yield* lab.history(how)
        assert.deepStrictEqual(
          ended.map(({ endedAt, exit, owner, state, token }) => ({ endedAt, exit, owner, state, token })),
          [null, "1"].map((exit) => ({
            endedAt: now,
            exit,
            owner: lab.owner,
            state: "cancelled" as const,
            token: null
          }))
        )
        assert.deepStrictEqual(yield* lab.store.settle(settlements, { keep: 100 }), ["Stale", "Stale"])
        assert.deepStrictEqual(yield* lab.history(how), ended)
      }
    }))

  test("I4: tokens of all tasks are one growing sequence", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tokens: Array<number> = []
      for (const name of ["a", "b", "c"]) {
        yield* lab.addReady(name, [newRun(now), newRun(now + 1)])
        const committed = yield* lab.commit(name, {}, [create(newRun(now + 2), lab.lease())])
        tokens.push(...committed.claimed.map((run) => run.token!))
        const claimed = yield* lab.claim({ now: now + 9 })
        tokens.push(...claimed.map(({ run }) => run.token!).sort((a, b) => a - b))
      }
      assert.strictEqual(tokens.length, 9)
      assert.strictEqual(new Set(tokens).size, 9)
      assert.deepStrictEqual(tokens, tokens.toSorted((a, b) => a - b))
    }))

  test("I4: what did not go back to ready is told so, and again", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [0, 1, 2, 3, 4].map((i) => newRun(now + i)))
      const claimed = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", {}, [0, 1, 2, 3].map((i) => ({ _tag: "Cancel", key: String(now + i), reason: "stop" })))
      const results = [
        { _tag: "Retry", readyAt: now + 50, exit: "1" },
        { _tag: "Release" },
        // these end as they say
        { _tag: "End", state: "cancelled", exit: null },
        { _tag: "End", state: "failed", exit: "2" },
        // nobody asked this one to stop
        { _tag: "Retry", readyAt: now + 50, exit: "3" }
      ] as const
      const all = results.map((result, i) => settlement(claimed[i]!.run, now + 10, result))
      const told: ReadonlyArray<Settled> = ["Cancelled", "Cancelled", "Settled", "Settled", "Settled"]
      assert.deepStrictEqual(yield* lab.store.settle([...all, ...all], { keep: 100 }), [...told, ...told])
      const before = yield* lab.runs({ name: "a" })
      assert.deepStrictEqual(yield* lab.store.settle(all, { keep: 100 }), told)
      for (const [i, one] of all.entries()) assert.strictEqual(yield* lab.settle(one), told[i])
      assert.deepStrictEqual(yield* lab.runs({ name: "a" }), before)
    }))

  test("a run given back for later is not claimed before, and has lost no attempt", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, { atMostOnce: true })])
      const lost = yield* lab.claimOne({ until: now + 1 })
      yield* lab.takeover(now + 1)
      const run = yield* lab.claimOne({ now: now + 2 })
      assert.isAbove(run.token!, lost.token!)
      const later = { _tag: "Release", readyAt: now + 50 } as const
      assert.strictEqual(yield* lab.settle(settlement(run, now + 10, later)), "Settled")
      const open = yield* lab.open("a")
      assert.deepInclude(open[now], {
        state: "ready",
        readyAt: now + 50,
        attempt: run.attempt - 1,
        takeovers: run.takeovers,
        leaseUntil: null
      })
      // It is this owner's no more, and settling it again moves nothing.
      assert.strictEqual(yield* lab.settle(settlement(run, now + 20, { ...later, readyAt: now + 99 })), "Settled")
      assert.strictEqual(yield* lab.settle(settlement(lost, now + 20, later)), "Stale")
      assert.deepStrictEqual(yield* lab.store.start({ now, owner: lab.owner, runs: [ref(run)] }), [false])
      assert.deepStrictEqual(yield* lab.open("a"), open)

      assert.deepStrictEqual(yield* lab.claim({ now: now + 49 }), [])
      const again = yield* lab.claimOne({ now: now + 50 })
      assert.deepInclude(again, { attempt: run.attempt, takeovers: run.takeovers })
      assert.isAbove(again.token!, run.token!)
      assert.strictEqual(yield* lab.settle(settlement(run, now + 60, later)), "Stale")
      // Where it was to be ready already, it is.
      yield* lab.settle(settlement(again, now + 60, { _tag: "Release", readyAt: now + 55 }))
      assert.strictEqual((yield* lab.claimOne({ now: now + 60 })).attempt, run.attempt)
    }))

  test("a batch gives runs back at once, for later, and to be held", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [0, 1, 2, 3].map((i) => newRun(now + i)))
      yield* lab.addReady("paused", [newRun(now + 4)])
      const claimed = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("paused", { state: "paused", pausedAt: now + 9, due: null }, [])
      yield* lab.commit("a", {}, [{ _tag: "Cancel", key: String(now + 3), reason: "stop" }])
      const later = { _tag: "Release", readyAt: now + 50 } as const
      assert.deepStrictEqual(
        yield* lab.store.settle(
          claimed.map(({ run }, i) =>
            settlement(run, now + 10, i === 0 ? { _tag: "Release" } : i === 1 ? { ...later, readyAt: now + 30 } : later)
          ),
          { keep: 100 }
        ),
        ["Settled", "Settled", "Settled", "Cancelled", "Settled"]
      )
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 10 })), [String(now)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 49 })), [String(now + 1)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 99 })), [String(now + 2)])
      assert.deepInclude((yield* lab.open("paused"))[now + 4], { held: true, attempt: 0, readyAt: now + 50 })
    }))

  test("I9: one bad entry of a batch spoils only itself", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 9 })
      const bad = [
        { ...ref(one!.run), generation: 2_000_000_000 },
        { ...ref(one!.run), key: "nobody" },
        { ...ref(one!.run), token: -5 }
      ]
      const runs = [ref(one!.run), ...bad, ref(two!.run)]
      const expected = [true, false, false, false, true]
      assert.deepStrictEqual(yield* lab.store.start({ now, owner: lab.owner, runs }), expected)
      const beats = yield* lab.store.heartbeat({ now, lease: lab.lease(), runs })
      assert.deepStrictEqual(beats.map((beat) => beat.alive), expected)
      const settled = yield* lab.store.settle(
        [
          settlement(one!.run, now),
          ...bad.map((ref) => ({ ...settlement(one!.run, now), ...ref })),
          settlement(two!.run, now)
        ],
        { keep: 10 }
      )
      assert.deepStrictEqual(settled, ["Settled", "Stale", "Stale", "Stale", "Settled"])
      assert.deepStrictEqual(yield* lab.states("a"), {})
    }))

  test("I9: one run twice in a batch is settled once", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const settled = yield* lab.store.settle([
        settlement(run, now),
        settlement(run, now, { _tag: "End", state: "failed", exit: null })
      ], { keep: 10 })
      assert.deepStrictEqual(settled, ["Settled", "Settled"])
      assert.deepStrictEqual((yield* lab.history("a")).map((run) => run.state), ["succeeded"])
    }))
}

export const settlements = (test: Test): void => {
  test("an end moves the run to history with how it ended", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const states = ["succeeded", "failed", "cancelled", "timedOut", "missed", "abandoned"] as const
      yield* lab.addReady("a", states.map((_, i) => newRun(now + i)))
      const claimed = yield* lab.claim({ now: now + 9 })
      yield* lab.store.start({ now: now + 10, owner: lab.owner, runs: claimed.map(({ run }) => ref(run)) })
      const settled = yield* lab.store.settle(
        claimed.map(({ run }, i) =>
          settlement(run, now + 20 + i, { _tag: "End", state: states[i]!, exit: i === 0 ? null : `[${i}]` })
        ),
        { keep: 100 }
      )
      assert.deepStrictEqual(settled, states.map(() => "Settled"))
      const history = yield* lab.history("a")
      assert.deepStrictEqual(
        history.toReversed(),
        claimed.map(({ run }, i): RunRow => ({
          ...run,
          state: states[i]!,
          startedAt: now + 9,
          endedAt: now + 20 + i,
          exit: i === 0 ? null : `[${i}]`,
          leaseUntil: null
        }))
      )
      assert.deepStrictEqual(yield* lab.get("a"), { row: yield* lab.row("a"), open: [] })
      assert.strictEqual((yield* lab.row("a")).revision, 1, "a settlement without `task` leaves the row alone")
    }))

  test("Retry keeps the attempt, Release gives it back", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const one = yield* lab.claimOne()
      yield* lab.settle(settlement(one, now, { _tag: "Retry", readyAt: now + 50, exit: "\"no\"" }))
      const retried = (yield* lab.open("a"))[now]!
      assert.deepStrictEqual(
        [retried.state, retried.attempt, retried.readyAt, retried.exit, retried.leaseUntil, retried.endedAt],
        ["ready", 1, now + 50, "\"no\"", null, null]
      )
      assert.deepStrictEqual(yield* lab.claimAll({ now: now + 49 }), { runs: [], next: now + 50 })
      const two = yield* lab.claimOne({ now: now + 50 })
      assert.strictEqual(two.attempt, 2)
      yield* lab.settle(settlement(two, now + 51, { _tag: "Release" }))
      const released = (yield* lab.open("a"))[now]!
      assert.deepStrictEqual([released.state, released.attempt, released.leaseUntil], ["ready", 1, null])
      const three = yield* lab.claimOne({ now: now + 51, owner: "other" })
      assert.deepStrictEqual([three.attempt, three.takeovers, three.owner], [2, 0, "other"])
      assert.deepStrictEqual(yield* lab.history("a"), [])
    }))

  test("a run asked to stop does not go back to ready: it ends cancelled", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", {}, [now, now + 1].map((key) => ({ _tag: "Cancel", key: String(key), reason: "stop" })))
      assert.deepStrictEqual(
        yield* lab.store.settle([
          settlement(one!.run, now + 10, { _tag: "Retry", readyAt: now, exit: "1" }),
          settlement(two!.run, now + 10, { _tag: "Release" })
        ], { keep: 100 }),
        ["Cancelled", "Cancelled"]
      )
      assert.deepStrictEqual(yield* lab.states("a"), {})
      assert.deepStrictEqual(
        (yield* lab.history("a")).map((run) => [run.state, run.cancel, run.endedAt]),
        [["cancelled", "stop", now + 10], ["cancelled", "stop", now + 10]]
      )
    }))

  test("what goes back to ready while its task is paused is held, until it is unheld", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      const [one, two] = yield* lab.claim({ now: now + 9, limit: 2 })
      yield* lab.commit("a", { state: "paused", pausedAt: now, due: null }, [{ _tag: "Hold", key: String(now + 2) }])
      assert.deepStrictEqual(
        yield* lab.store.settle([
          settlement(one!.run, now + 10, { _tag: "Retry", readyAt: now + 20, exit: "1" }),
          settlement(two!.run, now + 10, { _tag: "Release" })
        ], { keep: 100 }),
        ["Settled", "Settled"]
      )
      const open = yield* lab.open("a")
      assert.deepStrictEqual(
        [now, now + 1, now + 2].map((key) => [open[key]?.state, open[key]?.held, open[key]?.attempt]),
        [["ready", true, 1], ["ready", true, 0], ["ready", true, 0]]
      )
      assert.deepStrictEqual(yield* lab.claimAll({ now: now + 99 }), { runs: [], next: null })
      yield* lab.commit(
        "a",
        { state: "scheduled", pausedAt: null },
        [now, now + 1, now + 2].map((key) => ({ _tag: "Unhold", key: String(key) }))
      )
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 19 })), [now + 1, now + 2].map(String))
      const again = yield* lab.claimOne({ now: now + 20 })
      assert.strictEqual(again.attempt, 2)
      yield* lab.settle(settlement(again, now + 21, { _tag: "Retry", readyAt: now + 22, exit: null }))
      assert.isFalse((yield* lab.open("a"))[now]?.held, "the task goes on")
    }))

  test("a resume that has not seen a run go back to ready is a conflict, so that none is held for ever", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const [name, task] of [["a", undefined], ["b", { failures: "increment" }]] as const) {
        yield* lab.addReady(name)
        const run = yield* lab.claimOne()
        yield* lab.commit(name, { state: "paused", pausedAt: now, due: null })
        const planned = yield* lab.row(name)
        yield* lab.settle(settlement(run, now, { _tag: "Retry", readyAt: now, exit: null }, { task }))
        assert.strictEqual((yield* lab.row(name)).revision, planned.revision + 1, "together with `task`: one")
        const [resumed] = yield* lab.store.commit([change(planned, now, { state: "scheduled", pausedAt: null })])
        assert.deepStrictEqual(resumed, { _tag: "Conflict" })
      }
    }))

  test("the failure that pauses its task holds its own run, if that is tried again", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const task = { failures: "increment", pauseAt: { failures: 1, note: "note" } } as const
      yield* lab.settle(settlement(run, now, { _tag: "Retry", readyAt: now, exit: null }, { task }))
      assert.deepStrictEqual([(yield* lab.row("a")).state, (yield* lab.open("a"))[now]?.held], ["paused", true])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
    }))

  test("failures are counted in the row, reset, and each time add one to its revision", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2), newRun(now + 3)])
      const claimed = yield* lab.claim({ now: now + 9 })
      const seen: Array<readonly [number, number]> = []
      for (const [i, failures] of (["increment", "increment", "reset", "increment"] as const).entries()) {
        yield* lab.settle(settlement(claimed[i]!.run, now, undefined, { task: { failures } }))
        const row = yield* lab.row("a")
        seen.push([row.failures, row.revision])
      }
      assert.deepStrictEqual(seen, [[1, 2], [2, 3], [0, 4], [1, 5]])
    }))

  test("the failure that reaches the limit pauses the task and holds its runs", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now),
        newRun(now + 1),
        newRun(now + 2),
        newRun(now + 3, { readyAt: now + 99 }),
        newRun(now + 4, { state: "waiting" })
      ], { due: now + 1000, nominal: now + 999, zoneRules: "2025b" })
      const claimed = yield* lab.claim({ now: now + 9 })
      const task = { failures: "increment", pauseAt: { failures: 2, note: "two in a row" } } as const
      yield* lab.settle(settlement(claimed[0]!.run, now + 10, undefined, { task }))
      const after = yield* lab.row("a")
      assert.deepStrictEqual([after.state, after.pausedAt, after.due], ["scheduled", null, now + 1000])
      yield* lab.settle(settlement(claimed[1]!.run, now + 11, undefined, { task }))
      const paused = yield* lab.row("a")
      assert.deepStrictEqual(
        [paused.state, paused.pausedAt, paused.pauseNote, paused.failures],
        ["paused", now + 11, "two in a row", 2]
      )
      assert.deepStrictEqual([paused.due, paused.nominal, paused.zoneRules], [null, null, null])
      assert.deepStrictEqual([paused.cursor, paused.revision], [after.cursor, 3])
      const open = yield* lab.open("a")
      assert.deepStrictEqual([2, 3, 4].map((i) => [open[now + i]!.state, open[now + i]!.held]), [
        ["running", false],
        ["ready", true],
        ["waiting", true]
      ])
      const { tasks } = yield* lab.store.due({
        now: now + 2000,
        limit: 100_000,
        reader: lab.reader,
        zoneRules: newestRules
      })
      assert.notInclude(tasks.map((task) => task.row.id), lab.id("a"))
      yield* lab.settle(settlement(claimed[2]!.run, now + 12, undefined, { task }))
      assert.deepStrictEqual((yield* lab.row("a")).pausedAt, now + 11, "a paused task stays as it is")
    }))

  test("a finished task is not paused by failures", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", undefined, { state: "finished" })
      const run = yield* lab.claimOne()
      const task = { failures: "increment", pauseAt: { failures: 1, note: "note" } } as const
      yield* lab.settle(settlement(run, now, undefined, { task }))
      const row = yield* lab.row("a")
      assert.deepStrictEqual([row.state, row.pausedAt, row.pauseNote, row.failures], ["finished", null, null, 1])
    }))

  test("a run that was too late is in no count that began anew after it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)], { counters: someCounters })
      const [one, two] = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", { epoch: now, cursor: now + 9, counters: someCounters })
      const missed = { _tag: "End", state: "missed", exit: null } as const
      yield* lab.settle(settlement(one!.run, now, missed, { task: { missed: true } }))
      assert.deepStrictEqual((yield* lab.row("a")).counters, someCounters)
      yield* lab.settle(settlement(two!.run, now, missed, { task: { missed: true } }))
      assert.deepStrictEqual((yield* lab.row("a")).counters, {
        ...someCounters,
        ran: someCounters.ran - 1,
        missed: someCounters.missed + 1
      })
    }))

  test("a run that was too late counts as missed, no longer as ran", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)], { counters: someCounters })
      const [one, two] = yield* lab.claim({ now: now + 9 })
      const missed = { _tag: "End", state: "missed", exit: null } as const
      yield* lab.settle(settlement(one!.run, now, missed, { task: { missed: true } }))
      const row = yield* lab.row("a")
      assert.deepStrictEqual(row.counters, {
        ...someCounters,
        ran: someCounters.ran - 1,
        missed: someCounters.missed + 1
      })
      assert.strictEqual(row.revision, 2)
      yield* lab.settle(settlement(two!.run, now, missed))
      assert.deepStrictEqual(yield* lab.row("a"), row)
    }))
}

export const promotions = (test: Test): void => {
  const queued = { queues: true }
  const waiting = { queues: true, state: "waiting" } as const

  test("I7: ending a run that queues promotes the waiting run due first, and only that one", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now, queued),
        newRun(now + 3, waiting),
        newRun(now + 1, waiting),
        newRun(now + 2, waiting)
      ])
      const order: Array<string> = []
      for (let i = 0; i < 4; i++) {
        const run = yield* lab.claimOne({ now: now + 9 })
        order.push(run.key)
        yield* lab.settle(
          settlement(run, now + 9, { _tag: "End", state: i === 1 ? "failed" : "succeeded", exit: null })
        )
        const states = Object.values(yield* lab.states("a"))
        assert.strictEqual(states.filter((state) => state !== "waiting").length, i === 3 ? 0 : 1)
      }
      assert.deepStrictEqual(order, [now, now + 1, now + 2, now + 3].map(String))
    }))

  test("I7: promotion goes by due, not by key", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a", [
        newRun(1, queued),
        newRun(100, waiting),
        newRun(20, waiting),
        newRun(3, { ...waiting, key: "x:late" })
      ])
      yield* lab.settle(settlement(yield* lab.claimOne(), lab.now))
      assert.deepStrictEqual(yield* lab.states("a"), { "100": "waiting", "20": "waiting", "x:late": "ready" })
    }))

  test("I7: never more than slots are ready or running", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const two = { ...queued, slots: 2 }
      const waits = { ...waiting, slots: 2 }
      yield* lab.addReady("a", [newRun(now, two), newRun(now + 1, two), newRun(now + 2, waits), newRun(now + 3, waits)])
      const claimed = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", {}, [{ _tag: "Promote", key: String(now + 2) }])
      yield* lab.settle(settlement(claimed[0]!.run, now + 9))
      assert.deepStrictEqual(
        yield* lab.states("a"),
        { [now + 1]: "running", [now + 2]: "ready", [now + 3]: "waiting" },
        "two are active already"
      )
      yield* lab.settle(settlement(claimed[1]!.run, now + 9))
      assert.deepStrictEqual(yield* lab.states("a"), { [now + 2]: "ready", [now + 3]: "ready" })
    }))

  test("I7: a retry and a release keep their slot", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, queued), newRun(now + 1, waiting)])
      yield* lab.settle(settlement(yield* lab.claimOne(), now, { _tag: "Retry", readyAt: now, exit: null }))
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
      yield* lab.settle(settlement(yield* lab.claimOne(), now, { _tag: "Release" }))
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
      assert.deepStrictEqual(yield* lab.takeover(now + 1), {})
      const lost = yield* lab.claimOne({ until: now + 5 })
      assert.deepStrictEqual(yield* lab.takeover(now + 5), { [lost.key]: "ready" })
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
    }))

  test("I7: a run that does not queue promotes nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" })])
      yield* lab.settle(settlement(yield* lab.claimOne(), now))
      assert.deepStrictEqual(yield* lab.states("a"), { [now + 1]: "waiting" })
      assert.strictEqual((yield* lab.row("a")).revision, 1)
    }))

  test("I7: a plan made before a queueing run ended is a conflict, so that no run waits for ever", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, queued)])
      const run = yield* lab.claimOne()
      const planned = yield* lab.row("a")
      yield* lab.settle(settlement(run, now, undefined, { task: { failures: "reset" } }))
      assert.strictEqual((yield* lab.row("a")).revision, planned.revision + 1, "together with `task`: one")
      const [committed] = yield* lab.store.commit([change(planned, now, {}, [create(newRun(now + 1, waiting))])])
      assert.deepStrictEqual(committed, { _tag: "Conflict" })
      assert.deepStrictEqual(yield* lab.states("a"), {})
    }))

  test("I7: what is promoted while its task is paused stays held", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, queued), newRun(now + 1, waiting)])
      const run = yield* lab.claimOne()
      yield* lab.commit("a", { state: "paused", pausedAt: now, due: null }, [{ _tag: "Hold", key: String(now + 1) }])
      yield* lab.settle(settlement(run, now + 2))
      const promoted = (yield* lab.open("a"))[now + 1]
      assert.deepStrictEqual([promoted?.state, promoted?.held], ["ready", true])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
    }))

  test("I7: a run created in the place of one that was claimed meanwhile waits until that one has stopped", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const [name, queues] of [["queues", true], ["does not", false]] as const) {
        for (const claim of [undefined, lab.lease()]) {
          yield* lab.addReady(name, [newRun(now, { queues })])
          const planned = yield* lab.row(name)
          const old = yield* lab.claimOne()
          const [committed] = yield* lab.store.commit([
            change(planned, now + 1, {}, [
              { _tag: "Cancel", key: old.key, reason: "replaced" },
              create(newRun(now + 1, { queues }), claim)
            ])
          ])
          assert.deepStrictEqual(committed, { _tag: "Committed", revision: planned.revision + 1, claimed: [] })
          const open = yield* lab.open(name)
          assert.deepStrictEqual(
            [now, now + 1].map((key) => [open[key]?.state, open[key]?.queues, open[key]?.cancel]),
            [["running", true, "replaced"], ["waiting", true, null]]
          )
          assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
          yield* lab.settle(settlement(old, now + 2, { _tag: "End", state: "cancelled", exit: null }))
          assert.deepStrictEqual(yield* lab.states(name), { [now + 1]: "ready" })
          assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9 })), [String(now + 1)])
          yield* lab.commit(name, "remove")
        }
      }
    }))

  test("I7: a run created to wait is promoted by the end of any that was open, whatever that was created as", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const waits = (due: number) => newRun(due, { state: "waiting" })
      for (const how of ["settled", "given back", "lost"]) {
        yield* lab.addReady(how)
        const old = yield* lab.claimOne({ until: now + 5 })
        yield* lab.commit(how, {}, [create(waits(now + 1)), create(waits(now + 2))])
        const open = yield* lab.open(how)
        assert.deepStrictEqual(
          [now, now + 1, now + 2].map((key) => [open[key]?.state, open[key]?.queues]),
          [["running", true], ["waiting", true], ["waiting", true]]
        )
        const { revision } = yield* lab.row(how)
        if (how === "settled") yield* lab.settle(settlement(old, now + 1))
        else if (how === "lost") yield* lab.takeover(now + 5, { maxTakeovers: 1 })
        else {
          yield* lab.settle(settlement(old, now + 1, { _tag: "Release" }))
          yield* lab.settle(settlement(yield* lab.claimOne(), now + 1))
        }
        assert.deepStrictEqual(yield* lab.states(how), { [now + 1]: "ready", [now + 2]: "waiting" })
        assert.strictEqual((yield* lab.row(how)).revision, revision + 1, "no older plan leaves one waiting")
        yield* lab.settle(settlement(yield* lab.claimOne({ now: now + 9 }), now + 9))
        assert.deepStrictEqual(yield* lab.states(how), { [now + 2]: "ready" }, "what has waited queues too")
        yield* lab.commit(how, "remove")
      }
    }))

  test("I7: a run created to wait for one that has ended meanwhile does not wait", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const waits = (due: number) => newRun(due, { state: "waiting", slots: 2 })
      yield* lab.addReady("a", [newRun(now, { slots: 2 }), newRun(now + 1, { slots: 2 })])
      const planned = yield* lab.row("a")
      for (const { run } of yield* lab.claim({ now: now + 9 })) yield* lab.settle(settlement(run, now + 9))
      const wakes = yield* lab.listen()
      const [committed] = yield* lab.store.commit([
        change(planned, now + 9, {}, [create(waits(now + 4)), create(waits(now + 3)), create(waits(now + 2))])
      ])
      assert.deepStrictEqual(committed, { _tag: "Committed", revision: planned.revision + 1, claimed: [] })
      yield* wakes.first((wake) => wake.ready)
      const states = yield* lab.states("a")
      assert.deepStrictEqual(states, { [now + 2]: "ready", [now + 3]: "ready", [now + 4]: "waiting" })
      // What the same change creates to run at once has its slot, in whichever order.
      yield* lab.add("b")
      const { claimed } = yield* lab.commit("b", {}, [
        create(waits(now + 1)),
        create(newRun(now, { slots: 2 }), lab.lease()),
        create(waits(now + 2))
      ])
      assert.deepStrictEqual(claimed, [(yield* lab.open("b"))[now]!])
      assert.isTrue(claimed[0]!.queues)
      assert.deepStrictEqual(yield* lab.states("b"), { [now]: "running", [now + 1]: "ready", [now + 2]: "waiting" })
    }))

  test("I7: it waits also where the cancelled run is given back, or its lease is lost", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const how of ["released", "lost"]) {
        yield* lab.addReady(how)
        const planned = yield* lab.row(how)
        const old = yield* lab.claimOne({ until: now + 5 })
        yield* lab.store.commit([
          change(planned, now + 1, {}, [
            { _tag: "Cancel", key: old.key, reason: "replaced" },
            create(newRun(now + 1))
          ])
        ])
        assert.deepStrictEqual(yield* lab.states(how), { [now]: "running", [now + 1]: "waiting" })
        if (how === "lost") yield* lab.takeover(now + 5)
        else assert.strictEqual(yield* lab.settle(settlement(old, now + 2, { _tag: "Release" })), "Cancelled")
        assert.deepStrictEqual(yield* lab.states(how), { [now + 1]: "ready" })
        yield* lab.commit(how, "remove")
      }
    }))

  test("I7: it does not wait where the cancelled run has ended, or there is room beside it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const cancel = { _tag: "Cancel", key: String(now), reason: "replaced" } as const
      yield* lab.addReady("ready", [newRun(now)])
      yield* lab.commit("ready", {}, [cancel, create(newRun(now + 1))])
      assert.deepStrictEqual(yield* lab.states("ready"), { [now + 1]: "ready" })
      yield* lab.commit("ready", "remove")

      yield* lab.addReady("ended", [newRun(now)])
      yield* lab.settle(settlement(yield* lab.claimOne(), now))
      yield* lab.commit("ended", {}, [cancel, create(newRun(now + 1))])
      assert.deepStrictEqual(yield* lab.states("ended"), { [now + 1]: "ready" })
      yield* lab.commit("ended", "remove")

      const two = { slots: 2 }
      yield* lab.addReady("room", [newRun(now, two)])
      yield* lab.claimOne()
      const committed = yield* lab.commit("room", {}, [
        cancel,
        create(newRun(now + 1, two), lab.lease()),
        create(newRun(now + 2, two), lab.lease())
      ])
      assert.deepStrictEqual(committed.claimed.map((run) => run.key), [String(now + 1)])
      const states = yield* lab.states("room")
      assert.deepStrictEqual(states, { [now]: "running", [now + 1]: "running", [now + 2]: "waiting" })

      yield* lab.addReady("known", [newRun(now)])
      yield* lab.claimOne()
      yield* lab.commit("known", {}, [create(newRun(now + 1))])
      assert.deepStrictEqual(yield* lab.states("known"), { [now]: "running", [now + 1]: "ready" }, "nothing cancelled")

      yield* lab.add("own")
      yield* lab.commit("own", {}, [create(newRun(now), lab.lease()), cancel, create(newRun(now + 1))])
      assert.deepStrictEqual(yield* lab.states("own"), { [now]: "running", [now + 1]: "ready" }, "no claim but its own")
    }))

  test("I7: a run promoted in the place of one that was claimed meanwhile goes on waiting", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" })])
      const planned = yield* lab.row("a")
      const old = yield* lab.claimOne()
      yield* lab.store.commit([
        change(planned, now + 1, {}, [
          { _tag: "Cancel", key: old.key, reason: "by hand" },
          { _tag: "Promote", key: String(now + 1) }
        ])
      ])
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running", [now + 1]: "waiting" })
      yield* lab.settle(settlement(old, now + 2))
      assert.deepStrictEqual(yield* lab.states("a"), { [now + 1]: "ready" })
    }))

  test("I7: a run that is taken over for good promotes too", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const name of ["abandoned", "cancelled"]) {
        yield* lab.addReady(name, [newRun(now, queued), newRun(now + 1, waiting), newRun(now + 2, waiting)])
        yield* lab.claimOne({ until: now + 5 })
        if (name === "cancelled") yield* lab.commit(name, {}, [{ _tag: "Cancel", key: String(now), reason: "stop" }])
        const { revision } = yield* lab.row(name)
        const took = yield* lab.takeover(now + 5, { maxTakeovers: 1 })
        assert.deepStrictEqual(took, { [now]: name })
        assert.deepStrictEqual(yield* lab.states(name), { [now + 1]: "ready", [now + 2]: "waiting" })
        assert.strictEqual((yield* lab.row(name)).revision, revision + 1)
        yield* lab.commit(name, "remove")
      }
    }))
}
