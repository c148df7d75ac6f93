import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import { packageVersion } from "../src/internal/packageVersion.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import type { SchedulerInstance } from "../src/SchedulerInstance.ts"
import * as Task from "../src/Task.ts"
import * as Scheduler from "../src/TaskScheduler.ts"
import { TaskSchedulerClient } from "../src/TaskSchedulerClient.ts"
import { TaskStore } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import * as Faulty from "./support/FaultyStore.ts"
import { together } from "./support/together.ts"
import { at, clock, Echo, hourly, scheduled, Tick } from "./utils.ts"

const EchoNew = Task.make("Echo", { payload: { text: Schema.String }, version: 3 })

const EchoLive = Echo.toLayer(({ text }) => Effect.succeed(text))
const EchoNewLive = EchoNew.toLayer(() => Effect.void)
const TickLive = Tick.toLayer(() => Effect.void)
const BothLive = Layer.mergeAll(EchoLive, TickLive)

const instances = Effect.flatMap(TaskSchedulerClient, (client) => client.instances())

const names = (all: ReadonlyArray<SchedulerInstance>) => all.map(({ name, state }) => `${name} ${state}`)

describe("scheduler.instances", () => {
  it.effect("says who is there and who runs what, until they close", () =>
    together((start) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* instances, [])
        const one = yield* start(BothLive, { name: "one", host: "a.example", pid: 17 })
        yield* TestScheduler.advance("10 minutes")
        const two = yield* start(EchoNewLive, {
          name: "two",
          executors: Executors.layer({ default: Executor.layerFibers(), other: Executor.layerFibers() })
        })
        yield* TestScheduler.advance("1 second")
        const [second, first] = yield* instances
        assert.deepStrictEqual({ ...first!, startedAt: clock(first!.startedAt), seenAt: clock(first!.seenAt) }, {
          id: first!.id,
          name: "one",
          host: Option.some("a.example"),
          pid: Option.some(17),
          version: packageVersion,
          handles: [
            { executor: "default", tag: "Echo", version: 1 },
            { executor: "default", tag: "Tick", version: 1 }
          ],
          state: "alive",
          startedAt: "00:00",
          seenAt: "00:00"
        })
        assert.match(first!.id, /^one#[0-9a-f]{16}$/)
        assert.deepStrictEqual(second!.host, Option.none())
        assert.deepStrictEqual(second!.pid, Option.none())
        assert.deepStrictEqual(second!.handles, [
          { executor: "default", tag: "Echo", version: 3 },
          { executor: "other", tag: "Echo", version: 3 }
        ])
        assert.deepStrictEqual(yield* two.scheduler.instances(), [second!, first!])
        yield* one.close
        assert.deepStrictEqual(names(yield* instances), ["two alive"])
        yield* two.close
        assert.deepStrictEqual(yield* instances, [])
      })
    ))

  it.effect("a scheduler that has not started is not there", () =>
    together((start) =>
      Effect.gen(function*() {
        const one = yield* start(TickLive, { name: "one", start: "manual" })
        yield* TestScheduler.advance("1 day")
        assert.deepStrictEqual(yield* instances, [])
        yield* one.scheduler.start
        yield* TestScheduler.settle
        const [instance] = yield* instances
        assert.strictEqual(clock(instance!.startedAt), "2026-01-02 00:00")
        yield* one.close
      })
    ))

  it.effect("one that is alive stays so; one that is not heard of is stale, and after a day forgotten", () => {
    const faults = Faulty.makeFaults()
    return together((start) =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        const killed = {
          id: "killed#1",
          name: "killed",
          host: null,
          pid: null,
          version: "0",
          handles: "written by another version",
          startedAt: at("00:00"),
          seenAt: at("00:00"),
          until: at("00:30")
        }
        yield* store.beat(killed)
        assert.deepStrictEqual(names(yield* instances), ["killed alive"])
        assert.deepStrictEqual((yield* instances)[0]!.handles, [])
        const one = yield* start(TickLive, { name: "one" })
        yield* TestScheduler.advance(29 * 60_000 + 59_999)
        assert.deepStrictEqual(names(yield* instances), ["one alive", "killed alive"])
        yield* TestScheduler.advance(1)
        assert.deepStrictEqual(names(yield* instances), ["one alive", "killed stale"])
        yield* TestScheduler.advance("24 hours")
        assert.deepStrictEqual(names(yield* instances), ["one alive", "killed stale"])
        yield* TestScheduler.advance("10 hours")
        assert.deepStrictEqual(names(yield* instances), ["one alive"])
        // Cut off from the store, it is believed for a while, and again once it is back.
        faults.fail = "beat"
        yield* TestScheduler.advance("2 hours")
        faults.fail = undefined
        assert.deepStrictEqual(names(yield* instances), ["one alive"])
        faults.fail = "beat"
        yield* TestScheduler.advance("5 hours")
        faults.fail = undefined
        assert.deepStrictEqual(names(yield* instances), ["one stale"])
        yield* TestScheduler.advance("1 hour")
        assert.deepStrictEqual(names(yield* instances), ["one alive"])
        yield* one.close
      }), Faulty.layer(faults))
  })

  it.effect("one that cannot take its leave closes all the same, and is stale soon", () => {
    const faults = Faulty.makeFaults()
    return together((start) =>
      Effect.gen(function*() {
        const one = yield* start(TickLive, { name: "one" })
        yield* TestScheduler.settle
        faults.fail = "leave"
        yield* one.close
        faults.fail = undefined
        assert.deepStrictEqual(names(yield* instances), ["one alive"])
      }), Faulty.layer(faults))
  })

  it("the version is the package's", () => {
    const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"))
    assert.propertyVal(manifest, "version", packageVersion)
  })

  it.effect("host and pid are checked", () =>
    Effect.gen(function*() {
      const refused = (options: Scheduler.Options) =>
        Effect.flip(Effect.scoped(Layer.build(
          Scheduler.layer(TickLive, options).pipe(Layer.provide(MemoryTaskStore.layer))
        )))
      for (
        const [options, message] of [
          [{ host: " " }, "`host` is a text that is not empty."],
          [{ pid: 1.5 }, "`pid` must be an integer from 0 to 9007199254740991, not 1.5."]
        ] as const
      ) assert.strictEqual((yield* refused(options)).message, message)
    }))
})

