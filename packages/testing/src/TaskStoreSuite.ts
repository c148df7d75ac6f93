/**
 * What a `TaskStore` promises, as tests: run it against every layer of the port.
 *
 * ```ts
 * import * as MemoryTaskStore from "punctual/MemoryTaskStore"
 * import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
 *
 * TaskStoreSuite.suite("memory", MemoryTaskStore.layer)
 * TaskStoreSuite.model("memory", MemoryTaskStore.layer)
 * ```
 *
 * The layer is built once and shared; each test uses ids, a tag and a day of its own and removes its tasks when it is
 * done. It must start empty. The tests run under `TestClock`: a store takes `now` from its caller.
 *
 * A name begins with the invariant of the port it belongs to.
 *
 * @since 0.1.0
 */
import type { Vitest } from "@effect/vitest"
import { assert, it as vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { RunRow, TaskRow } from "punctual/TaskRecord"
import { isOpen, noCounters } from "punctual/TaskRecord"
import type { Capabilities, Claimed, Committed, RunChange, TaskQuery, TaskStoreError } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import * as Commands from "./internal/taskStoreCommands.ts"
import type { Lab } from "./internal/taskStoreLab.ts"
import { change, create, lab, newRun, newTask, ref, settlement, someCounters } from "./internal/taskStoreLab.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What the store must say of itself. */
  readonly capabilities?: Capabilities | undefined
  /** Tests this store cannot pass, each with the reason, which is printed. A name that no test has fails. */
  readonly skip?: ReadonlyArray<{ readonly test: string; readonly reason: string }> | undefined
}

type Body = (lab: Lab) => Effect.Effect<void, TaskStoreError, TaskStore | Scope.Scope>

type Test = (name: string, body: Body) => void

/**
 * Registers the suite for one store.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <R, E>(name: string, layer: Layer.Layer<TaskStore | R, E>, options: Options = {}): void => {
  vitest.layer(layer, { timeout: "30 seconds" })(`TaskStore (${name})`, (it) => {
    const tests = collect()
    const skip = new Map((options.skip ?? []).map(({ reason, test }) => [test, reason]))
    tests.forEach(({ body, name }, index) => {
      const reason = skip.get(name)
      const run = () => Effect.flatMap(lab(index + 1), body)
      if (reason === undefined) it.effect(name, run, 15_000)
      else it.effect.skip(`${name} (skipped: ${reason})`, run)
    })
    described(it, options, tests.map(({ name }) => name))
  })
}

/**
 * Compares a store with `TaskStoreModel`: random sequences of calls, after each of which both must agree on every row,
 * run and verdict. A failure prints the shortest sequence found and the token that replays it.
 *
 * `runs` sequences (100) of up to `commands` commands (60).
 *
 * @category suites
 * @since 0.1.0
 */
export const model = <R, E>(
  name: string,
  layer: Layer.Layer<TaskStore | R, E>,
  options: {
    readonly runs?: number | undefined
    readonly commands?: number | undefined
    readonly seed?: number | undefined
    readonly replay?: string | undefined
    readonly timeout?: number | undefined
  } = {}
): void => {
  const { commands = 60, replay, runs = 100, seed, timeout = 120_000 } = options
  let index = 0
  vitest.layer(layer, { timeout: "30 seconds" })(`TaskStore (${name}) and its model`, (it) => {
    it.effect.prop(
      "agree on any sequence of calls",
      [Commands.commands(commands)],
      ([sequence]) => Effect.flatMap(TaskStore, (store) => Commands.agree(store, index++, sequence)),
      { timeout, arbitrary: { runs, size: commands, seed, replay, maxShrinks: 2000 } }
    )
  })
}

const described = <R>(
  it: Vitest.MethodsNonLive<TaskStore | R>,
  options: Options,
  names: ReadonlyArray<string>
): void => {
  const { capabilities } = options
  if (capabilities !== undefined) {
    it.effect("says what it can do", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        assert.deepStrictEqual(store.capabilities, capabilities)
        assert.notStrictEqual(store.name, "")
      }))
  }
  it("skips only tests that exist", () => {
    assert.deepStrictEqual((options.skip ?? []).map(({ test }) => test).filter((test) => !names.includes(test)), [])
  })
}

const collect = (): ReadonlyArray<{ readonly name: string; readonly body: Body }> => {
  const tests: Array<{ readonly name: string; readonly body: Body }> = []
  const test: Test = (name, body) => tests.push({ name, body })
  records(test)
  inserts(test)
  reads(test)
  commits(test)
  runChanges(test)
  claims(test)
  tokens(test)
  settlements(test)
  promotions(test)
  removals(test)
  takeovers(test)
  retention(test)
  verdicts(test)
  lists(test)
  wakes(test)
  concurrency(test)
  return tests
}

// -----------------------------------------------------------------------------
// records
// -----------------------------------------------------------------------------

const withoutRuns = ({ runs: _, ...task }: ReturnType<typeof newTask>): Omit<TaskRow, "generation" | "revision"> => task

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

const records = (test: Test) => {
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
      const row = yield* lab.add("a", { version: 2, priority: 9, executor: "threads" })
      yield* lab.commit("a", {}, [create(run), create(newRun(now, { state: "waiting" }))], now + 1)
      const open = yield* lab.open("a")
      assert.deepStrictEqual(open["x:full"], {
        ...run,
        generation: row.generation,
        taskId: row.id,
        tag: lab.tag,
        version: 2,
        executor: "threads",
        priority: 9,
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
      const { atMostOnce, queues, slots, state } = open[String(now)]
      assert.deepStrictEqual({ atMostOnce, queues, slots, state }, {
        atMostOnce: false,
        queues: false,
        slots: 1,
        state: "waiting"
      })
      assert.deepStrictEqual(yield* lab.runs({ name: "a", key: "x:full" }), [open["x:full"]])
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
        assert.deepStrictEqual(found?.row, inserted[i].row)
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
      const { declared, display, payload, ranges, trigger } = claimed.task
      assert.isTrue([declared, display, payload, ranges, trigger].every((text) => text === big))
      yield* lab.settle(settlement(claimed.run, lab.now, { _tag: "End", state: "succeeded", exit: big }))
      const [ended] = yield* lab.history("big")
      assert.isTrue(ended.exit === big)
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
        const [{ run }] = yield* lab.claim({ now: instant, until: instant })
        const { due, key, leaseUntil, nominal, readyAt } = run
        assert.deepStrictEqual(
          { due, key, leaseUntil, nominal, readyAt },
          { due: instant, key: String(instant), leaseUntil: instant, nominal: instant, readyAt: instant }
        )
        yield* lab.store.start({ now: instant, owner: lab.owner, runs: [ref(run)] })
        yield* lab.settle(settlement(run, instant))
        const [ended] = yield* lab.history(name)
        assert.deepStrictEqual([ended.startedAt, ended.endedAt], [instant, instant])
        const { tasks } = yield* lab.store.due({ now: instant, limit: 1000, reader: lab.reader })
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
      Object.assign(found.open[0], { key: "changed", state: "running" })
      const again = (yield* lab.get("a"))!
      assert.strictEqual(again.row.payload, "{}")
      assert.deepStrictEqual(again.row.counters, someCounters)
      assert.deepStrictEqual(yield* lab.states("a"), { [lab.now]: "ready" })
    }))
}

// -----------------------------------------------------------------------------
// insert, get, due
// -----------------------------------------------------------------------------

const inserts = (test: Test) => {
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
      assert.deepStrictEqual(inserted[0].row, inserted[1].row)
      assert.strictEqual((yield* lab.row("a")).payload, "1")
    }))

  test("I1: of many inserts of one id at once exactly one inserts", (lab) =>
    Effect.gen(function*() {
      const inserted = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => String(i)),
        (payload) => Effect.map(lab.store.insert([lab.task("a", { payload })]), ([one]) => ({ ...one, payload })),
        { concurrency: "unbounded" }
      )
      const winners = inserted.filter((one) => one._tag === "Inserted")
      assert.strictEqual(winners.length, 1)
      const row = yield* lab.row("a")
      assert.strictEqual(row.payload, winners[0].payload)
      for (const one of inserted) assert.deepStrictEqual(one.row, row)
    }))

  test("I2: insert creates runs with the row, each key once", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a", { runs: [newRun(now), newRun(now, { nominal: now + 1 }), newRun(now + 1, { state: "waiting" })] })
      const open = yield* lab.open("a")
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
      assert.strictEqual(open[now].nominal, now)
      assert.strictEqual(open[now].createdAt, now)
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

const reads = (test: Test) => {
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
      const read = (now: number, limit = 10) => lab.store.due({ now: at(now), limit, reader: lab.reader })
      const names = (answer: { readonly tasks: ReadonlyArray<{ readonly row: TaskRow }> }) =>
        answer.tasks.map((task) => task.row.id.slice(lab.id("").length))
      const at30 = yield* read(30)
      assert.deepStrictEqual(names(at30), ["a", "b", "c"])
      assert.strictEqual(at30.next, at(41))
      assert.deepStrictEqual(at30.tasks[0].open.map((run) => run.key).sort(), [at(5), at(6)].map(String).sort())
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
          lab.store.due({ now: at(now), limit: 10_000, reader: lab.reader }),
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
}

// -----------------------------------------------------------------------------
// commit
// -----------------------------------------------------------------------------

const commits = (test: Test) => {
  test("I5: position, definition and runs commit together", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const before = yield* lab.add("a", { due: now })
      const set = {
        tag: lab.tag,
        version: 3,
        name: "renamed",
        payload: "[1]",
        display: "[2]",
        trigger: "{\"_tag\":\"Every\"}",
        anchor: now + 1,
        onStartup: true,
        onShutdown: true,
        policy: "{\"p\":1}",
        executor: "threads",
        priority: 4,
        labels: "{\"a\":\"b\"}",
        owner: "somebody",
        declared: "{}",
        trace: "00-1",
        createdAt: now + 12,
        updatedAt: now + 2,
        state: "paused",
        cursor: now + 3,
        due: now + 4,
        nominal: now + 5,
        override: now + 6,
        epoch: now + 7,
        counters: someCounters,
        ranges: "[3]",
        pausedAt: now + 8,
        pauseNote: "note",
        failures: 9
      } as const
      const [committed] = yield* lab.store.commit([change(before, now, set, [create(newRun(now))])])
      assert.deepStrictEqual(committed, { _tag: "Committed", revision: 2, claimed: [] })
      const after = yield* lab.row("a")
      assert.deepStrictEqual(after, { ...before, ...set, revision: 2 })
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready" })
    }))

  test("I5: what a change does not name stays, null clears", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const before = yield* lab.add("a", {
        due: now,
        nominal: now,
        override: now,
        owner: "somebody",
        declared: "{}",
        trace: "t",
        pausedAt: now,
        pauseNote: "note"
      })
      yield* lab.commit("a", {})
      assert.deepStrictEqual(yield* lab.row("a"), { ...before, revision: 2 })
      const cleared = {
        due: null,
        nominal: null,
        override: null,
        owner: null,
        declared: null,
        trace: null,
        pausedAt: null,
        pauseNote: null
      }
      yield* lab.commit("a", cleared)
      assert.deepStrictEqual(yield* lab.row("a"), { ...before, ...cleared, revision: 3 })
    }))

  test("I5: a commit on an older revision is a conflict and leaves nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const old = yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" })])
      yield* lab.commit("a", { cursor: now })
      const before = yield* lab.get("a")
      const [committed] = yield* lab.store.commit([
        change(old, now, { cursor: now + 60, payload: "[]", due: now + 60 }, [
          create(newRun(now + 2)),
          create(newRun(now + 3), lab.lease()),
          { _tag: "Cancel", key: String(now), reason: "no" },
          { _tag: "Drop", key: String(now + 1) }
        ])
      ])
      assert.deepStrictEqual(committed, { _tag: "Conflict" })
      assert.deepStrictEqual(yield* lab.get("a"), before)
      const [removed] = yield* lab.store.commit([change(old, now, "remove")])
      assert.deepStrictEqual(removed, { _tag: "Conflict" })
      assert.deepStrictEqual(yield* lab.get("a"), before)
      const [ahead] = yield* lab.store.commit([{ ...change(old, now, { cursor: 1 }), revision: old.revision + 7 }])
      assert.deepStrictEqual(ahead, { _tag: "Conflict" })
    }))

  test("I5: of many commits of one revision at once exactly one wins, with its runs", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.add("a")
      const committed = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i),
        (i) =>
          Effect.map(
            lab.store.commit([change(row, now, { payload: String(i) }, [create(newRun(now + i))])]),
            ([one]) => ({ i, _tag: one._tag })
          ),
        { concurrency: "unbounded" }
      )
      const winners = committed.filter((one) => one._tag === "Committed")
      assert.strictEqual(winners.length, 1)
      const found = yield* lab.get("a")
      assert.strictEqual(found?.row.payload, String(winners[0].i))
      assert.strictEqual(found?.row.revision, 2)
      assert.deepStrictEqual(found?.open.map((run) => run.due), [now + winners[0].i])
    }))

  test("I5: a batch applies the other changes when one conflicts, and answers in order", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const [a, b, c] = (yield* lab.store.insert([lab.task("a"), lab.task("b"), lab.task("c")])).map((one) => one.row)
      yield* lab.commit("b", { cursor: now })
      const set = { cursor: now + 5 }
      const answers = yield* lab.store.commit([
        change(c, now, set),
        change(b, now, set),
        { ...change(b, now, set), id: lab.id("nobody") },
        change(a, now, set, [create(newRun(now), lab.lease())])
      ])
      assert.deepStrictEqual(answers.map((one) => one._tag), ["Committed", "Conflict", "Conflict", "Committed"])
      assert.deepStrictEqual(answers.map(claimedKeys), [[], [], [], [String(now)]])
      assert.strictEqual((yield* lab.row("a")).cursor, now + 5)
      assert.strictEqual((yield* lab.row("b")).cursor, now)
      assert.strictEqual((yield* lab.row("c")).cursor, now + 5)
    }))

  test("I5: changes of one task in one batch apply one after another", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.add("a")
      const answers = yield* lab.store.commit([
        change(row, now, { cursor: now + 1 }),
        change({ ...row, revision: 2 }, now, { cursor: now + 2 }),
        change(row, now, { cursor: now + 3 })
      ])
      assert.deepStrictEqual(answers.map((one) => one._tag), ["Committed", "Committed", "Conflict"])
      const { cursor, revision } = yield* lab.row("a")
      assert.deepStrictEqual({ cursor, revision }, { cursor: now + 2, revision: 3 })
    }))

  test("I5: a commit to another generation of the id is a conflict", (lab) =>
    Effect.gen(function*() {
      const old = yield* lab.add("a")
      yield* lab.commit("a", "remove")
      assert.deepStrictEqual(yield* lab.store.commit([change(old, lab.now, { cursor: 1 })]), [{ _tag: "Conflict" }])
      const row = yield* lab.add("a")
      assert.strictEqual(row.revision, old.revision)
      assert.deepStrictEqual(yield* lab.store.commit([change(old, lab.now, { cursor: 1 })]), [{ _tag: "Conflict" }])
      assert.deepStrictEqual(yield* lab.row("a"), row)
    }))
}

