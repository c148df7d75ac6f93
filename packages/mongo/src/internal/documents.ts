/**
 * What the store keeps: documents, their keys, and what is derived from them for indexes.
 *
 * A document holds everything of one id, so that whatever happens to it is one atomic write:
 *
 *     _id          the id
 *     born, v      its identity and version: every write names both and adds one to `v`
 *     task         the row; absent once it is removed
 *     runs         open runs by generation and key: of the row, and running ones of removed generations
 *     ended        runs that have ended and are not in the history collection yet
 *     numbers      how many runs have ended, by generation
 *     verdicts     by reader
 *     cold         bytes of the texts that most operations do not read
 *
 *     generations, due, zone, ready, late, lease, open, blind, labels, unfiled        for indexes
 *
 * A document without row and runs is deleted.
 *
 * Ready runs follow their row, so tag, executor, version and priority of all that can be claimed of a task are the same:
 * one entry a document in the index of claims is enough (`ready`), with the first due instant and the first instant it
 * may be claimed at; both are lower bounds where a task has several ready runs.
 *
 * @since 0.1.0
 */
import { BSON } from "mongodb"
import type { Counters, RunRow, TaskRow } from "punctual/TaskRecord"
import type { Verdict } from "punctual/TaskStore"
import type { Clause } from "./collections.ts"

/** Version of this layout. */
export const schemaVersion = 1

export type Mutable<A> = { -readonly [K in keyof A]: A[K] }

export type StoredRow = Mutable<Omit<TaskRow, "id" | keyof typeof unkeyed>>

export type StoredRun = Mutable<Omit<RunRow, "taskId" | keyof typeof unkeyed>>

/** What every row has that this store takes: it cannot count runs over documents. */
const unkeyed = { concurrencyKey: null, concurrencyLimit: 1 } as const

/** An ended run with its number in its task's history, and how many that keeps, where its end says. */
export type EndedRun = StoredRun & { number: number; keep: number | null }

/** What the history collection holds. */
export interface HistoryDocument extends Omit<RunRow, "key" | keyof typeof unkeyed> {
  /** Generation and number. */
  readonly _id: string
  readonly key: string
  readonly number: number
}

export type StoredVerdict = Pick<Verdict, "reader" | "reason" | "at">

/** What is derived. Absent fields are in no index. */
export interface Derived {
  readonly generations: ReadonlyArray<number>
  readonly due?: number
  readonly zone?: string
  readonly ready?: {
    readonly executor: string
    readonly tag: string
    /** Minus the priority, so that one direction of the index is the order of claims. */
    readonly rank: number
    readonly due: number
    readonly at: number
    readonly version: number
  }
  /** Where some ready runs can be claimed later than others: the last. */
  readonly late?: { readonly executor: string; readonly tag: string; readonly at: number }
  /** The first end of a lease. */
  readonly lease?: number
  /** Open runs: the first and last due instant, the last generation, the tags. */
  readonly open?: {
    readonly first: number
    readonly last: number
    readonly generation: number
    readonly tags: ReadonlyArray<string>
  }
  /** Readers with a verdict. */
  readonly blind?: ReadonlyArray<string>
  readonly labels?: ReadonlyArray<string>
  readonly unfiled?: true
}

export interface TaskDocument extends Derived {
  readonly _id: string
  readonly born: number
  readonly v: number
  readonly schema: number
  readonly task?: StoredRow
  readonly runs: Readonly<Record<string, StoredRun>>
  readonly ended: Readonly<Record<string, EndedRun>>
  readonly numbers: Readonly<Record<string, number>>
  readonly verdicts: Readonly<Record<string, StoredVerdict>>
  readonly cold: number
}

// -----------------------------------------------------------------------------
// keys
// -----------------------------------------------------------------------------

