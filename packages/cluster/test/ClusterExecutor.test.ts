import { assert, it } from "@effect/vitest"
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as TestRunner from "effect/cluster/TestRunner"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidOption } from "punctual/SchedulerError"
import * as Task from "punctual/Task"
import * as ClusterExecutor from "../src/ClusterExecutor.ts"

ExecutorSuite.suite(
  "cluster",
  ClusterExecutor.layer({ handles: [Task.make("ExecutorSuite/Doubles")], capacity: 3 }).pipe(
    Layer.provide(
      ClusterExecutor.serve(ExecutorSuite.handlers(ExecutorSuite.logging(Effect.void)), { concurrency: 3 })
    ),
    Layer.provide(TestRunner.layer)
  ),
  {
    capabilities: { inProcess: false, supervises: false, isolates: false, stopsComputing: false },
    skip: [{
      test: "a tag nobody handles is unreadable here",
      reason: "the run waits until a runner handles it, see VirtualTime.test.ts"
    }]
  }
)

it("options that make no sense are refused where they are written", () => {
  const Job = Task.make("Job")
  for (const capacity of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => ClusterExecutor.layer({ handles: [Job], capacity }), InvalidOption)
    assert.throws(() => ClusterExecutor.serve(Layer.empty, { concurrency: capacity }), InvalidOption)
  }
  assert.throws(() => ClusterExecutor.layer({ handles: [] }), InvalidOption)
  const misspelt = { handles: [Job], capactiy: 5 }
  assert.throws(() => ClusterExecutor.layer(misspelt), /did you mean `capacity`/)
  assert.throws(() => ClusterExecutor.serve(Layer.empty, { concurency: 5 } as object), /did you mean `concurrency`/)
  assert.throws(() => ClusterExecutor.layer({ handles: [Job], name: "" }), InvalidOption)
  assert.throws(() => ClusterExecutor.serve(Layer.empty, { drainTimeout: "for ever" as never }), InvalidOption)
  assert.throws(() => ClusterExecutor.serve(Layer.empty, { drainTimeout: Infinity }), InvalidOption)
})
