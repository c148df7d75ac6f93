/**
 * Executors by alias, for programs in which some tasks run elsewhere, or with another concurrency, than the rest.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Executor } from "./Executor.ts"
import { buildAliases } from "./internal/aliases.ts"
import { closest } from "./internal/options.ts"
import type { Handler } from "./Task.ts"

/**
 * A task names an executor that this program does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownExecutor extends Schema.TaggedError<UnknownExecutor>()("UnknownExecutor", {
  alias: Schema.String,
  known: Schema.Array(Schema.String),
  suggestion: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const hint = this.suggestion === undefined ? "" : ` Did you mean \`${this.suggestion}\`?`
    return `There is no executor \`${this.alias}\` here, only: ${this.known.join(", ")}.${hint} ` +
      `Add it with Executors.layer({ ${this.known.join(", …, ")}, ${this.alias}: … }).`
  }
}

/**
 * The executors of a program. Tasks that name none use `default`.
 *
 * @category services
 * @since 0.1.0
 */
export class Executors extends Context.Service<Executors, {
  readonly aliases: ReadonlyMap<string, Executor["Service"]>
  readonly get: (alias: string) => Effect.Effect<Executor["Service"], UnknownExecutor>
}>()("punctual/Executors") {}

/**
 * @category constructors
 * @since 0.1.0
 */
export const make = (aliases: ReadonlyMap<string, Executor["Service"]>): Executors["Service"] => ({
  aliases,
  get: (alias) => {
    const executor = aliases.get(alias)
    if (executor !== undefined) return Effect.succeed(executor)
    const suggestion = closest(alias, aliases.keys())
    return Effect.fail(
      new UnknownExecutor({ alias, known: [...aliases.keys()], ...(suggestion === undefined ? {} : { suggestion }) })
    )
  }
})

/**
 * Builds one executor per alias, each of its own even where two aliases are given the same layer. What executors say
 * they handle (`Handler<Tag>`) is said of all of them together.
 *
 * **Example**
 *
 * ```ts
 * const ExecutorsLive = Executors.layer({
 *   default: Executor.layerFibers(),
 *   slow: Executor.layerFibers({ name: "slow", concurrency: 2 })
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Entries extends Readonly<Record<string, Layer.Layer<Executor, unknown, unknown>>>>(
  entries: Entries
): Layer.Layer<
  Executors | Extract<Layer.Success<Entries[keyof Entries]>, Handler<string>>,
  Layer.Error<Entries[keyof Entries]>,
  Layer.Services<Entries[keyof Entries]>
> =>
  // Facts about handlers are for the compiler: there is nothing to provide.
  Layer.effect(Executors)(Effect.map(buildAliases(Executor, entries), make)) as never
