/**
 * Events of all schedulers that share a store: who hears what, what it costs those who tell, and what is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as EncryptedTaskStore from "../src/EncryptedTaskStore.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import type { SchedulerEvent, SharedEvent } from "../src/SchedulerEvent.ts"
import * as Task from "../src/Task.ts"
import * as Scheduler from "../src/TaskScheduler.ts"
import { TaskSchedulerClient } from "../src/TaskSchedulerClient.ts"
import { type Broadcast, TaskStore, TaskStoreError } from "../src/TaskStore.ts"
import * as TaskStores from "../src/TaskStores.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { together } from "./support/together.ts"
import { clock, Echo, Handlers, hourly, start, Tick } from "./utils.ts"

const TickLive = Tick.toLayer(() => Effect.void)
const EchoLive = Echo.toLayer(({ text }) => Effect.succeed(text))

/** What somebody hears, as it comes. */
class Ear {
  readonly heard: Array<SharedEvent> = []
  private look: () => void = () => {}

  readonly hear = (shared: SharedEvent): Effect.Effect<void> =>
    Effect.sync(() => {
      this.heard.push(shared)
      this.look()
    })

  /** Waits for an event, come or to come, and answers all that came before it. */
  until(tag: SchedulerEvent["_tag"], of: string): Effect.Effect<ReadonlyArray<SharedEvent>> {
    return Effect.callback((resume) => {
      this.look = () => {
        if (this.heard.some(({ event, scheduler }) => event._tag === tag && scheduler.startsWith(of))) {
          resume(Effect.succeed(this.heard))
        }
      }
      this.look()
    })
  }
}

/** Hears what everybody tells, in the background. */
const listening = Effect.gen(function*() {
  const ear = new Ear()
  const client = yield* TaskSchedulerClient
  yield* Effect.forkScoped(Stream.runForEach(client.eventsEverywhere(), ear.hear), { startImmediately: true })
  return ear
})

/** A memory store whose broadcast is another. */
const carrying = (change: (broadcast: Broadcast) => Partial<Broadcast>): Layer.Layer<TaskStore> =>
  Layer.effect(
    TaskStore,
    Effect.map(MemoryTaskStore.make, (store) => ({
      ...store,
      broadcast: { ...store.broadcast!, ...change(store.broadcast!) }
    }))
  )

/** One that writes down what goes over it. */
const wiretapped = () => {
  const wire: Array<string> = []
  const Store = carrying(({ say }) => ({
    say: (topic, texts) => {
      if (topic === "events") wire.push(...texts)
      return say(topic, texts)
    }
  }))
  return { wire, Store }
}

const line = ({ event, scheduler }: SharedEvent) =>
  [
    scheduler.split("#")[0],
    event._tag,
    "run" in event ? `${event.run.taskId} ${event.run.state}` : "id" in event ? event.id : "",
    clock(event.at)
  ].join(" ")

