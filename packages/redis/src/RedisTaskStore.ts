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
import type { TaskRow } from "punctual/TaskRecord"
import type { Change, Claimed, Committed, Settled, TakenOver, TaskWithRuns } from "punctual/TaskStore"
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
const mostEntries = 250
const mostCharacters = 1_000_000

/** So that the server has the next piece while this process reads the answer to the one before, or plans another. */
const piecesAtOnce = 4

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

  const run = (operation: string, script: keyof typeof scripts, args: Records.Args) =>
    Effect.suspend(() => redis.eval(scripts[script])(root, sender, ...args)).pipe(Effect.mapError(failed(operation)))

  yield* run("open", "open", [])
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
    args: Records.Args,
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

  /**
   * In pieces, which are sent in their order; answers in their order.
   */
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
    write: Records.Write<A>,
    read: (answer: unknown, entry: A) => B,
    { argsOfPiece = together, head = [] }: {
      /** What a script is told before its entries. */
      readonly head?: Records.Args
      /** How it is told a piece. */
      readonly argsOfPiece?: (piece: ReadonlyArray<Entry<A>>) => Records.Args
    } = {}
  ): Effect.Effect<ReadonlyArray<B>, TaskStoreError> =>
    Effect.suspend(() => {
      const all = pieces(entries, write)
      const one = (piece: ReadonlyArray<Entry<A>>) =>
        call(operation, operation, [...head, ...argsOfPiece(piece)], (answer) =>
          answer === "" ? [] : Records.list(answer).map((each, index) =>
            read(each, piece[index]!.entry)
          ))
      return all.length === 1
        ? one(all[0]!)
        : Effect.map(Effect.forEach(all, one, { concurrency: piecesAtOnce }), (answers) =>
          answers.flat())
    })

  /** Sets damaged tasks aside for their reader, so that the others go on. */
  const condemn = <A>(
    { damaged, value }: { readonly damaged: ReadonlyArray<number>; readonly value: A },
    { now, reader }: { readonly now: number; readonly reader: string }
  ): Effect.Effect<A, TaskStoreError> =>
    damaged.length === 0 ? Effect.succeed(value) : Effect.as(
      call("quarantine", "condemn", [
        Records.atom(reader),
        String(damaged.length),
        ...damaged.flatMap((generation) => [
          Records.padded(generation),
          Records.json(["", generation, reader, "its record is damaged", now])
        ])
      ], () => undefined),
      value
    )

  const get = (ids: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<TaskWithRuns>, TaskStoreError> =>
    Effect.map(
      // answers are fewer than ids where some do not exist
      batch("get", [...new Set(ids)], (id) => [Records.atom(id)], (each) => each),
      (answers) => Records.readable(answers, Records.taskWithRuns).items
    )

  /** The rows of changes that give some part of one incompletely. */
  const rowsOf = (changes: ReadonlyArray<Change>): Effect.Effect<ReadonlyArray<TaskRow>, TaskStoreError> => {
    const partial = changes.filter(Records.isPartial)
    return partial.length === 0
      ? Effect.succeed([])
      : Effect.map(get(partial.map(({ id }) => id)), (found) => found.map(({ row }) => row))
  }

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
    concurrency: piecesAtOnce,
    capabilities: { durable: options.durable ?? true, shared: true, notifies: true, concurrencyKeys: true },

    insert: (tasks) =>
      batch(
        "insert",
        tasks,
        Records.newTask,
        (each, task) =>
          typeof each === "string"
            ? { _tag: "Inserted", row: Records.addedRow(task, Number(each)) }
            : { _tag: "Exists", row: Records.taskRow(each) },
        {
          argsOfPiece: (piece) => [
            String(piece.length),
            ...piece.map(({ entry }) => Records.atom(entry.id)),
            ...piece.flatMap(({ args }) => [String(args.length), ...args])
          ]
        }
      ),

    get,

    due: ({ limit, now, reader, zoneRules }) =>
      Effect.flatMap(
        call(
          "due",
          "due",
          [String(now), String(limit), Records.atom(reader), Records.atom(zoneRules), String(zoneRulesPatience)],
          (answer) => {
            const [tasks, next] = Records.list(answer)
            const { damaged, items } = Records.readable(tasks, Records.taskWithRuns)
            return { damaged, value: { tasks: items, next: Records.instant(next) } }
          }
        ),
        (read) => condemn(read, { now, reader })
      ),

    outdated: ({ limit, now, reader, zoneRules }) =>
      Effect.flatMap(
        call("outdated", "outdated", [String(limit), Records.atom(reader), Records.atom(zoneRules)], (answer) => {
          const { damaged, items } = Records.readable(answer, Records.taskWithRuns)
          return { damaged, value: items }
        }),
        (read) => condemn(read, { now, reader })
      ),

    commit: (changes) =>
      Effect.flatMap(
        rowsOf(changes),
        (rows) =>
          batch("commit", changes, Records.changing(rows), (each, change): Committed => {
            if (each === "") return { _tag: "Conflict" }
            // most often one
            const told = typeof each === "string" ? [each] : Records.list(each)
            const jumped = typeof told[0] === "number"
            return {
              _tag: "Committed",
              revision: jumped ? Number(told[0]) : change.revision + 1,
              claimed: (jumped ? told.slice(1) : told).map((text) => Records.claimedRun(change, text))
            }
          }, { argsOfPiece: ofTasks })
      ),

    claim: ({ lease, limit, now, reader, slots }) =>
      Effect.flatMap(
        call("claim", "claim", [
          String(now),
          Records.json(lease.owner),
          String(lease.until),
          String(limit),
          Records.atom(reader),
          String(slots.length),
          ...slots.flatMap((slot) => [
            Records.handled(slot.executor, slot.tag),
            String(slot.version),
            String(slot.limit)
          ])
        ], (answer) => {
          const [claims, next] = Records.list(answer)
          const { damaged, items } = Records.readable(claims, (each): Claimed => {
            const task = Records.taskRow(each)
            return { task, run: Records.runRow(task.generation, Records.list(each)[3]) }
          })
          return { damaged, value: { runs: items, next: Records.instant(next) } }
        }),
        (read) => condemn(read, { now, reader })
      ),

    start: ({ now, owner, runs }) =>
      batch("start", runs, Records.token, (each) => each === 1, {
        head: [String(now), Records.json(owner)],
        argsOfPiece: ofRuns
      }),

    settle: (settlements, { keep }) =>
      batch(
        "settle",
        settlements,
        Records.settlement,
        (each): Settled => each === "Settled" || each === "Cancelled" ? each : "Stale",
        { head: [String(keep)], argsOfPiece: ofRuns }
      ),

    heartbeat: ({ lease, runs }) =>
      batch("heartbeat", runs, Records.token, (each) => {
        const [alive, cancel] = Records.list(each)
        return { alive: alive === 1, cancel: alive === 1 ? Records.textOrNull(cancel) : null }
      }, { head: [Records.json(lease.owner), String(lease.until)], argsOfPiece: ofRuns }),

    cancel: (runs) =>
      batch(
        "cancel",
        runs,
        ({ generation, key, reason }) => [Records.padded(generation), Records.json(key), Records.json(reason)],
        (each) => each === 1
      ),

    takeover: (options) =>
      Effect.gen(function*() {
        const taken: Array<TakenOver> = []
        while (true) {
          const limit = Math.min(options.limit - taken.length, mostEntries)
          const { next, runs } = yield* call("takeover", "takeover", [
            String(options.now),
            String(limit),
            String(options.maxTakeovers),
            String(options.keep)
          ], (answer) => {
            const [runs, next] = Records.list(answer)
            return {
              runs: Records.list(runs).map((each): TakenOver => {
                const [generation, text, became] = Records.list(each)
                const run = Records.runRow(Number(generation), text)
                return {
                  run,
                  became: became === "ready" || became === "cancelled" ? became : "abandoned",
                  owner: run.owner ?? ""
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
          const count = yield* call("prune", "prune", [String(before), String(most)], Number)
          pruned += count
          if (count < most || pruned >= limit) return pruned
        }
      }),

    quarantine: (verdicts) => Effect.asVoid(batch("quarantine", verdicts, Records.newVerdict, () => undefined)),

    verdicts: ({ limit }) =>
      call("verdicts", "verdicts", [String(limit)], (answer) => Records.list(answer).map(Records.verdict)),

    clear: (generations) =>
      Effect.asVoid(batch("clear", generations, (generation) => [Records.padded(generation)], () => undefined)),

    beat: (instance) =>
      call(
        "beat",
        "beat",
        [Records.atom(instance.id), String(instance.until), Records.instanceText(instance)],
        () => {}
      ),

    instances: ({ limit }) =>
      limit <= 0
        ? Effect.succeed([])
        : call(
          "instances",
          "instances",
          [String(limit)],
          (answer) => Records.readable(answer, Records.instanceRow).items
        ),

    leave: (ids) => Effect.asVoid(batch("leave", ids, (id) => [Records.atom(id)], () => undefined)),

    listen: wakes.listen,
    time: redis.send<ReadonlyArray<string>>("TIME").pipe(
      Effect.mapError(failed("time")),
      Effect.map(([seconds, micros]) => Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000))
    ),
    broadcast: makeBroadcast({ redis, scope: yield* Effect.scope, channels, wakes, failed: failed("broadcast") })
  })
})

/** What a batch has, and what a script is told of it. */
interface Entry<A> {
  readonly entry: A
  readonly args: Records.Args
}

const argsOf = (piece: ReadonlyArray<Entry<unknown>>): Records.Args => piece.flatMap(({ args }) => args)

const together = (piece: ReadonlyArray<Entry<unknown>>): Records.Args => [String(piece.length), ...argsOf(piece)]

const entriesOf = <A>(piece: ReadonlyArray<Entry<A>>): ReadonlyArray<A> => piece.map(({ entry }) => entry)

const ofTasks = (piece: ReadonlyArray<Entry<{ readonly generation: number }>>): Records.Args => [
  Records.generations(entriesOf(piece)),
  ...argsOf(piece)
]

const ofRuns = (
  piece: ReadonlyArray<Entry<{ readonly generation: number; readonly key: string }>>
): Records.Args => [
  Records.generations(entriesOf(piece)),
  ...Records.keys(entriesOf(piece)),
  ...argsOf(piece)
]

/** Batches, each of at most so many entries; one ends with the entry that brings it to so many characters. */
const pieces = <A>(
  entries: ReadonlyArray<A>,
  write: Records.Write<A>
): ReadonlyArray<ReadonlyArray<Entry<A>>> => {
  const all: Array<Array<Entry<A>>> = []
  let piece: Array<Entry<A>> | undefined
  let characters = 0
  let owner = Records.owners()
  for (const entry of entries) {
    if (piece === undefined || piece.length >= mostEntries || characters >= mostCharacters) {
      all.push(piece = [])
      characters = 0
      owner = Records.owners()
    }
    const args = write(entry, owner)
    for (const text of args) characters += text.length
    piece.push({ entry, args })
  }
  return all
}

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
