/**
 * What the texts are that records are stored as: JSON arrays, or the inside of one, that clients write and read as a
 * whole. Where scripts look at something or change it, it has a place of its own.
 *
 * | part of a task | | who changes it |
 * |---|---|---|
 * | `c` its clock | state, cursor, due, nominal, override, counters; after tabs zone rules and ranges | every evaluation, as a whole |
 * | `p` its pause | failures, pausedAt, pauseNote | settlements |
 * | `k` its kind | version, priority, executor, tag; where there is a concurrency key its limit and the key before the executor | commands |
 * | `d` the rest | as `definitionFields` says; a text of its own | commands |
 *
 * | line of a run | |
 * |---|---|
 * | 1 | state, held, queues, token, leaseUntil, startedAt, attempt, takeovers, readyAt, endedAt |
 * | 2 | atMostOnce, slots, due, nominal, createdAt, taskId, key |
 * | 3 | the kind of its task when it became ready |
 * | 4 · 5 · 6 | owner · cancel · exit |
 *
 * @since 0.1.0
 */

/** Counters are numbers one after another, and the flag. */
export const clockFields = [
  "state",
  "cursor",
  "due",
  "nominal",
  "override",
  "counters",
  "zoneRules",
  "ranges"
] as const

export const pauseFields = ["failures", "pausedAt", "pauseNote"] as const

export const kindFields = ["version", "priority", "concurrencyKey", "concurrencyLimit", "executor", "tag"] as const

export const definitionFields = [
  "id",
  "name",
  "payload",
  "display",
  "trigger",
  "anchor",
  "onStartup",
  "onShutdown",
  "policy",
  "labels",
  "owner",
  "declared",
  "trace",
  "createdAt",
  "updatedAt",
  "epoch"
] as const
