/**
 * Rows of tables as records, and back.
 *
 * Cells are checked, not trusted: a database outlives the programs that wrote to it, and people edit them by hand. A row
 * with a cell that cannot be what its column says is `Unreadable` and stops nobody else. JSON texts are copied, never read.
 *
 * @since 0.1.0
 */
import type { Counters, NewRun, RunRow, RunState, StoredState, TaskDefinition, TaskPosition, TaskRow } from "punctual/TaskRecord"
import type { NewTask } from "punctual/TaskStore"
import type { Columns, ColumnType } from "./dialect.ts"

export type Cells = ReadonlyArray<unknown>

/** Thrown by the decoders below and caught per row, by `readable`. */
export class Unreadable {
  readonly reason: string
  constructor(column: string, expected: string, found: unknown) {
    this.reason = `Column ${column}: expected ${expected}, found ${describe(found)}`
  }
}

const describe = (found: unknown): string =>
  found === null || found === undefined
    ? "null"
    : typeof found === "string"
    ? `the text ${JSON.stringify(found.slice(0, 40))}`
    : found instanceof Uint8Array
    ? `${found.length} bytes`
    : `${typeof found} ${String(found)}`

export const readable = <A>(decode: () => A): A | Unreadable => {
  try {
    return decode()
  } catch (error) {
    if (error instanceof Unreadable) return error
    throw error
  }
}

export const int = (cell: unknown, column: string): number => {
  if (typeof cell === "number" && Number.isSafeInteger(cell)) return cell
  if (typeof cell === "bigint") {
    const number = Number(cell)
    if (Number.isSafeInteger(number)) return number
  }
  throw new Unreadable(column, "an integer", cell)
}

const intOrNull = (cell: unknown, column: string): number | null => cell === null ? null : int(cell, column)

export const text = (cell: unknown, column: string): string => {
  if (typeof cell === "string") return cell
  throw new Unreadable(column, "a text", cell)
}

const textOrNull = (cell: unknown, column: string): string | null => cell === null ? null : text(cell, column)

export const flag = (cell: unknown, column: string): boolean => int(cell, column) !== 0

const oneOf = <A extends string>(names: ReadonlySet<string>) => (cell: unknown, column: string): A => {
  if (typeof cell === "string" && names.has(cell)) return cell as A
  throw new Unreadable(column, `one of ${[...names].join(", ")}`, cell)
}

const storedState = oneOf<StoredState>(new Set(["scheduled", "paused", "finished", "onStartup", "onShutdown"]))

export const runState = oneOf<RunState>(
  new Set(["waiting", "ready", "running", "succeeded", "failed", "cancelled", "timedOut", "missed", "abandoned"])
)

// -----------------------------------------------------------------------------
// tasks
// -----------------------------------------------------------------------------

type Encoded = number | string | null

const bit = (flag: boolean): number => flag ? 1 : 0

interface Field<Source> {
  readonly key: keyof Source & string
  readonly columns: Columns
  readonly encode: (source: Source) => ReadonlyArray<Encoded>
}

const field = <Source, K extends keyof Source & string>(
  key: K,
  column: string,
  type: ColumnType,
  encode: (value: Source[K]) => Encoded
): Field<Source> => ({ key, columns: [[column, type]], encode: (source) => [encode(source[key])] })

const same = <A extends Encoded>(value: A): A => value

/** Columns of `task` by the field they hold. */
export const definitionFields: ReadonlyArray<Field<TaskDefinition>> = [
  field<TaskDefinition, "tag">("tag", "tag", "text", same),
  field<TaskDefinition, "version">("version", "version", "int", same),
  field<TaskDefinition, "name">("name", "name", "text", same),
  field<TaskDefinition, "payload">("payload", "payload", "text", same),
  field<TaskDefinition, "display">("display", "display", "text", same),
  field<TaskDefinition, "trigger">("trigger", "rule", "text", same),
  field<TaskDefinition, "anchor">("anchor", "anchor", "int", same),
  field<TaskDefinition, "onStartup">("onStartup", "on_startup", "int", bit),
  field<TaskDefinition, "onShutdown">("onShutdown", "on_shutdown", "int", bit),
  field<TaskDefinition, "policy">("policy", "policy", "text", same),
  field<TaskDefinition, "executor">("executor", "executor", "text", same),
  field<TaskDefinition, "priority">("priority", "priority", "int", same),
  field<TaskDefinition, "labels">("labels", "labels", "text", same),
  field<TaskDefinition, "owner">("owner", "owner", "text", same),
  field<TaskDefinition, "declared">("declared", "declared", "text", same),
  field<TaskDefinition, "createdAt">("createdAt", "created_at", "int", same),
  field<TaskDefinition, "updatedAt">("updatedAt", "updated_at", "int", same)
]

