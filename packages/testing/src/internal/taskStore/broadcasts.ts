/**
 * What a store carries between those who share it.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Broadcast, Topic } from "punctual/TaskStore"
import type { Lab, Test } from "./lab.ts"

export const broadcasts = (test: Test): void => {
  const of = ({ store }: Lab): Broadcast => {
    if (store.broadcast === undefined) throw new Error(`${store.name} has no broadcast`)
    return store.broadcast
  }

  const listen = (lab: Lab, topic: Topic) =>
    Effect.gen(function*() {
      const heard = yield* Queue.unbounded<string>()
      yield* of(lab).hear(topic, (text) => void Queue.offerUnsafe(heard, text))
      return heard
    })

  for (const topic of ["calls", "events"] as const) {
    test(`${topic}: all who listen hear what is said, in its order, and whoever says it too`, (lab) =>
      Effect.gen(function*() {
        const one = yield* listen(lab, topic)
        const other = yield* listen(lab, topic)
        const texts = ["a", "b", "c"].map((text) => `${lab.slug} ${text}`)
        yield* of(lab).say(topic, texts.slice(0, 2))
        yield* of(lab).say(topic, texts.slice(2))
        assert.deepStrictEqual(yield* Queue.takeN(one, 3), texts)
        assert.deepStrictEqual(yield* Queue.takeN(other, 3), texts)
      }))

    test(`${topic}: who has left hears nothing; who comes hears what is said from then on`, (lab) =>
      Effect.gen(function*() {
        const gone = yield* Effect.scoped(Effect.gen(function*() {
          const heard = yield* listen(lab, topic)
          yield* of(lab).say(topic, [`${lab.slug} before`])
          yield* Queue.take(heard)
          return heard
        }))
        const heard = yield* listen(lab, topic)
        yield* of(lab).say(topic, [`${lab.slug} after`])
        assert.strictEqual(yield* Queue.take(heard), `${lab.slug} after`)
        assert.strictEqual(yield* Queue.size(gone), 0)
      }))

    test(`${topic}: a listener that throws harms nobody`, (lab) =>
      Effect.gen(function*() {
        yield* of(lab).hear(topic, () => {
          throw new Error("a listener that throws")
        })
        const heard = yield* listen(lab, topic)
        for (const text of ["one", "another"]) {
          yield* of(lab).say(topic, [`${lab.slug} ${text}`])
          assert.strictEqual(yield* Queue.take(heard), `${lab.slug} ${text}`)
        }
      }))
  }

  test("calls and events are heard by those who listen to them alone", (lab) =>
    Effect.gen(function*() {
      const calls = yield* listen(lab, "calls")
      const events = yield* listen(lab, "events")
      yield* of(lab).say("events", [`${lab.slug} event`])
      yield* of(lab).say("calls", [`${lab.slug} call`])
      assert.strictEqual(yield* Queue.take(calls), `${lab.slug} call`)
      assert.strictEqual(yield* Queue.take(events), `${lab.slug} event`)
      yield* of(lab).say("events", [])
    }))

  test("events: texts arrive as they were, up to the limit", (lab) =>
    Effect.gen(function*() {
      const { limit, say } = of(lab)
      const heard = yield* listen(lab, "events")
      const odd = [
        `{"it's":"a \\"quoted\\" \\u0000 \\\\ text"}`,
        "${not} {{a}} :template $1 ? % ; --",
        "tab\tnew\nline\r\n",
        " ",
        "null"
      ]
      const long = [limit, limit - 1].map((length) => lab.slug.padEnd(length, "x"))
      assert.isAtLeast(limit, 1_000)
      yield* say("events", [...odd, ...long])
      assert.deepStrictEqual(yield* Queue.takeN(heard, odd.length), odd)
      for (const text of long) assert.isTrue((yield* Queue.take(heard)) === text, `${text.length} characters`)
    }))
}
