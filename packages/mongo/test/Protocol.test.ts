/**
 * What the store promises while others write at the same time, and when a process dies between two of its calls.
 *
 * On a pretended server, which lets others in between any two calls.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RunRow } from "punctual/TaskRecord"
import { noCounters } from "punctual/TaskRecord"
import type { TaskStore } from "punctual/TaskStore"
import { makeOver } from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"
import { change, claimOf, end, newRun, newTask, now } from "./internal/tasks.ts"

type Store = TaskStore["Service"]

const open = (server: Pretended) => makeOver(server.database, { name: "pretended", crossProcess: false })

const documentsOf = (server: Pretended, name: string) => [...server.of(`punctual_${name}`).values()]

const historyOf = (store: Store, taskId: string) =>
  Effect.map(store.runs({ taskId, limit: 1000 }), ({ items }) => items.filter((run) => run.endedAt !== null))

describe("a process that dies", () => {
  /**
   * Dies before each call of an operation in turn; `look` then sees what a second process makes of it. Answers how often.
   */
  const dying = <A>(
    prepare: (store: Store) => Effect.Effect<A, unknown>,
    operation: (store: Store, a: A) => Effect.Effect<unknown, unknown>,
    look: (store: Store, a: A, server: Pretended, failed: boolean) => Effect.Effect<void, unknown>
  ) =>
    Effect.gen(function*() {
      for (let calls = 0;; calls++) {
        const server = new Pretended(calls + 1)
        const prepared = yield* Effect.scoped(Effect.flatMap(open(server), prepare))
        const dead = yield* open(server)
        server.dies = server.calls + calls
        const exit = yield* Effect.exit(operation(dead, prepared))
        server.dies = Infinity
        yield* look(yield* open(server), prepared, server, Exit.isFailure(exit))
        if (Exit.isSuccess(exit)) return calls
      }
    })

  it.effect("while it settles has settled or not, and history has the run once", () =>
    Effect.gen(function*() {
      let settled = 0
      const points = yield* dying(
        (store) =>
          Effect.gen(function*() {
            yield* store.insert([newTask("a", { runs: [newRun(now), newRun(now + 1)] })])
            const { runs } = yield* store.claim(claimOf("one"))
            const [first, second] = runs.map(({ run }) => run)
            yield* store.settle([end(first!)], { keep: 1 })
            return second!
          }),
        (store, run) => store.settle([end(run)], { keep: 1 }),
        (store, run, server, failed) =>
          Effect.gen(function*() {
            const history = yield* historyOf(store, "a")
            const [found] = yield* store.get(["a"])
            assert.strictEqual(history.length, 1)
            assert.strictEqual(found!.open.length, history[0]!.key === run.key ? 0 : 1)
            if (history[0]!.key === run.key) settled++
            else assert.isTrue(failed)
            // the same settlement, told the same
            assert.deepStrictEqual(yield* store.settle([end(run)], { keep: 1 }), ["Settled"])
            assert.deepStrictEqual((yield* historyOf(store, "a")).map(({ key }) => key), [run.key])
            assert.isUndefined(documentsOf(server, "tasks")[0]!["unfiled"])
          })
      )
      assert.isAbove(points, 5)
      assert.isAbove(settled, 2, "some of them die between the end and its history")
    }))

  it.effect("while it removes a task has removed it or not, and what it cancelled is history", () =>
    Effect.gen(function*() {
      yield* dying(
        (store) =>
          Effect.gen(function*() {
            const [inserted] = yield* store.insert([newTask("a", { runs: [newRun(now), newRun(now + 1)] })])
            return inserted!.row
          }),
        (store, row) => store.commit([change(row, "remove")]),
        (store, row, server) =>
          Effect.gen(function*() {
            const history = yield* historyOf(store, "a")
            const found = yield* store.get(["a"])
            assert.strictEqual(found.length === 1 ? found[0]!.open.length : 0, 2 - history.length)
            assert.isTrue(history.length === 0 || found.length === 0)
            const [committed] = yield* store.commit([change(row, "remove")])
            assert.strictEqual(committed!._tag, found.length === 1 ? "Committed" : "Conflict")
            assert.strictEqual((yield* historyOf(store, "a")).length, 2)
            assert.deepStrictEqual(documentsOf(server, "tasks"), [])
          })
      )
    }))

  it.effect("leaves what it did not file to whoever prunes or takes over", () =>
    Effect.gen(function*() {
      for (const how of ["prune", "takeover"] as const) {
        yield* dying(
          (store) =>
            Effect.gen(function*() {
              yield* store.insert([newTask("a", { runs: [newRun(now)] })])
              const { runs } = yield* store.claim(claimOf("one"))
              return runs[0]!.run
            }),
          (store, run) => store.settle([end(run)], { keep: 10 }),
          (store, run, server) =>
            Effect.gen(function*() {
              const ended = Object.keys(Object(documentsOf(server, "tasks")[0]!["runs"])).length === 0
              if (how === "prune") {
                assert.strictEqual(yield* store.prune({ before: now + 9999, limit: 10 }), ended ? 1 : 0)
              } else yield* store.takeover({ now, limit: 10, maxTakeovers: 3, keep: 10 })
              const rows = documentsOf(server, "history").filter((row) => row["key"] === run.key)
              assert.strictEqual(rows.length, how === "takeover" && ended ? 1 : 0)
              assert.isUndefined(documentsOf(server, "tasks")[0]!["unfiled"])
            })
        )
      }
    }))

  it.effect("while it claims has claimed or not; what it held comes back with its lease's end", () =>
    Effect.gen(function*() {
      yield* dying(
        (store) => store.insert([newTask("a", { runs: [newRun(now)] })]),
        (store) => store.claim(claimOf("one")),
        (store) =>
          Effect.gen(function*() {
            yield* store.takeover({ now: now + 9999, limit: 10, maxTakeovers: 3, keep: 10 })
            const { runs } = yield* store.claim(claimOf("two"))
            assert.strictEqual(runs.length, 1)
          })
      )
    }))
})

