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
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { type FileHandle, open, rename, rm } from "node:fs/promises"
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
 * It is written beside its place (`.part`) and moved there when it is complete and on the disk, in the place of one that
 * was there: a file of this name is never half an export.
 *
 * @category export
 * @since 0.1.0
 */
export const exportTo = (
  path: string,
  options?: TaskStoreDump.ExportOptions
): Effect.Effect<void, TaskFileError | TaskStoreDump.RunInProgress | TaskStoreError | InvalidOption, TaskStore> => {
  const part = `${path}.part`
  const attempt = <A>(evaluate: () => Promise<A>) =>
    Effect.tryPromise({ try: evaluate, catch: fileError(path, "written") })
  return Effect.scoped(Effect.gen(function*() {
    const file = yield* opened(part, attempt)
    yield* TaskStoreDump.exportLines(options).pipe(
      Stream.runForEachArray((lines) => attempt(() => file.writeFile(`${lines.join("\n")}\n`)))
    )
    yield* attempt(() => file.sync())
    yield* attempt(() => rename(part, path))
  }))
}

/** A new file, closed with the scope, and gone by then unless it was moved. */
const opened = (
  part: string,
  attempt: (evaluate: () => Promise<FileHandle>) => Effect.Effect<FileHandle, TaskFileError>
): Effect.Effect<FileHandle, TaskFileError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(() => rm(part, { force: true }).then(() => open(part, "wx", 0o600))),
    (file) => Effect.promise(() => file.close().finally(() => rm(part, { force: true })))
  )

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
