/**
 * Several processes on one store.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { schema } from "../src/internal/library.ts"
import { ownServer, withServers } from "./internal/ownServer.ts"

const adder = (url: string, tasks: number) =>
  Effect.callback<number>((resume) => {
    execFile(
      process.execPath,
      [join(import.meta.dirname, "fixtures/adder.ts"), url, String(tasks)],
      (error, stdout) => resume(error === null ? Effect.succeed(Number(stdout)) : Effect.die(error))
    )
  })

withServers("Redis and its processes", () => {
  it.live("ten that start at once on an empty store add one copy of each task", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      const inserted = yield* Effect.forEach(Array.from({ length: 10 }), () => adder(url, 50), {
        concurrency: "unbounded"
      })
      assert.strictEqual(inserted.reduce((sum, count) => sum + count, 0), 50)
      assert.strictEqual(yield* send<number>("HLEN", "{punctual}:id"), 50)
      assert.deepStrictEqual(yield* send("HMGET", "{punctual}", "schema", "writer"), [String(schema), String(schema)])
    }), 60_000)
})
