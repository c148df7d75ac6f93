/**
 * Punctual, at its defaults, over each of its stores.
 */
import { newRun } from "@punctual/testing/TaskStoreRecords"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskStore } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"
import type { Store } from "../places.ts"
import { taskOf } from "../rows.ts"
import { type Contender, type Job, parts, period } from "./queue.ts"

const Work = Task.make("Work", { payload: { n: Schema.Int } })

export const punctual = (store: Store): Contender => ({
  place: store.place,
  setup: "defaults",
  role: "own",
  kinds: ["one-off", "recurring", "ready"],
  timed: true,
  open: async (where, name, { kind, shortLease }) => {
    let run: (n: number) => void | Promise<void> = () => {}
    const WorkLive = Work.toLayer(({ n }) =>
      Effect.suspend(() => {
        const done = run(n)
        return done === undefined ? Effect.void : Effect.promise(() => done)
      })
    )
    const scope = Effect.runSync(Scope.make())
    const context = await Effect.runPromise(Layer.buildWithScope(
      TaskScheduler.layer(WorkLive, {
        start: "manual",
        drainTimeout: 0,
        ...shortLease === true ? { lease: "1 second" } : {}
      }).pipe(
        Layer.provideMerge(await store.open(where, name)),
        Layer.provide(Logger.layer([]))
      ),
      scope
    ))
    const scheduler = Context.get(context, TaskScheduler.TaskScheduler)
    const { insert, runs } = Context.get(context, TaskStore)
    const optionsOf = ({ at, n }: Job) => ({
      id: `task-${n}`,
      payload: { n },
      trigger: kind === "recurring"
        ? Trigger.every(period, { start: at! })
        : at === undefined
        ? Trigger.now
        : Trigger.at(at)
    })
    const add = (jobs: ReadonlyArray<Job>) =>
      Effect.runPromise(Effect.provideContext(
        jobs.length === 1
          ? Effect.asVoid(scheduler.add(Work, optionsOf(jobs[0]!)))
          : Effect.asVoid(scheduler.addAll(jobs.map((job) => Task.scheduled(Work, optionsOf(job))))),
        context
      ))
    /** A scheduler would run them at once, or be busy with others: so the store is given them as they are then. */
    const addReady = (jobs: ReadonlyArray<Job>) =>
      Effect.runPromise(
        Effect.forEach(parts(jobs, 1_000), (part) =>
          insert(part.map(({ n }) => ({ ...taskOf(`task-${n}`, n, 1, null), runs: [newRun(1)] }))), { discard: true })
      )
    return {
      add: kind === "ready" ? addReady : add,
      work: (f) => {
        run = f
        return Effect.runPromise(scheduler.start)
      },
      settled: () =>
        Effect.runPromise(Effect.map(runs({ state: "running", limit: 1 }), ({ items }) => items.length === 0)),
      ended: () =>
        Effect.runPromise(Effect.gen(function*() {
          const all: Array<number> = []
          let after: string | undefined
          do {
            const page = yield* runs({ state: "succeeded", limit: 1_000, after })
            all.push(...page.items.map(({ taskId }) => Number(taskId.slice("task-".length))))
            after = page.next ?? undefined
          } while (after !== undefined)
          return all
        })),
      close: () => Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
})
