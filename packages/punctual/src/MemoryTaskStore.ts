/**
 * The task store in memory: nothing survives the process, nothing leaves it.
 *
 * **When to use**
 *
 * In tests, for tasks that are closures, and for programs whose schedule is written in code and need not outlive them.
 *
 * **Details**
 *
 * Each operation is one synchronous step, thus atomic. `now` is the caller's; no clock is read. A million scheduled tasks
 * take about 500 bytes each, their id and payload included. What is due and what can be claimed are found through sorted
 * indexes: the cost is that of the rows returned (and of rows under a verdict, which are passed over).
 *
 * | `list`, `runs` | |
 * |---|---|
 * | `ids`, `event`, `runs` of a task or generation | look at the rows named only |
 * | sorted by id, due or created; all runs | walk an index, which the first such call builds (a second per million rows) and later changes keep |
 * | `tag`, `state`, `owner`, `labels`, `search` | are tested on the way, so a rare match scans |
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { byClaim, Indexes } from "./internal/memoryIndexes.ts"
import { type Line, Taken } from "./internal/memoryLines.ts"
import * as Lists from "./internal/memoryLists.ts"
import { counted, Run, Task, Texts } from "./internal/memoryRecords.ts"
import type { Cursor } from "./internal/memorySorted.ts"
import type { ArrivingRun, InstanceRow, TaskDefinition, TaskPosition, TerminalState } from "./TaskRecord.ts"
import { noCounters } from "./TaskRecord.ts"
import type {
  Capabilities,
  Change,
  Claimed,
  Committed,
  Heartbeat,
  Inserted,
  Lease,
  NewTask,
  RunChange,
  RunRef,
  Settled,
  Settlement,
  Slot,
  TakenOver,
  TaskWithRuns,
  Verdict,
  Wake
} from "./TaskStore.ts"
import { extendLease, TaskStore, TaskStoreError, zoneRulesPatience } from "./TaskStore.ts"
import { audience } from "./TaskStoreKit.ts"

/**
 * Volatile, of one process, and its wake-ups arrive by themselves.
 *
 * @category constants
 * @since 0.1.0
 */
export const capabilities: Capabilities = {
  durable: false,
  shared: false,
  notifies: true,
  concurrencyKeys: true
}

/** Of events, in characters: a listener that is slow has a thousand of them. */
const longestText = 65_536

// -----------------------------------------------------------------------------
// operations
// -----------------------------------------------------------------------------

class Memory {
  readonly indexes = new Indexes()
  readonly texts = new Texts()
  readonly listeners = new Set<{ readonly onWake: (wake: Wake) => void }>()
  readonly verdicts = new Map<number, Map<string, Verdict>>()
  readonly instances = new Map<string, InstanceRow>()
  generation = 0
  token = 0

  // -- wake-ups

  /** The due instant up to which every reader knows what comes; see `TaskStore.listen`. */
  known = Infinity
  private broughtDue = Infinity
  private broughtReady = false
  private broughtCancel = false

  /** Tells listeners what the operation just applied brought; answers what they threw. */
  wake(): ReadonlyArray<unknown> {
    if (this.indexes.lines.freed) this.broughtReady = true
    this.indexes.lines.freed = false
    const due = this.broughtDue < this.known ? this.broughtDue : null
    if (due !== null) this.known = due
    const wake = due !== null || this.broughtReady || this.broughtCancel
      ? { due, ready: this.broughtReady, cancel: this.broughtCancel }
      : undefined
    this.broughtDue = Infinity
    this.broughtReady = false
    this.broughtCancel = false
    if (wake === undefined || this.listeners.size === 0) return []
    const thrown: Array<unknown> = []
    for (const listener of Array.from(this.listeners)) {
      try {
        listener.onWake({ ...wake })
      } catch (error) {
        thrown.push(error)
      }
    }
    return thrown
  }

  private brings(task: Task): void {
    if (task.due < this.broughtDue) this.broughtDue = task.due
  }

  // -- tasks

  insert(tasks: ReadonlyArray<NewTask>): ReadonlyArray<Inserted> {
    return tasks.map((task) => {
      const existing = this.indexes.tasks.get(task.id)
      if (existing !== undefined) return { _tag: "Exists", row: existing.toRow() }
      return { _tag: "Inserted", row: this.add(task).toRow() }
    })
  }

