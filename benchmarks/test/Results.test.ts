/**
 * What a topic has found, as JSON and as a plot; and that the page of docs says what the results say.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { summary, type Table } from "../harness.ts"
import { file, pageOf } from "../page.ts"
import { axis, plot } from "../plot.ts"
import { about, folder, fromJson, read, type Results, toJson, topics, toSvg, write } from "../results.ts"
import { targets, withoutAim } from "../targets.ts"

const table: Table = {
  title: "Runs of <b> & \"friends\"",
  columns: [
    { key: "rate", title: "runs/s", more: true, plot: true },
    { key: "cpu", title: "CPU µs/run", more: false, digits: 1, plot: true },
    { key: "none", title: "never plotted", more: true }
  ],
  rows: [
    { contender: "punctual, it's", figures: [{ rate: 300, cpu: 5 }, { rate: 100, cpu: 7 }, { rate: 200, cpu: 6 }] },
    { contender: "peer & <co>", figures: [{ rate: 50, cpu: 12 }, { rate: 50, cpu: 12 }] },
    { contender: "slow\u0001", figures: [{ rate: 1, cpu: NaN }] },
    { contender: "absent", figures: [], leftOut: "its server is <not> there" }
  ],
  reference: "peer & <co>"
}

const results: Results = {
  topic: "made-up",
  command: "npm run bench -- made-up",
  date: "2026-01-02T03:04:05.000Z",
  minutes: 1.5,
  repetitions: 3,
  quick: false,
  load: [2.5, 3],
  environment: {
    machine: "1 × Abacus & Sons",
    memory: "1 GiB",
    system: "linux",
    commit: "abc",
    versions: { node: "24.0.0" },
    servers: { redis: { appendfsync: "always" } }
  },
  settings: { "peer & <co>": "at its best" },
  tables: [table]
}

const entity = /&(amp|lt|gt|quot|#39);/g

/** Reads XML as strictly as these pictures need it: answers the text of each element, or throws. */
const elementsOf = (xml: string): ReadonlyArray<{ readonly name: string; readonly text: string }> => {
  const open: Array<{ readonly name: string; text: string }> = []
  const closed: Array<{ readonly name: string; readonly text: string }> = []
  const tag = /<(\/?)([a-z]+)((?:\s+[a-zA-Z:-]+="[^"<]*")*)\s*(\/?)>/y
  for (let at = 0; at < xml.length;) {
    if (xml[at] === "<") {
      tag.lastIndex = at
      const found = tag.exec(xml)
      if (found === null) throw new Error(`no tag at ${xml.slice(at, at + 80)}`)
      const [all, end, name = "", attributes = "", empty] = found
      if (attributes.replace(entity, "").includes("&")) throw new Error(`not an entity in ${all}`)
      if (end === "/") {
        const element = open.pop()
        if (element?.name !== name) throw new Error(`</${name}> ends <${element?.name}>`)
        closed.push(element)
      } else if (empty === "/") closed.push({ name, text: "" })
      else open.push({ name, text: "" })
      at += all.length
    } else {
      const end = xml.indexOf("<", at)
      const text = xml.slice(at, end < 0 ? undefined : end)
      // oxlint-disable-next-line no-control-regex
      if (/[\u0000-\u0008]/.test(text) || text.replace(entity, "").includes("&")) throw new Error(`not a text: ${text}`)
      const element = open.at(-1)
      if (element !== undefined) element.text += text
      else if (text.trim() !== "") throw new Error(`text outside: ${text}`)
      at += text.length
    }
  }
  if (open.length > 0) throw new Error(`<${open[0]!.name}> has no end`)
  return closed
}

const textsOf = (xml: string): ReadonlyArray<string> =>
  elementsOf(xml).filter(({ name }) => name === "text" || name === "title").map(({ text }) =>
    text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", "\"").replaceAll("&#39;", "'")
      .replaceAll("&amp;", "&")
  )

