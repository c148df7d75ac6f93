/**
 * Any task store, with payloads and results encrypted at rest: who reads the database, a backup or the wire reads neither.
 *
 *     engine ── clear ──▶ EncryptedTaskStore ── AES-256-GCM ──▶ the store it decorates
 *                               key ring: writes with `current`, reads with any
 *
 * | encrypted | in clear: the store finds and orders rows by it |
 * |---|---|
 * | payloads, their display forms, declarations, exits; events on their way | ids, names, tags, labels, owners, triggers, policies, instants, states, notes, sizes |
 *
 * @since 0.1.0
 */
import * as Aead from "effect/crypto/Aead"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { refuseUnknown } from "./internal/options.ts"
import { type Cipher, keyIdOf, makeCipher } from "./internal/taskCipher.ts"
import { unreadableReason, unreadableText } from "./internal/taskUnreadable.ts"
import type { RunRow, TaskDefinition, TaskRow } from "./TaskRecord.ts"
import type { Broadcast, Change, Committed, Inserted, NewTask, Settlement, TaskWithRuns } from "./TaskStore.ts"
import { TaskStore, TaskStoreError } from "./TaskStore.ts"
import { audience } from "./TaskStoreKit.ts"

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * A key ring that cannot be used. The message never repeats a key.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidKeyRing extends Schema.TaggedError<InvalidKeyRing>()("InvalidKeyRing", {
  reason: Schema.String
}) {
  override get message(): string {
    return `The key ring of the task store cannot be used: ${this.reason}`
  }
}

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * Keys by id. To rotate: add a key to every program, then make it `current`; take the old one away once nothing stored
 * names it.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyRing {
  /** Id of the key that everything new is encrypted with. */
  readonly current: string
  /** 32 bytes each, as they are or in base64. Ids are stored in clear, beside what is encrypted. */
  readonly keys: Readonly<Record<string, Redacted.Redacted<Uint8Array> | Redacted.Redacted<string>>>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends KeyRing {
  /**
   * What becomes of rows that are not encrypted. `refuse` (default): they are set aside, so that nobody who can write to
   * the database can put his own in. `read`: as they are, for a store that had rows before it was encrypted.
   */
  readonly unencrypted?: "refuse" | "read" | undefined
}

const optionNames: ReadonlyArray<keyof Options> = ["current", "keys", "unencrypted"]

// -----------------------------------------------------------------------------
// constructors
// -----------------------------------------------------------------------------

/**
 * A store that keeps what this one keeps, encrypted.
 *
 * **Details**
 *
 * Each text is bound to its task's id, or its run's generation and key: one that was copied to another row does not
 * open. What does not open, whatever the reason, is a row that this program cannot read: its task is set aside here
 * when it is to run (`TaskInfo.unreadable` says which key is missing), and stops nobody else.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  inner: TaskStore["Service"],
  options: Options
): Effect.Effect<TaskStore["Service"], InvalidKeyRing | TaskStoreError> =>
  Effect.gen(function*() {
    const keys = yield* readKeys(options)
    const cipher = yield* makeCipher({ current: options.current, keys, clear: options.unencrypted === "read" })

    const seal = (text: string, place: string): Effect.Effect<string, TaskStoreError> =>
      Effect.mapError(cipher.seal(text, place), (error) =>
        new TaskStoreError({
          store: inner.name,
          operation: "encrypt",
          reason: "Unavailable",
          message: `${inner.name}: this runtime does not encrypt: ${error.message}`,
          cause: error
        }))
    const open = (text: string, ...places: ReadonlyArray<string>): Effect.Effect<string> =>
      Effect.catch(
        Effect.firstSuccessOf(places.map((place) => cipher.open(text, place))),
        (reason) => Effect.succeed(unreadableText(reason))
      )

    // A runtime without WebCrypto is told of now, not at the first task.
    yield* seal("", "")

    // -- tasks

    const sealTask = <A extends Partial<TaskDefinition>>(id: string, task: A): Effect.Effect<A, TaskStoreError> => {
      const { declared, display, payload } = task
      const sealed = (text: string | null | undefined, field: Field) =>
        typeof text === "string" ? seal(text, placeOfTask(id, field)) : Effect.succeed(text)
      // Mostly a payload has no secrets, and is shown as it is.
      const texts = payload !== undefined && payload === display
        ? Effect.map(sealed(payload, "both"), (text) => [text, text] as const)
        : both(sealed(payload, "payload"), sealed(display, "display"))
      return Effect.map(both(texts, sealed(declared, "declared")), ([[payload, display], declared]) => ({
        ...task,
        ...payload === undefined ? undefined : { payload },
        ...display === undefined ? undefined : { display },
        ...declared === undefined ? undefined : { declared }
      }))
    }

    const openTask = (row: TaskRow): Effect.Effect<TaskRow> => {
      const place = (field: Field) => placeOfTask(row.id, field)
      const opened = (text: string, field: Field) => open(text, place(field), place("both"))
      const texts = row.payload === row.display
        ? Effect.map(opened(row.payload, "both"), (text) => [text, text] as const)
        : both(opened(row.payload, "payload"), opened(row.display, "display"))
      return Effect.map(
        both(texts, row.declared === null ? Effect.succeed(null) : opened(row.declared, "declared")),
        ([[payload, display], declared]) => ({ ...row, payload, display, declared })
      )
    }

    const sealNew = (task: NewTask): Effect.Effect<NewTask, TaskStoreError> => sealTask(task.id, task)

    const sealChange = (change: Change): Effect.Effect<Change, TaskStoreError> => {
      const { id, replacement, set } = change
      if (set !== "remove") return Effect.map(sealTask(id, set), (set) => ({ ...change, set }))
      return replacement === undefined
        ? Effect.succeed(change)
        : Effect.map(sealTask(id, replacement), (replacement) => ({ ...change, replacement }))
    }

    // -- runs

    const openRun = (row: RunRow): Effect.Effect<RunRow> =>
      row.exit === null
        ? Effect.succeed(row)
        : Effect.map(open(row.exit, placeOfRun(row)), (exit) => ({ ...row, exit }))

    const sealSettlement = (settlement: Settlement): Effect.Effect<Settlement, TaskStoreError> => {
      const { result } = settlement
      return result._tag === "Release" || result.exit === null
        ? Effect.succeed(settlement)
        : Effect.map(seal(result.exit, placeOfRun(settlement)), (exit) => ({
          ...settlement,
          result: { ...result, exit }
        }))
    }

    const openTasks = (tasks: ReadonlyArray<TaskWithRuns>): Effect.Effect<ReadonlyArray<TaskWithRuns>> =>
      each(tasks, ({ open, row }) =>
        Effect.all({ row: openTask(row), open: each(open, openRun) }, { concurrency: "unbounded" }))

    return TaskStore.of({
      ...inner,
      broadcast: inner.broadcast && (yield* sealedBroadcast(inner.broadcast, seal, cipher.open)),
      insert: (tasks) =>
        each(tasks, sealNew).pipe(
          Effect.flatMap(inner.insert),
          Effect.flatMap((answers) =>
            each(answers, (answer, i): Effect.Effect<Inserted> => {
              const { declared, display, payload } = tasks[i]!
              return answer._tag === "Inserted"
                ? Effect.succeed({ ...answer, row: { ...answer.row, payload, display, declared } })
                : Effect.map(openTask(answer.row), (row) => ({ ...answer, row }))
            })
          )
        ),
      get: (ids) =>
        Effect.flatMap(inner.get(ids), openTasks),
      due: (query) =>
        Effect.flatMap(
          inner.due(query),
          ({ next, tasks }) => Effect.map(openTasks(tasks), (tasks) => ({ tasks, next }))
        ),
      outdated: (query) => Effect.flatMap(inner.outdated(query), openTasks),
      commit: (changes) =>
        each(changes, sealChange).pipe(
          Effect.flatMap(inner.commit),
          Effect.flatMap((answers) =>
            each(answers, (answer): Effect.Effect<Committed> =>
              answer._tag === "Conflict"
                ? Effect.succeed(answer)
                : Effect.map(each(answer.claimed, openRun), (claimed) => ({ ...answer, claimed })))
          )
        ),
      claim: (query) =>
        Effect.flatMap(inner.claim(query), ({ next, runs }) =>
          Effect.map(
            each(
              runs,
              ({ run, task }) => Effect.all({ run: openRun(run), task: openTask(task) }, { concurrency: "unbounded" })
            ),
            (runs) => ({ runs, next })
          )),
      settle: (settlements, options) =>
        Effect.flatMap(each(settlements, sealSettlement), (sealed) => inner.settle(sealed, options)),
      takeover: (query) =>
        Effect.flatMap(inner.takeover(query), ({ next, runs }) =>
          Effect.map(
            each(runs, (taken) => Effect.map(openRun(taken.run), (run) => ({ ...taken, run }))),
            (runs) => ({
              runs,
              next
            })
          )),
      list: (query) =>
        Effect.flatMap(inner.list(query), ({ items, next }) =>
          Effect.map(each(items, openTask), (items) => ({ items, next }))),
      runs: (query) =>
        Effect.flatMap(inner.runs(query), ({ items, next }) =>
          Effect.map(each(items, openRun), (items) => ({ items, next })))
    })
  })

/**
 * Encrypts again, with the current key, every task that is encrypted with another one, or not at all; answers how many.
 *
 * **When to use**
 *
 * After a rotation, before a key is taken away, with the store that `make` or `layer` decorates; programs may go on
 * meanwhile. Ended runs are not written again: they keep their key until they are pruned (`retention`).
 *
 * **Details**
 *
 * What does not open is left as it is, and not counted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reencrypt = (
  inner: TaskStore["Service"],
  options: Options
): Effect.Effect<number, InvalidKeyRing | TaskStoreError> =>
  Effect.gen(function*() {
    const store = yield* make(inner, options)
    const outdated = (row: TaskRow) =>
      secretFields.some((field) => typeof row[field] === "string" && keyIdOf(row[field]) !== options.current)
    let count = 0
    let after: string | undefined
    do {
      const page = yield* inner.list({ sort: "id", descending: false, limit: pageSize, after })
      let ids = page.items.filter(outdated).map(({ id }) => id)
      while (ids.length > 0) {
        const readable = (yield* store.get(ids)).map(({ row }) => row).filter((row) =>
          secretFields.every((field) => typeof row[field] !== "string" || unreadableReason(row[field]) === undefined)
        )
        const answers = yield* store.commit(
          readable.map(({ declared, display, generation, id, payload, revision, updatedAt }) => ({
            id,
            generation,
            revision,
            set: { payload, display, declared },
            runs: [],
            now: updatedAt
          }))
        )
        count += answers.filter(({ _tag }) => _tag === "Committed").length
        // Somebody else changed these meanwhile.
        ids = readable.filter((_, i) => answers[i]?._tag !== "Committed").map(({ id }) => id)
      }
      after = page.next ?? undefined
    } while (after !== undefined)
    return count
  })

/** Events on their way are sealed like what is stored. Calls say nothing of anybody's tasks. */
const sealedBroadcast = (
  inner: Broadcast,
  seal: (text: string, place: string) => Effect.Effect<string, TaskStoreError>,
  open: Cipher["open"]
): Effect.Effect<Broadcast, TaskStoreError> =>
  Effect.map(seal("", placeOfEvents), (empty): Broadcast => ({
    // a key's id may have any characters, of up to three bytes each; four of base64 are three bytes of text
    limit: Math.floor((inner.limit - empty.replace(/[^ -~]/g, "???").length) / 4) * 3,
    say: (topic, texts) =>
      topic === "calls"
        ? inner.say(topic, texts)
        : Effect.flatMap(each(texts, (text) => seal(text, placeOfEvents)), (sealed) => inner.say(topic, sealed)),
    hear: (topic, onText) =>
      topic === "calls" ? inner.hear(topic, onText) : Effect.gen(function*() {
        // opened one after another, so that they stay in order; what does not open is another's
        const heard = yield* Queue.sliding<string>(mostUnopened)
        const opened = audience<string>()
        yield* opened.join(onText)
        const next = Effect.flatMap(Queue.take(heard), (text) => open(text, placeOfEvents))
        yield* Effect.forkScoped(Effect.forever(Effect.ignore(Effect.flatMap(next, opened.tell))))
        yield* inner.hear(topic, (text) => void Queue.offerUnsafe(heard, text))
      })
  }))

const placeOfEvents = JSON.stringify(["events"])

/** Texts that have been heard and not been opened yet: of more, the oldest are lost. */
const mostUnopened = 1_024

const pageSize = 200

const secretFields = ["payload", "display", "declared"] as const

/** `both`: one text that is payload and display. A payload that must not be shown as it is does not open as a display. */
type Field = typeof secretFields[number] | "both"

/** A generation is known only after the insertion, so a task's texts are bound to its id. */
const placeOfTask = (id: string, field: Field): string => JSON.stringify(["task", id, field])

const placeOfRun = ({ generation, key }: { readonly generation: number; readonly key: string }): string =>
  JSON.stringify(["run", generation, key, "exit"])

const both = <A, B, E>(a: Effect.Effect<A, E>, b: Effect.Effect<B, E>): Effect.Effect<readonly [A, B], E> =>
  Effect.zip(a, b, { concurrent: true })

const each = <A, B, E>(
  items: ReadonlyArray<A>,
  f: (item: A, i: number) => Effect.Effect<B, E>
): Effect.Effect<ReadonlyArray<B>, E> =>
  items.length === 0 ? Effect.succeed([]) : Effect.forEach(items, f, { concurrency: "unbounded" })

const readKeys = (options: Options): Effect.Effect<ReadonlyMap<string, Aead.Key>, InvalidKeyRing> =>
  Effect.gen(function*() {
    const refuse = (reason: string) => new InvalidKeyRing({ reason })
    const unknown = refuseUnknown(options, optionNames, "EncryptedTaskStore.layer")
    if (unknown !== undefined) return yield* refuse(unknown)
    const { current, keys, unencrypted } = options
    if (unencrypted !== undefined && unencrypted !== "refuse" && unencrypted !== "read") {
      return yield* refuse(`\`unencrypted\` is "refuse" or "read", not ${JSON.stringify(unencrypted)}`)
    }
    const ring = new Map<string, Aead.Key>()
    for (const [id, redacted] of Object.entries(keys)) {
      if (id === "") return yield* refuse("the id of a key is empty")
      const value = Redacted.value<Uint8Array | string>(redacted)
      const bytes = typeof value === "string" ? Base64.decode(value) : Result.succeed(value)
      if (Result.isFailure(bytes)) return yield* refuse(`key \`${id}\` is a text that is not base64`)
      const { length } = bytes.success
      if (length !== Aead.aes256Gcm.keyLength) {
        return yield* refuse(`key \`${id}\` has ${length} bytes, and needs ${Aead.aes256Gcm.keyLength}`)
      }
      ring.set(id, yield* Effect.orDie(Aead.key(Aead.aes256Gcm, bytes.success)))
    }
    if (!ring.has(current)) {
      const known = [...ring.keys()].map((id) => `\`${id}\``).join(", ")
      return yield* refuse(`\`current\` is \`${current}\`, and its keys are ${known === "" ? "none" : known}`)
    }
    return ring
  })

// -----------------------------------------------------------------------------
// layers
// -----------------------------------------------------------------------------

/**
 * The store that is provided to this layer, encrypted.
 *
 * **Details**
 *
 * Keys are read once, when the layer is built. A key may encrypt some four billion texts (2³²), each with a random nonce:
 * rotate well before that.
 *
 * **Example**
 *
 * ```ts
 * const Store = Layer.unwrap(Effect.gen(function*() {
 *   const november = yield* Config.Redacted("TASKS_KEY_2026_11") // openssl rand -base64 32
 *   return EncryptedTaskStore.layer({ current: "2026-11", keys: { "2026-11": november } })
 * })).pipe(Layer.provide(SqliteTaskStore.layer({ filename: "punctual.db" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<TaskStore, InvalidKeyRing | TaskStoreError, TaskStore> =>
  Layer.effect(TaskStore, Effect.flatMap(TaskStore, (inner) => make(inner, options)))
