/**
 * How a scheduler tells a store of itself while it runs, so that others can ask who is there and who runs what.
 *
 * One small statement each time, also when there is nothing to run; what fails is tried again at the next.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { encodeHandles, fromRow, type Handled, type SchedulerInstance } from "../../SchedulerInstance.ts"
import type { TaskRow } from "../../TaskRecord.ts"
import type { TaskStore, TaskStoreError } from "../../TaskStore.ts"
import { packageVersion } from "../packageVersion.ts"
import { isClosure } from "./effects.ts"
import type { Host } from "./host.ts"
import type { StoreClock } from "./storeClock.ts"

/** Under virtual time each is a step, so there are fewer. */
const interval = 10_000
const virtualInterval = 3_600_000

/** Times in a row that it may fail to tell of itself before it is stale. */
const patience = 3

/** Stale ones are worth a look for a day. */
const forgetAfter = 86_400_000

/** More schedulers than will ever share a store. */
const instanceLimit = 10_000

/** What it is called where virtual time waits for it. */
const label = "presence"

export interface Presence {
  /** Tells of it until interrupted. */
  readonly beats: Effect.Effect<never>
  readonly leave: Effect.Effect<void>
}

export const presence = (
  host: Host,
  store: TaskStore["Service"],
  { checked, clock }: StoreClock,
  startedAt: () => number
): Presence => {
  const { activity, settings } = host
  const every = activity.virtual ? virtualInterval : interval

  const handles = Effect.map(
    Effect.forEach(
      host.executors.values(),
      ({ alias, executor }) =>
        Effect.map(
          executor.tags,
          (tags) =>
            Array.from(tags, ([tag, version]): Handled => ({ executor: alias, tag, version }))
              .filter(({ tag }) => !isClosure(tag))
        )
    ),
    (all) => encodeHandles(all.flat())
  )

  const beat = Effect.flatMap(Effect.andThen(checked, handles), (handles) => {
    const seenAt = clock.currentTimeMillisUnsafe()
    return store.beat({
      id: host.owner,
      name: host.name,
      host: host.machine.host,
      pid: host.machine.pid,
      version: packageVersion,
      handles,
      startedAt: startedAt(),
      seenAt,
      until: seenAt + patience * every
    })
  })

  /** Waits no longer for the store than its other callers, and holds virtual time meanwhile. */
  const told = (effect: Effect.Effect<void, TaskStoreError>): Effect.Effect<void> =>
    Effect.suspend(() => {
      activity.begin(label)
      return activity.live(Effect.timeoutOption(effect, Duration.millis(settings.storeTimeout))).pipe(
        Effect.catchCause((cause) =>
          Effect.logDebug(`Scheduler \`${host.owner}\` could not tell store \`${store.name}\` of itself.`, cause)
        ),
        Effect.ensuring(Effect.sync(() => activity.end(label)))
      )
    })

  return {
    beats: Effect.forever(Effect.andThen(told(beat), Effect.sleep(Duration.millis(every)))),
    leave: told(store.leave([host.owner]))
  }
}

/** Forgets those that have been stale for long. */
export const forgetStale = (store: TaskStore["Service"], now: number): Effect.Effect<void, TaskStoreError> =>
  Effect.flatMap(
    store.instances({ limit: instanceLimit }),
    (instances) => store.leave(instances.filter(({ until }) => until < now - forgetAfter).map(({ id }) => id))
  )

/** The schedulers of a store, those that are alive first. */
export const instancesOf = (
  store: TaskStore["Service"],
  now: number
): Effect.Effect<ReadonlyArray<SchedulerInstance>, TaskStoreError> =>
  Effect.map(store.instances({ limit: instanceLimit }), (rows) => rows.map((row) => fromRow(row, now)))

/**
 * What tasks are checked with: whether nobody who is alive runs one. An effect of this process is run by whoever added
 * it, for as long as its task exists.
 */
export const unroutable = (
  store: TaskStore["Service"],
  now: number
): Effect.Effect<(task: TaskRow) => boolean, TaskStoreError> =>
  Effect.map(instancesOf(store, now), (instances) => {
    const newest = new Map<string, number>()
    for (const { handles, state } of instances) {
      if (state === "stale") continue
      for (const { executor, tag, version } of handles) {
        const key = `${executor}\0${tag}`
        newest.set(key, Math.max(newest.get(key) ?? version, version))
      }
    }
    return ({ executor, tag, version }) => !isClosure(tag) && (newest.get(`${executor}\0${tag}`) ?? -Infinity) < version
  })
