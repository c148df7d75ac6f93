/**
 * From what is written about a task to the row that is stored: everything is validated here, nothing is read.
 */
import * as Result from "effect/Result"
import * as Policy from "../../Policy.ts"
import { TriggerNeverFires } from "../../SchedulerError.ts"
import type * as Task from "../../Task.ts"
import type { AddError, Scheduled, ScheduleSettings } from "../../TaskHandle.ts"
import { noCounters, type TaskRow } from "../../TaskRecord.ts"
import type { NewTask, TaskStore } from "../../TaskStore.ts"
import * as Trigger from "../../Trigger.ts"
import type { EncodedPayload } from "../taskCodec.ts"
import type { TriggerDefinitions } from "../triggerDefinitions.ts"
import * as TriggerText from "../triggerText.ts"
import { dueAt, restingState, zoneRulesOf } from "./advance.ts"
import * as Checks from "./checks.ts"

/** What is written in a program about a task: the fields that `onConflict: "update"` compares. */
export interface Declaration {
  readonly name: string
  readonly version: number
  readonly payload: string
  readonly trigger: string
  readonly policy: string
  readonly executor: string
  readonly priority: number
  readonly labels: string
  readonly concurrencyKey: string | null
  readonly concurrencyLimit: number
}

export const declaredFields = [
  "name",
  "version",
  "payload",
  "trigger",
  "policy",
  "executor",
  "priority",
  "labels",
  "concurrencyKey",
  "concurrencyLimit"
] as const

export interface Prepared {
  readonly row: NewTask
  readonly store: string
  readonly conflict: NonNullable<ScheduleSettings["onConflict"]>
  readonly revision: number
  readonly trigger: Trigger.Trigger
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

const noRanges = Policy.encodeRanges([])

/** What preparing needs to know of the scheduler. */
export interface Preparing {
  readonly now: number
  /** Zone of instants written without an offset. */
  readonly timeZone: string
  readonly trace: string | null
  readonly owner: string | null
  readonly policies: Policies
}

/** Policies as texts: the scheduler's defaults, then the definition's, then the copy's own. */
export class Policies {
  private readonly defaults: Policy.Policy
  private readonly texts = new WeakMap<Task.Any, string>()

  constructor(defaults: Policy.Policy) {
    this.defaults = defaults
  }

