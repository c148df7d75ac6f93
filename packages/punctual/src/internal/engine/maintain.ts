/**
 * What an engine does now and then: forgets what is old, notices a clock that was set back, looks again at rows that
 * could not be read, and at those that were timed under older rules of time zones.
 */
import type * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Activity from "../../Activity.ts"
import { plausibleLease, type TaskStoreError } from "../../TaskStore.ts"
import { attempt, dueAt, rulesOf } from "./advance.ts"
import { batchSize, type Host, instant } from "./host.ts"
import { forgetStale } from "./presence.ts"
import type { StoreEngine } from "./storeEngine.ts"

/** Minutes are enough for a clock, and cheap; under virtual time each tick is a step, so there are fewer. */
const tick = Duration.minutes(1)
const virtualTick = Duration.hours(1)
const ticksBetweenPruning = 10
const retryAfter = Duration.seconds(1)

/** What it is called where virtual time waits for it. */
const label = "maintenance"

/**
 * A cursor further ahead of the clock than this was evaluated under a clock that was wrong. Less than that is waited
 * for, so that a correction of minutes repeats nothing.
 */
const farAhead = 3_600_000

export const maintain = (host: Host, engine: StoreEngine): Effect.Effect<never> => {
  const { store, time } = engine
  const now = () => time.clock.currentTimeMillisUnsafe()

  /** Rows another program, or an older version of this one, could not read: those we can read are free again. */
  const review = Effect.gen(function*() {
    const verdicts = yield* store.verdicts({ limit: batchSize })
    if (verdicts.length === 0) return
    const tasks = yield* store.get([...new Set(verdicts.map((verdict) => verdict.id))])
    const readable = new Set(
      tasks.filter(({ row }) => Result.isSuccess(rulesOf(row, host.definitions))).map(({ row }) => row.generation)
    )
    const gone = new Set(verdicts.map((verdict) => verdict.generation))
    for (const { row } of tasks) gone.delete(row.generation)
    const clear = verdicts
      .filter((verdict) =>
        gone.has(verdict.generation) || (verdict.reader !== host.reader && readable.has(verdict.generation))
      )
      .map((verdict) => verdict.generation)
    if (clear.length > 0) yield* store.clear([...new Set(clear)])
  })

  const prune: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    while ((yield* store.prune({ before: now() - host.settings.keepHistoryFor, limit: batchSize })) === batchSize) {
      yield* Effect.yieldNow
    }
    const old = now() - host.settings.keepFinishedFor
    let after: string | undefined
    do {
      const page = yield* store.list({ state: "finished", sort: "created", descending: false, limit: batchSize, after })
      // What a program declares at every start would be new again: it stays as long as it is declared.
      const gone = page.items.filter((row) => row.declared === null && row.updatedAt < old && row.cursor < old)
      if (gone.length > 0) {
        const answers = yield* store.commit(gone.map(({ generation, id, revision }) => ({
          id,
          generation,
          revision,
          set: "remove",
          runs: [],
          now: now()
        })))
        for (let i = 0; i < gone.length; i++) {
          if (answers[i]?._tag !== "Committed" || !host.hub.heard) continue
          host.hub.emit({ _tag: "TaskRemoved", at: instant(now()), store: engine.alias, id: gone[i]!.id })
        }
      }
      // Oldest first: where none of a page was created long ago, the rest are younger.
      after = page.items.some((row) => row.createdAt < old) ? page.next ?? undefined : undefined
    } while (after !== undefined)
  })

  /** Evaluates again from now on what was evaluated under a clock far ahead. */
  const reanchor: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    let after: string | undefined
    do {
      const page = yield* store.list({ sort: "due", descending: true, limit: batchSize, after })
      const at = now()
      const ahead = page.items.filter((row) => row.cursor > at + farAhead)
      for (const row of ahead) {
        const next = Result.flatMap(
          rulesOf(row, host.definitions),
          ({ bound, zoneRules }) => attempt(() => dueAt(bound.next(at), zoneRules, row.override))
        )
        if (Result.isFailure(next)) continue
        const [answer] = yield* store.commit([{
          id: row.id,
          generation: row.generation,
          revision: row.revision,
          seen: row,
          set: {
            cursor: at,
            ...(row.state === "scheduled" ? next.success : undefined)
          },
          runs: [],
          now: at
        }])
        if (answer?._tag !== "Committed") continue
        if (host.hub.heard) {
          host.hub.emit({
            _tag: "ClockMovedBack",
            at: instant(at),
            store: engine.alias,
            id: row.id,
            cursor: instant(row.cursor)
          })
        }
        yield* Effect.logWarning(
          `Task \`${row.id}\` had been evaluated up to ${
            DateTime.formatIso(instant(row.cursor))
          }, far ahead of the clock, and ` +
            `goes on from now.`
        )
      }
      after = ahead.length === 0 ? undefined : page.next ?? undefined
    } while (after !== undefined)
  })

  /**
   * A lease that ends later than any that is given now was given under a clock far ahead. Its owner cuts it with his next
   * heartbeat; for one who is gone it is done here, in his name, and it ends as any other.
   */
  const cutLeases: Effect.Effect<void, TaskStoreError> = Effect.gen(function*() {
    let after: string | undefined
    do {
      const page = yield* store.runs({ state: "running", limit: batchSize, after })
      for (const { generation, key, leaseUntil, owner, taskId, token } of page.items) {
        const at = now()
        if (owner === null || token === null || leaseUntil === null) continue
        if (leaseUntil <= at + farAhead + plausibleLease) continue
        const lease = { owner, until: at + host.settings.lease }
        yield* store.heartbeat({ now: at, lease, runs: [{ generation, key, token }] })
        yield* Effect.logWarning(
          `The lease of run ${key} of task \`${taskId}\` was to end at ${
            DateTime.formatIso(instant(leaseUntil))
          }, far ` +
            `ahead of the clock, and ends now as any other, unless ${owner} extends it.`
        )
      }
      after = page.next ?? undefined
    } while (after !== undefined)
  })

  /** At the start it is tried until the store answers: what is due until then may be wrong. */
  const retimeAtStart: Effect.Effect<void> = Effect.catch(engine.retime, (error) =>
    error.retryable
      ? Effect.andThen(Activity.asleep(Effect.sleep(retryAfter), host.activity, label), retimeAtStart)
      : Effect.logWarning(`The store refuses what newer time zone rules make of its tasks. ${error.message}`))

  const failed = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
    Effect.logError(`Maintenance of store \`${engine.alias}\` failed.`, cause)

  /** Holds virtual time. */
  const counted = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (!host.activity.virtual) return effect
      host.activity.begin(label)
      return Effect.ensuring(effect, Effect.sync(() => host.activity.end(label)))
    })

  /** Whatever fails is tried again at a later tick; the engine's own loop tells of a store that is down. */
  const tried = (effect: Effect.Effect<unknown, TaskStoreError>): Effect.Effect<unknown> =>
    effect.pipe(
      Effect.catch((error) => Effect.logDebug(`Maintenance of store \`${engine.alias}\` failed: ${error.message}`)),
      Effect.catchCause(failed),
      counted
    )

  return Effect.gen(function*() {
    let ticks = 0
    yield* tried(time.checked)
    const shown = time.watch()
    let latest = now()
    let before = latest
    let behind = 0
    /** Whether cursors far ahead of the clock, as it is believed to be, have been looked for. */
    let anchored = false
    yield* Effect.catchCause(counted(retimeAtStart), failed)
    yield* Effect.ignore(review)
    while (true) {
      yield* Effect.sleep(host.activity.virtual ? virtualTick : tick)
      ticks++
      yield* tried(time.checked)
      const at = now()
      // It may have been ahead between two ticks, and what was decided then is silent until then.
      const since = Math.max(before, shown())
      latest = Math.max(latest, since)
      // Only a clock that stays behind is believed: wrong readings must not make a year be evaluated again.
      behind = at >= latest - farAhead ? 0 : at >= since - farAhead ? behind + 1 : 1
      before = at
      if (behind >= 2) {
        latest = at
        behind = 0
        anchored = false
      }
      if (!anchored && behind === 0) {
        yield* tried(Effect.andThen(Effect.andThen(reanchor, cutLeases), Effect.sync(() => anchored = true)))
      }
      if (ticks % ticksBetweenPruning === 1) {
        yield* tried(Effect.all([engine.retime, review, prune, forgetStale(store, at)], { discard: true }))
      }
    }
  })
}
