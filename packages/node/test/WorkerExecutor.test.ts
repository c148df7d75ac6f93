/**
 * Handlers in other threads, for real.
 */
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as WorkerExecutor from "../src/WorkerExecutor.ts"

const suiteModule = new URL("./fixtures/suite.worker.ts", import.meta.url)

ExecutorSuite.suite("threads", WorkerExecutor.layer({ module: suiteModule, max: 2, execArgv: [] }), {
  capabilities: { inProcess: false, supervises: true }
})
