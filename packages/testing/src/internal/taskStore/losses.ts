/**
 * What is taken away: removed tasks, lost leases, old history, rows one reader cannot read.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Lab, Test } from "./lab.ts"
import { change, keys, newestRules, newRun, ref, settlement } from "./lab.ts"

export const removals = (test: Test): void => {
  test("removing cancels ready and waiting runs and lets running ones settle into history", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })], {
        due: -5_000_000_000_000
      })
      const run = yield* lab.claimOne()
      assert.strictEqual((yield* lab.commit("a", "remove", [], now + 5))._tag, "Committed")
      assert.deepStrictEqual(yield* lab.store.get([row.id]), [])
      assert.deepStrictEqual(
        (yield* lab.store.list({ ids: [row.id], sort: "id", descending: false, limit: 9 })).items,
        []
      )
      const { tasks } = yield* lab.store.due({
        now: -5_000_000_000_000,
        limit: 1000,
        reader: lab.reader,
        zoneRules: newestRules
      })
      assert.notInclude(tasks.map((task) => task.row.id), row.id)
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
      const states = Effect.map(lab.runs({ name: "a" }), (runs) => runs.map((run) => [run.key, run.state, run.endedAt]))
      assert.deepStrictEqual(yield* states, [
        [String(now + 2), "cancelled", now + 5],
        [String(now + 1), "cancelled", now + 5],
        [String(now), "running", null]
      ])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now: now + 6, lease: lab.lease(), runs: [ref(run)] }),
        [{ alive: true, cancel: null }]
      )
      const task = { failures: "increment", missed: true } as const
      assert.strictEqual(yield* lab.settle(settlement(run, now + 7, undefined, { task })), "Settled")
      assert.strictEqual(yield* lab.settle(settlement(run, now + 7)), "Settled")
      assert.deepStrictEqual((yield* states)[2], [String(now), "succeeded", now + 7])
    }))

  test("a run whose task is gone does not go back to ready: it ends cancelled", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", "remove")
      assert.strictEqual(
        yield* lab.settle(settlement(one!.run, now + 10, { _tag: "Retry", readyAt: now, exit: "1" })),
        "Cancelled"
      )
      assert.strictEqual(yield* lab.settle(settlement(two!.run, now + 10, { _tag: "Release" })), "Cancelled")
      assert.deepStrictEqual((yield* lab.runs({ name: "a" })).map((run) => run.state), ["cancelled", "cancelled"])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 99 }), [])
    }))

  test("a running run is asked to stop also where its task is gone, for the first reason given", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const wakes = yield* lab.listen()
      const { generation } = yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      const [one, two] = yield* lab.claim({ limit: 2, now: now + 9 })
      yield* lab.settle(settlement(two!.run, now))
      yield* lab.store.cancel([])
      const ask = (key: number, reason: string) => ({ generation, key: String(key), reason })
      assert.deepStrictEqual(yield* lab.store.cancel([ask(now + 1, "ended"), ask(now + 2, "ready")]), [false, false])
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running", [now + 2]: "ready" })
      yield* lab.commit("a", "remove")
      const before = wakes.seen.length
      assert.deepStrictEqual(
        yield* lab.store.cancel([
          ask(now, "first"),
          ask(now, "second"),
          ask(now + 2, "cancelled"),
          { ...ask(now, "nobody's"), generation: generation + 1 }
        ]),
        [true, true, false, false]
      )
      yield* wakes.first((wake) => wakes.seen.indexOf(wake) >= before && wake.cancel)
      assert.deepStrictEqual(yield* lab.store.cancel([ask(now, "third")]), [true])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now, lease: lab.lease(), runs: [ref(one!.run)] }),
        [{ alive: true, cancel: "first" }]
      )
      assert.strictEqual(yield* lab.settle(settlement(one!.run, now + 9, { _tag: "Release" })), "Cancelled")
    }))

  test("what replaces a task takes its id in the same step, as another generation, with its runs", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const wakes = yield* lab.listen()
      const row = yield* lab.addReady("a", [newRun(now), newRun(now + 1)], { labels: "{\"old\":\"1\"}" })
      const { run } = (yield* lab.claim({ limit: 1 }))[0]!
      yield* lab.store.quarantine([{ id: row.id, generation: row.generation, reader: "r", reason: "odd", at: now }])
      const replacement = lab.task("a", {
        name: "new",
        due: now - 5_000_000_000_000,
        labels: "{\"new\":\"1\"}",
        runs: [newRun(now), newRun(now + 7, { state: "waiting" })]
      })
      const [stale] = yield* lab.store.commit([{ ...change(row, now, "remove"), revision: 0, replacement }])
      assert.deepStrictEqual([stale, yield* lab.row("a")], [{ _tag: "Conflict" }, row])
      const before = wakes.seen.length
      const [committed] = yield* lab.store.commit([{ ...change(row, now + 5, "remove"), replacement }])
      assert.deepStrictEqual(committed, { _tag: "Committed", revision: row.revision + 1, claimed: [] })
      const after = yield* lab.row("a")
      assert.isAbove(after.generation, row.generation)
      const { runs: _, ...fields } = replacement
      assert.deepStrictEqual(after, { ...fields, generation: after.generation, revision: 1 })
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 7]: "waiting" })
      yield* wakes.first((wake) => wakes.seen.indexOf(wake) >= before && wake.ready)
      const named = (labels: Readonly<Record<string, string>>) =>
        Effect.map(
          lab.store.list({ tag: lab.tag, labels, sort: "id", descending: false, limit: 9 }),
          ({ items }) => items.map(({ id }) => id)
        )
      assert.deepStrictEqual([yield* named({ old: "1" }), yield* named({ new: "1" })], [[], [row.id]])
      assert.deepStrictEqual((yield* lab.store.verdicts({ limit: 1_000 })).filter(({ id }) => id === row.id), [])
      // The runs of the one before are its own: they end as those of a task that was removed.
      assert.strictEqual(
        yield* lab.settle(settlement(run, now + 6, { _tag: "Retry", readyAt: now, exit: null })),
        "Cancelled"
      )
      assert.deepStrictEqual(
        (yield* lab.history("a")).map(({ generation, key, state }) => [generation, key, state]),
        [[row.generation, String(now + 1), "cancelled"], [row.generation, String(now), "cancelled"]]
      )
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9 })), [String(now)])
    }))

  test("the last wishes of a removing change are done before it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      yield* lab.commit("a", "remove", [{ _tag: "Cancel", key: run.key, reason: "interrupt" }])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now, lease: lab.lease(), runs: [ref(run)] }),
        [{ alive: true, cancel: "interrupt" }]
      )
    }))

  test("an id added again is another task: keys are free, late settlements of the old one do not touch it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const old = yield* lab.addReady("a")
      const late = yield* lab.claimOne()
      yield* lab.commit("a", "remove")
      const row = yield* lab.addReady("a", [newRun(now)], { payload: "[\"new\"]" })
      assert.isAbove(row.generation, old.generation)
      const { run, task } = (yield* lab.claim())[0]!
      assert.strictEqual(run.generation, row.generation)
      assert.strictEqual(task.payload, "[\"new\"]")
      assert.strictEqual(yield* lab.settle(settlement({ ...late, token: run.token }, now)), "Stale")
      assert.strictEqual(yield* lab.settle(settlement({ ...run, token: late.token }, now)), "Stale")
      assert.deepStrictEqual((yield* lab.open("a"))[now], run)
      assert.strictEqual(
        yield* lab.settle(settlement(late, now + 1, undefined, { task: { failures: "increment" } })),
        "Settled"
      )
      assert.deepStrictEqual((yield* lab.open("a"))[now], run)
      assert.strictEqual((yield* lab.row("a")).failures, 0)
      const ofOld = yield* lab.runs({ name: "a", generation: old.generation })
      assert.deepStrictEqual(ofOld.map((run) => run.state), ["succeeded"])
      assert.strictEqual(yield* lab.settle(settlement(run, now + 2)), "Settled")
      assert.deepStrictEqual(
        (yield* lab.runs({ name: "a" })).map((run) => run.generation).toSorted((self, that) => self - that),
        [old.generation, row.generation]
      )
    }))
}

export const takeovers = (test: Test): void => {
  test("a lost lease makes the run ready: attempt used, one takeover more, the old owner refused", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const lost = yield* lab.claimOne({ until: now + 100 })
      const { runs } = yield* lab.store.takeover({ now: now + 100, limit: 100_000, maxTakeovers: 3, keep: 100 })
      const took = runs.find(({ run }) => run.taskId === lab.id("a"))!
      assert.deepStrictEqual([took.became, took.owner], ["ready", lab.owner])
      const { attempt, leaseUntil, state, takeovers } = took.run
      assert.deepStrictEqual({ attempt, leaseUntil, state, takeovers }, {
        attempt: 1,
        leaseUntil: null,
        state: "ready",
        takeovers: 1
      })
      const refused = Effect.gen(function*() {
        assert.strictEqual(yield* lab.settle(settlement(lost, now + 101)), "Stale")
        assert.deepStrictEqual(yield* lab.store.start({ now, owner: lab.owner, runs: [ref(lost)] }), [false])
        assert.deepStrictEqual(
          yield* lab.store.heartbeat({ now, lease: lab.lease(), runs: [ref(lost)] }),
          [{ alive: false, cancel: null }]
        )
      })
      yield* refused
      const again = yield* lab.claimOne({ now: now + 101, owner: "other" })
      assert.deepStrictEqual([again.attempt, again.takeovers, again.owner], [2, 1, "other"])
      assert.isAbove(again.token!, lost.token!)
      yield* refused
      assert.strictEqual(yield* lab.settle(settlement(again, now + 102)), "Settled")
    }))

  test("valid leases are not taken, and the next end is told", (lab) =>
    Effect.gen(function*() {
      // Before every other lease, so that the next end is ours.
      const at = (n: number) => -4_000_000_000_000 + n
      yield* lab.addReady("a", [newRun(at(0)), newRun(at(1)), newRun(at(2))])
      const claim = (until: number) => lab.claim({ now: at(9), limit: 1, until: at(until) })
      yield* claim(50)
      yield* claim(40)
      yield* claim(60)
      const took = (now: number, limit = 10) =>
        Effect.map(
          lab.store.takeover({ now: at(now), limit, maxTakeovers: 3, keep: 10 }),
          ({ next, runs }) => ({ next, runs: runs.map(({ run }) => run.due) })
        )
      assert.deepStrictEqual(yield* took(39), { next: at(40), runs: [] })
      assert.deepStrictEqual((yield* took(55, 1)).runs, [at(1)], "first ended first")
      assert.deepStrictEqual(yield* took(55), { next: at(60), runs: [at(0)] })
      assert.deepStrictEqual((yield* took(100)).runs, [at(2)])
    }))

  test("a run is abandoned at its last allowed lost lease", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      for (const [i, became] of (["ready", "ready", "abandoned"] as const).entries()) {
        yield* lab.claimOne({ now: now + i * 10, until: now + i * 10 + 5 })
        assert.deepStrictEqual(yield* lab.takeover(now + i * 10 + 5, { maxTakeovers: 3 }), { [now]: became })
      }
      const [ended] = yield* lab.history("a")
      assert.deepStrictEqual([ended!.state, ended!.takeovers, ended!.attempt, ended!.endedAt], [
        "abandoned",
        3,
        3,
        now + 25
      ])
      assert.deepStrictEqual(yield* lab.states("a"), {})
    }))

  test("a settlement that comes after the run was abandoned is stale", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne({ until: now + 5 })
      assert.deepStrictEqual(yield* lab.takeover(now + 5, { maxTakeovers: 1 }), { [now]: "abandoned" })
      assert.strictEqual(yield* lab.settle(settlement(run, now + 6)), "Stale")
      assert.deepStrictEqual((yield* lab.history("a")).map((run) => run.state), ["abandoned"])
    }))

  test("atMostOnce: what has started is abandoned, what has not is ready again", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now, { atMostOnce: true }),
        newRun(now + 1, { atMostOnce: true }),
        newRun(now + 2)
      ])
      const claimed = yield* lab.claim({ now: now + 9, until: now + 20 })
      yield* lab.store.start({ now: now + 10, owner: lab.owner, runs: [ref(claimed[1]!.run), ref(claimed[2]!.run)] })
      assert.deepStrictEqual(yield* lab.takeover(now + 20), {
        [now]: "ready",
        [now + 1]: "abandoned",
        [now + 2]: "ready"
      })
      // The mark is of one claim: the run that was not started may be taken over unstarted again.
      yield* lab.claim({ now: now + 21, until: now + 30 })
      assert.deepStrictEqual(yield* lab.takeover(now + 30), { [now]: "ready", [now + 2]: "ready" })
    }))

  test("a run asked to stop is cancelled when its lease is lost", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, { atMostOnce: true })])
      const run = yield* lab.claimOne({ until: now + 5 })
      yield* lab.store.start({ now, owner: lab.owner, runs: [ref(run)] })
      yield* lab.commit("a", {}, [{ _tag: "Cancel", key: run.key, reason: "stop" }])
      assert.deepStrictEqual(yield* lab.takeover(now + 5, { maxTakeovers: 1 }), { [now]: "cancelled" })
      assert.deepStrictEqual((yield* lab.history("a")).map((run) => [run.state, run.cancel, run.endedAt]), [
        ["cancelled", "stop", now + 5]
      ])
    }))

  test("a lost lease of a paused task's run leaves it held, and adds one to the row's revision", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      yield* lab.claim({ now: now + 1, until: now + 5 })
      yield* lab.commit("a", { state: "paused", pausedAt: now + 2, due: null })
      const { revision } = yield* lab.row("a")
      const { runs } = yield* lab.store.takeover({ now: now + 5, limit: 100_000, maxTakeovers: 3, keep: 100 })
      const taken = runs.filter(({ run }) => run.taskId === lab.id("a"))
      assert.deepStrictEqual(taken.map(({ became, run }) => [became, run.held]), [["ready", true], ["ready", true]])
      const open = yield* lab.open("a")
      assert.deepStrictEqual(Object.values(open).map((run) => [run.state, run.held]), [["ready", true], [
        "ready",
        true
      ]])
      assert.strictEqual((yield* lab.row("a")).revision, revision + 2)
      assert.deepStrictEqual(yield* lab.claimAll({ now: now + 9 }), { runs: [], next: null })
      yield* lab.commit("a", { state: "scheduled", pausedAt: null }, [{ _tag: "Unhold", key: String(now) }])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9 })), [String(now)])
    }))

  test("a run whose task is gone is abandoned when its lease is lost", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      yield* lab.claimOne({ until: now + 5 })
      yield* lab.commit("a", "remove")
      assert.deepStrictEqual(yield* lab.takeover(now + 5), { [now]: "abandoned" })
      assert.deepStrictEqual((yield* lab.runs({ name: "a" })).map((run) => run.state), ["abandoned"])
    }))
}

export const retention = (test: Test): void => {
  const ended = (lab: Lab, name: string) =>
    Effect.map(lab.history(name), (runs) => runs.map((run) => run.due - lab.now).reverse())

  test("I8: the settlement keeps the last ends of each task, in the order they ended", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", Array.from({ length: 7 }, (_, i) => newRun(now + i)))
      yield* lab.addReady("other", [newRun(now + 1)])
      const claimed = yield* lab.claim({ now: now + 9 })
      const due = new Map(claimed.map(({ run }) => [`${run.taskId} ${run.due - now}`, run]))
      const settle = (name: string, i: number) =>
        lab.settle(settlement(due.get(`${lab.id(name)} ${i}`)!, now + 10 + i), 3)
      yield* settle("other", 1)
      // The first due ends last.
      for (const i of [6, 1, 2, 3, 4, 5]) yield* settle("a", i)
      assert.deepStrictEqual(yield* ended(lab, "a"), [3, 4, 5])
      yield* settle("a", 0)
      assert.deepStrictEqual(yield* ended(lab, "a"), [0, 4, 5])
      assert.deepStrictEqual(yield* ended(lab, "other"), [1])
    }))

  test("I8: keep = 1 keeps the last end, and settling it again is still known", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      const claimed = yield* lab.claim({ now: now + 9 })
      const settled = yield* lab.store.settle(claimed.map(({ run }) => settlement(run, now + 10)), { keep: 1 })
      assert.deepStrictEqual(settled, ["Settled", "Settled", "Settled"])
      assert.deepStrictEqual(yield* ended(lab, "a"), [2])
      assert.strictEqual(yield* lab.settle(settlement(claimed[2]!.run, now + 11), 1), "Settled")
      assert.strictEqual(yield* lab.settle(settlement(claimed[0]!.run, now + 11), 1), "Stale")
      assert.deepStrictEqual(yield* ended(lab, "a"), [2])
    }))

  test("I8: a smaller keep, and what commit cancelled, are caught up with by the next settlement", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", Array.from({ length: 9 }, (_, i) => newRun(now + i)))
      const claimed = yield* lab.claim({ now: now + 9, limit: 5 })
      for (const { run } of claimed.slice(0, 4)) yield* lab.settle(settlement(run, now + 10), 100)
      yield* lab.commit("a", {}, [5, 6, 7, 8].map((i) => ({ _tag: "Cancel", key: String(now + i), reason: "no" })))
      assert.strictEqual((yield* lab.history("a")).length, 8)
      yield* lab.settle(settlement(claimed[4]!.run, now + 10), 2)
      const left = yield* ended(lab, "a")
      assert.strictEqual(left.length, 2)
      assert.include(left, 4)
    }))

  test("I8: what one change cancels ends in the order of the change", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      const run = yield* lab.claimOne({ limit: 1 })
      yield* lab.commit("a", {}, [
        { _tag: "Hold", key: String(now + 1) },
        { _tag: "Cancel", key: String(now + 1), reason: "no" },
        { _tag: "Cancel", key: String(now + 2), reason: "no" }
      ])
      yield* lab.settle(settlement(run, now + 10), 2)
      assert.deepStrictEqual(yield* ended(lab, "a"), [0, 2])
    }))

  test("I8: a takeover keeps to the limit too", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      yield* lab.claim({ now: now + 9, until: now + 10 })
      yield* lab.takeover(now + 10, { maxTakeovers: 1, keep: 2 })
      assert.strictEqual((yield* lab.history("a")).length, 2)
    }))

  test("I8: pruning by age deletes what ended before an instant, at most so many, never an open run", (lab) =>
    Effect.gen(function*() {
      // Before every other test's ends, so that the count is ours.
      const at = (n: number) => -3_000_000_000_000 + n
      yield* lab.addReady("a", Array.from({ length: 6 }, (_, i) => newRun(at(i))))
      yield* lab.addReady("open", [newRun(at(0), { state: "waiting" }), newRun(at(1), { readyAt: at(1000) })])
      const claimed = yield* lab.claim({ now: at(10) })
      // Ended in another order than due; the last one keeps running.
      for (const [i, n] of [3, 1, 4, 0, 2].entries()) yield* lab.settle(settlement(claimed[n]!.run, at(100 + i)))
      const left = Effect.map(lab.runs({ name: "a" }), (runs) => runs.map((run) => run.due - at(0)).reverse())
      yield* lab.store.prune({ before: at(0), limit: 100_000 })
      assert.strictEqual(yield* lab.store.prune({ before: at(100), limit: 100 }), 0)
      assert.strictEqual(yield* lab.store.prune({ before: at(103), limit: 2 }), 2)
      assert.strictEqual((yield* left).length, 4)
      assert.strictEqual(yield* lab.store.prune({ before: at(103), limit: 2 }), 1)
      assert.deepStrictEqual(yield* left, [0, 2, 5])
      assert.strictEqual(yield* lab.store.prune({ before: at(5000), limit: 100 }), 2)
      assert.deepStrictEqual(yield* lab.states("a"), { [at(5)]: "running" })
      assert.deepStrictEqual(yield* lab.states("open"), { [at(0)]: "waiting", [at(1)]: "ready" })
      assert.strictEqual(yield* lab.settle(settlement(claimed[5]!.run, at(200))), "Settled")
    }))
}

export const verdicts = (test: Test): void => {
  const dueOf = (lab: Lab, reader: string, now: number) =>
    Effect.map(
      lab.store.due({ now, limit: 100_000, reader, zoneRules: newestRules }),
      ({ tasks }) => tasks.map((task) => task.row.id).filter((id) => lab.own(id))
    )

  const ofLab = (lab: Lab) =>
    Effect.map(lab.store.verdicts({ limit: 100_000 }), (all) => all.filter((verdict) => lab.own(verdict.id)))

  test("I9: a verdict hides the row from its reader's due and claim, and from nobody else's", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const bad = yield* lab.addReady("bad", [newRun(now), newRun(now + 2)], { due: now })
      yield* lab.addReady("good", [newRun(now + 1)], { due: now + 1 })
      const verdict = { id: bad.id, generation: bad.generation, reader: "blind", reason: "newer version", at: now }
      yield* lab.store.quarantine([verdict])
      assert.deepStrictEqual(yield* ofLab(lab), [verdict])
      assert.deepStrictEqual(yield* dueOf(lab, "blind", now + 1), [lab.id("good")])
      assert.deepStrictEqual(yield* dueOf(lab, "sighted", now + 1), [lab.id("bad"), lab.id("good")])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, reader: "blind" })), [String(now + 1)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, reader: "sighted" })), [now, now + 2].map(String))
      assert.strictEqual((yield* lab.row("bad")).revision, 1, "nothing of the row changes")
    }))

  test("I9: a verdict does not use up the limit of due or claim", (lab) =>
    Effect.gen(function*() {
      const at = (n: number) => -2_000_000_000_000 + n
      for (const i of [0, 1, 2, 3, 4]) {
        const row = yield* lab.addReady(`bad${i}`, [newRun(at(i))], { due: at(i), priority: 9 })
        yield* lab.store.quarantine([{ id: row.id, generation: row.generation, reader: "blind", reason: "no", at: 0 }])
      }
      yield* lab.addReady("good", [newRun(at(9))], { due: at(9) })
      const { tasks } = yield* lab.store.due({ now: at(9), limit: 1, reader: "blind", zoneRules: newestRules })
      assert.deepStrictEqual(tasks.map((task) => task.row.id), [lab.id("good")])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: at(9), limit: 1, reader: "blind" })), [String(at(9))])
    }))

  test("I9: verdicts are cleared for every reader, and the row is seen again", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.addReady("a", undefined, { due: now })
      const other = yield* lab.add("b")
      const of = (reader: string, reason: string, at: number) => ({
        id: row.id,
        generation: row.generation,
        reader,
        reason,
        at
      })
      const kept = { id: other.id, generation: other.generation, reader: "one", reason: "stays", at: 0 }
      yield* lab.store.quarantine([of("one", "first", 1), of("two", "second", 2), kept])
      yield* lab.store.quarantine([of("one", "latest", 3)])
      const order = (all: ReadonlyArray<{ readonly reason: string }>) => all.map((verdict) => verdict.reason).sort()
      assert.deepStrictEqual(order(yield* ofLab(lab)), ["latest", "second", "stays"])
      yield* lab.store.clear([row.generation])
      assert.deepStrictEqual(yield* ofLab(lab), [kept])
      assert.deepStrictEqual(yield* dueOf(lab, "one", now), [row.id])
      assert.deepStrictEqual(keys(yield* lab.claim({ reader: "two" })), [String(now)])
    }))

  test("I9: verdicts are of one generation and go with it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const old = yield* lab.add("a", { due: now })
      const verdict = { id: old.id, generation: old.generation, reader: "blind", reason: "no", at: now }
      yield* lab.store.quarantine([verdict])
      yield* lab.commit("a", "remove")
      assert.deepStrictEqual(yield* ofLab(lab), [])
      const row = yield* lab.addReady("a", undefined, { due: now })
      yield* lab.store.quarantine([verdict, { ...verdict, id: lab.id("nobody"), generation: 2_000_000_000 }])
      assert.deepStrictEqual(yield* ofLab(lab), [])
      assert.deepStrictEqual(yield* dueOf(lab, "blind", now), [row.id])
      assert.deepStrictEqual(keys(yield* lab.claim({ reader: "blind" })), [String(now)])
    }))
}
