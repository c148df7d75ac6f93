/**
 * What a store remembers as lines of JSON, to be read, kept and moved into any other store.
 *
 *     store ──▶ exportLines ──▶ lines ──▶ importLines ──▶ another store
 *                                 └─────▶ checkLines
 *
 * **When to use**
 *
 * To move from one store to another, for backups, and to look at or correct a schedule with a text editor.
 *
 * **Details**
 *
 * | carried | not carried |
 * |---|---|
 * | definition, position, counters, pauses | the numbers a store gives: generations, revisions, fencing tokens |
 * | open runs, with attempts and lost leases | their owners, and the exit of their last attempt |
 * | | history: exported where it is asked for, and read by people only |
 * | | verdicts: who cannot read a row says so again |
 *
 * So each occurrence has one outcome over the move: what is behind the cursor has become a run or been counted, and what
 * is open goes on as the next attempt. The other store must get the tasks while no scheduler works on the first: stop
 * them all, export, import, and start them on the other store. An export of a store in use is a backup in which each
 * task is as it was at some moment.
 *
 * **Gotchas**
 *
 * Payloads are written as stored: `Redacted` values are readable. A run's `id` and its fencing tokens begin anew in the
 * other store; who compares them with earlier ones must forget those.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { refuseUnknown } from "./internal/options.ts"
import * as Lines from "./internal/taskLines.ts"
import { InvalidOption } from "./SchedulerError.ts"
import type { ArrivingRun, RunRow, TaskRow } from "./TaskRecord.ts"
import { isOpen } from "./TaskRecord.ts"
import type { Change, NewTask, TaskWithRuns } from "./TaskStore.ts"
import { TaskStore, TaskStoreError } from "./TaskStore.ts"

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * A run is in somebody's hands: in another store it would be run a second time.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunInProgress extends Schema.TaggedError<RunInProgress>()("RunInProgress", {
  store: Schema.String,
  taskId: Schema.String,
  key: Schema.String,
  owner: Schema.NullOr(Schema.String),
  /** Milliseconds since 1970. */
  leaseUntil: Schema.NullOr(Schema.Int)
}) {
  override get message(): string {
    return `Run ${this.key} of task "${this.taskId}" is running in ${this.store}, owned by ${this.owner}. ` +
      "Stop every scheduler of this store and export again; or say `running: \"takeOver\"`, for a backup or when its " +
      "owner is gone."
  }
}

/**
 * Lines that cannot be imported.
 *
 * | reason | |
 * |---|---|
 * | `NotJson` | a line is not JSON: edited, or cut off in the middle |
 * | `NotADump` | the first line is not the header of an export |
 * | `NewerFormat` | written by a newer version of this package |
 * | `CutOff` | lines are missing at the end |
 * | `DuplicateId` | two lines have the same task |
 * | `Invalid` | a line is not a task: what is missing or wrong is said |
 * | `Conflict` | the store has another task of this id |
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskDumpError extends Schema.TaggedError<TaskDumpError>()("TaskDumpError", {
  reason: Schema.Literals(["NotJson", "NotADump", "NewerFormat", "CutOff", "DuplicateId", "Invalid", "Conflict"]),
  /** From 1. */
  line: Schema.Int,
  /** How many tasks were imported before: importing again goes on behind them. */
  imported: Schema.Int,
  message: Schema.String
}) {}

// -----------------------------------------------------------------------------
// export
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface ExportOptions {
  /**
   * What to do with a run whose lease is valid: fail with `RunInProgress` (`"refuse"`, default), or write it as a
   * takeover would leave it, as a lease that has ended is written anyway.
   */
  readonly running?: "refuse" | "takeOver" | undefined
  /** Whether to write ended runs, for people to read: importing passes them over. Default: `false`. */
  readonly history?: boolean | undefined
}

/** Rows read or written at a time. */
const page = 256

/**
 * Writes every task of the store, by id, one a line; without line ends.
 *
 * **Details**
 *
 * A run whose owner has lost its lease is written as ready for its next attempt; where it may be started only once and
 * was, or had been asked to stop, it has ended and is not written, and a run that waited for it comes up.
 *
 * A task with an open run that cannot be read fails the export (`Corrupt`). A row that its store cannot read is in no
 * list of it, nor in the export.
 *
 * @category export
 * @since 0.1.0
 */
