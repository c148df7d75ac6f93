/**
 * The documentation is run: README.md and docs/*.md.
 *
 * - every ```ts block compiles, against the packages of this repository
 * - a block whose first line is `// name.ts` is that file, so that blocks import each other; a test among them is run
 * - a block without imports goes on from the first block of its page that has some; a `program` in it is run beside the
 *   `App` of that first block, under virtual time
 * - every relative link leads to a file, and one with an anchor to a heading; the text of one to a test, or to the suites,
 *   is the name of a test in there
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import type * as TaskScheduler from "../src/TaskScheduler.ts"
import * as TestScheduler from "../src/testing/TestScheduler.ts"

const root = path.resolve(import.meta.dirname, "../../..")

interface Page {
  /** From the root: `docs/design.md`. */
  readonly name: string
  readonly text: string
}

const pages: ReadonlyArray<Page> = [
  "README.md",
  ...fs.readdirSync(path.join(root, "docs")).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)
].map((name) => ({ name, text: fs.readFileSync(path.join(root, name), "utf8") }))

// ---------------------------------------------------------------------------------------------------------------------
// blocks
// ---------------------------------------------------------------------------------------------------------------------

/** A file made of a block. */
interface Module {
  readonly page: string
  /** Line of the page on which the block begins. */
  readonly line: number
  /** Lines of the file before the block's own. */
  readonly offset: number
  readonly file: string
  readonly code: string
}

const fence = /^```ts\n([\s\S]*?)^```$/gm

const modulesOf = ({ name, text }: Page): ReadonlyArray<Module> => {
  const folder = name.replace(/\.md$/, "").replaceAll("/", "-")
  const blocks = Array.from(text.matchAll(fence), ({ 1: code = "", index }) => ({
    code,
    line: text.slice(0, index).split("\n").length + 1
  }))
  const prelude = blocks.find(({ code }) => /^import /m.test(code))?.code ?? ""
  return blocks.map(({ code, line }) => {
    const named = /^\/\/ ([\w.-]+\.ts)\n/.exec(code)?.[1]
    const before = /^import /m.test(code) ? "" : prelude
    return {
      page: name,
      line,
      offset: before.split("\n").length - 1,
      file: `${folder}/${named ?? `line-${line}.ts`}`,
      code: before + code
    }
  })
}

const modules = pages.flatMap(modulesOf)

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "punctual-docs-"))
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))
fs.symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"))
fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }))
for (const { code, file } of modules) {
  fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true })
  fs.writeFileSync(path.join(folder, file), code)
}

/** What the compiler says about blocks, where they stand in their pages; about the repository's own code others say it. */
const problems = (): Effect.Effect<ReadonlyArray<string>> => {
  fs.writeFileSync(
    path.join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: path.join(root, "tsconfig.base.json"),
      files: modules.map(({ file }) => file),
      compilerOptions: {
        composite: false,
        declaration: false,
        declarationMap: false,
        noEmit: true,
        rewriteRelativeImportExtensions: false,
        allowImportingTsExtensions: true,
        // A page names things for its reader.
        noUnusedLocals: false,
        noUnusedParameters: false,
        typeRoots: [path.join(root, "node_modules/@types")],
        types: ["node"]
      }
    })
  )
  const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc")
  return Effect.map(output([tsc, "-p", ".", "--pretty", "false"]), (said) =>
    said.split("\n").flatMap((text) => {
      const [, file, line, message] = /^(\S+?)\((\d+),\d+\): (error .*)$/.exec(text) ?? []
      const module = modules.find((module) => module.file === file)
      if (module === undefined) return file === undefined && text.startsWith("error ") ? [text] : []
      return [`${module.page}:${module.line + Number(line) - 1 - module.offset}: ${message}`]
    }))
}

const output = (args: ReadonlyArray<string>): Effect.Effect<string> =>
  Effect.callback((resume) => {
    childProcess.execFile(process.execPath, args, { cwd: folder }, (error, stdout) =>
      // A compiler that says nothing and fails has not compiled.
      resume(Effect.succeed(error !== null && stdout === "" ? `error ${error.message}` : stdout)))
  })

/** Blocks that are tests and programs, by the names they have in this run. */
const load = (file: string): Promise<Readonly<Record<string, unknown>>> =>
  import(/* @vite-ignore */ path.join(folder, file))

