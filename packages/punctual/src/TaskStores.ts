/**
 * Stores by alias, for programs that keep some tasks elsewhere: in memory only, or in another database.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { buildAliases } from "./internal/aliases.ts"
import { closest } from "./internal/options.ts"
import { TaskStore } from "./TaskStore.ts"

/**
 * A store was named that this program does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownStore extends Schema.TaggedError<UnknownStore>()("UnknownStore", {
  alias: Schema.String,
  known: Schema.Array(Schema.String),
  suggestion: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const hint = this.suggestion === undefined ? "" : ` Did you mean \`${this.suggestion}\`?`
    return `There is no store \`${this.alias}\` here, only: ${this.known.join(", ")}.${hint} ` +
      `Add it with TaskStores.layer({ ${this.known.join(", …, ")}, ${this.alias}: … }).`
  }
}

/**
 * The stores of a program. Tasks that name none are kept in `default`.
 *
 * @category services
 * @since 0.1.0
 */
export class TaskStores extends Context.Service<TaskStores, {
  readonly aliases: ReadonlyMap<string, TaskStore["Service"]>
  readonly get: (alias: string) => Effect.Effect<TaskStore["Service"], UnknownStore>
}>()("punctual/TaskStores") {}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (aliases: ReadonlyMap<string, TaskStore["Service"]>): TaskStores["Service"] => ({
  aliases,
  get: (alias) => {
    const store = aliases.get(alias)
    if (store !== undefined) return Effect.succeed(store)
    const suggestion = closest(alias, aliases.keys())
    return Effect.fail(
      new UnknownStore({ alias, known: [...aliases.keys()], ...(suggestion === undefined ? {} : { suggestion }) })
    )
  }
})

/**
 * Opens one store per alias, each of its own even where two aliases are given the same layer. `default` is also the
 * program's `TaskStore`.
 *
 * **Example**
 *
 * ```ts
 * const StoresLive = TaskStores.layer({
 *   default: SqliteTaskStore.layer({ filename: "punctual.db" }),
 *   scratch: MemoryTaskStore.layer
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  const Entries extends
    & { readonly default: Layer.Layer<TaskStore, unknown, unknown> }
    & Readonly<Record<string, Layer.Layer<TaskStore, unknown, unknown>>>
>(
  entries: Entries
): Layer.Layer<TaskStores | TaskStore, Layer.Error<Entries[keyof Entries]>, Layer.Services<Entries[keyof Entries]>> =>
  Layer.effectContext(
    Effect.map(
      buildAliases(TaskStore, entries),
      (aliases) => Context.make(TaskStores, make(aliases)).pipe(Context.add(TaskStore, aliases.get("default")!))
    )
  )
