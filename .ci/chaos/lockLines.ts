/**
 * What the programs of a chaos run on locks have in common.
 */
export type LockKind = "file" | "sql" | "postgres" | "redis"

/** What a program writes down of the lock, and when. The token is 0 while it has none. */
export interface Line {
  readonly at: number
  readonly what: "asks" | "held" | "act" | "end" | "lost"
  readonly token: number
}

/** Milliseconds. */
export const lease = 2_000
