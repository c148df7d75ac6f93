/**
 * The interpreter: turns a trigger and a binding into functions on plain integers.
 */
import type { CronExpression } from "../CronExpression.ts"
import type { Binding, Bound, Point, Trigger } from "../Trigger.ts"
import { MAX_MILLIS } from "./cronDate.ts"
import { makeCalendar, makeEngine } from "./cronEngine.ts"
import type { Calendar, Engine } from "./cronEngine.ts"
import { resolve } from "./cronHash.ts"
import { makeRecurrence } from "./recurrenceEngine.ts"
import { lookup } from "./timeZone.ts"
import { makeCalendarEvery } from "./triggerCalendar.ts"
import { between, delayed, except, filtered, gated, intersect, union } from "./triggerCombine.ts"
import { makeDayWindows, rolled } from "./triggerDays.ts"
import { source as defined } from "./triggerDefined.ts"
import { hashText, mix } from "./triggerHash.ts"
import { MAX_WALK, MAX_WORK, none, type Source, type Work } from "./triggerSearch.ts"
import { makeWindows } from "./triggerWindow.ts"

const compile = (trigger: Trigger, binding: Binding, work: Work): Source => {
  switch (trigger._tag) {
    case "Never":
    case "Startup":
    case "Shutdown":
      return none
    case "Now":
      return once(binding.anchor, binding.anchor)
    case "At":
      return once(Math.max(trigger.instant, binding.anchor), trigger.instant)
    case "Every":
      return trigger.start === undefined
        ? grid(binding.anchor + (trigger.immediately ? 0 : trigger.period), trigger.period)
        : grid(trigger.start, trigger.period)
    case "Cron":
      return cron(engineOf(trigger, binding.seed))
    case "Defined":
      return defined(trigger, binding, work)
    case "Union":
      return union(trigger.triggers.map((member) => compile(member, binding, work)))
    case "Intersect":
      return intersect(trigger.triggers.map((member) => compile(member, binding, work)), work)
    case "During":
      return gated(compile(trigger.trigger, binding, work), makeWindows(trigger.window), work)
    case "Between":
      return between(compile(trigger.trigger, binding, work), trigger.start ?? -Infinity, trigger.end ?? Infinity)
    case "UpTo":
      return upTo(compile(trigger.trigger, binding, work), trigger.count, binding.anchor, work)
    case "CalendarEvery": {
      const source = cron(makeCalendarEvery(trigger, binding.anchor))
      return trigger.start === undefined ? between(source, binding.anchor, Infinity) : source
    }
    case "Rrule":
      return cron(makeRecurrence(trigger.rule, lookup(trigger.timeZone)!, Math.ceil(binding.anchor / 1000)))
    case "Except":
      return except(compile(trigger.trigger, binding, work), compile(trigger.that, binding, work), work)
    case "ExceptDays":
      return gated(compile(trigger.trigger, binding, work), makeDayWindows(trigger.calendar, true), work)
    case "Rolled":
      return rolled(compile(trigger.trigger, binding, work), trigger.calendar, trigger.direction, work)
    case "Delayed":
      return delayed(compile(trigger.trigger, binding, work), trigger.delay)
    case "Jittered":
      return jittered(compile(trigger.trigger, binding, work), trigger.width, binding.seed)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// leaves
// ---------------------------------------------------------------------------------------------------------------------

const once = (due: number, instant: number): Source => {
  const source: Source = {
    next: (after) => after < due ? due : Infinity,
    previous: (before) => before > due ? due : -Infinity,
    count: (after, until) => after < due && due <= until ? 1 : 0,
    lattice: { first: due, period: 0 }
  }
  return due === instant ? source : { ...source, nominal: () => instant }
}

/** first + k·period, k ≥ 0 */
const grid = (first: number, period: number): Source => {
  // Distances between instants can exceed 2^53, so a quotient may be off by one: the comparisons settle it.
  const next = (after: number): number => {
    if (after < first) return first
    let due = first + (Math.floor((after - first) / period) + 1) * period
    if (due <= after) due += period
    else if (due - period > after) due -= period
    return due <= MAX_MILLIS ? due : Infinity
  }
  const previous = (before: number): number => {
    if (before <= first) return -Infinity
    let due = first + (Math.ceil((before - first) / period) - 1) * period
    if (due >= before) due -= period
    else if (due + period < before) due += period
    return due
  }
  return {
    lattice: { first, period },
    next,
    previous,
    count(after, until) {
      const low = next(after)
      const high = previous(until + 1)
      return low > high ? 0 : Math.round((high - low) / period) + 1
    }
  }
}

// A calendar holds tables, and triggers with the same expression share it.
const calendars = new WeakMap<CronExpression, Calendar>()

const calendarOf = (expression: CronExpression, seed: string): Calendar => {
  if (expression.hashes.length > 0) return makeCalendar(resolve(expression, seed))
  let calendar = calendars.get(expression)
  if (calendar === undefined) {
    calendar = makeCalendar(expression)
    calendars.set(expression, calendar)
  }
  return calendar
}

const engineOf = (trigger: Extract<Trigger, { readonly _tag: "Cron" }>, seed: string): Engine => {
  const { expression, gap, overlap } = trigger
  return makeEngine(
    calendarOf(expression, seed),
    lookup(trigger.timeZone)!,
    gap ?? (expression.wild ? "skip" : "end"),
    overlap ?? (expression.wild ? "both" : "first")
  )
}

const cron = (engine: Engine): Source => ({
  lattice: { first: 0, period: 1000 },
  next: (after) => engine.next(Math.floor(after / 1000) + 1) * 1000,
  previous: (before) => engine.previous(Math.ceil(before / 1000) - 1) * 1000,
  count: (after, until) => engine.count(Math.floor(after / 1000) + 1, Math.floor(until / 1000) + 1)
})

// ---------------------------------------------------------------------------------------------------------------------
// the first occurrences
// ---------------------------------------------------------------------------------------------------------------------

const upTo = (inner: Source, n: number, anchor: number, work: Work): Source => {
  let bounded: Source | undefined
  const limited = (): Source => bounded ??= between(inner, anchor, nth(inner, n, anchor - 1, work))
  return {
    ...filtered(inner),
    next: (after) => limited().next(after),
    previous: (before) => limited().previous(before),
    count: (after, until) => limited().count(after, until)
  }
}

/** The n-th due instant after `after`, or one that comes before the horizon where counting stops. */
const nth = (inner: Source, n: number, after: number, work: Work): number => {
  let low = after
  let span = 86_400_000
  // By arithmetic: double the stretch until it holds n, then halve it.
  while (true) {
    const high = Math.min(after + span, MAX_MILLIS)
    const count = inner.count(after, high)
    if (count === undefined) break
    if (count >= n) {
      let top = high
      while (top - low > 1) {
        const middle = Math.floor((low + top) / 2)
        if ((inner.count(after, middle) ?? n) >= n) top = middle
        else low = middle
      }
      return top
    }
    if (high === MAX_MILLIS) return MAX_MILLIS
    low = high
    span *= 2
  }
  // A walk is a question of its own, and costs the one it is part of nothing.
  const { limit, spent } = work
  work.limit = spent + MAX_WALK + MAX_WORK
  const found = walk(inner, n, after, work)
  work.limit = limit + work.spent - spent
  return found
}

const walk = (inner: Source, n: number, after: number, work: Work): number => {
  const before = work.spent
  let due = after
  for (let i = 0; i < n; i++) {
    const next = inner.next(due)
    if (next === Infinity) return MAX_MILLIS
    due = next
    if (i >= MAX_WALK || work.spent - before >= MAX_WALK) break
  }
  return due
}

// ---------------------------------------------------------------------------------------------------------------------
// jitter
// ---------------------------------------------------------------------------------------------------------------------

const TWO_32 = 4_294_967_296

/** A number in [0, 1) that depends on the seed and the instant alone: every node computes the same one, for ever. */
const fraction = (seed: number, instant: number): number => {
  const high = Math.floor(instant / TWO_32)
  const first = mix(mix(seed, instant - high * TWO_32 | 0), high)
  const second = mix(first, 0x9e3779b9)
  return ((first >>> 0) * 2_097_152 + (second >>> 11)) / 9_007_199_254_740_992
}

/** Moves each occurrence by less than the gap to the one after it, so order and number stay. */
const jittered = (inner: Source, width: number, seed: string): Source => {
  const hash = hashText(seed)
  const move = (due: number): number => {
    const room = Math.min(width, inner.next(due) - due)
    const moved = due + Math.floor(fraction(hash, due) * room)
    return moved <= MAX_MILLIS ? moved : due
  }
  /** How many occurrences at or before `instant` are moved beyond it: none or one. */
  const overdue = (instant: number): number => {
    const last = inner.previous(instant + 1)
    return last !== -Infinity && move(last) > instant ? 1 : 0
  }
  return {
    next(after) {
      const last = inner.previous(after + 1)
      if (last !== -Infinity) {
        const moved = move(last)
        if (moved > after) return moved
      }
      const due = inner.next(after)
      return due === Infinity ? Infinity : move(due)
    },
    previous(before) {
      const last = inner.previous(before)
      if (last === -Infinity) return -Infinity
      const moved = move(last)
      if (moved < before) return moved
      const earlier = inner.previous(last)
      return earlier === -Infinity ? -Infinity : move(earlier)
    },
    nominal(due) {
      const base = inner.previous(due + 1)
      return inner.nominal === undefined ? base : inner.nominal(base)
    },
    count(after, until) {
      if (until <= after) return 0
      const n = inner.count(after, until)
      return n === undefined ? undefined : n + overdue(after) - overdue(until)
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// bound
// ---------------------------------------------------------------------------------------------------------------------

const clamp = (instant: number): number => Math.max(-MAX_MILLIS - 1, Math.min(MAX_MILLIS + 1, instant))

export const bind = (trigger: Trigger, binding: Binding): Bound => {
  const work: Work = { spent: 0, limit: 0 }
  const source = compile(trigger, binding, work)
  const nominal = source.nominal
  const question = (): void => {
    work.limit = work.spent + MAX_WORK
  }
  const point = (due: number): Point => {
    if (nominal === undefined) return { due, nominal: due }
    question()
    return { due, nominal: nominal(due) }
  }
  return {
    next(after) {
      question()
      const due = source.next(clamp(after))
      return due === Infinity ? undefined : point(due)
    },
    previous(before) {
      question()
      const due = source.previous(clamp(before))
      return due === -Infinity ? undefined : point(due)
    },
    countBetween(after, until, limit) {
      const low = clamp(after)
      const high = clamp(until)
      if (high <= low) return { count: 0, exact: true }
      question()
      const exact = source.count(low, high)
      if (exact !== undefined) return { count: exact, exact: true }
      let count = 0
      let due = source.next(low)
      while (due <= high) {
        if (count >= limit) return { count, exact: false }
        count++
        question()
        due = source.next(due)
      }
      return { count, exact: true }
    }
  }
}
