/**
 * I10: what a call costs the server is what it returns, however much else is stored. Counted in commands, which are of
 * logarithmic or constant cost themselves.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TaskStore } from "punctual/TaskStore"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { type OwnServer, ownServer, withServers } from "./internal/ownServer.ts"
import { claimOf, newRun, newTask } from "./internal/records.ts"

/** How often each command was called, inside of scripts too. */
const calls = ({ send }: OwnServer) =>
  Effect.map(send<string>("INFO", "commandstats"), (info) =>
    Object.fromEntries(
      Array.from(info.matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g), ([, command, count]) => [command, Number(count)])
        .filter(([command]) => command !== "info" && command !== "hello" && !String(command).includes("|"))
    ))

const ended = { _tag: "End", state: "succeeded", exit: null } as const

/** Claims 20 runs of ours, renews and settles them, and answers what each cost. */
const costs = (server: OwnServer) =>
  Effect.gen(function*() {
    const store = yield* TaskStore
    const counted = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.gen(function*() {
        yield* server.send("CONFIG", "RESETSTAT")
        const answer = yield* effect
        return [answer, yield* calls(server)] as const
      })
    yield* store.insert(
      Array.from({ length: 20 }, (_, i) => newTask(`ours-${i}`, { due: 2_000, runs: [newRun(1_000 + i)] }))
    )
    const [{ runs }, claim] = yield* counted(store.claim(claimOf(1_500, 20)))
    assert.strictEqual(runs.length, 20)
    const refs = runs.map(({ run }) => ({ generation: run.generation, key: run.key, token: run.token! }))
    const [, heartbeat] = yield* counted(
      store.heartbeat({ now: 1_500, lease: { owner: "owner", until: 99_999 }, runs: refs })
    )
    const [, settle] = yield* counted(
      store.settle(refs.map((ref) => ({ ...ref, owner: "owner", now: 1_600, result: ended })), { keep: 5 })
    )
    const [{ tasks }, due] = yield* counted(store.due({ now: 2_000, limit: 20, reader: "reader", zoneRules: "" }))
    assert.strictEqual(tasks.length, 20)
    for (const { row } of tasks) {
      yield* store.commit([{
        id: row.id,
        generation: row.generation,
        revision: row.revision,
        set: "remove",
        runs: [],
        now: 1
      }])
    }
    return { claim, heartbeat, settle, due }
  })

withServers("what calls cost a Redis server", () => {
  it.live("the same among 100,000 runs of others, dead and living", () =>
    Effect.gen(function*() {
      const server = yield* ownServer()
      yield* Effect.gen(function*() {
        const store = yield* TaskStore
        // what the first calls bring: a bucket, the scripts, something that is due later
        yield* store.insert([newTask("other", { due: 10_000 })])
        yield* costs(server)
        const alone = yield* costs(server)
        for (let n = 0; n < 100; n++) {
          yield* store.insert(
            Array.from({ length: 1_000 }, (_, i) =>
              newTask(`others-${n}-${i}`, {
                tag: `Others${i % 10}`,
                due: 10_000 + i,
                runs: [newRun(i % 2_000, { key: `run-${n}` })]
              }))
          )
        }
        // some of them have ended
        const { runs } = yield* store.claim({
          ...claimOf(3_000, 5_000),
          slots: [{ executor: "default", tag: "Others1", version: 1, limit: 5_000 }]
        })
        assert.strictEqual(runs.length, 5_000)
        yield* store.settle(
          runs.map(({ run }) => ({
            generation: run.generation,
            key: run.key,
            token: run.token!,
            owner: "owner",
            now: 3_000,
            result: ended
          })),
          { keep: 5 }
        )
        assert.deepStrictEqual(yield* costs(server), alone)
      }).pipe(Effect.provide(NodeRedisTaskStore.layer({ url: server.url, pollInterval: "1 hour" })))
    }), 120_000)
})
