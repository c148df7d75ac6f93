/**
 * What the engine does about leases: it keeps those of what runs, and stops before one ends that it could not keep.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  count,
  isolated,
  logged,
  metric,
  now,
  runsOf,
  Scheduler,
  storeOf,
  told,
  withOwnMetrics,
  Work
} from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched, slowly } from "./support/patchedStore.ts"
import { at } from "./utils.ts"

describe("leases", () => {
  it.effect("a handler that does not stop when its lease is lost is left behind and named", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "deaf", trigger: Trigger.now })
        yield* TestScheduler.advance("1 second")
        faults.down = true
        yield* TestScheduler.advance("28 seconds")
        assert.strictEqual(yield* count("RunDetached"), 0)
        yield* TestScheduler.advance("2 seconds")
        assert.strictEqual(yield* count("RunDetached"), 1)
        assert.strictEqual(yield* count("RunLost"), 1)
        assert.deepStrictEqual((yield* (yield* Scheduler).status).running, [])
        faults.down = false
        yield* TestScheduler.advance("20 minutes")
        assert.strictEqual(yield* count("RunEnded"), 1)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.uninterruptible(Effect.sleep("5 minutes"))), {
        now,
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a drain does not wait for a handler that was left behind", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* (yield* Scheduler).add(Work, { id: "deaf", trigger: Trigger.now })
        faults.fail = "heartbeat"
        yield* TestScheduler.advance("20 seconds")
        yield* test.shutdown
        const [stopping] = yield* told("SchedulerStopping")
        const [stopped] = yield* told("SchedulerStopped")
        // Lost after 25 s, left behind after 30 s, long before the drain ends.
        assert.strictEqual(stopped!.at.epochMilliseconds - stopping!.at.epochMilliseconds, 10_000)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.uninterruptible(Effect.sleep("1 minute"))), {
        now,
        patience: 20,
        drainTimeout: "10 minutes",
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a run that was lost is not extended again, so that its successor need not wait", () => {
    const faults = FaultyStore.makeFaults()
    const log: Array<string> = []
    return Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const node = (name: string, view: FaultyStore.Faults, start: "auto" | "manual") =>
        TaskScheduler.layer(
          Work.toLayer(() => logged(log, Effect.uninterruptible(Effect.sleep("2 minutes")), `${name} `)),
          { name, start }
        ).pipe(Layer.provide(FaultyStore.layer(view, shared)))
      yield* isolated(
        Effect.gen(function*() {
          const two = yield* Scheduler
          yield* two.add(Work, { id: "work", trigger: Trigger.now })
          yield* TestScheduler.advance("5 seconds")
          faults.down = true
          yield* two.start
          yield* TestScheduler.advance("21 seconds")
          faults.down = false
          yield* TestScheduler.advance("10 seconds")
          assert.deepStrictEqual(log, ["one begins 00:00", "two begins 00:00:30"])
        }),
        TestScheduler.layerProgram(
          Layer.mergeAll(node("one", faults, "auto"), node("two", FaultyStore.makeFaults(), "manual")),
          { now, patience: 20 }
        )
      )
    })
  })

  it.effect("what another took is interrupted at the next heartbeat, its result is lost and told so once", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
          yield* TestScheduler.advance("1 second")
          yield* (yield* Scheduler).pause
          yield* memory.takeover({ now: at("01:00"), limit: 10, maxTakeovers: 9, keep: 9 })
          const stolen = yield* memory.claim({
            now: at("00:00:01"),
            lease: { owner: "thief", until: at("02:00") },
            slots: [{ executor: "default", tag: "Work", version: 1, limit: 1 }],
            limit: 1,
            reader: "thief"
          })
          assert.strictEqual(stolen.runs.length, 1)
          yield* TestScheduler.advance("9 seconds")
          assert.deepStrictEqual(log, ["begins 00:00", "interrupted 00:00:10"])
          assert.strictEqual(yield* count("RunLost"), 1)
          assert.strictEqual(yield* count("RunEnded"), 0)
        }),
        TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("1 minute"))), {
          now,
          store: storeOf(memory)
        })
      )
    })
  })

  it.effect("a result that comes after another took the run is refused, and is no end", () => {
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const node = (name: string, view: FaultyStore.Faults, start: "auto" | "manual") =>
        TaskScheduler.layer(Work.toLayer(() => Effect.sleep("10 seconds")), { name, start }).pipe(
          Layer.provide(FaultyStore.layer(view, shared))
        )
      yield* isolated(
        Effect.gen(function*() {
          const two = yield* Scheduler
          yield* two.add(Work, { id: "work", trigger: Trigger.now })
          yield* TestScheduler.advance("5 seconds")
          faults.down = true
          yield* two.start
          yield* TestScheduler.advance("2 minutes")
          assert.strictEqual(yield* count("RunEnded"), 1)
          faults.down = false
          yield* TestScheduler.advance("1 minute")
          assert.strictEqual(yield* count("RunEnded"), 1)
          assert.strictEqual(yield* count("RunLost"), 1)
          assert.deepStrictEqual(yield* metric("punctual_leases_lost_total"), [1])
        }),
        TestScheduler.layerProgram(
          Layer.mergeAll(node("one", faults, "auto"), node("two", FaultyStore.makeFaults(), "manual")),
          { now }
        )
      )
    }).pipe(withOwnMetrics)
  })

  for (const operation of ["commit", "claim"] as const) {
    it.effect(`a lease counts from before the question, however long the answer to ${operation} takes`, () => {
      const log: Array<string> = []
      let cutOff = false
      const store = patched((store, time) => ({
        commit: (changes) =>
          operation === "commit"
            ? slowly(store.commit(changes), time, "engine", 8_000)
            : store.commit(changes.map((change) => ({
              ...change,
              runs: change.runs.map((run) => run._tag === "Create" ? { ...run, claim: undefined } : run)
            }))),
        claim: (options) =>
          operation === "claim" ? slowly(store.claim(options), time, "engine", 8_000) : store.claim(options),
        heartbeat: (options) => cutOff ? Effect.fail(FaultyStore.unavailable("heartbeat")) : store.heartbeat(options)
      }))
      return isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
          cutOff = true
          yield* TestScheduler.advance("90 seconds")
          assert.deepStrictEqual(log.slice(0, 2), ["begins 00:01:08", "interrupted 00:01:25"])
        }),
        TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), { now, store })
      )
    })
  }

  it.effect("a handler stops at the very instant, not at the next heartbeat after it", () => {
    const log: Array<string> = []
    const faults = FaultyStore.makeFaults()
    faults.fail = "heartbeat"
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("29 seconds")
        assert.deepStrictEqual(log, ["begins 00:00", "interrupted 00:00:25.600"])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), {
        now,
        interruptGrace: "4400 millis",
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a longer lease counts from before the heartbeat, however long its answer takes", () => {
    const log: Array<string> = []
    let beats = 0
    const store = patched((store, time) => ({
      heartbeat: (options) =>
        ++beats === 1
          ? slowly(store.heartbeat(options), time, "heartbeat", 9_000)
          : Effect.fail(FaultyStore.unavailable("heartbeat"))
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(log.slice(0, 2), ["begins 00:00", "interrupted 00:00:35"])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("10 minutes"))), { now, store })
    )
  })

  it.effect("a run whose claim was answered too late is given back, not begun to be stopped at once", () => {
    const log: Array<string> = []
    let slow = true
    const store = patched((store, time) => ({
      commit: (changes) => slow ? slowly(store.commit(changes), time, "engine", 26_000) : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        yield* TestScheduler.advance("70 seconds")
        slow = false
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(log, ["begins 00:01:26", "done 00:01:27"])
        assert.deepStrictEqual([yield* count("RunStarted"), yield* count("RunReleased")], [1, 1])
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.attempt]), [["succeeded", 1]])
        assert.deepStrictEqual((yield* scheduler.status).executors.map(({ running }) => running), [0])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("1 second"))), { now, store })
    )
  })

  it.effect("a run whose claim was answered at the last moment is extended", () => {
    const log: Array<string> = []
    let slow = true
    const store = patched((store, time) => ({
      commit: (changes) => slow ? slowly(store.commit(changes), time, "engine", 24_500) : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        yield* TestScheduler.advance("70 seconds")
        slow = false
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(log, ["begins 00:01:24.500", "done 00:01:44.500"])
      }),
      TestScheduler.layer(Work.toLayer(() => logged(log, Effect.sleep("20 seconds"))), { now, store })
    )
  })

  it.effect("after a heartbeat without an answer the next comes soon", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("15 seconds")
        faults.fail = "heartbeat"
        // The second heartbeat fails, at 20 s; the lease of the first ends at 40 s, its run stops at 35 s.
        yield* TestScheduler.advance("17 seconds")
        faults.fail = undefined
        const runs = yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["succeeded", 1]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("50 seconds")), {
        now,
        // So that no heartbeat falls between 32 s, when the store is back, and the stop.
        store: FaultyStore.layer(faults)
      })
    )
  })

  it.effect("a claim whose reply was lost is found again in a store of one process, too", () => {
    let lose = false
    const store = patched((store) => ({
      commit: (changes) =>
        lose
          ? Effect.andThen(store.commit(changes), Effect.fail(FaultyStore.unavailable("commit")))
          : store.commit(changes)
    }), { shared: false })
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at("2026-01-01T00:01:00Z") })
        yield* TestScheduler.advance("59 seconds")
        lose = true
        yield* TestScheduler.advance("1 second")
        lose = false
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual((yield* runsOf("work")).map((run) => [run.state, run.takeovers]), [["succeeded", 1]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    )
  })

  it.effect("what runs is extended three times in a lease", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("24 seconds")
        assert.strictEqual(faults.calls.get("heartbeat"), 2)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 minute")), { now, store: FaultyStore.layer(faults) })
    )
  })

  it.effect("runs that lost their leases are told of: given back, or abandoned to whoever waits", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          const handle = yield* scheduler.add(Work, { id: "work", trigger: Trigger.never, onConflict: "keep" }).pipe(
            Effect.orElseSucceed(() => scheduler.handle("work"))
          )
          // Nothing here claims it: a process that is gone did.
          const run = yield* handle.runNow()
          const waiting = yield* Effect.forkChild(Effect.flip(run.await), { startImmediately: true })
          for (const owner of ["first", "second"]) {
            const claimed = yield* memory.claim({
              now: at("00:00"),
              lease: { owner, until: at("00:00") },
              slots: [{ executor: "default", tag: "Work", version: 1, limit: 1 }],
              limit: 1,
              reader: owner
            })
            assert.strictEqual(claimed.runs.length, 1)
            if (owner === "first") yield* memory.takeover({ now: at("00:00:01"), limit: 1, maxTakeovers: 3, keep: 9 })
          }
          yield* scheduler.start
          // At once, not when whoever waits looks by itself.
          yield* TestScheduler.settle
          assert.deepInclude(yield* Fiber.join(waiting), { _tag: "RunNotCompleted" })
          assert.deepStrictEqual((yield* told("RunEnded")).map((event) => "run" in event && event.run.state), [
            "abandoned"
          ])
          assert.deepStrictEqual(yield* metric("punctual_runs_total", { state: "abandoned" }), [1])
        }),
        TestScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() => Effect.void),
            Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("100 days") })
          ),
          { now, start: "manual", maxTakeovers: 2, store: storeOf(memory) }
        )
      )
    }).pipe(withOwnMetrics))
})
