/**
 * Reads one field of a cron expression and says exactly what is wrong with a bad one.
 *
 *     field := item ("," item)*
 *     item  := ("*" | value | value "-" value | hash) ("/" step)?  |  "?"  |  rule
 *     hash  := "H" ("(" value "-" value ")")?
 *     rule  := L | L-3 | LW | L-3W | 15W | LAST | 2ND-MON | LAST-FRI            in the day of month
 *            | MON#2 | FRI#L | FRIL                                             in the day of week
 *
 * Plain items are read from the characters of the whole expression, without cutting it to pieces; the rest is rare.
 */
import * as Schema from "effect/Schema"
import type { DayRule, HashRange } from "./cronModel.ts"
import { dayRule, looksLikeRule, weekdayNames, weekdayRule } from "./cronRule.ts"
import { closest } from "./timeZone.ts"

/**
 * A cron expression that cannot be read, or can never fire.
 *
 * **Details**
 *
 * `field` counts from 1 (0 is the expression as a whole), `position` is the character the problem starts at, also from 1.
 * In the form with names of fields `key` is the name, and `position` counts inside of its value. `value` is the offending
 * text, `allowed` what may stand there.
 *
 * @category errors
 * @since 0.1.0
 */
export class CronParseError extends Schema.TaggedError<CronParseError>()("CronParseError", {
  input: Schema.String,
  field: Schema.Int,
  key: Schema.optionalKey(Schema.String),
  position: Schema.Int,
  value: Schema.String,
  problem: Schema.String,
  allowed: Schema.String,
  suggestion: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const where = this.key !== undefined
      ? ` (\`${this.key}\`, character ${this.position})`
      : this.field === 0
      ? ""
      : ` (field ${this.field}, character ${this.position})`
    const hint = this.suggestion === undefined ? "" : `; did you mean \`${this.suggestion}\`?`
    return `\`${this.value}\` ${this.problem}${where}: use ${this.allowed}${hint}`
  }
}

/** What may stand in a field. */
export interface FieldSpec {
  readonly name: string
  readonly min: number
  readonly max: number
  /** How many distinct values there are: `max` of the week is 7, which is Sunday again. */
  readonly size: number
  readonly allowed: string
  readonly names: ReadonlyArray<string>
  /** The field of `H`, and the last value it takes. */
  readonly hash: { readonly field: HashRange["field"]; readonly max: number } | undefined
}

/** What was read. */
export interface Field {
  readonly values: ReadonlyArray<number>
  /** It begins with a star, or is a question mark. */
  readonly star: boolean
  readonly rules: ReadonlyArray<DayRule>
  readonly hashes: ReadonlyArray<HashRange>
}

export const monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]

const spec = (
  name: string,
  min: number,
  max: number,
  hash: FieldSpec["hash"],
  more: Partial<FieldSpec> = {}
): FieldSpec => ({ name, min, max, size: max - min + 1, allowed: `${min}-${max}`, names: [], hash, ...more })

export const specs = {
  second: spec("a second", 0, 59, { field: "seconds", max: 59 }),
  minute: spec("a minute", 0, 59, { field: "minutes", max: 59 }),
  hour: spec("an hour", 0, 23, { field: "hours", max: 23 }),
  // Every month has 28 days, so `H` is due in every month.
  day: spec("a day of month", 1, 31, { field: "days", max: 28 }),
  month: spec("a month", 1, 12, { field: "months", max: 12 }, { allowed: "1-12 or JAN-DEC", names: monthNames }),
  dayOfWeek: spec("a day of week", 0, 7, { field: "weekdays", max: 6 }, {
    size: 7,
    allowed: "0-7 or SUN-SAT",
    names: weekdayNames
  }),
  year: spec("a year", 1970, 9999, undefined),
  week: spec("an ISO week", 1, 53, undefined)
} as const

const none: ReadonlyArray<never> = []

const span = (low: number, high: number): ReadonlyArray<number> =>
  Array.from({ length: high - low + 1 }, (_, i) => low + i)

/** Most fields are a plain star: these are read once. The star of years is written out only for steps. */
const stars = new Map<FieldSpec, Field>(
  Object.values(specs).map((spec) => [
    spec,
    {
      values: spec === specs.year ? none : span(spec.min, spec.min + spec.size - 1),
      star: true,
      rules: none,
      hashes: none
    }
  ])
)

export const star = (spec: FieldSpec): Field => stars.get(spec)!

/** The field that has one value. */
export const only = (value: number): Field => ({ values: [value], star: false, rules: none, hashes: none })

const COMMA = 44
const DASH = 45
const SLASH = 47
const STAR = 42

