/**
 * Closing a scheduler: it stops claiming, drains, interrupts the rest and gives it back.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import {
  aFewTurns,
  count,
  forked,
  isolated,
  logged,
  now,
  reached,
  Scheduler,
  standsAt,
  told,
  Work
} from "./support/engine.ts"
import { gated, patched, slowly } from "./support/patchedStore.ts"
import { at } from "./utils.ts"

describe("close", () => {
  it.effect("a backlog does not keep it from closing", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    const calls: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const test = yield* TestScheduler.TestScheduler
        yield* scheduler.addAll(
          Array.from(
            { length: 1_600 },
            (_, i) => Task.scheduled(Work, { id: `${i}`, trigger: Trigger.at(at("00:01")) })
          )
        )
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(Effect.ignore(TestScheduler.advance("1 minute")))
        yield* reached("00:01")
        yield* aFewTurns
        const before = calls.filter((call) => call === "due").length
        const closing = yield* forked(test.shutdown)
        yield* aFewTurns
        yield* gate.open
        yield* Fiber.join(closing)
        yield* Fiber.join(advancing)
        assert.strictEqual(calls.filter((call) => call === "due").length - before, 0)
        assert.strictEqual(yield* count("RunStarted"), 0)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: gated("due", () => shut, gate, calls) })
    )
  })

  it.effect("nor does a backlog of runs that end at once", () => {
    let shut = false
    const gate = Latch.makeUnsafe(false)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const test = yield* TestScheduler.TestScheduler
        yield* scheduler.addAll(
          Array.from({ length: 40 }, (_, i) => Task.scheduled(Work, { id: `${i}`, trigger: Trigger.at(at("00:01")) }))
        )
        yield* TestScheduler.settle
        shut = true
        const advancing = yield* forked(Effect.ignore(TestScheduler.advance("1 minute")))
        assert.strictEqual(yield* standsAt, "00:01")
        const closing = yield* forked(test.shutdown)
        yield* aFewTurns
        yield* gate.open
        yield* Fiber.join(closing)
        yield* Fiber.join(advancing)
        assert.strictEqual(yield* count("RunStarted"), 10)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        executors: Executors.layer({ default: Executor.layerFibers({ concurrency: 5 }) }),
        store: gated("claim", () => shut, gate)
      })
    )
  })

  it.effect("a closing scheduler waits for nobody by default under virtual time", () =>
    isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.advance("1 second")
        yield* TestScheduler.shutdown
        const [stopping] = yield* told("SchedulerStopping")
        const [stopped] = yield* told("SchedulerStopped")
        assert.isAtMost(stopped!.at.epochMilliseconds - stopping!.at.epochMilliseconds, 1)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("10 seconds")), { now })
    ))

  it.effect("one that never started owes nothing and says nothing when it closes", () => {
    const log: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const stream = yield* (yield* TestScheduler.TestScheduler).shutdown
        assert.deepStrictEqual(stream, [])
        assert.deepStrictEqual(log, [])
        assert.deepStrictEqual((yield* TestScheduler.events).filter(({ _tag }) => _tag.startsWith("Scheduler")), [])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => logged(log, Effect.void)),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.shutdown })
        ),
        { now, start: "manual" }
      )
    )
  })

  it.effect("a drain waits for all that run, and for what they answered to be stored", () => {
    const Other = Task.make("Other")
    const store = patched((store, time) => ({
      settle: (settlements, options) => slowly(store.settle(settlements, options), time, "settle", 3_000)
    }))
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* TestScheduler.advance("1 second")
        yield* test.shutdown
        const [stopped] = yield* told("SchedulerStopped")
        assert.deepInclude(stopped, { drained: 2, interrupted: 0, detached: [] })
        const ended = yield* test.runs
        assert.deepStrictEqual(ended.map((run) => [run.taskId, run.state]), [["work", "succeeded"], [
          "other",
          "succeeded"
        ]])
        assert.strictEqual(stopped!.at.epochMilliseconds, at("00:00:23"))
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.sleep("5 seconds")),
          Other.toLayer(() => Effect.sleep("20 seconds")),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.now }),
          Task.layerScheduled(Other, { id: "other", trigger: Trigger.now })
        ),
        { now, store, drainTimeout: "1 minute" }
      )
    )
  })

  it.effect("what is interrupted may clean up, and is given back before it closes; the deaf are named", () => {
    const Deaf = Task.make("Deaf")
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = patched(
        (store, time) => ({
          settle: (settlements, options) => slowly(store.settle(settlements, options), time, "settle", 8_000)
        }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          const test = yield* TestScheduler.TestScheduler
          // So that a heartbeat falls on the end of the grace.
          yield* TestScheduler.advance("5 seconds")
          yield* test.shutdown
          const [stopped] = yield* told("SchedulerStopped")
          assert.strictEqual(stopped!._tag === "SchedulerStopped" && stopped!.interrupted, 2)
          const detached = stopped!._tag === "SchedulerStopped" ? stopped!.detached : []
          assert.strictEqual(detached.length, 1)
          assert.include(detached[0], "deaf")
          assert.strictEqual(yield* count("RunReleased"), 1)
          assert.deepStrictEqual(log, ["cleaned up"])
          const { items } = yield* memory.runs({ taskId: "work", limit: 10 })
          assert.deepStrictEqual(items.map((run) => [run.state, run.attempt]), [["ready", 0]])
        }),
        TestScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() =>
              Effect.onInterrupt(
                Effect.sleep("1 hour"),
                () => Effect.andThen(Effect.sleep("4 seconds"), Effect.sync(() => log.push("cleaned up")))
              )
            ),
            Deaf.toLayer(() => Effect.uninterruptible(Effect.sleep("1 minute"))),
            Task.layerScheduled(Work, { id: "work", trigger: Trigger.now }),
            Task.layerScheduled(Deaf, { id: "deaf", trigger: Trigger.now })
          ),
          { now, store, patience: 20, shutdownTimeout: 0 }
        )
      )
    })
  })

  it.effect("what the turn in progress has claimed is drained, too", () => {
    let slow = false
    const store = patched((store, time) => ({
      commit: (changes) => slow ? slowly(store.commit(changes), time, "engine", 3_000) : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.settle
        slow = true
        yield* TestScheduler.advance("61 seconds")
        assert.strictEqual(yield* count("RunStarted"), 0)
        yield* test.shutdown
        const [stopped] = yield* told("SchedulerStopped")
        assert.deepInclude(stopped, { drained: 1, interrupted: 0 })
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("5 seconds")), {
        now,
        store,
        patience: 20,
        drainTimeout: "1 minute"
      })
    )
  })

  it.effect("what never ends although it was interrupted keeps no program from closing", () => {
    const log: Array<string> = []
    const deaf = (tag: string) => {
      const task = Task.make(tag)
      return Layer.mergeAll(
        task.toLayer(() => Effect.onInterrupt(Effect.sleep("1 hour"), () => Effect.never)),
        Task.layerScheduled(task, { id: tag, trigger: Trigger.now })
      )
    }
    const Services = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => log.push("services closed"))))
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* TestScheduler.advance("1 second")
        yield* test.shutdown
        const [stopped] = yield* told("SchedulerStopped")
        assert.strictEqual(stopped!._tag === "SchedulerStopped" && stopped!.detached.length, 3)
        assert.strictEqual(yield* count("RunDetached"), 3)
        assert.deepStrictEqual(log, ["services closed"])
        // The drain and the grace, once for all: whoever closes next waits for none of them again.
        assert.strictEqual(yield* standsAt, "00:01:06")
      }),
      TestScheduler.layer(
        Layer.mergeAll(deaf("A"), deaf("B"), deaf("C")).pipe(Layer.provide(Services)),
        { now, drainTimeout: "1 minute", interruptGrace: "5 seconds", patience: 20 }
      )
    )
  })
})
