/**
 * A restart of a program over its SQLite file that has forgotten the definition of a trigger, and one that has it again.
 */
import { assert, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TestScheduler } from "punctual/testing"
import * as Trigger from "punctual/Trigger"
import * as TriggerDefinitions from "punctual/TriggerDefinitions"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"

const Work = Task.make("Work")

const WorkLive = Work.toLayer(() => Effect.void)

const Minute = Trigger.define("Minute", {
  parameters: { minute: Schema.Int },
  next: ({ minute }, after) => {
    const hour = Math.floor(after / 3_600_000) * 3_600_000
    return [hour, hour + 3_600_000].map((start) => start + minute * 60_000).find((due) => due > after)
  }
})

const advance = Effect.map(
  TestScheduler.advance("2 hours"),
  (runs) => runs.map((run) => `${DateTime.formatIso(run.scheduledAt).slice(11, 16)} ${run.taskId}`).sort()
)

it.effect("nothing is lost while the definition is not there", () =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "punctual-definitions-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    const store = SqliteTaskStore.layer({ filename: join(directory, "punctual.db") })
    /** A program that starts at an hour of the day and ends two hours later. */
    const program = <A, E>(
      hour: number,
      definitions: ReadonlyArray<Trigger.AnyDefinition>,
      test: Effect.Effect<A, E, TaskScheduler.TaskScheduler | TestScheduler.TestScheduler | Task.Handler<"Work">>
    ) =>
      test.pipe(
        Effect.provide(
          TestScheduler.layer(WorkLive, { now: Date.UTC(2026, 0, 1, hour), store }).pipe(
            Layer.provide(TriggerDefinitions.layer(...definitions))
          ),
          { local: true }
        )
      )

    const first = program(
      0,
      [Minute],
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        yield* scheduler.add(Work, {
          id: "own",
          trigger: Minute.make({ minute: 20 }).pipe(Trigger.upTo(5)),
          coalesce: "none"
        })
        yield* scheduler.add(Work, { id: "hourly", trigger: Trigger.cron("0 * * * *") })
        return yield* advance
      })
    )
    assert.deepStrictEqual(yield* first, ["00:00 hourly", "00:20 own", "01:00 hourly", "01:20 own", "02:00 hourly"])

    const without = program(
      2,
      [],
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        const runs = yield* advance
        const info = yield* scheduler.handle("own").snapshot
        assert.match(Option.getOrThrow(info.unreadable), /no definition named `Minute` is provided/)
        assert.strictEqual(info.counters.ran, 2)
        return runs
      })
    )
    assert.deepStrictEqual(yield* without, ["03:00 hourly", "04:00 hourly"])

    const again = program(
      4,
      [Minute],
      Effect.gen(function*() {
        const runs = yield* advance
        const scheduler = yield* TaskScheduler.TaskScheduler
        assert.deepStrictEqual(yield* scheduler.quarantined(), [])
        assert.strictEqual((yield* scheduler.handle("own").snapshot).state, "finished")
        return runs
      })
    )
    // The two it missed, and the last of five.
    assert.deepStrictEqual(yield* again, ["02:20 own", "03:20 own", "04:20 own", "05:00 hourly", "06:00 hourly"])
  }), 60_000)
