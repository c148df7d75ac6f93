/**
 * A server for a test: the one of its URL in the environment, or else one that is installed here and started for this run
 * of the tests, or else none, and its tests are skipped; the run ends with a line that says how to get it.
 *
 *     await onServer("postgres", (url) => {
 *       TaskStoreSuite.suite("postgres", PostgresTaskStore.layer({ url, prefix }), { … })
 *     })
 *
 * With `PUNCTUAL_REQUIRE_SERVERS=1` a skip is a failure. With `PUNCTUAL_TEST_SERVERS=off` none is started.
 */
import { describe, it } from "vitest"
import { kinds, type Name } from "./servers.ts"
import { type Answer, brokerVariable, lackOf } from "./testServersSetup.ts"

export const server = async (name: Name): Promise<Answer> => {
  const url = process.env[kinds[name].variable]
  if (url !== undefined && url !== "") return { url }
  const broker = process.env[brokerVariable]
  if (broker === undefined || broker === "off") return { reason: "no server is started for this run" }
  return await (await fetch(`${broker}/${name}`)).json() as Answer
}

/** Registers the tests of a server. To be awaited at the top of a file: the server may have to be started. */
export const onServer = async (name: Name, tests: (url: string) => void): Promise<void> => {
  const answer = await server(name)
  if ("url" in answer) {
    describe(name, () => tests(answer.url))
    return
  }
  const line = lackOf(name, answer.reason)
  if (process.env["PUNCTUAL_REQUIRE_SERVERS"] === "1") {
    it(name, () => {
      throw new Error(line)
    })
  } else it.skip(line)
}
