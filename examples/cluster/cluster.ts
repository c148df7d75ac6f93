/**
 * What all programs of the example share: one Postgres server, and who belongs to the cluster.
 */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Layer, Option } from "effect"
import { MessageStorage, RunnerAddress, ShardingConfig, SqlRunnerStorage } from "effect/cluster"

/** `DATABASE_URL=postgres://user:password@127.0.0.1:5432/database` */
export const databaseUrl = Config.Redacted("DATABASE_URL")

const Database = PgClient.layerConfig({ url: databaseUrl })

/** Membership of the cluster. With a port this process is a runner; without one it only talks to runners. */
export const layer = (port?: number) => {
  const shardingConfig = {
    runnerAddress: port === undefined ? Option.none() : Option.some(RunnerAddress.make("127.0.0.1", port)),
    // how soon the others carry on where a runner was killed
    shardLockExpiration: "6 seconds",
    refreshAssignmentsInterval: "1 second",
    runnerHealthCheckInterval: "2 seconds"
  } as const
  // Runs are in the task store, so nothing needs to be kept of the messages about them.
  const storage = Layer.merge(
    MessageStorage.layerNoop,
    SqlRunnerStorage.layer.pipe(Layer.provide([Database, ShardingConfig.layerFromEnv(shardingConfig)]))
  )
  return (port === undefined
    ? NodeClusterSocket.layer({ clientOnly: true, storage: "byo", shardingConfig })
    : NodeClusterSocket.layer({ storage: "byo", shardingConfig })).pipe(Layer.provide(storage))
}
