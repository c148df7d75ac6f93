/**
 * A task store on MongoDB: `import { MongoTaskStore } from "@punctual/mongo"`.
 *
 * @since 0.1.0
 */

/** @since 0.1.0 */
export * as MongoClient from "./MongoClient.ts"

/** @since 0.1.0 */
export * as MongoTaskStore from "./MongoTaskStore.ts"
