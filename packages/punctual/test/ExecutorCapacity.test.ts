/**
 * Executors by alias take as much as they have room for; what is left stays ready, for any other process.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Activity from "../src/Activity.ts"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import { TaskSchedulerClient } from "../src/TaskSchedulerClient.ts"
import * as Client from "../src/TaskSchedulerClient.ts"
import { TaskStore } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { isolated, now } from "./support/engine.ts"

const Slow = Task.make("Slow", { executor: "slow" })
const Quick = Task.make("Quick")

const executors = (concurrency: number) =>
  Executors.layer({ default: Executor.layerFibers(), slow: Executor.layerFibers({ name: "slow", concurrency }) })

/** Starts a scheduler whose slow runs wait for `gate`, and tells who began what. */
type Start = (name: string, concurrency: number) => Effect.Effect<void>

class World extends Context.Service<World, {
  readonly start: Start
  readonly began: Array<string>
  readonly open: (id: string) => Effect.Effect<unknown>
  readonly states: Effect.Effect<ReadonlyArray<string>>
}>()("World") {}

const WorldLive = Layer.effect(World)(Effect.gen(function*() {
  const scope = yield* Effect.scope
  const store = yield* TaskStore
  const context = yield* Effect.context<TaskStore>()
  const began: Array<string> = []
  const gates = new Map<string, Deferred.Deferred<void>>()
  const gate = (id: string) => {
    const known = gates.get(id) ?? Deferred.makeUnsafe<void>()
    gates.set(id, known)
    return known
  }
  const handlers = (name: string) =>
    Layer.mergeAll(
      Slow.toLayer(() =>
        Effect.flatMap(CurrentRun, ({ taskId }) =>
          Effect.andThen(
            Effect.sync(() => began.push(`${name} ${taskId}`)),
            Activity.idle(Deferred.await(gate(taskId)))
          ))
      ),
      Quick.toLayer(() => Effect.sync(() => void began.push(`${name} quick`)))
    )
  return {
    began,
    start: (name, concurrency) =>
      Layer.buildWithScope(
        TaskScheduler.layer(handlers(name), { name, executors: executors(concurrency), drainTimeout: 0 }),
        scope
      ).pipe(Effect.provideContext(context), Effect.orDie, Effect.asVoid),
    open: (id) => Deferred.succeed(gate(id), undefined),
    states: Effect.orDie(
      Effect.map(
        store.runs({ limit: 100 }),
        ({ items }) => items.map(({ state, taskId }) => `${taskId} ${state}`).sort()
      )
    )
  }
}))

const Program = Layer.merge(WorldLive, Client.layer()).pipe(Layer.provideMerge(MemoryTaskStore.layer))

const add = (task: typeof Slow | typeof Quick, id: string) =>
  Effect.flatMap(TaskSchedulerClient, (client) => client.add(task, { id, trigger: Trigger.now }))

describe("the room of an executor", () => {
  it.effect("bounds what is claimed: the rest is ready for whoever has room, and its own lane only is full", () =>
    isolated(
      Effect.gen(function*() {
        const { began, open, start, states } = yield* World
        yield* start("one", 1)
        for (const id of ["a", "b", "c"]) yield* add(Slow, id)
        yield* TestScheduler.advance("10 seconds")
        assert.strictEqual(began.length, 1)
        const first = began[0]!.split(" ")[1]!
        const rest = ["a", "b", "c"].filter((id) => id !== first)
        assert.deepStrictEqual(yield* states, [`${first} running`, ...rest.map((id) => `${id} ready`)].sort())

        yield* add(Quick, "quick")
        yield* TestScheduler.advance("1 second")
        assert.strictEqual(began.at(-1), "one quick")

        yield* start("two", 1)
        yield* TestScheduler.advance("1 second")
        assert.strictEqual(began.at(-1)!.split(" ")[0], "two")
        assert.deepStrictEqual((yield* states).filter((text) => text.endsWith("ready")).length, 1)

        yield* open(first)
        yield* TestScheduler.advance("1 second")
        assert.deepStrictEqual(began.filter((text) => !text.endsWith("quick")).map((text) => text.split(" ")[0]), [
          "one",
          "two",
          "one"
        ])
        assert.deepStrictEqual((yield* states).filter((text) => text.endsWith("ready")), [])
      }),
      TestScheduler.layerProgram(Program, { now })
    ))
})
