/**
 * Events of schedulers in several processes, on one Postgres.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import type { SharedEvent } from "punctual/SchedulerEvent"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { TaskStore } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import { clientOf, freshPrefix } from "./internal/postgres.ts"
import { start } from "./internal/processes.ts"
import { newTask } from "./internal/tasks.ts"

await onServer("postgres", (url) => {
  const open = (prefix: string, options: Partial<PostgresTaskStore.Options> = {}) =>
    Layer.build(
      TaskSchedulerClient.layer().pipe(
        Layer.provideMerge(Layer.fresh(PostgresTaskStore.layer({ url, prefix, ...options })))
      )
    )

  const listening = (context: Context.Context<TaskSchedulerClient.TaskSchedulerClient>) =>
    Effect.gen(function*() {
      const heard = yield* Queue.unbounded<SharedEvent>()
      const client = Context.get(context, TaskSchedulerClient.TaskSchedulerClient)
      yield* Effect.forkScoped(
        Stream.runForEach(client.eventsEverywhere(), (shared) => Queue.offer(heard, shared)),
        { startImmediately: true }
      )
      return {
        until: (matches: (shared: SharedEvent) => boolean) => Effect.repeat(Queue.take(heard), { until: matches })
      }
    })

  const ended = (of: string) => ({ event, scheduler }: SharedEvent) =>
    event._tag === "RunEnded" && event.run.state === "succeeded" && scheduler.startsWith(`${of}#`)

  describe("scheduler.eventsEverywhere on Postgres", () => {
    it.live("those of other processes are heard, from their start to their end", () =>
      Effect.gen(function*() {
        const prefix = freshPrefix()
        const context = yield* open(prefix)
        const { until } = yield* listening(context)
        const one = yield* start("teller", url, prefix, "one")
        const started = yield* until(({ event }) => event._tag === "SchedulerStarted")
        const two = yield* start("teller", url, prefix, "two")
        assert.match(started.scheduler, /^one#/)
        const { event } = yield* until(ended("two"))
        const { callable, exit, owner } = (event as SharedEvent["event"] & { readonly _tag: "RunEnded" }).run
        assert.strictEqual(callable, "Login-two")
        assert.match(Option.getOrThrow(owner), /^two#/)
        assert.deepStrictEqual(exit, Option.some({ _tag: "Success", value: { by: "two", token: "<redacted>" } }))
        yield* until(ended("one"))
        one.send("stop")
        assert.strictEqual(
          (yield* until(({ event }) => event._tag === "SchedulerStopped")).scheduler,
          started.scheduler
        )
        yield* one.gone
        yield* until(ended("two"))
        two.send("stop")
        yield* two.gone
      }), 60_000)

    it.live(
      "are heard again after every connection that listens was killed",
      () =>
        Effect.gen(function*() {
          const prefix = freshPrefix()
          const context = yield* open(prefix)
          const { until } = yield* listening(context)
          const one = yield* start("teller", url, prefix, "one")
          yield* until(ended("one"))
          const admin = Context.get(yield* Layer.build(Layer.fresh(clientOf(url))), SqlClient.SqlClient)
          const killed = yield* admin<
            { readonly pid: number }
          >`select pid, pg_terminate_backend(pid) from pg_stat_activity
where query ilike ${"listen%"} and query like (select '%punctual_' || ${`${prefix}_meta`}::regclass::oid::text || '%')`
          // the channel of events, and that of wake-ups here and there
          assert.strictEqual(killed.length, 3)
          yield* Effect.repeat(
            admin`select 1 from pg_stat_activity where pid in ${admin.in(killed.map(({ pid }) => pid))}`,
            { until: (rows) => rows.length === 0 }
          )
          // what began after that came on another connection
          const gone = yield* DateTime.now
          yield* until(({ event }) => event._tag === "RunStarted" && DateTime.isGreaterThan(event.at, gone))
          yield* until(ended("one"))
          one.send("stop")
          yield* until(({ event }) => event._tag === "SchedulerStopped")
          yield* one.gone
        }),
      60_000
    )

    it.live(
      "a thousand of the largest texts arrive, in their order",
      () =>
        Effect.gen(function*() {
          const prefix = freshPrefix()
          const context = yield* open(prefix)
          const store = Context.get(context, TaskStore)
          const heard = yield* Queue.unbounded<string>()
          yield* store.broadcast!.hear("events", (text) => void Queue.offerUnsafe(heard, text))
          const texts = Array.from({ length: 1_000 }, (_, i) => `${i} `.padEnd(store.broadcast!.limit, "x"))
          yield* store.broadcast!.say("events", texts)
          assert.deepStrictEqual(yield* Queue.takeN(heard, 1_000), texts)
        }),
      60_000
    )

    it.live("are refused where nobody listens for notifications", () =>
      Effect.gen(function*() {
        const context = yield* open(freshPrefix(), { crossProcess: false })
        const client = Context.get(context, TaskSchedulerClient.TaskSchedulerClient)
        const refused = yield* Effect.flip(Stream.runDrain(client.eventsEverywhere()))
        assert.strictEqual(refused._tag, "EventsNotShared")
        assert.include(refused.message, "Postgres (unless `crossProcess` is false)")
      }), 60_000)

    it.live("one that does not fit a notification is refused, and spoils nothing", () =>
      Effect.gen(function*() {
        const context = yield* open(freshPrefix())
        const store = Context.get(context, TaskStore)
        const refused = yield* Effect.flip(store.broadcast!.say("events", ["x".repeat(8_000)]))
        assert.strictEqual(refused._tag, "TaskStoreError")
        assert.strictEqual((yield* store.insert([newTask("a")]))[0]!._tag, "Inserted")
      }), 60_000)
  })
})
