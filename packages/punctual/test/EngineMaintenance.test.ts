/**
 * What the engine does now and then: forgets what is old, heeds clocks that were set back, looks again at verdicts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, count, isolated, now, overwrite, runsOf, Scheduler, storeOf, told, Work } from "./support/engine.ts"
import * as FaultyStore from "./support/FaultyStore.ts"
import { patched } from "./support/patchedStore.ts"
import { at } from "./utils.ts"

describe("now and then", () => {
  const declared = (ids: ReadonlyArray<string>, trigger: Trigger.Trigger) =>
    Layer.effectDiscard(
      Scheduler.use((scheduler) => scheduler.addAll(ids.map((id) => Task.scheduled(Work, { id, trigger }))))
    )

  it.effect("finished tasks are forgotten once all about them is old, however many, and it is told", () => {
    const many = Array.from({ length: 1_100 }, (_, i) => `${i}`)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const client = scheduler
        yield* scheduler.add(Work, { id: "late", trigger: Trigger.at(at("2026-01-02T20:00:00Z")) })
        yield* TestScheduler.advance("20 hours")
        yield* scheduler.handle("0").update({ name: "of interest" })
        yield* TestScheduler.advance("15 hours")
        assert.deepStrictEqual((yield* client.list()).items.map((info) => info.id), ["0", "late"])
        assert.strictEqual(yield* count("TaskRemoved"), 1_099)
        // Its last evaluation counts, not only its last change.
        yield* TestScheduler.advance("25 hours")
        assert.deepStrictEqual((yield* client.list()).items.map((info) => info.id), ["late"])
        yield* TestScheduler.advance("2 days")
        assert.deepStrictEqual((yield* client.list()).items, [])
      }),
      TestScheduler.layer(Layer.mergeAll(Work.toLayer(() => Effect.void), declared(many, Trigger.now)), {
        now,
        retention: { finished: "1 day" }
      })
    )
  }, 20_000)

  it.effect("history is forgotten by age, however much there is", () =>
    isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("1 day")
        yield* (yield* Scheduler).handle("work").pause()
        // Pruned at 31 h, 41 h and 51 h: more than a batch each time.
        yield* TestScheduler.advance("28 hours")
        assert.deepStrictEqual((yield* runsOf("work")).length, 0)
      }),
      TestScheduler.layer(
        Layer.mergeAll(Work.toLayer(() => Effect.void), declared(["work"], Trigger.every("1 minute"))),
        {
          now,
          retention: { runs: 100_000, age: "1 day" }
        }
      )
    ), 20_000)

  it.effect("a clock that is wrong for a moment moves nothing; one that stays behind moves all, many times", () => {
    const many = Array.from({ length: 600 }, (_, i) => `${i}`)
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* TestScheduler.advance("5 hours")
        yield* scheduler.handle("paused").pause()
        yield* TestScheduler.jump("-3 hours")
        yield* TestScheduler.advance("70 minutes")
        yield* TestScheduler.jump("3 hours")
        yield* TestScheduler.advance("4 hours")
        assert.strictEqual(yield* count("ClockMovedBack"), 0)
        for (const round of [1, 2]) {
          yield* TestScheduler.jump("-30 hours")
          yield* TestScheduler.advance("3 hours")
          // The paused one has a cursor, too, and stays paused.
          assert.strictEqual(yield* count("ClockMovedBack"), round * (many.length + 1))
          const info = yield* scheduler.handle("paused").snapshot
          assert.strictEqual(info.state, "paused")
          assert.isTrue(Option.isNone(info.nextRunTime))
          const before = (yield* TestScheduler.runs).length
          yield* TestScheduler.advance("30 hours")
          // `every` has nothing before its anchor, and that is where the clock was set back to.
          assert.isAtLeast((yield* TestScheduler.runs).length - before, 10 * many.length)
          yield* scheduler.handle("paused").update({ name: `paused ${round}` })
        }
      }),
      TestScheduler.layer(
        Layer.mergeAll(Work.toLayer(() => Effect.void), declared([...many, "paused"], Trigger.every("1 hour"))),
        { now, retention: { runs: 1 } }
      )
    )
  }, 60_000)

  it.effect("a scheduler that starts under a clock that was set back moves what is far ahead, and only that", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = storeOf(memory)
      const client = yield* clientOf(memory)
      for (const [id, ahead] of [["far", "08:00"], ["near", "01:50"]] as const) {
        yield* client.add(Work, { id, trigger: Trigger.every("10 minutes") })
        yield* overwrite(memory, id, {
          cursor: at(ahead),
          due: at(ahead) + 600_000,
          nominal: at(ahead) + 600_000,
          epoch: at(ahead)
        })
      }
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("61 minutes")
          assert.deepStrictEqual((yield* told("ClockMovedBack")).map((event) => "id" in event && event.id), ["far"])
          const runs = yield* TestScheduler.advance("20 minutes")
          assert.deepStrictEqual([...new Set(runs.map((run) => run.taskId))], ["far"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
    }))

  it.effect("a clock that is wrong when a scheduler first looks, and was not when it started, moves nothing", () =>
    isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("59 minutes")
        yield* TestScheduler.jump("-20000 days")
        yield* TestScheduler.advance("2 minutes")
        yield* TestScheduler.jump("20000 days")
        yield* TestScheduler.advance("5 hours")
        assert.strictEqual(yield* count("ClockMovedBack"), 0)
      }),
      TestScheduler.layer(
        Layer.mergeAll(Work.toLayer(() => Effect.void), declared(["work"], Trigger.every("10 minutes"))),
        { now }
      )
    ))

  it.effect("a clock that was ahead between two looks silences nothing", () =>
    isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("90 minutes")
        yield* TestScheduler.jump("20000 days")
        yield* TestScheduler.advance("10 minutes")
        yield* TestScheduler.jump("-20000 days")
        yield* TestScheduler.advance("4 hours")
        assert.strictEqual(yield* count("ClockMovedBack"), 1)
        const runs = yield* TestScheduler.advance("1 hour")
        assert.strictEqual(runs.length, 6)
      }),
      TestScheduler.layer(
        Layer.mergeAll(Work.toLayer(() => Effect.void), declared(["work"], Trigger.every("10 minutes"))),
        { now }
      )
    ))

  it.effect("a clock that is behind at two looks, and was right between them, moves nothing", () =>
    isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("90 minutes")
        yield* TestScheduler.jump("-20000 days")
        yield* TestScheduler.advance("40 minutes")
        yield* TestScheduler.jump("20000 days")
        yield* (yield* Scheduler).handle("work").snapshot
        yield* TestScheduler.advance("20 minutes")
        yield* TestScheduler.jump("-20000 days")
        yield* TestScheduler.advance("40 minutes")
        yield* TestScheduler.jump("20000 days")
        yield* TestScheduler.advance("4 hours")
        assert.strictEqual(yield* count("ClockMovedBack"), 0)
      }),
      TestScheduler.layer(
        Layer.mergeAll(Work.toLayer(() => Effect.void), declared(["work"], Trigger.every("10 minutes"))),
        { now }
      )
    ))

  for (const [hours, cut] of [[640_000, true], [4, true], [2, false]] as const) {
    const until = `${hours} hours ahead`
    it.effect(`a lease left behind by a clock that was ahead, until ${until}, ${cut ? "is cut" : "ends then"}`, () =>
      Effect.gen(function*() {
        const memory = yield* MemoryTaskStore.make
        yield* isolated(
          Effect.gen(function*() {
            const scheduler = yield* Scheduler
            yield* scheduler.pause
            const work = yield* scheduler.add(Work, { id: "work", trigger: Trigger.every("100 days") })
            yield* work.runNow()
            const { runs } = yield* memory.claim({
              now: at(now),
              lease: { owner: "gone#1", until: at(now) + hours * 3_600_000 },
              slots: [{ executor: "default", tag: "Work", version: 1, limit: 1 }],
              limit: 1,
              reader: "gone#1"
            })
            assert.strictEqual(runs.length, 1)
            yield* scheduler.resume
            const ended = Effect.map(TestScheduler.advance("65 minutes"), (runs) => runs.map((run) => run.attempt))
            assert.deepStrictEqual(yield* ended, cut ? [2] : [])
            assert.deepStrictEqual(yield* ended, cut ? [] : [2])
          }),
          TestScheduler.layer(Work.toLayer(() => Effect.void), {
            now,
            store: patched(() => ({}), {}, Effect.succeed(memory))
          })
        )
      }))
  }

  it.effect("verdicts are looked at again: others' on what can be read, and those on tasks that are gone", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const faults = FaultyStore.makeFaults()
      const damaged = "{\"v\":99}"
      const verdict = (id: string) =>
        Effect.flatMap(
          memory.get([id]),
          ([task]) =>
            memory.quarantine([{
              id,
              generation: task!.row.generation,
              reader: "another",
              reason: "a newer version",
              at: 0
            }])
        )
      const left = Effect.map(memory.verdicts({ limit: 10 }), (verdicts) => verdicts.map(({ id }) => id).sort())
      yield* isolated(
        Effect.gen(function*() {
          const scheduler = yield* Scheduler
          yield* TestScheduler.settle
          yield* scheduler.pause
          for (const id of ["good", "bad"]) yield* scheduler.add(Work, { id, trigger: Trigger.every("1 day") })
          yield* overwrite(memory, "bad", { trigger: damaged })
          yield* verdict("good")
          yield* verdict("bad")
          faults.refuse = "refused"
          yield* scheduler.resume
          yield* Effect.ignore(scheduler.add(Work, { id: "refused", trigger: Trigger.every("30 seconds") }))
          yield* TestScheduler.advance("50 minutes")
          assert.deepStrictEqual(yield* left, ["bad", "good", "refused"])
          yield* TestScheduler.advance("11 minutes")
          // Its own verdict stays: the row can be read, and yet the store refused its change.
          assert.deepStrictEqual(yield* left, ["bad", "refused"])
          const told = (yield* TestScheduler.events).filter(({ _tag }) => _tag === "TaskQuarantined")
          assert.deepStrictEqual(told.map((event) => "id" in event && event.id), ["refused"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), {
          now,
          store: FaultyStore.layer(faults, memory)
        })
      )
      yield* verdict("refused")
      yield* verdict("bad")
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.settle
          assert.deepStrictEqual(yield* left, ["bad"])
        }),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store: storeOf(memory) })
      )
    }))

  it.effect("goes on after a failure, and after a defect", () => {
    const faults = { fail: true, die: true }
    let pruned = 0
    const store = patched((store) => ({
      list: (query) =>
        faults.fail && query.sort === "due" ? Effect.fail(FaultyStore.unavailable("list")) : store.list(query),
      prune: (options) =>
        Effect.suspend(() => {
          pruned++
          return faults.die ? Effect.die(new Error("boom")) : store.prune(options)
        })
    }))
    return isolated(
      Effect.gen(function*() {
        yield* TestScheduler.advance("2 hours")
        yield* TestScheduler.advance("40 hours")
        assert.isAtLeast(pruned, 3)
      }),
      TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
    )
  })

  it.effect("forgets verdicts on tasks that are gone", () =>
    Effect.gen(function*() {
      const cleared: Array<number> = []
      const store = patched((store) => ({
        verdicts: () => Effect.succeed([{ id: "gone", generation: 77, reader: "another", reason: "?", at: 0 }]),
        clear: (generations) =>
          Effect.andThen(Effect.sync(() => cleared.push(...generations)), store.clear(generations))
      }))
      yield* isolated(
        TestScheduler.advance("1 second"),
        TestScheduler.layer(Work.toLayer(() => Effect.void), { now, store })
      )
      assert.deepStrictEqual(cleared, [77])
    }))
})
