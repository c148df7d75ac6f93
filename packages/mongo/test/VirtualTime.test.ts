import * as VirtualTimeLaw from "@punctual/testing/VirtualTimeLaw"
import * as Layer from "effect/Layer"
import { TaskStore } from "punctual/TaskStore"
import { makeOver } from "../src/MongoTaskStore.ts"
import { Pretended } from "./internal/pretended.ts"
import { onServer, storeOn } from "./internal/server.ts"

VirtualTimeLaw.suite(
  "pretended mongodb",
  Layer.suspend(() => Layer.effect(TaskStore, makeOver(new Pretended().database, { name: "pretended" })))
)

await onServer((server) => {
  VirtualTimeLaw.suite("mongodb", storeOn(server), server.ferret ? { tasks: 4, timeout: 120_000 } : undefined)
})
