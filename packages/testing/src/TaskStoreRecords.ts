/**
 * Records to test a store with: a test says what it is about, the rest is filled in.
 *
 * @since 0.1.0
 */
import type { ArrivingRun } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"
import type { Change, NewTask, Seen } from "punctual/TaskStore"

/**
 * A task of the tag `Work`, added at `now`, that is never due by itself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const newTask = (id: string, now: number, fields: Partial<NewTask> = {}): NewTask => ({
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
  concurrencyKey: null,
  concurrencyLimit: 1,
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

/**
 * A ready run of the occurrence at `due`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const newRun = (due: number, fields: Partial<ArrivingRun> = {}): ArrivingRun => ({
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

/**
 * A change of a row as it was read, which sets nothing and touches no run.
 *
 * @category constructors
 * @since 0.1.0
 */
export const change = (
  row: Pick<Change, "id" | "generation" | "revision"> & Partial<Seen>,
  now: number,
  fields: Partial<Change> = {}
): Change => ({
  id: row.id,
  generation: row.generation,
  revision: row.revision,
  ...seen(row),
  set: {},
  runs: [],
  now,
  ...fields
})

/** As the engine tells it, of a whole row. */
const seen = (row: Partial<Seen>): Pick<Change, "seen"> => {
  const { concurrencyKey, due, executor, priority, tag, version } = row
  return tag === undefined || version === undefined || executor === undefined || priority === undefined ||
      concurrencyKey === undefined || due === undefined
    ? {}
    : { seen: { tag, version, executor, priority, concurrencyKey, due } }
}
