import { assert, describe, it } from "@effect/vitest"
import * as LockSuite from "@punctual/testing/LockSuite"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Lock } from "punctual/Lock"
import { afterAll } from "vitest"
import * as FileLock from "../src/FileLock.ts"

const folder = mkdtempSync(join(tmpdir(), "punctual-lock-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, "made when needed", "{name}.lock")

LockSuite.suite("file", FileLock.layer({ path }), {
  capabilities: { spans: "host", fair: false, fenced: true, leased: false },
  processes: { script: new URL("fixtures/locker.ts", import.meta.url), args: [path] }
})

const locks = (options: FileLock.Options) =>
  Effect.map(Layer.build(Layer.fresh(FileLock.layer(options))), Context.get(Lock))
const there = (name: string) => join(folder, `${name}.lock`)

describe("the file of a lock", () => {
  it.live("is empty, and stays; who holds it stands beside it", () =>
    Effect.gen(function*() {
      const lock = yield* locks({ path: there("{name}"), identity: "me" })
      const { token } = yield* Effect.scoped(Effect.gen(function*() {
        const held = yield* lock.hold("plain")
        assert.strictEqual(statSync(there("plain")).size, 0)
        const note = JSON.parse(readFileSync(`${there("plain")}.holder`, "utf8"))
        assert.deepInclude(note.holder, { identity: "me", pid: process.pid, host: hostname() })
        assert.strictEqual(note.token, held.token)
        return held
      }))
      assert.isTrue(existsSync(there("plain")))
      assert.deepStrictEqual(JSON.parse(readFileSync(`${there("plain")}.holder`, "utf8")), { token, holder: null })
    }))

  it.live("that is removed or replaced loses it, and nobody takes the old one", () =>
    Effect.gen(function*() {
      const lock = yield* locks({ path: there("{name}") })
      const held = yield* lock.hold("removed")
      rmSync(there("removed"))
      assert.deepInclude(yield* Effect.flip(held.awaitLost), { _tag: "LockLost", name: "removed", token: held.token })
      const other = yield* locks({ path: there("{name}") })
      const next = yield* other.hold("removed")
      assert.isAbove(next.token, held.token)
    }))

  it.live("that is a database, or anything else, is refused and left as it was", () =>
    Effect.gen(function*() {
      const lock = yield* locks({ path: there("{name}") })
      new DatabaseSync(there("database")).exec("CREATE TABLE t (a)")
      writeFileSync(there("text"), "my only copy of something that is longer than the header of a database")
      for (const name of ["database", "text"]) {
        const before = readFileSync(there(name))
        const error = yield* Effect.flip(lock.withLock(name)(Effect.die("ran")))
        assert.strictEqual(error._tag, "LockUnavailable")
        assert.deepStrictEqual(readFileSync(there(name)), before)
      }
    }))

  it.live("cannot be made where its folder cannot", () =>
    Effect.gen(function*() {
      writeFileSync(join(folder, "in the way"), "")
      const lock = yield* locks({ path: join(folder, "in the way", "{name}") })
      assert.strictEqual((yield* Effect.flip(lock.withLockIfAvailable("a")(Effect.die("ran"))))._tag, "LockUnavailable")
    }))
})

describe("the path of a lock", () => {
  it.live("has what its placeholders stand for", () =>
    Effect.gen(function*() {
      const lock = yield* locks({
        path: join(folder, "{store}-{pid}-{ppid}-{pgrp}-{host}-{name}"),
        store: "billing"
      })
      yield* lock.withLock("a")(Effect.void)
      const group = execFileSync("ps", ["-o", "pgid=", "-p", String(process.pid)], { encoding: "utf8" }).trim()
      const made = `billing-${process.pid}-${process.ppid}-${group}-`
      assert.isTrue(readdirSync(folder).some((file) => file.startsWith(made) && file.endsWith("-a")))
    }))

  it.effect("is refused when the layer is built, where it has another or lacks the name", () =>
    Effect.gen(function*() {
      for (
        const [path, says] of [
          ["/tmp/{user}/{name}.lock", "\"{user}\" stands for nothing"],
          ["/tmp/{{pgrp}}_{name}", "\"{\" stands for nothing"],
          ["/tmp/{name", "\"{name\" stands for nothing"],
          ["/tmp/a.lock", "it has no {name}"],
          ["", "it is empty"]
        ] as const
      ) {
        const error = yield* Effect.flip(Effect.scoped(locks({ path })))
        assert.deepInclude(error, { _tag: "InvalidOption", option: "path", value: path })
        assert.include(error.message, says)
      }
      const unknown: object = { path: "/tmp/{name}", polInterval: 5 }
      assert.include(
        (yield* Effect.flip(Effect.scoped(locks(unknown as FileLock.Options)))).message,
        "did you mean `pollInterval`?"
      )
    }))
})
