/**
 * How a scheduler is, asked by way of its stores.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { TaskScheduler } from "punctual/TaskScheduler"

type Scheduler = Context.Service.Shape<typeof TaskScheduler>

/** @internal */
export interface StoreHealth {
  readonly store: string
  readonly reachable: boolean
  /** How long ago this scheduler told the store of itself; null when it did not yet, or the store does not answer. */
  readonly beatAgeMillis: number | null
  /** That is longer ago than it should be. */
  readonly silent: boolean
  /** How long ago the lease of a run that is at work here was extended that has waited longest; null when none is. */
  readonly leaseAgeMillis: number | null
  /** That is longer ago than it may be. */
  readonly overdue: boolean
  readonly problem: string | null
}

/** Asks every store, each at most so long. @internal */
export const storesOf = (
  scheduler: Scheduler,
  timeout: Duration.Duration,
  maxLeaseAge?: Duration.Duration
): Effect.Effect<ReadonlyArray<StoreHealth>> =>
  Effect.gen(function*() {
    const { leases, name, startedAt, stores } = yield* scheduler.status
    const now = yield* Clock.currentTimeMillis
    return yield* Effect.forEach(stores, (store) => {
      const lease = leases.find((lease) => lease.store === store)
      const most = lease && (maxLeaseAge === undefined ? lease.leaseMillis * 2 / 3 : Duration.toMillis(maxLeaseAge))
      const overdue = lease !== undefined && lease.ageMillis > most!
      const held = { leaseAgeMillis: lease === undefined ? null : Math.round(lease.ageMillis), overdue }
      const silence = { store, beatAgeMillis: null, silent: false, ...held }
      return scheduler.instances({ store }).pipe(
        Effect.timeoutOption(timeout),
        Effect.map(Option.match({
          onNone: (): StoreHealth => ({ ...silence, reachable: false, problem: "did not answer in time" }),
          onSome: (instances): StoreHealth => {
            const own = instances.find((instance) =>
              instance.name === name && startedAt !== undefined &&
              DateTime.toEpochMillis(instance.startedAt) === DateTime.toEpochMillis(startedAt)
            )
            return {
              store,
              reachable: true,
              beatAgeMillis: own === undefined ? null : now - DateTime.toEpochMillis(own.seenAt),
              silent: own?.state === "stale",
              ...held,
              problem: own?.state === "stale"
                ? "this scheduler has not told it of itself for a while"
                : overdue
                ? "leases of runs that are at work here were not extended for a while"
                : null
            }
          }
        })),
        Effect.catch((error) => Effect.succeed<StoreHealth>({ ...silence, reachable: false, problem: error.message }))
      )
    }, { concurrency: "unbounded" })
  })

/** Whether a restart would not help: its loop is heard of, as far as that can be asked. @internal */
export const isLive = (scheduler: Scheduler, timeout: Duration.Duration): Effect.Effect<boolean> =>
  Effect.map(storesOf(scheduler, timeout), (stores) => !stores.some(({ silent }) => silent))
