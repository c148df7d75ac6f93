/**
 * The suite on a pretended MongoDB: there what fibers do at once is interleaved on purpose.
 */
import * as DumpLaws from "@punctual/testing/DumpLaws"
import * as TaskStoreSuite from "@punctual/testing/TaskStoreSuite"
import * as Layer from "effect/Layer"
import { TaskStore } from "punctual/TaskStore"
import { makeOver } from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"

const pretended = Layer.suspend(() =>
  Layer.effect(TaskStore, makeOver(new Pretended().database, { name: "pretended" }))
)

TaskStoreSuite.suite("pretended mongodb", pretended, {
  capabilities: { durable: true, shared: true, notifies: true, concurrencyKeys: false }
})

TaskStoreSuite.model("pretended mongodb", pretended)

DumpLaws.suite("pretended mongodb", pretended, { runs: 20 })
