/**
 * The locks that tests and their processes share.
 */
import * as NodeRedisLock from "../../src/NodeRedisLock.ts"

export const locksOf = (url: string, prefix: string) =>
  NodeRedisLock.layer({ url, prefix, lease: "800 millis", pollInterval: "20 millis" })
