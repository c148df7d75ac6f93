/**
 * Tasks and runs as the memory store holds them.
 *
 * A scheduled task without runs is one object, about 300 bytes beside its own texts: what many tasks share is held once
 * (`Kind`, equal texts), what few have is allocated when they have it (`counters`, `open`, `history`), and instants are
 * in typed arrays (`Instants`), since a number that is no small integer takes 24 bytes in an object. An absent instant
 * is `NaN`, a task without a due instant is due at infinity. Rows are made when they are read, so nobody outside ever
 * holds what the store changes.
 *
 * @since 0.1.0
 */
import type { ArrivingRun, Counters, RunRow, RunState, StoredState, TaskDefinition, TaskRow } from "../TaskRecord.ts"
import { noCounters } from "../TaskRecord.ts"
import type { NewTask } from "../TaskStore.ts"
import type { Bucket } from "./memoryIndexes.ts"
import type { Line } from "./memoryLines.ts"

/** What tasks of one definition in code have in common. Immutable. */
export class Kind {
  readonly tag: string
  readonly version: number
  readonly policy: string
  readonly executor: string
  readonly priority: number
  readonly owner: string | null
  readonly onStartup: boolean
  readonly onShutdown: boolean
  /** Where its ready runs wait to be claimed. */
  readonly bucket: Bucket

  constructor(definition: KindFields, bucket: Bucket) {
    this.tag = definition.tag
    this.version = definition.version
    this.policy = definition.policy
    this.executor = definition.executor
    this.priority = definition.priority
    this.owner = definition.owner
    this.onStartup = definition.onStartup
    this.onShutdown = definition.onShutdown
    this.bucket = bucket
  }
}

export type KindFields = Pick<
  TaskDefinition,
  "tag" | "version" | "policy" | "executor" | "priority" | "owner" | "onStartup" | "onShutdown"
>

export const sameKind = (self: KindFields, that: KindFields): boolean =>
  self.tag === that.tag && self.version === that.version && self.policy === that.policy &&
  self.executor === that.executor && self.priority === that.priority && self.owner === that.owner &&
  self.onStartup === that.onStartup && self.onShutdown === that.onShutdown

/** Equal texts as one string. It forgets everything when it is full, so that texts nobody shares cost nothing for long. */
export class Texts {
  readonly known = new Map<string, string>()

  share(text: string): string {
    const found = this.known.get(text)
    if (found !== undefined) return found
    if (this.known.size === 4096) this.known.clear()
    this.known.set(text, text)
    return text
  }

  /**
   * Of a text that tells a task's past: the one of a task without a past is every new task's, and any longer one is its
   * own. Remembered, thousands of those would be held long after they are true no more.
   */
  shareIfShort(text: string): string {
    return text.length <= 32 ? this.share(text) : text
  }
}

const ANCHOR = 0
const CREATED_AT = 1
const UPDATED_AT = 2
const CURSOR = 3
const DUE = 4
const NOMINAL = 5
const OVERRIDE = 6
const EPOCH = 7
const PAUSED_AT = 8
const width = 9

/** Rows of `width` instants in pages. A row that is given back is the next one given out. */
export class Instants {
  readonly pages: Array<Float64Array> = []
  readonly free: Array<number> = []
  used = 0

  take(): number {
    const row = this.free.pop() ?? this.used++
    if (row >> 9 === this.pages.length) this.pages.push(new Float64Array(width << 9))
    return row
  }
}

export class Task {
  private readonly page: Float64Array
  private readonly row: number
  readonly id: string
  readonly generation: number
  revision = 1
  /** A removed task is kept while it has running runs or history. */
  removed = false
  kind: Kind
  name: string
  payload: string
  display: string
  trigger: string
  labels: string
  concurrencyKey: string | null
  concurrencyLimit: number
  declared: string | null
  trace: string | null
  state: StoredState
  counters: Counters | null = null
  ranges: string
  zoneRules: string | null
  pauseNote: string | null
  failures: number
  /** Open runs; a map by key once they are many. */
  open: Array<Run> | Map<string, Run> | null = null
  /** Ended runs, oldest number first. */
  history: Array<Run> | null = null
  /** Numbers given to ended runs so far. */
  ended = 0

