/**
 * What a Redis server or connection said, as errors of the port.
 *
 * @since 0.1.0
 */
import { TaskStoreError } from "punctual/TaskStore"
import { otherSchemaPrefix, schema } from "./library.ts"

type Reason = TaskStoreError["reason"]

const rules: ReadonlyArray<readonly [RegExp, Reason, string]> = [
  [
    /\bWRONGPASS\b|invalid username-password/i,
    "Unknown",
    "the user or password is wrong: correct them in the URL (redis://user:password@host:6379)"
  ],
  [
    /\bNOAUTH\b|without any password configured/i,
    "Unknown",
    "the server asks for another login: give the URL a user and password (redis://user:password@host:6379), or none where the server has none"
  ],
  [
    /\bNOPERM\b/,
    "Unknown",
    "the user may not do this: allow it with ACL SETUSER <user> ~{<prefix>}* &{<prefix>}* +@all -@admin +info"
  ],
  [/\bREADONLY\b/, "ReadOnly", "this server is a replica: connect to the primary"],
  [/\bMISCONF\b/, "Full", "the server cannot write to its disk: see its log, make room, and it goes on"],
  [/\bOOM\b/, "Full", "the server has reached its maxmemory: raise it, or prune history"],
  [/\bBUSY\b/, "Busy", "a script has held the server for too long"],
  [
    /\bWRONGTYPE\b|cjson|Expected .* but found|user_script/,
    "Corrupt",
    "a key of this prefix does not hold what this package writes: use another prefix, or remove the key"
  ],
  [
    /\bLOADING\b|\bMASTERDOWN\b|\bCLUSTERDOWN\b|\bTRYAGAIN\b|\bMOVED\b|\bASK\b/,
    "Unavailable",
    "the server is not ready: it is asked again"
  ],
  [/unknown command/i, "Unknown", "the server lacks a command: Redis 7.0 or newer is needed"],
  [
    /ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|EHOSTUNREACH|socket|closed|offline|timeout|disconnect|connection/i,
    "Unavailable",
    "the server cannot be reached: check that it runs and that host and port of the URL are right"
  ]
]

/** A message of all that a cause says. */
const textOf = (cause: unknown): string => {
  const texts: Array<string> = []
  let current = cause
  for (let depth = 0; depth < 5 && current !== undefined && current !== null; depth++) {
    texts.push(String(current))
    // node-redis gives its errors no names, and its `TimeoutError` no message either.
    if (current instanceof Error && current.message === "") texts.push(current.constructor.name)
    if (current instanceof AggregateError) texts.push(...current.errors.map(String))
    current = current instanceof Error ? current.cause : undefined
  }
  return texts.join(": ")
}

export const storeError = (store: string, operation: string, cause: unknown): TaskStoreError => {
  const text = textOf(cause)
  const other = new RegExp(`${otherSchemaPrefix} (\\S+) (\\S+)`).exec(text)
  if (other !== null) {
    const [, version = "?", writer = "?"] = other
    return Number(version) < schema
      ? olderSchema(store, operation, version)
      : newerSchema(store, operation, version, writer)
  }
  const [, reason, advice] = rules.find(([pattern]) => pattern.test(text)) ?? [undefined, "Unknown" as const, undefined]
  return new TaskStoreError({
    store,
    operation,
    reason,
    message: `${store}: ${operation} failed${advice === undefined ? "" : `: ${advice}`} (${text.slice(0, 300)})`,
    cause
  })
}

const newerSchema = (store: string, operation: string, version: string, writer: string): TaskStoreError =>
  new TaskStoreError({
    store,
    operation,
    reason: "NewerSchema",
    message: `${store}: the store has schema ${version}, which versions before ${writer} must not write to; this one ` +
      `has schema ${schema}. Update @punctual/redis in this process.`
  })

const olderSchema = (store: string, operation: string, version: string): TaskStoreError =>
  new TaskStoreError({
    store,
    operation,
    reason: "Invalid",
    message: `${store}: the store has schema ${version}, which this version of @punctual/redis does not read; it has ` +
      `schema ${schema}. Export it with the version that wrote it, and import it under another prefix.`
  })
