/**
 * The servers that tests run on: those of this run, and what `npm run services` may stop and delete.
 */
import { assert, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { answers, isInstalled, names } from "../../../.ci/servers.ts"
import { beginOf, down, type Service, status, up } from "../../../.ci/services.ts"
import { onServer } from "../../../.ci/testServers.ts"

await Promise.all(names.map((name) =>
  onServer(name, (url) => {
    it("lets clients in", async () => {
      const { hostname, port } = new URL(url)
      assert.isTrue(hostname !== "127.0.0.1" || await answers(Number(port)))
    })
  })
))

const keeper = resolve(import.meta.dirname, "../../../.ci/serverKeeper.ts")

describe.skipIf(!isInstalled("redis"))("a server of a test run", () => {
  it("ends with the process that asked for it, also when that is killed", async () => {
    const vitest = spawn(process.execPath, [
      "-e",
      `const { spawn } = require("node:child_process")
       spawn(process.execPath, [${JSON.stringify(keeper)}, "redis"], { detached: true, stdio: ["pipe", 1, 2] })`
    ], { stdio: ["ignore", "pipe", "inherit"] })
    const [url] = await once(vitest.stdout, "data")
    const port = Number(new URL(String(url)).port)
    assert.isTrue(await answers(port))
    vitest.kill("SIGKILL")
    await once(vitest, "close") // when the keeper, too, has let go of the output
    assert.isFalse(await answers(port))
  })
})

describe("npm run services", () => {
  const withState = (test: (state: string) => Promise<void>) => async () => {
    const state = mkdtempSync(join(tmpdir(), "punctual-services-"))
    try {
      await test(state)
    } finally {
      await down(state)
      rmSync(state, { recursive: true })
    }
  }

  /** A process that would run for ever, remembered as a server that began then, with a folder of its own. */
  const pretend = async (
    state: string,
    began: (child: ChildProcess) => string
  ): Promise<{ readonly child: ChildProcess; readonly service: Service }> => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000); console.log(1)"])
    await once(child.stdout, "data")
    const folder = join(state, "punctual-server-x")
    mkdirSync(folder)
    const service: Service = { name: "redis", url: "redis://127.0.0.1:1", pid: child.pid!, began: began(child), folder }
    writeFileSync(join(state, "redis.json"), JSON.stringify(service))
    return { child, service }
  }

  it(
    "down stops what it started, and deletes its data",
    withState(async (state) => {
      const { child, service } = await pretend(state, ({ pid }) => beginOf(pid!)!)
      const exited = once(child, "exit")
      assert.deepStrictEqual(status(state), [service])
      assert.deepStrictEqual(await down(state), [service])
      await exited
      assert.isFalse(existsSync(service.folder))
      assert.deepStrictEqual(status(state), [])
      assert.deepStrictEqual(await down(state), [])
    })
  )

  it(
    "down lets a process live that has the number of one that ended",
    withState(async (state) => {
      const { child, service } = await pretend(state, () => "of a machine before its restart")
      try {
        assert.deepStrictEqual(status(state), [])
        assert.deepStrictEqual(await down(state), [])
        assert.isFalse(existsSync(service.folder))
        assert.isDefined(beginOf(child.pid!))
        assert.isNull(child.exitCode ?? child.signalCode)
      } finally {
        child.kill()
      }
    })
  )

  it.skipIf(!isInstalled("redis"))(
    "up, several times at once and after a crash, is one server",
    withState(async (state) => {
      const [first, ...others] = await Promise.all([1, 2, 3].map(() => up(state, ["redis"])))
      for (const other of others) assert.deepStrictEqual(other, first)
      assert.deepStrictEqual(await up(state, ["redis"]), first!)
      assert.deepStrictEqual(status(state), first!)
      const [{ folder, pid }] = first as [Service]
      process.kill(pid, "SIGKILL")
      while (status(state).length > 0) await new Promise((resolve) => setImmediate(resolve))
      const [again] = await up(state, ["redis"])
      assert.notStrictEqual(again!.pid, pid)
      assert.isFalse(existsSync(folder))
    })
  )
})
