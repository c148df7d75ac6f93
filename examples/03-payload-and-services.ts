/**
 * A typed payload in, a typed result out, and services as in any Effect program.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, DateTime, Effect, Layer, Schema } from "effect"
import { CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

export class MailError extends Schema.TaggedError<MailError>()("MailError", { customer: Schema.String }) {}

export class Mail extends Context.Service<Mail, {
  readonly digest: (customer: string, day: string) => Effect.Effect<number, MailError>
}>()("examples/Mail") {
  static readonly layer = Layer.succeed(Mail)({
    digest: (customer, day) => Effect.as(Console.log(`digest of ${day} for ${customer}`), 3)
  })
}

// The payload is stored as JSON and checked when it is read: fields, or any schema.
export const SendDigest = Task.make("SendDigest", {
  payload: { customer: Schema.String },
  success: Schema.Struct({ delivered: Schema.Int }),
  error: MailError
})

// What the handler needs is what its layer needs. `CurrentRun` is the run: for which instant, the how manieth attempt.
const SendDigestLive = SendDigest.toLayer(
  Effect.fn("SendDigest")(function*({ customer }) {
    const mail = yield* Mail
    const run = yield* CurrentRun
    return { delivered: yield* mail.digest(customer, DateTime.formatIsoDateUtc(run.scheduledAt)) }
  })
)

// One definition, many copies: each with its own id, payload and times.
const Digests = Layer.mergeAll(
  Task.layerScheduled(SendDigest, {
    id: "digest-acme",
    payload: { customer: "acme" },
    trigger: Trigger.cron("0 9 * * MON-FRI", { timeZone: "Europe/Berlin" })
  }),
  Task.layerScheduled(SendDigest, {
    id: "digest-zenith",
    payload: { customer: "zenith" },
    trigger: Trigger.every("12 hours", { immediately: true })
  })
)

export const App = Layer.mergeAll(SendDigestLive, Digests)

const Main = TaskScheduler.layer(App).pipe(Layer.provide([Mail.layer, MemoryTaskStore.layer]))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
