/**
 * Numbers that are the same for the same seed (mulberry32).
 */

export interface Draw {
  /** From 0 to 1, 1 excluded. */
  readonly next: () => number
  /** A whole number, both ends included. */
  readonly int: (from: number, to: number) => number
  readonly pick: <A>(values: ReadonlyArray<A>) => A
  /** Whether something of this probability happens. */
  readonly chance: (probability: number) => boolean
}

export const makeDraw = (seed: number): Draw => {
  let state = seed | 0
  const next = (): number => {
    state = (state + 0x6D2B79F5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    int: (from, to) => from + Math.floor(next() * (to - from + 1)),
    pick: (values) => values[Math.floor(next() * values.length)]!,
    chance: (probability) => next() < probability
  }
}

/** A seed made of several values (FNV-1a): what is drawn for one of them does not depend on the others. */
export const seedOf = (...parts: ReadonlyArray<string | number>): number => {
  let hash = 0x811C9DC5
  for (const char of parts.join("/")) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193)
  return hash
}
