/**
 * Runs the commands of a crontab, remembers them in a SQLite file, and says what happens.
 *
 *     npm start                                    or: node examples/ops/main.ts --help
 */
import { NodeHttpServer, NodeRuntime, NodeServices } from "@effect/platform-node"
import { SqliteTaskStore } from "@punctual/sql/sqlite"
import { Cause, Console, DateTime, Duration, Effect, FileSystem, Layer, Option, Path, Result, Schema } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { TaskScheduler } from "punctual"
import { Shell } from "./command.ts"
import * as Crontab from "./crontab.ts"
import * as Program from "./program.ts"

/** The program cannot start, and has changed nothing. */
class CannotStart extends Schema.TaggedError<CannotStart>()("CannotStart", { message: Schema.String }) {}

const flags = {
  file: Flag.String("file").pipe(
    Flag.withDescription("The crontab to run"),
    Flag.withDefault(`${import.meta.dirname}/schedule.crontab`)
  ),
  db: Flag.String("db").pipe(
    Flag.withDescription("The SQLite file that remembers; commands run in its folder"),
    Flag.withDefault(`${import.meta.dirname}/var/ops.db`)
  ),
  for: Flag.String("for").pipe(
    Flag.withDescription("Run this long, such as 10s or 5m, then stop; without it, until Ctrl-C"),
    Flag.filterMap(
      (text) => Option.map(Result.getSuccess(Crontab.duration(text)), Duration.millis),
      (text) => `\`${text}\` is no length of time: use 500ms, 10s, 5m, 2h or 1d`
    ),
    Flag.optional
  )
}

const readSchedule = Effect.fn("readSchedule")(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    fs.readFileString(file),
    (error) => new CannotStart({ message: `${file} cannot be read: ${error.message}` })
  )
  const entries = Crontab.parse(text)
  if (Result.isSuccess(entries)) return entries.success
  return yield* new CannotStart({
    message: entries.failure.map((problem) => Crontab.formatProblem(file, problem)).join("\n")
  })
})

/** A server whose health is checked by one of its own tasks, a shell, and a store. */
const program = (options: Omit<Program.Options, "url">) =>
  Layer.unwrap(HttpServer.HttpServer.use((server) => {
    const url = HttpServer.formatAddress(server.address)
    const App = Layer.mergeAll(Program.layer({ ...options, url }), Health)
    return Effect.succeed(
      TaskScheduler.layer(App, { drainTimeout: "10 seconds" }).pipe(
        Layer.provide(Shell.layer({ cwd: options.folder, env: { OPS_URL: url } }))
      )
    )
  })).pipe(
    Layer.provide(SqliteTaskStore.layer({ filename: options.db })),
    Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })),
    Layer.provide(FetchHttpClient.layer)
  )

const health = TaskScheduler.TaskScheduler.use((scheduler) =>
  Effect.flatMap(scheduler.status, ({ running, state }) => HttpServerResponse.json({ state, running: running.length }))
)

const Health = HttpRouter.serve(HttpRouter.add("GET", "/health", health), {
  disableLogger: true,
  disableListenLog: true
})

const ops = Command.make(
  "ops",
  flags,
  Effect.fn("ops")(function*(options) {
    const path = yield* Path.Path
    const fs = yield* FileSystem.FileSystem
    const [file, db] = [path.resolve(options.file), path.resolve(options.db)]
    const folder = path.dirname(db)
    const entries = yield* readSchedule(file)
    yield* Effect.mapError(
      fs.makeDirectory(folder, { recursive: true }),
      (error) => new CannotStart({ message: `The folder ${folder} cannot be made: ${error.message}` })
    )
    const wait = Option.match(options.for, { onNone: () => Effect.never, onSome: Effect.sleep })
    yield* Effect.provide(wait, program({ entries, file, db, folder, zone: DateTime.zoneMakeLocal() })).pipe(
      Effect.catchTag(
        "TaskStoreError",
        (error) => new CannotStart({ message: `The database ${db} cannot be used: ${error.message}` })
      )
    )
  })
)

const main = Command.run(ops, { version: "0.1.0" }).pipe(
  Effect.tapCause((cause) => {
    const error = Cause.squash(cause)
    return Cause.hasInterruptsOnly(cause) || CliError.isCliError(error)
      ? Effect.void
      : error instanceof CannotStart
      ? Console.error(error.message)
      : Effect.logError(cause)
  }),
  Effect.provide(NodeServices.layer)
)

if (import.meta.main) NodeRuntime.runMain(main, { disableErrorReporting: true })
