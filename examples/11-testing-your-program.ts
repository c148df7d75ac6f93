/**
 * A program to test. Its test is in `test/11-testing-your-program.test.ts`: a month in milliseconds, and no mock of ours.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Schedule, Schema } from "effect"
import { MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

export class BankDown extends Schema.TaggedError<BankDown>()("BankDown", {}) {}

export class Bank extends Context.Service<Bank, {
  readonly pay: (reference: string) => Effect.Effect<void, BankDown>
}>()("examples/Bank") {
  static readonly layer = Layer.succeed(Bank)({ pay: (reference) => Console.log(`paid ${reference}`) })
}

// The run's id is the same for each of its attempts: what the bank needs to pay once.
const PayRent = Task.make("PayRent", {
  error: BankDown,
  retry: { times: 3, schedule: Schedule.spaced("1 hour") }
})

const PayRentLive = PayRent.toLayer(
  Effect.fn("PayRent")(function*(_, run) {
    const bank = yield* Bank
    yield* bank.pay(`rent ${run.id}`)
  })
)

const Monthly = Task.layerScheduled(PayRent, {
  id: "rent",
  trigger: Trigger.cron("0 8 1 * *", { timeZone: "America/New_York" }),
  misfireGrace: "2 days"
})

export const App = Layer.mergeAll(PayRentLive, Monthly)

const Main = TaskScheduler.layer(App).pipe(Layer.provide([Bank.layer, MemoryTaskStore.layer]))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
