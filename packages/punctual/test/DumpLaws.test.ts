import * as DumpLaws from "@punctual/testing/DumpLaws"
import * as MemoryTaskStore from "../src/MemoryTaskStore.ts"

DumpLaws.suite("memory", MemoryTaskStore.layer, { runs: 200 })
