/**
 * Lifecycles that begin again, wait for each other and for locks: exactly one cleanup for each acquire, in order.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Lifecycle from "../src/Lifecycle.ts"
import * as Lock from "../src/Lock.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { isolated, Scheduler, storeOf } from "./support/engine.ts"
import { clock, start as now } from "./utils.ts"

const minutely = Trigger.every("1 minute")

/** What happened, and when where it was asked for. */
const journal = () => {
  const log: Array<string> = []
  const say = (line: string) => Effect.sync(() => void log.push(line))
  return {
    log,
    say,
    sayAt: (line: string) => Effect.flatMap(DateTime.now, (at) => say(`${line} ${clock(at)}`)),
    resource: (name: string) => Effect.acquireRelease(say(`+${name}`), () => say(`-${name}`))
  }
}

/** Keeps what was logged, at warnings and above. */
const logging = (said: Array<string>) =>
  Logger.layer([Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn" || logLevel === "Error") said.push(String(Array.isArray(message) ? message[0] : message))
  })])

/** A lock that a test can take away, and keep from being had again: whoever asks then fails. */
const losable = () => {
  const grips: Array<Deferred.Deferred<string>> = []
  const backend: Lock.Backend = {
    name: "losable",
    identity: "test",
    capabilities: { spans: "program", fair: true, fenced: true, leased: true },
    acquire: () =>
      Effect.suspend(() => {
        if (handle.full) {
          return Effect.fail(new Lock.LockUnavailable({ lock: "losable", operation: "acquire", message: "no answer" }))
        }
        const lost = Deferred.makeUnsafe<string>()
        grips.push(lost)
        return Effect.succeedSome({ token: grips.length, lost: Deferred.await(lost), release: Effect.succeed(true) })
      }),
    isHeld: () => Effect.succeed(true),
    holder: () => Effect.succeedNone
  }
  const handle = {
    full: false,
    lose: () => Deferred.doneUnsafe(grips.at(-1)!, Exit.succeed("stolen")),
    layer: Layer.succeed(Lock.Lock)(Lock.make(backend))
  }
  return handle
}

const refusal = <A, E, R>(layer: Layer.Layer<A, E, R>) =>
  Effect.map(Effect.exit(Effect.scoped(Layer.build(layer))), (exit) => {
    assert.isTrue(Exit.isFailure(exit))
    return Exit.isFailure(exit)
      ? Cause.squash(exit.cause) as { readonly _tag: string; readonly message: string }
      : undefined
  })

