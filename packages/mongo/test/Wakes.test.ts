/**
 * What one process changes wakes the others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { TaskStoreError, Wake } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { makeOver } from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"
import { onServer, prefixed, storeOn } from "./internal/server.ts"
import { change, claimOf, newRun, newTask, now } from "./internal/tasks.ts"

type Store = TaskStore["Service"]

/** Wakes as they come, and a way to wait for the next that says so. */
const listen = (store: Store) => {
  const seen: Array<Wake> = []
  let look = () => {}
  const next = (says: (wake: Wake) => boolean) =>
    Effect.callback<Wake>((resume) => {
      look = () => {
        const index = seen.findIndex(says)
        const wake = seen[index]
        if (wake === undefined) return
        seen.splice(0, index + 1)
        resume(Effect.succeed(wake))
      }
      look()
    })
  const heard = store.listen((wake) => {
    seen.push(wake)
    look()
  })
  return Effect.as(heard, { seen, next })
}

/** Tests of two stores on the same collections. */
const both = (
  how: string,
  two: Effect.Effect<readonly [Store, Store], TaskStoreError, Scope.Scope>
) => {
  describe(`two processes (${how})`, () => {
    it.effect("I12: what one adds, readies or asks to stop wakes the other", () =>
      Effect.gen(function*() {
        const [one, other] = yield* two
        yield* other.due({ now, limit: 1, reader: "r", zoneRules: "2026a" })
        const wakes = yield* listen(other)
        const [inserted] = yield* one.insert([newTask("a", { due: now + 5000 })])
        assert.strictEqual((yield* wakes.next((wake) => wake.due !== null)).due, now + 5000)
        const runs = [{ _tag: "Create", run: newRun(now) } as const]
        yield* one.commit([change(inserted!.row, {}, runs)])
        yield* wakes.next((wake) => wake.ready)
        yield* one.claim(claimOf("one"))
        yield* one.cancel([{ generation: inserted!.row.generation, key: String(now), reason: "stop" }])
        yield* wakes.next((wake) => wake.cancel)
      }), 20_000)

    it.effect(
      "I12: a process that listens late hears what comes after, from many writes at once too",
      () =>
        Effect.gen(function*() {
          const [one, other] = yield* two
          yield* one.insert([newTask("a", { due: now + 9000 })])
          yield* other.due({ now, limit: 1, reader: "r", zoneRules: "2026a" })
          const wakes = yield* listen(other)
          yield* Effect.forEach(
            Array.from({ length: 8 }, (_, i) => i),
            (i) => one.insert([newTask(`b${i}`, { due: now + 1000 + i })]),
            { concurrency: "unbounded" }
          )
          assert.isAtMost((yield* wakes.next((wake) => wake.due !== null && wake.due < now + 2000)).due!, now + 1007)
        }),
      20_000
    )

    it.effect("its own changes are told to a process once", () =>
      Effect.gen(function*() {
        const [one, other] = yield* two
        const wakes = yield* listen(one)
        yield* one.insert([newTask("mine", { due: now + 1 })])
        yield* wakes.next((wake) => wake.due === now + 1)
        yield* other.insert([newTask("theirs", { due: now - 1 })])
        // Had its own come back through the signal, it would be before this.
        yield* wakes.next(() => true)
        yield* one.due({ now: now + 99, limit: 10, reader: "r", zoneRules: "2026a" })
        assert.deepStrictEqual(wakes.seen, [])
      }), 20_000)
  })
}

for (const pushes of [false, true, "fails"] as const) {
  both(
    pushes === "fails" ? "a server that fails to push" : pushes ? "a server that pushes" : "a server that is asked",
    Effect.suspend(() => {
      const server = new Pretended()
      server.pushes = pushes
      const open = makeOver(server.database, { name: "pretended", pollInterval: "5 millis" })
      return Effect.all([open, open])
    })
  )
}

await onServer((server) =>
  both(
    server.replicaSet ? "change stream" : "mongodb",
    Effect.gen(function*() {
      const prefix = yield* prefixed(server)
      const open = Effect.map(
        Layer.build(Layer.fresh(storeOn(server, { prefix, pollInterval: "20 millis" }))),
        (context) => Context.get(context, TaskStore)
      )
      return [yield* open, yield* open] as const
    })
  )
)
