/**
 * Time zones as step functions on integers.
 *
 * `Intl` knows the rules but answers slowly (about 1.5 µs for one offset) and one instant at a time. So a zone is read
 * once per chunk of four years: probe the offset every few days, bisect where it changed, keep the transitions in typed
 * arrays. After that a lookup is a comparison with the segment that was found last.
 *
 *        chunk 12               chunk 13
 *     ┌────────┬─────────┬──┐┌─────────┬──────┐
 *     │ +01:00 │ +02:00  │ +01:00       │+02:00│      a segment: [start, end) with one offset,
 *     └────────┴─────────┴──┘└─────────┴──────┘      and the offsets just before and just after it
 *
 * All times here are whole seconds.
 */
import { DAY, MAX_MILLIS } from "./cronDate.ts"

/** A zone that was found to exist. `fixed` is its offset when it has only one. */
export interface TimeZone {
  readonly id: string
  readonly fixed: number | undefined
  readonly intl: Intl.DateTimeFormat | undefined
  readonly chunks: Map<number, Chunk>
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

/**
 * The shortest time any zone ever kept an offset is 3.98 days (Freetown, 1939), and 6.95 days since 1970 (Recife 2000,
 * Gaza in several years), so no change hides between two probes.
 */
const step = (time: number): number => time < 0 ? 3 * DAY : 6 * DAY

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
    chunk = readChunk(zone.intl!, index)
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

const readChunk = (intl: Intl.DateTimeFormat, index: number): Chunk => {
  const start = index * CHUNK
  const end = start + CHUNK
  const starts: Array<number> = []
  const offsets: Array<number> = [readOffset(intl, start - 1)]
  let time = start
  let offset = readOffset(intl, start)
  offsets.push(offset)
  while (time < end) {
    const probe = end <= FIRST ? end : Math.min(time + step(time), end)
    const found = readOffset(intl, probe)
    if (found !== offset) {
      let low = time
      let high = probe
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2)
        if (readOffset(intl, middle) === offset) low = middle
        else high = middle
      }
      offset = readOffset(intl, high)
      // A change exactly at the end belongs to the next chunk, which sees it as its `before`.
      if (high < end) {
        starts.push(high)
        offsets.push(offset)
      }
      time = high
    } else {
      time = probe
    }
  }
  offsets.push(readOffset(intl, end))
  return { starts: Float64Array.from(starts), offsets: Int32Array.from(offsets) }
}

/** Reads the offset from a text that ends in `GMT`, `GMT+05:30` or `GMT-04:56:02`. */
const readOffset = (intl: Intl.DateTimeFormat, time: number): number => {
  const text = intl.format(Math.max(-LAST, Math.min(LAST, time)) * 1000)
  const at = text.lastIndexOf("GMT") + 3
  if (at >= text.length) return 0
  const digits = (i: number) => (text.charCodeAt(i) - 48) * 10 + text.charCodeAt(i + 1) - 48
  const seconds = text.length > at + 6 ? digits(at + 7) : 0
  const total = digits(at + 1) * 3600 + digits(at + 4) * 60 + seconds
  return text.charCodeAt(at) === 45 ? -total : total
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
  if (utcNames.has(lower)) return { id: "UTC", fixed: 0, intl: undefined, chunks: new Map() }
  const match = offsetPattern.exec(id)
  if (match !== null) {
    const seconds = (Number(match[2]) * 60 + Number(match[3])) * 60
    return {
      id: seconds === 0 ? "UTC" : `${match[1]}${match[2]}:${match[3]}`,
      fixed: match[1] === "-" ? -seconds : seconds,
      intl: undefined,
      chunks: new Map()
    }
  }
  if (!/^[a-z]/i.test(id)) return undefined
  try {
    const intl = new Intl.DateTimeFormat("en-US", { timeZone: id, timeZoneName: "longOffset", calendar: "gregory" })
    return { id: spell(id, lower, intl.resolvedOptions().timeZone), fixed: undefined, intl, chunks: new Map() }
  } catch {
    return undefined
  }
}

/** Only the letter case is normalised: `Asia/Kolkata` stays, although some engines prefer to say `Asia/Calcutta`. */
const spell = (id: string, lower: string, resolved: string): string => {
  if (id === resolved) return id
  if (resolved.toLowerCase() === lower) return resolved
  return names().find((name) => name.toLowerCase() === lower) ?? id
}

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
