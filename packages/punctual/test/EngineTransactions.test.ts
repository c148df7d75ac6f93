/**
 * `delivery: "transactional"`: what a handler writes and the end of its run are committed together, or not at all.
 *
 * The database here is an array of words. What is written in a transaction gets there, and the settlement to the store,
 * when it commits.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import type * as TaskScheduler from "../src/TaskScheduler.ts"
import { type Settlement, type TaskStore, TaskStoreError } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import * as Trigger from "../src/Trigger.ts"
import { isolated, now, runsOf, Scheduler } from "./support/engine.ts"
import { patched } from "./support/patchedStore.ts"

interface Transaction {
  readonly words: Array<string>
  readonly settlements: Array<readonly [ReadonlyArray<Settlement>, { readonly keep: number }]>
}

/** The transaction a fiber is in. */
const Current = Context.Reference<Transaction | undefined>("test/Transaction", { defaultValue: () => undefined })

interface Database {
  readonly committed: Array<string>
  /** Before and after each commit. */
  before: Effect.Effect<void, TaskStoreError>
  after: Effect.Effect<void, TaskStoreError>
  /** Opens when the engine has read that a run is to be stopped. */
  readonly asked: Latch.Latch
}

const database = (): Database => ({
  committed: [],
  before: Effect.void,
  after: Effect.void,
  asked: Latch.makeUnsafe(false)
})

const lost = (reason: TaskStoreError["reason"]) =>
  new TaskStoreError({ store: "words", operation: "transact", reason, message: "words: the connection was lost" })

const once = (error: TaskStoreError): Effect.Effect<void, TaskStoreError> => {
  let done = false
  return Effect.suspend(() => {
    if (done) return Effect.void
    done = true
    return error
  })
}

const storeOn = (words: Database, memory?: Effect.Effect<TaskStore["Service"]>): Layer.Layer<TaskStore> =>
  patched(
    (store) => ({
      name: "words",
      settle: (settlements, options) =>
        Effect.flatMap(Current, (transaction) => {
          if (transaction === undefined) return store.settle(settlements, options)
          transaction.settlements.push([settlements, options])
          return Effect.forEach(settlements, ({ generation, key, token }) =>
            Effect.map(
              store.runs({ taskId: "it", generation, key, limit: 1 }),
              ({ items: [run] }) =>
                run?.state === "running" && run.token === token ? "Settled" as const : "Stale" as const
            ))
        }),
      heartbeat: (options) =>
        Effect.tap(
          store.heartbeat(options),
          (beats) => beats.some(({ cancel }) => cancel !== null) ? words.asked.open : Effect.void
        ),
      transact: <A, E>(effect: (within: Context.Context<never>) => Effect.Effect<A, E>) => {
        const transaction: Transaction = { words: [], settlements: [] }
        return Effect.uninterruptibleMask((restore) =>
          Effect.gen(function*() {
            const result = yield* Effect.provideService(
              restore(effect(Context.make(Current, transaction) as Context.Context<never>)),
              Current,
              transaction
            )
            yield* words.before
            for (const settlement of transaction.settlements) yield* store.settle(...settlement)
            words.committed.push(...transaction.words)
            yield* words.after
            return result
          })
        )
      }
    }),
    {},
    memory
  )

const write = (word: string): Effect.Effect<void> =>
  Effect.map(Current, (transaction) => void transaction?.words.push(word))

const Write = Task.make("Write", {
  delivery: "transactional",
  error: Schema.String,
  retry: { times: 1 }
})

/** Virtual time with the task added; the handler is told which attempt it is. */
const scheduled = <E>(
  words: Database,
  handler: (attempt: number) => Effect.Effect<void, string>,
  test: Effect.Effect<void, E, TaskScheduler.TaskScheduler | TestScheduler.TestScheduler>,
  store = storeOn(words)
) =>
  isolated(
    Effect.andThen(
      Effect.flatMap(Scheduler, (scheduler) => scheduler.add(Write, { id: "it", trigger: Trigger.now })),
      test
    ),
    TestScheduler.layer(Write.toLayer((_, { attempt }) => handler(attempt)), { now, store })
  )

/** What is left in the end: what the database has, how the run ended, and what was told of it. */
const outcome = (words: Database) =>
  Effect.gen(function*() {
    yield* TestScheduler.advance("10 minutes")
    const [run] = yield* runsOf("it")
    const events = yield* TestScheduler.events
    return {
      words: words.committed,
      state: run?.state,
      attempt: run?.attempt,
      told: events.flatMap((event) =>
        event._tag === "RunEnded"
          ? [event.run.state]
          : event._tag === "RunReleased"
          ? [event.reason]
          : event._tag === "RunRetrying" || event._tag === "RunLost"
          ? [event._tag]
          : []
      )
    }
  })

