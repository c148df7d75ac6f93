/**
 * What an operation makes of a document: pure steps on a copy of it, in the words of the port.
 *
 *     read document ─▶ Draft ─▶ steps ─▶ document ─▶ one filtered write, or, if another came first, all of it again
 *
 * `MemoryTaskStore` is the same in memory.
 *
 * @since 0.1.0
 */
import type { ArrivingRun, TaskDefinition, TaskPosition, TaskRow, TerminalState } from "punctual/TaskRecord"
import type {
  Change,
  Claimed,
  Committed,
  Heartbeat,
  Lease,
  NewTask,
  RunChange,
  RunRef,
  Settled,
  Settlement,
  Slot,
  TakenOver,
  Verdict
} from "punctual/TaskStore"
import { extendLease } from "punctual/TaskStore"
import * as Documents from "./documents.ts"
import type { EndedRun, Mutable, StoredRow, StoredRun, StoredVerdict, TaskDocument } from "./documents.ts"
import { bringsDue, type Brought, brought } from "./wakes.ts"

/** Numbers that the store gives, drawn before they are needed. */
export interface Numbers {
  readonly token: () => number
  readonly generation: () => number
}

/** What one change has done so far. */
interface Made {
  /** Runs it created with a claim. */
  readonly claimed: Array<StoredRun>
  /** Runs that were running before it and that it has asked to stop. */
  readonly asked: Array<StoredRun>
  /** Whether it creates runs that wait. */
  waits: boolean
}

export class Draft {
  readonly id: string
  readonly before: TaskDocument | undefined
  readonly brought: Brought = brought()
  private readonly given: Numbers
  private task: StoredRow | undefined
  private readonly runs: Map<string, StoredRun>
  private readonly ended: Map<string, EndedRun>
  private readonly numbers: Map<string, number>
  private readonly verdicts: Map<string, StoredVerdict>
  private cold: number

  constructor(id: string, before: TaskDocument | undefined, given: Numbers) {
    this.id = id
    this.before = before
    this.given = given
    this.task = before?.task && { ...before.task }
    this.runs = new Map(Object.entries(before?.runs ?? {}).map(([key, run]) => [key, { ...run }]))
    this.ended = new Map(Object.entries(before?.ended ?? {}))
    this.numbers = new Map(Object.entries(before?.numbers ?? {}))
    this.verdicts = new Map(Object.entries(before?.verdicts ?? {}))
    this.cold = before?.cold ?? 0
  }

  /** The document this draft makes; `undefined` when nothing is left of it. */
  after(): TaskDocument | undefined {
    const { task } = this
    if (task === undefined && this.runs.size === 0 && this.ended.size === 0) return undefined
    const runs = Object.fromEntries(this.runs)
    const ended = Object.fromEntries(this.ended)
    const verdicts = Object.fromEntries(this.verdicts)
    const derived = Documents.derive({ ...task && { task }, runs, ended, verdicts })
    const living = new Set(derived.generations.map(Documents.numberKey))
    return {
      _id: this.id,
      born: this.before?.born ?? derived.generations[0] ?? 0,
      v: this.before?.v ?? 1,
      schema: this.before?.schema ?? Documents.schemaVersion,
      ...task && { task },
      runs,
      ended,
      numbers: Object.fromEntries([...this.numbers].filter(([key]) => living.has(key))),
      verdicts,
      cold: this.cold,
      ...derived
    }
  }

  /** Characters of exits that wait for history. */
  unfiled(): number {
    let size = 0
    for (const run of this.ended.values()) size += run.exit?.length ?? 0
    return size
  }

  /** What waits for history. */
  readonly takeEnded = (): ReadonlyArray<EndedRun> => [...this.ended.values()]

  /** These are in history. */
  filed(runs: ReadonlyArray<EndedRun>): void {
    for (const run of runs) this.ended.delete(Documents.endKey(run.generation, run.number))
  }

  // -- rows

  row(): TaskRow | undefined {
    return this.task && Documents.rowOf(this.id, this.task)
  }

  exists(): boolean {
    return this.task !== undefined
  }

  /** Takes the id, which must be free. */
  insert({ concurrencyKey: _, concurrencyLimit: __, id: ___, runs, ...fields }: NewTask): void {
    const task: StoredRow = {
      ...fields,
      counters: { ...fields.counters },
      generation: this.given.generation(),
      revision: 1
    }
    this.task = task
    this.cold = Documents.coldSize(task)
    bringsDue(this.brought, task.due)
    for (const run of runs ?? []) {
      if (this.find(task.generation, run.key) === undefined) this.create(task, run, undefined, task.createdAt)
    }
  }

