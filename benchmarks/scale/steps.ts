/**
 * What an engine does with what is due, without an engine: read it, commit it with a ready run each, claim the runs, settle
 * them. Time is an argument.
 */
import { change, newRun } from "@punctual/testing/TaskStoreRecords"
import * as Effect from "effect/Effect"
import type { TaskStore, TaskStoreError } from "punctual/TaskStore"

/** 2026-01-01 */
export const begin = 1_767_225_600_000

export const year = 365 * 86_400_000

export const id = (n: number): string => `task-${String(n).padStart(7, "0")}`

/** Each call of the store, by what was done, takes its time. */
export type Timed = <A>(what: string, effect: Effect.Effect<A, TaskStoreError>) => Effect.Effect<A, TaskStoreError>

/** As many as an engine reads at once. */
const page = 500

/** Answers the tasks that were due, of which there are `count`. */
export const runDue = (
  store: TaskStore["Service"],
  now: number,
  count: number,
  /** How much later they are due again. */
  later: number,
  timed: Timed = (_, effect) => effect
) =>
  Effect.gen(function*() {
    const lease = { owner: "bench", until: now + 30_000 }
    const ids: Array<string> = []
    while (ids.length < count) {
      const limit = Math.min(page, count - ids.length)
      const { tasks: due } = yield* timed("due", store.due({ now, limit: page, reader: "bench", zoneRules: "" }))
      if (due.length !== limit) return yield* Effect.die(new Error(`${due.length} tasks are due, not ${limit}`))
      const changes = due.map(({ row }) =>
        change(row, now, {
          set: {
            cursor: now,
            due: row.due! + later,
            nominal: row.due! + later,
            counters: { ...row.counters, ran: row.counters.ran + 1 }
          },
          runs: [{ _tag: "Create", run: newRun(row.due!) }]
        })
      )
      yield* timed("commit", store.commit(changes))
      const slots = [{ executor: "default", tag: "Work", version: 1, limit }]
      const { runs } = yield* timed("claim", store.claim({ now, lease, slots, limit, reader: "bench" }))
      if (runs.length !== limit) return yield* Effect.die(new Error(`${runs.length} runs were claimed, not ${limit}`))
      const settled = yield* timed(
        "settle",
        store.settle(
          runs.map(({ run }) => ({
            generation: run.generation,
            key: run.key,
            token: run.token!,
            owner: lease.owner,
            now,
            result: { _tag: "End", state: "succeeded", exit: null }
          })),
          { keep: 10 }
        )
      )
      if (settled.some((answer) => answer !== "Settled")) return yield* Effect.die(new Error("a run was not settled"))
      for (const { row } of due) ids.push(row.id)
    }
    return ids
  })
