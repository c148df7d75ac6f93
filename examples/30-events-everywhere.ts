/**
 * What all schedulers of a store do, as one stream: for a wall in the office, or an alarm.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { MemoryTaskStore, type SchedulerEvent, Task, TaskScheduler, TaskSchedulerClient, Trigger } from "punctual"

const Bake = Task.make("Bake")
const Wrap = Task.make("Wrap")

// Two schedulers, each with work of its own. On Postgres or Redis they are programs on machines of their own.
const Bakery = TaskScheduler.layer(
  Layer.mergeAll(
    Bake.toLayer(() => Effect.void),
    Task.layerScheduled(Bake, { id: "bread", trigger: Trigger.every("2 seconds") })
  ),
  { name: "bakery" }
)

const Shop = TaskScheduler.layer(
  Layer.mergeAll(
    Wrap.toLayer(() => Effect.void),
    Task.layerScheduled(Wrap, { id: "gift", trigger: Trigger.every("3 seconds") })
  ),
  { name: "shop" }
)

// A process that runs nothing can listen. They tell as long as somebody does: what nobody hears costs nothing.
const told = ({ event, lost, scheduler }: SchedulerEvent.SharedEvent): string => {
  const [name] = scheduler.split("#")
  const what = event._tag === "RunEnded" ? `${event.run.taskId} ${event.run.state}` : event._tag
  // Told at most once: who was slow or cut off learns how much he missed, and asks the store what became of it.
  return lost === 0 ? `${name}: ${what}` : `${name}: ${what} (${lost} more before that)`
}

const Wall = Layer.effectDiscard(TaskSchedulerClient.TaskSchedulerClient.use((client) =>
  client.eventsEverywhere().pipe(
    Stream.filter(({ event }) => event._tag !== "RunStarted"),
    Stream.runForEach((shared) => Console.log(told(shared))),
    Effect.forkScoped({ startImmediately: true })
  )
))

export const Main = Layer.mergeAll(Bakery, Shop).pipe(
  Layer.provide(Wall),
  Layer.provide(TaskSchedulerClient.layer()),
  Layer.provide(MemoryTaskStore.layer) // or PostgresTaskStore, NodeRedisTaskStore
)

if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
