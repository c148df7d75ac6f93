/**
 * Whether a scheduler is alive and ready, over HTTP.
 *
 *     GET /healthz   503 when its loop is silent: restart it         200 otherwise, also while a store is away
 *     GET /readyz    503 unless it runs, every store answers, and    200 otherwise
 *                       the leases of its runs are extended
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { TaskScheduler } from "punctual/TaskScheduler"
import { type StoreHealth, storesOf } from "./internal/health.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `/healthz`. */
  readonly live?: HttpRouter.PathInput | undefined
  /** Default: `/readyz`. */
  readonly ready?: HttpRouter.PathInput | undefined
  /** How long a store may take to answer; less than the probe waits. Default: 2 s. */
  readonly timeout?: Duration.Input | undefined
  /**
   * How long ago the lease of a run that is at work here may have been extended last. Default: two thirds of the
   * scheduler's `lease`, which is after one extension that failed and the next one that is late.
   */
  readonly maxLeaseAge?: Duration.Input | undefined
}

/**
 * Routes for probes.
 *
 * **Details**
 *
 * Both answer JSON: `state` (`running`, `paused`, `stopping`, `idle`), `running` (how many runs are at work here) and, for
 * each store, whether it is `reachable`, `beatAgeMillis` (how long ago the scheduler told it of itself, which it does
 * every 10 s), `leaseAgeMillis` (how long ago the lease was extended that has waited longest, of the runs that are at work
 * here; it is extended three times in each `lease`) and the `problem`. A scheduler that is paused, closing or not started is alive and not ready.
 *
 * **Example**
 *
 * ```ts
 * const Probes = HttpRouter.serve(Health.layer()).pipe(
 *   Layer.provide(Scheduler),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 8080 }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  { live = "/healthz", maxLeaseAge, ready = "/readyz", timeout = "2 seconds" }: Options = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter | TaskScheduler> =>
  Layer.unwrap(Effect.map(TaskScheduler, (scheduler) => {
    const patience = Duration.fromInputUnsafe(timeout)
    const leaseAge = maxLeaseAge === undefined ? undefined : Duration.fromInputUnsafe(maxLeaseAge)
    const answer = (well: (state: string, stores: ReadonlyArray<StoreHealth>) => boolean) =>
      Effect.gen(function*() {
        const stores = yield* storesOf(scheduler, patience, leaseAge)
        const { running, state } = yield* scheduler.status
        return HttpServerResponse.jsonUnsafe(
          { state, running: running.length, stores },
          { status: well(state, stores) ? 200 : 503 }
        )
      })
    return Layer.mergeAll(
      HttpRouter.add("GET", live, answer((_, stores) => !stores.some(({ silent }) => silent))),
      HttpRouter.add(
        "GET",
        ready,
        answer((state, stores) =>
          state === "running" && stores.every(({ overdue, reachable, silent }) => reachable && !silent && !overdue)
        )
      )
    )
  }))
