/**
 * A Redis that finds no room for its log, where this process may mount a small disk.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mayMount, smallDisk } from "../../../.ci/smallDisk.ts"
import { fullDisk } from "../../sql/test/internal/fullDisk.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { ownServer, withServers } from "./internal/ownServer.ts"

const size = 100_000

const disk = Effect.acquireRelease(
  Effect.sync(() => smallDisk(16)!),
  (disk) => Effect.sync(() => disk.unmount())
)

if (mayMount) {
  withServers("Redis on a full disk", () => {
    it.live(
      "that writes its log each second is Full; with room again a scheduler goes on, and nothing is lost",
      () =>
        Effect.gen(function*() {
          const small = yield* disk
          const server = yield* ownServer("--dir", small.path, "--appendonly", "yes", "--appendfsync", "everysec")
          yield* fullDisk(NodeRedisTaskStore.layer({ url: server.url }), {
            fill: Effect.sync(() => {
              const free = small.fill()
              return Effect.sync(free)
            }),
            reason: "Full",
            hint: /cannot write to its disk/,
            size
          })
        }).pipe(Effect.scoped),
      60_000
    )

    // It does not go on without its log.
    it.live(
      "that always writes its log ends itself; started again with room, nothing is lost",
      () =>
        Effect.gen(function*() {
          const small = yield* disk
          const server = yield* ownServer("--dir", small.path, "--appendonly", "yes", "--appendfsync", "always")
          yield* fullDisk(NodeRedisTaskStore.layer({ url: server.url }), {
            fill: Effect.sync(() => {
              const free = small.fill()
              return Effect.andThen(Effect.sync(free), server.start)
            }),
            reason: "Unavailable",
            hint: /check that it runs/,
            size
          })
        }).pipe(Effect.scoped),
      60_000
    )
  })
} else it.skip("Redis on a full disk: one that can be full takes the rights to mount it (root)", () => {})
