import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Lifecycle from "../src/Lifecycle.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TaskStore from "../src/TaskStore.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { hourly, start, Tick } from "./utils.ts"

const durable = Layer.effect(TaskStore.TaskStore)(Effect.map(MemoryTaskStore.make, (store) => ({
  ...store,
  name: "disk",
  capabilities: { ...store.capabilities, durable: true }
})))

const makeApp = (log: Array<string>, options: { readonly store?: string; readonly failAt?: number } = {}) => {
  const add = (line: string) => Effect.sync(() => void log.push(line))
  let ticks = 0
  return Lifecycle.layer("cache", {
    acquire: Effect.acquireRelease(add("open connection"), () => add("close connection")).pipe(
      Effect.andThen(Effect.acquireRelease(Effect.as(add("open cache"), "cache"), () => add("close cache")))
    ),
    tick: (resource) =>
      Effect.suspend(() =>
        Effect.andThen(
          add(`tick ${resource} ${++ticks}`),
          ticks === options.failAt ? Effect.fail("no answer") : Effect.void
        )
      ),
    trigger: hourly,
    store: options.store
  })
}

describe("Lifecycle.layer", () => {
  it.effect("acquires once, ticks, and cleans up once, last first, after the last tick", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      assert.deepStrictEqual(log, ["open connection", "open cache"])
      yield* TestScheduler.advance("150 minutes")
      yield* TestScheduler.shutdown
      yield* TestScheduler.advance("3 hours")
      assert.deepStrictEqual(log, [
        "open connection",
        "open cache",
        "tick cache 1",
        "tick cache 2",
        "close cache",
        "close connection"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(makeApp(log), { now: start })))
  })

  it.effect("cleans up after shutdown tasks", () => {
    const log: Array<string> = []
    const App = Layer.mergeAll(
      makeApp(log),
      Tick.toLayer(() => Effect.sync(() => void log.push("shutdown task"))),
      Layer.effectDiscard(
        TaskScheduler.use((scheduler) =>
          scheduler.addEffect(Effect.sync(() => log.push("shutdown effect")), { id: "last", trigger: Trigger.shutdown })
        )
      )
    )
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* scheduler.add(Tick, { id: "t", trigger: Trigger.shutdown })
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log.slice(2), ["shutdown task", "shutdown effect", "close cache", "close connection"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })

  it.effect("cleans up once also when the program beside it fails, or is interrupted", () =>
    Effect.gen(function*() {
      for (const end of [Effect.fail("unexpected"), Effect.die("worse"), Effect.interrupt]) {
        const log: Array<string> = []
        const program = Effect.andThen(TestScheduler.advance("1 hour"), end)
        const exit = yield* Effect.exit(
          Effect.provide(program, TestScheduler.layer(makeApp(log), { now: start }), { local: true })
        )
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(log.slice(2), ["tick cache 1", "close cache", "close connection"])
      }
    }))

  it.effect("a tick that fails is a failed run, and the next tick comes", () => {
    const log: Array<string> = []
    return Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("3 hours")
      assert.deepStrictEqual(runs.map((run) => run.state), ["succeeded", "failed", "succeeded"])
      assert.deepStrictEqual(log.slice(2), ["tick cache 1", "tick cache 2", "tick cache 3"])
    }).pipe(Effect.provide(TestScheduler.layer(makeApp(log, { failAt: 2 }), { now: start })))
  })

  it.effect("ticks that a slow one overlaps are skipped: never two at once", () => {
    let running = 0
    let most = 0
    const App = Lifecycle.layer("slow", {
      acquire: Effect.void,
      tick: () =>
        Effect.acquireUseRelease(
          Effect.sync(() => {
            running++
            most = Math.max(most, running)
          }),
          () => Effect.sleep("90 minutes"),
          () => Effect.sync(() => void running--)
        ),
      trigger: hourly
    })
    return Effect.gen(function*() {
      assert.strictEqual((yield* TestScheduler.advance("6 hours")).length, 2)
      assert.strictEqual(most, 1)
      // The third is in progress: closing interrupts it before anything is cleaned up.
      yield* TestScheduler.shutdown
      assert.strictEqual(running, 0)
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })

  it.effect("its tick has the services of the layer", () => {
    class Mail extends Context.Service<Mail, { readonly send: (text: string) => void }>()("Mail") {}
    const sent: Array<string> = []
    const App = Lifecycle.layer("mail", {
      acquire: Effect.gen(function*() {
        yield* Mail
        return "inbox"
      }),
      tick: (box: string) => Mail.use((mail) => Effect.sync(() => mail.send(box))),
      trigger: hourly
    }).pipe(Layer.provide(Layer.succeed(Mail)({ send: (text) => sent.push(text) })))
    return Effect.gen(function*() {
      yield* TestScheduler.advance("2 hours")
      assert.deepStrictEqual(sent, ["inbox", "inbox"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now: start })))
  })

  it.effect("over a durable store it fails before it acquires anything, and says what to do", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const scope = yield* Scope.make()
      const exit = yield* Effect.exit(
        Layer.buildWithScope(TestScheduler.layer(makeApp(log), { now: start, store: durable }), scope)
      )
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(exit))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) as Error & { readonly _tag: string } : undefined
      assert.strictEqual(error?._tag, "ClosureNotPersistable")
      assert.match(error!.message, /`lifecycle:cache` is an effect in this process.*volatile store.*store: "memory"/)
      assert.deepStrictEqual(log, [])
    }))

  it.effect("beside a durable store it lives in the volatile one it names", () => {
    const log: Array<string> = []
    const stores = TaskStores.layer({ default: durable, memory: MemoryTaskStore.layer })
    return Effect.gen(function*() {
      const scheduler = yield* TaskScheduler
      yield* TestScheduler.advance("1 hour")
      assert.deepStrictEqual(log.slice(2), ["tick cache 1"])
      assert.deepStrictEqual((yield* scheduler.list({ store: "memory" })).items.map((info) => info.id), [
        "lifecycle:cache"
      ])
    }).pipe(Effect.provide(TestScheduler.layer(makeApp(log, { store: "memory" }), { now: start, store: stores })))
  })

  it.effect("the same name twice is refused", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const exit = yield* Effect.exit(Effect.scoped(
        Layer.build(TestScheduler.layer(Layer.mergeAll(makeApp(log), makeApp(log)), { now: start }))
      ))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) as { readonly _tag: string } : undefined
      assert.strictEqual(error?._tag, "DuplicateTask")
    }))
})
