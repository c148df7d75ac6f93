/**
 * This program as it was at an earlier commit, beside the one that runs now.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, readdirSync, symlinkSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "../..")

/** The path of the worker that runs the packages of a commit, laid out in a folder of its own. */
export const workerAt = (commit: string, folder: string): string => {
  const tree = join(folder, "earlier")
  mkdirSync(tree, { recursive: true })
  const archive = execFileSync("git", ["archive", "--format=tar", commit, "packages", "package.json"], {
    cwd: root,
    maxBuffer: 1 << 28
  })
  execFileSync("tar", ["-x", "-C", tree], { input: archive })
  cpSync(import.meta.dirname, join(tree, ".ci/chaos"), { recursive: true })
  // what it depends on is today's; what it is, is not
  const link = (name: string, to: string) => {
    const at = join(tree, "node_modules", name)
    mkdirSync(dirname(at), { recursive: true })
    symlinkSync(to, at)
  }
  const installed = join(root, "node_modules")
  const scopes = readdirSync(installed).filter((name) => name.startsWith("@") && name !== "@punctual")
  for (const name of [...scopes, "effect"]) link(name, join(installed, name))
  for (const name of readdirSync(join(tree, "packages"))) {
    link(name === "punctual" ? name : `@punctual/${name}`, join(tree, "packages", name))
  }
  return join(tree, ".ci/chaos/worker.ts")
}
