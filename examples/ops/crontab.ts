/**
 * Reads a crontab: pure text in, entries or all of its problems out, each with its line and column.
 *
 *     # a comment
 *     CRON_TZ=Europe/Berlin                      the zone of the lines below; UTC until then
 *     NAME=value                                 the environment of the commands below
 *     #: id=disk timeout=10s misfireGrace=1m     options of the next line
 *     30 2 * * MON-FRI   df -k .                 five fields, then a command for the shell
 *     @every 10s         date                    a period, from the first start on
 *     @daily             df -h .                 as in cron, and @hourly, @weekly, @monthly, @yearly
 *     @reboot            rm -f *.tmp             each start of this program
 *
 * As in cron, `%` is written `\%`. A command `GET <url>` is a check of that address.
 */
import { Result } from "effect"
import { CronExpression, type Policy, Trigger } from "punctual"

export interface Entry {
  readonly line: number
  readonly id: string
  readonly trigger: Trigger.Trigger
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  readonly policy: Policy.Options
}

export interface Problem {
  readonly line: number
  readonly column: number
  readonly message: string
}

/** `file:line:column: what is wrong`, which editors and terminals make a link. */
export const formatProblem = (file: string, problem: Problem): string =>
  `${file}:${problem.line}:${problem.column}: ${problem.message}`

export const parse = (text: string): Result.Result<ReadonlyArray<Entry>, ReadonlyArray<Problem>> => {
  const reader = new Reader()
  text.split(/\r?\n/).forEach((source, index) => reader.read(source, index + 1))
  reader.end()
  return reader.problems.length > 0 ? Result.fail(reader.problems) : Result.succeed(reader.entries)
}

/** What has been said so far holds for the lines below. */
class Reader {
  readonly entries: Array<Entry> = []
  readonly problems: Array<Problem> = []
  private timeZone = "UTC"
  private readonly env: Record<string, string> = {}
  private options: { readonly line: number; readonly given: Map<string, Given> } | undefined
  private line = 0

  read(source: string, line: number): void {
    this.line = line
    const text = source.trimEnd()
    const indent = text.length - text.trimStart().length
    if (text.startsWith("#:", indent)) return this.readOptions(text, indent + 2)
    if (text === "") return this.end()
    if (text.startsWith("#", indent)) return
    const assignment = /^\s*([A-Za-z_]\w*)\s*=\s*(.*)$/.exec(text)
    if (assignment !== null) {
      const [, name = "", value = ""] = assignment
      return this.assign(name, value, text.length - value.length)
    }
    this.readEntry(text, indent)
  }

  /** Options belong to the line right below. */
  end(): void {
    if (this.options === undefined) return
    this.problems.push({ line: this.options.line, column: 1, message: "these options stand above no entry" })
    this.options = undefined
  }

  private fail(at: number, message: string): undefined {
    this.problems.push({ line: this.line, column: at + 1, message })
    return undefined
  }

