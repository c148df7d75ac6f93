/**
 * What a `TaskStore` promises, as tests: run it against every layer of the port.
 *
 * ```ts
 * import * as MemoryTaskStore from "punctual/MemoryTaskStore"
 * import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
 *
 * TaskStoreSuite.suite("memory", MemoryTaskStore.layer)
 * TaskStoreSuite.model("memory", MemoryTaskStore.layer)
 * ```
 *
 * The layer is built once and shared; each test uses ids, a tag and a day of its own and removes its tasks when it is
 * done. It must start empty. The tests run under `TestClock`: a store takes `now` from its caller.
 *
 * A name begins with the invariant of the port it belongs to.
 *
 * @since 0.1.0
 */
import type { Vitest } from "@effect/vitest"
import { assert, it as vitest } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Capabilities } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { broadcasts } from "./internal/taskStore/broadcasts.ts"
import { claims } from "./internal/taskStore/claims.ts"
import * as Commands from "./internal/taskStore/commands.ts"
import { commits, runChanges } from "./internal/taskStore/commits.ts"
import { concurrency } from "./internal/taskStore/concurrency.ts"
import { instances } from "./internal/taskStore/instances.ts"
import { concurrencyKeys, noConcurrencyKeys } from "./internal/taskStore/keys.ts"
import type { Body, Test } from "./internal/taskStore/lab.ts"
import { lab } from "./internal/taskStore/lab.ts"
import { lists } from "./internal/taskStore/lists.ts"
import { removals, retention, takeovers, verdicts } from "./internal/taskStore/losses.ts"
import { records } from "./internal/taskStore/records.ts"
import { promotions, settlements, tokens } from "./internal/taskStore/settlements.ts"
import { inserts, reads } from "./internal/taskStore/tasks.ts"
import { wakes } from "./internal/taskStore/wakes.ts"
import * as TaskStoreProcess from "./TaskStoreProcess.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What the store must say of itself. */
  readonly capabilities?: Capabilities | undefined
  /** Whether it has a `broadcast`: carries events between those who share it. Default: `false`. */
  readonly broadcasts?: boolean | undefined
  /** Tests this store cannot pass, each with the reason, which is printed. A name that no test has fails. */
  readonly skip?: ReadonlyArray<{ readonly test: string; readonly reason: string }> | undefined
}

/**
 * Registers the suite for one store.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <R, E>(name: string, layer: Layer.Layer<TaskStore | R, E>, options: Options = {}): void => {
  vitest.layer(layer, { timeout: "30 seconds" })(`TaskStore (${name})`, (it) => {
    const tests = collect(options)
    const skip = new Map((options.skip ?? []).map(({ reason, test }) => [test, reason]))
    tests.forEach(({ body, name }, index) => {
      const reason = skip.get(name)
      const run = () => Effect.flatMap(lab(index + 1), body)
      if (reason === undefined) it.effect(name, run, 60_000)
      else it.effect.skip(`${name} (skipped: ${reason})`, run)
    })
    described(it, options, tests.map(({ name }) => name))
  })
}

/**
 * Compares a store with `TaskStoreModel`: random sequences of calls, after each of which both must agree on every row,
 * run and verdict. A failure prints the shortest sequence found and the token that replays it.
 *
 * `runs` sequences (100) of up to `commands` commands (60). With `process`, another process makes every second call, so that
 * what one of them remembers of a store that it shares is found out.
 *
 * @category suites
 * @since 0.1.0
 */
export const model = <R, E>(
  name: string,
  layer: Layer.Layer<TaskStore | R, E>,
  options: {
    readonly runs?: number | undefined
    readonly commands?: number | undefined
    readonly seed?: number | undefined
    readonly replay?: string | undefined
    readonly timeout?: number | undefined
    readonly process?: TaskStoreProcess.Program | undefined
  } = {}
): void => {
  const { commands = 60, process, replay, runs = 100, seed, timeout = 120_000 } = options
  let index = 0
  const calls = process === undefined ? layer : Layer.effect(
    TaskStore,
    Effect.flatMap(TaskStore, (store) => TaskStoreProcess.inTurns(store, process))
  ).pipe(Layer.provide(layer))
  const where = process === undefined ? name : `${name}, from two processes`
  vitest.layer(calls, { timeout: "30 seconds" })(`TaskStore (${where}) and its model`, (it) => {
    it.effect.prop(
      "agree on any sequence of calls",
      [Commands.commands(commands)],
      ([sequence]) => Effect.flatMap(TaskStore, (store) => Commands.agree(store, index++, sequence)),
      { timeout, arbitrary: { runs, size: commands, seed, replay, maxShrinks: 2000 } }
    )
  })
}

const described = <R>(
  it: Vitest.MethodsNonLive<TaskStore | R>,
  options: Options,
  names: ReadonlyArray<string>
): void => {
  const { capabilities } = options
  if (capabilities !== undefined) {
    it.effect("says what it can do", () =>
      Effect.gen(function*() {
        const store = yield* TaskStore
        assert.deepStrictEqual(store.capabilities, capabilities)
        assert.notStrictEqual(store.name, "")
      }))
  }
  it.effect("carries events between processes, or says that it does not", () =>
    Effect.map(
      TaskStore,
      (store) => assert.strictEqual(store.broadcast !== undefined, options.broadcasts ?? false)
    ))
  it("skips only tests that exist", () => {
    assert.deepStrictEqual((options.skip ?? []).map(({ test }) => test).filter((test) => !names.includes(test)), [])
  })
}

const collect = (options: Options): ReadonlyArray<{ readonly name: string; readonly body: Body }> => {
  const tests: Array<{ readonly name: string; readonly body: Body }> = []
  const test: Test = (name, body) => tests.push({ name, body })
  records(test)
  inserts(test)
  reads(test)
  commits(test)
  runChanges(test)
  claims(test)
  tokens(test)
  settlements(test)
  promotions(test)
  removals(test)
  takeovers(test)
  retention(test)
  verdicts(test)
  lists(test)
  wakes(test)
  concurrency(test)
  instances(test)
  if (options.capabilities?.concurrencyKeys === false) noConcurrencyKeys(test)
  else concurrencyKeys(test)
  if (options.broadcasts === true) broadcasts(test)
  return tests
}
