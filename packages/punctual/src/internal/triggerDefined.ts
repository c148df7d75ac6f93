/**
 * Triggers that a program defines itself: how they are made, asked, and kept to the rules that every trigger keeps.
 *
 * What a definition answers is checked, because the engine stands on it: `next` must be later and `previous` earlier than
 * the instant it was asked about, and both are whole milliseconds. Anything else is a mistake in the definition, told as a
 * `TriggerMisbehaves`, and never taken for an end.
 *
 * A definition without `previous` is searched backwards by asking `next`: first in windows that double until one holds an
 * occurrence, then by halving, so that the number of questions is the logarithm of the distance.
 *
 *     ├──────────── 8 ────────────┼────── 4 ──────┼── 2 ──┼─ 1 ─┤ before
 *        ▲ the last one is in here; halve: is there one after the middle?
 */
import * as Effect from "effect/Effect"
import { hasProperty } from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import type { AnyDefinition, Binding, Defined, DefineOptions, Definition, Trigger } from "../Trigger.ts"
import { MAX_MILLIS } from "./cronDate.ts"
import * as input from "./triggerInput.ts"
import * as model from "./triggerModel.ts"
import { HORIZON, type Source, type Work } from "./triggerSearch.ts"

export const TypeId = "~punctual/Trigger/Definition"

/**
 * A user-defined trigger answered what no trigger may answer, or threw. A defect: the definition has to be corrected.
 *
 * **Details**
 *
 * `asked` is the instant the definition was asked about, in epoch milliseconds, and `answer` what it answered, as text.
 * What was thrown is in `cause`. A scheduler that meets it sets the task aside, as it does with a row it cannot read, and
 * goes on with the others.
 *
 * @category errors
 * @since 0.1.0
 */
