import { assert, describe, it } from "@effect/vitest"
import { makeRecord } from "@punctual/testing/ExecutorSuite"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as options from "../src/internal/options.ts"
import { decodeExit, encodePayload } from "../src/internal/taskCodec.ts"
import * as Task from "../src/Task.ts"
import * as TaskRegistry from "../src/TaskRegistry.ts"
import * as TaskRunner from "../src/TaskRunner.ts"
import * as Trigger from "../src/Trigger.ts"

const registryLayer = Layer.effect(TaskRegistry.TaskRegistry)(TaskRegistry.make("test"))

describe("Task.make", () => {
  it("needs nothing but a tag", () => {
    const task = Task.make("Cleanup")
    assert.deepInclude(task, {
      tag: "Cleanup",
      name: "Cleanup",
      version: 1,
      payload: Schema.Void,
      success: Schema.Void,
      error: Schema.Never,
      trigger: undefined,
      executor: undefined,
      priority: undefined,
      retry: undefined
    })
    assert.deepStrictEqual(task.policy, {})
    assert.isTrue(Task.isTask(task))
    assert.isFalse(Task.isTask({ tag: "Cleanup" }))
  })

  it("keeps what it is given", () => {
    const trigger = Trigger.every("1 hour")
    const task = Task.make("Digest", {
      payload: { customer: Schema.String },
      name: "Daily digest",
      version: 3,
      executor: "slow",
      priority: -2,
      labels: { team: "growth" },
      trigger,
      misfireGrace: "5 minutes",
      timeout: "30 seconds",
      retry: { times: 0 }
    })
    assert.deepInclude(task, { name: "Daily digest", version: 3, executor: "slow", priority: -2, trigger })
    assert.deepStrictEqual(task.policy, { misfireGrace: "5 minutes", timeout: "30 seconds" })
    assert.deepStrictEqual(task.labels, { team: "growth" })
    assert.deepStrictEqual(task.retry, { times: 0 })
  })

  it("takes any schema as payload", () => {
    assert.strictEqual(Task.make("Numbers", { payload: Schema.Array(Schema.Int) }).payload.ast._tag, "Arrays")
  })

  const refused: ReadonlyArray<readonly [title: string, make: () => unknown, reason: RegExp]> = [
    ["an empty tag", () => Task.make(""), /tag/],
    ["a blank tag", () => Task.make("  "), /tag/],
    [
      "an unknown option, with the one that was meant",
      () => Task.make("T", { misfireGrase: "5 minutes" } as never),
      /unknown option `misfireGrase` of Task\.make, did you mean `misfireGrace`\?/
    ],
    [
      "an unknown option far from all others",
      () => Task.make("T", { colour: "red" } as never),
      /known options: payload/
    ],
    [
      "an option of retry",
      () => Task.make("T", { retry: { time: 3 } as never }),
      /`time` of retry, did you mean `times`/
    ],
    ["a policy out of bounds", () => Task.make("T", { maxInstances: 0 }), /maxInstances/],
    ["a policy that is no policy", () => Task.make("T", { coalesce: "all" as never }), /coalesce/],
    ["a version below 1", () => Task.make("T", { version: 0 }), /version/],
    ["half a version", () => Task.make("T", { version: 1.5 }), /version/],
    ["a priority that is no integer", () => Task.make("T", { priority: 0.5 }), /priority/],
    ["an empty executor", () => Task.make("T", { executor: "" }), /executor/],
    ["half a retry", () => Task.make("T", { retry: { times: 2.5 } }), /retry\.times/],
    ["retries below none", () => Task.make("T", { retry: { times: -1 } }), /retry\.times/],
    ["retries without end", () => Task.make("T", { retry: { times: Infinity } }), /retry\.times/],
    ["a retry that says nothing", () => Task.make("T", { retry: {} }), /for ever/],
    [
      "a retry of what may never be started again",
      () => Task.make("T", { delivery: "atMostOnce", retry: { times: 1 } }),
      /atMostOnce/
    ]
  ]
  for (const [title, make, reason] of refused) {
    it(`refuses ${title}`, () => {
      try {
        make()
      } catch (error) {
        assert.instanceOf(error, Task.InvalidTask)
        assert.match(error.message, reason)
        return
      }
      assert.fail("accepted")
    })
  }

  it("allows atMostOnce without retry", () => {
    assert.deepStrictEqual(Task.make("T", { delivery: "atMostOnce" }).policy, { delivery: "atMostOnce" })
  })
})

