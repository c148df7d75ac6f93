import { assert, describe, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import { clientOf, count, isolated, now, Scheduler, storeOf } from "./support/engine.ts"
import { hourly } from "./utils.ts"

const V1 = { customer: Schema.String }
const V2 = { customer: Schema.String, since: Schema.DateTimeUtcFromString }
const V3 = { customer: Schema.Struct({ id: Schema.String }), year: Schema.Int }

const toV2 = Task.migration(V1, V2, ({ customer }) => ({ customer, since: DateTime.makeUnsafe("2020-02-02") }))
const toV3 = Task.migration(V2, V3, ({ customer, since }) => ({
  customer: { id: customer },
  year: DateTime.getPartUtc(since, "year")
}))

const First = Task.make("Digest", { payload: V1 })
const Second = Task.make("Digest", { payload: V2, version: 2, migrate: { 1: toV2 } })
const Third = Task.make("Digest", { payload: V3, version: 3, migrate: { 1: toV2, 2: toV3 } })

const since = DateTime.makeUnsafe("2024-01-01")

describe("payloads of older versions", () => {
  it.effect("are migrated step by step when they run, and stay as stored until an update writes them", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      const seen: Array<unknown> = []
      const stored = Effect.map(
        store.get(["a", "b", "c"]),
        (tasks) => tasks.map(({ row }) => [row.id, row.version, row.payload])
      )
      yield* isolated(
        Effect.gen(function*() {
          const client = yield* clientOf(store)
          yield* client.add(First, { id: "a", payload: { customer: "acme" }, trigger: hourly })
          yield* client.add(Second, { id: "b", payload: { customer: "bolt", since }, trigger: hourly })
          yield* client.add(Third, { id: "c", payload: { customer: { id: "core" }, year: 2025 }, trigger: hourly })
          const before = yield* stored
          yield* TestScheduler.advance("1 hour")
          assert.sameDeepMembers(seen, [
            { customer: { id: "acme" }, year: 2020 },
            { customer: { id: "bolt" }, year: 2024 },
            { customer: { id: "core" }, year: 2025 }
          ])
          assert.deepStrictEqual(yield* stored, before)
          const scheduler = yield* Scheduler
          const a = scheduler.handle("a", { task: Third })
          assert.strictEqual((yield* a.snapshot).version, 1)
          const updated = yield* a.update({ payload: { customer: { id: "acme" }, year: 2026 } })
          assert.strictEqual(updated.version, 3)
          assert.deepStrictEqual((yield* stored)[0], ["a", 3, "{\"customer\":{\"id\":\"acme\"},\"year\":2026}"])
          yield* TestScheduler.advance("1 hour")
          assert.deepInclude(seen, { customer: { id: "acme" }, year: 2026 })
        }),
        TestScheduler.layer(Third.toLayer((payload) => Effect.sync(() => void seen.push(payload))), {
          now,
          store: storeOf(store)
        })
      )
    }))

  it.effect("of newer ones: they are left to programs that know them, and shown", () =>
    Effect.gen(function*() {
      const store = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          const client = yield* clientOf(store)
          yield* client.add(First, { id: "old", payload: { customer: "acme" }, trigger: hourly })
          yield* client.add(Second, { id: "new", payload: { customer: "acme", since }, trigger: hourly })
          const runs = yield* TestScheduler.advance("1 hour")
          assert.deepStrictEqual(runs.map(({ taskId }) => taskId), ["old"])
          const info = yield* (yield* Scheduler).handle("new").snapshot
          assert.strictEqual(info.version, 2)
          assert.isTrue(info.unroutable)
          assert.isTrue(Option.isNone(info.unreadable))
          const { items } = yield* (yield* Scheduler).handle("new").runs()
          assert.deepStrictEqual(items.map(({ attempt, state }) => [state, attempt]), [["ready", 0]])
        }),
        TestScheduler.layer(First.toLayer(() => Effect.void), { now, store: storeOf(store) })
      )
    }))

  it.effect("without `migrate`, the schema itself reads them", () =>
    Effect.gen(function*() {
      const Widened = Task.make("Digest", {
        payload: { customer: Schema.String, language: Schema.optionalKey(Schema.String) },
        version: 2
      })
      const store = yield* MemoryTaskStore.make
      const seen: Array<unknown> = []
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* clientOf(store)).add(First, { id: "a", payload: { customer: "acme" } })
          yield* TestScheduler.settle
          assert.deepStrictEqual(seen, [{ customer: "acme" }])
        }),
        TestScheduler.layer(Widened.toLayer((payload) => Effect.sync(() => void seen.push(payload))), {
          now,
          store: storeOf(store)
        })
      )
    }))
})

