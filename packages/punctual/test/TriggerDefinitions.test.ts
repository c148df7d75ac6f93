/**
 * Triggers of the program's own in a scheduler: who reads a stored one, who does not, and what becomes of one that
 * misbehaves.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TriggerText from "../src/internal/triggerText.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import { fromRow } from "../src/TaskInfo.ts"
import * as Scheduler from "../src/TaskScheduler.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as Client from "../src/TaskSchedulerClient.ts"
import * as TaskStore from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import * as TriggerDefinitions from "../src/TriggerDefinitions.ts"
import { at, clock, Handlers, hourly, start, Tick, times } from "./utils.ts"

/** At these minutes of every hour. */
const Minutes = Trigger.define("Minutes", {
  parameters: { minutes: Schema.NonEmptyArray(Schema.Int) },
  next: ({ minutes }, after) => {
    const hour = Math.floor(after / 3_600_000) * 3_600_000
    const due = [0, 1].flatMap((n) => minutes.map((minute) => hour + n * 3_600_000 + minute * 60_000))
    return due.find((instant) => instant > after)
  },
  format: ({ minutes }) => `at minute ${minutes.join(", ")} of every hour`
})

const trigger = Minutes.make({ minutes: [10, 40] })

/** Every hour until 02:00 of the first day, and what comes then is not a number. */
const Breaks = Trigger.define("Breaks", {
  next: (_, after) => after < at("02:00") ? (Math.floor(after / 3_600_000) + 1) * 3_600_000 : NaN
})

const Definitions = TriggerDefinitions.layer(Minutes, Breaks)

type Services = TaskScheduler | TestScheduler.TestScheduler | Layer.Success<typeof Handlers>

const program = (
  test: Effect.Effect<void, unknown, Services>,
  definitions: Layer.Layer<never, TriggerDefinitions.DuplicateTriggerDefinition> = Definitions,
  options: { readonly now?: number; readonly store?: Layer.Layer<TaskStore.TaskStore> } = {}
) =>
  Effect.provide(
    test,
    TestScheduler.layer(Handlers, { now: start, ...options } as { readonly now: string }).pipe(
      Layer.provide(definitions)
    ),
    { local: true }
  )

const without = TriggerDefinitions.layer()

const sharedStore = Effect.map(MemoryTaskStore.make, (store) => Layer.succeed(TaskStore.TaskStore)(store))

const of = (runs: ReadonlyArray<Parameters<typeof times>[0][number]>, id: string) =>
  times(runs.filter((run) => run.taskId === id))

