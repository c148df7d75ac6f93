/**
 * Defects of what the engine answers, promises and tells: one test each, named after what went wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as TestClock from "effect/testing/TestClock"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { executing, forked, isolated, now, overwrite, Scheduler, storeOf, told, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched, slowly } from "./support/patchedStore.ts"
import { at, clock } from "./utils.ts"

/** Ends of runs, in the order they were told. */
const ends = Effect.map(
  told("RunEnded"),
  (events) => events.map((event) => event._tag === "RunEnded" && [event.run.taskId, event.run.state, clock(event.at)])
)

describe("a run asked for that waits", () => {
  for (const whenBusy of ["skip", "allow"] as const) {
    it.effect(`does not wait for ever behind an occurrence of a task that never queues: ${whenBusy}`, () =>
      isolated(
        Effect.gen(function*() {
          const handle = yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at(at("00:01")), whenBusy })
          yield* TestScheduler.advance("1 minute")
          const first = yield* handle.runNow({ whenBusy: "queue" })
          const second = yield* handle.runNow({ whenBusy: "queueAll" })
          assert.deepStrictEqual([first.status, second.status], ["queued", "queued"])
          yield* TestScheduler.advance("3 hours")
          assert.deepStrictEqual(yield* ends, [
            ["work", "succeeded", "01:01"],
            ["work", "succeeded", "02:01"],
            ["work", "succeeded", "03:01"]
          ])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now })
      ))
  }

  it.effect("does not wait for ever behind a run of a startup that came after it", () =>
    Effect.gen(function*() {
      const store = storeOf(yield* MemoryTaskStore.make)
      const Live = Work.toLayer(() => Effect.sleep("1 hour"))
      const Scheduled = Task.layerScheduled(Work, { id: "work", trigger: Trigger.startup })
      const program = Layer.mergeAll(
        TaskScheduler.layer(Layer.mergeAll(Live, Scheduled)).pipe(Layer.provide(store)),
        TaskScheduler.layer(Live, { start: "manual" }).pipe(Layer.provide(store))
      )
      yield* isolated(
        Effect.gen(function*() {
          const other = yield* Scheduler
          const waits = yield* other.handle("work").runNow({ whenBusy: "queue" })
          assert.strictEqual(waits.status, "queued")
          yield* TestScheduler.advance("30 minutes")
          yield* other.start
          yield* TestScheduler.advance("3 hours")
          assert.deepStrictEqual(yield* ends, [
            ["work", "succeeded", "01:00"],
            ["work", "succeeded", "01:30"],
            ["work", "succeeded", "02:30"]
          ])
        }),
        TestScheduler.layerProgram(program, { now })
      )
    }))

  it.effect("does not wait for ever behind a run that ended while it was being decided", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      let meanwhile: Effect.Effect<unknown, unknown> = Effect.void
      const store = patched(
        (store) => ({
          commit: (changes) => Effect.andThen(Effect.ignore(meanwhile), store.commit(changes))
        }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          const handle = yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
          yield* TestScheduler.advance("1 minute")
          const [task] = yield* memory.get(["work"])
          const [run] = task!.open
          meanwhile = memory.settle([{
            generation: run!.generation,
            key: run!.key,
            token: run!.token!,
            owner: run!.owner!,
            now: at("00:01"),
            result: { _tag: "End", state: "succeeded", exit: null }
          }], { keep: 100 })
          const second = yield* handle.runNow({ whenBusy: "queue" })
          yield* TestScheduler.settle
          assert.strictEqual((yield* second.info).state, "running")
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now, store })
      )
    }))
})

