/**
 * What each test of the task store's suite works with: ids, a tag and a day of its own, and short forms of the calls.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Counters, NewRun, RunRow, TaskRow } from "punctual/TaskRecord"
import type {
  Change,
  Claimed,
  Committed,
  Lease,
  NewTask,
  RunChange,
  RunQuery,
  RunRef,
  Settled,
  Settlement,
  Slot,
  TaskStoreError,
  TaskWithRuns,
  Wake
} from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import * as Records from "../../TaskStoreRecords.ts"

export type Store = TaskStore["Service"]

export type Body = (lab: Lab) => Effect.Effect<void, TaskStoreError, TaskStore | Scope.Scope>

/** Names a promise and the test of it. */
export type Test = (name: string, body: Body) => void

const day = 86_400_000

/** A task that is never due by itself, so that it is in nobody's way. */
export const newTask = (id: string, tag: string, now: number, fields: Partial<NewTask> = {}): NewTask =>
  Records.newTask(id, now, { tag, name: tag, ...fields })

export const newRun = Records.newRun

/** Newer rules than any: `due` leaves nothing to others. */
export const newestRules = "9999z"

export const create = (run: NewRun, claim?: Lease): RunChange => ({ _tag: "Create", run, claim })

export const change = (
  row: TaskRow,
  now: number,
  set: Change["set"],
  runs: ReadonlyArray<RunChange> = []
): Change => Records.change(row, now, { set, runs })

/** The reference of a run that is or was claimed. */
export const ref = (run: RunRow): RunRef => ({ generation: run.generation, key: run.key, token: run.token ?? -1 })

export const settlement = (
  run: RunRow,
  now: number,
  result: Settlement["result"] = { _tag: "End", state: "succeeded", exit: "\"ok\"" },
  rest: Partial<Pick<Settlement, "owner" | "task" | "token">> = {}
): Settlement => ({ ...ref(run), owner: run.owner ?? "nobody", now, result, ...rest })

export const keys = (claimed: ReadonlyArray<Claimed>): ReadonlyArray<string> => claimed.map(({ run }) => run.key)

export interface ClaimOptions {
  readonly now?: number
  readonly owner?: string
  readonly until?: number
  readonly slots?: ReadonlyArray<Slot>
  readonly limit?: number
  readonly reader?: string
}

/** Counts every field, so that two equal ones cannot hide each other. */
export const someCounters: Counters = {
  ran: 11,
  missed: 12,
  coalesced: 13,
  skipped: 14,
  paused: 15,
  extra: 16,
  exact: false
}

export class Lab {
  readonly store: Store
  /** An instant of a day that no other test uses. */
  readonly now: number
  readonly slug: string
  readonly tag: string
  readonly owner: string
  readonly reader: string
  private readonly ids = new Set<string>()

  constructor(store: Store, index: number) {
    this.store = store
    this.now = 1_700_000_000_000 + index * day
    this.slug = `t${String(index).padStart(3, "0")}`
    this.tag = `Suite.${this.slug}`
    this.owner = `${this.slug}@one`
    this.reader = `${this.slug}@reader`
  }

  id(name: string): string {
    return `${this.slug}/${name}`
  }

  slot(fields: Partial<Slot> = {}): Slot {
    return { executor: "default", tag: this.tag, version: 1, limit: 1000, ...fields }
  }

  lease(owner = this.owner, until = this.now + 30_000): Lease {
    return { owner, until }
  }

  task(name: string, fields: Partial<NewTask> = {}): NewTask {
    const id = fields.id ?? this.id(name)
    this.ids.add(id)
    return newTask(id, this.tag, this.now, fields)
  }

  add(name: string, fields: Partial<NewTask> = {}): Effect.Effect<TaskRow, TaskStoreError> {
    return Effect.map(this.store.insert([this.task(name, fields)]), ([inserted]) => inserted!.row)
  }

  /** A task with runs that are ready at `now` and after it, a millisecond each. */
  addReady(name: string, runs: ReadonlyArray<NewRun> = [newRun(this.now)], fields: Partial<NewTask> = {}) {
    return this.add(name, { ...fields, runs })
  }

  get(name: string): Effect.Effect<TaskWithRuns | undefined, TaskStoreError> {
    return Effect.map(this.store.get([this.id(name)]), ([found]) => found)
  }

  row(name: string): Effect.Effect<TaskRow, TaskStoreError> {
    return Effect.map(this.get(name), (found) => {
      if (found === undefined) throw new Error(`no task ${this.id(name)}`)
      return found.row
    })
  }

  /** Open runs by key. */
  open(name: string): Effect.Effect<Readonly<Record<string, RunRow>>, TaskStoreError> {
    return Effect.map(
      this.get(name),
      (found) => Object.fromEntries((found?.open ?? []).map((run) => [run.key, run]))
    )
  }

