/**
 * Runs that share a concurrency key, as the engine runs them: how many at once, who is next, and how soon.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import { InvalidOption } from "../src/SchedulerError.ts"
import * as Task from "../src/Task.ts"
import type { TaskStore } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { clientOf, isolated, now, oneAtATime, overwrite, runsOf, Scheduler, storeOf } from "./support/engine.ts"
import { at } from "./utils.ts"

const SendMail = Task.make("SendMail", {
  payload: { tenant: Schema.String, name: Schema.String },
  concurrencyKey: ({ tenant }) => tenant === "free" ? undefined : tenant
})

/** What is at work: by tenant now and at most, and when each began and ended. */
const atWork = (ms = 10) => {
  const running = new Map<string, number>()
  const most = new Map<string, number>()
  const begun: Array<string> = []
  const ended: Array<number> = []
  const work = ({ name, tenant }: { readonly name: string; readonly tenant: string }) =>
    Effect.gen(function*() {
      const count = (running.get(tenant) ?? 0) + 1
      running.set(tenant, count)
      most.set(tenant, Math.max(most.get(tenant) ?? 0, count))
      begun.push(name)
      yield* Effect.ensuring(
        Effect.sleep(ms),
        Effect.sync(() => running.set(tenant, running.get(tenant)! - 1))
      )
      ended.push((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - at("00:00"))
    })
  return { work, most, begun, ended }
}

const add = (tenant: string, names: ReadonlyArray<string>, options: { readonly priority?: number } = {}) =>
  Effect.flatMap(
    Scheduler,
    (scheduler) =>
      scheduler.addAll(
        names.map((name) =>
          Task.scheduled(SendMail, { id: name, payload: { tenant, name }, trigger: Trigger.now, ...options })
        )
      )
  )

const names = (tenant: string, count: number) => Array.from({ length: count }, (_, i) => `${tenant}-${i}`)

describe("a concurrency key", () => {
  const one = atWork()
  it.effect("with a limit of one: 50 runs of 10 ms take 500 ms, whoever polls and when", () =>
    isolated(
      Effect.gen(function*() {
        yield* add("acme", names("acme", 50))
        yield* TestScheduler.advance("500 millis")
        assert.strictEqual(one.ended.length, 50)
        assert.strictEqual(one.ended[49], 500)
        assert.strictEqual(one.most.get("acme"), 1)
      }),
      TestScheduler.layer(SendMail.toLayer(one.work), { now })
    ))

  const several = atWork()
  it.effect("keeps nobody else waiting: other keys, and runs without one, begin at once", () =>
    isolated(
      Effect.gen(function*() {
        yield* add("acme", names("acme", 20))
        yield* add("beta", names("beta", 5))
        yield* add("free", names("free", 30))
        yield* TestScheduler.advance("50 millis")
        assert.deepStrictEqual([several.most.get("acme"), several.most.get("beta"), several.most.get("free")], [
          1,
          1,
          30
        ])
        assert.strictEqual(several.ended.length, 5 + 5 + 30)
      }),
      TestScheduler.layer(SendMail.toLayer(several.work), { now })
    ))

  const first = atWork()
  it.effect("is served by priority, then in the order they were due", () =>
    isolated(
      Effect.gen(function*() {
        yield* add("acme", ["first"])
        yield* TestScheduler.advance("1 millis")
        yield* add("acme", ["low"], { priority: -1 })
        yield* TestScheduler.advance("1 millis")
        yield* add("acme", ["mid"])
        yield* TestScheduler.advance("1 millis")
        yield* add("acme", ["high"], { priority: 5 })
        yield* add("acme", ["later"])
        yield* TestScheduler.advance("1 second")
        assert.deepStrictEqual(first.begun, ["first", "high", "mid", "later", "low"])
      }),
      TestScheduler.layer(SendMail.toLayer(first.work), { now })
    ))

  const crowded = atWork()
  it.effect("goes on while its executor has room for one run only", () =>
    isolated(
      Effect.gen(function*() {
        yield* add("acme", names("acme", 5))
        yield* add("beta", names("beta", 5))
        yield* TestScheduler.advance("100 millis")
        assert.strictEqual(crowded.ended.length, 10)
      }),
      TestScheduler.layer(SendMail.toLayer(crowded.work), { now, executors: oneAtATime })
    ))

  it.effect("may have a larger limit, for tasks that come due together and were added by another process", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const shared = atWork()
      const Limited = Task.make("SendMail", {
        payload: { tenant: Schema.String, name: Schema.String },
        concurrencyKey: ({ tenant }) => tenant,
        concurrencyLimit: 2
      })
      const client = yield* clientOf(memory)
      yield* client.addAll(
        names("acme", 20).map((name) =>
          Task.scheduled(Limited, { id: name, payload: { tenant: "acme", name }, trigger: Trigger.at(at("00:01")) })
        )
      )
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("1 minute")
          yield* TestScheduler.advance("100 millis")
          assert.strictEqual(shared.most.get("acme"), 2)
          assert.strictEqual(shared.ended.length, 20)
        }),
        TestScheduler.layer(Limited.toLayer(shared.work), { now, store: storeOf(memory) })
      )
    }))

  const Flaky = Task.make("Flaky", {
    payload: { name: Schema.String },
    error: Schema.String,
    concurrencyKey: () => "one",
    retry: { times: 1, schedule: undefined }
  })
  it.effect("is free while a run waits for its retry", () => {
    const begun: Array<string> = []
    return isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* scheduler.add(Flaky, { id: "fails", payload: { name: "fails" } })
        yield* TestScheduler.advance("1 millis")
        yield* scheduler.add(Flaky, { id: "next", payload: { name: "next" } })
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(begun, ["fails", "fails", "next"])
      }),
      TestScheduler.layer(
        Flaky.toLayer(({ name }, run) =>
          Effect.andThen(
            Effect.sync(() => begun.push(name)),
            name === "fails" && run.attempt === 1 ? Effect.fail("once") : Effect.void
          )
        ),
        { now }
      )
    )
  })

  it.effect("is shown with the task and with each run, and follows an update of the payload", () =>
    isolated(
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        const task = yield* scheduler.add(SendMail, {
          id: "a",
          payload: { tenant: "acme", name: "a" },
          trigger: Trigger.at(at("00:01"))
        })
        assert.deepStrictEqual((yield* task.snapshot).concurrency, Option.some({ key: "acme", limit: 1 }))
        const updated = yield* task.update({ payload: { tenant: "beta", name: "a" } })
        assert.deepStrictEqual(updated.concurrency, Option.some({ key: "beta", limit: 1 }))
        yield* TestScheduler.advance("2 minutes")
        const [run] = yield* runsOf("a")
        assert.deepStrictEqual([run!.state, run!.concurrency], ["succeeded", Option.some({ key: "beta", limit: 1 })])
        const free = yield* task.update({ payload: { tenant: "free", name: "a" } })
        assert.deepStrictEqual(free.concurrency, Option.none())
      }),
      TestScheduler.layer(SendMail.toLayer(atWork().work), { now })
    ))

  it.effect("of a new declaration is applied to a task that is declared again, and no other", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = yield* clientOf(memory)
      const payload = { tenant: "acme", name: "a" }
      const Wider = Task.make("SendMail", {
        payload: { tenant: Schema.String, name: Schema.String },
        concurrencyKey: ({ tenant }) => `v2 ${tenant}`,
        concurrencyLimit: 4
      })
      const settings = { payload, trigger: Trigger.at(at("00:01")), onConflict: "update" } as const
      yield* client.add(SendMail, { id: "declared", ...settings })
      yield* client.add(SendMail, { id: "other", ...settings })
      const again = yield* client.add(Wider, { id: "declared", ...settings })
      assert.deepStrictEqual((yield* again.snapshot).concurrency, Option.some({ key: "v2 acme", limit: 4 }))
      assert.deepStrictEqual(
        (yield* client.handle("other").snapshot).concurrency,
        Option.some({ key: "acme", limit: 1 })
      )
      const { declared } = (yield* memory.get(["other"]))[0]!.row
      yield* client.add(SendMail, { id: "other", ...settings })
      assert.strictEqual((yield* memory.get(["other"]))[0]!.row.declared, declared)
    }))
})

