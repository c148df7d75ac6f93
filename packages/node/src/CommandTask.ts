/**
 * Commands as tasks: what a crontab runs, with a typed result, a bounded output, and nothing left behind.
 *
 * ```ts
 * const Nightly = CommandTask.make("Nightly", { trigger: Trigger.cron("30 2 * * *"), timeout: "1 hour" })
 *
 * const App = Layer.mergeAll(
 *   CommandTask.layer(Nightly, { env: { PGPASSWORD: secret } }),
 *   Task.layerScheduled(Nightly, { id: "backup", payload: { command: ["pg_dump", "--file", "shop.sql", "shop"] } })
 * )
 * ```
 *
 * A command is an array (a program and its arguments, passed on as they are) or a text for the shell. It leads a process
 * group of its own; a run that is cancelled or out of time ends the whole group: SIGTERM, then SIGKILL.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ChildProcess, spawn } from "node:child_process"
import { type InvalidOption, refuseOptions } from "punctual/SchedulerError"
import * as Task from "punctual/Task"
import type { TaskAlreadyHandled, TaskRegistry } from "punctual/TaskRegistry"
import { Tail } from "./internal/commandOutput.ts"
import { integer, millis } from "./internal/options.ts"
import { endGroup } from "./internal/processGroup.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * What to run: the payload of a command task.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Command = Schema.Struct({
  /** A program and its arguments, which no shell sees; or a text for the shell. */
  command: Schema.Union([Schema.NonEmptyArray(Schema.String), Schema.NonEmptyString]),
  /** Working folder. Default: the layer's. */
  cwd: Schema.optionalKey(Schema.String),
  /** Added to the environment. */
  env: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** Likewise; masked wherever people look, and stored as they are unless the store is encrypted (`EncryptedTaskStore`). */
  secrets: Schema.optionalKey(Schema.Record(Schema.String, Schema.Redacted(Schema.String))),
  /** What it reads. Default: nothing. */
  stdin: Schema.optionalKey(Schema.String),
  /** Exit codes that count as success. Default: 0 alone. */
  successCodes: Schema.optionalKey(Schema.Array(Schema.Int))
})

/** @category models @since 0.1.0 */
export type Command = typeof Command.Type

/**
 * What it answered. Of a long output the end is kept, after a line that says how much was cut.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Output = Schema.Struct({
  exitCode: Schema.Int,
  stdout: Schema.String,
  stderr: Schema.String
})

/** @category models @since 0.1.0 */
export type Output = typeof Output.Type

/**
 * It ended otherwise than it should, or could not be started.
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  reason: Schema.Literals(["ExitCode", "Signal", "NotStarted"]),
  /** The code, the signal, or why it could not be started. */
  detail: Schema.String,
  stdout: Schema.String,
  stderr: Schema.String
}) {
  override get message(): string {
    const what = this.reason === "ExitCode"
      ? `ended with exit code ${this.detail}`
      : this.reason === "Signal"
      ? `was ended by ${this.detail}`
      : `could not be started: ${this.detail}`
    const said = this.stderr.trim().split("\n").at(-1)
    return `\`${this.command}\` ${what}.${said === undefined || said === "" ? "" : ` ${said}`}`
  }
}

/**
 * A task whose payload is a command.
 *
 * @category models
 * @since 0.1.0
 */
export type CommandTask<Tag extends string> = Task.Task<Tag, typeof Command, typeof Output, typeof CommandFailed>

/**
 * How commands are run here; none of it is stored.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Working folder. Default: this program's. */
  readonly cwd?: string | undefined
  /** Added to this program's environment, and to be overridden by the command's. */
  readonly env?: Readonly<Record<string, string | Redacted.Redacted<string>>> | undefined
  /** The shell of commands that are a text. Default: the system's (`/bin/sh`). */
  readonly shell?: string | undefined
  /** Bytes kept of each of stdout and stderr. Default: 16 KiB. */
  readonly outputLimit?: number | undefined
  /** From SIGTERM to SIGKILL; keep it below the scheduler's `interruptGrace`. Default: 2 s. */
  readonly killAfter?: Duration.Input | undefined
}

