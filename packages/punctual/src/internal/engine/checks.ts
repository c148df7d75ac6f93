/**
 * What commands refuse, before anything is read or changed: each check answers the error, or nothing.
 */
import * as Result from "effect/Result"
import type * as Policy from "../../Policy.ts"
import { InvalidOption } from "../../SchedulerError.ts"
import type * as Task from "../../Task.ts"
import type { ScheduleSettings } from "../../TaskHandle.ts"
import type { TaskDefinition } from "../../TaskRecord.ts"
import type { TaskStore } from "../../TaskStore.ts"
import * as Trigger from "../../Trigger.ts"
import { refuseUnknown } from "../options.ts"
import { missing, type TriggerDefinitions } from "../triggerDefinitions.ts"
import { instant as instantOf } from "../triggerInput.ts"
import { visit } from "../triggerModel.ts"

export const invalid = (option: string, value: unknown, message: string): InvalidOption =>
  new InvalidOption({ option, value, message })

/** Options that nobody knows are refused, not ignored. */
export const names = (given: object, known: ReadonlyArray<string>, where: string): InvalidOption | undefined => {
  const refused = refuseUnknown(given, known, where)
  return refused === undefined
    ? undefined
    : invalid(Object.keys(given).find((key) => !known.includes(key))!, undefined, `${where}: ${refused}`)
}

export const instant = (
  option: string,
  value: Trigger.InstantInput,
  timeZone: string
): Result.Result<number, InvalidOption> =>
  Result.try({
    try: () => instantOf(value, timeZone),
    catch: (error) => invalid(option, value, error instanceof Error ? error.message : String(error))
  })

/** What `add` and `update` have in common, but for the executor, which is looked up. */
export const common = (
  given: Pick<ScheduleSettings, "name" | "priority" | "labels" | "trigger">,
  definitions: TriggerDefinitions
): InvalidOption | Trigger.InvalidTrigger | undefined => {
  const { labels, name, priority, trigger } = given
  if (name !== undefined && (typeof name !== "string" || name.trim() === "")) {
    return invalid("name", name, "A task's name must be a text that is not empty.")
  }
  if (priority !== undefined && !Number.isSafeInteger(priority)) {
    return invalid("priority", priority, `A priority must be an integer, not ${String(priority)}.`)
  }
  if (labels !== undefined) {
    if (typeof labels !== "object" || labels === null || Array.isArray(labels)) {
      return invalid("labels", labels, "Labels are an object of texts: { team: \"growth\" }.")
    }
    for (const [key, value] of Object.entries(labels)) {
      if (key === "" || typeof value !== "string") {
        return invalid("labels", labels, `Labels are texts under keys that are not empty; \`${key}\` is not.`)
      }
    }
  }
  if (trigger !== undefined) {
    if (!Trigger.isTrigger(trigger)) {
      return invalid("trigger", trigger, "A trigger is made with Trigger.every, Trigger.cron, Trigger.at …")
    }
    const valid = Trigger.validate(trigger)
    if (Result.isFailure(valid)) return valid.failure
    const unknown = undefinedHere(trigger, definitions)
    if (unknown !== undefined) return unknown
  }
  return undefined
}

/** What is stored must be readable here: by this very definition. */
const undefinedHere = (
  trigger: Trigger.Trigger,
  definitions: TriggerDefinitions
): Trigger.InvalidTrigger | undefined => {
  let found: Trigger.Defined | undefined
  visit(trigger, (node) => {
    if (node._tag === "Defined" && definitions.byName.get(node.name) !== node.definition) found ??= node
  })
  if (found === undefined) return undefined
  const { name } = found
  return new Trigger.InvalidTrigger({
    reason: "definition",
    input: name,
    problem: definitions.byName.has(name)
      ? `another definition named \`${name}\` is provided, so this trigger could not be read back: rename one of them`
      : missing(name, definitions)
  })
}

const conflicts: ReadonlyArray<string> = ["fail", "keep", "update", "replace"]

/** What only `add` has. */
export const adding = (
  given: Pick<ScheduleSettings, "onConflict" | "paused" | "revision">
): InvalidOption | undefined => {
  const { onConflict, paused, revision } = given
  if (onConflict !== undefined && !conflicts.includes(onConflict)) {
    return invalid("onConflict", onConflict, "`onConflict` is \"fail\", \"keep\", \"update\" or \"replace\".")
  }
  if (paused !== undefined && typeof paused !== "boolean" && typeof paused !== "string") {
    return invalid("paused", paused, "`paused` is true, false or a note that says why.")
  }
  return revision === undefined || Number.isSafeInteger(revision)
    ? undefined
    : invalid("revision", revision, "A revision must be an integer.")
}

