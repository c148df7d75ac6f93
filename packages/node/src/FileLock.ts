/**
 * Locks among the processes of one machine, held by its operating system.
 *
 * ```ts
 * const Locks = FileLock.layer({ path: "/run/my-program/{name}.lock" })
 * ```
 *
 * A lock is gone the moment its holder is, however that ended: SIGKILL, a crash, no memory. Nothing needs to be removed, and
 * no file that stayed blocks anybody. Two files belong to each:
 *
 *     nightly.lock          empty, and never removed: the lock is on it, not in it
 *     nightly.lock.holder   who holds it and the latest token, as JSON: to read, also by people
 *
 * The lock is SQLite's own on an empty database (`BEGIN EXCLUSIVE`, which writes nothing): `fcntl` or `LockFileEx`, without
 * a native addon.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { dirname } from "node:path"
import process from "node:process"
import { DatabaseSync } from "node:sqlite"
import * as Lock from "punctual/Lock"
import { InvalidOption, refuseOptions } from "punctual/SchedulerError"
import { codeOf, messageOf } from "./internal/fileErrors.ts"
import { pathsOf } from "./internal/lockPaths.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Where the files stand; folders are made. These are replaced, and no others may be there:
   *
   * | | |
   * |---|---|
   * | `{name}` | of the lock: plain ones as they are, others with a hash; must be there |
   * | `{store}` | what the option `store` says |
   * | `{pid}`, `{ppid}`, `{pgrp}` | this process, the one that started it, its group |
   * | `{host}` | of this machine |
   */
  readonly path: string
  /** What `{store}` stands for. Default: `default`. */
  readonly store?: string | undefined
  /** What `holder` calls this program. Default: a random one. */
  readonly identity?: string | undefined
  /** The longest pause between two attempts of who waits. Default: 50 ms. */
  readonly pollInterval?: Duration.Input | undefined
}

const known: Readonly<Record<keyof Options, true>> = { path: true, store: true, identity: true, pollInterval: true }

/** Processes end and files are removed in real time, whatever clock a test has. */
const liveClock: Clock.Clock = Context.get(Context.empty(), Clock.Clock)

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * Locks by name, one file each.
 *
 * **Details**
 *
 * Within a program they are had in the order of asking. Among processes it is chance: who waits asks again after pauses
 * that grow to `pollInterval`, which costs some microseconds each. A frozen holder keeps its lock.
 *
 * While a lock is held its file is looked for every second: where it was removed or replaced, the lock is lost, since the
 * next one would lock another file.
 *
 * **Gotchas**
 *
 * Nobody else may open the lock's file, not even to read it: with any close of it in a process, the system drops the locks
 * of that process. Look into the `.holder` beside it. Both belong on a local disk, since locks on network file systems may
 * not hold, which is not detected.
 *
 * Fails with `InvalidOption` for a path that has another placeholder, or no `{name}`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Lock.Lock, InvalidOption> =>
  Layer.effect(Lock.Lock)(Effect.suspend(() => {
    const refused = refuseOptions(options, Object.keys(known), "FileLock.layer")
    if (refused !== undefined) return Effect.fail(refused)
    const paths = pathsOf(options.path, options.store ?? "default")
    return paths instanceof InvalidOption ? Effect.fail(paths) : Effect.succeed(Lock.make(backend(options, paths)))
  }))

// -----------------------------------------------------------------------------
// the lock
// -----------------------------------------------------------------------------

