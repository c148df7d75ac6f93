/**
 * The application: the schedule of a file, and a journal of what becomes of it. `main.ts` gives it a store, a shell
 * and an address; a test gives it others.
 */
import { Console, DateTime, Effect, Fiber, Latch, Layer, Option, Stream } from "effect"
import { Task, TaskScheduler } from "punctual"
import { RunCommand, RunCommandLive } from "./command.ts"
import type { Entry } from "./crontab.ts"
import * as Report from "./report.ts"

export interface Options {
  readonly entries: ReadonlyArray<Entry>
  readonly file: string
  readonly db: string
  readonly folder: string
  readonly url: string
  /** In which times are shown. */
  readonly zone: DateTime.TimeZone
}

/** The file is the owner of its tasks: reconciling touches no others. */
export const owner = "crontab"

const scheduled = (entries: ReadonlyArray<Entry>) =>
  entries.map(({ command, env, id, policy, trigger }) =>
    Task.scheduled(RunCommand, { id, trigger, payload: { command, env }, ...policy })
  )

const Journal = (options: Options) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const scheduler = yield* TaskScheduler.TaskScheduler
    const startedAt = yield* DateTime.now
    const { zone } = options
    const opened = yield* Latch.make()
    const begun = new Map<string, DateTime.Utc>()
    let tally: Report.Tally = {}

    // Listens before the first change, and speaks after the first screen.
    const journal = yield* scheduler.events.pipe(
      Stream.runForEach(Effect.fnUntraced(function*(event) {
        yield* opened.await
        if (event._tag === "RunStarted") begun.set(event.run.id, event.at)
        tally = Report.count(tally, event)
        const begunAt = event._tag === "RunEnded" ? begun.get(event.run.id) : undefined
        const line = Report.line({ event, zone, startedAt, begunAt })
        if (line !== undefined) yield* Console.log(line)
        if (event._tag === "RunEnded") begun.delete(event.run.id)
      })),
      Effect.forkScoped({ startImmediately: true })
    )

    const [before] = (yield* scheduler.runs({ limit: 1 })).items
    const changes = yield* scheduler.reconcile(owner, scheduled(options.entries))
    const tasks = (yield* scheduler.list({ owner, limit: 1_000 })).items
    const now = yield* DateTime.now
    const last = Option.getOrUndefined(Option.flatMap(Option.fromNullishOr(before), (run) => run.endedAt))
    for (const line of Report.opening({ ...options, now, tasks, changes, last })) {
      yield* Console.log(line)
    }
    yield* opened.open

    // The scheduler has stopped when its application closes, and its events have ended.
    yield* Effect.addFinalizer(() =>
      Fiber.await(journal).pipe(
        Effect.andThen(DateTime.now),
        Effect.flatMap((now) => Console.log(Report.closing(tally, startedAt, now)))
      )
    )
  }))

export const layer = (options: Options) => Layer.mergeAll(RunCommandLive({ OPS_URL: options.url }), Journal(options))
