/**
 * What stores are made of beside their statements, for those who write one.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { refuseUnknown as textOfUnknown } from "./internal/options.ts"
import { TaskStoreError } from "./TaskStore.ts"

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

/**
 * The names of all options, which the compiler holds complete.
 *
 * @category models
 * @since 0.1.0
 */
export type OptionNames<Options> = { readonly [K in keyof Required<Options>]: true }

/**
 * The error of options that nobody reads, with the names that were probably meant; none where all are known.
 *
 * **Example**
 *
 * ```ts
 * const optionNames: TaskStoreKit.OptionNames<Options> = { url: true, prefix: true }
 *
 * const refused = TaskStoreKit.refuseUnknown(name, "MyTaskStore.layer", options, optionNames)
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export const refuseUnknown = <Options extends object>(
  store: string,
  where: string,
  options: Options,
  known: OptionNames<Options>
): TaskStoreError | undefined => {
  const text = textOfUnknown(options, Object.keys(known), where)
  return text === undefined
    ? undefined
    : new TaskStoreError({ store, operation: "open", reason: "Invalid", message: `${store}: ${text}` })
}

// -----------------------------------------------------------------------------
// concurrency keys
// -----------------------------------------------------------------------------

/**
 * The error of rows with a `concurrencyKey` in a store that cannot hold it to its limit (`capabilities.concurrencyKeys`
 * is `false`); none where there is no such row. Such a store must take none: it would ignore the limit in silence.
 *
 * @category errors
 * @since 0.1.0
 */
export const refuseConcurrencyKeys = (
  store: string,
  operation: string,
  rows: ReadonlyArray<{ readonly concurrencyKey?: string | null | undefined }>
): TaskStoreError | undefined => {
  const keyed = rows.find(({ concurrencyKey }) => concurrencyKey !== undefined && concurrencyKey !== null)
  return keyed === undefined ? undefined : new TaskStoreError({
    store,
    operation,
    reason: "Invalid",
    message:
      `${store} cannot hold a concurrencyKey (here ${JSON.stringify(keyed.concurrencyKey)}) to its limit. Keep ` +
      "this task in another store: memory, a file, SQLite, Postgres, MySQL or Redis."
  })
}

// -----------------------------------------------------------------------------
// audiences
// -----------------------------------------------------------------------------

/**
 * Who listens to one thing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Audience<A> {
  readonly isEmpty: () => boolean
  /** Tells everybody there, at once and in the order they came. One that throws harms nobody: it is logged. */
  readonly tell: (value: A) => Effect.Effect<void>
  /** Calls back until the scope closes; answers when what is said from now on is heard, or cannot be for now. */
  readonly join: (listener: (value: A) => void) => Effect.Effect<void, never, Scope.Scope>
}

/**
 * Where an audience hears what others say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source {
  /** The fiber that hears lives in it. */
  readonly scope: Scope.Scope
  /**
   * Runs while somebody is there, and then is interrupted. It runs `ready` once what is said from now on is heard, or
   * cannot be for now, which those who join wait for.
   */
  readonly hear: (ready: Effect.Effect<void>) => Effect.Effect<void>
}

interface Hearing {
  readonly fiber: Fiber.Fiber<void>
  readonly ready: Latch.Latch
}

/**
 * An audience without anybody yet. With a source, that is heard from the first who joins to the last who leaves.
 *
 * @category constructors
 * @since 0.1.0
 */
export const audience = <A>(source?: Source): Audience<A> => {
  const seats = new Set<{ readonly listener: (value: A) => void }>()
  let hearing: Hearing | undefined

  const attend = ({ hear, scope }: Source): Effect.Effect<void> =>
    Effect.gen(function*() {
      if (hearing === undefined) {
        const ready = yield* Latch.make()
        const fiber = yield* Effect.forkIn(Effect.ensuring(hear(ready.open), ready.open), scope, {
          // so that what changes after this line is noticed
          startImmediately: true
        })
        hearing = { fiber, ready }
      }
      yield* hearing.ready.await
    })

  const leave: Effect.Effect<void> = Effect.suspend(() => {
    if (seats.size > 0 || hearing === undefined) return Effect.void
    const { fiber } = hearing
    hearing = undefined
    return Fiber.interrupt(fiber)
  })

  return {
    isEmpty: () => seats.size === 0,
    tell: (value) =>
      Effect.suspend(() => {
        const thrown: Array<unknown> = []
        for (const { listener } of [...seats]) {
          try {
            listener(value)
          } catch (error) {
            thrown.push(error)
          }
        }
        return thrown.length === 0 ? Effect.void : Effect.logError("A listener of a task store threw", ...thrown)
      }),
    join: (listener) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.gen(function*() {
          const seat = { listener }
          seats.add(seat)
          if (source !== undefined) yield* attend(source)
          return seat
        }),
        (seat) =>
          Effect.suspend(() => {
            seats.delete(seat)
            return leave
          })
      ))
  }
}
