/**
 * Words of a text and where they stand, and what is said when one of them is wrong.
 */
import * as Schema from "effect/Schema"
import * as model from "./triggerModel.ts"

/**
 * A text that is not a trigger.
 *
 * **Details**
 *
 * `position` is the character the problem starts at, counted from 1, `value` the offending text, which is empty at the end
 * of the input, and `expected` what may stand there; it is empty where a rule can be read and cannot exist, and `problem`
 * says why.
 *
 * @category errors
 * @since 0.1.0
 */
export class TriggerParseError extends Schema.TaggedError<TriggerParseError>()("TriggerParseError", {
  input: Schema.String,
  position: Schema.Int,
  value: Schema.String,
  problem: Schema.String,
  expected: Schema.String,
  suggestion: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    if (this.expected === "") return `${this.problem} (character ${this.position})`
    const what = this.value === "" ? "the text" : `\`${model.show(this.value)}\``
    const hint = this.suggestion === undefined ? "" : `; did you mean \`${this.suggestion}\`?`
    return `${what} ${this.problem} (character ${this.position}): expected ${this.expected}${hint}`
  }
}

export interface Place {
  /** Where it begins and ends, counted from 0. */
  readonly at: number
  readonly end: number
}

export interface Token extends Place {
  readonly text: string
}

/** Reads words one after another; throws a `TriggerParseError`. */
export class Reader {
  readonly text: string
  readonly tokens: ReadonlyArray<Token>
  index = 0

  /** `pattern` tells what a word is; words before `from` are left out. */
  constructor(text: string, pattern: RegExp, from = 0) {
    this.text = text
    this.tokens = Array.from(text.matchAll(pattern), (match) => ({
      text: match[0],
      at: match.index,
      end: match.index + match[0].length
    })).filter((token) => token.at >= from)
  }

  /** The next word, or one after it. */
  peek(ahead = 0): Token | undefined {
    return this.tokens[this.index + ahead]
  }

  /** Where the text ends, without spaces. */
  get end(): number {
    return this.text.trimEnd().length
  }

  /** Without a place, the problem is at the end. */
  fail(where: Place | undefined, problem: string, expected: string, suggestion?: string): never {
    const { at, end } = where ?? { at: this.end, end: 0 }
    throw new TriggerParseError({
      input: this.text,
      position: at + 1,
      value: this.text.slice(at, end),
      problem,
      expected,
      ...(suggestion === undefined ? {} : { suggestion })
    })
  }
}
