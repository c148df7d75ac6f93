/**
 * The indexes of the memory store, and what keeps them true.
 *
 * | question | index | order |
 * |---|---|---|
 * | what is due | `due` | due, generation |
 * | what was timed under which rules of time zones | `zoned` | version, generation |
 * | what can be claimed | a `Bucket` per (executor, tag, version) | priority descending, due, generation, key |
 * | what of a concurrency key can be claimed | `Lanes` of that bucket | the same, of each lane's first run that has room |
 * | whose lease has ended | `leases` | lease end, token |
 * | what may be pruned | `ended` | end, generation, number |
 * | pages of tasks and runs | built when first asked for | see `tasksById` and its neighbours |
 *
 * A member's sort key never changes while it is in an index: it is taken out, changed and put back.
 *
 * @since 0.1.0
 */
import { Lanes, Lines, type Taken } from "./memoryLines.ts"
import type { KindFields, Run, Task } from "./memoryRecords.ts"
import { Instants, Kind, sameKind } from "./memoryRecords.ts"
import type { Compare, Cursor } from "./memorySorted.ts"
import { SortedList } from "./memorySorted.ts"

/** What the orders of tasks look at: a cursor of a page is one too. */
export type TaskPlace = Pick<Task, "id" | "due" | "createdAt" | "generation">

/** What the order of runs looks at. */
export interface RunPlace {
  readonly due: number
  readonly key: string
  readonly number: number
  readonly task: { readonly generation: number }
}

const byGeneration: Compare<TaskPlace> = (self, that) => self.generation - that.generation

/** Instants may be infinite, where a difference is not a number. */
const compare = (self: number, that: number): number => self < that ? -1 : self > that ? 1 : 0

const compareText = (self: string, that: string): number => self < that ? -1 : self > that ? 1 : 0

export const byDue: Compare<TaskPlace> = (self, that) => compare(self.due, that.due) || byGeneration(self, that)

const byZoneRules: Compare<Task> = (self, that) =>
  compareText(self.zoneRules ?? "", that.zoneRules ?? "") || byGeneration(self, that)

export const byId: Compare<TaskPlace> = (self, that) => compareText(self.id, that.id)

export const byCreated: Compare<TaskPlace> = (self, that) =>
  compare(self.createdAt, that.createdAt) || byGeneration(self, that)

const sameTaskLast = (self: RunPlace, that: RunPlace): number =>
  self.task.generation - that.task.generation || compareText(self.key, that.key)

export const byClaim: Compare<Run> = (self, that) =>
  that.kind.priority - self.kind.priority || compare(self.due, that.due) || sameTaskLast(self, that)

const byReadyAt: Compare<Run> = (self, that) => compare(self.readyAt, that.readyAt) || sameTaskLast(self, that)

/** An ended run and an open one may share a key, never a number. */
export const byRunDue: Compare<RunPlace> = (self, that) =>
  compare(self.due, that.due) || sameTaskLast(self, that) || self.number - that.number

/** A token is of one claim, so it is of one running run. */
const byLease: Compare<Run> = (self, that) =>
  compare(self.leaseUntil, that.leaseUntil) || (self.token ?? 0) - (that.token ?? 0)

const byEnd: Compare<Run> = (self, that) =>
  compare(self.endedAt, that.endedAt) || self.task.generation - that.task.generation || self.number - that.number

/**
 * Ready runs, not held, of one executor, tag and version.
 *
 * All are in `later`, by the instant they may be claimed; those up to `seen`, the instant of the latest claim, are in
 * `order` too. So a run that waits for its retry is not looked at until then, and a claim whose `now` is behind another
 * one's moves back only what lies between.
 */
export class Bucket {
  readonly version: number
  readonly order = new SortedList<Run>(byClaim)
  /** In the place of `order`, for runs with a concurrency key. */
  readonly lanes = new Lanes(byClaim)
  readonly later = new SortedList<Run>(byReadyAt)
  seen = -Infinity

  constructor(version: number) {
    this.version = version
  }

  add(run: Run): void {
    this.later.add(run)
    if (run.readyAt <= this.seen) this.enter(run)
  }

  remove(run: Run): void {
    this.later.remove(run)
    if (run.readyAt <= this.seen) this.leave(run)
  }

  private enter(run: Run): void {
    if (run.line === null) this.order.add(run)
    else this.lanes.add(run.line, run)
  }

  private leave(run: Run): void {
    if (run.line === null) this.order.remove(run)
    else this.lanes.remove(run.line, run)
  }

  /** What may be claimed beside what a claim has taken, each in the order of claims. */
  cursors(taken: Taken): ReadonlyArray<Cursor<Run>> {
    return this.lanes.listed.size === 0 ? [this.order.up()] : [this.order.up(), this.lanes.up(taken)]
  }

