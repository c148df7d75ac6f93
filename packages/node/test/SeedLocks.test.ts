/**
 * The locks of the page this toolkit grew from: `lock_path="/tmp/asyncz_{pgrp}_{store}.lock"`, `file_lock.protected(False)`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { readdirSync } from "node:fs"
import { Lock } from "punctual/Lock"
import * as FileLock from "../src/FileLock.ts"
import { temporaryFolder } from "./internal/folders.ts"

describe("locks of the page", () => {
  it.live("a path with {pgrp} and {store} is filled in; a placeholder that is none is refused", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const held = yield* Effect.provide(
        Lock.use((lock) => lock.withLockIfAvailable("bg_foo")(Effect.sync(() => readdirSync(folder)))),
        FileLock.layer({ path: `${folder}/asyncz_{name}_{pgrp}_{store}.lock`, store: "default" })
      )
      assert.match(Option.getOrThrow(held).toSorted()[0]!, /^asyncz_bg_foo_\d+_default\.lock$/)

      const refused = yield* Effect.flip(
        Effect.scoped(Layer.build(FileLock.layer({ path: `${folder}/{name}_{grp}.lock` })))
      )
      assert.deepInclude(refused, { _tag: "InvalidOption", option: "path" })
    }))
})
