/**
 * What we want to reach, and where in the results of a topic it is found.
 */
import { median, type Row, show, type Table } from "./harness.ts"
import { find, type Results } from "./results.ts"

export interface Target {
  readonly topic: string
  readonly what: string
  /** At least, or at most. */
  readonly bound: readonly [">=" | "<=", number]
  readonly unit: string
  readonly digits: number
  /** `undefined`: it was not measured. */
  readonly value: (results: Results) => number | undefined
  /** What is as good: either of them is enough. */
  readonly or?: Aim
}

/** A bound, and what is compared with it. */
export type Aim = Pick<Target, "bound" | "unit" | "digits" | "value">

const text = (value: number, digits: number, unit: string): string =>
  unit === "×" ? `× ${show(value, digits)}` : `${show(value, digits)}${unit === "" ? "" : ` ${unit}`}`

const reaches = ({ bound: [direction, limit] }: Aim, value: number): boolean =>
  direction === ">=" ? value >= limit : value <= limit

const boundOf = ({ bound: [direction, limit], digits, unit }: Aim): string =>
  `${direction === ">=" ? "≥" : "≤"} ${text(limit, Number.isInteger(limit) && unit !== "×" ? 0 : digits, unit)}`

const ways = (target: Target): ReadonlyArray<Aim> => target.or === undefined ? [target] : [target, target.or]

export const aim = (target: Target): string => ways(target).map(boundOf).join(" or ")

/** What was measured, and whether that is enough; `undefined` where nothing was. */
export const verdict = (
  target: Target,
  results: Results
): { readonly shown: string; readonly met: boolean } | undefined => {
  const known = ways(target).flatMap((way) => {
    const value = way.value(results)
    return value === undefined ? [] : [{ shown: text(value, way.digits, way.unit), met: reaches(way, value) }]
  })
  return known.length === 0
    ? undefined
    : { shown: known.map(({ shown }) => shown).join(", "), met: known.some(({ met }) => met) }
}

type Value = number | undefined

const worst = (direction: ">=" | "<=", values: ReadonlyArray<Value>): Value => {
  const known = values.filter((value) => value !== undefined && !Number.isNaN(value)) as ReadonlyArray<number>
  return known.length === 0 ? undefined : direction === ">=" ? Math.min(...known) : Math.max(...known)
}

/** How many times as much. */
const times = (a: Value, b: Value): Value => a === undefined || b === undefined ? undefined : a / b

const medianOf = (row: Row | undefined, key: string): number =>
  median((row?.figures ?? []).map((figures) => figures[key] ?? NaN))

const isPeer = (name: string): boolean => !/^(punctual|limit|claim and delete)/.test(name)

/** The fastest peer of a column. */
const best = (table: Table, key: string): Value => {
  const rates = table.rows.filter(({ contender }) => isPeer(contender)).map((row) => medianOf(row, key))
  return rates.every((rate) => Number.isNaN(rate))
    ? undefined
    : Math.max(...rates.filter((rate) => !Number.isNaN(rate)))
}

/** Every column of every table of single questions. */
const nextCases = ({ tables }: Results) =>
  tables.filter(({ title }) => title.startsWith("next/s")).flatMap((table) =>
    table.columns.map(({ key }) => ({
      own: medianOf(table.rows.find(({ contender }) => contender === "punctual"), key),
      bound: medianOf(table.rows.find(({ contender }) => contender === "punctual, bound"), key),
      limit: medianOf(table.rows.find(({ contender }) => contender.startsWith("limit")), key),
      best: best(table, key)
    }))
  )

const triggerNext: ReadonlyArray<Target> = [
  {
    topic: "trigger-next",
    what: "next/s, the slowest rule and zone",
    bound: [">=", 1_000_000],
    unit: "",
    digits: 0,
    value: (results) => worst(">=", nextCases(results).map(({ own }) => own))
  },
  {
    topic: "trigger-next",
    what: "to the fastest peer, the worst rule and zone",
    bound: [">=", 10],
    unit: "×",
    digits: 1,
    value: (results) => worst(">=", nextCases(results).map(({ best, own }) => times(own, best)))
  },
  {
    topic: "trigger-next",
    what: "the limit to a bound trigger, the worst rule and zone",
    bound: ["<=", 4],
    unit: "×",
    digits: 1,
    value: (results) => worst("<=", nextCases(results).map(({ bound, limit }) => times(limit, bound)))
  },
  {
    topic: "trigger-next",
    what: "first use of a zone",
    bound: ["<=", 5],
    unit: "ms",
    digits: 1,
    value: (results) => find(results, /^The first questions/, "punctual", "first")
  },
  {
    topic: "trigger-next",
    what: "first use of a zone, beyond one answer of `Intl`",
    bound: ["<=", 5],
    unit: "ms",
    digits: 1,
    value: (results) => {
      const first = (contender: RegExp, key: string) =>
        medianOf(
          results.tables.find(({ title }) => title.startsWith("The first questions"))?.rows.find((row) =>
            contender.test(row.contender)
          ),
          key
        )
      const beyond = first(/^punctual$/, "first") - first(/^limit/, "utc")
      return Number.isNaN(beyond) ? undefined : beyond
    }
  }
]

