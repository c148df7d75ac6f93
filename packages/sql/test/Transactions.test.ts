/**
 * `delivery: "transactional"` on a server: the rows a handler writes and the end of its run are one transaction,
 * whenever its connection is lost.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import { TaskStore } from "punctual/TaskStore"
import { TestScheduler } from "punctual/testing"
import * as Trigger from "punctual/Trigger"
import { onServer } from "../../../.ci/testServers.ts"
import * as MysqlClient from "../src/MysqlClient.ts"
import * as PostgresTaskStore from "../src/PostgresTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { newTask } from "./internal/tasks.ts"

const Order = Task.make("Order", {
  payload: { number: Schema.Int },
  error: Schema.String,
  retry: { times: 20 },
  delivery: "transactional"
})

const Slow = Task.make("Slow", { payload: { number: Schema.Int }, delivery: "transactional" })

const layersOn = (url: string, prefix: string, options: { readonly maxTransactions?: number } = {}) => {
  const Client = PgClient.layer({ url: Redacted.make(url), maxConnections: (options.maxTransactions ?? 5) + 2 })
  const orders = `${prefix}_orders`
  const kills = `${prefix}_kills`
  const Handler = Order.toLayer(Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    return ({ number }: { readonly number: number }) =>
      sql`insert into ${sql(orders)} (number) values (${number})`.pipe(
        Effect.mapError((error) => error.message),
        Effect.asVoid
      )
  }))
  const SlowHandler = Slow.toLayer(Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    return ({ number }: { readonly number: number }) =>
      Effect.andThen(
        Effect.sleep("5 seconds"),
        Effect.orDie(sql`insert into ${sql(orders)} (number) values (${number})`)
      )
        .pipe(Effect.asVoid)
  }))
  /** Every third commit of an order ends its connection; an order below zero is refused by its commit. */
  const Tables = Layer.effectDiscard(Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`create table ${sql(orders)} (number int not null)`
    yield* sql`create sequence ${sql(kills)}`
    yield* sql`create function ${sql(`${prefix}_check`)}() returns trigger language plpgsql as ${
      sql.literal(`$$ begin
        if new.number < 0 then raise exception 'no such number' using errcode = '23514'; end if;
        if nextval('${kills}') % 3 = 0 then perform pg_terminate_backend(pg_backend_pid()); end if;
        return null;
      end $$`)
    }`
    yield* sql`create constraint trigger ${sql(`${prefix}_check`)} after insert on ${sql(orders)}
deferrable initially deferred for each row execute function ${sql(`${prefix}_check`)}()`
  }))
  const Store = SqlTaskStore.layer({ prefix, ...options }).pipe(Layer.provide(Client))
  return {
    orders,
    App: Layer.mergeAll(Handler, SlowHandler, Tables).pipe(Layer.provideMerge(Client)),
    Store
  }
}