  private add(task: NewTask): Task {
    const added = new Task(task, ++this.generation, this.indexes.kind(task), this.texts, this.indexes.instants)
    this.indexes.addTask(added)
    this.brings(added)
    for (const run of task.runs ?? []) {
      if (added.openRun(run.key) === undefined) this.create(added, run, undefined, task.createdAt)
    }
    return added
  }

  get(ids: ReadonlyArray<string>): ReadonlyArray<TaskWithRuns> {
    return [...new Set(ids)].flatMap((id) => {
      const task = this.indexes.tasks.get(id)
      return task === undefined ? [] : withRuns(task)
    })
  }

  due({ limit, now, reader, zoneRules }: Parameters<TaskStore["Service"]["due"]>[0]) {
    const tasks: Array<TaskWithRuns> = []
    const patient = now - zoneRulesPatience
    const newest = this.indexes.zoned.down().next()?.zoneRules ?? ""
    const left = (task: Task) => task.due > patient && (task.zoneRules ?? "") > zoneRules
    const cursor = this.indexes.due.up()
    for (let task = cursor.next(); task !== undefined && task.due <= now; task = cursor.next()) {
      if (tasks.length >= limit) break
      if (!this.hides(task, reader) && (newest <= zoneRules || !left(task))) tasks.push(withRuns(task))
    }
    let next = this.indexes.due.firstFrom((task) => task.due <= now)?.due ?? Infinity
    if (newest > zoneRules) {
      const late = this.indexes.due.from((task) => task.due <= patient)
      for (let task = late.next(); task !== undefined && task.due <= now; task = late.next()) {
        if (!left(task)) continue
        next = Math.min(next, task.due + zoneRulesPatience)
        break
      }
    }
    if (next > this.known) this.known = next
    return { tasks, next: finite(next) }
  }

  outdated({ limit, reader, zoneRules }: Parameters<TaskStore["Service"]["outdated"]>[0]): ReadonlyArray<TaskWithRuns> {
    const tasks: Array<TaskWithRuns> = []
    const cursor = this.indexes.zoned.up()
    for (let task = cursor.next(); task !== undefined && tasks.length < limit; task = cursor.next()) {
      if ((task.zoneRules ?? "") >= zoneRules) break
      if (!this.hides(task, reader)) tasks.push(withRuns(task))
    }
    return tasks
  }

  commit(changes: ReadonlyArray<Change>): ReadonlyArray<Committed> {
    return changes.map((change) => {
      const task = this.indexes.tasks.get(change.id)
      if (task === undefined || task.generation !== change.generation || task.revision !== change.revision) {
        return { _tag: "Conflict" }
      }
      task.revision++
      if (change.set !== "remove") this.set(task, change.set)
      const made: Made = { claimed: [], asked: [], waits: false }
      for (const run of change.runs) this.change(task, run, change.now, made)
      if (change.set !== "remove") {
        if (made.waits) this.queue(task)
      } else {
        this.remove(task, change.now)
        if (change.replacement !== undefined) this.add({ ...change.replacement, id: change.id })
      }
      return { _tag: "Committed", revision: task.revision, claimed: made.claimed.map((run) => run.toRow()) }
    })
  }