/** Reads fields of one text, until the first problem. */
export class FieldReader {
  error: CronParseError | undefined
  private readonly input: string
  private readonly key: string | undefined
  private spec: FieldSpec = specs.second
  private number = 0
  private from = 0
  private to = 0
  // The values read so far, as bits; years are too many for that.
  private low = 0
  private high = 0
  private many: Array<number> = []
  private star = false
  private rules: Array<DayRule> | undefined
  private hashes: Array<HashRange> | undefined

  constructor(input: string, key?: string) {
    this.input = input
    this.key = key
  }

  /** Reads the characters in [from, to); `undefined` when there is an `error`. */
  read(spec: FieldSpec, number: number, from: number, to: number): Field | undefined {
    const { input } = this
    if (to - from === 1 && input.charCodeAt(from) === STAR) return star(spec)
    this.spec = spec
    this.number = number
    this.from = from
    this.to = to
    this.low = 0
    this.high = 0
    if (this.many.length > 0) this.many = []
    this.star = false
    this.rules = undefined
    this.hashes = undefined
    for (let at = from; at <= to;) {
      let end = at
      let slash = -1
      let dash = -1
      for (; end < to; end++) {
        const code = input.charCodeAt(end)
        if (code === COMMA) break
        if (slash === -1) {
          if (code === SLASH) slash = end
          else if (code === DASH && dash === -1 && end > at) dash = end
        }
      }
      if (end === at) return this.fail(from, to, "has an empty item")
      this.item(at, end, slash, dash)
      if (this.error !== undefined) return undefined
      at = end + 1
    }
    return { values: this.values(), star: this.star, rules: this.rules ?? none, hashes: this.hashes ?? none }
  }

  private item(at: number, end: number, slash: number, dash: number): void {
    const { input, spec } = this
    const rangeEnd = slash === -1 ? end : slash
    let low = spec.min
    let high = spec.min + spec.size - 1
    let step = 1
    if (slash !== -1) {
      step = this.digits(slash + 1, end)
      if (step < 1 || step >= spec.size) {
        return this.fail(slash + 1, end, "is not a step", `1-${spec.size - 1}`)
      }
    }
    if (rangeEnd - at === 1 && input.charCodeAt(at) === STAR) {
      this.star ||= at === this.from
    } else {
      const fromEnd = dash === -1 ? rangeEnd : dash
      low = this.value(at, fromEnd)
      if (low === -1) {
        if (!this.special(at, end, slash, step)) this.notAValue(at, fromEnd, false)
        return
      }
      if (dash !== -1) {
        high = this.value(dash + 1, rangeEnd)
        if (high === -1) return this.notAValue(dash + 1, rangeEnd, true)
      } else if (slash === -1) {
        high = low
      }
    }
    if (high < low) {
      if (spec === specs.year) {
        return this.fail(at, end, "ends before it begins", "the earlier year first")
      }
      // A range that ends before it starts goes around the end of the field; 7 is Sunday, one after Saturday.
      high += spec.size
    }
    for (let value = low; value <= high; value += step) this.add((value - spec.min) % spec.size)
  }

  private add(index: number): void {
    if (this.spec.size > 64) this.many.push(index + this.spec.min)
    else if (index < 32) this.low |= 1 << index
    else this.high |= 1 << (index - 32)
  }

  private values(): ReadonlyArray<number> {
    const { min, size } = this.spec
    if (size > 64) return Array.from(new Set(this.many)).sort((a, b) => a - b)
    const values: Array<number> = []
    for (let bits = this.low; bits !== 0; bits &= bits - 1) values.push(31 - Math.clz32(bits & -bits) + min)
    for (let bits = this.high; bits !== 0; bits &= bits - 1) values.push(63 - Math.clz32(bits & -bits) + min)
    return values
  }

  /** Up to four digits, or -1. */
  private digits(from: number, to: number): number {
    if (to === from || to - from > 4) return -1
    let value = 0
    for (let i = from; i < to; i++) {
      const digit = this.input.charCodeAt(i) - 48
      if (digit < 0 || digit > 9) return -1
      value = value * 10 + digit
    }
    return value
  }

  /** A number or a name that the field can have, or -1. */
  private value(from: number, to: number): number {
    const { input, spec } = this
    const value = this.digits(from, to)
    if (value !== -1) return value >= spec.min && value <= spec.max ? value : -1
    if (to - from !== 3 || spec.names.length === 0) return -1
    const index = spec.names.indexOf(input.slice(from, to).toUpperCase())
    return index === -1 ? -1 : index + spec.min
  }

