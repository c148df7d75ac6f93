/**
 * The task store on a Redis server, over the program's own `Redis` service.
 *
 * ```ts
 * TaskScheduler.layer(App).pipe(
 *   Layer.provide(RedisTaskStore.layer({ prefix: "billing" })),
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379" }))
 * )
 * ```
 *
 * **Details**
 *
 * Every operation is one Lua script over a batch, so it happens as a whole or not at all. All keys of a store begin with
 * `{prefix}`: they are in one slot of a Redis Cluster, so a store is as large and as fast as one of its servers. `now`
 * is the caller's; the server's clock is read for one thing, the numbers of claims, which so never repeat even where the
 * server lost the end of its log.
 *
 * | | cost |
 * |---|---|
 * | `due`, `claim`, `settle` and their like | that of the rows returned, and of rows under a verdict, which are passed over |
 * | `list` by id, due or created; `runs` | walk an index; `ids`, `event` and `runs` of a task look at the rows named |
 * | `tag`, `state`, `owner`, `labels`, `search` | are tested on the way, 500 rows a call, so a rare match scans |
 *
 * What survives a crash of the server is what its append-only file holds: everything with `appendfsync always`, all but
 * the last second with `everysec`, what the last snapshot held without one.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import type * as Scope from "effect/Scope"
import type { Change, Claimed, Committed, RunChange, Settled, Settlement, TakenOver } from "punctual/TaskStore"
import { TaskStore, TaskStoreError, zoneRulesPatience } from "punctual/TaskStore"
import { type OptionNames, refuseUnknown } from "punctual/TaskStoreKit"
import { makeBroadcast } from "./internal/broadcast.ts"
import { storeError } from "./internal/errors.ts"
import * as Lists from "./internal/lists.ts"
import * as Records from "./internal/records.ts"
import { scripts } from "./internal/scripts.ts"
import { checkServer } from "./internal/server.ts"
import * as Wakes from "./internal/wakes.ts"

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What its keys begin with, in braces: any text without braces. Default: `punctual`. */
  readonly prefix?: string | undefined
  /** For messages. Default: `redis:` and the prefix. */
  readonly name?: string | undefined
  /** How often it is asked whether a wake-up was missed, while somebody listens. Default: one second. */
  readonly pollInterval?: Duration.Input | undefined
  /** Whether what was answered is still there after a crash, which is for the server's settings to say. Default: `true`. */
  readonly durable?: boolean | undefined
}

/** @internal */
export const optionNames: OptionNames<Options> = { prefix: true, name: true, pollInterval: true, durable: true }

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/** A script holds the server while it runs: batches are cut into pieces of so many entries and characters. */
const mostEntries = 100
const mostCharacters = 1_000_000

