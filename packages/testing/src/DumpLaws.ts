/**
 * What a move between stores keeps, as laws: run them with every store on either side.
 *
 *     export ∘ import ∘ export = export      every task, its position, its counters and its open runs arrive
 *     export of what runs = export after its takeover
 *     runs after a move = runs without it, at the same times
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import type { ArrivingRun, RunRow } from "punctual/TaskRecord"
import { type NewTask, TaskStore } from "punctual/TaskStore"
import * as TaskStoreDump from "punctual/TaskStoreDump"
import { newRun, newTask } from "./internal/taskStore/lab.ts"
import { inTwoParts } from "./internal/taskStore/move.ts"

// -----------------------------------------------------------------------------
// generators
// -----------------------------------------------------------------------------

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** Texts that a format might quote, cut or take for something else. */
const texts = [
  "a",
  "A",
  "\u0000",
  "\n",
  "\r\n",
  "\u2028",
  "\"",
  "\\",
  "é",
  "e\u0301",
  "👩‍👩‍👧",
  "null",
  "__proto__",
  " ",
  "\ufeff"
]

/** JSON that is given back as it was, JSON that is not, and no JSON. */
const jsons = [
  "{}",
  "null",
  "\"null\"",
  "[1,2.5,null]",
  "{\"b\":1,\"a\":{}}",
  "1.0",
  "{ }",
  "\"\\u0041\"",
  "not json",
  ""
]

const Run = Schema.Struct({
  waiting: Schema.Boolean,
  held: Schema.Boolean,
  attempt: upTo(3),
  takeovers: upTo(2),
  later: upTo(3),
  slots: upTo(2),
  queues: Schema.Boolean,
  atMostOnce: Schema.Boolean
})

const Choice = Schema.Struct({
  text: upTo(texts.length - 1),
  json: upTo(jsons.length - 1),
  absent: Schema.Boolean,
  instant: Schema.Literals([-8.64e15, -1, 0, 1, 1_767_225_600_000, 8.64e15]),
  count: upTo(5),
  state: Schema.Literals(["scheduled", "paused", "finished", "onStartup", "onShutdown"]),
  runs: Schema.Array(Run).check(Schema.isBetweenLength(0, 3))
})

const contents = (maxLength: number) => Arbitrary.array(Arbitrary.schema(Choice), { maxLength })

const taskOf = (choice: typeof Choice.Type, index: number, keyed: boolean): NewTask => {
  const { absent, count, instant, json: j, runs, state, text: t } = choice
  const text = texts[t]!
  const json = jsons[j]!
  const orNull = <A>(value: A): A | null => absent ? null : value
  return newTask(`${text}${index}`, text, 0, {
    version: count,
    name: text,
    payload: json,
    display: json,
    trigger: json,
    anchor: instant,
    onStartup: absent,
    onShutdown: !absent,
    policy: json,
    executor: text,
    priority: count - 2,
    ...keyed && !absent ? { concurrencyKey: text, concurrencyLimit: count + 1 } : {},
    labels: j === 0 ? "{\"team\":\"billing\"}" : "{}",
    owner: orNull(text),
    declared: orNull(json),
    trace: orNull(text),
    createdAt: instant,
    updatedAt: instant,
    state,
    cursor: instant,
    due: orNull(instant),
    nominal: orNull(instant),
    zoneRules: orNull("2025b"),
    override: orNull(instant),
    epoch: instant,
    counters: { ran: count, missed: 1, coalesced: 2, skipped: 3, paused: 4, extra: count, exact: absent },
    ranges: json,
    pausedAt: orNull(instant),
    pauseNote: orNull(text),
    failures: count,
    runs: runs.map((run, i): ArrivingRun =>
      newRun(1000 * i, {
        key: `x:${text}${i}`,
        nominal: instant,
        state: run.waiting ? "waiting" : "ready",
        readyAt: 1000 * i + run.later,
        held: run.held,
        attempt: run.attempt,
        takeovers: run.takeovers,
        slots: run.slots + 1,
        queues: run.queues,
        atMostOnce: run.atMostOnce
      })
    )
  })
}

// -----------------------------------------------------------------------------
// laws
// -----------------------------------------------------------------------------

const exported = (options?: TaskStoreDump.ExportOptions) => Stream.runCollect(TaskStoreDump.exportLines(options))

/** What is carried of a store: all but what a store numbers and what it remembers of its claims. */
const carried = Effect.gen(function*() {
  const store = yield* TaskStore
  const { items } = yield* store.list({ sort: "id", descending: false, limit: 1000 })
  const tasks = yield* store.get(items.map(({ id }) => id))
  return tasks.map(({ open, row }) => {
    const { generation: _, revision: __, ...task } = row
    return {
      task,
      open: open.map(progress).sort((self, that) => self.due - that.due || (self.key < that.key ? -1 : 1))
    }
  })
})

const progress = (run: RunRow) => {
  const { createdAt: _, exit: __, generation: ___, owner: ____, startedAt: _____, token: ______, ...rest } = run
  return rest
}

