/**
 * Work that lives as long as the scheduler: set up once, tick now and then, clean up once.
 *
 *     acquire ──▶ tick ──▶ tick ──▶ … ──▶ scope closes ──▶ finalizers of acquire, last first
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CurrentRun } from "./CurrentRun.ts"
import { TaskScheduler } from "./internal/schedulerTag.ts"
import type { AddEffectError, ScheduleSettings } from "./TaskHandle.ts"
import type * as Trigger from "./Trigger.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<Resource, E, R, E2, R2> {
  /** Makes what the ticks need. Its finalizers are the cleanup. */
  readonly acquire: Effect.Effect<Resource, E, R>
  /** Runs at each occurrence, never twice at once. */
  readonly tick: (resource: Resource) => Effect.Effect<void, E2, R2>
  readonly trigger: Trigger.Trigger
  /** Alias of a volatile store: ticks are closures. Default: `default`. */
  readonly store?: string | undefined
}

/**
 * A lifecycle task as a layer.
 *
 * **When to use**
 *
 * Use it beside the handlers of an application for a connection, a cache or a watcher that must be refreshed on a
 * schedule and closed with the program.
 *
 * **Details**
 *
 * `acquire` runs once, when the layer is built. The finalizers run once, when the application closes: after the drain and
 * the shutdown tasks, so no tick runs during or after them. A tick that fails is a failed run, logged, and the next tick
 * comes. Ticks missed by a slow one are skipped.
 *
 * **Gotchas**
 *
 * A tick is an effect of this process and lives in a volatile store: over a durable one the layer fails with
 * `ClosureNotPersistable`, which says how to give it another.
 *
 * **Example**
 *
 * ```ts
 * const Cache = Lifecycle.layer("cache", {
 *   acquire: Effect.acquireRelease(openCache, (cache) => cache.close),
 *   tick: (cache) => cache.refresh,
 *   trigger: Trigger.every("5 minutes"),
 *   store: "memory"
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Resource, E, R, E2, R2>(
  name: string,
  options: Options<Resource, E, R, E2, R2>
): Layer.Layer<
  never,
  E | AddEffectError,
  TaskScheduler | Exclude<R, Scope.Scope> | Exclude<R2, Scope.Scope | CurrentRun>
> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const resource = yield* options.acquire
    const scheduler = yield* TaskScheduler
    const tick = Effect.tapCause(Effect.suspend(() => options.tick(resource)), (cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError(`A tick of \`${name}\` failed.`, cause))
    const settings: ScheduleSettings = { id: `lifecycle:${name}`, name, trigger: options.trigger, store: options.store }
    yield* scheduler.addEffect(tick, settings)
  }))
