/**
 * Postgres without a server: `import { PgliteClient } from "@punctual/sql/pglite"`. Needs `@effect/sql-pg` and
 * `@electric-sql/pglite`.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as PgliteClient from "./PgliteClient.ts"

/** @since 0.1.0 */
export * as SqlLock from "./SqlLock.ts"

/** @since 0.1.0 */
export * as SqlTaskStore from "./SqlTaskStore.ts"
