/**
 * The stores of a chaos run, by name. Each is loaded when it is asked for: an earlier commit does not have them all.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { TaskStore, TaskStoreError } from "punctual/TaskStore"

type Store = Layer.Layer<TaskStore, TaskStoreError>

const later = (load: () => Promise<Store>): Store => Layer.unwrap(Effect.promise(load))

/** `where` is a file, a folder or a URL. */
export const stores: Readonly<Record<string, (where: string) => Store>> = {
  sqlite: (filename) => later(async () => (await import("@punctual/sql/SqliteTaskStore")).layer({ filename })),
  file: (directory) => later(async () => (await import("@punctual/node/FileTaskStore")).layer({ directory })),
  postgres: (url) =>
    later(async () => (await import("@punctual/sql/PostgresTaskStore")).layer({ url, prefix: "chaos" })),
  mysql: (url) => later(async () => (await import("@punctual/sql/MysqlTaskStore")).layer({ url, prefix: "chaos" })),
  redis: (url) =>
    later(async () => (await import("@punctual/redis/NodeRedisTaskStore")).layer({ url, prefix: "chaos" }))
}
