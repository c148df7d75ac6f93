/**
 * One machine that works: `node examples/cluster/runner.ts 4101`
 */
import { NodeRuntime } from "@effect/platform-node"
import { ClusterExecutor } from "@punctual/cluster"
import { Console, Effect, Layer } from "effect"
import { CurrentRun } from "punctual"
import * as Cluster from "./cluster.ts"
import { Render } from "./tasks.ts"

const port = Number(process.argv[2] ?? 4101)

const RenderLive = Render.toLayer(
  Effect.fn("Render")(function*({ page }) {
    const run = yield* CurrentRun
    yield* Console.log(`page ${page} begins, run ${run.id} attempt ${run.attempt}`)
    yield* Effect.sleep("300 millis")
    return { runner: port }
  })
)

NodeRuntime.runMain(Layer.launch(ClusterExecutor.serve(RenderLive).pipe(Layer.provide(Cluster.layer(port)))))
