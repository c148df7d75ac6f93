/**
 * The interpreter: turns a trigger and a binding into functions on plain integers.
 */
import type { CronExpression } from "../CronExpression.ts"
import type { Binding, Bound, Point, Trigger } from "../Trigger.ts"
import { MAX_MILLIS } from "./cronDate.ts"
import { makeCalendar, makeEngine } from "./cronEngine.ts"
import type { Calendar, Engine } from "./cronEngine.ts"
import { lookup } from "./timeZone.ts"
import { HORIZON, type Lattice, MAX_CANDIDATES, MAX_WALK, none, type Source, type Work } from "./triggerSearch.ts"
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
      return cron(engineOf(trigger))
    case "Union":
      return union(trigger.triggers.map((member) => compile(member, binding, work)))
    case "Intersect":
      return intersect(trigger.triggers.map((member) => compile(member, binding, work)), work)
    case "During":
      return during(compile(trigger.trigger, binding, work), trigger.window, work)
    case "Between":
      return between(compile(trigger.trigger, binding, work), trigger.start ?? -Infinity, trigger.end ?? Infinity)
    case "UpTo":
      return upTo(compile(trigger.trigger, binding, work), trigger.count, binding.anchor, work)
    case "Jittered":
      return jittered(compile(trigger.trigger, binding, work), trigger.width, binding.seed)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// leaves
// ---------------------------------------------------------------------------------------------------------------------

const once = (due: number, instant: number): Source => ({
  next: (after) => after < due ? due : Infinity,
  previous: (before) => before > due ? due : -Infinity,
  count: (after, until) => after < due && due <= until ? 1 : 0,
  ...(due === instant ? {} : { nominal: () => instant }),
  lattice: { first: due, period: 0 }
})

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

