/**
 * What a store says of its server's clock, and who goes by it; where there is none, it says nothing.
 */
import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskSchedulerClient } from "punctual/TaskSchedulerClient"
import { TaskStore, type TaskStoreError } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { freshPrefix } from "./internal/postgres.ts"

/** The server is on this machine, or on one whose clock is set. */
const agrees = (layer: Layer.Layer<TaskStore, TaskStoreError>) =>
  it.live("its clock is told in milliseconds of this era, whatever its zone", () =>
    Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(layer), TaskStore)
      const before = yield* Clock.currentTimeMillis
      const theirs = yield* store.time!
      assert.isTrue(Number.isSafeInteger(theirs))
      assert.isAtMost(Math.abs(theirs - before), 10 * 60_000)
    }))

const Work = Task.make("Work")

/** The clock of a machine that takes the year for 2099. */
const ahead = (clock: Clock.Clock): Clock.Clock => {
  const wall = () => clock.currentTimeMillisUnsafe() + 73 * 365 * 86_400_000
  const nanos = () => BigInt(wall()) * BigInt(1_000_000)
  return {
    currentTimeMillisUnsafe: wall,
    currentTimeMillis: Effect.sync(wall),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }
}

const goesByIt = (layer: Layer.Layer<TaskStore, TaskStoreError>) =>
  it.live("a machine that takes the year for 2099 adds and runs at the server's time", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const store = Context.get(yield* Layer.build(layer), TaskStore)
      const began = yield* Deferred.make<void>()
      const ends = yield* Deferred.make<void>()
      const App = Work.toLayer(() => Effect.andThen(Deferred.succeed(began, undefined), Deferred.await(ends)))
      const context = yield* Layer.build(
        TaskScheduler.layer(App).pipe(
          Layer.provide(Layer.succeed(TaskStore, store)),
          Layer.provide(Layer.succeed(Clock.Clock, ahead(clock)))
        )
      )
      const added = yield* store.time!
      yield* Context.get(context, TaskSchedulerClient).add(Work, {
        id: "work",
        trigger: Trigger.every("1 day", { immediately: true })
      })
      yield* Deferred.await(began)
      const [task] = yield* store.get(["work"])
      const now = yield* store.time!
      yield* Deferred.succeed(ends, undefined)
      const slack = 60_000
      assert.isTrue(task!.row.anchor > added - slack && task!.row.anchor < now + slack, String(task!.row.anchor))
      assert.isBelow(task!.row.cursor, now + slack)
      assert.isBelow(task!.open[0]!.leaseUntil!, now + 30_000 + slack)
    }))

it.live("a file has no clock but its machine's", () =>
  Effect.gen(function*() {
    const store = Context.get(yield* Layer.build(SqliteTaskStore.layer({ filename: ":memory:" })), TaskStore)
    assert.isUndefined(store.time)
  }))

await onServer("postgres", (url) => {
  agrees(PostgresTaskStore.layer({ url, prefix: freshPrefix() }))
  goesByIt(PostgresTaskStore.layer({ url, prefix: freshPrefix() }))
})

await onServer("mysql", (url) => {
  agrees(MysqlTaskStore.layer({ url, prefix: freshPrefix() }))
  goesByIt(MysqlTaskStore.layer({ url, prefix: freshPrefix() }))
})
