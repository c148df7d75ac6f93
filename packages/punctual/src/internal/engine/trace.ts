/**
 * Spans of runs: the child of who added a one-off task, linked to who added a recurring one.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import { runId } from "../../TaskInfo.ts"
import type { RunRow, TaskRow } from "../../TaskRecord.ts"
import * as Trigger from "../../Trigger.ts"
import type { TriggerDefinitions } from "../triggerDefinitions.ts"
import * as TriggerText from "../triggerText.ts"

/** W3C Trace Context, `traceparent`: version, trace id, parent id, flags. */
const traceparent = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** The `traceparent` of a span, if its ids have the form the standard asks for. */
export const encodeParent = (span: Option.Option<Tracer.AnySpan>): string | null => {
  if (Option.isNone(span)) return null
  const text = `00-${span.value.traceId}-${span.value.spanId}-${span.value.sampled ? "01" : "00"}`
  return traceparent.test(text) ? text : null
}

const decodeParent = (text: string | null): Tracer.ExternalSpan | undefined => {
  const match = text === null ? null : traceparent.exec(text)
  return match === null
    ? undefined
    : Tracer.externalSpan({ traceId: match[1]!, spanId: match[2]!, sampled: match[3] !== "00" })
}

export const runSpan = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  run: RunRow,
  task: TaskRow,
  definitions: TriggerDefinitions
) => {
  const adder = decodeParent(task.trace)
  const trigger = TriggerText.decode(task.trigger, definitions)
  const recurring = Result.isFailure(trigger) || Trigger.isRecurring(trigger.success)
  return Effect.withSpan(effect, `punctual.run ${run.tag}`, {
    kind: "consumer",
    attributes: {
      "punctual.task.id": run.taskId,
      "punctual.task.tag": run.tag,
      "punctual.run.id": runId(run),
      "punctual.run.attempt": run.attempt,
      "punctual.run.due": run.due
    },
    ...(adder === undefined
      ? { root: true }
      : recurring
      ? { root: true, links: [{ span: adder, attributes: {} }] }
      : { parent: adder })
  })
}