describe("the end of a run", () => {
  const Flaky = Task.make("Flaky", { error: Schema.String, retry: { times: 5, schedule: Schedule.spaced("1 hour") } })

  for (const how of ["cancel", "remove"] as const) {
    it.effect(`is not told twice when it is cancelled after a retry whose reply was lost: ${how}`, () => {
      const faults = FaultyStore.makeFaults()
      return isolated(
        Effect.gen(function*() {
          const handle = yield* (yield* Scheduler).add(Flaky, { id: "flaky", trigger: Trigger.at(at("00:01")) })
          faults.loseReplies = "settle"
          yield* TestScheduler.advance("1 minute")
          const [run] = (yield* handle.runs()).items
          assert.strictEqual(run!.state, "ready")
          if (how === "cancel") yield* handle.cancel(run!.id)
          else yield* handle.remove()
          faults.loseReplies = undefined
          yield* TestScheduler.advance("1 minute")
          assert.deepStrictEqual(yield* ends, [["flaky", "cancelled", "00:01"]])
        }),
        TestScheduler.layer(Flaky.toLayer(() => Effect.fail("no")), { now, store: FaultyStore.layer(faults) })
      )
    })
  }

  it.effect("is not told twice when a run is claimed, asked to stop and ended while it is being cancelled", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      let before: Effect.Effect<unknown, unknown> = Effect.void
      let after: Effect.Effect<unknown, unknown> = Effect.void
      const store = patched(
        (store) => ({
          commit: (changes) =>
            Effect.ensuring(Effect.andThen(Effect.ignore(before), store.commit(changes)), Effect.ignore(after))
        }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          const handle = yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 day") })
          yield* scheduler.pause
          const run = yield* handle.runNow()
          assert.strictEqual((yield* run.info).state, "ready")
          // This scheduler claims it between the decision and the commit, and its end is stored before the cancelling looks.
          before = Effect.gen(function*() {
            before = Effect.void
            yield* scheduler.resume
            while ((yield* run.info).state !== "running") yield* Effect.yieldNow
          })
          after = Effect.gen(function*() {
            while ((yield* run.info).state === "running") yield* Effect.yieldNow
          })
          yield* run.cancel
          yield* TestScheduler.settle
          assert.deepStrictEqual(yield* ends, [["work", "cancelled", "00:00"]])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now, store })
      )
    }))
})

describe("a task that is replaced", () => {
  it.effect("is not lost when the process dies in the middle", () => {
    let dead = false
    const store = patched((store) => ({
      commit: (changes) =>
        dead ? Effect.never : Effect.tap(store.commit(changes), () => Effect.sync(() => dead = true)),
      insert: (tasks) => dead ? Effect.never : store.insert(tasks)
    }))
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const options = { id: "work", trigger: Trigger.every("1 day") } as const
        const handle = yield* scheduler.add(Work, options)
        yield* Effect.timeoutOption(scheduler.add(Work, { ...options, name: "new", onConflict: "replace" }), "1 second")
          .pipe(forked, Effect.andThen(TestScheduler.advance("1 second")))
        assert.strictEqual((yield* handle.snapshot).name, "new")
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    )
  })
})

describe("a run that outlives its task", () => {
  for (const how of ["removed", "replaced"] as const) {
    it.effect(`can be cancelled: ${how}`, () =>
      isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          const options = { id: "work", trigger: Trigger.every("1 day") } as const
          const handle = yield* scheduler.add(Work, options)
          const [asked, listed] = [yield* handle.runNow(), yield* handle.runNow({ whenBusy: "allow" })]
          yield* TestScheduler.settle
          if (how === "removed") yield* handle.remove()
          else yield* scheduler.add(Work, { ...options, onConflict: "replace" })
          assert.deepStrictEqual(yield* TestScheduler.settle, [])
          yield* asked.cancel
          assert.deepStrictEqual((yield* TestScheduler.settle).map((run) => [run.id, run.state]), [
            [asked.id, "cancelled"]
          ])
          const [left] = (yield* scheduler.runs({ state: "running" })).items
          assert.strictEqual(left?.id, listed.id)
          yield* scheduler.cancel(left!)
          assert.deepStrictEqual((yield* TestScheduler.settle).map((run) => [run.id, run.state]), [
            [listed.id, "cancelled"]
          ])
          // What has ended needs no cancelling; what never was is not found.
          yield* asked.cancel
          const error = yield* Effect.flip(handle.cancel("1:x:nothing"))
          assert.strictEqual(error._tag, how === "removed" ? "TaskNotFound" : "RunNotFound")
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now })
      ))
  }

  it.effect("stops where it is to be interrupted, also when it is claimed meanwhile", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      let before: Effect.Effect<unknown, unknown> = Effect.void
      const store = patched(
        (store) => ({ commit: (changes) => Effect.andThen(Effect.ignore(before), store.commit(changes)) }),
        {},
        Effect.succeed(memory)
      )
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          const handle = yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("1 day") })
          yield* scheduler.pause
          const run = yield* handle.runNow()
          before = Effect.gen(function*() {
            before = Effect.void
            yield* scheduler.resume
            while ((yield* run.info).state !== "running") yield* Effect.yieldNow
          })
          yield* handle.remove({ interrupt: true })
          assert.deepStrictEqual((yield* TestScheduler.settle).map((run) => run.state), ["cancelled"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now, store })
      )
    }))
})

