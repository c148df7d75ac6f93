/**
 * What cannot keep a store is refused with a reason and what to do; odd texts are kept as they are.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import { TaskStore } from "punctual/TaskStore"
import { TimeoutError } from "redis"
import { storeError } from "../src/internal/errors.ts"
import { schema } from "../src/internal/library.ts"
import * as NodeRedisTaskStore from "../src/NodeRedisTaskStore.ts"
import * as RedisTaskStore from "../src/RedisTaskStore.ts"
import { ownServer, quiet, withServers } from "./internal/ownServer.ts"
import { claimOf, newRun, newTask } from "./internal/records.ts"

const open = (options: NodeRedisTaskStore.Options) =>
  Effect.map(Layer.build(Layer.fresh(NodeRedisTaskStore.layer(options))), (context) => Context.get(context, TaskStore))
    .pipe(quiet)

const refused = (options: NodeRedisTaskStore.Options) => Effect.flip(Effect.scoped(open(options)))

/** A server that says this of itself. */
const saying = (info: string) =>
  RedisTaskStore.layer().pipe(Layer.provide(Layer.succeed(
    Redis.Redis,
    Redis.Redis.of({
      send: <A>() => Effect.succeed(info as A),
      eval: () => () => Effect.die("not reached"),
      subscribe: () => Effect.die("not reached"),
      reserve: Effect.die("not reached")
    })
  )))

describe("options", () => {
  it.effect("a URL of something else, a prefix with braces and an unknown option are refused", () =>
    Effect.gen(function*() {
      const url = "redis://127.0.0.1:1"
      for (const wrong of ["postgres://127.0.0.1", "127.0.0.1:6379", ""]) {
        const error = yield* refused({ url: wrong })
        assert.strictEqual(error.reason, "Invalid")
        assert.include(error.message, "redis://user:password@host:6379")
      }
      const text = yield* refused({ url: Redacted.make("http://user:secret@host") })
      assert.notInclude(text.message, "secret")
      const unknown = yield* refused({ url, prefx: "a" } as never)
      assert.strictEqual(unknown.reason, "Invalid")
      assert.include(unknown.message, "unknown option `prefx` of NodeRedisTaskStore.layer, did you mean `prefix`?")
      const unreachable = yield* refused({ url })
      assert.strictEqual(unreachable.reason, "Unavailable")
      assert.include(unreachable.message, "host and port")
    }))

  it("a command whose time is up is Unavailable: it is asked again", () => {
    const error = storeError("redis", "due", new TimeoutError())
    assert.strictEqual(error.reason, "Unavailable")
    assert.isTrue(error.retryable)
  })

  it.effect("an older server is refused with both versions", () =>
    Effect.gen(function*() {
      for (const version of ["6.2.14", "5.0.7"]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(saying(`# Server\r\nredis_version:${version}\r\n`))))
        assert.include(error.message, version)
        assert.include(error.message, "7.0")
      }
    }))
})

