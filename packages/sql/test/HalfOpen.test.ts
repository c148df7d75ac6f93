/**
 * Connections that die without being closed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { TaskStore, TaskStoreError } from "punctual/TaskStore"
import { halfOpen } from "../../../.ci/chaos/halfOpen.ts"
import * as Proxy from "../../../.ci/chaos/proxy.ts"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlClient from "../src/MysqlClient.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { freshPrefix } from "./internal/postgres.ts"

/** What a handler has written is committed over a connection that has died: the wait for that has an end. */
const commits = (url: string, clientOf: (url: string) => Layer.Layer<SqlClient.SqlClient, unknown>) => {
  describe.concurrent("transactions of handlers", () => {
    for (const lost of ["both", "replies"] as const) {
      it.live(
        `the commit of a handler's transaction fails on the program's own client, when its ${
          lost === "both" ? "connection has died" : "answer is lost"
        }`,
        () =>
          Effect.gen(function*() {
            const proxy = yield* Effect.acquireRelease(
              Effect.promise(() => Proxy.start(Number(new URL(url).port))),
              (proxy) => Effect.promise(proxy.close)
            )
            const through = new URL(url)
            through.port = String(proxy.port)
            const context = yield* Layer.build(
              Layer.fresh(SqlTaskStore.layer({ prefix: freshPrefix(), crossProcess: false })).pipe(
                Layer.provideMerge(clientOf(through.href))
              )
            )
            const store = Context.get(context, TaskStore)
            const sql = Context.get(context, SqlClient.SqlClient)
            const handler = Effect.andThen(sql`select 1`, Effect.sync(() => assert.isAbove(proxy.freeze(lost), 0)))
            const error = yield* Effect.flip(store.transact!(() => handler))
            assert.instanceOf(error, TaskStoreError)
            assert.strictEqual(error.reason, "Unavailable")
            // and the next one is on a connection that is there
            assert.strictEqual(yield* store.transact!(() => Effect.as(sql`select 1`, "done")), "done")
          }),
        60_000
      )
    }
  })
}

await onServer("postgres", (url) => {
  halfOpen("postgres", url, (url, prefix) => PostgresTaskStore.layer({ url, prefix }))
})

await onServer("mysql", (url) => {
  halfOpen("mysql", url, (url, prefix) => MysqlTaskStore.layer({ url, prefix }))
  commits(url, (url) => MysqlClient.layer({ url }))
})