const claimedKeys = (committed: Committed): ReadonlyArray<string> =>
  committed._tag === "Committed" ? committed.claimed.map((run) => run.key) : []

const runChanges = (test: Test) => {
  test("I2: Create of a key that is open does nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      const [{ run }] = yield* lab.claim({ limit: 1 })
      const before = yield* lab.open("a")
      const again = (due: number) => newRun(due, { nominal: 1, slots: 9 })
      const committed = yield* lab.commit("a", {}, [
        create(again(now), lab.lease("thief")),
        create(again(now + 1), lab.lease("thief")),
        create(again(now + 2))
      ])
      assert.deepStrictEqual(committed.claimed, [])
      assert.deepStrictEqual(yield* lab.open("a"), before)
      assert.strictEqual(yield* lab.settle(settlement(run, now)), "Settled")
    }))

  test("I2: one key in two tasks is two runs", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a")
      yield* lab.addReady("b")
      const claimed = yield* lab.claim()
      assert.deepStrictEqual(claimed.map(({ run }) => run.taskId).sort(), [lab.id("a"), lab.id("b")])
      const [first, second] = claimed
      yield* lab.settle(settlement(first.run, lab.now))
      assert.deepStrictEqual(
        (yield* lab.store.heartbeat({ now: lab.now, lease: lab.lease(), runs: [ref(second.run)] })).map((h) => h.alive),
        [true]
      )
    }))

  test("a run created with a claim is running and owned, and nobody else's to claim", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a")
      const committed = yield* lab.commit("a", {}, [
        create(newRun(now), lab.lease()),
        create(newRun(now + 1)),
        create(newRun(now + 2), lab.lease())
      ])
      assert.deepStrictEqual(committed.claimed.map((run) => run.key), [String(now), String(now + 2)])
      const open = yield* lab.open("a")
      for (const run of committed.claimed) {
        const { attempt, leaseUntil, owner, startedAt, state } = run
        assert.deepStrictEqual({ attempt, leaseUntil, owner, startedAt, state }, {
          attempt: 1,
          leaseUntil: now + 30_000,
          owner: lab.owner,
          startedAt: null,
          state: "running"
        })
        assert.deepStrictEqual(open[run.key], run)
      }
      assert.isAbove(committed.claimed[1].token!, committed.claimed[0].token!)
      const claimed = yield* lab.claim({ now: now + 10, owner: "other" })
      assert.deepStrictEqual(claimed.map(({ run }) => run.key), [String(now + 1)])
      assert.strictEqual(yield* lab.settle(settlement(committed.claimed[0], now)), "Settled")
      assert.deepStrictEqual(yield* lab.takeover(now + 30_000), { [now + 2]: "ready" })
    }))

  test("Create copies from the row as the change leaves it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a")
      yield* lab.commit("a", { version: 5, priority: 6, executor: "threads" }, [create(newRun(now))])
      const run = (yield* lab.open("a"))[now]
      assert.deepStrictEqual([run.tag, run.version, run.priority, run.executor], [lab.tag, 5, 6, "threads"])
    }))

  test("ready and waiting runs follow their row: tag, version, executor, priority", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      const [{ run: running }] = yield* lab.claim({ limit: 1 })
      const tag = `${lab.tag}.other`
      yield* lab.commit("a", { tag, version: 2, executor: "threads", priority: 3 })
      const open = yield* lab.open("a")
      const kinds = Object.values(open).map((run) => [run.key, run.tag, run.version, run.executor, run.priority].join(" "))
      assert.deepStrictEqual(kinds.sort(), [
        `${running.key} ${lab.tag} 1 default 0`,
        `${now + 1} ${tag} 2 threads 3`,
        `${now + 2} ${tag} 2 threads 3`
      ])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
      const slot = { executor: "threads", tag, version: 2, limit: 9 }
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9, slots: [{ ...slot, version: 1 }] }), [])
      const claimed = yield* lab.claim({ now: now + 9, slots: [slot] })
      assert.deepStrictEqual(claimed.map(({ run }) => run.key), [String(now + 1)])
    }))

  test("Drop deletes a waiting run and leaves no trace, and nothing else", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      yield* lab.claim({ limit: 1 })
      yield* lab.commit("a", {}, [now, now + 1, now + 2].map((key) => ({ _tag: "Drop", key: String(key) })))
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running", [now + 1]: "ready" })
      assert.deepStrictEqual(yield* lab.history("a"), [])
      assert.deepStrictEqual(yield* lab.runs({ name: "a", key: String(now + 2) }), [])
    }))

  test("Cancel ends ready and waiting runs at once and asks a running one, for the first reason", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })])
      const run = yield* lab.claimOne()
      const cancel = (reason: string) =>
        [now, now + 1, now + 2].map((key): RunChange => ({ _tag: "Cancel", key: String(key), reason }))
      yield* lab.commit("a", {}, cancel("first"), now + 7)
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running" })
      yield* lab.commit("a", {}, cancel("second"), now + 8)
      assert.strictEqual((yield* lab.open("a"))[now].cancel, "first")
      const ended = yield* lab.history("a")
      assert.deepStrictEqual(
        ended.map((run) => [run.key, run.state, run.cancel, run.endedAt, run.exit]),
        [now + 2, now + 1].map((key) => [String(key), "cancelled", "first", now + 7, null])
      )
      const beat = yield* lab.store.heartbeat({ now, lease: lab.lease(), runs: [ref(run)] })
      assert.deepStrictEqual(beat, [{ alive: true, cancel: "first" }])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 10 }), [])
      // It may end as it likes: what it did counts.
      assert.strictEqual(yield* lab.settle(settlement(run, now + 9)), "Settled")
      assert.strictEqual((yield* lab.runs({ name: "a", key: run.key }))[0].state, "succeeded")
    }))

  test("Promote makes a waiting run ready, and nothing else", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" }), newRun(now + 2, { state: "waiting" })])
      yield* lab.claim()
      yield* lab.commit("a", {}, [
        { _tag: "Promote", key: String(now) },
        { _tag: "Promote", key: String(now + 2) },
        { _tag: "Promote", key: "nobody" }
      ])
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "running", [now + 1]: "waiting", [now + 2]: "ready" })
      assert.deepStrictEqual((yield* lab.claim({ now: now + 9 })).map(({ run }) => run.key), [String(now + 2)])
    }))

  test("Hold keeps ready and waiting runs from being claimed, also once promoted, until Unhold", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" })])
      yield* lab.commit("a", {}, [now, now + 1].map((key) => ({ _tag: "Hold", key: String(key) })))
      assert.deepStrictEqual(yield* lab.claimAll({ now: now + 9 }), { runs: [], next: null })
      yield* lab.commit("a", {}, [{ _tag: "Promote", key: String(now + 1) }])
      const open = yield* lab.open("a")
      assert.deepStrictEqual(Object.values(open).map((run) => [run.state, run.held]), [["ready", true], ["ready", true]])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
      yield* lab.commit("a", {}, [{ _tag: "Unhold", key: String(now + 1) }])
      assert.deepStrictEqual((yield* lab.claim({ now: now + 9 })).map(({ run }) => run.key), [String(now + 1)])
      yield* lab.commit("a", {}, [now, now + 1].map((key) => ({ _tag: "Hold", key: String(key) })))
      assert.isFalse((yield* lab.open("a"))[now + 1].held, "a running run is not held")
    }))
}

// -----------------------------------------------------------------------------
// claim, start, heartbeat
// -----------------------------------------------------------------------------

const keys = (claimed: ReadonlyArray<Claimed>): ReadonlyArray<string> => claimed.map(({ run }) => run.key)

