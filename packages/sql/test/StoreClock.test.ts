/**
 * What a store says of its server's clock; where there is none, it says nothing.
 */
import { assert, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TaskStore, type TaskStoreError } from "punctual/TaskStore"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { freshPrefix } from "./internal/postgres.ts"

/** The server is on this machine, or on one whose clock is set. */
const agrees = (layer: Layer.Layer<TaskStore, TaskStoreError>) =>
  it.live("its clock is told in milliseconds of this era, whatever its zone", () =>
    Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(layer), TaskStore)
      const before = yield* Clock.currentTimeMillis
      const theirs = yield* store.time!
      assert.isTrue(Number.isSafeInteger(theirs))
      assert.isAtMost(Math.abs(theirs - before), 10 * 60_000)
    }))

it.live("a file has no clock but its machine's", () =>
  Effect.gen(function*() {
    const store = Context.get(yield* Layer.build(SqliteTaskStore.layer({ filename: ":memory:" })), TaskStore)
    assert.isUndefined(store.time)
  }))

await onServer("postgres", (url) => agrees(PostgresTaskStore.layer({ url, prefix: freshPrefix() })))

await onServer("mysql", (url) => agrees(MysqlTaskStore.layer({ url, prefix: freshPrefix() })))
