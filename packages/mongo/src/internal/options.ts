/**
 * Unknown options are refused, with the name that was probably meant.
 *
 * @since 0.1.0
 */

/**
 * Says which keys of `options` are unknown, or `undefined` when all are known.
 *
 * @internal
 */
export const refuseUnknown = (
  options: object,
  known: ReadonlyArray<string>,
  where: string
): string | undefined => {
  const unknown = Object.keys(options).filter((key) => !known.includes(key))
  if (unknown.length === 0) return undefined
  return unknown.map((key) => {
    const meant = closest(key, known)
    const hint = meant === undefined ? `known options: ${known.join(", ")}` : `did you mean \`${meant}\`?`
    return `unknown option \`${key}\` of ${where}, ${hint}`
  }).join("; ")
}

/**
 * The word nearest to `word`, at most two edits away; letter case is no edit.
 *
 * @internal
 */
export const closest = (word: string, candidates: Iterable<string>): string | undefined => {
  // A word of three letters is two edits away from nearly every other one.
  let best = Math.min(3, Math.max(2, word.length - 1))
  let found: string | undefined
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase(), best)
    if (distance < best) {
      best = distance
      found = candidate
    }
  }
  return found
}

// Levenshtein, two rows; gives up at `limit`.
const editDistance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1))
    }
    if (Math.min(...row) >= limit) return limit
    previous = row
  }
  return previous[b.length]!
}
