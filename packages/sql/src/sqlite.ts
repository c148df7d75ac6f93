/**
 * SQLite, embedded: `import { SqliteTaskStore } from "@punctual/sql/sqlite"`.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as SqlLock from "./SqlLock.ts"

/** @since 0.1.0 */
export * as SqliteClient from "./SqliteClient.ts"

/** @since 0.1.0 */
export * as SqliteTaskStore from "./SqliteTaskStore.ts"

/** @since 0.1.0 */
export * as SqlTaskStore from "./SqlTaskStore.ts"
