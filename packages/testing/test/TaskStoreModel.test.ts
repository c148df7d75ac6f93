import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as TaskStoreSuite from "../src/TaskStoreSuite.ts"

TaskStoreSuite.model("memory", MemoryTaskStore.layer, { runs: 300, commands: 80 })
