/**
 * Collections and indexes, and who may write to them.
 *
 * | collection | |
 * |---|---|
 * | `<prefix>_tasks` | a document an id; see `documents.ts` |
 * | `<prefix>_history` | a document an ended run |
 * | `<prefix>_instances` | a document a scheduler |
 * | `<prefix>_meta` | `schema`: version and minimum writer; `token`, `generation`: the last numbers given; `signal`: see `wakes.ts` |
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { InstanceRow } from "punctual/TaskRecord"
import type { Collection, Database, DatabaseError, Index } from "./collections.ts"
import type { HistoryDocument, TaskDocument } from "./documents.ts"
import { schemaVersion } from "./documents.ts"

/** What the signal says: see `wakes.ts`. */
export interface SignalFields {
  readonly n?: number
  readonly by?: string
  readonly due?: number | null
  readonly ready?: boolean
  readonly cancel?: boolean
}

export interface MetaDocument extends SignalFields {
  readonly _id: string
  readonly version?: number
  readonly minimumWriter?: number
}

/** A scheduler by its id. */
export interface InstanceDocument extends Omit<InstanceRow, "id"> {
  readonly _id: string
}

export interface Collections {
  readonly tasks: Collection<TaskDocument>
  readonly history: Collection<HistoryDocument>
  readonly instances: Collection<InstanceDocument>
  readonly meta: Collection<MetaDocument>
}

/** Versions of a database. */
export interface Versions {
  readonly version: number
  readonly minimumWriter: number
}

export const metaName = (prefix: string): string => `${prefix}_meta`

export const collections = (database: Database, prefix: string): Collections => ({
  tasks: database.collection(`${prefix}_tasks`),
  history: database.collection(`${prefix}_history`),
  instances: database.collection(`${prefix}_instances`),
  meta: database.collection(metaName(prefix))
})

/**
 * Each is sparse where its fields are absent from most documents, so that it holds what it is asked for and nothing else.
 *
 * @internal
 */
export const taskIndexes: ReadonlyArray<Index> = [
  { name: "generations", key: { generations: 1 } },
  { name: "due", key: { due: 1, "task.generation": 1, zone: 1 } },
  { name: "zone", key: { zone: 1, due: 1 }, sparse: true },
  {
    name: "claim",
    key: {
      "ready.executor": 1,
      "ready.tag": 1,
      "ready.rank": 1,
      "ready.due": 1,
      "ready.at": 1,
      "ready.version": 1
    },
    sparse: true
  },
  {
    name: "later",
    key: { "ready.executor": 1, "ready.tag": 1, "ready.at": 1, "ready.version": 1 },
    sparse: true
  },
  { name: "late", key: { "late.executor": 1, "late.tag": 1, "late.at": 1 }, sparse: true },
  { name: "lease", key: { lease: 1 }, sparse: true },
  { name: "open", key: { "open.last": -1, "open.generation": -1 }, sparse: true },
  { name: "open_tags", key: { "open.tags": 1, "open.last": -1, "open.generation": -1 }, sparse: true },
  { name: "blind", key: { blind: 1 }, sparse: true },
  { name: "unfiled", key: { unfiled: 1 }, sparse: true },
  { name: "labels", key: { labels: 1, _id: 1 } },
  { name: "created", key: { "task.createdAt": 1, "task.generation": 1 }, sparse: true },
  { name: "tag", key: { "task.tag": 1, _id: 1 } },
  { name: "tag_due", key: { "task.tag": 1, due: 1, "task.generation": 1 } },
  { name: "state", key: { "task.state": 1, _id: 1 } },
  { name: "state_due", key: { "task.state": 1, due: 1, "task.generation": 1 } },
  { name: "owner", key: { "task.owner": 1, _id: 1 } },
  { name: "startup", key: { "task.onStartup": 1, _id: 1 } },
  { name: "shutdown", key: { "task.onShutdown": 1, _id: 1 } }
]

/** @internal */
export const historyIndexes: ReadonlyArray<Index> = [
  { name: "number", key: { generation: 1, number: 1 } },
  { name: "ended", key: { endedAt: 1 } },
  { name: "due", key: { due: -1, generation: -1, number: -1 } },
  { name: "task", key: { taskId: 1, due: -1, generation: -1, number: -1 } },
  { name: "tag", key: { tag: 1, due: -1, generation: -1, number: -1 } }
]

/** @internal */
export const instanceIndexes: ReadonlyArray<Index> = [{ name: "until", key: { until: -1 } }]

/**
 * Creates what does not exist, whoever else does the same; answers the versions that stand. A later version's steps go
 * here, each from the version before it, the number last.
 */
export const migrate = ({ history, instances, meta, tasks }: Collections): Effect.Effect<Versions, DatabaseError> =>
  Effect.gen(function*() {
    const found = yield* versions({ meta })
    if (found.version > schemaVersion) return found
    yield* tasks.createIndexes(taskIndexes)
    yield* history.createIndexes(historyIndexes)
    yield* instances.createIndexes(instanceIndexes)
    yield* meta.insert([{ _id: "schema", version: schemaVersion, minimumWriter: schemaVersion }])
    return yield* versions({ meta })
  })

export const versions = ({ meta }: Pick<Collections, "meta">): Effect.Effect<Versions, DatabaseError> =>
  Effect.map(
    meta.find({ _id: "schema" }),
    ([schema]) => ({ version: schema?.version ?? 0, minimumWriter: schema?.minimumWriter ?? 0 })
  )
