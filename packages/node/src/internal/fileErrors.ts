/**
 * What Node says of a file.
 *
 * @since 0.1.0
 */

/** `ENOENT` and its like; empty where there is none. */
export const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""

export const messageOf = (error: unknown): string => error instanceof Error ? error.message : String(error)
