import { assert, describe, it } from "@effect/vitest"
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as EncryptedTaskStore from "punctual/EncryptedTaskStore"
import * as Task from "punctual/Task"
import { TaskScheduler } from "punctual/TaskScheduler"
import * as TestScheduler from "punctual/testing/TestScheduler"
import * as Trigger from "punctual/Trigger"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import { databaseFile, onFile } from "./internal/files.ts"

const ring: EncryptedTaskStore.Options = {
  current: "2026-11",
  keys: { "2026-11": Redacted.make(new Uint8Array(32).fill(7)) }
}

const encrypted = (filename: string) =>
  EncryptedTaskStore.layer(ring).pipe(Layer.provide(SqliteTaskStore.layer({ filename })))

TaskStoreSuite.suite("sqlite file, encrypted", onFile(encrypted), {
  capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: true }
})

describe("an encrypted SQLite file", () => {
  const canary = "correct-horse-battery-staple"

  class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

  const Send = Task.make("Send", {
    payload: { secret: Schema.String, refuse: Schema.Boolean },
    success: Schema.String,
    error: Refused,
    retry: { times: 1 }
  })

  const SendLive = Send.toLayer(({ refuse, secret }) => refuse ? new Refused({ why: secret }) : Effect.succeed(secret))

  /** Lets payloads, results, errors and retries be written, then looks for them in every file of the database. */
  const written = (store: typeof encrypted) =>
    Effect.gen(function*() {
      const file = yield* databaseFile
      const found = yield* Effect.gen(function*() {
        const scheduler = yield* TaskScheduler
        for (const refuse of [false, true]) {
          yield* scheduler.add(Send, {
            id: String(refuse),
            payload: { secret: canary, refuse },
            trigger: Trigger.every("1 minute"),
            onConflict: "update"
          })
        }
        const runs = yield* TestScheduler.advance("3 minutes")
        assert.strictEqual(runs.filter(({ state }) => state === "succeeded").length, 3)
        assert.strictEqual(runs.filter(({ state }) => state === "failed").length, 3)
        // While it is open, so that the write-ahead log is among them.
        return readdirSync(dirname(file)).filter((name) => readFileSync(join(dirname(file), name)).includes(canary))
      }).pipe(Effect.provide(
        TestScheduler.layer(SendLive, { now: "2026-01-01T00:00:00Z", store: store(file) }),
        { local: true }
      ))
      return found
    })

  it.effect("has nothing of payloads, results and errors in clear, in any of its files", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* written(encrypted), [])
      // That it would be found:
      assert.isNotEmpty(yield* written((filename) => SqliteTaskStore.layer({ filename })))
    }), 30_000)
})
