/**
 * A worker of 28-worker-threads: the same tasks and handlers as anywhere, and one line that serves them.
 */
import { TaskWorker } from "@punctual/node"
import { Effect, Layer, Schema } from "effect"
import { Task } from "punctual"

export const Primes = Task.make("Primes", {
  payload: { below: Schema.Int },
  success: Schema.Int,
  executor: "threads"
})

/** Looks for the largest prime. */
export const Largest = Task.make("Largest", { executor: "threads", timeout: "1 second" })

const isPrime = (n: number): boolean => {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
  return n > 1
}

const PrimesLive = Primes.toLayer(({ below }) =>
  Effect.gen(function*() {
    let count = 0
    for (let n = 2; n < below; n++) if (isPrime(n)) count++
    // Logged by the program, with the task, the run and the trace.
    yield* Effect.logDebug(`${count} primes`)
    return count
  })
)

const LargestLive = Largest.toLayer(() =>
  Effect.sync(() => {
    let n = 2
    while (isPrime(n) || n > 0) n++
  })
)

// In the program itself, which imports the definitions from here, this does nothing.
TaskWorker.serve(Layer.mergeAll(PrimesLive, LargestLive))
