/**
 * Fields, texts and instants come back as they went in.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { TaskRow } from "punctual/TaskRecord"
import type { NewTask } from "punctual/TaskStore"
import type { Lab, Test } from "./lab.ts"
import { create, newestRules, newRun, ref, settlement, someCounters } from "./lab.ts"

const withoutRuns = ({ runs: _, ...task }: NewTask): Omit<TaskRow, "generation" | "revision"> => task

/** What differs from the least, where a store keeps it. */
const concurrencyIn = ({ store }: Lab) =>
  store.capabilities.concurrencyKeys
    ? { concurrencyKey: "Größe: \"1\" \n 👍 \\", concurrencyLimit: 3 }
    : { concurrencyKey: null, concurrencyLimit: 1 }

/** Texts that a store might quote, cut, fold or normalise. */
const oddTexts = [
  "ü—Straße",
  "e\u0301 is not é",
  "日本語のタスク",
  "👩‍👩‍👧‍👦 family",
  "it's a \"quoted\" `id`",
  "a/b\\c//d",
  "100%_like[a-z]*?",
  "semi;colon -- comment",
  " leading and trailing ",
  "tab\tnew\nline\r\n",
  "UPPER",
  "upper",
  "null",
  "${not} {{a}} :template $1 ?",
  "x".repeat(200)
]

