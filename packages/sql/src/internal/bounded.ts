/**
 * An end to the wait for a database that may never answer.
 *
 * A statement that is interrupted takes its connection with it, so a caller with a timeout gets away. What begins and ends
 * a transaction cannot be interrupted, and so has a timeout of its own here: a connection that died without being closed
 * would be waited for for ever.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { ConnectionError, SqlError, UnknownError } from "effect/sql/SqlError"
import { sleepUnref } from "./liveClock.ts"

/** How long a connection may take to answer, and a session of the server may hold what its client does not come back to. */
export const patience = 10_000

/** How long those who only want to notice something wait for an answer. */
export const briefly = 3_000

/** Interrupts what takes longer, in real time, also where its caller cannot be interrupted. */
export const bounded = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis = patience
): Effect.Effect<A, E | SqlError, R> =>
  Effect.raceFirst(
    Effect.interruptible(effect),
    Effect.andThen(Effect.interruptible(sleepUnref(millis)), () => {
      const message = `the connection did not answer within ${millis} ms`
      return Effect.fail(new SqlError({ reason: new ConnectionError({ cause: new Error(message), message }) }))
    })
  )

const control = (connection: Connection, sql: string) => bounded(connection.execute(sql, [], undefined))

/** Postgres answers the commit of a transaction that has failed with a rollback. */
const commit = (connection: Connection) =>
  Effect.flatMap(bounded(connection.executeRaw("COMMIT", [])), (result) => {
    if (typeof result !== "object" || result === null || Reflect.get(result, "command") !== "ROLLBACK") {
      return Effect.void
    }
    const message = "the commit rolled back a transaction that had failed"
    return Effect.fail(new SqlError({ reason: new UnknownError({ cause: new Error(message), message }) }))
  })

/** Transactions of a Postgres client, with an end to their beginning and their end; inside one of the program, a savepoint. */
export const transactions = (sql: SqlClient.SqlClient): SqlClient.SqlClient["withTransaction"] => {
  const outermost = SqlClient.makeWithTransaction({
    transactionService: sql.transactionService,
    spanAttributes: [["db.system.name", "postgresql"]],
    acquireConnection: (restore) => restore(sql.reserve),
    begin: (connection, statement = "BEGIN") => bounded(connection.executeUnprepared(statement, [], undefined)),
    commit,
    rollback: (connection) => control(connection, "ROLLBACK"),
    savepoint: (connection, id) => control(connection, `SAVEPOINT punctual_${id}`),
    rollbackSavepoint: (connection, id) => control(connection, `ROLLBACK TO SAVEPOINT punctual_${id}`)
  })
  return (effect) =>
    Effect.withFiber((fiber) =>
      Context.getOrUndefined(fiber.context, sql.transactionService) === undefined
        ? outermost(effect)
        : sql.withTransaction(effect)
    )
}
