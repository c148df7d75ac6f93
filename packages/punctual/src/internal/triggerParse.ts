/**
 * A trigger in one line of text from outside: a configuration file, a command line, a form.
 *
 *     text    := json | event | period | zoned
 *     json    := "{" …                                    the stored form: what JSON.stringify writes
 *     event   := "never" | "now" | "startup" | "@reboot" | "shutdown"
 *     period  := ("every" | "@every") (duration | "second" | "minute" | "hour")
 *     zoned   := ("CRON_TZ=" | "TZ=") zone rule | rule zone?
 *     rule    := cron | rrule | "hourly" | instant | days "at" times
 *     cron    := what `CronExpression.parse` reads, beginning with a digit, "*", "?", "H", or "@" as in "@daily"
 *     rrule   := what `RecurrenceRule.parse` reads, beginning with "RRULE:", "DTSTART" or "FREQ="
 *     instant := ISO 8601, with Z or an offset; or a local time, when there is a zone
 *     days    := ("daily" | "every" "day") | ("weekdays" | "every" "weekday") | ("weekends" | "every" "weekend")
 *              | "every" weekday (("," | "and" | "," "and") weekday)*
 *              | ("first" | "second" | "third" | "fourth" | "last") weekday "of" "the" "month"
 *              | ("first" | "last") "day" "of" "the" "month"
 *     weekday := "monday" … "sunday" | "mon" … "sun"
 *     times   := time (("," | "and" | "," "and") time)*
 *     time    := 9:00 | 09:00 | 09:00:30 | 9am | 9:30pm | noon | midnight
 *     zone    := an IANA name such as Europe/Berlin | an offset such as +05:30
 *
 * Words may have any case, and spaces any width; `duration` is in `triggerDuration`. Everything else is refused: nothing
 * is guessed. The zone comes from the text or from the options, and is UTC otherwise; it is never the zone of the host.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as RecurrenceRule from "../RecurrenceRule.ts"
import type { ParseOptions, Trigger } from "../Trigger.ts"
import { closest, lookup, suggest } from "./timeZone.ts"
import * as codec from "./triggerCodec.ts"
import {
  none as noDefinitions,
  type TriggerDefinitions,
  TriggerDefinitions as Definitions
} from "./triggerDefinitions.ts"
import { looksLikeDuration, parseDuration } from "./triggerDuration.ts"
import * as input from "./triggerInput.ts"
import * as model from "./triggerModel.ts"
import { type Place, Reader, type Token, TriggerParseError } from "./triggerReader.ts"
import { rrule } from "./triggerRecurrence.ts"
import * as words from "./triggerWords.ts"

export const parse = (
  text: string,
  options: ParseOptions | undefined
): Result.Result<Trigger, TriggerParseError | model.InvalidTrigger> => {
  let timeZone: string | undefined
  try {
    input.checkKeys(options, ["timeZone", "definitions"], "parse")
    timeZone = options?.timeZone === undefined ? undefined : input.zone(options.timeZone).id
    if (typeof text !== "string") model.refuse("options", text, "`parse` takes text")
  } catch (error) {
    if (error instanceof model.InvalidTrigger) return Result.fail(error)
    throw error
  }
  const parser = new Parser(text, timeZone, options?.definitions ?? noDefinitions)
  try {
    return Result.succeed(parser.read())
  } catch (error) {
    if (error instanceof TriggerParseError) return Result.fail(error)
    // What the constructors refuse, they refuse of the rule that was being read.
    if (error instanceof model.InvalidTrigger) return Result.fail(parser.refused(error))
    // A stored form may be nested more deeply than any program nests.
    if (error instanceof RangeError) return Result.fail(parser.refused({ problem: "the text is nested too deeply" }))
    throw error
  }
}

const whole = "a cron expression, `every 5 minutes`, `daily at 09:00`, an instant, `@daily`, `startup`, `never` …"
const rule = "a rule such as `0 9 * * *` or `daily at 09:00`"

const events: { readonly [name: string]: Trigger } = {
  never: model.never,
  now: model.now,
  startup: model.startup,
  "@reboot": model.startup,
  shutdown: model.shutdown
}

const unitsAlone: { readonly [name: string]: number } = { second: 1_000, minute: 60_000, hour: 3_600_000 }

const own = <A>(table: { readonly [name: string]: A }, name: string): A | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

class Parser {
  private readonly reader: Reader
  private readonly definitions: TriggerDefinitions
  /** The zone of the options. */
  private readonly given: string | undefined
  /** The zone of the text. */
  private zone: string | undefined
  /** Where the rule that is being made begins and ends. */
  private rule: Place

  constructor(text: string, given: string | undefined, definitions: TriggerDefinitions) {
    this.reader = new Reader(text, /\S+/g)
    this.given = given
    this.definitions = definitions
    this.rule = { at: this.reader.peek()?.at ?? 0, end: this.reader.end }
  }

  read(): Trigger {
    const first = this.reader.peek()
    if (first === undefined) return this.reader.fail(undefined, "is empty", whole)
    if (first.text.startsWith("{")) return this.json()
    const word = first.text.toLowerCase()
    const event = own(events, word)
    if (event !== undefined) {
      this.reader.index++
      return this.end(event)
    }
    if (word === "@every" || (word === "every" && !this.namesDays())) return this.period()
    return this.zoned()
  }

  // -------------------------------------------------------------------------------------------------------------------
  // problems
  // -------------------------------------------------------------------------------------------------------------------

  /** A constructor's refusal, with the place of the rule, or of the field of a cron expression. */
  refused({ cron, problem, rrule }: Pick<model.InvalidTrigger, "cron" | "problem" | "rrule">): TriggerParseError {
    const { at, end } = this.rule
    const inside = cron ?? rrule
    return inside === undefined
      ? new TriggerParseError({
        input: this.reader.text,
        position: at + 1,
        value: this.reader.text.slice(at, end),
        problem,
        expected: ""
      })
      : new TriggerParseError({
        input: this.reader.text,
        position: Math.min(at + Math.max(1, inside.position), this.reader.text.length + 1),
        value: inside.value,
        problem: inside.problem,
        expected: inside.allowed,
        ...(inside.suggestion === undefined ? {} : { suggestion: inside.suggestion })
      })
  }

  private end(trigger: Trigger): Trigger {
    const rest = this.reader.peek()
    return rest === undefined ? trigger : this.reader.fail(rest, "is too much", "the end of the text")
  }

  // -------------------------------------------------------------------------------------------------------------------
  // the stored form
  // -------------------------------------------------------------------------------------------------------------------

  private json(): Trigger {
    let stored: unknown
    try {
      stored = JSON.parse(this.reader.text)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const at = Number(/position (\d+)/.exec(message)?.[1] ?? this.rule.end)
      return this.reader.fail(
        { at, end: Math.min(at + 1, this.rule.end) },
        "is not JSON here",
        "the stored form of a trigger"
      )
    }
    const decoded = Effect.runSyncWith(Context.make(Definitions, this.definitions))(
      Effect.result(Schema.decodeUnknownEffect(codec.make())(stored))
    )
    return Result.isSuccess(decoded)
      ? decoded.success
      : this.reader.fail(
        this.rule,
        `is no stored trigger: ${decoded.failure.message}`,
        "what JSON.stringify writes of a trigger"
      )
  }

  // -------------------------------------------------------------------------------------------------------------------
  // periods
  // -------------------------------------------------------------------------------------------------------------------

  private period(): Trigger {
    this.reader.index++
    const first = this.reader.peek()
    if (first === undefined) {
      return this.reader.fail(undefined, "ends here", "a duration such as 90s, 1h30m or 5 minutes")
    }
    const word = first.text.toLowerCase()
    const alone = own(unitsAlone, word)
    if (alone !== undefined) {
      this.reader.index++
      return this.end(input.every(alone, undefined))
    }
    if (word === "week" || word === "month" || word === "year") {
      return this.reader.fail(
        first,
        "does not say when",
        word === "week"
          ? "a day, `every monday at 09:00`, or `every 7 days`"
          : "a cron expression, such as `0 9 1 * *`",
        `@${word}ly`
      )
    }
    if (!/^[\d.]|^P[T\d]/.test(first.text)) {
      return this.reader.fail(
        first,
        "is not a duration, nor a day",
        "`every 5 minutes`, `every hour`, `every day at 09:00` or `every monday at 09:00`",
        closest(word, [...Object.keys(unitsAlone), ...words.days])
      )
    }
    const last = this.reader.tokens[this.reader.tokens.length - 1]!
    if (isZone(last.text)) {
      return this.reader.fail(last, "is too much", "the end of the text: a period has no time zone")
    }
    const millis = parseDuration(this.reader.text.slice(first.at, this.rule.end))
    if (Result.isFailure(millis)) {
      const { at, expected, problem, suggestion, to } = millis.failure
      return this.reader.fail({ at: first.at + at, end: first.at + to }, problem, expected, suggestion)
    }
    this.rule = { at: first.at, end: this.rule.end }
    return input.every(millis.success, undefined)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // rules in a zone
  // -------------------------------------------------------------------------------------------------------------------

  private zoned(): Trigger {
    const prefix = /^(?:CRON_TZ|TZ)=/.exec(this.reader.peek()!.text)
    if (prefix !== null) {
      const { at, end } = this.reader.peek()!
      this.zone = this.readZone({
        text: this.reader.text.slice(at + prefix[0].length, end),
        at: at + prefix[0].length,
        end
      })
      this.reader.index++
    }
    const first = this.reader.peek()
    if (first === undefined) {
      return this.reader.fail(undefined, "ends here", "a rule after the zone, such as `0 9 * * *`")
    }
    const word = first.text.toLowerCase()
    if (word === "@every" || (word === "every" && !this.namesDays())) {
      return this.reader.fail(
        first,
        "begins a period, which has no time zone",
        rule
      )
    }
    if (word === "hourly") {
      this.reader.index++
      this.trailingZone()
      return this.cron("@hourly")
    }
    if (/^(?:[+-]\d{6}|\d{4})-\d\d/.test(first.text)) return this.instant()
    if (/^(?:RRULE:|DTSTART|FREQ=)/i.test(first.text)) return this.recurrence()
    if (/^[\d*?@]|^H(?:[(/,-]|$)/i.test(first.text) && !first.text.includes(":")) return this.expression()
    if (!words.starts.includes(word)) {
      const known = ["hourly", ...words.starts]
      return this.zone === undefined
        ? this.reader.fail(
          first,
          "does not begin a trigger",
          whole,
          words.meant(word, [...Object.keys(events), ...known])
        )
        : this.reader.fail(first, "does not begin a rule", rule, words.meant(word, known))
    }
    const reader = new Reader(this.reader.text, /[^\s,]+|,/g, first.at)
    const expressions = words.readWords(reader)
    this.trailingZone("`and` before another time, or a time zone", reader)
    return model.union(expressions.map((expression) => this.cron(expression)))
  }

  /** Whether `every` is followed by days rather than by a period. */
  private namesDays(): boolean {
    return words.isDay(this.reader.peek(1)?.text.toLowerCase().replace(/,.*$/, "") ?? "")
  }

  private cron(expression: string): Trigger {
    return input.cron(expression, { timeZone: this.zone ?? this.given })
  }

  private readZone(token: Token, expected = "a time zone"): string {
    const found = token.text === "" ? undefined : lookup(token.text)
    return found === undefined
      ? this.reader.fail(
        token,
        "is not a time zone",
        `${expected} such as Europe/Berlin or +05:30`,
        suggest(token.text)
      )
      : found.id
  }

  /** The zone at the end, if there is one, and nothing after it. */
  private trailingZone(expected = "a time zone", reader = this.reader): void {
    const token = reader.peek()
    if (token === undefined) return
    if (this.zone !== undefined) {
      return reader.fail(token, "is too much", "the end of the text: the zone stands at its beginning")
    }
    this.zone = this.readZone(token, expected)
    const rest = reader.peek(1)
    if (rest !== undefined) reader.fail(rest, "is too much", "the end of the text after the zone")
  }

  /** The rest of the text without the zone at its end: what other readers read. */
  private textBeforeZone(): string {
    const { at } = this.reader.peek()!
    let last = this.reader.tokens[this.reader.tokens.length - 1]!
    if (this.reader.tokens.length - this.reader.index > 1 && isZone(last.text)) {
      this.reader.index = this.reader.tokens.length - 1
      last = this.reader.tokens[this.reader.index - 1]!
      this.trailingZone()
    }
    this.rule = { at, end: last.end }
    return this.reader.text.slice(at, last.end)
  }

  /** A zone of its own makes that of the options needless. */
  private recurrence(): Trigger {
    const text = this.textBeforeZone()
    const rule = RecurrenceRule.parse(text)
    const own = Result.isSuccess(rule) && rule.success.start?.timeZone !== undefined
    return rrule(Result.isSuccess(rule) ? rule.success : text, {
      timeZone: this.zone ?? (own ? undefined : this.given)
    })
  }

  private expression(): Trigger {
    const text = this.textBeforeZone()
    if (text.split(/\s+/).length < 5 && looksLikeDuration(text)) {
      this.reader.fail(this.rule, "does not say that it is a period", "`every` before a duration", `every ${text}`)
    }
    return this.cron(text)
  }

  private instant(): Trigger {
    const text = this.textBeforeZone()
    if (this.zone !== undefined && /[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)(?:\[.*\])?$/i.test(text)) {
      return this.reader.fail(this.rule, "has an offset and a zone", "one of them")
    }
    return model.at(input.instant(text, this.zone ?? this.given))
  }
}

/** Whether a word is, or is meant to be, a zone and no field of a cron expression. */
const isZone = (word: string): boolean =>
  /^[+-]\d\d:?\d\d$/.test(word) || /^[a-z]\w*\/[a-z]/i.test(word) ||
  (/^[a-z]\w+$/i.test(word) && lookup(word) !== undefined)
