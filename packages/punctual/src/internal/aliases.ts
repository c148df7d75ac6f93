/**
 * One service of a kind per alias.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/**
 * Builds the layers in the order given, so that they close in the opposite one.
 *
 * Each is built fresh: two aliases given one layer value would otherwise share what it builds.
 *
 * @internal
 */
export const buildAliases = <I, S, Entries extends Readonly<Record<string, Layer.Layer<I, unknown, unknown>>>>(
  service: Context.Key<I, S>,
  entries: Entries
): Effect.Effect<
  ReadonlyMap<string, S>,
  Layer.Error<Entries[keyof Entries]>,
  Layer.Services<Entries[keyof Entries]> | Scope.Scope
> =>
  Effect.map(
    Effect.forEach(Object.entries(entries), ([alias, layer]) =>
      Effect.map(Layer.build(Layer.fresh(layer)), (context) =>
        [alias, Context.get(context, service)] as const)),
    (built) =>
      new Map(built)
  ) as never
