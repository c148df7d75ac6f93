/**
 * The MySQL or MariaDB server of the tests.
 */
import * as Layer from "effect/Layer"
import * as MysqlClient from "../../src/MysqlClient.ts"
import * as SqlTaskStore from "../../src/SqlTaskStore.ts"

/** What the names of tables begin with that no other test has. */
export const freshPrefix = (): string => `t${crypto.randomUUID().slice(0, 8)}`

/** The store on a client of the program, with that client. */
export const storeOf = (url: string, options: SqlTaskStore.Options) =>
  SqlTaskStore.layer(options).pipe(Layer.provideMerge(MysqlClient.layer({ url })))