  constructor(task: NewTask, generation: number, kind: Kind, texts: Texts, instants: Instants) {
    this.row = instants.take()
    this.page = instants.pages[this.row >> 9]!
    this.id = task.id
    this.generation = generation
    this.kind = kind
    this.name = texts.share(task.name)
    this.payload = task.payload
    this.display = task.display === task.payload ? task.payload : task.display
    this.trigger = texts.share(task.trigger)
    this.labels = texts.share(task.labels)
    this.concurrencyKey = task.concurrencyKey
    this.concurrencyLimit = task.concurrencyLimit
    this.declared = task.declared
    this.trace = task.trace
    this.anchor = task.anchor
    this.createdAt = task.createdAt
    this.updatedAt = task.updatedAt
    this.state = task.state
    this.cursor = task.cursor
    this.due = task.due ?? Infinity
    this.nominal = task.nominal ?? NaN
    this.override = task.override ?? NaN
    this.epoch = task.epoch
    this.counters = counted(task.counters)
    this.ranges = texts.shareIfShort(task.ranges)
    this.zoneRules = task.zoneRules === null ? null : texts.share(task.zoneRules)
    this.pausedAt = task.pausedAt ?? NaN
    this.pauseNote = task.pauseNote
    this.failures = task.failures
  }

  /** Gives its instants back; it must not be used afterwards. */
  release(instants: Instants): void {
    instants.free.push(this.row)
  }

  get anchor(): number {
    return this.page[(this.row & 511) * width + ANCHOR]!
  }

  set anchor(instant: number) {
    this.page[(this.row & 511) * width + ANCHOR] = instant
  }

  get createdAt(): number {
    return this.page[(this.row & 511) * width + CREATED_AT]!
  }

  set createdAt(instant: number) {
    this.page[(this.row & 511) * width + CREATED_AT] = instant
  }

  get updatedAt(): number {
    return this.page[(this.row & 511) * width + UPDATED_AT]!
  }

  set updatedAt(instant: number) {
    this.page[(this.row & 511) * width + UPDATED_AT] = instant
  }

  get cursor(): number {
    return this.page[(this.row & 511) * width + CURSOR]!
  }

  set cursor(instant: number) {
    this.page[(this.row & 511) * width + CURSOR] = instant
  }

  get due(): number {
    return this.page[(this.row & 511) * width + DUE]!
  }

  set due(instant: number) {
    this.page[(this.row & 511) * width + DUE] = instant
  }

  get nominal(): number {
    return this.page[(this.row & 511) * width + NOMINAL]!
  }

  set nominal(instant: number) {
    this.page[(this.row & 511) * width + NOMINAL] = instant
  }

  get override(): number {
    return this.page[(this.row & 511) * width + OVERRIDE]!
  }

  set override(instant: number) {
    this.page[(this.row & 511) * width + OVERRIDE] = instant
  }

  get epoch(): number {
    return this.page[(this.row & 511) * width + EPOCH]!
  }

  set epoch(instant: number) {
    this.page[(this.row & 511) * width + EPOCH] = instant
  }

  get pausedAt(): number {
    return this.page[(this.row & 511) * width + PAUSED_AT]!
  }

  set pausedAt(instant: number) {
    this.page[(this.row & 511) * width + PAUSED_AT] = instant
  }

  openRun(key: string): Run | undefined {
    if (this.open === null) return undefined
    return Array.isArray(this.open) ? this.open.find((run) => run.key === key) : this.open.get(key)
  }

  endedRun(key: string): Run | undefined {
    return this.history?.findLast((run) => run.key === key)
  }

  opens(): Iterable<Run> {
    return this.open === null ? [] : Array.isArray(this.open) ? this.open : this.open.values()
  }

  addOpen(run: Run): void {
    if (this.open === null) this.open = [run]
    else if (!Array.isArray(this.open)) this.open.set(run.key, run)
    else if (this.open.length < manyRuns) this.open.push(run)
    else {
      this.open = new Map(this.open.map((open) => [open.key, open]))
      this.open.set(run.key, run)
    }
  }

  removeOpen(run: Run): void {
    if (this.open === null) return
    if (!Array.isArray(this.open)) this.open.delete(run.key)
    else if (this.open.length > 1) this.open.splice(this.open.indexOf(run), 1)
    else this.open = null
    if (this.open instanceof Map && this.open.size === 0) this.open = null
  }

