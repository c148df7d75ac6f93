/**
 * What people ask of a scheduler, over its stores: the same for a scheduler and for a client without an engine.
 *
 * Each command on a task is one compare-and-set: read the row, decide, commit; read again when somebody was faster.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type { Executors, UnknownExecutor } from "../../Executors.ts"
import * as Policy from "../../Policy.ts"
import {
  DuplicateTask,
  InvalidOption,
  RunNotFound,
  TaskBusy,
  TaskFinished,
  TaskNotFound,
  TaskUnreadable,
  TooMuchContention,
  TriggerNeverFires
} from "../../SchedulerError.ts"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"
import type * as Task from "../../Task.ts"
import type {
  AddError,
  CommandError,
  Explanation,
  RunHandle,
  RunListOptions,
  Scheduled,
  ScheduleSettings,
  TaskChanges,
  TaskHandle,
  TaskListOptions,
  UpdateError
} from "../../TaskHandle.ts"
import { RunNotCompleted } from "../../TaskHandle.ts"
import { fromRow, fromRun, runId } from "../../TaskInfo.ts"
import {
  isOpen,
  noCounters,
  type RunRow,
  type StoredState,
  type TaskDefinition,
  type TaskPosition,
  type TaskRow
} from "../../TaskRecord.ts"
import type {
  Change,
  NewTask,
  Page,
  RunChange,
  TaskStore,
  TaskStoreError,
  TaskWithRuns,
  Verdict
} from "../../TaskStore.ts"
import type { TaskStores } from "../../TaskStores.ts"
import * as Trigger from "../../Trigger.ts"
import { refuseUnknown } from "../options.ts"
import type { Api, Reconciled } from "../schedulerTag.ts"
import { decodeExit, encodePayload } from "../taskCodec.ts"
import { instant as instantOf } from "../triggerInput.ts"
import * as TriggerText from "../triggerText.ts"
import { advance, newRun, openRun, rebind, restingState, type Rules, rulesOf } from "./advance.ts"
import { batchSize, instant, waiterKey } from "./host.ts"
import * as Metrics from "./metrics.ts"
import { encodeParent } from "./trace.ts"

export interface CommandsOptions {
  readonly stores: TaskStores["Service"]
  /** A client knows none and accepts any. */
  readonly executors: Executors["Service"] | undefined
  readonly defaults: Policy.Policy
  /** The scheduler's clock, whoever asks. */
  readonly clock: Clock.Clock
  /** Zone of instants written without an offset. */
  readonly timeZone: string
  /** How often another process's end of a run is looked for. */
  readonly pollInterval: number
  readonly seen: () => boolean
  readonly emit: (event: SchedulerEvent) => void
  readonly heard: () => boolean
  readonly waiters: Map<string, Set<(run: RunRow) => void>>
}

const settingNames: ReadonlyArray<string> = [
  "id",
  "payload",
  "trigger",
  "name",
  "store",
  "executor",
  "priority",
  "labels",
  "onConflict",
  "revision",
  "nextRunTime",
  "paused",
  ...Policy.optionNames
]

const changeNames: ReadonlyArray<string> = [
  "name",
  "payload",
  "trigger",
  "executor",
  "priority",
  "labels",
  "nextRunTime",
  ...Policy.optionNames
]

const listNames: ReadonlyArray<string> = [
  "store",
  "task",
  "state",
  "owner",
  "labels",
  "search",
  "sort",
  "descending",
  "limit",
  "after"
]

const conflicts: ReadonlyArray<string> = ["fail", "keep", "update", "replace"]

const noRanges = Policy.encodeRanges([])

/** Losing this often in a row means that something else is wrong. */
const maxConflicts = 50

/** What is written in a program about a task: the fields that `onConflict: "update"` compares. */
interface Declaration {
  readonly name: string
  readonly version: number
  readonly payload: string
  readonly trigger: string
  readonly policy: string
  readonly executor: string
  readonly priority: number
  readonly labels: string
}

const declaredFields = ["name", "version", "payload", "trigger", "policy", "executor", "priority", "labels"] as const

interface Prepared {
  readonly row: NewTask
  readonly store: string
  readonly conflict: NonNullable<ScheduleSettings["onConflict"]>
  readonly declaration: Declaration
  readonly revision: number
  readonly trigger: Trigger.Trigger
}

