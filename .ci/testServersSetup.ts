/**
 * Runs once around all tests: starts a server when the first test asks for it, and stops it after the last one.
 *
 *     test file ── GET /postgres ──▶ this, in vitest's main process ── pipe ──▶ serverKeeper ──▶ postgres
 *
 * A keeper ends with its pipe, so a vitest that is killed leaves no server behind. Servers that nobody asks for are not
 * started, and a run without them costs nothing.
 */
import { spawn } from "node:child_process"
import { createServer } from "node:http"
import { type AddressInfo } from "node:net"
import { join } from "node:path"
import { isInstalled, kinds, type Name, names } from "./servers.ts"

/** A server, or why there is none. */
export type Answer = { readonly url: string } | { readonly reason: string }

/** Where this process listens. */
export const brokerVariable = "PUNCTUAL_TEST_SERVERS"

interface Keeper {
  readonly answer: Promise<Answer>
  readonly end: () => Promise<void>
}

const keeper = (name: Name): Keeper => {
  // in a process group of its own: Ctrl-C in a terminal ends it by its pipe, in order
  const child = spawn(process.execPath, [join(import.meta.dirname, "serverKeeper.ts"), name], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"]
  })
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const answer = new Promise<Answer>((resolve) => {
    let output = ""
    let errors = ""
    child.stderr.on("data", (data) => errors += data)
    child.stdout.on("data", (data) => {
      output += data
      if (output.endsWith("\n")) resolve({ url: output.trim() })
    })
    child.once("error", (error) => resolve({ reason: error.message }))
    child.once("close", () => resolve({ reason: errors }))
  })
  return {
    answer,
    end: () => {
      child.stdin.end()
      return closed
    }
  }
}

/** What is missing and how to get it, in a line. */
export const lackOf = (name: Name, reason: string): string =>
  `No tests on ${name}: ${reason.trim()}. Set ${kinds[name].variable}, or: npm run services -- up ${name}`

export default async (): Promise<(() => Promise<void>) | undefined> => {
  if (process.env[brokerVariable] !== undefined) return // once is enough, for all projects
  const keepers = new Map<string, Keeper>()
  const answerTo = async (name: string): Promise<Answer> => {
    if (!names.includes(name as Name) || !isInstalled(name as Name)) return { reason: "not installed here" }
    if (!keepers.has(name)) keepers.set(name, keeper(name as Name))
    return keepers.get(name)!.answer
  }
  const missing = new Map<string, string>()
  const broker = createServer((request, response) => {
    const name = (request.url ?? "").slice(1)
    void answerTo(name).then((answer) => {
      if ("reason" in answer) missing.set(name, answer.reason)
      response.end(JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => broker.listen(0, "127.0.0.1", resolve))
  process.env[brokerVariable] = `http://127.0.0.1:${(broker.address() as AddressInfo).port}`
  return async () => {
    broker.close()
    await Promise.all([...keepers.values()].map(({ end }) => end()))
    for (const [name, reason] of missing) process.stderr.write(`${lackOf(name as Name, reason)}\n`)
  }
}
