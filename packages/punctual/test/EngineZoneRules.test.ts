/**
 * Rules of time zones change: what was timed under older ones is timed again, and what is of newer ones is left to those
 * who have them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { rulesVersion } from "../src/internal/timeZone.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import type { SchedulerEvent } from "../src/SchedulerEvent.ts"
import type { Handler } from "../src/Task.ts"
import type { TaskPosition } from "../src/TaskRecord.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import type { TaskStore } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, count, isolated, logged, now, overwrite, Scheduler, storeOf, told, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { at, clock, nextTime } from "./utils.ts"

const ours = rulesVersion()

/** At nine in Berlin, which is 08:00 here. */
const nine = Trigger.cron("0 9 * * *", { timeZone: "Europe/Berlin" })

const rulesOf = (store: TaskStore["Service"], id: string) =>
  Effect.map(store.get([id]), ([task]) => task?.row.zoneRules)

/** Instants as people write them. */
const moved = (events: ReadonlyArray<SchedulerEvent>) =>
  events.flatMap((event) =>
    event._tag === "TaskRetimed"
      ? [[event.id, clock(event.from), event.to === null ? null : clock(event.to), event.zoneRules]]
      : []
  )

/** Tasks at nine in Berlin, as a process with older rules left them: due at another time. */
const left = (
  store: TaskStore["Service"],
  tasks: Readonly<Record<string, Partial<TaskPosition> & { readonly trigger?: Trigger.Trigger }>>
) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(at("00:00"))
    const client = yield* clientOf(store)
    for (const [id, { trigger = nine, ...position }] of Object.entries(tasks)) {
      yield* client.add(Work, { id, trigger })
      yield* overwrite(store, id, { zoneRules: "2000a", nominal: position.due ?? null, ...position })
    }
  })

describe("what a task is due at is kept with the version of the rules", () => {
  const withStore = <A, E>(
    test: (store: TaskStore["Service"]) => Effect.Effect<
      A,
      E,
      Handler<"Work"> | TaskScheduler.TaskScheduler | TestScheduler.TestScheduler
    >
  ) =>
    Effect.flatMap(MemoryTaskStore.make, (store) =>
      isolated(
        test(store),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: storeOf(store) })
      ))

  it.effect("where it depends on a named zone, and nowhere else", () =>
    withStore((store) =>
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const weekend = { weekdays: ["sat", "sun"], timeZone: "Europe/Berlin" } as const
        const triggers: Readonly<Record<string, readonly [Trigger.Trigger, string | null]>> = {
          nine: [nine, ours],
          jittered: [Trigger.jittered(nine, "2 minutes"), ours],
          union: [Trigger.union(Trigger.every("1 hour"), nine), ours],
          during: [Trigger.during(Trigger.every("1 hour"), weekend), ours],
          utc: [Trigger.cron("0 9 * * *", { timeZone: "UTC" }), null],
          offset: [Trigger.cron("0 9 * * *", { timeZone: "+01:00" }), null],
          every: [Trigger.every("1 hour"), null],
          at: [Trigger.at("2026-07-01T09:00", { timeZone: "Europe/Berlin" }), null],
          startup: [Trigger.startup, null]
        }
        for (const [id, [trigger, expected]] of Object.entries(triggers)) {
          yield* scheduler.add(Work, { id, trigger })
          assert.strictEqual(yield* rulesOf(store, id), expected, `added: ${id}`)
        }
        yield* TestScheduler.advance("3 days")
        for (const [id, [, expected]] of Object.entries(triggers)) {
          assert.strictEqual(yield* rulesOf(store, id), expected, `evaluated: ${id}`)
        }
        for (const [id, [trigger, expected]] of Object.entries(triggers)) {
          if (id === "at") continue
          yield* scheduler.add(Work, { id: `re-${id}`, trigger: id === "nine" ? Trigger.every("1 hour") : nine })
          yield* scheduler.handle(`re-${id}`).reschedule(trigger)
          assert.strictEqual(yield* rulesOf(store, `re-${id}`), expected, `rescheduled: ${id}`)
        }
      })
    ))

  it.effect("and not where it is not due, or at a time that was set by hand", () =>
    withStore((store) =>
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const handle = yield* scheduler.add(Work, { id: "work", trigger: nine, paused: true })
        const rules = rulesOf(store, "work")
        assert.isNull(yield* rules, "added while paused")
        yield* handle.resume
        assert.strictEqual(yield* rules, ours, "resumed")
        yield* handle.pause()
        assert.isNull(yield* rules, "paused")
        yield* handle.update({ name: "changed" })
        assert.isNull(yield* rules, "changed while paused")
        yield* handle.resume
        yield* handle.update({ nextRunTime: at("05:00") })
        assert.isNull(yield* rules, "set by hand")
        yield* handle.update({ misfireGrace: "1 hour" })
        assert.isNull(yield* rules, "another policy")
        yield* TestScheduler.advance("6 hours")
        assert.strictEqual(yield* rules, ours, "after the time that was set by hand")
        yield* handle.update({ misfireGrace: "2 hours" })
        assert.strictEqual(yield* rules, ours)
        yield* handle.update({ maxRuns: 1 })
        assert.isNull(yield* rules, "finished")
        yield* scheduler.add(Work, { id: "by hand", trigger: nine, nextRunTime: at("09:30") })
        assert.isNull(yield* rulesOf(store, "by hand"), "added with a time set by hand")
        yield* TestScheduler.advance("6 hours")
        assert.strictEqual(yield* rulesOf(store, "by hand"), ours)
      })
    ))
})

