/**
 * A runner of a chaos run on a cluster: `DATABASE_URL=… node executorRunner.ts <port>`
 */
import { NodeRuntime } from "@effect/platform-node"
import * as ClusterExecutor from "@punctual/cluster/ClusterExecutor"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Cluster from "../../examples/cluster/cluster.ts"
import { handlers } from "./executorTasks.ts"

NodeRuntime.runMain(Layer.launch(
  ClusterExecutor.serve(handlers).pipe(
    Layer.provide(Cluster.layer(Number(process.argv[2]))),
    Layer.provide(Logger.layer([]))
  )
))
