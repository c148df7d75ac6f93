/**
 * The port of `TaskStore` as a model: arrays and full scans, nothing clever, so that it can be read beside the port.
 *
 * Where the port leaves a choice to the store (which of equal runs a claim takes, which ended lease comes first), the
 * model takes the store's answer, says whether it was allowed (`ModelError` if not) and goes on from there.
 *
 * @since 0.1.0
 */
import type { ArrivingRun, RunRow, TaskRow, TerminalState } from "punctual/TaskRecord"
import { isOpen } from "punctual/TaskRecord"
import type {
  Change,
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
  Verdict
} from "punctual/TaskStore"
import { extendLease, zoneRulesPatience } from "punctual/TaskStore"

/**
 * The store did what the port does not allow.
 *
 * @category errors
 * @since 0.1.0
 */
export class ModelError extends Error {}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

type MutableTask = Mutable<TaskRow>

type MutableRun = Mutable<RunRow> & { number: number | null }

const check = (condition: boolean, message: string): void => {
  if (!condition) throw new ModelError(message)
}

const copy = <A>(a: A): A => structuredClone(a)

/** Left to those who have the newer rules of its zone. */
const isLeft = (task: TaskRow, now: number, zoneRules: string): boolean =>
  task.zoneRules !== null && task.zoneRules > zoneRules && task.due !== null && task.due <= now &&
  task.due > now - zoneRulesPatience

/**
 * @category models
 * @since 0.1.0
 */
export class Model {
  tasks: Array<MutableTask> = []
  runs: Array<MutableRun> = []
  verdicts: Array<Verdict> = []
  private readonly ends = new Map<number, number>()
  private generation = 0
  private token = 0

  // -- reading

  task(id: string): TaskRow | undefined {
    return copy(this.tasks.find((task) => task.id === id))
  }

  open(generation: number): ReadonlyArray<RunRow> {
    return this.runs.filter((run) => run.generation === generation && isOpen(run.state)).map(rowOf)
  }

  running(): ReadonlyArray<RunRow> {
    return this.runs.filter((run) => run.state === "running").map(rowOf)
  }

  runsOf(id: string): ReadonlyArray<RunRow> {
    return this.runs.filter((run) => run.taskId === id).map(rowOf)
  }

  due(now: number, limit: number, reader: string, zoneRules: string): ReadonlyArray<TaskRow> {
    return copy(
      this.tasks
        .filter((task) =>
          task.due !== null && task.due <= now && !this.hides(task.generation, reader) && !isLeft(task, now, zoneRules)
        )
        .sort((self, that) => (self.due ?? 0) - (that.due ?? 0))
        .slice(0, limit)
    )
  }

  /** What `due` may answer as `next`: with or without the rows its reader cannot read. */
  nextDue(now: number, reader: string, zoneRules: string): ReadonlyArray<number | null> {
    const earliest = (tasks: ReadonlyArray<TaskRow>) => {
      const instants = tasks.flatMap((task) =>
        task.due === null
          ? []
          : task.due > now
          ? [task.due]
          : isLeft(task, now, zoneRules)
          ? [task.due + zoneRulesPatience]
          : []
      )
      return instants.length === 0 ? null : Math.min(...instants)
    }
    return [earliest(this.tasks), earliest(this.tasks.filter((task) => !this.hides(task.generation, reader)))]
  }

  outdated(reader: string, zoneRules: string): ReadonlyArray<TaskRow> {
    return copy(
      this.tasks.filter((task) =>
        task.zoneRules !== null && task.zoneRules < zoneRules && !this.hides(task.generation, reader)
      )
    )
  }

  // -- tasks

  insert(tasks: ReadonlyArray<NewTask>): ReadonlyArray<Inserted> {
    return tasks.map((task) => {
      const existing = this.task(task.id)
      return existing === undefined
        ? { _tag: "Inserted", row: copy(this.add(task)) }
        : { _tag: "Exists", row: existing }
    })
  }

  private add({ runs, ...task }: NewTask): MutableTask {
    const row = { ...copy(task), generation: ++this.generation, revision: 1 }
    this.tasks.push(row)
    for (const run of runs ?? []) this.create(row, run, undefined, row.createdAt)
    return row
  }