export const records = (test: Test): void => {
  test("a row keeps every field", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const full = lab.task("full", {
        tag: lab.tag,
        version: 7,
        name: "A name, not the tag",
        payload: "{\"customer\":\"acme\",\"n\":1.5}",
        display: "{\"customer\":\"<redacted>\"}",
        trigger: "{\"_tag\":\"Cron\"}",
        anchor: now + 1,
        onStartup: true,
        onShutdown: false,
        policy: "{\"maxInstances\":3}",
        executor: "threads",
        priority: -5,
        ...concurrencyIn(lab),
        labels: "{\"team\":\"billing\"}",
        owner: "reconciler",
        declared: "{\"declared\":true}",
        trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        createdAt: now + 2,
        updatedAt: now + 3,
        state: "paused",
        cursor: now + 4,
        due: now + 5,
        nominal: now + 6,
        zoneRules: "2025b",
        override: now + 7,
        epoch: now + 8,
        counters: someCounters,
        ranges: "[{\"from\":1}]",
        pausedAt: now + 9,
        pauseNote: "because",
        failures: 10
      })
      const bare = lab.task("bare")
      const inserted = yield* lab.store.insert([full, bare])
      const [gotFull, gotBare] = [yield* lab.row("full"), yield* lab.row("bare")]
      const { generation, ...rest } = gotFull
      assert.deepStrictEqual(rest, { ...withoutRuns(full), revision: 1 })
      assert.isAbove(generation, 0)
      assert.deepStrictEqual(inserted.map((one) => one.row), [gotFull, gotBare])
      assert.deepStrictEqual(gotBare, { ...withoutRuns(bare), revision: 1, generation: gotBare.generation })
      const listed = yield* lab.store.list({ ids: [full.id, bare.id], sort: "id", descending: true, limit: 10 })
      assert.deepStrictEqual(listed.items, [gotFull, gotBare])
    }))

  test("a run keeps every field", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const run = newRun(now + 5, {
        key: "x:full",
        nominal: now + 4,
        readyAt: now + 6,
        slots: 3,
        queues: true,
        atMostOnce: true
      })
      const row = yield* lab.add("a", {
        version: 2,
        priority: 9,
        executor: "threads",
        ...concurrencyIn(lab)
      })
      yield* lab.commit("a", {}, [create(run), create(newRun(now))], now + 1)
      const open = yield* lab.open("a")
      assert.deepStrictEqual(open["x:full"], {
        ...run,
        generation: row.generation,
        taskId: row.id,
        tag: lab.tag,
        version: 2,
        executor: "threads",
        priority: 9,
        ...concurrencyIn(lab),
        held: false,
        attempt: 0,
        takeovers: 0,
        createdAt: now + 1,
        owner: null,
        token: null,
        leaseUntil: null,
        startedAt: null,
        cancel: null,
        endedAt: null,
        exit: null
      })
      const { atMostOnce, queues, slots, state } = open[String(now)]!
      assert.deepStrictEqual({ atMostOnce, queues, slots, state }, {
        atMostOnce: false,
        queues: false,
        slots: 1,
        state: "ready"
      })
      assert.deepStrictEqual(yield* lab.runs({ name: "a", key: "x:full" }), [open["x:full"]!])
    }))

  test("texts come back as they were: quotes, slashes, emoji, case, unnormalised unicode", (lab) =>
    Effect.gen(function*() {
      const tasks = oddTexts.map((text) =>
        lab.task(text, {
          name: text,
          payload: JSON.stringify(text),
          display: JSON.stringify({ text }),
          labels: JSON.stringify({ [text]: text }),
          owner: text,
          pauseNote: text,
          declared: JSON.stringify([text]),
          runs: [newRun(lab.now, { key: `x:${text}` })]
        })
      )
      const inserted = yield* lab.store.insert(tasks)
      assert.deepStrictEqual(inserted.map((one) => one._tag), oddTexts.map(() => "Inserted"))
      for (const [i, text] of oddTexts.entries()) {
        const found = yield* lab.get(text)
        assert.deepStrictEqual(found?.row, inserted[i]!.row)
        assert.deepStrictEqual(found?.open.map((run) => run.key), [`x:${text}`])
        const labelled = yield* lab.store.list({
          labels: { [text]: text },
          owner: text,
          sort: "id",
          descending: false,
          limit: 10
        })
        assert.deepStrictEqual(labelled.items.map((row) => row.id).filter((id) => lab.own(id)), [lab.id(text)], text)
      }
      const claimed = yield* lab.claim()
      assert.deepStrictEqual(claimed.map(({ run }) => run.key).sort(), oddTexts.map((text) => `x:${text}`).sort())
      for (const { run } of claimed) {
        assert.strictEqual(yield* lab.settle(settlement(run, lab.now)), "Settled")
        assert.strictEqual((yield* lab.store.runs({ taskId: run.taskId, key: run.key, limit: 10 })).items.length, 1)
      }
    }))

  test("payloads and exits of 100 KB come back whole", (lab) =>
    Effect.gen(function*() {
      const big = JSON.stringify("0123456789 é 👍 ".repeat(7000))
      assert.isAbove(big.length, 100_000)
      yield* lab.addReady("big", undefined, { payload: big, display: big, trigger: big, ranges: big, declared: big })
      const [claimed] = yield* lab.claim()
      const { declared, display, payload, ranges, trigger } = claimed!.task
      assert.isTrue([declared, display, payload, ranges, trigger].every((text) => text === big))
      yield* lab.settle(settlement(claimed!.run, lab.now, { _tag: "End", state: "succeeded", exit: big }))
      const [ended] = yield* lab.history("big")
      assert.isTrue(ended!.exit === big)
    }))

  test("instants may be zero, negative, and the first and last that a date can be", (lab) =>
    Effect.gen(function*() {
      for (const instant of [0, -1, 1, -62_135_596_800_000, 8.64e15, -8.64e15]) {
        const name = `at ${instant}`
        const task = lab.task(name, {
          anchor: instant,
          createdAt: instant,
          updatedAt: instant,
          cursor: instant,
          due: instant,
          nominal: instant,
          override: instant,
          epoch: instant,
          pausedAt: instant,
          runs: [newRun(instant)]
        })
        yield* lab.store.insert([task])
        const { generation: _, revision: __, ...row } = yield* lab.row(name)
        assert.deepStrictEqual(row, withoutRuns(task))
        const { run } = (yield* lab.claim({ now: instant, until: instant }))[0]!
        const { due, key, leaseUntil, nominal, readyAt } = run
        assert.deepStrictEqual(
          { due, key, leaseUntil, nominal, readyAt },
          { due: instant, key: String(instant), leaseUntil: instant, nominal: instant, readyAt: instant }
        )
        yield* lab.store.start({ now: instant, owner: lab.owner, runs: [ref(run)] })
        yield* lab.settle(settlement(run, instant))
        const [ended] = yield* lab.history(name)
        assert.deepStrictEqual([ended!.startedAt, ended!.endedAt], [instant, instant])
        const { tasks } = yield* lab.store.due({
          now: instant,
          limit: 1000,
          reader: lab.reader,
          zoneRules: newestRules
        })
        assert.include(tasks.map((task) => task.row.id), lab.id(name))
        yield* lab.commit(name, "remove")
      }
    }))

  test("what a caller does to an answer or to its own arguments afterwards changes nothing", (lab) =>
    Effect.gen(function*() {
      const counters = { ...someCounters }
      const run = { ...newRun(lab.now) }
      const task = { ...lab.task("a", { counters, runs: [run] }) }
      yield* lab.store.insert([task])
      Object.assign(counters, { ran: 99 })
      Object.assign(run, { key: "changed" })
      Object.assign(task, { payload: "changed" })
      const found = (yield* lab.get("a"))!
      Object.assign(found.row, { payload: "changed" })
      Object.assign(found.row.counters, { ran: 98 })
      Object.assign(found.open[0]!, { key: "changed", state: "running" })
      const again = (yield* lab.get("a"))!
      assert.strictEqual(again.row.payload, "{}")
      assert.deepStrictEqual(again.row.counters, someCounters)
      assert.deepStrictEqual(yield* lab.states("a"), { [lab.now]: "ready" })
    }))
}