/**
 * Checks the server and answers its store, until the scope closes.
 *
 * Fails where the server is older than Redis 7.0, where it may evict keys, and with `NewerSchema` where a newer version
 * of this package has changed the store in a way that this one must not write to.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<
  TaskStore["Service"],
  TaskStoreError,
  Redis.Redis | Scope.Scope
> = Effect.fnUntraced(function*(options: Options = {}) {
  const redis = yield* Redis.Redis
  const prefix = options.prefix ?? "punctual"
  const store = options.name ?? `redis:${prefix}`
  const invalid = (operation: string, message: string) =>
    new TaskStoreError({ store, operation, reason: "Invalid", message: `${store}: ${message}` })
  const unknown = refuseUnknown(store, "RedisTaskStore.layer", options, optionNames)
  if (unknown !== undefined) return yield* unknown
  if (prefix === "" || /[{}]/.test(prefix)) {
    return yield* invalid("open", `"${prefix}" cannot begin keys: use a text that is not empty and has no { nor }`)
  }
  yield* checkServer(redis, store)

  // what keys begin with: the braces say which part a cluster hashes
  const root = `{${prefix}}`
  const sender = crypto.randomUUID()
  const failed = (operation: string) => (error: { readonly cause?: unknown }) =>
    storeError(store, operation, error.cause)

  const run = (operation: string, script: keyof typeof scripts, args: object) =>
    Effect.suspend(() => redis.eval(scripts[script])(root, Records.json({ ...args, sender }))).pipe(
      Effect.mapError(failed(operation))
    )

  yield* run("open", "open", {})
  const channels = { calls: `${root}:wake`, events: `${root}:events` }
  const wakes = yield* Wakes.make({
    redis,
    channel: channels.calls,
    sender,
    pollInterval: Duration.toMillis(Duration.fromInputUnsafe(options.pollInterval ?? "1 second")),
    latest: Effect.map(redis.send<string | null>("HGET", root, "wake"), (wake) => wake === null ? null : Number(wake))
  })

  /** Runs a script, tells what it brought, and reads its answer. */
  const call = <A>(
    operation: string,
    script: keyof typeof scripts,
    args: object,
    read: (answer: unknown) => A
  ): Effect.Effect<A, TaskStoreError> =>
    Effect.flatMap(run(operation, script, args), (reply) => {
      const [answer, wake] = Records.list(reply)
      const result = Effect.try({
        try: () => read(answer),
        catch: (cause) =>
          new TaskStoreError({
            store,
            operation,
            reason: "Corrupt",
            message: `${store}: ${operation} was answered with what this package did not write. Look at the keys ` +
              `that begin with ${root}.`,
            cause
          })
      })
      return wake === null ? result : Effect.andThen(wakes.tell(Records.told(wake)), result)
    })

  /** In pieces, one after another; answers in their order. */
  const batch = <A, B>(
    operation:
      | "insert"
      | "get"
      | "commit"
      | "start"
      | "settle"
      | "heartbeat"
      | "cancel"
      | "quarantine"
      | "clear"
      | "leave",
    entries: ReadonlyArray<A>,
    args: (entries: ReadonlyArray<A>) => object,
    read: (answer: unknown, entry: A) => B
  ): Effect.Effect<ReadonlyArray<B>, TaskStoreError> =>
    Effect.map(
      Effect.forEach(pieces(entries), (piece) =>
        call(operation, operation, args(piece), (answer) =>
          answer === "" ? [] : Records.list(answer).map((each, index) =>
            read(each, piece[index]!)
          ))),
      (answers) =>
        answers.flat()
    )

  /** Sets damaged tasks aside for their reader, so that the others go on. */
  const condemn = <A>(
    { damaged, value }: { readonly damaged: ReadonlyArray<number>; readonly value: A },
    { now, reader }: { readonly now: number; readonly reader: string }
  ): Effect.Effect<A, TaskStoreError> =>
    damaged.length === 0 ? Effect.succeed(value) : Effect.as(
      call("quarantine", "condemn", {
        verdicts: damaged.map((generation) => ({
          generation,
          reader,
          text: Records.json(["", generation, reader, "its record is damaged", now])
        }))
      }, () => undefined),
      value
    )

  const lists: Lists.Call = (operation, script, args) => call(operation, script, args, (answer) => answer)

  const page = <A>(operation: string, read: Effect.Effect<A, TaskStoreError>): Effect.Effect<A, TaskStoreError> =>
    Effect.catchDefect(read, (defect) =>
      defect instanceof Lists.BadCursor
        ? Effect.fail(invalid(
          operation,
          `not a cursor of this list: ${defect.message}. Pass the \`next\` of a page with the same order.`
        ))
        : Effect.die(defect))

  return TaskStore.of({
    name: store,
    capabilities: { durable: options.durable ?? true, shared: true, notifies: true },

    insert: (tasks) =>
      batch(
        "insert",
        tasks.map((task) => ({ id: task.id, ...Records.newTask(task) })),
        (tasks) => ({ tasks }),
        (each) => {
          const [inserted, row] = Records.list(each)
          return { _tag: inserted === 1 ? "Inserted" : "Exists", row: Records.taskRow(row) }
        }
      ),

    get: (ids) =>
      Effect.map(
        batch("get", [...new Set(ids)], (ids) => ({ ids }), (each) =>
          Records.readable([each], Records.taskWithRuns).items),
        (found) =>
          found.flat()
      ),

    due: ({ limit, now, reader, zoneRules }) =>
      Effect.flatMap(
        call("due", "due", { now, limit, reader, zoneRules, patience: zoneRulesPatience }, (answer) => {
          const [tasks, next] = Records.list(answer)
          const { damaged, items } = Records.readable(tasks, Records.taskWithRuns)
          return { damaged, value: { tasks: items, next: Records.instant(next) } }
        }),
        (read) => condemn(read, { now, reader })
      ),

    outdated: ({ limit, now, reader, zoneRules }) =>
      Effect.flatMap(
        call("outdated", "outdated", { now, limit, reader, zoneRules }, (answer) => {
          const { damaged, items } = Records.readable(answer, Records.taskWithRuns)
          return { damaged, value: items }
        }),
        (read) => condemn(read, { now, reader })
      ),

    commit: (changes) =>
      batch("commit", changes.map(changeOf), (changes) => ({ changes }), (each): Committed => {
        if (each === "") return { _tag: "Conflict" }
        const [revision, claimed] = Records.list(each)
        return {
          _tag: "Committed",
          revision: Number(revision),
          claimed: Records.list(claimed).map(Records.runRow)
        }
      }),

    claim: ({ lease, limit, now, reader, slots }) =>
      Effect.flatMap(
        call("claim", "claim", { now, lease, slots, limit, reader }, (answer) => {
          const [claims, next] = Records.list(answer)
          // a claim begins with its task, whose generation comes first
          const { damaged, items } = Records.readable(claims, (each): Claimed => ({
            task: Records.taskRow(each),
            run: Records.runRow(Records.list(each)[3])
          }))
          return { damaged, value: { runs: items, next: Records.instant(next) } }
        }),
        (read) => condemn(read, { now, reader })
      ),

    start: ({ now, owner, runs }) =>
      batch("start", runs.map(refOf), (runs) => ({ now, owner, runs }), (each) => each === 1),

    settle: (settlements, { keep }) =>
      batch(
        "settle",
        settlements.map(settlementOf),
        (settlements) => ({ settlements, keep }),
        (each): Settled => each === "Settled" || each === "Cancelled" ? each : "Stale"
      ),

    heartbeat: ({ lease, runs }) =>
      batch("heartbeat", runs.map(refOf), (runs) => ({ lease, runs }), (each) => {
        const [alive, cancel] = Records.list(each)
        return { alive: alive === 1, cancel: typeof cancel === "string" ? cancel : null }
      }),

    cancel: (runs) =>
      batch(
        "cancel",
        runs.map(({ generation, key, reason }) => [generation, key, reason] as const),
        (runs) => ({ runs }),
        (each) => each === 1
      ),

    takeover: (options) =>
      Effect.gen(function*() {
        const taken: Array<TakenOver> = []
        while (true) {
          const limit = Math.min(options.limit - taken.length, mostEntries)
          const { next, runs } = yield* call("takeover", "takeover", { ...options, limit }, (answer) => {
            const [runs, next] = Records.list(answer)
            return {
              runs: Records.list(runs).map((each): TakenOver => {
                const [run, became, owner] = Records.list(each)
                return {
                  run: Records.runRow(run),
                  became: became === "ready" || became === "cancelled" ? became : "abandoned",
                  owner: typeof owner === "string" ? owner : ""
                }
              }),
              next: Records.instant(next)
            }
          })
          taken.push(...runs)
          if (runs.length < limit || taken.length >= options.limit) return { runs: taken, next }
        }
      }),

    list: (query) => page("list", Lists.list(lists, query)),
    runs: (query) => page("runs", Lists.runs(lists, query)),

    prune: ({ before, limit }) =>
      Effect.gen(function*() {
        let pruned = 0
        while (true) {
          const most = Math.min(limit - pruned, mostEntries)
          const count = yield* call("prune", "prune", { before, limit: most }, Number)
          pruned += count
          if (count < most || pruned >= limit) return pruned
        }
      }),

    quarantine: (verdicts) =>
      Effect.asVoid(batch(
        "quarantine",
        verdicts.map(({ at, generation, id, reader, reason }) => ({
          id,
          generation,
          reader,
          text: Records.json([id, generation, reader, reason, at])
        })),
        (verdicts) => ({ verdicts }),
        () => undefined
      )),

    verdicts: ({ limit }) =>
      call("verdicts", "verdicts", { limit }, (answer) => Records.list(answer).map(Records.verdict)),

    clear: (generations) =>
      Effect.asVoid(batch("clear", generations, (generations) => ({ generations }), () => undefined)),

    beat: (instance) =>
      call("beat", "beat", { id: instance.id, until: instance.until, text: Records.instanceText(instance) }, () => {}),

    instances: ({ limit }) =>
      limit <= 0
        ? Effect.succeed([])
        : call("instances", "instances", { limit }, (answer) => Records.readable(answer, Records.instanceRow).items),

    leave: (ids) => Effect.asVoid(batch("leave", ids, (ids) => ({ ids }), () => undefined)),

    listen: wakes.listen,
    broadcast: makeBroadcast({ redis, scope: yield* Effect.scope, channels, wakes, failed: failed("broadcast") })
  })
})

