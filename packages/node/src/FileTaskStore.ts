/**
 * The task store in a folder: several processes of one machine share it, and there is no server.
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(FileTaskStore.layer({ directory: "/var/lib/my-program/tasks" }))
 * )
 * ```
 *
 * The folder is the store's own:
 *
 *     README.txt        says what the folder is, and how to copy it
 *     punctual.db       the tasks (`SqliteTaskStore`)
 *     punctual.db-wal   its last changes, while it is open or after a process was killed
 *     punctual.db-shm   where those are, likewise
 *
 * What a killed process leaves is complete: there is no lock to remove, the next one that opens the folder goes on.
 *
 * @since 0.1.0
 */
import { SqliteTaskStore } from "@punctual/sql/sqlite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdir, readdir, stat, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { type TaskStore, TaskStoreError } from "punctual/TaskStore"
import { type OptionNames, refuseUnknown } from "punctual/TaskStoreKit"
import { codeOf, messageOf } from "./internal/fileErrors.ts"

/**
 * Everything that `SqliteTaskStore` can be told, with a folder in the place of the file.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<SqliteTaskStore.Options, "filename"> {
  /** Created with its parents where it does not exist; relative to the folder of the process. */
  readonly directory: string
}

const optionNames: OptionNames<Options> = {
  directory: true,
  prefix: true,
  migrate: true,
  crossProcess: true,
  pollInterval: true,
  capabilities: true,
  busyTimeout: true,
  synchronous: true,
  cacheSize: true,
  readonly: true
}

/**
 * The name of the database in its folder.
 *
 * @category constants
 * @since 0.1.0
 */
export const databaseName = "punctual.db"

const readmeName = "README.txt"

const readme = `Scheduled tasks of a program that uses Punctual (the package @punctual/node).

${databaseName} is a SQLite database. While a program uses it, its latest changes are in ${databaseName}-wal:
never remove or copy one of these files without the others. To copy a folder in use, let SQLite do it
(VACUUM INTO), or export the store (TaskFile.exportTo).

Payloads of tasks are readable here: keep the folder to the user who runs the program. It belongs on a local
disk, since SQLite's locks do not hold on network file systems.
`

/** What a folder may hold that is to become a store's: its own files, and what file systems and people keep empty ones with. */
const harmless: ReadonlySet<string> = new Set([
  readmeName,
  `${databaseName}-wal`,
  `${databaseName}-shm`,
  `${databaseName}-journal`,
  "lost+found",
  ".DS_Store",
  ".gitignore",
  ".gitkeep",
  ".keep"
])

/**
 * Opens the store in a folder, and closes it with the layer.
 *
 * **Details**
 *
 * A folder that is created is for its user alone (mode 0700), and so is the database (0600). Existing ones keep their
 * modes: to share a store with a group, give the folder to the group and `chmod g+rw` the database once, which SQLite
 * follows.
 *
 * It fails with a `TaskStoreError`:
 *
 * | reason | when |
 * |---|---|
 * | `Invalid` | the path is a file, or cannot be one; the folder holds something else; `readonly`, and there is no store |
 * | `ReadOnly` | the folder may not be written to, or is on a read-only file system |
 * | `Full` | no space left |
 * | `Corrupt` | \`punctual.db\` is not a database, or damaged |
 * | `NewerSchema` | a newer version of this package has changed it |
 *
 * **Gotchas**
 *
 * It belongs on a local disk: SQLite's locks do not hold on NFS, SMB and their like, which is not detected.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, TaskStoreError> =>
  Layer.unwrap(Effect.suspend(() => {
    const { directory, ...rest } = options
    const unknown = refuseUnknown(`file:${directory}`, "FileTaskStore.layer", options, optionNames)
    return unknown ?? Effect.map(
      prepare(directory, options.readonly ?? false),
      (filename) => SqliteTaskStore.layer({ ...rest, filename })
    )
  }))

/** Answers the database's path, in a folder that is fit for it. */
const prepare = (directory: string, readonly: boolean): Effect.Effect<string, TaskStoreError> =>
  Effect.gen(function*() {
    const store = `file:${directory}`
    const refuse = (message: string) =>
      new TaskStoreError({ store, operation: "open", reason: "Invalid", message: `${store}: ${message}` })
    const attempt = <A>(evaluate: () => Promise<A>) =>
      Effect.tryPromise({ try: evaluate, catch: (cause) => storeError(store, cause) })

    if (directory === "") return yield* refuse("`directory` is empty: name a folder")
    const folder = resolve(directory)
    const filename = join(folder, databaseName)
    if (readonly) {
      const exists = yield* attempt(() => stat(filename)).pipe(
        Effect.as(true),
        Effect.catchIf((error) => codeOf(error.cause) === "ENOENT", () => Effect.succeed(false))
      )
      return exists ? filename : yield* refuse(`there is no ${databaseName} to read`)
    }
    yield* attempt(() => mkdir(folder, { recursive: true, mode: 0o700 }))
    const names = yield* attempt(() => readdir(folder))
    if (names.includes(databaseName)) return filename
    const other = names.find((name) => !harmless.has(name))
    if (other !== undefined) {
      return yield* refuse(`the folder holds something else ("${other}"): give the store a folder of its own`)
    }
    // Another process may be doing the same: whoever comes first makes each file, once.
    yield* attempt(() => create(join(folder, readmeName), readme))
    yield* attempt(() => create(filename, ""))
    return filename
  })

const create = (path: string, content: string): Promise<void> =>
  writeFile(path, content, { flag: "wx", mode: 0o600 }).catch((error: unknown) => {
    if (codeOf(error) !== "EEXIST") throw error
  })

const storeError = (store: string, cause: unknown): TaskStoreError => {
  const { hint, reason } = reasons[codeOf(cause)] ?? { reason: "Unavailable", hint: "" }
  return new TaskStoreError({
    store,
    operation: "open",
    reason,
    message: `${store}: cannot be opened: ${messageOf(cause)}${hint}`,
    cause
  })
}

const full = { reason: "Full", hint: "; free some space" } as const
const readOnly = { reason: "ReadOnly", hint: "; give the user of this process the right to write there" } as const
const inTheWay = { reason: "Invalid", hint: "; a file is in the way: name another folder" } as const
const noPath = { reason: "Invalid", hint: "; no folder can have this name" } as const

const reasons: {
  readonly [code: string]: { readonly reason: TaskStoreError["reason"]; readonly hint: string } | undefined
} = {
  ENOSPC: full,
  EDQUOT: full,
  EROFS: { reason: "ReadOnly", hint: "; the file system is read-only" },
  EACCES: readOnly,
  EPERM: readOnly,
  EEXIST: inTheWay,
  ENOTDIR: inTheWay,
  ENAMETOOLONG: noPath,
  EINVAL: noPath,
  ELOOP: noPath,
  ERR_INVALID_ARG_VALUE: noPath
}
