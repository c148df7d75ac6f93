/**
 * What a seed makes of chance: the same numbers each time, in the order in which they are drawn.
 */
export interface Random {
  /** From 0 to 1. */
  readonly next: () => number
  readonly between: (from: number, to: number) => number
  readonly integer: (below: number) => number
  /** One of them, as often as its weight says. */
  readonly weighted: <A extends string>(weights: Readonly<Partial<Record<A, number>>>) => A
}

export const seeded = (seed: number): Random => {
  let state = seed
  const next = (): number => {
    state = (state + 0x6D2B79F5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    next,
    between: (from, to) => from + next() * (to - from),
    integer: (below) => Math.floor(next() * below),
    weighted: <A extends string>(weights: Readonly<Partial<Record<A, number>>>) => {
      const entries = Object.entries(weights) as Array<[A, number]>
      let left = next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
      for (const [name, weight] of entries) if ((left -= weight) < 0) return name
      return entries.at(-1)![0]
    }
  }
}
