import * as LockSuite from "@punctual/testing/LockSuite"
import * as Lock from "../src/Lock.ts"

LockSuite.suite("local", Lock.layerLocal(), {
  capabilities: { spans: "program", fair: true, fenced: true, leased: false }
})
