/**
 * Imports point one way, and this test names the edge that does not.
 *
 *     pure ◀── ports ◀──┬── adapters
 *                       └── engine ◀── edges (which may import everything)
 *
 * - pure: values and functions over them; no services, no clock
 * - ports: services others implement, and the records they exchange
 * - adapters: one implementation of a port each; they see neither the engine nor another adapter
 * - engine: what makes it run
 * - edges: test tools, suites, indexes
 *
 * A new module needs a line in `layers`. Type-only imports count like any other, but for cycles: they are gone at run time,
 * and `internal/` modules may name the types of the module they serve.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"

type Layer = "pure" | "ports" | "adapters" | "engine" | "edges"

const mayImport: { readonly [L in Layer]: ReadonlyArray<Layer> } = {
  pure: ["pure"],
  ports: ["pure", "ports"],
  adapters: ["pure", "ports", "adapters"],
  engine: ["pure", "ports", "engine"],
  edges: ["pure", "ports", "adapters", "engine", "edges"]
}

/**
 * Module (`package/path`; `*` stays inside a name, `**` crosses folders) and its layer; the first line that fits decides.
 * An adapter also names its group: it may import adapters of its own group only.
 */
const layers: ReadonlyArray<readonly [module: string, layer: Layer, group?: string]> = [
  ["punctual/TriggerDefinitions", "ports"],
  ["punctual/Trigger*", "pure"],
  ["punctual/Calendar", "pure"],
  ["punctual/CronExpression", "pure"],
  ["punctual/Policy", "pure"],
  ["punctual/SchedulerError", "pure"],
  ["punctual/internal/options", "pure"],
  ["punctual/internal/cache", "pure"],
  ["punctual/TaskRecord", "pure"],
  ["punctual/internal/timeZone*", "pure"],
  ["punctual/internal/calendar*", "pure"],
  ["punctual/internal/cron*", "pure"],
  ["punctual/internal/cron/**", "pure"],
  ["punctual/internal/trigger*", "pure"],
  ["punctual/internal/trigger/**", "pure"],
  ["punctual/internal/policy*", "pure"],
  ["punctual/internal/policy/**", "pure"],
  ["punctual/RecurrenceRule", "pure"],
  ["punctual/internal/recurrence*", "pure"],

  ["punctual/Activity", "ports"],
  ["punctual/CurrentRun", "ports"],
  ["punctual/Executor", "ports"],
  ["punctual/Executors", "ports"],
  ["punctual/Handler", "ports"],
  ["punctual/Lock", "ports"],
  ["punctual/LockLease", "ports"],
  ["punctual/internal/lock*", "ports"],
  ["punctual/SchedulerEvent", "ports"],
  ["punctual/StoreTime", "ports"],
  ["punctual/Task", "ports"],
  ["punctual/TaskHandle", "ports"],
  ["punctual/TaskInfo", "ports"],
  ["punctual/SchedulerInstance", "ports"],
  ["punctual/TaskRegistry", "ports"],
  ["punctual/TaskRunner", "ports"],
  ["punctual/TaskStore", "ports"],
  ["punctual/TaskStoreDump", "ports"],
  ["punctual/TaskStoreKit", "ports"],
  ["punctual/TaskStores", "ports"],
  ["punctual/internal/aliases", "ports"],
  ["punctual/internal/runRecord", "ports"],
  ["punctual/internal/schedulerTag", "ports"],
  ["punctual/internal/task*", "ports"],

  ["punctual/EncryptedTaskStore", "adapters", "encrypted"],
  ["punctual/MemoryTaskStore", "adapters", "memory"],
  ["punctual/internal/memory*", "adapters", "memory"],
  ["punctual/internal/memory/**", "adapters", "memory"],
  ["sql/**", "adapters", "sql"],
  ["node/index", "edges"],
  ["node/Health", "edges"],
  ["node/NodePunctual", "edges"],
  ["node/internal/health", "edges"],
  ["node/**", "adapters", "sql"],
  ["mongo/**", "adapters", "mongo"],
  ["redis/**", "adapters", "redis"],
  ["cluster/**", "adapters", "cluster"],

  ["punctual/TaskScheduler", "engine"],
  ["punctual/TaskSchedulerClient", "engine"],
  ["punctual/Lifecycle", "engine"],
  ["punctual/internal/engine/**", "engine"],
  ["punctual/internal/lifecycle*", "engine"],
  ["punctual/internal/exitText", "engine"],
  ["punctual/internal/packageVersion", "engine"],

  ["punctual/index", "edges"],
  ["punctual/internal/virtualTime", "edges"],
  ["punctual/internal/simulation/**", "edges"],
  ["punctual/testing/**", "edges"],
  ["testing/**", "edges"]
]