/** Columns of `clock` by the field they hold. */
export const positionFields: ReadonlyArray<Field<TaskPosition>> = [
  field<TaskPosition, "state">("state", "state", "text", same),
  field<TaskPosition, "cursor">("cursor", "position", "int", same),
  field<TaskPosition, "due">("due", "due", "int", same),
  field<TaskPosition, "nominal">("nominal", "nominal", "int", same),
  field<TaskPosition, "epoch">("epoch", "epoch", "int", same),
  {
    key: "counters",
    columns: [
      ["ran", "int"],
      ["missed", "int"],
      ["coalesced", "int"],
      ["skipped", "int"],
      ["paused", "int"],
      ["extra", "int"],
      ["exact", "int"]
    ],
    encode: ({ counters: c }) => [c.ran, c.missed, c.coalesced, c.skipped, c.paused, c.extra, bit(c.exact)]
  },
  field<TaskPosition, "ranges">("ranges", "ranges", "text", same),
  field<TaskPosition, "pausedAt">("pausedAt", "paused_at", "int", same),
  field<TaskPosition, "pauseNote">("pauseNote", "pause_note", "text", same),
  field<TaskPosition, "failures">("failures", "failures", "int", same)
]

export const taskColumns: Columns = [
  ["n", "int"],
  ["id", "text"],
  ...definitionFields.flatMap((field) => field.columns)
]

export const clockColumns: Columns = [
  ["n", "int"],
  ["id", "text"],
  ["revision", "int"],
  ...positionFields.flatMap((field) => field.columns)
]

export const taskCells = (task: NewTask, n: number): Cells => [
  n,
  task.id,
  ...definitionFields.flatMap((field) => field.encode(task))
]

export const clockCells = (task: NewTask, n: number): Cells => [
  n,
  task.id,
  1,
  ...positionFields.flatMap((field) => field.encode(task))
]

const names = (columns: Columns, alias: string): string => columns.map(([name]) => `${alias}.${name}`).join(", ")

/** What `decodeTask` reads: of `t` (task) and `c` (clock). */
export const selectTask = `${names(taskColumns, "t")}, ${names(clockColumns.slice(2), "c")}`

export const taskWidth = taskColumns.length + clockColumns.length - 2

export const decodeTask = (cells: Cells, from: number): TaskRow => ({
  generation: int(cells[from], "n"),
  id: text(cells[from + 1], "id"),
  tag: text(cells[from + 2], "tag"),
  version: int(cells[from + 3], "version"),
  name: text(cells[from + 4], "name"),
  payload: text(cells[from + 5], "payload"),
  display: text(cells[from + 6], "display"),
  trigger: text(cells[from + 7], "rule"),
  anchor: int(cells[from + 8], "anchor"),
  onStartup: flag(cells[from + 9], "on_startup"),
  onShutdown: flag(cells[from + 10], "on_shutdown"),
  policy: text(cells[from + 11], "policy"),
  executor: text(cells[from + 12], "executor"),
  priority: int(cells[from + 13], "priority"),
  labels: text(cells[from + 14], "labels"),
  owner: textOrNull(cells[from + 15], "owner"),
  declared: textOrNull(cells[from + 16], "declared"),
  createdAt: int(cells[from + 17], "created_at"),
  updatedAt: int(cells[from + 18], "updated_at"),
  revision: int(cells[from + 19], "revision"),
  state: storedState(cells[from + 20], "state"),
  cursor: int(cells[from + 21], "position"),
  due: intOrNull(cells[from + 22], "due"),
  nominal: intOrNull(cells[from + 23], "nominal"),
  epoch: int(cells[from + 24], "epoch"),
  counters: {
    ran: int(cells[from + 25], "ran"),
    missed: int(cells[from + 26], "missed"),
    coalesced: int(cells[from + 27], "coalesced"),
    skipped: int(cells[from + 28], "skipped"),
    paused: int(cells[from + 29], "paused"),
    extra: int(cells[from + 30], "extra"),
    exact: flag(cells[from + 31], "exact")
  } satisfies Counters,
  ranges: text(cells[from + 32], "ranges"),
  pausedAt: intOrNull(cells[from + 33], "paused_at"),
  pauseNote: textOrNull(cells[from + 34], "pause_note"),
  failures: int(cells[from + 35], "failures")
})