await onServer("postgres", (url) => {
  const prefix = () => `t${crypto.randomUUID().slice(0, 8)}`

  describe("delivery: transactional, on Postgres", () => {
    it.effect("each order is written once, though every third connection is lost in its commit", () => {
      const { App, Store, orders } = layersOn(url, prefix())
      return Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        const sql = yield* SqlClient.SqlClient
        yield* scheduler.addAll(
          Array.from(
            { length: 60 },
            (_, number) => Task.scheduled(Order, { id: `order-${number}`, payload: { number }, trigger: Trigger.now })
          )
        )
        yield* TestScheduler.advance("10 minutes")
        const rows = yield* sql<{ number: number }>`select number from ${sql(orders)} order by number`
        assert.deepStrictEqual(rows.map(({ number }) => number), Array.from({ length: 60 }, (_, number) => number))
        const events = yield* TestScheduler.events
        const ended = events.flatMap((event) => event._tag === "RunEnded" ? [event.run.state] : [])
        assert.deepStrictEqual(ended, Array.from({ length: 60 }, () => "succeeded"))
        // the connections were lost, or this test shows nothing
        assert.isAtLeast(
          events.filter((event) => event._tag === "RunRetrying").length,
          20
        )
      }).pipe(
        Effect.provide(TestScheduler.layer(App, { store: Store, patience: 30_000, maxTakeovers: 100 }), { local: true })
      )
    }, 60_000)

    it.effect("more handlers than may hold a connection wait their turn, and keep nothing else from one", () => {
      const { App, Store, orders } = layersOn(url, prefix(), { maxTransactions: 2 })
      return Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        const sql = yield* SqlClient.SqlClient
        yield* scheduler.addAll(
          Array.from(
            { length: 10 },
            (_, number) => Task.scheduled(Slow, { id: `slow-${number}`, payload: { number }, trigger: Trigger.now })
          )
        )
        yield* TestScheduler.advance("1 second")
        // eight have been claimed and wait; the pool has two more connections: one listens, the other does everything else
        assert.strictEqual((yield* scheduler.status).running.length, 10)
        yield* TestScheduler.advance("1 minute")
        assert.strictEqual((yield* sql`select number from ${sql(orders)}`).length, 10)
        const events = yield* TestScheduler.events
        assert.strictEqual(
          events.filter((event) => event._tag === "RunLost" || event._tag === "StoreUnavailable").length,
          0
        )
      }).pipe(
        Effect.provide(TestScheduler.layer(App, { store: Store, patience: 30_000, maxTakeovers: 100 }), { local: true })
      )
    }, 60_000)

    it.effect("an order that its commit refuses is a failed run without a row", () => {
      const { App, Store, orders } = layersOn(url, prefix())
      return Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        const sql = yield* SqlClient.SqlClient
        yield* scheduler.add(Order, { id: "it", payload: { number: -1 }, trigger: Trigger.now })
        yield* TestScheduler.advance("1 minute")
        assert.deepStrictEqual(yield* sql`select number from ${sql(orders)}`, [])
        const { items: [run] } = yield* scheduler.handle("it").runs()
        assert.strictEqual(run!.state, "failed")
      }).pipe(
        Effect.provide(TestScheduler.layer(App, { store: Store, patience: 30_000, maxTakeovers: 100 }), { local: true })
      )
    }, 60_000)

    it.effect("is refused by a store on a client of its own, which no handler writes with", () => {
      const { App } = layersOn(url, prefix())
      const Store = PostgresTaskStore.layer({ url, prefix: prefix() })
      return Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        const refused = yield* Effect.flip(
          scheduler.add(Order, { id: "it", payload: { number: 1 }, trigger: Trigger.now })
        )
        assert.strictEqual(refused._tag, "InvalidOption")
      }).pipe(
        Effect.provide(TestScheduler.layer(App, { store: Store, patience: 30_000, maxTakeovers: 100 }), { local: true })
      )
    }, 60_000)
  })

  it.effect("a connection that is lost inside an operation of the store is a failure that may be tried again", () => {
    const name = prefix()
    return Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const store = yield* TaskStore
      yield* sql`create sequence ${sql(`${name}_kills`)}`
      yield* sql`create function ${sql(`${name}_kill`)}() returns trigger language plpgsql as ${
        sql.literal(`$$ begin
          if nextval('${name}_kills') = 1 then perform pg_terminate_backend(pg_backend_pid()); end if;
          return new;
        end $$`)
      }`
      yield* sql`create trigger kill before insert on ${sql(`${name}_task`)}
for each row execute function ${sql(`${name}_kill`)}()`
      const lost = yield* Effect.flip(store.insert([newTask("a")]))
      assert.strictEqual(lost.reason, "Unavailable")
      const [inserted] = yield* store.insert([newTask("a")])
      assert.strictEqual(inserted!._tag, "Inserted")
    }).pipe(Effect.provide(
      SqlTaskStore.layer({ prefix: name }).pipe(Layer.provideMerge(PgClient.layer({ url: Redacted.make(url) }))),
      { local: true }
    ))
  }, 60_000)
})

await onServer("mysql", (url) => {
  describe("delivery: transactional, on MySQL", () => {
    it.effect("each order is written once, though every first attempt loses its connection or fails", () => {
      const prefix = `t${crypto.randomUUID().slice(0, 8)}`
      const Client = MysqlClient.layer({ url: Redacted.make(url) })
      const Handler = Order.toLayer(Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* sql`create table ${sql(`${prefix}_orders`)} (number int not null)`
        return Effect.fn(function*({ number }, { attempt }) {
          yield* sql`insert into ${sql(`${prefix}_orders`)} (number) values (${number})`
          if (attempt > 1) return
          if (number % 2 === 0) return yield* Effect.fail("after it has written")
          const [session] = yield* sql<{ readonly id: number }>`select connection_id() as id`
          yield* Effect.exit(sql`kill connection ${sql.literal(String(session!.id))}`)
        }, Effect.mapError((error) => String(error)))
      }))
      return Effect.gen(function*() {
        const scheduler = yield* TaskScheduler.TaskScheduler
        const sql = yield* SqlClient.SqlClient
        const numbers = Array.from({ length: 20 }, (_, number) => number)
        yield* scheduler.addAll(
          numbers.map((number) =>
            Task.scheduled(Order, { id: `order-${number}`, payload: { number }, trigger: Trigger.now })
          )
        )
        yield* TestScheduler.advance("10 minutes")
        const rows = yield* sql<{ number: number }>`select number from ${sql(`${prefix}_orders`)} order by number`
        assert.deepStrictEqual(rows.map(({ number }) => number), numbers)
        const ended = (yield* TestScheduler.events).flatMap((event) =>
          event._tag === "RunEnded" ? [[event.run.state, event.run.attempt]] : []
        )
        assert.deepStrictEqual(ended, numbers.map(() => ["succeeded", 2]))
      }).pipe(Effect.provide(
        TestScheduler.layer(Handler.pipe(Layer.provideMerge(Client)), {
          store: SqlTaskStore.layer({ prefix }).pipe(Layer.provide(Client)),
          patience: 30_000
        }),
        { local: true }
      ))
    }, 60_000)
  })
})