describe("unknown options", () => {
  it("are told apart from known ones", () => {
    assert.isUndefined(options.refuseUnknown({ a: 1 }, ["a", "b"], "x"))
    assert.strictEqual(
      options.refuseUnknown({ Alpha: 1, zeta: 2 }, ["alpha", "beta"], "x"),
      "unknown option `Alpha` of x, did you mean `alpha`?; unknown option `zeta` of x, did you mean `beta`?"
    )
  })

  it("suggests at most two edits away, fewer for short words", () => {
    assert.strictEqual(options.closest("timout", ["timeout", "times"]), "timeout")
    assert.strictEqual(options.closest("TIMEOUT", ["timeout", "times"]), "timeout")
    assert.strictEqual(options.closest("tmoutt", ["timeouts"]), undefined)
    assert.strictEqual(options.closest("ab", ["cd"]), undefined)
    assert.strictEqual(options.closest("x", []), undefined)
  })
})

// -----------------------------------------------------------------------------
// payload
// -----------------------------------------------------------------------------

describe("payloads", () => {
  const stored = (task: Task.Any, input: unknown) =>
    Effect.map(encodePayload(task, input), ({ display, payload }) => ({
      payload: JSON.parse(payload) as unknown,
      display: JSON.parse(display) as unknown
    }))

  it.effect("are stored as JSON, and the same text is shown where nothing is secret", () =>
    Effect.gen(function*() {
      const task = Task.make("T", { payload: { at: Schema.DateTimeUtc, tags: Schema.ReadonlySet(Schema.String) } })
      const { display, payload } = yield* encodePayload(task, {
        at: DateTime.makeUnsafe("2026-03-27T06:00:00Z"),
        tags: new Set(["a", "b"])
      })
      assert.strictEqual(payload, `{"at":"2026-03-27T06:00:00.000Z","tags":["a","b"]}`)
      assert.strictEqual(display, payload)
    }))

  it.effect("may be nothing", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* encodePayload(Task.make("T"), undefined), { payload: "null", display: "null" })
    }))

  it.effect("get their defaults when they are added, not when they run", () =>
    Effect.gen(function*() {
      const task = Task.make("T", {
        payload: {
          customer: Schema.String,
          region: Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("eu"))),
          limit: Schema.optionalKey(Schema.Int).pipe(Schema.withConstructorDefault(Effect.succeed(5)))
        }
      })
      const expected = { customer: "acme", region: "eu", limit: 5 }
      assert.deepStrictEqual(yield* stored(task, { customer: "acme" }), { payload: expected, display: expected })
      assert.deepStrictEqual((yield* stored(task, { customer: "acme", region: "us" })).payload, {
        ...expected,
        region: "us"
      })
    }))

  it.effect("may be instances of a class, or its fields", () =>
    Effect.gen(function*() {
      class Customer extends Schema.Class<Customer>("Customer")({ id: Schema.String }) {}
      const task = Task.make("T", { payload: Customer })
      const expected = { payload: { id: "acme" }, display: { id: "acme" } }
      assert.deepStrictEqual(yield* stored(task, new Customer({ id: "acme" })), expected)
      assert.deepStrictEqual(yield* stored(task, { id: "acme" }), expected)
    }))

  it.effect("that do not fit say which field and what was expected, and never the value", () =>
    Effect.gen(function*() {
      const task = Task.make("T", {
        payload: { customer: Schema.String, address: Schema.Struct({ zip: Schema.NonEmptyString }) }
      })
      const error = yield* Effect.flip(encodePayload(task, { customer: 4711, address: { zip: "" } }))
      assert.instanceOf(error, Task.InvalidPayload)
      assert.strictEqual(error.tag, "T")
      assert.include(error.message, "task `T`")
      assert.include(error.issue, `Expected string at ["customer"]`)
      assert.include(error.issue, `at ["address"]["zip"]`)
      assert.notInclude(error.message, "4711")
    }))

  it.effect("may need services to be encoded", () =>
    Effect.gen(function*() {
      class Key extends Context.Service<Key, string>()("test/Key") {}
      const Sealed = Schema.String.pipe(Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transformEffect({
          decode: (text) => Effect.map(Key, (key) => text.replace(`${key}:`, "")),
          encode: (text) => Effect.map(Key, (key) => `${key}:${text}`)
        })
      ))
      const task = Task.make("T", { payload: { pin: Sealed } })
      const { payload } = yield* encodePayload(task, { pin: "1234" }).pipe(Effect.provideService(Key, "k"))
      assert.strictEqual(payload, `{"pin":"k:1234"}`)
    }))

  it.effect("that a user's transformation dies on die, and do not come back as something else", () =>
    Effect.gen(function*() {
      const Broken = Schema.String.pipe(Schema.decodeTo(
        Schema.String,
        SchemaTransformation.transform({
          decode: (text) => text,
          encode: (): string => {
            throw new Error("broken")
          }
        })
      ))
      const exit = yield* Effect.exit(encodePayload(Task.make("T", { payload: { a: Broken } }), { a: "b" }))
      assert.isTrue(Exit.hasDies(exit))
    }))
})

