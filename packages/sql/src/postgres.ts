/**
 * Postgres: `import { PostgresTaskStore } from "@punctual/sql/postgres"`. Needs `@effect/sql-pg`.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as PostgresTaskStore from "./PostgresTaskStore.ts"

/** @since 0.1.0 */
export * as PostgresLock from "./PostgresLock.ts"

/** @since 0.1.0 */
export * as SqlLock from "./SqlLock.ts"

/** @since 0.1.0 */
export * as SqlTaskStore from "./SqlTaskStore.ts"
