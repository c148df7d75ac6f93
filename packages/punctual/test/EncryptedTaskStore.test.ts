import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as EncryptedTaskStore from "../src/EncryptedTaskStore.ts"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"
import * as Task from "../src/Task.ts"
import type { TaskStore } from "../src/TaskStore.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"
import { clientOf, count, isolated, now, overwrite, Scheduler, storeOf } from "./support/engine.ts"
import { hourly } from "./utils.ts"

type Store = TaskStore["Service"]

const key = (n: number) => Redacted.make(new Uint8Array(32).fill(n))

const old = { current: "2026-10", keys: { "2026-10": key(10) } }
const rotated = { current: "2026-11", keys: { "2026-10": key(10), "2026-11": key(11) } }
const late = { current: "2026-11", keys: { "2026-11": key(11) } }
const wrong = { current: "2026-10", keys: { "2026-10": key(99) } }

const Greet = Task.make("Greet", { payload: { name: Schema.String }, success: Schema.String })

/** A store, as this key ring sees it. */
const seen = (inner: Store, ring: EncryptedTaskStore.Options) => EncryptedTaskStore.make(inner, ring)

const add = (store: Store, id: string, name = id) =>
  Effect.flatMap(clientOf(store), (client) => client.add(Greet, { id, payload: { name }, trigger: hourly }))

/** Runs what is stored for an hour, with this key ring. */
const anHour = <A, E>(
  inner: Store,
  ring: EncryptedTaskStore.Options,
  test: (ran: ReadonlyArray<string>) => Effect.Effect<
    A,
    E,
    Effect.Services<typeof Scheduler> | TestScheduler.TestScheduler
  >
) =>
  Effect.flatMap(seen(inner, ring), (store) => {
    const ran: Array<string> = []
    return isolated(
      Effect.andThen(TestScheduler.advance("1 hour"), Effect.suspend(() => test([...new Set(ran)].sort()))),
      TestScheduler.layer(
        Greet.toLayer(({ name }) =>
          Effect.sync(() => {
            ran.push(name)
            return `hello ${name}`
          })
        ),
        { now, store: storeOf(store) }
      )
    )
  })

/** The id of the key that each text of a row is encrypted with. */
const keyIds = (inner: Store, id: string) =>
  Effect.map(
    inner.get([id]),
    ([task]) =>
      [task!.row.payload, task!.row.display].map((text) => (JSON.parse(text) as { readonly kid?: string }).kid)
  )

