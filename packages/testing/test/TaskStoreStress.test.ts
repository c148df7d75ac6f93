import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as TaskStoreStress from "../src/TaskStoreStress.ts"

TaskStoreStress.suite("memory", MemoryTaskStore.layer)