describe("a payload that cannot be migrated", () => {
  /** What sets it aside, where the steps are these. */
  const setAside = (
    steps: Task.Migrations,
    then: (store: Effect.Success<typeof MemoryTaskStore.make>, ran: ReadonlyArray<string>) => Effect.Effect<
      void,
      unknown,
      Effect.Services<typeof TestScheduler.settle> | Effect.Services<typeof Scheduler>
    > = () => Effect.void
  ) =>
    Effect.gen(function*() {
      const Newer = Task.make("Digest", { payload: V1, version: 2, migrate: steps })
      const store = yield* MemoryTaskStore.make
      const ran: Array<string> = []
      return yield* isolated(
        Effect.gen(function*() {
          const client = yield* clientOf(store)
          yield* client.add(First, { id: "bad", payload: { customer: "bad" }, trigger: hourly })
          yield* client.add(First, { id: "good", payload: { customer: "good" }, trigger: hourly })
          yield* TestScheduler.advance("1 hour")
          assert.deepStrictEqual(ran, ["good"])
          const scheduler = yield* Scheduler
          const [verdict, ...others] = yield* scheduler.quarantined()
          assert.deepStrictEqual(others, [])
          assert.strictEqual(verdict!.id, "bad")
          assert.deepStrictEqual((yield* scheduler.handle("bad").snapshot).unreadable, Option.some(verdict!.reason))
          assert.strictEqual(yield* count("TaskQuarantined"), 1)
          yield* then(store, ran)
          return verdict!.reason
        }),
        TestScheduler.layer(
          Newer.toLayer(({ customer }) => Effect.sync(() => void ran.push(customer))),
          { now, store: storeOf(store) }
        )
      )
    })

  const only = (step: (customer: string) => Schema.Json): Task.Migration => (payload) => {
    const { customer } = payload as { readonly customer: string }
    return customer === "bad" ? step(customer) : payload
  }

  it.effect("because its step throws is set aside, the others run", () =>
    Effect.gen(function*() {
      const throws = only((customer) => {
        throw new Error(`nobody knows ${customer}`)
      })
      assert.strictEqual(
        yield* setAside({ 1: throws }),
        "the payload cannot be decoded: its step from version 1 to 2 threw: nobody knows bad"
      )
    }))

  it.effect("because its step makes something else is set aside, with what is wrong", () =>
    Effect.gen(function*() {
      assert.match(
        yield* setAside({ 1: only(() => ({ client: "bad" })) }),
        /^the payload cannot be decoded: .*\["customer"\]/
      )
    }))

  it.effect("because it never was what its version says is set aside", () =>
    Effect.gen(function*() {
      const fits = Task.migration({ customer: Schema.Literal("good") }, V1, (payload) => payload)
      assert.match(
        yield* setAside({ 1: fits }),
        /^the payload cannot be decoded: its step from version 1 to 2 threw: Expected "good".* at \["customer"\]/
      )
    }))

  it.effect("whose schema has secrets: what a step throws is not repeated", () =>
    Effect.gen(function*() {
      const Newer = Task.make("Digest", {
        payload: { customer: Schema.Redacted(Schema.String) },
        version: 2,
        migrate: {
          1: (payload) => {
            throw new Error(JSON.stringify(payload))
          }
        }
      })
      const store = yield* MemoryTaskStore.make
      yield* isolated(
        Effect.gen(function*() {
          yield* (yield* clientOf(store)).add(First, { id: "a", payload: { customer: "hush" } })
          yield* TestScheduler.settle
          assert.deepStrictEqual((yield* (yield* Scheduler).quarantined()).map(({ reason }) => reason), [
            "the payload cannot be decoded: its step from version 1 to 2 threw"
          ])
        }),
        TestScheduler.layer(Newer.toLayer(() => Effect.void), { now, store: storeOf(store) })
      )
    }))

  it.effect("runs once it is restored after a fix, attempts and all", () => {
    let fixed = false
    const step = only((customer) => {
      if (!fixed) throw new Error("not yet")
      return { customer }
    })
    return setAside({ 1: step }, (_, ran) =>
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        // Nobody looks again by itself: the row is the same, and so is the program.
        yield* TestScheduler.advance("1 hour")
        assert.deepStrictEqual(ran, ["good", "good"])
        fixed = true
        const restored = yield* scheduler.handle("bad").restore
        assert.isTrue(Option.isNone(restored.unreadable))
        assert.deepStrictEqual(yield* scheduler.quarantined(), [])
        const [run] = yield* TestScheduler.settle
        assert.deepStrictEqual([run!.taskId, run!.attempt, run!.state], ["bad", 1, "succeeded"])
        assert.deepStrictEqual(ran, ["good", "good", "bad"])
      }))
  })

  it.effect("is looked at again by a program that starts anew", () =>
    setAside({
      1: only(() => {
        throw new Error("a mistake")
      })
    }, (store) =>
      isolated(
        Effect.gen(function*() {
          const runs = yield* TestScheduler.advance("1 second")
          assert.deepStrictEqual(runs.map(({ taskId, state }) => [taskId, state]), [["bad", "succeeded"]])
        }),
        TestScheduler.layer(
          Task.make("Digest", { payload: First.payload, version: 2, migrate: { 1: (payload) => payload } }).toLayer(
            () => Effect.void
          ),
          { store: storeOf(store) }
        )
      )))
})

