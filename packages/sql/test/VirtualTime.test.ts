/**
 * Under virtual time a real database gives the same runs at the same times as memory.
 */
import { assert, it } from "@effect/vitest"
import { PGlite } from "@electric-sql/pglite"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import type { TaskStore } from "punctual/TaskStore"
import { TestScheduler } from "punctual/testing"
import * as Trigger from "punctual/Trigger"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { onFile } from "./internal/files.ts"
import { freshPrefix, onServer } from "./internal/postgres.ts"

const Work = Task.make("Work", { payload: { seconds: Schema.Int }, maxInstances: 2, whenBusy: "queue" })
const Flaky = Task.make("Flaky", {
  error: Schema.String,
  retry: { times: 2, schedule: Schedule.spaced("90 seconds") },
  pauseOnFailure: 3
})

const App = Layer.mergeAll(
  Work.toLayer(({ seconds }) => Effect.sleep(seconds * 1_000)),
  Flaky.toLayer((_, run) => run.attempt === 2 ? Effect.void : Effect.fail("no")),
  Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
    Effect.all([
      scheduler.addAll(
        Array.from({ length: 12 }, (_, i) =>
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

const sameAsMemory = <E>(name: string, store: Layer.Layer<TaskStore, E>) =>
  it.effect(`${name}: the same runs at the same times as in memory`, () =>
    Effect.gen(function*() {
      const memory = yield* ledger.pipe(Effect.provide(TestScheduler.layer(App, { now }), { local: true }))
      const runs = yield* ledger.pipe(Effect.provide(TestScheduler.layer(App, { now, store }), { local: true }))
      assert.isAbove(memory.runs.length, 300)
      assert.deepStrictEqual(runs, memory)
    }), 60_000)

sameAsMemory("SQLite", onFile((filename) => SqliteTaskStore.layer({ filename })))

sameAsMemory(
  "PGlite",
  SqlTaskStore.layer().pipe(Layer.provide(PgliteClient.layer(Effect.promise(() => PGlite.create()))))
)

onServer("Postgres", (url) => sameAsMemory("Postgres", PostgresTaskStore.layer({ url, prefix: freshPrefix() })))
