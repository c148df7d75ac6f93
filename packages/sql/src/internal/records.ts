/**
 * Rows of tables as records, and back.
 *
 * Cells are checked, not trusted: a database outlives the programs that wrote to it, and people edit them by hand. A row
 * with a cell that cannot be what its column says is `Unreadable` and stops nobody else. JSON texts are copied, never read.
 *
 * @since 0.1.0
 */
import type {
  Counters,
  NewRun,
  RunRow,
  RunState,
  StoredState,
  TaskDefinition,
  TaskPosition,
  TaskRow
} from "punctual/TaskRecord"
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

export const intOrNull = (cell: unknown, column: string): number | null => cell === null ? null : int(cell, column)

export const text = (cell: unknown, column: string): string => {
  if (typeof cell === "string") return cell
  throw new Unreadable(column, "a text", cell)
}

export const textOrNull = (cell: unknown, column: string): string | null => cell === null ? null : text(cell, column)

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

const bitOf = (flag: boolean | undefined): number | undefined => flag === undefined ? undefined : bit(flag)

export interface Field<Source> {
  readonly key: keyof Source & string
  readonly columns: Columns
  readonly encode: (source: Source) => ReadonlyArray<Encoded>
  /** Whether both have the same cells, as far as one look tells. */
  readonly alike: (self: Source, that: Source) => boolean
}

const field = <Source, K extends keyof Source & string>(
  key: K,
  column: string,
  type: ColumnType,
  encode: (value: Source[K]) => Encoded
): Field<Source> => ({
  key,
  columns: [[column, type]],
  encode: (source) => [encode(source[key])],
  alike: (self, that) => self[key] === that[key]
})

const same = <A extends Encoded>(value: A): A => value

/** The least limit, which is that of all that have no key, is not written. */
export const limitCell = (limit: number): number | null => limit === 1 ? null : limit

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
  field<TaskDefinition, "concurrencyKey">("concurrencyKey", "concurrency_key", "text", same),
  field<TaskDefinition, "concurrencyLimit">("concurrencyLimit", "concurrency_limit", "int", limitCell),
  field<TaskDefinition, "labels">("labels", "labels", "text", same),
  field<TaskDefinition, "owner">("owner", "owner", "text", same),
  field<TaskDefinition, "declared">("declared", "declared", "text", same),
  field<TaskDefinition, "trace">("trace", "trace", "text", same),
  field<TaskDefinition, "createdAt">("createdAt", "created_at", "int", same),
  field<TaskDefinition, "updatedAt">("updatedAt", "updated_at", "int", same)
]

