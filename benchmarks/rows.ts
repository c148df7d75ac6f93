/**
 * Tasks as a store takes them, for what is measured below a scheduler: as long as those that a scheduler adds.
 */
import { newTask } from "@punctual/testing/TaskStoreRecords"
import * as Schema from "effect/Schema"
import * as Policy from "punctual/Policy"
import type { NewTask } from "punctual/TaskStore"
import * as Trigger from "punctual/Trigger"

const everySecond = Schema.encodeSync(Schema.fromJsonString(Trigger.Trigger))(Trigger.every("1 second"))
const policy = Policy.encode(Policy.defaultPolicy)
const ranges = Policy.encodeRanges([])

/** Of `Work`, whose payload is `{ n }`. */
export const taskOf = (id: string, n: number, begin: number, due: number | null): NewTask =>
  newTask(id, begin, {
    payload: `{"n":${n}}`,
    display: `{"n":${n}}`,
    trigger: everySecond,
    policy,
    state: due === null ? "finished" : "scheduled",
    due,
    nominal: due,
    ranges
  })