const optionNames: ReadonlyArray<keyof Options> = ["cwd", "env", "shell", "outputLimit", "killAfter"]

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * Defines a task that runs the command of its payload. Options are those of `Task.make`, without the schemas and `rateLimit`.
 *
 * **Example**
 *
 * ```ts
 * const Nightly = CommandTask.make("Nightly", {
 *   timeout: "1 hour",
 *   retry: { times: 2, schedule: Schedule.spaced("5 minutes"), while: (error) => error.reason === "ExitCode" }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Tag extends string>(
  tag: Tag,
  options?: Omit<
    Task.Options<typeof Command, typeof Output, typeof CommandFailed>,
    "payload" | "success" | "error" | "rateLimit"
  >
): CommandTask<Tag> => Task.make(tag, { ...options, payload: Command, success: Output, error: CommandFailed })

/**
 * Runs the commands of a task, here.
 *
 * **Details**
 *
 * A command finds its task, run and times in its environment: `PUNCTUAL_TASK`, `PUNCTUAL_RUN`, `PUNCTUAL_ATTEMPT`,
 * `PUNCTUAL_SCHEDULED_AT` and `PUNCTUAL_DUE_AT`. It has ended when its output is closed, too: what it leaves behind in the
 * background goes on where that writes somewhere else (`>/dev/null 2>&1 &`), and is waited for where it does not.
 *
 * **Gotchas**
 *
 * When this program itself is killed (SIGKILL), its commands go on by themselves, as those of cron do; the run is begun
 * again once its lease has ended. On Windows only the command itself is ended, not what it has started.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Tag extends string>(
  task: CommandTask<Tag>,
  options?: Options
): Layer.Layer<Task.Handler<Tag>, TaskAlreadyHandled | InvalidOption, TaskRegistry> =>
  task.toLayer(
    Effect.map(settingsOf(options ?? {}, "CommandTask.layer"), (settings) => (command, run) =>
      execute(command, {
        ...settings,
        env: {
          ...settings.env,
          PUNCTUAL_TASK: run.taskId,
          PUNCTUAL_RUN: run.id,
          PUNCTUAL_ATTEMPT: String(run.attempt),
          PUNCTUAL_SCHEDULED_AT: DateTime.formatIso(run.scheduledAt),
          PUNCTUAL_DUE_AT: DateTime.formatIso(run.dueAt)
        }
      }))
  )

/**
 * Runs one command: for a handler with a payload of its own. Dies with `InvalidOption` of options that mean nothing.
 *
 * **Example**
 *
 * ```ts
 * const BackupLive = Backup.toLayer(({ database }) =>
 *   CommandTask.run({ command: ["pg_dump", "--file", `${database}.sql`, database] }, { env: { PGPASSWORD: secret } })
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const run = (command: Command, options?: Options): Effect.Effect<Output, CommandFailed> =>
  Effect.flatMap(Effect.orDie(settingsOf(options ?? {}, "CommandTask.run")), (settings) => execute(command, settings))

// -----------------------------------------------------------------------------
// execution
// -----------------------------------------------------------------------------

interface Settings {
  readonly cwd: string | undefined
  readonly env: Readonly<Record<string, string>>
  readonly shell: string | true
  readonly outputLimit: number
  readonly killAfter: number
}

const settingsOf = (options: Options, where: string): Effect.Effect<Settings, InvalidOption> =>
  Effect.gen(function*() {
    const unknown = refuseOptions(options, optionNames, where)
    if (unknown !== undefined) return yield* unknown
    return {
      cwd: options.cwd,
      env: revealed(options.env ?? {}),
      shell: options.shell ?? true,
      outputLimit: yield* integer("outputLimit", options.outputLimit, 16_384, 0),
      killAfter: yield* millis("killAfter", options.killAfter, 2_000)
    }
  })

const revealed = (env: Readonly<Record<string, string | Redacted.Redacted<string>>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, typeof value === "string" ? value : Redacted.value(value)])
  )

const execute = (given: Command, settings: Settings): Effect.Effect<Output, CommandFailed> =>
  Effect.callback<Output, CommandFailed>((resume) => {
    const { command, stdin, successCodes = [0] } = given
    const stdout = new Tail(settings.outputLimit)
    const stderr = new Tail(settings.outputLimit)
    const failed = (reason: CommandFailed["reason"], detail: string) =>
      Effect.fail(
        new CommandFailed({
          command: typeof command === "string" ? command : command.join(" "),
          reason,
          detail,
          stdout: stdout.text(),
          stderr: stderr.text()
        })
      )
    const started = start(given, settings)
    if (!(started instanceof ChildProcess)) return resume(failed("NotStarted", started.reason))
    const child = started
    child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk))
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk))
    // A command need not read all it is given.
    child.stdin?.on("error", () => {}).end(stdin)
    child.on("error", (error) => {
      if (child.pid === undefined) resume(failed("NotStarted", error.message))
    })
    child.on("close", (code, signal) => {
      if (code !== null && successCodes.includes(code)) {
        resume(Effect.succeed({ exitCode: code, stdout: stdout.text(), stderr: stderr.text() }))
      } else resume(code === null ? failed("Signal", String(signal)) : failed("ExitCode", String(code)))
    })
    return Effect.andThen(
      endGroup(child, settings.killAfter),
      Effect.sync(() => {
        // Where somebody left the group and still writes: nobody listens any more.
        child.stdout?.destroy()
        child.stderr?.destroy()
      })
    )
  })

const start = ({ command, cwd, env, secrets, stdin }: Command, settings: Settings) => {
  const [file, ...args] = typeof command === "string" ? [command] : command
  try {
    return spawn(file!, args, {
      shell: typeof command === "string" ? settings.shell : false,
      detached: true,
      windowsHide: true,
      cwd: cwd ?? settings.cwd,
      env: { ...process.env, ...settings.env, ...env, ...revealed(secrets ?? {}) },
      stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"]
    })
  } catch (error) {
    // Such as a NUL character in an argument.
    return { reason: error instanceof Error ? error.message : String(error) }
  }
}
