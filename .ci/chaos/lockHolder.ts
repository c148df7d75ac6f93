/**
 * A program that wants a lock, again and again: `node lockHolder.ts <kind> <where> <file for its lines> <seed>`
 */
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import { openSync, writeSync } from "node:fs"
import { Lock } from "punctual/Lock"
import { lease, type Line, type LockKind } from "./lockLines.ts"
import { seeded } from "./random.ts"

const [kind, where, lines, seed] = process.argv.slice(2) as [LockKind, string, string, string]
const random = seeded(Number(seed))

// written at once: a killed process takes what it has only buffered with it
const file = openSync(lines, "a")
const tell = (what: Line["what"], token: number) =>
  Effect.sync(() => {
    const line: Line = { at: Date.now(), what, token }
    writeSync(file, `${JSON.stringify(line)}\n`)
  })

const later = (load: () => Promise<Layer.Layer<Lock, unknown>>) => Layer.unwrap(Effect.promise(load))

const layers: Readonly<Record<LockKind, Layer.Layer<Lock, unknown>>> = {
  file: later(async () => (await import("@punctual/node/FileLock")).layer({ path: where })),
  sql: later(async () => {
    const SqliteClient = await import("@punctual/sql/SqliteClient")
    const SqlLock = await import("@punctual/sql/SqlLock")
    return SqlLock.layer({ lease }).pipe(Layer.provide(SqliteClient.layer({ filename: where })))
  }),
  postgres: later(async () => (await import("@punctual/sql/PostgresLock")).layer({ url: where })),
  redis: later(async () => (await import("@punctual/redis/NodeRedisLock")).layer({ url: where, lease }))
}

/** What is done under the lock: something every now and then, as a receiver would see it. */
const turn = Effect.gen(function*() {
  const lock = yield* Lock
  yield* tell("asks", 0)
  const held = yield* lock.hold("chaos")
  yield* tell("held", held.token)
  const acts = Effect.repeat(Effect.andThen(Effect.sleep("20 millis"), tell("act", held.token)), {
    times: 2 + random.integer(15)
  })
  yield* Effect.raceFirst(acts, held.awaitLost).pipe(
    Effect.andThen(tell("end", held.token)),
    Effect.catchTag("LockLost", () => tell("lost", held.token))
  )
}).pipe(Effect.scoped)

const work = Effect.forever(Effect.andThen(
  Effect.retry(turn, Schedule.spaced("100 millis")),
  Effect.suspend(() => Effect.sleep(random.between(0, 50)))
))

NodeRuntime.runMain(
  work.pipe(Effect.provide(layers[kind].pipe(Layer.provide(Logger.layer([])))))
)
