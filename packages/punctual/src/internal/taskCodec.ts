/**
 * A task's schemas as functions between values and JSON texts, compiled once per task.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaParser from "effect/SchemaParser"
import { compileMask } from "./taskMask.ts"
import { migrate } from "./taskMigration.ts"
import { type Any, InvalidPayload, UnreadableExit } from "./taskModel.ts"
import { unreadableReason } from "./taskUnreadable.ts"

/**
 * A payload as stored, and as people may see it.
 *
 * @internal
 */
export interface EncodedPayload {
  readonly payload: string
  readonly display: string
  /** The payload itself, for a task whose `concurrencyKey` looks at it. */
  readonly value?: unknown
}

/**
 * Requirements of the schemas are not in these types: they are those of whoever asks (the public `add`, the layer of
 * the handler), which provide them.
 *
 * @internal
 */
export interface TaskCodec {
  readonly encodePayload: (input: unknown) => Effect.Effect<EncodedPayload, InvalidPayload>
  /** Of a version up to the task's own. Fails with the reason in words. */
  readonly decodePayload: (text: string, version: number) => Effect.Effect<unknown, string>
  /** Whether exits may hold secrets: their texts then have a masked form beside the exit, as `shown`. */
  readonly secretExits: boolean
  /** The text of the exit; a value its schema refuses fails with the reason in words. */
  readonly encodeSuccess: (value: unknown) => Effect.Effect<string, string>
  /** Always gives a text: an error its schema refuses becomes a defect that says so. */
  readonly encodeFailure: (cause: Cause.Cause<unknown>) => Effect.Effect<string>
  readonly decodeExit: (text: string) => Effect.Effect<Exit.Exit<unknown, unknown>, UnreadableExit>
}

/** @internal */
export const encodePayload = (task: Any, input: unknown): Effect.Effect<EncodedPayload, InvalidPayload> =>
  codecOf(task).encodePayload(input)

/** @internal */
export const decodeExit = (task: Any, text: string): Effect.Effect<Exit.Exit<unknown, unknown>, UnreadableExit> =>
  codecOf(task).decodeExit(text)

/** @internal */
export const codecOf = (task: Any): TaskCodec => {
  let codec = codecs.get(task)
  if (codec === undefined) {
    codec = compile(task)
    codecs.set(task, codec)
  }
  return codec
}

/**
 * The exit of an effect that has nothing to wait for: parsers mostly answer with one, and it needs no interpreter.
 *
 * @internal
 */
export const exitOf = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> | undefined =>
  Exit.isExit(effect) ? effect as Exit.Exit<A, E> : undefined

const codecs = new WeakMap<Any, TaskCodec>()

const compile = (task: Any): TaskCodec => {
  const payload = payloadCodec(task)
  const exits = exitCodec(task)
  return { ...payload, ...exits }
}

// -----------------------------------------------------------------------------
// payload
// -----------------------------------------------------------------------------

type Parser = (input: unknown, options?: SchemaAST.ParseOptions) => Effect.Effect<unknown, SchemaIssue.Issue>

// See `TaskCodec`: whoever asks provides them.
const withoutServices = (
  parser: (input: unknown, options?: SchemaAST.ParseOptions) => Effect.Effect<unknown, SchemaIssue.Issue, unknown>
): Parser => parser as Parser

const allProblems = { errors: "all" } as const

const payloadCodec = (task: Any): Pick<TaskCodec, "encodePayload" | "decodePayload"> => {
  const { tag } = task
  const json = Schema.toCodecJson(task.payload)
  const construct = SchemaParser.makeEffect(task.payload)
  const encode = withoutServices(SchemaParser.encodeUnknownEffect(json))
  const decode = withoutServices(SchemaParser.decodeUnknownEffect(json))
  const mask = compileMask(json.ast)

  const toText = (encoded: unknown, value: unknown): EncodedPayload => {
    const payload = JSON.stringify(encoded)
    const display = mask === undefined ? payload : JSON.stringify(mask(encoded))
    return task.concurrencyKey === undefined ? { payload, display } : { payload, display, value }
  }
  const refuse = (issue: SchemaIssue.Issue) => new InvalidPayload({ tag, issue: formatIssue(issue) })
  return {
    encodePayload: (input) => {
      const made = exitOf(construct(input))
      if (made?._tag === "Success") {
        const encoded = exitOf(encode(made.value))
        if (encoded?._tag === "Success") return Effect.succeed(toText(encoded.value, made.value))
      }
      return construct(input, { parseOptions: allProblems }).pipe(
        Effect.flatMap((value) => Effect.map(encode(value, allProblems), (encoded) => toText(encoded, value))),
        Effect.mapError(refuse)
      )
    },
    decodePayload: (text, version) => {
      const unread = unreadableReason(text)
      if (unread !== undefined) return Effect.fail(unread)
      const stored = parseJson(text, mask !== undefined)
      const value = version === task.version || Result.isFailure(stored)
        ? stored
        : migrate(stored.success, version, task, mask !== undefined)
      if (Result.isFailure(value)) return Effect.fail(value.failure)
      const decoded = exitOf(decode(value.success))
      return decoded?._tag === "Success"
        ? Effect.succeed(decoded.value)
        : Effect.mapError(decode(value.success, allProblems), formatIssue)
    }
  }
}

