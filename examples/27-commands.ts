/**
 * Commands, as in a crontab: with a result, a bound on what they say, and nothing left behind.
 */
import { NodeRuntime } from "@effect/platform-node"
import { CommandTask } from "@punctual/node"
import { Console, Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import { MemoryTaskStore, Task, TaskScheduler, Trigger } from "punctual"

// The command is the payload: a text for the shell, or an array that no shell sees. One that is out of time is ended with
// everything it has started.
const Cron = CommandTask.make("Cron", { timeout: "5 seconds", whenBusy: "skip" })

const Crontab = Layer.mergeAll(
  // Stored nowhere.
  CommandTask.layer(Cron, { env: { TOKEN: Redacted.make("t0ken") } }),
  Task.layerScheduled(Cron, {
    id: "greet",
    trigger: Trigger.every("3 seconds"),
    payload: { command: "echo \"$PUNCTUAL_TASK, attempt $PUNCTUAL_ATTEMPT, a token of ${#TOKEN} letters\"" }
  }),
  Task.layerScheduled(Cron, {
    id: "grep",
    trigger: Trigger.every("4 seconds"),
    payload: { command: ["grep", "needle"], stdin: "hay\n" }
  })
)

// Where the command follows from something else, it is part of a handler.
const Count = Task.make("Count", { payload: { text: Schema.String }, error: CommandTask.CommandFailed })

const Counts = Layer.mergeAll(
  Count.toLayer(
    Effect.fn("Count")(function*({ text }) {
      const { stdout } = yield* CommandTask.run({ command: ["wc", "-w"], stdin: text })
      yield* Console.log(`${stdout.trim()} words`)
    })
  ),
  Task.layerScheduled(Count, { id: "count", payload: { text: "in the fullness of time" }, trigger: Trigger.now })
)

const Journal = Layer.effectDiscard(TaskScheduler.TaskScheduler.use((scheduler) =>
  scheduler.events.pipe(
    Stream.runForEach(Effect.fnUntraced(function*(event) {
      if (event._tag !== "RunEnded" || event.run.taskId === "count") return
      const exit = Option.getOrThrow(yield* Task.decodeExit(Cron, event.run))
      const error = exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
      yield* Console.log(exit._tag === "Success" ? exit.value.stdout.trim() : error?.error.message)
    })),
    Effect.forkScoped({ startImmediately: true })
  )
))

export const App = Layer.mergeAll(Crontab, Counts, Journal)

const Main = TaskScheduler.layer(App).pipe(Layer.provide(MemoryTaskStore.layer))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
