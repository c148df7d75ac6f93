/**
 * Wake-ups.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Lab, Test } from "./lab.ts"
import { create, newestRules, newRun, settlement } from "./lab.ts"

export const wakes = (test: Test): void => {
  /** Before the instants of every other test, so that nothing else is due earlier. */
  const early = (lab: Lab, n: number) => -8_000_000_000_000 - lab.now / 1000 + n

  /** Listens while a reader was told that nothing is due. */
  const listen = (lab: Lab) =>
    Effect.andThen(lab.store.due({ now: 8.64e15, limit: 1, reader: lab.reader, zoneRules: newestRules }), lab.listen())

  test("I12: a task due earlier than anything known wakes, a later one does not", (lab) =>
    Effect.gen(function*() {
      const wakes = yield* listen(lab)
      yield* lab.add("a", { due: early(lab, 1000) })
      assert.deepStrictEqual(yield* wakes.first((wake) => wake.due !== null), {
        due: early(lab, 1000),
        ready: false,
        cancel: false
      })
      yield* lab.add("later", { due: early(lab, 2000) })
      yield* lab.add("never", { due: null })
      yield* lab.commit("later", { due: early(lab, 1500) })
      yield* lab.add("earlier", { due: early(lab, 500) })
      yield* wakes.first((wake) => wake.due === early(lab, 500))
      yield* lab.commit("later", { due: early(lab, 100) })
      yield* wakes.first((wake) => wake.due === early(lab, 100))
      assert.deepStrictEqual(wakes.seen.map((wake) => wake.due), [1000, 500, 100].map((n) => early(lab, n)))
    }))

  test("I12: one batch wakes once, for its earliest", (lab) =>
    Effect.gen(function*() {
      const wakes = yield* listen(lab)
      yield* lab.store.insert([300, 100, 200].map((n) => lab.task(String(n), { due: early(lab, n) })))
      yield* wakes.first((wake) => wake.due === early(lab, 100))
      yield* lab.add("end", { due: early(lab, 1) })
      yield* wakes.first((wake) => wake.due === early(lab, 1))
      assert.strictEqual(wakes.seen.length, 2)
    }))

  test("I12: a row that stays due does not hide the wake of a later one", (lab) =>
    Effect.gen(function*() {
      const stuck = yield* lab.add("stuck", { due: early(lab, 0) })
      yield* lab.add("far", { due: early(lab, 9000) })
      yield* lab.store.quarantine([
        { id: stuck.id, generation: stuck.generation, reader: lab.reader, reason: "unreadable", at: 0 }
      ])
      const { next } = yield* lab.store.due({
        now: early(lab, 100),
        limit: 10,
        reader: lab.reader,
        zoneRules: newestRules
      })
      assert.strictEqual(next, early(lab, 9000))
      // The reader sleeps until 9000 now.
      const wakes = yield* lab.listen()
      yield* lab.add("between", { due: early(lab, 5000) })
      yield* wakes.first((wake) => wake.due === early(lab, 5000))
    }))

  test("I12: a run that becomes ready wakes, however it does", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const wakes = yield* listen(lab)
      let seen = 0
      const readied = (why: string) =>
        Effect.gen(function*() {
          yield* wakes.first((wake) => wake.ready && wakes.seen.indexOf(wake) >= seen)
          assert.isFalse(wakes.seen.slice(seen).some((wake) => wake.cancel), why)
          seen = wakes.seen.length
        })
      const queued = { queues: true }
      yield* lab.addReady("a", [newRun(now, queued), newRun(now + 1, { ...queued, state: "waiting" })])
      yield* readied("insert")
      yield* lab.commit("a", {}, [create(newRun(now + 2, { ...queued, state: "waiting" }))])
      assert.strictEqual(wakes.seen.length, seen, "a waiting run is nobody's business yet")
      const claim = lab.claim({ now: now + 9, limit: 1, until: now + 20 })
      yield* lab.settle(settlement((yield* claim)[0]!.run, now, { _tag: "Release" }))
      yield* readied("release")
      yield* lab.settle(settlement((yield* claim)[0]!.run, now, { _tag: "Retry", readyAt: now + 5, exit: null }))
      yield* readied("retry")
      yield* claim
      yield* lab.takeover(now + 20)
      yield* readied("takeover")
      yield* lab.settle(settlement((yield* claim)[0]!.run, now))
      yield* readied("promotion by a settlement")
      yield* lab.commit("a", {}, [{ _tag: "Promote", key: String(now + 2) }])
      yield* readied("Promote")
      yield* lab.commit("a", {}, [{ _tag: "Hold", key: String(now + 2) }])
      assert.strictEqual(wakes.seen.length, seen, "holding")
      yield* lab.commit("a", {}, [{ _tag: "Unhold", key: String(now + 2) }])
      yield* readied("Unhold")
      yield* lab.commit("a", {}, [create(newRun(now + 3))])
      yield* readied("Create")
      yield* lab.commit("a", {}, [create(newRun(now + 4), lab.lease())])
      assert.strictEqual(wakes.seen.length, seen, "its claimer knows")
      const { run } = (yield* claim)[0]!
      yield* lab.settle(settlement({ ...run, token: -1 }, now, { _tag: "Release" }))
      assert.strictEqual(wakes.seen.length, seen, "what is stale changes nothing")
    }))

  test("I12: a run asked to stop wakes", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const wakes = yield* listen(lab)
      yield* lab.commit("a", {}, [{ _tag: "Cancel", key: run.key, reason: "stop" }])
      const wake = yield* wakes.first((wake) => wake.cancel)
      assert.deepStrictEqual([wake.due, wake.ready], [null, false])
    }))

  test("I12: every listener is called, until its scope closes", (lab) =>
    Effect.gen(function*() {
      const one = yield* listen(lab)
      const two = yield* Effect.scoped(Effect.gen(function*() {
        const two = yield* listen(lab)
        yield* lab.add("a", { due: early(lab, 100) })
        yield* two.first((wake) => wake.due === early(lab, 100))
        return two
      }))
      yield* one.first((wake) => wake.due === early(lab, 100))
      yield* lab.add("b", { due: early(lab, 50) })
      yield* one.first((wake) => wake.due === early(lab, 50))
      assert.strictEqual(two.seen.length, 1)
    }))

  test("I12: a listener that throws harms nobody", (lab) =>
    Effect.gen(function*() {
      yield* lab.store.listen(() => {
        throw new Error("a listener that throws")
      })
      const wakes = yield* listen(lab)
      const row = yield* lab.add("a", { due: early(lab, 100) })
      yield* wakes.first((wake) => wake.due === early(lab, 100))
      assert.deepStrictEqual(yield* lab.row("a"), row)
      assert.strictEqual((yield* lab.commit("a", { due: early(lab, 50) }))._tag, "Committed")
      yield* wakes.first((wake) => wake.due === early(lab, 50))
    }))
}