  /** Makes `order` what may be claimed at `now`; answers when the next one may. */
  see(now: number): number {
    const from = Math.min(this.seen, now)
    const to = Math.max(this.seen, now)
    const between = this.later.from((run) => run.readyAt <= from)
    for (let run = between.next(); run !== undefined && run.readyAt <= to; run = between.next()) {
      if (now > this.seen) this.enter(run)
      else this.leave(run)
    }
    this.seen = now
    return this.later.firstFrom((run) => run.readyAt <= now)?.readyAt ?? Infinity
  }
}

/** Tasks by generation, which are dense numbers: an array in pages, of which empty ones are dropped. */
class Generations {
  private readonly pages: Array<{ used: number; readonly tasks: Array<Task | undefined> } | undefined> = []

  get(generation: number): Task | undefined {
    return this.pages[generation >>> 10]?.tasks[generation & 1023]
  }

  add(task: Task): void {
    const page = this.pages[task.generation >>> 10] ??= { used: 0, tasks: [] }
    page.used++
    page.tasks[task.generation & 1023] = task
  }

  remove(task: Task): void {
    const page = this.pages[task.generation >>> 10]
    if (page === undefined) return
    page.tasks[task.generation & 1023] = undefined
    if (--page.used === 0) this.pages[task.generation >>> 10] = undefined
  }

  *[Symbol.iterator](): Iterator<Task> {
    for (const page of this.pages) {
      if (page === undefined) continue
      for (const task of page.tasks) if (task !== undefined) yield task
    }
  }
}

export class Indexes {
  readonly instants = new Instants()
  readonly tasks = new Map<string, Task>()
  /** Removed tasks included, while they have runs. */
  readonly generations = new Generations()
  /** Removed tasks that still have runs, by id. */
  readonly removed = new Map<string, Array<Task>>()
  readonly due = new SortedList<Task>(byDue)
  /** Tasks with `zoneRules`. */
  readonly zoned = new SortedList<Task>(byZoneRules)
  readonly events = new Set<Task>()
  readonly leases = new SortedList<Run>(byLease)
  readonly ended = new SortedList<Run>(byEnd)
  readonly lines = new Lines()
  private readonly buckets = new Map<string, Map<string, Array<Bucket>>>()
  private readonly kinds = new Map<string, Array<Kind>>()
  private ids: SortedList<Task> | undefined
  private created: SortedList<Task> | undefined
  private idle: SortedList<Task> | undefined
  private runs: SortedList<Run> | undefined

  // -- tasks

  addTask(task: Task): void {
    this.tasks.set(task.id, task)
    this.generations.add(task)
    if (task.kind.onStartup || task.kind.onShutdown) this.events.add(task)
    this.addDue(task)
    if (task.zoneRules !== null) this.zoned.add(task)
    this.ids?.add(task)
    this.created?.add(task)
  }

  removeTask(task: Task): void {
    this.tasks.delete(task.id)
    this.events.delete(task)
    this.removeDue(task)
    if (task.zoneRules !== null) this.zoned.remove(task)
    this.ids?.remove(task)
    this.created?.remove(task)
    task.removed = true
    const removed = this.removed.get(task.id)
    if (removed === undefined) this.removed.set(task.id, [task])
    else removed.push(task)
    this.forget(task)
  }

  /** Drops a removed task that has no runs left. */
  forget(task: Task): void {
    if (!task.removed || task.open !== null || task.history !== null) return
    this.generations.remove(task)
    task.release(this.instants)
    const rest = this.removed.get(task.id)?.filter((other) => other !== task) ?? []
    if (rest.length === 0) this.removed.delete(task.id)
    else this.removed.set(task.id, rest)
  }

  setDue(task: Task, due: number): void {
    if (task.due === due) return
    this.removeDue(task)
    task.due = due
    this.addDue(task)
  }

  private addDue(task: Task): void {
    if (task.due !== Infinity) this.due.add(task)
    else this.idle?.add(task)
  }

  private removeDue(task: Task): void {
    if (task.due !== Infinity) this.due.remove(task)
    else this.idle?.remove(task)
  }

  setZoneRules(task: Task, zoneRules: string | null): void {
    if (task.zoneRules === zoneRules) return
    if (task.zoneRules !== null) this.zoned.remove(task)
    task.zoneRules = zoneRules
    if (zoneRules !== null) this.zoned.add(task)
  }

  setKind(task: Task, kind: Kind): void {
    task.kind = kind
    if (kind.onStartup || kind.onShutdown) this.events.add(task)
    else this.events.delete(task)
    for (const run of task.opens()) {
      if (run.state === "running") continue
      this.unlink(run)
      run.follow()
      this.link(run)
    }
  }

  setConcurrency(task: Task, key: string | null, limit: number): void {
    for (const run of task.opens()) if (run.state !== "running") this.unlink(run)
    task.concurrencyKey = key
    task.concurrencyLimit = limit
    for (const run of task.opens()) {
      if (run.state === "running") continue
      run.follow()
      this.link(run)
    }
  }

