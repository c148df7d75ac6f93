/**
 * What is imported, and programs of one task that is due at once, as JavaScript that has no types to be taken out.
 */
import type { Place } from "../places.ts"

/** Two modules are imported one after the other. */
export interface Import {
  readonly modules: ReadonlyArray<string>
  /** Whether compiled code is kept from an earlier process. */
  readonly cached?: boolean
}

export const imports: Readonly<Record<string, Import>> = {
  "limit: nothing": { modules: ["data:text/javascript,"] },
  "effect": { modules: ["effect"] },
  "limit: effect/Schema and effect/Stream": { modules: ["effect/Schema", "effect/Stream"] },
  "punctual": { modules: ["punctual"] },
  "punctual, compile cache": { modules: ["punctual"], cached: true },
  "punctual/TaskScheduler": { modules: ["punctual/TaskScheduler"] },
  "punctual/Task": { modules: ["punctual/Task"] },
  "punctual/Trigger": { modules: ["punctual/Trigger"] },
  "@punctual/node": { modules: ["@punctual/node"] },
  "@punctual/node/FileTaskStore": { modules: ["@punctual/node/FileTaskStore"] },
  "@punctual/sql/sqlite": { modules: ["@punctual/sql/sqlite"] },
  "@punctual/sql/postgres": { modules: ["@punctual/sql/postgres"] },
  "@punctual/sql/mysql": { modules: ["@punctual/sql/mysql"] },
  "@punctual/redis/NodeRedisTaskStore": { modules: ["@punctual/redis/NodeRedisTaskStore"] },
  "@punctual/mongo": { modules: ["@punctual/mongo"] },
  "croner": { modules: ["croner"] },
  "cron-parser": { modules: ["cron-parser"] },
  "cron": { modules: ["cron"] },
  "node-schedule": { modules: ["node-schedule"] },
  "toad-scheduler": { modules: ["toad-scheduler"] },
  "bullmq": { modules: ["bullmq"] },
  "pg-boss": { modules: ["pg-boss"] },
  "graphile-worker": { modules: ["graphile-worker"] }
}

/** Tells how long its arguments took to be imported, in milliseconds by the clock and of all threads. */
export const importing = `
const [cpu, begin] = [process.cpuUsage(), performance.now()]
for (const module of process.argv.slice(2)) await import(module)
const took = performance.now() - begin
const { system, user } = process.cpuUsage(cpu)
console.log(JSON.stringify({ took, cpu: (user + system) / 1_000 }))
`

export interface Program {
  readonly place: Place
  /** Calls `first()` when its task runs; `where` and `name` are its arguments. */
  readonly text: string
}

const punctual = (store: string, layer: string): string => `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Task from "punctual/Task"
import * as TaskScheduler from "punctual/TaskScheduler"
import * as Trigger from "punctual/Trigger"
import * as Store from "${store}"

const Work = Task.make("Work")
const App = Layer.mergeAll(
  Work.toLayer(() => Effect.sync(first)),
  Task.layerScheduled(Work, { id: "work", trigger: Trigger.now })
)
Effect.runFork(Layer.launch(TaskScheduler.layer(App).pipe(Layer.provide(${layer}))))
`

export const programs: Readonly<Record<string, Program>> = {
  "limit: setTimeout": { place: "memory", text: "setTimeout(first, 0)" },
  "punctual, memory": { place: "memory", text: punctual("punctual/MemoryTaskStore", "Store.layer") },
  "punctual, SQLite": {
    place: "file",
    text: punctual("@punctual/sql/SqliteTaskStore", "Store.layer({ filename: `${where}/${name}.db` })")
  },
  "punctual, file store": {
    place: "file",
    text: punctual("@punctual/node/FileTaskStore", "Store.layer({ directory: `${where}/${name}` })")
  },
  "punctual, Postgres": {
    place: "postgres",
    text: punctual("@punctual/sql/PostgresTaskStore", "Store.layer({ url: where, prefix: name })")
  },
  "punctual, Redis": {
    place: "redis",
    text: punctual("@punctual/redis/NodeRedisTaskStore", "Store.layer({ url: where, prefix: name })")
  },
  "punctual, MySQL": {
    place: "mysql",
    text: punctual("@punctual/sql/MysqlTaskStore", "Store.layer({ url: where, prefix: name })")
  },
  "croner": { place: "memory", text: `import { Cron } from "croner"\nvoid new Cron("0 0 1 1 *", first).trigger()` },
  "cron": {
    place: "memory",
    text: `import { CronJob } from "cron"
CronJob.from({ cronTime: "0 0 1 1 *", onTick: first, start: true, runOnInit: true })`
  },
  "node-schedule": {
    place: "memory",
    text: `import schedule from "node-schedule"\nschedule.scheduleJob("0 0 1 1 *", first).invoke()`
  },
  "toad-scheduler": {
    place: "memory",
    text: `import { SimpleIntervalJob, Task, ToadScheduler } from "toad-scheduler"
new ToadScheduler().addSimpleIntervalJob(new SimpleIntervalJob({ days: 1, runImmediately: true }, new Task("work", first)))`
  },
  "BullMQ": {
    place: "redis",
    text: `import { Queue, Worker } from "bullmq"
const { hostname, port } = new URL(where)
const connection = { host: hostname, port: Number(port), maxRetriesPerRequest: null }
new Worker(name, async () => first(), { connection })
await new Queue(name, { connection }).add("work", {})`
  },
  "pg-boss": {
    place: "postgres",
    text: `import { PgBoss } from "pg-boss"
const boss = new PgBoss({ connectionString: where, schema: name })
await boss.start()
await boss.createQueue("work")
await boss.send("work", {})
await boss.work("work", async () => first())`
  },
  "graphile-worker": {
    place: "postgres",
    text: `import { Logger, run } from "graphile-worker"
const runner = await run({
  connectionString: where,
  schema: name,
  logger: new Logger(() => () => {}),
  taskList: { work: () => first() }
})
await runner.addJob("work", {})`
  }
}

/** The same for all: the instant of the first run, and the CPU of the process until then, in milliseconds. */
export const beginning = `import { writeSync } from "node:fs"
const [where, name] = process.argv.slice(2)
const first = () => {
  const at = performance.timeOrigin + performance.now()
  const { system, user } = process.cpuUsage()
  writeSync(1, JSON.stringify({ at, cpu: (user + system) / 1_000 }) + "\\n")
  process.exit(0)
}
`