/** What a package may import beside its own modules; a package that is not named here may import what it declares. */
const onlyImports: { readonly [name: string]: RegExp } = {
  punctual: /^effect\/.+/
}

/** The modules that may read the host's clock, timers or dice, and why. Nothing else does: `effect/Clock` is the clock. */
const readsHost: { readonly [module: string]: string } = {
  "sql/internal/liveClock": "waits for other processes, which virtual time cannot bring about",
  "mongo/internal/liveClock": "waits for other processes, which virtual time cannot bring about",
  "node/internal/workerParent": "looks whose child its process is, in a thread without anything else",
  "redis/internal/liveClock": "waits for a server and other processes, which virtual time cannot bring about"
}

interface Source {
  readonly module: string
  readonly code: string
}

interface Edge {
  readonly from: string
  readonly to: string
  /** As written. */
  readonly specifier: string
  readonly typeOnly: boolean
}

// ---------------------------------------------------------------------------------------------------------------------
// the checker: pure functions over sources
// ---------------------------------------------------------------------------------------------------------------------

const withoutComments = (code: string): string =>
  code.replace(/^\s*\/\*[\s\S]*?\*\//gm, "").replace(/(?:^|\s)\/\/\s.*$/gm, "")

const importClause = String.raw`(?:type\s+)?(?:[\w$]+\s*,\s*)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\}|[\w$]+)`
const importForms = [
  new RegExp(String.raw`^(?:import|export)\s+${importClause}\s+from\s+"([^"]+)"`, "gm"),
  /^import\s+"([^"]+)"/gm,
  /\bimport\(\s*"([^"]+)"\s*\)/g,
  /\bnew URL\("(\.[^"]+\.ts)", import\.meta\.url\)/g
]

const importsOf = (code: string): ReadonlyArray<Pick<Edge, "specifier" | "typeOnly">> => {
  const source = withoutComments(code)
  return importForms.flatMap((form) =>
    Array.from(source.matchAll(form), (match) => ({
      specifier: match[1] ?? "",
      typeOnly: /^(?:import|export)\s+type\s/.test(match[0])
    }))
  )
}

/** `punctual/Trigger` imports `./internal/cron.ts`, `effect/Effect`, `@punctual/sql/sqlite` … */
const target = (from: string, specifier: string): string => {
  if (specifier.startsWith(".")) {
    return path.posix.join(path.posix.dirname(from), specifier).replace(/\.ts$/, "")
  }
  const workspace = /^(?:@punctual\/([^/]+)|(punctual))(?:\/(.+))?$/.exec(specifier)
  if (workspace === null) return specifier
  const [, scoped, core, inside = "index"] = workspace
  return `${scoped ?? core}/${inside === "testing" ? "testing/index" : inside}`
}

const edgesOf = (sources: ReadonlyArray<Source>): ReadonlyArray<Edge> =>
  sources.flatMap(({ code, module }) =>
    importsOf(code).map((found) => ({ ...found, from: module, to: target(module, found.specifier) }))
  )

const fits = (pattern: string, module: string): boolean =>
  new RegExp(`^${pattern.replaceAll("**", "\0").replaceAll("*", "[^/]*").replaceAll("\0", ".*")}$`).test(module)

const layerOf = (module: string) => layers.find(([pattern]) => fits(pattern, module))