describe("scheduler.eventsEverywhere", () => {
  it.effect("tells what each scheduler of the store does, and which one it is", () =>
    together((start) =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        const ear = yield* listening
        const one = yield* start(TickLive, { name: "one" })
        yield* TestScheduler.settle
        const two = yield* start(EchoLive, { name: "two" })
        yield* TestScheduler.settle
        const instances = yield* client.instances()
        yield* ear.until("SchedulerStarted", "two")
        ear.heard.length = 0
        yield* client.add(Echo, { id: "echo", payload: { text: "a" }, trigger: Trigger.now })
        yield* TestScheduler.settle
        yield* two.close
        const heard = yield* ear.until("SchedulerStopped", "two")
        const of = (name: string) => heard.map(line).filter((told) => told.startsWith(name))
        // a client tells nothing of its own, and whoever is first finds out that the task has finished
        assert.deepStrictEqual(of("one"), ["one TaskFinished echo 00:00"])
        assert.deepStrictEqual(of("two"), [
          "two RunStarted echo running 00:00",
          "two RunEnded echo succeeded 00:00",
          "two SchedulerStopping  00:00",
          "two SchedulerStopped  00:00"
        ])
        assert.sameMembers([...new Set(heard.map(({ scheduler }) => scheduler))], instances.map(({ id }) => id))
        assert.isTrue(heard.every(({ lost }) => lost === 0))
        const ended = heard.find(({ event }) => event._tag === "RunEnded")!.event
        const [run] = (yield* client.runs()).items
        assert.deepStrictEqual(ended, { _tag: "RunEnded", at: run!.dueAt, store: "default", run: { ...run! } } as never)
        yield* one.close
      })
    ))

  it.effect("a scheduler that is built later is heard from its start on", () =>
    together((start) =>
      Effect.gen(function*() {
        const ear = yield* listening
        yield* TestScheduler.advance("30 minutes")
        const one = yield* start(TickLive, { name: "one" })
        const heard = yield* ear.until("SchedulerStarted", "one")
        assert.deepStrictEqual(heard.map(line), ["one SchedulerStarted  00:30"])
        yield* one.close
      })
    ))

  it.effect("nothing is sent while nobody listens, before the first and after the last", () => {
    const { Store, wire } = wiretapped()
    return together((start) =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        const one = yield* start(TickLive, { name: "one" })
        yield* client.add(Tick, { id: "tick", trigger: Trigger.every("30 minutes") })
        yield* TestScheduler.advance("1 hour")
        assert.strictEqual(wire.length, 0)
        yield* Effect.scoped(Effect.gen(function*() {
          const ear = yield* listening
          yield* TestScheduler.advance("1 hour")
          yield* ear.until("RunEnded", "one")
        }))
        assert.isAtLeast(wire.length, 1)
        // he is thought to be there a while longer
        yield* TestScheduler.advance("4 hours")
        wire.length = 0
        yield* TestScheduler.advance("10 hours")
        assert.strictEqual(wire.length, 0)
        yield* one.close
      }), Store)
  })

  it.effect("is refused by a store that carries nothing, with the stores that do", () => {
    const Store = Layer.effect(TaskStore, Effect.map(MemoryTaskStore.make, ({ broadcast: _, ...store }) => store))
    return together(() =>
      Effect.gen(function*() {
        const client = yield* TaskSchedulerClient
        const refused = yield* Effect.flip(Stream.runDrain(client.eventsEverywhere()))
        assert.strictEqual(refused._tag, "EventsNotShared")
        assert.include(refused.message, "Store `default` (memory) carries no events between processes; Postgres")
        const unknown = yield* Effect.flip(Stream.runDrain(client.eventsEverywhere({ store: "other" })))
        assert.strictEqual(unknown._tag, "UnknownStore")
      }), Store)
  })

  it.effect("of several stores each carries its own tasks, under the alias of who listens", () =>
    Effect.gen(function*() {
      const shared = yield* MemoryTaskStore.make
      const Shared = Layer.succeed(TaskStore)(shared)
      const ear = new Ear()
      yield* Effect.gen(function*() {
        const scheduler = yield* Scheduler.TaskScheduler
        yield* Effect.forkScoped(
          Stream.runForEach(scheduler.eventsEverywhere({ store: "here" }), ear.hear),
          { startImmediately: true }
        )
        yield* TestScheduler.settle
        yield* scheduler.add(Tick, { id: "in default", trigger: hourly })
        yield* scheduler.add(Tick, { id: "here", trigger: hourly, store: "here" })
        yield* scheduler.pause
        yield* ear.until("SchedulerPaused", "scheduler")
      }).pipe(
        Effect.scoped,
        Effect.provide(
          TestScheduler.layerProgram(
            Scheduler.layer(Handlers).pipe(
              Layer.provide(TaskStores.layer({ default: MemoryTaskStore.layer, here: Shared }))
            ),
            { now: start }
          )
        )
      )
      assert.deepStrictEqual(
        ear.heard.map(({ event }) => [event._tag, "store" in event && event.store, "id" in event && event.id]),
        [["TaskAdded", "here", "here"], ["SchedulerPaused", false, false]]
      )
    }))
})