const claims = (test: Test) => {
  test("a claim gives token, lease, attempt and the task as of now", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      yield* lab.commit("a", { payload: "[\"new\"]" })
      const [{ run, task }] = yield* lab.claim({ now: now + 1, until: now + 500 })
      assert.deepStrictEqual([run.state, run.owner, run.leaseUntil, run.attempt, run.startedAt], [
        "running",
        lab.owner,
        now + 500,
        1,
        null
      ])
      assert.isAbove(run.token!, 0)
      assert.deepStrictEqual((yield* lab.open("a"))[now], run)
      assert.deepStrictEqual(task, yield* lab.row("a"))
      assert.strictEqual(task.payload, "[\"new\"]")
      assert.strictEqual(task.revision, 2, "a claim leaves the row alone")
      assert.deepStrictEqual(yield* lab.claim({ now: now + 1, owner: "other" }), [])
    }))

  test("claims go by priority, then due, over all tasks of the tag", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("low", [newRun(now), newRun(now + 1)], { priority: -1 })
      yield* lab.addReady("high", [newRun(now + 6), newRun(now + 2)], { priority: 10 })
      yield* lab.addReady("mid", [newRun(now + 5)])
      yield* lab.addReady("mid2", [newRun(now + 4), newRun(now + 7)])
      const order = [now + 2, now + 6, now + 4, now + 5, now + 7, now, now + 1].map(String)
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, limit: 3 })), order.slice(0, 3))
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9 })), order.slice(3))
    }))

  test("order is kept over versions of one tag", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("v1", [newRun(now), newRun(now + 3)], { version: 1 })
      yield* lab.addReady("v2", [newRun(now + 1), newRun(now + 4)], { version: 2 })
      yield* lab.addReady("v3", [newRun(now + 2)], { version: 3 })
      const slots = [lab.slot({ version: 3 })]
      assert.deepStrictEqual(
        keys(yield* lab.claim({ now: now + 9, slots })),
        [now, now + 1, now + 2, now + 3, now + 4].map(String)
      )
    }))

  test("a claim takes payload versions up to its own", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const version of [1, 2, 3]) yield* lab.addReady(`v${version}`, [newRun(now + version)], { version })
      const claim = (version: number) => lab.claim({ now: now + 9, slots: [lab.slot({ version })] })
      assert.deepStrictEqual(keys(yield* claim(0)), [])
      assert.deepStrictEqual(keys(yield* claim(2)), [now + 1, now + 2].map(String))
      assert.deepStrictEqual(keys(yield* claim(3)), [String(now + 3)])
    }))

  test("a claim takes only runs of its executor and tag", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now)], { executor: "threads" })
      yield* lab.addReady("b", [newRun(now + 1)], { tag: `${lab.tag}.b` })
      yield* lab.addReady("c", [newRun(now + 2)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9 })), [String(now + 2)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, slots: [lab.slot({ executor: "threads" })] })), [
        String(now)
      ])
    }))

  test("claims go round robin over slots; what one leaves, others take", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tags = ["x", "y", "z"].map((tag) => `${lab.tag}.${tag}`)
      const runs = (from: number, count: number) => Array.from({ length: count }, (_, i) => newRun(now + from + i))
      yield* lab.addReady("x", runs(0, 10), { tag: tags[0], priority: 5 })
      yield* lab.addReady("y", runs(100, 10), { tag: tags[1] })
      yield* lab.addReady("z", runs(200, 1), { tag: tags[2] })
      const slots = tags.map((tag) => lab.slot({ tag, limit: 6 }))
      const count = (claimed: ReadonlyArray<Claimed>) =>
        tags.map((tag) => claimed.filter(({ run }) => run.tag === tag).length)
      const first = yield* lab.claim({ now: now + 999, slots, limit: 4 })
      assert.deepStrictEqual(count(first).toSorted().reverse(), [2, 1, 1], "an equal share for each")
      const second = yield* lab.claim({ now: now + 999, slots, limit: 100 })
      assert.deepStrictEqual(count(second), [6, 6, count(first)[2] === 1 ? 0 : 1], "at most the slot's limit")
      const third = yield* lab.claim({ now: now + 999, slots, limit: 100 })
      assert.strictEqual(first.length + second.length + third.length, 21)
      for (const claimed of [first, second, third]) {
        for (const tag of tags) {
          const due = claimed.filter(({ run }) => run.tag === tag).map(({ run }) => run.due)
          assert.deepStrictEqual(due, due.toSorted((a, b) => a - b))
        }
      }
    }))

  test("a claim's limit holds over all slots, and zero claims nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9, limit: 0 }), [])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9, slots: [lab.slot({ limit: 0 })] }), [])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, slots: [lab.slot({ limit: 2 })] })), [
        String(now),
        String(now + 1)
      ])
    }))

  test("runs that are ready later are not claimed, and the next of them is told", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now, { readyAt: now + 50 }),
        newRun(now + 1, { readyAt: now + 20 }),
        newRun(now + 2)
      ])
      yield* lab.addReady("foreign", [newRun(now, { readyAt: now + 15 })], { tag: `${lab.tag}.foreign` })
      yield* lab.addReady("new", [newRun(now, { readyAt: now + 16 })], { version: 2 })
      const at = (n: number) =>
        Effect.map(lab.claimAll({ now: now + n }), ({ next, runs }) => ({ runs: keys(runs), next }))
      assert.deepStrictEqual(yield* at(10), { runs: [String(now + 2)], next: now + 20 })
      assert.deepStrictEqual(yield* at(19), { runs: [], next: now + 20 })
      assert.deepStrictEqual(yield* at(20), { runs: [String(now + 1)], next: now + 50 })
      assert.deepStrictEqual(yield* at(50), { runs: [String(now)], next: null })
    }))

  test("a claim whose clock is behind another's does not get what is not ready yet", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", Array.from({ length: 10 }, (_, i) => newRun(now + i)))
      const at = (n: number, limit: number) =>
        Effect.map(lab.claimAll({ now: now + n, limit }), ({ next, runs }) => ({ runs: keys(runs), next }))
      assert.deepStrictEqual(yield* at(8, 1), { runs: [String(now)], next: now + 9 })
      assert.deepStrictEqual(yield* at(2, 10), { runs: [String(now + 1), String(now + 2)], next: now + 3 })
      assert.deepStrictEqual((yield* at(5, 1)).next, now + 6)
      assert.deepStrictEqual((yield* at(9, 10)).runs, [4, 5, 6, 7, 8, 9].map((i) => String(now + i)))
    }))

  test("waiting runs are not claimed", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a", [newRun(lab.now, { state: "waiting" })])
      assert.deepStrictEqual(yield* lab.claimAll({ now: lab.now + 9 }), { runs: [], next: null })
    }))

  test("I10: a claim behind 10,000 ready runs of others gets ours", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const foreign = ["tag", "executor", "version"].flatMap((differs) =>
        Array.from({ length: 3334 }, (_, i) =>
          lab.task(`${differs}-${i}`, {
            tag: differs === "tag" ? `${lab.tag}.foreign` : lab.tag,
            executor: differs === "executor" ? "foreign" : "default",
            version: differs === "version" ? 9 : 1,
            priority: 100,
            runs: [newRun(now - 1000 + (i % 500))]
          }))
      )
      for (let i = 0; i < foreign.length; i += 1000) yield* lab.store.insert(foreign.slice(i, i + 1000))
      yield* lab.addReady("ours", [newRun(now), newRun(now + 1)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, limit: 5 })), [String(now), String(now + 1)])
    }))

  test("start marks an attempt once; the next claim begins unmarked", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const start = (n: number, of = run) => lab.store.start({ now: now + n, owner: lab.owner, runs: [ref(of)] })
      const startedAt = Effect.map(lab.open("a"), (open) => open[now].startedAt)
      assert.deepStrictEqual(yield* start(1), [true])
      assert.strictEqual(yield* startedAt, now + 1)
      assert.deepStrictEqual(yield* start(2), [true])
      assert.strictEqual(yield* startedAt, now + 1)
      yield* lab.settle(settlement(run, now + 3, { _tag: "Retry", readyAt: now + 4, exit: null }))
      const again = yield* lab.claimOne({ now: now + 4 })
      assert.strictEqual(again.startedAt, null)
      assert.deepStrictEqual(yield* start(5), [false])
      assert.strictEqual(yield* startedAt, null)
      assert.deepStrictEqual(yield* start(6, again), [true])
      assert.strictEqual(yield* startedAt, now + 6)
    }))

  test("a heartbeat extends the runs it names, and only those", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [{ run: named }, { run: unnamed }] = yield* lab.claim({ now: now + 1, until: now + 1000 })
      const beat = yield* lab.store.heartbeat({
        now: now + 500,
        lease: lab.lease(lab.owner, now + 1500),
        runs: [ref(named), { ...ref(named), key: "nobody" }]
      })
      assert.deepStrictEqual(beat, [{ alive: true, cancel: null }, { alive: false, cancel: null }])
      assert.deepStrictEqual(yield* lab.takeover(now + 1200), { [unnamed.key]: "ready" })
      assert.deepStrictEqual((yield* lab.open("a"))[named.key], { ...named, leaseUntil: now + 1500 })
    }))
}

// -----------------------------------------------------------------------------
// I3, I4
// -----------------------------------------------------------------------------

const tokens = (test: Test) => {
  test("I3: nobody but its owner settles, starts or extends a run", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const before = yield* lab.get("a")
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { owner: "thief" })), "Stale")
      assert.deepStrictEqual(yield* lab.store.start({ now, owner: "thief", runs: [ref(run)] }), [false])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now, lease: lab.lease("thief", now + 99_999), runs: [ref(run)] }),
        [{ alive: false, cancel: null }]
      )
      assert.deepStrictEqual(yield* lab.get("a"), before)
    }))

  test("I3: a lease that ended but was not taken over is still its owner's", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 1, until: now + 10 })
      const beat = yield* lab.store.heartbeat({
        now: now + 20,
        lease: lab.lease(lab.owner, now + 50),
        runs: [ref(one.run)]
      })
      assert.deepStrictEqual(beat, [{ alive: true, cancel: null }])
      assert.strictEqual(yield* lab.settle(settlement(two.run, now + 20)), "Settled")
      assert.deepStrictEqual(yield* lab.takeover(now + 49), {})
    }))

  test("I4: a stale token changes nothing and is told so", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const first = yield* lab.claimOne()
      yield* lab.settle(settlement(first, now, { _tag: "Release" }))
      const second = yield* lab.claimOne()
      assert.isAbove(second.token!, first.token!)
      const before = yield* lab.get("a")
      assert.strictEqual(yield* lab.settle(settlement(first, now + 1)), "Stale")
      assert.deepStrictEqual(yield* lab.store.start({ now, owner: lab.owner, runs: [ref(first)] }), [false])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now, lease: lab.lease(lab.owner, now + 99_999), runs: [ref(first)] }),
        [{ alive: false, cancel: null }]
      )
      assert.deepStrictEqual(yield* lab.get("a"), before)
      assert.deepStrictEqual(yield* lab.history("a"), [])
      assert.strictEqual(yield* lab.settle(settlement(second, now + 1)), "Settled")
    }))

  test("I4: settling again with the token that settled is the same settlement", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const queued = { queues: true }
      yield* lab.addReady("a", [
        newRun(now, queued),
        newRun(now + 1, { ...queued, state: "waiting" }),
        newRun(now + 2, { ...queued, state: "waiting" })
      ])
      const run = yield* lab.claimOne()
      const task = { failures: "increment" } as const
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { task })), "Settled")
      const [row, states, history] = [yield* lab.row("a"), yield* lab.states("a"), yield* lab.history("a")]
      assert.strictEqual(row.failures, 1)
      for (
        const result of [
          { _tag: "End", state: "failed", exit: "\"other\"" },
          { _tag: "Retry", readyAt: now, exit: null },
          { _tag: "Release" },
          { _tag: "End", state: "succeeded", exit: "\"ok\"" }
        ] as const
      ) {
        assert.strictEqual(yield* lab.settle(settlement(run, now + 5, result, { task })), "Settled")
        assert.deepStrictEqual(yield* lab.row("a"), row)
        assert.deepStrictEqual(yield* lab.states("a"), states)
        assert.deepStrictEqual(yield* lab.history("a"), history)
      }
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { token: run.token! + 1000 })), "Stale")
      assert.strictEqual(yield* lab.settle(settlement(run, now, undefined, { owner: "thief" })), "Stale")
    }))

  test("I4: a retry settled again is the same settlement until it is claimed", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      yield* lab.settle(settlement(run, now, { _tag: "Retry", readyAt: now + 10, exit: "1" }))
      const before = yield* lab.get("a")
      for (const result of [{ _tag: "Retry", readyAt: now + 99, exit: "2" }, { _tag: "Release" }] as const) {
        assert.strictEqual(yield* lab.settle(settlement(run, now, result)), "Settled")
      }
      assert.strictEqual(yield* lab.settle(settlement(run, now)), "Settled")
      assert.deepStrictEqual(yield* lab.get("a"), before)
      const again = yield* lab.claimOne({ now: now + 10 })
      assert.strictEqual(yield* lab.settle(settlement(run, now)), "Stale")
      assert.strictEqual(yield* lab.settle(settlement(again, now + 11)), "Settled")
    }))

  test("I4: tokens of all tasks are one growing sequence", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tokens: Array<number> = []
      for (const name of ["a", "b", "c"]) {
        yield* lab.addReady(name, [newRun(now), newRun(now + 1)])
        const committed = yield* lab.commit(name, {}, [create(newRun(now + 2), lab.lease())])
        tokens.push(...committed.claimed.map((run) => run.token!))
        const claimed = yield* lab.claim({ now: now + 9 })
        tokens.push(...claimed.map(({ run }) => run.token!).sort((a, b) => a - b))
      }
      assert.strictEqual(tokens.length, 9)
      assert.strictEqual(new Set(tokens).size, 9)
      assert.deepStrictEqual(tokens, tokens.toSorted((a, b) => a - b))
    }))

  test("I9: one bad entry of a batch spoils only itself", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 9 })
      const bad = [
        { ...ref(one.run), generation: 2_000_000_000 },
        { ...ref(one.run), key: "nobody" },
        { ...ref(one.run), token: -5 }
      ]
      const runs = [ref(one.run), ...bad, ref(two.run)]
      const expected = [true, false, false, false, true]
      assert.deepStrictEqual(yield* lab.store.start({ now, owner: lab.owner, runs }), expected)
      const beats = yield* lab.store.heartbeat({ now, lease: lab.lease(), runs })
      assert.deepStrictEqual(beats.map((beat) => beat.alive), expected)
      const settled = yield* lab.store.settle(
        [settlement(one.run, now), ...bad.map((ref) => ({ ...settlement(one.run, now), ...ref })), settlement(two.run, now)],
        { keep: 10 }
      )
      assert.deepStrictEqual(settled, ["Settled", "Stale", "Stale", "Stale", "Settled"])
      assert.deepStrictEqual(yield* lab.states("a"), {})
    }))

  test("I9: one run twice in a batch is settled once", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const settled = yield* lab.store.settle([
        settlement(run, now),
        settlement(run, now, { _tag: "End", state: "failed", exit: null })
      ], { keep: 10 })
      assert.deepStrictEqual(settled, ["Settled", "Settled"])
      assert.deepStrictEqual((yield* lab.history("a")).map((run) => run.state), ["succeeded"])
    }))
}

