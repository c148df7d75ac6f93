/**
 * The ops program under virtual time: real schedule, real store, no real command.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { SqliteTaskStore } from "@punctual/sql/sqlite"
import { DateTime, Effect, FileSystem, Layer, Result } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock, TestConsole } from "effect/testing"
import { TaskScheduler, type TaskStore } from "punctual"
import { TestScheduler } from "punctual/testing"
import { Shell } from "../ops/command.ts"
import * as Crontab from "../ops/crontab.ts"
import * as Program from "../ops/program.ts"

/** Commands are `say <words>`, `fail <code>` and `sleep <seconds>`. */
const ShellTest = Layer.succeed(Shell)({
  run: (command) => {
    const [word = "", ...rest] = command.split(" ")
    const argument = rest.join(" ")
    return word === "sleep"
      ? Effect.as(Effect.sleep(`${Number(argument)} seconds`), { exitCode: 0, output: "slept" })
      : Effect.succeed({ exitCode: word === "fail" ? Number(argument) : 0, output: `first\n${argument}\n` })
  }
})

/** Everything is there except `/down`. */
const HttpTest = Layer.succeed(HttpClient.HttpClient)(
  HttpClient.make((request, url) =>
    Effect.succeed(HttpClientResponse.fromWeb(
      request,
      url.pathname === "/down" ? new Response("no", { status: 503 }) : new Response("fine")
    ))
  )
)

const program = (crontab: ReadonlyArray<string>, store?: Layer.Layer<TaskStore.TaskStore, unknown>) =>
  TestScheduler.layer(
    Program.layer({
      entries: Result.getOrThrow(Crontab.parse(crontab.join("\n"))),
      file: "a.crontab",
      db: "a.db",
      folder: "/work",
      url: "http://127.0.0.1:1",
      zone: DateTime.zoneMakeNamedUnsafe("UTC")
    }),
    { drainTimeout: "10 seconds", store }
  ).pipe(Layer.provide([ShellTest, HttpTest]))

/** What is printed by an effect. */
const printed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const before = (yield* TestConsole.logLines).length
    yield* effect
    return (yield* TestConsole.logLines).slice(before)
  })

const start = TestClock.setTime(Date.UTC(2026, 0, 1, 12))