  of(task: Task.Any, given: object): Result.Result<string, Policy.InvalidPolicy> {
    let own: Record<string, unknown> | undefined
    for (const key in given) {
      if (policyNames.has(key)) (own ??= {})[key] = given[key as keyof typeof given]
    }
    const known = own === undefined ? this.texts.get(task) : undefined
    if (known !== undefined) return Result.succeed(known)
    const base = Policy.make(task.policy, this.defaults)
    if (Result.isFailure(base)) return Result.fail(base.failure)
    if (own !== undefined) return Result.map(Policy.make(own, base.success), Policy.encode)
    const text = Policy.encode(base.success)
    this.texts.set(task, text)
    return Result.succeed(text)
  }
}

const policyNames = new Set<string>(Policy.optionNames)

/** What can be refused before the payload is encoded. */
export const check = (
  { options: given, task }: Scheduled<Task.Any>,
  definitions: TriggerDefinitions
): AddError | undefined => {
  const unknown = Checks.names(given, settingNames, "add")
  if (unknown !== undefined) return unknown
  if (given.id !== undefined && (typeof given.id !== "string" || given.id.trim() === "")) {
    return Checks.invalid(
      "id",
      given.id,
      "A task's id must be a text that is not empty; leave it out for a random one."
    )
  }
  return Checks.common(
    { ...given, labels: given.labels ?? task.labels, trigger: given.trigger ?? task.trigger },
    definitions
  ) ??
    Checks.adding(given)
}

export const prepare = (
  { options: given, task }: Scheduled<Task.Any>,
  id: string,
  store: TaskStore["Service"],
  encoded: EncodedPayload,
  { now, owner, policies, timeZone, trace }: Preparing
): Result.Result<Prepared, AddError> => {
  const policy = policies.of(task, given)
  if (Result.isFailure(policy)) return Result.fail(policy.failure)
  const undeliverable = Checks.delivery(task, Result.getOrThrow(Policy.decode(policy.success)), store)
  if (undeliverable !== undefined) return Result.fail(undeliverable)
  const concurrency = Checks.concurrency(task, encoded.value, store)
  if (Result.isFailure(concurrency)) return Result.fail(concurrency.failure)
  let override: number | null = null
  if (given.nextRunTime !== undefined) {
    const at = Checks.instant("nextRunTime", given.nextRunTime, timeZone)
    if (Result.isFailure(at)) return Result.fail(at.failure)
    override = Math.max(at.success, now)
  }
  const trigger = given.trigger ?? task.trigger ?? Trigger.now
  const events = Trigger.events(trigger)
  const next = override !== null
    ? { due: override, nominal: override }
    : Trigger.bind(trigger, { anchor: now, seed: id }).next(now - 1)
  if (next === undefined && !events.startup && !events.shutdown) {
    return Result.fail(new TriggerNeverFires({ id, trigger: Trigger.format(trigger) }))
  }
  const paused = given.paused !== undefined && given.paused !== false
  const at = dueAt(paused ? undefined : next, zoneRulesOf(trigger), override)
  const labels = given.labels ?? task.labels
  const conflict = given.onConflict ?? (owner === null ? "fail" : "update")
  const revision = given.revision ?? 0
  const row: NewTask = {
    id,
    tag: task.tag,
    version: task.version,
    name: given.name ?? task.name,
    payload: encoded.payload,
    display: encoded.display,
    trigger: TriggerText.encode(trigger),
    anchor: now,
    onStartup: events.startup,
    onShutdown: events.shutdown,
    policy: policy.success,
    executor: given.executor ?? task.executor ?? "default",
    priority: given.priority ?? task.priority ?? 0,
    ...concurrency.success,
    labels: labels === undefined ? "{}" : labelsText(labels),
    owner,
    declared: null,
    trace,
    createdAt: now,
    updatedAt: now,
    state: paused ? "paused" : next !== undefined ? "scheduled" : restingState({
      onStartup: events.startup,
      onShutdown: events.shutdown
    }),
    cursor: now - 1,
    due: at.due,
    nominal: at.nominal,
    zoneRules: at.zoneRules,
    override,
    epoch: now - 1,
    counters: noCounters,
    ranges: noRanges,
    pausedAt: paused ? now : null,
    pauseNote: typeof given.paused === "string" ? given.paused : null,
    failures: 0
  }
  const atShutdown = Checks.notAtShutdown(row)
  if (atShutdown !== undefined) return Result.fail(atShutdown)
  return Result.succeed({
    store: given.store ?? "default",
    conflict,
    revision,
    trigger,
    row: conflict === "update" || conflict === "keep" ? { ...row, declared: declare(row, revision) } : row
  })
}

/** What a program says of a task, as kept to be compared with what it says next time. */
export const declare = (row: Declaration, revision: number): string => {
  const { concurrencyKey, concurrencyLimit, executor, labels, name, payload, policy, priority, trigger, version } = row
  const concurrency = concurrencyKey === null ? {} : { concurrencyKey, concurrencyLimit }
  return JSON.stringify({
    name,
    version,
    payload,
    trigger,
    policy,
    executor,
    priority,
    labels,
    ...concurrency,
    revision
  })
}

export const declarationOf = (row: TaskRow): Declaration & { readonly revision: number } => {
  if (row.declared !== null) {
    try {
      const stored = JSON.parse(row.declared) as Declaration & { readonly revision: number }
      if (typeof stored === "object" && stored !== null) return { ...unkeyed, ...stored }
    } catch {
      // Damaged: then what the row says is what was declared.
    }
  }
  const { concurrencyKey, concurrencyLimit, executor, labels, name, payload, policy, priority, trigger, version } = row
  return {
    concurrencyKey,
    concurrencyLimit,
    executor,
    labels,
    name,
    payload,
    policy,
    priority,
    trigger,
    version,
    revision: Number.MIN_SAFE_INTEGER
  }
}

/** What a declaration says that has no key. */
const unkeyed: Partial<Declaration> = { concurrencyKey: null, concurrencyLimit: 1 }

/** The present policy with the options that differ between the last declaration and this one. */
export const mergePolicies = (before: string, declared: string, present: string): string => {
  if (before === present || before === declared) return declared
  const policies = [before, declared, present].map((text) => Policy.decode(text))
  if (!policies.every(Result.isSuccess)) return declared
  const [was, is, now] = policies.map((policy) => policy.success)
  return Policy.encode(Object.fromEntries(
    Policy.optionNames.map((name) => [name, was![name] === is![name] ? now![name] : is![name]])
  ) as unknown as Policy.Policy)
}

export const labelsText = (labels: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.fromEntries(Object.entries(labels).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)))
