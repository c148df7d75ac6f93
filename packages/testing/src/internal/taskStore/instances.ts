/**
 * Schedulers, as they tell of themselves.
 *
 * @since 0.1.0
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { InstanceRow } from "punctual/TaskRecord"
import type { Lab, Test } from "./lab.ts"

const instance = (lab: Lab, name: string, fields: Partial<InstanceRow> = {}): InstanceRow => ({
  id: `${lab.slug}#${name}`,
  name: lab.slug,
  host: "one.example",
  pid: 4_242,
  version: "1.2.3",
  handles: `{"default":{"${lab.tag}":1}}`,
  startedAt: lab.now,
  seenAt: lab.now + 1,
  until: lab.now + 30_000,
  ...fields
})

export const instances = (test: Test): void => {
  /** This test's own, in the order answered. */
  const own = (lab: Lab, limit = 1_000) =>
    Effect.map(lab.store.instances({ limit }), (all) => all.filter(({ name }) => name === lab.slug))

  test("a scheduler is kept as it tells of itself, its latest word only", (lab) =>
    Effect.gen(function*() {
      const first = instance(lab, "a")
      const other = instance(lab, "b", { host: null, pid: null, until: lab.now + 20_000 })
      yield* lab.store.beat(first)
      yield* lab.store.beat(other)
      assert.deepStrictEqual(yield* own(lab), [first, other])
      const later = instance(lab, "a", {
        host: null,
        pid: null,
        version: "1.2.4",
        handles: "{}",
        startedAt: lab.now + 2,
        seenAt: lab.now + 3,
        until: lab.now + 10_000
      })
      yield* lab.store.beat(later)
      assert.deepStrictEqual(yield* own(lab), [other, later])
      yield* lab.store.leave([first.id, other.id])
    }))

  test("schedulers that leave are forgotten, and may come back", (lab) =>
    Effect.gen(function*() {
      const [a, b, c] = [instance(lab, "a"), instance(lab, "b"), instance(lab, "c")]
      for (const each of [a, b, c]) yield* lab.store.beat(each)
      yield* lab.store.leave([])
      yield* lab.store.leave([a.id, c.id, `${lab.slug}#nobody`])
      assert.deepStrictEqual(yield* own(lab), [b])
      yield* lab.store.beat(a)
      assert.sameDeepMembers([...yield* own(lab)], [a, b])
      yield* lab.store.leave([a.id, b.id])
      assert.deepStrictEqual(yield* own(lab), [])
    }))

  test("of many schedulers, a limit leaves those that are to be believed longest", (lab) =>
    Effect.gen(function*() {
      // Beyond what any other test's may be.
      const far = 8_000_000_000_000
      const all = [3, 1, 4, 2, 0].map((n) => instance(lab, String(n), { until: far + n }))
      for (const each of all) yield* lab.store.beat(each)
      assert.deepStrictEqual((yield* own(lab, 2)).map(({ until }) => until - far), [4, 3])
      assert.deepStrictEqual((yield* own(lab)).map(({ until }) => until - far), [4, 3, 2, 1, 0])
      yield* lab.store.leave(all.map(({ id }) => id))
    }))

  test("I12: a scheduler that tells of itself wakes nobody", (lab) =>
    Effect.gen(function*() {
      const woken: Array<unknown> = []
      yield* lab.store.listen((wake) => woken.push(wake))
      const one = instance(lab, "a")
      yield* lab.store.beat(one)
      yield* lab.store.leave([one.id])
      assert.deepStrictEqual(woken, [])
    }))
}
