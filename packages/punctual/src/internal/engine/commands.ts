/**
 * What people ask of a scheduler, over its stores: the same for a scheduler and for a client without an engine.
 */
import * as Effect from "effect/Effect"
import type * as Task from "../../Task.ts"
import type { Scheduled, ScheduleSettings } from "../../TaskHandle.ts"
import type { TaskStoreError } from "../../TaskStore.ts"
import type { UnknownStore } from "../../TaskStores.ts"
import type { Api } from "../schedulerTag.ts"
import * as Adding from "./adding.ts"
import { type Commanding, nowIn, tellChange } from "./changes.ts"
import { standAside } from "./contention.ts"
import * as Decide from "./decide.ts"
import { Handle } from "./handles.ts"
import { batchSize, instant } from "./host.ts"
import * as Lists from "./lists.ts"
import { instancesOf } from "./presence.ts"
import { cancelRun } from "./runCommands.ts"
import { everywhere } from "./sharing.ts"

export const make = (commanding: Commanding): Api<"anywhere"> => {
  const adding = Adding.make(commanding)

  const handle = <T extends Task.Any>(id: string, store: string | undefined, task: T | undefined) =>
    new Handle<T>(commanding, id, store ?? "default", task)

  const add = (task: Task.Any, options: ScheduleSettings) =>
    Effect.map(adding.addAll([{ task, options }], null), ([added]) => handle(added!.id, options.store, task))

  const addAll = (entries: ReadonlyArray<Scheduled<Task.Any>>) =>
    Effect.map(adding.addAll(entries, null), (answers) =>
      answers.map(({ id }, i) => {
        const { options, task } = entries[i]!
        return handle(id, options.store, task)
      }))

  const reconcile = (
    owner: string,
    entries: ReadonlyArray<Scheduled<Task.Any>>,
    options?: { readonly store?: string | undefined }
  ) => adding.reconcile(owner, entries, options?.store ?? "default")

  const removeAll = (alias: string, owner: string | undefined): Effect.Effect<number, TaskStoreError | UnknownStore> =>
    Effect.gen(function*() {
      const store = yield* commanding.stores.get(alias)
      let removed = 0
      let conflicts = 0
      while (true) {
        const page = yield* store.list({ owner, sort: "id", descending: false, limit: batchSize })
        if (page.items.length === 0) return removed
        const now = yield* nowIn(commanding, alias)
        const tasks = yield* store.get(page.items.map((row) => row.id))
        const changes = tasks.map((task) => Decide.removal(task, now, false))
        const answers = yield* store.commit(changes)
        conflicts = answers.some(({ _tag }) => _tag === "Committed") ? 0 : conflicts + 1
        if (conflicts > 0) yield* standAside(store, conflicts)
        for (let i = 0; i < answers.length; i++) {
          if (answers[i]!._tag !== "Committed") continue
          removed++
          if (commanding.heard()) {
            commanding.emit({ _tag: "TaskRemoved", at: instant(now), store: alias, id: tasks[i]!.row.id })
          }
          yield* tellChange(commanding, alias, store, tasks[i]!, changes[i]!)
        }
      }
    })

  return {
    // The types say what schemas need; everything below works on encoded data.
    add: add as unknown as Api<"anywhere">["add"],
    addAll: addAll as unknown as Api<"anywhere">["addAll"],
    reconcile: reconcile as unknown as Api<"anywhere">["reconcile"],
    handle: (id, options) => handle(id, options?.store, options?.task),
    list: (options) => Lists.tasks(commanding, options),
    runs: (options) => Lists.runs(commanding, options?.store, options, { tag: options?.task?.tag }),
    cancel: (run, options) => cancelRun(commanding, options?.store ?? "default", run.taskId, run.id),
    removeAll: (options) => removeAll(options?.store ?? "default", options?.owner),
    quarantined: (options) =>
      Effect.flatMap(
        commanding.stores.get(options?.store ?? "default"),
        (store) => store.verdicts({ limit: Lists.verdictLimit })
      ),
    instances: (options) => {
      const alias = options?.store ?? "default"
      return Effect.flatMap(
        commanding.stores.get(alias),
        (store) => Effect.flatMap(nowIn(commanding, alias), (now) => instancesOf(store, now))
      )
    },
    eventsEverywhere: (options) => everywhere(commanding.stores, options?.store ?? "default")
  }
}