  setCreatedAt(task: Task, createdAt: number): void {
    this.created?.remove(task)
    task.createdAt = createdAt
    this.created?.add(task)
  }

  // -- runs

  /** Puts an open run where its state belongs. */
  link(run: Run): void {
    const ready = run.state === "ready" && !run.held
    if (run.concurrencyKey !== null && (ready || run.state === "running")) {
      run.line = this.lines.of(run.kind.tag, run.concurrencyKey)
      if (ready) run.line.ready++
      else run.line.run(1)
    }
    if (run.state === "running") this.leases.add(run)
    else if (ready) run.kind.bucket.add(run)
  }

  /** Takes an open run out of where its state belonged; call it before changing anything of it. */
  unlink(run: Run): void {
    if (run.state === "running") this.leases.remove(run)
    else if (run.state === "ready" && !run.held) run.kind.bucket.remove(run)
    const { line } = run
    if (line === null) return
    run.line = null
    if (run.state === "running") {
      line.run(-1)
      if (line.ready > 0) this.lines.freed = true
    } else line.ready--
    this.lines.left(line)
  }

  extendLease(run: Run, until: number): void {
    this.leases.remove(run)
    run.leaseUntil = until
    this.leases.add(run)
  }

  addRun(run: Run): void {
    run.task.addOpen(run)
    this.link(run)
    this.runs?.add(run)
  }

  dropRun(run: Run): void {
    this.unlink(run)
    run.task.removeOpen(run)
    this.runs?.remove(run)
  }

  /** From open to history; the caller has set how it ended. */
  addEnded(run: Run): void {
    const task = run.task
    this.runs?.remove(run)
    task.removeOpen(run)
    run.number = ++task.ended
    if (task.history === null) task.history = [run]
    else task.history.push(run)
    this.ended.add(run)
    this.runs?.add(run)
  }

  /** Drops the numbers of a task up to its latest − keep. */
  keep(task: Task, keep: number): void {
    const history = task.history
    if (history === null) return
    const last = task.ended - keep
    for (let run = history[0]; run !== undefined && run.number <= last; run = history[0]) {
      this.dropEnded(run)
      history.shift()
    }
    if (history.length === 0) task.history = null
    this.forget(task)
  }

  prune(run: Run): void {
    const task = run.task
    const history = task.history
    if (history === null) return
    this.dropEnded(run)
    history.splice(history.indexOf(run), 1)
    if (history.length === 0) task.history = null
    this.forget(task)
  }

  private dropEnded(run: Run): void {
    this.ended.remove(run)
    this.runs?.remove(run)
  }

  // -- kinds and buckets

  kind(fields: KindFields): Kind {
    let kinds = this.kinds.get(fields.tag)
    if (kinds === undefined) {
      if (this.kinds.size === 4096) this.kinds.clear()
      this.kinds.set(fields.tag, kinds = [])
    }
    const known = kinds.find((kind) => sameKind(kind, fields))
    if (known !== undefined) return known
    const kind = new Kind(fields, this.bucket(fields))
    // Definitions in code are few. Where policies are made per task, the oldest are shared no longer.
    if (kinds.length === 32) kinds.shift()
    kinds.push(kind)
    return kind
  }

  private bucket(fields: KindFields): Bucket {
    let tags = this.buckets.get(fields.executor)
    if (tags === undefined) this.buckets.set(fields.executor, tags = new Map())
    let versions = tags.get(fields.tag)
    if (versions === undefined) tags.set(fields.tag, versions = [])
    let bucket = versions.find((bucket) => bucket.version === fields.version)
    if (bucket === undefined) versions.push(bucket = new Bucket(fields.version))
    return bucket
  }

  bucketsUpTo(executor: string, tag: string, version: number): ReadonlyArray<Bucket> {
    return this.buckets.get(executor)?.get(tag)?.filter((bucket) => bucket.version <= version) ?? []
  }

  // -- pages: each index is built by the first list that needs it and kept from then on

  tasksById(): SortedList<Task> {
    return this.ids ??= new SortedList(byId, [...this.tasks.values()])
  }

  tasksByCreated(): SortedList<Task> {
    return this.created ??= new SortedList(byCreated, [...this.tasks.values()])
  }

  /** Tasks without a due instant. */
  tasksIdle(): SortedList<Task> {
    return this.idle ??= new SortedList(
      byGeneration,
      [...this.tasks.values()].filter((task) => task.due === Infinity)
    )
  }

  runsByDue(): SortedList<Run> {
    if (this.runs !== undefined) return this.runs
    const runs: Array<Run> = []
    for (const task of this.generations) {
      for (const run of task.opens()) runs.push(run)
      for (const run of task.history ?? []) runs.push(run)
    }
    return this.runs = new SortedList(byRunDue, runs)
  }
}