describe("a write that was read long ago", () => {
  it.effect("does not hit what has taken the id since, though its version is the same", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      const [old] = yield* store.insert([newTask("a")])
      const [before] = documentsOf(server, "tasks")
      server.meanwhile = Effect.gen(function*() {
        yield* store.commit([change(old!.row, "remove")])
        yield* store.insert([newTask("a", { name: "another" })])
        assert.strictEqual(documentsOf(server, "tasks")[0]!["v"], before!["v"])
      })
      assert.deepStrictEqual(yield* store.commit([change(old!.row, { payload: "[]" })]), [{ _tag: "Conflict" }])
      const [found] = yield* store.get(["a"])
      assert.deepStrictEqual([found!.row.name, found!.row.payload, found!.row.revision], ["another", "{}", 1])
    }))

  it.effect("is made again on what is there now: a heartbeat beside a settlement loses nothing", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      yield* store.insert([newTask("a", { runs: [newRun(now), newRun(now + 1)] })])
      const { runs } = yield* store.claim(claimOf("one"))
      const [first, second] = runs.map(({ run }) => run)
      server.meanwhile = Effect.asVoid(store.settle([end(first!)], { keep: 10 }))
      const lease = { owner: "one", until: now + 5000 }
      const beats = yield* store.heartbeat({
        now,
        lease,
        runs: [first!, second!].map(({ generation, key, token }) => ({ generation, key, token: token! }))
      })
      assert.deepStrictEqual(beats.map(({ alive }) => alive), [false, true])
      const [found] = yield* store.get(["a"])
      assert.deepStrictEqual(found!.open.map(({ key, leaseUntil }) => [key, leaseUntil]), [[second!.key, now + 5000]])
      assert.deepStrictEqual((yield* historyOf(store, "a")).map(({ key }) => key), [first!.key])
    }))

  it.effect("gives a token drawn after it: of two claims of one run the later has the larger", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      yield* store.insert([newTask("a", { runs: [newRun(now)] })])
      let between: RunRow | undefined
      // The slow claim has drawn its token; another takes the run, gives it back, and is overtaken by nobody.
      server.meanwhile = Effect.gen(function*() {
        const { runs } = yield* store.claim(claimOf("quick"))
        between = runs[0]!.run
        yield* store.settle([end(between, { result: { _tag: "Release" } })], { keep: 10 })
      })
      const { runs } = yield* store.claim(claimOf("slow"))
      assert.strictEqual(runs.length, 1)
      assert.isAbove(runs[0]!.run.token!, between!.token!)
    }))
})

