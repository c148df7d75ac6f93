/**
 * Runs attempts in child processes: isolated, so that no crash and no native code of theirs ends this program.
 *
 * ```ts
 * const executors = Executors.layer({
 *   default: Executor.layerFibers(),
 *   isolated: ProcessExecutor.layer({ module: new URL("./convert.worker.ts", import.meta.url), handles: [Convert] })
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Executor } from "punctual/Executor"
import type { InvalidOption } from "punctual/SchedulerError"
import type * as Task from "punctual/Task"
import { openChild } from "./internal/childChannel.ts"
import { millis } from "./internal/options.ts"
import { commonNames, type CommonOptions, type Handled, workerLayer, WorkerNotStarted } from "./internal/workerLayer.ts"

export type {
  /** @category utility types @since 0.1.0 */
  Handled
} from "./internal/workerLayer.ts"

export {
  /** @category errors @since 0.1.0 */
  WorkerNotStarted
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<T extends Task.Any = never> extends CommonOptions<T> {
  /** Their working folder. Default: this program's. */
  readonly cwd?: string | undefined
  /** From SIGTERM to SIGKILL. Default: 1 s. */
  readonly killAfter?: Duration.Input | undefined
}

/**
 * A pool of child processes, each with the handlers of `module`.
 *
 * **Details**
 *
 * As `WorkerExecutor.layer`, in processes of their own. A process that does not end when it is asked gets SIGTERM and,
 * after `killAfter`, SIGKILL, with every process it has started: each is the leader of a process group. So is what it
 * left behind when it ended by itself. Their output is this program's.
 *
 * When this program is killed, they see it, interrupt what runs, and are gone after `grace`, whatever they are at.
 *
 * **Gotchas**
 *
 * What a handler starts in a process group of its own (`detached`) is not ended with its worker. On Windows there are no
 * process groups, and workers see the end of this program only when they are not computing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const T extends Task.Any = never>(
  options: Options<T>
): Layer.Layer<Executor | Handled<T>, WorkerNotStarted | InvalidOption> =>
  Layer.unwrap(Effect.map(millis("killAfter", options.killAfter, 1_000), (killAfter) =>
    workerLayer(options, {
      where: "ProcessExecutor.layer",
      name: "processes",
      optionNames: [...commonNames, "cwd", "killAfter"],
      open: (start, module) =>
        openChild({
          module,
          start,
          maxMemory: options.maxMemory,
          execArgv: options.execArgv,
          env: options.env,
          cwd: options.cwd,
          killAfter
        })
    }))) as never