const inMemory: ReadonlyArray<Target> = ([
  ["adds/s, a million tasks", [">=", 300_000], "", 0, /^The same with/, "addsPerSecond"],
  ["heap of a task, of a million", ["<=", 600], "B", 0, /^The same with/, "heapBytes"],
  ["CPU a second of a million idle tasks", ["<=", 10], "ms", 1, /^The same with/, "idle"],
  ["10,000 tasks every second: p99 of lateness", ["<=", 50], "ms", 0, /^10000 tasks every second/, "p99"],
  ["10,000 tasks every second: ran", [">=", 100], "%", 1, /^10000 tasks every second/, "fired"]
] as const).map(([what, bound, unit, digits, title, key]): Target => ({
  topic: "in-memory",
  what,
  bound,
  unit,
  digits,
  value: (results) => find(results, title, "punctual", key)
}))

const bursts: ReadonlyArray<Target> = [["punctual", ""], ["punctual, events and policy", ", events heard, a policy"]]
  .map((
    [contender = "", how = ""]
  ) => ({
    topic: "in-memory",
    what: `runs/s of 100,000 that are due at once${how}`,
    bound: [">=", 200_000],
    unit: "",
    digits: 0,
    value: (results) => find(results, /^100000 tasks due at one instant/, contender, "runsPerSecond")
  }))

/** A machine as fast as the one that the ratio was thought of for needs no ratio. */
const rateOf = (title: RegExp, contender: string, least: number): Aim => ({
  bound: [">=", least],
  unit: "runs/s",
  digits: 0,
  value: (results) => find(results, title, contender, "drain")
})

const drains = ["one-off tasks", "recurring tasks", "runs that are ready"].flatMap((kind): ReadonlyArray<Target> =>
  ([
    ["Postgres", "graphile-worker, best", 1.3],
    ["Postgres", "limit, Postgres", 0.7],
    ["Redis", "BullMQ, best", 2.5],
    ["SQLite", "limit, SQLite", 0.25]
  ] as const).map(([store, other, least]) => {
    const title = new RegExp(`${kind}.* in (a )?${store}`)
    return {
      topic: "drain",
      what: `${kind}, ${store}: to ${other}`,
      bound: [">=", least],
      unit: "×",
      digits: 2,
      value: (results) =>
        times(find(results, title, `punctual, ${store}`, "drain"), find(results, title, other, "drain")),
      ...store === "SQLite" ? { or: rateOf(title, `punctual, ${store}`, 40_000) } : {}
    }
  })
)

const enqueues = ["SQLite", "Postgres", "Redis"].flatMap((store): ReadonlyArray<Target> =>
  ([["one by one", "one", 1], ["50 in flight", "flight", 1], ["a thousand a call", "bulk", 1.5]] as const).map((
    [mode, key, least]
  ) => ({
    topic: "enqueue",
    what: `${mode}, ${store}: to the best peer`,
    bound: [">=", least],
    unit: "×",
    digits: 2,
    value: (results) => {
      const table = results.tables.find(({ title }) => new RegExp(`added to (a )?${store} `).test(title))
      const own = table?.rows.find(({ contender }) => contender === `punctual, ${store}`)
      return table === undefined || own === undefined ? undefined : times(medianOf(own, key), best(table, key))
    }
  }))
)

const pickups = ["SQLite", "Postgres", "Redis", "MySQL"].flatMap((store): ReadonlyArray<Target> =>
  ([
    ["due to start, p50", "dueP50", 5, "ms"],
    ["due to start, p99", "dueP99", 20, "ms"],
    ["add in another process to start, p50", "addP50", 5, "ms"],
    ["add in another process to start, p99", "addP99", 25, "ms"],
    ["idle, CPU of the client a second", "client", 2, "ms"],
    ["idle, CPU of the server a second", "server", 2, "ms"]
  ] as const).filter(([, key]) => store !== "SQLite" || key !== "server").map(([what, key, most, unit]) => ({
    topic: "pickup",
    what: `${store}: ${what}`,
    bound: ["<=", most],
    unit,
    digits: 1,
    value: (results) => find(results, /tasks that are due/, `punctual, ${store}`, key)
  }))
)

