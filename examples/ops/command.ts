/**
 * The task behind every line of the crontab: a command for the shell, or the check of an address.
 */
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { Task } from "punctual"

/** It ran and did not do what it should, or could not be run at all. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  reason: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `\`${this.command}\`: ${this.reason}`
  }
}

/** What a run leaves in the store's history is bounded: the end of its output. */
export const outputLimit = 4_096

export const RunCommand = Task.make("ops/RunCommand", {
  payload: { command: Schema.String, env: Schema.Record(Schema.String, Schema.String) },
  success: Schema.Struct({ output: Schema.String }),
  error: CommandFailed
})

/** Runs a command to its end, whatever its exit code. */
export class Shell extends Context.Service<Shell, {
  readonly run: (
    command: string,
    env: Readonly<Record<string, string>>
  ) => Effect.Effect<{ readonly exitCode: number; readonly output: string }, CommandFailed>
}>()("ops/Shell") {
  /** The system's shell in a working folder. A run that is interrupted takes its whole process group with it. */
  static readonly layer = (options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> }) =>
    Layer.effect(Shell)(Effect.gen(function*() {
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
      return {
        run: (command, env) =>
          Effect.gen(function*() {
            const child = yield* spawner.spawn(ChildProcess.make(command, {
              shell: true,
              cwd: options.cwd,
              env: { ...options.env, ...env },
              extendEnv: true,
              stdin: "ignore",
              forceKillAfter: "2 seconds"
            }))
            const output = yield* Stream.runFold(
              Stream.decodeText(child.all),
              () => "",
              (text, chunk) => (text + chunk).slice(-outputLimit)
            )
            return { exitCode: yield* child.exitCode, output }
          }).pipe(
            Effect.scoped,
            Effect.mapError((error) => new CommandFailed({ command, reason: error.message, output: "" }))
          )
      }
    }))
}

const check = (command: string, url: string) =>
  Effect.gen(function*() {
    const response = yield* HttpClient.get(url)
    const body = (yield* response.text).slice(0, outputLimit)
    return response.status < 300
      ? { output: `${response.status} ${body}` }
      : yield* new CommandFailed({ command, reason: `status ${response.status}`, output: body })
  }).pipe(Effect.catchIf(HttpClientError.isHttpClientError, (error) =>
    new CommandFailed({ command, reason: error.message, output: "" })))

/** `$NAME` in an address, as in a command. */
const expand = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replace(/\$\{?([A-Za-z_]\w*)\}?/g, (_, name: string) => env[name] ?? "")

export const RunCommandLive = (env: Readonly<Record<string, string>>) =>
  RunCommand.toLayer(
    Effect.fn("RunCommand")(function*({ command, env: own }) {
      if (command.startsWith("GET ")) return yield* check(command, expand(command.slice(4).trim(), { ...env, ...own }))
      const shell = yield* Shell
      const { exitCode, output } = yield* shell.run(command, own)
      if (exitCode !== 0) return yield* new CommandFailed({ command, reason: `exit code ${exitCode}`, output })
      return { output }
    })
  )
