/**
 * What one store says on a channel, and another hears. Both are on one PGlite, which has the channels of Postgres.
 */
import { assert, describe, it } from "@effect/vitest"
import { PGlite } from "@electric-sql/pglite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { TaskStore, type Wake } from "punctual/TaskStore"
import * as PgliteClient from "../src/PgliteClient.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { change, epoch, newTask } from "./internal/tasks.ts"

/** Two stores on one database, each with somebody who listens: what the second one hears. */
const two = Effect.gen(function*() {
  const client = yield* Layer.build(PgliteClient.layer(Effect.promise(() => PGlite.create())))
  const open = Effect.map(Layer.build(Layer.fresh(SqlTaskStore.layer())), Context.get(TaskStore))
  const [here, there] = yield* Effect.provideContext(Effect.all([open, open]), client)
  const heard = yield* Queue.unbounded<Wake>()
  yield* here.listen(() => {})
  yield* there.listen((wake) => {
    Queue.offerUnsafe(heard, wake)
  })
  const read = (now: number) => there.due({ now, limit: 10, reader: "there", zoneRules: "2026a" })
  return { here, there, heard: Queue.take(heard), read }
})

describe("wake-ups of other processes", () => {
  it.effect(
    "a later task wakes those who have dealt with the one before, though nobody has here",
    () =>
      Effect.gen(function*() {
        const { heard, here, read, there } = yield* two
        yield* here.insert([newTask("first", { due: epoch })])
        assert.strictEqual((yield* heard).due, epoch)
        const { tasks: [first] } = yield* read(epoch)
        yield* there.commit([change(first!.row, { set: { due: null, cursor: epoch } })])
        assert.strictEqual((yield* read(epoch)).next, null)
        // here the first is still the earliest that anybody knows
        yield* here.insert([newTask("second", { due: epoch + 1_000 })])
        assert.strictEqual((yield* heard).due, epoch + 1_000)
      }),
    60_000
  )
})
