import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Logger from "effect/Logger"
import * as TaskStoreKit from "../src/TaskStoreKit.ts"

describe("refuseUnknown", () => {
  const known: TaskStoreKit.OptionNames<{ readonly url?: string; readonly prefix?: string }> = {
    url: true,
    prefix: true
  }
  const refuse = (options: object) =>
    TaskStoreKit.refuseUnknown("mine", "MyTaskStore.layer", options as {}, known as {})

  it("is none where all are known, given or not", () => {
    assert.isUndefined(refuse({}))
    assert.isUndefined(refuse({ url: "u", prefix: undefined }))
  })

  it("says which are not, and which were meant", () => {
    const refused = refuse({ url: "u", prefx: "a", constructor: 1 })
    assert.deepStrictEqual([refused?.store, refused?.operation, refused?.reason], ["mine", "open", "Invalid"])
    assert.strictEqual(
      refused?.message,
      "mine: unknown option `prefx` of MyTaskStore.layer, did you mean `prefix`?; " +
        "unknown option `constructor` of MyTaskStore.layer, known options: url, prefix"
    )
  })
})

describe("audience", () => {
  it.effect("all who are there are told, in the order they came; who has left is not", () =>
    Effect.gen(function*() {
      const audience = TaskStoreKit.audience<number>()
      const told: Array<string> = []
      assert.isTrue(audience.isEmpty())
      yield* Effect.scoped(Effect.gen(function*() {
        yield* audience.join((n) => told.push(`a${n}`))
        yield* audience.join((n) => told.push(`b${n}`))
        assert.isFalse(audience.isEmpty())
        yield* audience.tell(1)
      }))
      yield* audience.join((n) => told.push(`c${n}`))
      yield* audience.tell(2)
      assert.deepStrictEqual(told, ["a1", "b1", "c2"])
    }))

  it.effect("one that throws is logged, and the others are told", () => {
    const logged: Array<unknown> = []
    return Effect.gen(function*() {
      const audience = TaskStoreKit.audience<number>()
      const told: Array<number> = []
      yield* audience.join(() => {
        throw new Error("a listener that throws")
      })
      yield* audience.join((n) => told.push(n))
      yield* audience.tell(1)
      assert.deepStrictEqual(told, [1])
      assert.include(String(logged), "a listener that throws")
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => logged.push(message))])))
  })

  it.effect("its source is heard while somebody is there, once, and those who join wait until it is ready", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const goOn = yield* Latch.make()
      const audience = TaskStoreKit.audience<number>({
        scope: yield* Effect.scope,
        hear: (ready) =>
          Effect.gen(function*() {
            log.push("hears")
            yield* goOn.await
            yield* ready
            yield* Effect.never
          }).pipe(Effect.onInterrupt(() => Effect.sync(() => log.push("stops"))))
      })
      const joins = yield* Latch.make()
      const join = (name: string) =>
        Effect.scoped(Effect.gen(function*() {
          yield* audience.join(() => {})
          log.push(`${name} is there`)
          yield* joins.await
        }))
      const one = yield* Effect.forkChild(join("one"), { startImmediately: true })
      const other = yield* Effect.forkChild(join("other"), { startImmediately: true })
      assert.deepStrictEqual(log, ["hears"])
      yield* goOn.open
      yield* Effect.repeat(Effect.yieldNow, { until: () => log.length === 3 })
      assert.deepStrictEqual(log, ["hears", "one is there", "other is there"])
      yield* joins.open
      yield* Fiber.join(one)
      yield* Fiber.join(other)
      assert.deepStrictEqual(log.slice(3), ["stops"])
      yield* join("again")
      assert.deepStrictEqual(log.slice(4), ["hears", "again is there", "stops"])
    }))

  it.effect("a source that ends holds nobody up", () =>
    Effect.gen(function*() {
      const audience = TaskStoreKit.audience<number>({ scope: yield* Effect.scope, hear: () => Effect.void })
      yield* audience.join(() => {})
    }))
})
