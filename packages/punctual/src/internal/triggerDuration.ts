/**
 * Lengths of time in text.
 *
 *     duration := iso | quantity+                            90s   1h30m   5 minutes   1 hour 30 minutes   PT5M
 *     quantity := number unit                                the largest unit first, each once; spaces between are free
 *     number   := digits ("." digits)?                       1.5h is 1h30m
 *     unit     := "w" | "week" | "weeks" | "d" | "day" | "days" | "h" | "hr" | "hrs" | "hour" | "hours"
 *               | "m" | "min" | "mins" | "minute" | "minutes" | "s" | "sec" | "secs" | "second" | "seconds"
 *               | "ms" | "millis" | "millisecond" | "milliseconds"
 *     iso      := what `Duration.fromIso` reads, from "P" on
 *
 * A unit of one letter is lower case, because `M` may mean a month; words may have any case. Months and years have no
 * fixed length and are refused. The sum is a whole number of milliseconds.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { closest } from "./timeZone.ts"

/** What is wrong with a text, from character `at` (counted from 0) to `to`. */
export interface Misread {
  readonly at: number
  readonly to: number
  readonly problem: string
  readonly expected: string
  readonly suggestion?: string | undefined
}

interface Unit {
  readonly millis: number
  readonly names: ReadonlyArray<string>
}

const units: ReadonlyArray<Unit> = [
  { millis: 604_800_000, names: ["w", "week", "weeks"] },
  { millis: 86_400_000, names: ["d", "day", "days"] },
  { millis: 3_600_000, names: ["h", "hr", "hrs", "hour", "hours"] },
  { millis: 60_000, names: ["m", "min", "mins", "minute", "minutes"] },
  { millis: 1_000, names: ["s", "sec", "secs", "second", "seconds"] },
  { millis: 1, names: ["ms", "millis", "millisecond", "milliseconds"] }
]

const allowedUnits = "a unit: ms, s, m, h, d, w, or seconds, minutes, hours, days, weeks"
const allowed = "a duration such as 90s, 1h30m, 5 minutes or PT5M"

const quantityPattern = /(\d+)(?:\.(\d+))?\s*([a-zA-Zµ]*)/y

/** Whether a text begins like a duration. */
export const looksLikeDuration = (text: string): boolean => /^\d+(?:\.\d+)?\s*[a-z]|^P[T\d]/i.test(text)

/** Milliseconds of a duration that fills the text. */
export const parseDuration = (text: string): Result.Result<number, Misread> => {
  const fail = (at: number, to: number, problem: string, expected = allowed, suggestion?: string) =>
    Result.fail<Misread>({ at, to, problem, expected, suggestion })
  if (text === "") return fail(0, 0, "ends where a duration should be")
  if (text.startsWith("P")) return parseIso(text)
  let at = 0
  let sum = 0
  let smallest = 0
  while (at < text.length) {
    quantityPattern.lastIndex = at
    const match = quantityPattern.exec(text)
    if (match === null) {
      const end = wordEnd(text, at)
      return fail(at, end, "is not a number", at === 0 ? allowed : "a number and its unit, or the end")
    }
    const [whole, digits, fraction = "", word] = match as unknown as [string, string, string | undefined, string]
    const end = at + whole.length
    const start = end - word.length
    if (word === "") return fail(at, end, "has no unit", allowedUnits)
    const name = word.length === 1 ? word : word.toLowerCase()
    const index = units.findIndex(({ names }) => names.includes(name))
    if (index === -1) {
      const meant = closest(word, word.length === 1 ? ["w", "d", "h", "m", "s"] : units.flatMap(({ names }) => names))
      return /^(?:mo|month|months|y|yr|year|years)$/i.test(word)
        ? fail(start, end, "has no fixed length", `${allowedUnits}; or a cron expression`)
        : fail(start, end, "is not a unit of time", allowedUnits, meant)
    }
    if (index < smallest) {
      return fail(at, end, "comes after a smaller unit, or twice", "the largest unit first, each once")
    }
    smallest = index + 1
    const millis = scale(digits, fraction, units[index]!.millis)
    if (millis === undefined) return fail(at, end, "is not a whole number of milliseconds", "fewer digits")
    sum += millis
    at = end + /^\s*/.exec(text.slice(end))![0].length
  }
  return Result.succeed(sum)
}

const parseIso = (text: string): Result.Result<number, Misread> => {
  const millis = Option.map(Duration.fromIso(text), Duration.toMillis)
  if (Option.isSome(millis) && Number.isInteger(millis.value)) return Result.succeed(millis.value)
  return Result.fail({
    at: 0,
    to: text.length,
    problem: Option.isSome(millis)
      ? "is not a whole number of milliseconds"
      : /^P(?:\d+[DWY])*\d+[MY]/.test(text)
      ? "has months or years, which have no fixed length"
      : "is not an ISO 8601 duration",
    expected: "one such as PT5M, PT1H30M, P1D or P2W"
  })
}

/** `digits.fraction` times a unit, without rounding: `undefined` when that is not whole. */
const scale = (digits: string, fraction: string, millis: number): number | undefined => {
  const part = fraction.replace(/0+$/, "")
  const share = Number(part) * millis / 10 ** part.length
  return part.length > 9 || !Number.isInteger(share) ? undefined : Number(digits) * millis + share
}

const wordEnd = (text: string, at: number): number => at + /^\S*/.exec(text.slice(at))![0].length
