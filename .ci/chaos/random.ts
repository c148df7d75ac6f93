/**
 * What a seed makes of chance: the same numbers each time, in the order in which they are drawn.
 */
import { makeDraw } from "../../packages/punctual/src/internal/simulation/random.ts"

export interface Random {
  /** From 0 to 1. */
  readonly next: () => number
  readonly between: (from: number, to: number) => number
  readonly integer: (below: number) => number
  /** One of them, as often as its weight says. */
  readonly weighted: <A extends string>(weights: Readonly<Partial<Record<A, number>>>) => A
}

export const seeded = (seed: number): Random => {
  const { next } = makeDraw(seed)
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