  commit(change: Change): Committed {
    const { task } = this
    if (task === undefined || task.generation !== change.generation || task.revision !== change.revision) {
      return { _tag: "Conflict" }
    }
    task.revision++
    const { revision } = task
    if (change.set !== "remove") this.set(task, change.set)
    const made: Made = { claimed: [], asked: [], waits: false }
    for (const run of change.runs) this.change(task, run, change.now, made)
    if (change.set !== "remove") {
      if (made.waits) this.queue(task)
    } else {
      this.remove(task, change.now)
      if (change.replacement !== undefined) this.insert({ ...change.replacement, id: this.id })
    }
    return { _tag: "Committed", revision, claimed: made.claimed.map((run) => Documents.runOf(this.id, run)) }
  }

  private set(
    task: StoredRow,
    { concurrencyKey: _, concurrencyLimit: __, ...set }: Partial<TaskDefinition & TaskPosition>
  ): void {
    for (const [field, value] of Object.entries(set)) {
      if (value !== undefined) Object.assign(task, { [field]: structuredClone(value) })
    }
    if (Documents.setsTexts(set)) this.cold = Documents.coldSize(task)
    if (set.due !== undefined) bringsDue(this.brought, set.due)
    for (const run of this.opens(task)) if (run.state !== "running") follow(run, task)
  }

  private remove(task: StoredRow, now: number): void {
    for (const run of this.opens(task)) if (run.state !== "running") this.cancel(run, "removed", now)
    this.verdicts.clear()
    this.task = undefined
    this.cold = 0
  }

  // -- runs

  private find(generation: number, key: string): StoredRun | undefined {
    return this.runs.get(Documents.runKey(generation, key))
  }

  private opens(task: StoredRow): ReadonlyArray<StoredRun> {
    return [...this.runs.values()].filter((run) => run.generation === task.generation)
  }

  /** The row a run belongs to, unless it is removed. */
  private rowFor(run: StoredRun): StoredRow | undefined {
    return this.task?.generation === run.generation ? this.task : undefined
  }

  private change(task: StoredRow, change: RunChange, now: number, made: Made): void {
    if (change._tag === "Create") {
      if (change.run.state === "waiting") made.waits = true
      if (this.find(task.generation, change.run.key) !== undefined) return
      const waits = change.run.state === "ready" && this.waits(task, change.run.slots, made)
      const run = waits
        ? this.create(task, { ...change.run, state: "waiting" }, undefined, now)
        : this.create(task, change.run, change.claim, now)
      if (run.state === "running") made.claimed.push(run)
      if (waits) made.waits = true
      return
    }
    const run = this.find(task.generation, change.key)
    if (run === undefined) return
    switch (change._tag) {
      case "Drop":
        if (run.state === "waiting") this.runs.delete(Documents.runKey(run.generation, run.key))
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
        if (run.state === "waiting" && !this.waits(task, run.slots, made)) this.ready(run, task)
        return
      case "Hold":
        if (run.state !== "running") run.held = true
        return
      case "Unhold":
        if (run.state === "running") return
        if (run.held && run.state === "ready") this.brought.ready = true
        run.held = false
        return
    }
  }

  /** Whether a run must wait for those that this change has asked to stop; then their ends look for it. */
  private waits(task: StoredRow, slots: number, { asked }: Made): boolean {
    if (asked.length === 0 || this.active(task) < slots) return false
    for (const run of asked) run.queues = true
    return true
  }

  /** After a run was created that waits: whatever is open looks for it when it ends, and it waits for nothing else. */
  private queue(task: StoredRow): void {
    const open = this.opens(task)
    if (!open.some((run) => run.state === "waiting")) return
    for (const run of open) run.queues = true
    for (let room = true; room;) room = this.promote(task)
  }

  private create(task: StoredRow, newRun: ArrivingRun, claim: Lease | undefined, now: number): StoredRun {
    const run: StoredRun = {
      generation: task.generation,
      key: newRun.key,
      tag: task.tag,
      version: task.version,
      executor: task.executor,
      priority: task.priority,
      due: newRun.due,
      nominal: newRun.nominal,
      state: newRun.state,
      held: newRun.held ?? false,
      readyAt: newRun.readyAt,
      attempt: newRun.attempt ?? 0,
      takeovers: newRun.takeovers ?? 0,
      createdAt: now,
      owner: null,
      token: null,
      leaseUntil: null,
      startedAt: null,
      cancel: null,
      endedAt: null,
      exit: null,
      slots: newRun.slots,
      queues: newRun.queues,
      atMostOnce: newRun.atMostOnce
    }
    if (run.state === "ready") {
      if (claim !== undefined) this.own(run, claim, now)
      else if (!run.held) this.brought.ready = true
    }
    this.runs.set(Documents.runKey(run.generation, run.key), run)
    return run
  }

