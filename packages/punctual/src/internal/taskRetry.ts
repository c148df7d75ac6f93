/**
 * When a failed attempt is tried again, from the stored attempt count alone.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type { Retry } from "./taskModel.ts"

/**
 * Milliseconds until the next attempt, `null` when there is none.
 *
 * `attempt` counts the attempts begun, this one included. A timeout is not the task's error, so `while` and `until`
 * are not asked about it (`typed: false`).
 *
 * @internal
 */
export const retryAfter = (
  retry: Retry<never> | undefined,
  attempt: number,
  error: unknown,
  typed: boolean
): Effect.Effect<number | null> => {
  if (retry === undefined) return never
  if (retry.times !== undefined && attempt > retry.times) return never
  const delay = retry.schedule === undefined ? immediately : Effect.orDie(replay(retry.schedule, attempt, error))
  if (!typed || (retry.while === undefined && retry.until === undefined)) return delay
  return Effect.flatMap(Effect.orDie(wanted(retry, error)), (again) => again ? delay : never)
}

const never: Effect.Effect<number | null> = Effect.succeed(null)
const immediately: Effect.Effect<number | null> = Effect.succeed(0)

const wanted = (retry: Retry<never>, error: unknown): Effect.Effect<boolean, unknown> =>
  Effect.suspend(() => {
    const goOn = ask(retry.while, error, true)
    return Effect.flatMap(goOn, (yes) => yes ? Effect.map(ask(retry.until, error, false), (stop) => !stop) : no)
  })

const no = Effect.succeed(false)

const ask = (
  predicate: ((error: never) => boolean | Effect.Effect<boolean, unknown>) | undefined,
  error: unknown,
  otherwise: boolean
): Effect.Effect<boolean, unknown> => {
  if (predicate === undefined) return Effect.succeed(otherwise)
  const answer = predicate(error as never)
  return Effect.isEffect(answer) ? answer : Effect.succeed(answer)
}

/**
 * Steps a fresh schedule once per attempt. Attempts may have run in several processes, so the delays themselves stand
 * for the time that passed; the last step is taken at the real time, because a cron schedule answers from it.
 */
const replay = Effect.fnUntraced(
  function*(schedule: Schedule.Schedule<unknown, never, unknown>, attempt: number, error: unknown) {
    const now = yield* Clock.currentTimeMillis
    const earlier = yield* stepTo(schedule, attempt - 1, error, (elapsed) => elapsed)
    if (earlier === undefined) return null
    const last = yield* stepTo(
      schedule,
      attempt,
      error,
      (elapsed, step) => step === attempt ? now : now - earlier.elapsed + elapsed
    )
    return last === undefined || !Duration.isFinite(last.delay) ? null : Math.ceil(Duration.toMillis(last.delay))
  }
)

// `undefined`: the schedule ended before.
const stepTo = Effect.fnUntraced(function*(
  schedule: Schedule.Schedule<unknown, never, unknown>,
  steps: number,
  error: unknown,
  at: (elapsed: number, step: number) => number
) {
  let elapsed = 0
  let delay = Duration.zero
  if (steps === 0) return { elapsed, delay }
  const step = yield* Schedule.toStep(schedule)
  for (let i = 1; i <= steps; i++) {
    const result = yield* Pull.catchDone(step(at(elapsed, i), error as never), () => Effect.undefined)
    if (result === undefined) return undefined
    delay = result[1]
    elapsed += Duration.toMillis(delay)
  }
  return { elapsed, delay }
})
