/**
 * From a calendar to its stored form.
 */
import type { Calendar, CalendarPart, Encoded, EncodedPart } from "../Calendar.ts"

const part = (self: CalendarPart): EncodedPart => ({
  ...(self.weekend.length === 0 ? {} : { weekend: self.weekend }),
  ...(self.holidays.length === 0 ? {} : {
    holidays: self.holidays.map(({ date, name }) => name === undefined ? date : { date, name })
  }),
  ...(self.open.length === 0 ? {} : { open: self.open })
})

/** A calendar of one part is its part: only a union shows that there are several. */
export const encodeCalendar = (self: Calendar): Encoded =>
  self.parts.length === 1
    ? { timeZone: self.timeZone, ...part(self.parts[0]!) }
    : { timeZone: self.timeZone, union: self.parts.map(part) }