describe("TaskInfo.unroutable", () => {
  it.effect("while nobody alive runs the tag, its payload version and its executor", () =>
    together((start) =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        const store = yield* TaskStore
        const add = (id: string, executor?: string) =>
          client.add(Echo, { id, payload: { text: id }, trigger: hourly, executor })
        const here = yield* add("here")
        yield* add("elsewhere", "threads")
        yield* client.add(EchoNew, { id: "newer", payload: { text: "" }, trigger: hourly })
        yield* client.add(Tick, { id: "tick", trigger: Trigger.every("1 day") })
        const unroutable = Effect.map(client.list(), ({ items }) =>
          items.filter((info) => info.unroutable).map(({ id }) => id))
        assert.deepStrictEqual(yield* unroutable, ["elsewhere", "here", "newer", "tick"])
        const one = yield* start(EchoLive)
        yield* TestScheduler.settle
        assert.deepStrictEqual(yield* unroutable, ["elsewhere", "newer", "tick"])
        assert.isFalse((yield* here.snapshot).unroutable)
        const two = yield* start(EchoNewLive, { name: "two" })
        yield* TestScheduler.settle
        assert.deepStrictEqual(yield* unroutable, ["elsewhere", "tick"])
        // What a stale one says it runs, it runs no more.
        const instance = (yield* store.instances({ limit: 9 })).find(({ name }) =>
          name === "two"
        )
        yield* two.close
        assert.deepStrictEqual(yield* unroutable, ["elsewhere", "newer", "tick"])
        yield* store.beat({ ...instance!, until: at("00:00") })
        assert.deepStrictEqual(yield* unroutable, ["elsewhere", "newer", "tick"])
        yield* store.beat({ ...instance!, until: at("00:00") + 1 })
        assert.deepStrictEqual(yield* unroutable, ["elsewhere", "tick"])
        yield* one.close
        assert.isFalse((yield* here.snapshot).unroutable, "run by the newer one")
        yield* TestScheduler.advance(1)
        assert.isTrue((yield* here.snapshot).unroutable)
      })
    ))

  it.effect("an effect of this process is run by whoever added it", () =>
    scheduled(Effect.gen(function*() {
      const scheduler = yield* Scheduler.TaskScheduler
      const handle = yield* scheduler.addEffect(Effect.void, { id: "a", trigger: hourly })
      yield* TestScheduler.settle
      assert.isFalse((yield* handle.snapshot).unroutable)
      assert.notInclude(
        (yield* scheduler.instances()).flatMap(({ handles }) => handles.map(({ tag }) => tag)),
        "effect"
      )
    })))
})
