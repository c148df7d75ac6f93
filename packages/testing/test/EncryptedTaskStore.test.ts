import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as EncryptedTaskStore from "punctual/EncryptedTaskStore"
import * as MemoryTaskStore from "punctual/MemoryTaskStore"
import * as TaskStoreSuite from "../src/TaskStoreSuite.ts"

const layer = EncryptedTaskStore.layer({
  current: "2026-11",
  keys: { "2026-11": Redacted.make(new Uint8Array(32).fill(7)) }
}).pipe(Layer.provide(MemoryTaskStore.layer))

TaskStoreSuite.suite("memory, encrypted", layer, { capabilities: MemoryTaskStore.capabilities, broadcasts: true })

TaskStoreSuite.model("memory, encrypted", layer, { runs: 20 })