  commit(changes: ReadonlyArray<Change>): ReadonlyArray<Committed> {
    return changes.map((change) => {
      const task = this.tasks.find((task) => task.id === change.id)
      if (task === undefined || task.generation !== change.generation || task.revision !== change.revision) {
        return { _tag: "Conflict" }
      }
      task.revision++
      if (change.set !== "remove") {
        Object.assign(task, copy(change.set))
        for (const run of this.runs) {
          if (run.generation === task.generation && (run.state === "ready" || run.state === "waiting")) {
            follow(run, task)
          }
        }
      }
      const claimed: Array<MutableRun> = []
      const asked: Array<MutableRun> = []
      let waits = false
      for (const one of change.runs) {
        const made = this.waiting(task, one, asked)
        if (made?._tag === "Create" && made.run.state === "waiting") waits = true
        const run = this.change(task, made, change.now)
        if (run === undefined) continue
        if (one._tag === "Create") claimed.push(run)
        else if (!claimed.includes(run)) asked.push(run)
      }
      if (waits && change.set !== "remove") this.queue(task)
      if (change.set === "remove") {
        for (const run of this.runs) {
          if (run.generation !== task.generation || !isOpen(run.state) || run.state === "running") continue
          run.cancel = "removed"
          run.token = null
          this.end(run, "cancelled", change.now)
        }
        this.tasks = this.tasks.filter((other) => other !== task)
        this.verdicts = this.verdicts.filter((verdict) => verdict.generation !== task.generation)
        if (change.replacement !== undefined) this.add({ ...change.replacement, id: change.id })
      }
      return { _tag: "Committed", revision: task.revision, claimed: claimed.map(rowOf) }
    })
  }

  /**
   * What a change comes to once it has asked runs to stop that were claimed since it was planned: what it would start
   * beyond `slots` waits for them, and they look for it.
   */
  private waiting(task: MutableTask, change: RunChange, asked: ReadonlyArray<MutableRun>): RunChange | undefined {
    if (asked.length === 0 || (change._tag !== "Create" && change._tag !== "Promote")) return change
    const open = this.findOpen(task.generation, change._tag === "Create" ? change.run.key : change.key)
    const starts = change._tag === "Create"
      ? open === undefined && change.run.state === "ready"
      : open?.state === "waiting"
    const slots = change._tag === "Create" ? change.run.slots : open?.slots ?? 0
    if (!starts || this.active(task.generation) < slots) return change
    for (const run of asked) run.queues = true
    return change._tag === "Create"
      ? { _tag: "Create", run: { ...change.run, state: "waiting" } }
      : undefined
  }

  /** While one waits, all open runs queue; and it waits only where there is no room. */
  private queue(task: MutableTask): void {
    const open = this.runs.filter((run) => run.generation === task.generation && isOpen(run.state))
    if (!open.some((run) => run.state === "waiting")) return
    for (const run of open) run.queues = true
    for (let room = true; room;) room = this.promote(task)
  }

  /** Answers a run that it claimed or asked to stop. */
  private change(task: MutableTask, change: RunChange | undefined, now: number): MutableRun | undefined {
    if (change === undefined) return undefined
    if (change._tag === "Create") {
      const run = this.create(task, change.run, change.claim, now)
      return run?.state === "running" ? run : undefined
    }
    const run = this.findOpen(task.generation, change.key)
    if (run === undefined) return undefined
    switch (change._tag) {
      case "Drop":
        if (run.state === "waiting") this.runs = this.runs.filter((other) => other !== run)
        return undefined
      case "Cancel":
        if (run.state === "running") {
          run.cancel ??= change.reason
          return run
        }
        run.cancel = change.reason
        run.token = null
        this.end(run, "cancelled", now)
        return undefined
      case "Promote":
        if (run.state === "waiting") run.state = "ready"
        return undefined
      case "Hold":
        if (run.state !== "running") run.held = true
        return undefined
      case "Unhold":
        if (run.state !== "running") run.held = false
        return undefined
    }
  }

  private create(
    task: MutableTask,
    newRun: ArrivingRun,
    claim: Lease | undefined,
    now: number
  ): MutableRun | undefined {
    if (this.findOpen(task.generation, newRun.key) !== undefined) return undefined
    const { keyed: _, ...made } = newRun
    const run: MutableRun = {
      ...copy(made),
      generation: task.generation,
      taskId: task.id,
      tag: "",
      version: 0,
      executor: "",
      priority: 0,
      concurrencyKey: null,
      concurrencyLimit: 1,
      held: newRun.held ?? false,
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
      number: null
    }
    follow(run, task)
    if (claim !== undefined && run.state === "ready" && run.concurrencyKey === null) this.own(run, claim, now)
    this.runs.push(run)
    return run
  }

