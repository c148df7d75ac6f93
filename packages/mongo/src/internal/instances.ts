/**
 * Schedulers, as they tell of themselves.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { TaskStore } from "punctual/TaskStore"
import type { BulkWrite } from "./collections.ts"
import { chunks, type Writes } from "./writes.ts"

export type Instances = Pick<TaskStore["Service"], "beat" | "instances" | "leave">

export const makeInstances = (db: Writes): Instances => ({
  beat: ({ id, ...instance }) =>
    db.read("beat", Effect.andThen(db.checkWriter("beat"), db.instances.replace({ _id: id, ...instance }))),

  instances: ({ limit }) =>
    limit <= 0 ? Effect.succeed([]) : db.read(
      "instances",
      Effect.map(
        db.instances.find({}, { sort: { until: -1 }, limit }),
        (docs) => docs.map(({ _id, ...instance }) => ({ id: _id, ...instance }))
      )
    ),

  leave: (ids) =>
    ids.length === 0 ? Effect.void : db.read(
      "leave",
      Effect.andThen(
        db.checkWriter("leave"),
        Effect.forEach(chunks(ids), (some) => {
          const removal: BulkWrite = { filter: { _id: { $in: some } }, remove: "many" }
          return db.instances.bulk([removal])
        }, { discard: true })
      )
    )
})