const backend = (options: Options, pathOf: (name: string) => string): Lock.Backend => {
  const lock = `file:${options.path}`
  const longest = Duration.toMillis(Duration.fromInputUnsafe(options.pollInterval ?? "50 millis"))

  const attempt = <A>(operation: string, evaluate: () => A): Effect.Effect<A, Lock.LockUnavailable> =>
    Effect.try({
      try: evaluate,
      catch: (cause) =>
        cause instanceof Lock.LockUnavailable ? cause : new Lock.LockUnavailable({
          lock,
          operation,
          message: `${lock}: ${operation} failed: ${messageOf(cause)}${hints[codeOf(cause)] ?? ""}`,
          cause
        })
    })
  const refuse = (operation: string, message: string) =>
    new Lock.LockUnavailable({ lock, operation, message: `${lock}: ${message}` })

  /** In one step, so that nothing comes between the lock and what says who has it. */
  const take = (path: string, holder: Lock.Holder): Taken | undefined => {
    const database = tryLock(path)
    if (database === undefined) return undefined
    try {
      const file = statSync(path, { bigint: true, throwIfNoEntry: false })
      // Where another file has this name by now, or none, something was locked that nobody else will ask for.
      if (file === undefined || !isLocked(path)) {
        database.close()
        return undefined
      }
      if (file.size !== 0n) throw refuse("acquire", `${path} holds something else: name a path of the lock's own`)
      const token = Math.max(readNote(path).token + 1, liveClock.currentTimeMillisUnsafe() * 1_000)
      writeNote(path, { token, holder })
      return { database, ino: file.ino, token }
    } catch (error) {
      if (database.isOpen) database.close()
      throw error
    }
  }

  const grip = (path: string, { database, ino, token }: Taken) =>
    Effect.gen(function*() {
      const lost = yield* Deferred.make<string>()
      const watching = yield* Effect.forkDetach(Effect.interruptible(Effect.gen(function*() {
        while (fileIs(path, ino)) yield* liveClock.sleep(Duration.millis(watchInterval))
        yield* Deferred.succeed(lost, `${path} was removed or replaced`)
      })))
      return {
        token,
        lost: Deferred.await(lost),
        release: Effect.gen(function*() {
          yield* Fiber.interrupt(watching)
          const held = fileIs(path, ino)
          // After a loss both files are another's.
          if (held) {
            yield* Effect.catch(
              attempt("release", () => writeNote(path, { token, holder: null })),
              (error) => Effect.logWarning(`${error.message} The lock is free, and its note outdated.`)
            )
          }
          database.close()
          return held
        })
      } satisfies Lock.Grip
    })

  return {
    name: lock,
    capabilities: { spans: "host", fair: false, fenced: true, leased: false },
    identity: options.identity ?? crypto.randomUUID(),
    host: hostname(),
    pid: process.pid,
    acquire: ({ holder, name, wait }) =>
      Effect.suspend(() => {
        const path = pathOf(name)
        const once = Effect.flatMap(
          attempt("acquire", () => {
            mkdirSync(dirname(path), { recursive: true })
            return take(path, holder)
          }),
          (taken) => taken === undefined ? Effect.succeedNone : Effect.asSome(grip(path, taken))
        )
        return wait
          ? Lock.poll(once, { clock: liveClock, first: 1, longest })
          : untilHeld(once, attempt("acquire", () => isLocked(path)))
      }),
    isHeld: (name) => attempt("isHeld", () => isLocked(pathOf(name))),
    holder: (name) =>
      attempt("holder", () => {
        const path = pathOf(name)
        return isLocked(path) ? Option.fromNullOr(readNote(path).holder) : Option.none()
      })
  }
}

interface Taken {
  readonly database: DatabaseSync
  readonly ino: bigint
  readonly token: number
}

/** How often the file of a lock is looked for, in milliseconds. */
const watchInterval = 1_000

const hints: { readonly [code: string]: string | undefined } = {
  ENOSPC: "; free some space",
  EACCES: "; give the user of this process the right to write there",
  EROFS: "; the file system is read-only"
}

/** Whoever looks whether it is held is in the way for some microseconds, and is no holder. */
const untilHeld = <A, E>(
  once: Effect.Effect<Option.Option<A>, E>,
  isHeld: Effect.Effect<boolean, E>
): Effect.Effect<Option.Option<A>, E> =>
  Effect.flatMap(
    once,
    (answer) =>
      Option.isSome(answer) ?
        Effect.succeed(answer) :
        Effect.flatMap(
          isHeld,
          (held) => held ? Effect.succeedNone : Effect.andThen(Effect.yieldNow, untilHeld(once, isHeld))
        )
  )

/** `SQLITE_BUSY` */
const busy = 5

const isBusy = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === busy

/** The system's lock on a file, which lasts until the database is closed or the process ends; nothing if another has it. */
const tryLock = (path: string): DatabaseSync | undefined => {
  const database = new DatabaseSync(path, { timeout: 0 })
  try {
    database.exec("BEGIN EXCLUSIVE")
    return database
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

/** Whether anybody has the system's lock on a file. */
const isLocked = (path: string): boolean => {
  if (!existsSync(path)) return false
  const database = new DatabaseSync(path, { timeout: 0, readOnly: true })
  try {
    database.exec("SELECT 1 FROM sqlite_master")
    return false
  } catch (error) {
    if (isBusy(error)) return true
    throw error
  } finally {
    database.close()
  }
}

const fileIs = (path: string, ino: bigint): boolean =>
  statSync(path, { bigint: true, throwIfNoEntry: false })?.ino === ino

// -----------------------------------------------------------------------------
// who holds it
// -----------------------------------------------------------------------------

const Note = Schema.Struct({ token: Schema.Int, holder: Schema.NullOr(Lock.Holder) })
const NoteText = Schema.fromJsonString(Schema.toCodecJson(Note))
const decodeNote = Schema.decodeUnknownOption(NoteText)
const encodeNote = Schema.encodeSync(NoteText)

/** What stands beside a lock; what cannot be read counts as nothing, since tokens follow the clock too. */
const readNote = (path: string): typeof Note.Type => {
  const nothing = { token: 0, holder: null }
  try {
    return Option.getOrElse(decodeNote(readFileSync(`${path}.holder`, "utf8")), () => nothing)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return nothing
    throw error
  }
}

/** By the holder alone; a reader sees the old note or the new one. */
const writeNote = (path: string, note: typeof Note.Type): void => {
  writeFileSync(`${path}.holder.new`, `${encodeNote(note)}\n`)
  renameSync(`${path}.holder.new`, `${path}.holder`)
}
