/**
 * Hashes of a task's id: every node computes the same ones, for ever. What they decide (jitter, `H` in cron) moves when this
 * file changes, so it does not.
 */

/** Stirs a value into a hash. */
export const mix = (hash: number, value: number): number => {
  let h = Math.imul(hash ^ value, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

export const hashText = (text: string): number => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mix(hash, text.length)
}