describe("ops", () => {
  it.effect("says what is scheduled, what happens, and what happened", () =>
    Effect.gen(function*() {
      yield* start
      const lines = yield* printed(
        Effect.gen(function*() {
          yield* TestScheduler.advance("12 seconds")
          yield* TestScheduler.shutdown
        }).pipe(Effect.provide(program([
          "#: id=greet",
          "@every 5s say hello",
          "#: id=broken pauseOnFailure=2",
          "@every 4s fail 3",
          "#: id=slow timeout=3s",
          "@every 6s sleep 5",
          "#: id=long",
          "@every 2s sleep 7",
          "#: id=up",
          "@every 10s GET $OPS_URL/health",
          "#: id=down",
          "@every 11s GET $OPS_URL/down",
          "#: id=first",
          "@reboot say once"
        ])))
      )
      assert.deepStrictEqual(lines, [
        "schedule  a.crontab (7 tasks)",
        "database  a.db",
        "commands  run in /work, with $OPS_URL http://127.0.0.1:1",
        "times     UTC, and it is 12:00:00",
        "before    nothing ran yet",
        "",
        "+ long    every 2 seconds            next at 12:00:02",
        "+ broken  every 4 seconds            next at 12:00:04",
        "+ greet   every 5 seconds            next at 12:00:05",
        "+ slow    every 6 seconds            next at 12:00:06",
        "+ up      every 10 seconds           next at 12:00:10",
        "+ down    every 11 seconds           next at 12:00:11",
        "+ first   when the scheduler starts  now",
        "",
        "12:00:00  ok         first             0 ms late, took 0 ms  once",
        "12:00:04  skipped    long              1 time, 12:00:04: the run before is still at work",
        "12:00:04  FAILED     broken            0 ms late, took 0 ms  exit code 3: 3",
        "12:00:05  ok         greet             0 ms late, took 0 ms  hello",
        "12:00:06  skipped    long              1 time, 12:00:06: the run before is still at work",
        "12:00:08  skipped    long              1 time, 12:00:08: the run before is still at work",
        "12:00:08  FAILED     broken            0 ms late, took 0 ms  exit code 3: 3",
        "12:00:08  paused     broken            paused by 2 failed runs in a row",
        "12:00:09  ok         long              0 ms late, took 7.0 s  slept",
        "12:00:09  TIMED OUT  slow              0 ms late, took 3.0 s  Attempt 1 of task `ops/RunCommand` timed out after 3s",
        "12:00:10  ok         greet             0 ms late, took 0 ms  hello",
        "12:00:10  ok         up                0 ms late, took 0 ms  200 fine",
        "12:00:11  FAILED     down              0 ms late, took 0 ms  status 503: no",
        "12:00:12  skipped    long              1 time, 12:00:12: the run before is still at work",
        "12:00:12  stopping                     no new runs; waits for those at work",
        "12:00:15  TIMED OUT  slow              0 ms late, took 3.0 s  Attempt 1 of task `ops/RunCommand` timed out after 3s",
        "12:00:17  ok         long              0 ms late, took 7.0 s  slept",
        "done after 17 s: 6 succeeded, 4 skipped, 3 failed, 2 timed out"
      ])
    }))

  it.effect("after a restart: tells what was missed, makes up for it, and applies what was edited", () =>
    Effect.gen(function*() {
      const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const store = () => SqliteTaskStore.layer({ filename: `${folder}/ops.db` })
      yield* start
      yield* Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        yield* TestScheduler.advance("25 seconds")
        yield* scheduler.handle("paused").pause("by hand")
      }).pipe(Effect.provide(program([
        "#: id=kept",
        "@every 10s say kept",
        "#: id=edited",
        "@every 10s say before",
        "#: id=moved",
        "@every 10s say moved",
        "#: id=strict misfireGrace=2s",
        "@every 10s say strict",
        "#: id=paused",
        "@every 10s say paused",
        "#: id=removed",
        "@every 10s say removed"
      ], store())))
      yield* TestClock.adjust("10 minutes")
      const lines = yield* printed(
        TestScheduler.advance("10 seconds").pipe(Effect.provide(program([
          "#: id=kept",
          "@every 10s say kept",
          "#: id=edited",
          "@every 10s say after",
          "#: id=moved",
          "@every 7s say moved",
          "#: id=strict misfireGrace=2s",
          "@every 10s say strict",
          "#: id=paused",
          "@every 10s say paused",
          "#: id=new",
          "@every 3s say new"
        ], store())))
      )
      assert.deepStrictEqual(lines.slice(4, 14), [
        "before    the last run ended at 12:00:20, 10 min 5 s ago",
        "",
        "  kept     every 10 seconds  was due at 12:00:30, 9 min 55 s ago",
        "  strict   every 10 seconds  was due at 12:00:30, 9 min 55 s ago",
        "+ new      every 3 seconds   next at 12:10:28",
        "~ edited   every 10 seconds  next at 12:10:30", // another command, the same phase
        "~ moved    every 7 seconds   next at 12:10:32", // another trigger, from now on
        "  paused   every 10 seconds  paused since 12:00:25: by hand",
        "- removed  removed",
        ""
      ])
      // Everything that was due is one of these, and each says why.
      const folded = "59 times while this was not running, 12:00:30 to 12:10:10: one run for all of them"
      assert.sameMembers(lines.slice(14, 21), [
        `12:10:25  coalesced  edited            ${folded}`,
        `12:10:25  coalesced  moved             ${folded}`,
        `12:10:25  coalesced  kept              ${folded}`,
        "12:10:25  missed     strict            60 times while this was not running, 12:00:30 to 12:10:20: " +
        "later than its misfireGrace",
        "12:10:25  ok         kept              5.0 s late (made up for), took 0 ms  kept",
        "12:10:25  ok         edited            5.0 s late (made up for), took 0 ms  after",
        "12:10:25  ok         moved             5.0 s late (made up for), took 0 ms  moved"
      ])
      assert.sameMembers(lines.slice(21), [
        "12:10:28  ok         new               0 ms late, took 0 ms  new",
        "12:10:30  ok         kept              0 ms late, took 0 ms  kept",
        "12:10:30  ok         edited            0 ms late, took 0 ms  after",
        "12:10:30  ok         strict            0 ms late, took 0 ms  strict",
        "12:10:31  ok         new               0 ms late, took 0 ms  new",
        "12:10:32  ok         moved             0 ms late, took 0 ms  moved",
        "12:10:34  ok         new               0 ms late, took 0 ms  new",
        "12:10:35  stopping                     no new runs; waits for those at work",
        "done after 10 s: 10 succeeded, 177 coalesced, 60 missed"
      ])
    }).pipe(Effect.provide(NodeServices.layer)))
})
