import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { counts, Echo, hourly, nextTime, scheduled, Tick } from "./utils.ts"

const digest = (customer: string, options: object = {}) =>
  Task.scheduled(Echo, { id: `digest-${customer}`, payload: { text: customer }, trigger: hourly, ...options })

const reconcile = (owner: string, entries: ReadonlyArray<ReturnType<typeof digest>>) =>
  Effect.flatMap(TaskScheduler, (scheduler) => scheduler.reconcile(owner, entries))

describe("reconcile", () => {
  it.effect("adds, updates, leaves unchanged and removes", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      assert.deepStrictEqual(yield* reconcile("mail", [digest("a"), digest("b"), digest("c")]), {
        added: ["digest-a", "digest-b", "digest-c"],
        updated: [],
        unchanged: [],
        removed: []
      })
      yield* TestScheduler.advance("90 minutes")
      assert.deepStrictEqual(
        yield* reconcile("mail", [digest("d"), digest("b"), digest("c", { payload: { text: "C" } })]),
        { added: ["digest-d"], updated: ["digest-c"], unchanged: ["digest-b"], removed: ["digest-a"] }
      )
      const list = (yield* scheduler.list({ owner: "mail" })).items
      assert.deepStrictEqual(list.map((info) => [info.id, nextTime(info)]), [
        ["digest-b", "02:00"],
        ["digest-c", "02:00"],
        ["digest-d", "02:30"]
      ])
      assert.isTrue(list.every((info) => Option.getOrThrow(info.owner) === "mail"))
    })))

  it.effect("again changes nothing at all", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* reconcile("mail", [digest("a"), digest("b")])
      yield* TestScheduler.advance("90 minutes")
      const before = (yield* scheduler.list()).items
      const again = yield* reconcile("mail", [digest("b"), digest("a")])
      assert.deepStrictEqual(again.unchanged, ["digest-b", "digest-a"])
      assert.deepStrictEqual((yield* scheduler.list()).items, before)
    })))

  it.effect("lets pauses and reschedules of an operator survive", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* reconcile("mail", [digest("a")])
      const handle = scheduler.handle("digest-a")
      yield* handle.reschedule(Trigger.every("2 hours"))
      yield* handle.pause("vacation")
      const { updated } = yield* reconcile("mail", [digest("a", { misfireGrace: "1 minute" })])
      assert.deepStrictEqual(updated, ["digest-a"])
      const info = yield* handle.snapshot
      assert.deepInclude(info, { state: "paused", pauseNote: Option.some("vacation"), when: "every 2 hours" })
      assert.strictEqual(Option.getOrThrow(info.policy).misfireGrace, 60_000)
    })))

  it.effect("never touches tasks of others, nor those of nobody", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* reconcile("billing", [digest("x")])
      yield* scheduler.add(Tick, { id: "free", trigger: hourly })
      const { removed } = yield* reconcile("mail", [digest("a")])
      assert.deepStrictEqual(removed, [])
      const before = (yield* scheduler.list()).items
      const error = yield* Effect.flip(reconcile("mail", [digest("b"), digest("x")]))
      assert.deepInclude(error, { _tag: "DuplicateTask", id: "digest-x" })
      assert.deepStrictEqual((yield* scheduler.list()).items, before)
      assert.deepStrictEqual((yield* reconcile("mail", [])).removed, ["digest-a"])
      assert.deepStrictEqual((yield* scheduler.list()).items.map((info) => info.id), ["digest-x", "free"])
    })))

  it.effect("an `add` with update leaves the owner as it is", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* reconcile("mail", [digest("a")])
      yield* scheduler.add(Echo, { ...digest("a", { onConflict: "update" }).options, payload: { text: "n" } })
      assert.strictEqual(Option.getOrThrow((yield* scheduler.handle("digest-a").snapshot).owner), "mail")
    })))

  it.effect("refuses entries without id, with onConflict, for another store, twice, or invalid: nothing is changed", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* reconcile("mail", [digest("a")])
        const before = (yield* scheduler.list()).items
        const refused = (entry: ReturnType<typeof digest>, message: RegExp) =>
          Effect.gen(function*() {
            const error = yield* Effect.flip(reconcile("mail", [digest("b"), entry]))
            assert.match(error.message, message)
            assert.deepStrictEqual((yield* scheduler.list()).items, before)
          })
        yield* refused(digest("c", { id: undefined }), /every task it is given must have one/)
        yield* refused(digest("c", { onConflict: "replace" }), /leave onConflict out/)
        yield* refused(digest("c", { store: "other" }), /works on one store/)
        yield* refused(digest("b"), /exists/)
        yield* refused(digest("c", { payload: { text: 1 } }), /text/)
        yield* refused(digest("c", { trigger: Trigger.never }), /never run/)
        assert.match((yield* Effect.flip(reconcile(" ", []))).message, /owner/)
        const unknown = yield* Effect.flip(scheduler.reconcile("mail", [], { store: "nope" }))
        assert.strictEqual(unknown._tag, "UnknownStore")
      }),
      { store: TaskStores.layer({ default: MemoryTaskStore.layer, other: MemoryTaskStore.layer }) }
    ))

  it.effect("works on the store it is given", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* scheduler.reconcile("mail", [digest("a", { store: "other" }), digest("b")], { store: "other" })
        assert.deepStrictEqual((yield* scheduler.list()).items, [])
        assert.strictEqual((yield* scheduler.list({ store: "other" })).items.length, 2)
      }),
      { store: TaskStores.layer({ default: MemoryTaskStore.layer, other: MemoryTaskStore.layer }) }
    ))

  it.effect("goes through more than one page", () =>
    scheduled(Effect.gen(function*() {
      const many = Array.from({ length: 1_100 }, (_, n) => digest(String(n).padStart(4, "0")))
      assert.strictEqual((yield* reconcile("mail", many)).added.length, 1_100)
      const half = yield* reconcile("mail", many.slice(550))
      assert.strictEqual(half.removed.length, 550)
      assert.strictEqual(half.unchanged.length, 550)
    })))

  it.effect("a removed task's waiting runs end, and what it counted is gone with it", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* reconcile("mail", [digest("a")])
      yield* TestScheduler.advance("1 hour")
      yield* reconcile("mail", [])
      yield* reconcile("mail", [digest("a")])
      assert.deepStrictEqual(counts((yield* scheduler.handle("digest-a").snapshot).counters), {})
    })))
})
