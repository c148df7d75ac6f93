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
      `create table ${name} (id bigint primary key auto_increment, due bigint not null, payload text not null, owner varchar(32), key (owner, due))`
    )
    return {
      add: (jobs) =>
        db.query(`insert into ${name} (due, payload) values ?`, [jobs.map(({ n }) => [0, JSON.stringify({ n })])]),
      work: async (f) => {
        while (true) {
          await db.beginTransaction()
          const [rows] = await db.query<Array<RowDataPacket & { readonly id: number; readonly payload: string }>>(
            `select id, payload from ${name} where owner is null and due <= 1 order by due limit 500 for update skip locked`
          )
          const ids = rows.map(({ id }) => id)
          if (ids.length > 0) await db.query(`update ${name} set owner = 'me' where id in (?)`, [ids])
          await db.commit()
          if (ids.length === 0) return
          for (const { payload } of rows) void f(JSON.parse(payload).n)
          await db.query(`delete from ${name} where id in (?)`, [ids])
        }
      },
      settled: async () => true,
      close: () => db.end()
    }
  }
}
