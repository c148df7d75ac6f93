/**
 * Memory stores of which a test replaces single operations: slow ones, gated ones, ones that answer something else.
 * For a store that is down, or loses replies, there is `FaultyStore`.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Activity from "../../src/Activity.ts"
import * as MemoryTaskStore from "../../src/MemoryTaskStore.ts"
import { type Capabilities, TaskStore, type TaskStoreError } from "../../src/TaskStore.ts"

type Store = TaskStore["Service"]

interface Time {
  readonly clock: Clock.Clock
  readonly activity: Activity.Activity
}

/** A memory store of which some operations are others; it survives and is shared, unless told otherwise. */
export const patched = (
  patch: (store: Store, time: Time) => Partial<Store>,
  capabilities: Partial<Capabilities> = {},
  memory: Effect.Effect<Store> = MemoryTaskStore.make
): Layer.Layer<TaskStore> =>
  Layer.effect(TaskStore)(Effect.gen(function*() {
    const store = yield* memory
    const time = { clock: yield* Clock.Clock, activity: yield* Activity.Activity }
    return {
      ...store,
      capabilities: { ...store.capabilities, durable: true, shared: true, ...capabilities },
      ...patch(store, time)
    }
  }))

/** Takes so long on the virtual clock; the label is that under which the engine asks. */
export const slowly = <A, E>(
  effect: Effect.Effect<A, E>,
  time: Time,
  label: string,
  millis: number
): Effect.Effect<A, E> =>
  Effect.flatMap(
    Effect.exit(effect),
    (exit) => Effect.andThen(Activity.asleep(time.clock.sleep(Duration.millis(millis)), time.activity, label), exit)
  )

/** A store whose answer to one operation, once carried out, waits until it may come. */
export const gated = (
  operation: "due" | "commit" | "list" | "claim",
  shut: () => boolean,
  gate: Latch.Latch,
  calls: Array<string> = []
) =>
  patched((store) => {
    const wait = <A>(name: string, call: Effect.Effect<A, TaskStoreError>) =>
      Effect.suspend(() => {
        calls.push(name)
        return name === operation && shut()
          ? Effect.flatMap(Effect.exit(call), (exit) => Effect.andThen(gate.await, exit))
          : call
      })
    return {
      due: (options) => wait("due", store.due(options)),
      commit: (changes) => wait("commit", store.commit(changes)),
      claim: (options) => wait("claim", store.claim(options)),
      list: (query) => wait("list", store.list(query))
    }
  })
