/**
 * What users see must not switch their type checker off: no `any` in the public declarations of packages/*.
 *
 * The compiler writes the declarations and this test reads those, so an inferred `any` counts as much as a written one.
 * Where `any` is right (the top of a variance lattice, as in `Task.Any`), `allowed` names the declaration and says why.
 */
import { assert, describe, it } from "@effect/vitest"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"

/** `package/Module.declaration` → why `any` is right there. */
const allowed: { readonly [declaration: string]: string } = {}

/** The declarations of one `.d.ts` that mention `any` as a type, comments and strings aside. */
const leaks = (declarations: string): ReadonlyArray<string> => {
  const code = declarations.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "").replace(
    /"(?:[^"\\\n]|\\.)*"/g,
    `""`
  )
  return code.split(/^(?=export |declare |interface |type |import )/m).flatMap((text) => {
    if (!/(?<![.\w$])any(?![\w$]|\??:|\s*\()/.test(text)) return []
    const named =
      /^(?:export )?(?:declare )?(?:abstract )?(?:const|let|function|class|interface|type|namespace)\s+([\w$]+)/.exec(
        text
      )
    return [named?.[1] ?? text.split("\n")[0] ?? ""]
  })
}

const root = path.resolve(import.meta.dirname, "../../..")

const emit = (outDir: string) => {
  const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc")
  const names = fs.readdirSync(path.join(root, "packages")).filter((name) =>
    fs.existsSync(path.join(root, "packages", name, "tsconfig.json"))
  )
  // a build of its own, in a folder of its own: a stale or absent dist/ changes nothing
  for (const name of names) {
    const folder = path.join(root, "packages", name)
    fs.writeFileSync(
      path.join(outDir, `${name}.json`),
      JSON.stringify({
        extends: path.join(folder, "tsconfig.json"),
        include: [path.join(folder, "src")],
        references: [],
        compilerOptions: {
          composite: false,
          emitDeclarationOnly: true,
          declarationMap: false,
          sourceMap: false,
          rootDir: path.join(root, "packages"),
          outDir: path.join(outDir, "out"),
          typeRoots: [path.join(root, "node_modules/@types")]
        }
      })
    )
    childProcess.spawnSync(process.execPath, [tsc, "-p", path.join(outDir, `${name}.json`)], { encoding: "utf8" })
  }
  return names
}

const modules = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder)
    ? fs.readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => file.slice(0, -".ts".length).split(path.sep).join("/"))
    : []

describe("public types", () => {
  it("leak no any", { timeout: 120_000 }, () => {
    const outDir = fs.mkdtempSync(path.join(os.tmpdir(), "punctual-types-"))
    try {
      const found = emit(outDir).flatMap((name) => {
        const folder = path.join(outDir, "out", name, "src")
        return modules(path.join(root, "packages", name, "src"))
          .filter((module) => !module.startsWith("internal/"))
          .flatMap((module) =>
            leaks(fs.readFileSync(path.join(folder, `${module}.d.ts`), "utf8"))
              .map((declaration) => `${name}/${module}.${declaration}`)
          )
      })
      assert.deepStrictEqual(found.filter((declaration) => !(declaration in allowed)), [])
      assert.deepStrictEqual(
        Object.keys(allowed).filter((declaration) => !found.includes(declaration)),
        [],
        "no longer needed"
      )
    } finally {
      fs.rmSync(outDir, { recursive: true, force: true })
    }
  })

  it("are read declaration by declaration", () => {
    assert.deepStrictEqual(
      leaks(`
/** any of these */
export interface Fine {
  readonly any: boolean
  readonly kind: "any" | "all"
}
export declare const any: (self: Fine) => Fine.any
export interface Leaky {
  readonly value: any
}
export declare const inferred: <A>(self: A) => Effect.Effect<any, never, A>
declare const Hidden_base: Class<any[]>
`),
      ["Leaky", "inferred", "Hidden_base"]
    )
  })
})
