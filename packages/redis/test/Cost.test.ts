/**
 * I10: what a call costs the server is what it returns, however much else is stored. Counted in commands, each of which is
 * of logarithmic or constant cost itself, or has a limit.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { connect } from "node:net"
import { TaskStore } from "punctual/TaskStore"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import { type OwnServer, ownServer, withServers } from "./internal/ownServer.ts"
import { claimOf, newRun, newTask } from "./internal/records.ts"

/** How often each command was called, inside of scripts too. */
const calls = ({ send }: OwnServer) =>
  Effect.map(send<string>("INFO", "commandstats"), (info) =>
    Object.fromEntries(
      Array.from(info.matchAll(/cmdstat_([a-z|]+):calls=(\d+)/g), ([, command, count]) => [command, Number(count)])
        // that a connection is alive is asked now and then, whatever is counted
        .filter(([command]) => !["info", "hello", "ping"].includes(String(command)) && !String(command).includes("|"))
    ))

const ended = { _tag: "End", state: "succeeded", exit: null } as const

/** All commands from here on, those inside of scripts too, as the server tells of them. */
const monitor = ({ port, send }: OwnServer): Effect.Effect<
  { readonly commands: Effect.Effect<ReadonlyArray<ReadonlyArray<string>>> },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    let text = ""
    const socket = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof connect>>((resume) => {
        const socket = connect(port, "127.0.0.1", () => socket.write("MONITOR\r\n"))
        socket.once("data", () => resume(Effect.succeed(socket)))
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    socket.setEncoding("utf8").on("data", (chunk) => {
      text += chunk
      socket.emit("told")
    })
    return {
      commands: Effect.gen(function*() {
        yield* send("ECHO", "that is all")
        yield* Effect.callback<void>((resume) => {
          const look = () => {
            if (text.includes("that is all")) resume(Effect.void)
          }
          socket.on("told", look)
          look()
        })
        return text.split("\r\n").filter((line) => line.startsWith("+") && !line.includes("that is all")).map((line) =>
          Array.from(line.slice(line.indexOf("] ") + 2).matchAll(/"((?:[^"\\]|\\.)*)"/g), ([, part]) => part!)
        )
      })
    }
  })

/** Of constant or logarithmic cost for each argument. */
const cheap = new Set(
  ("evalsha hello ping client info config script echo publish subscribe time lastsave exists del get mget mset hget hmget hset hdel hexists hlen zadd zrem " +
    "zcard zcount zscore").split(" ")
)

/** What may read more than was asked for: of an index without a limit, or of what all tasks share. */
const isUnbounded = ([name = "", key = "", from, to, ...rest]: ReadonlyArray<string>): boolean => {
  const command = name.toLowerCase()
  if (cheap.has(command)) return false
  if (/^h(getall|vals|keys)$/.test(command)) return !/:[tq]:\d{16}$/.test(key)
  if (/^z(rev)?range$/.test(command)) {
    return !(Number(to) >= Number(from) && Number(from) >= 0 && Number(to) - Number(from) < 1_000) && from !== to
  }
  // the versions of one tag
  if (key.includes(":versions:")) return false
  const limit = rest.findIndex((word) => word === "LIMIT")
  return !/^z(rev)?rangeby(lex|score)$/.test(command) || limit === -1 || Number(rest[limit + 2]) > 1_000
}

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
  it.live("none of their commands reads a whole index", () =>
    Effect.gen(function*() {
      const server = yield* ownServer()
      const { commands } = yield* monitor(server)
      yield* Effect.gen(function*() {
        const store = yield* TaskStore
        yield* store.insert([newTask("other", { due: 10_000 })])
        yield* costs(server)
        yield* store.takeover({ now: 0, limit: 9, maxTakeovers: 3, keep: 9 })
        yield* store.outdated({ now: 0, limit: 9, reader: "reader", zoneRules: "2026a" })
        yield* store.prune({ before: 9_999, limit: 9 })
        for (const sort of ["id", "due", "created"] as const) {
          for (const descending of [false, true]) {
            const { next } = yield* store.list({ sort, descending, limit: 1 })
            if (next !== null) yield* store.list({ sort, descending, limit: 1, after: next })
          }
        }
        const { next } = yield* store.runs({ limit: 1 })
        if (next !== null) yield* store.runs({ limit: 1, after: next })
      }).pipe(Effect.provide(NodeRedisTaskStore.layer({ url: server.url, pollInterval: "1 hour" })))
      const all = yield* commands
      assert.isAbove(all.length, 300)
      assert.deepStrictEqual(all.filter(isUnbounded), [])
    }), 30_000)

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
