/**
 * Periods of the calendar: the local times of `calendarEvery`.
 *
 * They are counted from the base date and never from the one before, so that a short month changes nothing after it:
 *
 *     base          +1 month      +2 months     +3 months
 *     31 January ── 28 February ── 31 March ──── 30 April        clamp
 *     31 January ─────────────── 31 March ────────────────       skip
 *
 * The result is a set of local seconds; the engine of cron expressions maps it to instants where clocks change.
 */
import type { CalendarEvery } from "../Trigger.ts"
import { dayOf } from "./calendarRule.ts"
import { DAY, HORIZON_SECONDS, HORIZON_YEARS, monthIndexOf, monthLength, monthStart } from "./cronDate.ts"
import { type Calendar, type Engine, makeEngine } from "./cronEngine.ts"
import { lookup, offsetAt } from "./timeZone.ts"
import { secondOfDay } from "./triggerInput.ts"

/** first + k·step seconds, k ≥ 0 */
const steps = (first: number, step: number): Calendar => {
  /** The number of steps before `local`. */
  const before = (local: number): number => Math.max(0, Math.ceil((local - first) / step))
  return {
    next: (local) => first + before(local) * step,
    previous: (local) => local < first ? -Infinity : first + Math.floor((local - first) / step) * step,
    count: (from, until) => Math.max(0, before(until) - before(from))
  }
}

/** Longer than any search, in months. */
const HORIZON_MONTHS = HORIZON_YEARS * 12

/** The day of month `date` at `time`, in the months first + k·step, k ≥ 0. */
const months = (first: number, step: number, date: number, time: number, clamp: boolean): Calendar => {
  /** The local time of step k; `undefined` where its month is too short. */
  const at = (k: number): number | undefined => {
    const index = first + k * step
    const year = Math.floor(index / 12)
    const length = monthLength(year, index - year * 12 + 1)
    if (date > length && !clamp) return undefined
    return (monthStart(index) + Math.min(date, length) - 1) * DAY + time
  }
  /** The last step that is not after the month of `local`. */
  const stepOf = (local: number): number => Math.floor((monthIndexOf(Math.floor(local / DAY)) - first) / step)
  const none = !clamp && date > 28
  /** The number of steps before `local`, also those in months that are too short. */
  const before = (local: number): number => {
    const k = stepOf(local)
    if (k < 0) return 0
    const found = at(k)
    return found === undefined || found < local ? k + 1 : k
  }
  return {
    next(local) {
      const from = Math.max(0, stepOf(local))
      for (let k = from; (k - from) * step <= HORIZON_MONTHS + step; k++) {
        const found = at(k)
        if (found !== undefined && found >= local) return found
      }
      return Infinity
    },
    previous(local) {
      const from = stepOf(local)
      for (let k = from; k >= 0 && (from - k) * step <= HORIZON_MONTHS + step; k--) {
        const found = at(k)
        if (found !== undefined && found <= local) return found
      }
      return -Infinity
    },
    count(from, until) {
      const low = before(from)
      const high = before(until)
      if (!none) return Math.max(0, high - low)
      let n = 0
      for (let k = low; k < high; k++) if (at(k) !== undefined) n++
      return n
    }
  }
}

/** Beyond the horizon there is nothing. */
const bounded = ({ count, next, previous }: Calendar): Calendar => ({
  next(local) {
    const found = next(local)
    return found <= local + HORIZON_SECONDS ? found : Infinity
  },
  previous(local) {
    const found = previous(local)
    return found >= local - HORIZON_SECONDS ? found : -Infinity
  },
  count
})

const units = { days: 1, weeks: 7, months: 1, years: 12 } as const

export const makeCalendarEvery = (trigger: CalendarEvery, anchor: number): Engine => {
  const zone = lookup(trigger.timeZone)!
  const second = Math.floor(anchor / 1000)
  const base = trigger.start === undefined
    ? Math.floor((second + offsetAt(zone, second)) / DAY)
    : dayOf(trigger.start)!
  const time = secondOfDay(trigger.at)
  const step = trigger.count * units[trigger.unit]
  const first = monthIndexOf(base)
  const times = trigger.unit === "days" || trigger.unit === "weeks"
    ? steps(base * DAY + time, step * DAY)
    : months(first, step, base - monthStart(first) + 1, time, trigger.shortMonths === "clamp")
  return makeEngine(
    bounded(times),
    zone,
    trigger.gap ?? "end",
    trigger.overlap ?? "first"
  )
}