export const exportLines = (
  options: ExportOptions = {}
): Stream.Stream<string, TaskStoreError | RunInProgress | InvalidOption, TaskStore> =>
  Stream.unwrap(Effect.gen(function*() {
    yield* known(options, ["running", "history"], "exportLines")
    const store = yield* TaskStore
    const patient = options.running !== "takeOver"
    let tasks = 0
    let ended = 0

    const exported = pages(Effect.fnUntraced(function*(after) {
      const { items, next } = yield* store.list({ sort: "id", descending: false, limit: page, after })
      const now = yield* Clock.currentTimeMillis
      const lines: Array<string> = []
      const found = yield* store.get(items.map(({ id }) => id))
      yield* nobodyLost(store, items, found)
      for (const task of found) {
        const running = task.open.find((run) => run.state === "running" && (run.leaseUntil ?? 0) > now)
        if (running !== undefined && patient) {
          const { key, leaseUntil, owner, taskId } = running
          return yield* new RunInProgress({ store: store.name, taskId, key, owner, leaseUntil })
        }
        lines.push(Lines.taskLine(moved(task)))
      }
      tasks += lines.length
      return { items: lines, next }
    }))
    const history = pages((after) => store.runs({ limit: page, after })).pipe(
      Stream.filter((run) => !isOpen(run.state)),
      Stream.map((run) => {
        ended++
        return Lines.endedLine(run)
      })
    )
    return Stream.make(Lines.header).pipe(
      Stream.concat(exported),
      Stream.concat(options.history === true ? history : Stream.empty),
      Stream.concat(Stream.sync(() => Lines.endLine(tasks, ended)))
    )
  }))

const pages = <A, E, R>(
  read: (
    after: string | undefined
  ) => Effect.Effect<{ readonly items: ReadonlyArray<A>; readonly next: string | null }, E, R>
): Stream.Stream<A, E, R> =>
  Stream.paginate(
    undefined as string | undefined,
    (after) => Effect.map(read(after), ({ items, next }) => [items, Option.fromNullOr(next)] as const)
  )

/** What is listed and cannot be got has been removed meanwhile, or has an open run that cannot be read. */
const nobodyLost = Effect.fnUntraced(function*(
  store: TaskStore["Service"],
  listed: ReadonlyArray<TaskRow>,
  found: ReadonlyArray<TaskWithRuns>
) {
  if (found.length === listed.length) return
  const ids = new Set(listed.map(({ id }) => id))
  for (const { row } of found) ids.delete(row.id)
  const { items } = yield* store.list({ ids: [...ids], sort: "id", descending: false, limit: 1 })
  if (items[0] === undefined) return
  return yield* new TaskStoreError({
    store: store.name,
    operation: "export",
    reason: "Corrupt",
    message: `${store.name}: task "${
      items[0].id
    }" has an open run that cannot be read. Correct or remove it, and export again.`
  })
})

/** A task as another store gets it. */
const moved = ({ open, row }: TaskWithRuns): NewTask => {
  const { generation: _, revision: __, ...task } = row
  const runs = takenOver(open, row.state === "paused")
  return runs.length === 0 ? task : { ...task, runs }
}

/** Open runs, first due first, as a takeover of those that are running would leave them. */
const takenOver = (open: ReadonlyArray<RunRow>, paused: boolean): ReadonlyArray<ArrivingRun> => {
  const ended = open.filter(ends).sort((self, that) =>
    (self.leaseUntil ?? 0) - (that.leaseUntil ?? 0) || (self.token ?? 0) - (that.token ?? 0)
  )
  const runs = open.filter((run) => !ends(run))
    .sort((self, that) => self.due - that.due || (self.key < that.key ? -1 : 1))
    .map((run) => {
      const lost = run.state === "running"
      const { atMostOnce, attempt, due, held, key, nominal, queues, readyAt, slots, state, takeovers } = run
      return {
        key,
        state: state === "waiting" ? "waiting" as const : "ready" as const,
        due,
        nominal,
        readyAt,
        held: lost ? paused : held,
        attempt,
        takeovers: lost ? takeovers + 1 : takeovers,
        slots,
        queues,
        atMostOnce
      }
    })
  // one after another, each promotes the first that waits, if there is room
  let active = ended.length + runs.filter((run) => run.state === "ready").length
  for (const { queues } of ended) {
    active--
    const first = queues ? runs.find((run) => run.state === "waiting") : undefined
    if (first === undefined || active >= first.slots) continue
    first.state = "ready"
    active++
  }
  return runs
}

