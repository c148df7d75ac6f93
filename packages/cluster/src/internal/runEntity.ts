/**
 * What schedulers and runners say to each other: an entity whose messages are answered or lost, and never stored, since
 * the runs themselves are in a task store.
 *
 *     scheduler                                    runner that owns the entity
 *     ticket ─────────────────────────────────────▶ hands out a ticket, which is worth one beginning, here
 *     run { ticket, record } ─────────────────────▶ begins it, or finds it begun; answers when it has ended
 *     stop { ticket } ────────────────────────────▶ interrupts it; answers when its finalizers have run
 *
 * A cluster sends a message again, to whoever owns the entity then, when the connection breaks before the answer. The
 * ticket is what makes that harmless: nobody but the runner that gave it out honours it, and that one only once.
 */
import * as Entity from "effect/cluster/Entity"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import type { RunRecord, RunResult } from "punctual/Executor"

/**
 * Changes whenever a message does: part of the entity's name, so that versions that cannot talk do not.
 *
 * @internal
 */
export const protocolVersion = 2

const SpanIds = Schema.Struct({ traceId: Schema.String, spanId: Schema.String, sampled: Schema.Boolean })

/**
 * The span that an attempt's own belong under.
 *
 * @internal
 */
export type SpanIds = typeof SpanIds.Type

const Ended = { exit: Schema.String, retryAfter: Schema.NullOr(Schema.Number) }

const Result: Schema.Codec<RunResult> = Schema.Union([
  Schema.Struct({ _tag: Schema.tag("Succeeded"), exit: Schema.String }),
  Schema.Struct({ _tag: Schema.tag("Failed"), ...Ended }),
  Schema.Struct({ _tag: Schema.tag("TimedOut"), ...Ended }),
  Schema.Struct({ _tag: Schema.tag("WorkerLost"), reason: Schema.String, blameless: Schema.Boolean }),
  Schema.Struct({
    _tag: Schema.tag("Postponed"),
    retryAfter: Schema.Number,
    reason: Schema.Literals(["rateLimited", "limiterAway"])
  }),
  Schema.Struct({
    _tag: Schema.tag("Unreadable"),
    reason: Schema.String,
    unhandled: Schema.optionalKey(Schema.Literal(true))
  })
])

/**
 * @internal
 */
export const make = (name: string) =>
  Entity.make(`punctual/${name}/v${protocolVersion}`, [
    // `null`: not now, this runner is about to close.
    Rpc.make("ticket", { success: Schema.NullOr(Schema.String) }),
    Rpc.make("run", {
      payload: {
        ticket: Schema.String,
        /** JSON text of the `RunRecord`: the runner's own version of Punctual reads it. */
        record: Schema.String,
        span: Schema.optionalKey(SpanIds),
        /** What the run is counted as under virtual time. */
        label: Schema.optionalKey(Schema.String)
      },
      success: Result
    }),
    Rpc.make("stop", { payload: { ticket: Schema.String } })
  ])

/**
 * Which entity a run belongs to. All claims of one run go to one entity, so that a runner that still has an earlier one
 * notices; how many there are is a matter of how evenly they spread over shards.
 *
 * @internal
 */
export const entityIdOf = ({ run, store }: RunRecord): string => {
  const text = `${store} ${run.generation} ${run.key}`
  // FNV-1a
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return `runs-${(hash >>> 0) % entities}`
}

const entities = 1_024

/**
 * Names a run among all runs of all stores that share a cluster: stores count generations on their own.
 *
 * @internal
 */
export const identityOf = ({ run, store }: RunRecord): string =>
  JSON.stringify([store, run.taskId, run.tag, run.generation, run.key, run.createdAt])