/** A row as `insert` made it. */
export const newTaskRow = (task: NewTask, generation: number): TaskRow => ({
  id: task.id,
  generation,
  revision: 1,
  tag: task.tag,
  version: task.version,
  name: task.name,
  payload: task.payload,
  display: task.display,
  trigger: task.trigger,
  anchor: task.anchor,
  onStartup: task.onStartup,
  onShutdown: task.onShutdown,
  policy: task.policy,
  executor: task.executor,
  priority: task.priority,
  labels: task.labels,
  owner: task.owner,
  declared: task.declared,
  createdAt: task.createdAt,
  updatedAt: task.updatedAt,
  state: task.state,
  cursor: task.cursor,
  due: task.due,
  nominal: task.nominal,
  epoch: task.epoch,
  counters: { ...task.counters },
  ranges: task.ranges,
  pausedAt: task.pausedAt,
  pauseNote: task.pauseNote,
  failures: task.failures
})

/** Labels of a text, as pairs; a text that is no flat object of strings has none. */
export const labelPairs = (labels: string): ReadonlyArray<readonly [name: string, value: string]> => {
  if (labels === "{}") return []
  try {
    const value: unknown = JSON.parse(labels)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string")
      : []
  } catch {
    return []
  }
}

// -----------------------------------------------------------------------------
// runs
// -----------------------------------------------------------------------------

/** Columns that `run` and `history` share, in the order `decodeRun` reads them. */
export const runColumns = [
  "n",
  "run_key",
  "task_id",
  "tag",
  "version",
  "executor",
  "priority",
  "due",
  "nominal",
  "state",
  "held",
  "ready_at",
  "attempt",
  "takeovers",
  "created_at",
  "owner",
  "token",
  "started_at",
  "cancel",
  "exit",
  "slots",
  "queues",
  "at_most_once"
] as const

const shared = runColumns.map((column) => `r.${column}`).join(", ")

/** What `decodeRun` reads of an open run. */
export const selectRun = `${shared}, r.lease_until, null as ended_at`

/** What `decodeRun` reads of history. */
export const selectEnded = `${shared}, null as lease_until, r.ended_at`

export const decodeRun = (cells: Cells, from: number): RunRow => ({
  generation: int(cells[from], "n"),
  key: text(cells[from + 1], "run_key"),
  taskId: text(cells[from + 2], "task_id"),
  tag: text(cells[from + 3], "tag"),
  version: int(cells[from + 4], "version"),
  executor: text(cells[from + 5], "executor"),
  priority: int(cells[from + 6], "priority"),
  due: int(cells[from + 7], "due"),
  nominal: int(cells[from + 8], "nominal"),
  state: runState(cells[from + 9], "state"),
  held: flag(cells[from + 10], "held"),
  readyAt: int(cells[from + 11], "ready_at"),
  attempt: int(cells[from + 12], "attempt"),
  takeovers: int(cells[from + 13], "takeovers"),
  createdAt: int(cells[from + 14], "created_at"),
  owner: textOrNull(cells[from + 15], "owner"),
  token: intOrNull(cells[from + 16], "token"),
  startedAt: intOrNull(cells[from + 17], "started_at"),
  cancel: textOrNull(cells[from + 18], "cancel"),
  exit: textOrNull(cells[from + 19], "exit"),
  slots: int(cells[from + 20], "slots"),
  queues: flag(cells[from + 21], "queues"),
  atMostOnce: flag(cells[from + 22], "at_most_once"),
  leaseUntil: intOrNull(cells[from + 23], "lease_until"),
  endedAt: intOrNull(cells[from + 24], "ended_at")
})

/** What a new run takes over from its task. */
export type RunOrigin = Pick<TaskDefinition, "tag" | "version" | "executor" | "priority"> & {
  readonly id: string
  readonly generation: number
}

/** A run created with a claim, as it was stored. */
export const claimedRunRow = (
  origin: RunOrigin,
  run: NewRun,
  now: number,
  lease: { readonly owner: string; readonly until: number },
  token: number
): RunRow => ({
  generation: origin.generation,
  key: run.key,
  taskId: origin.id,
  tag: origin.tag,
  version: origin.version,
  executor: origin.executor,
  priority: origin.priority,
  due: run.due,
  nominal: run.nominal,
  state: "running",
  held: false,
  readyAt: run.readyAt,
  attempt: 1,
  takeovers: 0,
  createdAt: now,
  owner: lease.owner,
  token,
  leaseUntil: lease.until,
  startedAt: null,
  cancel: null,
  endedAt: null,
  exit: null,
  slots: run.slots,
  queues: run.queues,
  atMostOnce: run.atMostOnce
})
