/**
 * Packs the published packages: compiled JavaScript and declarations instead of the sources that `exports` names here.
 *
 *     node .ci/pack.ts <folder>     writes one .tgz a package
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const target = resolve(process.argv[2] ?? join(root, "dist"))
mkdirSync(target, { recursive: true })
const packages = readdirSync(join(root, "packages"))
execFileSync("npx", ["tsc", "-b", ...packages.map((name) => join("packages", name))], { cwd: root, stdio: "inherit" })

/** `./src/X.ts` becomes the declarations and the module that were compiled from it. */
const compiled = (entry: unknown): unknown => {
  if (typeof entry !== "string") return entry
  const path = entry.replace("./src/", "./dist/").replace(/\.ts$/, "")
  return { types: `${path}.d.ts`, default: `${path}.js` }
}

for (const name of packages) {
  const source = join(root, "packages", name)
  const staging = mkdtempSync(join(tmpdir(), "punctual-pack-"))
  try {
    const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as Record<string, unknown>
    const { devDependencies: _, ...published } = manifest
    const exported = Object.entries(manifest["exports"] as Record<string, unknown>)
    writeFileSync(
      join(staging, "package.json"),
      `${
        JSON.stringify(
          {
            ...published,
            files: ["dist", "src"],
            exports: Object.fromEntries(exported.map(([key, entry]) => [key, compiled(entry)]))
          },
          undefined,
          2
        )
      }\n`
    )
    cpSync(join(source, "README.md"), join(staging, "README.md"))
    cpSync(join(root, "LICENSE"), join(staging, "LICENSE"))
    cpSync(join(source, "src"), join(staging, "src"), { recursive: true })
    cpSync(join(source, "dist"), join(staging, "dist"), {
      recursive: true,
      filter: (path) => !path.includes(".tsbuildinfo")
    })
    execFileSync("npm", ["pack", "--silent", "--pack-destination", target], { cwd: staging, stdio: "inherit" })
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}
