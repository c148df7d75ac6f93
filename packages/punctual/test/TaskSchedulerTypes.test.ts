/**
 * What must not compile. These are checked by `npm run check`; at run time there is nothing to do.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TaskSchedulerClient from "../src/TaskSchedulerClient.ts"
import type { TaskStore } from "../src/TaskStore.ts"

const Count = Task.make("Count", { payload: { n: Schema.Int }, success: Schema.Int })
const Ping = Task.make("Ping")
const CountLive = Count.toLayer(({ n }) => Effect.succeed(n))
const PingLive = Ping.toLayer(() => Effect.void)
const Scheduled = Task.layerScheduled(Count, { id: "count", payload: { n: 1 } })

type Complete = Layer.Layer<never, unknown, TaskStore>

const handled: Complete = TaskScheduler.layer(Layer.mergeAll(CountLive, Scheduled))

// @ts-expect-error nobody handles Count
const unhandled: Complete = TaskScheduler.layer(Scheduled)

// @ts-expect-error Ping's handler is not Count's
const otherHandler: Complete = TaskScheduler.layer(Layer.mergeAll(PingLive, Scheduled))

// An executor that runs a tag elsewhere says so.
const elsewhere: Layer.Layer<Executor.Executor | Task.Handler<"Count">, "down"> = Layer.effectContext(
  Effect.fail("down" as const)
)
const executed: Layer.Layer<never, unknown, TaskStore> = TaskScheduler.layer(Scheduled, {
  executors: Executors.layer({ default: Executor.layerFibers(), threads: elsewhere })
})

// @ts-expect-error it does not run Ping
const notExecuted: Complete = TaskScheduler.layer(Task.layerScheduled(Ping, { id: "ping" }), {
  executors: Executors.layer({ default: elsewhere })
})

const wrong = TaskScheduler.TaskScheduler.use((scheduler) =>
  Effect.all([
    // @ts-expect-error a text is no integer
    scheduler.add(Count, { id: "a", payload: { n: "1" } }),
    // @ts-expect-error it has a payload
    scheduler.add(Count, { id: "b" }),
    // @ts-expect-error unknown options are refused
    scheduler.add(Ping, { id: "c", coalesc: "none" }),
    scheduler.add(Ping, { id: "d" }),
    scheduler.add(Ping, {})
  ])
)

// A handler may schedule itself, or a task that schedules it back.
const SelfLive = Ping.toLayer(() =>
  TaskScheduler.TaskScheduler.use((scheduler) => scheduler.add(Ping, { onConflict: "keep", id: "again" })).pipe(
    Effect.orDie,
    Effect.asVoid
  )
)
const itself: Complete = TaskScheduler.layer(SelfLive)

// A client schedules for others.
const client: Effect.Effect<unknown, unknown, TaskSchedulerClient.TaskSchedulerClient> = TaskSchedulerClient
  .TaskSchedulerClient.use((scheduler) => scheduler.add(Count, { id: "e", payload: { n: 1 } }))

// Lists of different tasks keep every requirement.
const many: Effect.Effect<
  unknown,
  unknown,
  TaskScheduler.TaskScheduler | Task.Handler<"Count"> | Task.Handler<"Ping">
> = TaskScheduler.TaskScheduler.use((scheduler) =>
  scheduler.addAll([Task.scheduled(Count, { id: "f", payload: { n: 1 } }), Task.scheduled(Ping, { id: "g" })])
)

// Results are typed.
const result = TaskScheduler.TaskScheduler.use((scheduler) =>
  Effect.flatMap(scheduler.handle("f", { task: Count }).runNow(), (run) => run.await)
)
const typed: Effect.Effect<number, unknown, TaskScheduler.TaskScheduler> = result

it("type tests are checked by the compiler", () => {
  assert.isDefined([handled, executed, notExecuted, unhandled, otherHandler, wrong, itself, client, many, typed])
})
