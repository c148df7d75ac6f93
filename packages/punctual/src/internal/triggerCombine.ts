/**
 * How sources are combined: either of them, both of them, and the part of one that lies inside windows.
 */
import { MAX_MILLIS } from "./cronDate.ts"
import { HORIZON, type Lattice, MAX_CANDIDATES, none, type Source, type Work } from "./triggerSearch.ts"
import type { Windows } from "./triggerWindow.ts"

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b)

const neverMeet = (a: Lattice | undefined, b: Lattice | undefined): boolean => {
  if (a === undefined || b === undefined) return false
  const common = gcd(a.period, b.period)
  return common === 0 ? a.first !== b.first : (a.first - b.first) % common !== 0
}

/** A source that only leaves things out keeps what is known about its inner one. */
export const filtered = (inner: Source): Pick<Source, "nominal" | "lattice"> => ({
  ...(inner.nominal === undefined ? {} : { nominal: inner.nominal }),
  ...(inner.lattice === undefined ? {} : { lattice: inner.lattice })
})

/** Of several members due at the same instant, the earliest nominal instant is told: the order of members is nothing. */
export const nominalOf = (members: ReadonlyArray<Source>): { readonly nominal?: (due: number) => number } =>
  members.every((member) => member.nominal === undefined) ? {} : {
    nominal(due) {
      let nominal = Infinity
      for (const member of members) {
        if (member.next(due - 1) === due) {
          nominal = Math.min(nominal, member.nominal === undefined ? due : member.nominal(due))
        }
      }
      return nominal
    }
  }

export const union = (members: ReadonlyArray<Source>): Source => ({
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

export const intersect = (members: ReadonlyArray<Source>, work: Work): Source =>
  members.some((a, i) => members.some((b, j) => i < j && neverMeet(a.lattice, b.lattice)))
    ? none
    : meeting(members, work)

const meeting = (members: ReadonlyArray<Source>, work: Work): Source => ({
  ...filtered(members[0]!),
  ...nominalOf(members),
  next(after) {
    let horizon = Infinity
    let from = after
    for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
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
    for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
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

/** Lets through what is inside, and leaps over what is outside. */
export const gated = (inner: Source, windows: Windows, work: Work): Source => ({
  ...filtered(inner),
  next(after) {
    let horizon = Infinity
    let from = after
    for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
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
    for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
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
})

/** start ≤ due ≤ end */
export const between = (inner: Source, start: number, end: number): Source => ({
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

/** What the one has and the other has not. */
export const except = (inner: Source, other: Source, work: Work): Source =>
  neverMeet(inner.lattice, other.lattice) ? inner : {
    ...filtered(inner),
    next(after) {
      let horizon = Infinity
      let due = after
      for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
        work.spent++
        due = inner.next(due)
        if (due === Infinity || due > horizon) return Infinity
        if (other.next(due - 1) !== due) return due
        if (horizon === Infinity) horizon = due + HORIZON
      }
      return Infinity
    },
    previous(before) {
      let horizon = -Infinity
      let due = before
      for (let i = 0; i < MAX_CANDIDATES && work.spent < work.limit; i++) {
        work.spent++
        due = inner.previous(due)
        if (due === -Infinity || due < horizon) return -Infinity
        if (other.previous(due + 1) !== due) return due
        if (horizon === -Infinity) horizon = due - HORIZON
      }
      return -Infinity
    },
    count: () => undefined
  }

/** All of it, later by `by`. */
export const delayed = (inner: Source, by: number): Source => ({
  ...(inner.lattice === undefined
    ? {}
    : { lattice: { first: inner.lattice.first + by, period: inner.lattice.period } }),
  next(after) {
    const due = inner.next(Math.max(after - by, -MAX_MILLIS - 1)) + by
    return due <= MAX_MILLIS ? due : Infinity
  },
  previous: (before) => inner.previous(Math.max(before - by, -MAX_MILLIS - 1)) + by,
  nominal: (due) => inner.nominal === undefined ? due - by : inner.nominal(due - by),
  count: (after, until) => inner.count(Math.max(after - by, -MAX_MILLIS - 1), Math.max(until - by, -MAX_MILLIS - 1))
})
