/**
 * Days that a month decides, from text in capitals.
 *
 *     L  L-3  LW  L-3W  15W  LAST  2ND-MON  LAST-FRI        in the day of month
 *     MON#2  1#2  FRI#L  5#L  FRIL  5L                      in the day of week
 */
import type { DayRule } from "./cronModel.ts"

export const weekdayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]

const ordinals = ["1ST", "2ND", "3RD", "4TH", "5TH"]

const weekday = (text: string): number => text.length === 1 ? Number(text) % 7 : weekdayNames.indexOf(text)

const fromEnd = /^L(?:-(\d|[12]\d|30))?(W)?$/
const workday = /^([1-9]|[12]\d|3[01])W$/
const inWords = /^(1ST|2ND|3RD|4TH|5TH|LAST)-(SUN|MON|TUE|WED|THU|FRI|SAT)$/
const nthWeekday = /^([0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(?:#([1-5L])|L)$/

/** A rule in the day of month. */
export const dayRule = (text: string): DayRule | undefined => {
  if (text === "LAST") return { _tag: "FromEnd", back: 0, workday: false }
  let match = fromEnd.exec(text)
  if (match !== null) return { _tag: "FromEnd", back: Number(match[1] ?? 0), workday: match[2] !== undefined }
  match = workday.exec(text)
  if (match !== null) return { _tag: "Workday", day: Number(match[1]) }
  match = inWords.exec(text)
  if (match !== null) {
    return {
      _tag: "Nth",
      weekday: weekday(match[2]!),
      nth: match[1] === "LAST" ? "last" : ordinals.indexOf(match[1]!) + 1
    }
  }
  return undefined
}

/** A rule in the day of week. */
export const weekdayRule = (text: string): DayRule | undefined => {
  const match = nthWeekday.exec(text)
  if (match === null) return undefined
  const nth = match[2] ?? "L"
  return { _tag: "Nth", weekday: weekday(match[1]!), nth: nth === "L" ? "last" : Number(nth) }
}

const likeRules = /^(?:L|LW|WL|W|L-.*|\d+[LW]|[A-Z]{3}L|[^#]+#.*|LAST|(?:LAST|\d[A-Z]{2})-.*)$/

/** Whether a text is meant as a rule, although it may be none, or in the wrong field. */
export const looksLikeRule = (text: string): boolean => likeRules.test(text)
