import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { codecOf } from "../src/internal/taskCodec.ts"
import * as Task from "../src/Task.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import { Scheduler } from "./support/engine.ts"
import { hourly, start } from "./utils.ts"

const canary = "correct-horse"

class Denied extends Schema.TaggedError<Denied>()("Denied", {
  token: Schema.Redacted(Schema.String),
  user: Schema.String
}) {}

const Login = Task.make("Login", {
  payload: { user: Schema.String },
  success: Schema.Struct({ session: Schema.Redacted(Schema.String), user: Schema.String }),
  error: Denied
})

const LoginLive = Login.toLayer(({ user }) =>
  user === "mallory"
    ? Effect.fail(new Denied({ token: Redacted.make(canary), user }))
    : user === "nobody"
    ? Effect.die(new Error("there is no such user"))
    : Effect.succeed({ session: Redacted.make(canary), user })
)

const program = <A, E>(test: Effect.Effect<A, E, Effect.Services<typeof Scheduler> | TestScheduler.TestScheduler>) =>
  Effect.provide(
    test,
    TestScheduler.layer(
      Layer.mergeAll(
        LoginLive,
        ...["ann", "mallory", "nobody"].map((user) =>
          Task.layerScheduled(Login, { id: user, payload: { user }, trigger: hourly })
        ) as [ReturnType<typeof Task.layerScheduled<typeof Login>>]
      ),
      { now: start }
    )
  )

describe("secrets in results and errors", () => {
  it.effect("are masked in whatever people see of a run", () =>
    program(Effect.gen(function*() {
      const runs = yield* TestScheduler.advance("1 hour")
      const shown = Object.fromEntries(runs.map(({ exit, taskId }) => [taskId, Option.getOrThrow(exit)]))
      assert.deepStrictEqual(shown["ann"], { _tag: "Success", value: { session: "<redacted>", user: "ann" } })
      assert.deepStrictEqual(shown["mallory"], {
        _tag: "Failure",
        cause: [{ _tag: "Fail", error: { _tag: "Denied", token: "<redacted>", user: "mallory" } }]
      })
      const listed = yield* (yield* Scheduler).runs()
      const events = yield* TestScheduler.events
      assert.include(JSON.stringify([listed, events]), "<redacted>")
      assert.notInclude(JSON.stringify([runs, listed, events]), canary)
    })))

  it.effect("are in the values that the program decodes", () =>
    program(Effect.gen(function*() {
      yield* TestScheduler.advance("1 hour")
      const scheduler = yield* Scheduler
      const { items } = yield* scheduler.runs()
      const exits = new Map<string, Exit.Exit<Task.Success<typeof Login>, Denied>>()
      for (const run of items) exits.set(run.taskId, Option.getOrThrow(yield* Task.decodeExit(Login, run)))
      const ann = exits.get("ann")!
      assert.isTrue(Exit.isSuccess(ann) && Redacted.value(ann.value.session) === canary)
      const mallory = exits.get("mallory")!
      const error = Option.getOrUndefined(Exit.findErrorOption(mallory))
      assert.strictEqual(error === undefined ? undefined : Redacted.value(error.token), canary)
      assert.isTrue(Exit.hasDies(exits.get("nobody")!))
      const run = yield* scheduler.handle("ann", { task: Login }).runNow()
      yield* TestScheduler.settle
      assert.strictEqual(Redacted.value((yield* run.await).session), canary)
    })))

  it.effect("are not repeated by what is wrong with a stored text", () =>
    Effect.gen(function*() {
      const Secret = Task.make("Secret", {
        payload: Schema.Redacted(Schema.String),
        success: Schema.Redacted(Schema.String)
      })
      const cut = `"${canary}`
      assert.strictEqual(yield* Effect.flip(codecOf(Secret).decodePayload(cut, 1)), "not JSON")
      assert.strictEqual((yield* Effect.flip(codecOf(Secret).decodeExit(cut))).issue, "not JSON")
      assert.match(yield* Effect.flip(codecOf(Login).decodePayload(cut, 1)), /^not JSON: ./)
    }))

  it.effect("are not made up from a copy of what people see", () =>
    program(Effect.gen(function*() {
      const [run] = yield* TestScheduler.advance("1 hour")
      const copy = { exit: Option.some(JSON.parse(JSON.stringify(Option.getOrThrow(run!.exit)))) }
      const error = yield* Effect.flip(Task.decodeExit(Login, copy))
      assert.strictEqual(
        error.message,
        "The stored exit of a run of task `Login` does not fit its schemas. Its secrets are masked: decode the `exit` of " +
          "the RunInfo itself"
      )
    })))
})
