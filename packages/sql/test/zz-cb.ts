import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import * as Client from "/work/main/packages/sql/src/SqliteClient.ts"
import { DatabaseSync } from "node:sqlite"
import { rmSync } from "node:fs"
for (const s of ["","-wal","-shm"]) rmSync("/tmp/cb.db"+s,{force:true})
const time = (name: string, n: number, eff: Effect.Effect<any, any, any>) => Effect.gen(function*() { yield* Effect.ignore(eff as any); const t = performance.now(); yield* eff; const ms=performance.now()-t; console.log(name.padEnd(44), (ms/n*1000).toFixed(2)+" us/stmt", (n / ms * 1000).toFixed(0) + "/s") })
const N=20000
const prog = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`create table b(id integer primary key, k text, n int)`
  const rep=(e: Effect.Effect<any,any>)=>Effect.gen(function*(){for(let i=0;i<N;i++) yield* e})
  yield* time("insert one tx (template)", N, sql.withTransaction(Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql`insert into b(k,n) values(${"k" + i},${i})`})))
  yield* time("select pk template", N, Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql`select * from b where id=${i}`}))
  yield* time("select pk values", N, Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql`select * from b where id=${i}`.values}))
  yield* time("select pk unsafe values", N, Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql.unsafe("select * from b where id=?",[i]).values}))
  yield* time("select pk unsafe values untraced", N, Effect.withTracerEnabled(Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql.unsafe("select * from b where id=?",[i]).values}),false))
  yield* time("in tx: select pk unsafe values untraced", N, sql.withTransaction(Effect.withTracerEnabled(Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql.unsafe("select * from b where id=?",[i]).values}),false)))
  yield* time("empty transaction", N, Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql.withTransaction(Effect.void)}))
  yield* time("autocommit insert", N, Effect.gen(function*(){for(let i=0;i<N;i++) yield* sql`insert into b(k,n) values(${"k" + i},${i})`}))
})
await Effect.runPromise(prog.pipe(Effect.provide(Client.layer({filename:"/tmp/cb.db"}))) as any)
const db=new DatabaseSync("/tmp/cb.db"); db.exec("pragma synchronous=normal")
const raw=(n:string,f:()=>void)=>{f();const t=performance.now();f();console.log("raw "+n.padEnd(40),((performance.now()-t)/N*1000).toFixed(2)+" us/stmt")}
const s=db.prepare("select * from b where id=?"), i1=db.prepare("insert into b(k,n) values(?,?)")
raw("select",()=>{for(let i=0;i<N;i++)s.all(i)})
raw("insert one tx",()=>{db.exec("begin");for(let i=0;i<N;i++)i1.run("k"+i,i);db.exec("commit")})
raw("empty tx",()=>{const b=db.prepare("begin immediate"),c=db.prepare("commit");for(let i=0;i<N;i++){b.run();c.run()}})
raw("autocommit",()=>{for(let i=0;i<N;i++)i1.run("k"+i,i)})
