/**
 * What the processes of a chaos run have in common: the tasks, and the words in which they are told.
 */
import * as Schema from "effect/Schema"
import * as Task from "punctual/Task"
import * as Trigger from "punctual/Trigger"

/** A worker's file has one line for each of these, written before the handler goes on. */
export type Line =
  | { readonly at: number; readonly what: "started" }
  /** A one-off task, once the store has answered that it is there. */
  | { readonly at: number; readonly what: "added"; readonly task: string }
  | { readonly at: number; readonly what: "begin"; readonly task: string; readonly run: string; readonly token: number }
  | { readonly at: number; readonly what: "end"; readonly task: string; readonly run: string; readonly token: number }
  /** Interrupted: by a lost lease, a shutdown. */
  | { readonly at: number; readonly what: "stop"; readonly task: string; readonly run: string; readonly token: number }
  /** The store does not answer, or is there again. */
  | { readonly at: number; readonly what: "away"; readonly message: string }
  | { readonly at: number; readonly what: "recovered" }

/** How long the handlers take at most, in milliseconds. */
export const takes: Readonly<Record<string, number>> = { Skip: 400, Queue: 2_500, Pair: 2_500, Mark: 300, Once: 100 }

export const Skip = Task.make("Skip")
export const Queue = Task.make("Queue", { whenBusy: "queue" })
export const Pair = Task.make("Pair", { maxInstances: 2, coalesce: "none", catchUpLimit: 5 })
export const Mark = Task.make("Mark", { delivery: "atMostOnce" })
export const Once = Task.make("Once", { payload: { text: Schema.String } })

const times = <A>(count: number, make: (i: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => make(i))
const onConflict = "keep"

/** Every worker adds them; the first that does wins. */
export const recurring = [
  ...times(10, (i) => Task.scheduled(Skip, { id: `skip-${i}`, trigger: Trigger.every("1 second"), onConflict })),
  ...times(5, (i) => Task.scheduled(Queue, { id: `queue-${i}`, trigger: Trigger.every("2 seconds"), onConflict })),
  ...times(3, (i) => Task.scheduled(Pair, { id: `pair-${i}`, trigger: Trigger.every("1 second"), onConflict })),
  ...times(5, (i) => Task.scheduled(Mark, { id: `mark-${i}`, trigger: Trigger.every("1 second"), onConflict }))
]

/** Runs of one task that may be open at once. */
export const instances: Readonly<Record<string, number>> = { Skip: 1, Queue: 1, Pair: 2, Mark: 1, Once: 1 }

/** Milliseconds. */
export const lease = 4_000
export const storeTimeout = 2_000
