import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Task from "../src/Task.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { counts, Echo, hourly, nextTime, scheduled, start, Tick } from "./utils.ts"

describe("TaskInfo.state", () => {
  it.effect("is pending until a scheduler has started", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const a = yield* scheduler.add(Tick, { id: "a", trigger: hourly })
        assert.strictEqual((yield* a.snapshot).state, "pending")
        assert.strictEqual(nextTime(yield* a.snapshot), "01:00")
        assert.deepStrictEqual((yield* scheduler.list({ state: "scheduled" })).items, [])
        assert.strictEqual((yield* scheduler.list({ state: "pending" })).items.length, 1)
        yield* scheduler.start
        assert.strictEqual((yield* a.snapshot).state, "scheduled")
        assert.deepStrictEqual((yield* scheduler.list({ state: "pending" })).items, [])
        const b = yield* scheduler.add(Tick, { id: "b", trigger: hourly })
        assert.strictEqual((yield* b.snapshot).state, "scheduled")
      }),
      { start: "manual" }
    ))

  it.effect("stays pending through commands that decide nothing, and paused through the start", () =>
    scheduled(
      Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        const a = yield* scheduler.add(Tick, { id: "a", trigger: hourly })
        yield* TestScheduler.advance("5 minutes")
        assert.strictEqual((yield* a.update({ name: "A" })).state, "pending")
        assert.strictEqual((yield* a.pause()).state, "paused")
        yield* TestScheduler.advance("2 hours")
        assert.strictEqual((yield* a.resume).state, "pending")
        assert.strictEqual((yield* a.reschedule(Trigger.every("2 hours"))).state, "pending")
        yield* a.pause("still")
        yield* scheduler.start
        yield* TestScheduler.advance("5 hours")
        const info = yield* a.snapshot
        assert.strictEqual(info.state, "paused")
        assert.deepStrictEqual(counts(info.counters), {})
      }),
      { start: "manual" }
    ))

  it.effect("is finished, onStartup or onShutdown where nothing is due", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const once = yield* scheduler.add(Tick, { id: "once", trigger: Trigger.at("2026-01-01T00:30:00Z") })
      const startup = yield* scheduler.add(Tick, { id: "startup", trigger: Trigger.startup })
      const shutdown = yield* scheduler.add(Tick, { id: "shutdown", trigger: Trigger.shutdown })
      const both = yield* scheduler.add(Tick, { id: "both", trigger: Trigger.union(Trigger.shutdown, hourly) })
      const limited = yield* scheduler.add(Tick, { id: "limited", trigger: hourly, maxRuns: 2 })
      const states = Effect.forEach([once, startup, shutdown, both, limited], (handle) =>
        Effect.map(handle.snapshot, (info) => info.state))
      assert.deepStrictEqual(yield* states, ["scheduled", "onStartup", "onShutdown", "scheduled", "scheduled"])
      yield* TestScheduler.advance("2 hours")
      assert.deepStrictEqual(yield* states, ["finished", "onStartup", "onShutdown", "scheduled", "finished"])
      assert.deepStrictEqual((yield* once.snapshot).nextRunTime, Option.none())
    })))
})

describe("TaskInfo", () => {
  it.effect("is frozen all the way down, and equal when nothing happened", () => {
    const Nested = Task.make("Nested", {
      payload: { list: Schema.Array(Schema.Struct({ n: Schema.Int })) },
      success: Schema.Struct({ ok: Schema.Boolean })
    })
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Nested, {
        id: "a",
        payload: { list: [{ n: 1 }] },
        trigger: hourly,
        labels: { team: "growth" }
      })
      yield* handle.pause()
      yield* TestScheduler.advance("3 hours")
      yield* handle.resume
      yield* handle.runNow()
      yield* TestScheduler.settle
      const info = yield* handle.snapshot
      const [run] = (yield* handle.runs()).items
      assert.isNotEmpty(info.ranges)
      const frozen = (value: unknown, path: string): void => {
        if (typeof value !== "object" || value === null) return
        if (Option.isOption(value)) {
          if (Option.isSome(value)) frozen(value.value, path)
          return
        }
        if ("epochMilliseconds" in value) return
        assert.isFrozen(value, path)
        for (const [key, inner] of Object.entries(value)) frozen(inner, `${path}.${key}`)
      }
      frozen(info, "task")
      frozen(run, "run")
      assert.throws(() => {
        ;(info as { name: string }).name = "other"
      }, TypeError)
      assert.deepStrictEqual(yield* handle.snapshot, info)
      assert.deepStrictEqual((yield* scheduler.list()).items, [info])
    }).pipe(Effect.provide(TestScheduler.layer(Nested.toLayer(() => Effect.succeed({ ok: true })), { now: start })))
  })

  it.effect("shows secrets masked, everywhere but in the handler", () => {
    const Login = Task.make("Login", {
      payload: { user: Schema.String, password: Schema.Redacted(Schema.String) }
    })
    const seen: Array<string> = []
    const App = Login.toLayer(({ password }) => Effect.sync(() => seen.push(Redacted.value(password))))
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const handle = yield* scheduler.add(Login, {
        id: "a",
        payload: { user: "ada", password: Redacted.make("s3cret") },
        trigger: hourly
      })
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(seen, ["s3cret"])
      yield* handle.update({ payload: { user: "ada", password: Redacted.make("0ther") } })
      const everything = JSON.stringify([
        yield* handle.snapshot,
        (yield* scheduler.list()).items,
        (yield* handle.runs()).items,
        yield* TestScheduler.events
      ])
      assert.include(everything, "ada")
      assert.notInclude(everything, "s3cret")
      assert.notInclude(everything, "0ther")
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(seen, ["s3cret", "0ther"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })

  it.effect("says the trigger as written and in words", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      const trigger = Trigger.cron("0 9 * * MON-FRI", { timeZone: "Europe/Berlin" })
      const info = yield* (yield* scheduler.add(Echo, { payload: { text: "a" }, trigger })).snapshot
      assert.deepStrictEqual(Option.getOrThrow(info.trigger), trigger)
      assert.strictEqual(info.when, Trigger.format(trigger))
      assert.isTrue(Option.isNone(info.unreadable))
    })))
})