  private set(task: Task, set: Partial<TaskDefinition & TaskPosition>): void {
    const kind = task.kind
    if (
      set.tag !== undefined || set.version !== undefined || set.policy !== undefined || set.executor !== undefined ||
      set.priority !== undefined || set.owner !== undefined || set.onStartup !== undefined ||
      set.onShutdown !== undefined
    ) {
      const next = this.indexes.kind({
        tag: set.tag ?? kind.tag,
        version: set.version ?? kind.version,
        policy: set.policy ?? kind.policy,
        executor: set.executor ?? kind.executor,
        priority: set.priority ?? kind.priority,
        owner: set.owner === undefined ? kind.owner : set.owner,
        onStartup: set.onStartup ?? kind.onStartup,
        onShutdown: set.onShutdown ?? kind.onShutdown
      })
      if (next !== kind) this.indexes.setKind(task, next)
    }
    if (set.concurrencyKey !== undefined || set.concurrencyLimit !== undefined) {
      this.indexes.setConcurrency(
        task,
        set.concurrencyKey === undefined ? task.concurrencyKey : set.concurrencyKey,
        set.concurrencyLimit ?? task.concurrencyLimit
      )
      for (const run of task.opens()) if (run.state === "ready" && !run.held) this.broughtReady = true
    }
    if (set.name !== undefined) task.name = this.texts.share(set.name)
    if (set.payload !== undefined) task.payload = set.payload
    if (set.display !== undefined) task.display = set.display === task.payload ? task.payload : set.display
    if (set.trigger !== undefined) task.trigger = this.texts.share(set.trigger)
    if (set.anchor !== undefined) task.anchor = set.anchor
    if (set.labels !== undefined) task.labels = this.texts.share(set.labels)
    if (set.declared !== undefined) task.declared = set.declared
    if (set.trace !== undefined) task.trace = set.trace
    if (set.createdAt !== undefined) this.indexes.setCreatedAt(task, set.createdAt)
    if (set.updatedAt !== undefined) task.updatedAt = set.updatedAt
    if (set.state !== undefined) task.state = set.state
    if (set.cursor !== undefined) task.cursor = set.cursor
    if (set.nominal !== undefined) task.nominal = set.nominal ?? NaN
    if (set.zoneRules !== undefined) {
      this.indexes.setZoneRules(task, set.zoneRules === null ? null : this.texts.share(set.zoneRules))
    }
    if (set.override !== undefined) task.override = set.override ?? NaN
    if (set.epoch !== undefined) task.epoch = set.epoch
    if (set.counters !== undefined) task.counters = counted(set.counters)
    if (set.ranges !== undefined) task.ranges = this.texts.shareIfShort(set.ranges)
    if (set.pausedAt !== undefined) task.pausedAt = set.pausedAt ?? NaN
    if (set.pauseNote !== undefined) task.pauseNote = set.pauseNote
    if (set.failures !== undefined) task.failures = set.failures
    if (set.due !== undefined) {
      this.indexes.setDue(task, set.due ?? Infinity)
      this.brings(task)
    }
  }

  private remove(task: Task, now: number): void {
    for (const run of Array.from(task.opens())) {
      if (run.state !== "running") this.cancel(run, "removed", now)
    }
    this.verdicts.delete(task.generation)
    this.indexes.removeTask(task)
  }

  // -- runs

  private change(task: Task, change: RunChange, now: number, made: Made): void {
    if (change._tag === "Create") {
      if (change.run.state === "waiting") made.waits = true
      if (task.openRun(change.run.key) !== undefined) return
      const waits = change.run.state === "ready" && this.waits(task, change.run.slots, made)
      const run = waits
        ? this.create(task, { ...change.run, state: "waiting" }, undefined, now)
        : this.create(task, change.run, change.claim, now)
      if (run.state === "running") made.claimed.push(run)
      if (waits) made.waits = true
      return
    }
    const run = task.openRun(change.key)
    if (run === undefined) return
    switch (change._tag) {
      case "Drop":
        if (run.state === "waiting") this.indexes.dropRun(run)
        return
      case "Cancel":
        if (run.state !== "running") {
          this.cancel(run, change.reason, now)
          return
        }
        if (!made.claimed.includes(run)) made.asked.push(run)
        this.ask(run, change.reason)
        return
      case "Promote":
        if (run.state === "waiting" && !this.waits(task, run.slots, made)) this.ready(run)
        return
      case "Hold":
        if (run.state !== "running") this.hold(run, true)
        return
      case "Unhold":
        if (run.state !== "running") this.hold(run, false)
        return
    }
  }

  /** Whether a run must wait for those that this change has asked to stop; then their ends look for it. */
  private waits(task: Task, slots: number, { asked }: Made): boolean {
    if (asked.length === 0 || active(task) < slots) return false
    for (const run of asked) run.queues = true
    return true
  }

  /** After a run was created that waits: whatever is open looks for it when it ends, and it waits for nothing else. */
  private queue(task: Task): void {
    if (!Array.from(task.opens()).some((run) => run.state === "waiting")) return
    for (const run of task.opens()) run.queues = true
    for (let room = true; room;) room = this.promote(task)
  }

