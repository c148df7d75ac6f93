/**
 * Inserting and reading tasks.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { TaskRow } from "punctual/TaskRecord"
import { zoneRulesPatience } from "punctual/TaskStore"
import type { Test } from "./lab.ts"
import { newestRules, newRun } from "./lab.ts"

export const inserts = (test: Test): void => {
  test("I1: an id that exists is answered with its row and left alone", (lab) =>
    Effect.gen(function*() {
      const row = yield* lab.add("a", { payload: "1" })
      const [again] = yield* lab.store.insert([lab.task("a", { payload: "2", runs: [newRun(lab.now)] })])
      assert.deepStrictEqual(again, { _tag: "Exists", row })
      assert.deepStrictEqual(yield* lab.get("a"), { row, open: [] })
    }))

  test("I1: an id twice in one batch is inserted once, the others of the batch as well", (lab) =>
    Effect.gen(function*() {
      const inserted = yield* lab.store.insert([
        lab.task("a", { payload: "1" }),
        lab.task("a", { payload: "2" }),
        lab.task("b")
      ])
      assert.deepStrictEqual(inserted.map((one) => one._tag), ["Inserted", "Exists", "Inserted"])
      assert.deepStrictEqual(inserted[0]!.row, inserted[1]!.row)
      assert.strictEqual((yield* lab.row("a")).payload, "1")
    }))

  test("I1: of many inserts of one id at once exactly one inserts", (lab) =>
    Effect.gen(function*() {
      const inserted = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => String(i)),
        (payload) => Effect.map(lab.store.insert([lab.task("a", { payload })]), ([one]) => ({ ...one!, payload })),
        { concurrency: "unbounded" }
      )
      const winners = inserted.filter((one) => one._tag === "Inserted")
      assert.strictEqual(winners.length, 1)
      const row = yield* lab.row("a")
      assert.strictEqual(row.payload, winners[0]!.payload)
      for (const one of inserted) assert.deepStrictEqual(one.row, row)
    }))

  test("I2: insert creates runs with the row, the first of each key", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a", {
        runs: [
          newRun(now),
          newRun(now, { nominal: now + 1, state: "waiting" }),
          newRun(now + 1, { state: "waiting" }),
          newRun(now + 1, { slots: 9 })
        ]
      })
      const open = yield* lab.open("a")
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
      assert.strictEqual(open[now]!.nominal, now)
      assert.strictEqual(open[now]!.createdAt, now)
    }))

  test("I2: a run that was open in another store goes on where it was", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a", {
        state: "paused",
        runs: [
          newRun(now, { attempt: 2, takeovers: 1, readyAt: now + 7 }),
          newRun(now + 1, { attempt: 3, held: true }),
          newRun(now + 2, { state: "waiting", held: true })
        ]
      })
      const open = yield* lab.open("a")
      const progress = (key: number) => {
        const { attempt, held, readyAt, state, takeovers } = open[key]!
        return { attempt, held, readyAt, state, takeovers }
      }
      assert.deepStrictEqual(progress(now), { attempt: 2, held: false, readyAt: now + 7, state: "ready", takeovers: 1 })
      assert.deepStrictEqual(
        progress(now + 1),
        { attempt: 3, held: true, readyAt: now + 1, state: "ready", takeovers: 0 }
      )
      assert.deepStrictEqual(
        progress(now + 2),
        { attempt: 0, held: true, readyAt: now + 2, state: "waiting", takeovers: 0 }
      )
      // What is held is not claimed, and a claim counts on.
      const claimed = yield* lab.claim({ now: now + 7 })
      assert.deepStrictEqual(claimed.map(({ run }) => [run.key, run.attempt]), [[String(now), 3]])
    }))

  test("generations grow with every insertion", (lab) =>
    Effect.gen(function*() {
      const inserted = yield* lab.store.insert([lab.task("a"), lab.task("b"), lab.task("c")])
      yield* lab.commit("b", "remove")
      const later = yield* lab.add("b")
      const generations = [...inserted.map((one) => one.row.generation), later.generation]
      assert.deepStrictEqual(generations, generations.toSorted((a, b) => a - b))
      assert.strictEqual(new Set(generations).size, 4)
    }))

  test("empty batches are answered with nothing", (lab) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* lab.store.insert([]), [])
      assert.deepStrictEqual(yield* lab.store.get([]), [])
      assert.deepStrictEqual(yield* lab.store.commit([]), [])
      assert.deepStrictEqual(yield* lab.store.settle([], { keep: 10 }), [])
      assert.deepStrictEqual(yield* lab.store.start({ now: lab.now, owner: lab.owner, runs: [] }), [])
      assert.deepStrictEqual(yield* lab.store.heartbeat({ now: lab.now, lease: lab.lease(), runs: [] }), [])
      assert.deepStrictEqual(yield* lab.claim({ slots: [] }), [])
      yield* lab.store.quarantine([])
      yield* lab.store.clear([])
    }))
}

export const reads = (test: Test): void => {
  test("get leaves out ids that do not exist", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a", [newRun(lab.now), newRun(lab.now + 1, { state: "waiting" })])
      yield* lab.add("b")
      const found = yield* lab.store.get([lab.id("nobody"), lab.id("b"), lab.id("a")])
      const byId = new Map(found.map((one) => [one.row.id, one]))
      assert.deepStrictEqual([...byId.keys()].sort(), [lab.id("a"), lab.id("b")])
      assert.strictEqual(byId.get(lab.id("a"))?.open.length, 2)
      assert.deepStrictEqual(byId.get(lab.id("b"))?.open, [])
    }))

  test("due answers tasks up to now, earliest first, with their open runs, and the next instant after now", (lab) =>
    Effect.gen(function*() {
      // Before every other test's instants, so that the first rows are ours.
      const at = (n: number) => -7_000_000_000_000 + n
      yield* lab.add("c", { due: at(30) })
      yield* lab.add("a", { due: at(10), runs: [newRun(at(5)), newRun(at(6), { state: "waiting" })] })
      yield* lab.add("d", { due: at(41) })
      yield* lab.add("b", { due: at(20) })
      yield* lab.add("none", { due: null })
      const read = (now: number, limit = 10) =>
        lab.store.due({ now: at(now), limit, reader: lab.reader, zoneRules: newestRules })
      const names = (answer: { readonly tasks: ReadonlyArray<{ readonly row: TaskRow }> }) =>
        answer.tasks.map((task) => task.row.id.slice(lab.id("").length))
      const at30 = yield* read(30)
      assert.deepStrictEqual(names(at30), ["a", "b", "c"])
      assert.strictEqual(at30.next, at(41))
      assert.deepStrictEqual(at30.tasks[0]!.open.map((run) => run.key).sort(), [at(5), at(6)].map(String).sort())
      const two = yield* read(30, 2)
      assert.deepStrictEqual(names(two), ["a", "b"])
      assert.strictEqual(two.next, at(41))
      const at29 = yield* read(29)
      assert.deepStrictEqual(names(at29), ["a", "b"])
      assert.strictEqual(at29.next, at(30))
      const at9 = yield* read(9)
      assert.deepStrictEqual(names(at9), [])
      assert.strictEqual(at9.next, at(10))
      assert.deepStrictEqual(names(yield* read(41)), ["a", "b", "c", "d"])
    }))

  test("due follows a commit: later, earlier, never", (lab) =>
    Effect.gen(function*() {
      const at = (n: number) => -6_000_000_000_000 + n
      yield* lab.add("a", { due: at(10) })
      yield* lab.add("b", { due: at(20) })
      const names = (now: number) =>
        Effect.map(
          lab.store.due({ now: at(now), limit: 10_000, reader: lab.reader, zoneRules: newestRules }),
          ({ tasks }) => tasks.map((task) => task.row.id).filter((id) => lab.own(id))
        )
      yield* lab.commit("a", { due: at(30), cursor: at(10) })
      assert.deepStrictEqual(yield* names(25), [lab.id("b")])
      assert.deepStrictEqual(yield* names(30), [lab.id("b"), lab.id("a")])
      yield* lab.commit("b", { due: at(40) })
      yield* lab.commit("a", { due: at(5) })
      assert.deepStrictEqual(yield* names(5), [lab.id("a")])
      yield* lab.commit("a", { due: null, nominal: null, state: "finished" })
      assert.deepStrictEqual(yield* names(100), [lab.id("b")])
    }))

  test("due leaves rows of newer zone rules to others, until they are due for long", (lab) =>
    Effect.gen(function*() {
      const at = (n: number) => -8_000_000_000_000 + n
      yield* lab.add("newer", { due: at(10), zoneRules: "2026a" })
      yield* lab.add("newer too", { due: at(15), zoneRules: "2026b" })
      yield* lab.add("equal", { due: at(20), zoneRules: "2025c", runs: [newRun(at(5))] })
      yield* lab.add("older", { due: at(30), zoneRules: "2025b" })
      yield* lab.add("hashed", { due: at(35), zoneRules: "#a0" })
      yield* lab.add("none", { due: at(40) })
      const read = (now: number, zoneRules: string, limit = 10) =>
        Effect.map(lab.store.due({ now: at(now), limit, reader: lab.reader, zoneRules }), ({ next, tasks }) => ({
          names: tasks.map(({ row }) => row.id.slice(lab.id("").length)),
          next: next! - at(0)
        }))
      const others = ["equal", "older", "hashed", "none"]
      const late = zoneRulesPatience
      assert.deepStrictEqual(yield* read(50, "2025c"), { names: others, next: 10 + late })
      assert.deepStrictEqual(yield* read(50, "2025c", 2), { names: ["equal", "older"], next: 10 + late })
      assert.deepStrictEqual(yield* read(late + 9, "2025c"), { names: others, next: late + 10 })
      assert.deepStrictEqual(yield* read(late + 10, "2025c"), { names: ["newer", ...others], next: late + 15 })
      assert.deepStrictEqual((yield* read(late + 15, "2025c")).names, ["newer", "newer too", ...others])
      // Those who have the rules have them all at once, and what comes first is what is due first.
      yield* lab.add("later", { due: at(60) })
      assert.deepStrictEqual(yield* read(50, "2026b"), { names: ["newer", "newer too", ...others], next: 60 })
      assert.deepStrictEqual(yield* read(50, "2025c"), { names: others, next: 60 })
      assert.deepStrictEqual(yield* read(50, "2026a"), { names: ["newer", ...others], next: 60 })
      assert.deepStrictEqual((yield* read(50, "#a0")).names, ["hashed", "none"])
    }))

  test("outdated answers the tasks of older zone rules, with their open runs", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("hashed", { due: now + 5, zoneRules: "#a0" })
      const old = yield* lab.add("old", { due: now + 5, zoneRules: "2025b", runs: [newRun(now)] })
      yield* lab.add("equal", { due: now + 5, zoneRules: "2025c" })
      yield* lab.add("newer", { due: now + 5, zoneRules: "2026a" })
      yield* lab.add("none", { due: now + 5 })
      const read = (zoneRules = "2025c", limit = 100_000, reader: string = lab.reader) =>
        lab.store.outdated({ now, limit, reader, zoneRules })
      const names = (zoneRules?: string, reader?: string) =>
        Effect.map(read(zoneRules, undefined, reader), (tasks) =>
          tasks.flatMap(({ row }) => lab.own(row.id) ? [row.id.slice(lab.id("").length)] : []).sort())
      assert.deepStrictEqual(yield* names(), ["hashed", "old"])
      assert.deepStrictEqual(yield* names("2025b"), ["hashed"])
      assert.deepStrictEqual(yield* names("9999z"), ["equal", "hashed", "newer", "old"])
      assert.strictEqual((yield* read("2025c", 1)).length, 1)
      const found = (yield* read()).find(({ row }) =>
        row.id === old.id
      )
      assert.deepStrictEqual(found, yield* lab.get("old"))
      assert.strictEqual(found?.open.length, 1)
      // A verdict hides it from its reader, and takes no room.
      yield* lab.store.quarantine([{ id: old.id, generation: old.generation, reader: "blind", reason: "no", at: now }])
      assert.deepStrictEqual(yield* names("2025c", "blind"), ["hashed"])
      // Retimed, cleared, gone.
      yield* lab.commit("old", { zoneRules: "2025c" })
      yield* lab.commit("hashed", { due: null, nominal: null, zoneRules: null })
      assert.deepStrictEqual(yield* names(), [])
      yield* lab.commit("equal", { zoneRules: "2024a" })
      yield* lab.commit("none", { zoneRules: "2025b" })
      assert.deepStrictEqual(yield* names(), ["equal", "none"])
      yield* lab.commit("equal", "remove")
      assert.deepStrictEqual(yield* names(), ["none"])
    }))
}
