/**
 * Punctual on one machine: a store in a folder, locks and stores as files, a scheduler as a service.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as FileLock from "./FileLock.ts"

/** @since 0.1.0 */
export * as FileTaskStore from "./FileTaskStore.ts"

/** @since 0.1.0 */
export * as Health from "./Health.ts"

/** @since 0.1.0 */
export * as NodePunctual from "./NodePunctual.ts"

/** @since 0.1.0 */
export * as TaskFile from "./TaskFile.ts"
