/**
 * A `SqlClient` on PGlite: Postgres in WebAssembly, in this process, with no server.
 *
 * ```ts
 * const Store = SqlTaskStore.layer().pipe(
 *   Layer.provide(PgliteClient.layer(Effect.promise(() => PGlite.create("./data"))))
 * )
 * ```
 *
 * It is `@effect/sql-pg`'s client, whose bytes go to PGlite instead of a socket. PGlite is one session: transactions take
 * turns, and one process at a time opens its directory.
 *
 * @since 0.1.0
 */
import { PgClient } from "@effect/sql-pg"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type { SqlClient } from "effect/sql/SqlClient"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { Buffer } from "node:buffer"
import { Duplex } from "node:stream"

/**
 * What is used of a `PGlite` from `@electric-sql/pglite`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pglite {
  readonly execProtocolRaw: (message: Uint8Array) => Promise<Uint8Array>
  readonly runExclusive: <A>(use: () => Promise<A>) => Promise<A>
  readonly listen: (channel: string, onPayload: (payload: string) => void) => Promise<() => Promise<void>>
  readonly close: () => Promise<void>
}

/** The socket of a session: hands over whole messages and gives back what they are answered. */
const socketOf = (pglite: Pglite): Duplex => {
  let pending: Buffer = Buffer.alloc(0)
  let started = false
  const socket: Duplex = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
      let end = 0
      while (true) {
        // the first message has no byte that says its type
        const head = started ? 1 : 0
        if (pending.length < end + head + 4) break
        const stop = end + head + pending.readInt32BE(end + head)
        if (pending.length < stop) break
        started = true
        end = stop
      }
      if (end === 0) return done()
      const messages = pending.subarray(0, end)
      pending = pending.subarray(end)
      if (messages[0] === terminate) {
        socket.push(null)
        return done()
      }
      pglite.runExclusive(() => pglite.execProtocolRaw(messages)).then((answer) => {
        socket.push(Buffer.from(answer))
        done()
      }, done)
    },
    final: (done) => {
      socket.push(null)
      done()
    }
  })
  return socket
}

const terminate = 0x58

/**
 * The client of a PGlite, which is closed with the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E>(pglite: Effect.Effect<Pglite, E>): Layer.Layer<PgClient.PgClient | SqlClient, E | SqlError> =>
  PgClient.layerFrom(Effect.gen(function*() {
    const opened = yield* Effect.acquireRelease(pglite, (opened) => Effect.promise(() => opened.close()))
    const client = yield* PgClient.makeClient({
      username: "postgres",
      database: "postgres",
      stream: () => socketOf(opened)
    })
    return Object.assign(client, {
      driver: "pglite",
      // the client's own would keep the only session for itself
      listen: (channel: string) =>
        Effect.gen(function*() {
          const heard = yield* Queue.unbounded<{ processId: number; channel: string; payload: string }, SqlError>()
          yield* Effect.acquireRelease(
            Effect.tryPromise({
              try: () =>
                opened.listen(channel, (payload) => {
                  Queue.offerUnsafe(heard, { processId: 0, channel, payload })
                }),
              catch: (cause) =>
                new SqlError({
                  reason: new ConnectionError({ cause, message: "PGlite does not listen", operation: "listen" })
                })
            }),
            (unlisten) => Effect.promise(() => unlisten())
          )
          return heard
        })
    })
  }))
