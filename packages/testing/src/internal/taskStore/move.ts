/**
 * A program that goes on on another store.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskStore } from "punctual/TaskStore"
import { TestScheduler } from "punctual/testing"
import * as Trigger from "punctual/Trigger"

const Work = Task.make("Work", { payload: { minutes: Schema.Int }, maxInstances: 1, whenBusy: "queue" })
const Flaky = Task.make("Flaky", { error: Schema.String, retry: { times: 3, schedule: Schedule.spaced("3 minutes") } })

const App = Layer.mergeAll(
  Work.toLayer(({ minutes }) => Effect.sleep(Duration.minutes(minutes))),
  Flaky.toLayer((_, run) => run.attempt < 4 ? Effect.fail("no") : Effect.void)
)

/** What becomes of a program's tasks whose first half hour is on one store, and whose next on what `move` answers. */
export const inTwoParts = (
  first: TaskStore["Service"],
  move: (store: TaskStore["Service"]) => Effect.Effect<TaskStore["Service"], unknown>
) =>
  Effect.gen(function*() {
    const part = (
      now: string,
      store: TaskStore["Service"],
      program: Effect.Effect<
        void,
        unknown,
        Layer.Success<typeof App> | TaskScheduler.TaskScheduler | TestScheduler.TestScheduler
      >
    ) =>
      Effect.gen(function*() {
        yield* program
        const events = yield* TestScheduler.events
        const scheduler = yield* TaskScheduler.TaskScheduler
        const { items } = yield* scheduler.list()
        return {
          runs: events.flatMap((event) =>
            event._tag === "RunStarted" || event._tag === "RunEnded" || event._tag === "RunRetrying"
              ? [
                `${DateTime.formatIso(event.at)} ${event._tag} ${event.run.taskId} ${
                  DateTime.formatIso(event.run.dueAt)
                } ${event.run.attempt}`
              ]
              : []
          ).sort(),
          tasks: items.map(({ counters, id, state }) => ({ counters, id, state }))
        }
      }).pipe(
        Effect.provide(TestScheduler.layer(App, { now, store: Layer.succeed(TaskStore, store) }), { local: true })
      )

    yield* part(
      "2026-01-01T00:00:00Z",
      first,
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        yield* scheduler.addAll(Array.from({ length: 8 }, (_, i) =>
          Task.scheduled(Work, {
            id: `work-${i}`,
            payload: { minutes: i },
            coalesce: i % 2 === 0 ? "none" : "latest",
            trigger: i % 3 === 0
              ? Trigger.cron(`*/${i + 2} * * * *`, { timeZone: "Europe/Berlin" })
              : Trigger.every({ minutes: 1 + i }).pipe(Trigger.jittered("30 seconds"))
          })))
        yield* scheduler.add(Flaky, { id: "flaky", trigger: Trigger.every("8 minutes") })
        yield* TestScheduler.advance("31 minutes")
        yield* scheduler.handle("work-3").pause("a while")
        yield* TestScheduler.advance("90 seconds")
      })
    )
    return yield* part(
      "2026-01-01T00:40:00Z",
      yield* move(first),
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        yield* TestScheduler.advance("20 minutes")
        yield* scheduler.handle("work-3").resume
        yield* TestScheduler.advance("40 minutes")
      })
    )
  })