describe("rules that have changed since", () => {
  const starting = (store: TaskStore["Service"], options: { readonly now?: string } = {}, log: Array<string> = []) =>
    TestScheduler.layer(Work.toLayer((_, run) => logged(log, Effect.void, `${run.taskId} `)), {
      now,
      store: storeOf(store),
      ...options
    })

  const begun = (log: ReadonlyArray<string>) => log.filter((line) => line.includes("begins"))

  it.effect("move what is due, and it is told", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* left(store, {
        early: { due: at("07:00") },
        late: { due: at("09:00") },
        same: { due: at("08:00") }
      })
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* TestScheduler.settle
          for (const id of ["early", "late", "same"]) {
            assert.strictEqual(nextTime(yield* scheduler.handle(id).snapshot), "08:00")
            assert.strictEqual(yield* rulesOf(store, id), ours)
          }
          yield* TestScheduler.advance("12 hours")
          assert.deepStrictEqual(begun(log).sort(), ["early begins 08:00", "late begins 08:00", "same begins 08:00"])
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [
            ["early", "07:00", "08:00", ours],
            ["late", "09:00", "08:00", ours]
          ])
        }),
        starting(store, {}, log)
      )
    })
  })

  it.effect("are heeded before what is due by the old ones is run, and what is late by the new ones is made up for", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* left(store, { early: { due: at("07:00") }, late: { due: at("09:00") } })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.deepStrictEqual(begun(log), [])
          yield* TestScheduler.advance("50 minutes")
          assert.deepStrictEqual(begun(log).sort(), ["early begins 08:00", "late begins 08:00"])
          assert.sameDeepMembers(moved(yield* TestScheduler.events), [
            ["early", "07:00", "08:00", ours],
            ["late", "09:00", "08:00", ours]
          ])
        }),
        starting(store, { now: "2026-01-01T07:30:00Z" }, log)
      )
      yield* left(store, { latest: { due: at("09:00") } })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.deepStrictEqual(begun(log).slice(2), ["latest begins 08:30"])
        }),
        starting(store, { now: "2026-01-01T08:30:00Z" }, log)
      )
    })
  })

  it.effect("may leave nothing to do: then the task is finished", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      const once = Trigger.between(nine, { end: at("10:00") })
      yield* left(store, { work: { trigger: once, due: at("09:30"), cursor: at("08:00") } })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [["work", "09:30", null, ours]])
          const { row } = (yield* store.get(["work"]))[0]!
          assert.deepStrictEqual([row.state, row.due, row.nominal, row.zoneRules], ["finished", null, null, null])
          assert.strictEqual(yield* count("TaskFinished"), 1)
        }),
        starting(store, { now: "2026-01-01T08:10:00Z" })
      )
    }))

  it.effect("do not move what is decided, nor a time that was set by hand, nor what is paused", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* left(store, { decided: { due: at("2026-01-02T07:00:00Z"), cursor: at("08:00") } })
      const client = yield* clientOf(store)
      yield* client.add(Work, { id: "by hand", trigger: nine, nextRunTime: at("08:20") })
      yield* client.add(Work, { id: "paused", trigger: nine, paused: true })
      yield* overwrite(store, "paused", { zoneRules: "2000a", cursor: at("08:00") })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("12 hours")
          assert.deepStrictEqual(begun(log), ["by hand begins 08:20"])
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [
            ["decided", "2026-01-02 07:00", "2026-01-02 08:00", ours]
          ])
          const paused = (yield* store.get(["paused"]))[0]!.row
          assert.deepStrictEqual([paused.state, paused.due, paused.zoneRules], ["paused", null, null])
        }),
        starting(store, { now: "2026-01-01T08:10:00Z" }, log)
      )
    })
  })

  it.effect("are heeded for every task, however many", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      const many = Array.from({ length: 1_100 }, (_, i) => `${i}`)
      yield* left(store, Object.fromEntries(many.map((id) => [id, { due: at("07:00") }])))
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.strictEqual(yield* count("TaskRetimed"), many.length)
          assert.deepStrictEqual([...new Set((yield* store.get(many)).map(({ row }) => row.due))], [at("08:00")])
        }),
        starting(store)
      )
    }))

  it.effect("are heeded once the store answers, where it did not at first", () =>
    Effect.gen(function*() {
      for (const operation of ["outdated", "commit"]) {
        const store = yield* MemoryTaskStore.make
        yield* left(store, { work: { due: at("07:00") } })
        const faults = FaultyStore.makeFaults()
        faults.fail = operation
        yield* isolated(
          Effect.gen(function*() {
            yield* TestScheduler.advance("30 seconds")
            assert.strictEqual(yield* count("TaskRetimed"), 0)
            faults.fail = undefined
            yield* TestScheduler.advance("10 seconds")
            assert.deepStrictEqual(moved(yield* TestScheduler.events), [["work", "07:00", "08:00", ours]])
          }),
          starting(FaultyStore.through(store, faults))
        )
      }
    }))

  it.effect("are heeded at the next round of maintenance where the first one died", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* left(store, { work: { due: at("09:00") } })
      let dies = true
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("30 minutes")
          assert.strictEqual(yield* count("TaskRetimed"), 0)
          dies = false
          yield* TestScheduler.advance("30 minutes")
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [["work", "09:00", "08:00", ours]])
        }),
        starting({
          ...store,
          outdated: (options) => Effect.suspend(() => dies ? Effect.die(new Error("boom")) : store.outdated(options))
        })
      ).pipe(Effect.provide(Logger.layer([])))
    }))

  it.effect("are looked for again, since other processes may have older ones", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          yield* (yield* Scheduler).add(Work, { id: "work", trigger: nine })
          yield* overwrite(store, "work", { due: at("2026-01-02T08:00:00Z"), zoneRules: "2000a" })
          // Before it is due: at the first round of maintenance.
          yield* TestScheduler.advance("1 hours")
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [["work", "2026-01-02 08:00", "08:00", ours]])
        }),
        starting(store)
      )
    }))

  it.effect("are heeded, and told, where a task comes due before it is looked for", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          // Between two rounds of maintenance.
          yield* TestScheduler.advance("2 hours")
          for (const id of ["early", "same"]) yield* (yield* Scheduler).add(Work, { id, trigger: nine })
          yield* overwrite(store, "early", { due: at("07:00"), zoneRules: "2000a" })
          yield* overwrite(store, "same", { zoneRules: "2000a" })
          yield* TestScheduler.advanceTo(at("07:30"))
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [["early", "07:00", "08:00", ours]])
          yield* TestScheduler.advanceTo(at("09:00"))
          assert.strictEqual(yield* count("TaskRetimed"), 1)
          assert.deepStrictEqual(begun(log), ["early begins 08:00", "same begins 08:00"])
        }),
        starting(store, {}, log)
      )
    })
  })

  it.effect("keep nobody from the others whose rows cannot be read: those are set aside", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* left(store, { bad: { due: at("07:00") }, good: { due: at("07:00") } })
      yield* overwrite(store, "bad", { trigger: "{\"_tag\":\"Nonsense\"}" })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.deepStrictEqual((yield* told("TaskQuarantined")).map((event) => "id" in event && event.id), ["bad"])
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [["good", "07:00", "08:00", ours]])
        }),
        starting(store)
      )
    }))

  it.effect("change nothing where somebody was faster", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      yield* left(memory, { work: { due: at("07:00") }, other: { due: at("07:00") } })
      const client = yield* clientOf(memory)
      let first = true
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.strictEqual((yield* memory.get(["work"]))[0]!.row.state, "paused")
          assert.isNull(yield* rulesOf(memory, "work"))
          assert.deepStrictEqual(moved(yield* TestScheduler.events), [["other", "07:00", "08:00", ours]])
        }),
        starting({
          ...memory,
          commit: (changes) =>
            Effect.suspend(() => {
              if (!first) return memory.commit(changes)
              first = false
              return Effect.andThen(Effect.orDie(client.handle("work").pause()), memory.commit(changes))
            })
        })
      )
    }))
})

