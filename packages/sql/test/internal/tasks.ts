/**
 * Records to fill a store with.
 */
import * as Records from "@punctual/testing/TaskStoreRecords"
import type { ArrivingRun } from "punctual/TaskRecord"
import type { Change, NewTask } from "punctual/TaskStore"

/** The instant around which these tests happen. */
export const epoch = Date.UTC(2026, 2, 27)

export const newTask = (id: string, options: Partial<NewTask> = {}): NewTask =>
  Records.newTask(id, epoch, {
    tag: "Mail",
    name: "Mail",
    payload: "{\"to\":\"acme\"}",
    display: "{\"to\":\"acme\"}",
    due: epoch,
    nominal: epoch,
    ...options
  })

export const newRun = (key: string, options: Partial<ArrivingRun> = {}): ArrivingRun =>
  Records.newRun(epoch, { key, ...options })

export const change = (row: Parameters<typeof Records.change>[0], options: Partial<Change> = {}): Change =>
  Records.change(row, epoch, options)

export const lease = (owner: string, until = epoch + 30_000) => ({ owner, until })

export const slot = { executor: "default", tag: "Mail", version: 1, limit: 100 }
