/**
 * Tasks of startup and shutdown, as the engine fires them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, isolated, logged, now, Scheduler, storeOf, told, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched } from "./support/patchedStore.ts"

describe("tasks of events", () => {
  it.effect("shutdown tasks run after one another; a deaf one is left behind and named; status says stopping", () => {
    const log: Array<string> = []
    const Bye = Task.make("Bye", { payload: { deaf: Schema.Boolean } })
    let state = ""
    const App = Layer.mergeAll(
      Bye.toLayer(Effect.fn(function*({ deaf }) {
        state = (yield* (yield* Scheduler).status).state
        const { taskId } = yield* CurrentRun
        yield* logged(
          log,
          deaf ? Effect.uninterruptible(Effect.sleep("10 minutes")) : Effect.sleep("2 seconds"),
          `${taskId} `
        )
      }) as never),
      Layer.effectDiscard(Scheduler.use((scheduler) =>
        Effect.forEach(["deaf", "b", "a"], (id) =>
          Effect.andThen(
            scheduler.add(Bye as never, { id, payload: { deaf: id === "deaf" }, trigger: Trigger.shutdown } as never),
            Effect.sleep(0)
          ))
      ))
    ) as Layer.Layer<Task.Handler<"Bye">>
    return isolated(
      Effect.gen(function*() {
        const test = yield* TestScheduler.TestScheduler
        yield* test.shutdown
        assert.deepStrictEqual(log.slice(0, 5), [
          "a begins 00:00",
          "a done 00:00:02",
          "b begins 00:00:02",
          "b done 00:00:04",
          "deaf begins 00:00:04"
        ])
        const [stopped] = yield* told("SchedulerStopped")
        assert.include(stopped!._tag === "SchedulerStopped" ? stopped!.detached[0] : "", "deaf")
        assert.strictEqual(state, "stopping")
      }),
      TestScheduler.layer(App, { now, patience: 20, shutdownTimeout: "10 seconds" })
    )
  })

  it.effect("startup tasks: all pages of them, none without a handler; one the store refuses stops no other", () => {
    const Other = Task.make("Other")
    const faults = FaultyStore.makeFaults()
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = yield* clientOf(memory)
      yield* client.add(Other, { id: "other", trigger: Trigger.startup })
      for (let i = 0; i < 502; i++) yield* client.add(Work, { id: `${i}`, trigger: Trigger.startup })
      faults.refuse = "7"
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.strictEqual((yield* TestScheduler.runs).length, 501)
          const [other] = yield* memory.get(["other"])
          assert.strictEqual(other!.row.counters.extra, 0)
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: FaultyStore.layer(faults, memory) })
      )
    })
  })

  it.effect("a startup task that changes meanwhile is tried again, and one that was replaced is another", () => {
    let conflicts = 1
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = yield* clientOf(memory)
      yield* client.add(Work, { id: "changed", trigger: Trigger.startup })
      yield* client.add(Work, { id: "replaced", trigger: Trigger.startup })
      const store = patched(
        (store) => ({
          commit: (changes) =>
            changes[0]?.id === "changed" && conflicts-- > 0
              ? Effect.succeed([{ _tag: "Conflict" }])
              : store.commit(changes),
          list: (query) =>
            query.event !== "startup" ?
              store.list(query) :
              Effect.tap(
                store.list(query),
                () =>
                  Effect.orDie(client.add(Work, { id: "replaced", trigger: Trigger.startup, onConflict: "replace" }))
              )
        }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          const runs = yield* TestScheduler.settle
          assert.deepStrictEqual(runs.map((run) => run.taskId), ["changed"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
    })
  })

  it.effect("a startup run given back by a shutdown is run however late", () => {
    const log: Array<string> = []
    const Hello = Task.make("Hello", { misfireGrace: "10 seconds" })
    const App = Layer.mergeAll(
      Hello.toLayer(() => logged(log, Effect.sleep("1 minute"))),
      Task.layerScheduled(Hello, { id: "hello", trigger: Trigger.startup, onConflict: "keep" })
    )
    return Effect.gen(function*() {
      const store = storeOf(yield* MemoryTaskStore.make)
      yield* isolated(TestScheduler.advance("1 second"), TestScheduler.layer(App, { now, store }))
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("10 minutes")
          assert.deepStrictEqual((yield* TestScheduler.runs).map((run) => run.state), ["succeeded", "succeeded"])
        }),
        TestScheduler.layer(App, { now: "2026-01-01T05:00:00Z", store })
      )
    })
  })
})
