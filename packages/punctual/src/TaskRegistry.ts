/**
 * Which tags are handled here. A handler's layer registers its tag and, when it closes, takes it back.
 *
 *     register ──▶ offered ──▶ scope closes: no longer offered ──▶ its runs end ──▶ gone
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { CurrentRun } from "./CurrentRun.ts"
import type { Any } from "./internal/taskModel.ts"
import type { Admit } from "./internal/taskRateLimit.ts"
import { Tally } from "./internal/taskTally.ts"

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * A tag has one handler per registry.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskAlreadyHandled extends Schema.TaggedError<TaskAlreadyHandled>()("TaskAlreadyHandled", {
  tag: Schema.String,
  registry: Schema.String
}) {
  override get message(): string {
    return `Task \`${this.tag}\` already has a handler in \`${this.registry}\`. Build \`${this.tag}.toLayer(…)\` once: a ` +
      `layer used in several places must be one value, and another implementation needs another scheduler.`
  }
}

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * A handler and the context its layer was built with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runner {
  readonly handler: (payload: unknown, run: CurrentRun["Service"]) => Effect.Effect<unknown, unknown, unknown>
  readonly context: Context.Context<never>
  /** Asked with each payload before its handler begins, where the task has a `rateLimit`. */
  readonly admit?: Admit | undefined
}

/**
 * A tag that is handled here. Runs are counted, so that closing its layer can wait for them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registered extends Runner {
  readonly task: Any
  /** Runs in progress. */
  readonly count: number
  readonly enter: () => void
  readonly leave: () => void
}

// -----------------------------------------------------------------------------
// service
// -----------------------------------------------------------------------------

/**
 * The handlers of one scheduler.
 *
 * @category services
 * @since 0.1.0
 */
export class TaskRegistry extends Context.Service<TaskRegistry, {
  readonly name: string
  /**
   * Offers a tag until the scope closes. Closing stops offering it at once, then waits until its runs have ended.
   */
  readonly register: (task: Any, runner: Runner) => Effect.Effect<void, TaskAlreadyHandled, Scope.Scope>
  readonly get: (tag: string) => Registered | undefined
  /** Each tag with the newest payload version it decodes: a live view. */
  readonly tags: ReadonlyMap<string, number>
  /** Calls back after a tag was added, until the scope closes. */
  readonly onChange: (listener: () => void) => Effect.Effect<void, never, Scope.Scope>
}>()("punctual/TaskRegistry") {}

/**
 * An empty registry.
 *
 * **Details**
 *
 * `drainTimeout` bounds how long a closing handler layer waits for its runs (default: until they end). Runs still
 * going after that are left behind, with a warning that names the tag. Once `drained` answers true, whoever executes
 * them has waited already: then it waits for none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  name: string,
  options?: {
    readonly drainTimeout?: Duration.Input | undefined
    readonly drained?: (() => boolean) | undefined
  }
): Effect.Effect<TaskRegistry["Service"]> =>
  Effect.sync(() => {
    const drainTimeout = options?.drainTimeout === undefined
      ? Duration.infinity
      : Duration.fromInputUnsafe(options.drainTimeout)
    const handlers = new Map<string, RegisteredImpl>()
    const tags = new Map<string, number>()
    const listeners = new Set<{ readonly listener: () => void }>()

    const offer = (task: Any, runner: Runner) =>
      Effect.suspend(() => {
        if (handlers.has(task.tag)) return Effect.fail(new TaskAlreadyHandled({ tag: task.tag, registry: name }))
        const registered = new RegisteredImpl(task, runner)
        handlers.set(task.tag, registered)
        tags.set(task.tag, task.version)
        for (const { listener } of listeners) listener()
        return Effect.succeed(registered)
      })

    const withdraw = (registered: RegisteredImpl) =>
      Effect.withFiber((fiber) => {
        handlers.delete(registered.task.tag)
        tags.delete(registered.task.tag)
        // A run that closes its own handler (a closure that removes itself) would wait for its own end.
        if (Context.getOrUndefined(fiber.context, CurrentRun)?.tag === registered.task.tag) return Effect.void
        if (options?.drained?.() === true) return Effect.void
        return Duration.isFinite(drainTimeout) ? atMost(registered, drainTimeout) : registered.ended
      })

    return {
      name,
      register: (task, runner) => Effect.asVoid(Effect.acquireRelease(offer(task, runner), withdraw)),
      get: (tag) => handlers.get(tag),
      tags,
      onChange: (listener) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => {
            const entry = { listener }
            listeners.add(entry)
            return entry
          }),
          (entry) => Effect.sync(() => listeners.delete(entry))
        ))
    }
  })

const atMost = (registered: RegisteredImpl, timeout: Duration.Duration): Effect.Effect<void> =>
  Effect.timeoutOption(registered.ended, timeout).pipe(
    Effect.flatMap((ended) =>
      Option.isSome(ended)
        ? Effect.void
        : Effect.logWarning(
          `Task \`${registered.task.tag}\`: ${registered.count} run(s) did not end within ${
            Duration.format(timeout)
          } of closing its handler, and were left behind.`
        )
    )
  )

class RegisteredImpl extends Tally implements Registered {
  readonly task: Any
  readonly handler: Runner["handler"]
  readonly context: Context.Context<never>
  readonly admit: Admit | undefined

  constructor(task: Any, runner: Runner) {
    super()
    this.task = task
    this.handler = runner.handler
    this.context = runner.context
    this.admit = runner.admit
  }
}
