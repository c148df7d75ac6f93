/**
 * So many calls in so long, for each customer: what may not begin yet waits for its turn, and nobody else does.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Layer, Schema } from "effect"
import { RateLimiter } from "effect/persistence"
import { MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

// Two calls in ten seconds, and then one each five: a bucket of two that fills again.
const CallApi = Task.make("CallApi", {
  payload: { tenant: Schema.String, n: Schema.Int },
  rateLimit: { limit: 2, window: "10 seconds", key: ({ tenant }) => tenant, algorithm: "token-bucket" }
})

const CallApiLive = CallApi.toLayer(({ n, tenant }) => Console.log(`${tenant}: call ${n}`))

const call = (tenant: string, n: number) =>
  Task.layerScheduled(CallApi, { id: `${tenant}-${n}`, payload: { tenant, n }, trigger: Trigger.now })

export const App = Layer.mergeAll(
  CallApiLive,
  call("acme", 1),
  call("acme", 2),
  call("acme", 3),
  call("acme", 4),
  call("zeta", 1) // a limit of its own
).pipe(
  // A task with a limit does not compile without somebody who counts.
  Layer.provide(RateLimiter.layer),
  // In this process. `RateLimiter.layerStoreRedis()`, on a `NodeRedis.layer`, counts for all that share the server.
  Layer.provide(RateLimiter.layerStoreMemory)
)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