/** Columns of `clock` by the field they hold; those of the counters, by whether they change with each occurrence. */
export const positionFields: ReadonlyArray<Field<TaskPosition>> = [
  field<TaskPosition, "state">("state", "state", "text", same),
  field<TaskPosition, "cursor">("cursor", "position", "int", same),
  field<TaskPosition, "due">("due", "due", "int", same),
  field<TaskPosition, "nominal">("nominal", "nominal", "int", same),
  field<TaskPosition, "zoneRules">("zoneRules", "zone_rules", "text", same),
  field<TaskPosition, "override">("override", "override_at", "int", same),
  field<TaskPosition, "epoch">("epoch", "epoch", "int", same),
  {
    key: "counters",
    columns: [["ran", "int"]],
    encode: ({ counters }) => [counters.ran],
    alike: (self, that) => self.counters.ran === that.counters.ran
  },
  {
    key: "counters",
    columns: [
      ["missed", "int"],
      ["coalesced", "int"],
      ["skipped", "int"],
      ["paused", "int"],
      ["extra", "int"],
      ["exact", "int"]
    ],
    encode: ({ counters: c }) => [c.missed, c.coalesced, c.skipped, c.paused, c.extra, bit(c.exact)],
    alike: ({ counters: a }, { counters: b }) =>
      a.missed === b.missed && a.coalesced === b.coalesced && a.skipped === b.skipped && a.paused === b.paused &&
      a.extra === b.extra && a.exact === b.exact
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

export const taskCells = (task: NewTask, n: number): Cells => [n, task.id, ...definitionCells(task)]

export const clockCells = (task: NewTask, n: number): Cells => [n, task.id, 1, ...positionCells(task)]

/**
 * Cells of the columns of `positionFields`; `undefined` where the field is not there. Spelled out, since every commit asks for
 * them: by way of the fields each cell was a list of its own.
 */
export const positionCells = (position: Partial<TaskPosition>): ReadonlyArray<Encoded | undefined> => {
  const { counters } = position
  return [
    position.state,
    position.cursor,
    position.due,
    position.nominal,
    position.zoneRules,
    position.override,
    position.epoch,
    counters?.ran,
    counters?.missed,
    counters?.coalesced,
    counters?.skipped,
    counters?.paused,
    counters?.extra,
    bitOf(counters?.exact),
    position.ranges,
    position.pausedAt,
    position.pauseNote,
    position.failures
  ]
}

/** The same of `definitionFields`. */
export const definitionCells = (definition: Partial<TaskDefinition>): ReadonlyArray<Encoded | undefined> => [
  definition.tag,
  definition.version,
  definition.name,
  definition.payload,
  definition.display,
  definition.trigger,
  definition.anchor,
  bitOf(definition.onStartup),
  bitOf(definition.onShutdown),
  definition.policy,
  definition.executor,
  definition.priority,
  definition.concurrencyKey,
  definition.concurrencyLimit === undefined ? undefined : limitCell(definition.concurrencyLimit),
  definition.labels,
  definition.owner,
  definition.declared,
  definition.trace,
  definition.createdAt,
  definition.updatedAt
]

const names = (columns: Columns, alias: string): string => columns.map(([name]) => `${alias}.${name}`).join(", ")

/** What `decodeTask` reads: of `t` (task) and `c` (clock). */
export const selectTask = `${names(taskColumns, "t")}, ${names(clockColumns.slice(2), "c")}`

export const taskWidth = taskColumns.length + clockColumns.length - 2

export const decodeTask = (cells: Cells, from: number): TaskRow => {
  let i = from
  return {
    generation: int(cells[i++], "n"),
    id: text(cells[i++], "id"),
    tag: text(cells[i++], "tag"),
    version: int(cells[i++], "version"),
    name: text(cells[i++], "name"),
    payload: text(cells[i++], "payload"),
    display: text(cells[i++], "display"),
    trigger: text(cells[i++], "rule"),
    anchor: int(cells[i++], "anchor"),
    onStartup: flag(cells[i++], "on_startup"),
    onShutdown: flag(cells[i++], "on_shutdown"),
    policy: text(cells[i++], "policy"),
    executor: text(cells[i++], "executor"),
    priority: int(cells[i++], "priority"),
    concurrencyKey: textOrNull(cells[i++], "concurrency_key"),
    concurrencyLimit: intOrNull(cells[i++], "concurrency_limit") ?? 1,
    labels: text(cells[i++], "labels"),
    owner: textOrNull(cells[i++], "owner"),
    declared: textOrNull(cells[i++], "declared"),
    trace: textOrNull(cells[i++], "trace"),
    createdAt: int(cells[i++], "created_at"),
    updatedAt: int(cells[i++], "updated_at"),
    revision: int(cells[i++], "revision"),
    state: storedState(cells[i++], "state"),
    cursor: int(cells[i++], "position"),
    due: intOrNull(cells[i++], "due"),
    nominal: intOrNull(cells[i++], "nominal"),
    zoneRules: textOrNull(cells[i++], "zone_rules"),
    override: intOrNull(cells[i++], "override_at"),
    epoch: int(cells[i++], "epoch"),
    counters: {
      ran: int(cells[i++], "ran"),
      missed: int(cells[i++], "missed"),
      coalesced: int(cells[i++], "coalesced"),
      skipped: int(cells[i++], "skipped"),
      paused: int(cells[i++], "paused"),
      extra: int(cells[i++], "extra"),
      exact: flag(cells[i++], "exact")
    } satisfies Counters,
    ranges: text(cells[i++], "ranges"),
    pausedAt: intOrNull(cells[i++], "paused_at"),
    pauseNote: textOrNull(cells[i++], "pause_note"),
    failures: int(cells[i++], "failures")
  }
}

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
  concurrencyKey: task.concurrencyKey,
  concurrencyLimit: task.concurrencyLimit,
  labels: task.labels,
  owner: task.owner,
  declared: task.declared,
  trace: task.trace,
  createdAt: task.createdAt,
  updatedAt: task.updatedAt,
  state: task.state,
  cursor: task.cursor,
  due: task.due,
  nominal: task.nominal,
  zoneRules: task.zoneRules,
  override: task.override,
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
  "at_most_once",
  "concurrency_key",
  "concurrency_limit"
] as const

const shared = runColumns.map((column) => `r.${column}`).join(", ")

/** What `decodeRun` reads of an open run. */
export const selectRun = `${shared}, r.lease_until, null as ended_at`

const texts = new Set<string>([
  "run_key",
  "task_id",
  "tag",
  "executor",
  "state",
  "owner",
  "cancel",
  "exit",
  "concurrency_key"
])

/** The same, where a driver makes a bigint of each integer. */
export const selectRunAsFloats = `${
  runColumns.map((column) => `r.${column}${texts.has(column) ? "" : "::float8"}`).join(", ")
}, r.lease_until::float8, null as ended_at`

export const runWidth = runColumns.length + 2

/** What `decodeRun` reads of history. */
export const selectEnded = `${shared}, null as lease_until, r.ended_at`

export const decodeRun = (cells: Cells, from: number): RunRow => {
  let i = from
  return {
    generation: int(cells[i++], "n"),
    key: text(cells[i++], "run_key"),
    taskId: text(cells[i++], "task_id"),
    tag: text(cells[i++], "tag"),
    version: int(cells[i++], "version"),
    executor: text(cells[i++], "executor"),
    priority: int(cells[i++], "priority"),
    due: int(cells[i++], "due"),
    nominal: int(cells[i++], "nominal"),
    state: runState(cells[i++], "state"),
    held: flag(cells[i++], "held"),
    readyAt: int(cells[i++], "ready_at"),
    attempt: int(cells[i++], "attempt"),
    takeovers: int(cells[i++], "takeovers"),
    createdAt: int(cells[i++], "created_at"),
    owner: textOrNull(cells[i++], "owner"),
    token: intOrNull(cells[i++], "token"),
    startedAt: intOrNull(cells[i++], "started_at"),
    cancel: textOrNull(cells[i++], "cancel"),
    exit: textOrNull(cells[i++], "exit"),
    slots: int(cells[i++], "slots"),
    queues: flag(cells[i++], "queues"),
    atMostOnce: flag(cells[i++], "at_most_once"),
    concurrencyKey: textOrNull(cells[i++], "concurrency_key"),
    concurrencyLimit: intOrNull(cells[i++], "concurrency_limit") ?? 1,
    leaseUntil: intOrNull(cells[i++], "lease_until"),
    endedAt: intOrNull(cells[i++], "ended_at")
  }
}

/** Columns of a new run that say how it shares its task with others. */
export const sharingFields: ReadonlyArray<Field<Sharing>> = [
  field<Sharing, "slots">("slots", "slots", "int", same),
  field<Sharing, "queues">("queues", "queues", "int", bit),
  field<Sharing, "atMostOnce">("atMostOnce", "at_most_once", "int", bit)
]

type Sharing = Pick<NewRun, "slots" | "queues" | "atMostOnce">

/** Columns of a task that its runs have too. */
export const routeFields: ReadonlyArray<Field<RunOrigin>> = [
  field<RunOrigin, "tag">("tag", "tag", "text", same),
  field<RunOrigin, "version">("version", "version", "int", same),
  field<RunOrigin, "executor">("executor", "executor", "text", same),
  field<RunOrigin, "priority">("priority", "priority", "int", same)
]

/** What runs follow of the row of their task until they begin, and how an update of them sets it. */
export const followedColumns: Columns = [
  ...routeFields.flatMap(({ columns }) => columns),
  ["concurrency_key", "text"],
  ["concurrency_limit", "int"]
]
export const follow = followedColumns.map(([name]) => `${name} = u.${name}`).join(", ")

/** How a run ended. */
export interface Outcome {
  readonly state: string
  readonly exit: string | null
}

export const outcomeFields: ReadonlyArray<Field<Outcome>> = [
  field<Outcome, "state">("state", "state", "text", same),
  field<Outcome, "exit">("exit", "exit", "text", same)
]

/** What a new run takes over from its task. */
export type RunOrigin = Pick<TaskDefinition, "tag" | "version" | "executor" | "priority">

/** A run created with a claim, as it was stored. */
export const claimedRunRow = (
  id: string,
  generation: number,
  origin: RunOrigin,
  run: NewRun,
  now: number,
  lease: { readonly owner: string; readonly until: number },
  token: number
): RunRow => ({
  generation,
  key: run.key,
  taskId: id,
  tag: origin.tag,
  version: origin.version,
  executor: origin.executor,
  priority: origin.priority,
  // one with a key is claimed by claims alone
  concurrencyKey: null,
  concurrencyLimit: 1,
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
  startedAt: run.atMostOnce ? null : now,
  cancel: null,
  endedAt: null,
  exit: null,
  slots: run.slots,
  queues: run.queues,
  atMostOnce: run.atMostOnce
})

/** Names an open run within one batch. */
export const refKey = (n: unknown, key: unknown): string => `${String(n)} ${String(key)}`

export const orNull = (cell: unknown): number | null => cell === null || cell === undefined ? null : Number(cell)
