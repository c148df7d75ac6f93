/**
 * Addresses of tasks. A handle holds no more than where its task is, so that adding a million costs no more.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Policy from "../../Policy.ts"
import { type InvalidOption, type TaskFinished, TaskNotFound, TriggerNeverFires } from "../../SchedulerError.ts"
import type * as Task from "../../Task.ts"
import type {
  CommandError,
  Explanation,
  RunListOptions,
  TaskChanges,
  TaskHandle,
  UpdateError
} from "../../TaskHandle.ts"
import { fromRow, type TaskInfo } from "../../TaskInfo.ts"
import type { TaskDefinition } from "../../TaskRecord.ts"
import type { TaskStoreError } from "../../TaskStore.ts"
import * as Trigger from "../../Trigger.ts"
import { encodePayload } from "../taskCodec.ts"
import { change, type Commanding, nowIn } from "./changes.ts"
import * as Checks from "./checks.ts"
import * as Decide from "./decide.ts"
import { explain } from "./explain.ts"
import { instant } from "./host.ts"
import * as Lists from "./lists.ts"
import { labelsText } from "./prepare.ts"
import { unroutable as unroutableIn } from "./presence.ts"
import { cancelRun, runNow, storeOfTask } from "./runCommands.ts"

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

export class Handle<T extends Task.Any> implements TaskHandle<T> {
  readonly id: string
  readonly store: string
  private readonly definition: T | undefined
  private readonly commanding: Commanding

  constructor(commanding: Commanding, id: string, store: string, definition: T | undefined) {
    this.commanding = commanding
    this.id = id
    this.store = store
    this.definition = definition
  }

  private get inStore() {
    return storeOfTask(this.commanding, this.store, this.id)
  }

  private change<A, E>(decide: Parameters<typeof change<A, E>>[4]) {
    return Effect.flatMap(
      this.inStore,
      (store) => change<A, E>(this.commanding, this.store, store, this.id, decide)
    )
  }

  private tell(
    event:
      | { readonly _tag: "TaskUpdated" | "TaskRescheduled" | "TaskResumed" | "TaskRemoved" }
      | { readonly _tag: "TaskPaused"; readonly note: string | null }
  ): Effect.Effect<void> {
    return Effect.sync(() => {
      const { clocks, emit, heard } = this.commanding
      if (!heard()) return
      const { clock } = clocks.get(this.store)!
      emit({ ...event, at: instant(clock.currentTimeMillisUnsafe()), store: this.store, id: this.id })
    })
  }

  private get read() {
    return Effect.gen({ self: this }, function*() {
      const store = yield* this.inStore
      const [task] = yield* store.get([this.id])
      return task === undefined ? yield* new TaskNotFound({ id: this.id, store: this.store }) : { store, task }
    })
  }

  get snapshot(): Effect.Effect<TaskInfo, TaskNotFound | TaskStoreError> {
    return Effect.gen({ self: this }, function*() {
      const { store, task: { row } } = yield* this.read
      const verdicts = yield* store.verdicts({ limit: Lists.verdictLimit })
      const unroutable = yield* unroutableIn(store, yield* nowIn(this.commanding, this.store))
      return fromRow(row, {
        store: this.store,
        seen: this.commanding.seen(),
        unroutable: unroutable(row),
        verdict: verdicts.find((verdict) => verdict.generation === row.generation),
        definitions: this.commanding.definitions
      })
    })
  }

  update(changes: TaskChanges<T>): ReturnType<TaskHandle<T>["update"]> {
    return this.redefine(changes).pipe(
      Effect.andThen(this.tell({ _tag: "TaskUpdated" })),
      Effect.andThen(this.snapshot)
    )
  }

  reschedule(trigger: Trigger.Trigger): Effect.Effect<TaskInfo, UpdateError> {
    return this.redefine({ trigger } as TaskChanges<T>).pipe(
      Effect.andThen(this.tell({ _tag: "TaskRescheduled" })),
      Effect.andThen(this.snapshot)
    )
  }

  private redefine(changes: TaskChanges<T>): Effect.Effect<void, UpdateError> {
    return Effect.gen({ self: this }, function*() {
      const { commanding, definition, id } = this
      if ("id" in changes) {
        return yield* Checks.invalid(
          "id",
          changes.id,
          "A task's id never changes. Add another task and remove this one."
        )
      }
      const refused = Checks.names(changes, changeNames, "update") ?? Checks.common(changes, commanding.definitions)
      if (refused !== undefined) return yield* refused
      const { executor, labels, name, nextRunTime, payload, priority, trigger, ...policyOptions } = changes
      if (executor !== undefined && commanding.executors !== undefined) yield* commanding.executors.get(executor)
      const set: { -readonly [K in keyof TaskDefinition]?: TaskDefinition[K] } = {}
      if (name !== undefined) set.name = name
      if (executor !== undefined) set.executor = executor
      if (priority !== undefined) set.priority = priority
      if (labels !== undefined) set.labels = labelsText(labels)
      if (payload !== undefined) {
        if (definition === undefined) {
          return yield* Checks.invalid(
            "payload",
            undefined,
            "A payload is encoded by its definition: make the handle with scheduler.handle(id, { task: Definition })."
          )
        }
        const { value, ...texts } = yield* encodePayload(definition, payload)
        const concurrency = yield* Effect.fromResult(
          Checks.concurrency(definition, value, yield* this.inStore)
        )
        Object.assign(set, texts, concurrency, { version: definition.version })
      }
      const next = nextRunTime === undefined
        ? undefined
        : yield* Effect.fromResult(Checks.instant("nextRunTime", nextRunTime, commanding.timeZone))
      const policy = policyOptions as Policy.Options
      // Refused before the row is read, whatever it says.
      yield* Effect.fromResult(Policy.make(policy))
      const store = yield* this.inStore
      yield* change<void, UpdateError>(commanding, this.store, store, id, (task, now) => {
        const { row } = task
        if (trigger !== undefined && Decide.neverFires(trigger, id, now)) {
          return Result.fail(new TriggerNeverFires({ id, trigger: Trigger.format(trigger) }))
        }
        if (payload !== undefined && definition !== undefined && definition.tag !== row.tag) {
          return Result.fail(Checks.invalid(
            "payload",
            undefined,
            `Task \`${id}\` is a \`${row.tag}\`; a payload of \`${definition.tag}\` does not fit it.`
          ))
        }
        const atShutdown = Checks.notAtShutdown({
          concurrencyKey: set.concurrencyKey === undefined ? row.concurrencyKey : set.concurrencyKey,
          onShutdown: trigger === undefined ? row.onShutdown : Trigger.events(trigger).shutdown
        })
        if (atShutdown !== undefined) return Result.fail(atShutdown)
        if (Object.keys(policy).length === 0) {
          return Decide.redefine(task, set, trigger, next, commanding.definitions, now)
        }
        const current = Policy.decode(row.policy)
        const merged = Policy.make(policy, Result.isSuccess(current) ? current.success : commanding.defaults)
        if (Result.isFailure(merged)) return Result.fail(merged.failure)
        const undeliverable = definition === undefined || definition.tag !== row.tag
          ? undefined
          : Checks.delivery(definition, merged.success, store)
        return undeliverable !== undefined
          ? Result.fail(undeliverable)
          : Decide.redefine(
            task,
            { ...set, policy: Policy.encode(merged.success) },
            trigger,
            next,
            commanding.definitions,
            now
          )
      })
    })
  }

  pause(note?: string): Effect.Effect<TaskInfo, CommandError> {
    return this.change((task, now) => Decide.pause(task, note, this.commanding.definitions, now)).pipe(
      Effect.flatMap((paused) => paused ? this.tell({ _tag: "TaskPaused", note: note ?? null }) : Effect.void),
      Effect.andThen(this.snapshot)
    )
  }

  get resume(): Effect.Effect<TaskInfo, CommandError | TaskFinished> {
    return this.change((task, now) => Decide.resume(task, this.commanding.definitions, now)).pipe(
      Effect.flatMap((resumed) => resumed ? this.tell({ _tag: "TaskResumed" }) : Effect.void),
      Effect.andThen(this.snapshot)
    )
  }

  get restore(): Effect.Effect<TaskInfo, TaskNotFound | TaskStoreError> {
    return this.read.pipe(
      Effect.flatMap(({ store, task }) => store.clear([task.row.generation])),
      Effect.andThen(this.snapshot)
    )
  }

  remove(options?: { readonly interrupt?: boolean | undefined }): Effect.Effect<void, CommandError> {
    return this.change((task, now) => {
      const { runs, set } = Decide.removal(task, now, options?.interrupt === true)
      return Result.succeed({ value: undefined, set, runs })
    }).pipe(Effect.andThen(this.tell({ _tag: "TaskRemoved" })))
  }

  runNow(options?: Parameters<TaskHandle<T>["runNow"]>[0]): ReturnType<TaskHandle<T>["runNow"]> {
    return runNow(this.commanding, this.id, this.store, this.definition, options)
  }

  cancel(run: string): ReturnType<TaskHandle<T>["cancel"]> {
    return cancelRun(this.commanding, this.store, this.id, run)
  }

  preview(n: number): Effect.Effect<ReadonlyArray<Trigger.Occurrence>, CommandError | InvalidOption> {
    return Effect.gen({ self: this }, function*() {
      if (!Number.isSafeInteger(n) || n < 1 || n > 10_000) {
        return yield* Checks.invalid("n", n, `A preview has from 1 to 10,000 occurrences, not ${n}.`)
      }
      const { task: { row } } = yield* this.read
      const after = Math.max(row.cursor, (yield* nowIn(this.commanding, this.store)) - 1)
      return yield* Effect.fromResult(Decide.asking(row, this.commanding.definitions, ({ bound, policy }) => {
        const left = policy.maxRuns === null ? n : Math.min(n, policy.maxRuns - row.counters.ran)
        const points: Array<Trigger.Occurrence> = []
        let point = bound.next(after)
        while (point !== undefined && points.length < left) {
          points.push({ due: instant(point.due), nominal: instant(point.nominal) })
          point = bound.next(point.due)
        }
        return points
      }))
    })
  }

  explain(value: Trigger.InstantInput): Effect.Effect<Explanation, CommandError | InvalidOption> {
    return Effect.gen({ self: this }, function*() {
      const at = yield* Effect.fromResult(Checks.instant("instant", value, this.commanding.timeZone))
      const { store, task: { row } } = yield* this.read
      const page = yield* store.runs({ taskId: this.id, generation: row.generation, key: String(at), limit: 1 })
      return yield* Effect.fromResult(
        Decide.asking(row, this.commanding.definitions, (rules) => explain(row, rules, at, page.items[0]))
      )
    })
  }

  runs(options?: RunListOptions): ReturnType<TaskHandle<T>["runs"]> {
    return Effect.gen({ self: this }, function*() {
      const store = yield* this.commanding.stores.get(this.store)
      const [task] = yield* store.get([this.id])
      // A removed and re-added id is another task; of one that is gone, what is kept is shown.
      return yield* Lists.runs(
        this.commanding,
        this.store,
        options,
        task === undefined ? { taskId: this.id } : { taskId: this.id, generation: task.row.generation }
      )
    })
  }
}