  // -- runs

  private findOpen(generation: number, key: string): MutableRun | undefined {
    return this.runs.find((run) => run.generation === generation && run.key === key && isOpen(run.state))
  }

  private own(run: MutableRun, lease: Lease, now: number): void {
    run.state = "running"
    run.owner = lease.owner
    run.leaseUntil = lease.until
    run.token = ++this.token
    run.attempt++
    run.startedAt = run.atMostOnce ? null : now
  }

  private ready(run: MutableRun, task: MutableTask): void {
    run.state = "ready"
    run.leaseUntil = null
    follow(run, task)
  }

  /** running → ready */
  private back(run: MutableRun, task: MutableTask): void {
    if (task.state === "paused") {
      run.held = true
      task.revision++
    }
    this.ready(run, task)
  }

  private end(run: MutableRun, state: TerminalState, now: number): void {
    run.state = state
    run.leaseUntil = null
    run.endedAt = now
    run.number = (this.ends.get(run.generation) ?? 0) + 1
    this.ends.set(run.generation, run.number)
  }

  private endAttempt(run: MutableRun, state: TerminalState, now: number, keep: number): void {
    this.end(run, state, now)
    const last = this.ends.get(run.generation) ?? 0
    this.runs = this.runs.filter((other) =>
      other.generation !== run.generation || other.number === null || other.number > last - keep
    )
    const task = this.taskOf(run)
    if (task === undefined || !run.queues) return
    task.revision++
    this.promote(task)
  }

  private promote(task: MutableTask): boolean {
    const [first] = this.runs
      .filter((run) => run.generation === task.generation && run.state === "waiting")
      .sort((self, that) => self.due - that.due)
    if (first === undefined || this.active(task.generation) >= first.slots) return false
    this.ready(first, task)
    return true
  }

  /** How many runs of a task are ready or running. */
  private active(generation: number): number {
    return this.open(generation).filter((run) => run.state !== "waiting").length
  }

  private taskOf(run: RunRow): MutableTask | undefined {
    return this.tasks.find((task) => task.generation === run.generation)
  }

  private hides(generation: number, reader: string): boolean {
    return this.verdicts.some((verdict) => verdict.generation === generation && verdict.reader === reader)
  }