  /** States of the open runs by key. */
  states(name: string): Effect.Effect<Readonly<Record<string, string>>, TaskStoreError> {
    return Effect.map(
      this.open(name),
      (open) => Object.fromEntries(Object.entries(open).map(([key, run]) => [key, run.state]))
    )
  }

  runs(
    query: Partial<RunQuery> & { readonly name?: string } = {}
  ): Effect.Effect<ReadonlyArray<RunRow>, TaskStoreError> {
    const { name, ...rest } = query
    const of = name === undefined ? { tag: this.tag } : { taskId: this.id(name) }
    return Effect.map(this.store.runs({ ...of, limit: 1000, ...rest }), (page) => page.items)
  }

  history(name: string): Effect.Effect<ReadonlyArray<RunRow>, TaskStoreError> {
    return Effect.map(this.runs({ name }), (runs) => runs.filter((run) => run.endedAt !== null))
  }

  /** Commits one change to the row as it is now. */
  commit(
    name: string,
    set: Change["set"],
    runs: ReadonlyArray<RunChange> = [],
    now: number = this.now
  ): Effect.Effect<Committed & { readonly _tag: "Committed" }, TaskStoreError> {
    return Effect.gen({ self: this }, function*() {
      const row = yield* this.row(name)
      const [committed] = yield* this.store.commit([change(row, now, set, runs)])
      if (committed?._tag !== "Committed") throw new Error(`conflict on ${row.id}`)
      return committed
    })
  }

  claimAll(options: ClaimOptions = {}) {
    const now = options.now ?? this.now
    return this.store.claim({
      now,
      lease: { owner: options.owner ?? this.owner, until: options.until ?? now + 30_000 },
      slots: options.slots ?? [this.slot()],
      limit: options.limit ?? 1000,
      reader: options.reader ?? this.reader
    })
  }

  claim(options: ClaimOptions = {}): Effect.Effect<ReadonlyArray<Claimed>, TaskStoreError> {
    return Effect.map(this.claimAll(options), (claimed) => claimed.runs)
  }

  claimOne(options: ClaimOptions = {}): Effect.Effect<RunRow, TaskStoreError> {
    return Effect.map(this.claim(options), (claimed) => {
      if (claimed.length !== 1) throw new Error(`claimed ${claimed.length} runs instead of one`)
      return claimed[0]!.run
    })
  }

  settle(settlements: Settlement, keep?: number): Effect.Effect<Settled, TaskStoreError> {
    return Effect.map(this.store.settle([settlements], { keep: keep ?? 100 }), ([settled]) => settled!)
  }

  /** Takes over and answers what concerns this test's tasks, by key. */
  takeover(
    now: number,
    options: { readonly maxTakeovers?: number; readonly keep?: number } = {}
  ): Effect.Effect<Readonly<Record<string, string>>, TaskStoreError> {
    return Effect.map(
      this.store.takeover({ now, limit: 100_000, maxTakeovers: options.maxTakeovers ?? 3, keep: options.keep ?? 100 }),
      ({ runs }) =>
        Object.fromEntries(
          runs.filter(({ run }) => this.ids.has(run.taskId)).map(({ became, run }) => [run.key, became])
        )
    )
  }

  own(id: string): boolean {
    return this.ids.has(id)
  }

  /** Wakes as they come, and a way to wait for one. */
  listen(): Effect.Effect<Wakes, never, Scope.Scope> {
    const wakes = new Wakes()
    return Effect.as(this.store.listen((wake) => wakes.push(wake)), wakes)
  }

  /** Leaves no task, no open run and no lease behind. */
  cleanUp(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      const ids = [...this.ids]
      for (let i = 0; i < ids.length; i += 500) {
        const found = yield* this.store.get(ids.slice(i, i + 500))
        yield* this.store.commit(found.map(({ row }) => change(row, this.now, "remove")))
      }
      yield* this.store.takeover({ now: this.now + day, limit: 100_000, maxTakeovers: 1, keep: 0 })
    }).pipe(Effect.ignore)
  }
}

/** The wakes a listener got. */
export class Wakes {
  readonly seen: Array<Wake> = []
  private waiting: (() => void) | undefined

  push(wake: Wake): void {
    this.seen.push(wake)
    this.waiting?.()
  }

  /** The first wake that satisfies this, come or to come. */
  first(predicate: (wake: Wake) => boolean): Effect.Effect<Wake> {
    return Effect.callback<Wake>((resume) => {
      const look = () => {
        const found = this.seen.find(predicate)
        if (found === undefined) return
        this.waiting = undefined
        resume(Effect.succeed(found))
      }
      this.waiting = look
      look()
    })
  }
}

/** A laboratory for one test, which cleans up behind itself. */
export const lab = (index: number): Effect.Effect<Lab, never, TaskStore | Scope.Scope> =>
  Effect.gen(function*() {
    const lab = new Lab(yield* TaskStore, index)
    yield* Effect.addFinalizer(() => lab.cleanUp())
    return lab
  })