describe("a scheduler with the definition", () => {
  it.effect("runs, previews, explains and lists like with any other trigger", () =>
    program(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Tick, { id: "a", trigger: trigger.pipe(Trigger.upTo(9)) })
      assert.deepStrictEqual((yield* handle.preview(3)).map(({ due }) => clock(due)), ["00:10", "00:40", "01:10"])
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["00:10", "00:40"])
      assert.strictEqual((yield* handle.explain(at("00:40"))).outcome, "ran")
      const [info] = (yield* scheduler.list()).items
      assert.strictEqual(info!.when, "at minute 10, 40 of every hour, at most 9 times")
      assert.isTrue(Equal.equals(info!.trigger, Option.some(trigger.pipe(Trigger.upTo(9)))))
      assert.isTrue(Option.isNone(info!.unreadable))
      yield* handle.pause()
      yield* TestScheduler.advance("1 hour")
      yield* handle.resume
      yield* handle.reschedule(Minutes.make({ minutes: [30] }))
      assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["02:30"])
    })))

  it.effect("a declared trigger with equal parameters is no change", () =>
    Effect.gen(function*() {
      const store = yield* sharedStore
      const deploy = (minutes: readonly [number, ...Array<number>]) =>
        Effect.flatMap(TaskScheduler, (scheduler) =>
          scheduler.reconcile("program", [{
            task: Tick,
            options: { id: "a", trigger: Minutes.make({ minutes }) }
          }]))
      yield* program(Effect.asVoid(deploy([5])), Definitions, { store })
      yield* program(
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* deploy([5])).unchanged, ["a"])
          assert.deepStrictEqual((yield* deploy([6])).updated, ["a"])
        }),
        Definitions,
        { store }
      )
    }))

  it.effect("refuses a trigger whose definition it does not have, or has otherwise", () =>
    program(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const missing = yield* Effect.flip(scheduler.add(Tick, { id: "a", trigger: trigger.pipe(Trigger.upTo(1)) }))
        assert.strictEqual(missing._tag, "InvalidTrigger")
        assert.match(missing.message, /no definition named `Minutes` is provided: add it to `TriggerDefinitions/)
        const Other = Trigger.define("Breaks", { next: (_, after) => after + 1 })
        const other = yield* Effect.flip(scheduler.add(Tick, { id: "a", trigger: Other.make() }))
        assert.match(other.message, /another definition named `Breaks`/)
        const handle = yield* scheduler.add(Tick, { id: "a", trigger: hourly })
        assert.strictEqual((yield* Effect.flip(handle.reschedule(trigger)))._tag, "InvalidTrigger")
        assert.strictEqual((yield* Effect.flip(handle.update({ trigger })))._tag, "InvalidTrigger")
        assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["01:00"])
      }),
      TriggerDefinitions.layer(Breaks)
    ))

  it.effect("two schedulers in one program each have their own definitions", () =>
    Effect.gen(function*() {
      // The same text, read by both: what one knows is not what the other knows. 01:10 was the first one's.
      const Doubled = Trigger.define("Minutes", {
        parameters: Minutes.parameters,
        next: ({ minutes }, after) => Minutes.next({ minutes: [minutes[0] * 2] }, after, { anchor: 0, seed: "" })
      })
      const store = yield* sharedStore
      yield* program(
        Effect.gen(function*() {
          yield* (yield* TaskScheduler).add(Tick, { id: "a", trigger })
          assert.deepStrictEqual(times(yield* TestScheduler.advance("1 hour")), ["00:10", "00:40"])
        }),
        Definitions,
        { store }
      )
      yield* program(
        Effect.gen(function*() {
          assert.deepStrictEqual(times(yield* TestScheduler.advance("2 hours")), ["01:20", "02:20"])
        }),
        TriggerDefinitions.layer(Doubled),
        { store, now: at("01:00") }
      )
    }))
})

describe("a scheduler without the definition", () => {
  it.effect("leaves the row alone, says what is missing, and runs the others; with it, the task goes on", () =>
    Effect.gen(function*() {
      const store = yield* sharedStore
      yield* program(
        Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          yield* scheduler.add(Tick, { id: "own", trigger })
          yield* scheduler.add(Tick, { id: "hourly", trigger: hourly })
          assert.deepStrictEqual(of(yield* TestScheduler.advance("1 hour"), "own"), ["00:10", "00:40"])
        }),
        Definitions,
        { store }
      )
      yield* program(
        Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          const runs = yield* TestScheduler.advance("3 hours")
          assert.deepStrictEqual([of(runs, "own"), of(runs, "hourly")], [[], ["02:00", "03:00", "04:00"]])
          const [verdict, ...more] = yield* scheduler.quarantined()
          assert.deepStrictEqual([verdict!.id, more], ["own", []])
          assert.match(
            verdict!.reason,
            /no definition named `Minutes` is provided: add it to `TriggerDefinitions\.layer/
          )
          const info = (yield* scheduler.list()).items.find(({ id }) => id === "own")!
          assert.strictEqual(info.when, "unreadable")
          assert.deepStrictEqual(info.unreadable, Option.some(verdict!.reason))
          assert.strictEqual(info.evaluatedUntil.epochMilliseconds, at("00:40"))
          // What it cannot read it does not change.
          const handle = scheduler.handle("own")
          for (const refused of [handle.pause(), handle.preview(1), handle.runNow(), handle.explain(at("00:40"))]) {
            const error = yield* Effect.flip(refused as Effect.Effect<unknown, { readonly _tag: string }>)
            assert.strictEqual(error._tag, "TaskUnreadable")
          }
        }),
        without,
        { store, now: at("01:00") }
      )
      yield* program(
        Effect.gen(function*() {
          const scheduler = yield* TaskScheduler
          // Late, so made up for with the latest of them.
          assert.deepStrictEqual(of(yield* TestScheduler.settle, "own"), ["03:40"])
          assert.deepStrictEqual(of(yield* TestScheduler.advance("1 hour"), "own"), ["04:10", "04:40"])
          assert.deepStrictEqual(yield* scheduler.quarantined(), [])
        }),
        Definitions,
        { store, now: at("04:00") }
      )
    }))

  it.effect("another process with the definition goes on meanwhile", () => {
    const Processes = Layer.mergeAll(
      Scheduler.layer(Handlers, { name: "without", drainTimeout: 0 }).pipe(
        Layer.provide(without)
      ),
      Scheduler.layer(
        Layer.mergeAll(
          Handlers,
          Layer.effectDiscard(TaskScheduler.use((scheduler) => scheduler.add(Tick, { id: "own", trigger })))
        ),
        { name: "with", drainTimeout: 0 }
      ).pipe(Layer.provide(Definitions))
    ).pipe(Layer.provideMerge(MemoryTaskStore.layer))
    return Effect.gen(function*() {
      assert.deepStrictEqual(times(yield* TestScheduler.advance("2 hours")), ["00:10", "00:40", "01:10", "01:40"])
    }).pipe(Effect.provide(TestScheduler.layerProgram(Processes, { now: start }), { local: true }))
  })
})