  /** Reads what is not a value, a range or a step of those; `false` when it is nothing at all. */
  private special(at: number, end: number, slash: number, step: number): boolean {
    const { spec } = this
    const text = this.input.slice(at, slash === -1 ? end : slash).toUpperCase()
    if (text.startsWith("H") && spec.hash !== undefined) return this.hash(at, text, slash === -1 ? undefined : step)
    if (slash !== -1) return false
    if (text === "?" && this.to - this.from === 1 && (spec === specs.day || spec === specs.dayOfWeek)) {
      this.star = true
      for (let index = 0; index < spec.size; index++) this.add(index)
      return true
    }
    if (text === "L" && spec === specs.dayOfWeek) {
      // Quartz: by itself it is the last day of the week, not of the month.
      this.add(6)
      return true
    }
    const rule = spec === specs.day ? dayRule(text) : spec === specs.dayOfWeek ? weekdayRule(text) : undefined
    if (rule === undefined) return false
    this.rules ??= []
    this.rules.push(rule)
    return true
  }

  private hash(at: number, text: string, step: number | undefined): boolean {
    const { min } = this.spec
    const { field, max } = this.spec.hash!
    let low = min
    let high = max
    if (text.length > 1) {
      const dash = text.indexOf("-")
      if (!text.startsWith("H(") || !text.endsWith(")") || dash === -1) return false
      low = this.value(at + 2, at + dash)
      high = this.value(at + dash + 1, at + text.length - 1)
      if (low === -1 || high === -1 || high < low || high > max) {
        this.fail(at, at + text.length, "is not a range to choose from", `H(${min}-${max}), or a part of it`)
        return true
      }
    }
    if (step !== undefined && step > high - low + 1) {
      this.fail(
        at + text.length + 1,
        at + text.length + 1 + String(step).length,
        "is not a step",
        `1-${high - low + 1}`
      )
      return true
    }
    this.hashes ??= []
    this.hashes.push({ field, low, high, step })
    return true
  }

  private notAValue(from: number, to: number, endsRange: boolean): void {
    const { spec } = this
    const text = this.input.slice(from, to).toUpperCase()
    const item = this.itemFrom(from)
    if (text === "") return this.fail(this.from, this.to, "has an empty item")
    if (endsRange && (dayRule(text) ?? weekdayRule(text)) !== undefined) {
      return this.fail(from, to, "cannot end a range", "plain values in a range, or a list")
    }
    if (text === "?") return this.fail(from, to, "stands alone, in a day field", "*", "*")
    if (/^H\b/i.test(item)) {
      const { hash, max, min } = { ...spec, max: spec.hash?.max ?? spec.max }
      return hash === undefined
        ? this.fail(from, from + item.length, `cannot choose ${spec.name}`)
        : this.fail(from, from + item.length, "is not a form of H", `H, H(${min}-${max}), H/2 or H(${min}-${max})/2`)
    }
    if (looksLikeRule(item.toUpperCase().split("/", 1)[0]!)) return this.notARule(from, item)
    const suggestion = (text === "24" && spec.max === 23) || (text === "60" && spec.max === 59)
      ? "0"
      : closest(text.slice(0, 3), spec.names)
    return this.fail(from, to, `is not ${spec.name}`, spec.allowed, suggestion)
  }

  /** The whole item from here. */
  private itemFrom(from: number): string {
    return this.input.slice(from, this.to).split(",", 1)[0]!
  }

  /** Forms such as `L`, `15W` and `MON#2`, where or as they cannot be. */
  private notARule(from: number, item: string): void {
    const { spec } = this
    const fail = (problem: string, allowed: string, suggestion?: string): void =>
      this.fail(from, from + item.length, problem, allowed, suggestion)
    const [plain = item] = item.toUpperCase().split("/")
    const ofMonth = dayRule(plain) !== undefined
    const ofWeek = weekdayRule(plain) !== undefined || plain === "L"
    if (item.includes("/") && (spec === specs.day ? ofMonth : spec === specs.dayOfWeek && ofWeek)) {
      return fail("takes no step", `\`${plain}\``)
    }
    if (spec !== specs.day && ofMonth) return fail("belongs in the day of month", spec.allowed)
    if (spec !== specs.dayOfWeek && ofWeek) return fail("belongs in the day of week", spec.allowed)
    if (spec === specs.day) {
      const suggestion = plain === "W" || plain === "WL" ? "LW" : undefined
      return fail("is not a day of month", "1-31, L, L-1 to L-30, LW, or 1W to 31W", suggestion)
    }
    return spec === specs.dayOfWeek
      ? fail("is not a day of week", "0-7 or SUN-SAT, MON#1 to MON#5, or MON#L")
      : fail(`is not ${spec.name}`, spec.allowed)
  }

  private fail(
    from: number,
    to: number,
    problem: string,
    allowed: string = this.spec.allowed,
    suggestion?: string
  ): undefined {
    this.error = new CronParseError({
      input: this.input,
      field: this.number,
      ...(this.key === undefined ? {} : { key: this.key }),
      position: from + 1,
      value: this.input.slice(from, to),
      problem,
      allowed,
      ...(suggestion === undefined ? {} : { suggestion })
    })
    return undefined
  }
}
