/**
 * Stored payloads of older versions, step by step to the version of the definition.
 *
 *     stored: version 1 ──1──▶ 2 ──2──▶ 3 ──▶ decode with the definition's schema
 *
 * The row stays as it is: it is migrated each time it is read, until an update writes a new payload.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"

/**
 * From the JSON of a payload's version to the JSON of the next.
 *
 * @category models
 * @since 0.1.0
 */
export type Migration = (payload: Schema.Json) => Schema.Json

/**
 * Steps by the version they start from.
 *
 * @category models
 * @since 0.1.0
 */
export type Migrations = Readonly<Record<number, Migration>>

/** Why these steps cannot lead to a version, if they cannot. */
export const refuseMigrations = (steps: Migrations, version: number): string | undefined => {
  for (let from = 1; from < version; from++) {
    if (steps[from] === undefined) {
      return `\`migrate\` has no step from version ${from} to ${
        from + 1
      }: rows of version ${from} could not be read. ` +
        `Give it one for each version before ${version}`
    }
  }
  for (const [key, step] of Object.entries(steps)) {
    const from = Number(key)
    if (!Number.isSafeInteger(from) || from < 1 || from >= version) {
      return `\`migrate\` has a step from version ${key}, but versions before ${version} are ${
        version === 1 ? "none" : version === 2 ? "1" : `1 to ${version - 1}`
      }: count \`version\` up, or drop the step`
    }
    if (typeof step !== "function") return `the step of \`migrate\` from version ${key} is not a function`
  }
  return undefined
}

/** Fails with the reason in words. What a step throws may repeat the payload, and is not repeated where that has secrets. */
export const migrate = (
  payload: unknown,
  from: number,
  { migrate: steps, version }: { readonly migrate: Migrations | undefined; readonly version: number },
  secret: boolean
): Result.Result<unknown, string> => {
  if (steps === undefined) return Result.succeed(payload)
  let migrated = payload
  for (let at = from; at < version; at++) {
    const step = steps[at]
    if (step === undefined) return Result.fail(`\`migrate\` has no step from version ${at}`)
    try {
      migrated = step(migrated as Schema.Json)
    } catch (error) {
      const why = secret ? "" : `: ${error instanceof Error ? error.message : String(error)}`
      return Result.fail(`its step from version ${at} to ${at + 1} threw${why}`)
    }
  }
  return Result.succeed(migrated)
}
