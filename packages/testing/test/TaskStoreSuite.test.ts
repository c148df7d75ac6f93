import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as TaskStoreSuite from "../src/TaskStoreSuite.ts"

TaskStoreSuite.suite("memory", MemoryTaskStore.layer, { capabilities: MemoryTaskStore.capabilities, broadcasts: true })
