/**
 * Handlers in other processes, for real.
 */
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as ProcessExecutor from "../src/ProcessExecutor.ts"

const suiteModule = new URL("./fixtures/suite.worker.ts", import.meta.url)

ExecutorSuite.suite("processes", ProcessExecutor.layer({ module: suiteModule, max: 2, execArgv: [] }), {
  capabilities: { inProcess: false, supervises: true }
})
