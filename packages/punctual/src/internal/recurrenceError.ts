import * as Schema from "effect/Schema"

/**
 * A recurrence that cannot be read, or can never occur.
 *
 * **Details**
 *
 * `part` is the part of the rule (`BYDAY`) or the line (`DTSTART`) that is wrong, empty for the text as a whole.
 * `position` is the character the problem starts at, from 1. `value` is the offending text, `allowed` what may stand there.
 *
 * @category errors
 * @since 0.1.0
 */
export class RecurrenceParseError extends Schema.TaggedError<RecurrenceParseError>()("RecurrenceParseError", {
  input: Schema.String,
  part: Schema.String,
  position: Schema.Int,
  value: Schema.String,
  problem: Schema.String,
  allowed: Schema.String,
  suggestion: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const where = this.part === "" ? "" : ` (${this.part}, character ${this.position})`
    const hint = this.suggestion === undefined ? "" : `; did you mean \`${this.suggestion}\`?`
    return `\`${this.value}\` ${this.problem}${where}: use ${this.allowed}${hint}`
  }
}
