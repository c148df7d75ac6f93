import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"

const Greet = Task.make("Greet", { payload: { name: Schema.String }, success: Schema.String })

const makeApp = (log: Array<string>) => {
  const GreetLive = Greet.toLayer(Effect.fn("Greet")(function*({ name }) {
    const run = yield* CurrentRun
    log.push(`${DateTime.formatIso(run.scheduledAt)} ${name}`)
    return `hello ${name}`
  }))
  const Scheduled = Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
    scheduler.add(Greet, { id: "greet", payload: { name: "world" }, trigger: Trigger.every("1 hour") })
  ))
  return Layer.mergeAll(GreetLive, Scheduled)
}

describe("TaskScheduler", () => {
  it.effect("runs what is due, when it is due", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("3 hours")
      assert.deepStrictEqual(runs.map((run) => DateTime.formatIso(run.scheduledAt)), [
        "2026-01-01T01:00:00.000Z",
        "2026-01-01T02:00:00.000Z",
        "2026-01-01T03:00:00.000Z"
      ])
      assert.strictEqual(log.length, 3)
      const scheduler = yield* TaskScheduler.TaskScheduler
      const info = yield* scheduler.handle("greet").snapshot
      assert.strictEqual(info.state, "scheduled")
      const run = yield* scheduler.handle("greet", { task: Greet }).runNow()
      assert.strictEqual(yield* run.await, "hello world")
      console.log(info)
    }).pipe(Effect.provide(TestScheduler.layer(makeApp(log), { now: "2026-01-01T00:00:00Z" })))
  })
  it.live("without a test clock", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const t = performance.now()
      const runs = yield* TestScheduler.advance("30 days")
      console.log(runs.length, performance.now() - t)
    }).pipe(Effect.provide(TestScheduler.layer(makeApp(log), { now: "2026-01-01T00:00:00Z" })))
  })
})
