/**
 * What runs inside of a worker: the handlers that `WorkerExecutor` and `ProcessExecutor` send runs to.
 *
 *     program                                   worker
 *     TaskScheduler ─▶ Executor ──── Run ─────▶ serve(Handlers) ─▶ TaskRunner ─▶ handler
 *                               ◀─ Began, Log, Ended ─┘
 *
 * @since 0.1.0
 */
import type * as Layer from "effect/Layer"
import type { TaskRegistry } from "punctual/TaskRegistry"
import { serveFrom } from "./internal/workerMain.ts"
import { findParent } from "./internal/workerParent.ts"

/**
 * Serves these handlers to the executor that started this thread or process: the last line of a worker's module.
 *
 * **Details**
 *
 * The layer is built once per worker and closed when the worker is told to end. Payloads, results and errors cross
 * encoded; a handler has its own `CurrentRun` (attempt, times, fencing token), and its spans are children of the run's.
 * What it logs is logged by the program, annotated with the task, the run, the attempt and the trace; a layer that
 * provides loggers of its own keeps them.
 *
 * Elsewhere it does nothing, so that a program or a test can import the module for what else it exports.
 *
 * **Example**
 *
 * ```ts
 * // render.worker.ts
 * TaskWorker.serve(RenderLive.pipe(Layer.provide(FontsLive)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const serve = <A, E>(handlers: Layer.Layer<A, E, TaskRegistry>): void => {
  const parent = findParent()
  if (parent !== undefined) serveFrom(parent, handlers)
}