  private assign(name: string, quoted: string, at: number): void {
    this.end()
    const value = /^(["']).*\1$/.test(quoted) ? quoted.slice(1, -1) : quoted
    if (name !== "CRON_TZ") this.env[name] = value
    if (name !== "CRON_TZ" && name !== "TZ") return
    const zone = attempt(() => Trigger.cron("* * * * *", { timeZone: value }))
    if (Result.isSuccess(zone)) this.timeZone = value
    else this.fail(at, zone.failure)
  }

  private readOptions(text: string, from: number): void {
    const given = this.options?.given ?? new Map<string, Given>()
    this.options = { line: this.line, given }
    for (const { 0: word, index } of text.slice(from).matchAll(/\S+/g)) {
      const at = from + index
      const [, key, value] = /^([^=]*)=(.*)$/.exec(word) ?? []
      if (key === undefined || value === undefined) this.fail(at, `\`${word}\` is no option: write name=value`)
      else if (!Object.hasOwn(optionParsers, key)) this.fail(at, unknown("option", key, Object.keys(optionParsers)))
      else if (given.has(key)) this.fail(at, `\`${key}\` is given twice`)
      else given.set(key, { value, at: at + key.length + 1, line: this.line })
    }
  }

  private readEntry(text: string, indent: number): void {
    const options = this.options?.given ?? new Map<string, Given>()
    this.options = undefined
    const policy = this.policy(options)
    const found = text[indent] === "@" ? this.readMacro(text, indent) : this.readFields(text, indent)
    if (found === undefined) return
    const command = this.readCommand(text, found.end)
    if (command === undefined) return
    const id = options.get("id")?.value ?? slug(command)
    const twin = this.entries.find((entry) => entry.id === id)
    if (twin !== undefined) {
      const hint = options.has("id") ? "" : "; name it with `#: id=…` above it"
      return this.fail(indent, `line ${twin.line} has the id \`${id}\` already${hint}`)
    }
    const jitter = policy.jitter
    const trigger = jitter === undefined ? found.trigger : found.trigger.pipe(Trigger.jittered(jitter))
    this.entries.push({ line: this.line, id, trigger, command, env: { ...this.env }, policy: policy.options })
  }

  private policy(given: ReadonlyMap<string, Given>): { readonly options: Policy.Options; readonly jitter?: number } {
    const read: Record<string, unknown> = {}
    for (const [key, { at, line, value }] of given) {
      Result.match(optionParsers[key]!(value), {
        onSuccess: (parsed) => void (read[key] = parsed),
        onFailure: (expected) =>
          void this.problems.push({ line, column: at + 1, message: `\`${value}\` is no value of ${key}: ${expected}` })
      })
    }
    const { id: _, jitter, ...options } = read
    return { options, ...(jitter === undefined ? {} : { jitter: jitter as number }) }
  }

  private readFields(text: string, indent: number): Found | undefined {
    const fields = /^(?:\S+\s+){4}\S+/.exec(text.slice(indent))?.[0]
    if (fields === undefined) {
      const count = text.trim().split(/\s+/).length
      return this.fail(indent, `an entry is five fields and a command, and this has only ${words(count)}`)
    }
    const end = indent + fields.length
    const [whole = "", sixth = ""] = /^\s+(\S+)/.exec(text.slice(end)) ?? []
    if (fieldOnly.test(sixth)) {
      return this.fail(
        end + whole.length - sixth.length,
        `\`${sixth}\` looks like a sixth field: an entry has five; for seconds write \`@every 10s\``
      )
    }
    const parsed = CronExpression.parse(fields)
    if (Result.isFailure(parsed)) return this.fail(indent + parsed.failure.position - 1, parsed.failure.message)
    return { trigger: Trigger.cron(parsed.success, { timeZone: this.timeZone }), end }
  }

  private readMacro(text: string, indent: number): Found | undefined {
    const [macro] = /^\S+/.exec(text.slice(indent))!
    const end = indent + macro.length
    if (macro === "@reboot") return { trigger: Trigger.startup, end }
    if (macro === "@every") {
      const [whole, spaces = "", period = ""] = /^(\s*)(\S*)/.exec(text.slice(end))!
      const millis = duration(period)
      if (Result.isSuccess(millis)) return { trigger: Trigger.every(millis.success), end: end + whole.length }
      return this.fail(end + spaces.length, `\`${period}\` is no period: ${millis.failure}`)
    }
    const parsed = CronExpression.parse(macro)
    if (Result.isSuccess(parsed)) return { trigger: Trigger.cron(parsed.success, { timeZone: this.timeZone }), end }
    return this.fail(indent, unknown("macro", macro, macros))
  }

  private readCommand(text: string, end: number): string | undefined {
    const command = text.slice(end).trim()
    if (command === "") return this.fail(text.length, "the command is missing")
    const percent = /(?<!\\)%/.exec(text.slice(end))
    if (percent !== null) return this.fail(end + percent.index, "`%` ends a command in cron: write `\\%`")
    return command.replaceAll("\\%", "%")
  }
}

const macros = ["@every", "@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"]

/** What can only be meant as a field. */
const fieldOnly = /^(?:[\d*,/-]|sun|mon|tue|wed|thu|fri|sat)+$/i

interface Given {
  readonly value: string
  readonly at: number
  readonly line: number
}

interface Found {
  readonly trigger: Trigger.Trigger
  readonly end: number
}

// ---------------------------------------------------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------------------------------------------------

type OptionParser = (value: string) => Result.Result<unknown, string>

const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export const duration: (value: string) => Result.Result<number, string> = (value) => {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value) ?? []
  const millis = Number(amount) * (units[unit ?? ""] ?? NaN)
  return millis > 0 ? Result.succeed(millis) : Result.fail("use 500ms, 10s, 5m, 2h or 1d")
}

const oneOf = (choices: ReadonlyArray<string>): OptionParser => (value) =>
  choices.includes(value) ? Result.succeed(value) : Result.fail(`use ${choices.join(", ")}${meant(value, choices)}`)

// The names and values are those of the library's policy.
const optionParsers: Readonly<Record<string, OptionParser>> = {
  id: (value) =>
    /^[\w.:-]{1,100}$/.test(value) ? Result.succeed(value) : Result.fail("use letters, digits and . : _ -"),
  timeout: duration,
  misfireGrace: duration,
  jitter: duration,
  coalesce: oneOf(["latest", "earliest", "none"]),
  whenBusy: oneOf(["skip", "queue", "queueAll", "cancelPrevious", "allow"]),
  pauseOnFailure: (value) => /^[1-9]\d{0,5}$/.test(value) ? Result.succeed(Number(value)) : Result.fail("use a number")
}

// ---------------------------------------------------------------------------------------------------------------------
// words
// ---------------------------------------------------------------------------------------------------------------------

/** The id of an entry that has none: its command, in letters that need no quotes. */
const slug = (command: string): string => command.replace(/\W+/g, "-").replace(/^-|-$/g, "").slice(0, 40) || "entry"

const words = (count: number): string => count === 1 ? "one word" : `${count} words`

const attempt = <A>(evaluate: () => A): Result.Result<A, string> =>
  Result.try({ try: evaluate, catch: (error) => error instanceof Error ? error.message : String(error) })

const unknown = (what: string, word: string, known: ReadonlyArray<string>): string => {
  const hint = meant(word, known)
  return `there is no ${what} \`${word}\`${hint === "" ? `, only ${known.join(", ")}` : hint}`
}

const meant = (word: string, known: ReadonlyArray<string>): string => {
  const near = known.find((candidate) => distance(word.toLowerCase(), candidate.toLowerCase()) <= 2)
  return near === undefined ? "" : `; did you mean \`${near}\`?`
}

/** Levenshtein's distance. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const above = row
    row = [i]
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1), above[j]! + 1, row[j - 1]! + 1))
    }
  }
  return row[b.length]!
}
