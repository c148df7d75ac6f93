/**
 * Lines of an export, and what is said of those that are none.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import * as TaskScheduler from "../src/TaskScheduler.ts"
import { TaskStore, TaskStoreError } from "../src/TaskStore.ts"
import * as TaskStoreDump from "../src/TaskStoreDump.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import { Echo, hourly, scheduled, start } from "./utils.ts"

const freshStore = Effect.map(
  Layer.build(Layer.fresh(MemoryTaskStore.layer)),
  (context) => Context.get(context, TaskStore)
)

const exported = (store: TaskStore["Service"], options?: TaskStoreDump.ExportOptions) =>
  Stream.runCollect(TaskStoreDump.exportLines(options)).pipe(Effect.provideService(TaskStore, store))

const imported = (
  store: TaskStore["Service"],
  lines: ReadonlyArray<string>,
  options?: TaskStoreDump.ImportOptions
) => TaskStoreDump.importLines(Stream.fromIterable(lines), options).pipe(Effect.provideService(TaskStore, store))

const ids = (store: TaskStore["Service"]) =>
  Effect.map(
    store.list({ sort: "id", descending: false, limit: 10_000 }),
    ({ items }) => items.map(({ id }) => id)
  )

/** The lines of a store with so many tasks, `task-0` and so on. */
const linesOf = (count: number) =>
  Effect.gen(function*() {
    const store = yield* freshStore
    yield* Effect.provideService(
      scheduled(
        TaskScheduler.TaskScheduler.use((scheduler) =>
          scheduler.addAll(
            Array.from(
              { length: count },
              (_, i) => Task.scheduled(Echo, { id: `task-${i}`, payload: { text: "hello" }, trigger: hourly })
            )
          )
        ),
        { store: Layer.succeed(TaskStore, store) }
      ),
      TaskStore,
      store
    )
    return yield* exported(store)
  })

describe("exportLines", () => {
  it.effect("writes what is stored as JSON as JSON, a task a line, between a header and a count", () =>
    Effect.gen(function*() {
      const [header, line, end, ...rest] = yield* linesOf(1)
      assert.strictEqual(header, "{\"punctual\":\"tasks\",\"format\":1}")
      assert.strictEqual(end, "{\"end\":{\"tasks\":1,\"ended\":0}}")
      assert.deepStrictEqual(rest, [])
      const { task } = JSON.parse(line!) as { readonly task: Record<string, unknown> }
      assert.strictEqual(task["id"], "task-0")
      assert.deepStrictEqual(task["payload"], { text: "hello" })
    }))

  it.effect("refuses while a lease is valid, and names the run; a lease that has ended is no obstacle", () =>
    Effect.gen(function*() {
      const store = yield* freshStore
      yield* imported(store, yield* linesOf(2))
      const [row] = (yield* store.list({ sort: "id", descending: false, limit: 1 })).items
      const run = {
        key: "x:1",
        due: 0,
        nominal: 0,
        state: "ready",
        readyAt: 0,
        slots: 1,
        queues: false,
        atMostOnce: false
      } as const
      const until = Date.parse(start) + 1
      const commit = (until: number) =>
        store.commit([{
          id: row!.id,
          generation: row!.generation,
          revision: row!.revision,
          set: {},
          runs: [{ _tag: "Create", run, claim: { owner: "me", until } }],
          now: 0
        }])
      yield* commit(until)
      const error = yield* Effect.flip(exported(store))
      assert.instanceOf(error, TaskStoreDump.RunInProgress)
      assert.deepStrictEqual([error.taskId, error.key, error.owner, error.leaseUntil], ["task-0", "x:1", "me", until])
      const forced = yield* exported(store, { running: "takeOver" })
      const { open } = JSON.parse(forced[1]!) as { readonly open: ReadonlyArray<Record<string, unknown>> }
      assert.deepInclude(open[0]!, { key: "x:1", state: "ready", attempt: 1, takeovers: 1 })
      yield* TestClock.setTime(until)
      assert.deepStrictEqual(yield* exported(store), forced)
    }))

  it.effect("writes history where it is asked for; an import passes it over", () =>
    Effect.gen(function*() {
      const store = yield* freshStore
      yield* scheduled(
        Effect.gen(function*() {
          yield* TaskScheduler.TaskScheduler.use((scheduler) =>
            scheduler.add(Echo, { id: "a", payload: { text: "x" }, trigger: hourly })
          )
          yield* TestScheduler.advance("3 hours")
        }),
        { store: Layer.succeed(TaskStore, store) }
      )
      const lines = yield* exported(store, { history: true })
      const ended = lines.flatMap((line) => {
        const { ended } = JSON.parse(line) as { readonly ended?: { readonly state: string } }
        return ended === undefined ? [] : [ended.state]
      })
      assert.deepStrictEqual(ended, ["succeeded", "succeeded", "succeeded"])
      const other = yield* freshStore
      assert.deepStrictEqual(yield* imported(other, lines), { inserted: 1, replaced: 0, kept: 0 })
      assert.deepStrictEqual((yield* other.runs({ limit: 10 })).items, [])
      assert.deepStrictEqual(yield* exported(other), yield* exported(store))
    }))

  it.effect("fails at a task that is listed and cannot be got; one that was removed meanwhile is gone", () =>
    Effect.gen(function*() {
      const store = yield* freshStore
      yield* imported(store, yield* linesOf(3))
      const unreadable = TaskStore.of({ ...store, get: (ids) => store.get(ids.filter((id) => id !== "task-1")) })
      const error = yield* Effect.flip(exported(unreadable))
      assert.instanceOf(error, TaskStoreError)
      assert.strictEqual(error.reason, "Corrupt")
      assert.include(error.message, "\"task-1\"")
      const removing = TaskStore.of({
        ...store,
        get: (ids) =>
          Effect.gen(function*() {
            const [task] = yield* store.get(["task-1"])
            if (task !== undefined) {
              const { generation, id, revision } = task.row
              yield* store.commit([{ id, generation, revision, set: "remove", runs: [], now: 0 }])
            }
            return yield* store.get(ids)
          })
      })
      const lines = yield* exported(removing)
      assert.strictEqual(lines.at(-1), "{\"end\":{\"tasks\":2,\"ended\":0}}")
    }))

  it.effect("refuses an option that nobody knows", () =>
    Effect.gen(function*() {
      const store = yield* freshStore
      const error = yield* Effect.flip(exported(store, { histroy: true } as TaskStoreDump.ExportOptions))
      assert.include(error.message, "did you mean `history`?")
      const other = yield* Effect.flip(imported(store, [], { onConflicts: "keep" } as TaskStoreDump.ImportOptions))
      assert.include(other.message, "did you mean `onConflict`?")
    }))
})

