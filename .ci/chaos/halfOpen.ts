/**
 * What a scheduler must keep over a network that breaks: tests of a store on a server, behind a proxy.
 *
 *     halfOpen("postgres", url, (url, prefix) => PostgresTaskStore.layer({ url, prefix }))
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { CurrentRun } from "punctual/CurrentRun"
import type { SchedulerEvent } from "punctual/SchedulerEvent"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as TaskSchedulerClient from "punctual/TaskSchedulerClient"
import { TaskStore, type TaskStoreError, type Wake } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import * as Proxy from "./proxy.ts"

/**
 * Within what time a scheduler has done the next run after its connections have died: a call is given up after
 * `storeTimeout` (1 s here), a commit after 10 s, drivers let go of their connection within 5 s more, the server of what a
 * lost client has locked after 10 s. The rest is a busy machine.
 */
const bound = "45 seconds"

export const halfOpen = (
  name: string,
  url: string,
  layer: (url: string, prefix: string) => Layer.Layer<TaskStore, TaskStoreError>
): void => {
  const proxied = Effect.gen(function*() {
    const proxy = yield* Effect.acquireRelease(
      Effect.promise(() => Proxy.start(Number(new URL(url).port))),
      (proxy) => Effect.promise(proxy.close)
    )
    const through = new URL(url)
    through.port = String(proxy.port)
    const prefix = `t${crypto.randomUUID().slice(0, 8)}`
    return {
      proxy,
      /** The store, as the tested see it. */
      through: Layer.fresh(layer(through.href, prefix)),
      /** And as others do. */
      direct: Layer.fresh(layer(url, prefix))
    }
  })

  /** Without the warnings of connections that are meant to break. */
  const quiet = Effect.provideService(References.MinimumLogLevel, "None")

  // side by side: most of the time they wait
  describe.concurrent(`${name}, when its connections die without being closed`, () => {
    for (const lost of ["both", "requests", "replies"] as const) {
      it.live(
        `in ${lost === "both" ? "both directions" : `its ${lost}`}: a scheduler comes back, and all adds up`,
        () =>
          Effect.gen(function*() {
            const { direct, proxy, through } = yield* proxied
            const begun: Array<string> = []
            const handler = Effect.gen(function*() {
              const run = yield* CurrentRun
              begun.push(`${run.taskId} ${run.id}`)
            })
            const Once = Task.make("Once", { delivery: "atMostOnce" })
            const Again = Task.make("Again")
            const events = yield* Queue.unbounded<SchedulerEvent>()
            const App = Layer.mergeAll(
              Once.toLayer(() => handler),
              Again.toLayer(() => handler),
              Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
                Effect.gen(function*() {
                  yield* Effect.forkScoped(
                    Stream.runForEach(scheduler.events, (event) => Queue.offer(events, event)),
                    { startImmediately: true }
                  )
                  yield* scheduler.addAll([
                    Task.scheduled(Once, { id: "once", trigger: Trigger.every("100 millis") }),
                    Task.scheduled(Again, { id: "again", trigger: Trigger.every("100 millis") })
                  ])
                })
              ))
            )
            const until = (found: (event: SchedulerEvent) => boolean) =>
              Effect.repeat(Queue.take(events), { until: found })
            const Scheduler = TaskScheduler.layer(App, {
              storeTimeout: "1 second",
              lease: "6 seconds",
              drainTimeout: "5 seconds",
              retention: { runs: 10_000 }
            }).pipe(Layer.provide(through))
            yield* Effect.scoped(Effect.gen(function*() {
              yield* Layer.build(Scheduler)
              yield* until((event) => event._tag === "RunEnded")
              assert.isAbove(proxy.freeze(lost), 0)
              yield* until((event) => event._tag === "StoreUnavailable")
              const back = Effect.gen(function*() {
                const recovered = yield* until((event) => event._tag === "StoreRecovered")
                for (const id of ["once", "again"]) {
                  yield* until((event) =>
                    event._tag === "RunEnded" && event.run.taskId === id && event.run.state === "succeeded" &&
                    event.run.dueAt.epochMilliseconds > recovered.at.epochMilliseconds
                  )
                }
              })
              yield* Effect.timeout(back, bound)
            }))

            const store = Context.get(yield* Layer.build(direct), TaskStore)
            const { items: rows } = yield* store.list({ sort: "id", descending: false, limit: 10 })
            const { items: runs } = yield* store.runs({ limit: 10_000 })
            assert.deepStrictEqual(rows.map((row) => row.id), ["again", "once"])
            for (const row of rows) {
              const { coalesced, missed, paused, ran, skipped } = row.counters
              const trigger = Trigger.bind(Trigger.every("100 millis"), { anchor: row.anchor, seed: row.id })
              const expected = trigger.countBetween(row.epoch, row.cursor, 1_000_000).count
              assert.strictEqual(ran + missed + coalesced + skipped + paused, expected, `the outcomes of ${row.id}`)
              const mine = runs.filter((run) => run.taskId === row.id)
              assert.strictEqual(mine.length, ran, `the runs of ${row.id}`)
              assert.isTrue(
                mine.every((run) =>
                  begun.includes(`${row.id} ${run.generation}:${run.key}`) || run.state !== "succeeded"
                )
              )
            }
            const once = begun.filter((run) => run.startsWith("once"))
            assert.strictEqual(new Set(once).size, once.length, "begun at most once")
          }).pipe(quiet),
        60_000
      )
    }

    it.live("a listener hears again what others change", () =>
      Effect.gen(function*() {
        const { direct, proxy, through } = yield* proxied
        const wakes = yield* Queue.unbounded<Wake>()
        const listening = Context.get(yield* Layer.build(through), TaskStore)
        yield* listening.listen((wake) => void Queue.offerUnsafe(wakes, wake))
        const client = Context.get(
          yield* Layer.build(TaskSchedulerClient.layer().pipe(Layer.provide(direct))),
          TaskSchedulerClient.TaskSchedulerClient
        )
        const add = client.add(Task.make("Once"), { trigger: Trigger.now })
        /** Who has read all there is is woken by the next of it. */
        const read = listening.due({ now: Date.UTC(2100), limit: 10, reader: "reader", zoneRules: "" }).pipe(
          Effect.retry({ while: (error) => error.retryable })
        )
        yield* add
        yield* Queue.take(wakes)
        yield* read
        assert.isAbove(proxy.freeze("both"), 0)
        yield* add
        yield* Effect.timeout(Queue.take(wakes), bound)
        // that was what it missed; this is what it hears
        yield* Effect.timeout(read, bound)
        yield* Queue.clear(wakes)
        yield* add
        yield* Effect.timeout(Queue.take(wakes), bound)
      }).pipe(quiet), 120_000)
  })
}