export class TriggerMisbehaves extends Schema.TaggedError<TriggerMisbehaves>()("TriggerMisbehaves", {
  definition: Schema.String,
  method: Schema.Literals(["next", "previous"]),
  asked: Schema.Number,
  answer: Schema.String,
  problem: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `The trigger \`${this.definition}\` misbehaves: its \`${this.method}\`, asked about ${this.asked}, ` +
      `${this.problem}. Correct the definition.`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// definitions
// ---------------------------------------------------------------------------------------------------------------------

const optionNames = ["parameters", "next", "previous", "format"] as const

export const define = (name: string, options: DefineOptions<Schema.Top>): AnyDefinition => {
  const refuse = (input: unknown, problem: string) => model.refuse("definition", input, problem)
  if (typeof name !== "string" || name.trim() === "") {
    refuse(name, "the name of a trigger definition is a text that is not empty: stored triggers find it by that")
  }
  input.checkKeys(options, optionNames, "define")
  if (typeof options?.next !== "function") {
    refuse(
      name,
      `\`${name}\` needs \`next\`: (parameters, after, binding) => the first instant after \`after\`, or undefined`
    )
  }
  for (const key of ["previous", "format"] as const) {
    if (options[key] !== undefined && typeof options[key] !== "function") refuse(name, `\`${key}\` is a function`)
  }
  const parameters = options.parameters === undefined
    ? Schema.Void
    : Schema.isSchema(options.parameters)
    ? options.parameters
    : Schema.Struct(options.parameters as Schema.Struct.Fields)
  return Object.freeze(Object.assign(Object.create(Proto), {
    name,
    parameters,
    next: options.next,
    previous: options.previous,
    format: options.format
  })) as AnyDefinition
}

const Proto = {
  [TypeId]: TypeId,
  make(this: AnyDefinition, parameters?: unknown): Trigger {
    const { construct, encode } = codecOf(this)
    return decode(this, fit(this, parameters, Effect.flatMap(construct(parameters), encode)))
  },
  toJSON(this: AnyDefinition) {
    return { _id: "TriggerDefinition", name: this.name }
  }
}

export const isDefinition = (u: unknown): u is AnyDefinition => hasProperty(u, TypeId)

/** What a schema makes of parameters, or a refusal that says what does not fit. */
const fit = (definition: AnyDefinition, given: unknown, read: ReturnType<Parser>): unknown => {
  const result = Effect.runSync(Effect.result(read))
  return Result.isSuccess(result) ? result.success : model.refuse(
    "parameters",
    given,
    `these parameters do not fit the trigger \`${definition.name}\`: ${
      formatIssue(result.failure).replaceAll("\n  at ", " at ")
    }`
  )
}

const formatIssue = SchemaIssue.makeFormatterDefault()

type Parser = (input: unknown) => Effect.Effect<unknown, SchemaIssue.Issue>

interface Codec {
  readonly construct: Parser
  readonly encode: Parser
  readonly decode: Parser
}

const codecs = new WeakMap<AnyDefinition, Codec>()

const codecOf = (definition: AnyDefinition): Codec => {
  let codec = codecs.get(definition)
  if (codec === undefined) {
    const json = Schema.toCodecJson(definition.parameters)
    // The types of `define` refuse schemas that need services.
    codec = {
      construct: SchemaParser.makeEffect(definition.parameters),
      encode: SchemaParser.encodeUnknownEffect(json) as Parser,
      decode: SchemaParser.decodeUnknownEffect(json, { onExcessProperty: "error" }) as Parser
    }
    codecs.set(definition, codec)
  }
  return codec
}

/** What the parameters of a node mean to its definition: decoded once for each node. */
const values = new WeakMap<Trigger, unknown>()

/** The node of a definition and its encoded parameters. */
export const decode = (definition: AnyDefinition, encoded: unknown): Trigger => {
  const value = fit(definition, encoded, codecOf(definition).decode(encoded))
  const node = model.defined(definition, canonical(encoded) as Schema.Json)
  values.set(node, value)
  return node
}

/** Keys in one order, so that equal parameters have one text, and frozen like the rest of a trigger. */
const canonical = (value: unknown): unknown =>
  Array.isArray(value)
    ? Object.freeze(value.map(canonical))
    : typeof value === "object" && value !== null
    ? Object.freeze(
      Object.fromEntries(
        Object.entries(value).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0).map((
          [key, item]
        ) => [key, canonical(item)])
      )
    )
    : value

// ---------------------------------------------------------------------------------------------------------------------
// asking
// ---------------------------------------------------------------------------------------------------------------------

/** The shortest window that is looked at backwards. */
const FIRST_WINDOW = 60_000

export const source = (trigger: Defined, binding: Binding, work: Work): Source => {
  const definition = trigger.definition as Definition<Schema.Top>
  const parameters = values.get(trigger)

  const ask = (method: "next" | "previous", instant: number): number | undefined => {
    work.spent++
    let answer: unknown
    try {
      answer = definition[method]!(parameters, instant, binding)
    } catch (cause) {
      throw new TriggerMisbehaves({
        definition: definition.name,
        method,
        asked: instant,
        answer: "",
        problem: `throws ${cause instanceof Error ? cause.message : String(cause)}`,
        cause
      })
    }
    if (answer === undefined) return undefined
    const problem = typeof answer !== "number" || !Number.isInteger(answer)
      ? "which is not a whole number of milliseconds, nor `undefined` for an end"
      : Math.abs(answer) > MAX_MILLIS
      ? "which is outside the years -271821 to 275760"
      : method === "next" && answer <= instant
      ? "which is not later"
      : method === "previous" && answer >= instant
      ? "which is not earlier"
      : undefined
    if (problem === undefined) return answer as number
    throw new TriggerMisbehaves({
      definition: definition.name,
      method,
      asked: instant,
      answer: model.show(answer),
      problem: `answers ${model.show(answer)}, ${problem}`
    })
  }

  // Definitions are asked about whole instants only.
  const next = (after: number): number =>
    after >= MAX_MILLIS ? Infinity : ask("next", Math.max(Math.floor(after), -MAX_MILLIS)) ?? Infinity

  const lookBack = (before: number): number => {
    const end = Math.ceil(before)
    const limit = Math.max(end - HORIZON, -MAX_MILLIS)
    // There is none between `high` and `end`, and one at `found`.
    let high = end - 1
    let found: number
    for (let window = FIRST_WINDOW;; window *= 2) {
      const low = Math.max(end - 1 - window, limit)
      found = next(low)
      if (found < end) break
      if (low <= limit) return -Infinity
      high = low
    }
    while (found < high) {
      const following = next(found)
      if (following >= end) return found
      found = following
      const middle = Math.floor((found + high) / 2)
      const later = next(middle)
      if (later < end) found = later
      else high = middle
    }
    return found
  }

  return {
    next,
    previous: definition.previous === undefined
      ? lookBack
      : (before) =>
        before <= -MAX_MILLIS ? -Infinity : ask("previous", Math.min(Math.ceil(before), MAX_MILLIS)) ?? -Infinity,
    count: () => undefined
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// words
// ---------------------------------------------------------------------------------------------------------------------

/** The definition's own words, or its name and parameters: words that fail must not fail a list of tasks. */
export const format = (trigger: Defined): string => {
  const definition = trigger.definition as Definition<Schema.Top>
  try {
    const text: unknown = definition.format?.(values.get(trigger))
    if (typeof text === "string" && text !== "") return text
  } catch {
    // Said below.
  }
  return trigger.parameters === null ? definition.name : `${definition.name} ${JSON.stringify(trigger.parameters)}`
}
