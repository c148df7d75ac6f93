import { assert, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Executor from "../src/Executor.ts"
import { InvalidOption } from "../src/SchedulerError.ts"

ExecutorSuite.suite("fibers", Executor.layerFibers({ concurrency: 3 }), {
  capabilities: { inProcess: true, supervises: true }
})

ExecutorSuite.suite("inline", Executor.layerInline, {
  capabilities: { inProcess: true, supervises: false }
})

it("a concurrency that is no positive integer is refused where it is written", () => {
  for (const concurrency of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => Executor.layerFibers({ concurrency }), InvalidOption)
  }
})
