/**
 * Time zones as step functions on integers.
 *
 * The runtime knows the rules but answers slowly (1 to 2 µs for one offset) and one instant at a time. So a zone is read
 * once per chunk of four years, and its transitions are kept in typed arrays. After that a lookup is a comparison with
 * the segment that was found last.
 *
 *        chunk 12               chunk 13
 *     ┌────────┬─────────┬──┐┌─────────┬──────┐
 *     │ +01:00 │ +02:00  │ +01:00       │+02:00│      a segment: [start, end) with one offset,
 *     └────────┴─────────┴──┘└─────────┴──────┘      and the offsets just before and just after it
 *
 * | read with | where | a chunk | the first zone of a process |
 * |---|---|---|---|
 * | `Temporal` | Node 26 | names each transition: 40 µs | 1 ms |
 * | `Intl` | before it | probed every few days, bisected where the offset changed: 0.4 ms | 12 ms: V8 lists all locales |
 *
 * Both stand on the same tables of the runtime and give the same answers.
 *
 * All times here are whole seconds.
 */
import { DAY, MAX_MILLIS } from "./cronDate.ts"

/** A zone that was found to exist. `fixed` is its offset when it has only one. */
export interface TimeZone {
  readonly id: string
  readonly fixed: number | undefined
  readonly rules: Rules | undefined
  readonly chunks: Map<number, Chunk>
}

/** What the runtime knows of a zone. */
interface Rules {
  /** The offset at an instant. */
  readonly offset: (time: number) => number
  /** The first instant in (time, end) at which another offset begins; if there is none, any that is not before `end`. */
  readonly change: (time: number, end: number) => number
}

interface Chunk {
  /** Instants at which the offset changes. */
  readonly starts: Float64Array
  /** Offsets: just before the chunk, one per segment, at the end of the chunk. */
  readonly offsets: Int32Array
}

/** A stretch of constant offset. Mutable: a caller owns one and `locate` overwrites it. */
export interface Segment {
  start: number
  end: number
  offset: number
  before: number
  after: number
}

/** 2^27 s, a little over four years: small enough to be read in under a millisecond, large enough to be rare. */
const CHUNK = 134_217_728

/** Before 1800 every zone is on its local mean time. */
const FIRST = -5_364_662_400

const LAST = MAX_MILLIS / 1000

/** A segment that contains nothing, so that the first `locate` always fills it. */
export const emptySegment = (): Segment => ({ start: 1, end: 0, offset: 0, before: 0, after: 0 })

/** Fills `segment` with the stretch of constant offset that contains `time`. */
export const locate = (zone: TimeZone, time: number, segment: Segment): void => {
  if (zone.fixed !== undefined) {
    segment.start = -Infinity
    segment.end = Infinity
    segment.offset = segment.before = segment.after = zone.fixed
    return
  }
  const index = Math.floor(time / CHUNK)
  let chunk = zone.chunks.get(index)
  if (chunk === undefined) {
    chunk = readChunk(zone.rules!, index)
    zone.chunks.set(index, chunk)
  }
  const { offsets, starts } = chunk
  let i = starts.length
  while (i > 0 && starts[i - 1]! > time) i--
  segment.start = i === 0 ? index * CHUNK : starts[i - 1]!
  segment.end = i === starts.length ? (index + 1) * CHUNK : starts[i]!
  segment.before = offsets[i]!
  segment.offset = offsets[i + 1]!
  segment.after = offsets[i + 2]!
}

const readChunk = (rules: Rules, index: number): Chunk => {
  const start = index * CHUNK
  const end = start + CHUNK
  const starts: Array<number> = []
  const offsets: Array<number> = [rules.offset(start - 1), rules.offset(start)]
  // A change exactly at the end belongs to the next chunk, which sees it as its `before`.
  for (let time = rules.change(start, end); time < end; time = rules.change(time, end)) {
    starts.push(time)
    offsets.push(rules.offset(time))
  }
  offsets.push(rules.offset(end))
  return { starts: Float64Array.from(starts), offsets: Int32Array.from(offsets) }
}

/** Offset in seconds at an instant. */
export const offsetAt = (zone: TimeZone, time: number): number => {
  if (zone.fixed !== undefined) return zone.fixed
  const segment = emptySegment()
  locate(zone, time, segment)
  return segment.offset
}

/**
 * The instant of a local time. A time that is repeated means its first pass; one that was skipped keeps the offset from
 * before the change, so 02:30 on the day the clocks go forward is 03:30.
 */