describe("secrets", () => {
  const secret = Redacted.make("hunter2")
  const Secret = Schema.Redacted(Schema.String)
  interface Tree {
    readonly key: Redacted.Redacted<string>
    readonly children: ReadonlyArray<Tree>
  }
  const Tree = Schema.Struct({
    key: Secret,
    children: Schema.Array(Schema.suspend((): Schema.Codec<Tree, unknown> => Tree as never))
  })
  class Account extends Schema.Class<Account>("Account")({ user: Schema.String, password: Secret }) {}

  const cases: ReadonlyArray<readonly [where: string, payload: Schema.Top, input: unknown, display: unknown]> = [
    ["at the top", Secret, secret, "<redacted>"],
    ["in a field", Schema.Struct({ user: Schema.String, password: Secret }), { user: "ada", password: secret }, {
      user: "ada",
      password: "<redacted>"
    }],
    [
      "encoded from a plain value",
      Schema.Struct({ user: Schema.String, password: Schema.RedactedFromValue(Schema.String) }),
      { user: "ada", password: secret },
      { user: "ada", password: "<redacted>" }
    ],
    ["that are structs", Schema.Struct({ a: Schema.Redacted(Schema.Struct({ b: Schema.String })) }), {
      a: Redacted.make({ b: "hunter2" })
    }, { a: "<redacted>" }],
    [
      "around other secrets",
      Schema.Redacted(Schema.Struct({ user: Schema.String, key: Secret })),
      Redacted.make({ user: "hunter2", key: secret }),
      "<redacted>"
    ],
    ["in an array", Schema.Array(Secret), [secret, secret], ["<redacted>", "<redacted>"]],
    ["in a tuple", Schema.Tuple([Schema.String, Secret]), ["open", secret], ["open", "<redacted>"]],
    [
      "after a variadic part",
      Schema.TupleWithRest(Schema.Tuple([Schema.String]), [Schema.Number, Secret]),
      ["open", 1, 2, secret],
      ["open", "<redacted>", "<redacted>", "<redacted>"]
    ],
    ["in a record", Schema.Record(Schema.String, Secret), { a: secret, __proto__x: secret }, {
      a: "<redacted>",
      __proto__x: "<redacted>"
    }],
    ["in an option", Schema.Struct({ a: Schema.Option(Secret) }), { a: Option.some(secret) }, undefined],
    ["in a map", Schema.ReadonlyMap(Schema.String, Secret), new Map([["a", secret]]), [["a", "<redacted>"]]],
    [
      "in one member of a union",
      Schema.Array(Schema.Union([
        Schema.Struct({ _tag: Schema.Literal("Open"), text: Schema.String }),
        Schema.Struct({ _tag: Schema.Literal("Closed"), key: Secret })
      ])),
      [{ _tag: "Open", text: "hello" }, { _tag: "Closed", key: secret }],
      [{ _tag: "Open", text: "hello" }, { _tag: "Closed", key: "<redacted>" }]
    ],
    ["in a class", Account, new Account({ user: "ada", password: secret }), { user: "ada", password: "<redacted>" }],
    ["in a recursive schema", Tree, { key: secret, children: [{ key: secret, children: [] }] }, {
      key: "<redacted>",
      children: [{ key: "<redacted>", children: [] }]
    }],
    ["in an optional field", Schema.Struct({ a: Schema.optional(Secret), b: Schema.Int }), { a: secret, b: 1 }, {
      a: "<redacted>",
      b: 1
    }],
    [
      "under renamed keys",
      Schema.Struct({ user: Schema.String, password: Secret }).pipe(Schema.encodeKeys({ password: "pw" })),
      { user: "ada", password: secret },
      undefined
    ],
    ["in JSON inside a text", Schema.fromJsonString(Schema.Struct({ a: Schema.RedactedFromValue(Schema.String) })), {
      a: secret
    }, "<redacted>"]
  ]

  for (const [where, payload, input, display] of cases) {
    it.effect(`${where} are stored in clear and never shown`, () =>
      Effect.gen(function*() {
        const encoded = yield* encodePayload(Task.make("T", { payload }), input)
        assert.include(encoded.payload, "hunter2")
        assert.notInclude(encoded.display, "hunter2")
        assert.include(encoded.display, "<redacted>")
        if (display !== undefined) assert.deepStrictEqual(JSON.parse(encoded.display), display)
      }))
  }

  it("of a schema that is defined later are found when first used", () => {
    const task = Task.make("T", { payload: { next: Schema.suspend((): typeof Later => Later) } })
    const Later = Schema.Struct({ key: Secret })
    assert.strictEqual(
      Effect.runSync(encodePayload(task, { next: { key: secret } })).display,
      `{"next":{"key":"<redacted>"}}`
    )
  })
})