/** A running one that its takeover does not make ready again. */
const ends = (run: RunRow): boolean =>
  run.state === "running" && (run.cancel !== null || (run.atMostOnce && run.startedAt !== null))

// -----------------------------------------------------------------------------
// import
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface ImportOptions {
  /**
   * What to do where the store has a task of the same id already. One that is equal in all that is carried is left
   * alone in any case, so that an import which was interrupted can be made again.
   *
   * `"fail"` (default): fails with `Conflict`. `"keep"`: leaves the store's. `"replace"`: removes the store's, whose
   * open runs end `cancelled` (running ones go on), and adds the one of the line.
   */
  readonly onConflict?: "fail" | "keep" | "replace" | undefined
}

/** @category models @since 0.1.0 */
export interface Imported {
  readonly inserted: number
  readonly replaced: number
  /** Left as the store had them. */
  readonly kept: number
}

/**
 * Adds the tasks of an export to the store, and wakes whoever works on it.
 *
 * **Details**
 *
 * Lines are read and checked page by page (256 tasks), and a page is written when all its lines were right. What was
 * imported before an error stays, `TaskDumpError.imported` says how much it is, and importing again goes on behind it.
 * To have all or nothing of a text that may be damaged, read it with `checkLines` first.
 *
 * @category import
 * @since 0.1.0
 */
export const importLines = <E, R>(
  lines: Stream.Stream<string, E, R>,
  options: ImportOptions = {}
): Effect.Effect<Imported, E | TaskDumpError | TaskStoreError | InvalidOption, R | TaskStore> =>
  Effect.gen(function*() {
    yield* known(options, ["onConflict"], "importLines")
    const store = yield* TaskStore
    const onConflict = options.onConflict ?? "fail"
    const done = { inserted: 0, replaced: 0, kept: 0 }
    const reader = new Reader(() => done.inserted + done.replaced + done.kept)

    const write = Effect.fnUntraced(function*(tasks: ReadonlyArray<Read>) {
      let left = tasks
      // again, where another process added or changed one of these meanwhile
      while (left.length > 0) {
        const existing = new Map((yield* store.get(left.map(({ task }) => task.id))).map((one) => [one.row.id, one]))
        const now = yield* Clock.currentTimeMillis
        const fresh: Array<Read> = []
        const replaced: Array<Read & { readonly change: Change }> = []
        let kept = 0
        for (const read of left) {
          const found = existing.get(read.task.id)
          if (found === undefined) fresh.push(read)
          else if (onConflict === "keep" || isSame(found, read.task)) kept++
          else if (onConflict === "replace") replaced.push({ ...read, change: replacing(found, read.task, now) })
          else {
            return yield* reader.error(
              "Conflict",
              read.line,
              `${store.name} has another task "${read.task.id}". Say \`onConflict: "keep"\` or \`"replace"\`.`
            )
          }
        }
        done.kept += kept
        const inserted = yield* store.insert(fresh.map(({ task }) => task))
        const lost: Array<Read> = fresh.filter((_, i) => inserted[i]?._tag !== "Inserted")
        done.inserted += fresh.length - lost.length
        const committed = yield* store.commit(replaced.map(({ change }) => change))
        const changed = replaced.filter((_, i) => committed[i]?._tag !== "Committed")
        done.replaced += replaced.length - changed.length
        left = [...lost, ...changed]
      }
    })

    let pending: Array<Read> = []
    yield* Stream.runForEach(lines, (text) =>
      Effect.flatMap(Effect.fromResult(reader.read(text)), (read) => {
        if (read === undefined) return Effect.void
        pending.push(read)
        if (pending.length < page) return Effect.void
        const full = pending
        pending = []
        return write(full)
      }))
    yield* Effect.fromResult(reader.finish())
    yield* write(pending)
    return done
  })

/**
 * Reads an export to its end and changes nothing: fails where `importLines` would, but for conflicts.
 *
 * @category import
 * @since 0.1.0
 */
