/**
 * From one store to another: what was due is not forgotten, what ran is not run again.
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { FileTaskStore, TaskFile } from "@punctual/node"
import { SqliteTaskStore } from "@punctual/sql/sqlite"
import { Console, DateTime, Effect, FileSystem, Layer, Schema } from "effect"
import { Task, TaskScheduler, Trigger } from "punctual"

const Invoice = Task.make("Invoice", { payload: { customer: Schema.String } })

export const App = Layer.mergeAll(
  Invoice.toLayer(({ customer }, run) => {
    const due = DateTime.formatIso(run.scheduledAt).slice(11, 19)
    return Console.log(`${due} invoice for ${customer}, ${run.attempt === 1 ? "first" : "another"} attempt`)
  }),
  Task.layerScheduled(Invoice, {
    id: "invoice-acme",
    payload: { customer: "acme" },
    trigger: Trigger.every("2 seconds"),
    coalesce: "none",
    onConflict: "update"
  })
)

/** Any two stores: a database server on either side is another layer here. */
export const stores = (folder: string) => ({
  before: SqliteTaskStore.layer({ filename: `${folder}/before.db` }),
  after: FileTaskStore.layer({ directory: `${folder}/after` })
})

/** While nobody works on either: a store that somebody works on is not exported. The file is JSON, a task a line. */
export const move = Effect.fn("move")(function*(folder: string) {
  const { after, before } = stores(folder)
  const file = `${folder}/tasks.jsonl`
  yield* TaskFile.exportTo(file).pipe(Effect.provide(before, { local: true }))
  const { inserted } = yield* TaskFile.importFrom(file).pipe(Effect.provide(after, { local: true }))
  yield* Console.log(`${inserted} task moved`)
})

const Main = Effect.gen(function*() {
  const folder = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
  const { after, before } = stores(folder)
  const runs = (store: typeof before) => TaskScheduler.layer(App).pipe(Layer.provide(store))
  yield* Effect.sleep("5 seconds").pipe(Effect.provide(runs(before), { local: true }))
  yield* move(folder)
  yield* Layer.launch(runs(after))
})
if (import.meta.main) NodeRuntime.runMain(Effect.scoped(Main).pipe(Effect.provide(NodeServices.layer)))