export const instantOf = (zone: TimeZone, local: number): number => {
  if (zone.fixed !== undefined) return local - zone.fixed
  const segment = emptySegment()
  locate(zone, local - 26 * 3600, segment)
  while (true) {
    const time = local - segment.offset
    if (time < segment.end || local - segment.after < segment.end) return time
    locate(zone, segment.end, segment)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// rules
// ---------------------------------------------------------------------------------------------------------------------

const millis = (time: number): number => Math.max(-LAST, Math.min(LAST, time)) * 1000

/** The part of `Temporal` that is used here. */
interface TemporalApi {
  readonly Instant: { readonly fromEpochMilliseconds: (millis: number) => TemporalInstant }
  readonly ZonedDateTime: { readonly prototype: TemporalZoned }
}

interface TemporalInstant {
  readonly toZonedDateTimeISO: (timeZone: string) => TemporalZoned
}

interface TemporalZoned {
  readonly timeZoneId: string
  readonly epochMilliseconds: number
  readonly offsetNanoseconds: number
  readonly getTimeZoneTransition: (direction: "next") => TemporalZoned | null
}

/** The rules by `Temporal`; `undefined` where there is none, or where it knows no zone that is spelled exactly so. */
const temporalRules = (id: string): Rules | undefined => {
  const temporal = (globalThis as { readonly Temporal?: TemporalApi }).Temporal
  if (temporal === undefined || !("getTimeZoneTransition" in temporal.ZonedDateTime.prototype)) return undefined
  const zoned = (time: number) => temporal.Instant.fromEpochMilliseconds(millis(time)).toZonedDateTimeISO(id)
  try {
    if (zoned(0).timeZoneId !== id) return undefined
  } catch {
    return undefined
  }
  return {
    offset: (time) => zoned(time).offsetNanoseconds / 1_000_000_000,
    change: (time) => (zoned(time).getTimeZoneTransition("next")?.epochMilliseconds ?? Infinity) / 1000
  }
}

/**
 * The shortest time any zone ever kept an offset is 3.98 days (Freetown, 1939), and 6.95 days since 1970 (Recife 2000,
 * Gaza in several years), so no change hides between two probes.
 */
const step = (time: number): number => time < 0 ? 3 * DAY : 6 * DAY

/** Nearly every change is at a quarter of an hour. */
const QUARTER = 900

const intlRules = (intl: Intl.DateTimeFormat): Rules => {
  const offset = (time: number): number => readOffset(intl.format(millis(time)))
  return {
    offset,
    change(time, end) {
      if (end <= FIRST) return Infinity
      const old = offset(time)
      let low = time
      while (low < end) {
        const probe = Math.min(low + step(low), end)
        if (offset(probe) !== old) return bisect(offset, old, low, probe)
        low = probe
      }
      return Infinity
    }
  }
}

/** The instant in (low, high] at which the offset `old` ends. */
const bisect = (offset: (time: number) => number, old: number, from: number, to: number): number => {
  let low = from
  let high = to
  for (const grain of [QUARTER, 1]) {
    while (true) {
      const middle = Math.floor((low + high) / 2 / grain) * grain
      if (middle <= low || middle >= high) break
      if (offset(middle) === old) low = middle
      else high = middle
    }
    if (offset(high - 1) === old) return high
  }
  return high
}

/** Reads the offset from a text that ends in `GMT`, `GMT+05:30` or `GMT-04:56:02`. */
const readOffset = (text: string): number => {
  const at = text.lastIndexOf("GMT") + 3
  if (at >= text.length) return 0
  const digits = (i: number) => (text.charCodeAt(i) - 48) * 10 + text.charCodeAt(i + 1) - 48
  const seconds = text.length > at + 6 ? digits(at + 7) : 0
  const total = digits(at + 1) * 3600 + digits(at + 4) * 60 + seconds
  return text.charCodeAt(at) === 45 ? -total : total
}

// ---------------------------------------------------------------------------------------------------------------------
// lookup
// ---------------------------------------------------------------------------------------------------------------------

const zones = new Map<string, TimeZone>()

const offsetPattern = /^([+-])([01]\d|2[0-3]):?([0-5]\d)$/

const utcNames = new Set(["utc", "z", "etc/utc", "etc/gmt", "gmt", "etc/zulu", "zulu", "etc/universal", "etc/uct"])

/** Finds a zone by IANA name (in any case) or fixed offset (`+05:30`); `undefined` when there is none. */
export const lookup = (id: string): TimeZone | undefined => {
  const known = zones.get(id)
  if (known !== undefined) return known
  const zone = make(id)
  if (zone !== undefined) zones.set(id, zone)
  return zone
}

const make = (id: string): TimeZone | undefined => {
  const lower = id.toLowerCase()
  if (utcNames.has(lower)) return fixedZone("UTC", 0)
  const match = offsetPattern.exec(id)
  if (match !== null) {
    const seconds = (Number(match[2]) * 60 + Number(match[3])) * 60
    return seconds === 0
      ? fixedZone("UTC", 0)
      : fixedZone(`${match[1]}${match[2]}:${match[3]}`, match[1] === "-" ? -seconds : seconds)
  }
  if (!/^[a-z]/i.test(id)) return undefined
  const rules = temporalRules(id)
  return rules === undefined ? byIntl(id, lower) : { id, fixed: undefined, rules, chunks: new Map() }
}

const byIntl = (id: string, lower: string): TimeZone | undefined => {
  let intl: Intl.DateTimeFormat
  try {
    intl = new Intl.DateTimeFormat("en-US", { timeZone: id, timeZoneName: "longOffset", calendar: "gregory" })
  } catch {
    return undefined
  }
  // Only the letter case is normalised: `Asia/Kolkata` stays, although some engines prefer to say `Asia/Calcutta`.
  const { timeZone } = intl.resolvedOptions()
  return {
    id: timeZone.toLowerCase() === lower ? timeZone : id,
    fixed: undefined,
    rules: intlRules(intl),
    chunks: new Map()
  }
}

const fixedZone = (id: string, offset: number): TimeZone => ({
  id,
  fixed: offset,
  rules: undefined,
  chunks: new Map()
})

// ---------------------------------------------------------------------------------------------------------------------
// fingerprint
// ---------------------------------------------------------------------------------------------------------------------

/** Zones whose rules changed lately, or are changed often. */
const restless = [
  "Africa/Cairo",
  "Africa/Casablanca",
  "Africa/Juba",
  "America/Asuncion",
  "America/Chihuahua",
  "America/Mexico_City",
  "America/Sao_Paulo",
  "America/Scoresbysund",
  "Asia/Almaty",
  "Asia/Amman",
  "Asia/Beirut",
  "Asia/Gaza",
  "Asia/Tehran",
  "Europe/Volgograd",
  "Pacific/Fiji"
]

/**
 * Which zone rules this process has. Of two versions the greater text is the newer one.
 *
 * **Details**
 *
 * The version is the one of the IANA database, such as `2026c`, where the runtime tells it. Elsewhere it is `#` and a hash
 * of the offsets of some zones: that tells processes apart, without an order among them, and is older than any version.
 */
export const fingerprint = (): { readonly version: string } => {
  const host = (globalThis as { readonly process?: { readonly versions?: { readonly tz?: unknown } } }).process
  const named = host?.versions?.tz
  if (typeof named === "string" && /^\d{4}[a-z]+$/.test(named)) return { version: named }
  let hash = 0x811c9dc5
  for (const id of restless) {
    const offset = lookup(id)?.rules?.offset ?? (() => 1)
    // Monthly, from 2015 to 2040.
    for (let i = 0; i < 300; i++) hash = Math.imul(hash ^ offset(1_421_280_000 + i * 2_629_800), 0x01000193)
  }
  return { version: `#${(hash >>> 0).toString(16).padStart(8, "0")}` }
}

let known: string | undefined

/** The version of this process's rules, found out once. */
export const rulesVersion = (): string => known ??= fingerprint().version

// ---------------------------------------------------------------------------------------------------------------------
// suggestions
// ---------------------------------------------------------------------------------------------------------------------

let allNames: ReadonlyArray<string> | undefined
const names = (): ReadonlyArray<string> => allNames ??= ["UTC", ...Intl.supportedValuesOf("timeZone")]

/** The known zone that is closest to a text, if any is close. */
export const suggest = (id: string): string | undefined => {
  const lower = id.trim().toLowerCase().replaceAll(" ", "_")
  const hours = /^(?:utc|gmt)\s*([+-])(\d{1,2})(?::?(\d{2}))?$/.exec(lower)
  if (hours !== null) return `${hours[1]}${hours[2]!.padStart(2, "0")}:${hours[3] ?? "00"}`
  const city = names().find((name) => name.toLowerCase().endsWith(`/${lower}`))
  return city ?? closest(lower, names())
}

/** The candidate within two edits of a text (one for short texts), compared without case. */
export const closest = (text: string, candidates: Iterable<string>): string | undefined => {
  const lower = text.toLowerCase()
  let best: string | undefined
  let bestDistance = lower.length <= 4 ? 2 : 3
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - lower.length) >= bestDistance) continue
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

const editDistance = (a: string, b: string): number => {
  let beforeLast: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2]! + 1)
      }
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
