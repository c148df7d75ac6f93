/**
 * A store's tasks as a file of JSON lines: a backup, or the way into another store.
 *
 * ```ts
 * yield* TaskFile.exportTo("tasks.jsonl").pipe(Effect.provide(FileTaskStore.layer({ directory: "tasks" })))
 * yield* TaskFile.importFrom("tasks.jsonl").pipe(Effect.provide(RedisTaskStore.layer()))
 * ```
 *
 * What is carried and what is not says `punctual/TaskStoreDump`, which writes and reads the lines.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { mkdtemp, open, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import type { InvalidOption } from "punctual/SchedulerError"
import type { TaskStore, TaskStoreError } from "punctual/TaskStore"
import * as TaskStoreDump from "punctual/TaskStoreDump"
import { codeOf, messageOf } from "./internal/fileErrors.ts"

/**
 * The file cannot be written or read.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskFileError extends Schema.TaggedError<TaskFileError>()("TaskFileError", {
  path: Schema.String,
  /** What the system calls it, such as `ENOENT` or `ENOSPC`; empty where it has no name. */
  code: Schema.String,
  message: Schema.String,
  cause: Schema.Defect()
}) {}

const fileError = (path: string, verb: string) => (cause: unknown): TaskFileError =>
  new TaskFileError({
    path,
    code: codeOf(cause),
    message: `${path} cannot be ${verb}: ${messageOf(cause)}`,
    cause
  })

/**
 * Writes the tasks of the store to a file, which only its user can read (mode 0600).
 *
 * It is written in a folder beside its place, `<path>.XXXXXX`, and moved there when it is complete and on the disk, in the
 * place of one that was there: a file of this name is never half an export, whoever else exports to it meanwhile.
 *
 * @category export
 * @since 0.1.0
 */
export const exportTo = (
  path: string,
  options?: TaskStoreDump.ExportOptions
): Effect.Effect<void, TaskFileError | TaskStoreDump.RunInProgress | TaskStoreError | InvalidOption, TaskStore> => {
  const attempt = <A>(evaluate: () => Promise<A>) =>
    Effect.tryPromise({ try: evaluate, catch: fileError(path, "written") })
  return Effect.scoped(Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      attempt(() => mkdtemp(`${path}.`)),
      (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
    )
    const part = join(folder, "part")
    yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* Effect.acquireRelease(
        attempt(() => open(part, "wx", 0o600)),
        (file) => Effect.promise(() => file.close())
      )
      yield* Stream.runForEachArray(
        TaskStoreDump.exportLines(options),
        (lines) => attempt(() => file.writeFile(`${lines.join("\n")}\n`))
      )
      yield* attempt(() => file.sync())
    }))
    yield* attempt(() => rename(part, path))
  }))
}

/**
 * Reads the file twice: checks it to its end, then adds its tasks to the store. So one that is damaged, cut off or of a
 * newer version imports nothing.
 *
 * What can stop it half way is a conflict or the store; what was imported stays, and importing again goes on behind it.
 *
 * @category import
 * @since 0.1.0
 */
export const importFrom = (
  path: string,
  options?: TaskStoreDump.ImportOptions
): Effect.Effect<
  TaskStoreDump.Imported,
  TaskFileError | TaskStoreDump.TaskDumpError | TaskStoreError | InvalidOption,
  TaskStore
> => Effect.andThen(TaskStoreDump.checkLines(lines(path)), TaskStoreDump.importLines(lines(path), options))

const lines = (path: string): Stream.Stream<string, TaskFileError> =>
  Stream.suspend(() => Stream.fromAsyncIterable(texts(path), fileError(path, "read"))).pipe(Stream.splitLines)

/** What is no UTF-8 is an error: read as another text it might be imported. */
async function* texts(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  for await (const bytes of createReadStream(path)) yield decoder.decode(bytes as Uint8Array, { stream: true })
  yield decoder.decode()
}
