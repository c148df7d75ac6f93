/**
 * The triggers that a program defines itself, so that stored ones can be read back.
 *
 *     Trigger.define("Sunrise", …) ──▶ Sunrise.make({ … }) ──▶ {"_tag":"Defined","name":"Sunrise","parameters":{ … }}
 *                  │                                                     │
 *                  └──────────▶ TriggerDefinitions.layer(Sunrise) ──▶ decode
 *
 * A scheduler and a client take the definitions they find when their layer is built. Without the definition of a trigger
 * they leave its row alone: it is listed as unreadable, with a reason that names the definition, and nothing is deleted.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type TriggerDefinitions, TriggerDefinitions as Reference } from "./internal/triggerDefinitions.ts"
import type { AnyDefinition } from "./Trigger.ts"

export {
  /**
   * The definitions of the program; none unless `layer` provides some.
   *
   * @category references
   * @since 0.1.0
   */
  TriggerDefinitions
} from "./internal/triggerDefinitions.ts"

/**
 * Two definitions have one name, so a stored trigger could mean either.
 *
 * @category errors
 * @since 0.1.0
 */
export class DuplicateTriggerDefinition
  extends Schema.TaggedError<DuplicateTriggerDefinition>()("DuplicateTriggerDefinition", { definition: Schema.String })
{
  override get message(): string {
    return `Two different triggers are defined as \`${this.definition}\`. Give one of them another name.`
  }
}

/**
 * Definitions by name. The same one given twice is one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  ...definitions: ReadonlyArray<AnyDefinition>
): Result.Result<TriggerDefinitions, DuplicateTriggerDefinition> => {
  const byName = new Map<string, AnyDefinition>()
  for (const definition of definitions) {
    const known = byName.get(definition.name)
    if (known !== undefined && known !== definition) {
      return Result.fail(new DuplicateTriggerDefinition({ definition: definition.name }))
    }
    byName.set(definition.name, definition)
  }
  return Result.succeed({ byName })
}

/**
 * Provides definitions, beside those that are provided already.
 *
 * **When to use**
 *
 * Use it once for schedulers, clients and whatever else decodes triggers.
 *
 * **Gotchas**
 *
 * Of two such layers in one `Layer.mergeAll` only one counts: give all definitions to one layer, or provide one layer to
 * the other.
 *
 * **Example**
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(TriggerDefinitions.layer(Sunrise, Tides)),
 *   Layer.provide(SqliteTaskStore.layer({ filename: "punctual.db" }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  ...definitions: ReadonlyArray<AnyDefinition>
): Layer.Layer<never, DuplicateTriggerDefinition> =>
  Layer.effect(Reference)(
    Effect.flatMap(Reference, ({ byName }) => Effect.fromResult(make(...byName.values(), ...definitions)))
  )
