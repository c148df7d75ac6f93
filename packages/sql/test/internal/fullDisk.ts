/**
 * What a full disk under a store may cost: nothing but the time in which it is full.
 */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { CurrentRun } from "punctual/CurrentRun"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskSchedulerClient } from "punctual/TaskSchedulerClient"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"

const Work = Task.make("Work", { payload: { text: Schema.String } })
const Held = Task.make("Held")

/** Adds tasks until the store is full, makes room, and looks what became of them. */
export const fullDisk = <E>(
  layer: Layer.Layer<TaskStore, E>,
  disk: {
    /** Takes all the space there is; answers what gives it back. */
    readonly fill: Effect.Effect<Effect.Effect<void>>
    /** What is answered while it is full. */
    readonly reason: TaskStoreError["reason"]
    readonly hint: RegExp
    /** Characters of a payload. */
    readonly size: number
  }
) =>
  Effect.gen(function*() {
    const began = new Map<string, number>()
    const begin = Effect.flatMap(CurrentRun, ({ taskId }) =>
      Effect.sync(() => began.set(taskId, (began.get(taskId) ?? 0) + 1)))
    const atWork = yield* Deferred.make<void>()
    const released = yield* Deferred.make<void>()
    const App = Layer.mergeAll(
      Work.toLayer(() =>
        begin
      ),
      Held.toLayer(() =>
        Effect.andThen(Effect.andThen(begin, Deferred.succeed(atWork, undefined)), Deferred.await(released))
      )
    )
    const context = yield* Layer.build(
      TaskScheduler.layer(App, { lease: "1 minute" }).pipe(Layer.provideMerge(layer))
    )
    const client = Context.get(context, TaskSchedulerClient)
    const store = Context.get(context, TaskStore)
    const add = (n: number) =>
      client.add(Work, { id: `work-${n}`, payload: { text: "x".repeat(disk.size) }, trigger: Trigger.now })
    yield* client.add(Held, { id: "held", trigger: Trigger.now })
    yield* Deferred.await(atWork)
    const free = yield* disk.fill
    let added = 0
    const error = yield* Effect.flip(
      Effect.forever(Effect.suspend(() => Effect.tap(add(added), () => Effect.sync(() => added++))))
    )
    assert.instanceOf(error, TaskStoreError)
    assert.strictEqual(error instanceof TaskStoreError && error.reason, disk.reason, error.message)
    assert.match(error.message, disk.hint)
    // What ends now cannot be recorded yet.
    yield* Deferred.succeed(released, undefined)
    yield* free
    yield* Effect.retry(add(added), Schedule.spaced("100 millis"))
    const ids = [...Array.from({ length: added + 1 }, (_, n) => `work-${n}`), "held"]
    while (true) {
      const states = yield* Effect.forEach(ids, (taskId) => store.runs({ taskId, limit: 1 }))
      if (states.every(({ items: [run] }) => run?.state === "succeeded")) break
      yield* Effect.sleep("50 millis")
    }
    assert.deepStrictEqual(ids.filter((id) => began.get(id) !== 1), [], "begun once each")
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
