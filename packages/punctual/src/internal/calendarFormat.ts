/**
 * The days off of a calendar in words a person reads.
 */
import type { Calendar, CalendarPart } from "../Calendar.ts"
import * as cronFormat from "./cronFormat.ts"
import { weekdayNames } from "./triggerEncode.ts"

/** More than these are counted. */
const MAX_SHOWN = 4

const listed = (texts: ReadonlyArray<string>): string =>
  texts.length === 1 ? texts[0]! : `${texts.slice(0, -1).join(", ")} and ${texts[texts.length - 1]}`

const part = ({ holidays, open, weekend }: CalendarPart): string => {
  const off: Array<string> = []
  if (weekend.length > 0) off.push(cronFormat.weekdayList(weekend.map((day) => weekdayNames.indexOf(day))))
  if (holidays.length > MAX_SHOWN) off.push(`${holidays.length} holidays`)
  else for (const { date, name } of holidays) off.push(name ?? date)
  const text = off.length === 0 ? "no day" : listed(off)
  return open.length === 0
    ? text
    : `${text} but not on ${open.length > MAX_SHOWN ? `${open.length} dates` : listed(open)}`
}

/** "Saturday and Sunday and 9 holidays (Europe/Berlin)", to stand after "on". */
export const format = (self: Calendar): string => `${self.parts.map(part).join(" or on ")} (${self.timeZone})`