/** Batches of at most so many entries and characters; one that is larger by itself is one of its own. */
const pieces = <A>(entries: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  const all: Array<Array<A>> = []
  let characters = Infinity
  for (const entry of entries) {
    const size = sizeOf(entry)
    const piece = all.at(-1)
    if (piece === undefined || piece.length >= mostEntries || characters + size > mostCharacters) {
      all.push([entry])
      characters = size
    } else {
      piece.push(entry)
      characters += size
    }
  }
  return all
}

/** About how many characters a value has as JSON. */
const sizeOf = (value: unknown): number => {
  if (typeof value === "string") return value.length
  if (typeof value !== "object" || value === null) return 8
  let size = 2
  for (const part of Object.values(value)) size += sizeOf(part)
  return size
}

const refOf = (
  { generation, key, token }: { readonly generation: number; readonly key: string; readonly token: number }
) => [generation, key, token] as const

const changeOf = ({ generation, id, now, replacement, revision, runs, set }: Change) => ({
  id,
  generation,
  revision,
  now,
  runs: runs.map(runChangeOf),
  ...set === "remove" ? undefined : { set: Records.changes(set) },
  ...set === "remove" && replacement !== undefined ? { replacement: Records.newTask(replacement) } : undefined
})

const runChangeOf = (change: RunChange) => {
  switch (change._tag) {
    case "Create":
      return { tag: change._tag, run: Records.newRun(change.run), claim: change.claim }
    case "Cancel":
      return { tag: change._tag, key: change.key, reason: change.reason }
    default:
      return { tag: change._tag, key: change.key }
  }
}

const settlementOf = ({ generation, key, now, owner, result, task, token }: Settlement) => ({
  generation,
  key,
  token,
  owner,
  now,
  result: result._tag,
  ...result._tag === "Release" ? undefined : { exit: result.exit },
  ...result._tag === "End" ? { state: result.state } : undefined,
  ...result._tag === "Retry" ? { readyAt: result.readyAt } : undefined,
  task
})

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * The store on the program's `Redis` service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<TaskStore, TaskStoreError, Redis.Redis> =>
  Layer.effect(TaskStore, make(options))
