/**
 * The Redis server of `PUNCTUAL_REDIS_URL`, where there is one.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { describe, it } from "@effect/vitest"
import * as Layer from "effect/Layer"
import * as RedisTaskStore from "../../src/RedisTaskStore.ts"

export const url = process.env["PUNCTUAL_REDIS_URL"]

/** What keys begin with that no other test has. */
export const freshPrefix = (): string => `t${crypto.randomUUID().slice(0, 8)}`

/** Tests that need the server: skipped without it, and failed where servers must be tested. */
export const onServer = (name: string, tests: (url: string) => void): void => {
  if (url !== undefined) describe(name, () => tests(url))
  else if (process.env["PUNCTUAL_REQUIRE_SERVERS"] === "1") {
    it(`${name}: set PUNCTUAL_REDIS_URL, since PUNCTUAL_REQUIRE_SERVERS says that it must be tested`, () => {
      throw new Error("PUNCTUAL_REDIS_URL is not set")
    })
  } else it.skip(`${name}: set PUNCTUAL_REDIS_URL=redis://127.0.0.1:6379 to test it`, () => {})
}

/** A store of its own connection, with the `Redis` service it is on. */
export const storeOf = (url: string, options: RedisTaskStore.Options) =>
  RedisTaskStore.layer(options).pipe(Layer.provideMerge(NodeRedis.layer({ url })))