describe("EncryptedTaskStore", () => {
  it.effect("what it writes is not in the store it decorates, in any form that people see", () =>
    Effect.gen(function*() {
      const inner = yield* MemoryTaskStore.make
      const client = yield* clientOf(yield* seen(inner, old))
      const options = { id: "a", payload: { name: "canary" }, trigger: hourly, onConflict: "update" } as const
      yield* client.add(Greet, options)
      yield* anHour(inner, old, (ran) => Effect.sync(() => assert.deepStrictEqual(ran, ["canary"])))
      const stored = JSON.stringify([yield* inner.get(["a"]), yield* inner.runs({ limit: 10 })])
      assert.notInclude(stored, "canary")
      assert.include(stored, "A256GCM")
      // What was declared is compared in clear: the same declaration changes nothing.
      const before = yield* inner.get(["a"])
      yield* client.add(Greet, options)
      assert.deepStrictEqual(yield* inner.get(["a"]), before)
    }))

  it.effect("the same text is never the same twice", () =>
    Effect.gen(function*() {
      const inner = yield* MemoryTaskStore.make
      const store = yield* seen(inner, old)
      yield* add(store, "a", "same")
      yield* add(store, "b", "same")
      const rows = yield* inner.get(["a", "b"])
      assert.strictEqual(new Set(rows.map(({ row }) => row.payload)).size, 2)
    }))

  it.effect("a payload that must not be shown as it is does not open as what is shown", () =>
    Effect.gen(function*() {
      const Login = Task.make("Login", { payload: { token: Schema.Redacted(Schema.String) } })
      const inner = yield* MemoryTaskStore.make
      const client = yield* clientOf(yield* seen(inner, old))
      const handle = yield* client.add(Login, { id: "a", payload: { token: Redacted.make("canary") }, trigger: hourly })
      assert.deepStrictEqual((yield* handle.snapshot).payload, { token: "<redacted>" })
      const [task] = yield* inner.get(["a"])
      yield* overwrite(inner, "a", { display: task!.row.payload })
      const copied = yield* handle.snapshot
      assert.strictEqual(copied.payload, "<unreadable>")
      assert.isTrue(Option.isSome(copied.unreadable))
    }))

  it.effect("payload and display may be changed one without the other", () =>
    Effect.gen(function*() {
      const inner = yield* MemoryTaskStore.make
      const store = yield* seen(inner, old)
      yield* add(store, "a")
      const texts = Effect.map(store.get(["a"]), ([task]) => [task!.row.payload, task!.row.display])
      yield* overwrite(store, "a", { payload: "1" })
      assert.deepStrictEqual(yield* texts, ["1", "{\"name\":\"a\"}"])
      yield* overwrite(store, "a", { payload: "2", display: "2" })
      yield* overwrite(store, "a", { display: "3" })
      assert.deepStrictEqual(yield* texts, ["2", "3"])
    }))

  it.effect("keys are rotated: the new one writes, both read", () =>
    Effect.gen(function*() {
      const inner = yield* MemoryTaskStore.make
      yield* add(yield* seen(inner, old), "old")
      const store = yield* seen(inner, rotated)
      yield* add(store, "new")
      assert.deepStrictEqual(yield* keyIds(inner, "old"), ["2026-10", "2026-10"])
      assert.deepStrictEqual(yield* keyIds(inner, "new"), ["2026-11", "2026-11"])
      yield* anHour(inner, rotated, (ran) => Effect.sync(() => assert.deepStrictEqual(ran, ["new", "old"])))
      yield* (yield* clientOf(store)).handle("old", { task: Greet }).update({ payload: { name: "older" } })
      assert.deepStrictEqual(yield* keyIds(inner, "old"), ["2026-11", "2026-11"])
    }))

  for (
    const { breaks, ring, title, why } of [
      {
        title: "with a key that is missing",
        ring: late,
        why: "it is encrypted with key `2026-10`, which this program's key ring does not have"
      },
      {
        title: "with another key of the same id",
        ring: wrong,
        why:
          "it does not open with key `2026-10`: that key has other bytes here, or the text was changed or belongs elsewhere"
      },
      {
        title: "that was copied from another row",
        ring: rotated,
        breaks: (inner: Store) =>
          Effect.flatMap(
            inner.get(["other"]),
            ([other]) => overwrite(inner, "bad", { payload: other!.row.payload, display: other!.row.display })
          ),
        why:
          "it does not open with key `2026-10`: that key has other bytes here, or the text was changed or belongs elsewhere"
      },
      {
        title: "of which one bit was changed",
        ring: rotated,
        breaks: (inner: Store) =>
          Effect.flatMap(inner.get(["bad"]), ([bad]) => {
            const flip = (text: string) => text.replace(/(.)(.)"}$/, (_, a: string) => `${a === "A" ? "B" : "A"}A"}`)
            return overwrite(inner, "bad", { payload: flip(bad!.row.payload), display: flip(bad!.row.display) })
          }),
        why:
          "it does not open with key `2026-10`: that key has other bytes here, or the text was changed or belongs elsewhere"
      },
      {
        title: "that is not encrypted",
        ring: rotated,
        breaks: (inner: Store) =>
          overwrite(inner, "bad", { payload: "{\"name\":\"bad\"}", display: "{\"name\":\"bad\"}" }),
        why: "it is not encrypted, and this program reads only what is (`unencrypted: \"read\"` reads both)"
      }
    ] as ReadonlyArray<{
      readonly title: string
      readonly ring: EncryptedTaskStore.Options
      readonly breaks?: (inner: Store) => Effect.Effect<void, unknown>
      readonly why: string
    }>
  ) {
    it.effect(`a payload ${title} sets its task aside, and no other`, () =>
      Effect.gen(function*() {
        const inner = yield* MemoryTaskStore.make
        const oldStore = yield* seen(inner, old)
        yield* add(oldStore, "bad")
        yield* add(oldStore, "other")
        yield* add(yield* seen(inner, ring), "good")
        if (breaks !== undefined) yield* breaks(inner)
        // It is shown before it is to run.
        const handle = (yield* clientOf(yield* seen(inner, ring))).handle("bad")
        const before = yield* handle.snapshot
        assert.deepStrictEqual(before.unreadable, Option.some(why))
        assert.strictEqual(before.payload, "<unreadable>")
        yield* anHour(inner, ring, (ran) =>
          Effect.gen(function*() {
            assert.include(ran, "good")
            assert.notInclude(ran, "bad")
            const verdicts = yield* (yield* Scheduler).quarantined()
            const verdict = verdicts.find(({ id }) => id === "bad")
            assert.strictEqual(verdict?.reason, `the payload cannot be decoded: ${why}`)
            assert.strictEqual(yield* count("TaskQuarantined"), verdicts.length)
          }))
        // Nothing was lost: a program that has the key goes on with it.
        if (breaks === undefined) {
          yield* anHour(inner, { ...rotated, keys: { ...rotated.keys, ...old.keys } }, (ran) =>
            Effect.sync(() =>
              assert.include(ran, "bad")
            ))
        }
      }))
  }

  it.effect("a result that does not open is no result, and says why", () =>
    Effect.gen(function*() {
      const inner = yield* MemoryTaskStore.make
      yield* add(yield* seen(inner, old), "a")
      yield* anHour(inner, old, () => Effect.void)
      const { items } = yield* (yield* clientOf(yield* seen(inner, late))).handle("a").runs()
      const reason = "it is encrypted with key `2026-10`, which this program's key ring does not have"
      assert.deepStrictEqual(items[0]!.exit, Option.some({ _tag: "Unreadable", reason }))
      const error = yield* Effect.flip(Task.decodeExit(Greet, items[0]!))
      assert.strictEqual(error._tag, "UnreadableExit")
    }))

  it.effect("rows from before are read where that is said, and encrypted when they are written", () =>
    Effect.gen(function*() {
      const inner = yield* MemoryTaskStore.make
      yield* add(inner, "a", "clear")
      const ring = { ...late, unencrypted: "read" } as const
      yield* anHour(inner, ring, (ran) => Effect.sync(() => assert.deepStrictEqual(ran, ["clear"])))
      yield* (yield* clientOf(yield* seen(inner, ring))).handle("a", { task: Greet }).update({ payload: { name: "b" } })
      assert.deepStrictEqual(yield* keyIds(inner, "a"), ["2026-11", "2026-11"])
    }))

  it.effect("after `reencrypt` nothing of the tasks needs the old key, whatever happened meanwhile", () =>
    Effect.gen(function*() {
      const inner = yield* MemoryTaskStore.make
      const ids = Array.from({ length: 450 }, (_, i) => `task-${i}`)
      const client = yield* clientOf(yield* seen(inner, old))
      yield* client.addAll(
        ids.map((id) => Task.scheduled(Greet, { id, payload: { name: id }, trigger: hourly, onConflict: "update" }))
      )
      yield* add(yield* seen(inner, wrong), "lost")
      yield* add(yield* seen(inner, rotated), "new")
      let interfered = false
      const busy: Store = {
        ...inner,
        commit: (changes) =>
          Effect.suspend(() => {
            if (interfered) return inner.commit(changes)
            interfered = true
            return Effect.andThen(Effect.orDie(overwrite(inner, "task-0", { name: "changed" })), inner.commit(changes))
          })
      }
      assert.strictEqual(yield* EncryptedTaskStore.reencrypt(busy, rotated), 450)
      const tasks = yield* (yield* seen(inner, late)).get([...ids, "new"])
      assert.deepStrictEqual(
        tasks.map(({ row }) => row.payload),
        [...ids, "new"].map((name) => JSON.stringify({ name }))
      )
      assert.strictEqual(tasks[0]!.row.name, "changed")
      assert.isTrue(tasks.slice(0, 450).every(({ row }) => row.declared?.startsWith("{\"name\"")))
      // What did not open is as it was.
      assert.deepStrictEqual(yield* keyIds(inner, "lost"), ["2026-10", "2026-10"])
      assert.strictEqual(yield* EncryptedTaskStore.reencrypt(inner, rotated), 0)
    }))

  it.effect("a key ring is checked when the layer is built, and no key is repeated", () =>
    Effect.gen(function*() {
      const base64 = Base64.encode(new Uint8Array(32).fill(1))
      const refused = (options: unknown) =>
        Effect.match(
          Effect.scoped(
            Layer.build(
              EncryptedTaskStore.layer(options as EncryptedTaskStore.Options).pipe(Layer.provide(MemoryTaskStore.layer))
            )
          ),
          { onSuccess: () => "accepted", onFailure: (error) => error.message.split("cannot be used: ")[1] }
        )
      for (
        const [options, message] of [
          [{ current: "a", keys: { a: Redacted.make(base64) } }, "accepted"],
          [{ current: "a", keys: {} }, "`current` is `a`, and its keys are none"],
          [{ current: "b", keys: { a: key(1), c: key(2) } }, "`current` is `b`, and its keys are `a`, `c`"],
          [{ current: "a", keys: { a: Redacted.make(new Uint8Array(31)) } }, "key `a` has 31 bytes, and needs 32"],
          [{ current: "a", keys: { a: Redacted.make("c2hvcnQ=") } }, "key `a` has 5 bytes, and needs 32"],
          [{ current: "a", keys: { a: Redacted.make("secret!") } }, "key `a` is a text that is not base64"],
          [{ current: "", keys: { "": key(1) } }, "the id of a key is empty"],
          [{ curent: "a", keys: {} }, "unknown option `curent` of EncryptedTaskStore.layer, did you mean `current`?"],
          [{ ...late, unencrypted: "drop" }, "`unencrypted` is \"refuse\" or \"read\", not \"drop\""]
        ] as const
      ) assert.strictEqual(yield* refused(options), message)
    }))
})
