/**
 * What becomes of those who come to a task that others have: conflicts that go on, and runs that change meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Activity from "../src/Activity.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import type { Change, Committed, TaskStore, TaskStoreError } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, isolated, now, Scheduler, Work } from "./support/engine.ts"
import { patched } from "./support/patchedStore.ts"
import { at, clock, Handlers, Slow } from "./utils.ts"

/** A transaction of somebody else that holds tasks: to everybody else each change of them is a conflict. */
class Holder {
  held = false
  conflicts = 0
  /** Opens at the third conflict. */
  readonly met = Latch.makeUnsafe()

  commit(store: TaskStore["Service"], id: string) {
    return (changes: ReadonlyArray<Change>): Effect.Effect<ReadonlyArray<Committed>, TaskStoreError> =>
      Effect.suspend(() => {
        if (!this.held) return store.commit(changes)
        const free = changes.filter((change) => change.id !== id)
        this.conflicts += changes.length - free.length
        if (this.conflicts >= 3) this.met.openUnsafe()
        return Effect.map(store.commit(free), (answers) => {
          const rest = [...answers]
          return changes.map((change) => change.id === id ? { _tag: "Conflict" as const } : rest.shift()!)
        })
      })
  }
}

describe("a due task that somebody holds", () => {
  it.effect("keeps the engine from nothing else, and runs when it is let go", () => {
    const holder = new Holder()
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        holder.held = true
        const moving = yield* Effect.forkChild(TestScheduler.advance("1 minute"), { startImmediately: true })
        // the turn that met the conflict goes on to what is ready
        yield* holder.met.await
        const run = yield* scheduler.handle("free").runNow()
        yield* run.await
        assert.deepStrictEqual((yield* scheduler.handle("held").runs()).items, [])
        holder.held = false
        yield* Fiber.join(moving)
        const { items } = yield* scheduler.handle("held").runs()
        assert.deepStrictEqual(items.map((info) => [clock(info.dueAt), info.state]), [["00:01", "succeeded"]])
      }),
      TestScheduler.layer(
        Layer.mergeAll(
          Work.toLayer(() => Effect.void),
          Task.layerScheduled(Work, { id: "held", trigger: Trigger.at(at("00:01")) }),
          Task.layerScheduled(Work, { id: "free", trigger: Trigger.at(at("12:00")) })
        ),
        { now, store: patched((store) => ({ commit: holder.commit(store, "held") })) }
      )
    )
  })

  it.effect("is asked for by a command a bounded number of times, with a wait after each", () =>
    Effect.gen(function*() {
      const holder = new Holder()
      const memory = yield* MemoryTaskStore.make
      const store: TaskStore["Service"] = {
        ...memory,
        capabilities: { ...memory.capabilities, durable: true, shared: true },
        commit: holder.commit(memory, "a")
      }
      const client = yield* clientOf(store)
      const handle = yield* client.add(Work, { id: "a", trigger: Trigger.every("1 hour") })
      let waits = 0
      const activity: Activity.Activity = {
        virtual: false,
        begin: () => {},
        end: () => {},
        live: (effect) =>
          Effect.suspend(() => {
            waits++
            if (waits === 7) holder.held = false
            return effect
          })
      }
      const impatient = Effect.provideService(Random.Random, {
        nextDoubleUnsafe: () => 0,
        nextIntUnsafe: () => 0
      })
      holder.held = true
      yield* handle.pause().pipe(impatient, Effect.provideService(Activity.Activity, activity))
      assert.deepStrictEqual([holder.conflicts, waits], [7, 7])
      assert.strictEqual((yield* handle.snapshot).state, "paused")
      holder.held = true
      const error = yield* Effect.flip(
        handle.resume.pipe(impatient, Effect.provideService(Activity.Activity, activity))
      )
      assert.deepInclude(error, { _tag: "TooMuchContention", id: "a" })
      assert.deepStrictEqual([holder.conflicts, waits], [57, 57])
    }))
})

describe("a run that is cancelled", () => {
  it.effect("lets go what waits for it, also where it went back to ready after it was read as running", () => {
    let retries = false
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const handle = yield* scheduler.add(Slow, {
          id: "a",
          payload: { minutes: 10 },
          trigger: Trigger.at(at("23:00"))
        })
        const first = yield* handle.runNow()
        yield* TestScheduler.settle
        const second = yield* handle.runNow({ whenBusy: "queue" })
        assert.strictEqual(second.status, "queued")
        retries = true
        yield* first.cancel
        assert.isFalse(retries)
        yield* TestScheduler.advance("30 minutes")
        assert.strictEqual((yield* first.info).state, "cancelled")
        assert.strictEqual((yield* second.info).state, "succeeded")
      }),
      TestScheduler.layer(Handlers, {
        now,
        store: patched((store) => ({
          commit: (changes) =>
            Effect.gen(function*() {
              if (retries && changes.some(({ runs }) => runs.some((op) => op._tag === "Cancel"))) {
                retries = false
                const [task] = yield* store.get(["a"])
                const { generation, key, owner, token } = task!.open.find((run) => run.state === "running")!
                const result = { _tag: "Retry" as const, readyAt: at("12:00"), exit: null }
                yield* store.settle([{ generation, key, token: token!, owner: owner!, now: at("00:00"), result }], {
                  keep: 9
                })
              }
              return yield* store.commit(changes)
            })
        }))
      })
    )
  })
})