// -----------------------------------------------------------------------------
// settle
// -----------------------------------------------------------------------------

const settlements = (test: Test) => {
  test("an end moves the run to history with how it ended", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const states = ["succeeded", "failed", "cancelled", "timedOut", "missed", "abandoned"] as const
      yield* lab.addReady("a", states.map((_, i) => newRun(now + i)))
      const claimed = yield* lab.claim({ now: now + 9 })
      yield* lab.store.start({ now: now + 10, owner: lab.owner, runs: claimed.map(({ run }) => ref(run)) })
      const settled = yield* lab.store.settle(
        claimed.map(({ run }, i) =>
          settlement(run, now + 20 + i, { _tag: "End", state: states[i], exit: i === 0 ? null : `[${i}]` })
        ),
        { keep: 100 }
      )
      assert.deepStrictEqual(settled, states.map(() => "Settled"))
      const history = yield* lab.history("a")
      assert.deepStrictEqual(
        history.toReversed(),
        claimed.map(({ run }, i): RunRow => ({
          ...run,
          state: states[i],
          startedAt: now + 10,
          endedAt: now + 20 + i,
          exit: i === 0 ? null : `[${i}]`,
          leaseUntil: null
        }))
      )
      assert.deepStrictEqual(yield* lab.get("a"), { row: yield* lab.row("a"), open: [] })
      assert.strictEqual((yield* lab.row("a")).revision, 1, "a settlement without `task` leaves the row alone")
    }))

  test("Retry keeps the attempt, Release gives it back", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const one = yield* lab.claimOne()
      yield* lab.settle(settlement(one, now, { _tag: "Retry", readyAt: now + 50, exit: "\"no\"" }))
      const retried = (yield* lab.open("a"))[now]
      assert.deepStrictEqual(
        [retried.state, retried.attempt, retried.readyAt, retried.exit, retried.leaseUntil, retried.endedAt],
        ["ready", 1, now + 50, "\"no\"", null, null]
      )
      assert.deepStrictEqual(yield* lab.claimAll({ now: now + 49 }), { runs: [], next: now + 50 })
      const two = yield* lab.claimOne({ now: now + 50 })
      assert.strictEqual(two.attempt, 2)
      yield* lab.settle(settlement(two, now + 51, { _tag: "Release" }))
      const released = (yield* lab.open("a"))[now]
      assert.deepStrictEqual([released.state, released.attempt, released.leaseUntil], ["ready", 1, null])
      const three = yield* lab.claimOne({ now: now + 51, owner: "other" })
      assert.deepStrictEqual([three.attempt, three.takeovers, three.owner], [2, 0, "other"])
      assert.deepStrictEqual(yield* lab.history("a"), [])
    }))

  test("a run asked to stop does not go back to ready: it ends cancelled", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", {}, [now, now + 1].map((key) => ({ _tag: "Cancel", key: String(key), reason: "stop" })))
      yield* lab.settle(settlement(one.run, now + 10, { _tag: "Retry", readyAt: now, exit: "1" }))
      yield* lab.settle(settlement(two.run, now + 10, { _tag: "Release" }))
      assert.deepStrictEqual(yield* lab.states("a"), {})
      assert.deepStrictEqual(
        (yield* lab.history("a")).map((run) => [run.state, run.cancel, run.endedAt]),
        [["cancelled", "stop", now + 10], ["cancelled", "stop", now + 10]]
      )
    }))

  test("failures are counted in the row, reset, and each time add one to its revision", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2), newRun(now + 3)])
      const claimed = yield* lab.claim({ now: now + 9 })
      const seen: Array<readonly [number, number]> = []
      for (const [i, failures] of (["increment", "increment", "reset", "increment"] as const).entries()) {
        yield* lab.settle(settlement(claimed[i].run, now, undefined, { task: { failures } }))
        const row = yield* lab.row("a")
        seen.push([row.failures, row.revision])
      }
      assert.deepStrictEqual(seen, [[1, 2], [2, 3], [0, 4], [1, 5]])
    }))

  test("the failure that reaches the limit pauses the task and holds its runs", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now),
        newRun(now + 1),
        newRun(now + 2),
        newRun(now + 3, { readyAt: now + 99 }),
        newRun(now + 4, { state: "waiting" })
      ], { due: now + 1000, nominal: now + 999 })
      const claimed = yield* lab.claim({ now: now + 9 })
      const task = { failures: "increment", pauseAt: { failures: 2, note: "two in a row" } } as const
      yield* lab.settle(settlement(claimed[0].run, now + 10, undefined, { task }))
      const after = yield* lab.row("a")
      assert.deepStrictEqual([after.state, after.pausedAt, after.due], ["scheduled", null, now + 1000])
      yield* lab.settle(settlement(claimed[1].run, now + 11, undefined, { task }))
      const paused = yield* lab.row("a")
      assert.deepStrictEqual(
        [paused.state, paused.pausedAt, paused.pauseNote, paused.due, paused.nominal, paused.failures],
        ["paused", now + 11, "two in a row", null, null, 2]
      )
      assert.deepStrictEqual([paused.cursor, paused.revision], [after.cursor, 3])
      const open = yield* lab.open("a")
      assert.deepStrictEqual([2, 3, 4].map((i) => [open[now + i].state, open[now + i].held]), [
        ["running", false],
        ["ready", true],
        ["waiting", true]
      ])
      const { tasks } = yield* lab.store.due({ now: now + 2000, limit: 100_000, reader: lab.reader })
      assert.notInclude(tasks.map((task) => task.row.id), lab.id("a"))
      yield* lab.settle(settlement(claimed[2].run, now + 12, undefined, { task }))
      assert.deepStrictEqual((yield* lab.row("a")).pausedAt, now + 11, "a paused task stays as it is")
    }))

  test("a finished task is not paused by failures", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", undefined, { state: "finished" })
      const run = yield* lab.claimOne()
      const task = { failures: "increment", pauseAt: { failures: 1, note: "note" } } as const
      yield* lab.settle(settlement(run, now, undefined, { task }))
      const row = yield* lab.row("a")
      assert.deepStrictEqual([row.state, row.pausedAt, row.pauseNote, row.failures], ["finished", null, null, 1])
    }))

  test("a run that was too late counts as missed, no longer as ran", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)], { counters: someCounters })
      const [one, two] = yield* lab.claim({ now: now + 9 })
      const missed = { _tag: "End", state: "missed", exit: null } as const
      yield* lab.settle(settlement(one.run, now, missed, { task: { missed: true } }))
      const row = yield* lab.row("a")
      assert.deepStrictEqual(row.counters, { ...someCounters, ran: someCounters.ran - 1, missed: someCounters.missed + 1 })
      assert.strictEqual(row.revision, 2)
      yield* lab.settle(settlement(two.run, now, missed))
      assert.deepStrictEqual(yield* lab.row("a"), row)
    }))
}