describe("importLines", () => {
  const edits: ReadonlyArray<
    readonly [
      what: string,
      edit: (lines: ReadonlyArray<string>) => ReadonlyArray<string>,
      reason: TaskStoreDump.TaskDumpError["reason"],
      line: number,
      says: string
    ]
  > = [
    ["nothing", () => [], "NotADump", 1, "ends here"],
    ["another file", () => ["a,b,c"], "NotADump", 1, "not the beginning"],
    ["no header", (lines) => lines.slice(1), "NotADump", 1, "not the beginning"],
    [
      "a newer format",
      (lines) => ["{\"punctual\":\"tasks\",\"format\":2}", ...lines.slice(1)],
      "NewerFormat",
      1,
      "Upgrade"
    ],
    ["a line that is no JSON", (lines) => lines.with(3, "oops"), "NotJson", 4, "Line 4"],
    ["cut off in a line", (lines) => [...lines.slice(0, 2), lines[2]!.slice(0, 99)], "NotJson", 3, "JSON"],
    ["cut off after a line", (lines) => lines.slice(0, 3), "CutOff", 4, "ends here"],
    ["a line lost", (lines) => lines.toSpliced(2, 1), "CutOff", 5, "counts 4 tasks"],
    ["an id twice", (lines) => lines.with(4, lines[1]!), "DuplicateId", 5, "\"task-0\" is in line 2 already"],
    ["two exports", (lines) => [...lines, ...lines], "Invalid", 7, "behind the end"],
    ["two headers", (lines) => [lines[0]!, ...lines], "Invalid", 2, "one export after another"],
    [
      "a task without a cursor",
      (lines) => lines.with(2, lines[2]!.replace(/"cursor":\d+,/, "")),
      "Invalid",
      3,
      "cursor"
    ],
    [
      "a field nobody knows",
      (lines) => lines.with(2, lines[2]!.replace("\"tag\"", "\"gat\":1,\"tag\"")),
      "Invalid",
      3,
      "gat"
    ],
    [
      "a fraction of an instant",
      (lines) => lines.with(2, lines[2]!.replace(/"cursor":\d+/, "\"cursor\":0.5")),
      "Invalid",
      3,
      "cursor"
    ],
    [
      "half of a surrogate pair",
      (lines) => lines.with(2, lines[2]!.replace("task-1", "\\ud83d")),
      "Invalid",
      3,
      "surrogate"
    ],
    [
      "a text twice",
      (lines) => lines.with(2, lines[2]!.replace("\"payload\"", "\"payloadText\":\"1\",\"payload\"")),
      "Invalid",
      3,
      "not both"
    ],
    ["a list", (lines) => lines.with(2, "[]"), "Invalid", 3, "not an object"],
    ["something else", (lines) => lines.with(2, "{\"job\":{}}"), "Invalid", 3, "neither a task"]
  ]

  it.effect.each(edits)(
    "%s is refused with its line, and checked before anything is changed",
    ([, edit, reason, line, says]) =>
      Effect.gen(function*() {
        const lines = edit(yield* linesOf(4))
        const checked = yield* Effect.flip(TaskStoreDump.checkLines(Stream.fromIterable(lines)))
        const store = yield* freshStore
        const error = yield* Effect.flip(imported(store, lines))
        assert.instanceOf(error, TaskStoreDump.TaskDumpError)
        assert.deepStrictEqual([error.reason, error.line, error.imported], [reason, line, 0])
        assert.include(error.message, says)
        assert.deepStrictEqual(checked, error)
        assert.deepStrictEqual(yield* ids(store), [])
      })
  )

  it.effect("blank lines are nothing; line ends of Windows are line ends", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(2)
      const store = yield* freshStore
      yield* imported(store, lines.flatMap((line) => [`${line}\r`, ""]))
      assert.deepStrictEqual(yield* exported(store), lines)
    }))

  it.effect("a conflict fails with the line and changes nothing of its page; keep leaves the store's, replace does not", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(4)
      const other = lines.with(3, lines[3]!.replace("hello", "hallo"))
      const [begin, , , third, , end] = other
      const store = yield* freshStore
      const one = [begin!, third!, end!.replace("4", "1")]
      yield* imported(store, one)
      const before = yield* exported(store)

      const error = yield* Effect.flip(imported(store, lines))
      assert.instanceOf(error, TaskStoreDump.TaskDumpError)
      assert.deepStrictEqual([error.reason, error.line, error.imported], ["Conflict", 4, 0])
      assert.deepStrictEqual(yield* exported(store), before)

      assert.deepStrictEqual(yield* imported(store, lines, { onConflict: "keep" }), {
        inserted: 3,
        replaced: 0,
        kept: 1
      })
      assert.deepStrictEqual(yield* exported(store), other)
      assert.deepStrictEqual(
        yield* imported(store, lines, { onConflict: "replace" }),
        { inserted: 0, replaced: 1, kept: 3 }
      )
      assert.deepStrictEqual(yield* exported(store), lines)
    }))

  it.effect("an import that was interrupted says how far it came, and goes on when it is made again", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(600)
      const store = yield* freshStore
      const damaged = lines.with(599, "oops")
      const error = yield* Effect.flip(imported(store, damaged))
      assert.instanceOf(error, TaskStoreDump.TaskDumpError)
      assert.deepStrictEqual([error.line, error.imported], [600, 512])
      assert.include(error.message, "512 tasks were imported before")
      assert.strictEqual((yield* ids(store)).length, 512)
      assert.deepStrictEqual(yield* imported(store, lines), { inserted: 88, replaced: 0, kept: 512 })
      assert.deepStrictEqual(yield* exported(store), lines)

      // The store itself may fail on the way.
      const failing = yield* freshStore
      let calls = 0
      const limited = TaskStore.of({
        ...failing,
        insert: (tasks) =>
          ++calls === 2
            ? Effect.fail(new TaskStoreError({ store: "memory", operation: "insert", reason: "Full", message: "full" }))
            : failing.insert(tasks)
      })
      const full = yield* Effect.flip(imported(limited, lines))
      assert.instanceOf(full, TaskStoreError)
      assert.strictEqual((yield* ids(failing)).length, 256)
      assert.deepStrictEqual(yield* imported(failing, lines), { inserted: 344, replaced: 0, kept: 256 })
    }))

  it.effect("a task that another process adds meanwhile is met as if it had been there", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(3)
      const store = yield* freshStore
      let raced = false
      const racing = TaskStore.of({
        ...store,
        insert: (tasks) => {
          if (raced) return store.insert(tasks)
          raced = true
          return Effect.andThen(store.insert([{ ...tasks[1]!, payload: "{\"text\":\"theirs\"}" }]), store.insert(tasks))
        }
      })
      const error = yield* Effect.flip(imported(racing, lines))
      assert.instanceOf(error, TaskStoreDump.TaskDumpError)
      assert.deepStrictEqual([error.reason, error.line, error.imported], ["Conflict", 3, 2])
    }))

  it.effect("wakes who works on the store", () =>
    Effect.gen(function*() {
      const lines = yield* linesOf(1)
      const store = yield* freshStore
      const wakes: Array<number | null> = []
      yield* store.listen(({ due }) => wakes.push(due))
      yield* imported(store, lines)
      assert.deepStrictEqual(wakes, [Date.parse(start) + 3_600_000])
    }))
})
