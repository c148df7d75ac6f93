/**
 * The lines of a recurrence (RFC 5545 §3.1): folded lines are joined, names and parameters are taken apart, and every
 * piece knows where in the text it came from.
 *
 *     RDATE;TZID=America/New_York:19970714T083000,19970
 *      715T083000                                             a line that begins with a blank continues the one before
 *
 *     name  parameters            value
 */
import * as Result from "effect/Result"
import { DAY, daysFromCivil, isCivilDate, monthIndexOf, monthStart } from "./cronDate.ts"
import { RecurrenceParseError } from "./recurrenceError.ts"
import { mod, type RecurrenceDate } from "./recurrenceModel.ts"
import { closest, instantOf, lookup, offsetAt, suggest } from "./timeZone.ts"

/** A piece of text, and where its characters stand in the input. */
export interface Piece {
  readonly text: string
  readonly at: (index: number) => number
}

const sub = (piece: Piece, from: number, to?: number): Piece => ({
  text: piece.text.slice(from, to),
  at: (index) => piece.at(from + index)
})

export const trim = (piece: Piece): Piece => {
  const from = piece.text.length - piece.text.trimStart().length
  return sub(piece, from, from + piece.text.trim().length)
}

export const split = (piece: Piece, separator: string): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  let from = 0
  for (const text of piece.text.split(separator)) {
    pieces.push(sub(piece, from, from + text.length))
    from += text.length + 1
  }
  return pieces
}

/** The two sides of the first separator; the second is absent where there is none. */
export const cut = (piece: Piece, separator: string): readonly [Piece, Piece | undefined] => {
  const at = piece.text.indexOf(separator)
  return at === -1 ? [piece, undefined] : [sub(piece, 0, at), sub(piece, at + 1)]
}

export interface Line {
  /** In capitals; a rule without a name is an RRULE. */
  readonly name: string
  readonly start: Piece
  readonly parameters: ReadonlyArray<Piece>
  readonly value: Piece
}

export type Fail = (
  part: string,
  where: Piece,
  problem: string,
  allowed: string,
  suggestion?: string
) => Result.Result<never, RecurrenceParseError>

export const failIn = (input: string): Fail => (part, where, problem, allowed, suggestion) =>
  Result.fail(
    new RecurrenceParseError({
      input,
      part,
      position: where.at(0) + 1,
      value: where.text,
      problem,
      allowed,
      ...(suggestion === undefined ? {} : { suggestion })
    })
  )

/** Joins folded lines and leaves empty ones out. */
const unfold = (input: string): ReadonlyArray<Piece> => {
  const lines: Array<Array<{ readonly text: string; readonly at: number }>> = []
  for (const match of input.matchAll(/([ \t]?)([^\r\n]+)/g)) {
    const [, blank, text] = match
    const chunk = { text: text!, at: match.index + blank!.length }
    const last = lines[lines.length - 1]
    if (blank !== "" && last !== undefined) last.push(chunk)
    else lines.push([chunk])
  }
  return lines
    .map((chunks): Piece => ({
      text: chunks.map((chunk) => chunk.text).join(""),
      at(index) {
        let rest = index
        for (const { at, text } of chunks) {
          if (rest < text.length) return at + rest
          rest -= text.length
        }
        const last = chunks[chunks.length - 1]!
        return last.at + last.text.length
      }
    }))
    .map(trim)
    .filter((line) => line.text !== "")
}

/** Splits at a character outside of quotes. */
const splitUnquoted = (piece: Piece, separator: string): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  let quoted = false
  let from = 0
  for (let i = 0; i <= piece.text.length; i++) {
    if (piece.text[i] === `"`) quoted = !quoted
    if (i === piece.text.length || (piece.text[i] === separator && !quoted)) {
      pieces.push(sub(piece, from, i))
      from = i + 1
    }
  }
  return pieces
}

