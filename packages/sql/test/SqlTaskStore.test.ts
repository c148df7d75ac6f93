import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { existsSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import type { Settlement, Wake } from "punctual/TaskStore"
import { TaskStore } from "punctual/TaskStore"
import { schemaVersion } from "../src/internal/schema.ts"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqliteTaskStore from "../src/SqliteTaskStore.ts"
import * as SqlTaskStore from "../src/SqlTaskStore.ts"
import { databaseFile } from "./internal/files.ts"
import { start } from "./internal/processes.ts"
import { change, epoch, lease, newRun, newTask, slot } from "./internal/tasks.ts"

const store = (options: SqliteTaskStore.Options) =>
  Effect.map(Layer.build(Layer.fresh(SqliteTaskStore.layer(options))), (context) => Context.get(context, TaskStore))

/** A store on the program's own client, with that client. */
const shared = (filename: string, options?: SqlTaskStore.Options) =>
  Effect.map(
    Layer.build(Layer.fresh(
      SqlTaskStore.layer(options).pipe(Layer.provideMerge(SqliteClient.layer({ filename })))
    )),
    (context) => ({ store: Context.get(context, TaskStore), sql: Context.get(context, SqlClient.SqlClient) })
  )

/** What somebody does to the file behind the store's back. */
const meddle = (filename: string, ...statements: ReadonlyArray<string>) =>
  Effect.sync(() => {
    const db = new DatabaseSync(filename)
    for (const statement of statements) db.exec(statement)
    db.close()
  })

const ask = (filename: string, query: string) =>
  Effect.sync(() => {
    const db = new DatabaseSync(filename, { readOnly: true })
    const rows = db.prepare(query).all().map((row) => ({ ...row }))
    db.close()
    return rows
  })

const listening = (store: TaskStore["Service"]) =>
  Effect.gen(function*() {
    const wakes: Array<Wake> = []
    const first = yield* Deferred.make<Wake>()
    yield* store.listen((wake) => {
      wakes.push(wake)
      Deferred.doneUnsafe(first, Effect.succeed(wake))
    })
    return { wakes, first: Deferred.await(first) }
  })

describe("SqlTaskStore", () => {
  describe("migrations of a deployment", () => {
    it.effect("are made once, told, and not by a program that must not", () =>
      Effect.gen(function*() {
        const client = yield* Layer.build(SqliteClient.layer({ filename: yield* databaseFile }))
        const open = Layer.build(Layer.fresh(SqlTaskStore.layer({ migrate: false })))
        yield* Effect.gen(function*() {
          assert.deepInclude(yield* SqlTaskStore.status(), { version: 0, latest: schemaVersion, applied: [] })
          const refused = yield* Effect.flip(open)
          assert.strictEqual(refused.reason, "Invalid")
          assert.match(refused.message, /has version 0, this program needs \d+.*run SqlTaskStore\.migrate first/)
          assert.strictEqual((yield* SqlTaskStore.status()).version, 0)
          yield* SqlTaskStore.migrate()
          yield* SqlTaskStore.migrate()
          const { applied, version } = yield* SqlTaskStore.status()
          assert.strictEqual(version, schemaVersion)
          assert.deepStrictEqual(applied.map((migration) => migration.version), [1, 2, 3])
          const store = Context.get(yield* open, TaskStore)
          assert.strictEqual((yield* store.insert([newTask("a")]))[0]!._tag, "Inserted")
        }).pipe(Effect.provideContext(client))
      }))
  })

  describe("transactions of the program", () => {
    it.effect("a task added in one is there after the commit, and wakes then", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared(yield* databaseFile)
        yield* sql`create table orders (id integer primary key)`
        const { wakes } = yield* listening(store)
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`insert into orders values (1)`
          const [inserted] = yield* store.insert([newTask("ship-1")])
          assert.strictEqual(inserted!._tag, "Inserted")
          assert.deepStrictEqual(wakes, [])
        }))
        assert.deepStrictEqual(wakes, [{ due: epoch, ready: false, cancel: false }])
        assert.strictEqual((yield* store.get(["ship-1"])).length, 1)
      }))

    it.effect("a task added in one that rolls back never was, and wakes nobody", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared(yield* databaseFile)
        const { wakes } = yield* listening(store)
        yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* store.insert([newTask("ship-1", { runs: [newRun("x:1")] })])
          assert.strictEqual((yield* store.get(["ship-1"])).length, 1)
          return yield* Effect.fail("no")
        })))
        assert.deepStrictEqual(yield* store.get(["ship-1"]), [])
        assert.deepStrictEqual(wakes, [])
        // a savepoint that rolls back takes only its own
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* store.insert([newTask("kept")])
          yield* Effect.ignore(
            sql.withTransaction(Effect.andThen(store.insert([newTask("undone")]), Effect.fail("no")))
          )
        }))
        assert.deepStrictEqual((yield* store.get(["kept", "undone"])).map(({ row }) => row.id), ["kept"])
        assert.strictEqual(wakes.length, 1)
      }))

    it.effect("a command inside a transaction of another client is refused", () =>
      Effect.gen(function*() {
        const own = yield* store({ filename: yield* databaseFile })
        const { sql, store: joined } = yield* shared(yield* databaseFile)
        yield* sql.withTransaction(Effect.gen(function*() {
          const error = yield* Effect.flip(own.insert([newTask("a")]))
          assert.strictEqual(error.reason, "TransactionNotShared")
          assert.match(error.message, /SqlTaskStore\.layer/)
          yield* joined.insert([newTask("a")])
        }))
        yield* own.insert([newTask("a")])
      }))

    it.effect("two stores of one database keep apart by prefix", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const first = yield* store({ filename: file })
        const second = yield* store({ filename: file, prefix: "second" })
        yield* first.insert([newTask("a")])
        assert.deepStrictEqual(yield* second.get(["a"]), [])
        const error = yield* Effect.flip(store({ filename: file, prefix: "no; drop table" }))
        assert.match(error.message, /prefix|names of tables/)
      }))
  })

  describe("migrations", () => {
    it.live("processes that start together migrate once", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const programs = yield* Effect.forEach([1, 2, 3, 4], () => start("opener", file), { concurrency: "unbounded" })
        for (const program of programs) assert.strictEqual(yield* program.heard, "waiting")
        for (const program of programs) program.send("go")
        for (const program of programs) assert.strictEqual(yield* program.heard, "ok, ok, ok")
        assert.deepStrictEqual(yield* ask(file, "select version, name from punctual_migration"), [
          { version: 1, name: "tables" },
          { version: 2, name: "instances" },
          { version: 3, name: "concurrency keys" }
        ])
      }), 60_000)

    it.effect("stores that find an empty database at the same time, and then wait for each other, migrate once", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const other = new DatabaseSync(file)
        other.exec("pragma journal_mode = wal")
        other.exec("begin immediate")
        const opening = yield* Effect.forEach(
          [1, 2, 3],
          () => Effect.forkChild(store({ filename: file }), { startImmediately: true })
        )
        // each has seen that there is no schema, and none can make one
        for (const fiber of opening) assert.isUndefined(fiber.pollUnsafe())
        other.exec("rollback")
        other.close()
        yield* Effect.forEach(opening, Fiber.join, { discard: true })
        assert.deepStrictEqual(yield* ask(file, "select version from punctual_migration"), [
          { version: 1 },
          { version: 2 },
          { version: 3 }
        ])
      }))

    it.effect("a database that a newer program has changed is refused, with both versions", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        yield* Effect.scoped(store({ filename: file }))
        yield* meddle(file, "update punctual_meta set version = 9, minimum_writer = 7")
        const error = yield* Effect.flip(Effect.scoped(store({ filename: file })))
        assert.strictEqual(error.reason, "NewerSchema")
        assert.match(error.message, /schema version 9\b.*version 7 or later.*knows version 3\b/)
        assert.isFalse(error.retryable)
      }))

    it.effect("one that a newer program has only added to is written as before", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        yield* Effect.scoped(store({ filename: file }))
        yield* meddle(file, "alter table punctual_task add column added text", "update punctual_meta set version = 4")
        const older = yield* store({ filename: file })
        yield* older.insert([newTask("a")])
        assert.strictEqual((yield* older.get(["a"])).length, 1)
        assert.deepStrictEqual(yield* ask(file, "select version from punctual_meta"), [{ version: 4 }])
      }))

    it.effect("I13: every write of an older program is refused once a newer one has migrated, and loses nothing", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const older = yield* store({ filename: file })
        const [inserted] = yield* older.insert([newTask("a", { runs: [newRun("x:1"), newRun("x:2")] })])
        const { runs } = yield* older.claim({ now: epoch, lease: lease("me"), slots: [slot], limit: 1, reader: "me" })
        const ref = { generation: inserted!.row.generation, key: runs[0]!.run.key, token: runs[0]!.run.token ?? 0 }
        yield* meddle(
          file,
          `update punctual_meta set version = ${schemaVersion + 1}, minimum_writer = ${schemaVersion + 1}`
        )
        const before = yield* ask(file, "select * from punctual_clock, punctual_run, punctual_meta")
        const instance = {
          id: "me#1",
          name: "me",
          host: null,
          pid: null,
          version: "1",
          handles: "{}",
          startedAt: epoch,
          seenAt: epoch,
          until: epoch
        }
        const writes: Record<string, Effect.Effect<unknown, { readonly reason: string }>> = {
          insert: older.insert([newTask("b")]),
          commit: older.commit([change(inserted!.row)]),
          claim: older.claim({ now: epoch, lease: lease("me"), slots: [slot], limit: 1, reader: "me" }),
          start: older.start({ now: epoch, owner: "me", runs: [ref] }),
          settle: older.settle([{ ...ref, owner: "me", now: epoch, result: { _tag: "Release" } }], { keep: 1 }),
          heartbeat: older.heartbeat({ now: epoch, lease: lease("me", epoch + 1), runs: [ref] }),
          takeover: older.takeover({ now: epoch + 1e9, limit: 9, maxTakeovers: 3, keep: 1 }),
          prune: older.prune({ before: epoch, limit: 1 }),
          quarantine: older.quarantine([{ ...inserted!.row, reader: "me", reason: "no", at: epoch }]),
          clear: older.clear([inserted!.row.generation]),
          beat: older.beat(instance),
          leave: older.leave([instance.id])
        }
        for (const [name, write] of Object.entries(writes)) {
          assert.strictEqual((yield* Effect.flip(write)).reason, "NewerSchema", name)
        }
        assert.deepStrictEqual(yield* ask(file, "select * from punctual_clock, punctual_run, punctual_meta"), before)
        // reading goes on, so that what is there can still be looked at
        assert.strictEqual((yield* older.get(["a"])).length, 1)
      }))
  })

  describe("several processes", () => {
    it.live("what one adds wakes the other", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const here = yield* store({ filename: file, pollInterval: "20 millis" })
        const { first, wakes } = yield* listening(here)
        const other = yield* start("adder", file)
        assert.strictEqual(yield* other.heard, "open")
        assert.deepStrictEqual(wakes.filter(({ due }) => due !== null), [])
        other.send("theirs")
        const wake = yield* first
        assert.deepStrictEqual(wake, { due: epoch, ready: true, cancel: true })
        assert.strictEqual((yield* here.get(["theirs"])).length, 1)
      }), 30_000)

    it.live(
      "ten that start at the same instant on a file that is not there migrate once and add each task once",
      () =>
        Effect.gen(function*() {
          const file = yield* databaseFile
          const processes = yield* Effect.forEach(Array.from({ length: 10 }), () => start("deployed", file), {
            concurrency: "unbounded"
          })
          for (const process of processes) assert.strictEqual(yield* process.heard, "waiting")
          for (const process of processes) process.send("go")
          const added = yield* Effect.forEach(processes, ({ heard }) => heard)
          assert.deepStrictEqual(added.filter((said) => Number.isNaN(Number(said))), [])
          assert.strictEqual(added.reduce((sum, said) => sum + Number(said), 0), 50)
          const [applied] = yield* ask(
            file,
            "select count(*) as count, max(version) as version from punctual_migration"
          )
          assert.deepStrictEqual({ ...applied }, { count: schemaVersion, version: schemaVersion })
          const here = yield* store({ filename: file })
          assert.strictEqual((yield* here.runs({ limit: 1000 })).items.length, 50)
        }),
      60_000
    )

    it.live(
      "a process that is killed in the middle of its writes leaves every transaction whole",
      () =>
        Effect.gen(function*() {
          const file = yield* databaseFile
          for (let incarnation = 0; incarnation < 4; incarnation++) {
            const writer = yield* start("writer", file, String(incarnation))
            assert.strictEqual(yield* writer.heard, "writing")
            for (let rounds = 0; rounds < 3 + 7 * incarnation; rounds++) {
              assert.strictEqual(yield* writer.heard, "round")
            }
            yield* writer.kill
            assert.deepStrictEqual(yield* ask(file, "pragma integrity_check"), [{ integrity_check: "ok" }])
            // every run that was counted is open or in history
            assert.deepStrictEqual(
              yield* ask(
                file,
                `select c.id, c.ran, (select count(*) from punctual_run r where r.n = c.n) as open,
(select count(*) from punctual_history h where h.n = c.n) as ended from punctual_clock c where c.ran <> open + ended`
              ),
              []
            )
            const { ran } = (yield* ask(file, "select sum(ran) as ran from punctual_clock"))[0]!
            assert.isAbove(Number(ran), 20)
          }
          // what the dead owned is taken over
          const here = yield* store({ filename: file })
          const open = yield* ask(file, "select count(*) as n from punctual_run")
          const taken = yield* here.takeover({ now: epoch + 1e9, limit: 1000, maxTakeovers: 3, keep: 1_000_000 })
          assert.strictEqual(taken.runs.length, Number(open[0]!.n))
        }),
      60_000
    )

    it.live("one that only listens has nothing to stay for", () =>
      Effect.gen(function*() {
        const listener = yield* start("listener", yield* databaseFile)
        assert.strictEqual(yield* listener.heard, "listening")
        yield* listener.gone
      }), 30_000)

    it.effect("closing the layer closes the file, and says so to whoever asks later", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const closed = yield* Effect.scoped(Effect.tap(store({ filename: file }), (store) =>
          Effect.scoped(Effect.andThen(store.listen(() => {}), store.insert([newTask("a")])))))
        assert.isTrue(existsSync(file))
        assert.isFalse(existsSync(`${file}-wal`))
        assert.strictEqual((yield* Effect.flip(closed.get(["a"]))).reason, "Closed")
      }))
  })

  describe("what can be wrong with a file", () => {
    it.effect("a file that is no database is Corrupt", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        writeFileSync(file, "This is a letter to my grandmother. ".repeat(100))
        const error = yield* Effect.flip(Effect.scoped(store({ filename: file })))
        assert.strictEqual(error.reason, "Corrupt")
        assert.include(error.message, file)
        assert.match(error.message, /not a SQLite database/)
        assert.match(readFileSync(file, "utf8"), /grandmother/)
      }))

    it.effect("a damaged file is Corrupt", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        yield* Effect.scoped(Effect.flatMap(store({ filename: file }), (store) =>
          store.insert(Array.from({ length: 500 }, (_, i) =>
            newTask(`task-${i}`)))))
        const fd = openSync(file, "r+")
        const noise = new Uint8Array(4096).fill(0xa5)
        for (let at = 4096 * 24; at + 4096 <= statSync(file).size; at += 4096) {
          writeSync(fd, noise, 0, 4096, at)
        }
        const damaged = yield* store({ filename: file })
        const error = yield* Effect.flip(damaged.list({ sort: "id", descending: false, limit: 500 }))
        assert.strictEqual(error.reason, "Corrupt")
        assert.match(error.message, /damaged|malformed/)
      }))

    it.effect("a full disk is Full, changes nothing, and is over when there is space again", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared(yield* databaseFile)
        const pages = (yield* sql`pragma page_count`.values)[0]?.[0]
        yield* sql`pragma max_page_count = ${sql.literal(String(Number(pages) + 5))}`
        const batch = (name: string) => Array.from({ length: 100 }, (_, i) => newTask(`${name}-${i}`))
        const error = yield* Effect.flip(Effect.forEach(["a", "b", "c"], (name) => store.insert(batch(name))))
        assert.strictEqual(error.reason, "Full")
        assert.match(error.message, /free space/)
        assert.isFalse(error.retryable)
        const { items } = yield* store.list({ sort: "id", descending: false, limit: 1000 })
        assert.strictEqual(items.length % 100, 0)
        yield* sql`pragma max_page_count = 1000000`
        yield* store.insert(batch("c"))
        assert.strictEqual((yield* store.get(["c-99"])).length, 1)
      }))

    it.effect("a read-only store reads, and refuses writes as ReadOnly", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        yield* Effect.scoped(Effect.flatMap(store({ filename: file }), (store) => store.insert([newTask("a")])))
        const reader = yield* store({ filename: file, readonly: true })
        assert.strictEqual((yield* reader.get(["a"])).length, 1)
        assert.strictEqual(
          (yield* reader.due({ now: epoch, limit: 10, reader: "me", zoneRules: "2026a" })).tasks.length,
          1
        )
        const error = yield* Effect.flip(reader.insert([newTask("b")]))
        assert.strictEqual(error.reason, "ReadOnly")
        assert.match(error.message, /writable/)
      }))

    it.effect("a directory that does not exist is Unavailable", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const error = yield* Effect.flip(Effect.scoped(store({ filename: `${file}/missing.db` })))
        assert.strictEqual(error.reason, "Unavailable")
        assert.match(error.message, /directory/)
      }))

    it.effect("another program that does not let go is Busy, which may be tried again", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const here = yield* store({ filename: file, busyTimeout: "20 millis" })
        const other = new DatabaseSync(file)
        other.exec("begin immediate")
        const error = yield* Effect.flip(here.insert([newTask("a")]))
        assert.strictEqual(error.reason, "Busy")
        assert.isTrue(error.retryable)
        other.close()
        yield* here.insert([newTask("a")])
      }))
  })

  // What statements over whole batches got wrong once, found by the model.
  describe("batches", () => {
    const memory = store({ filename: ":memory:" })

    it.effect("I4: claims of several changes of one task in a batch have tokens of their own", () =>
      Effect.gen(function*() {
        const here = yield* memory
        const [a, b] = (yield* here.insert([newTask("a"), newTask("b")])).map(({ row }) => row)
        const claiming = (row: typeof a, key: string, revision = row!.revision) =>
          change(row!, { revision, runs: [{ _tag: "Create", run: newRun(key), claim: lease("me") }] })
        const committed = yield* here.commit([claiming(a, "1"), claiming(a, "2", a!.revision + 1), claiming(b, "1")])
        const tokens = committed.flatMap((answer) =>
          answer._tag === "Committed" ? answer.claimed.map(({ token }) => token) : []
        )
        assert.strictEqual(new Set(tokens).size, 3)
      }))

    const running = (here: TaskStore["Service"], ...runs: ReadonlyArray<Partial<ReturnType<typeof newRun>>>) =>
      Effect.gen(function*() {
        yield* here.insert([newTask("a", { runs: runs.map((run, i) => newRun(`x:${i}`, { due: epoch + i, ...run })) })])
        const { runs: claimed } = yield* here.claim({
          now: epoch,
          lease: lease("me"),
          slots: [slot],
          limit: 10,
          reader: "me"
        })
        return claimed.map(({ run: { generation, key, token } }): Settlement => ({
          generation,
          key,
          token: token ?? 0,
          owner: "me",
          now: epoch,
          result: { _tag: "End", state: "succeeded", exit: null }
        }))
      })

    it.effect("I7: a run that queues promotes nothing while another of its batch has not ended yet", () =>
      Effect.gen(function*() {
        const here = yield* memory
        const ends = yield* running(here, { queues: true }, { queues: false }, { state: "waiting" })
        assert.deepStrictEqual(yield* here.settle(ends, { keep: 10 }), ["Settled", "Settled"])
        const { open } = (yield* here.get(["a"]))[0]!
        assert.deepStrictEqual(open.map(({ state }) => state), ["waiting"])
      }))

    it.effect("I7: each run of a batch that is taken over for good promotes one", () =>
      Effect.gen(function*() {
        const here = yield* memory
        const queued = { queues: true, slots: 2 }
        const waiting = { ...queued, state: "waiting" as const }
        yield* running(here, queued, queued, waiting, waiting, waiting)
        const [before] = yield* here.get(["a"])
        const { runs } = yield* here.takeover({ now: epoch + 60_000, limit: 10, maxTakeovers: 1, keep: 10 })
        assert.deepStrictEqual(runs.map(({ became }) => became), ["abandoned", "abandoned"])
        const { open, row } = (yield* here.get(["a"]))[0]!
        assert.deepStrictEqual(open.map(({ state }) => state), ["ready", "ready", "waiting"])
        assert.strictEqual(row.revision, before!.row.revision + 2)
      }))

    it.effect("I4, I8: a settlement repeated after its run was dropped from history in the same batch is stale", () =>
      Effect.gen(function*() {
        const here = yield* memory
        const [first, second] = yield* running(here, {}, {})
        yield* here.settle([first!], { keep: 1 })
        assert.deepStrictEqual(yield* here.settle([second!, first!], { keep: 1 }), ["Settled", "Stale"])
      }))

    it.effect("I2: of a key twice in an insertion the first one counts", () =>
      Effect.gen(function*() {
        const here = yield* memory
        yield* here.insert([
          newTask("a", { runs: [newRun("x:1")] }),
          newTask("b", { runs: [newRun("x:1", { state: "waiting" }), newRun("x:1")] })
        ])
        assert.deepStrictEqual((yield* here.get(["b"]))[0]!.open.map(({ state }) => state), ["waiting"])
      }))

    it.effect("I8: runs cancelled by a removal are history in order of due, whatever their keys", () =>
      Effect.gen(function*() {
        const here = yield* memory
        const [inserted] = yield* here.insert([
          newTask("a", {
            runs: ["-9", "-8", "-7"].map((key, i) => newRun(key, { due: epoch + i, state: "waiting" }))
          })
        ])
        yield* here.commit([
          change(inserted!.row, {
            runs: [{ _tag: "Create", run: newRun("last", { due: epoch + 9 }), claim: lease("me") }],
            set: "remove"
          })
        ])
        const { items } = yield* here.runs({ taskId: "a", limit: 10 })
        assert.deepStrictEqual(items.map(({ key }) => key), ["last", "-7", "-8", "-9"])
        const { generation, token } = items[0]!
        yield* here.settle([{
          generation,
          key: "last",
          token: token ?? 0,
          owner: "me",
          now: epoch,
          result: { _tag: "End", state: "succeeded", exit: null }
        }], { keep: 2 })
        assert.deepStrictEqual((yield* here.runs({ taskId: "a", limit: 10 })).items.map(({ key }) => key), [
          "last",
          "-7"
        ])
      }))
  })

  describe("rows that cannot be read", () => {
    it.effect("I9: one is set aside for its reader, and the others are due", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const here = yield* store({ filename: file })
        yield* here.insert([newTask("a"), newTask("odd"), newTask("z")])
        yield* meddle(file, "update punctual_clock set failures = 9007199254740993 where id = 'odd'")
        const due = (reader: string) =>
          Effect.map(here.due({ now: epoch, limit: 10, reader, zoneRules: "2026a" }), ({ tasks }) =>
            tasks.map(({ row }) => row.id))
        assert.deepStrictEqual(yield* due("me"), ["a", "z"])
        const verdicts = yield* here.verdicts({ limit: 10 })
        assert.deepStrictEqual(verdicts.map(({ id, reader }) => [id, reader]), [["odd", "me"]])
        assert.match(verdicts[0]!.reason, /failures.*9007199254740993/)
        // one that fills the batch is not in the way of the next
        assert.deepStrictEqual(
          (yield* here.due({ now: epoch, limit: 1, reader: "me", zoneRules: "2026a" })).tasks.map(({ row }) =>
            row.id
          ),
          ["a"]
        )
        assert.deepStrictEqual((yield* here.list({ sort: "id", descending: false, limit: 10 })).items.length, 2)
        // corrected and cleared, it is due again
        yield* meddle(file, "update punctual_clock set failures = 0")
        yield* here.clear(verdicts.map(({ generation }) => generation))
        assert.deepStrictEqual(yield* due("me"), ["a", "odd", "z"])
      }))

    it.effect("I9: a run of one is not claimed, the others are", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const here = yield* store({ filename: file })
        yield* here.insert(["a", "odd", "z"].map((id) => newTask(id, { runs: [newRun("x:1")] })))
        yield* meddle(file, "update punctual_run set slots = 9007199254740993 where task_id = 'odd'")
        const claim = here.claim({ now: epoch, lease: lease("me"), slots: [slot], limit: 10, reader: "me" })
        assert.deepStrictEqual((yield* claim).runs.map(({ task }) => task.id), ["a", "z"])
        assert.deepStrictEqual((yield* here.verdicts({ limit: 10 })).map(({ id }) => id), ["odd"])
        assert.deepStrictEqual((yield* claim).runs, [])
        const [odd] = yield* ask(file, "select state, token from punctual_run where task_id = 'odd'")
        assert.deepStrictEqual(odd, { state: "ready", token: null })
      }))

    it.effect("a text that is no JSON any more is copied as it is", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const here = yield* store({ filename: file })
        yield* here.insert([newTask("a", { labels: "{\"team\":\"x\"}" })])
        yield* meddle(file, "update punctual_task set payload = '{\"to', labels = 'labels?'")
        const { tasks } = yield* here.due({ now: epoch, limit: 10, reader: "me", zoneRules: "2026a" })
        assert.deepStrictEqual(tasks.map(({ row }) => [row.payload, row.labels]), [["{\"to", "labels?"]])
      }))

    it.effect("one whose lease has ended is not in the way of other takeovers", () =>
      Effect.gen(function*() {
        const file = yield* databaseFile
        const here = yield* store({ filename: file })
        yield* here.insert(["odd", "z"].map((id) => newTask(id, { runs: [newRun("x:1")] })))
        for (const until of [1, 2]) {
          yield* here.claim({ now: epoch, lease: lease("me", epoch + until), slots: [slot], limit: 1, reader: "me" })
        }
        yield* meddle(file, "update punctual_run set slots = 9007199254740993 where task_id = 'odd'")
        const takeover = here.takeover({ now: epoch + 10, limit: 1, maxTakeovers: 3, keep: 10 })
        assert.deepStrictEqual((yield* takeover).runs, [])
        assert.deepStrictEqual((yield* takeover).runs.map(({ run }) => run.taskId), ["z"])
      }))
  })
})
