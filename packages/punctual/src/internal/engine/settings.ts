/**
 * Options of schedulers and clients, checked and in milliseconds.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Activity from "../../Activity.ts"
import * as Policy from "../../Policy.ts"
import { InvalidOption, refuseOptions } from "../../SchedulerError.ts"
import { TaskStore } from "../../TaskStore.ts"
import * as TaskStores from "../../TaskStores.ts"
import { zone } from "../triggerInput.ts"
import type { Settings } from "./host.ts"

export const defaults: Settings = {
  lease: 30_000,
  heartbeat: 10_000,
  maxTakeovers: 3,
  maxSleep: 60_000,
  pollInterval: 1_000,
  drainTimeout: 30_000,
  shutdownTimeout: 30_000,
  interruptGrace: 5_000,
  storeTimeout: 10_000,
  keepRuns: 100,
  keepHistoryFor: 7 * 86_400_000,
  keepFinishedFor: 7 * 86_400_000
}

/** What schedulers and clients have in common. */
export const check = (
  options: { readonly defaults?: Policy.Options | undefined; readonly timeZone?: string | undefined },
  known: ReadonlyArray<string>,
  where: string
): Effect.Effect<
  { readonly defaults: Policy.Policy; readonly timeZone: string },
  InvalidOption | Policy.InvalidPolicy
> =>
  Effect.gen(function*() {
    const unknown = refuseOptions(options, known, where)
    if (unknown !== undefined) return yield* unknown
    const policy = yield* Effect.fromResult(Policy.make(options.defaults ?? {}))
    const timeZone = options.timeZone ?? "UTC"
    yield* Effect.try({
      try: () => zone(timeZone),
      catch: (error) =>
        new InvalidOption({
          option: "timeZone",
          value: timeZone,
          message: error instanceof Error ? error.message : String(error)
        })
    })
    return { defaults: policy, timeZone }
  })

/** A duration in whole milliseconds, within bounds. */
export const millis = (
  option: string,
  value: Duration.Input | undefined,
  fallback: number,
  bounds: { readonly min: number; readonly max: number }
): Effect.Effect<number, InvalidOption> => {
  if (value === undefined) return Effect.succeed(fallback)
  const duration = Duration.fromInput(value)
  const given = Option.isSome(duration) ? Math.ceil(Duration.toMillis(duration.value)) : NaN
  return given >= bounds.min && given <= bounds.max ? Effect.succeed(given) : Effect.fail(
    new InvalidOption({
      option,
      value: String(value),
      message: `\`${option}\` must be a duration from ${bounds.min} ms to ${bounds.max} ms, not ${String(value)}.`
    })
  )
}

export const integer = (
  option: string,
  value: number | undefined,
  fallback: number,
  bounds: { readonly min: number; readonly max: number }
): Effect.Effect<number, InvalidOption> =>
  value === undefined
    ? Effect.succeed(fallback)
    : Number.isSafeInteger(value) && value >= bounds.min && value <= bounds.max
    ? Effect.succeed(value)
    : Effect.fail(
      new InvalidOption({
        option,
        value,
        message: `\`${option}\` must be an integer from ${bounds.min} to ${bounds.max}, not ${value}.`
      })
    )

/**
 * The program's stores: several by alias, or its one store as `default`. Under virtual time they are called on the real
 * clock.
 */
export const stores: Effect.Effect<TaskStores.TaskStores["Service"], never, TaskStore> = Effect.contextWith(
  (context: Context.Context<TaskStore>) => {
    const several = Context.getOption(context, TaskStores.TaskStores)
    const aliases = Option.isSome(several)
      ? several.value.aliases
      : new Map([["default", Context.get(context, TaskStore)]])
    const activity = Context.get(context as Context.Context<never>, Activity.Activity)
    return Effect.succeed(
      TaskStores.make(
        activity.virtual
          ? new Map(Array.from(aliases, ([alias, store]) => [alias, onLiveClock(store, activity.live)]))
          : aliases
      )
    )
  }
)

const onLiveClock = (
  store: TaskStore["Service"],
  live: Activity.Activity["live"]
): TaskStore["Service"] => ({
  name: store.name,
  capabilities: store.capabilities,
  concurrency: store.concurrency,
  insert: (tasks) => live(store.insert(tasks)),
  get: (ids) => live(store.get(ids)),
  due: (options) => live(store.due(options)),
  outdated: (options) => live(store.outdated(options)),
  commit: (changes) => live(store.commit(changes)),
  claim: (options) => live(store.claim(options)),
  start: (options) => live(store.start(options)),
  settle: (settlements, options) => live(store.settle(settlements, options)),
  transact: store.transact && ((effect) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      live(store.transact!((within) =>
        // the handler's time is virtual
        Effect.provideService(effect(within), Clock.Clock, clock)
      )))),
  heartbeat: (options) => live(store.heartbeat(options)),
  cancel: (runs) => live(store.cancel(runs)),
  takeover: (options) => live(store.takeover(options)),
  list: (query) => live(store.list(query)),
  runs: (query) => live(store.runs(query)),
  prune: (options) => live(store.prune(options)),
  quarantine: (verdicts) => live(store.quarantine(verdicts)),
  verdicts: (options) => live(store.verdicts(options)),
  clear: (generations) => live(store.clear(generations)),
  beat: (instance) => live(store.beat(instance)),
  instances: (options) => live(store.instances(options)),
  leave: (ids) => live(store.leave(ids)),
  listen: (onWake) => store.listen(onWake),
  broadcast: store.broadcast && {
    ...store.broadcast,
    say: (topic, texts) => live(store.broadcast!.say(topic, texts))
  }
})