/** What is wrong with a text repeats a part of it: not where it may be a secret's. */
const parseJson = (text: string, secret: boolean): Result.Result<unknown, string> => {
  try {
    return Result.succeed(JSON.parse(text))
  } catch (error) {
    return Result.fail(secret ? "not JSON" : `not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const format = SchemaIssue.makeFormatterDefault()

// "Expected string\n  at ["customer"]" reads as one line in a log.
/** @internal */
export const formatIssue = (issue: SchemaIssue.Issue): string => format(issue).replaceAll("\n  at ", " at ")

// -----------------------------------------------------------------------------
// exits
// -----------------------------------------------------------------------------

const exitCodec = (task: Any): Pick<TaskCodec, "secretExits" | "encodeSuccess" | "encodeFailure" | "decodeExit"> => {
  const { tag } = task
  const successJson = Schema.toCodecJson(task.success)
  const success = withoutServices(SchemaParser.encodeUnknownEffect(successJson))
  const maskValue = compileMask(successJson.ast)
  const maskError = compileMask(Schema.toCodecJson(task.error).ast)
  const secretExits = maskValue !== undefined || maskError !== undefined
  const exit = Schema.toCodecJson(Schema.Exit(task.success, task.error, Schema.Defect()))
  const encode = withoutServices(SchemaParser.encodeUnknownEffect(exit))
  const decode = SchemaParser.decodeUnknownEffect(exit) as (
    ...args: Parameters<Parser>
  ) => Effect.Effect<Exit.Exit<unknown, unknown>, SchemaIssue.Issue>
  // A value's text inside its exit's: the schema of exits would check the value twice.
  const valueText = (value: unknown): string => `"_tag":"Success","value":${JSON.stringify(value)}`
  const succeeded = (value: unknown): string =>
    maskValue === undefined
      ? `{${valueText(value)}}`
      : `{${valueText(value)},"shown":{${valueText(maskValue(value))}}}`
  const failed = (exit: unknown): string => {
    const failure = exit as EncodedFailure
    if (maskError === undefined) return JSON.stringify(failure)
    const cause = failure.cause.map((reason) =>
      "error" in reason ? { ...reason, error: maskError(reason.error) } : reason
    )
    return JSON.stringify({ ...failure, shown: { ...failure, cause } })
  }

  return {
    secretExits,
    encodeSuccess: (value) => {
      const encoded = exitOf(success(value))
      if (encoded?._tag === "Success") return Effect.succeed(succeeded(encoded.value))
      return Effect.mapBoth(success(value, allProblems), { onSuccess: succeeded, onFailure: formatIssue })
    },
    encodeFailure: (cause) =>
      encode(Exit.failCause(cause)).pipe(
        // Only a typed error can be refused: any defect has a JSON form.
        Effect.catch((issue) => encode(Exit.failCause(asDefects(tag, cause, issue)))),
        Effect.map(failed),
        Effect.orDie
      ),
    decodeExit: (text) => {
      const unread = unreadableReason(text)
      if (unread !== undefined) return Effect.fail(new UnreadableExit({ tag, issue: unread }))
      const value = parseJson(text, secretExits)
      if (Result.isFailure(value)) return Effect.fail(new UnreadableExit({ tag, issue: value.failure }))
      return Effect.mapError(
        decode(value.success, allProblems),
        (issue) => new UnreadableExit({ tag, issue: formatIssue(issue) })
      )
    }
  }
}

interface EncodedFailure {
  readonly _tag: "Failure"
  readonly cause: ReadonlyArray<{ readonly _tag: string; readonly error?: unknown }>
}

const asDefects = (tag: string, cause: Cause.Cause<unknown>, issue: SchemaIssue.Issue): Cause.Cause<never> =>
  Cause.fromReasons(
    cause.reasons.map((reason) =>
      reason._tag === "Fail" ? Cause.makeDieReason(undeclared(tag, reason.error, issue)) : reason
    )
  )

const undeclared = (tag: string, error: unknown, issue: SchemaIssue.Issue): Error =>
  new Error(`Task \`${tag}\` failed with an error that its \`error\` schema cannot encode. ${formatIssue(issue)}`, {
    cause: error
  })
