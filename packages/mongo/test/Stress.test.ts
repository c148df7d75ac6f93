/**
 * Workers that fight over the tasks of one store: see `TaskStoreStress`.
 */
import * as TaskStoreStress from "@punctual/testing/TaskStoreStress"
import * as Layer from "effect/Layer"
import { TaskStore } from "punctual/TaskStore"
import { makeOver } from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"
import { onServer, storeOn } from "./internal/server.ts"

TaskStoreStress.suite(
  "pretended mongodb",
  Layer.suspend(() => Layer.effect(TaskStore, makeOver(new Pretended().database, { name: "pretended" })))
)

await onServer((server) => {
  TaskStoreStress.suite("mongodb", storeOn(server), server.ferret ? { turns: 40, timeout: 240_000 } : { workers: 8 })
})
