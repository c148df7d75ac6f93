/**
 * Reading what people write into a policy, one option at a time.
 *
 * A reader answers the stored value, or what is wrong with the one given and what to write instead.
 */
import * as Duration from "effect/Duration"
import * as Formatter from "effect/Formatter"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Policy } from "../Policy.ts"
import { closest, refuseUnknown } from "./options.ts"

type Reader<A> = (value: unknown) => Result.Result<A, string>

/** `catchUpLimit` and `queueLimit` at most: that many rows may be written in one commit and read at each evaluation. */
export const limitMaximum = 10_000

const show = (value: unknown): string => Formatter.format(value)

const durationFields = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds", "nanoseconds"]

/** `Duration.fromInput` takes `{ minuts: 5 }` and `NaN` for zero; a policy takes neither. */
const isDurationInput = (value: unknown): value is Duration.Input => {
  if (typeof value === "number") return !Number.isNaN(value)
  if (typeof value === "string" || typeof value === "bigint") return true
  if (typeof value !== "object" || value === null) return false
  if (Duration.isDuration(value)) return true
  const parts = Object.entries(value)
  return parts.length > 0 &&
    parts.every(([key, part]) =>
      (typeof part === "number" ? !Number.isNaN(part) : part === undefined) &&
      (Array.isArray(value) || durationFields.includes(key))
    )
}

/** Whole milliseconds, `Infinity` included. */
const readMillis = (value: unknown, example: string): Result.Result<number, string> => {
  const duration = isDurationInput(value) ? Duration.fromInput(value) : Option.none()
  if (Option.isNone(duration)) {
    return Result.fail(`${show(value)} is not a duration: write ${example}`)
  }
  const millis = Duration.toMillis(duration.value)
  if (Number.isFinite(millis) && !Number.isSafeInteger(millis)) {
    return Result.fail(`${show(value)} is not a whole number of milliseconds: write ${example}`)
  }
  return Result.succeed(millis)
}

const unlimitedDuration = (example: string): Reader<number | null> => (value) => {
  if (value === "unlimited") return Result.succeed(null)
  return Result.flatMap(
    readMillis(value, example),
    (millis) =>
      millis === Infinity
        ? Result.succeed(null)
        : millis > 0
        ? Result.succeed(millis)
        : Result.fail(`${show(value)} is not longer than zero: write ${example}`)
  )
}

const readLateAfter: Reader<number> = (value) => {
  const example = `a duration such as "5 seconds", or 0`
  return Result.flatMap(
    readMillis(value, example),
    (millis) =>
      millis < 0 || millis === Infinity
        ? Result.fail(`${show(value)} is not between zero and a finite time: write ${example}`)
        : Result.succeed(millis)
  )
}

const readCount = (value: unknown, maximum: number, instead: string): Result.Result<number, string> =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 1 && value <= maximum
    ? Result.succeed(value)
    : Result.fail(`${show(value)} is not a whole number from 1 to ${maximum}: ${instead}`)

const count = (maximum: number, instead: string): Reader<number> => (value) => readCount(value, maximum, instead)

const readMaxRuns: Reader<number | null> = (value) =>
  value === "unlimited" || value === Infinity
    ? Result.succeed(null)
    : readCount(value, Number.MAX_SAFE_INTEGER, `write how often the task runs in all, or "unlimited"`)

const readPauseOnFailure: Reader<number | null> = (value) =>
  value === false
    ? Result.succeed(null)
    : value === true
    ? Result.succeed(1)
    : readCount(
      value,
      Number.MAX_SAFE_INTEGER,
      "write how many failed runs in a row pause the task, true for 1, or false"
    )