  private create(task: Task, newRun: ArrivingRun, claim: Lease | undefined, now: number): Run {
    const run = new Run(task, newRun, now)
    if (run.state === "ready") {
      if (claim !== undefined && run.concurrencyKey === null) this.own(run, claim, now)
      else if (!run.held) this.broughtReady = true
    }
    this.indexes.addRun(run)
    return run
  }

  /** Makes a run that is in no index this owner's. */
  private own(run: Run, lease: Lease, now: number): void {
    run.state = "running"
    run.token = ++this.token
    run.owner = lease.owner
    run.leaseUntil = lease.until
    run.startedAt = run.atMostOnce ? NaN : now
    run.attempt++
  }

  private hold(run: Run, held: boolean): void {
    if (run.held === held) return
    this.indexes.unlink(run)
    run.held = held
    this.indexes.link(run)
    if (!held && run.state === "ready") this.broughtReady = true
  }

  private ready(run: Run): void {
    this.indexes.unlink(run)
    run.state = "ready"
    run.leaseUntil = NaN
    run.follow()
    this.indexes.link(run)
    if (!run.held) this.broughtReady = true
  }

  /** running → ready; held while its task is paused. */
  private back(run: Run): void {
    const task = run.task
    if (task.state === "paused") {
      run.held = true
      task.revision++
    }
    this.ready(run)
  }

  private end(run: Run, state: TerminalState, now: number): void {
    this.indexes.unlink(run)
    run.state = state
    run.leaseUntil = NaN
    run.endedAt = now
    this.indexes.addEnded(run)
  }

  private cancel(run: Run, reason: string, now: number): void {
    run.cancel = reason
    run.token = null
    this.end(run, "cancelled", now)
  }

  /** Ends an attempt, bounds the history, and does for the run's task what its end asks for. */
  private endAttempt(run: Run, state: TerminalState, now: number, keep: number): void {
    const task = run.task
    this.end(run, state, now)
    this.indexes.keep(task, keep)
    if (run.queues && !task.removed) {
      task.revision++
      this.promote(task)
    }
  }

  /** Makes the waiting run that is due first ready, if there is room for it; answers whether it did. */
  private promote(task: Task): boolean {
    let first: Run | undefined
    for (const run of task.opens()) {
      if (run.state !== "waiting") continue
      if (first === undefined || run.due < first.due || (run.due === first.due && run.key < first.key)) first = run
    }
    if (first === undefined || active(task) >= first.slots) return false
    this.ready(first)
    return true
  }

  claim(options: {
    readonly now: number
    readonly lease: Lease
    readonly slots: ReadonlyArray<Slot>
    readonly limit: number
    readonly reader: string
  }): { readonly runs: ReadonlyArray<Claimed>; readonly next: number | null } {
    let next = Infinity
    const taken = new Taken()
    let slots = options.slots.map((slot) => {
      const buckets = this.indexes.bucketsUpTo(slot.executor, slot.tag, slot.version)
      for (const bucket of buckets) next = Math.min(next, bucket.see(options.now))
      return {
        left: slot.limit,
        buckets,
        /** Lines whose next run may not begin: those behind it wait, too. */
        full: new Set<Line>(),
        candidates: merge(buckets.flatMap((bucket) => bucket.cursors(taken)))
      }
    })
    const picked = new Set<Run>()
    const mayHave = (run: Run): boolean => !picked.has(run) && !this.hides(run.task, options.reader)
    const mayBegin = (run: Run, { buckets, full }: typeof slots[number]): boolean => {
      const { line } = run
      if (line === null) return true
      if (full.has(line)) return false
      const begins = taken.allows(line, run) &&
        // one of another version, before it, that may not
        (buckets.length === 1 || buckets.every((bucket) => bucket.lanes.noneBefore(line, run, mayHave)))
      if (!begins) full.add(line)
      return begins
    }
    while (slots.length > 0 && picked.size < options.limit) {
      const rest: typeof slots = []
      for (const slot of slots) {
        if (slot.left <= 0 || picked.size >= options.limit) continue
        let run = slot.candidates.next()
        while (run !== undefined && !(mayHave(run) && mayBegin(run, slot))) run = slot.candidates.next()
        if (run === undefined) continue
        picked.add(run)
        if (run.line !== null) taken.add(run.line)
        slot.left--
        rest.push(slot)
      }
      slots = rest
    }
    const runs: Array<Claimed> = []
    for (const run of picked) {
      this.indexes.unlink(run)
      this.own(run, options.lease, options.now)
      this.indexes.link(run)
      runs.push({ run: run.toRow(), task: run.task.toRow() })
    }
    return { runs, next: finite(next) }
  }

