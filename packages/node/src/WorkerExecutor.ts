/**
 * Runs attempts in worker threads of this process: code that computes, and that must stop when it is told to.
 *
 * ```ts
 * const executors = Executors.layer({
 *   default: Executor.layerFibers(),
 *   threads: WorkerExecutor.layer({ module: new URL("./render.worker.ts", import.meta.url), handles: [Render] })
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type { Executor } from "punctual/Executor"
import type { InvalidOption } from "punctual/SchedulerError"
import type * as Task from "punctual/Task"
import { openThread } from "./internal/threadChannel.ts"
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
export type Options<T extends Task.Any = never> = CommonOptions<T>

/**
 * A pool of threads, each with the handlers of `module`.
 *
 * **Details**
 *
 * The layer starts one worker and fails with `WorkerNotStarted` where that does not work; the rest of `min` follow, others
 * start when they are needed. `max` × `perWorker` runs at once. Unknown options are refused with `InvalidOption`.
 *
 * An interrupted run is interrupted in its thread; where its handler has not ended after `grace`, since it computes or
 * does not listen, the thread is ended and replaced. A timeout does the same. So nothing goes on computing after that,
 * and a run whose lease was lost has stopped before the lease ends. A thread that ends by itself (`process.exit`, an
 * uncaught error, no memory left) loses its runs: see `RunResult`. Closing the layer interrupts what runs, and ends every
 * thread within `grace` and 1 s.
 *
 * **Gotchas**
 *
 * A thread that waits in native code (`execSync`, `readSync` of a pipe) ends when that returns: `ProcessExecutor` ends
 * those, too. A crash of native code ends the whole program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const T extends Task.Any = never>(
  options: Options<T>
): Layer.Layer<Executor | Handled<T>, WorkerNotStarted | InvalidOption> =>
  workerLayer(options, {
    where: "WorkerExecutor.layer",
    name: "threads",
    optionNames: commonNames,
    open: (start, module) =>
      openThread({ module, start, maxMemory: options.maxMemory, execArgv: options.execArgv, env: options.env })
  })