const engineOf = (trigger: Extract<Trigger, { readonly _tag: "Cron" }>): Engine => {
  const { expression, gap, overlap } = trigger
  let calendar = calendars.get(expression)
  if (calendar === undefined) {
    calendar = makeCalendar(expression)
    calendars.set(expression, calendar)
  }
  return makeEngine(
    calendar,
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
// combinators
// ---------------------------------------------------------------------------------------------------------------------

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b)

const neverMeet = (a: Lattice | undefined, b: Lattice | undefined): boolean => {
  if (a === undefined || b === undefined) return false
  const common = gcd(a.period, b.period)
  return common === 0 ? a.first !== b.first : (a.first - b.first) % common !== 0
}

/** A source that only leaves things out keeps what is known about its inner one. */
const filtered = (inner: Source): Pick<Source, "nominal" | "lattice"> => ({
  ...nominalOf([inner]),
  ...(inner.lattice === undefined ? {} : { lattice: inner.lattice })
})

/** Of several members due at the same instant, the earliest nominal instant is told: the order of members is nothing. */
const nominalOf = (members: ReadonlyArray<Source>): { readonly nominal?: (due: number) => number } =>
  members.every((member) => member.nominal === undefined) ? {} : {
    nominal(due) {
      let nominal = due
      for (const member of members) {
        if (member.nominal !== undefined && member.next(due - 1) === due) {
          nominal = Math.min(nominal, member.nominal(due))
        }
      }
      return nominal
    }
  }

const union = (members: ReadonlyArray<Source>): Source => ({
  ...nominalOf(members),
  next(after) {
    let due = Infinity
    for (let i = 0; i < members.length; i++) {
      const candidate = members[i]!.next(after)
      if (candidate < due) due = candidate
    }
    return due
  },
  previous(before) {
    let due = -Infinity
    for (let i = 0; i < members.length; i++) {
      const candidate = members[i]!.previous(before)
      if (candidate > due) due = candidate
    }
    return due
  },
  // Members may share instants, so their counts do not add up.
  count: () => undefined
})

const intersect = (members: ReadonlyArray<Source>, work: Work): Source =>
  members.some((a, i) => members.some((b, j) => i < j && neverMeet(a.lattice, b.lattice)))
    ? none
    : meeting(members, work)

const meeting = (members: ReadonlyArray<Source>, work: Work): Source => ({
  ...filtered(members[0]!),
  ...nominalOf(members),
  next(after) {
    let horizon = Infinity
    let from = after
    for (let i = 0; i < MAX_CANDIDATES; i++) {
      work.spent++
      let low = Infinity
      let high = -Infinity
      for (let m = 0; m < members.length; m++) {
        const due = members[m]!.next(from)
        if (due < low) low = due
        if (due > high) high = due
      }
      if (high === Infinity || high > horizon) return Infinity
      if (low === high) return low
      if (horizon === Infinity) horizon = high + HORIZON
      // Everybody leaps to just before the latest of them.
      from = high - 1
    }
    return Infinity
  },
  previous(before) {
    let horizon = -Infinity
    let from = before
    for (let i = 0; i < MAX_CANDIDATES; i++) {
      work.spent++
      let low = Infinity
      let high = -Infinity
      for (let m = 0; m < members.length; m++) {
        const due = members[m]!.previous(from)
        if (due < low) low = due
        if (due > high) high = due
      }
      if (low === -Infinity || low < horizon) return -Infinity
      if (low === high) return low
      if (horizon === -Infinity) horizon = low - HORIZON
      from = low + 1
    }
    return -Infinity
  },
  count: () => undefined
})

const during = (inner: Source, window: Parameters<typeof makeWindows>[0], work: Work): Source => {
  const windows = makeWindows(window)
  return {
    ...filtered(inner),
    next(after) {
      let horizon = Infinity
      let from = after
      for (let i = 0; i < MAX_CANDIDATES; i++) {
        work.spent++
        const due = inner.next(from)
        if (due === Infinity || due > horizon) return Infinity
        if (windows.contains(due)) return due
        if (horizon === Infinity) horizon = due + HORIZON
        // On to the opening of the next window.
        from = windows.next(due) - 1
        if (from === Infinity) return Infinity
      }
      return Infinity
    },
    previous(before) {
      let horizon = -Infinity
      let from = before
      for (let i = 0; i < MAX_CANDIDATES; i++) {
        work.spent++
        const due = inner.previous(from)
        if (due === -Infinity || due < horizon) return -Infinity
        if (windows.contains(due)) return due
        if (horizon === -Infinity) horizon = due - HORIZON
        from = windows.previous(due) + 1
        if (from === -Infinity) return -Infinity
      }
      return -Infinity
    },
    count: () => undefined
  }
}

/** start ≤ due ≤ end */
const between = (inner: Source, start: number, end: number): Source => ({
  ...filtered(inner),
  next(after) {
    const due = inner.next(after < start ? start - 1 : after)
    return due <= end ? due : Infinity
  },
  previous(before) {
    const due = inner.previous(before > end ? end + 1 : before)
    return due >= start ? due : -Infinity
  },
  count(after, until) {
    const low = Math.max(after, start - 1)
    const high = Math.min(until, end)
    return high <= low ? 0 : inner.count(low, high)
  }
})

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

const mix = (hash: number, value: number): number => {
  let h = Math.imul(hash ^ value, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

const hashText = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mix(hash, text.length)
}

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
  const source = compile(trigger, binding, { spent: 0 })
  const nominal = source.nominal
  const point = (due: number): Point => ({ due, nominal: nominal === undefined ? due : nominal(due) })
  return {
    next(after) {
      const due = source.next(clamp(after))
      return due === Infinity ? undefined : point(due)
    },
    previous(before) {
      const due = source.previous(clamp(before))
      return due === -Infinity ? undefined : point(due)
    },
    countBetween(after, until, limit) {
      const low = clamp(after)
      const high = clamp(until)
      if (high <= low) return { count: 0, exact: true }
      const exact = source.count(low, high)
      if (exact !== undefined) return { count: exact, exact: true }
      let count = 0
      let due = source.next(low)
      while (due <= high) {
        if (count >= limit) return { count, exact: false }
        count++
        due = source.next(due)
      }
      return { count, exact: true }
    }
  }
}