describe("those who tell", () => {
  const runs = (say: Broadcast["say"]) =>
    together(
      (start) =>
        Effect.gen(function*() {
          yield* listening
          const client = yield* TaskSchedulerClient
          const one = yield* start(TickLive, { name: "one" })
          yield* client.add(Tick, { id: "tick", trigger: Trigger.every("1 minute") })
          const runs = yield* TestScheduler.advance("3 minutes")
          yield* one.close
          return runs.map(({ dueAt, startedAt, state }) => `${state} ${clock(dueAt)} ${Option.map(startedAt, clock)}`)
        }),
      carrying((inner) => ({ say: (topic, texts) => topic === "calls" ? inner.say(topic, texts) : say(topic, texts) }))
    )

  it.effect("run as planned where nothing can be sent", () =>
    Effect.gen(function*() {
      const planned = ["00:01", "00:02", "00:03"].map((at) => `succeeded ${at} ${Option.some(at)}`)
      const error = new TaskStoreError({ store: "s", operation: "broadcast", reason: "Unavailable", message: "gone" })
      assert.deepStrictEqual(yield* runs(() => Effect.fail(error)), planned)
      assert.deepStrictEqual(yield* runs(() => Effect.die("broken")), planned)
    }))

  it.effect("do not wait for a store that does not answer: the oldest events are lost, and counted", () =>
    Effect.gen(function*() {
      const answers = yield* Latch.make()
      let asked = 0
      const Store = carrying(({ say }) => ({
        say: (topic, texts) => {
          if (topic === "calls") return say(topic, texts)
          asked++
          return Effect.andThen(answers.await, say(topic, texts))
        }
      }))
      const tasks = 600
      let runs = 0
      const ran = yield* Latch.make()
      const CountedLive = Tick.toLayer(() => Effect.suspend(() => ++runs === tasks ? ran.open : Effect.void))
      yield* together((start) =>
        Effect.gen(function*() {
          const ear = yield* listening
          const client = yield* TaskSchedulerClient
          const one = yield* start(CountedLive, { name: "one" })
          yield* client.addAll(
            Array.from({ length: tasks }, (_, i) => ({ task: Tick, options: { id: String(i), trigger: Trigger.now } }))
          )
          // all of them run while the first events are on their way
          yield* ran.await
          assert.deepStrictEqual([asked, ear.heard.length], [1, 0])
          yield* answers.open
          yield* TestScheduler.settle
          yield* one.close
          const heard = yield* ear.until("SchedulerStopped", "one")
          const lost = heard.reduce((sum, { lost }) => sum + lost, 0)
          assert.isAtLeast(lost, 1)
          // of each task that it has finished, and the start and the end of its run; and three of the scheduler
          assert.strictEqual(heard.length + lost, 3 * tasks + 3)
        }), Store)
    }))

  it.effect("give up a call that is not answered, as any other of the store, and go on with the next", () => {
    let calls = 0
    const Store = carrying(({ say }) => ({
      say: (topic, texts) => topic === "events" && calls++ === 0 ? Effect.never : say(topic, texts)
    }))
    return together((start) =>
      Effect.gen(function*() {
        const ear = yield* listening
        const one = yield* start(TickLive, { name: "one", storeTimeout: 1 })
        yield* TestScheduler.settle
        assert.deepStrictEqual(ear.heard, [])
        yield* one.scheduler.pause
        const heard = yield* ear.until("SchedulerPaused", "one")
        assert.deepStrictEqual(heard.map(({ event, lost }) => [event._tag, lost]), [["SchedulerPaused", 0]])
        yield* one.close
      }), Store)
  })
})

