/**
 * The triggers that a program defines itself, by name: what decoding a stored trigger looks them up in.
 */
import * as Context from "effect/Context"
import type { AnyDefinition } from "../Trigger.ts"
import { closest } from "./timeZone.ts"

/**
 * The definitions of a program.
 *
 * @category models
 * @since 0.1.0
 */
export interface TriggerDefinitions {
  readonly byName: ReadonlyMap<string, AnyDefinition>
}

export const none: TriggerDefinitions = { byName: new Map() }

/**
 * The definitions of the program; none unless `TriggerDefinitions.layer` provides some.
 *
 * @category references
 * @since 0.1.0
 */
export const TriggerDefinitions: Context.Reference<TriggerDefinitions> = Context.Reference<TriggerDefinitions>(
  "punctual/TriggerDefinitions",
  { defaultValue: () => none }
)

/** Why a stored trigger cannot be read where its definition is not known, and what to do about it. */
export const missing = (name: string, { byName }: TriggerDefinitions): string => {
  const hint = closest(name, byName.keys())
  return `no definition named \`${name}\` is provided${
    hint === undefined ? "" : `; did you mean \`${hint}\`?`
  }: add it to ` +
    `\`TriggerDefinitions.layer(…)\` and provide that to the scheduler or client`
}
