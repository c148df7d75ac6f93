/**
 * A client of one store, and schedulers that come and go, under virtual time.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Executors from "../../src/Executors.ts"
import * as MemoryTaskStore from "../../src/MemoryTaskStore.ts"
import * as Scheduler from "../../src/TaskScheduler.ts"
import * as Client from "../../src/TaskSchedulerClient.ts"
import type { TaskStore } from "../../src/TaskStore.ts"
import * as TestScheduler from "../../src/testing/TestScheduler.ts"
import { start } from "../utils.ts"

type App = Layer.Layer<never, unknown, Scheduler.Provided>

type Start = (
  App: App,
  options?: Scheduler.Options & { readonly executors?: Layer.Layer<Executors.Executors, unknown, unknown> }
) => Effect.Effect<{
  readonly scheduler: Scheduler.TaskScheduler["Service"]
  readonly close: Effect.Effect<void>
}>

export const together = <A, E>(
  test: (
    start: Start
  ) => Effect.Effect<A, E, Client.TaskSchedulerClient | TaskStore | TestScheduler.TestScheduler | Scope.Scope>,
  Store: Layer.Layer<TaskStore> = MemoryTaskStore.layer
) => {
  class Later extends Context.Service<Later, Start>()("Later") {}
  const Program = Layer.mergeAll(
    Client.layer(),
    Layer.effect(Later)(Effect.gen(function*() {
      const context = yield* Effect.context<Scope.Scope>()
      return (App, options) =>
        Effect.gen(function*() {
          const scope = yield* Scope.fork(Context.get(context, Scope.Scope))
          const layer = Scheduler.layer(App, { drainTimeout: 0, ...options })
          const built = yield* Layer.buildWithScope(layer, scope).pipe(
            Effect.provideContext(context as Context.Context<never>)
          ) as Effect.Effect<Context.Context<Scheduler.TaskScheduler>>
          return { scheduler: Context.get(built, Scheduler.TaskScheduler), close: Scope.close(scope, Exit.void) }
        })
    }))
  ).pipe(Layer.provideMerge(Store))
  return Effect.gen(function*() {
    return yield* test(yield* Later)
  }).pipe(Effect.scoped, Effect.provide(TestScheduler.layerProgram(Program, { now: start })))
}
