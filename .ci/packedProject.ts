/**
 * A project that has Punctual's packages as npm would install them: compiled, from their tarballs.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs"
import { dirname, join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")

/** Fills `node_modules` of a folder; `others` are packages that they or its programs need, as this repository has them. */
export const packedProject = (folder: string, others: ReadonlyArray<string>): void => {
  const tarballs = join(folder, "tarballs")
  execFileSync(process.execPath, [join(root, ".ci/pack.ts"), tarballs], { stdio: ["ignore", "ignore", "inherit"] })
  for (const directory of readdirSync(join(root, "packages"))) {
    const { name, version } = JSON.parse(readFileSync(join(root, "packages", directory, "package.json"), "utf8")) as {
      readonly name: string
      readonly version: string
    }
    const target = join(folder, "node_modules", name)
    mkdirSync(target, { recursive: true })
    const tarball = join(tarballs, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`)
    execFileSync("tar", ["xzf", tarball, "-C", target, "--strip-components=1"])
  }
  for (const name of others) {
    const target = join(folder, "node_modules", name)
    mkdirSync(dirname(target), { recursive: true })
    symlinkSync(join(root, "node_modules", name), target)
  }
}
