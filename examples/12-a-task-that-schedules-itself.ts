/**
 * A handler that schedules its own next run: asks again and again, each time after a longer wait, until it has an answer.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Layer, Schema } from "effect"
import { MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

const Ask = Task.make("Ask", { payload: { question: Schema.String, waited: Schema.Int } })

// Where it stands is in the payload, so it is remembered in the store, not in this process.
const AskLive = Ask.toLayer(
  Effect.fn("Ask")(function*({ question, waited }, run) {
    if (waited >= 4) return yield* Console.log(`${question} Yes, after ${waited} seconds.`)
    const scheduler = yield* TaskScheduler.TaskScheduler
    const seconds = Math.max(1, waited)
    yield* Console.log(`${question} Not yet. I shall ask again in ${seconds} s.`)
    yield* scheduler.add(Ask, {
      // The same run, run again after a crash, adds the same task: it is kept, not doubled.
      id: `${question} ${waited + seconds}`,
      onConflict: "keep",
      payload: { question, waited: waited + seconds },
      trigger: Trigger.at(DateTime.add(run.scheduledAt, { seconds }))
    })
  }, Effect.orDie)
)

const First = Task.layerScheduled(Ask, {
  id: "Are we there?",
  payload: { question: "Are we there?", waited: 0 },
  trigger: Trigger.now
})

export const App = Layer.mergeAll(AskLive, First)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
