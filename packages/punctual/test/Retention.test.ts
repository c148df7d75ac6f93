import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"

const now = "2026-01-01T00:00:00Z"
const Work = Task.make("Work")
const WorkLive = Work.toLayer(() => Effect.void)

it.effect("history is bounded by count and by age, open runs and living tasks are kept", () =>
  Effect.gen(function*() {
    const handle = (yield* TaskScheduler.TaskScheduler).handle("hourly")
    yield* TestScheduler.advance("20 hours")
    assert.strictEqual((yield* handle.runs()).items.length, 5)
    yield* handle.pause()
    yield* TestScheduler.advance("3 days")
    assert.strictEqual((yield* handle.runs()).items.length, 0)
    assert.strictEqual((yield* handle.snapshot).counters.ran, 20)
  }).pipe(Effect.provide(TestScheduler.layer(
    Layer.mergeAll(WorkLive, Task.layerScheduled(Work, { id: "hourly", trigger: Trigger.every("1 hour") })),
    { now, retention: { runs: 5, age: "2 days" } }
  ))))

it.effect("finished tasks are forgotten after a while, except those the program declares", () =>
  Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    yield* TestScheduler.advance("5 days")
    assert.deepStrictEqual((yield* scheduler.list()).items.map((info) => [info.id, info.state]), [
      ["keep", "finished"],
      ["living", "scheduled"],
      ["owned", "finished"],
      ["update", "finished"]
    ])
  }).pipe(Effect.provide(TestScheduler.layer(
    Layer.mergeAll(
      WorkLive,
      Task.layerScheduled(Work, { id: "once" }),
      Task.layerScheduled(Work, { id: "keep", onConflict: "keep" }),
      Task.layerScheduled(Work, { id: "update", onConflict: "update" }),
      Task.layerScheduled(Work, { id: "living", trigger: Trigger.every("1 day") }),
      Layer.effectDiscard(
        TaskScheduler.TaskScheduler.use((scheduler) =>
          scheduler.reconcile("me", [Task.scheduled(Work, { id: "owned" })])
        )
      )
    ),
    { now, retention: { finished: "1 day" } }
  ))))
