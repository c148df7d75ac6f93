/**
 * What is claimed, and what becomes of a claim that cannot be begun.
 */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskRegistry from "../src/TaskRegistry.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, count, isolated, now, oneAtATime, overwrite, Scheduler, storeOf, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched, slowly } from "./support/patchedStore.ts"
import { at, clock } from "./utils.ts"

describe("claims", () => {
  const Newer = Task.make("Work", { version: 2 })

  it.effect("ask for nothing that is not handled here, nor for a newer payload", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = storeOf(memory)
      const client = yield* clientOf(memory)
      yield* client.add(Newer, { id: "newer", trigger: Trigger.at(at("00:01")) })
      yield* client.add(Task.make("Unknown"), { id: "unknown", trigger: Trigger.at(at("00:01")) })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("10 minutes")
          assert.strictEqual(yield* count("RunStarted"), 0)
          const { items } = yield* memory.runs({ limit: 10 })
          assert.deepStrictEqual(items.map((run) => [run.state, run.attempt]), [["ready", 0], ["ready", 0]])
          assert.deepStrictEqual(yield* memory.verdicts({ limit: 10 }), [])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
    }))

  it.effect("do not wait for the end of a backlog, which may have none", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = yield* clientOf(memory)
      yield* client.add(Work, { id: "first", trigger: Trigger.at(at("00:01")) })
      const full = Latch.makeUnsafe()
      let claims = 0
      let added = 0
      const backlog = patched(
        () => ({
          due: (options) =>
            Effect.gen(function*() {
              if (options.now >= at("00:01") && claims === 0 && added < 1_000) {
                yield* Effect.orDie(client.add(Work, { id: `${added++}`, trigger: Trigger.now }))
                // the first run ends when others have found no room
                if (added === 3) full.openUnsafe()
                yield* Effect.yieldNow
              }
              return yield* memory.due(options)
            }),
          claim: (options) =>
            Effect.suspend(() => {
              if (options.now >= at("00:01")) claims++
              return memory.claim(options)
            })
        }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("1 minute")
          assert.isBelow(added, 1_000)
          assert.strictEqual(yield* count("RunStarted"), added + 1)
        }),
        TestScheduler.layer(Work.toLayer(() => full.await), { now, store: backlog, executors: oneAtATime })
      )
    }))

  it.effect("ask no longer for an effect whose task is gone, or was refused", () => {
    let tags: ReadonlyMap<string, number> = new Map()
    const executors = Executors.layer({
      default: Layer.effect(Executor.Executor)(Effect.map(TaskRegistry.TaskRegistry, (registry) => {
        tags = registry.tags
        return { name: "own", tags: Effect.succeed(tags), capacity: 1, run: () => Effect.never }
      }))
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.addEffect(Effect.void, { id: "a", trigger: Trigger.every("1 hour") })
        yield* Effect.flip(scheduler.addEffect(Effect.void, { id: "b", trigger: Trigger.never }))
        assert.deepStrictEqual([...tags.keys()], ["Work", "effect:default/a"])
        yield* scheduler.handle("a").remove()
        yield* TestScheduler.settle
        assert.deepStrictEqual([...tags.keys()], ["Work"])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, executors })
    )
  })

  it.effect("grace is for first attempts of the schedule: not for retries, nor for runs asked for", () => {
    const log: Array<string> = []
    const Flaky = Task.make("Flaky", {
      error: Schema.String,
      misfireGrace: "30 seconds",
      retry: { times: 1, schedule: Schedule.spaced("2 minutes") }
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const handle = yield* scheduler.add(Flaky, {
          id: "flaky",
          trigger: Trigger.every("30 days"),
          whenBusy: "queue"
        })
        yield* handle.runNow()
        yield* handle.runNow()
        yield* TestScheduler.advance("10 minutes")
        assert.deepStrictEqual(log, ["1 00:00", "2 00:03", "1 00:04", "2 00:07"])
        assert.deepStrictEqual((yield* handle.runs()).items.map((run) => run.state), ["failed", "failed"])
      }),
      TestScheduler.layer(
        Flaky.toLayer(Effect.fn(function*() {
          const { attempt } = yield* CurrentRun
          log.push(`${attempt} ${clock(yield* DateTime.now)}`)
          yield* Effect.sleep("1 minute")
          return yield* Effect.fail("no")
        })),
        { now }
      )
    )
  })

  it.effect("a retry of a run of the schedule is never too late", () => {
    const Flaky = Task.make("Flaky", {
      error: Schema.String,
      misfireGrace: "30 seconds",
      retry: { times: 1, schedule: Schedule.spaced("2 minutes") }
    })
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Flaky, { id: "flaky", trigger: Trigger.at(at("00:01")) })
        const runs = yield* TestScheduler.advance("10 minutes")
        assert.deepStrictEqual(runs.map((run) => [run.state, run.attempt]), [["failed", 2]])
      }),
      TestScheduler.layer(Flaky.toLayer(() => Effect.fail("no")), { now })
    )
  })

  it.effect("a row that became unreadable while its run waited is set aside, and its run given back", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* scheduler.add(Work, { id: "busy", trigger: Trigger.now })
          yield* TestScheduler.settle
          yield* scheduler.add(Work, { id: "bad", trigger: Trigger.at(at("00:00:01")) })
          yield* TestScheduler.advance("5 seconds")
          yield* overwrite(memory, "bad", { policy: "{\"v\":99}" })
          yield* TestScheduler.advance("1 minute")
          assert.deepStrictEqual((yield* scheduler.quarantined()).map((verdict) => verdict.id), ["bad"])
          const { items } = yield* memory.runs({ taskId: "bad", limit: 10 })
          assert.deepStrictEqual(items.map((run) => [run.state, run.attempt]), [["ready", 0]])
          assert.strictEqual(yield* count("RunStarted"), 1)
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.sleep("10 seconds")), {
          now,
          store: storeOf(memory),
          executors: oneAtATime
        })
      )
    }))

  it.effect("an unreadable payload is set aside before its run is given back: it is begun once", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const Named = Task.make("Named", { payload: { name: Schema.String } })
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Named, { id: "bad", payload: { name: "x" }, trigger: Trigger.at(at("00:01")) })
          yield* overwrite(memory, "bad", { payload: "{\"name\":7}" })
          yield* TestScheduler.advance("10 minutes")
          assert.strictEqual(yield* count("RunStarted"), 1)
          assert.strictEqual(yield* count("RunReleased"), 1)
          assert.strictEqual(yield* count("TaskQuarantined"), 1)
        }),
        TestScheduler.layer(Named.toLayer(() => Effect.void), {
          now,
          store: patched(
            (store, time) => ({
              quarantine: (verdicts) => slowly(store.quarantine(verdicts), time, "settle", 3_000),
              settle: (settlements, options) => slowly(store.settle(settlements, options), time, "settle", 3_000)
            }),
            {},
            Effect.succeed(memory)
          )
        })
      )
    }))

  it.effect("an unreadable payload whose verdict cannot be stored is not begun again meanwhile", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const faults = FaultyStore.makeFaults()
      const Named = Task.make("Named", { payload: { name: Schema.String } })
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* Scheduler).add(Named, { id: "bad", payload: { name: "x" }, trigger: Trigger.at(at("00:01")) })
          yield* overwrite(memory, "bad", { payload: "{\"name\":7}" })
          faults.fail = "quarantine"
          yield* TestScheduler.advance("70 seconds")
          assert.strictEqual(yield* count("RunStarted"), 1)
          faults.fail = undefined
          yield* TestScheduler.advance("1 minute")
          assert.strictEqual(yield* count("RunStarted"), 1)
          assert.deepStrictEqual([yield* count("TaskQuarantined"), yield* count("StoreRecovered")], [1, 1])
        }),
        TestScheduler.layer(Named.toLayer(() => Effect.void), { now, store: FaultyStore.layer(faults, memory) })
      )
    }))

  it.effect("what could not be marked gives its place back, to other stores as well", () => {
    const Once = Task.make("Once", { delivery: "atMostOnce" })
    const stores = TaskStores.layer({
      default: patched((_, time) => ({
        start: () => slowly(Effect.fail(FaultyStore.unavailable("start")), time, "engine", 3_000)
      })),
      other: MemoryTaskStore.layer
    })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Once, { id: "once", trigger: Trigger.at(at("00:01")) })
        yield* scheduler.add(Work, { id: "work", store: "other", trigger: Trigger.at(at("00:01:01")) })
        const runs = yield* TestScheduler.advance("64 seconds")
        assert.deepStrictEqual(runs.map((run) => run.taskId), ["work"])
      }),
      TestScheduler.layer(Layer.mergeAll(Once.toLayer(() => Effect.void), Work.toLayer(() => Effect.void)), {
        now,
        store: stores,
        executors: oneAtATime
      })
    )
  })

  it.effect("what could not be marked gives its place back", () => {
    const faults = FaultyStore.makeFaults()
    const Once = Task.make("Once", { delivery: "atMostOnce" })
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        faults.fail = "start"
        yield* scheduler.add(Once, { id: "once", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.advance("61 seconds")
        assert.deepStrictEqual((yield* scheduler.status).executors.map(({ running }) => running), [0])
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.now })
        assert.deepStrictEqual((yield* TestScheduler.settle).map((run) => run.taskId), ["work"])
        faults.fail = undefined
      }),
      TestScheduler.layer(Layer.mergeAll(Once.toLayer(() => Effect.void), Work.toLayer(() => Effect.void)), {
        now,
        store: FaultyStore.layer(faults),
        executors: oneAtATime
      })
    )
  })
})
