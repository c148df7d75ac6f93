/**
 * Tasks and runs as an engine writes them, for tests that speak with a store directly.
 */
import * as Records from "@punctual/testing/TaskStoreRecords"
import type { NewTask } from "punctual/TaskStore"

export const newRun = Records.newRun

export const newTask = (id: string, task: Partial<NewTask> = {}): NewTask => Records.newTask(id, 0, task)

/** A claim of `Work`, by one owner unless another is given. */
export const claimOf = (now: number, limit: number, owner = "owner") => ({
  now,
  lease: { owner, until: now + 60_000 },
  slots: [{ executor: "default", tag: "Work", version: 1, limit }],
  limit,
  reader: "reader"
})