describe("a claim", () => {
  it.effect("whose runs others take from under it, again and again, goes on to those that are left", () =>
    Effect.gen(function*() {
      const server = new Pretended()
      const store = yield* open(server)
      const count = 12
      yield* store.insert(Array.from({ length: count }, (_, i) => newTask(`t${i}`, { runs: [newRun(now + i)] })))
      let stolen = 0
      const steal: Effect.Effect<void, unknown> = Effect.gen(function*() {
        const { runs } = yield* store.claim(claimOf("thief", { limit: 1 }))
        stolen += runs.length
        if (stolen < count - 2) server.meanwhile = steal
      })
      server.meanwhile = steal
      const { runs } = yield* store.claim(claimOf("patient", { limit: 1 }))
      assert.deepStrictEqual(runs.map(({ run }) => run.key), [String(now + count - 2)])
      assert.strictEqual(stolen, count - 2)
    }))
})

describe("many processes at once", () => {
  interface Ledger {
    /** Accepted ends by generation and key, with the token that each presented. */
    readonly ends: Map<string, Array<number>>
    /** The latest token of each run. */
    readonly latest: Map<string, number>
    readonly tokens: Set<number>
    most: number
    planned: number
  }

  const slots = 2

  /** Claims, settles, gives back, takes over and advances, as a scheduler does; some replies are lost. */
  const worker = (server: Pretended, n: number, turns: number, ledger: Ledger, dice: () => number) =>
    Effect.gen(function*() {
      const store = yield* open(server)
      const name = (run: RunRow) => `${run.generation} ${run.key}`
      const claimed = (runs: ReadonlyArray<RunRow>) => {
        for (const run of runs) {
          assert.isFalse(ledger.tokens.has(run.token!), "a token is given once")
          ledger.tokens.add(run.token!)
          assert.isAbove(run.token!, ledger.latest.get(name(run)) ?? 0, "tokens of a run grow")
          ledger.latest.set(name(run), run.token!)
        }
      }
      for (let turn = 0; turn < turns; turn++) {
        const at = now + turn * 10
        const owner = `worker-${n}`
        const id = `t${Math.floor(dice() * 3)}`
        const [found] = yield* store.get([id])
        if (found !== undefined && found.open.length < 6) {
          const { counters } = found.row
          const busy = found.open.length >= slots
          const run = newRun(at, { key: `${n}.${turn}`, slots, queues: true, state: busy ? "waiting" : "ready" })
          const lease = busy ? undefined : { owner, until: at + 25 }
          const [committed] = yield* store.commit([
            change(found.row, { counters: { ...counters, ran: counters.ran + 1 } }, [{
              _tag: "Create",
              run,
              claim: lease
            }], {
              now: at
            })
          ])
          if (committed!._tag === "Committed") {
            ledger.planned++
            claimed(committed!.claimed)
          }
        }
        const { runs } = yield* store.claim({
          ...claimOf(owner, { now: at, limit: 2 }),
          lease: { owner, until: at + 25 }
        })
        claimed(runs.map(({ run }) => run))
        const rows = (yield* store.runs({ state: "running", limit: 100 })).items
        for (const id of ["t0", "t1", "t2"]) {
          const [now] = yield* store.get([id])
          const active = now?.open.filter(({ state }) => state !== "waiting").length ?? 0
          ledger.most = Math.max(ledger.most, active)
        }
        for (const run of rows.filter((run) => run.owner === owner)) {
          const fate = dice()
          if (fate < 0.15) continue // forgotten: its lease ends
          const settlement = end(run, {
            now: at,
            ...fate < 0.3 && { result: { _tag: "Release" } as const }
          })
          // one whose token is an older one, one who never had it
          for (const other of [{ token: run.token! - 1 }, { owner: "thief" }]) {
            assert.deepStrictEqual(yield* store.settle([{ ...settlement, ...other }], { keep: 10_000 }), ["Stale"])
          }
          const [answer] = yield* store.settle([settlement], { keep: 10_000 })
          if (fate >= 0.3 && answer === "Settled") {
            const tokens = ledger.ends.get(name(run)) ?? []
            if (!tokens.includes(run.token!)) ledger.ends.set(name(run), [...tokens, run.token!])
          }
          if (fate >= 0.3 && fate < 0.5 && answer !== undefined) {
            // its reply was lost: the same again
            assert.deepStrictEqual(yield* store.settle([settlement], { keep: 10_000 }), [answer])
          }
        }
        if (turn % 4 === n) yield* store.takeover({ now: at, limit: 3, maxTakeovers: 1000, keep: 10_000 })
      }
    })

  const seeds = Array.from({ length: 12 }, (_, i) => i + 1)

  it.effect.each(seeds)(
    "no run ends twice, none is lost, the sums are exact (seed %i)",
    (seed) =>
      Effect.gen(function*() {
        const server = new Pretended(seed)
        let state = seed
        const dice = () => (state = (state * 48271) % 2147483647) / 2147483647
        const ledger: Ledger = { ends: new Map(), latest: new Map(), tokens: new Set(), most: 0, planned: 0 }
        const store = yield* open(server)
        yield* store.insert([0, 1, 2].map((n) => newTask(`t${n}`)))
        yield* Effect.forEach([0, 1, 2, 3], (n) => Effect.scoped(worker(server, n, 20, ledger, dice)), {
          concurrency: "unbounded"
        })
        // one scheduler goes on until nothing is open
        for (let turn = 0; turn < 1000; turn++) {
          const at = now + 100_000 + turn * 100
          yield* store.takeover({ now: at, limit: 100, maxTakeovers: 1000, keep: 10_000 })
          const { runs } = yield* store.claim(claimOf("last", { now: at }))
          if (runs.length === 0) break
          const answers = yield* store.settle(runs.map(({ run }) => end(run, { now: at })), { keep: 10_000 })
          answers.forEach((answer, i) => {
            const { run } = runs[i]!
            assert.strictEqual(answer, "Settled")
            ledger.ends.set(`${run.generation} ${run.key}`, [run.token!])
            ledger.latest.set(`${run.generation} ${run.key}`, run.token!)
          })
        }
        const rows = yield* store.get(["t0", "t1", "t2"])
        assert.deepStrictEqual(rows.flatMap(({ open }) => open), [], "nothing is stuck")
        assert.strictEqual(rows.reduce((sum, { row }) => sum + (row.counters ?? noCounters).ran, 0), ledger.planned)
        const { items } = yield* store.runs({ limit: 100_000 })
        assert.strictEqual(items.length, ledger.planned, "each run is history, once")
        for (const run of items) {
          const name = `${run.generation} ${run.key}`
          assert.deepStrictEqual(ledger.ends.get(name), [run.token], "its end presented one token")
          assert.strictEqual(run.token, ledger.latest.get(name), "that of its latest claim")
        }
        assert.isAtMost(ledger.most, slots)
        assert.isTrue(documentsOf(server, "tasks").every((doc) => doc["unfiled"] === undefined))
      }),
    30_000
  )
})
