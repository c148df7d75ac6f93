/**
 * Tasks as a store takes them, for what is measured below a scheduler.
 */
import * as Schema from "effect/Schema"
import * as Policy from "punctual/Policy"
import { type NewRun, noCounters } from "punctual/TaskRecord"
import type { NewTask } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"

const everySecond = Schema.encodeSync(Schema.fromJsonString(Trigger.Trigger))(Trigger.every("1 second"))
const policy = Policy.encode(Policy.defaultPolicy)

/** Of `Work`, whose payload is `{ n }`. */
export const taskOf = (id: string, n: number, begin: number, due: number | null): NewTask => ({
  id,
  tag: "Work",
  version: 1,
  name: "Work",
  payload: `{"n":${n}}`,
  display: `{"n":${n}}`,
  trigger: everySecond,
  anchor: begin,
  onStartup: false,
  onShutdown: false,
  policy,
  executor: "default",
  priority: 0,
  concurrencyKey: null,
  concurrencyLimit: 1,
  labels: "{}",
  owner: null,
  declared: null,
  trace: null,
  createdAt: begin,
  updatedAt: begin,
  state: due === null ? "finished" : "scheduled",
  cursor: begin - 1,
  due,
  nominal: due,
  zoneRules: null,
  override: null,
  epoch: begin - 1,
  counters: noCounters,
  ranges: Policy.encodeRanges([]),
  pausedAt: null,
  pauseNote: null,
  failures: 0
})

/** A run which waits for nothing but a worker. */
export const readyRun = (due: number): NewRun => ({
  key: String(due),
  due,
  nominal: due,
  state: "ready",
  readyAt: due,
  slots: 1,
  queues: false,
  atMostOnce: false
})
