/**
 * Handlers in other processes, for real.
 */
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as ProcessExecutor from "../src/ProcessExecutor.ts"

const layer = (grace: "1 minute" | "200 millis") =>
  ProcessExecutor.layer({
    module: new URL("./fixtures/suite.worker.ts", import.meta.url),
    max: 2,
    grace,
    execArgv: []
  })

ExecutorSuite.suite("processes", layer("1 minute"), {
  capabilities: { inProcess: false, supervises: true, isolates: true, stopsComputing: true },
  impatient: layer("200 millis")
})