export const make = (options: CommandsOptions): Api<"anywhere"> => {
  const { stores, waiters } = options

  const emit = (event: () => SchedulerEvent): void => {
    if (options.heard()) options.emit(event())
  }

  const now = options.clock.currentTimeMillis

  // ---------------------------------------------------------------------------
  // options
  // ---------------------------------------------------------------------------

  const invalid = (option: string, value: unknown, message: string) => new InvalidOption({ option, value, message })

  const storeOf = (alias: string | undefined) => stores.get(alias ?? "default")

  const checkExecutor = (alias: string): Effect.Effect<void, UnknownExecutor> =>
    options.executors === undefined ? Effect.void : Effect.asVoid(options.executors.get(alias))

  const checkInstant = (option: string, value: Trigger.InstantInput): Effect.Effect<number, InvalidOption> =>
    Effect.try({
      try: () => instantOf(value, options.timeZone),
      catch: (error) => invalid(option, value, error instanceof Error ? error.message : String(error))
    })

  const checkNames = (
    given: object,
    known: ReadonlyArray<string>,
    where: string
  ): Effect.Effect<void, InvalidOption> => {
    const refused = refuseUnknown(given, known, where)
    return refused === undefined
      ? Effect.void
      : Effect.fail(invalid(Object.keys(given).find((key) => !known.includes(key))!, undefined, `${where}: ${refused}`))
  }

  const checkCommon = (
    given: Pick<ScheduleSettings, "name" | "priority" | "labels" | "executor" | "trigger">
  ): Effect.Effect<void, InvalidOption | Trigger.InvalidTrigger | UnknownExecutor> => {
    const { executor, labels, name, priority, trigger } = given
    if (name !== undefined && (typeof name !== "string" || name.trim() === "")) {
      return Effect.fail(invalid("name", name, "A task's name must be a text that is not empty."))
    }
    if (priority !== undefined && !Number.isSafeInteger(priority)) {
      return Effect.fail(invalid("priority", priority, `A priority must be an integer, not ${String(priority)}.`))
    }
    if (labels !== undefined) {
      if (typeof labels !== "object" || labels === null || Array.isArray(labels)) {
        return Effect.fail(invalid("labels", labels, "Labels are an object of texts: { team: \"growth\" }."))
      }
      for (const [key, value] of Object.entries(labels)) {
        if (key === "" || typeof value !== "string") {
          return Effect.fail(
            invalid("labels", labels, `Labels are texts under keys that are not empty; \`${key}\` is not.`)
          )
        }
      }
    }
    if (trigger !== undefined) {
      if (!Trigger.isTrigger(trigger)) {
        return Effect.fail(
          invalid("trigger", trigger, "A trigger is made with Trigger.every, Trigger.cron, Trigger.at …")
        )
      }
      const valid = Trigger.validate(trigger)
      if (Result.isFailure(valid)) return Effect.fail(valid.failure)
    }
    return executor === undefined ? Effect.void : checkExecutor(executor)
  }

  const policyNames = new Set<string>(Policy.optionNames)
  const policyOf = (task: Task.Any, given: object): Result.Result<string, Policy.InvalidPolicy> => {
    const own = Object.keys(given).filter((key) => policyNames.has(key))
    const known = policyTexts.get(task)
    if (own.length === 0 && known !== undefined) return Result.succeed(known)
    return Result.map(
      Result.flatMap(
        Policy.make(task.policy, options.defaults),
        (policy) => Policy.make(Object.fromEntries(own.map((key) => [key, given[key as keyof typeof given]])), policy)
      ),
      (policy) => {
        const text = Policy.encode(policy)
        if (own.length === 0) policyTexts.set(task, text)
        return text
      }
    )
  }
  const policyTexts = new WeakMap<Task.Any, string>()

  const refuseDelivery = (
    task: Task.Any,
    policy: Policy.Policy,
    store: TaskStore["Service"]
  ): InvalidOption | undefined => {
    if (policy.delivery !== "atMostOnce") return undefined
    if (task.retry !== undefined) {
      return invalid(
        "delivery",
        policy.delivery,
        `Task \`${task.tag}\` has \`retry\`, which starts an attempt again, and \`delivery: "atMostOnce"\` says that never happens.`
      )
    }
    return store.capabilities.durable || !store.capabilities.shared ? undefined : invalid(
      "delivery",
      policy.delivery,
      `Store \`${store.name}\` may forget what it was told, so it cannot promise \`atMostOnce\`.`
    )
  }

  // ---------------------------------------------------------------------------
  // adding
  // ---------------------------------------------------------------------------

  const prepare = (
    { options: given, task }: Scheduled<Task.Any>,
    at: number,
    trace: string | null,
    owner: string | null
  ): Effect.Effect<Prepared, AddError> =>
    Effect.gen(function*() {
      yield* checkNames(given, settingNames, "add")
      const id = given.id === undefined ? yield* randomId : given.id
      if (typeof id !== "string" || id.trim() === "") {
        return yield* invalid("id", id, "A task's id must be a text that is not empty; leave it out for a random one.")
      }
      const labels = given.labels ?? task.labels
      yield* checkCommon({ ...given, labels })
      if (given.onConflict !== undefined && !conflicts.includes(given.onConflict)) {
        return yield* invalid(
          "onConflict",
          given.onConflict,
          "`onConflict` is \"fail\", \"keep\", \"update\" or \"replace\"."
        )
      }
      if (given.paused !== undefined && typeof given.paused !== "boolean" && typeof given.paused !== "string") {
        return yield* invalid("paused", given.paused, "`paused` is true, false or a note that says why.")
      }
      const store = yield* storeOf(given.store)
      const executor = given.executor ?? task.executor ?? "default"
      yield* checkExecutor(executor)
      const policyText = yield* Effect.fromResult(policyOf(task, given))
      const policy = Result.getOrThrow(Policy.decode(policyText))
      const refused = refuseDelivery(task, policy, store)
      if (refused !== undefined) return yield* refused
      const encoded = yield* encodePayload(task, given.payload)
      const trigger = given.trigger ?? task.trigger ?? Trigger.now
      const events = Trigger.events(trigger)
      const override = given.nextRunTime === undefined ? null : yield* checkInstant("nextRunTime", given.nextRunTime)
      const next = override !== null
        ? { due: Math.max(override, at), nominal: Math.max(override, at) }
        : Trigger.bind(trigger, { anchor: at, seed: id }).next(at - 1)
      if (next === undefined && !events.startup && !events.shutdown) {
        return yield* new TriggerNeverFires({ id, trigger: Trigger.format(trigger) })
      }
      const paused = given.paused !== undefined && given.paused !== false
      const declaration: Declaration = {
        name: given.name ?? task.name,
        version: task.version,
        payload: encoded.payload,
        trigger: TriggerText.encode(trigger),
        policy: policyText,
        executor,
        priority: given.priority ?? task.priority ?? 0,
        labels: labels === undefined ? "{}" : labelsText(labels)
      }
      const conflict = given.onConflict ?? (owner === null ? "fail" : "update")
      const revision = given.revision ?? 0
      return {
        store: given.store ?? "default",
        conflict,
        declaration,
        revision,
        trigger,
        row: {
          id,
          tag: task.tag,
          ...declaration,
          display: encoded.display,
          anchor: at,
          onStartup: events.startup,
          onShutdown: events.shutdown,
          owner,
          declared: conflict === "update" || conflict === "keep" ? JSON.stringify({ ...declaration, revision }) : null,
          trace,
          createdAt: at,
          updatedAt: at,
          state: paused
            ? "paused"
            : next !== undefined
            ? "scheduled"
            : restingState({ onStartup: events.startup, onShutdown: events.shutdown }),
          cursor: at - 1,
          due: paused || next === undefined ? null : next.due,
          nominal: paused || next === undefined ? null : next.nominal,
          override: override === null ? null : next!.due,
          epoch: at - 1,
          counters: noCounters,
          ranges: noRanges,
          pausedAt: paused ? at : null,
          pauseNote: typeof given.paused === "string" ? given.paused : null,
          failures: 0
        }
      }
    })

  const checkRevision = (prepared: Prepared): Effect.Effect<void, InvalidOption> =>
    Number.isSafeInteger(prepared.revision)
      ? Effect.void
      : Effect.fail(invalid("revision", prepared.revision, "A revision must be an integer."))

  interface Added {
    readonly id: string
    readonly what: "added" | "updated" | "unchanged"
  }

  /** Validates all, then stores all that is new in one call for each store, then resolves the conflicts one by one. */
  const addEntries = (
    entries: ReadonlyArray<Scheduled<Task.Any>>,
    owner: string | null
  ): Effect.Effect<ReadonlyArray<Added>, AddError> =>
    Effect.gen(function*() {
      const at = yield* now
      const trace = encodeParent(yield* Effect.option(Effect.currentParentSpan))
      const prepared: Array<Prepared> = []
      const taken = new Set<string>()
      for (const entry of entries) {
        const one = yield* prepare(entry, at, trace, owner)
        yield* checkRevision(one)
        const key = `${one.store}/${one.row.id}`
        if (entries.length > 1) {
          if (taken.has(key)) return yield* new DuplicateTask({ id: one.row.id, store: one.store })
          taken.add(key)
        }
        prepared.push(one)
      }
      const answers = new Array<Added>(prepared.length)
      const byStore = new Map<string, Array<number>>()
      prepared.forEach(({ store }, i) => {
        const group = byStore.get(store)
        if (group === undefined) byStore.set(store, [i])
        else group.push(i)
      })
      // Nothing half done: where an id that exists is an error, look before anything is stored.
      if (prepared.length > 1) {
        for (const [alias, group] of byStore) {
          const strict = group.filter((i) => prepared[i]!.conflict === "fail")
          for (let from = 0; from < strict.length; from += batchSize) {
            const slice = strict.slice(from, from + batchSize)
            const [existing] = yield* stores.aliases.get(alias)!.get(slice.map((i) => prepared[i]!.row.id))
            if (existing !== undefined) return yield* new DuplicateTask({ id: existing.row.id, store: alias })
          }
        }
      }
      for (const [alias, group] of byStore) {
        const store = stores.aliases.get(alias)!
        for (let from = 0; from < group.length; from += batchSize) {
          const slice = group.slice(from, from + batchSize)
          const inserted = yield* store.insert(slice.map((i) => prepared[i]!.row))
          for (let k = 0; k < slice.length; k++) {
            const one = prepared[slice[k]!]!
            const answer = inserted[k]!
            if (answer._tag === "Inserted") {
              emit(() => ({ _tag: "TaskAdded", at: instant(at), store: alias, id: one.row.id }))
              answers[slice[k]!] = { id: one.row.id, what: "added" }
            } else {
              answers[slice[k]!] = yield* resolveConflict(store, one)
            }
          }
        }
      }
      return answers
    })

  const resolveConflict = (
    store: TaskStore["Service"],
    prepared: Prepared
  ): Effect.Effect<Added, DuplicateTask | TooMuchContention | TaskUnreadable | TaskStoreError> => {
    const { id } = prepared.row
    switch (prepared.conflict) {
      case "fail":
        return Effect.fail(new DuplicateTask({ id, store: prepared.store }))
      case "keep":
        return Effect.succeed({ id, what: "unchanged" })
      case "replace":
        return replace(store, prepared)
      case "update":
        return change(store, prepared.store, id, (task, at) => redeclare(task, prepared, at)).pipe(
          Effect.map((what): Added => {
            if (what === "updated") {
              emit(() => ({ _tag: "TaskUpdated", at: instant(prepared.row.createdAt), store: prepared.store, id }))
            }
            return { id, what }
          }),
          // Removed meanwhile: then it is new.
          Effect.catchTag("TaskNotFound", () => replace(store, prepared))
        )
    }
  }

  const replace = (
    store: TaskStore["Service"],
    prepared: Prepared
  ): Effect.Effect<Added, TooMuchContention | TaskStoreError> =>
    Effect.gen(function*() {
      for (let i = 0; i < maxConflicts; i++) {
        const [existing] = yield* store.get([prepared.row.id])
        if (existing !== undefined) {
          const gone = removal(existing, prepared.row.createdAt, false)
          const [answer] = yield* store.commit([gone])
          if (answer?._tag === "Committed") yield* announceEnded(store, prepared.store, existing, gone)
        }
        const [answer] = yield* store.insert([prepared.row])
        if (answer?._tag === "Inserted") {
          emit(() => ({
            _tag: "TaskAdded",
            at: instant(prepared.row.createdAt),
            store: prepared.store,
            id: prepared.row.id
          }))
          return { id: prepared.row.id, what: "added" as const }
        }
      }
      return yield* new TooMuchContention({ id: prepared.row.id })
    })

  /** Applies what differs between the stored declaration and this one. */
  const redeclare = (
    task: TaskWithRuns,
    prepared: Prepared,
    at: number
  ): Result.Result<Decision<"updated" | "unchanged">, TaskUnreadable | DuplicateTask> => {
    const { row } = task
    // Another owner's task is not ours to change, whatever its id.
    if (prepared.row.owner !== null && row.owner !== null && row.owner !== prepared.row.owner) {
      return Result.fail(new DuplicateTask({ id: row.id, store: prepared.store }))
    }
    const before = declarationOf(row)
    if (before.revision > prepared.revision) return Result.succeed({ value: "unchanged" })
    const set: { -readonly [K in keyof TaskDefinition]?: TaskDefinition[K] } = {}
    let trigger: Trigger.Trigger | undefined
    for (const field of declaredFields) {
      const wanted = field === "policy"
        ? mergePolicies(before.policy, prepared.declaration.policy, row.policy)
        : prepared.declaration[field]
      // What an operator has changed to the same already is no change: `every` keeps its phase.
      if (before[field] === prepared.declaration[field] || row[field] === wanted) continue
      if (field === "trigger") trigger = prepared.trigger
      else Object.assign(set, { [field]: wanted })
    }
    if (set.payload !== undefined) set.display = prepared.row.display
    if (row.tag !== prepared.row.tag) set.tag = prepared.row.tag
    const declared = JSON.stringify({ ...prepared.declaration, revision: prepared.revision })
    const owner = prepared.row.owner ?? row.owner
    if (Object.keys(set).length === 0 && trigger === undefined) {
      return Result.succeed(
        row.declared === declared && row.owner === owner
          ? { value: "unchanged" }
          : { value: "unchanged", set: { declared, owner }, runs: [] }
      )
    }
    return Result.map(redefine(task, { ...set, declared, owner }, trigger, undefined, at), (decision) => ({
      ...decision,
      value: "updated" as const
    }))
  }

  // ---------------------------------------------------------------------------
  // changing
  // ---------------------------------------------------------------------------

  interface Decision<A> {
    readonly value: A
    readonly set?: Change["set"]
    readonly runs?: ReadonlyArray<RunChange>
    /** What it settles, to be told. */
    readonly plan?: Policy.Plan | undefined
    /** Readers that set the row aside look at it again. */
    readonly repairs?: boolean
  }

  /** Reads a task, decides, commits; again when somebody was faster. Without `set` and `runs` nothing is written. */
  const change = <A, E>(
    store: TaskStore["Service"],
    alias: string,
    id: string,
    decide: (
      task: TaskWithRuns,
      now: number
    ) => Result.Result<Decision<A>, E> | Effect.Effect<Decision<A>, E | TaskStoreError>
  ): Effect.Effect<A, E | TaskNotFound | TooMuchContention | TaskStoreError> =>
    Effect.gen(function*() {
      for (let i = 0; i < maxConflicts; i++) {
        const at = yield* now
        const [task] = yield* store.get([id])
        if (task === undefined) return yield* new TaskNotFound({ id, store: alias })
        const decided = decide(task, at)
        const decision = yield* Effect.isEffect(decided) ? decided : Effect.fromResult(decided)
        if (decision.set === undefined && decision.runs === undefined) return decision.value
        const change: Change = {
          id,
          generation: task.row.generation,
          revision: task.row.revision,
          set: decision.set ?? {},
          runs: decision.runs ?? [],
          now: at
        }
        const [answer] = yield* store.commit([change])
        if (answer?._tag !== "Committed") {
          yield* Effect.yieldNow
          continue
        }
        if (decision.repairs === true) yield* store.clear([task.row.generation])
        if (decision.plan !== undefined) yield* announcePlan(alias, id, decision.plan, at)
        yield* announceEnded(store, alias, task, change)
        return decision.value
      }
      return yield* new TooMuchContention({ id })
    })

  /** Tells what became of occurrences that a command settled. */
  const announcePlan = (alias: string, id: string, plan: Policy.Plan, at: number): Effect.Effect<void> =>
    plan.ranges.length === 0 ? Effect.void : Effect.contextWith((context: Context.Context<never>) => {
      for (const outcome of outcomes) Metrics.outcome(outcome, plan.counts[outcome], context)
      for (const range of plan.ranges) {
        emit(() => ({
          _tag: eventOf[range.outcome],
          at: instant(at),
          store: alias,
          id,
          from: instant(range.from),
          to: instant(range.to),
          count: range.count,
          exact: range.exact,
          reason: range.reason
        }))
      }
      return Effect.void
    })

  /**
   * Tells of runs that a command ended: those that waited or were ready. They are read again, since one may have been
   * claimed meanwhile; then it ends by itself.
   */
  const announceEnded = (
    store: TaskStore["Service"],
    alias: string,
    { open, row: { generation, id } }: TaskWithRuns,
    { runs, set }: Change
  ): Effect.Effect<void> => {
    const cancelled = new Set(runs.flatMap((run) => run._tag === "Cancel" ? [run.key] : []))
    const keys = new Set(
      open.flatMap((run) => run.state !== "running" && (set === "remove" || cancelled.has(run.key)) ? [run.key] : [])
    )
    if (keys.size === 0 || (!options.heard() && waiters.size === 0)) return Effect.void
    return store.runs({ taskId: id, generation, state: "cancelled", limit: 1_000 }).pipe(
      Effect.map(({ items }) => {
        for (const run of items) {
          if (!keys.has(run.key)) continue
          emit(() => ({ _tag: "RunEnded", at: instant(run.endedAt ?? run.due), store: alias, run: fromRun(run) }))
          waiters.get(waiterKey(alias, run))?.forEach((waiter) => waiter(run))
        }
      }),
      // The change is committed; whoever waits also looks by itself.
      Effect.ignore
    )
  }

  const readable = (row: TaskRow): Result.Result<Rules, TaskUnreadable> =>
    Result.mapError(rulesOf(row), (reason) => new TaskUnreadable({ id: row.id, reason }))

  /** Settles what is due under the rules as they were, then changes definition, trigger or next run time. */
  const redefine = (
    task: TaskWithRuns,
    set: Partial<TaskDefinition & TaskPosition>,
    trigger: Trigger.Trigger | undefined,
    nextRunTime: number | undefined,
    at: number
  ): Result.Result<Decision<void>, TaskUnreadable> => {
    const { row } = task
    const rules = rulesOf(row)
    // What cannot be read can still be given another trigger or policy: that is how it is repaired.
    if (Result.isFailure(rules) && trigger === undefined && set.policy === undefined) {
      return Result.fail(new TaskUnreadable({ id: row.id, reason: rules.failure }))
    }
    const settled = Result.isSuccess(rules) ? advance(task, rules.success, at) : undefined
    const before: TaskRow = settled === undefined ? row : { ...row, ...settled.set }
    let position: Partial<TaskPosition> = settled === undefined ? {} : settled.set
    let definition: Partial<TaskDefinition> = {}
    let current = Result.isSuccess(rules) ? rules.success.trigger : undefined
    if (trigger !== undefined) {
      const events = Trigger.events(trigger)
      const bound = rebind(before, trigger, at)
      current = trigger
      definition = {
        trigger: TriggerText.encode(trigger),
        anchor: bound.anchor,
        onStartup: events.startup,
        onShutdown: events.shutdown
      }
      position = { ...position, ...bound.position, ranges: before.ranges }
    }
    const policy = Policy.decode(set.policy ?? row.policy)
    const after: TaskRow = { ...before, ...set, ...definition, ...position }
    if (nextRunTime !== undefined) {
      // Until then the trigger is silent, so its counting begins anew.
      const due = Math.max(nextRunTime, after.cursor + 1)
      position = {
        ...position,
        override: due,
        due,
        nominal: due,
        state: "scheduled",
        epoch: after.cursor,
        counters: { ...noCounters, extra: after.counters.extra }
      }
    } else if (
      current !== undefined && Result.isSuccess(policy) && (trigger !== undefined || set.policy !== undefined)
    ) {
      // A new policy may finish a task or go on with a finished one (`maxRuns`).
      const bound = rulesOf(after)
      const next = Result.isSuccess(bound)
        ? Policy.nextAfter({
          policy: policy.success,
          trigger: bound.success.bound,
          ran: after.counters.ran,
          after: after.cursor
        })
        : undefined
      position = {
        ...position,
        due: next?.due ?? null,
        nominal: next?.nominal ?? null,
        state: next !== undefined ? "scheduled" : restingState(after)
      }
    }
    // Pausing is an operator's: only `resume` ends it.
    if (row.state === "paused") position = { ...position, state: "paused", due: null, nominal: null }
    return Result.succeed({
      value: undefined,
      set: { ...set, ...definition, ...position, updatedAt: at },
      runs: [
        ...settled?.runs ?? [],
        ...set.policy !== undefined && Result.isSuccess(policy) && row.state !== "paused"
          ? promotions(policy.success, task.open, settled?.runs ?? [])
          : []
      ],
      plan: settled?.plan,
      repairs: Result.isFailure(rules) || set.payload !== undefined
    })
  }

  /** Waiting runs for which there is room once these changes are made: a policy with more room, a run that was ended. */
  const promotions = (
    policy: Policy.Policy,
    open: ReadonlyArray<RunRow>,
    changes: ReadonlyArray<RunChange>
  ): ReadonlyArray<RunChange> => {
    const left = new Map(open.map((run) => [run.key, openRun(run)]))
    for (const change of changes) {
      if (change._tag === "Create") {
        const { due, key, state } = change.run
        left.set(key, { key, due, state, cancelRequested: false })
        continue
      }
      const run = left.get(change.key)
      if (run === undefined) continue
      if (change._tag === "Drop" || (change._tag === "Cancel" && run.state !== "running")) left.delete(change.key)
      else if (change._tag === "Cancel") left.set(change.key, { ...run, cancelRequested: true })
      else if (change._tag === "Promote") left.set(change.key, { ...run, state: "ready" })
    }
    return Policy.promotable(policy, [...left.values()]).map((key) => ({ _tag: "Promote", key }))
  }

  const removal = (task: TaskWithRuns, at: number, interrupt: boolean): Change => ({
    id: task.row.id,
    generation: task.row.generation,
    revision: task.row.revision,
    set: "remove",
    now: at,
    runs: interrupt
      ? task.open.filter((run) => run.state === "running").map((run) => ({
        _tag: "Cancel",
        key: run.key,
        reason: "its task was removed"
      }))
      : []
  })

  // ---------------------------------------------------------------------------
  // handles
  // ---------------------------------------------------------------------------

  const handle = <T extends Task.Any>(
    id: string,
    alias: string,
    definition: T | undefined
  ): TaskHandle<T> => {
    const store = Effect.mapError(storeOf(alias), () => new TaskNotFound({ id, store: alias }))

    const changed = <A, E>(
      decide: Parameters<typeof change<A, E>>[3]
    ): Effect.Effect<A, E | TaskNotFound | TooMuchContention | TaskStoreError> =>
      Effect.flatMap(store, (store) => change(store, alias, id, decide))

    const snapshot = Effect.gen(function*() {
      const current = yield* store
      const [task] = yield* current.get([id])
      if (task === undefined) return yield* new TaskNotFound({ id, store: alias })
      const verdicts = yield* current.verdicts({ limit: 1_000 })
      return fromRow(task.row, {
        store: alias,
        seen: options.seen(),
        verdict: verdicts.find((verdict) => verdict.generation === task.row.generation)
      })
    })

    const announced = (
      what:
        | { readonly _tag: "TaskUpdated" | "TaskRescheduled" | "TaskResumed" | "TaskRemoved" }
        | { readonly _tag: "TaskPaused"; readonly note: string | null }
    ): Effect.Effect<void> => Effect.map(now, (at) => emit(() => ({ ...what, at: instant(at), store: alias, id })))

    const update = (changes: TaskChanges<T>): Effect.Effect<void, UpdateError> =>
      Effect.gen(function*() {
        if ("id" in changes) {
          return yield* invalid("id", changes.id, "A task's id never changes. Add another task and remove this one.")
        }
        yield* checkNames(changes, changeNames, "update")
        yield* checkCommon(changes)
        const set: { -readonly [K in keyof TaskDefinition]?: TaskDefinition[K] } = {}
        if (changes.name !== undefined) set.name = changes.name
        if (changes.executor !== undefined) set.executor = changes.executor
        if (changes.priority !== undefined) set.priority = changes.priority
        if (changes.labels !== undefined) set.labels = labelsText(changes.labels)
        if (changes.payload !== undefined) {
          if (definition === undefined) {
            return yield* invalid(
              "payload",
              undefined,
              "A payload is encoded by its definition: make the handle with scheduler.handle(id, { task: Definition })."
            )
          }
          Object.assign(set, yield* encodePayload(definition, changes.payload), { version: definition.version })
        }
        const nextRunTime = changes.nextRunTime === undefined
          ? undefined
          : yield* checkInstant("nextRunTime", changes.nextRunTime)
        const { executor: _e, labels: _l, name: _n, nextRunTime: _t, payload: _p, priority: _r, trigger, ...policy } =
          changes
        const policyChanges = policy as Policy.Options
        // Refused before the row is read, whatever it says.
        yield* Effect.fromResult(Policy.make(policyChanges))
        const inStore = yield* store
        yield* changed<void, UpdateError>((task, at) => {
          if (trigger !== undefined && neverFires(trigger, id, at)) {
            return Result.fail(new TriggerNeverFires({ id, trigger: Trigger.format(trigger) }))
          }
          if (changes.payload !== undefined && definition !== undefined && definition.tag !== task.row.tag) {
            return Result.fail(invalid(
              "payload",
              undefined,
              `Task \`${id}\` is a \`${task.row.tag}\`; a payload of \`${definition.tag}\` does not fit it.`
            ))
          }
          if (Object.keys(policyChanges).length === 0) return redefine(task, set, trigger, nextRunTime, at)
          const current = Policy.decode(task.row.policy)
          const next = Policy.make(policyChanges, Result.isSuccess(current) ? current.success : options.defaults)
          if (Result.isFailure(next)) return Result.fail(next.failure)
          const refused = definition === undefined || definition.tag !== task.row.tag
            ? undefined
            : refuseDelivery(definition, next.success, inStore)
          return refused !== undefined
            ? Result.fail(refused)
            : redefine(task, { ...set, policy: Policy.encode(next.success) }, trigger, nextRunTime, at)
        })
      })

    return {
      id,
      store: alias,
      snapshot,
      update: (changes) =>
        update(changes).pipe(Effect.andThen(announced({ _tag: "TaskUpdated" })), Effect.andThen(snapshot)),
      reschedule: (trigger) =>
        update({ trigger } as TaskChanges<T>).pipe(
          Effect.andThen(announced({ _tag: "TaskRescheduled" })),
          Effect.andThen(snapshot)
        ),
      pause: (note) =>
        changed((task, at) =>
          Result.map(readable(task.row), (rules): Decision<boolean> => {
            if (task.row.state === "paused") {
              return note === undefined || note === task.row.pauseNote
                ? { value: false }
                : { value: true, set: { pauseNote: note, updatedAt: at } }
            }
            const settled = advance(task, rules, at)
            const held: Array<RunChange> = []
            for (const run of task.open) {
              if (run.state !== "running" && !settled.plan.drop.includes(run.key)) {
                held.push({ _tag: "Hold", key: run.key })
              }
            }
            for (const run of settled.plan.runs) {
              held.push({ _tag: "Hold", key: String(run.due) })
            }
            return {
              value: true,
              set: {
                ...settled.set,
                state: "paused",
                due: null,
                nominal: null,
                pausedAt: at,
                pauseNote: note ?? null,
                updatedAt: at
              },
              runs: [...settled.runs, ...held],
              plan: settled.plan
            }
          })
        ).pipe(
          Effect.flatMap((paused) => paused ? announced({ _tag: "TaskPaused", note: note ?? null }) : Effect.void),
          Effect.andThen(snapshot)
        ),
      resume: changed((task, at) => {
        const { row } = task
        if (row.state === "finished") return Result.fail(new TaskFinished({ id }))
        if (row.state !== "paused") return Result.succeed({ value: false })
        return Result.flatMap(readable(row), (rules): Result.Result<Decision<boolean>, TaskFinished> => {
          // Counted as paused, up to now.
          const settled = advance(task, rules, at)
          const next = settled.plan.next
          const held = task.open.filter((run) => run.held)
          if (next === undefined && !row.onStartup && !row.onShutdown && held.length === 0) {
            return Result.fail(new TaskFinished({ id }))
          }
          return Result.succeed({
            value: true,
            set: {
              ...settled.set,
              state: next !== undefined ? "scheduled" : restingState(row),
              due: next?.due ?? null,
              nominal: next?.nominal ?? null,
              pausedAt: null,
              pauseNote: null,
              failures: 0,
              updatedAt: at
            },
            runs: [
              ...held.map((run): RunChange => ({ _tag: "Unhold", key: run.key })),
              ...promotions(rules.policy, task.open, [])
            ],
            plan: settled.plan
          })
        })
      }).pipe(
        Effect.flatMap((resumed) => resumed ? announced({ _tag: "TaskResumed" }) : Effect.void),
        Effect.andThen(snapshot)
      ),
      remove: (removeOptions) =>
        Effect.gen(function*() {
          yield* changed((task, at) => {
            const { runs, set } = removal(task, at, removeOptions?.interrupt === true)
            return Result.succeed({ value: undefined, set, runs })
          })
          yield* announced({ _tag: "TaskRemoved" })
        }),
      runNow: (runOptions) => runNow(id, alias, definition, runOptions),
      cancel: (run) => cancelRun(alias, id, run),
      preview: (n) =>
        Effect.gen(function*() {
          if (!Number.isSafeInteger(n) || n < 1 || n > 10_000) {
            return yield* invalid("n", n, `A preview has from 1 to 10,000 occurrences, not ${n}.`)
          }
          const at = yield* now
          const [task] = yield* (yield* store).get([id])
          if (task === undefined) return yield* new TaskNotFound({ id, store: alias })
          const rules = yield* Effect.fromResult(readable(task.row))
          const left = rules.policy.maxRuns === null ? n : Math.min(n, rules.policy.maxRuns - task.row.counters.ran)
          const points: Array<Trigger.Occurrence> = []
          let point = rules.bound.next(Math.max(task.row.cursor, at - 1))
          while (point !== undefined && points.length < left) {
            points.push({ due: instant(point.due), nominal: instant(point.nominal) })
            point = rules.bound.next(point.due)
          }
          return points
        }),
      explain: (value) =>
        Effect.gen(function*() {
          const at = yield* checkInstant("instant", value)
          const current = yield* store
          const [task] = yield* current.get([id])
          if (task === undefined) return yield* new TaskNotFound({ id, store: alias })
          const rules = yield* Effect.fromResult(readable(task.row))
          const page = yield* current.runs({ taskId: id, generation: task.row.generation, key: String(at), limit: 1 })
          return explain(task.row, rules, at, page.items[0])
        }),
      runs: (listOptions) =>
        Effect.gen(function*() {
          const [task] = yield* (yield* storeOf(alias)).get([id])
          // A removed and re-added id is another task; of one that is gone, what is kept is shown.
          return yield* listRuns(
            alias,
            listOptions,
            task === undefined ? { taskId: id } : { taskId: id, generation: task.row.generation }
          )
        })
    }
  }

  const neverFires = (trigger: Trigger.Trigger, id: string, at: number): boolean => {
    const events = Trigger.events(trigger)
    return !events.startup && !events.shutdown &&
      Trigger.bind(trigger, { anchor: at, seed: id }).next(at - 1) === undefined
  }

  // ---------------------------------------------------------------------------
  // runs
  // ---------------------------------------------------------------------------

  type RunRef = Pick<RunRow, "taskId" | "generation" | "key" | "state">

  const runNow = <T extends Task.Any>(
    id: string,
    alias: string,
    definition: T | undefined,
    given: { readonly key?: string | undefined; readonly whenBusy?: Policy.Policy["whenBusy"] | undefined } = {}
  ): Effect.Effect<RunHandle<T>, CommandError | TaskBusy | InvalidOption> =>
    Effect.gen(function*() {
      yield* checkNames(given, ["key", "whenBusy"], "runNow")
      if (given.key === "") return yield* invalid("key", "", "An idempotency key must not be empty.")
      const key = `x:${given.key ?? (yield* randomId)}`
      const override = yield* Effect.mapError(
        Effect.fromResult(Policy.make({ whenBusy: given.whenBusy })),
        (error) => invalid(error.option, error.value, error.message)
      )
      const store = yield* Effect.mapError(storeOf(alias), () => new TaskNotFound({ id, store: alias }))
      const created = yield* change<RunRef, TaskBusy | TaskUnreadable>(store, alias, id, (task, at) => {
        const { open, row } = task
        const create = Effect.suspend(() =>
          Effect.fromResult(Result.flatMap(readable(row), ({ policy }) => {
            const admitted = Policy.admitExtra(
              given.whenBusy === undefined ? policy : { ...policy, whenBusy: override.whenBusy },
              open.map(openRun)
            )
            if (admitted.state === "skipped") {
              const by = admitted.reason.startsWith("busy:") ? admitted.reason.slice("busy:".length) : undefined
              return Result.fail(
                new TaskBusy({
                  id,
                  by: runId({ generation: row.generation, key: by ?? open[0]!.key }),
                  waiting: by === undefined ? open.filter((run) => run.state === "waiting").length : 0
                })
              )
            }
            const run = newRun(policy, true, { key, due: at, nominal: at, state: admitted.state, readyAt: at })
            const runs: Array<RunChange> = admitted.cancel.map((key) => ({
              _tag: "Cancel",
              key,
              reason: "replaced by a run asked for"
            }))
            runs.push({ _tag: "Create", run })
            return Result.succeed<Decision<RunRef>>({
              value: { taskId: id, generation: row.generation, key, state: admitted.state },
              set: { counters: { ...row.counters, extra: row.counters.extra + 1 } },
              runs
            })
          }))
        )
        if (given.key === undefined) return create
        const known = open.find((run) => run.key === key)
        if (known !== undefined) return Result.succeed({ value: known })
        // Looked for after the row was read: one that is created meanwhile makes the commit conflict.
        return Effect.flatMap(
          store.runs({ taskId: id, generation: row.generation, key, limit: 1 }),
          ({ items: [ended] }) => ended === undefined ? create : Effect.succeed<Decision<RunRef>>({ value: ended })
        )
      })
      return runHandle(alias, definition, created, created.state === "waiting" ? "queued" : "started")
    })

  const findRun = (
    store: TaskStore["Service"],
    run: { readonly taskId: string; readonly generation: number; readonly key: string }
  ): Effect.Effect<RunRow, RunNotFound | TaskStoreError> =>
    Effect.flatMap(
      store.runs({ taskId: run.taskId, generation: run.generation, key: run.key, limit: 1 }),
      ({ items }) =>
        items[0] === undefined
          ? Effect.fail(new RunNotFound({ taskId: run.taskId, run: runId(run) }))
          : Effect.succeed(items[0])
    )

  const runHandle = <T extends Task.Any>(
    alias: string,
    definition: T | undefined,
    run: { readonly taskId: string; readonly generation: number; readonly key: string },
    status: "started" | "queued"
  ): RunHandle<T> => {
    const store = stores.aliases.get(alias)!
    const ended = Effect.gen(function*() {
      const latch = Latch.makeUnsafe(false)
      let row: RunRow | undefined
      const key = waiterKey(alias, run)
      const waiter = (ended: RunRow) => {
        row = ended
        latch.openUnsafe()
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const set = waiters.get(key)
          if (set === undefined) waiters.set(key, new Set([waiter]))
          else set.add(waiter)
        }),
        () =>
          Effect.sync(() => {
            const set = waiters.get(key)
            if (set?.delete(waiter) === true && set.size === 0) waiters.delete(key)
          })
      )
      while (row === undefined) {
        const stored = yield* findRun(store, run)
        if (!isOpen(stored.state)) return stored
        // An end that this scheduler records is told at once; one that another records is found by looking.
        yield* Effect.raceFirst(latch.await, Effect.sleep(Duration.millis(options.pollInterval)))
      }
      return row
    }).pipe(Effect.scoped)
    return {
      id: runId(run),
      taskId: run.taskId,
      status,
      info: Effect.map(findRun(store, run), fromRun),
      await: Effect.flatMap(ended, (row) => {
        if (row.exit === null || definition === undefined || (row.state !== "succeeded" && row.state !== "failed")) {
          return row.state === "succeeded" && definition === undefined
            ? Effect.void
            : Effect.fail(
              new RunNotCompleted({
                run: runId(run),
                state: row.state === "succeeded" || row.state === "failed" || isOpen(row.state) ? "unknown" : row.state
              })
            )
        }
        return Effect.matchEffect(decodeExit(definition, row.exit), {
          onFailure: () => Effect.fail(new RunNotCompleted({ run: runId(run), state: "unknown" })),
          onSuccess: (exit) => Exit.isSuccess(exit) ? Effect.succeed(exit.value) : Effect.failCause(exit.cause)
        })
      }) as RunHandle<T>["await"],
      cancel: cancelRun(alias, run.taskId, runId(run))
    }
  }

  const cancelRun = (alias: string, taskId: string, run: string): Effect.Effect<void, CommandError | RunNotFound> =>
    Effect.gen(function*() {
      const store = yield* Effect.mapError(storeOf(alias), () => new TaskNotFound({ id: taskId, store: alias }))
      const separator = run.indexOf(":")
      const generation = Number(run.slice(0, separator))
      const key = run.slice(separator + 1)
      if (separator < 1 || !Number.isSafeInteger(generation)) return yield* new RunNotFound({ taskId, run })
      yield* change<void, RunNotFound>(store, alias, taskId, (task) => {
        if (task.row.generation !== generation || !task.open.some((open) => open.key === key)) {
          // One that has ended needs no cancelling.
          return Effect.as(findRun(store, { taskId, generation, key }), { value: undefined })
        }
        const cancel: RunChange = { _tag: "Cancel", key, reason: "cancelled by a person" }
        const rules = rulesOf(task.row)
        // It may have held the slot that another one waits for.
        const promoted = Result.isSuccess(rules) ? promotions(rules.success.policy, task.open, [cancel]) : []
        return Result.succeed({ value: undefined, runs: [cancel, ...promoted] })
      })
    })

  // ---------------------------------------------------------------------------
  // lists
  // ---------------------------------------------------------------------------

  const checkLimit = (limit: number | undefined): Effect.Effect<number, InvalidOption> =>
    limit === undefined
      ? Effect.succeed(100)
      : Number.isSafeInteger(limit) && limit >= 1 && limit <= 1_000
      ? Effect.succeed(limit)
      : Effect.fail(invalid("limit", limit, `A page has from 1 to 1,000 rows, not ${limit}.`))

  const listRuns = (
    alias: string | undefined,
    given: RunListOptions | undefined,
    query: { readonly taskId?: string; readonly generation?: number; readonly tag?: string | undefined }
  ) =>
    Effect.gen(function*() {
      yield* checkNames(given ?? {}, ["state", "limit", "after", "store", "task"], "runs")
      const store = yield* storeOf(alias)
      const limit = yield* checkLimit(given?.limit)
      const state = given?.state === "held" ? undefined : given?.state
      const page = yield* store.runs({ ...query, state, limit, after: given?.after })
      const items = page.items.map(fromRun)
      return {
        items: given?.state === "held" ? items.filter((run) => run.state === "held") : items,
        next: page.next
      } satisfies Page<ReturnType<typeof fromRun>>
    })

  const list_ = (given: TaskListOptions = {}) =>
    Effect.gen(function*() {
      yield* checkNames(
        given,
        ["store", "task", "state", "owner", "labels", "search", "sort", "descending", "limit", "after"],
        "list"
      )
      const store = yield* storeOf(given.store)
      yield* checkNames(given, listNames, "list")
      const limit = yield* checkLimit(given.limit)
      if (given.sort !== undefined && !["id", "due", "created"].includes(given.sort)) {
        return yield* invalid("sort", given.sort, "Tasks are sorted by \"id\", \"due\" or \"created\".")
      }
      const state: StoredState | undefined = given.state === "pending" ? "scheduled" : given.state
      const page = yield* store.list({
        tag: given.task?.tag,
        state,
        owner: given.owner,
        labels: given.labels,
        search: given.search,
        sort: given.sort ?? "id",
        descending: given.descending ?? false,
        limit,
        after: given.after
      })
      const verdicts = new Map<number, Verdict>(
        (yield* store.verdicts({ limit: 1_000 })).map((verdict) => [verdict.generation, verdict])
      )
      const items = page.items.map((row) =>
        fromRow(row, { store: given.store ?? "default", seen: options.seen(), verdict: verdicts.get(row.generation) })
      )
      return {
        // `pending` and `scheduled` are one stored state.
        items: given.state === undefined ? items : items.filter((info) => info.state === given.state),
        next: page.next
      }
    })

  const removeAll = (alias: string, owner: string | undefined) =>
    Effect.gen(function*() {
      const store = yield* storeOf(alias)
      let removed = 0
      while (true) {
        const page = yield* store.list({ owner, sort: "id", descending: false, limit: batchSize })
        if (page.items.length === 0) return removed
        const at = yield* now
        const tasks = yield* store.get(page.items.map((row) => row.id))
        const changes = tasks.map((task) => removal(task, at, false))
        const answers = yield* store.commit(changes)
        for (let i = 0; i < answers.length; i++) {
          if (answers[i]!._tag !== "Committed") continue
          removed++
          emit(() => ({ _tag: "TaskRemoved", at: instant(at), store: alias, id: tasks[i]!.row.id }))
          yield* announceEnded(store, alias, tasks[i]!, changes[i]!)
        }
      }
    })

  // ---------------------------------------------------------------------------
  // api
  // ---------------------------------------------------------------------------

  const add = (task: Task.Any, given: ScheduleSettings) =>
    Effect.map(
      addEntries([{ task, options: given }], null),
      ([added]) => handle(added!.id, given.store ?? "default", task)
    )

  const reconcile = (owner: string, entries: ReadonlyArray<Scheduled<Task.Any>>, alias: string) =>
    Effect.gen(function*() {
      if (owner.trim() === "") return yield* invalid("owner", owner, "An owner must be a text that is not empty.")
      const store = yield* storeOf(alias)
      for (const { options: given } of entries) {
        if (given.id === undefined) {
          return yield* invalid("id", undefined, "reconcile compares by id: every task it is given must have one.")
        }
        if (given.onConflict !== undefined) {
          return yield* invalid("onConflict", given.onConflict, "reconcile always updates: leave onConflict out.")
        }
        if (given.store !== undefined && given.store !== alias) {
          return yield* invalid(
            "store",
            given.store,
            `reconcile works on one store, here \`${alias}\`: name another with reconcile(owner, entries, { store }).`
          )
        }
      }
      const placed = entries.map(({ options: given, task }) => ({ task, options: { ...given, store: alias } }))
      // Another owner's task is not ours to change, whatever its id.
      for (let from = 0; from < placed.length; from += batchSize) {
        const ids = placed.slice(from, from + batchSize).map((entry) => entry.options.id!)
        for (const { row } of yield* store.get(ids)) {
          if (row.owner !== null && row.owner !== owner) return yield* new DuplicateTask({ id: row.id, store: alias })
        }
      }
      const answers = yield* addEntries(placed, owner)
      const wanted = new Set(answers.map((answer) => answer.id))
      const removed: Array<string> = []
      let after: string | undefined
      const stale: Array<TaskRow> = []
      do {
        const page = yield* store.list({ owner, sort: "id", descending: false, limit: batchSize, after })
        for (const row of page.items) if (!wanted.has(row.id)) stale.push(row)
        after = page.next ?? undefined
      } while (after !== undefined)
      for (const row of stale) {
        const gone = yield* change(store, alias, row.id, (task, at) => {
          if (task.row.owner !== owner) return Result.succeed({ value: false })
          const { runs, set } = removal(task, at, false)
          return Result.succeed({ value: true, set, runs })
        }).pipe(Effect.catchTag("TaskNotFound", () => Effect.succeed(false)))
        if (gone) {
          removed.push(row.id)
          const at = yield* now
          emit(() => ({ _tag: "TaskRemoved", at: instant(at), store: alias, id: row.id }))
        }
      }
      const pick = (what: Added["what"]) => answers.filter((a) => a.what === what).map((a) => a.id)
      return {
        added: pick("added"),
        updated: pick("updated"),
        unchanged: pick("unchanged"),
        removed
      } satisfies Reconciled
    })

  return {
    add: add as Api<"anywhere">["add"],
    addAll: ((entries: ReadonlyArray<Scheduled<Task.Any>>) =>
      Effect.map(
        addEntries(entries, null),
        (answers) => answers.map(({ id }, i) => handle(id, entries[i]!.options.store ?? "default", entries[i]!.task))
      )) as unknown as Api<"anywhere">["addAll"],
    reconcile:
      ((owner: string, entries: ReadonlyArray<Scheduled<Task.Any>>, given?: { readonly store?: string }) =>
        reconcile(owner, entries, given?.store ?? "default")) as unknown as Api<"anywhere">["reconcile"],
    handle: (id, given) => handle(id, given?.store ?? "default", given?.task),
    list: list_,
    runs: (given) => listRuns(given?.store, given, { tag: given?.task?.tag }),
    cancel: (run, given) => cancelRun(given?.store ?? "default", run.taskId, run.id),
    removeAll: (given) => removeAll(given?.store ?? "default", given?.owner),
    quarantined: (given) => Effect.flatMap(storeOf(given?.store), (store) => store.verdicts({ limit: 1_000 }))
  }
}

