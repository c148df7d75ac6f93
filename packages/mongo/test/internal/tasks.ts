/** Records as short as tests like them. */
import * as Records from "@punctual/testing/TaskStoreRecords"
import type { RunRow } from "punctual/TaskRecord"
import type { Change, NewTask, Settlement, Slot } from "punctual/TaskStore"

export const now = 1_800_000_000_000

export const newTask = (id: string, fields: Partial<NewTask> = {}): NewTask => Records.newTask(id, now, fields)

export const newRun = Records.newRun

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
  row: Parameters<typeof Records.change>[0],
  set: Change["set"],
  runs: Change["runs"] = [],
  fields: Partial<Change> = {}
): Change => Records.change(row, now, { set, runs, ...fields })
