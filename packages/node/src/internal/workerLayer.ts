/**
 * What executors of threads and of processes have in common: options, errors, the layer.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { isAbsolute } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Executor } from "punctual/Executor"
import { InvalidOption, refuseOptions } from "punctual/SchedulerError"
import type * as Task from "punctual/Task"
import * as Options from "./options.ts"
import type { Open } from "./workerChannel.ts"
import * as Pool from "./workerPool.ts"
import type { Start } from "./workerProtocol.ts"

/**
 * The first worker did not start, or does not handle what it is there for.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerNotStarted extends Schema.TaggedError<WorkerNotStarted>()("WorkerNotStarted", {
  executor: Schema.String,
  module: Schema.String,
  /**
   * | | |
   * |---|---|
   * | `NoModule` | there is no such file |
   * | `Exited` | it ended before it served anything: an error while loading, or no call of `TaskWorker.serve` |
   * | `Failed` | the layer of its handlers failed |
   * | `NoAnswer` | it was not ready within `startTimeout` |
   * | `Protocol` | it uses another version of this package |
   * | `Unhandled` | a task of `handles` has no handler there, or an older one |
   */
  reason: Schema.Literals(["NoModule", "Exited", "Failed", "NoAnswer", "Protocol", "Unhandled"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `Executor \`${this.executor}\`: the worker ${this.module} did not start. ${this.detail}`
  }
}

/** What `handles` says, as facts. @category utility types @since 0.1.0 */
export type Handled<T extends Task.Any> = T extends Task.Any ? Task.Handler<T["tag"]> : never

/** @category models @since 0.1.0 */
export interface CommonOptions<T extends Task.Any> {
  /** The module whose last line is `TaskWorker.serve(…)`: a `file:` URL or an absolute path. */
  readonly module: URL | string
  /** Tasks it handles: with them, scheduling these compiles although no layer of App handles them. Checked at the start. */
  readonly handles?: ReadonlyArray<T> | undefined
  /** For messages. */
  readonly name?: string | undefined
  /** Workers kept when there is nothing to do; they start with the layer. Default: 1. */
  readonly min?: number | undefined
  /** Workers at most. Default: as many as there are processors. */
  readonly max?: number | undefined
  /** Runs of one worker at once. Default: 1: a run that has to be ended takes no other with it. */
  readonly perWorker?: number | undefined
  /** A worker beyond `min` ends after this long without a run. Default: 1 minute. */
  readonly idleTime?: Duration.Input | undefined
  /** How long an interrupted handler may take to end before its worker is ended. Default: 3 s. */
  readonly grace?: Duration.Input | undefined
  /**
   * Megabytes of heap of a worker. V8 ends one that needs more; one that holds three quarters of it after a run is
   * replaced before it comes to that. Default: Node's own limit, and nobody is replaced.
   */
  readonly maxMemory?: number | undefined
  /** How long a worker may take to load its module and build its handlers. Default: 30 s. */
  readonly startTimeout?: Duration.Input | undefined
  /** Node's own arguments. Default: those of this program. */
  readonly execArgv?: ReadonlyArray<string> | undefined
  /** Added to this program's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

/** @internal */
export const commonNames: ReadonlyArray<keyof CommonOptions<Task.Any>> = [
  "module",
  "handles",
  "name",
  "min",
  "max",
  "perWorker",
  "idleTime",
  "grace",
  "maxMemory",
  "startTimeout",
  "execArgv",
  "env"
]

/** @internal */
export const workerLayer = <T extends Task.Any>(
  options: CommonOptions<T>,
  kind: {
    readonly where: string
    readonly name: string
    readonly optionNames: ReadonlyArray<string>
    readonly open: (start: Start, module: URL) => Open
  }
): Layer.Layer<Executor | Handled<T>, WorkerNotStarted | InvalidOption> => {
  const make = Effect.gen(function*() {
    const unknown = refuseOptions(options, kind.optionNames, kind.where)
    if (unknown !== undefined) return yield* unknown
    const name = options.name ?? kind.name
    const min = yield* Options.integer("min", options.min, 1, 0)
    const max = yield* Options.integer("max", options.max, Math.max(min, availableParallelism()), Math.max(min, 1))
    const perWorker = yield* Options.integer("perWorker", options.perWorker, 1, 1)
    const maxMemory = yield* Options.integer("maxMemory", options.maxMemory, 0, 16)
    const grace = yield* Options.millis("grace", options.grace, 3_000)
    const refuse = (reason: WorkerNotStarted["reason"], detail: string) =>
      new WorkerNotStarted({ executor: name, module: String(options.module), reason, detail })
    const module = yield* moduleUrl(options.module)
    if (!existsSync(module)) {
      return yield* refuse("NoModule", `There is no such file: ${fileURLToPath(module)}`)
    }
    const pool = yield* Pool.make(
      {
        name,
        min,
        max,
        perWorker,
        grace,
        idleTime: yield* Options.millis("idleTime", options.idleTime, 60_000),
        startTimeout: yield* Options.millis("startTimeout", options.startTimeout, 30_000),
        retireAbove: maxMemory === 0 ? Infinity : maxMemory * megabyte * 0.75
      },
      kind.open({ name, grace, logLevel: yield* Pool.logLevel }, module)
    ).pipe(Effect.mapError(({ detail, reason }) => refuse(reason, detail)))
    for (const { tag, version } of options.handles ?? []) {
      const handled = pool.tags().get(tag)
      if (handled === undefined || handled < version) {
        return yield* refuse(
          "Unhandled",
          handled === undefined
            ? `It has no handler for task \`${tag}\`, which \`handles\` names. It handles: ${
              [...pool.tags().keys()].join(", ")
            }.`
            : `Its handler of task \`${tag}\` is of version ${handled}, this program's task of version ${version}.`
        )
      }
    }
    return { name, capacity: max * perWorker, tags: Effect.sync(pool.tags), keepsTime: true, run: pool.run }
  })
  // Facts about handlers are for the compiler: there is nothing to provide.
  return Layer.effect(Executor)(make) as never
}

const megabyte = 1_048_576

const moduleUrl = (module: URL | string): Effect.Effect<URL, InvalidOption> => {
  const url = module instanceof URL
    ? module
    : isAbsolute(module)
    ? pathToFileURL(module)
    : URL.canParse(module)
    ? new URL(module)
    : undefined
  return url?.protocol === "file:" ? Effect.succeed(url) : Effect.fail(
    new InvalidOption({
      option: "module",
      value: String(module),
      message: `\`module\` must be a file: URL or an absolute path, not ${String(module)}: write ` +
        `new URL("my.worker.ts", import.meta.url).`
    })
  )
}
