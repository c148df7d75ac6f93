/**
 * The Postgres client of a store's own: one that notices when nobody is there any more.
 *
 * Whoever listens says nothing and so learns nothing of a connection that died. So it asks now and then; a connection that
 * does not answer is given up, by the driver within five seconds: whoever listens then listens on another one.
 *
 * @since 0.1.0
 */
import { PgClient, PgConnection } from "@effect/sql-pg"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { bounded, briefly, patience } from "./bounded.ts"
import { sleepUnref } from "./liveClock.ts"

/** Of at most `maxConnections`, one of which is kept for a listener. */
export const make = (
  config: PgClient.PgPoolConfig & { readonly maxConnections: number; readonly listens: boolean }
) => {
  const { listens, maxConnections, ...rest } = config
  const settings: PgClient.PgPoolConfig = {
    ...rest,
    // a machine that is gone answers no probe
    keepAlive: Duration.millis(patience),
    // a pooler lends sessions for a transaction each, and lets nobody change them
    startupParameters: listens ? { idle_in_transaction_session_timeout: String(patience) } : undefined
  }
  const pool = (prepare: boolean) =>
    PgClient.make({ ...settings, prepare, maxConnections: listens ? Math.max(1, maxConnections - 1) : maxConnections })
  return Effect.map(
    // a pooler refuses what a listener needs, or lends whole sessions
    listens ? pool(true) : Effect.flatMap(isPooled(settings), (pooled) => pool(!pooled)),
    (client): PgClient.PgClient =>
      Object.assign(client, {
        listen: (channel: string) =>
          Effect.gen(function*() {
            const connection = yield* Effect.flatMap(PgConnection.make(settings), ({ pin }) => pin)
            const heard = yield* bounded(connection.listen(channel))
            const answers = bounded(connection.query("select 1"), briefly)
            // before the channel is left, which would wait for an answer
            yield* Effect.addFinalizer(() => Effect.ignore(answers))
            yield* Effect.forkScoped(Effect.forever(Effect.andThen(sleepUnref(briefly), answers)))
            return heard
          })
      })
  )
}

/** A pooler gives each connection a number that is no session's. What one session has prepared another does not know. */
const isPooled = (settings: PgConnection.Config) =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* PgConnection.make({ ...settings, prepare: false })
    const [row] = (yield* bounded(connection.query("select pg_backend_pid() as pid"))).rows
    return row?.["pid"] !== connection.processId
  }))
