/** Records as short as tests like them. */
import type { NewRun, RunRow } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"
import type { Change, NewTask, Settlement, Slot } from "punctual/TaskStore"

export const now = 1_800_000_000_000

export const newTask = (id: string, fields: Partial<NewTask> = {}): NewTask => ({
  id,
  tag: "Work",
  version: 1,
  name: "Work",
  payload: "{}",
  display: "{}",
  trigger: "{\"_tag\":\"Never\"}",
  anchor: now,
  onStartup: false,
  onShutdown: false,
  policy: "{}",
  executor: "default",
  priority: 0,
  labels: "{}",
  owner: null,
  declared: null,
  trace: null,
  createdAt: now,
  updatedAt: now,
  state: "scheduled",
  cursor: now - 1,
  due: null,
  nominal: null,
  zoneRules: null,
  override: null,
  epoch: now - 1,
  counters: noCounters,
  ranges: "[]",
  pausedAt: null,
  pauseNote: null,
  failures: 0,
  ...fields
})

export const newRun = (due: number, fields: Partial<NewRun> = {}): NewRun => ({
  key: String(due),
  due,
  nominal: due,
  state: "ready",
  readyAt: due,
  slots: 1,
  queues: false,
  atMostOnce: false,
  ...fields
})

export const slot: Slot = { executor: "default", tag: "Work", version: 1, limit: 1000 }

export const claimOf = (owner: string, fields: { readonly now?: number; readonly limit?: number } = {}) => {
  const at = fields.now ?? now + 1000
  return { now: at, lease: { owner, until: at + 100 }, slots: [slot], limit: fields.limit ?? 1000, reader: "reader" }
}

export const end = (run: RunRow, fields: Partial<Settlement> = {}): Settlement => ({
  generation: run.generation,
  key: run.key,
  token: run.token ?? -1,
  owner: run.owner ?? "nobody",
  now: now + 1000,
  result: { _tag: "End", state: "succeeded", exit: "\"ok\"" },
  ...fields
})

export const change = (
  row: { readonly id: string; readonly generation: number; readonly revision: number },
  set: Change["set"],
  runs: Change["runs"] = [],
  fields: Partial<Change> = {}
): Change => ({
  id: row.id,
  generation: row.generation,
  revision: row.revision,
  set,
  runs,
  now,
  ...fields
})
