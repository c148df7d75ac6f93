/**
 * Exits the engine itself has to write: a run that was interrupted or died outside its handler.
 */
import type * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"

const encode = Schema.encodeSync(
  Schema.fromJsonString(Schema.toCodecJson(Schema.Exit(Schema.Void, Schema.Never, Schema.Defect())))
)

export const encodeFailure = (cause: Cause.Cause<never>): string => encode(Exit.failCause(cause))