describe("delivery: transactional", () => {
  it.effect("what the handler wrote is committed with the end of its run, which is told once", () => {
    const words = database()
    return scheduled(
      words,
      () => write("done"),
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* outcome(words), {
          words: ["done"],
          state: "succeeded",
          attempt: 1,
          told: ["succeeded"]
        })
      })
    )
  })

  it.effect("a failed attempt leaves nothing behind, and is retried", () => {
    const words = database()
    return scheduled(
      words,
      (attempt) => Effect.andThen(write(`attempt ${attempt}`), attempt === 1 ? Effect.fail("no") : Effect.void),
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* outcome(words), {
          words: ["attempt 2"],
          state: "succeeded",
          attempt: 2,
          told: ["RunRetrying", "succeeded"]
        })
      })
    )
  })

  it.effect("an attempt has thirty seconds, where its task does not say", () => {
    const words = database()
    return scheduled(
      words,
      () => Effect.andThen(write("too slow"), Effect.sleep("31 seconds")),
      Effect.gen(function*() {
        const { state, words: left } = yield* outcome(words)
        assert.deepStrictEqual([state, left], ["timedOut", []])
      })
    )
  })

  it.effect("a transaction that could not be committed for now is made again", () => {
    const words = database()
    words.before = once(lost("Unavailable"))
    return scheduled(
      words,
      () => write("done"),
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* outcome(words), {
          words: ["done"],
          state: "succeeded",
          attempt: 2,
          told: ["RunRetrying", "succeeded"]
        })
      })
    )
  })

  it.effect("one that can never be committed is a failed run, after as many attempts as leases may be lost", () => {
    const words = database()
    words.before = lost("Unavailable")
    return scheduled(
      words,
      () => write("done"),
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* outcome(words), {
          words: [],
          state: "failed",
          attempt: 4,
          told: ["RunRetrying", "RunRetrying", "RunRetrying", "failed"]
        })
      })
    )
  })

  it.effect("one that the database refuses is a failed run", () => {
    const words = database()
    words.before = lost("Unknown")
    return scheduled(
      words,
      () => write("done"),
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* outcome(words), { words: [], state: "failed", attempt: 1, told: ["failed"] })
      })
    )
  })

  it.effect("where the answer to a commit was lost, the store is asked: the run has succeeded, once", () => {
    const words = database()
    words.after = lost("Unavailable")
    return scheduled(
      words,
      () => write("done"),
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* outcome(words), {
          words: ["done"],
          state: "succeeded",
          attempt: 1,
          told: ["succeeded"]
        })
      })
    )
  })

  it.effect("an attempt that is interrupted while it is committed has succeeded", () => {
    const words = database()
    const committing = Latch.makeUnsafe(false)
    words.before = Effect.andThen(committing.open, words.asked.await)
    return scheduled(
      words,
      () => write("done"),
      Effect.gen(function*() {
        const scheduler = yield* Scheduler
        yield* Effect.forkChild(Effect.gen(function*() {
          yield* committing.await
          const [run] = (yield* scheduler.handle("it").runs()).items
          yield* scheduler.cancel(run!)
        }))
        assert.deepStrictEqual(yield* outcome(words), {
          words: ["done"],
          state: "succeeded",
          attempt: 1,
          told: ["succeeded"]
        })
      })
    )
  })

  it.effect("what was written is rolled back when somebody else has ended the run meanwhile", () => {
    const words = database()
    const memory = Effect.runSync(MemoryTaskStore.make)
    return scheduled(
      words,
      () =>
        Effect.gen(function*() {
          yield* write("done")
          const { items: [run] } = yield* Effect.orDie(memory.runs({ taskId: "it", limit: 1 }))
          yield* Effect.orDie(memory.settle([{
            generation: run!.generation,
            key: run!.key,
            token: run!.token!,
            owner: run!.owner!,
            now: run!.due,
            result: { _tag: "End", state: "failed", exit: null }
          }], { keep: 10 }))
        }),
      Effect.gen(function*() {
        const { state, told, words: left } = yield* outcome(words)
        assert.deepStrictEqual([state, told, left], ["failed", ["RunLost"], []])
      }),
      storeOn(words, Effect.succeed(memory))
    )
  })

  it.effect("is refused where no handler can run in a transaction", () =>
    isolated(
      Effect.gen(function*() {
        const refused = yield* Effect.flip((yield* Scheduler).add(Write, { id: "it", trigger: Trigger.now }))
        assert.include(refused.message, "No handler can run inside a transaction of store `memory`")
      }),
      TestScheduler.layer(Write.toLayer(() => Effect.void), { now })
    ))

  it("is refused without an end to the attempt", () => {
    assert.throws(
      () => Task.make("Endless", { delivery: "transactional", timeout: "unlimited" }),
      /give the attempts of a task with `delivery: "transactional"` a duration/
    )
  })
})
