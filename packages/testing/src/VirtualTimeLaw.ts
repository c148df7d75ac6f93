/**
 * Under virtual time a store that does real IO gives the same runs at the same times as the one in memory.
 *
 * ```ts
 * VirtualTimeLaw.suite("mine", MyTaskStore.layer)
 * ```
 *
 * Some tasks that queue, retry, coalesce and are paused, over half an hour in which clocks change in Berlin, are run in
 * memory and in the store: every start, end and retry, and every counter must be equal.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
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

const Work = Task.make("Work", { payload: { seconds: Schema.Int }, maxInstances: 2, whenBusy: "queue" })
const Flaky = Task.make("Flaky", {
  error: Schema.String,
  retry: { times: 2, schedule: Schedule.spaced("90 seconds") },
  pauseOnFailure: 3
})

const app = (tasks: number) =>
  Layer.mergeAll(
    Work.toLayer(({ seconds }) => Effect.sleep(seconds * 1_000)),
    Flaky.toLayer((_, run) => run.attempt === 2 ? Effect.void : Effect.fail("no")),
    Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
      Effect.all([
        scheduler.addAll(
          Array.from({ length: tasks }, (_, i) =>
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

/**
 * Registers the law for a store, which is built anew and empty.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  store: Layer.Layer<TaskStore, E>,
  options?: {
    /** For a slow store: how many tasks, from 3 on. Default: 12, with some 400 starts and ends. */
    readonly tasks?: number | undefined
    /** Milliseconds it may take. Default: 60,000. */
    readonly timeout?: number | undefined
  }
): void => {
  const tasks = options?.tasks ?? 12
  describe(`TaskStore (${name}) under virtual time`, () => {
    it.effect("the same runs at the same times as in memory", () =>
      Effect.gen(function*() {
        const App = app(tasks)
        const memory = yield* ledger.pipe(Effect.provide(TestScheduler.layer(App, { now }), { local: true }))
        const own = yield* ledger.pipe(Effect.provide(TestScheduler.layer(App, { now, store }), { local: true }))
        assert.isAbove(memory.runs.length, 25 * tasks)
        assert.deepStrictEqual(own, memory)
      }), options?.timeout ?? 60_000)
  })
}
