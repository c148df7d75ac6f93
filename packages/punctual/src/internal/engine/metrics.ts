/**
 * What the engine counts, under names an operator can chart.
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { TerminalState } from "../../TaskRecord.ts"

const runs = Metric.counter("punctual_runs_total", { description: "Runs that ended, by state", incremental: true })
const occurrences = Metric.counter("punctual_occurrences_total", {
  description: "Occurrences that did not become runs, by outcome",
  incremental: true
})
const attempts = Metric.counter("punctual_attempts_total", { description: "Attempts begun", incremental: true })
const retries = Metric.counter("punctual_retries_total", { description: "Attempts to be repeated", incremental: true })
const postponements = Metric.counter("punctual_postponed_total", {
  description: "Runs given back until their rate limit lets them begin",
  incremental: true
})
const lost = Metric.counter("punctual_leases_lost_total", {
  description: "Runs this scheduler lost to another while executing them",
  incremental: true
})
const running = Metric.gauge("punctual_running", { description: "Runs being executed" })
const lag = Metric.histogram("punctual_run_lag_milliseconds", {
  description: "From the due instant to the start of the first attempt",
  boundaries: Metric.boundariesFromIterable([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 30_000, 60_000, 600_000])
})
const duration = Metric.histogram("punctual_run_duration_milliseconds", {
  description: "From the start of an attempt to its end",
  boundaries: Metric.boundariesFromIterable([1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 60_000, 300_000, 3_600_000])
})

const runsBy: Record<TerminalState, Metric.Metric<number, unknown>> = {
  succeeded: Metric.withAttributes(runs, { state: "succeeded" }),
  failed: Metric.withAttributes(runs, { state: "failed" }),
  cancelled: Metric.withAttributes(runs, { state: "cancelled" }),
  timedOut: Metric.withAttributes(runs, { state: "timedOut" }),
  missed: Metric.withAttributes(runs, { state: "missed" }),
  abandoned: Metric.withAttributes(runs, { state: "abandoned" })
}

const occurrencesBy = {
  missed: Metric.withAttributes(occurrences, { outcome: "missed" }),
  coalesced: Metric.withAttributes(occurrences, { outcome: "coalesced" }),
  skipped: Metric.withAttributes(occurrences, { outcome: "skipped" }),
  paused: Metric.withAttributes(occurrences, { outcome: "paused" })
}

export const ended = (state: TerminalState, context: Context.Context<never>): void =>
  runsBy[state].updateUnsafe(1, context)

export const outcome = (
  kind: keyof typeof occurrencesBy,
  count: number,
  context: Context.Context<never>
): void => {
  if (count > 0) occurrencesBy[kind].updateUnsafe(count, context)
}

export const attempted = (count: number, context: Context.Context<never>): void => attempts.updateUnsafe(count, context)

export const lagged = (millis: number, context: Context.Context<never>): void => lag.updateUnsafe(millis, context)

export const took = (millis: number, context: Context.Context<never>): void => duration.updateUnsafe(millis, context)

export const retried = (context: Context.Context<never>): void => retries.updateUnsafe(1, context)

export const postponed = (context: Context.Context<never>): void => postponements.updateUnsafe(1, context)

export const leaseLost = (context: Context.Context<never>): void => lost.updateUnsafe(1, context)

export const inProgress = (count: number, context: Context.Context<never>): void => running.updateUnsafe(count, context)
