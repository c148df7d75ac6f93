/**
 * What people ask a calendar: dates as text in, dates as text out.
 */
import * as DateTime from "effect/DateTime"
import type { Calendar, DateInput, Holiday } from "../Calendar.ts"
import { daysOf } from "./calendarDays.ts"
import { refuse } from "./calendarModel.ts"
import { dayOf, writeDay } from "./calendarRule.ts"
import { DAY, HORIZON_YEARS } from "./cronDate.ts"
import { lookup, offsetAt } from "./timeZone.ts"

const HORIZON_DAYS = HORIZON_YEARS * 366

const read = (self: Calendar, date: DateInput): number => {
  if (DateTime.isDateTime(date)) {
    const second = Math.floor(date.epochMilliseconds / 1000)
    return Math.floor((second + offsetAt(lookup(self.timeZone)!, second)) / DAY)
  }
  return dayOf(date) ?? refuse("date", date, `\`${date}\` is not a date: write 2026-12-24, or pass a DateTime`)
}

const write = (day: number): string | undefined => Number.isFinite(day) ? writeDay(day) : undefined

export const isOpen = (self: Calendar, date: DateInput): boolean => daysOf(self).isOpen(read(self, date))

export const next = (self: Calendar, date: DateInput): string | undefined => {
  const day = read(self, date)
  return write(daysOf(self).next(day + 1, day + HORIZON_DAYS, true))
}

export const previous = (self: Calendar, date: DateInput): string | undefined => {
  const day = read(self, date)
  return write(daysOf(self).previous(day - 1, day - HORIZON_DAYS, true))
}

export const holidays = (self: Calendar, from: DateInput, to: DateInput): ReadonlyArray<Holiday> => {
  const days = daysOf(self)
  const last = read(self, to)
  const found: Array<Holiday> = []
  for (let day = days.next(read(self, from), last, false); day <= last; day = days.next(day + 1, last, false)) {
    const holiday = days.holiday(day)
    if (holiday !== undefined) found.push({ date: writeDay(day), name: holiday.name })
  }
  return found
}
