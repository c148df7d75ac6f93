/**
 * Events of schedulers in several processes, on one Redis.
 */
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import type { SharedEvent } from "punctual/SchedulerEvent"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { startFile } from "../../sql/test/internal/processes.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { ownServer, withServers } from "./internal/ownServer.ts"

const teller = (url: string, name: string) =>
  startFile(fileURLToPath(new URL("./fixtures/teller.ts", import.meta.url)), url, name)

const listening = (url: string) =>
  Effect.gen(function*() {
    const heard = yield* Queue.unbounded<SharedEvent>()
    const context = yield* Layer.build(
      TaskSchedulerClient.layer().pipe(Layer.provide(Layer.fresh(NodeRedisTaskStore.layer({ url }))))
    )
    yield* Effect.forkScoped(
      Stream.runForEach(
        Context.get(context, TaskSchedulerClient.TaskSchedulerClient).eventsEverywhere(),
        (shared) => Queue.offer(heard, shared)
      ),
      { startImmediately: true }
    )
    return (matches: (shared: SharedEvent) => boolean) => Effect.repeat(Queue.take(heard), { until: matches })
  })

const ended = (of: string) => ({ event, scheduler }: SharedEvent) =>
  event._tag === "RunEnded" && event.run.state === "succeeded" && scheduler.startsWith(`${of}#`)

withServers("scheduler.eventsEverywhere on Redis", () => {
  it.live("those of other processes are heard, from their start to their end", () =>
    Effect.gen(function*() {
      const { url } = yield* ownServer()
      const until = yield* listening(url)
      const one = yield* teller(url, "one")
      const started = yield* until(({ event }) => event._tag === "SchedulerStarted")
      assert.match(started.scheduler, /^one#/)
      const two = yield* teller(url, "two")
      const { event } = yield* until(ended("two"))
      const { callable, exit } = (event as SharedEvent["event"] & { readonly _tag: "RunEnded" }).run
      assert.strictEqual(callable, "Login-two")
      assert.deepStrictEqual(exit, Option.some({ _tag: "Success", value: { by: "two", token: "<redacted>" } }))
      yield* until(ended("one"))
      one.send("stop")
      assert.strictEqual((yield* until(({ event }) => event._tag === "SchedulerStopped")).scheduler, started.scheduler)
      yield* one.gone
      yield* until(ended("two"))
      two.send("stop")
      yield* two.gone
    }), 60_000)

  it.live(
    "are heard again after every subscription was killed",
    () =>
      Effect.gen(function*() {
        const { send, url } = yield* ownServer()
        const until = yield* listening(url)
        const one = yield* teller(url, "one")
        yield* until(ended("one"))
        yield* send("CLIENT", "KILL", "TYPE", "pubsub")
        // what began after that came on another connection
        const killed = yield* DateTime.now
        yield* until(({ event }) => event._tag === "RunStarted" && DateTime.isGreaterThan(event.at, killed))
        yield* until(ended("one"))
        one.send("stop")
        yield* until(({ event }) => event._tag === "SchedulerStopped")
        yield* one.gone
      }),
    60_000
  )
})
