/**
 * Tasks as lines of JSON: what `TaskStoreDump` writes and reads.
 *
 *     {"punctual":"tasks","format":1}
 *     {"task":{"id":"report","tag":"Report",…},"open":[{"key":"1767225600000","state":"ready",…}]}
 *     {"ended":{"taskId":"report","state":"succeeded",…}}
 *     {"end":{"tasks":1,"ended":1}}
 *
 * What a store keeps as JSON text stands here as JSON, to be read and edited. A text that JSON would not give back
 * letter by letter stands as a text, in the field with `Text` behind its name: what is read is what was stored.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { RunRow } from "../TaskRecord.ts"
import type { NewTask } from "../TaskStore.ts"

/** The format this module writes, and the newest it reads. */
export const format = 1

// -----------------------------------------------------------------------------
// fields, in the order in which they are written
// -----------------------------------------------------------------------------

/** Stores keep UTF-8, which has no half of a surrogate pair: two such ids would become one. */
const Text = Schema.String.check(
  Schema.makeFilter((text: string) => !/\p{Cs}/u.test(text) || "a text without half of a surrogate pair")
)

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** All of `NewTask` but its runs: `parse` does not compile with a field less. */
const Fields = Schema.Struct({
  id: Text,
  tag: Text,
  version: Schema.Int,
  name: Text,
  payload: Text,
  display: Text,
  trigger: Text,
  anchor: Schema.Int,
  onStartup: Schema.Boolean,
  onShutdown: Schema.Boolean,
  policy: Text,
  executor: Text,
  priority: Schema.Int,
  concurrencyKey: Schema.NullOr(Text).pipe(Schema.withDecodingDefaultKey(Effect.succeed(null))),
  concurrencyLimit: Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(1))),
  labels: Text,
  owner: Schema.NullOr(Text),
  declared: Schema.NullOr(Text),
  trace: Schema.NullOr(Text),
  createdAt: Schema.Int,
  updatedAt: Schema.Int,
  state: Schema.Literals(["scheduled", "paused", "finished", "onStartup", "onShutdown"]),
  cursor: Schema.Int,
  due: Schema.NullOr(Schema.Int),
  nominal: Schema.NullOr(Schema.Int),
  zoneRules: Schema.NullOr(Text),
  override: Schema.NullOr(Schema.Int),
  epoch: Schema.Int,
  counters: Schema.Struct({
    ran: Schema.Int,
    missed: Schema.Int,
    coalesced: Schema.Int,
    skipped: Schema.Int,
    paused: Schema.Int,
    extra: Schema.Int,
    exact: Schema.Boolean
  }),
  ranges: Text,
  pausedAt: Schema.NullOr(Schema.Int),
  pauseNote: Schema.NullOr(Text),
  failures: Count
})

const OpenFields = Schema.Struct({
  key: Text,
  state: Schema.Literals(["ready", "waiting"]),
  due: Schema.Int,
  nominal: Schema.Int,
  readyAt: Schema.Int,
  held: Schema.Boolean,
  attempt: Count,
  takeovers: Count,
  slots: Count,
  queues: Schema.Boolean,
  atMostOnce: Schema.Boolean
})

const EndedFields = {
  taskId: true,
  key: true,
  state: true,
  tag: true,
  version: true,
  executor: true,
  priority: true,
  due: true,
  nominal: true,
  createdAt: true,
  startedAt: true,
  endedAt: true,
  attempt: true,
  takeovers: true,
  owner: true,
  cancel: true,
  exit: true
} satisfies { readonly [K in keyof RunRow]?: true }

// -----------------------------------------------------------------------------
// writing
// -----------------------------------------------------------------------------

/** Fields that hold JSON texts. Of those that may be absent, `null` says that they are. */
const jsonTexts: ReadonlySet<string> = new Set([
  "payload",
  "display",
  "trigger",
  "policy",
  "labels",
  "declared",
  "ranges",
  "exit"
])

const nullable: ReadonlySet<string> = new Set(["declared", "exit"])

/** Whether JSON gives back the text letter by letter. */
const isFaithful = (text: string): boolean => {
  try {
    return JSON.stringify(JSON.parse(text)) === text
  } catch {
    return false
  }
}

const object = (names: ReadonlyArray<string>, values: { readonly [name: string]: unknown }): string =>
  `{${
    names.map((name) => {
      const value = values[name]
      if (!jsonTexts.has(name) || typeof value !== "string") return `"${name}":${JSON.stringify(value)}`
      return isFaithful(value) && !(value === "null" && nullable.has(name))
        ? `"${name}":${value}`
        : `"${name}Text":${JSON.stringify(value)}`
    }).join(",")
  }}`