  /** The run of this reference, while it is this owner's. */
  private owned(ref: RunRef, owner: string): Run | undefined {
    const run = this.indexes.generations.get(ref.generation)?.openRun(ref.key)
    return run !== undefined && run.state === "running" && run.token === ref.token && run.owner === owner
      ? run
      : undefined
  }

  start(options: { readonly now: number; readonly owner: string; readonly runs: ReadonlyArray<RunRef> }) {
    return options.runs.map((ref) => {
      const run = this.owned(ref, options.owner)
      if (run === undefined) return false
      if (Number.isNaN(run.startedAt)) run.startedAt = options.now
      return true
    })
  }

  settle(settlements: ReadonlyArray<Settlement>, options: { readonly keep: number }): ReadonlyArray<Settled> {
    return settlements.map((settlement) => {
      const run = this.owned(settlement, settlement.owner)
      if (run === undefined) return this.settledBefore(settlement)
      const { now, result } = settlement
      const task = run.task
      const revision = task.revision
      if (result._tag !== "Release") run.exit = result.exit
      if (result._tag === "End") this.endAttempt(run, result.state, now, options.keep)
      else {
        if (result._tag === "Release") run.attempt--
        if (run.cancel !== null || task.removed) this.endAttempt(run, "cancelled", now, options.keep)
        else {
          if (result.readyAt !== undefined) {
            this.indexes.unlink(run)
            run.readyAt = result.readyAt
            this.indexes.link(run)
          }
          this.back(run)
        }
      }
      if (settlement.task !== undefined && !task.removed) {
        this.settleTask(task, settlement, settlement.task, now)
        task.revision = revision + 1
      }
      return settled(result, run)
    })
  }

  /** What became of a run that this very token settled: takeovers make it void, claims give another one. */
  private settledBefore(settlement: Settlement): Settled {
    const task = this.indexes.generations.get(settlement.generation)
    const run = [task?.openRun(settlement.key), task?.endedRun(settlement.key)].find((run) =>
      run !== undefined && run.state !== "running" && run.token === settlement.token && run.owner === settlement.owner
    )
    return run === undefined ? "Stale" : settled(settlement.result, run)
  }

  private settleTask(task: Task, { key }: Settlement, change: NonNullable<Settlement["task"]>, now: number): void {
    if (change.failures === "reset") task.failures = 0
    else if (change.failures === "increment") task.failures++
    if (change.missed === true && !(Number(key) <= task.epoch)) {
      const counters = task.counters ?? noCounters
      task.counters = counted({ ...counters, ran: counters.ran - 1, missed: counters.missed + 1 })
    }
    const pauseAt = change.pauseAt
    if (
      pauseAt !== undefined && task.failures >= pauseAt.failures && task.state !== "paused" && task.state !== "finished"
    ) {
      task.state = "paused"
      task.pausedAt = now
      task.pauseNote = pauseAt.note
      task.nominal = NaN
      this.indexes.setZoneRules(task, null)
      this.indexes.setDue(task, Infinity)
      for (const run of task.opens()) if (run.state !== "running") this.hold(run, true)
    }
  }

  heartbeat(options: {
    readonly now: number
    readonly lease: Lease
    readonly runs: ReadonlyArray<RunRef>
  }): ReadonlyArray<Heartbeat> {
    return options.runs.map((ref) => {
      const run = this.owned(ref, options.lease.owner)
      if (run === undefined) return { alive: false, cancel: null }
      this.indexes.extendLease(run, extendLease(run.leaseUntil, options.lease.until))
      return { alive: true, cancel: run.cancel }
    })
  }

