/**
 * Effects of this process as tasks: each has a tag of its own, handled for as long as its task exists.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import { ClosureNotPersistable, DuplicateTask } from "../../SchedulerError.ts"
import * as Task from "../../Task.ts"
import type { ScheduleSettings } from "../../TaskHandle.ts"
import type { TaskRegistry } from "../../TaskRegistry.ts"
import type { TaskStore } from "../../TaskStore.ts"
import type { TaskScheduler, TaskSchedulerClient } from "../schedulerTag.ts"
import { randomId } from "./adding.ts"
import { type Hub, isElsewhere } from "./host.ts"

/** What the tags of effects begin with, before the task they are. */
const closure = "effect:"

export const isClosure = (tag: string): boolean => tag.startsWith(closure)

export const make = ({ api, hub, registry, scope, stores }: {
  readonly api: Context.Service.Shape<typeof TaskSchedulerClient>
  readonly hub: Hub
  readonly registry: TaskRegistry["Service"]
  readonly scope: Scope.Scope
  readonly stores: ReadonlyMap<string, TaskStore["Service"]>
}): Context.Service.Shape<typeof TaskScheduler>["addEffect"] => {
  const registrations = new Map<string, Scope.Closeable>()

  const release = (key: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const registration = registrations.get(key)
      registrations.delete(key)
      return registration === undefined ? Effect.void : Scope.close(registration, Exit.void)
    })

  // A handler goes with its task, however that was removed. Nobody listens before there is an effect to watch.
  let watching = false
  const watch = (): void => {
    if (watching) return
    watching = true
    hub.add({
      onEvent: (event) => {
        if (event._tag !== "TaskRemoved") return
        const key = `${event.store}/${event.id}`
        if (registrations.has(key)) Effect.runFork(release(key))
      },
      onEnd: () => {}
    })
  }

  return ((effect: Effect.Effect<unknown, unknown, never>, options: ScheduleSettings) =>
    Effect.gen(function*() {
      const id = options.id ?? randomId(yield* Random.Random)
      const alias = options.store ?? "default"
      const store = stores.get(alias)
      if (store !== undefined && isElsewhere(store)) return yield* new ClosureNotPersistable({ id, store: alias })
      const context = yield* Effect.context<never>()
      const task = yield* Effect.try({
        try: () => Task.make(`${closure}${alias}/${id}`, { name: options.name ?? id }),
        catch: (error) => error as Task.InvalidTask
      })
      const key = `${alias}/${id}`
      if (registrations.has(key)) {
        const [existing] = store === undefined ? [] : yield* store.get([id])
        if (existing !== undefined && options.onConflict === "keep") return api.handle(id, { task, store: alias })
        if (existing !== undefined && (options.onConflict ?? "fail") === "fail") {
          return yield* new DuplicateTask({ id, store: alias })
        }
        // Gone, replaced or updated: this effect is the one from now on, once runs of the other have ended.
        yield* release(key)
      }
      watch()
      const registration = yield* Scope.fork(scope)
      yield* registry.register(task, {
        handler: () => Effect.asVoid(effect) as Effect.Effect<void, never>,
        context: Context.omit(Scope.Scope)(context)
      }).pipe(Scope.provide(registration))
      registrations.set(key, registration)
      return yield* Effect.onError(api.add(task, { ...options, id, store: alias }), () => release(key))
    })) as never
}