// -----------------------------------------------------------------------------
// exits
// -----------------------------------------------------------------------------

describe("stored exits", () => {
  class Refused extends Schema.TaggedError<Refused>()("Refused", { at: Schema.DateTimeUtc }) {}
  const task = Task.make("T", { success: Schema.Struct({ at: Schema.DateTimeUtc }), error: Refused })
  const at = DateTime.makeUnsafe("2026-03-27T06:00:00Z")

  const roundTrip = (handler: Effect.Effect<{ readonly at: DateTime.Utc }, Refused>) =>
    Effect.gen(function*() {
      const registry = yield* TaskRegistry.make("test")
      yield* Layer.build(task.toLayer(() => handler)).pipe(
        Effect.provideService(TaskRegistry.TaskRegistry, registry)
      )
      const result = yield* TaskRunner.run(registry, makeRecord(task, null))
      return yield* decodeExit(task, "exit" in result ? result.exit : "")
    })

  it.effect("read back as values", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* roundTrip(Effect.succeed({ at })), Exit.succeed({ at }))
    }))

  it.effect("read back as typed errors", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* roundTrip(Effect.fail(new Refused({ at }))), Exit.fail(new Refused({ at })))
    }))

  it.effect("read back as defects", () =>
    Effect.gen(function*() {
      const exit = yield* roundTrip(Effect.die(new Error("broken")))
      assert.isTrue(Exit.hasDies(exit))
    }))

  it.effect("that fit no longer are an error", () =>
    Effect.gen(function*() {
      for (const text of ["", "{}", `{"_tag":"Success","value":{"at":1}}`]) {
        const error = yield* Effect.flip(decodeExit(task, text))
        assert.instanceOf(error, Task.UnreadableExit)
        assert.strictEqual(error.tag, "T")
      }
    }))
})

