import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as Executor from "../src/Executor.ts"

ExecutorSuite.suite("fibers", Executor.layerFibers({ concurrency: 3 }), {
  capabilities: { inProcess: true, supervises: true }
})

ExecutorSuite.suite("inline", Executor.layerInline, {
  capabilities: { inProcess: true, supervises: false }
})
