/**
 * What the engine does while its store is down, refuses what it is told, or dies.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Activity from "../src/Activity.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { count, isolated, logged, metric, now, Scheduler, told, withOwnMetrics, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched } from "./support/patchedStore.ts"
import { at } from "./utils.ts"

describe("a store that fails", () => {
  it.effect("is asked less and less, and at once again when it fails anew", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("5 seconds")
        const calls = () => faults.calls.get("due") ?? 0
        faults.down = true
        let before = calls()
        yield* TestScheduler.advance("1 minute")
        assert.isAtLeast(calls() - before, 6)
        assert.isAtMost(calls() - before, 25)
        faults.down = false
        yield* TestScheduler.advance("20 seconds")
        faults.down = true
        before = calls()
        yield* TestScheduler.advance("11 seconds")
        assert.isAtLeast(calls() - before, 5)
        faults.down = false
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("10 seconds") })
        ),
        { now, store: FaultyStore.layer(faults) }
      )
    )
  })

  it.effect("has recovered when everything works again; outcomes are tried less and less", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("59 seconds")
        faults.fail = "settle"
        yield* TestScheduler.advance("10 seconds")
        assert.isAtMost(faults.calls.get("settle")!, 10)
        faults.fail = undefined
        faults.down = true
        yield* TestScheduler.advance("55 seconds")
        faults.down = false
        faults.fail = "settle"
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual([yield* count("StoreUnavailable"), yield* count("StoreRecovered")], [1, 0])
        faults.fail = undefined
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual([yield* count("StoreUnavailable"), yield* count("StoreRecovered")], [1, 1])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute") })
        ),
        { now, store: FaultyStore.layer(faults) }
      )
    )
  })

  it.effect("time goes on while several results wait for it", () => {
    const faults = FaultyStore.makeFaults()
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("1 second")
        faults.fail = "settle"
        yield* TestScheduler.advance("15 seconds")
        faults.fail = undefined
        const runs = yield* TestScheduler.advance("10 seconds")
        assert.deepStrictEqual(runs.map((run) => run.state), ["succeeded", "succeeded", "succeeded"])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Task.make("Slow", { payload: { seconds: Schema.Int } }).toLayer(({ seconds }) =>
            Effect.sleep(seconds * 1_000)
          ),
          Layer.effectDiscard(
            Scheduler.use((scheduler) =>
              scheduler.addAll(
                [3, 5, 9].map((seconds) =>
                  Task.scheduled(Task.make("Slow", { payload: { seconds: Schema.Int } }), {
                    id: `${seconds}`,
                    payload: { seconds },
                    trigger: Trigger.now
                  })
                )
              )
            )
          )
        ),
        { now, store: FaultyStore.layer(faults), patience: 200 }
      )
    )
  })

  it.effect("time goes on for others when a scheduler has closed without having stored its results", () => {
    const faults = FaultyStore.makeFaults()
    class Later extends Context.Service<
      Later,
      { readonly build: Effect.Effect<unknown, unknown>; readonly close: Effect.Effect<void> }
    >()(
      "test/Later"
    ) {}
    const log: Array<string> = []
    const App = Layer.mergeAll(
      Work.toLayer(() => logged(log, Effect.sleep("5 seconds"))),
      Task.layerScheduled(Work, {
        id: "work",
        trigger: Trigger.every("8 seconds"),
        onConflict: "keep",
        maxInstances: 9,
        whenBusy: "allow"
      })
    )
    return Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const program = Layer.effect(Later)(Effect.gen(function*() {
        const context = yield* Effect.context<Scope.Scope>()
        const scope = yield* Scope.make()
        return {
          build: Layer.buildWithScope(
            TaskScheduler.layer(App, { drainTimeout: "1 second" }).pipe(
              Layer.provide(FaultyStore.layer(faults, shared))
            ),
            scope
          ).pipe(Effect.provideContext(context)) as Effect.Effect<unknown, unknown>,
          close: Effect.provideContext(Scope.close(scope, Exit.void), context)
        }
      }))
      yield* isolated(
        Effect.gen(function*() {
          const later = yield* Later
          yield* later.build
          yield* TestScheduler.advance("9 seconds")
          faults.fail = "settle"
          // One result waits for the store, and more come while it waits.
          yield* TestScheduler.advance("21 seconds")
          const closing = yield* Effect.forkChild(later.close, { startImmediately: true })
          yield* TestScheduler.advance("5 minutes")
          yield* Fiber.join(closing)
          yield* TestScheduler.advance("1 hour")
          assert.isAbove(log.length, 4)
        }),
        TestScheduler.layerProgram(program, { now, patience: 200 })
      )
    })
  })

  it.effect("a verdict that cannot be stored is tried again, and no faster than anything else", () => {
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = patched(
        (store) => ({
          due: (options) =>
            Effect.map(store.due(options), (answer) => ({
              ...answer,
              // A row that makes deciding throw.
              tasks: answer.tasks.map((task) =>
                task.row.id === "bad" ? { ...task, row: { ...task.row, counters: null as never } } : task
              )
            }))
        }),
        {},
        Effect.succeed(FaultyStore.through(memory, faults))
      )
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("59 seconds")
          faults.fail = "quarantine"
          const before = faults.calls.get("due") ?? 0
          assert.deepStrictEqual((yield* TestScheduler.advance("30 seconds")).map((run) => run.taskId), ["good"])
          assert.isAtMost((faults.calls.get("due") ?? 0) - before, 30)
          assert.strictEqual(yield* count("StoreUnavailable"), 1)
          faults.fail = undefined
          const runs = yield* TestScheduler.advance("151 seconds")
          assert.deepStrictEqual(runs.map((run) => run.taskId), ["good", "good", "good"])
          assert.strictEqual(yield* count("StoreRecovered"), 1)
          assert.deepStrictEqual((yield* told("TaskQuarantined")).map((event) => "id" in event && event.id), ["bad"])
        }),
        TestScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() => Effect.void),
            Task.layerScheduled(Work, { id: "good", trigger: Trigger.every("1 minute") }),
            Task.layerScheduled(Work, { id: "bad", trigger: Trigger.every("1 minute") })
          ),
          { now, store }
        )
      )
    })
  })

  it.effect("a defect of one call stops neither evaluating nor settling", () => {
    const dies = { due: false, settle: false }
    const store = patched((store) => ({
      due: (options) => dies.due ? Effect.die(new Error("boom")) : store.due(options),
      settle: (settlements, options) => dies.settle ? Effect.die(new Error("boom")) : store.settle(settlements, options)
    }))
    return isolated(
      Effect.gen(function*() {
        assert.strictEqual((yield* TestScheduler.advance("1 minute")).length, 1)
        dies.due = true
        assert.strictEqual((yield* TestScheduler.advance("61 seconds")).length, 0)
        dies.due = false
        assert.strictEqual((yield* TestScheduler.advance("6 seconds")).length, 1)
        dies.settle = true
        yield* TestScheduler.advance("53 seconds")
        dies.settle = false
        yield* TestScheduler.advance("1 minute")
        const runs = yield* TestScheduler.advance("1 minute")
        assert.isTrue(
          runs.some((run) => run.takeovers === 1 && run.state === "succeeded") ||
            (yield* TestScheduler.runs).some((run) => run.takeovers === 1)
        )
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "work", trigger: Trigger.every("1 minute") })
        ),
        { now, store }
      )
    )
  })

  it.effect("a change that was a conflict is told once", () => {
    let conflict = false
    const store = patched((store) => ({
      commit: (changes) =>
        conflict
          ? Effect.sync(() => (conflict = false, changes.map(() => ({ _tag: "Conflict" as const }))))
          : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 second"), misfireGrace: "10 seconds" })
        yield* scheduler.pause
        yield* TestScheduler.advance("1 minute")
        conflict = true
        yield* scheduler.resume
        yield* TestScheduler.settle
        const missed = yield* told("OccurrencesMissed")
        assert.deepStrictEqual(missed.map((event) => "count" in event && [event.count, event.exact]), [[49, true]])
        assert.deepStrictEqual(yield* metric("punctual_occurrences_total", { outcome: "missed" }), [49])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    ).pipe(withOwnMetrics)
  })

  it.effect("what a batch answers belongs to its task, though the batch was halved", () => {
    const faults = FaultyStore.makeFaults()
    faults.refuse = "4"
    const Named = Task.make("Named", { payload: { name: Schema.String } })
    const seen: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).addAll(
          Array.from(
            { length: 9 },
            (_, i) => Task.scheduled(Named, { id: `${i}`, payload: { name: `${i}` }, trigger: Trigger.at(at("00:01")) })
          )
        )
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(seen.sort(), ["0 0", "1 1", "2 2", "3 3", "5 5", "6 6", "7 7", "8 8"])
      }),
      TestScheduler.layer(
        Named.toLayer(({ name }, run) => Effect.sync(() => void seen.push(`${run.taskId} ${name}`))),
        { now, store: FaultyStore.layer(faults) }
      )
    )
  })

  it.effect("outcomes of one batch are stored though one of them is refused", () => {
    const faults = FaultyStore.makeFaults()
    const gate = Deferred.makeUnsafe<void>()
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).addAll(
          Array.from({ length: 9 }, (_, i) => Task.scheduled(Work, { id: `${i}`, trigger: Trigger.now }))
        )
        yield* TestScheduler.advance("1 second")
        faults.refuse = "4"
        yield* Deferred.succeed(gate, undefined)
        const runs = yield* TestScheduler.settle
        assert.deepStrictEqual(runs.map((run) => run.taskId).sort(), ["0", "1", "2", "3", "5", "6", "7", "8"])
      }),
      TestScheduler.layer(Work.toLayer(() => Activity.idle(Deferred.await(gate))), {
        now,
        store: FaultyStore.layer(faults)
      })
    )
  })
})