  /** Takes a claim's answer, by generation and key, in the store's order. */
  claim(
    options: {
      readonly now: number
      readonly lease: Lease
      readonly slots: ReadonlyArray<Slot>
      readonly limit: number
      readonly reader: string
    },
    answer: { readonly runs: ReadonlyArray<Pick<RunRow, "generation" | "key">>; readonly next: number | null }
  ): ReadonlyArray<RunRow> {
    const order = (self: RunRow, that: RunRow) => that.priority - self.priority || self.due - that.due
    const readyOf = (slot: Slot) =>
      this.runs.filter((run) =>
        run.state === "ready" && !run.held && run.tag === slot.tag && run.executor === slot.executor &&
        run.version <= slot.version
      )
    const picked = answer.runs.map(({ generation, key }) => {
      const run = this.findOpen(generation, key)
      if (run === undefined) throw new ModelError(`claimed a run that is not open: ${key}`)
      return run
    })
    check(new Set(picked).size === picked.length, "a run claimed twice")
    const shares = options.slots.map((slot) => {
      const candidates = readyOf(slot)
        .filter((run) => run.readyAt <= options.now && !this.hides(run.generation, options.reader))
        .sort(order)
      const mine = picked.filter((run) => candidates.includes(run))
      check(mine.every((run, i) => i === 0 || order(mine[i - 1]!, run) <= 0), "not in order")
      // Each line by itself: which of them comes first is the store's choice.
      let most = 0
      for (const key of new Set(candidates.map((run) => run.concurrencyKey))) {
        const line = candidates.filter((run) => run.concurrencyKey === key)
        const taken = mine.filter((run) => run.concurrencyKey === key)
        check(
          taken.every((run, i) => order(run, line[i]!) === 0),
          `not the first of their line: ${taken.map((run) => run.key).join()} of ${line.map((run) => run.key).join()}`
        )
        // Runs of the same key that this claim has taken for another executor come before these or between them.
        const running = key === null ? 0 : this.runningOf(slot.tag, key)
        const others = picked.filter((run) => run.tag === slot.tag && run.concurrencyKey === key).length - taken.length
        taken.forEach((run, i) =>
          check(key === null || running + i < run.concurrencyLimit, `${running + i + 1} of key ${key} are running`)
        )
        const full = key === null ? -1 : line.findIndex((run, i) => running + others + i >= run.concurrencyLimit)
        most += full === -1 ? line.length : Math.max(full, taken.length)
      }
      return { taken: mine.length, most: Math.min(slot.limit, most) }
    })
    const total = shares.reduce((sum, share) => sum + share.taken, 0)
    const most = shares.reduce((sum, share) => sum + share.most, 0)
    check(total === picked.length, "claimed what no slot asked for")
    check(total === Math.min(options.limit, most), `claimed ${total} of ${most}, limit ${options.limit}`)
    const largest = Math.max(0, ...shares.map((share) => share.taken))
    check(
      shares.every((share) => share.taken <= share.most && share.taken >= Math.min(share.most, largest - 1)),
      `not round robin: ${shares.map((share) => `${share.taken}/${share.most}`).join(" ")}`
    )
    const later = (hidden: boolean) =>
      options.slots.flatMap(readyOf).reduce<number | null>(
        (next, run) =>
          run.readyAt > options.now && (hidden || !this.hides(run.generation, options.reader)) &&
            (next === null || run.readyAt < next)
            ? run.readyAt
            : next,
        null
      )
    check([later(true), later(false)].includes(answer.next), `next ${answer.next} instead of ${later(true)}`)
    for (const run of picked) {
      const { concurrencyKey, concurrencyLimit, tag } = run
      const most = Math.max(...picked.map((run) => run.concurrencyKey === concurrencyKey ? run.concurrencyLimit : 0))
      check(
        concurrencyKey === null || this.runningOf(tag, concurrencyKey) < Math.max(most, concurrencyLimit),
        `${concurrencyLimit} of key ${concurrencyKey} are running already`
      )
      this.own(run, options.lease, options.now)
    }
    return picked.map(rowOf)
  }

  /** How many runs of a tag and a concurrency key are running. */
  runningOf(tag: string, key: string): number {
    return this.runs.filter((run) => run.state === "running" && run.tag === tag && run.concurrencyKey === key).length
  }

  private owned(ref: RunRef, owner: string): MutableRun | undefined {
    const run = this.findOpen(ref.generation, ref.key)
    return run?.state === "running" && run.token === ref.token && run.owner === owner ? run : undefined
  }

  start(now: number, owner: string, runs: ReadonlyArray<RunRef>): ReadonlyArray<boolean> {
    return runs.map((ref) => {
      const run = this.owned(ref, owner)
      if (run !== undefined) run.startedAt ??= now
      return run !== undefined
    })
  }

  heartbeat(lease: Lease, runs: ReadonlyArray<RunRef>): ReadonlyArray<Heartbeat> {
    return runs.map((ref) => {
      const run = this.owned(ref, lease.owner)
      if (run === undefined) return { alive: false, cancel: null }
      run.leaseUntil = extendLease(run.leaseUntil, lease.until)
      return { alive: true, cancel: run.cancel }
    })
  }

  cancel(
    runs: ReadonlyArray<{ readonly generation: number; readonly key: string; readonly reason: string }>
  ): ReadonlyArray<boolean> {
    return runs.map(({ generation, key, reason }) => {
      const run = this.findOpen(generation, key)
      if (run?.state !== "running") return false
      run.cancel ??= reason
      return true
    })
  }