const promotions = (test: Test) => {
  const queued = { queues: true }
  const waiting = { queues: true, state: "waiting" } as const

  test("I7: ending a run that queues promotes the waiting run due first, and only that one", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [
        newRun(now, queued),
        newRun(now + 3, waiting),
        newRun(now + 1, waiting),
        newRun(now + 2, waiting)
      ])
      const order: Array<string> = []
      for (let i = 0; i < 4; i++) {
        const run = yield* lab.claimOne({ now: now + 9 })
        order.push(run.key)
        yield* lab.settle(settlement(run, now + 9, { _tag: "End", state: i === 1 ? "failed" : "succeeded", exit: null }))
        const states = Object.values(yield* lab.states("a"))
        assert.strictEqual(states.filter((state) => state !== "waiting").length, i === 3 ? 0 : 1)
      }
      assert.deepStrictEqual(order, [now, now + 1, now + 2, now + 3].map(String))
    }))

  test("I7: promotion goes by due, not by key", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a", [
        newRun(1, queued),
        newRun(100, waiting),
        newRun(20, waiting),
        newRun(3, { ...waiting, key: "x:late" })
      ])
      yield* lab.settle(settlement(yield* lab.claimOne(), lab.now))
      assert.deepStrictEqual(yield* lab.states("a"), { "100": "waiting", "20": "waiting", "x:late": "ready" })
    }))

  test("I7: never more than slots are ready or running", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const two = { ...queued, slots: 2 }
      const waits = { ...waiting, slots: 2 }
      yield* lab.addReady("a", [newRun(now, two), newRun(now + 1, two), newRun(now + 2, waits), newRun(now + 3, waits)])
      const claimed = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", {}, [{ _tag: "Promote", key: String(now + 2) }])
      yield* lab.settle(settlement(claimed[0].run, now + 9))
      assert.deepStrictEqual(
        yield* lab.states("a"),
        { [now + 1]: "running", [now + 2]: "ready", [now + 3]: "waiting" },
        "two are active already"
      )
      yield* lab.settle(settlement(claimed[1].run, now + 9))
      assert.deepStrictEqual(yield* lab.states("a"), { [now + 2]: "ready", [now + 3]: "ready" })
    }))

  test("I7: a retry and a release keep their slot", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, queued), newRun(now + 1, waiting)])
      yield* lab.settle(settlement(yield* lab.claimOne(), now, { _tag: "Retry", readyAt: now, exit: null }))
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
      yield* lab.settle(settlement(yield* lab.claimOne(), now, { _tag: "Release" }))
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
      assert.deepStrictEqual(yield* lab.takeover(now + 1), {})
      const lost = yield* lab.claimOne({ until: now + 5 })
      assert.deepStrictEqual(yield* lab.takeover(now + 5), { [lost.key]: "ready" })
      assert.deepStrictEqual(yield* lab.states("a"), { [now]: "ready", [now + 1]: "waiting" })
    }))

  test("I7: a run that does not queue promotes nothing", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1, { state: "waiting" })])
      yield* lab.settle(settlement(yield* lab.claimOne(), now))
      assert.deepStrictEqual(yield* lab.states("a"), { [now + 1]: "waiting" })
      assert.strictEqual((yield* lab.row("a")).revision, 1)
    }))

  test("I7: a plan made before a queueing run ended is a conflict, so that no run waits for ever", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, queued)])
      const run = yield* lab.claimOne()
      const planned = yield* lab.row("a")
      yield* lab.settle(settlement(run, now, undefined, { task: { failures: "reset" } }))
      assert.strictEqual((yield* lab.row("a")).revision, planned.revision + 1, "together with `task`: one")
      const [committed] = yield* lab.store.commit([change(planned, now, {}, [create(newRun(now + 1, waiting))])])
      assert.deepStrictEqual(committed, { _tag: "Conflict" })
      assert.deepStrictEqual(yield* lab.states("a"), {})
    }))

  test("I7: a run that is taken over for good promotes too", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      for (const name of ["abandoned", "cancelled"]) {
        yield* lab.addReady(name, [newRun(now, queued), newRun(now + 1, waiting), newRun(now + 2, waiting)])
        yield* lab.claimOne({ until: now + 5 })
        if (name === "cancelled") yield* lab.commit(name, {}, [{ _tag: "Cancel", key: String(now), reason: "stop" }])
        const { revision } = yield* lab.row(name)
        const took = yield* lab.takeover(now + 5, { maxTakeovers: 1 })
        assert.deepStrictEqual(took, { [now]: name })
        assert.deepStrictEqual(yield* lab.states(name), { [now + 1]: "ready", [now + 2]: "waiting" })
        assert.strictEqual((yield* lab.row(name)).revision, revision + 1)
        yield* lab.commit(name, "remove")
      }
    }))
}

// -----------------------------------------------------------------------------
// remove
// -----------------------------------------------------------------------------

const removals = (test: Test) => {
  test("removing cancels ready and waiting runs and lets running ones settle into history", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2, { state: "waiting" })], {
        due: -5_000_000_000_000
      })
      const run = yield* lab.claimOne()
      assert.strictEqual((yield* lab.commit("a", "remove", [], now + 5))._tag, "Committed")
      assert.deepStrictEqual(yield* lab.store.get([row.id]), [])
      assert.deepStrictEqual((yield* lab.store.list({ ids: [row.id], sort: "id", descending: false, limit: 9 })).items, [])
      const { tasks } = yield* lab.store.due({ now: -5_000_000_000_000, limit: 1000, reader: lab.reader })
      assert.notInclude(tasks.map((task) => task.row.id), row.id)
      assert.deepStrictEqual(yield* lab.claim({ now: now + 9 }), [])
      const states = Effect.map(lab.runs({ name: "a" }), (runs) => runs.map((run) => [run.key, run.state, run.endedAt]))
      assert.deepStrictEqual(yield* states, [
        [String(now + 2), "cancelled", now + 5],
        [String(now + 1), "cancelled", now + 5],
        [String(now), "running", null]
      ])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now: now + 6, lease: lab.lease(), runs: [ref(run)] }),
        [{ alive: true, cancel: null }]
      )
      const task = { failures: "increment", missed: true } as const
      assert.strictEqual(yield* lab.settle(settlement(run, now + 7, undefined, { task })), "Settled")
      assert.strictEqual(yield* lab.settle(settlement(run, now + 7)), "Settled")
      assert.deepStrictEqual((yield* states)[2], [String(now), "succeeded", now + 7])
    }))

  test("a run whose task is gone does not go back to ready: it ends cancelled", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1)])
      const [one, two] = yield* lab.claim({ now: now + 9 })
      yield* lab.commit("a", "remove")
      assert.strictEqual(
        yield* lab.settle(settlement(one.run, now + 10, { _tag: "Retry", readyAt: now, exit: "1" })),
        "Settled"
      )
      assert.strictEqual(yield* lab.settle(settlement(two.run, now + 10, { _tag: "Release" })), "Settled")
      assert.deepStrictEqual((yield* lab.runs({ name: "a" })).map((run) => run.state), ["cancelled", "cancelled"])
      assert.deepStrictEqual(yield* lab.claim({ now: now + 99 }), [])
    }))

  test("the last wishes of a removing change are done before it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      yield* lab.commit("a", "remove", [{ _tag: "Cancel", key: run.key, reason: "interrupt" }])
      assert.deepStrictEqual(
        yield* lab.store.heartbeat({ now, lease: lab.lease(), runs: [ref(run)] }),
        [{ alive: true, cancel: "interrupt" }]
      )
    }))

  test("an id added again is another task: keys are free, late settlements of the old one do not touch it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const old = yield* lab.addReady("a")
      const late = yield* lab.claimOne()
      yield* lab.commit("a", "remove")
      const row = yield* lab.addReady("a", [newRun(now)], { payload: "[\"new\"]" })
      assert.isAbove(row.generation, old.generation)
      const [{ run, task }] = yield* lab.claim()
      assert.strictEqual(run.generation, row.generation)
      assert.strictEqual(task.payload, "[\"new\"]")
      assert.strictEqual(yield* lab.settle(settlement({ ...late, token: run.token }, now)), "Stale")
      assert.strictEqual(yield* lab.settle(settlement({ ...run, token: late.token }, now)), "Stale")
      assert.deepStrictEqual((yield* lab.open("a"))[now], run)
      assert.strictEqual(
        yield* lab.settle(settlement(late, now + 1, undefined, { task: { failures: "increment" } })),
        "Settled"
      )
      assert.deepStrictEqual((yield* lab.open("a"))[now], run)
      assert.strictEqual((yield* lab.row("a")).failures, 0)
      const ofOld = yield* lab.runs({ name: "a", generation: old.generation })
      assert.deepStrictEqual(ofOld.map((run) => run.state), ["succeeded"])
      assert.strictEqual(yield* lab.settle(settlement(run, now + 2)), "Settled")
      assert.deepStrictEqual((yield* lab.runs({ name: "a" })).map((run) => run.generation).sort(), [
        old.generation,
        row.generation
      ].sort())
    }))
}

// -----------------------------------------------------------------------------
// takeover
// -----------------------------------------------------------------------------

const takeovers = (test: Test) => {
  test("a lost lease makes the run ready: attempt used, one takeover more, the old owner refused", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const lost = yield* lab.claimOne({ until: now + 100 })
      const { runs } = yield* lab.store.takeover({ now: now + 100, limit: 100_000, maxTakeovers: 3, keep: 100 })
      const took = runs.find(({ run }) => run.taskId === lab.id("a"))!
      assert.deepStrictEqual([took.became, took.owner], ["ready", lab.owner])
      const { attempt, leaseUntil, state, takeovers } = took.run
      assert.deepStrictEqual({ attempt, leaseUntil, state, takeovers }, {
        attempt: 1,
        leaseUntil: null,
        state: "ready",
        takeovers: 1
      })
      const refused = Effect.gen(function*() {
        assert.strictEqual(yield* lab.settle(settlement(lost, now + 101)), "Stale")
        assert.deepStrictEqual(yield* lab.store.start({ now, owner: lab.owner, runs: [ref(lost)] }), [false])
        assert.deepStrictEqual(
          yield* lab.store.heartbeat({ now, lease: lab.lease(), runs: [ref(lost)] }),
          [{ alive: false, cancel: null }]
        )
      })
      yield* refused
      const again = yield* lab.claimOne({ now: now + 101, owner: "other" })
      assert.deepStrictEqual([again.attempt, again.takeovers, again.owner], [2, 1, "other"])
      assert.isAbove(again.token!, lost.token!)
      yield* refused
      assert.strictEqual(yield* lab.settle(settlement(again, now + 102)), "Settled")
    }))

  test("valid leases are not taken, and the next end is told", (lab) =>
    Effect.gen(function*() {
      // Before every other lease, so that the next end is ours.
      const at = (n: number) => -4_000_000_000_000 + n
      yield* lab.addReady("a", [newRun(at(0)), newRun(at(1)), newRun(at(2))])
      const claim = (until: number) => lab.claim({ now: at(9), limit: 1, until: at(until) })
      yield* claim(50)
      yield* claim(40)
      yield* claim(60)
      const took = (now: number, limit = 10) =>
        Effect.map(
          lab.store.takeover({ now: at(now), limit, maxTakeovers: 3, keep: 10 }),
          ({ next, runs }) => ({ next, runs: runs.map(({ run }) => run.due) })
        )
      assert.deepStrictEqual(yield* took(39), { next: at(40), runs: [] })
      assert.deepStrictEqual((yield* took(55, 1)).runs, [at(1)], "first ended first")
      assert.deepStrictEqual(yield* took(55), { next: at(60), runs: [at(0)] })
      assert.deepStrictEqual((yield* took(100)).runs, [at(2)])
    }))

  test("a run is abandoned at its last allowed lost lease", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      for (const [i, became] of (["ready", "ready", "abandoned"] as const).entries()) {
        yield* lab.claimOne({ now: now + i * 10, until: now + i * 10 + 5 })
        assert.deepStrictEqual(yield* lab.takeover(now + i * 10 + 5, { maxTakeovers: 3 }), { [now]: became })
      }
      const [ended] = yield* lab.history("a")
      assert.deepStrictEqual([ended.state, ended.takeovers, ended.attempt, ended.endedAt], ["abandoned", 3, 3, now + 25])
      assert.deepStrictEqual(yield* lab.states("a"), {})
    }))

  test("a settlement that comes after the run was abandoned is stale", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      const run = yield* lab.claimOne({ until: now + 5 })
      assert.deepStrictEqual(yield* lab.takeover(now + 5, { maxTakeovers: 1 }), { [now]: "abandoned" })
      assert.strictEqual(yield* lab.settle(settlement(run, now + 6)), "Stale")
      assert.deepStrictEqual((yield* lab.history("a")).map((run) => run.state), ["abandoned"])
    }))

  test("atMostOnce: what has started is abandoned, what has not is ready again", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, { atMostOnce: true }), newRun(now + 1, { atMostOnce: true }), newRun(now + 2)])
      const claimed = yield* lab.claim({ now: now + 9, until: now + 20 })
      yield* lab.store.start({ now: now + 10, owner: lab.owner, runs: [ref(claimed[1].run), ref(claimed[2].run)] })
      assert.deepStrictEqual(yield* lab.takeover(now + 20), {
        [now]: "ready",
        [now + 1]: "abandoned",
        [now + 2]: "ready"
      })
      // The mark is of one claim: the run that was not started may be taken over unstarted again.
      yield* lab.claim({ now: now + 21, until: now + 30 })
      assert.deepStrictEqual(yield* lab.takeover(now + 30), { [now]: "ready", [now + 2]: "ready" })
    }))

  test("a run asked to stop is cancelled when its lease is lost", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now, { atMostOnce: true })])
      const run = yield* lab.claimOne({ until: now + 5 })
      yield* lab.store.start({ now, owner: lab.owner, runs: [ref(run)] })
      yield* lab.commit("a", {}, [{ _tag: "Cancel", key: run.key, reason: "stop" }])
      assert.deepStrictEqual(yield* lab.takeover(now + 5, { maxTakeovers: 1 }), { [now]: "cancelled" })
      assert.deepStrictEqual((yield* lab.history("a")).map((run) => [run.state, run.cancel, run.endedAt]), [
        ["cancelled", "stop", now + 5]
      ])
    }))

  test("a run whose task is gone is abandoned when its lease is lost", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a")
      yield* lab.claimOne({ until: now + 5 })
      yield* lab.commit("a", "remove")
      assert.deepStrictEqual(yield* lab.takeover(now + 5), { [now]: "abandoned" })
      assert.deepStrictEqual((yield* lab.runs({ name: "a" })).map((run) => run.state), ["abandoned"])
    }))
}