  cancelRunning(
    runs: ReadonlyArray<{ readonly generation: number; readonly key: string; readonly reason: string }>
  ): ReadonlyArray<boolean> {
    return runs.map(({ generation, key, reason }) => {
      const run = this.indexes.generations.get(generation)?.openRun(key)
      if (run?.state !== "running") return false
      this.ask(run, reason)
      return true
    })
  }

  private ask(run: Run, reason: string): void {
    if (run.cancel !== null) return
    run.cancel = reason
    this.broughtCancel = true
  }

  takeover(options: {
    readonly now: number
    readonly limit: number
    readonly maxTakeovers: number
    readonly keep: number
  }): { readonly runs: ReadonlyArray<TakenOver>; readonly next: number | null } {
    const runs: Array<TakenOver> = []
    while (runs.length < options.limit) {
      const run = this.indexes.leases.first()
      if (run === undefined || run.leaseUntil > options.now) break
      runs.push(this.takeOver(run, options))
    }
    return { runs, next: this.indexes.leases.first()?.leaseUntil ?? null }
  }

  private takeOver(
    run: Run,
    options: { readonly now: number; readonly maxTakeovers: number; readonly keep: number }
  ): TakenOver {
    const owner = run.owner ?? ""
    run.takeovers++
    this.indexes.unlink(run)
    run.token = null
    const became = run.cancel !== null
      ? "cancelled"
      : run.takeovers >= options.maxTakeovers || run.task.removed || (run.atMostOnce && !Number.isNaN(run.startedAt))
      ? "abandoned"
      : "ready"
    if (became === "ready") this.back(run)
    else this.endAttempt(run, became, options.now, options.keep)
    return { run: run.toRow(), became, owner }
  }

  prune(options: { readonly before: number; readonly limit: number }): number {
    let pruned = 0
    for (; pruned < options.limit; pruned++) {
      const run = this.indexes.ended.first()
      if (run === undefined || run.endedAt >= options.before) break
      this.indexes.prune(run)
    }
    return pruned
  }

  // -- verdicts

  private hides(task: Task, reader: string): boolean {
    return this.verdicts.size > 0 && this.verdicts.get(task.generation)?.has(reader) === true
  }

  quarantine(verdicts: ReadonlyArray<Verdict>): void {
    for (const { at, generation, id, reader, reason } of verdicts) {
      const task = this.indexes.tasks.get(id)
      if (task === undefined || task.generation !== generation) continue
      let readers = this.verdicts.get(generation)
      if (readers === undefined) this.verdicts.set(generation, readers = new Map())
      readers.set(reader, { id, generation, reader, reason, at })
    }
  }

  verdictList(limit: number): ReadonlyArray<Verdict> {
    const list: Array<Verdict> = []
    for (const readers of this.verdicts.values()) {
      for (const verdict of readers.values()) {
        if (list.length >= limit) return list
        list.push({ ...verdict })
      }
    }
    return list
  }

  clear(generations: ReadonlyArray<number>): void {
    for (const generation of generations) {
      const task = this.indexes.generations.get(generation)
      if (!this.verdicts.delete(generation) || task === undefined) continue
      // Readers that passed it over must look again.
      this.brings(task)
      for (const run of task.opens()) if (run.state === "ready") this.broughtReady = true
    }
  }

  // -- schedulers

  instanceList(limit: number): ReadonlyArray<InstanceRow> {
    return Array.from(this.instances.values(), (instance) => ({ ...instance }))
      .sort((self, that) => that.until - self.until)
      .slice(0, limit)
  }
}

/** What one change has done so far. */
interface Made {
  /** Runs it created with a claim. */
  readonly claimed: Array<Run>
  /** Runs that were running before it and that it has asked to stop. */
  readonly asked: Array<Run>
  /** Whether it creates runs that wait. */
  waits: boolean
}

/** How many of a task's runs are ready or running. */
const active = (task: Task): number => {
  let count = 0
  for (const run of task.opens()) if (run.state !== "waiting") count++
  return count
}

const settled = (result: Settlement["result"], run: Run): Settled =>
  result._tag !== "End" && run.state === "cancelled" ? "Cancelled" : "Settled"

