/**
 * Handlers in other threads, for real.
 */
import * as ExecutorSuite from "@punctual/testing/ExecutorSuite"
import * as WorkerExecutor from "../src/WorkerExecutor.ts"

const layer = (grace: "1 minute" | "200 millis") =>
  WorkerExecutor.layer({
    module: new URL("./fixtures/suite.worker.ts", import.meta.url),
    max: 2,
    grace,
    execArgv: []
  })

ExecutorSuite.suite("threads", layer("1 minute"), {
  capabilities: { inProcess: false, supervises: true, isolates: true, stopsComputing: true },
  impatient: layer("200 millis")
})