withServers("Redis, badly set up", () => {
  it.live("the server's clock is told in milliseconds of this era", () =>
    Effect.gen(function*() {
      const { url } = yield* ownServer()
      const store = yield* open({ url })
      const theirs = yield* store.time!
      assert.isTrue(Number.isSafeInteger(theirs))
      assert.isAtMost(Math.abs(theirs - (yield* Clock.currentTimeMillis)), 10 * 60_000)
    }))

  it.live("prefixes: braces are refused, everything else begins keys", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      for (const prefix of ["", "{a}", "a}"]) {
        const error = yield* refused({ url, prefix })
        assert.strictEqual(error.reason, "Invalid")
        assert.include(error.message, "cannot begin keys")
      }
      const prefixes = ["a", "a:b", "a b", "ä🙂", "a\0b", "*", "[a]?"]
      for (const prefix of prefixes) {
        const store = yield* open({ url, prefix })
        assert.deepStrictEqual((yield* store.insert([newTask("t")])).map(({ _tag }) => _tag), ["Inserted"])
      }
      const keys = yield* send<ReadonlyArray<string>>("KEYS", "*")
      assert.isTrue(keys.every((key) => prefixes.some((prefix) => key.startsWith(`{${prefix}}`))))
    }))

  it.live("ids, keys and texts of any content come back as they are", () =>
    Effect.gen(function*() {
      const { url } = yield* ownServer()
      const store = yield* open({ url })
      const texts = [
        ...["a\0b", ":", "a:b:c", "🙂", "\u2028\\\"/\n", "", " ", "{}", "ﬀ\u0301", "\\ud800", ",", ",\",\"", "7"],
        // halves of surrogate pairs are no text of UTF-8; what stands for them is one
        ...["\ud800", "a\udfffb", "\udc00\ud800", "\ufffd", "\uffff", "\uffffd800", "\uffff\uffff"]
      ]
      const tasks = texts.map((text, i) =>
        newTask(text, {
          due: i,
          payload: text,
          labels: text,
          owner: text,
          tag: text,
          executor: text,
          zoneRules: `2026${text}`,
          runs: [newRun(0, { key: text })]
        })
      )
      assert.isTrue((yield* store.insert(tasks)).every(({ _tag }) => _tag === "Inserted"))
      for (const text of texts) {
        const [found] = yield* store.get([text])
        assert.deepStrictEqual(
          [found?.row.id, found?.row.payload, found?.row.labels, found?.row.owner, found?.open[0]?.key],
          [text, text, text, text, text]
        )
        const verdict = { id: text, generation: found!.row.generation, reader: text, reason: text, at: 1 }
        yield* store.quarantine([verdict])
        assert.deepStrictEqual(yield* store.verdicts({ limit: 9 }), [verdict])
        const claim = {
          ...claimOf(1, 1, text),
          reader: text,
          slots: [{ executor: text, tag: text, version: 1, limit: 1 }]
        }
        assert.deepStrictEqual((yield* store.claim(claim)).runs, [])
        yield* store.clear([verdict.generation])
        const [claimed] = (yield* store.claim(claim)).runs
        assert.deepStrictEqual([claimed?.run.taskId, claimed?.run.key, claimed?.run.owner], [text, text, text])
        const ref = { generation: verdict.generation, key: text, token: claimed!.run.token! }
        assert.deepStrictEqual(yield* store.cancel([{ ...ref, reason: text }]), [true])
        const beat = { now: 2, lease: { owner: text, until: 99 }, runs: [ref] }
        assert.deepStrictEqual(yield* store.heartbeat(beat), [{ alive: true, cancel: text }])
        const end = { _tag: "End", state: "failed", exit: text } as const
        assert.deepStrictEqual(yield* store.settle([{ ...ref, owner: text, now: 3, result: end }], { keep: 9 }), [
          "Settled"
        ])
        for (const query of [{ taskId: text }, { key: text }, { tag: text }]) {
          const { items } = yield* store.runs({ ...query, limit: 99 })
          assert.deepStrictEqual(items.map(({ cancel, exit, key }) => [cancel, exit, key]), [[text, text, text]])
        }
        const rules = yield* store.outdated({ now: 1, limit: 99, reader: "reader", zoneRules: "2027" })
        assert.isTrue(rules.some(({ row }) => row.zoneRules === `2026${text}`))
      }
      const { items } = yield* store.list({ sort: "id", descending: false, limit: 100 })
      assert.sameMembers(items.map(({ id }) => id), texts)
    }))

  it.live("wrong passwords and missing rights are told with what to do, which is enough", () =>
    Effect.gen(function*() {
      const { port, send, url } = yield* ownServer()
      const as = (user: string, password: string) => `redis://${user}:${password}@127.0.0.1:${port}`
      yield* send("ACL", "SETUSER", "worker", "on", ">secret")
      const wrong = yield* refused({ url: as("worker", "wrong") })
      assert.include(wrong.message, "user or password")
      assert.notInclude(wrong.message, "secret")
      const powerless = yield* refused({ url: as("worker", "secret"), prefix: "billing" })
      assert.include(powerless.message, "ACL SETUSER")
      const rights = /ACL SETUSER <user> (.+?) \(/.exec(powerless.message)![1]!.replaceAll("<prefix>", "billing").split(
        " "
      )
      yield* send("ACL", "SETUSER", "worker", ...rights)
      const store = yield* open({ url: as("worker", "secret"), prefix: "billing" })
      yield* store.insert([newTask("a")])
      const other = yield* refused({ url: as("worker", "secret"), prefix: "another" })
      assert.include(other.message, "ACL SETUSER")
      yield* send("CONFIG", "SET", "requirepass", "secret")
      const anonymous = yield* refused({ url })
      assert.include(anonymous.message, "password")
    }))

  it.live("a server that may evict keys is refused, a full one is Full and works once it has room", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
      const error = yield* refused({ url })
      assert.include(error.message, "allkeys-lru")
      assert.include(error.message, "CONFIG SET maxmemory-policy noeviction")
      yield* send("CONFIG", "SET", "maxmemory-policy", "noeviction")
      const store = yield* open({ url })
      yield* store.insert([newTask("a")])
      yield* send("CONFIG", "SET", "maxmemory", "1")
      const full = yield* Effect.flip(store.insert([newTask("b")]))
      assert.strictEqual(full.reason, "Full")
      yield* send("CONFIG", "SET", "maxmemory", "0")
      assert.strictEqual((yield* store.insert([newTask("b")]))[0]?._tag, "Inserted")
      // one that may evict, but never has to
      yield* send("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
      yield* open({ url })
    }))

  it.live("a store of a newer version is refused, by processes that have it open too", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      const store = yield* open({ url })
      yield* store.insert([newTask("a")])
      yield* send("HSET", "{punctual}", "schema", "9", "writer", "1")
      yield* store.insert([newTask("b")])
      yield* send("HSET", "{punctual}", "writer", "8")
      for (const error of [yield* Effect.flip(store.insert([newTask("c")])), yield* refused({ url })]) {
        assert.strictEqual(error.reason, "NewerSchema")
        assert.include(error.message, "schema 9")
        assert.include(error.message, `schema ${schema}`)
      }
      yield* send("HSET", "{punctual}", "writer", "1")
      assert.deepStrictEqual(yield* store.get(["c"]), [])
    }))

  it.live("a store of an older layout is refused, and left as it is", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      for (let older = 1; older < schema; older++) {
        yield* send("HSET", "{punctual}", "schema", String(older), "writer", String(older))
        const error = yield* refused({ url })
        assert.strictEqual(error.reason, "Invalid")
        assert.include(error.message, `schema ${older}`)
        assert.include(error.message, `schema ${schema}`)
        assert.include(error.message, "Export")
        assert.deepStrictEqual(yield* send<ReadonlyArray<string>>("KEYS", "*"), ["{punctual}"])
        assert.deepStrictEqual(yield* send("HGET", "{punctual}", "schema"), String(older))
      }
    }))

  it.live("what is known of a concurrency key is forgotten with its last run", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      const store = yield* open({ url })
      yield* store.insert(["a", "b"].map((id) =>
        newTask(id, { concurrencyKey: `key of ${id}`, concurrencyLimit: 2, runs: [newRun(1), newRun(2)] })
      ))
      const { runs } = yield* store.claim(claimOf(10, 10))
      assert.strictEqual(runs.length, 4)
      yield* store.settle(
        runs.map(({ run: { generation, key, token } }) => ({
          generation,
          key,
          token: token ?? 0,
          owner: "owner",
          now: 10,
          result: { _tag: "End", state: "succeeded", exit: null }
        })),
        { keep: 10 }
      )
      assert.deepStrictEqual((yield* store.claim(claimOf(10, 10))).runs, [])
      const keys = yield* send<ReadonlyArray<string>>("KEYS", "*")
      assert.deepStrictEqual(
        keys.filter((key) =>
          key.includes("key of")
        ),
        []
      )
      const seen = yield* send<ReadonlyArray<string>>("HKEYS", "{punctual}:seen")
      assert.deepStrictEqual(seen.filter((bucket) => bucket.includes("key of")), [])
    }))

  it.live("keys that hold something else are Corrupt", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      yield* send("SET", "{punctual}", "mine")
      assert.strictEqual((yield* refused({ url })).reason, "Corrupt")
    }))

  it.live("I9: damaged records are set aside for their reader, and the others are due and claimed", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      const store = yield* open({ url })
      const ids = ["a", "b", "c", "d", "e"]
      const added = yield* store.insert(ids.map((id) => newTask(id, { due: 1, zoneRules: "2026a", runs: [newRun(1)] })))
      const [a, b, c, d] = added.map(({ row }) => String(row.generation).padStart(16, "0"))
      yield* send("SET", `{punctual}:t:${a}`, "garbage")
      yield* send("SET", `{punctual}:d:${b}`, "[]")
      yield* send("SET", `{punctual}:r:${c}:1`, "{")
      yield* send("SET", `{punctual}:d:${d}`, "garbage")
      const due = yield* store.due({ now: 2, limit: 10, reader: "one", zoneRules: "2026a" })
      assert.deepStrictEqual(due.tasks.map(({ row }) => row.id), ["e"])
      const outdated = yield* store.outdated({ now: 2, limit: 10, reader: "two", zoneRules: "2026c" })
      assert.deepStrictEqual(outdated.map(({ row }) => row.id), ["e"])
      const claimed = yield* store.claim({ ...claimOf(2, 10), reader: "three" })
      assert.deepStrictEqual(claimed.runs.map(({ task }) => task.id), ["e"])
      const verdicts = yield* store.verdicts({ limit: 100 })
      const found = (reader: string) =>
        verdicts.filter((verdict) => verdict.reader === reader).map(({ generation }) => generation).sort((a, b) =>
          a - b
        )
      const generations = added.map(({ row }) => row.generation)
      assert.deepStrictEqual(found("one"), generations.slice(0, 4))
      assert.deepStrictEqual(found("two"), generations.slice(0, 4))
      assert.deepStrictEqual(found("three"), generations.slice(0, 4))
      // its index is there, so that it is found again once it is restored
      assert.deepStrictEqual(
        (yield* store.list({ sort: "id", descending: false, limit: 9 })).items.map(({ id }) => id),
        ["c", "e"]
      )
      const taken = yield* store.takeover({ now: 99_999_999, limit: 9, maxTakeovers: 3, keep: 3 })
      assert.includeMembers(taken.runs.map(({ run }) => run.taskId), ["e"])
    }))

  it.live("a running run whose record is damaged gives its slot back with its lease, and is taken over when it is restored", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer()
      const store = yield* open({ url })
      const [added] = yield* store.insert([
        newTask("a", { concurrencyKey: "customer", concurrencyLimit: 1, runs: [newRun(1), newRun(2)] })
      ])
      const name = `{punctual}:r:${String(added!.row.generation).padStart(16, "0")}:1`
      const claim = (now: number) =>
        Effect.map(store.claim(claimOf(now, 9)), ({ runs }) => runs.map(({ run }) => run.key))
      const takeOver = (now: number) => store.takeover({ now, limit: 9, maxTakeovers: 3, keep: 3 })
      assert.deepStrictEqual(yield* claim(2), ["1"])
      const record = yield* send<string>("GET", name)
      yield* send("SET", name, "garbage")
      assert.deepStrictEqual(yield* claim(3), [])
      const ended = Number((yield* takeOver(3)).next)
      const { next, runs } = yield* takeOver(ended)
      assert.deepStrictEqual(runs, [])
      assert.isAbove(next!, ended)
      assert.deepStrictEqual(yield* claim(ended), ["2"])
      yield* send("SET", name, record)
      assert.includeMembers((yield* takeOver(next!)).runs.map(({ run }) => run.key), ["1"])
    }))

  it.live("a megabyte of payload, and 20,000 tasks at once", () =>
    Effect.gen(function*() {
      const { url } = yield* ownServer()
      const store = yield* open({ url })
      const large = "x".repeat(1_000_000)
      yield* store.insert(Array.from({ length: 5 }, (_, i) => newTask(`large-${i}`, { payload: large })))
      assert.strictEqual((yield* store.get(["large-4"]))[0]?.row.payload, large)
      const many = yield* store.insert(Array.from({ length: 20_000 }, (_, i) => newTask(`many-${i}`, { due: i })))
      assert.isTrue(many.every(({ _tag }) => _tag === "Inserted"))
    }), 30_000)

  it.live("all keys of a store are in one slot, and it works on a cluster", () =>
    Effect.gen(function*() {
      const { send, url } = yield* ownServer("--cluster-enabled", "yes")
      yield* send("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
      yield* Effect.repeat(send<string>("CLUSTER", "INFO"), { until: (info) => info.includes("cluster_state:ok") })
      const store = yield* open({ url, prefix: "of a cluster" })
      const [added] = yield* store.insert([
        newTask("a", { due: 1, zoneRules: "2026c", onStartup: true, runs: [newRun(1), newRun(2)] }),
        newTask("b", { runs: [newRun(3, { readyAt: 90 })] })
      ])
      const { runs } = yield* store.claim(claimOf(2, 1))
      const { generation, key, token } = runs[0]!.run
      yield* store.settle([{
        generation,
        key,
        token: token!,
        owner: "owner",
        now: 3,
        result: { _tag: "End", state: "succeeded", exit: null }
      }], { keep: 9 })
      yield* store.claim(claimOf(3, 1))
      yield* store.quarantine([{ id: "a", generation: added!.row.generation, reader: "reader", reason: "", at: 1 }])
      yield* store.commit([{
        id: "a",
        generation: added!.row.generation,
        revision: 1,
        set: "remove",
        runs: [],
        now: 4
      }])
      const keys = yield* send<ReadonlyArray<string>>("KEYS", "*")
      assert.isAbove(keys.length, 10)
      const slots = yield* Effect.forEach(keys, (key) => send<number>("CLUSTER", "KEYSLOT", key))
      assert.strictEqual(new Set(slots).size, 1)
    }), 30_000)

  it.live("a client of the program is all that is needed", () =>
    Effect.gen(function*() {
      const { url } = yield* ownServer()
      const store = yield* TaskStore.pipe(
        Effect.provide(RedisTaskStore.layer({ name: "mine" }).pipe(Layer.provide(NodeRedis.layer({ url }))))
      )
      assert.strictEqual(store.name, "mine")
    }))
})
