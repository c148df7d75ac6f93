/**
 * Options that nobody reads are refused, before anything is opened, with the name that was meant.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { TaskStore, TaskStoreError } from "punctual/TaskStore"
import * as MysqlTaskStore from "../src/MysqlTaskStore.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"

const url = "postgres://nobody@127.0.0.1:1/nothing"
const given = <A>(options: object): A => options as A

const cases: ReadonlyArray<
  readonly [name: string, layer: (options: object) => Layer.Layer<TaskStore, unknown>, option: string, meant: string]
> = [
  [
    "SqlTaskStore.layer",
    (options) => SqlTaskStore.layer(given(options)).pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" }))),
    "prefx",
    "did you mean `prefix`?"
  ],
  [
    "SqliteTaskStore.layer",
    (options) => SqliteTaskStore.layer(given({ ...options, filename: ":memory:" })),
    "synchronos",
    "did you mean `synchronous`?"
  ],
  [
    "SqliteTaskStore.layer",
    (options) => SqliteTaskStore.layer(given({ ...options, filename: ":memory:" })),
    "url",
    "known options: prefix, migrate, "
  ],
  [
    "PostgresTaskStore.layer",
    (options) => PostgresTaskStore.layer(given({ ...options, url })),
    "maxConections",
    "did you mean `maxConnections`?"
  ],
  [
    "PostgresTaskStore.layer",
    (options) => PostgresTaskStore.layer(given({ ...options, url })),
    "pollInterval",
    "known options: "
  ],
  ["PostgresTaskStore.layer", (options) => PostgresTaskStore.layer(given(options)), "uri", "did you mean `url`?"],
  [
    "MysqlTaskStore.layer",
    (options) => MysqlTaskStore.layer(given({ ...options, url: "mysql://nobody@127.0.0.1:1/nothing" })),
    "maxTransactions",
    "known options: "
  ]
]

for (const [name, layer, option, meant] of cases) {
  it.effect(`${name} refuses \`${option}\``, () =>
    Effect.gen(function*() {
      const refused = (yield* Effect.flip(Effect.scoped(Layer.build(layer({ [option]: "1" }))))) as TaskStoreError
      assert.deepStrictEqual([refused._tag, refused.operation, refused.reason], ["TaskStoreError", "open", "Invalid"])
      assert.include(refused.message, `unknown option \`${option}\` of ${name}, ${meant}`)
    }))
}