const explain = (row: TaskRow, rules: Rules, at: number, run: RunRow | undefined): Explanation => {
  const answer = (outcome: Explanation["outcome"], reason: string): Explanation => ({ outcome, reason, run: undefined })
  if (run !== undefined) {
    const info = fromRun(run)
    return run.state === "missed"
      ? { outcome: "missed", reason: "it waited longer than its grace allows", run: info }
      : { outcome: "ran", reason: `run ${info.id}: ${info.state}`, run: info }
  }
  const isOccurrence = rules.bound.next(at - 1)?.due === at
  const notAnOccurrence = answer("notAnOccurrence", "the trigger does not name this instant")
  if (at > row.cursor) {
    if (!isOccurrence) return notAnOccurrence
    if (row.state === "paused") return answer("paused", "the task is paused")
    return Policy.isFinished(rules.policy, row.counters.ran)
      ? answer("skipped", reasonInWords("maxRuns", row))
      : answer("due", "it has not been evaluated yet")
  }
  const range = Policy.outcomeAt(Policy.decodeRanges(row.ranges), at)
  if (range !== undefined) {
    // The ends of a range are occurrences; between them the present trigger knows, and an earlier one is forgotten.
    const named = at === range.from || at === range.to || at <= row.epoch || isOccurrence
    return named ? answer(range.outcome, reasonInWords(range.reason, row)) : notAnOccurrence
  }
  if (at <= row.epoch) return answer("unknown", "it is from before the present trigger, and older than what is kept")
  return isOccurrence ? answer("unknown", "it is older than the history that is kept") : notAnOccurrence
}