// -----------------------------------------------------------------------------
// I8
// -----------------------------------------------------------------------------

const retention = (test: Test) => {
  const ended = (lab: Lab, name: string) =>
    Effect.map(lab.history(name), (runs) => runs.map((run) => run.due - lab.now).reverse())

  test("I8: the settlement keeps the last ends of each task, in the order they ended", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", Array.from({ length: 7 }, (_, i) => newRun(now + i)))
      yield* lab.addReady("other", [newRun(now + 1)])
      const claimed = yield* lab.claim({ now: now + 9 })
      const due = new Map(claimed.map(({ run }) => [`${run.taskId} ${run.due - now}`, run]))
      const settle = (name: string, i: number) =>
        lab.settle(settlement(due.get(`${lab.id(name)} ${i}`)!, now + 10 + i), 3)
      yield* settle("other", 1)
      // The first due ends last.
      for (const i of [6, 1, 2, 3, 4, 5]) yield* settle("a", i)
      assert.deepStrictEqual(yield* ended(lab, "a"), [3, 4, 5])
      yield* settle("a", 0)
      assert.deepStrictEqual(yield* ended(lab, "a"), [0, 4, 5])
      assert.deepStrictEqual(yield* ended(lab, "other"), [1])
    }))

  test("I8: keep = 1 keeps the last end, and settling it again is still known", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      const claimed = yield* lab.claim({ now: now + 9 })
      const settled = yield* lab.store.settle(claimed.map(({ run }) => settlement(run, now + 10)), { keep: 1 })
      assert.deepStrictEqual(settled, ["Settled", "Settled", "Settled"])
      assert.deepStrictEqual(yield* ended(lab, "a"), [2])
      assert.strictEqual(yield* lab.settle(settlement(claimed[2].run, now + 11), 1), "Settled")
      assert.strictEqual(yield* lab.settle(settlement(claimed[0].run, now + 11), 1), "Stale")
      assert.deepStrictEqual(yield* ended(lab, "a"), [2])
    }))

  test("I8: a smaller keep, and what commit cancelled, are caught up with by the next settlement", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", Array.from({ length: 9 }, (_, i) => newRun(now + i)))
      const claimed = yield* lab.claim({ now: now + 9, limit: 5 })
      for (const { run } of claimed.slice(0, 4)) yield* lab.settle(settlement(run, now + 10), 100)
      yield* lab.commit("a", {}, [5, 6, 7, 8].map((i) => ({ _tag: "Cancel", key: String(now + i), reason: "no" })))
      assert.strictEqual((yield* lab.history("a")).length, 8)
      yield* lab.settle(settlement(claimed[4].run, now + 10), 2)
      const left = yield* ended(lab, "a")
      assert.strictEqual(left.length, 2)
      assert.include(left, 4)
    }))

  test("I8: a takeover keeps to the limit too", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.addReady("a", [newRun(now), newRun(now + 1), newRun(now + 2)])
      yield* lab.claim({ now: now + 9, until: now + 10 })
      yield* lab.takeover(now + 10, { maxTakeovers: 1, keep: 2 })
      assert.strictEqual((yield* lab.history("a")).length, 2)
    }))

  test("I8: pruning by age deletes what ended before an instant, at most so many, never an open run", (lab) =>
    Effect.gen(function*() {
      // Before every other test's ends, so that the count is ours.
      const at = (n: number) => -3_000_000_000_000 + n
      yield* lab.addReady("a", Array.from({ length: 6 }, (_, i) => newRun(at(i))))
      yield* lab.addReady("open", [newRun(at(0), { state: "waiting" }), newRun(at(1), { readyAt: at(1000) })])
      const claimed = yield* lab.claim({ now: at(10) })
      // Ended in another order than due; the last one keeps running.
      for (const [i, n] of [3, 1, 4, 0, 2].entries()) yield* lab.settle(settlement(claimed[n].run, at(100 + i)))
      const left = Effect.map(lab.runs({ name: "a" }), (runs) => runs.map((run) => run.due - at(0)).reverse())
      yield* lab.store.prune({ before: at(0), limit: 100_000 })
      assert.strictEqual(yield* lab.store.prune({ before: at(100), limit: 100 }), 0)
      assert.strictEqual(yield* lab.store.prune({ before: at(103), limit: 2 }), 2)
      assert.strictEqual((yield* left).length, 4)
      assert.strictEqual(yield* lab.store.prune({ before: at(103), limit: 2 }), 1)
      assert.deepStrictEqual(yield* left, [0, 2, 5])
      assert.strictEqual(yield* lab.store.prune({ before: at(5000), limit: 100 }), 2)
      assert.deepStrictEqual(yield* lab.states("a"), { [at(5)]: "running" })
      assert.deepStrictEqual(yield* lab.states("open"), { [at(0)]: "waiting", [at(1)]: "ready" })
      assert.strictEqual(yield* lab.settle(settlement(claimed[5].run, at(200))), "Settled")
    }))
}

// -----------------------------------------------------------------------------
// I9
// -----------------------------------------------------------------------------

const verdicts = (test: Test) => {
  const dueOf = (lab: Lab, reader: string, now: number) =>
    Effect.map(
      lab.store.due({ now, limit: 100_000, reader }),
      ({ tasks }) => tasks.map((task) => task.row.id).filter((id) => lab.own(id))
    )

  const ofLab = (lab: Lab) =>
    Effect.map(lab.store.verdicts({ limit: 100_000 }), (all) => all.filter((verdict) => lab.own(verdict.id)))

  test("I9: a verdict hides the row from its reader's due and claim, and from nobody else's", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const bad = yield* lab.addReady("bad", [newRun(now), newRun(now + 2)], { due: now })
      yield* lab.addReady("good", [newRun(now + 1)], { due: now + 1 })
      const verdict = { id: bad.id, generation: bad.generation, reader: "blind", reason: "newer version", at: now }
      yield* lab.store.quarantine([verdict])
      assert.deepStrictEqual(yield* ofLab(lab), [verdict])
      assert.deepStrictEqual(yield* dueOf(lab, "blind", now + 1), [lab.id("good")])
      assert.deepStrictEqual(yield* dueOf(lab, "sighted", now + 1), [lab.id("bad"), lab.id("good")])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, reader: "blind" })), [String(now + 1)])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: now + 9, reader: "sighted" })), [now, now + 2].map(String))
      assert.strictEqual((yield* lab.row("bad")).revision, 1, "nothing of the row changes")
    }))

  test("I9: a verdict does not use up the limit of due or claim", (lab) =>
    Effect.gen(function*() {
      const at = (n: number) => -2_000_000_000_000 + n
      for (const i of [0, 1, 2, 3, 4]) {
        const row = yield* lab.addReady(`bad${i}`, [newRun(at(i))], { due: at(i), priority: 9 })
        yield* lab.store.quarantine([{ id: row.id, generation: row.generation, reader: "blind", reason: "no", at: 0 }])
      }
      yield* lab.addReady("good", [newRun(at(9))], { due: at(9) })
      const { tasks } = yield* lab.store.due({ now: at(9), limit: 1, reader: "blind" })
      assert.deepStrictEqual(tasks.map((task) => task.row.id), [lab.id("good")])
      assert.deepStrictEqual(keys(yield* lab.claim({ now: at(9), limit: 1, reader: "blind" })), [String(at(9))])
    }))

  test("I9: verdicts are cleared for every reader, and the row is seen again", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.addReady("a", undefined, { due: now })
      const other = yield* lab.add("b")
      const of = (reader: string, reason: string, at: number) => ({
        id: row.id,
        generation: row.generation,
        reader,
        reason,
        at
      })
      const kept = { id: other.id, generation: other.generation, reader: "one", reason: "stays", at: 0 }
      yield* lab.store.quarantine([of("one", "first", 1), of("two", "second", 2), kept])
      yield* lab.store.quarantine([of("one", "latest", 3)])
      const order = (all: ReadonlyArray<{ readonly reason: string }>) => all.map((verdict) => verdict.reason).sort()
      assert.deepStrictEqual(order(yield* ofLab(lab)), ["latest", "second", "stays"])
      yield* lab.store.clear([row.generation])
      assert.deepStrictEqual(yield* ofLab(lab), [kept])
      assert.deepStrictEqual(yield* dueOf(lab, "one", now), [row.id])
      assert.deepStrictEqual(keys(yield* lab.claim({ reader: "two" })), [String(now)])
    }))

  test("I9: verdicts are of one generation and go with it", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const old = yield* lab.add("a", { due: now })
      const verdict = { id: old.id, generation: old.generation, reader: "blind", reason: "no", at: now }
      yield* lab.store.quarantine([verdict])
      yield* lab.commit("a", "remove")
      assert.deepStrictEqual(yield* ofLab(lab), [])
      const row = yield* lab.addReady("a", undefined, { due: now })
      yield* lab.store.quarantine([verdict, { ...verdict, id: lab.id("nobody"), generation: 2_000_000_000 }])
      assert.deepStrictEqual(yield* ofLab(lab), [])
      assert.deepStrictEqual(yield* dueOf(lab, "blind", now), [row.id])
      assert.deepStrictEqual(keys(yield* lab.claim({ reader: "blind" })), [String(now)])
    }))
}

// -----------------------------------------------------------------------------
// I11
// -----------------------------------------------------------------------------

/** Reads every page; `between` runs after each. */
const pages = (
  lab: Lab,
  query: Partial<TaskQuery> & Pick<TaskQuery, "limit">,
  between: (page: number) => Effect.Effect<unknown, TaskStoreError> = () => Effect.void
) =>
  Effect.gen(function*() {
    const rows: Array<TaskRow> = []
    let after: string | undefined
    for (let n = 0; n < 1000; n++) {
      const page = yield* lab.store.list({ tag: lab.tag, sort: "id", descending: false, ...query, after })
      assert.isAtMost(page.items.length, query.limit)
      rows.push(...page.items)
      if (page.next === null) return rows
      after = page.next
      yield* between(n)
    }
    return assert.fail("the pages have no end")
  })

