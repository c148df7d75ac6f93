/**
 * Several processes, one of which does it: it keeps what it has set up for as long as it holds the lock.
 *
 * Start it in three terminals, and end one, with Ctrl-C or with `kill -9`: another takes over.
 */
import { NodeRuntime } from "@effect/platform-node"
import { FileLock, FileTaskStore } from "@punctual/node"
import { Console, Effect, Layer } from "effect"
import { Lifecycle, MemoryTaskStore, Task, TaskScheduler, TaskStores, Trigger } from "punctual"

const say = (what: string) => Console.log(`${process.pid} ${what}`)

// Only where the lock is held: set up then, ticks, cleaned up before it is given back.
const Leader = Lifecycle.layer("leader", {
  lock: "leader",
  acquire: ({ token }) => Effect.acquireRelease(Effect.as(say("acquired"), token), () => say("cleanup")),
  tick: () => say("tick"), // what fails here is logged, and cleaned up like everything else
  trigger: Trigger.every("500 millis"),
  onFailure: "restart",
  store: "memory"
})

// The same for a stored task: its handler is there only where the lock is held, so all of its runs come to one process.
const Report = Task.make("Report")

const Reports = Layer.mergeAll(
  Lifecycle.exclusive("reports", Report.toLayer(() => say("report"))),
  Task.layerScheduled(Report, { id: "report", trigger: Trigger.every("500 millis"), onConflict: "update" })
)

// Of every process, with or without the lock: the setup before, and a cleanup that is always done.
const Always = Layer.effectDiscard(Effect.acquireRelease(say("setup"), () => say("extra cleanup")))

export const App = Layer.mergeAll(Leader, Reports).pipe(Layer.provide(Always))

/** What they share: a folder of tasks, and one of locks. The system drops the lock of a process that is killed. */
export const shared = (directory: string) =>
  Layer.mergeAll(
    TaskStores.layer({ default: FileTaskStore.layer({ directory }), memory: MemoryTaskStore.layer }),
    FileLock.layer({ path: `${directory}-locks/{name}.lock` })
  )

const Main = TaskScheduler.layer(App).pipe(Layer.provide(shared(process.argv[2] ?? "25-tasks")))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