/** What a range's reason says to people; see `Policy.Range`. */
const reasonInWords = (reason: string, row: TaskRow): string => {
  const separator = reason.indexOf(":")
  const word = separator === -1 ? reason : reason.slice(0, separator)
  const key = reason.slice(separator + 1)
  switch (word) {
    case "grace":
      return "it was later than its grace allows"
    case "limit":
      return "more of them were late together than may be caught up"
    case "busy":
      return `the task was busy with run ${runId({ generation: row.generation, key })}`
    case "full":
      return "as many runs waited already as its queue may hold"
    case "replaced":
      return "a newer occurrence took its place"
    case "into":
      return `it became one run with the occurrence of ${DateTime.formatIso(instant(Number(key)))}`
    case "paused":
      return "the task was paused"
    case "maxRuns":
      return "the task had had all its runs"
    default:
      return reason
  }
}

const declarationOf = (row: TaskRow): Declaration & { readonly revision: number } => {
  if (row.declared !== null) {
    try {
      const stored = JSON.parse(row.declared) as Declaration & { readonly revision: number }
      if (typeof stored === "object" && stored !== null) return stored
    } catch {
      // Damaged: then what the row says is what was declared.
    }
  }
  const { executor, labels, name, payload, policy, priority, trigger, version } = row
  return { executor, labels, name, payload, policy, priority, trigger, version, revision: Number.MIN_SAFE_INTEGER }
}