describe("those who listen", () => {
  const added = (n: number) => [n, { _tag: "TaskAdded", at: 0, store: "theirs", id: String(n) }] as const
  const text = (events: ReadonlyArray<readonly [number, unknown]>, from = "far#1") => JSON.stringify({ from, events })

  /** What is told of these texts, read once all have been said, and what is logged. */
  const reading = (texts: ReadonlyArray<string>) =>
    together(() =>
      Effect.gen(function*() {
        const { broadcast } = yield* TaskStore
        const client = yield* TaskSchedulerClient
        const said = yield* Latch.make()
        const heard: Array<SharedEvent> = []
        const logged: Array<string> = []
        const logger = Logger.make(({ message }) => void logged.push(String(message)))
        const reader = yield* client.eventsEverywhere().pipe(
          Stream.tap(() => said.await),
          Stream.takeWhile(({ scheduler }) => scheduler !== "end"),
          Stream.runForEach((shared) => Effect.sync(() => void heard.push(shared))),
          Effect.provide(Logger.layer([logger])),
          Effect.forkScoped({ startImmediately: true })
        )
        yield* broadcast!.say("events", [...texts, text([added(1)], "end")])
        yield* said.open
        yield* Fiber.join(reader)
        // here it is the default one, whatever they call it
        for (const { event } of heard) assert.strictEqual("store" in event && event.store, "default")
        return {
          heard: heard.map(({ event, lost, scheduler }) => [scheduler, "id" in event ? event.id : event._tag, lost]),
          logged
        }
      })
    )

  it.effect("see what is missing between two events of one scheduler", () =>
    Effect.gen(function*() {
      const { heard } = yield* reading([
        text([added(7), added(8)]),
        text([added(3)], "near#1"),
        text([added(12)]),
        text([added(13), added(15)]),
        text([added(4)], "near#1"),
        text([added(15)])
      ])
      assert.deepStrictEqual(heard, [
        ["far#1", "7", 0],
        ["far#1", "8", 0],
        ["near#1", "3", 0],
        ["far#1", "12", 3],
        ["far#1", "13", 0],
        ["far#1", "15", 1],
        ["near#1", "4", 0],
        ["far#1", "15", 0]
      ])
    }))

  it.effect("pass over what a newer version tells, log each kind once, and count it", () =>
    Effect.gen(function*() {
      const { heard, logged } = yield* reading([
        text([added(1), [2, { _tag: "TaskTeleported", at: 0, to: "Mars" }], [3, { _tag: "TaskTeleported" }]]),
        text([[4, { ...added(4)[1], seenBy: "a newer version" }], [5, { ...added(5)[1], store: 17 }], [6, null]]),
        text([[7, { _tag: "RunReleased", reason: "boredom" }], added(8)]),
        "not JSON",
        "{}",
        "[]",
        `{"from":"far#1","events":"a format of another kind"}`,
        text([added(9)])
      ])
      assert.deepStrictEqual(heard, [["far#1", "1", 0], ["far#1", "4", 2], ["far#1", "8", 3], ["far#1", "9", 0]])
      assert.deepStrictEqual(
        logged.map((line) => /passes over: (.*)\.$/.exec(line)?.[1]),
        ["TaskTeleported", "TaskAdded", "?", "RunReleased"]
      )
    }))

  it.effect("lose the oldest when they are slow, and are told how many", () =>
    Effect.gen(function*() {
      const { heard } = yield* reading(Array.from({ length: 5_000 }, (_, i) => text([added(i + 1)])))
      const lost = heard.reduce((sum, [, , lost]) => sum + Number(lost), 0)
      // it had taken as many as can wait, and as many wait
      assert.isAtLeast(lost, 5_000 - 2 * 1_024 - 1)
      assert.strictEqual(heard.length + lost, 5_000)
      assert.deepStrictEqual(heard.at(-1), ["far#1", "5000", 0])
    }))
})

describe("secrets", () => {
  const Login = Task.make("Login", {
    success: Schema.Struct({ user: Schema.String, token: Schema.Redacted(Schema.String) })
  })
  const LoginLive = Login.toLayer(() => Effect.succeed({ user: "ann", token: Redacted.make("correct-horse") }))

  const loggingIn = (Store: Layer.Layer<TaskStore>) =>
    together((start) =>
      Effect.gen(function*() {
        const ear = yield* listening
        const one = yield* start(LoginLive, { name: "one" })
        yield* (yield* TaskSchedulerClient).add(Login, { id: "login", trigger: Trigger.now })
        yield* TestScheduler.settle
        yield* one.close
        return yield* ear.until("SchedulerStopped", "one")
      }), Store)

  const shown = (heard: ReadonlyArray<SharedEvent>) =>
    heard.flatMap(({ event }) => event._tag === "RunEnded" ? [Option.getOrNull(event.run.exit)] : [])

  const asPeopleSeeIt = { _tag: "Success", value: { user: "ann", token: "<redacted>" } }

  it.effect("are masked before they leave", () =>
    Effect.gen(function*() {
      const { Store, wire } = wiretapped()
      assert.deepStrictEqual(shown(yield* loggingIn(Store)), [asPeopleSeeIt])
      assert.include(wire.join(), "ann")
      assert.notInclude(wire.join(), "correct-horse")
    }))

  it.effect("of an encrypted store everything is sealed on its way, for who has the key", () =>
    Effect.gen(function*() {
      const { Store, wire } = wiretapped()
      const Encrypted = EncryptedTaskStore.layer({
        current: "a",
        keys: { a: Redacted.make(new Uint8Array(32).fill(7)) }
      }).pipe(Layer.provide(Store), Layer.orDie)
      assert.deepStrictEqual(shown(yield* loggingIn(Encrypted)), [asPeopleSeeIt])
      assert.isAtLeast(wire.length, 1)
      for (const text of wire) assert.match(text, /^\{"enc":"A256GCM","kid":"a","ct":"[\w-]+"\}$/)
    }))
})
