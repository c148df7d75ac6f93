import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as TaskStoreBulk from "../src/TaskStoreBulk.ts"

TaskStoreBulk.suite("memory", MemoryTaskStore.layer)
