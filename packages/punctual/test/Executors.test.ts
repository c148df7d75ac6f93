import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as TaskRegistry from "../src/TaskRegistry.ts"
import * as TaskStores from "../src/TaskStores.ts"

const registry = Layer.effect(TaskRegistry.TaskRegistry)(TaskRegistry.make("test"))

class Pool extends Context.Service<Pool, { readonly n: number }>()("test/Pool") {}

const pooled = (log: Array<string>) => {
  let n = 0
  const pool = Layer.effect(Pool)(Effect.acquireRelease(
    Effect.sync(() => {
      n++
      log.push(`open ${n}`)
      return { n }
    }),
    ({ n }) => Effect.sync(() => log.push(`close ${n}`))
  ))
  return Layer.effect(Executor.Executor)(
    Effect.map(Pool, ({ n }) => ({
      name: `pool ${n}`,
      tags: Effect.succeed(new Map<string, number>()),
      capacity: 1,
      run: () => Effect.never
    }))
  ).pipe(Layer.provide(pool))
}

describe("Executors", () => {
  it.effect("are found by alias", () =>
    Effect.gen(function*() {
      const executors = yield* Executors.Executors
      assert.strictEqual((yield* executors.get("default")).name, "fibers")
      assert.strictEqual((yield* executors.get("slow")).capacity, 2)
      assert.deepStrictEqual([...executors.aliases.keys()], ["default", "slow"])
    }).pipe(Effect.provide(
      Executors.layer({ default: Executor.layerFibers(), slow: Executor.layerFibers({ concurrency: 2 }) }).pipe(
        Layer.provide(registry)
      )
    )))

  it.effect("that are unknown are an error that names the known ones", () =>
    Effect.gen(function*() {
      const executors = yield* Executors.Executors
      const error = yield* Effect.flip(executors.get("slwo"))
      assert.deepInclude(error, { _tag: "UnknownExecutor", alias: "slwo", suggestion: "slow" })
      assert.deepStrictEqual(error.known, ["default", "slow"])
      assert.include(error.message, "Did you mean `slow`?")
      assert.isUndefined((yield* Effect.flip(executors.get("elsewhere"))).suggestion)
    }).pipe(Effect.provide(
      Executors.layer({ default: Executor.layerInline, slow: Executor.layerInline }).pipe(Layer.provide(registry))
    )))

  it.effect("are one per alias even when given the same layer, and close in the opposite order", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const layer = pooled(log)
      yield* Effect.gen(function*() {
        const { aliases } = yield* Executors.Executors
        assert.deepStrictEqual([...aliases.values()].map((executor) => executor.name), ["pool 1", "pool 2"])
      }).pipe(Effect.provide(Executors.layer({ a: layer, b: layer })))
      assert.deepStrictEqual(log, ["open 1", "open 2", "close 2", "close 1"])
    }))

  it.effect("share nothing with what the program builds from the same layer", () =>
    Effect.gen(function*() {
      const layer = pooled([])
      yield* Effect.gen(function*() {
        const { aliases } = yield* Executors.Executors
        assert.deepStrictEqual([(yield* Executor.Executor).name, aliases.get("a")?.name], ["pool 1", "pool 2"])
      }).pipe(Effect.provide(Executors.layer({ a: layer }).pipe(Layer.provideMerge(layer))))
    }))

  it.effect("close what they opened when one of them cannot be built", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const broken = Layer.effect(Executor.Executor)(Effect.fail("down" as const))
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(Executors.layer({ a: pooled(log), b: broken }))))
      assert.deepStrictEqual(exit, Exit.fail("down" as const))
      assert.deepStrictEqual(log, ["open 1", "close 1"])
    }))
})

describe("TaskStores", () => {
  it.effect("are one per alias even when given the same layer", () =>
    Effect.gen(function*() {
      const stores = yield* TaskStores.TaskStores
      assert.notStrictEqual(yield* stores.get("default"), yield* stores.get("scratch"))
      const error = yield* Effect.flip(stores.get("scratsh"))
      assert.deepInclude(error, { _tag: "UnknownStore", alias: "scratsh", suggestion: "scratch" })
      assert.include(error.message, "TaskStores.layer({ default, …, scratch, scratsh: … })")
    }).pipe(Effect.provide(TaskStores.layer({ default: MemoryTaskStore.layer, scratch: MemoryTaskStore.layer }))))
})
