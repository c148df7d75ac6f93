/**
 * Punctual on one machine: a store in a folder, and stores as files.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as FileLock from "./FileLock.ts"

/** @since 0.1.0 */
export * as FileTaskStore from "./FileTaskStore.ts"

/** @since 0.1.0 */
export * as TaskFile from "./TaskFile.ts"
