/**
 * Startup and shutdown tasks with payloads, in a store that outlives the program.
 */
import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as TestScheduler from "punctual/testing/TestScheduler"
import * as Trigger from "punctual/Trigger"
import * as FileTaskStore from "../src/FileTaskStore.ts"
import { temporaryFolder } from "./internal/folders.ts"

const Say = Task.make("Say", { payload: { words: Schema.Array(Schema.String), at: Schema.DateTimeUtc } })

describe("tasks of events in a durable store", () => {
  it.effect("run with their payload at each start and each orderly end, added once, the last added first at the end", () =>
    Effect.gen(function*() {
      const directory = join(yield* temporaryFolder, "tasks")
      const log: Array<string> = []
      const at = new Date(Date.UTC(2026, 0, 1))
      const SayLive = Say.toLayer(({ at, words }) =>
        Effect.sync(() => void log.push(`${words.join(" ")} ${at.epochMilliseconds === Date.UTC(2026, 0, 1)}`))
      )
      const incarnation = <E>(then: Effect.Effect<unknown, E, TaskScheduler.TaskScheduler>) =>
        Effect.gen(function*() {
          yield* TestScheduler.settle
          yield* then
          yield* TestScheduler.shutdown
        }).pipe(Effect.provide(
          TestScheduler.layer(SayLive, { now: at.toISOString(), store: FileTaskStore.layer({ directory }) }),
          { local: true }
        ))
      const add = TaskScheduler.TaskScheduler.use((scheduler) =>
        Effect.gen(function*() {
          const payload = (...words: ReadonlyArray<string>) => ({ words, at: DateTime.makeUnsafe(at) })
          yield* scheduler.add(Say, { id: "hello", payload: payload("good", "morning"), trigger: Trigger.startup })
          yield* scheduler.add(Say, { id: "bye", payload: payload("good", "night"), trigger: Trigger.shutdown })
          yield* Effect.sleep(1)
          yield* scheduler.add(Say, { id: "last", payload: payload("lights", "off"), trigger: Trigger.shutdown })
        })
      )
      yield* incarnation(Effect.andThen(Effect.forkChild(add), TestScheduler.advance("1 second")) as never)
      // Added while it ran: startup is over for this one.
      assert.deepStrictEqual(log.splice(0), ["lights off true", "good night true"])
      yield* incarnation(Effect.void)
      assert.deepStrictEqual(log, ["good morning true", "lights off true", "good night true"])
    }))
})
