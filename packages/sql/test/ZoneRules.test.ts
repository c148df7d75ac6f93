/**
 * Newer rules of time zones, and what an earlier process left in a file.
 */
import { assert, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TestScheduler } from "punctual/testing"
import * as Trigger from "punctual/Trigger"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { databaseFile } from "./internal/files.ts"

const Work = Task.make("Work")

const App = Layer.mergeAll(
  Work.toLayer(() => Effect.void),
  Layer.effectDiscard(
    TaskScheduler.TaskScheduler.use((scheduler) =>
      scheduler.addAll(["moved", "newer"].map((id) =>
        Task.scheduled(Work, {
          id,
          trigger: Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlin" }),
          onConflict: "keep"
        })
      ))
    )
  )
)

it.effect("a process with newer rules times again what one with older rules left; one with older rules waits a minute", () =>
  Effect.gen(function*() {
    const filename = yield* databaseFile
    const program = (now: string) => TestScheduler.layer(App, { now, store: SqliteTaskStore.layer({ filename }) })
    yield* Effect.provide(TestScheduler.advance("1 hour"), program("2026-01-01T00:00:00Z"), { local: true })
    yield* Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const wrong = Date.UTC(2026, 0, 1, 7)
      yield* sql`update punctual_clock set due = ${wrong}, nominal = ${wrong}, zone_rules = '2000a' where id = 'moved'`
      yield* sql`update punctual_clock set zone_rules = '9999z' where id = 'newer'`
    }).pipe(Effect.provide(SqliteClient.layer({ filename }), { local: true }))
    const events = yield* Effect.andThen(TestScheduler.advance("12 hours"), TestScheduler.events).pipe(
      Effect.provide(program("2026-01-01T02:00:00Z"), { local: true })
    )
    const times = events.flatMap((event) =>
      event._tag === "TaskRetimed"
        ? [
          `${event.id}: ${DateTime.formatIso(event.from)} is ${
            event.to === null ? "never" : DateTime.formatIso(event.to)
          }`
        ]
        : event._tag === "RunStarted"
        ? [`${event.run.taskId}: ${DateTime.formatIso(event.at)}`]
        : []
    )
    assert.deepStrictEqual(times, [
      "moved: 2026-01-01T07:00:00.000Z is 2026-01-01T08:00:00.000Z",
      "moved: 2026-01-01T08:00:00.000Z",
      "newer: 2026-01-01T08:01:00.000Z"
    ])
  }))
