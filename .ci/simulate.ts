/**
 * Ten thousand simulations, in two processes, beside those that `npm test` runs:  node .ci/simulate.ts [seeds] [first]
 *
 * A seed that breaks something is cut down and printed, with the line that replays it.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as Simulation from "../packages/punctual/src/testing/Simulation.ts"
import { App, clocked, keyed, long, options, queueing } from "../packages/punctual/test/support/simulationApp.ts"

const processes = 2
const [seeds = 10_000, first = 2_001, share] = process.argv.slice(2).map(Number)

/** Of a hundred seeds, these many are simulated this way. */
const workloads = [
  { of: 80, options },
  { of: 5, options: clocked },
  { of: 5, options: keyed },
  { of: 5, options: queueing },
  { of: 5, options: long }
]

/** Every second seed, as one process takes them. */
const simulate = Effect.gen(function*() {
  let from = 0
  for (const workload of workloads) {
    const mine = Array.from({ length: seeds }, (_, i) => first + i).filter((seed) =>
      seed % processes === share && seed % 100 >= from && seed % 100 < from + workload.of
    )
    from += workload.of
    const report = yield* Simulation.run(App, { ...workload.options, seeds: mine })
    process.stdout.write(`${JSON.stringify(report)}\n`)
  }
})

if (share !== undefined) {
  const failed = await Effect.runPromise(Effect.match(simulate, {
    onFailure: (error) => error.message,
    onSuccess: () => undefined
  }))
  if (failed !== undefined) {
    process.stderr.write(`${failed}\n`)
    process.exitCode = 1
  }
} else {
  const begun = performance.now()
  const children = Array.from(
    { length: processes },
    (_, i) => spawn(process.execPath, [import.meta.filename, `${seeds}`, `${first}`, `${i}`], { stdio: "inherit" })
  )
  const codes = await Promise.all(
    children.map((child) => new Promise<number>((resolve) => child.on("exit", (code) => resolve(code ?? 1))))
  )
  process.stdout.write(`${seeds} simulations in ${((performance.now() - begun) / 1000).toFixed(1)} s\n`)
  if (codes.some((code) => code !== 0)) process.exitCode = 1
}
