/**
 * Whether a server can keep a store.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Redis from "effect/persistence/Redis"
import { TaskStoreError } from "punctual/TaskStore"
import { storeError } from "./errors.ts"

/** The oldest version the tests run on. */
const minimum = [7, 0] as const

/** Fails where the server is too old, or may evict keys when its memory is full. */
export const checkServer = (redis: Redis.Redis["Service"], store: string): Effect.Effect<void, TaskStoreError> =>
  Effect.gen(function*() {
    const info = (section: string) =>
      Effect.mapError(redis.send<string>("INFO", section), ({ cause }) => storeError(store, "open", cause))
    const server = parse(yield* info("server"))
    const version = server.get("redis_version") ?? "unknown"
    const [major = 0, minor = 0] = version.split(".").map(Number)
    const refuse = (message: string) =>
      Effect.fail(
        new TaskStoreError({ store, operation: "open", reason: "Unknown", message: `${store}: ${message}` })
      )
    if (!(major > minimum[0] || (major === minimum[0] && minor >= minimum[1]))) {
      return yield* refuse(`the server is Redis ${version}, and ${minimum.join(".")} or newer is needed`)
    }
    const memory = parse(yield* info("memory"))
    const policy = memory.get("maxmemory_policy") ?? "noeviction"
    if (policy !== "noeviction" && memory.get("maxmemory") !== "0") {
      return yield* refuse(
        `the server's maxmemory-policy is ${policy}, which deletes tasks when its memory is full: ` +
          "say CONFIG SET maxmemory-policy noeviction, and the same in its redis.conf"
      )
    }
  })

const parse = (info: string): ReadonlyMap<string, string> =>
  new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(":")
      return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const]
    })
  )
