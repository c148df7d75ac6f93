/**
 * What tests do with a Redis server.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Layer from "effect/Layer"
import * as RedisTaskStore from "../../src/RedisTaskStore.ts"

/** What keys begin with that no other test has. */
export const freshPrefix = (): string => `t${crypto.randomUUID().slice(0, 8)}`

/** A store of its own connection, with the `Redis` service it is on. */
export const storeOf = (url: string, options: RedisTaskStore.Options) =>
  RedisTaskStore.layer(options).pipe(Layer.provideMerge(NodeRedis.layer({ url })))
