/**
 * A program simulated: processes that crash, answers that are lost, clocks that are wrong; and the rent is paid once.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer } from "effect"
import { Task, Trigger } from "punctual"
import { Simulation } from "punctual/testing"

/** Outside of every process: what it has taken stays taken, whoever crashes. */
export class Bank extends Context.Service<Bank, {
  readonly pay: (reference: string) => Effect.Effect<void>
  readonly payments: () => ReadonlyArray<string>
}>()("examples/SimulatedBank") {
  /** Takes the same reference once. */
  static readonly layer = Layer.sync(Bank)(() => {
    const payments = new Set<string>()
    return {
      pay: (reference) => Effect.sync(() => void payments.add(reference)),
      payments: () => [...payments]
    }
  })
}

const PayRent = Task.make("PayRent")

/** The receipt takes a while, in which anything may happen: then the run is begun again. */
export const program = (reference: (run: { readonly id: string; readonly attempt: number }) => string) =>
  Layer.mergeAll(
    PayRent.toLayer(
      Effect.fn("PayRent")(function*(_, run) {
        const bank = yield* Bank
        yield* bank.pay(reference(run))
        yield* Effect.sleep("2 seconds")
      })
    ),
    Task.layerScheduled(PayRent, {
      id: "rent",
      trigger: Trigger.at("2026-01-01T00:00:10Z"),
      onConflict: "keep"
    })
  )

export const App = program((run) => run.id)

export const simulate = (app: typeof App, seeds: number) =>
  Simulation.run(app, {
    seeds,
    duration: "20 seconds",
    operations: [], // nobody asks for a second payment
    outside: Bank.layer,
    invariant: (_, outside) => {
      const payments = Context.get(outside, Bank).payments()
      return payments.length === 1 ? [] : [`paid ${payments.length} times: ${payments.join(", ")}`]
    }
  })

const Main = Effect.flatMap(
  simulate(App, 100),
  ({ attempts, faults, seeds }) =>
    Console.log(`${seeds} simulations, ${faults} faults, ${attempts} attempts: the rent was paid once in each`)
)
if (import.meta.main) NodeRuntime.runMain(Main)