describe("a tick that fails", () => {
  const failing = (onFailure: Lifecycle.OnFailure, fails: ReadonlyArray<number>) => {
    const { log, resource, sayAt } = journal()
    let ticks = 0
    const App = Lifecycle.layer("cache", {
      acquire: Effect.andThen(resource("connection"), resource("cache")),
      tick: () =>
        Effect.suspend(() =>
          Effect.andThen(sayAt(`tick ${++ticks}`), fails.includes(ticks) ? Effect.fail("no answer") : Effect.void)
        ),
      trigger: minutely,
      onFailure
    })
    return { App, log }
  }

  it.effect("restart: cleaned up, a second later acquired again, and the next tick comes", () => {
    const { App, log } = failing("restart", [2])
    return Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("3 minutes")
      assert.deepStrictEqual(runs.map((run) => run.state), ["succeeded", "failed", "succeeded"])
      assert.deepStrictEqual(log, [
        "+connection",
        "+cache",
        "tick 1 00:01",
        "tick 2 00:02",
        "-cache",
        "-connection",
        "+connection",
        "+cache",
        "tick 3 00:03"
      ])
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log.slice(9), ["-cache", "-connection"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("stop: cleaned up, and no more ticks; its task is paused, for all to see", () => {
    const { App, log } = failing("stop", [2])
    return Effect.gen(function*() {
      yield* TestScheduler.advance("10 minutes")
      assert.deepStrictEqual(log.slice(2), ["tick 1 00:01", "tick 2 00:02", "-cache", "-connection"])
      assert.strictEqual((yield* (yield* Scheduler).handle("lifecycle:cache").snapshot).state, "paused")
      yield* TestScheduler.shutdown
      assert.strictEqual(log.length, 6)
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("the pause before a restart doubles up to a minute, and begins anew after a minute that went well", () => {
    const { log, sayAt } = journal()
    let ticks = 0
    const App = Lifecycle.layer("flapping", {
      acquire: sayAt("+"),
      tick: () => Effect.suspend(() => ++ticks <= 9 || ticks === 150 ? Effect.fail("again") : Effect.void),
      trigger: Trigger.every("1 second"),
      onFailure: "restart"
    })
    return Effect.gen(function*() {
      yield* TestScheduler.advance("10 minutes")
      const at = log.map((line) =>
        Date.parse(`2026-01-01T${line.slice(2).length === 5 ? `${line.slice(2)}:00` : line.slice(2)}Z`)
      )
      // Each pause ends on a second, where a tick is just missed: the next one is a second later.
      assert.deepStrictEqual(at.slice(1).map((time, i) => (time - at[i]!) / 1_000), [
        2,
        3,
        5,
        9,
        17,
        33,
        61,
        61,
        61,
        142
      ])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("what an operator has paused stays paused through a restart", () => {
    const { log, resource } = journal()
    const App = Lifecycle.layer("cache", {
      acquire: resource("cache"),
      tick: () => Effect.andThen(Effect.sleep("30 seconds"), Effect.fail("no answer")),
      trigger: minutely,
      onFailure: "restart"
    })
    return Effect.gen(function*() {
      const task = (yield* Scheduler).handle("lifecycle:cache")
      yield* TestScheduler.advance("70 seconds")
      yield* task.pause("maintenance")
      yield* TestScheduler.advance("10 minutes")
      assert.deepStrictEqual(log, ["+cache", "-cache", "+cache"])
      assert.strictEqual((yield* task.snapshot).state, "paused")
      assert.strictEqual((yield* TestScheduler.runs).length, 1)
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })
})

describe("cleanup", () => {
  it.effect("one that fails stops no other, one that is slow is cut at its budget; both are told", () => {
    const { log, say } = journal()
    const said: Array<string> = []
    const App = Lifecycle.layer("cache", {
      acquire: Effect.gen(function*() {
        yield* Effect.addFinalizer(() => say("first"))
        yield* Effect.addFinalizer(() => Effect.onInterrupt(Effect.sleep("1 hour"), () => say("slow, cut")))
        yield* Effect.addFinalizer(() => Effect.uninterruptible(Effect.sleep("2 hours")))
        yield* Effect.addFinalizer(() => Effect.die("does not close"))
        yield* Effect.addFinalizer(() => say("last"))
      }),
      tick: () => Effect.void,
      trigger: minutely,
      cleanupTimeout: "10 seconds"
    })
    return Effect.gen(function*() {
      const test = yield* TestScheduler.TestScheduler
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log, ["last", "slow, cut", "first"])
      assert.strictEqual(clock(yield* test.now), "00:00:20")
      assert.deepStrictEqual(said, [
        "Cleanup 2 of 5 of lifecycle `cache` failed.",
        "Cleanup 3 of 5 of lifecycle `cache` did not end within 10s and was interrupted.",
        "Cleanup 4 of 5 of lifecycle `cache` did not end within 10s and was interrupted."
      ])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, patience: 20 }).pipe(Layer.provideMerge(logging(said)))))
  })

  it.effect("of an acquire that fails: what it had made until then; the scheduler fails with its error", () => {
    const { log, resource } = journal()
    return Effect.gen(function*() {
      const error = yield* refusal(TestScheduler.layer(
        Layer.mergeAll(
          Lifecycle.layer("fine", { acquire: resource("fine"), tick: () => Effect.void, trigger: minutely }),
          Lifecycle.layer("cache", {
            acquire: Effect.andThen(resource("connection"), Effect.fail({ _tag: "NoDisk", message: "" } as const)),
            tick: () => Effect.void,
            trigger: minutely
          })
        ),
        { now }
      ))
      assert.strictEqual(error?._tag, "NoDisk")
      assert.deepStrictEqual(log, ["+fine", "+connection", "-connection", "-fine"])
    })
  })

  it.effect("comes after the tick in progress has stopped", () => {
    const { log, resource, say } = journal()
    const App = Lifecycle.layer("cache", {
      acquire: resource("cache"),
      tick: () => Effect.ensuring(Effect.sleep("1 hour"), say("tick stopped")),
      trigger: minutely
    })
    return Effect.gen(function*() {
      yield* TestScheduler.advance("90 seconds")
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log, ["+cache", "tick stopped", "-cache"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("does not wait for ever for a tick that cannot be interrupted", () => {
    const { log, resource } = journal()
    const said: Array<string> = []
    const App = Lifecycle.layer("cache", {
      acquire: resource("cache"),
      tick: () => Effect.uninterruptible(Effect.sleep("1 hour")),
      trigger: minutely,
      cleanupTimeout: "10 seconds"
    })
    return Effect.gen(function*() {
      yield* TestScheduler.advance("90 seconds")
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log, ["+cache", "-cache"])
      assert.include(said, "A tick of lifecycle `cache` did not stop within 10s: cleaning up under it.")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now, patience: 20 }).pipe(Layer.provideMerge(logging(said)))))
  })
})

describe("after", () => {
  const family = (fails: { at: number }) => {
    const { log, say } = journal()
    // Those that must go first take longest.
    const slow = (name: string) =>
      Effect.acquireRelease(
        say(`+${name}`),
        () => Effect.andThen(Effect.sleep({ report: 9_000, cache: 5_000 }[name] ?? 1_000), say(`-${name}`))
      )
    const one = (name: string, after: ReadonlyArray<string>, tick: Effect.Effect<void, string> = Effect.void) =>
      Lifecycle.layer(name, {
        acquire: slow(name),
        tick: () => tick,
        trigger: minutely,
        after,
        onFailure: "restart"
      })
    let ticks = 0
    const flaky = Effect.suspend(() =>
      ++ticks === fails.at ? Effect.andThen(say("database fails"), Effect.fail("lost")) : Effect.void
    )
    return {
      log,
      App: Layer.mergeAll(
        one("report", ["cache", "mail"]),
        one("cache", ["database"]),
        one("mail", []),
        one("database", [], flaky)
      )
    }
  }

  it.effect("a lifecycle acquires after those it names, and is cleaned up before them", () => {
    const { App, log } = family({ at: 0 })
    return Effect.gen(function*() {
      assert.deepStrictEqual(log, ["+database", "+cache", "+mail", "+report"])
      yield* TestScheduler.advance("2 minutes")
      assert.strictEqual((yield* TestScheduler.runs).length, 8)
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log.slice(4), ["-report", "-mail", "-cache", "-database"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("one that restarts takes those after it down first, and up again after it", () => {
    const { App, log } = family({ at: 1 })
    return Effect.gen(function*() {
      yield* TestScheduler.advance("2 minutes")
      assert.deepStrictEqual(log.slice(4), [
        "database fails",
        "-report",
        "-cache",
        "-database",
        "+database",
        "+cache",
        "+report"
      ])
      // They tick again.
      const before = (yield* TestScheduler.runs).length
      yield* TestScheduler.advance("1 minute")
      assert.strictEqual((yield* TestScheduler.runs).length - before, 4)
    }).pipe(Effect.provide(TestScheduler.layer(App, { now })))
  })

  it.effect("a name that is not there, and a circle, are refused", () =>
    Effect.gen(function*() {
      const one = (name: string, after: string) =>
        Lifecycle.layer(name, { acquire: Effect.void, tick: () => Effect.void, trigger: minutely, after: [after] })
      const unknown = yield* refusal(
        TestScheduler.layer(Layer.mergeAll(one("a", "cahe"), one("cache", "cahe")), { now })
      )
      assert.strictEqual(unknown?._tag, "InvalidOption")
      assert.include(unknown!.message, "did you mean `cache`?")
      const circle = yield* refusal(TestScheduler.layer(Layer.mergeAll(one("a", "b"), one("b", "a")), { now }))
      assert.include(circle!.message, "`a` after `b` after `a`")
    }))
})

describe("options", () => {
  it.effect("that are unknown or out of bounds are refused, with what to do", () =>
    Effect.gen(function*() {
      const refused = (options: object) =>
        refusal(TestScheduler.layer(
          Lifecycle.layer("x", { acquire: Effect.void, tick: () => Effect.void, trigger: minutely, ...options }),
          { now }
        ))
      assert.match((yield* refused({ onFailures: "stop" }))!.message, /did you mean `onFailure`/)
      const generator = Lifecycle.fromGenerator("x", function*() {
        yield
      }, { trigger: minutely, tick: 1 } as { readonly trigger: Trigger.Trigger })
      assert.match((yield* refusal(TestScheduler.layer(generator, { now })))!.message, /unknown option `tick`/)
      assert.match((yield* refused({ onFailure: "retry" }))!.message, /continue, restart, stop/)
      assert.match((yield* refused({ cleanupTimeout: "-1 seconds" }))!.message, /cleanupTimeout/)
    }))
})

describe("one of several processes", () => {
  type App = Layer.Layer<never, unknown, TaskScheduler.Provided | Lock.Lock>

  /** Schedulers over memory stores of their own that share locks. */
  const processes = (names: ReadonlyArray<string>, app: (name: string) => App) =>
    Layer.mergeAll(
      Layer.empty,
      ...names.map((name) =>
        TaskScheduler.layer(app(name), { name, drainTimeout: 0 }).pipe(
          Layer.provide(Layer.fresh(MemoryTaskStore.layer))
        )
      )
    )

  it.effect("exactly one has acquired, the ticks reach it, and when it closes another acquires", () => {
    const { log, resource, say } = journal()
    const app = (name: string): App =>
      Lifecycle.layer("leader", {
        acquire: resource(name),
        tick: () => say(`tick ${name}`),
        trigger: minutely,
        lock: "leader"
      })
    const scopes = new Map<string, Scope.Closeable>()
    const Program = Layer.effectDiscard(Effect.gen(function*() {
      const parent = yield* Effect.scope
      for (const name of ["a", "b", "c"]) {
        const scope = yield* Scope.fork(parent)
        yield* Layer.buildWithScope(processes([name], app), scope)
        scopes.set(name, scope)
      }
    }))
    const close = (name: string) =>
      Effect.andThen(Effect.forkChild(Scope.close(scopes.get(name)!, Exit.void)), TestScheduler.settle)
    return Effect.gen(function*() {
      yield* TestScheduler.advance("2 minutes")
      assert.deepStrictEqual(log, ["+a", "tick a", "tick a"])
      yield* close("a")
      yield* TestScheduler.advance("1 minute")
      assert.deepStrictEqual(log.slice(3), ["-a", "+b", "tick b"])
      yield* close("c") // waits in line, and leaves it
      yield* close("b")
      yield* TestScheduler.advance("1 minute")
      assert.deepStrictEqual(log.slice(6), ["-b"])
    }).pipe(Effect.provide(TestScheduler.layerProgram(Program.pipe(Layer.provide(Lock.layerLocal())), { now })))
  })

  it.effect("where nothing is acquired its task is paused, with the grid that it goes on with", () => {
    const { log, resource, sayAt } = journal()
    const App = Lifecycle.layer("leader", {
      acquire: resource("a"),
      tick: () => sayAt("tick"),
      trigger: minutely,
      lock: "leader"
    })
    return Effect.gen(function*() {
      const release = Deferred.makeUnsafe<void>()
      const lock = yield* Lock.Lock
      yield* Effect.forkChild(lock.withLock("leader")(Deferred.await(release)), { startImmediately: true })
      yield* isolated(
        Effect.gen(function*() {
          const task = (yield* Scheduler).handle("lifecycle:leader")
          yield* TestScheduler.advance("90 seconds")
          assert.strictEqual((yield* task.snapshot).state, "paused")
          assert.deepStrictEqual(log, [])
          Deferred.doneUnsafe(release, Exit.void)
          yield* TestScheduler.advance("60 seconds")
          assert.deepStrictEqual(log, ["+a", "tick 00:02"])
          const { counters } = yield* task.snapshot
          assert.deepStrictEqual([counters.ran, counters.paused], [1, 1])
        }),
        TestScheduler.layer(App, { now }).pipe(Layer.provide(Layer.succeed(Lock.Lock)(lock)))
      )
    }).pipe(Effect.provide(Lock.layerLocal()))
  })

  it.effect("a lock that is lost ends the tick, then cleans up, then waits for it again", () => {
    const { log, resource, say } = journal()
    const lock = losable()
    const tokens: Array<number> = []
    const App = Lifecycle.layer("leader", {
      acquire: (held: Lock.Held) => Effect.andThen(Effect.sync(() => void tokens.push(held.token)), resource("a")),
      tick: () => Effect.onInterrupt(Effect.sleep("30 seconds"), () => say("tick interrupted")),
      trigger: minutely,
      lock: "leader"
    })
    return Effect.gen(function*() {
      yield* TestScheduler.advance("70 seconds")
      lock.lose()
      yield* TestScheduler.settle
      assert.deepStrictEqual(log, ["+a", "tick interrupted", "-a", "+a"])
      assert.deepStrictEqual(tokens, [1, 2])
      const [run] = yield* TestScheduler.runs
      assert.strictEqual(run!.state, "failed")
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }).pipe(Layer.provide(lock.layer))))
  })

  it.effect("an acquire that fails gives the lock to another, and is tried again", () => {
    const { log, resource, say } = journal()
    let broken = true
    const App = (name: string) =>
      Lifecycle.layer("leader", {
        acquire: Effect.suspend(() =>
          name === "a" && broken
            ? Effect.andThen(say("a cannot"), Effect.fail("no disk"))
            : resource(name)
        ),
        tick: () => say(`tick ${name}`),
        trigger: minutely,
        onFailure: "restart",
        lock: "leader"
      })
    return Effect.gen(function*() {
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("2 minutes")
          assert.deepStrictEqual(log, ["a cannot", "+b", "tick b", "tick b"])
          broken = false
        }),
        TestScheduler.layerProgram(processes(["a", "b"], App).pipe(Layer.provide(Lock.layerLocal())), { now })
      )
    })
  })

  it.effect("with after: it is down while the other waits for its lock", () => {
    const { log, resource } = journal()
    const lock = losable()
    const App = Layer.mergeAll(
      Lifecycle.layer("cache", {
        acquire: resource("cache"),
        tick: () => Effect.void,
        trigger: minutely,
        after: ["leader"]
      }),
      Lifecycle.layer("leader", {
        acquire: resource("leader"),
        tick: () => Effect.void,
        trigger: minutely,
        lock: "leader"
      })
    )
    return Effect.gen(function*() {
      yield* TestScheduler.settle
      assert.deepStrictEqual(log, ["+leader", "+cache"])
      lock.lose()
      yield* TestScheduler.settle
      assert.deepStrictEqual(log.slice(2), ["-cache", "-leader", "+leader", "+cache"])
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log.slice(6), ["-cache", "-leader"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }).pipe(Layer.provide(lock.layer))))
  })
})

describe("Lifecycle.exclusive", () => {
  const Report = Task.make("Report")

  it.effect("stored tasks reach the process that has the lock, and the next one when it closes", () => {
    const { log, resource, say } = journal()
    const app = (name: string) => {
      const ReportLive = Report.toLayer(Effect.as(resource(name), () => say(`${name} reports`)))
      return Layer.mergeAll(
        Lifecycle.exclusive("reports", ReportLive),
        Task.layerScheduled(Report, { id: "report", trigger: minutely, onConflict: "update" })
      )
    }
    return Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const scopes: Array<Scope.Closeable> = []
      const Program = Layer.effectDiscard(Effect.gen(function*() {
        const parent = yield* Effect.scope
        for (const name of ["a", "b", "c"]) {
          const scope = yield* Scope.fork(parent)
          yield* Layer.buildWithScope(TaskScheduler.layer(app(name), { name, drainTimeout: 0 }), scope)
          scopes.push(scope)
        }
      })).pipe(Layer.provide(storeOf(shared)), Layer.provide(Lock.layerLocal()))
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("2 minutes")
          assert.deepStrictEqual(log, ["+a", "a reports", "a reports"])
          yield* Effect.forkChild(Scope.close(scopes[0]!, Exit.void))
          yield* TestScheduler.advance("1 minute")
          assert.deepStrictEqual(log.slice(3), ["-a", "+b", "b reports"])
        }),
        TestScheduler.layerProgram(Program, { now })
      )
      const { items } = yield* shared.runs({ taskId: "report", limit: 10 })
      assert.deepStrictEqual(items.map(({ state }) => state), ["succeeded", "succeeded", "succeeded"])
    })
  })

  it.effect("is closed when the lock is lost, built anew when it is had, and what was due meanwhile is late", () => {
    const { log, resource, sayAt } = journal()
    const lock = losable()
    const App = Layer.mergeAll(
      Lifecycle.exclusive("reports", Report.toLayer(Effect.as(resource("a"), () => sayAt("reports")))),
      Task.layerScheduled(Report, { id: "report", trigger: minutely })
    )
    return Effect.gen(function*() {
      yield* TestScheduler.advance("1 minute")
      lock.full = true
      lock.lose()
      yield* TestScheduler.advance("90 seconds")
      assert.deepStrictEqual(log, ["+a", "reports 00:01", "-a"])
      lock.full = false
      yield* TestScheduler.advance("90 seconds")
      // It is tried after 1, 2, 4 … seconds; the run of 00:02 has waited, and that of 00:03 found it waiting.
      assert.deepStrictEqual(log.slice(3), ["+a", "reports 00:03:03", "reports 00:04"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }).pipe(Layer.provide(lock.layer))))
  })

  it.effect("a part that cannot be built is tried again", () => {
    const { log, sayAt } = journal()
    let tries = 0
    const App = Layer.mergeAll(
      Lifecycle.exclusive(
        "reports",
        Report.toLayer(
          Effect.suspend(() => ++tries < 3 ? Effect.fail("no warehouse") : Effect.succeed(() => sayAt("reports")))
        )
      ),
      Task.layerScheduled(Report, { id: "report", trigger: Trigger.now })
    )
    return Effect.gen(function*() {
      yield* TestScheduler.advance("1 minute")
      assert.deepStrictEqual(log, ["reports 00:00:03"])
    }).pipe(Effect.provide(TestScheduler.layer(App, { now }).pipe(Layer.provide(Lock.layerLocal()))))
  })
})

describe("a lifecycle that is added to a scheduler that runs", () => {
  it.effect("acquires at once, and is cleaned up with its own scope", () => {
    const { log, resource, say } = journal()
    const Late = Lifecycle.layer("late", {
      acquire: resource("late"),
      tick: () => say("tick"),
      trigger: minutely,
      after: ["early"]
    })
    const Early = Lifecycle.layer("early", { acquire: resource("early"), tick: () => Effect.void, trigger: minutely })
    return Effect.gen(function*() {
      yield* Effect.scoped(Effect.andThen(Layer.build(Late), TestScheduler.advance("1 minute")))
      yield* TestScheduler.shutdown
      assert.deepStrictEqual(log, ["+early", "+late", "tick", "-late", "-early"])
    }).pipe(Effect.provide(TestScheduler.layer(Early, { now })))
  })
})
