/**
 * Records to fill a store with.
 */
import type { NewRun } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"
import type { Change, NewTask } from "punctual/TaskStore"

/** The instant around which these tests happen. */
export const epoch = Date.UTC(2026, 2, 27)

export const newTask = (id: string, options: Partial<NewTask> = {}): NewTask => ({
  id,
  tag: "Mail",
  version: 1,
  name: "Mail",
  payload: "{\"to\":\"acme\"}",
  display: "{\"to\":\"acme\"}",
  trigger: "{}",
  anchor: epoch,
  onStartup: false,
  onShutdown: false,
  policy: "{}",
  executor: "default",
  priority: 0,
  labels: "{}",
  owner: null,
  declared: null,
  trace: null,
  createdAt: epoch,
  updatedAt: epoch,
  state: "scheduled",
  cursor: epoch - 1,
  due: epoch,
  nominal: epoch,
  zoneRules: null,
  override: null,
  epoch: epoch - 1,
  counters: noCounters,
  ranges: "[]",
  pausedAt: null,
  pauseNote: null,
  failures: 0,
  ...options
})

export const newRun = (key: string, options: Partial<NewRun> = {}): NewRun => ({
  key,
  due: epoch,
  nominal: epoch,
  state: "ready",
  readyAt: epoch,
  slots: 1,
  queues: false,
  atMostOnce: false,
  ...options
})

export const change = (
  row: { readonly id: string; readonly generation: number; readonly revision: number },
  options: Partial<Change> = {}
): Change => ({
  id: row.id,
  generation: row.generation,
  revision: row.revision,
  set: {},
  runs: [],
  now: epoch,
  ...options
})

export const lease = (owner: string, until = epoch + 30_000) => ({ owner, until })

export const slot = { executor: "default", tag: "Mail", version: 1, limit: 100 }
