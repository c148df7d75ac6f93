/**
 * On MySQL: a table of jobs, written by hand.
 */
import type { RowDataPacket } from "mysql2/promise"
import type { Contender } from "./queue.ts"

/** As on Postgres, except that what is claimed must be read before it is updated. */
export const claimAndDelete: Contender = {
  place: "mysql",
  setup: "batches of 500; rows are read and locked first, since an update answers none",
  role: "limit",
  kinds: ["one-off"],
  timed: false,
  open: async (url, name) => {
    const { createConnection } = await import("mysql2/promise")
    const db = await createConnection(url)
    await db.query(
      `create table if not exists ${name} (id bigint primary key auto_increment, due bigint not null, payload text not null, owner varchar(32), key (owner, due))`
    )
    // as Punctual's own: no locks on gaps between rows
    await db.query("set session transaction isolation level read committed")
    const claim = async () => {
      await db.beginTransaction()
      const [rows] = await db.query<Array<RowDataPacket & { readonly id: number; readonly payload: string }>>(
        `select id, payload from ${name} where owner is null and due <= 1 order by due limit 500 for update skip locked`
      )
      if (rows.length > 0) await db.query(`update ${name} set owner = 'me' where id in (?)`, [rows.map(({ id }) => id)])
      await db.commit()
      return rows
    }
    /** Several workers may deadlock over an index: MySQL says which of them shall try again. */
    const untilNoDeadlock = async <A>(f: () => Promise<A>): Promise<A> => {
      while (true) {
        try {
          return await f()
        } catch (error) {
          if ((error as { readonly code?: unknown }).code !== "ER_LOCK_DEADLOCK") throw error
          await db.rollback()
        }
      }
    }
    return {
      add: (jobs) =>
        db.query(`insert into ${name} (due, payload) values ?`, [jobs.map(({ n }) => [0, JSON.stringify({ n })])]),
      work: async (f) => {
        while (true) {
          const rows = await untilNoDeadlock(claim)
          if (rows.length === 0) return
          for (const { payload } of rows) void f(JSON.parse(payload).n)
          await untilNoDeadlock(() => db.query(`delete from ${name} where id in (?)`, [rows.map(({ id }) => id)]))
        }
      },
      settled: async () => true,
      close: () => db.end()
    }
  }
}
