/**
 * One process that decides what is due and remembers what became of it: `node examples/cluster/scheduler.ts`. Start as many
 * as you like.
 */
import { NodeRuntime } from "@effect/platform-node"
import { ClusterExecutor } from "@punctual/cluster"
import { PostgresTaskStore } from "@punctual/sql/postgres"
import { Console, Effect, Layer, Stream } from "effect"
import { Executors, TaskScheduler, Trigger } from "punctual"
import * as Cluster from "./cluster.ts"
import { Render } from "./tasks.ts"

const Pages = Layer.effectDiscard(Effect.gen(function*() {
  const scheduler = yield* TaskScheduler.TaskScheduler
  yield* Effect.forEach([1, 2, 3, 4, 5, 6], (page) =>
    scheduler.add(Render, {
      id: `page-${page}`,
      payload: { page },
      trigger: Trigger.every("1 second"),
      onConflict: "update"
    }))
}))

const Watch = Layer.effectDiscard(Effect.gen(function*() {
  const scheduler = yield* TaskScheduler.TaskScheduler
  yield* Effect.forkScoped(Stream.runForEach(scheduler.events, (event) =>
    event._tag === "RunEnded"
      ? Console.log(`${event.run.taskId} ${event.run.state}, run ${event.run.id} attempt ${event.run.attempt}`)
      : Effect.void))
}))

const Main = TaskScheduler.layer(Layer.merge(Pages, Watch), {
  // a killed scheduler's runs are taken over after this
  lease: "6 seconds",
  executors: Executors.layer({ default: ClusterExecutor.layer({ handles: [Render] }) })
}).pipe(
  Layer.provide(Cluster.layer()),
  Layer.provide(
    Layer.unwrap(Effect.map(Cluster.databaseUrl, (url) => PostgresTaskStore.layer({ url, prefix: "example" })))
  )
)

NodeRuntime.runMain(Layer.launch(Main))
