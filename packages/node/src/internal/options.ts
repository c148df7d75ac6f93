/**
 * Options, checked.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidOption } from "punctual/SchedulerError"

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