export const delivery = (
  task: Task.Any,
  policy: Policy.Policy,
  store: TaskStore["Service"]
): InvalidOption | undefined => {
  if (policy.delivery === "transactional" && store.transact === undefined) {
    return invalid(
      "delivery",
      policy.delivery,
      `No handler can run inside a transaction of store \`${store.name}\`. \`delivery: "transactional"\` needs Postgres or ` +
        "MySQL, with `SqlTaskStore.layer` on the client that the handler writes with; elsewhere make the handler " +
        "idempotent, by `CurrentRun.id`."
    )
  }
  if (policy.delivery !== "atMostOnce") return undefined
  if (task.retry !== undefined) {
    return invalid(
      "delivery",
      policy.delivery,
      `Task \`${task.tag}\` has \`retry\`, which starts an attempt again, and \`delivery: "atMostOnce"\` says that ` +
        `never happens.`
    )
  }
  return store.capabilities.durable || !store.capabilities.shared ? undefined : invalid(
    "delivery",
    policy.delivery,
    `Store \`${store.name}\` may forget what it was told, so it cannot promise \`atMostOnce\`.`
  )
}

/** Of a key, in characters. */
const longestKey = 255

/**
 * The key that a task's runs share with others, if its definition has one. Stores keep texts of UTF-8, and Postgres none
 * with a NUL.
 */
export const concurrency = (
  task: Task.Any,
  payload: unknown,
  store: TaskStore["Service"]
): Result.Result<Pick<TaskDefinition, "concurrencyKey" | "concurrencyLimit">, InvalidOption> => {
  if (task.concurrencyKey === undefined) return Result.succeed(noConcurrency)
  let key: unknown
  try {
    key = task.concurrencyKey(payload as never)
  } catch (error) {
    return refuseKey(undefined, `\`concurrencyKey\` of task \`${task.tag}\` failed: ${String(error)}.`)
  }
  if (key === undefined) return Result.succeed(noConcurrency)
  const wrong = typeof key !== "string"
    ? `a ${key === null ? "null" : typeof key}`
    : key.length === 0
    ? "an empty text"
    : key.length > longestKey
    ? `a text of ${key.length} characters`
    : /\p{Surrogate}|\0/u.test(key)
    ? "a text with a NUL or half of a surrogate pair"
    : undefined
  if (wrong !== undefined) {
    return refuseKey(
      key,
      `\`concurrencyKey\` of task \`${task.tag}\` answered ${wrong}. A key is a text of 1 to ${longestKey} characters; ` +
        "`undefined` says that there is no limit."
    )
  }
  if (!store.capabilities.concurrencyKeys) {
    return refuseKey(
      key,
      `Store \`${store.name}\` cannot hold a \`concurrencyKey\` to its limit. Keep task \`${task.tag}\` in another ` +
        "store: memory, a file, SQLite, Postgres, MySQL or Redis."
    )
  }
  return Result.succeed({ concurrencyKey: key as string, concurrencyLimit: task.concurrencyLimit ?? 1 })
}

const noConcurrency = { concurrencyKey: null, concurrencyLimit: 1 } as const

const refuseKey = (key: unknown, message: string): Result.Result<never, InvalidOption> =>
  Result.fail(invalid("concurrencyKey", key, message))

/** A run at shutdown is the last thing its scheduler does: it cannot wait for others of its key. */
export const notAtShutdown = (
  { concurrencyKey, onShutdown }: Pick<TaskDefinition, "concurrencyKey" | "onShutdown">
): InvalidOption | undefined =>
  concurrencyKey !== null && onShutdown
    ? invalid(
      "concurrencyKey",
      concurrencyKey,
      "A run at shutdown cannot wait for others of its `concurrencyKey`: leave the key out, or the shutdown trigger."
    )
    : undefined

export const pageSize = (limit: number | undefined): Result.Result<number, InvalidOption> =>
  limit === undefined
    ? Result.succeed(100)
    : Number.isSafeInteger(limit) && limit >= 1 && limit <= 1_000
    ? Result.succeed(limit)
    : Result.fail(invalid("limit", limit, `A page has from 1 to 1,000 rows, not ${limit}.`))
