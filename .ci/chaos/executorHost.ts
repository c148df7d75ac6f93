/**
 * A scheduler of a chaos run on executors: `node executorHost.ts <kind> <where> <seed>`. It adds tasks until SIGUSR2.
 */
import { NodeRuntime } from "@effect/platform-node"
import * as CommandTask from "@punctual/node/CommandTask"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Executor from "punctual/Executor"
import * as Executors from "punctual/Executors"
import type * as TaskTypes from "punctual/Task"
import type { TaskRegistry } from "punctual/TaskRegistry"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as Trigger from "punctual/Trigger"
import {
  commandOf,
  type Does,
  type ExecutorKind,
  grace,
  killAfter,
  lease,
  Least,
  LeastCommand,
  Most,
  MostCommand,
  tell,
  timeout
} from "./executorTasks.ts"
import { seeded } from "./random.ts"
import { stores } from "./stores.ts"

const [kind, where, seed] = process.argv.slice(2) as [ExecutorKind, string, string]
const random = seeded(Number(seed))

let enough = false
process.on("SIGUSR2", () => {
  enough = true
})

type Handled = TaskTypes.Handlers<typeof Least | typeof Most>
type Workers = Layer.Layer<Executor.Executor | Handled, unknown>

const workerOptions = {
  module: new URL("executorWorker.ts", import.meta.url),
  handles: [Least, Most],
  max: 2,
  grace,
  maxMemory: 64,
  execArgv: ["--no-warnings"]
} as const

const workersOf: Readonly<Record<Exclude<ExecutorKind, "commands">, () => Promise<Workers>>> = {
  threads: async () => (await import("@punctual/node/WorkerExecutor")).layer(workerOptions),
  processes: async () => (await import("@punctual/node/ProcessExecutor")).layer({ ...workerOptions, killAfter }),
  cluster: async () => {
    const ClusterExecutor = await import("@punctual/cluster/ClusterExecutor")
    const Cluster = await import("../../examples/cluster/cluster.ts")
    return ClusterExecutor.layer({ handles: [Least, Most], capacity: 20 }).pipe(Layer.provide(Cluster.layer()))
  }
}

const commands = Layer.merge(
  CommandTask.layer(LeastCommand, { killAfter }),
  CommandTask.layer(MostCommand, { killAfter })
)

const fibers = Executor.layerFibers({ concurrency: 8 })
/** Where no worker handles the tasks, this program does. */
const executors: Layer.Layer<Executors.Executors | Handled, unknown, TaskRegistry> = kind === "commands"
  ? Layer.merge(Executors.layer({ default: fibers }), commands)
  : Executors.layer({ default: fibers, workers: Layer.unwrap(Effect.promise(workersOf[kind])) })

const whatItDoes = (): Does =>
  kind === "cluster"
    ? "work"
    : random.weighted<Does>({ work: 12, exit: 2, throw: 1, memory: 0.5, compute: 1, leave: kind === "threads" ? 0 : 2 })

/** One whose answer did not come may be there or not, and is not told. */
const adding = Effect.gen(function*() {
  const scheduler = yield* TaskScheduler.TaskScheduler
  let n = 0
  yield* Effect.suspend(() => {
    const most = random.next() < 0.4
    const does = whatItDoes()
    const id = `${most ? "most" : "least"}-${seed}-${n++}`
    // on a cluster it counts from the claim, and runs wait while runners are gone
    const options = { id, trigger: Trigger.now, timeout: kind === "cluster" ? "1 minute" : timeout } as const
    const added = kind === "commands"
      ? Effect.asVoid(
        scheduler.add(most ? MostCommand : LeastCommand, { ...options, payload: { command: commandOf(does) } })
      )
      : Effect.asVoid(scheduler.add(most ? Most : Least, { ...options, payload: { does } }))
    return added.pipe(
      Effect.tap(() => Effect.sync(() => tell({ at: Date.now(), what: "added", task: id }))),
      Effect.ignore
    )
  }).pipe(Effect.repeat({ schedule: Schedule.spaced("400 millis"), while: () => !enough }))
})

const Scheduler = TaskScheduler.layer(
  Layer.effectDiscard(Effect.forkScoped(adding)),
  {
    name: `scheduler-${seed}`,
    lease,
    maxTakeovers: 1_000,
    drainTimeout: "8 seconds",
    pollInterval: "200 millis",
    executors
  }
).pipe(
  Layer.provide(stores[kind === "cluster" ? "postgres" : "sqlite"]!(where)),
  Layer.provide(Logger.layer([]))
)

const Started = Layer.effectDiscard(Effect.sync(() => tell({ at: Date.now(), what: "started" })))

NodeRuntime.runMain(Effect.retry(Layer.launch(Layer.provide(Started, Scheduler)), Schedule.spaced("200 millis")))
