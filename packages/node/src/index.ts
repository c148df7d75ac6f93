/**
 * Punctual on one machine: a store in a folder, locks in files, stores as files, workers in threads and processes, commands
 * as tasks, a scheduler as a service.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as CommandTask from "./CommandTask.ts"

/** @since 0.1.0 */
export * as FileLock from "./FileLock.ts"

/** @since 0.1.0 */
export * as FileTaskStore from "./FileTaskStore.ts"

/** @since 0.1.0 */
export * as Health from "./Health.ts"

/** @since 0.1.0 */
export * as NodePunctual from "./NodePunctual.ts"

/** @since 0.1.0 */
export * as ProcessExecutor from "./ProcessExecutor.ts"

/** @since 0.1.0 */
export * as TaskFile from "./TaskFile.ts"

/** @since 0.1.0 */
export * as TaskWorker from "./TaskWorker.ts"

/** @since 0.1.0 */
export * as WorkerExecutor from "./WorkerExecutor.ts"
