/**
 * Asks the program's rate limiter before a handler begins, and says until when a run is postponed where it may not.
 *
 *     run ─▶ known to be exhausted? ─▶ limiter ─▶ begins
 *                    │                    │
 *                    └────────┬───────────┴─▶ postponed: given back, claimable again when its turn may come
 *
 * While a key is exhausted nobody is asked: each further run gets a turn of its own, `window / limit` after the one before,
 * so that a backlog comes back one by one and not all at once.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { RateLimiter } from "effect/persistence/RateLimiter"
import * as Activity from "../Activity.ts"
import { refuseUnknown } from "./options.ts"
import type { RunResult } from "./runRecord.ts"
import type { RateLimit } from "./taskModel.ts"

/** Says why a run may not begin yet; nothing where it may. @internal */
export type Admit = (payload: unknown) => Effect.Effect<Postponed | undefined>

type Postponed = Extract<RunResult, { readonly _tag: "Postponed" }>

// -----------------------------------------------------------------------------
// checking
// -----------------------------------------------------------------------------

const names: ReadonlyArray<keyof RateLimit<never>> = ["limit", "window", "key", "algorithm"]

/** Longer windows are schedules. */
const longestWindow = 366 * 86_400_000

/** What is wrong with a limit, if anything. @internal */
export const refuseRateLimit = (given: RateLimit<never>): string | undefined => {
  if (typeof given !== "object" || given === null) return "rateLimit must say `limit` and `window`"
  const unknown = refuseUnknown(given, names, "rateLimit")
  if (unknown !== undefined) return unknown
  const { algorithm, key, limit, window } = given
  if (!(Number.isSafeInteger(limit) && limit >= 1)) {
    return `rateLimit.limit must be an integer of at least 1, not ${limit}`
  }
  const millis = window === undefined
    ? NaN
    : Option.match(Duration.fromInput(window), { onNone: () => NaN, onSome: Duration.toMillis })
  if (!(millis >= 1 && millis <= longestWindow)) {
    return `rateLimit.window must be a duration from 1 ms to ${longestWindow} ms, not ${String(window)}`
  }
  if (key !== undefined && typeof key !== "function") {
    return "rateLimit.key must be a function of the payload: ({ customer }) => customer"
  }
  if (algorithm !== undefined && algorithm !== "fixed-window" && algorithm !== "token-bucket") {
    return `rateLimit.algorithm is "fixed-window" or "token-bucket", not ${JSON.stringify(algorithm)}`
  }
  return undefined
}

// -----------------------------------------------------------------------------
// asking
// -----------------------------------------------------------------------------

/** A limiter that has not answered by then, in milliseconds, is away. */
const patience = 5_000

/** A limiter that is away is asked again after 1 s, 2 s … 30 s; runs wait meanwhile. */
const firstBackoff = 1_000
const longestBackoff = 30_000

/** Keys that were exhausted: beyond it those whose time has come are forgotten. */
const enoughKeys = 1_000

interface Exhausted {
  /** When the first turn may come again. */
  readonly until: number
  /** Turns given out since. */
  given: number
}

/** @internal */
export const make = (tag: string, limit: RateLimit<never>, limiter: RateLimiter): Admit => {
  const window = Duration.toMillis(Duration.fromInputUnsafe(limit.window))
  const spacing = window / limit.limit
  const algorithm = limit.algorithm ?? "fixed-window"
  const keyOf = limit.key as ((payload: unknown) => string) | undefined
  const exhausted = new Map<string, Exhausted>()
  let enough = enoughKeys
  const outage = { until: -Infinity, backoff: 0 }

  const turn = (entry: Exhausted, now: number): Postponed => ({
    _tag: "Postponed",
    reason: "rateLimited",
    // Rounded up: who comes too early would be postponed again.
    retryAfter: Math.max(1, Math.ceil(entry.until + spacing * entry.given++ - now))
  })

  const known = (key: string, now: number): Exhausted | undefined => {
    const entry = exhausted.get(key)
    return entry !== undefined && now < entry.until ? entry : undefined
  }

  /** Of many that asked at once, the first to be refused says until when; the others get the turns after its own. */
  const refused = (key: string, retryAfter: number, now: number): Postponed => {
    let entry = known(key, now)
    if (entry === undefined) {
      if (exhausted.size >= enough) {
        for (const [key, { until }] of exhausted) if (until <= now) exhausted.delete(key)
        enough = Math.max(enoughKeys, 2 * exhausted.size)
      }
      entry = { until: now + Math.min(retryAfter, window), given: 0 }
      exhausted.set(key, entry)
    }
    return turn(entry, now)
  }

  const wait = (now: number): Postponed => ({
    _tag: "Postponed",
    reason: "limiterAway",
    retryAfter: Math.max(1, Math.ceil(outage.until - now))
  })

  const away = (key: string, message: string): Effect.Effect<Postponed> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      // Others that asked at the same time have found it out before.
      if (now < outage.until) return Effect.succeed(wait(now))
      const first = outage.backoff === 0
      outage.backoff = first ? firstBackoff : Math.min(2 * outage.backoff, longestBackoff)
      outage.until = now + outage.backoff
      const postponed = wait(now)
      return first
        ? Effect.as(
          Effect.logWarning(
            `The rate limiter of task \`${tag}\` failed for \`${key}\`: runs wait until it answers. ${message}`
          ),
          postponed
        )
        : Effect.succeed(postponed)
    })

  const answered = (): void => {
    outage.until = -Infinity
    outage.backoff = 0
  }

  const ask = (key: string): Effect.Effect<Postponed | undefined> =>
    bounded(limiter.consume({ key, limit: limit.limit, window, algorithm, onExceeded: "fail" })).pipe(
      Effect.matchEffect({
        onSuccess: (answer) => {
          if (Option.isNone(answer)) return away(key, `It did not answer within ${patience} ms.`)
          answered()
          return Effect.undefined
        },
        onFailure: ({ reason }) => {
          if (reason._tag === "RateLimitStoreError") return away(key, reason.message)
          answered()
          return Effect.map(Clock.currentTimeMillis, (now) => refused(key, Duration.toMillis(reason.retryAfter), now))
        }
      })
    )

  return (payload) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const key = keyOf === undefined ? tag : `${tag}/${keyOf(payload)}`
      const entry = known(key, now)
      if (entry !== undefined) return Effect.succeed(turn(entry, now))
      return now < outage.until ? Effect.succeed(wait(now)) : ask(key)
    })
}

/** Waits in real time: a limiter that is away is so whatever time the program has. */
const bounded = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Option.Option<A>, E> =>
  Effect.withFiber((fiber) => {
    const late = fiber.getRef(Activity.Activity).live(Effect.sleep(patience))
    return Effect.raceFirst(Effect.asSome(effect), Effect.as(late, Option.none()))
  })
