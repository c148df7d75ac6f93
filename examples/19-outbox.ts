/**
 * An order and the mail about it: both are there, or neither. No table of messages, and nobody who reads it: the task is
 * added in the transaction of the order.
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqliteClient, SqlTaskStore } from "@punctual/sql/sqlite"
import { Console, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Task, TaskScheduler, Trigger } from "punctual"

const Confirm = Task.make("Confirm", { payload: { order: Schema.Int } })

class Declined extends Schema.TaggedError<Declined>()("Declined", { customer: Schema.String }) {}

const order = Effect.fn("order")(function*(customer: string, total: number) {
  const sql = yield* SqlClient.SqlClient
  const scheduler = yield* TaskScheduler.TaskScheduler
  return yield* sql.withTransaction(Effect.gen(function*() {
    const [row] = yield* sql<
      { id: number }
    >`insert into orders (customer, total) values (${customer}, ${total}) returning id`
    yield* scheduler.add(Confirm, { id: `confirm-${row!.id}`, payload: { order: row!.id }, trigger: Trigger.now })
    // whatever fails from here on takes the order back, and the task with it
    if (total > 1_000) return yield* new Declined({ customer })
    return row!.id
  }))
})

const ConfirmLive = Confirm.toLayer(
  Effect.fn("Confirm")(function*({ order }) {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{ customer: string }>`select customer from orders where id = ${order}`
    yield* Console.log(`mail to ${row!.customer}: thank you for order ${order}`)
  }, Effect.orDie)
)

const Shop = Layer.effectDiscard(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table if not exists orders (id integer primary key, customer text not null, total integer not null)`
  for (const [customer, total] of [["acme", 40], ["umbrella", 9_000], ["hooli", 80]] as const) {
    yield* order(customer, total).pipe(
      Effect.catchTag("Declined", () => Console.log(`${customer} cannot pay ${total}`))
    )
  }
}))

export const App = Layer.mergeAll(ConfirmLive, Shop)

// One client for both: a store with a client of its own would refuse to join.
export const store = SqlTaskStore.layer()

export const client = (filename: string) => SqliteClient.layer({ filename })

const Main = TaskScheduler.layer(App).pipe(Layer.provide(store), Layer.provide(client("outbox.db")))
if (import.meta.main) NodeRuntime.runMain(Layer.launch(Main))