describe("rules that are newer than ours", () => {
  it.effect("what was timed by them is left to others for a minute", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* scheduler.add(Work, { id: "newer", trigger: nine })
          yield* overwrite(store, "newer", { zoneRules: "9999z" })
          yield* TestScheduler.advanceTo(at("08:00:59"))
          assert.deepStrictEqual(log, [])
          assert.strictEqual(yield* rulesOf(store, "newer"), "9999z")
          // Nobody who knows better is there.
          yield* TestScheduler.advance("10 hours")
          assert.deepStrictEqual(log, ["begins 08:01", "done 08:01"])
          assert.strictEqual(yield* rulesOf(store, "newer"), ours)
          yield* TestScheduler.advance("1 day")
          assert.deepStrictEqual(log.slice(2), ["begins 2026-01-02 08:00", "done 2026-01-02 08:00"])
        }),
        TestScheduler.layer(Work.toLayer(() => logged(log, Effect.void)), { now, store: storeOf(store) })
      )
    })
  })

  it.effect("of two processes the one with the newer rules decides", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      /** The store as a process with older rules sees it. */
      const older: TaskStore["Service"] = {
        ...memory,
        due: (options) => memory.due({ ...options, zoneRules: "2000a" }),
        outdated: (options) => memory.outdated({ ...options, zoneRules: "2000a" })
      }
      const process = (name: string, store: TaskStore["Service"]) =>
        TaskScheduler.layer(
          Layer.mergeAll(
            Work.toLayer(() => Effect.void),
            Layer.effectDiscard(
              Scheduler.use((scheduler) => scheduler.add(Work, { id: name, trigger: nine, onConflict: "keep" }))
            )
          ),
          { name }
        ).pipe(Layer.provide(storeOf({
          ...store,
          commit: (changes) =>
            Effect.tap(store.commit(changes), () =>
              Effect.sync(() => {
                for (const { id, runs } of changes) if (runs.length > 0) log.push(`${id} by ${name}`)
              }))
        })))
      yield* isolated(
        TestScheduler.advance("3 days"),
        TestScheduler.layerProgram(Layer.mergeAll(process("older", older), Layer.fresh(process("newer", memory))), {
          now
        })
      )
      assert.strictEqual(log.length, 6)
      assert.deepStrictEqual([...new Set(log)].sort(), ["newer by newer", "older by newer"])
    })
  })
})