describe("what is refused", () => {
  const refusal = (key: unknown, store?: TaskStore["Service"]) =>
    Effect.gen(function*() {
      const client = yield* clientOf(store ?? (yield* MemoryTaskStore.make))
      const Odd = Task.make("Odd", {
        concurrencyKey: () => {
          if (key instanceof Error) throw key
          return key as string
        }
      })
      return yield* Effect.exit(client.add(Odd, { id: "odd" }))
    })

  const failure = <A, E>(exit: Exit.Exit<A, E>): E => {
    assert.isTrue(Exit.isFailure(exit))
    return Option.getOrThrow(Cause.findErrorOption((exit as Exit.Failure<A, E>).cause))
  }

  const odd: ReadonlyArray<readonly [what: string, key: unknown, message: RegExp]> = [
    ["an empty key", "", /answered an empty text/],
    ["a key of 256 characters", "x".repeat(256), /a text of 256 characters/],
    ["a number", 7, /answered a number/],
    ["null", null, /answered a null.*`undefined` says/],
    ["a NUL", "a\0b", /NUL/],
    ["half of a surrogate pair", "a\ud800", /half of a surrogate pair/],
    ["a function that throws", new Error("no tenant"), /`Odd` failed: Error: no tenant/]
  ]
  for (const [what, key, message] of odd) {
    it.effect(`${what}`, () =>
      Effect.gen(function*() {
        const error = failure(yield* refusal(key))
        assert.instanceOf(error, InvalidOption)
        assert.match(error.message, message)
      }))
  }

  for (const key of ["x", "x".repeat(255), "né 😀 \n\t\"'\\", undefined]) {
    it.effect(`not ${JSON.stringify(key)?.slice(0, 20)}`, () =>
      Effect.map(refusal(key), (exit) => assert.isTrue(Exit.isSuccess(exit))))
  }

  it.effect("a key in a store that cannot hold it, not the same task without one", () =>
    Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const store = { ...memory, capabilities: { ...memory.capabilities, concurrencyKeys: false } }
      const error = failure(yield* refusal("k", store))
      assert.instanceOf(error, InvalidOption)
      assert.match(error.message, /memory.*Keep task `Odd` in another/)
      assert.isTrue(Exit.isSuccess(yield* refusal(undefined, store)))
    }))

  it.effect("an update of the payload to one whose key is no key", () =>
    Effect.gen(function*() {
      const client = yield* clientOf(yield* MemoryTaskStore.make)
      const task = yield* client.add(SendMail, { id: "a", payload: { tenant: "acme", name: "a" } })
      const error = failure(yield* Effect.exit(task.update({ payload: { tenant: "", name: "a" } })))
      assert.instanceOf(error, InvalidOption)
      assert.deepStrictEqual((yield* task.snapshot).payload, { tenant: "acme", name: "a" })
    }))

  it.effect("a key of a task that runs at shutdown, added or changed", () =>
    Effect.gen(function*() {
      const client = yield* clientOf(yield* MemoryTaskStore.make)
      const payload = { tenant: "acme", name: "a" }
      const error = failure(
        yield* Effect.exit(client.add(SendMail, { id: "a", payload, trigger: Trigger.shutdown }))
      )
      assert.instanceOf(error, InvalidOption)
      const task = yield* client.add(SendMail, { id: "a", payload })
      assert.instanceOf(failure(yield* Effect.exit(task.reschedule(Trigger.shutdown))), InvalidOption)
    }))
})

describe("a task of startup with a key", () => {
  it.effect("runs once it may", () => {
    const startup = atWork()
    return Effect.gen(function*() {
      const memory = yield* MemoryTaskStore.make
      const client = yield* clientOf(memory)
      yield* client.add(SendMail, { id: "up", payload: { tenant: "acme", name: "up" }, trigger: Trigger.startup })
      yield* overwrite(memory, "up", { concurrencyLimit: 1 })
      yield* isolated(
        Effect.gen(function*() {
          yield* TestScheduler.advance("1 second")
          assert.deepStrictEqual(startup.begun, ["up"])
        }),
        TestScheduler.layer(SendMail.toLayer(startup.work), { now, store: storeOf(memory) })
      )
    })
  })
})
