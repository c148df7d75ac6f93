/**
 * The answers of triggers under every supported line of Node: one computation, whose digests must be equal.
 *
 * Other Nodes come from the npm registry into a folder of the system's temporary files, and stay there. Where there is no
 * registry, or none for this platform, one line says so and nothing fails.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const versions = ["22.23.3", "26.10.0"] // and the one that runs this

const program = resolve(import.meta.dirname, "../packages/punctual/test/support/triggerDigest.ts")

/** The path of a Node, installed when it is not there yet. */
const nodeOf = (version: string): string => {
  const folder = join(tmpdir(), "punctual-nodes", version)
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
  const binary = join(folder, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node")
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "package.json"), `{ "private": true }`)
    execFileSync("npm", [
      "install",
      `${name}@${version}`,
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      "--loglevel=error",
      "--fetch-retries=1"
    ], { cwd: folder, stdio: ["ignore", "ignore", "pipe"], timeout: 120_000 })
  }
  return binary
}

const digestOf = (node: string): { readonly digest: string; readonly node: string; readonly rules: string } =>
  JSON.parse(execFileSync(node, ["--no-warnings", program], { encoding: "utf8" }))

const found = [digestOf(process.execPath)]
for (const version of versions) {
  let node: string
  try {
    node = nodeOf(version)
  } catch {
    process.stdout.write(`Node ${version} cannot be installed here: skipped\n`)
    continue
  }
  found.push(digestOf(node))
}

for (const { digest, node, rules } of found) process.stdout.write(`Node ${node}, zone rules ${rules}: ${digest}\n`)
if (new Set(found.map(({ digest }) => digest)).size > 1) {
  process.stderr.write("Triggers answer differently. Where the zone rules differ too, look whether they explain it.\n")
  process.exit(1)
}
