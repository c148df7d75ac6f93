/**
 * Servers that are killed, connections that are cut, a log that lost its end.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { type Change, TaskStore, type Wake } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { ownServer, quiet, withServers } from "./internal/ownServer.ts"
import { claimOf, newRun, newTask } from "./internal/records.ts"

const always = ["--appendonly", "yes", "--appendfsync", "always"]

const openStore = (url: string) =>
  Effect.map(
    Layer.build(Layer.fresh(NodeRedisTaskStore.layer({ url, pollInterval: "50 millis" }))),
    (context) => Context.get(context, TaskStore)
  ).pipe(quiet)

const every = Schedule.spaced("20 millis")

withServers("Redis that breaks", () => {
  it.live(
    "a server that is killed in the middle of the work loses nothing that its log always has",
    () =>
      Effect.gen(function*() {
        const server = yield* ownServer(...always)
        const count = 300
        const begun: Array<number> = []
        const progress = yield* Queue.unbounded<void>()
        const Work = Task.make("Work", { payload: { n: Schema.Int } })
        const App = Layer.mergeAll(
          Work.toLayer(({ n }) =>
            Effect.suspend(() => {
              begun.push(n)
              if (begun.length === count / 3) Queue.offerUnsafe(progress, undefined)
              return Effect.sleep("5 millis")
            })
          ),
          Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
            scheduler.addAll(
              Array.from(
                { length: count },
                (_, n) => Task.scheduled(Work, { id: `work-${n}`, payload: { n }, trigger: Trigger.now })
              )
            )
          ))
        )
        const running = yield* Effect.forkScoped(
          Layer.launch(
            TaskScheduler.layer(App, { lease: "3 seconds" }).pipe(
              Layer.provide(NodeRedisTaskStore.layer({ url: server.url }))
            )
          ).pipe(quiet)
        )
        yield* Queue.take(progress)
        yield* server.kill
        yield* server.start
        const store = yield* openStore(server.url)
        while (true) {
          const open = yield* store.runs({ limit: 1, state: "ready" })
          const at = yield* store.runs({ limit: 1, state: "running" })
          const scheduled = yield* store.list({ state: "scheduled", sort: "id", descending: false, limit: 1 })
          if (open.items.length + at.items.length + scheduled.items.length === 0) break
          yield* Effect.sleep("50 millis")
        }
        const { items } = yield* store.runs({ limit: count * 2 })
        assert.strictEqual(items.length, count)
        assert.strictEqual(new Set(items.map((run) => run.taskId)).size, count)
        assert.isTrue(items.every((run) => run.state === "succeeded"))
        assert.strictEqual(new Set(begun).size, count)
        yield* Fiber.interrupt(running)
      }),
    60_000
  )

  it.live("a log that lost its end gives no claim the number of another one", () =>
    Effect.gen(function*() {
      const server = yield* ownServer(...always)
      const store = yield* openStore(server.url)
      yield* store.insert([newTask("a", { runs: [newRun(1)] })])
      const before = yield* server.log
      const [first] = (yield* store.claim(claimOf(1, 1))).runs
      yield* server.kill
      yield* server.cut(before.path, before.size)
      yield* server.start
      const again = yield* openStore(server.url)
      const [second] = (yield* again.claim(claimOf(1, 1))).runs
      assert.strictEqual(second?.run.attempt, 1, "the claim was lost")
      assert.isAbove(second!.run.token!, first!.run.token!)
      // both claims are of one owner, who still works on the first
      const end = { _tag: "End", state: "succeeded", exit: null } as const
      const settlement = (token: number) => ({
        generation: first!.run.generation,
        key: "1",
        owner: "owner",
        now: 2,
        token,
        result: end
      })
      assert.deepStrictEqual(yield* again.settle([settlement(first!.run.token!)], { keep: 10 }), ["Stale"])
      assert.deepStrictEqual(yield* again.settle([settlement(second!.run.token!)], { keep: 10 }), ["Settled"])
    }), 30_000)

  it.live("a log that lost its end gives no change the revision of another one", () =>
    Effect.gen(function*() {
      const server = yield* ownServer(...always)
      const store = yield* openStore(server.url)
      const [inserted] = yield* store.insert([newTask("a", { due: 1_000 })])
      const row = inserted!.row
      const change = (revision: number, cursor: number): Change => ({
        id: "a",
        generation: row.generation,
        revision,
        now: 1,
        set: { cursor },
        runs: []
      })
      const before = yield* server.log
      const [lost] = yield* store.commit([change(row.revision, 10)])
      assert.strictEqual(lost!._tag, "Committed")
      yield* server.kill
      yield* server.cut(before.path, before.size)
      yield* server.start
      const again = yield* openStore(server.url)
      const [first] = yield* again.commit([change(row.revision, 20)])
      assert.strictEqual(first!._tag, "Committed")
      // planned on what was lost
      const planned = lost!._tag === "Committed" ? lost!.revision : 0
      assert.deepStrictEqual(yield* again.commit([change(planned, 30)]), [{ _tag: "Conflict" }])
      // on the same server they go on one by one, whatever it saves meanwhile
      const next = first!._tag === "Committed" ? first!.revision : 0
      yield* server.send("SAVE")
      assert.deepStrictEqual(yield* again.commit([change(next, 40)]), [
        { _tag: "Committed", revision: next + 1, claimed: [] }
      ])
    }), 30_000)

  it.live("a store that went back to what was saved of it has its listeners look again", () =>
    Effect.gen(function*() {
      const server = yield* ownServer(...always)
      const store = yield* openStore(server.url)
      yield* store.insert([newTask("a", { due: 1_000 })])
      const before = yield* server.log
      yield* store.insert([newTask("b", { due: 500 })])
      const wakes = yield* Queue.unbounded<Wake>()
      yield* store.listen((wake) => void Queue.offerUnsafe(wakes, wake))
      yield* server.kill
      yield* server.cut(before.path, before.size)
      yield* server.start
      assert.deepStrictEqual(yield* Queue.take(wakes), { due: 0, ready: true, cancel: true })
    }), 30_000)

  it.live("without a log everything is lost, and the store begins anew", () =>
    Effect.gen(function*() {
      const server = yield* ownServer("--appendonly", "no")
      const store = yield* openStore(server.url)
      const [first] = yield* store.insert([newTask("a")])
      yield* server.kill
      yield* server.start
      const again = yield* openStore(server.url)
      assert.deepStrictEqual(yield* again.get(["a"]), [])
      const [second] = yield* again.insert([newTask("a")])
      assert.strictEqual(second!._tag, "Inserted")
      assert.isAbove(second!.row.generation, first!.row.generation)
    }), 30_000)

  it.live("killed connections come back, and what was said meanwhile is noticed", () =>
    Effect.gen(function*() {
      const server = yield* ownServer()
      const listening = yield* openStore(server.url)
      const wakes = yield* Queue.unbounded<Wake>()
      yield* listening.due({ now: 0, limit: 1, reader: "reader", zoneRules: "" })
      yield* listening.listen((wake) => void Queue.offerUnsafe(wakes, wake))
      for (const due of [3_000, 2_000, 1_000]) {
        yield* server.send("CLIENT", "KILL", "TYPE", "pubsub")
        yield* server.send("CLIENT", "KILL", "TYPE", "normal")
        const other = yield* openStore(server.url)
        yield* other.insert([newTask(`due-${due}`, { due })])
        // told by name, or told to look again
        yield* Effect.repeat(Queue.take(wakes), { until: (wake) => wake.due === due || wake.due === 0 })
      }
    }), 30_000)

  it.live("a call while the server is away fails at once and works again later", () =>
    Effect.gen(function*() {
      const server = yield* ownServer(...always)
      const store = yield* openStore(server.url)
      yield* store.insert([newTask("a")])
      yield* server.kill
      const error = yield* Effect.flip(store.get(["a"]))
      assert.strictEqual(error.reason, "Unavailable")
      assert.isTrue(error.retryable)
      yield* server.start
      const found = yield* Effect.retry(store.get(["a"]), { while: (error) => error.retryable, schedule: every })
      assert.strictEqual(found.length, 1)
    }), 30_000)
})