export const checkLines = <E, R>(
  lines: Stream.Stream<string, E, R>
): Effect.Effect<{ readonly tasks: number }, E | TaskDumpError, R> =>
  Effect.suspend(() => {
    const reader = new Reader(() => 0)
    return Stream.runForEach(lines, (text) => Effect.fromResult(reader.read(text))).pipe(
      Effect.andThen(Effect.suspend(() => Effect.fromResult(reader.finish()))),
      Effect.map(() => ({ tasks: reader.tasks }))
    )
  })

interface Read {
  readonly line: number
  readonly task: NewTask
}

/** What the lines of an export are to each other: a header first, no task twice, an end that counts them. */
class Reader {
  tasks = 0
  private ended = 0
  private line = 0
  private complete = false
  private readonly ids = new Map<string, number>()
  private readonly imported: () => number

  constructor(imported: () => number) {
    this.imported = imported
  }

  error(reason: TaskDumpError["reason"], line: number, message: string): TaskDumpError {
    const imported = this.imported()
    return new TaskDumpError({
      reason,
      line,
      imported,
      message: `Line ${line}: ${message}${imported === 0 ? "" : ` ${imported} tasks were imported before it.`}`
    })
  }

  private refuse(reason: TaskDumpError["reason"], message: string): Result.Result<never, TaskDumpError> {
    return Result.fail(this.error(reason, this.line, message))
  }

  read(text: string): Result.Result<Read | undefined, TaskDumpError> {
    this.line++
    if (text.trim() === "") return Result.succeed(undefined)
    const parsed = Lines.parse(text)
    const isFirst = !this.started
    this.started = true
    if (isFirst) {
      if (Result.isFailure(parsed) || parsed.success._tag !== "Header") {
        return this.refuse("NotADump", `not the beginning of an export, which is ${Lines.header}`)
      }
      return parsed.success.format > Lines.format
        ? this.refuse(
          "NewerFormat",
          `format ${parsed.success.format}, of which this version knows ${Lines.format}. Upgrade punctual.`
        )
        : Result.succeed(undefined)
    }
    if (this.complete) return this.refuse("Invalid", "behind the end of the export")
    if (Result.isFailure(parsed)) return this.refuse(parsed.failure.reason, parsed.failure.message)
    const read = parsed.success
    switch (read._tag) {
      case "Header":
        return this.refuse("Invalid", "a second beginning: import one export after another")
      case "Ended":
        this.ended++
        return Result.succeed(undefined)
      case "End":
        this.complete = true
        return read.tasks === this.tasks && read.ended === this.ended
          ? Result.succeed(undefined)
          : this.refuse(
            "CutOff",
            `the end counts ${read.tasks} tasks and ${read.ended} ended runs, there are ${this.tasks} and ${this.ended}. ` +
              "Correct the counts if lines were added or removed on purpose."
          )
      case "Task": {
        const before = this.ids.get(read.task.id)
        if (before !== undefined) {
          return this.refuse("DuplicateId", `task ${JSON.stringify(read.task.id)} is in line ${before} already`)
        }
        this.ids.set(read.task.id, this.line)
        this.tasks++
        return Result.succeed({ line: this.line, task: read.task })
      }
    }
  }

  private started = false

  /** After the last line. */
  finish(): Result.Result<void, TaskDumpError> {
    if (this.complete) return Result.succeed(undefined)
    this.line++
    return this.refuse(
      this.started ? "CutOff" : "NotADump",
      "the export ends here, without the line that counts its tasks"
    )
  }
}

/** Whether the store's task is what the import would make of it. */
const isSame = (found: TaskWithRuns, task: NewTask): boolean =>
  found.open.every((run) => run.state !== "running") && Lines.taskLine(moved(found)) === Lines.taskLine(task)

const replacing = ({ row }: TaskWithRuns, { id, ...replacement }: NewTask, now: number): Change => ({
  id,
  generation: row.generation,
  revision: row.revision,
  set: "remove",
  replacement,
  runs: [],
  now
})

// -----------------------------------------------------------------------------
// options
// -----------------------------------------------------------------------------

const known = (
  options: object,
  names: ReadonlyArray<string>,
  where: string
): Effect.Effect<void, InvalidOption> => {
  const message = refuseUnknown(options, names, where)
  return message === undefined ? Effect.void : Effect.fail(
    new InvalidOption({ option: Object.keys(options).find((key) => !names.includes(key))!, value: undefined, message })
  )
}