const lists = (test: Test) => {
  const shortly = (lab: Lab, rows: ReadonlyArray<TaskRow>) => rows.map((row) => row.id.slice(lab.id("").length))

  test("I11: pages continue where the last one ended, whatever is added and removed meanwhile", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const names = Array.from({ length: 10 }, (_, i) => `m${i}`)
      for (const sort of ["id", "due", "created"] as const) {
        for (const descending of [false, true]) {
          for (const [i, name] of names.entries()) {
            yield* lab.add(name, { due: now + i * 10, createdAt: now + i * 10 })
          }
          const extra = (n: number) =>
            Effect.gen(function*() {
              yield* lab.add(`a${n}`, { due: now - n - 1, createdAt: now - n - 1 })
              yield* lab.add(`z${n}`, { due: now + 1000 + n, createdAt: now + 1000 + n })
              // One that was read, and the one read last: the place stays.
              const gone = descending ? 9 - (n * 3 + 2) : n * 3 + 2
              if (gone >= 0 && gone < 10) yield* lab.commit(`m${gone}`, "remove")
            })
          const rows = yield* pages(lab, { sort, descending, limit: 3 }, extra)
          const seen = shortly(lab, rows)
          assert.strictEqual(new Set(seen).size, seen.length, `${sort}: twice`)
          assert.deepStrictEqual(
            seen.filter((name) => name.startsWith("m")),
            descending ? names.toReversed() : names,
            `${sort} ${descending ? "descending" : "ascending"}`
          )
          for (const row of yield* pages(lab, { limit: 100 })) yield* lab.store.commit([change(row, now, "remove")])
        }
      }
    }))

  test("I11: a page that ends with the list has no next", (lab) =>
    Effect.gen(function*() {
      yield* lab.store.insert(["a", "b", "c", "d"].map((name) => lab.task(name)))
      const read = (limit: number, after?: string) =>
        lab.store.list({ tag: lab.tag, sort: "id", descending: false, limit, after })
      assert.strictEqual((yield* read(5)).next, null)
      const first = yield* read(2)
      assert.deepStrictEqual(shortly(lab, first.items), ["a", "b"])
      const second = yield* read(2, first.next!)
      assert.deepStrictEqual(shortly(lab, second.items), ["c", "d"])
      if (second.next !== null) {
        const third = yield* read(2, second.next)
        assert.deepStrictEqual(third, { items: [], next: null })
      }
    }))

  test("I11: sorts by id, due and created, both ways; equal instants and none at all lose nobody", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tasks: ReadonlyArray<readonly [string, number | null, number]> = [
        ["a", now + 30, now + 2],
        ["b", null, now + 3],
        ["c", now + 10, now + 1],
        ["d", now + 20, now + 5],
        ["e", null, now + 4]
      ]
      for (const [name, due, createdAt] of tasks) yield* lab.add(name, { due, createdAt })
      const read = (sort: TaskQuery["sort"], descending: boolean, limit = 2) =>
        Effect.map(pages(lab, { sort, descending, limit }), (rows) => shortly(lab, rows))
      assert.deepStrictEqual(yield* read("id", false), ["a", "b", "c", "d", "e"])
      assert.deepStrictEqual(yield* read("id", true), ["e", "d", "c", "b", "a"])
      assert.deepStrictEqual(yield* read("created", false), ["c", "a", "b", "e", "d"])
      assert.deepStrictEqual(yield* read("created", true), ["d", "e", "b", "a", "c"])
      const due = yield* read("due", false)
      assert.deepStrictEqual([due.slice(0, 3), due.slice(3).sort()], [["c", "d", "a"], ["b", "e"]])
      const last = yield* read("due", true)
      assert.deepStrictEqual([last.slice(0, 2).sort(), last.slice(2)], [["b", "e"], ["a", "d", "c"]])
      for (let i = 0; i < 7; i++) yield* lab.add(`same${i}`, { due: now + 20, createdAt: now + 3 })
      for (const sort of ["id", "due", "created"] as const) {
        for (const descending of [false, true]) {
          for (const limit of [1, 3, 100]) {
            const names = yield* read(sort, descending, limit)
            assert.strictEqual(names.length, 12, `${sort} ${descending} ${limit}`)
            assert.strictEqual(new Set(names).size, 12, `${sort} ${descending} ${limit}`)
          }
        }
      }
    }))

  test("I11: ids sort by code unit, not by a language", (lab) =>
    Effect.gen(function*() {
      const names = ["B", "a", "A", "b", "-", "_", "1", "10", "2"]
      yield* lab.store.insert(names.map((name) => lab.task(name)))
      assert.deepStrictEqual(shortly(lab, yield* pages(lab, { limit: 4 })), names.toSorted())
    }))

  test("I11: filters, each alone and together", (lab) =>
    Effect.gen(function*() {
      const owner = `${lab.slug}-owner`
      yield* lab.store.insert([
        lab.task("plain"),
        lab.task("paused", { state: "paused", labels: "{\"team\":\"billing\",\"env\":\"prod\"}" }),
        lab.task("owned", { owner, labels: "{\"team\":\"billing\"}" }),
        lab.task("started", { onStartup: true, state: "onStartup", name: "Warm UP Caches" }),
        lab.task("stopped", { onShutdown: true, state: "onShutdown", owner }),
        lab.task("Both", { onStartup: true, onShutdown: true, labels: "{\"te\":\"am\",\"env\":\"prod\"}" }),
        lab.task("foreign", { tag: `${lab.tag}.other`, owner })
      ])
      const read = (query: Partial<TaskQuery>) =>
        Effect.map(
          lab.store.list({ sort: "id", descending: false, limit: 10_000, ...query }),
          ({ items }) => items.filter((row) => lab.own(row.id)).map((row) => row.id.slice(lab.id("").length))
        )
      const tag = lab.tag
      assert.deepStrictEqual(yield* read({ tag }), ["Both", "owned", "paused", "plain", "started", "stopped"])
      assert.deepStrictEqual(yield* read({ tag: `${tag}.other` }), ["foreign"])
      assert.deepStrictEqual(yield* read({ state: "paused" }), ["paused"])
      assert.deepStrictEqual(yield* read({ tag, state: "scheduled" }), ["Both", "owned", "plain"])
      assert.deepStrictEqual(yield* read({ owner }), ["foreign", "owned", "stopped"])
      assert.deepStrictEqual(yield* read({ event: "startup" }), ["Both", "started"])
      assert.deepStrictEqual(yield* read({ event: "shutdown" }), ["Both", "stopped"])
      assert.deepStrictEqual(yield* read({ labels: { team: "billing" } }), ["owned", "paused"])
      assert.deepStrictEqual(yield* read({ labels: { team: "billing", env: "prod" } }), ["paused"])
      assert.deepStrictEqual(yield* read({ labels: { team: "bill" } }), [])
      assert.deepStrictEqual(yield* read({ tag, labels: {} }), [
        "Both",
        "owned",
        "paused",
        "plain",
        "started",
        "stopped"
      ])
      assert.deepStrictEqual(yield* read({ search: "warm up" }), ["started"])
      assert.deepStrictEqual(yield* read({ search: lab.id("b").toUpperCase() }), ["Both"])
      assert.deepStrictEqual(yield* read({ search: "%" }), [], "a search is no pattern")
      assert.deepStrictEqual(yield* read({ search: "started_" }), [], "a search is no pattern")
      const ids = ["plain", "nobody", "foreign", "Both"].map((name) => lab.id(name))
      assert.deepStrictEqual(yield* read({ ids }), ["Both", "foreign", "plain"])
      assert.deepStrictEqual(yield* read({ ids: [] }), [])
      assert.deepStrictEqual(yield* read({ ids, tag, descending: true }), ["plain", "Both"])
      assert.deepStrictEqual(yield* read({ tag, owner, event: "shutdown", state: "onShutdown" }), ["stopped"])
      assert.deepStrictEqual(yield* read({ tag, owner, event: "startup" }), [])
      const events = yield* pages(lab, { event: "startup", limit: 1 })
      assert.deepStrictEqual(shortly(lab, events), ["Both", "started"])
    }))

  test("I11: filters follow a commit", (lab) =>
    Effect.gen(function*() {
      yield* lab.add("a")
      const read = (query: Partial<TaskQuery>) => Effect.map(pages(lab, { ...query, limit: 10 }), (rows) => rows.length)
      const queries: ReadonlyArray<Partial<TaskQuery>> = [
        { event: "startup" },
        { owner: "somebody" },
        { state: "finished" },
        { labels: { a: "b" } },
        { search: "renamed" }
      ]
      for (const query of queries) assert.strictEqual(yield* read(query), 0)
      yield* lab.commit("a", {
        onStartup: true,
        owner: "somebody",
        state: "finished",
        labels: "{\"a\":\"b\"}",
        name: "renamed"
      })
      for (const query of queries) assert.strictEqual(yield* read(query), 1)
      yield* lab.commit("a", { onStartup: false, owner: null, state: "scheduled", labels: "{}", name: "a" })
      for (const query of queries) assert.strictEqual(yield* read(query), 0)
    }))

  test("I11: runs lists open runs and history, newest first, by task, state, tag, key and generation", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const row = yield* lab.addReady("a", Array.from({ length: 6 }, (_, i) => newRun(now + i)))
      yield* lab.addReady("b", [newRun(now + 10), newRun(now + 20, { state: "waiting" })])
      const claimed = yield* lab.claim({ now: now + 5 })
      yield* lab.settle(settlement(claimed[1].run, now + 5))
      yield* lab.settle(settlement(claimed[4].run, now + 5, { _tag: "End", state: "failed", exit: null }))
      const dues = (query: Parameters<typeof lab.runs>[0]) =>
        Effect.map(lab.runs(query), (runs) => runs.map((run) => run.due - now))
      assert.deepStrictEqual(yield* dues({ name: "a" }), [5, 4, 3, 2, 1, 0])
      assert.deepStrictEqual(yield* dues({ name: "b" }), [20, 10])
      assert.deepStrictEqual(yield* dues({}), [20, 10, 5, 4, 3, 2, 1, 0])
      assert.deepStrictEqual(yield* dues({ state: "running" }), [5, 3, 2, 0])
      assert.deepStrictEqual(yield* dues({ state: "ready" }), [10])
      assert.deepStrictEqual(yield* dues({ state: "waiting" }), [20])
      assert.deepStrictEqual(yield* dues({ name: "a", state: "failed" }), [4])
      assert.deepStrictEqual(yield* dues({ name: "a", key: String(now + 1) }), [1])
      assert.deepStrictEqual(yield* dues({ generation: row.generation, state: "succeeded" }), [1])
      assert.deepStrictEqual((yield* lab.store.runs({ taskId: lab.id("nobody"), limit: 10 })).items, [])
    }))

  test("I11: runs are paged by cursor, whatever is added meanwhile", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const runs = Array.from({ length: 10 }, (_, i) => newRun(now + i))
      yield* lab.addReady("a", runs)
      // Of one instant with the others, in a task of its own.
      yield* lab.addReady("b", [newRun(now + 4), newRun(now + 5)])
      for (const { run } of yield* lab.claim({ now: now + 3 })) yield* lab.settle(settlement(run, now + 3))
      for (const query of [{ tag: lab.tag }, { taskId: lab.id("a") }]) {
        const seen: Array<RunRow> = []
        let after: string | undefined
        for (let n = 0; n < 100; n++) {
          const page = yield* lab.store.runs({ ...query, limit: 3, after })
          seen.push(...page.items)
          if (page.next === null) break
          after = page.next
          yield* lab.commit("a", {}, [create(newRun(now + 1000 + n, { key: `x:${query.tag}${n}` }))])
        }
        const due = seen.map((run) => run.due - now).filter((due) => due < 1000)
        assert.deepStrictEqual(due, query.tag === undefined ? [9, 8, 7, 6, 5, 4, 3, 2, 1, 0] : [
          9,
          8,
          7,
          6,
          5,
          5,
          4,
          4,
          3,
          2,
          1,
          0
        ])
        assert.strictEqual(new Set(seen.map((run) => `${run.generation} ${run.key}`)).size, seen.length)
      }
    }))
}

// -----------------------------------------------------------------------------
// I12
// -----------------------------------------------------------------------------

