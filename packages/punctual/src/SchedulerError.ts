/**
 * What scheduling can refuse, as data. Each message says what to do.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { refuseUnknown } from "./internal/options.ts"

/**
 * `add` met an id that exists, under `onConflict: "fail"`.
 *
 * @category errors
 * @since 0.1.0
 */
export class DuplicateTask extends Schema.TaggedError<DuplicateTask>()("DuplicateTask", {
  id: Schema.String,
  store: Schema.String
}) {
  override get message(): string {
    return `A task with the id \`${this.id}\` exists in store \`${this.store}\`. Choose another id, or say what to do with ` +
      `the existing one: onConflict: "keep", "update" or "replace".`
  }
}

/**
 * No task has this id in this store.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskNotFound extends Schema.TaggedError<TaskNotFound>()("TaskNotFound", {
  id: Schema.String,
  store: Schema.String
}) {
  override get message(): string {
    return `There is no task \`${this.id}\` in store \`${this.store}\`. It was removed, or it is in another store.`
  }
}

/**
 * The run is not known: it ended long ago and its history was pruned, or it never was.
 *
 * @category errors
 * @since 0.1.0
 */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", {
  taskId: Schema.String,
  run: Schema.String
}) {
  override get message(): string {
    return `There is no run \`${this.run}\` of task \`${this.taskId}\`: history keeps only the newest runs of each task.`
  }
}

/**
 * An option was refused. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOption extends Schema.TaggedError<InvalidOption>()("InvalidOption", {
  option: Schema.String,
  value: Schema.Unknown,
  message: Schema.String
}) {}

/**
 * The error of options that nobody reads, with the names that were probably meant; none where all are known.
 *
 * @category errors
 * @since 0.1.0
 */
export const refuseOptions = (
  options: object,
  known: ReadonlyArray<string>,
  where: string
): InvalidOption | undefined => {
  const message = refuseUnknown(options, known, where)
  return message === undefined ? undefined : new InvalidOption({
    option: Object.keys(options).find((key) => !known.includes(key))!,
    value: undefined,
    message
  })
}

/**
 * The trigger has no occurrence after the anchor, so the task would never run.
 *
 * @category errors
 * @since 0.1.0
 */
export class TriggerNeverFires extends Schema.TaggedError<TriggerNeverFires>()("TriggerNeverFires", {
  id: Schema.String,
  trigger: Schema.String
}) {
  override get message(): string {
    return `Task \`${this.id}\` would never run: its trigger (${this.trigger}) has no occurrence from now on.`
  }
}

/**
 * `resume` of a task that has nothing left to do.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskFinished extends Schema.TaggedError<TaskFinished>()("TaskFinished", {
  id: Schema.String
}) {
  override get message(): string {
    return `Task \`${this.id}\` is finished: its trigger has no occurrence left. Give it a new one with \`reschedule\`, ` +
      `or run it once with \`runNow\`.`
  }
}

/**
 * `runNow` while the task is busy, under a policy that skips or with a queue that is full.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskBusy extends Schema.TaggedError<TaskBusy>()("TaskBusy", {
  id: Schema.String,
  /** The run that stands in the way. */
  by: Schema.String,
  /** Runs that wait, where they are as many as may wait; else 0. */
  waiting: Schema.Number
}) {
  override get message(): string {
    return this.waiting > 0
      ? `Task \`${this.id}\` is busy with run \`${this.by}\` and ${this.waiting} more wait, which is its \`queueLimit\`. Run ` +
        `it anyway with { whenBusy: "allow" }.`
      : `Task \`${this.id}\` is busy with run \`${this.by}\` and its policy skips what comes meanwhile. Run it anyway ` +
        `with { whenBusy: "queue" } or { whenBusy: "allow" }.`
  }
}

/**
 * A closure was given to a store that outlives the process.
 *
 * @category errors
 * @since 0.1.0
 */
export class ClosureNotPersistable extends Schema.TaggedError<ClosureNotPersistable>()("ClosureNotPersistable", {
  id: Schema.String,
  store: Schema.String
}) {
  override get message(): string {
    return `Task \`${this.id}\` is an effect in this process and cannot be kept in store \`${this.store}\`, which outlives ` +
      `it. Define it with Task.make and toLayer, or add it to a volatile store: ` +
      `TaskStores.layer({ default: …, memory: MemoryTaskStore.layer }) and { store: "memory" }.`
  }
}

/**
 * A change lost the race against others too often. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooMuchContention extends Schema.TaggedError<TooMuchContention>()("TooMuchContention", {
  id: Schema.String
}) {
  override get message(): string {
    return `Task \`${this.id}\` was changed by others at every attempt. Try again.`
  }
}

/**
 * A stored row cannot be read by this program: see the reason. It is kept, listed and set aside for this program only.
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskUnreadable extends Schema.TaggedError<TaskUnreadable>()("TaskUnreadable", {
  id: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `Task \`${this.id}\` cannot be read here: ${this.reason}`
  }
}

/**
 * Events of other processes were asked for, and the store carries none.
 *
 * @category errors
 * @since 0.1.0
 */
export class EventsNotShared extends Schema.TaggedError<EventsNotShared>()("EventsNotShared", {
  /** Alias of the store. */
  store: Schema.String,
  /** What it calls itself. */
  name: Schema.String
}) {
  override get message(): string {
    return `Store \`${this.store}\` (${this.name}) carries no events between processes; Postgres (unless \`crossProcess\` is ` +
      `false), PGlite, Redis and memory do. \`events\` tells what one scheduler does, on any store; what became of tasks ` +
      `and runs everywhere is in \`list\` and \`runs\`.`
  }
}
