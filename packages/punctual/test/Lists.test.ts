import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TaskStore from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { at, Echo, hourly, nextTime, scheduled, Slow, Tick, times } from "./utils.ts"

const populate = Effect.gen(function*() {
  const scheduler = yield* TaskScheduler
  yield* scheduler.add(Tick, { id: "b", trigger: Trigger.every("3 hours"), labels: { team: "ops", tier: "1" } })
  yield* TestScheduler.advance("1 second")
  yield* scheduler.add(Tick, { id: "a", trigger: Trigger.every("2 hours"), labels: { team: "ops" }, name: "Alpha" })
  yield* TestScheduler.advance("1 second")
  yield* scheduler.add(Echo, { id: "d", payload: { text: "x" }, trigger: hourly, paused: true })
  yield* TestScheduler.advance("1 second")
  yield* scheduler.add(Echo, { id: "c", payload: { text: "x" }, trigger: Trigger.shutdown, labels: { team: "mail" } })
  yield* scheduler.reconcile("billing", [{ task: Tick, options: { id: "e", trigger: hourly, name: "ALPHABET" } }])
  return scheduler
})

describe("list", () => {
  it.effect("filters", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* populate
      const ids = (options: Parameters<typeof scheduler.list>[0]) =>
        Effect.map(scheduler.list(options), (page) => page.items.map((info) => info.id))
      assert.deepStrictEqual(yield* ids({}), ["a", "b", "c", "d", "e"])
      assert.deepStrictEqual(yield* ids({ task: Echo }), ["c", "d"])
      assert.deepStrictEqual(yield* ids({ state: "paused" }), ["d"])
      assert.deepStrictEqual(yield* ids({ state: "scheduled" }), ["a", "b", "e"])
      assert.deepStrictEqual(yield* ids({ state: "onShutdown" }), ["c"])
      assert.deepStrictEqual(yield* ids({ state: "finished" }), [])
      assert.deepStrictEqual(yield* ids({ owner: "billing" }), ["e"])
      assert.deepStrictEqual(yield* ids({ labels: { team: "ops" } }), ["a", "b"])
      assert.deepStrictEqual(yield* ids({ labels: { team: "ops", tier: "1" } }), ["b"])
      assert.deepStrictEqual(yield* ids({ labels: { team: "none" } }), [])
      assert.deepStrictEqual(yield* ids({ search: "alpha" }), ["a", "e"])
      assert.deepStrictEqual(yield* ids({ search: "D" }), ["d"])
      assert.deepStrictEqual(yield* ids({ task: Tick, labels: { team: "ops" }, search: "lph" }), ["a"])
    })))

  it.effect("sorts by id, due instant and age, either way; what is not due comes last", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* populate
      const ids = (options: Parameters<typeof scheduler.list>[0]) =>
        Effect.map(scheduler.list(options), (page) => page.items.map((info) => info.id))
      assert.deepStrictEqual(yield* ids({ descending: true }), ["e", "d", "c", "b", "a"])
      assert.deepStrictEqual(yield* ids({ sort: "created" }), ["b", "a", "d", "c", "e"])
      assert.deepStrictEqual((yield* ids({ sort: "due" })).slice(0, 3), ["e", "a", "b"])
      assert.deepStrictEqual((yield* ids({ sort: "due", descending: true })).slice(2), ["b", "a", "e"])
    })))

  it.effect("pages, without losing or repeating one", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.addAll(
        Array.from(
          { length: 25 },
          (_, n) => ({ task: Tick, options: { id: `t${n}`, trigger: Trigger.every(`${n + 1} hours`) } })
        )
      )
      for (const sort of ["id", "due", "created"] as const) {
        const seen: Array<string> = []
        let after: string | undefined
        do {
          const page: Effect.Success<ReturnType<typeof scheduler.list>> = yield* scheduler.list({
            sort,
            limit: 10,
            after
          })
          seen.push(...page.items.map((info) => info.id))
          after = page.next ?? undefined
        } while (after !== undefined)
        assert.strictEqual(seen.length, 25)
        assert.strictEqual(new Set(seen).size, 25)
      }
    })))

  it.effect("refuses limits out of bounds, unknown sorts, options, stores and cursors", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      for (const limit of [0, -1, 1.5, 1_001, Number.NaN]) {
        assert.strictEqual((yield* Effect.flip(scheduler.list({ limit })))._tag, "InvalidOption")
        assert.strictEqual((yield* Effect.flip(scheduler.runs({ limit })))._tag, "InvalidOption")
      }
      assert.match((yield* Effect.flip(scheduler.list({ sort: "name" as never }))).message, /sorted by/)
      assert.match((yield* Effect.flip(scheduler.list({ lables: {} } as never))).message, /did you mean `labels`/)
      assert.match((yield* Effect.flip(scheduler.runs({ stat: "ready" } as never))).message, /did you mean `state`/)
      assert.strictEqual((yield* Effect.flip(scheduler.list({ store: "x" })))._tag, "UnknownStore")
      assert.strictEqual((yield* Effect.flip(scheduler.list({ after: "nonsense" })))._tag, "TaskStoreError")
    })))
})