const taskNames = Object.keys(Fields.fields)
/** What is not there says that there is no key: such a line is what it was before there were any. */
const unkeyedNames = taskNames.filter((name) => name !== "concurrencyKey" && name !== "concurrencyLimit")
const openNames = Object.keys(OpenFields.fields)
const endedNames = Object.keys(EndedFields)

export const header = `{"punctual":"tasks","format":${format}}`

/** Equal tasks are equal lines. */
export const taskLine = ({ runs = [], ...task }: NewTask): string => {
  const open = runs.map((run) =>
    object(openNames, {
      ...run,
      held: run.held ?? false,
      attempt: run.attempt ?? 0,
      takeovers: run.takeovers ?? 0
    })
  )
  return `{"task":${object(task.concurrencyKey === null ? unkeyedNames : taskNames, { ...task })}${
    open.length === 0 ? "" : `,"open":[${open.join(",")}]`
  }}`
}

export const endedLine = (run: RunRow): string => `{"ended":${object(endedNames, { ...run })}}`

export const endLine = (tasks: number, ended: number): string => `{"end":{"tasks":${tasks},"ended":${ended}}}`

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

export type Line =
  | { readonly _tag: "Header"; readonly format: number }
  | { readonly _tag: "Task"; readonly task: NewTask }
  | { readonly _tag: "Ended" }
  | { readonly _tag: "End"; readonly tasks: number; readonly ended: number }

export interface Refused {
  readonly reason: "NotJson" | "Invalid"
  /** What is wrong with the line. */
  readonly message: string
}

const Head = Schema.Struct({ punctual: Schema.Literal("tasks"), format: Schema.Int })
const End = Schema.Struct({ end: Schema.Struct({ tasks: Count, ended: Count }) })

const strict = { onExcessProperty: "error" } as const
const readHead = Schema.decodeUnknownResult(Head)
const readTask = Schema.decodeUnknownResult(Fields, strict)
const readOpen = Schema.decodeUnknownResult(Schema.Array(OpenFields), strict)
const readEnd = Schema.decodeUnknownResult(End, strict)

type Json = { readonly [name: string]: unknown }

const isObject = (json: unknown): json is Json => typeof json === "object" && json !== null && !Array.isArray(json)

/** JSON as the texts that stores keep. */
const withTexts = (json: Json): Result.Result<Json, Refused> => {
  const task: { [name: string]: unknown } = { ...json }
  for (const name of jsonTexts) {
    const asText = `${name}Text`
    if (Object.hasOwn(json, asText)) {
      if (Object.hasOwn(json, name)) return refused(`a task has \`${name}\` or \`${asText}\`, not both`)
      task[name] = json[asText]
      delete task[asText]
    } else if (Object.hasOwn(json, name) && !(json[name] === null && nullable.has(name))) {
      task[name] = JSON.stringify(json[name])
    }
  }
  return Result.succeed(task)
}

const refused = (message: string): Result.Result<never, Refused> => Result.fail({ reason: "Invalid", message })

const decoded = <A>(result: Result.Result<A, { readonly message: string }>): Result.Result<A, Refused> =>
  Result.mapError(result, ({ message }) => ({ reason: "Invalid", message }))

/** What a line says, by itself. */
export const parse = (text: string): Result.Result<Line, Refused> => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return Result.fail({ reason: "NotJson", message: error instanceof Error ? error.message : String(error) })
  }
  if (!isObject(json)) return refused("not an object")
  if ("punctual" in json) return Result.map(decoded(readHead(json)), ({ format }) => ({ _tag: "Header", format }))
  if ("end" in json) return Result.map(decoded(readEnd(json)), ({ end }) => ({ _tag: "End", ...end }))
  if ("ended" in json) return isObject(json["ended"]) ? Result.succeed({ _tag: "Ended" }) : refused("not a run")
  if (!isObject(json["task"])) return refused("neither a task nor a run that has ended")
  const extra = Object.keys(json).find((name) => name !== "task" && name !== "open")
  if (extra !== undefined) return refused(`\`${extra}\` is not known beside a task`)
  return Result.gen(function*() {
    const task = yield* decoded(readTask(yield* withTexts(json["task"] as Json)))
    const runs = yield* decoded(readOpen(json["open"] ?? []))
    const keys = new Set(runs.map(({ key }) => key))
    if (keys.size < runs.length) return yield* refused("two open runs have the same key")
    return { _tag: "Task", task: runs.length === 0 ? task : { ...task, runs } }
  })
}
