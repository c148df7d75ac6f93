/**
 * Nothing depends on the zone of the host: the same computation in processes with different ones.
 *
 * `node .ci/nodes.ts` runs the same computation under other versions of Node.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import type { Digest } from "./support/triggerDigest.ts"

const program = join(import.meta.dirname, "support/triggerDigest.ts")

const digestUnder = (TZ: string) =>
  Effect.promise(async (): Promise<Digest> => {
    const { stdout } = await promisify(execFile)(process.execPath, [program], { env: { ...process.env, TZ } })
    return JSON.parse(stdout)
  })

describe("the zone of the host", () => {
  it.effect("changes no answer", () =>
    Effect.gen(function*() {
      const found = yield* Effect.forEach(
        ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"],
        digestUnder,
        { concurrency: 2 }
      )
      // The processes did have different zones, and something to answer.
      assert.deepStrictEqual(found.map(({ hostOffset }) => hostOffset), [0, 300, -660, -345])
      assert.isAbove(found[0]!.answers, 50_000)
      assert.deepStrictEqual(found.map(({ digest }) => digest), found.map(() => found[0]!.digest))
    }), 60_000)
})