  private own(run: StoredRun, lease: Lease, now: number): void {
    run.state = "running"
    run.token = this.given.token()
    run.owner = lease.owner
    run.leaseUntil = lease.until
    run.startedAt = run.atMostOnce ? null : now
    run.attempt++
  }

  private ready(run: StoredRun, task: StoredRow): void {
    run.state = "ready"
    run.leaseUntil = null
    follow(run, task)
    if (!run.held) this.brought.ready = true
  }

  /** running → ready; held while its task is paused. */
  private back(run: StoredRun, task: StoredRow): void {
    if (task.state === "paused") {
      run.held = true
      task.revision++
    }
    this.ready(run, task)
  }

  private end(run: StoredRun, state: TerminalState, now: number, keep: number | null): void {
    const { generation } = run
    const number = (this.numbers.get(Documents.numberKey(generation)) ?? 0) + 1
    run.state = state
    run.leaseUntil = null
    run.endedAt = now
    this.numbers.set(Documents.numberKey(generation), number)
    this.runs.delete(Documents.runKey(generation, run.key))
    this.ended.set(Documents.endKey(generation, number), { ...run, number, keep })
  }

  private cancel(run: StoredRun, reason: string, now: number): void {
    run.cancel = reason
    run.token = null
    this.end(run, "cancelled", now, null)
  }

  /** Ends an attempt and does for the run's task what its end asks for. */
  private endAttempt(run: StoredRun, state: TerminalState, now: number, keep: number): void {
    this.end(run, state, now, keep)
    const task = this.rowFor(run)
    if (!run.queues || task === undefined) return
    task.revision++
    this.promote(task)
  }

  /** Makes the waiting run that is due first ready, if there is room for it; answers whether it did. */
  private promote(task: StoredRow): boolean {
    let first: StoredRun | undefined
    for (const run of this.opens(task)) {
      if (run.state !== "waiting") continue
      if (first === undefined || run.due < first.due || (run.due === first.due && run.key < first.key)) first = run
    }
    if (first === undefined || this.active(task) >= first.slots) return false
    this.ready(first, task)
    return true
  }

  /** How many of a task's runs are ready or running. */
  private active(task: StoredRow): number {
    return this.opens(task).filter((run) => run.state !== "waiting").length
  }

  private ask(run: StoredRun, reason: string): void {
    if (run.cancel !== null) return
    run.cancel = reason
    this.brought.cancel = true
  }

  // -- runs that are claimed

  claim(
    { generation, key }: Pick<StoredRun, "generation" | "key">,
    slot: Slot,
    options: { readonly now: number; readonly lease: Lease; readonly reader: string }
  ): Claimed | undefined {
    const run = this.find(generation, key)
    if (run === undefined || !isClaimable(run, slot, options.now)) return undefined
    const task = this.row()
    if (task === undefined || this.hides(options.reader)) return undefined
    this.own(run, options.lease, options.now)
    return { run: Documents.runOf(this.id, run), task }
  }

  /** The run of this reference, while it is this owner's. */
  private owned(ref: RunRef, owner: string): StoredRun | undefined {
    const run = this.find(ref.generation, ref.key)
    return run?.state === "running" && run.token === ref.token && run.owner === owner ? run : undefined
  }

  start(ref: RunRef, owner: string, now: number): boolean {
    const run = this.owned(ref, owner)
    if (run !== undefined) run.startedAt ??= now
    return run !== undefined
  }

  heartbeat(ref: RunRef, lease: Lease): Heartbeat {
    const run = this.owned(ref, lease.owner)
    if (run === undefined) return { alive: false, cancel: null }
    run.leaseUntil = extendLease(run.leaseUntil, lease.until)
    return { alive: true, cancel: run.cancel }
  }

  cancelRunning({ generation, key, reason }: { generation: number; key: string; reason: string }): boolean {
    const run = this.find(generation, key)
    if (run?.state !== "running") return false
    this.ask(run, reason)
    return true
  }

