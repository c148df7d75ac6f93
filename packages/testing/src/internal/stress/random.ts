/**
 * Numbers that follow from a seed.
 *
 * @since 0.1.0
 */

/** @category models @since 0.1.0 */
export interface Random {
  /** A whole number from 0, below this one. */
  readonly below: (limit: number) => number
  readonly chance: (share: number) => boolean
  /** A text that no other has. */
  readonly id: () => string
}

/** Different `streams` of one seed have nothing in common. */
export const random = (seed: number, stream: string): Random => {
  let state = seed | 0
  for (const char of stream) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193)
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  let ids = 0
  return {
    below: (limit) => Math.floor(next() * limit),
    chance: (share) => next() < share,
    id: () => `${stream}.${ids++}`
  }
}