/** The present policy with the options that differ between the last declaration and this one. */
const mergePolicies = (before: string, declared: string, present: string): string => {
  if (before === present || before === declared) return declared
  const policies = [before, declared, present].map((text) => Policy.decode(text))
  if (!policies.every(Result.isSuccess)) return declared
  const [was, is, now] = policies.map((policy) => policy.success)
  return Policy.encode(Object.fromEntries(
    Policy.optionNames.map((name) => [name, was![name] === is![name] ? now![name] : is![name]])
  ) as unknown as Policy.Policy)
}

const outcomes = ["missed", "coalesced", "skipped", "paused"] as const

const eventOf = {
  missed: "OccurrencesMissed",
  coalesced: "OccurrencesCoalesced",
  skipped: "OccurrencesSkipped",
  paused: "OccurrencesPaused"
} as const

const labelsText = (labels: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.fromEntries(Object.entries(labels).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)))

/** 96 random bits, in letters that need no quoting anywhere. */
const randomId: Effect.Effect<string> = Effect.map(
  Random.Random,
  (random) => {
    let text = ""
    for (let i = 0; i < 20; i++) text += "0123456789abcdefghjkmnpqrstvwxyz"[Math.floor(random.nextDoubleUnsafe() * 32)]
    return text
  }
)