export const readLines = (input: string): ReadonlyArray<Line> =>
  unfold(input).map((line) => {
    const name = /^[A-Za-z-]+(?=[:;])/.exec(line.text)?.[0]
    const head = name === undefined ? [] : splitUnquoted(line, ":")
    // `FREQ=DAILY;…` and everything that does not look like a line is read as a rule.
    if (name === undefined || head.length === 1) return { name: "RRULE", start: line, parameters: [], value: line }
    const length = head[0]!.text.length
    return {
      name: name.toUpperCase(),
      start: sub(line, 0, name.length),
      parameters: splitUnquoted(sub(line, 0, length), ";").slice(1),
      value: trim(sub(line, length + 1))
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// dates
// ---------------------------------------------------------------------------------------------------------------------

const datePattern = /^(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?$/i

/** Reads `19970902`, `19970902T090000` or `19970902T090000Z`. */
export const readDate = (text: string): RecurrenceDate | undefined => {
  const match = datePattern.exec(text)
  if (match === null) return undefined
  const [year, month, day, hour = 0, minute = 0, second = 0] = match.slice(1, 7)
    .map((digits: string | undefined) => digits === undefined ? undefined : Number(digits))
  if (!isCivilDate(year!, month!, day!) || hour > 23 || minute > 59 || second > 60) return undefined
  return {
    date: match[4] === undefined,
    // Without leap seconds, 60 is 59 (§3.3.5).
    local: daysFromCivil(year!, month!, day!) * DAY + hour * 3600 + minute * 60 + Math.min(second, 59),
    timeZone: match[7]?.toUpperCase() === "Z" ? "UTC" : undefined
  }
}

const two = (n: number): string => String(n).padStart(2, "0")

/** Prints a date without its zone, but for the `Z` of UTC. */
export const printDate = ({ date, local, timeZone }: RecurrenceDate): string => {
  const day = Math.floor(local / DAY)
  const month = monthIndexOf(day)
  const year = Math.floor(month / 12)
  const civil = `${String(year).padStart(4, "0")}${two(month - year * 12 + 1)}${two(day - monthStart(month) + 1)}`
  if (date) return civil
  const time = mod(local, DAY)
  return `${civil}T${two(Math.floor(time / 3600))}${two(Math.floor(time / 60) % 60)}${two(time % 60)}${
    timeZone === "UTC" ? "Z" : ""
  }`
}

/** The same instant, told in UTC. */
export const toUtc = (date: RecurrenceDate, timeZone: string): RecurrenceDate => {
  const zone = lookup(timeZone)!
  const instant = date.date ? instantOf(zone, date.local + DAY) - 1 : instantOf(zone, date.local)
  return { date: false, local: instant, timeZone: "UTC" }
}

/** The same instant, told by the clocks of a zone. */
export const toZone = (date: RecurrenceDate, timeZone: string): RecurrenceDate => {
  const { local } = toUtc(date, date.timeZone ?? timeZone)
  return { date: false, local: local + offsetAt(lookup(timeZone)!, local), timeZone }
}

/** `1997-09-02T09:00:00` is not far from what was meant. */
export const guessDate = (text: string): string | undefined => {
  const digits = text.replace(/\.\d+/, "").replace(/[-: ]/g, "").toUpperCase()
  const full = /^\d{8}T\d{4}Z?$/.test(digits) ? digits.replace(/(T\d{4})/, "$100") : digits
  return full !== text && readDate(full) !== undefined ? full : undefined
}

/** Reads the dates of a `DTSTART`, `RDATE` or `EXDATE` line. */
export const readDates = (
  line: Line,
  fail: Fail
): Result.Result<ReadonlyArray<RecurrenceDate>, RecurrenceParseError> => {
  let timeZone: string | undefined
  let isDate = false
  for (const parameter of line.parameters) {
    const [name, value] = cut(parameter, "=")
    switch (name.text.toUpperCase()) {
      case "TZID": {
        const id = (value?.text ?? "").replace(/^"(.*)"$/, "$1")
        timeZone = lookup(id)?.id
        if (timeZone === undefined) {
          const where = value ?? parameter
          return fail(line.name, where, "is not a time zone this runtime knows", "an IANA name", suggest(id))
        }
        break
      }
      case "VALUE": {
        const type = value?.text.toUpperCase()
        if (type === "PERIOD") {
          return fail(line.name, parameter, "has lengths, which a trigger has not", "the starts alone, as date-times")
        }
        if (type !== "DATE" && type !== "DATE-TIME") {
          return fail(line.name, parameter, "is not a type of dates", "VALUE=DATE or VALUE=DATE-TIME")
        }
        isDate = type === "DATE"
        break
      }
      default:
        return fail(
          line.name,
          parameter,
          `is not a parameter of ${line.name}`,
          "TZID=… or VALUE=DATE",
          closest(name.text, ["TZID", "VALUE"])
        )
    }
  }
  const dates: Array<RecurrenceDate> = []
  for (const piece of split(line.value, ",").map(trim)) {
    const date = readDate(piece.text)
    if (date === undefined) {
      return fail(
        line.name,
        piece,
        "is not a date that exists",
        isDate ? "the form 19970902" : "the form 19970902T090000, with Z for UTC",
        guessDate(piece.text)
      )
    }
    if (date.date !== isDate) {
      return isDate
        ? fail(line.name, piece, "has a time", "a date for VALUE=DATE", piece.text.slice(0, 8))
        : fail(
          line.name,
          piece,
          "is a date without a time",
          `${line.name};VALUE=DATE for dates, or a time`,
          `${line.name};VALUE=DATE:${piece.text}`
        )
    }
    if (timeZone !== undefined && (date.date || date.timeZone !== undefined)) {
      return fail(
        line.name,
        piece,
        `${date.date ? "is a date" : "is UTC"}, which takes no TZID`,
        date.date ? "a date without TZID, or a date with a time" : "a local time with TZID, or UTC without it"
      )
    }
    dates.push(timeZone === undefined ? date : { ...date, timeZone })
  }
  return Result.succeed(dates)
}