const withRuns = (task: Task): TaskWithRuns => ({
  row: task.toRow(),
  open: Array.from(task.opens(), (run) => run.toRow()).sort((self, that) => self.due - that.due)
})

const finite = (instant: number): number | null => instant === Infinity ? null : instant

/** The runs of several indexes in claim order: versions of one tag. */
const merge = (cursors: ReadonlyArray<Cursor<Run>>): Cursor<Run> => {
  const only = cursors[0]
  if (only !== undefined && cursors.length === 1) return only
  const heads = cursors.map((cursor) => cursor.next())
  return {
    next: () => {
      let best = -1
      for (let i = 0; i < heads.length; i++) {
        const head = heads[i]
        const first = heads[best]
        if (head !== undefined && (first === undefined || byClaim(head, first) < 0)) best = i
      }
      if (best === -1) return undefined
      const run = heads[best]
      heads[best] = cursors[best]?.next()
      return run
    }
  }
}

// -----------------------------------------------------------------------------
// service
// -----------------------------------------------------------------------------

/**
 * A new, empty store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<TaskStore["Service"]> = Effect.sync(() => {
  const memory = new Memory()
  const topics = { calls: audience<string>(), events: audience<string>() }

  /** One step: applies it, then tells the listeners. */
  const apply = <A>(step: () => A): Effect.Effect<A> =>
    Effect.suspend(() => {
      const answer = step()
      const thrown = memory.wake()
      return thrown.length === 0
        ? Effect.succeed(answer)
        : Effect.as(Effect.logError("A listener of the memory task store threw", ...thrown), answer)
    })

  const page = <A>(operation: string, read: () => A): Effect.Effect<A, TaskStoreError> =>
    Effect.suspend(() => {
      try {
        return Effect.succeed(read())
      } catch (error) {
        if (!(error instanceof Lists.BadCursor)) throw error
        return Effect.fail(
          new TaskStoreError({
            store: "memory",
            operation,
            reason: "Invalid",
            message: `Not a cursor of this list: ${error.message}. Pass the \`next\` of a page with the same order.`
          })
        )
      }
    })

  return TaskStore.of({
    name: "memory",
    capabilities,
    insert: (tasks) => apply(() => memory.insert(tasks)),
    get: (ids) => Effect.sync(() => memory.get(ids)),
    due: (options) => Effect.sync(() => memory.due(options)),
    outdated: (options) => Effect.sync(() => memory.outdated(options)),
    commit: (changes) => apply(() => memory.commit(changes)),
    claim: (options) => apply(() => memory.claim(options)),
    start: (options) => Effect.sync(() => memory.start(options)),
    settle: (settlements, options) => apply(() => memory.settle(settlements, options)),
    heartbeat: (options) => Effect.sync(() => memory.heartbeat(options)),
    cancel: (runs) => apply(() => memory.cancelRunning(runs)),
    takeover: (options) => apply(() => memory.takeover(options)),
    list: (query) => page("list", () => Lists.list(memory.indexes, query)),
    runs: (query) => page("runs", () => Lists.runs(memory.indexes, query)),
    prune: (options) => Effect.sync(() => memory.prune(options)),
    quarantine: (verdicts) => Effect.sync(() => memory.quarantine(verdicts)),
    verdicts: ({ limit }) => Effect.sync(() => memory.verdictList(limit)),
    clear: (generations) => apply(() => memory.clear(generations)),
    beat: (instance) => Effect.sync(() => void memory.instances.set(instance.id, { ...instance })),
    instances: ({ limit }) => Effect.sync(() => memory.instanceList(limit)),
    leave: (ids) => Effect.sync(() => ids.forEach((id) => memory.instances.delete(id))),
    listen: (onWake) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => {
            const listener = { onWake }
            memory.listeners.add(listener)
            return listener
          }),
          (listener) => Effect.sync(() => memory.listeners.delete(listener))
        )
      ),
    broadcast: {
      limit: longestText,
      say: (topic, texts) => Effect.forEach(texts, topics[topic].tell, { discard: true }),
      hear: (topic, onText) => topics[topic].join(onText)
    }
  })
})

/**
 * A store for each time this layer is built; use `Layer.fresh` for several in one program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<TaskStore> = Layer.effect(TaskStore, make)