const packageOf = (module: string): string => module.slice(0, module.indexOf("/"))

const cycles = (edges: ReadonlyArray<Edge>): ReadonlyArray<string> => {
  const next = new Map<string, Array<string>>()
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to])
  const found: Array<string> = []
  const done = new Set<string>()
  const visit = (module: string, trail: ReadonlyArray<string>): void => {
    const at = trail.indexOf(module)
    if (at >= 0) {
      found.push(`import cycle: ${[...trail.slice(at), module].join(" → ")}`)
      return
    }
    if (done.has(module)) return
    for (const to of next.get(module) ?? []) visit(to, [...trail, module])
    done.add(module)
  }
  for (const module of next.keys()) visit(module, [])
  return found
}

const hostCalls =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bset(?:Timeout|Interval|Immediate)\(|\bperformance\.|\bMath\.random\b/g

/** Every offence against the rules above, one line each; empty when all is well. */
const offences = (sources: ReadonlyArray<Source>): ReadonlyArray<string> => {
  const modules = new Set(sources.map((source) => source.module))
  const edges = edgesOf(sources)
  const problems: Array<string> = []
  for (const module of modules) {
    if (layerOf(module) === undefined) problems.push(`say which layer ${module} belongs to`)
  }
  for (const { from, specifier, to } of edges) {
    const edge = `${from} → ${to}`
    if (!modules.has(to)) {
      const only = onlyImports[packageOf(from)]
      if (specifier.startsWith(".")) problems.push(`${edge}: no such module`)
      else if (only !== undefined && !only.test(specifier)) {
        problems.push(`${edge}: package ${packageOf(from)} may import only ${only.source}`)
      }
      continue
    }
    if (packageOf(from) !== packageOf(to)) {
      if (specifier.startsWith(".")) problems.push(`${edge}: reaches into another package; import it by name`)
      if (to.includes("/internal/")) problems.push(`${edge}: internal/ is private to its package`)
      if (onlyImports[packageOf(from)] !== undefined) {
        problems.push(`${edge}: ${packageOf(from)} imports no other package`)
      }
    } else if (!specifier.startsWith(".")) {
      problems.push(`${edge}: inside a package, import by relative path`)
    }
    const [source, destination] = [layerOf(from), layerOf(to)]
    if (source === undefined || destination === undefined) continue
    const upward = !mayImport[source[1]].includes(destination[1])
    const sideways = source[1] === "adapters" && destination[1] === "adapters" && source[2] !== destination[2]
    if (upward) problems.push(`${edge}: ${source[1]} may not import ${destination[1]}`)
    if (sideways) problems.push(`${edge}: one adapter may not import another (${source[2]}, ${destination[2]})`)
  }
  for (const { code, module } of sources) {
    if (module in readsHost) continue
    for (const [call] of withoutComments(code).matchAll(hostCalls)) {
      problems.push(
        `${module}: ${call} reads the host; take time as an argument, or use effect/Clock and effect/Random`
      )
    }
  }
  return [...problems, ...cycles(edges.filter((edge) => !edge.typeOnly))]
}

// ---------------------------------------------------------------------------------------------------------------------

const packages = path.resolve(import.meta.dirname, "../..")

const readSources = (): ReadonlyArray<Source> =>
  fs.readdirSync(packages).flatMap((name) => {
    const src = path.join(packages, name, "src")
    if (!fs.existsSync(src)) return []
    return fs.readdirSync(src, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => ({
        module: `${name}/${file.split(path.sep).join("/").replace(/\.ts$/, "")}`,
        code: fs.readFileSync(path.join(src, file), "utf8")
      }))
  })

describe("architecture", () => {
  it("holds for packages/*/src", () => {
    assert.deepStrictEqual(offences(readSources()), [])
  })
})

describe("the checker", () => {
  const module = (name: string, code = ""): Source => ({ module: name, code })

  it("accepts imports that point down", () => {
    assert.deepStrictEqual(
      offences([
        module("punctual/Trigger", `import * as Option from "effect/Option"`),
        module("punctual/TaskStore", `import type * as Trigger from "./Trigger.ts"`),
        module("punctual/internal/engine/loop", `import { TaskStore } from "../../TaskStore.ts"`),
        module("punctual/index", `export * as Trigger from "./Trigger.ts"`),
        module("punctual/Policy", `import { plan } from "./internal/policyPlan.ts"`),
        module("punctual/internal/policyPlan", `import type { Policy } from "../Policy.ts"`),
        module("sql/sqlite", `import * as fs from "node:fs"\nimport * as TaskStore from "punctual/TaskStore"`)
      ]),
      []
    )
  })

  const refused: ReadonlyArray<readonly [name: string, sources: ReadonlyArray<Source>, message: string]> = [
    [
      "a module nobody placed",
      [module("punctual/Surprise")],
      "say which layer punctual/Surprise belongs to"
    ],
    [
      "pure code that imports a port, even a type",
      [module("punctual/Policy", `import type { TaskStore } from "./TaskStore.ts"`), module("punctual/TaskStore")],
      "punctual/Policy → punctual/TaskStore: pure may not import ports"
    ],
    [
      "an adapter that imports the engine",
      [
        module("sql/sqlite", `import {\n  TaskScheduler\n} from "punctual/TaskScheduler"`),
        module("punctual/TaskScheduler")
      ],
      "sql/sqlite → punctual/TaskScheduler: adapters may not import engine"
    ],
    [
      "an engine that imports an adapter",
      [module("punctual/TaskScheduler", `export * from "./MemoryTaskStore.ts"`), module("punctual/MemoryTaskStore")],
      "punctual/TaskScheduler → punctual/MemoryTaskStore: engine may not import adapters"
    ],
    [
      "an adapter that imports another",
      [
        module("sql/sqlite", `import * as Memory from "punctual/MemoryTaskStore"`),
        module("punctual/MemoryTaskStore")
      ],
      "sql/sqlite → punctual/MemoryTaskStore: one adapter may not import another (sql, memory)"
    ],
    [
      "another package's internals",
      [
        module("sql/sqlite", `const cron = await import("punctual/internal/cron")`),
        module("punctual/internal/cron")
      ],
      "sql/sqlite → punctual/internal/cron: internal/ is private to its package"
    ],
    [
      "a relative path into another package",
      [module("sql/sqlite", `import "../punctual/Trigger.ts"`), module("punctual/Trigger")],
      "sql/sqlite → punctual/Trigger: reaches into another package; import it by name"
    ],
    [
      "anything but effect in the core",
      [module("punctual/Trigger", `import * as fs from "node:fs"`)],
      "punctual/Trigger → node:fs: package punctual may import only ^effect\\/.+"
    ],
    [
      "the effect barrel in the core",
      [module("punctual/Trigger", `import { Effect } from "effect"`)],
      "punctual/Trigger → effect: package punctual may import only ^effect\\/.+"
    ],
    [
      "a cycle",
      [
        module("punctual/Task", `import * as A from "./TaskRunner.ts"`),
        module("punctual/TaskRunner", `import * as B from "./TaskRegistry.ts"`),
        module("punctual/TaskRegistry", `export * from "./Task.ts"`)
      ],
      "import cycle: punctual/Task → punctual/TaskRunner → punctual/TaskRegistry → punctual/Task"
    ],
    [
      "a host clock",
      [module("punctual/Policy", `export const late = (due: number) => Date.now() - due`)],
      "punctual/Policy: Date.now reads the host; take time as an argument, or use effect/Clock and effect/Random"
    ]
  ]

  for (const [name, sources, message] of refused) {
    it(`refuses ${name}`, () => assert.deepStrictEqual(offences(sources), [message]))
  }

  it("does not take examples in comments for code", () => {
    const code =
      `/**\n * import * as X from "./TaskScheduler.ts"\n * Date.now()\n */\n// import "./Nothing.ts"\nexport const a = 1 // not Date.now()\n`
    assert.deepStrictEqual(offences([module("punctual/Trigger", code)]), [])
  })
})
