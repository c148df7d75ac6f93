/**
 * MySQL and MariaDB: `import { MysqlTaskStore } from "@punctual/sql/mysql"`. Needs `mysql2`.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as MysqlClient from "./MysqlClient.ts"

/** @since 0.1.0 */
export * as MysqlTaskStore from "./MysqlTaskStore.ts"

/** @since 0.1.0 */
export * as SqlLock from "./SqlLock.ts"

/** @since 0.1.0 */
export * as SqlTaskStore from "./SqlTaskStore.ts"