describe("a stored text", () => {
  it("means what the definitions it is read with say, whoever read it before", () => {
    const text = JSON.stringify(trigger)
    const Other = Trigger.define("Minutes", { parameters: Minutes.parameters, next: () => undefined })
    const [a, b] = [Minutes, Other].map((definition) => Result.getOrThrow(TriggerDefinitions.make(definition)))
    for (const _ of [1, 2]) {
      assert.isTrue(Result.isFailure(TriggerText.decode(text)))
      assert.isTrue(Result.isFailure(TriggerText.decode(text, { byName: new Map() })))
      assert.isTrue(Option.isSome(Trigger.next(Result.getOrThrow(TriggerText.decode(text, a)), 0)))
      assert.isTrue(Option.isNone(Trigger.next(Result.getOrThrow(TriggerText.decode(text, b)), 0)))
    }
  })
})

describe("a client", () => {
  it.effect("reads with its own definitions", () =>
    Effect.gen(function*() {
      const store = yield* sharedStore
      yield* program(
        Effect.asVoid(Effect.flatMap(TaskScheduler, (scheduler) => scheduler.add(Tick, { id: "own", trigger }))),
        Definitions,
        { store }
      )
      const infoBy = (definitions: typeof Definitions) =>
        Effect.gen(function*() {
          const context = yield* Layer.build(Client.layer().pipe(Layer.provide([definitions, store])))
          return yield* Context.get(context, Client.TaskSchedulerClient).handle("own").snapshot
        }).pipe(Effect.scoped)
      assert.strictEqual((yield* infoBy(Definitions)).when, "at minute 10, 40 of every hour")
      assert.strictEqual((yield* infoBy(without)).when, "unreadable")
    }))

  it.effect("a snapshot of a row is taken with the definitions it is given", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* program(
        Effect.asVoid(Effect.flatMap(TaskScheduler, (scheduler) => scheduler.add(Tick, { id: "own", trigger }))),
        Definitions,
        { store: Layer.succeed(TaskStore.TaskStore)(store) }
      )
      const [task] = yield* store.get(["own"])
      const definitions = yield* Effect.fromResult(TriggerDefinitions.make(Minutes))
      assert.strictEqual(fromRow(task!.row, { store: "default", seen: true }).when, "unreadable")
      assert.isTrue(Option.isSome(fromRow(task!.row, { store: "default", seen: true, definitions }).trigger))
    }))
})

describe("a trigger that misbehaves in a scheduler", () => {
  it.effect("is set aside with the reason, and the others run", () =>
    program(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Tick, { id: "breaks", trigger: Breaks.make() })
      yield* scheduler.add(Tick, { id: "hourly", trigger: hourly })
      const runs = yield* TestScheduler.advance("4 hours")
      assert.deepStrictEqual([of(runs, "breaks"), of(runs, "hourly")], [["00:00", "01:00"], [
        "01:00",
        "02:00",
        "03:00",
        "04:00"
      ]])
      const [verdict] = yield* scheduler.quarantined()
      assert.strictEqual(verdict!.id, "breaks")
      assert.match(verdict!.reason, /The trigger `Breaks` misbehaves: its `next`, asked about \d+, answers NaN/)
      // It is no end: the task is not finished, and no command believes it.
      assert.strictEqual((yield* handle.snapshot).state, "scheduled")
      for (
        const refused of [handle.pause(), handle.preview(3), handle.update({ nextRunTime: at("05:00") })]
      ) {
        const error = yield* Effect.flip(refused as Effect.Effect<unknown, Error & { readonly _tag: string }>)
        assert.strictEqual(error._tag, "TaskUnreadable")
        assert.match(error.message, /misbehaves/)
      }
      // A good trigger repairs it.
      yield* handle.reschedule(hourly)
      assert.deepStrictEqual(of(yield* TestScheduler.advance("2 hours"), "breaks"), ["05:00", "06:00"])
      assert.deepStrictEqual(yield* scheduler.quarantined(), [])
    })))

  it.effect("a clock that was set back moves the others, and not the one that cannot say when", () => {
    const Young = Trigger.define("Young", {
      next: (_, after) => after < at("00:00") - 1 ? NaN : (Math.floor(after / 3_600_000) + 1) * 3_600_000
    })
    return program(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        yield* scheduler.add(Tick, { id: "a", trigger: Trigger.cron("0 * * * *") })
        yield* scheduler.add(Tick, { id: "young", trigger: Young.make() })
        yield* scheduler.add(Tick, { id: "z", trigger: Trigger.cron("0 * * * *") })
        yield* TestScheduler.advance("3 hours")
        yield* TestScheduler.jump("-30 hours")
        yield* TestScheduler.advance("3 hours")
        const moved = (yield* TestScheduler.events).flatMap((event) =>
          event._tag === "ClockMovedBack" ? [event.id] : []
        )
        assert.sameMembers(moved, ["a", "z"])
      }),
      TriggerDefinitions.layer(Young)
    )
  })

  it.effect("when it is added, the mistake is the program's: a defect", () =>
    program(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* TestScheduler.advance("3 hours")
      const defect = yield* scheduler.add(Tick, { id: "breaks", trigger: Breaks.make() }).pipe(
        Effect.as(undefined),
        Effect.catchDefect(Effect.succeed)
      )
      assert.instanceOf(defect, Trigger.TriggerMisbehaves)
      assert.deepStrictEqual((yield* scheduler.list()).items, [])
    })))
})
