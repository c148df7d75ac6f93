/**
 * Scheduling without an engine: what a web process or a command line uses beside the processes that run the tasks.
 *
 * It has the methods of `TaskScheduler` and no requirement on handlers: somebody else has them.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Activity from "./Activity.ts"
import * as Commands from "./internal/engine/commands.ts"
import * as Settings from "./internal/engine/settings.ts"
import * as StoreClock from "./internal/engine/storeClock.ts"
import { TaskSchedulerClient } from "./internal/schedulerTag.ts"
import type * as Policy from "./Policy.ts"
import type { InvalidOption } from "./SchedulerError.ts"
import type { TaskStore } from "./TaskStore.ts"
import { TriggerDefinitions } from "./TriggerDefinitions.ts"

export {
  /**
   * Adds, changes and lists tasks that other processes run.
   *
   * @category services
   * @since 0.1.0
   */
  TaskSchedulerClient
} from "./internal/schedulerTag.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Policies of tasks that say nothing themselves. Give it what the processes that run the tasks have. */
  readonly defaults?: Policy.Options | undefined
  /** IANA zone in which instants without an offset are read. Default: UTC. */
  readonly timeZone?: string | undefined
}

/**
 * A client of the program's store, or stores.
 *
 * **Details**
 *
 * Aliases of executors are accepted as they are: this process does not know which ones others have.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<TaskSchedulerClient, InvalidOption | Policy.InvalidPolicy, TaskStore> =>
  Layer.effect(TaskSchedulerClient)(Effect.gen(function*() {
    const settings = yield* Settings.check(options, ["defaults", "timeZone"], "TaskSchedulerClient.layer")
    const stores = yield* Settings.stores
    return Commands.make({
      stores,
      executors: undefined,
      defaults: settings.defaults,
      definitions: yield* TriggerDefinitions,
      clocks: StoreClock.all(stores.aliases, {
        clock: yield* Clock.Clock,
        activity: yield* Activity.Activity,
        lease: undefined,
        tell: () => {}
      }),
      timeZone: settings.timeZone,
      pollInterval: Settings.defaults.pollInterval,
      seen: () => false,
      heard: () => false,
      emit: () => {},
      waiters: new Map()
    })
  }))
