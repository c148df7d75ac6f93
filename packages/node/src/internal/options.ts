/**
 * Options, checked: unknown ones are refused with the name that was probably meant.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOption } from "punctual/SchedulerError"

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

/** @internal */
export const knownOnly = (
  options: object,
  known: ReadonlyArray<string>,
  where: string
): Effect.Effect<void, InvalidOption> => {
  const message = refuseUnknown(options, known, where)
  const option = Object.keys(options).find((key) => !known.includes(key))
  return message === undefined ? Effect.void : Effect.fail(new InvalidOption({ option: option!, value: null, message }))
}

/**
 * A duration in whole milliseconds, of at most a day.
 *
 * @internal
 */
export const millis = (
  option: string,
  value: Duration.Input | undefined,
  fallback: number
): Effect.Effect<number, InvalidOption> => {
  if (value === undefined) return Effect.succeed(fallback)
  const given = Option.match(Duration.fromInput(value), { onNone: () => NaN, onSome: Duration.toMillis })
  return given >= 0 && given <= 86_400_000 ? Effect.succeed(Math.ceil(given)) : Effect.fail(
    new InvalidOption({
      option,
      value: String(value),
      message: `\`${option}\` must be a duration of at most a day, not ${String(value)}.`
    })
  )
}

/** @internal */
export const integer = (
  option: string,
  value: number | undefined,
  fallback: number,
  min: number
): Effect.Effect<number, InvalidOption> =>
  value === undefined
    ? Effect.succeed(fallback)
    : Number.isSafeInteger(value) && value >= min
    ? Effect.succeed(value)
    : Effect.fail(
      new InvalidOption({
        option,
        value,
        message: `\`${option}\` must be an integer of at least ${min}, not ${value}.`
      })
    )

/** The word nearest to `word`, at most two edits away; letter case is no edit. */
const closest = (word: string, candidates: ReadonlyArray<string>): string | undefined => {
  let best = 3
  let found: string | undefined
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < best) {
      best = distance
      found = candidate
    }
  }
  return found
}

// Levenshtein, two rows.
const editDistance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1))
    }
    previous = row
  }
  return previous[b.length]!
}
