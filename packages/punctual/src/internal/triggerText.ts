/**
 * Triggers as the JSON texts that stores keep. Many tasks share few triggers, so both directions remember what they saw.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Trigger from "../Trigger.ts"
import { Cache } from "./cache.ts"
import {
  none as noDefinitions,
  type TriggerDefinitions,
  TriggerDefinitions as Definitions
} from "./triggerDefinitions.ts"

const decodeTrigger = Schema.decodeUnknownEffect(Schema.fromJsonString(Trigger.Trigger))

const texts = new WeakMap<Trigger.Trigger, string>()

export const encode = (trigger: Trigger.Trigger): string => {
  let text = texts.get(trigger)
  if (text === undefined) {
    // A trigger's `toJSON` is its encoded form: the schema would only check once more what was made by constructors.
    text = JSON.stringify(trigger)
    texts.set(trigger, text)
  }
  return text
}

/**
 * What a text means depends on the definitions it is read with. Few, since texts are kept for
 * tasks that share them, and each instant of a task that runs once is a text; the bound forms are kept by row.
 */
const caches = new WeakMap<TriggerDefinitions, Cache<string, Trigger.Trigger>>()

/** The failure is the reason a person reads. */
export const decode = (
  text: string,
  definitions: TriggerDefinitions = noDefinitions
): Result.Result<Trigger.Trigger, string> => {
  let decoded = caches.get(definitions)
  if (decoded === undefined) {
    decoded = new Cache(1_024)
    caches.set(definitions, decoded)
  }
  const known = decoded.get(text)
  if (known !== undefined) return Result.succeed(known)
  const result = Effect.runSyncWith(Context.make(Definitions, definitions))(Effect.result(decodeTrigger(text)))
  if (Result.isFailure(result)) return Result.fail(`its trigger cannot be read: ${result.failure.message}`)
  decoded.set(text, result.success)
  return Result.succeed(result.success)
}