describe("closing under virtual time", () => {
  it.effect("costs real time once when a handler does not stop, not at each step of the drain", () =>
    Effect.gen(function*() {
      const waits: Array<number> = []
      const clock = (yield* Clock.Clock) as TestClock.TestClock
      const realClock: Clock.Clock = {
        ...clock,
        sleep: (duration) => {
          waits.push(Duration.toMillis(duration))
          return Effect.forEach(Array.from({ length: 99 }), () => Effect.yieldNow, { discard: true })
        }
      }
      const Other = Task.make("Other")
      const closed = Latch.makeUnsafe(false)
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("1 second")
          assert.deepStrictEqual(waits, [])
          yield* TestScheduler.shutdown
          const [stopped] = yield* told("SchedulerStopped")
          const detached = stopped?._tag === "SchedulerStopped" ? stopped.detached : []
          assert.deepStrictEqual(detached.map((name) => name.split(",")[0]), ["task work", "task other"])
          assert.deepStrictEqual(waits, [1_234, 1_234], "once for each that does not stop")
        }),
        TestScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() => Effect.onInterrupt(Effect.sleep("1 hour"), () => closed.await)),
            Other.toLayer(() => Effect.uninterruptible(closed.await)),
            Task.layerScheduled(Work, { id: "work", trigger: Trigger.now }),
            Task.layerScheduled(Other, { id: "other", trigger: Trigger.shutdown }),
            Layer.effectDiscard(Effect.addFinalizer(() => closed.open)),
            // It sleeps beside, so that the drain has many steps.
            Layer.effectDiscard(Effect.forkScoped(Effect.forever(Effect.sleep("100 millis"))))
          ),
          { now, patience: 1_234 }
        )
      ).pipe(
        Effect.provideService(
          Clock.Clock,
          Object.assign({ ...clock }, {
            withLive: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Clock.Clock, realClock)
          })
        )
      )
    }))
})

describe("why a run was given back", () => {
  const reasons = Effect.map(
    told("RunReleased"),
    (events) => events.map((event) => event._tag === "RunReleased" && [event.run.taskId, event.reason])
  )
  const Named = Task.make("Named", { payload: { name: Schema.String } })

  it.effect("is no shutdown for rows that cannot be read: payload, rules", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          for (const id of ["payload", "policy"]) {
            yield* scheduler.add(Named, { id, payload: { name: "x" }, trigger: Trigger.every("1 day") })
          }
          yield* scheduler.pause
          for (const id of ["payload", "policy"]) yield* scheduler.handle(id).runNow()
          yield* overwrite(memory, "payload", { payload: "{\"name\":7}" })
          yield* overwrite(memory, "policy", { policy: "nonsense" })
          yield* scheduler.resume
          yield* TestScheduler.settle
          assert.sameDeepMembers([...yield* reasons], [["payload", "unreadable"], ["policy", "unreadable"]])
        }),
        TestScheduler.layer(Named.toLayer(() => Effect.void), { now, store: storeOf(memory) })
      )
    }))

  it.effect("is no shutdown for a claim that came too late, and for a tag that is handled no longer", () => {
    let late = true
    let begun = 0
    const store = patched((store, time) => ({
      commit: (changes) => late ? slowly(store.commit(changes), time, "engine", 26_000) : store.commit(changes)
    }))
    return isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.at(at("00:01")) })
        yield* TestScheduler.advance("70 seconds")
        late = false
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(yield* reasons, [["work", "lateClaim"], ["work", "unhandled"]])
        assert.deepStrictEqual(yield* ends, [["work", "succeeded", "00:01:26"]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), {
        now,
        store,
        executors: executing(() =>
          Effect.sync(() =>
            begun++ === 0
              ? { _tag: "Unreadable", reason: "no handler", unhandled: true }
              : { _tag: "Succeeded", exit: "null" }
          )
        )
      })
    )
  })

  it.effect("is a shutdown where it was one", () =>
    isolated(
      Effect.gen(function*() {
        yield* (yield* Scheduler).add(Work, { id: "work", trigger: Trigger.now })
        yield* TestScheduler.settle
        yield* TestScheduler.shutdown
        assert.deepStrictEqual(yield* reasons, [["work", "shutdown"]])
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.sleep("1 hour")), { now })
    ))
})
