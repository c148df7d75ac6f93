/**
 * Events as texts that other processes read, of this version of the package or of another.
 *
 *     {"from":"worker#1f3a…","events":[[41,{"_tag":"RunStarted",…}],[42,…]]}      numbered by whoever sends them
 *
 * An event of a kind that the reader does not know, or with a field that does not fit, is passed over; so a kind may get
 * another field, and a field never another meaning. Texts are ASCII, so that their characters are their bytes.
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { SchedulerEvent } from "../../SchedulerEvent.ts"

// -----------------------------------------------------------------------------
// the events
// -----------------------------------------------------------------------------

const Instant = Schema.DateTimeUtcFromMillis
const InstantOption = Schema.OptionFromNullOr(Instant)

const Run = Schema.Struct({
  id: Schema.String,
  taskId: Schema.String,
  callable: Schema.String,
  scheduledAt: Instant,
  dueAt: Instant,
  readyAt: Instant,
  extra: Schema.Boolean,
  state: Schema.Literals([
    "waiting",
    "ready",
    "running",
    "held",
    "succeeded",
    "failed",
    "cancelled",
    "timedOut",
    "missed",
    "abandoned"
  ]),
  attempt: Schema.Number,
  takeovers: Schema.Number,
  concurrency: Schema.OptionFromOptionalKey(Schema.Struct({ key: Schema.String, limit: Schema.Number })),
  owner: Schema.OptionFromNullOr(Schema.String),
  fencingToken: Schema.OptionFromNullOr(Schema.Number),
  startedAt: InstantOption,
  endedAt: InstantOption,
  exit: Schema.OptionFromNullOr(Schema.Unknown)
})

const kind = <const Tags extends ReadonlyArray<SchedulerEvent["_tag"]>, Fields extends Schema.Struct.Fields>(
  tags: Tags,
  fields: Fields
) => Schema.Struct({ _tag: Schema.Literals(tags), at: Instant, ...fields })

const ofTask = { store: Schema.String, id: Schema.String }
const ofRun = { store: Schema.String, run: Run }

const Event = Schema.Union([
  kind(["SchedulerStarted", "SchedulerPaused", "SchedulerResumed", "SchedulerStopping"], {}),
  kind(["SchedulerStopped"], {
    drained: Schema.Number,
    interrupted: Schema.Number,
    detached: Schema.Array(Schema.String)
  }),
  kind(["TaskAdded", "TaskUpdated", "TaskRescheduled", "TaskResumed", "TaskRemoved", "TaskFinished"], ofTask),
  kind(["TaskPaused"], { ...ofTask, note: Schema.NullOr(Schema.String) }),
  kind(["TaskRetimed"], { ...ofTask, from: Instant, to: Schema.NullOr(Instant), zoneRules: Schema.String }),
  kind(["OccurrencesMissed", "OccurrencesCoalesced", "OccurrencesSkipped", "OccurrencesPaused"], {
    ...ofTask,
    from: Instant,
    to: Instant,
    count: Schema.Number,
    exact: Schema.Boolean,
    reason: Schema.String
  }),
  kind(["RunStarted"], { ...ofRun, lag: Schema.Number }),
  kind(["RunEnded", "RunLost", "RunDetached"], ofRun),
  kind(["RunRetrying"], { ...ofRun, nextAttemptAt: Instant }),
  kind(["RunReleased"], {
    ...ofRun,
    reason: Schema.Literals([
      "shutdown",
      "leaseEnded",
      "unreadable",
      "unhandled",
      "workerLost",
      "lateClaim",
      "rateLimited",
      "limiterAway"
    ])
  }),
  kind(["TaskQuarantined"], { ...ofTask, reason: Schema.String }),
  kind(["StoreUnavailable"], { store: Schema.String, operation: Schema.String, message: Schema.String }),
  kind(["StoreRecovered"], { store: Schema.String }),
  kind(["ClockMovedBack"], { ...ofTask, cursor: Instant }),
  kind(["ClockSkew"], { store: Schema.String, ahead: Schema.Number })
])

const toEncoded = Schema.encodeSync(Event)
const fromEncoded: (encoded: unknown) => Option.Option<SchedulerEvent> = Schema.decodeUnknownOption(Event)

type Encoded = typeof Event.Encoded

// -----------------------------------------------------------------------------
// to texts
// -----------------------------------------------------------------------------

export type Numbered = readonly [n: number, event: SchedulerEvent]

/** A text has more than one event while it is shorter than this: what is split finely is lost finely. */
const enough = 8_000