  /** `undefined`: not by this document; history may know. */
  settle(settlement: Settlement, keep: number): Settled | undefined {
    const run = this.owned(settlement, settlement.owner)
    if (run === undefined) return this.settledBefore(settlement)
    const { now, result } = settlement
    const task = this.rowFor(run)
    const revision = task?.revision ?? 0
    if (result._tag !== "Release") run.exit = result.exit
    if (result._tag === "Release") run.attempt--
    if (result._tag === "End") this.endAttempt(run, result.state, now, keep)
    else if (run.cancel !== null || task === undefined) this.endAttempt(run, "cancelled", now, keep)
    else {
      if (result.readyAt !== undefined) run.readyAt = result.readyAt
      this.back(run, task)
    }
    if (settlement.task !== undefined && task !== undefined) {
      this.settleTask(task, settlement, settlement.task, now)
      task.revision = revision + 1
    }
    return settled(result, run)
  }

  /** What became of a run that this very token settled: takeovers make it void, claims give another one. */
  private settledBefore(settlement: Settlement): Settled | undefined {
    const { generation, key, owner, token } = settlement
    const open = this.find(generation, key)
    if (open !== undefined && open.state !== "running" && open.token === token && open.owner === owner) {
      return settled(settlement.result, open)
    }
    for (const run of this.ended.values()) {
      if (run.generation === generation && run.key === key && run.token === token && run.owner === owner) {
        return settled(settlement.result, run)
      }
    }
    return undefined
  }

  private settleTask(
    task: StoredRow,
    { key }: Settlement,
    change: NonNullable<Settlement["task"]>,
    now: number
  ): void {
    if (change.failures === "reset") task.failures = 0
    else if (change.failures === "increment") task.failures++
    if (change.missed === true && !(Number(key) <= task.epoch)) {
      const { counters } = task
      task.counters = { ...counters, ran: counters.ran - 1, missed: counters.missed + 1 }
    }
    const { pauseAt } = change
    if (
      pauseAt === undefined || task.failures < pauseAt.failures || task.state === "paused" || task.state === "finished"
    ) {
      return
    }
    task.state = "paused"
    task.pausedAt = now
    task.pauseNote = pauseAt.note
    task.due = null
    task.nominal = null
    task.zoneRules = null
    for (const run of this.opens(task)) if (run.state !== "running") run.held = true
  }

  /** `undefined` where its lease has not ended, or it is another claim's. */
  takeover(
    ref: Pick<StoredRun, "generation" | "key" | "token">,
    options: { readonly now: number; readonly maxTakeovers: number; readonly keep: number }
  ): TakenOver | undefined {
    const run = this.find(ref.generation, ref.key)
    if (run === undefined || run.token !== ref.token || run.leaseUntil === null || run.leaseUntil > options.now) {
      return undefined
    }
    const task = this.rowFor(run)
    const owner = run.owner ?? ""
    run.takeovers++
    run.token = null
    const became = run.cancel !== null
      ? "cancelled"
      : run.takeovers >= options.maxTakeovers || task === undefined || (run.atMostOnce && run.startedAt !== null)
      ? "abandoned"
      : "ready"
    if (became !== "ready") this.endAttempt(run, became, options.now, options.keep)
    else if (task !== undefined) this.back(run, task)
    return { run: Documents.runOf(this.id, run), became, owner }
  }

  // -- verdicts

  hides(reader: string): boolean {
    return this.verdicts.has(Documents.readerKey(reader))
  }

  quarantine({ at, generation, reader, reason }: Verdict): void {
    if (this.task?.generation !== generation) return
    this.verdicts.set(Documents.readerKey(reader), { reader, reason, at })
  }

  clear(generation: number): void {
    const { task } = this
    if (task?.generation !== generation || this.verdicts.size === 0) return
    this.verdicts.clear()
    // Readers that passed it over must look again.
    bringsDue(this.brought, task.due)
    if (this.opens(task).some((run) => run.state === "ready")) this.brought.ready = true
  }
}

/** Whether a claim for a slot may take a run. */
export const isClaimable = (run: StoredRun, slot: Slot, now: number): boolean =>
  run.state === "ready" && !run.held && run.readyAt <= now && run.tag === slot.tag &&
  run.executor === slot.executor && run.version <= slot.version

/** Ready and waiting runs follow their row. */
const follow = (run: Mutable<StoredRun>, task: StoredRow): void => {
  run.tag = task.tag
  run.version = task.version
  run.executor = task.executor
  run.priority = task.priority
}

/** What is told of a settlement, the first time and when it is repeated. */
export const settled = (result: Settlement["result"], run: Pick<StoredRun, "state">): Settled =>
  result._tag !== "End" && run.state === "cancelled" ? "Cancelled" : "Settled"
