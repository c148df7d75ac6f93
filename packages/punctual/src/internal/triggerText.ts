/**
 * Triggers as the JSON texts that stores keep. Many tasks share few triggers, so both directions remember what they saw.
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Trigger from "../Trigger.ts"
import { Cache } from "./cache.ts"

const decodeTrigger = Schema.decodeUnknownResult(Schema.fromJsonString(Trigger.Trigger))

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

/** Enough for programs with many distinct triggers; beyond it the oldest texts are decoded again. */
const decoded = new Cache<string, Trigger.Trigger>(4_096)

/** The failure is the reason a person reads. */
export const decode = (text: string): Result.Result<Trigger.Trigger, string> => {
  const known = decoded.get(text)
  if (known !== undefined) return Result.succeed(known)
  const result = decodeTrigger(text)
  if (Result.isFailure(result)) return Result.fail(`its trigger cannot be read: ${result.failure.message}`)
  decoded.set(text, result.success)
  return Result.succeed(result.success)
}