  toRow(): TaskRow {
    const kind = this.kind
    return {
      id: this.id,
      generation: this.generation,
      revision: this.revision,
      tag: kind.tag,
      version: kind.version,
      name: this.name,
      payload: this.payload,
      display: this.display,
      trigger: this.trigger,
      anchor: this.anchor,
      onStartup: kind.onStartup,
      onShutdown: kind.onShutdown,
      policy: kind.policy,
      executor: kind.executor,
      priority: kind.priority,
      concurrencyKey: this.concurrencyKey,
      concurrencyLimit: this.concurrencyLimit,
      labels: this.labels,
      owner: kind.owner,
      declared: this.declared,
      trace: this.trace,
      createdAt: this.createdAt,
      updatedAt: this.updatedAt,
      state: this.state,
      cursor: this.cursor,
      due: this.due === Infinity ? null : this.due,
      nominal: orNull(this.nominal),
      zoneRules: this.zoneRules,
      override: orNull(this.override),
      epoch: this.epoch,
      counters: { ...this.counters ?? noCounters },
      ranges: this.ranges,
      pausedAt: orNull(this.pausedAt),
      pauseNote: this.pauseNote,
      failures: this.failures
    }
  }
}

/** More open runs than this are found through a map. */
const manyRuns = 16

const orNull = (instant: number): number | null => Number.isNaN(instant) ? null : instant

/** A copy, or nothing when there is nothing to remember. */
export const counted = (counters: Counters): Counters | null =>
  counters.exact && counters.ran === 0 && counters.missed === 0 && counters.coalesced === 0 &&
    counters.skipped === 0 && counters.paused === 0 && counters.extra === 0
    ? null
    : { ...counters }

export class Run {
  readonly task: Task
  /** The task's kind: of now while it waits to be claimed, of the claim afterwards. */
  kind: Kind
  /** As `kind`. */
  concurrencyKey: string | null
  concurrencyLimit: number
  /** Where it waits or counts for its concurrency key, while it is ready or running. */
  line: Line | null = null
  readonly key: string
  readonly due: number
  readonly nominal: number
  readonly createdAt: number
  readonly slots: number
  queues: boolean
  readonly atMostOnce: boolean
  state: RunState
  held: boolean
  readyAt: number
  attempt: number
  takeovers: number
  owner: string | null = null
  token: number | null = null
  leaseUntil = NaN
  startedAt = NaN
  cancel: string | null = null
  endedAt = NaN
  exit: string | null = null
  /** Its number in the history of its task, once it has ended. */
  number = 0

  constructor(task: Task, run: ArrivingRun, now: number) {
    this.task = task
    this.kind = task.kind
    this.concurrencyKey = task.concurrencyKey
    this.concurrencyLimit = task.concurrencyLimit
    this.key = run.key
    this.due = run.due
    this.nominal = run.nominal
    this.createdAt = now
    this.slots = run.slots
    this.queues = run.queues
    this.atMostOnce = run.atMostOnce
    this.state = run.state
    this.held = run.held ?? false
    this.readyAt = run.readyAt
    this.attempt = run.attempt ?? 0
    this.takeovers = run.takeovers ?? 0
  }

  /** Becomes what its task is now: until its claim it is whatever that is. */
  follow(): void {
    this.kind = this.task.kind
    this.concurrencyKey = this.task.concurrencyKey
    this.concurrencyLimit = this.task.concurrencyLimit
  }

  toRow(): RunRow {
    const kind = this.kind
    return {
      generation: this.task.generation,
      key: this.key,
      taskId: this.task.id,
      tag: kind.tag,
      version: kind.version,
      executor: kind.executor,
      priority: kind.priority,
      concurrencyKey: this.concurrencyKey,
      concurrencyLimit: this.concurrencyLimit,
      due: this.due,
      nominal: this.nominal,
      state: this.state,
      held: this.held,
      readyAt: this.readyAt,
      attempt: this.attempt,
      takeovers: this.takeovers,
      createdAt: this.createdAt,
      owner: this.owner,
      token: this.token,
      leaseUntil: orNull(this.leaseUntil),
      startedAt: orNull(this.startedAt),
      cancel: this.cancel,
      endedAt: orNull(this.endedAt),
      exit: this.exit,
      slots: this.slots,
      queues: this.queues,
      atMostOnce: this.atMostOnce
    }
  }
}