describe("figures", () => {
  it("come to a median, a spread and a ratio above 1 where they are better", () => {
    const [own, peer] = table.rows as [Table["rows"][number], Table["rows"][number]]
    const [rate, cpu] = table.columns as [Table["columns"][number], Table["columns"][number]]
    assert.deepStrictEqual(summary(table, own, rate), { median: 200, least: 100, most: 300, ratio: 4 })
    assert.deepStrictEqual(summary(table, own, cpu), { median: 6, least: 5, most: 7, ratio: 2 })
    assert.deepStrictEqual(summary(table, peer, rate), { median: 50, least: 50, most: 50, ratio: NaN })
  })

  it("which a repetition does not have are left out of the median", () => {
    const row = { contender: "one", figures: [{ rate: NaN }, { rate: 2 }, { rate: 4 }] }
    const alone = { ...table, rows: [row], reference: undefined }
    assert.strictEqual(summary(alone, row, table.columns[0]!).median, 3)
  })
})

describe("JSON", () => {
  it("has every repetition's figure, and reads as what was written", () => {
    assert.deepStrictEqual(fromJson(toJson(results)), results)
  })

  it("has ratios, settings, versions and what was left out", () => {
    const json = JSON.parse(toJson(results))
    assert.strictEqual(json.tables[0].rows[0].summary.rate.ratio, 4)
    assert.strictEqual(json.tables[0].rows[3].leftOut, "its server is <not> there")
    assert.strictEqual(json.settings["peer & <co>"], "at its best")
    assert.strictEqual(json.environment.servers.redis.appendfsync, "always")
  })

  it("and its plot are files of the topic", () => {
    const folder = mkdtempSync(join(tmpdir(), "punctual-results-"))
    try {
      write(join(folder, "new"), results)
      assert.deepStrictEqual(readdirSync(join(folder, "new")).toSorted(), ["made-up.json", "made-up.svg"])
      assert.strictEqual(readFileSync(join(folder, "new", "made-up.svg"), "utf8"), toSvg(results))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

describe("a plot", () => {
  const svg = toSvg(results)
  const texts = textsOf(svg)

  it("is XML whatever the texts are", () => {
    assert.include(texts, "peer & <co>")
    assert.include(texts, "punctual, it's")
    assert.include(texts, "Runs of <b> & \"friends\"")
  })

  it("says medians, ratios, units, and which way is better", () => {
    assert.include(texts, "200  ×4.00")
    assert.include(texts, "6.0  ×2.00")
    assert.isTrue(texts.some((text) => text.startsWith("runs/s, more is better, logarithmic; × to peer & <co>")))
    assert.isTrue(texts.some((text) => text.startsWith("CPU µs/run, less is better; ×")))
    assert.isFalse(texts.some((text) => text.includes("never plotted")))
  })

  it("says who was left out, and why", () => {
    assert.strictEqual(texts.filter((text) => text === "left out: its server is <not> there").length, 2)
  })

  it("says when, where and how busy the machine was", () => {
    assert.include(texts, about(results))
    assert.include(about(results), "busy (load 2.5 before it)")
  })

  it("has Punctual in its own colour, also where others are compared with it, and limits as outlines", () => {
    const rows = [{ contender: "punctual", figures: [{ rate: 3 }] }, { contender: "limit", figures: [{ rate: 9 }] }]
    const svg = plot("own", "", [{ ...table, rows, reference: "punctual" }])
    assert.deepStrictEqual(svg.match(/class="(own|reference|other|limit)"/g), ["class=\"own\"", "class=\"limit\""])
  })

  it("has colours for light and for dark", () => {
    assert.include(svg, "@media (prefers-color-scheme: dark)")
  })

  it("of nothing is a picture, too", () => {
    elementsOf(plot("empty", "", []))
    elementsOf(plot("left out", "", [{ ...table, rows: [table.rows[3]!], reference: undefined }]))
  })

  it("has bars as long as their figures: linear from zero, or logarithmic and from below the least", () => {
    const linear = axis([10, 40, 100])
    assert.deepStrictEqual([linear.logarithmic, linear.ticks, linear.at(0), linear.at(50)], [
      false,
      [0, 20, 40, 60, 80, 100],
      0,
      0.5
    ])
    const logarithmic = axis([2, 1_000])
    assert.deepStrictEqual([logarithmic.logarithmic, logarithmic.ticks], [true, [1, 10, 100, 1_000]])
    assert.closeTo(logarithmic.at(100), 2 / 3, 1e-9)
    assert.isAbove(axis([1, 1_000]).at(1), 0)
  })
})

describe("what is in the repository", () => {
  const known = topics.flatMap((topic) => read(topic) ?? [])

  it("are plots of their results, which are of whole runs", () => {
    for (const results of known) {
      assert.isFalse(results.quick)
      assert.strictEqual(readFileSync(join(folder, `${results.topic}.svg`), "utf8"), toSvg(results))
    }
  })

  it("is a page that says what the results say", () => {
    const page = readFileSync(file, "utf8")
    assert.strictEqual(pageOf(page, topics, read), page, "run `npm run bench -- page`")
  })

  it("has targets of topics that there are", () => {
    const missing = targets.filter(({ topic }) => !topics.includes(topic))
    assert.deepStrictEqual(missing, [])
  })

  it("has a README of each topic, whose links lead to files", () => {
    for (const topic of topics) {
      const readme = join(import.meta.dirname, "..", topic, "README.md")
      const links = [...readFileSync(readme, "utf8").matchAll(/\]\(([^)#:]+)[^)]*\)/g)].map(([, link]) => link!)
      const missing = links.filter((link) => !existsSync(join(readme, "..", link)))
      assert.deepStrictEqual(missing, [], readme)
    }
  })

  it("has an aim for each topic, or says why there is none", () => {
    const without = topics.filter((topic) => !targets.some((target) => target.topic === topic))
    assert.deepStrictEqual(without, Object.keys(withoutAim))
  })
})

describe("the page", () => {
  const text =
    "before\n<!-- results: written by `npm run bench`; what is written here by hand is lost -->\nold\n<!-- end of results -->\nafter\n"

  it("says of each aim whether it was met, missed or not measured", () => {
    const crash: Results = {
      ...results,
      topic: "crash",
      tables: [{
        ...table,
        title: "9 jobs, their process killed when the ends of a third were stored",
        rows: [{ contender: "punctual, Redis", figures: [{ again: 30, missing: 1, doubled: 0 }] }]
      }]
    }
    const page = pageOf(text, ["crash", "soak"], (topic) => topic === "crash" ? crash : undefined)
    assert.match(page, /\| Redis: begun again after +\| ≤ 40 s +\| 30\.0 s +\| met +\|/)
    assert.match(page, /\| Redis: lost +\| ≤ 0 +\| 1 +\| \*\*missed\*\* +\|/)
    assert.match(page, /\| SQLite: lost +\| ≤ 0 +\| not measured +\| +\|/)
    assert.match(page, /Not yet run as a whole, so without a figure here: soak\./)
    assert.isTrue(page.startsWith("before\n") && page.endsWith("<!-- end of results -->\nafter\n"))
    assert.notInclude(page, "old")
  })

  it("has either of two aims met, where either is enough", () => {
    const drain = (rate: number): Results => ({
      ...results,
      topic: "drain",
      tables: [{
        ...table,
        title: "9 one-off tasks in a SQLite file, run by one process",
        rows: [
          { contender: "punctual, SQLite", figures: [{ drain: rate }] },
          { contender: "limit, SQLite", figures: [{ drain: 1_000_000 }] }
        ]
      }]
    })
    const line = (rate: number) =>
      pageOf(text, ["drain"], () => drain(rate)).split("\n").find((line) => line.startsWith("| one-off tasks, SQLite"))
    assert.match(line(50_000)!, /≥ × 0\.25 or ≥ 40,000 runs\/s +\| × 0\.05, 50,000 runs\/s +\| met /)
    assert.match(line(30_000)!, /\*\*missed\*\*/)
    assert.match(line(300_000)!, /\| met /)
  })

  it("says why a topic has no aim", () => {
    const page = pageOf(text, ["overhead"], () => ({ ...results, topic: "overhead" }))
    assert.include(page, "No aim: ")
    assert.notInclude(page, "| aim")
  })

  it("keeps what it has no place for", () => {
    assert.throws(() => pageOf("nothing", [], () => undefined), /has no part between/)
  })
})