/** What a person wrote, or a message: longer ones are cut where the event would not fit. */
const longestWords = 1_000
const mostDetached = 10

/** Texts of at most `limit` characters. An event that does not fit, however it is shortened, is in none of them. */
export const encode = (from: string, events: ReadonlyArray<Numbered>, limit: number): ReadonlyArray<string> => {
  const start = `{"from":${ascii(from)},"events":[`
  const end = "]}"
  const room = limit - start.length - end.length
  const texts: Array<string> = []
  let entries = ""
  for (const [n, event] of events) {
    const entry = entryOf(n, event, room)
    if (entry === undefined) continue
    if (entries.length > 0 && entries.length + 1 + entry.length > Math.min(room, enough)) {
      texts.push(start + entries + end)
      entries = ""
    }
    entries += entries === "" ? entry : `,${entry}`
  }
  if (entries !== "") texts.push(start + entries + end)
  return texts
}

const entryOf = (n: number, event: SchedulerEvent, room: number): string | undefined => {
  const encoded = toEncoded(event)
  const entry = (encoded: Encoded) => `[${n},${ascii(encoded)}]`
  const whole = entry(encoded)
  if (whole.length <= room) return whole
  const short = entry(shortened(encoded, whole.length))
  return short.length <= room ? short : undefined
}

/** Without a result, and with fewer words. */
const shortened = (encoded: Encoded, length: number): Encoded => {
  const short: Record<string, unknown> = { ...encoded }
  if ("run" in encoded && encoded.run.exit !== null) {
    const reason = `an event of ${length.toLocaleString("en")} characters does not fit; the run in the store has it`
    short["run"] = { ...encoded.run, exit: { _tag: "Withheld", reason } }
  }
  if ("detached" in encoded && encoded.detached.length > mostDetached) {
    const more = `… and ${encoded.detached.length - mostDetached} more`
    short["detached"] = [...encoded.detached.slice(0, mostDetached).map(cut), more]
  }
  for (const field of ["note", "reason", "message"]) {
    const words = short[field]
    if (typeof words === "string") short[field] = cut(words)
  }
  return short as Encoded
}

const cut = (words: string): string => words.length > longestWords ? `${words.slice(0, longestWords)}…` : words

const ascii = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

// -----------------------------------------------------------------------------
// from texts
// -----------------------------------------------------------------------------

export interface Heard {
  readonly from: string
  readonly events: ReadonlyArray<{
    readonly n: number
    /** None where this version does not understand it. */
    readonly event: Option.Option<SchedulerEvent>
    readonly kind: string
  }>
}

const Envelope = Schema.fromJsonString(Schema.Struct({
  from: Schema.String,
  events: Schema.Array(Schema.Tuple([Schema.Number, Schema.Unknown]))
}))

const toEnvelope = Schema.decodeUnknownOption(Envelope)

/** None of what no version of this package wrote. */
export const decode = (text: string): Option.Option<Heard> =>
  Option.map(toEnvelope(text), ({ events, from }) => ({
    from,
    events: events.map(([n, encoded]) => ({ n, event: fromEncoded(encoded), kind: kindOf(encoded) }))
  }))

const kindOf = (encoded: unknown): string =>
  typeof encoded === "object" && encoded !== null && "_tag" in encoded ? String(encoded._tag) : "?"
