/**
 * What fails is tried again, what hangs is interrupted.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { CurrentRun, MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

class Refused extends Schema.TaggedError<Refused>()("Refused", { retryable: Schema.Boolean }) {}

// A retry is a new attempt of the same run. The store keeps the count, so a restart goes on where it was.
const Deliver = Task.make("Deliver", {
  payload: { to: Schema.String },
  success: Schema.String,
  error: Refused,
  retry: { times: 5, schedule: Schedule.exponential("1 second"), while: (error) => error.retryable }
})

const DeliverLive = Deliver.toLayer(
  Effect.fn("Deliver")(function*({ to }) {
    const { attempt } = yield* CurrentRun
    yield* Console.log(`${to}: attempt ${attempt}`)
    if (to === "nowhere") return yield* new Refused({ retryable: false })
    if (attempt < 4) return yield* new Refused({ retryable: true })
    return "delivered"
  })
)

// Each attempt may take a second. Interruption is Effect's: finalizers run, and the run ends `timedOut`.
const Call = Task.make("Call", { timeout: "1 second" })

const CallLive = Call.toLayer(() => Effect.sleep("1 hour").pipe(Effect.onInterrupt(() => Console.log("call: hung up"))))

const Scheduled = Layer.mergeAll(
  Task.layerScheduled(Deliver, { id: "letter", payload: { to: "home" }, trigger: Trigger.now }),
  Task.layerScheduled(Deliver, { id: "lost-letter", payload: { to: "nowhere" }, trigger: Trigger.now }),
  Task.layerScheduled(Call, { id: "call", trigger: Trigger.now })
)

export const App = Layer.mergeAll(DeliverLive, CallLive, Scheduled)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
