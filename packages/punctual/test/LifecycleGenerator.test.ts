/**
 * Lifecycles written as generators: plain, async, and with effects among their ticks.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Lifecycle from "../src/Lifecycle.ts"
import * as Lock from "../src/Lock.ts"
import type { TaskScheduler } from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { Scheduler } from "./support/engine.ts"
import { start as now } from "./utils.ts"

const trigger = Trigger.every("1 minute")

/** What a lifecycle wrote down: three minutes of it, and its end. */
const written = <E>(
  log: Array<string>,
  App: Layer.Layer<never, E, TaskScheduler>,
  then: (states: ReadonlyArray<string>) => void
) =>
  Effect.gen(function*() {
    const runs = yield* TestScheduler.advance("3 minutes")
    log.push("end")
    yield* TestScheduler.shutdown
    then(runs.map((run) => run.state))
  }).pipe(Effect.provide(TestScheduler.layer(App, { now })))

describe("Lifecycle.fromGenerator", () => {
  it.effect("setup to the first yield, a tick to each next one, cleanup after the last", () => {
    const log: Array<string> = []
    const App = Lifecycle.fromGenerator("plain", function*() {
      log.push("setup")
      let running = yield
      while (running) {
        log.push("tick")
        running = yield
      }
      log.push("cleanup")
    }, { trigger })
    return written(log, App, (states) => {
      assert.deepStrictEqual(log, ["setup", "tick", "tick", "tick", "end", "cleanup"])
      assert.deepStrictEqual(states, ["succeeded", "succeeded", "succeeded"])
    })
  })

  it.effect("async generators", () => {
    const log: Array<string> = []
    const App = Lifecycle.fromGenerator("async", async function*() {
      await Promise.resolve()
      log.push("setup")
      while (yield) {
        await Promise.resolve()
        log.push("tick")
      }
      await Promise.resolve()
      log.push("cleanup")
    }, { trigger })
    return written(log, App, () => assert.deepStrictEqual(log, ["setup", "tick", "tick", "tick", "end", "cleanup"]))
  })

  it.effect("effects, with services, in setup, ticks and cleanup", () => {
    const log: Array<string> = []
    class Client extends Context.Service<Client, { readonly say: (what: string) => Effect.Effect<void> }>()("Client") {}
    const App = Lifecycle.fromGenerator("effects", function*() {
      const client = yield* Client
      yield* Effect.addFinalizer(() => client.say("finalizer"))
      yield* client.say("setup")
      try {
        while (yield) yield* Effect.andThen(Effect.sleep("1 second"), client.say("tick"))
      } finally {
        yield* client.say("cleanup")
      }
    }, { trigger }).pipe(
      Layer.provide(Layer.succeed(Client)({ say: (what) => Effect.sync(() => void log.push(what)) }))
    )
    return written(log, App, () => {
      // Three ticks have begun, the last one is interrupted in its second: finally is still run.
      assert.deepStrictEqual(log, ["setup", "tick", "tick", "end", "cleanup", "finalizer"])
    })
  })

  it.effect("one that throws has cleaned up by itself, and begins again", () => {
    const log: Array<string> = []
    const App = Lifecycle.fromGenerator("throws", function*() {
      log.push("setup")
      try {
        while (yield) {
          log.push("tick")
          if (log.length === 2) throw new Error("broken")
        }
      } finally {
        log.push("cleanup")
      }
    }, { trigger })
    return written(log, App, (states) => {
      assert.deepStrictEqual(log, ["setup", "tick", "cleanup", "setup", "tick", "tick", "end", "cleanup"])
      assert.deepStrictEqual(states, ["failed", "succeeded", "succeeded"])
    })
  })

  it.effect("an effect that fails in it ends it: finally is run, with its effects, and what fails there stops no other", () => {
    const log: Array<string> = []
    const say = (line: string) => Effect.sync(() => void log.push(line))
    const App = Lifecycle.fromGenerator("fails", function*() {
      try {
        try {
          while (yield) yield* Effect.fail("no answer")
        } finally {
          yield* Effect.andThen(say("inner"), Effect.fail("does not close"))
        }
      } finally {
        yield* say("outer")
      }
    }, { trigger, onFailure: "stop" })
    return written(log, App, (states) => {
      assert.deepStrictEqual(log, ["inner", "outer", "end"])
      assert.deepStrictEqual(states, ["failed"])
    })
  })

  it.effect("one that returns has finished, and gets no more ticks", () => {
    const log: Array<string> = []
    const App = Lifecycle.fromGenerator("twice", function*() {
      yield
      log.push("once")
      yield
      log.push("twice")
    }, { trigger })
    return written(log, App, (states) => {
      assert.deepStrictEqual(log, ["once", "twice", "end"])
      assert.strictEqual(states.length, 2)
    })
  })

  it.effect("one that goes on when told to end is ended: its finally blocks run", () => {
    const log: Array<string> = []
    const App = Lifecycle.fromGenerator("deaf", function*() {
      try {
        while (true) {
          yield
          log.push("tick")
        }
      } finally {
        log.push("cleanup")
      }
    }, { trigger })
    // The word to end is one more turn of its loop.
    return written(log, App, () => assert.deepStrictEqual(log, ["tick", "tick", "tick", "end", "tick", "cleanup"]))
  })

  it.effect("with a lock it begins when it has it, and gives it back when it has finished", () => {
    const log: Array<string> = []
    const App = Lifecycle.fromGenerator("leader", function*() {
      const lock = yield* Lock.Lock
      log.push(`setup ${yield* lock.isHeld("leader")}`)
      yield
      log.push("tick")
    }, { trigger, lock: "leader" })
    return Effect.gen(function*() {
      yield* TestScheduler.advance("3 minutes")
      const lock = yield* Lock.Lock
      assert.deepStrictEqual(log, ["setup true", "tick"])
      assert.isFalse(yield* lock.isHeld("leader"))
      assert.strictEqual((yield* (yield* Scheduler).handle("lifecycle:leader").snapshot).state, "paused")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }).pipe(Layer.provideMerge(Lock.layerLocal()))))
  })
})
