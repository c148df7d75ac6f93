/**
 * What the compiler says about tasks and their handlers. The checks run when this file is type-checked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { CurrentRun } from "../src/CurrentRun.ts"
import * as Executor from "../src/Executor.ts"
import * as Executors from "../src/Executors.ts"
import * as Task from "../src/Task.ts"
import type { TaskAlreadyHandled, TaskRegistry } from "../src/TaskRegistry.ts"
import type * as TaskStores from "../src/TaskStores.ts"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
const same = <A, B>(_: Equals<A, B>): void => {}

class Mail extends Context.Service<Mail, { readonly send: (to: string) => Effect.Effect<number> }>()("test/Mail") {}
class Templates extends Context.Service<Templates, { readonly name: string }>()("test/Templates") {}
class Key extends Context.Service<Key, string>()("test/Key") {}
class MailError extends Schema.TaggedError<MailError>()("MailError", { retryable: Schema.Boolean }) {}

const Sealed = Schema.String.pipe(Schema.decodeTo(
  Schema.String,
  SchemaTransformation.transformEffect({
    decode: (text) => Effect.as(Key, text),
    encode: (text) => Effect.succeed(text)
  })
))

const SendDigest = Task.make("SendDigest", {
  payload: {
    customer: Schema.String,
    limit: Schema.Int.pipe(Schema.withConstructorDefault(Effect.succeed(10)))
  },
  success: Schema.Struct({ delivered: Schema.Int }),
  error: MailError,
  retry: { times: 5, schedule: Schedule.exponential("1 second"), while: (error) => error.retryable }
})
const Cleanup = Task.make("Cleanup")
const Opens = Task.make("Opens", { payload: { pin: Sealed } })

describe("types", () => {
  it("of a task are those of its schemas", () => {
    same<Task.Tag<typeof SendDigest>, "SendDigest">(true)
    same<Task.Payload<typeof SendDigest>, { readonly customer: string; readonly limit: number }>(true)
    same<Task.PayloadInput<typeof SendDigest>, { readonly customer: string; readonly limit?: number }>(true)
    same<Task.Success<typeof SendDigest>, { readonly delivered: number }>(true)
    same<Task.Error<typeof SendDigest>, MailError>(true)
    same<Task.Handlers<typeof SendDigest | typeof Cleanup>, Task.Handler<"SendDigest" | "Cleanup">>(true)
    same<Task.Payload<typeof Cleanup>, void>(true)
    same<Task.Success<typeof Cleanup>, void>(true)
    same<Task.Error<typeof Cleanup>, never>(true)
    assert.strictEqual(SendDigest.tag, "SendDigest")
  })

  it("of a payload option ask for no argument where there is none to give", () => {
    const add = <P extends Schema.Top>(task: { readonly payload: P }, options: Task.PayloadOption<P>) => [task, options]
    add(Cleanup, {})
    add(SendDigest, { payload: { customer: "acme" } })
    // @ts-expect-error the payload is missing
    add(SendDigest, {})
    // @ts-expect-error a field has another type
    add(SendDigest, { payload: { customer: 1 } })
    // @ts-expect-error a field is unknown
    add(SendDigest, { payload: { customer: "acme", limt: 1 } })
    // @ts-expect-error there is no payload to give
    add(Cleanup, { payload: { customer: "acme" } })
  })

  it("let tasks of all kinds be in one list", () => {
    const tasks: ReadonlyArray<Task.Any> = [SendDigest, Cleanup, Opens]
    const tags = <T extends Task.Any>(tasks: ReadonlyArray<T>): ReadonlyArray<T["tag"]> => tasks.map((task) => task.tag)
    const known: ReadonlyArray<"SendDigest" | "Cleanup"> = tags([SendDigest, Cleanup])
    assert.deepStrictEqual([...known], ["SendDigest", "Cleanup"])
    assert.strictEqual(tasks.length, 3)
  })

  it("refuse options that do not fit", () => {
    // @ts-expect-error misspelled
    assert.throws(() => Task.make("T", { timout: "1 second" }))
    // @ts-expect-error not a policy
    assert.throws(() => Task.make("T", { coalesce: "sometimes" }))
    Task.make("T", {
      error: MailError,
      // @ts-expect-error the error has no such field
      retry: { times: 1, while: (error) => error.transient }
    })
    Task.make("T", {
      error: MailError,
      // @ts-expect-error a predicate has no requirements: a definition has no layer to provide them
      retry: { times: 1, while: () => Effect.as(Mail, true) }
    })
    const asking = Schedule.addDelay(Schedule.spaced("1 second"), () => Effect.as(Mail, "1 second"))
    // @ts-expect-error so has a schedule none
    Task.make("T", { retry: { schedule: asking } })
  })

  it("of a handler follow from the task", () => {
    // @ts-expect-error the result has another type
    SendDigest.toLayer(() => Effect.succeed({ delivered: "all" }))
    // @ts-expect-error the error is not declared
    SendDigest.toLayer(() => Effect.fail("no"))
    // @ts-expect-error the payload has no such field
    SendDigest.toLayer(({ costumer }) => Effect.succeed({ delivered: String(costumer).length }))
    // @ts-expect-error it declares no error
    Cleanup.toLayer(() => Effect.fail(new MailError({ retryable: true })))
    // @ts-expect-error not an effect
    Cleanup.toLayer(() => 1)
  })

  it("of a handler's layer are what is missing", () => {
    const live = SendDigest.toLayer(
      Effect.fn("SendDigest")(function*({ customer, limit }) {
        const mail = yield* Mail
        const run = yield* CurrentRun
        yield* Effect.acquireRelease(Effect.void, () => Effect.void)
        if (run.attempt > limit) return yield* new MailError({ retryable: false })
        return { delivered: yield* mail.send(customer) }
      })
    )
    same<typeof live, Layer.Layer<Task.Handler<"SendDigest">, TaskAlreadyHandled, TaskRegistry | Mail>>(true)

    const plain = SendDigest.toLayer(({ customer }, run) =>
      Effect.succeed({ delivered: customer.length + run.attempt })
    )
    same<typeof plain, Layer.Layer<Task.Handler<"SendDigest">, TaskAlreadyHandled, TaskRegistry>>(true)

    const built = SendDigest.toLayer(Effect.gen(function*() {
      const templates = yield* Templates
      yield* Effect.addFinalizer(() => Effect.void)
      if (templates.name === "") return yield* new MailError({ retryable: false })
      return ({ customer }: { readonly customer: string }) =>
        Mail.use((mail) => Effect.map(mail.send(customer), (delivered) => ({ delivered })))
    }))
    same<
      typeof built,
      Layer.Layer<Task.Handler<"SendDigest">, TaskAlreadyHandled | MailError, TaskRegistry | Mail | Templates>
    >(true)

    const opens = Opens.toLayer(({ pin }) => Effect.log(pin))
    same<typeof opens, Layer.Layer<Task.Handler<"Opens">, TaskAlreadyHandled, TaskRegistry | Key>>(true)

    // A handler may schedule its own task: it is there when it runs.
    const again = Cleanup.toLayer(() => Effect.void as Effect.Effect<void, never, Task.Handler<"Cleanup">>)
    same<typeof again, Layer.Layer<Task.Handler<"Cleanup">, TaskAlreadyHandled, TaskRegistry>>(true)
    const other = Cleanup.toLayer(() => Effect.void as Effect.Effect<void, never, Task.Handler<"SendDigest">>)
    same<
      typeof other,
      Layer.Layer<Task.Handler<"Cleanup">, TaskAlreadyHandled, TaskRegistry | Task.Handler<"SendDigest">>
    >(true)
    assert.isTrue(Layer.isLayer(live))
  })

  it("of executors by alias are those of the entries together", () => {
    const failing = Layer.effect(Executor.Executor)(Effect.andThen(Mail, Effect.fail("down" as const)))
    const layer = Executors.layer({ default: Executor.layerFibers(), slow: failing })
    same<typeof layer, Layer.Layer<Executors.Executors, "down", TaskRegistry | Mail>>(true)
    // @ts-expect-error not an executor
    Executors.layer({ default: Layer.succeed(Key)("k") })
    same<TaskStores.UnknownStore["_tag"], "UnknownStore">(true)
    assert.isTrue(Layer.isLayer(layer))
  })
})
