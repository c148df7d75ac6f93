/**
 * Tasks and runs as an engine writes them, for tests that speak with a store directly.
 */
import type { NewRun } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"
import type { NewTask } from "punctual/TaskStore"

export const newRun = (due: number, run: Partial<NewRun> = {}): NewRun => ({
  key: String(due),
  due,
  nominal: due,
  state: "ready",
  readyAt: due,
  slots: 1,
  queues: false,
  atMostOnce: false,
  ...run
})

export const newTask = (id: string, task: Partial<NewTask> = {}): NewTask => ({
  id,
  tag: "Work",
  version: 1,
  name: "Work",
  payload: "{}",
  display: "{}",
  trigger: "{}",
  anchor: 0,
  onStartup: false,
  onShutdown: false,
  policy: "{}",
  executor: "default",
  priority: 0,
  labels: "{}",
  owner: null,
  declared: null,
  trace: null,
  createdAt: 0,
  updatedAt: 0,
  state: "scheduled",
  cursor: 0,
  due: null,
  nominal: null,
  zoneRules: null,
  override: null,
  epoch: 0,
  counters: noCounters,
  ranges: "[]",
  pausedAt: null,
  pauseNote: null,
  failures: 0,
  ...task
})

/** A claim of `Work`, by one owner unless another is given. */
export const claimOf = (now: number, limit: number, owner = "owner") => ({
  now,
  lease: { owner, until: now + 60_000 },
  slots: [{ executor: "default", tag: "Work", version: 1, limit }],
  limit,
  reader: "reader"
})