describe("the TypeScript in the documentation", () => {
  it("is there", () => {
    const named = modules.map(({ file }) => file)
    assert.includeMembers(named, ["README/app.ts", "README/main.ts", "README/app.test.ts"])
    assert.isAbove(named.filter((file) => file.startsWith("docs-migrating/")).length, 8)
  })

  for (const { file, line, page } of modules.filter(({ code }) => /^export const program\b/m.test(code))) {
    it.effect(`runs: ${page}:${line}`, () =>
      Effect.gen(function*() {
        const { App, program } = yield* Effect.promise(() => load(file))
        const app = App as Layer.Layer<unknown, unknown, TaskScheduler.Provided>
        yield* Effect.provide(
          Effect.andThen(program as Effect.Effect<unknown>, TestScheduler.settle),
          TestScheduler.layer(app, { now: "2026-01-01T00:00:00Z" })
        )
      }))
  }
})

describe("README.md", async () => {
  // Registers the test of the first screen here.
  await load("README/app.test.ts")
})

// Both are processes of their own: they need not wait for each other.
describe("the TypeScript in the documentation", { concurrent: true, timeout: 60_000 }, () => {
  it.live("compiles", () => Effect.map(problems(), (found) => assert.deepStrictEqual(found, [])))

  it.live("README.md: the program starts, remembers, and ends when it is asked to", () =>
    Effect.callback<void>((resume) => {
      const cwd = fs.mkdtempSync(path.join(folder, "run-"))
      const child = childProcess.spawn(process.execPath, [path.join(folder, "README/main.ts")], {
        cwd,
        stdio: ["ignore", "ignore", "pipe"]
      })
      let said = ""
      child.stderr.on("data", (data) => said += String(data))
      const watcher = fs.watch(cwd, () => {
        if (!fs.existsSync(path.join(cwd, "punctual.db-wal"))) return
        watcher.close()
        child.kill("SIGTERM")
      })
      child.on("exit", (code, signal) => {
        watcher.close()
        resume(Effect.sync(() => {
          assert.deepStrictEqual([said, signal], ["", null])
          assert.include([0, 130, 143], code)
          assert.isTrue(fs.existsSync(path.join(cwd, "punctual.db")))
        }))
      })
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// links
// ---------------------------------------------------------------------------------------------------------------------

/** As sites make anchors of headings. */
const anchor = (heading: string): string =>
  heading.trim().toLowerCase().replace(/[`*_]/g, "").replace(/[^\p{L}\p{N} -]/gu, "").replaceAll(" ", "-")

const anchorsOf = (text: string): ReadonlyArray<string> =>
  Array.from(text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.*)$/gm), ([, heading = ""]) => anchor(heading))

/** The text of a test file, with its names as they are printed. */
const spoken = (code: string): string => code.replaceAll("\\\"", "\"").replaceAll("\\`", "`")

/** Of a folder, the texts of all files in it. */
const contentOf = (target: string): string =>
  fs.statSync(target).isFile() ?
    fs.readFileSync(target, "utf8") :
    fs.readdirSync(target, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
      .map((name) => fs.readFileSync(path.join(target, name), "utf8"))
      .join("\n")

const brokenLinks = ({ name, text }: Page): ReadonlyArray<string> =>
  Array.from(text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/\[([^\]]*)\]\(([^)\s]+)\)/g)).flatMap(
    ([whole, label = "", href = ""]) => {
      if (/^[a-z]+:/.test(href)) return []
      const [file = "", hash] = href.split("#")
      const target = path.resolve(root, path.dirname(name), file === "" ? path.basename(name) : file)
      if (!fs.existsSync(target)) return [`${name}: ${whole}: no such file`]
      const content = contentOf(target)
      if (hash !== undefined && !anchorsOf(content).includes(hash)) return [`${name}: ${whole}: no such heading`]
      const isTest = /\.test\.ts$|\/packages\/testing\/src/.test(target.replaceAll(path.sep, "/"))
      return isTest && !/^(?:`[^`]+`|[\w./-]+)$/.test(label) && !spoken(content).includes(label)
        ? [`${name}: ${whole}: no such test`]
        : []
    }
  )

describe("links in the documentation", () => {
  for (const page of pages) {
    it(`${page.name}: lead somewhere`, () => assert.deepStrictEqual(brokenLinks(page), []))
  }

  it("are found wanting where they do not", () => {
    const text = "[a](nothing.md) [b](README.md#nothing) [c](packages/punctual/test/Readme.test.ts) [no such name](" +
      "packages/punctual/test/Executors.test.ts) [d](https://effect.website) [are found by alias](" +
      "packages/punctual/test/Executors.test.ts)"
    assert.deepStrictEqual(brokenLinks({ name: "README.md", text }), [
      "README.md: [a](nothing.md): no such file",
      "README.md: [b](README.md#nothing): no such heading",
      "README.md: [no such name](packages/punctual/test/Executors.test.ts): no such test"
    ])
  })
})
