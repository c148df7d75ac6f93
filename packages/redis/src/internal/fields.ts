/**
 * The order of fields in the arrays that records are stored as. Scripts count from one.
 *
 * @since 0.1.0
 */

/** Of a task: what scripts look at, and what evaluations change. */
export const taskFields = [
  "id",
  "revision",
  "removed",
  "tag",
  "version",
  "executor",
  "priority",
  "owner",
  "onStartup",
  "onShutdown",
  "createdAt",
  "state",
  "cursor",
  "due",
  "nominal",
  "zoneRules",
  "override",
  "epoch",
  "counters",
  "ranges",
  "pausedAt",
  "pauseNote",
  "failures"
] as const

/** Of a task: what only commands change and only clients read. */
export const definitionFields = [
  "name",
  "payload",
  "display",
  "trigger",
  "anchor",
  "policy",
  "labels",
  "declared",
  "trace",
  "updatedAt"
] as const

/** Of a run; `number` is its place in the history of its task, zero while it is open. */
export const runFields = [
  "generation",
  "key",
  "taskId",
  "tag",
  "version",
  "executor",
  "priority",
  "due",
  "nominal",
  "state",
  "held",
  "readyAt",
  "attempt",
  "takeovers",
  "createdAt",
  "owner",
  "token",
  "leaseUntil",
  "startedAt",
  "cancel",
  "endedAt",
  "exit",
  "slots",
  "queues",
  "atMostOnce",
  "number"
] as const

/** Counters are one text: these, as a JSON array of numbers and the flag. */
export const counterFields = ["ran", "missed", "coalesced", "skipped", "paused", "extra", "exact"] as const