const oneOf = <const A extends string>(
  allowed: ReadonlyArray<A>,
  meanings: { readonly [word: string]: string } = {}
): Reader<A> =>
(value) => {
  const found = allowed.find((word) => word === value)
  if (found !== undefined) return Result.succeed(found)
  const list = allowed.map((word) => `"${word}"`).join(", ")
  const meant = meanings[String(value)] ?? (typeof value === "string" ? closest(value, allowed) : undefined)
  const hint = meant === undefined ? "" : `; did you mean "${meant}"?`
  return Result.fail(`${show(value)} is not one of ${list}${hint}`)
}

/** How each option is read. */
export const readers: { readonly [K in keyof Policy]: Reader<Policy[K]> } = {
  misfireGrace: unlimitedDuration(`a duration such as "5 minutes", or "unlimited" if a run is never too late`),
  // true and false are what other schedulers call these two
  coalesce: oneOf(["latest", "earliest", "none"], { true: "latest", false: "none", all: "none" }),
  lateAfter: readLateAfter,
  catchUpLimit: count(limitMaximum, `write how many late occurrences of one window run, or coalesce: "latest" for one`),
  whenBusy: oneOf(["skip", "queue", "queueAll", "cancelPrevious", "allow"], {
    drop: "skip",
    buffer: "queue",
    wait: "queue",
    cancel: "cancelPrevious",
    replace: "cancelPrevious",
    overlap: "allow",
    parallel: "allow"
  }),
  maxInstances: count(
    Number.MAX_SAFE_INTEGER,
    `write how many runs may be open at once, or whenBusy: "allow" for no limit`
  ),
  queueLimit: count(limitMaximum, "write how many runs may wait"),
  maxRuns: readMaxRuns,
  pauseOnFailure: readPauseOnFailure,
  timeout: unlimitedDuration(`a duration such as "30 seconds", or "unlimited"`),
  delivery: oneOf(["atLeastOnce", "atMostOnce", "transactional"], { exactlyOnce: "transactional" })
}

/** In the order in which they are written. */
export const names: ReadonlyArray<keyof Policy> = [
  "misfireGrace",
  "coalesce",
  "lateAfter",
  "catchUpLimit",
  "whenBusy",
  "maxInstances",
  "queueLimit",
  "maxRuns",
  "pauseOnFailure",
  "timeout",
  "delivery"
]

// Options of other schedulers, lower case and without underscores, too far away for a spelling suggestion.
const elsewhere: { readonly [name: string]: keyof Policy } = {
  mistriggergracetime: "misfireGrace",
  misfiregracetime: "misfireGrace",
  grace: "misfireGrace",
  concurrency: "maxInstances",
  maxconcurrency: "maxInstances",
  maxrunningjobs: "maxInstances",
  overlap: "whenBusy",
  overlappolicy: "whenBusy",
  maxexecutions: "maxRuns"
}

/** The first key that is no option, and what to do about it. */
export const unknownOption = (options: object): { readonly option: string; readonly problem: string } | undefined => {
  const option = Object.keys(options).find((key) => !names.some((name) => name === key))
  if (option === undefined) return undefined
  const plain = option.toLowerCase().replaceAll(/[_-]/g, "")
  const meant = elsewhere[plain] ?? names.find((name) => name.toLowerCase() === plain)
  const problem = meant === undefined
    ? refuseUnknown({ [option]: undefined }, names, "a policy")
    : `unknown option \`${option}\` of a policy, did you mean \`${meant}\`?`
  return { option, problem: problem ?? option }
}

const nullable: ReadonlyArray<keyof Policy> = ["misfireGrace", "maxRuns", "pauseOnFailure", "timeout"]

/** Reads a value as it is stored: integers, words and `null`, none of the spellings that people may use. */
export const readStored = <K extends keyof Policy>(option: K, value: unknown): Result.Result<Policy[K], string> => {
  if (value === null && nullable.includes(option)) return Result.succeed(null as Policy[K])
  const isWord = option === "coalesce" || option === "whenBusy" || option === "delivery"
  return typeof value === (isWord ? "string" : "number")
    ? readers[option](value)
    : Result.fail(`${show(value)} is not a value that is stored`)
}