describe("Task.make", () => {
  const refused = (version: number | undefined, migrate: unknown) => {
    try {
      Task.make("T", { version, migrate: migrate as Task.Migrations })
      return "accepted"
    } catch (error) {
      assert.instanceOf(error, Task.InvalidTask)
      return error.reason
    }
  }
  const step: Task.Migration = (payload) => payload

  it("refuses steps that do not lead from each older version to its own", () => {
    for (
      const [version, migrate, reason] of [
        [3, { 1: step, 2: step }, "accepted"],
        [undefined, {}, "accepted"],
        [
          2,
          {},
          "`migrate` has no step from version 1 to 2: rows of version 1 could not be read. Give it one for each " +
          "version before 2"
        ],
        [
          3,
          { 1: step },
          "`migrate` has no step from version 2 to 3: rows of version 2 could not be read. Give it one " +
          "for each version before 3"
        ],
        [
          2,
          { 1: step, 2: step },
          "`migrate` has a step from version 2, but versions before 2 are 1: count `version` " +
          "up, or drop the step"
        ],
        [
          3,
          { 1: step, 2: step, 3: step },
          "`migrate` has a step from version 3, but versions before 3 are 1 to 2: " +
          "count `version` up, or drop the step"
        ],
        [
          undefined,
          { 1: step },
          "`migrate` has a step from version 1, but versions before 1 are none: count " +
          "`version` up, or drop the step"
        ],
        [
          2,
          { 0: step, 1: step },
          "`migrate` has a step from version 0, but versions before 2 are 1: count `version` " +
          "up, or drop the step"
        ],
        [
          2,
          { 1: step, one: step },
          "`migrate` has a step from version one, but versions before 2 are 1: count " +
          "`version` up, or drop the step"
        ],
        [2, { 1: "step" }, "the step of `migrate` from version 1 is not a function"]
      ] as const
    ) assert.strictEqual(refused(version, migrate), reason)
  })

  it("a typed step takes what its schema decodes and makes what the next one encodes", () => {
    // @ts-expect-error: version 1 has no such field
    Task.migration(V1, V2, ({ client }) => ({ customer: client as string, since }))
    // @ts-expect-error: version 2 wants an instant
    Task.migration(V1, V2, ({ customer }) => ({ customer, since: "2020-01-01" }))
    assert.deepStrictEqual(toV2({ customer: "acme" }), { customer: "acme", since: "2020-02-02T00:00:00.000Z" })
  })
})