const recurrings = ["SQLite", "Postgres", "Redis", "MySQL"].flatMap((store): ReadonlyArray<Target> =>
  ([["on time", "onTime", [">=", 99.9], "%", 2], ["p99 of lateness", "p99", ["<=", 100], "ms", 0]] as const).map((
    [what, key, bound, unit, digits]
  ) => ({
    topic: "recurring",
    what: `10,000 every second, spread, ${store}: ${what}`,
    bound,
    unit,
    digits,
    value: (results) => find(results, /^10000 schedules every second, spread/, `punctual, ${store}`, key)
  }))
)

const crashes = ["SQLite", "Postgres", "Redis", "MySQL"].flatMap((store): ReadonlyArray<Target> =>
  ([["begun again after", "again", 40, "s", 1], ["lost", "missing", 0, "", 0], [
    "run again after its end was stored",
    "doubled",
    0,
    "",
    0
  ]] as const)
    .map(([what, key, most, unit, digits]) => ({
      topic: "crash",
      what: `${store}: ${what}`,
      bound: ["<=", most],
      unit,
      digits,
      value: (results) => find(results, /their process killed/, `punctual, ${store}`, key)
    }))
)

const scales = ["SQLite", "Postgres", "Redis", "MySQL"].flatMap((store): ReadonlyArray<Target> => [
  {
    topic: "scale",
    what: `${store}: a step of 100 beside a million tasks, to one beside a thousand, the worst call`,
    bound: ["<=", 1.5],
    unit: "×",
    digits: 2,
    value: ({ tables }) =>
      worst(
        "<=",
        tables.filter(({ title }) => title.startsWith(`${store}: steps of`)).flatMap(({ rows }) =>
          rows.map((row) => medianOf(row, "times"))
        )
      )
  },
  {
    topic: "scale",
    what: `${store}: two workers to one`,
    bound: [">=", 1.7],
    unit: "×",
    digits: 2,
    value: (results) => {
      const title = new RegExp(`^punctual, ${store}: .* several processes`)
      return times(find(results, title, "2 workers", "rate"), find(results, title, "1 worker", "rate"))
    }
  },
  {
    topic: "scale",
    what: `${store}: one of 10,000 that are due at once, to one of 100`,
    bound: ["<=", 1.5],
    unit: "×",
    digits: 2,
    value: (results) => {
      const title = new RegExp(`^${store}: what is due at one instant`)
      return times(find(results, title, "10,000 at once", "each"), find(results, title, "100 at once", "each"))
    }
  }
])

const soaks = ["memory, virtual time", "memory", "SQLite", "Postgres", "Redis", "MySQL"].flatMap((
  name
): ReadonlyArray<Target> => [
  {
    topic: "soak",
    what: `${name}: heap at the end, of that after a tenth`,
    bound: ["<=", 110],
    unit: "%",
    digits: 0,
    value: (results) => find(results, /runs a second for/, `punctual, ${name}`, "growth")
  },
  {
    topic: "soak",
    what: `${name}: more handles at the end than after a tenth`,
    bound: ["<=", 0],
    unit: "",
    digits: 0,
    value: (results) => {
      const handles = (key: string) => find(results, /runs a second for/, `punctual, ${name}`, key)
      const [early, late] = [handles("handlesEarly"), handles("handlesLate")]
      return early === undefined || late === undefined ? undefined : late - early
    }
  }
])

const startups = ([
  ["import of `punctual`", ["<=", 150], "ms", 0, (results) => find(results, /^What an import/, "punctual", "import")],
  [
    "import of `punctual`, to that of what it needs of Effect, by CPU time",
    ["<=", 1.5],
    "×",
    2,
    (results) =>
      times(
        find(results, /^What an import/, "punctual", "cpu"),
        find(results, /^What an import/, "limit: effect/Schema and effect/Stream", "cpu")
      )
  ]
] as ReadonlyArray<readonly [string, Target["bound"], string, number, Target["value"]]>).map((
  [what, bound, unit, digits, value]
): Target => ({ topic: "startup", what, bound, unit, digits, value }))

/** Topics without an aim, and why. */
export const withoutAim: Readonly<Record<string, string>> = {
  overhead:
    "No aim: layers are measured to find the next thing to remove, and what a run may cost as a whole is said by the topics that run them (in-memory, drain)."
}

export const targets: ReadonlyArray<Target> = [
  ...startups,
  ...triggerNext,
  ...inMemory,
  ...bursts,
  ...drains,
  ...enqueues,
  ...pickups,
  ...recurrings,
  ...crashes,
  ...scales,
  ...soaks
]
