/**
 * Under virtual time a real MongoDB gives the same runs at the same times as memory.
 */
import { assert, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import type { TaskStoreError } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { TestScheduler } from "punctual/testing"
import * as Trigger from "punctual/Trigger"
import { makeOver } from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"
import { onServer, storeOn } from "./internal/server.ts"

const Work = Task.make("Work", { payload: { seconds: Schema.Int }, maxInstances: 2, whenBusy: "queue" })
const Flaky = Task.make("Flaky", {
  error: Schema.String,
  retry: { times: 2, schedule: Schedule.spaced("90 seconds") },
  pauseOnFailure: 3
})

const app = (count: number) =>
  Layer.mergeAll(
    Work.toLayer(({ seconds }) => Effect.sleep(seconds * 1_000)),
    Flaky.toLayer((_, run) => run.attempt === 2 ? Effect.void : Effect.fail("no")),
    Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
      Effect.all([
        scheduler.addAll(
          Array.from({ length: count }, (_, i) =>
            Task.scheduled(Work, {
              id: `work-${i}`,
              payload: { seconds: i * 11 },
              coalesce: i % 2 === 0 ? "none" : "latest",
              misfireGrace: i % 4 === 0 ? "2 minutes" : "unlimited",
              trigger: i % 3 === 0
                ? Trigger.cron(`*/${i % 5 + 1} * * * *`, { timeZone: "Europe/Berlin" })
                : Trigger.every({ seconds: 20 + i * 3 }).pipe(Trigger.jittered("10 seconds"))
            }))
        ),
        scheduler.add(Flaky, { id: "flaky", trigger: Trigger.every("5 minutes") })
      ])
    ))
  )

const ledger = Effect.gen(function*() {
  const scheduler = yield* TaskScheduler.TaskScheduler
  yield* TestScheduler.advance("10 minutes")
  yield* scheduler.handle("work-1").pause("a while")
  yield* TestScheduler.jump("7 minutes")
  yield* TestScheduler.advance("5 minutes")
  yield* scheduler.handle("work-1").resume
  yield* scheduler.handle("work-2").reschedule(Trigger.every("45 seconds"))
  yield* TestScheduler.advance("10 minutes")
  const events = yield* TestScheduler.events
  const tasks = yield* scheduler.list()
  return {
    runs: events.flatMap((event) =>
      event._tag === "RunStarted" || event._tag === "RunEnded" || event._tag === "RunRetrying"
        ? [
          `${DateTime.formatIso(event.at)} ${event._tag} ${event.run.taskId} ${
            DateTime.formatIso(event.run.dueAt)
          } ${event.run.attempt} ${event.run.state}`
        ]
        : []
    ).sort(),
    counters: tasks.items.map((info) => [info.id, info.state, info.counters])
  }
})

const now = "2026-03-29T00:50:00Z"

/** With so many tasks, which make at least so many runs begin and end. */
const same = (name: string, store: Layer.Layer<TaskStore, TaskStoreError>, count: number, least: number) =>
  it.effect(`the same runs at the same times as in memory (${name})`, () =>
    Effect.gen(function*() {
      const App = app(count)
      const memory = yield* ledger.pipe(Effect.provide(TestScheduler.layer(App, { now }), { local: true }))
      const mongo = yield* ledger.pipe(Effect.provide(TestScheduler.layer(App, { now, store }), { local: true }))
      assert.isAbove(memory.runs.length, least)
      assert.deepStrictEqual(mongo, memory)
    }), 120_000)

same(
  "pretended mongodb",
  Layer.suspend(() => Layer.effect(TaskStore, makeOver(new Pretended().database, { name: "pretended" }))),
  12,
  300
)

await onServer((server) => {
  if (server.ferret) same("mongodb", storeOn(server), 4, 100)
  else same("mongodb", storeOn(server), 12, 300)
})
