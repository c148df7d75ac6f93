/**
 * node .ci/counts.ts <file>: what became of the tests, from Vitest's JSON report, as one plain line.
 *
 * A report in which no test passed is a failure: a run that tested nothing proves nothing.
 */
import { readFileSync } from "node:fs"

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error("Which file? node .ci/counts.ts <report of vitest --reporter=json>")
const report = JSON.parse(readFileSync(file, "utf8")) as {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}
const skipped = report.numPendingTests + report.numTodoTests
process.stdout.write(`Tests: ${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped} skipped\n`)
if (report.numPassedTests === 0 || report.numFailedTests > 0) process.exit(1)