/**
 * Registers the laws for moves from memory to a store and back. The layer is built for each of `runs` (50) contents, and
 * must be empty each time.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<TaskStore, E>,
  options: { readonly runs?: number | undefined } = {}
): void => {
  const { runs = 50 } = options

  const law = (
    title: string,
    body: (
      tasks: ReadonlyArray<NewTask>,
      memory: Context.Context<TaskStore>,
      other: Context.Context<TaskStore>
    ) => Effect.Effect<void, unknown>
  ) =>
    it.effect.prop(
      title,
      [contents(6)],
      ([choices]) =>
        Effect.scoped(Effect.gen(function*() {
          const memory = yield* Layer.build(Layer.fresh(MemoryTaskStore.layer))
          const other = yield* Layer.build(Layer.fresh(layer))
          const keyed = Context.get(other, TaskStore).capabilities.concurrencyKeys
          yield* body(choices.map((choice, i) => taskOf(choice, i, keyed)), memory, other)
        })),
      { timeout: 120_000, arbitrary: { runs } }
    )

  describe(`moves (${name})`, () => {
    law(
      "export, import and export again is the same text, and the same tasks",
      (tasks, memory, other) =>
        Effect.gen(function*() {
          const source = Context.get(memory, TaskStore)
          yield* source.insert(tasks)
          const lines = yield* Effect.provideContext(exported(), memory)
          const imported = yield* Effect.provideContext(TaskStoreDump.importLines(Stream.fromIterable(lines)), other)
          assert.deepStrictEqual(imported, { inserted: tasks.length, replaced: 0, kept: 0 })
          // A store sorts ids by code unit or by byte.
          const again = yield* Effect.provideContext(exported(), other)
          assert.deepStrictEqual(again.toSorted(), lines.toSorted())
          const byId = (self: { readonly task: { readonly id: string } }, that: typeof self) =>
            self.task.id < that.task.id ? -1 : 1
          assert.deepStrictEqual(
            (yield* Effect.provideContext(carried, other)).sort(byId),
            (yield* Effect.provideContext(carried, memory)).sort(byId)
          )
          // Importing again changes nothing, whatever is said of conflicts.
          for (const onConflict of ["fail", "keep", "replace"] as const) {
            const nothing = yield* Effect.provideContext(
              TaskStoreDump.importLines(Stream.fromIterable(again), { onConflict }),
              other
            )
            assert.deepStrictEqual(nothing, { inserted: 0, replaced: 0, kept: tasks.length })
          }
        })
    )

    law(
      "what was running is exported as its takeover would leave it",
      (tasks, memory, other) =>
        Effect.gen(function*() {
          const source = Context.get(memory, TaskStore)
          const target = Context.get(other, TaskStore)
          const until = 1_000_000
          for (const store of [source, target]) {
            yield* store.insert(tasks)
            for (const { executor, tag, version } of tasks) {
              const { runs } = yield* store.claim({
                now: until - 1,
                lease: { owner: "gone", until },
                slots: [{ executor, tag, version, limit: 9 }],
                limit: 9,
                reader: "gone"
              })
              const refs = runs.map(({ run: { generation, key, token } }) => ({ generation, key, token: token! }))
              yield* store.start({ now: until - 1, owner: "gone", runs: refs.slice(1) })
              yield* store.cancel(refs.slice(2).map((ref) => ({ ...ref, reason: "no longer" })))
            }
          }
          const moved = yield* Layer.build(Layer.fresh(MemoryTaskStore.layer))
          const lines = yield* Effect.provideContext(exported({ running: "takeOver" }), memory)
          yield* Effect.provideContext(TaskStoreDump.importLines(Stream.fromIterable(lines)), moved)
          yield* target.takeover({ now: until, limit: 1000, maxTakeovers: 1000, keep: 0 })
          const after = yield* Effect.provideContext(exported(), other)
          const there = yield* Effect.provideContext(exported(), moved)
          assert.deepStrictEqual(there.toSorted(), after.toSorted())
        }).pipe(Effect.scoped)
    )

    it.effect("after a move there are the same runs at the same times as without it", () =>
      Effect.gen(function*() {
        const build = <E>(layer: Layer.Layer<TaskStore, E>) =>
          Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, TaskStore))
        const stayed = yield* inTwoParts(yield* build(MemoryTaskStore.layer), Effect.succeed)
        const other = yield* build(layer)
        let open = 0
        const moved = yield* inTwoParts(yield* build(MemoryTaskStore.layer), (store) =>
          Effect.gen(function*() {
            const lines = yield* Effect.provideService(exported(), TaskStore, store)
            open = lines.filter((line) => line.includes("\"open\"")).length
            yield* Effect.provideService(TaskStoreDump.importLines(Stream.fromIterable(lines)), TaskStore, other)
            return other
          }))
        assert.isAbove(open, 1)
        assert.isAbove(stayed.runs.length, 50)
        assert.deepStrictEqual(moved, stayed)
      }), 60_000)
  })
}