/** Field names hold no NUL, `.` and `$` mean something in paths, and FerretDB cuts blanks off their ends. */
export const escapeKey = (key: string): string =>
  key.replace(/[%.$\0-\x20]/g, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, "0")}`)

export const runKey = (generation: number, key: string): string => `${generation}:${escapeKey(key)}`

export const readerKey = (reader: string): string => `r${escapeKey(reader)}`

export const numberKey = (generation: number): string => `g${generation}`

export const endKey = (generation: number, number: number): string => `${generation}:${number}`

// -----------------------------------------------------------------------------
// rows
// -----------------------------------------------------------------------------

export const rowOf = (id: string, task: StoredRow): TaskRow => ({
  id,
  ...unkeyed,
  ...task,
  counters: { ...task.counters }
})

export const runOf = (taskId: string, run: StoredRun): RunRow => {
  const { generation, key, ...rest } = run
  return { generation, key, taskId, ...unkeyed, ...rest }
}

export const historyOf = (taskId: string, { keep: _, number, ...run }: EndedRun): HistoryDocument => ({
  _id: endKey(run.generation, number),
  ...run,
  taskId,
  number
})

export const endedRow = ({ _id, number: _, ...run }: HistoryDocument): RunRow => ({ ...unkeyed, ...run })

// -----------------------------------------------------------------------------
// texts
// -----------------------------------------------------------------------------

/** Texts that may be long, and that only those operations read which answer rows. */
const coldTexts = ["payload", "display", "declared"] as const

/** Everything but those. */
export const withoutTexts: Readonly<Record<string, 0>> = Object.fromEntries(
  coldTexts.map((field) => [`task.${field}`, 0])
)

export const setsTexts = (set: object): boolean => coldTexts.some((field) => field in set)

const bytes = new TextEncoder()

export const coldSize = (task: StoredRow): number =>
  coldTexts.reduce((sum, field) => sum + bytes.encode(task[field] ?? "").length, 0)

/** Of the whole document, whether its texts were read or not. */
export const sizeOf = (doc: TaskDocument): number => {
  const { declared: _, display: __, payload: ___, ...task } = doc.task ?? {}
  return BSON.calculateObjectSize({ ...doc, task }) + doc.cold
}

/** In `labels`; a text that is no object has none: one odd row must not fail everybody's list. */
export const labelEntries = (text: string): ReadonlyArray<string> => {
  try {
    const labels: unknown = JSON.parse(text)
    if (typeof labels !== "object" || labels === null || Array.isArray(labels)) return []
    return Object.entries(labels).flatMap(([key, value]) => typeof value === "string" ? [labelEntry(key, value)] : [])
  } catch {
    return []
  }
}

export const labelEntry = (key: string, value: string): string => JSON.stringify([key, value])

// -----------------------------------------------------------------------------
// what is derived
// -----------------------------------------------------------------------------

type Written = Pick<TaskDocument, "task" | "runs" | "ended" | "verdicts">

export const derive = ({ ended, runs, task, verdicts }: Written): Derived => {
  const all = Object.values(runs)
  const generations = new Set(all.map((run) => run.generation))
  if (task !== undefined) generations.add(task.generation)
  const leases = all.flatMap((run) => run.leaseUntil === null ? [] : [run.leaseUntil])
  const ready = all.filter((run) => run.state === "ready" && !run.held)
  const blind = Object.values(verdicts).map(({ reader }) => reader)
  const labels = task === undefined ? [] : labelEntries(task.labels)
  const at = ready.map((run) => run.readyAt)
  const slot = task && { executor: task.executor, tag: task.tag }
  return {
    generations: [...generations].sort((self, that) => self - that),
    ...task !== undefined && task.due !== null && { due: task.due },
    ...task !== undefined && task.zoneRules !== null && { zone: task.zoneRules },
    ...task !== undefined && slot !== undefined && ready.length > 0 && {
      ready: {
        ...slot,
        rank: 0 - task.priority,
        due: least(ready.map((run) => run.due)),
        at: least(at),
        version: task.version
      }
    },
    ...slot !== undefined && ready.length > 0 && least(at) !== greatest(at) && { late: { ...slot, at: greatest(at) } },
    ...leases.length > 0 && { lease: least(leases) },
    ...all.length > 0 && {
      open: {
        first: least(all.map((run) => run.due)),
        last: greatest(all.map((run) => run.due)),
        generation: greatest(all.map((run) => run.generation)),
        tags: [...new Set(all.map((run) => run.tag))].sort()
      }
    },
    ...blind.length > 0 && { blind },
    ...labels.length > 0 && { labels },
    ...Object.keys(ended).length > 0 && { unfiled: true }
  }
}

const least = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => Math.min(a, b), Infinity)

const greatest = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => Math.max(a, b), -Infinity)

// -----------------------------------------------------------------------------
// differences
// -----------------------------------------------------------------------------

/** The update that makes one document of the other, by the fields that differ; `undefined` when none does. */
export const difference = (before: TaskDocument, after: TaskDocument): Clause | undefined => {
  const set: Record<string, unknown> = {}
  const unset: Record<string, ""> = {}
  differ("", before as unknown as Fields, after as unknown as Fields, set, unset)
  const update = {
    ...Object.keys(set).length > 0 && { $set: set },
    ...Object.keys(unset).length > 0 && { $unset: unset }
  }
  return Object.keys(update).length === 0 ? undefined : { ...update, $inc: { v: 1 } }
}

type Fields = Readonly<Record<string, unknown>>

const differ = (
  path: string,
  before: Fields,
  after: Fields,
  set: Record<string, unknown>,
  unset: Record<string, "">
): void => {
  for (const key of Object.keys(before)) if (after[key] === undefined) unset[`${path}${key}`] = ""
  for (const [key, value] of Object.entries(after)) {
    const old = before[key]
    if (Object.is(old, value) || value === undefined) continue
    if (isFields(old) && isFields(value)) differ(`${path}${key}.`, old, value, set, unset)
    else if (!sameList(old, value)) set[`${path}${key}`] = value
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const sameList = (self: unknown, that: unknown): boolean =>
  Array.isArray(self) && Array.isArray(that) && self.length === that.length && self.every((one, i) => one === that[i])

// -----------------------------------------------------------------------------
// readable
// -----------------------------------------------------------------------------

type Kind = "text" | "text?" | "int" | "int?" | "flag" | "counters"

const rowKinds: { readonly [K in keyof StoredRow]: Kind } = {
  generation: "int",
  revision: "int",
  tag: "text",
  version: "int",
  name: "text",
  payload: "text",
  display: "text",
  trigger: "text",
  anchor: "int",
  onStartup: "flag",
  onShutdown: "flag",
  policy: "text",
  executor: "text",
  priority: "int",
  labels: "text",
  owner: "text?",
  declared: "text?",
  trace: "text?",
  createdAt: "int",
  updatedAt: "int",
  state: "text",
  cursor: "int",
  due: "int?",
  nominal: "int?",
  zoneRules: "text?",
  override: "int?",
  epoch: "int",
  counters: "counters",
  ranges: "text",
  pausedAt: "int?",
  pauseNote: "text?",
  failures: "int"
}

const runKinds: { readonly [K in keyof StoredRun]: Kind } = {
  generation: "int",
  key: "text",
  tag: "text",
  version: "int",
  executor: "text",
  priority: "int",
  due: "int",
  nominal: "int",
  state: "text",
  held: "flag",
  readyAt: "int",
  attempt: "int",
  takeovers: "int",
  createdAt: "int",
  owner: "text?",
  token: "int?",
  leaseUntil: "int?",
  startedAt: "int?",
  cancel: "text?",
  endedAt: "int?",
  exit: "text?",
  slots: "int",
  queues: "flag",
  atMostOnce: "flag"
}

const counterKinds: { readonly [K in keyof Counters]: Kind } = {
  ran: "int",
  missed: "int",
  coalesced: "int",
  skipped: "int",
  paused: "int",
  extra: "int",
  exact: "flag"
}

const isKind: { readonly [K in Kind]: (value: unknown) => boolean } = {
  text: (value) => typeof value === "string",
  "text?": (value) => value === null || typeof value === "string",
  int: Number.isSafeInteger,
  "int?": (value) => value === null || Number.isSafeInteger(value),
  flag: (value) => typeof value === "boolean",
  counters: (value) => isFields(value) && wrongField(value, counterKinds) === undefined
}

const wrongField = (fields: Fields, kinds: Readonly<Record<string, Kind>>): string | undefined =>
  Object.keys(kinds).find((field) => !isKind[kinds[field]!](fields[field]))

const texts: ReadonlySet<string> = new Set(coldTexts)

const withoutColdKinds = Object.fromEntries(Object.entries(rowKinds).filter(([field]) => !texts.has(field)))

/**
 * What is wrong with a document that was written by something else, or `undefined`. Whoever meets one leaves it alone.
 */
export const defect = (doc: TaskDocument, whole: boolean): string | undefined => {
  if (doc.schema > schemaVersion) return undefined
  for (const field of ["runs", "ended", "numbers", "verdicts"] as const) {
    if (!isFields(doc[field])) return `\`${field}\` is no map`
  }
  if (![doc.born, doc.v, doc.cold].every(Number.isSafeInteger)) return "its version is no number"
  if (!Array.isArray(doc.generations)) return "`generations` is no list"
  for (const [key, run] of [...Object.entries(doc.runs), ...Object.entries(doc.ended)]) {
    const wrong = isFields(run) ? wrongField(run, runKinds) : "everything"
    if (wrong !== undefined) return `\`${wrong}\` of run ${key} is not what this store writes`
  }
  if (doc.task === undefined) return undefined
  const wrong = isFields(doc.task) ? wrongField(doc.task, whole ? rowKinds : withoutColdKinds) : "everything"
  return wrong === undefined ? undefined : `\`task.${wrong}\` is not what this store writes`
}