describe("runs", () => {
  it.effect("newest first, open ones and history, by task and state, in pages", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const ticks = yield* scheduler.add(Tick, { id: "tick", trigger: hourly })
      yield* scheduler.add(Slow, { id: "slow", payload: { minutes: 600 }, trigger: Trigger.every("2 hours") })
      yield* TestScheduler.advance("5 hours")
      assert.deepStrictEqual(times((yield* ticks.runs()).items), ["05:00", "04:00", "03:00", "02:00", "01:00"])
      const page = yield* ticks.runs({ limit: 2 })
      assert.deepStrictEqual(times(page.items), ["05:00", "04:00"])
      const next = yield* ticks.runs({ limit: 2, after: page.next! })
      assert.deepStrictEqual(times(next.items), ["03:00", "02:00"])
      const last = yield* ticks.runs({ limit: 2, after: next.next! })
      assert.deepStrictEqual(times(last.items), ["01:00"])
      assert.isNull(last.next)
      assert.deepStrictEqual(times((yield* scheduler.runs({ state: "running" })).items), ["02:00"])
      assert.deepStrictEqual(times((yield* scheduler.runs({ task: Slow })).items), ["02:00"])
      assert.strictEqual((yield* scheduler.runs({ state: "succeeded" })).items.length, 5)
      assert.strictEqual((yield* scheduler.runs()).items.length, 6)
      assert.deepStrictEqual((yield* scheduler.handle("nobody").runs()).items, [])
      assert.strictEqual((yield* Effect.flip(scheduler.handle("tick", { store: "x" }).runs()))._tag, "UnknownStore")
    })))

  it.effect("held ones are found as held", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const slow = yield* scheduler.add(Slow, {
        id: "slow",
        payload: { minutes: 90 },
        trigger: hourly,
        whenBusy: "queue"
      })
      yield* TestScheduler.advance("130 minutes")
      yield* slow.pause()
      assert.deepStrictEqual(times((yield* scheduler.runs({ state: "held" })).items), ["02:00"])
    })))
})

describe("what this program cannot read", () => {
  /** A store in which somebody has damaged a trigger. */
  const damaged = Layer.effect(TaskStore.TaskStore)(Effect.map(MemoryTaskStore.make, (store) => ({
    ...store,
    insert: (tasks: ReadonlyArray<TaskStore.NewTask>) =>
      store.insert(tasks.map((task) => task.id === "bad" ? { ...task, trigger: "{\"v\":1,\"_tag\":\"Later\"}" } : task))
  })))

  it.effect("is kept, listed, set aside for this program only, and comes back when it is repaired", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const bad = yield* scheduler.add(Tick, { id: "bad", trigger: hourly })
        yield* scheduler.add(Tick, { id: "good", trigger: hourly })
        const runs = yield* TestScheduler.advance("2 hours")
        assert.deepStrictEqual(runs.map((run) => run.taskId), ["good", "good"])
        const [verdict] = yield* scheduler.quarantined()
        assert.strictEqual(verdict!.id, "bad")
        const info = yield* bad.snapshot
        assert.deepInclude(info, {
          when: "unreadable",
          trigger: Option.none(),
          unreadable: Option.some(verdict!.reason)
        })
        assert.deepStrictEqual((yield* scheduler.list({ search: "bad" })).items, [info])
        for (
          const command of [
            bad.pause(),
            bad.preview(1),
            bad.explain(at("01:00")),
            bad.runNow(),
            bad.update({ name: "x" })
          ]
        ) {
          const error = yield* Effect.flip(command as Effect.Effect<unknown, { readonly _tag: string }>)
          assert.strictEqual(error._tag, "TaskUnreadable")
        }
        const repaired = yield* bad.reschedule(hourly)
        assert.isTrue(Option.isNone(repaired.unreadable))
        assert.strictEqual(nextTime(repaired), "03:00")
        assert.deepStrictEqual(yield* scheduler.quarantined(), [])
        assert.strictEqual((yield* TestScheduler.advance("1 hour")).length, 2)
      }),
      { store: damaged }
    ))

  it.effect("can be removed", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const bad = yield* scheduler.add(Tick, { id: "bad", trigger: hourly })
        yield* TestScheduler.advance("2 hours")
        yield* bad.remove()
        assert.deepStrictEqual(yield* scheduler.quarantined(), [])
        assert.deepStrictEqual((yield* scheduler.list()).items, [])
      }),
      { store: damaged }
    ))
})
