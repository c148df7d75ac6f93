/**
 * Whether this machine's clock agrees with the store's: looked at when an engine starts, and once a minute.
 *
 *     asked ──▶ the store reads its clock ──▶ answered          ahead = asked − theirs … answered − theirs
 *
 * The answer was read at some moment in between, so a slow one makes the two look closer and never further apart. Nothing
 * is decided by it: whoever runs machines is told, since everybody's clock decides for all who share a store.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { TaskStore, TaskStoreError } from "../../TaskStore.ts"
import { type Host, instant } from "./host.ts"

/** Less than that is no matter: a lease is extended when two thirds of it are left. */
const tolerated = 5_000

/** By how much a clock was ahead for sure, at least; less than zero where it was behind. */
export const aheadBy = (asked: number, theirs: number, answered: number): number =>
  asked > theirs ? asked - theirs : answered < theirs ? answered - theirs : 0

/** Tells of a clock that is off once, and again when it has been right meanwhile. */
export const skew = (host: Host, alias: string, store: TaskStore["Service"]): Effect.Effect<void, TaskStoreError> => {
  const { time } = store
  if (time === undefined || host.activity.virtual) return Effect.void
  const now = () => host.clock.currentTimeMillisUnsafe()
  let told = false
  return Effect.gen(function*() {
    const asked = now()
    const theirs = yield* Effect.timeoutOption(time, Duration.millis(host.settings.storeTimeout))
    if (Option.isNone(theirs)) return
    const at = now()
    const ahead = aheadBy(asked, theirs.value, at)
    if (Math.abs(ahead) <= tolerated) {
      told = false
      return
    }
    if (told) return
    told = true
    if (host.hub.heard) host.hub.emit({ _tag: "ClockSkew", at: instant(at), store: alias, ahead })
    yield* Effect.logWarning(
      `The clock of this machine is ${Math.abs(ahead)} ms ${ahead > 0 ? "ahead of" : "behind"} that of store ` +
        `\`${alias}\` (${store.name}). What is due is evaluated that much ${ahead > 0 ? "early" : "late"} here, and ` +
        `${
          ahead > 0 ? "others' leases are taken for ended" : "own leases look ended to others"
        } by as much: set it right.`
    )
  })
}