  settle(settlements: ReadonlyArray<Settlement>, keep: number): ReadonlyArray<Settled> {
    return settlements.map((settlement) => {
      const { now, result } = settlement
      const run = this.owned(settlement, settlement.owner)
      if (run === undefined) {
        const before = this.runs.find((run) =>
          run.generation === settlement.generation && run.key === settlement.key && run.state !== "running" &&
          run.token === settlement.token && run.owner === settlement.owner
        )
        return before === undefined ? "Stale" : became(settlement, before)
      }
      const task = this.taskOf(run)
      const revision = task?.revision ?? 0
      if (result._tag !== "Release") run.exit = result.exit
      if (result._tag === "Release") run.attempt--
      if (result._tag === "End") this.endAttempt(run, result.state, now, keep)
      else if (run.cancel !== null || task === undefined) this.endAttempt(run, "cancelled", now, keep)
      else {
        if (result.readyAt !== undefined) run.readyAt = result.readyAt
        this.back(run, task)
      }
      if (task !== undefined && settlement.task !== undefined) {
        const { failures, missed, pauseAt } = settlement.task
        task.revision = revision + 1
        if (failures !== undefined) task.failures = failures === "reset" ? 0 : task.failures + 1
        if (missed === true && !(Number(settlement.key) <= task.epoch)) {
          task.counters = { ...task.counters, ran: task.counters.ran - 1, missed: task.counters.missed + 1 }
        }
        const pausable = task.state !== "paused" && task.state !== "finished"
        if (pauseAt !== undefined && pausable && task.failures >= pauseAt.failures) {
          Object.assign(task, {
            state: "paused",
            pausedAt: now,
            pauseNote: pauseAt.note,
            due: null,
            nominal: null,
            zoneRules: null
          })
          for (const other of this.runs) {
            if (other.generation === task.generation && (other.state === "ready" || other.state === "waiting")) {
              other.held = true
            }
          }
        }
      }
      return became(settlement, run)
    })
  }

  /** Takes a takeover's answer, by generation and key; says what each run must have become. */
  takeover(
    options: {
      readonly now: number
      readonly limit: number
      readonly maxTakeovers: number
      readonly keep: number
    },
    answer: ReadonlyArray<Pick<RunRow, "generation" | "key">>
  ): ReadonlyArray<{ readonly run: RunRow; readonly became: string; readonly owner: string | null }> {
    const ended = this.runs.filter((run) => run.state === "running" && (run.leaseUntil ?? 0) <= options.now)
    check(answer.length === Math.min(options.limit, ended.length), `took ${answer.length} of ${ended.length} runs`)
    const taken = answer.map(({ generation, key }) => {
      const run = ended.find((run) => run.generation === generation && run.key === key)
      if (run === undefined) throw new ModelError(`took a run whose lease has not ended: ${key}`)
      return run
    })
    const last = Math.max(...taken.map((run) => run.leaseUntil ?? 0))
    check(ended.every((run) => taken.includes(run) || (run.leaseUntil ?? 0) >= last), "not the first ended leases")
    return taken.map((run) => {
      const task = this.taskOf(run)
      run.takeovers++
      run.token = null
      const became = run.cancel !== null
        ? "cancelled"
        : run.takeovers >= options.maxTakeovers || task === undefined || (run.atMostOnce && run.startedAt !== null)
        ? "abandoned"
        : "ready"
      const owner = run.owner
      if (became !== "ready") this.endAttempt(run, became, options.now, options.keep)
      else if (task !== undefined) this.back(run, task)
      return { run: rowOf(run), became, owner }
    })
  }

  /** The earliest end of a lease. */
  nextEnd(): number | null {
    return this.runs.reduce<number | null>(
      (next, { leaseUntil }) => leaseUntil !== null && (next === null || leaseUntil < next) ? leaseUntil : next,
      null
    )
  }

  prune(before: number): number {
    const left = this.runs.filter((run) => run.endedAt === null || run.endedAt >= before)
    const pruned = this.runs.length - left.length
    this.runs = left
    return pruned
  }

  // -- verdicts

  quarantine(verdicts: ReadonlyArray<Verdict>): void {
    for (const verdict of verdicts) {
      if (!this.tasks.some((task) => task.id === verdict.id && task.generation === verdict.generation)) continue
      this.verdicts = this.verdicts.filter((other) =>
        other.generation !== verdict.generation || other.reader !== verdict.reader
      )
      this.verdicts.push(copy(verdict))
    }
  }

  clear(generations: ReadonlyArray<number>): void {
    this.verdicts = this.verdicts.filter((verdict) => !generations.includes(verdict.generation))
  }
}

const rowOf = ({ number: _, ...run }: MutableRun): RunRow => copy(run)

/** What is told of a settlement, the first time and when it is repeated. */
const became = ({ result }: Settlement, run: RunRow): Settled =>
  result._tag !== "End" && run.state === "cancelled" ? "Cancelled" : "Settled"

const follow = (run: MutableRun, task: TaskRow): void => {
  run.tag = task.tag
  run.version = task.version
  run.executor = task.executor
  run.priority = task.priority
  run.concurrencyKey = task.concurrencyKey
  run.concurrencyLimit = task.concurrencyLimit
}
