/**
 * A payload changes its shape while tasks with the old one are stored: each version but the newest has a step to the next.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Layer, Schema } from "effect"
import { MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

// What the first releases stored, and still is stored.
const V1 = { email: Schema.String }
const V2 = { email: Schema.String, language: Schema.String }

const V3 = { to: Schema.Struct({ email: Schema.String, language: Schema.String }), asked: Schema.DateTimeUtcFromString }

export const Remind = Task.make("Remind", {
  version: 3,
  payload: V3,
  migrate: {
    1: Task.migration(V1, V2, ({ email }) => ({ email, language: "en" })),
    2: Task.migration(V2, V3, (to) => {
      // What throws here is set aside, with the reason, until `scheduler.handle(id).restore` or a fixed release.
      if (!to.email.includes("@")) throw new Error("not an address")
      return { to, asked: DateTime.makeUnsafe(0) }
    })
  }
})

const RemindLive = Remind.toLayer(({ asked, to }) =>
  Console.log(`${to.email} in ${to.language}, asked in ${DateTime.getPartUtc(asked, "year")}`)
)

// Stands for what earlier releases left in the store.
const Earlier = Layer.mergeAll(
  Task.layerScheduled(Task.make("Remind", { payload: V1 }), {
    id: "ann",
    payload: { email: "ann@example.com" },
    trigger: Trigger.every("1 day")
  }),
  Task.layerScheduled(Task.make("Remind", { payload: V1 }), {
    id: "bob",
    payload: { email: "bob" },
    trigger: Trigger.every("1 day")
  }),
  Task.layerScheduled(Task.make("Remind", { payload: V2, version: 2 }), {
    id: "cem",
    payload: { email: "cem@example.com", language: "tr" },
    trigger: Trigger.every("1 day")
  })
)

export const App = Layer.mergeAll(RemindLive, Earlier)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