// -----------------------------------------------------------------------------
// handlers
// -----------------------------------------------------------------------------

describe("toLayer", () => {
  const Waits = Task.make("Waits", { version: 4 })

  it.effect("offers the tag as long as it is open", () =>
    Effect.gen(function*() {
      const registry = yield* TaskRegistry.make("test")
      const scope = yield* Scope.make()
      let changes = 0
      yield* registry.onChange(() => changes++)
      yield* Layer.buildWithScope(Waits.toLayer(() => Effect.void), scope).pipe(
        Effect.provideService(TaskRegistry.TaskRegistry, registry)
      )
      assert.deepStrictEqual([...registry.tags], [["Waits", 4]])
      assert.strictEqual(registry.get("Waits")?.task, Waits)
      assert.strictEqual(changes, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([...registry.tags], [])
      assert.isUndefined(registry.get("Waits"))
    }))

  it.effect("stops calling a listener back whose scope has closed", () =>
    Effect.gen(function*() {
      const registry = yield* TaskRegistry.make("test")
      let changes = 0
      const listener = () => changes++
      yield* registry.onChange(listener)
      yield* Effect.scoped(registry.onChange(listener))
      yield* Layer.build(Waits.toLayer(() => Effect.void)).pipe(
        Effect.provideService(TaskRegistry.TaskRegistry, registry)
      )
      assert.strictEqual(changes, 1)
    }))

  it.effect("refuses a second handler of the tag, and takes one after the first has closed", () =>
    Effect.gen(function*() {
      const registry = yield* TaskRegistry.make("worker-1")
      const build = Layer.build(Waits.toLayer(() => Effect.void)).pipe(
        Effect.provideService(TaskRegistry.TaskRegistry, registry)
      )
      const error = yield* Effect.scoped(Effect.andThen(build, Effect.flip(build)))
      assert.deepInclude(error, { _tag: "TaskAlreadyHandled", tag: "Waits", registry: "worker-1" })
      yield* build
      assert.isTrue(registry.tags.has("Waits"))
    }))

  it.effect("is one handler when the same layer is used in two places", () =>
    Effect.gen(function*() {
      const WaitsLive = Waits.toLayer(() => Effect.void)
      const built = yield* Effect.exit(Effect.scoped(
        Layer.build(Layer.mergeAll(WaitsLive, WaitsLive).pipe(Layer.provide(registryLayer)))
      ))
      assert.isTrue(Exit.isSuccess(built))
    }))

  it.effect("builds a handler given as an effect once, in the layer's scope", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const registry = yield* TaskRegistry.make("test")
      const live = Waits.toLayer(Effect.gen(function*() {
        yield* Effect.acquireRelease(
          Effect.sync(() => seen.push("opened")),
          () => Effect.sync(() => seen.push("closed"))
        )
        return () => Effect.sync(() => void seen.push("ran"))
      }))
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(live, scope).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
      yield* TaskRunner.run(registry, makeRecord(Waits, null, { task: { version: 4 } }))
      yield* TaskRunner.run(registry, makeRecord(Waits, null, { task: { version: 4 } }))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(seen, ["opened", "ran", "ran", "closed"])
    }))

  const closing = (options?: Parameters<typeof TaskRegistry.make>[1]) =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const registry = yield* TaskRegistry.make("test", options)
      const scope = yield* Scope.make()
      const live = Waits.toLayer(() => Effect.andThen(Deferred.await(gate), Effect.sync(() => void seen.push("ran"))))
        .pipe(
          Layer.provide(Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => seen.push("services closed")))))
        )
      yield* Layer.buildWithScope(live, scope).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
      const run = yield* Effect.forkChild(TaskRunner.run(registry, makeRecord(Waits, null)))
      yield* Effect.yieldNow
      const close = yield* Effect.forkChild(
        Effect.andThen(Scope.close(scope, Exit.void), Effect.sync(() => seen.push("closed")))
      )
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      return { seen, gate, registry, run, close }
    })

  it.effect("closes its services after its runs have ended", () =>
    Effect.gen(function*() {
      const { close, gate, registry, run, seen } = yield* closing()
      assert.isFalse(registry.tags.has("Waits"))
      assert.deepStrictEqual(seen, [])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(close)
      assert.strictEqual((yield* Fiber.join(run))._tag, "Succeeded")
      assert.deepStrictEqual(seen, ["ran", "services closed", "closed"])
    }))

  it.effect("waits for all of its runs", () =>
    Effect.gen(function*() {
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const registry = yield* TaskRegistry.make("test")
      const scope = yield* Scope.make()
      const live = Waits.toLayer((_, run) => Deferred.await(gates[run.attempt - 1]!))
      yield* Layer.buildWithScope(live, scope).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
      for (const attempt of [1, 2]) {
        yield* Effect.forkChild(TaskRunner.run(registry, makeRecord(Waits, null, { run: { attempt } })))
      }
      yield* Effect.yieldNow
      const close = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gates[0]!, undefined)
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.isUndefined(close.pollUnsafe())
      yield* Deferred.succeed(gates[1]!, undefined)
      yield* Fiber.join(close)
    }))

  it.effect("closes its services after an interrupted run has ended", () =>
    Effect.gen(function*() {
      const { close, run, seen } = yield* closing()
      yield* Fiber.interrupt(run)
      yield* Fiber.join(close)
      assert.deepStrictEqual(seen, ["services closed", "closed"])
    }))

  it.effect("waits for its runs no longer than it was told", () =>
    Effect.gen(function*() {
      const messages: Array<unknown> = []
      const logger = Logger.make(({ message }) => messages.push(message))
      yield* Effect.gen(function*() {
        const { close, seen } = yield* closing({ drainTimeout: "5 seconds" })
        yield* TestClock.adjust("4999 millis")
        assert.deepStrictEqual(seen, [])
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(close)
        assert.deepStrictEqual(seen, ["services closed", "closed"])
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.include(String(messages[0]), "Task `Waits`: 1 run(s) did not end within 5s")
    }))

  it.effect("a run that closes its own handler does not wait for itself", () =>
    Effect.gen(function*() {
      const registry = yield* TaskRegistry.make("test")
      const scope = yield* Scope.make()
      const live = Waits.toLayer(() => Scope.close(scope, Exit.void))
      yield* Layer.buildWithScope(live, scope).pipe(Effect.provideService(TaskRegistry.TaskRegistry, registry))
      const result = yield* TaskRunner.run(registry, makeRecord(Waits, null))
      assert.strictEqual(result._tag, "Succeeded")
      assert.isFalse(registry.tags.has("Waits"))
    }))

  it.effect("refuses a schema that has no JSON form before anything runs", () =>
    Effect.gen(function*() {
      const task = Task.make("T", { payload: Schema.Struct({ [Symbol.for("a")]: Schema.String }) })
      const exit = yield* Effect.exit(Effect.scoped(
        Layer.build(task.toLayer(() => Effect.void).pipe(Layer.provide(registryLayer)))
      ))
      assert.isTrue(Exit.hasDies(exit))
    }))

  it.effect("retries say so in their types only: nothing is retried here", () =>
    Effect.gen(function*() {
      let runs = 0
      const task = Task.make("Once", {
        error: Schema.String,
        retry: { times: 3, schedule: Schedule.spaced("1 second") }
      })
      const registry = yield* TaskRegistry.make("test")
      yield* Layer.build(task.toLayer(() => Effect.suspend(() => Effect.fail(`${++runs}`)))).pipe(
        Effect.provideService(TaskRegistry.TaskRegistry, registry)
      )
      const result = yield* TaskRunner.run(registry, makeRecord(task, null))
      assert.deepInclude(result, { _tag: "Failed", retryAfter: 1_000 })
      assert.strictEqual(runs, 1)
    }))
})