const wakes = (test: Test) => {
  /** Before the instants of every other test, so that nothing else is due earlier. */
  const early = (lab: Lab, n: number) => -8_000_000_000_000 - lab.now / 1000 + n

  /** Listens while a reader was told that nothing is due. */
  const listen = (lab: Lab) =>
    Effect.andThen(lab.store.due({ now: 8.64e15, limit: 1, reader: lab.reader }), lab.listen())

  test("I12: a task due earlier than anything known wakes, a later one does not", (lab) =>
    Effect.gen(function*() {
      const wakes = yield* listen(lab)
      yield* lab.add("a", { due: early(lab, 1000) })
      assert.deepStrictEqual(yield* wakes.first((wake) => wake.due !== null), {
        due: early(lab, 1000),
        ready: false,
        cancel: false
      })
      yield* lab.add("later", { due: early(lab, 2000) })
      yield* lab.add("never", { due: null })
      yield* lab.commit("later", { due: early(lab, 1500) })
      yield* lab.add("earlier", { due: early(lab, 500) })
      yield* wakes.first((wake) => wake.due === early(lab, 500))
      yield* lab.commit("later", { due: early(lab, 100) })
      yield* wakes.first((wake) => wake.due === early(lab, 100))
      assert.deepStrictEqual(wakes.seen.map((wake) => wake.due), [1000, 500, 100].map((n) => early(lab, n)))
    }))

  test("I12: one batch wakes once, for its earliest", (lab) =>
    Effect.gen(function*() {
      const wakes = yield* listen(lab)
      yield* lab.store.insert([300, 100, 200].map((n) => lab.task(String(n), { due: early(lab, n) })))
      yield* wakes.first((wake) => wake.due === early(lab, 100))
      yield* lab.add("end", { due: early(lab, 1) })
      yield* wakes.first((wake) => wake.due === early(lab, 1))
      assert.strictEqual(wakes.seen.length, 2)
    }))

  test("I12: a row that stays due does not hide the wake of a later one", (lab) =>
    Effect.gen(function*() {
      const stuck = yield* lab.add("stuck", { due: early(lab, 0) })
      yield* lab.add("far", { due: early(lab, 9000) })
      yield* lab.store.quarantine([
        { id: stuck.id, generation: stuck.generation, reader: lab.reader, reason: "unreadable", at: 0 }
      ])
      const { next } = yield* lab.store.due({ now: early(lab, 100), limit: 10, reader: lab.reader })
      assert.strictEqual(next, early(lab, 9000))
      // The reader sleeps until 9000 now.
      const wakes = yield* lab.listen()
      yield* lab.add("between", { due: early(lab, 5000) })
      yield* wakes.first((wake) => wake.due === early(lab, 5000))
    }))

  test("I12: a run that becomes ready wakes, however it does", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const wakes = yield* listen(lab)
      let seen = 0
      const readied = (why: string) =>
        Effect.gen(function*() {
          yield* wakes.first((wake) => wake.ready && wakes.seen.indexOf(wake) >= seen)
          assert.isFalse(wakes.seen.slice(seen).some((wake) => wake.cancel), why)
          seen = wakes.seen.length
        })
      const queued = { queues: true }
      yield* lab.addReady("a", [newRun(now, queued), newRun(now + 1, { ...queued, state: "waiting" })])
      yield* readied("insert")
      yield* lab.commit("a", {}, [create(newRun(now + 2, { ...queued, state: "waiting" }))])
      assert.strictEqual(wakes.seen.length, seen, "a waiting run is nobody's business yet")
      const claim = lab.claim({ now: now + 9, limit: 1, until: now + 20 })
      yield* lab.settle(settlement((yield* claim)[0].run, now, { _tag: "Release" }))
      yield* readied("release")
      yield* lab.settle(settlement((yield* claim)[0].run, now, { _tag: "Retry", readyAt: now + 5, exit: null }))
      yield* readied("retry")
      yield* claim
      yield* lab.takeover(now + 20)
      yield* readied("takeover")
      yield* lab.settle(settlement((yield* claim)[0].run, now))
      yield* readied("promotion by a settlement")
      yield* lab.commit("a", {}, [{ _tag: "Promote", key: String(now + 2) }])
      yield* readied("Promote")
      yield* lab.commit("a", {}, [{ _tag: "Hold", key: String(now + 2) }])
      assert.strictEqual(wakes.seen.length, seen, "holding")
      yield* lab.commit("a", {}, [{ _tag: "Unhold", key: String(now + 2) }])
      yield* readied("Unhold")
      yield* lab.commit("a", {}, [create(newRun(now + 3))])
      yield* readied("Create")
      yield* lab.commit("a", {}, [create(newRun(now + 4), lab.lease())])
      assert.strictEqual(wakes.seen.length, seen, "its claimer knows")
      const [{ run }] = yield* claim
      yield* lab.settle(settlement({ ...run, token: -1 }, now, { _tag: "Release" }))
      assert.strictEqual(wakes.seen.length, seen, "what is stale changes nothing")
    }))

  test("I12: a run asked to stop wakes", (lab) =>
    Effect.gen(function*() {
      yield* lab.addReady("a")
      const run = yield* lab.claimOne()
      const wakes = yield* listen(lab)
      yield* lab.commit("a", {}, [{ _tag: "Cancel", key: run.key, reason: "stop" }])
      const wake = yield* wakes.first((wake) => wake.cancel)
      assert.deepStrictEqual([wake.due, wake.ready], [null, false])
    }))

  test("I12: every listener is called, until its scope closes", (lab) =>
    Effect.gen(function*() {
      const one = yield* listen(lab)
      const two = yield* Effect.scoped(Effect.gen(function*() {
        const two = yield* listen(lab)
        yield* lab.add("a", { due: early(lab, 100) })
        yield* two.first((wake) => wake.due === early(lab, 100))
        return two
      }))
      yield* one.first((wake) => wake.due === early(lab, 100))
      yield* lab.add("b", { due: early(lab, 50) })
      yield* one.first((wake) => wake.due === early(lab, 50))
      assert.strictEqual(two.seen.length, 1)
    }))

  test("I12: a listener that throws harms nobody", (lab) =>
    Effect.gen(function*() {
      yield* lab.store.listen(() => {
        throw new Error("a listener that throws")
      })
      const wakes = yield* listen(lab)
      const row = yield* lab.add("a", { due: early(lab, 100) })
      yield* wakes.first((wake) => wake.due === early(lab, 100))
      assert.deepStrictEqual(yield* lab.row("a"), row)
      assert.strictEqual((yield* lab.commit("a", { due: early(lab, 50) }))._tag, "Committed")
      yield* wakes.first((wake) => wake.due === early(lab, 50))
    }))
}

// -----------------------------------------------------------------------------
// concurrency
// -----------------------------------------------------------------------------

const concurrency = (test: Test) => {
  test("many workers at once: no run is claimed twice, every run settles once", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const tasks = 20
      const each = 25
      for (let t = 0; t < tasks; t++) {
        yield* lab.addReady(`t${t}`, Array.from({ length: each }, (_, i) => newRun(now + i)))
      }
      const seen = new Map<string, number>()
      const owned = new Set<number>()
      let settled = 0
      const worker = (n: number) =>
        Effect.gen(function*() {
          const owner = `${lab.slug}@${n}`
          while (true) {
            const claimed = yield* lab.claim({ now: now + 99, owner, limit: 3 })
            if (claimed.length === 0) return
            for (const { run } of claimed) {
              assert.strictEqual(run.owner, owner)
              assert.isFalse(owned.has(run.token!), "a token is given once")
              owned.add(run.token!)
              const name = `${run.taskId} ${run.key}`
              seen.set(name, (seen.get(name) ?? 0) + 1)
            }
            yield* Effect.yieldNow
            const answers = yield* lab.store.settle(claimed.map(({ run }) => settlement(run, now + 99)), { keep: 1000 })
            settled += answers.filter((answer) => answer === "Settled").length
          }
        })
      yield* Effect.forEach(Array.from({ length: 8 }, (_, n) => n), worker, { concurrency: "unbounded" })
      assert.strictEqual(seen.size, tasks * each)
      assert.isTrue([...seen.values()].every((times) => times === 1))
      assert.strictEqual(settled, tasks * each)
      const runs = yield* lab.runs()
      assert.strictEqual(runs.filter((run) => run.state === "succeeded").length, tasks * each)
    }))

  test("many commits at once, each planned again after a conflict: the sum is exact", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      yield* lab.add("a")
      let conflicts = 0
      const increment = (key: string) =>
        Effect.gen(function*() {
          while (true) {
            const row = yield* lab.row("a")
            yield* Effect.yieldNow
            const counters = { ...row.counters, ran: row.counters.ran + 1 }
            const [committed] = yield* lab.store.commit([
              change(row, now, { counters }, [create(newRun(now, { key, state: "waiting" }))])
            ])
            if (committed._tag === "Committed") return
            conflicts++
          }
        })
      const workers = Array.from({ length: 10 }, (_, n) => n)
      yield* Effect.forEach(
        workers,
        (n) => Effect.forEach(Array.from({ length: 10 }, (_, i) => i), (i) => increment(`x:${n}.${i}`)),
        { concurrency: "unbounded" }
      )
      const found = yield* lab.get("a")
      assert.deepStrictEqual(found?.row.counters, { ...noCounters, ran: 100 })
      assert.strictEqual(found?.row.revision, 101)
      assert.strictEqual(found?.open.length, 100)
      assert.isAbove(conflicts, 0)
    }))

  test("many settle a queue at once: never more than slots are active, and all run", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const slots = 2
      yield* lab.addReady(
        "a",
        Array.from(
          { length: 30 },
          (_, i) => newRun(now + i, { queues: true, slots, state: i < slots ? "ready" : "waiting" })
        )
      )
      let ran = 0
      let most = 0
      const worker = Effect.gen(function*() {
        for (let idle = 0; idle < 20;) {
          const claimed = yield* lab.claim({ now: now + 99, limit: 1 })
          const open = Object.values(yield* lab.states("a"))
          most = Math.max(most, open.filter((state) => state !== "waiting").length)
          if (open.length === 0) return
          if (claimed.length === 0) {
            idle++
            yield* Effect.yieldNow
            continue
          }
          idle = 0
          ran++
          yield* Effect.yieldNow
          yield* lab.settle(settlement(claimed[0].run, now + 99))
        }
      })
      yield* Effect.all(Array.from({ length: 5 }, () => worker), { concurrency: "unbounded" })
      assert.strictEqual(ran, 30)
      assert.strictEqual(most, slots)
      assert.isTrue((yield* lab.runs({ name: "a" })).every((run) => !isOpen(run.state)))
    }))

  test("workers and takeovers at once: each run settles once, whoever loses it is told", (lab) =>
    Effect.gen(function*() {
      const { now } = lab
      const count = 60
      yield* lab.addReady("a", Array.from({ length: count }, (_, i) => newRun(now + i)))
      const accepted = new Map<string, number>()
      let refused = 0
      const worker = (n: number) =>
        Effect.gen(function*() {
          for (let turn = 0; turn < 200; turn++) {
            const claimed = yield* lab.claim({ now: now + 99, owner: `${lab.slug}@${n}`, until: now + 100, limit: 4 })
            yield* Effect.yieldNow
            // Every third batch loses its leases before it settles.
            if (turn % 3 === 0) yield* lab.takeover(now + 100, { maxTakeovers: 1000 })
            const answers = yield* lab.store.settle(claimed.map(({ run }) => settlement(run, now + 99)), { keep: 1000 })
            for (const [i, answer] of answers.entries()) {
              const { key } = claimed[i].run
              if (answer === "Settled") accepted.set(key, (accepted.get(key) ?? 0) + 1)
              else refused++
            }
            if (accepted.size === count) return
          }
        })
      yield* Effect.forEach([0, 1, 2, 3], worker, { concurrency: "unbounded" })
      assert.strictEqual(accepted.size, count)
      assert.isTrue([...accepted.values()].every((times) => times === 1))
      assert.isAbove(refused, 0)
      const history = yield* lab.history("a")
      assert.strictEqual(history.length, count)
      assert.isTrue(history.every((run) => run.state === "succeeded" && run.token !== null))
    }))
}
